//! What goes wrong in a schedule, and when. A plan follows from its seed alone, and its moments are events of the
//! conversation, never times.

use std::fmt;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::random;

/// The people, by their place in [`NAMES`].
pub(crate) const PEOPLE: usize = 3;
pub(crate) const NAMES: [&str; PEOPLE] = ["alice", "bob", "carol"];

/// The network of every schedule.
pub(crate) const GATEWAYS: usize = 2;
pub(crate) const LAYERS: usize = 3;
pub(crate) const MIXES_PER_LAYER: usize = 2;
pub(crate) const STORES: usize = 4;

/// Names of its nodes, in the order of the network's own plan.
pub(crate) fn node_names() -> Vec<String> {
    let gateways = (1..=GATEWAYS).map(|n| format!("gateway-{n}"));
    let layer = |layer| (1..=MIXES_PER_LAYER).map(move |n| format!("mix-{layer}-{n}"));
    let stores = (1..=STORES).map(|n| format!("store-{n}"));
    gateways.chain((1..=LAYERS).flat_map(layer)).chain(stores).collect()
}

/// One thing that goes wrong, until it is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9 of a person's daemon, while `listen` and `send` go on and start another, and of that as soon as it is
    /// there, so many times in all.
    KillDaemon(usize, usize),
    /// kill -9 of everything that a person runs, who comes back later.
    Away(usize),
    /// SIGSTOP of a person's daemon, SIGCONT later.
    FreezeDaemon(usize),
    /// A person's network is gone: the link of their namespace is down.
    CutPerson(usize),
    /// kill -9 of a node, restarted later by its command in `nodes.json`.
    KillNode(String),
    /// kill -9 of a store and its whole table removed; it is started again later, is listed with its new table, and
    /// refills it from the others.
    WipeStore(String),
    /// SIGSTOP of a node, SIGCONT later.
    FreezeNode(String),
    /// A node's link is down; its process does not notice.
    CutNode(String),
    /// These nodes reach only one another, all others and the people too.
    Split(Vec<String>),
    /// SIGTERM of the whole network, later started again.
    StopNetwork,
    /// SIGKILL of the network's supervisor, and a new start.
    KillNetwork,
}

impl Fault {
    /// Whether it needs network namespaces.
    pub(crate) fn is_partition(&self) -> bool {
        matches!(self, Self::CutPerson(_) | Self::CutNode(_) | Self::Split(_))
    }

    /// The person who cannot take part while it lasts.
    pub(crate) fn person(&self) -> Option<usize> {
        match self {
            Self::KillDaemon(who, _)
            | Self::Away(who)
            | Self::FreezeDaemon(who)
            | Self::CutPerson(who) => Some(*who),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillDaemon(who, times) => write!(f, "kill {}'s daemon {times}×", NAMES[*who]),
            Self::Away(who) => write!(f, "{} is away", NAMES[*who]),
            Self::FreezeDaemon(who) => write!(f, "freeze {}'s daemon", NAMES[*who]),
            Self::CutPerson(who) => write!(f, "cut {} off", NAMES[*who]),
            Self::KillNode(name) => write!(f, "kill {name}"),
            Self::WipeStore(name) => write!(f, "wipe {name}"),
            Self::FreezeNode(name) => write!(f, "freeze {name}"),
            Self::CutNode(name) => write!(f, "cut {name} off"),
            Self::Split(names) => write!(f, "split off {}", names.join(", ")),
            Self::StopNetwork => f.write_str("stop the network"),
            Self::KillNetwork => f.write_str("kill the network's supervisor"),
        }
    }
}

/// When a fault is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// So many more messages were accepted by daemons, while nothing may get through.
    Accepted(usize),
    /// So many more messages have arrived in spite of it.
    Arrived(usize),
    /// Somebody has noticed: a person's status, or the links of another node.
    Noticed,
}

/// One step: what goes wrong together, from where on and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// So many messages have arrived in all.
    pub(crate) after: usize,
    pub(crate) faults: Vec<Fault>,
    pub(crate) until: Until,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.faults.iter().map(Fault::to_string).collect();
        write!(f, "after {} arrivals: {}, until {:?}", self.after, faults.join(" + "), self.until)
    }
}

/// A whole schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Messages in all, over the six directions.
    pub(crate) messages: usize,
    pub(crate) steps: Vec<Step>,
}

/// One step for so many messages.
const MESSAGES_PER_STEP: usize = 29;

/// The kinds of faults, each once in a deck.
const KINDS: usize = 17;

impl Plan {
    /// The plan of a seed. `partitions` is false where there are no network namespaces.
    pub(crate) fn new(seed: u64, messages: usize, partitions: bool) -> Self {
        let mut draw = Draw(ChaCha12Rng::seed_from_u64(seed));
        let mut deck = Vec::new();
        let mut steps = Vec::new();
        // The last messages travel through a network that is whole again.
        for n in 0..messages / MESSAGES_PER_STEP {
            if deck.is_empty() {
                deck = draw.shuffled(0..KINDS);
            }
            let kind = deck.pop().expect("filled above");
            let mut faults = vec![draw.fault(kind)];
            // A person and a node may fail at once; two nodes may hold one box, or a layer.
            if faults[0].person().is_some() && draw.below(2) == 0 {
                let node = draw.node();
                faults.push(draw.node_fault(node));
            }
            faults.retain(|fault| partitions || !fault.is_partition());
            let until = draw.until(&faults);
            let after = n * MESSAGES_PER_STEP + draw.below(MESSAGES_PER_STEP / 2);
            if !faults.is_empty() {
                steps.push(Step { after, faults, until });
            }
        }
        Self { seed, messages, steps }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} messages:", self.seed, self.messages)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

struct Draw(ChaCha12Rng);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        random::index(&mut self.0, end)
    }

    fn shuffled(&mut self, items: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut items: Vec<_> = items.collect();
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
        items
    }

    fn person(&mut self) -> usize {
        self.below(PEOPLE)
    }

    fn node(&mut self) -> String {
        let names = node_names();
        names[self.below(names.len())].clone()
    }

    fn gateway(&mut self) -> String {
        format!("gateway-{}", 1 + self.below(GATEWAYS))
    }

    fn mix(&mut self) -> String {
        format!("mix-{}-{}", 1 + self.below(LAYERS), 1 + self.below(MIXES_PER_LAYER))
    }

    fn store(&mut self) -> String {
        format!("store-{}", 1 + self.below(STORES))
    }

    fn fault(&mut self, kind: usize) -> Fault {
        match kind {
            0 => Fault::KillDaemon(self.person(), 1 + self.below(3)),
            1 => Fault::Away(self.person()),
            2 => Fault::FreezeDaemon(self.person()),
            3 => Fault::CutPerson(self.person()),
            4 => Fault::KillNode(self.gateway()),
            5 => Fault::KillNode(self.mix()),
            6 => Fault::KillNode(self.store()),
            7 => Fault::FreezeNode(self.gateway()),
            8 => Fault::FreezeNode(self.mix()),
            9 => Fault::FreezeNode(self.store()),
            10 => Fault::CutNode(self.gateway()),
            11 => Fault::CutNode(self.mix()),
            12 => Fault::CutNode(self.store()),
            13 => Fault::StopNetwork,
            14 => Fault::KillNetwork,
            15 => Fault::WipeStore(self.store()),
            _ => self.split(),
        }
    }

    fn node_fault(&mut self, node: String) -> Fault {
        match self.below(3) {
            0 => Fault::KillNode(node),
            1 => Fault::FreezeNode(node),
            _ => Fault::CutNode(node),
        }
    }

    /// Half of the nodes.
    fn split(&mut self) -> Fault {
        let names = node_names();
        let mut apart = self.shuffled(0..names.len());
        apart.truncate(names.len() / 2);
        apart.sort_unstable();
        Fault::Split(apart.into_iter().map(|n| names[n].clone()).collect())
    }

    /// What is sure to come about in spite of the faults.
    fn until(&mut self, faults: &[Fault]) -> Until {
        let all_stops = |fault: &Fault| {
            matches!(fault, Fault::Split(_) | Fault::StopNetwork | Fault::KillNetwork)
        };
        let stops = faults.iter().any(all_stops);
        let noticeable = matches!(
            faults,
            [Fault::CutPerson(_)
                | Fault::KillNode(_)
                | Fault::WipeStore(_)
                | Fault::FreezeNode(_)
                | Fault::CutNode(_)
                | Fault::Split(_)
                | Fault::StopNetwork]
        );
        match self.below(3) {
            0 if noticeable => Until::Noticed,
            1 if !stops => Until::Arrived(1 + self.below(10)),
            _ => Until::Accepted(1 + self.below(20)),
        }
    }
}

/// The same seed gives the same plan, another seed another; a long one has every kind of fault.
#[test]
fn a_plan_follows_from_its_seed() {
    let plan = Plan::new(7, 500, true);
    assert_eq!(plan, Plan::new(7, 500, true));
    assert_ne!(plan.steps, Plan::new(8, 500, true).steps);
    assert_eq!(plan.steps.len(), 500 / MESSAGES_PER_STEP);
    let kinds: std::collections::HashSet<_> =
        plan.steps.iter().map(|step| std::mem::discriminant(&step.faults[0])).collect();
    assert_eq!(kinds.len(), 11);
    assert!(plan.steps.is_sorted_by_key(|step| step.after));
    let without = Plan::new(7, 500, false);
    assert!(!without.steps.iter().flat_map(|step| &step.faults).any(Fault::is_partition));
}
