//! The plan of a local network: its keys, its nodes and where they listen. What a second `net up`
//! continues from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rand_core::OsRng;
use serde::{Deserialize, Serialize};
use xchat_base::{Secret, Timestamp, id, random};
use xchat_server::RoleName;
use xchat_server::files as disk;
use xchat_server::node::directory::{
    Incarnation, MAX_PAST, NodeId, OperatorId, Parameters, Past, PlacedStore, Token,
};
use xchat_server::prepared::node_id;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::addresses::{Addresses, is_taken};
use super::{MixDelay, UpArgs, broken};
use crate::failure::{Failure, exit};

const FILE: &str = "secrets.json";
const VERSION: u32 = 1;
/// 256 nodes with their keys are far below it.
const MAX_LEN: usize = 1024 * 1024;

/// Three authorities of whom two must agree: the smallest set in which one may be lost, and one
/// alone can do nothing.
const AUTHORITIES: usize = 3;
pub(super) const THRESHOLD: u8 = 2;

const GATEWAYS: u8 = 2;
const MIXES_PER_LAYER: u8 = 1;
const LAYERS: u8 = 3;
const STORES: u8 = 4;
const MIX_DELAY_MS: u32 = 50;

/// Everything about a local network that must not be lost.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    version: u32,
    pub(super) name: String,
    pub(super) authorities: Vec<StoredSecret>,
    pub(super) mix_delay_ms: u32,
    /// Whether that follows from what mixes report.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) mix_delay_by_rule: bool,
    /// Packets per 1,000 seconds.
    pub(super) pace: Option<u32>,
    /// Of each gateway, if not what a gateway does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_sessions: Option<u32>,
    /// Of each node, if not what a node does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) link_rate: Option<u32>,
    /// The placement epoch, and what the placements before it were.
    #[serde(default = "first_placement")]
    pub(super) placement: u32,
    #[serde(default)]
    pub(super) past: Vec<Past>,
    pub(super) nodes: Vec<PlannedNode>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
const fn is_false(value: &bool) -> bool {
    !*value
}

const fn first_placement() -> u32 {
    1
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedNode {
    /// Its directory below `nodes/`.
    pub(super) name: String,
    pub(super) role: RoleName,
    /// Of a mix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) layer: Option<u8>,
    pub(super) key: StoredSecret,
    pub(super) operator: OperatorId,
    pub(super) address: SocketAddr,
    /// Of a store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) store: Option<PlannedStore>,
    #[serde(default)]
    pub(super) hop_keys: Vec<PlannedHopKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedStore {
    pub(super) token: Token,
    /// Known once its table was made.
    pub(super) incarnation: Option<Incarnation>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedHopKey {
    pub(super) secret: StoredSecret,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// A secret in the plan's file, in hexadecimal.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct StoredSecret(String);

impl StoredSecret {
    pub(super) fn new(secret: &Secret<32>) -> Self {
        Self(id::hex(secret.expose()))
    }

    /// `None` if somebody has edited it.
    pub(super) fn read(&self) -> Option<Secret<32>> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        id::unhex(&self.0, bytes.as_mut_slice())?;
        Some(Secret::new(*bytes))
    }
}

impl PlannedNode {
    fn new(name: String, role: RoleName, layer: Option<u8>, address: SocketAddr) -> Self {
        let rng = &mut OsRng;
        let store = (role == RoleName::Store)
            .then(|| PlannedStore { token: Token::random(rng), incarnation: None });
        Self {
            name,
            role,
            layer,
            key: StoredSecret::new(&Secret::random(rng)),
            operator: OperatorId::random(rng),
            address,
            store,
            hop_keys: Vec::new(),
        }
    }

    pub(super) fn secret(&self) -> Result<Secret<32>, Failure> {
        self.key.read().ok_or_else(damaged)
    }

    pub(super) fn id(&self) -> Result<NodeId, Failure> {
        Ok(node_id(&self.secret()?))
    }

    pub(super) fn dir(&self, network: &Path) -> PathBuf {
        network.join("nodes").join(&self.name)
    }
}

pub(super) fn damaged() -> Failure {
    let failure = Failure::new(exit::INVALID, "plan", format!("{FILE} is damaged"));
    failure.hint("a network whose keys are lost cannot be continued: use another directory")
}

/// What the configurations of a network's nodes say beyond their places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    pub(super) max_sessions: Option<u32>,
    pub(super) link_rate: Option<u32>,
}

impl Plan {
    pub(super) const fn tuning(&self) -> Tuning {
        Tuning { max_sessions: self.max_sessions, link_rate: self.link_rate }
    }

    /// As [`Self::continued`], with every node at an address that nobody uses on this machine.
    pub(super) fn load_or_new(dir: &Path, args: &UpArgs) -> Result<Self, Failure> {
        let mut plan = Self::continued(dir, args)?;
        plan.move_from_taken_ports()?;
        Ok(plan)
    }

    /// Reads the plan of a directory and applies what the arguments may change, or makes a new one.
    pub(super) fn continued(dir: &Path, args: &UpArgs) -> Result<Self, Failure> {
        let path = dir.join(FILE);
        let mut plan = match disk::read_at_most(&path, MAX_LEN) {
            Ok(text) => Self::parse(&Zeroizing::new(text))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::new(args)?,
            Err(error) => return Err(broken(path.display(), &error)),
        };
        plan.check_shape(args)?;
        plan.max_sessions = args.max_sessions.or(plan.max_sessions);
        plan.link_rate = args.link_rate.or(plan.link_rate);
        match args.mix_delay {
            Some(MixDelay::Fixed(millis)) => {
                plan.mix_delay_ms = millis;
                plan.mix_delay_by_rule = false;
            }
            Some(MixDelay::ByRule) if !plan.mix_delay_by_rule => {
                plan.mix_delay_by_rule = true;
                plan.rule_mix_delay(&[]);
            }
            Some(MixDelay::ByRule) | None => {}
        }
        if let Some(rate) = args.rate {
            // Checked to lie between 0.001 and 1000 a second.
            plan.pace = Some((rate * 1_000.0).round() as u32);
        }
        Ok(plan)
    }

    /// Takes up what mixes report, in packets a second, if the network goes by that. Nobody's report is the longest delay.
    pub(super) fn rule_mix_delay(&mut self, reports: &[f64]) {
        if self.mix_delay_by_rule {
            let ruled = Parameters::ruled_mix_delay(reports).as_millis();
            self.mix_delay_ms = u32::try_from(ruled).unwrap_or(u32::MAX);
        }
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let plan: Self = serde_json::from_str(text).map_err(|_| damaged())?;
        if plan.version != VERSION {
            let text = format!("{FILE} has version {}, this program reads {VERSION}", plan.version);
            return Err(Failure::new(exit::INVALID, "plan", text));
        }
        Ok(plan)
    }

    pub(super) fn save(&self, dir: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map(Zeroizing::new);
        let text = text.map_err(|error| broken(FILE, &error))?;
        disk::replace(&dir.join(FILE), text.as_bytes(), true)
            .map_err(|error| broken(dir.join(FILE).display(), &error))
    }

    fn new(args: &UpArgs) -> Result<Self, Failure> {
        let gateways = args.gateways.unwrap_or(GATEWAYS);
        let mixes = args.mixes_per_layer.unwrap_or(MIXES_PER_LAYER);
        let stores = args.stores.unwrap_or(STORES);
        let mut addresses = Addresses::default();
        let mut nodes = Vec::new();
        let mut add = |name: String, role, layer| {
            let address = addresses.of_node(nodes.len(), args.bind_range)?;
            nodes.push(PlannedNode::new(name, role, layer, address));
            Ok::<(), Failure>(())
        };
        for n in 1..=gateways {
            add(format!("gateway-{n}"), RoleName::Gateway, None)?;
        }
        for layer in 1..=LAYERS {
            for n in 1..=mixes {
                add(format!("mix-{layer}-{n}"), RoleName::Mix, Some(layer))?;
            }
        }
        for n in 1..=stores {
            add(format!("store-{n}"), RoleName::Store, None)?;
        }
        let authority = || StoredSecret::new(&Secret::random(&mut OsRng));
        Ok(Self {
            version: VERSION,
            name: format!("local-{}", id::hex(&random::bytes::<4>(&mut OsRng))),
            authorities: (0..AUTHORITIES).map(|_| authority()).collect(),
            mix_delay_ms: MIX_DELAY_MS,
            mix_delay_by_rule: false,
            pace: None,
            max_sessions: None,
            link_rate: None,
            placement: first_placement(),
            past: Vec::new(),
            nodes,
        })
    }

    /// A store has another table than the document says: its disk was wiped. The next placement lists the
    /// new one; the stores' draws stay, so that only this store's boxes have another set of replicas.
    pub(super) fn relist(&mut self, index: usize, incarnation: Incarnation) -> Result<(), Failure> {
        let node = &mut self.nodes[index];
        let (id, operator) = (node.id()?, node.operator);
        let store = node.store.as_mut().ok_or_else(damaged)?;
        let before = store.incarnation.replace(incarnation).ok_or_else(damaged)?;
        let was = PlacedStore { id, operator, token: store.token, incarnation: before };
        self.past.insert(0, Past { were: vec![was], came: Vec::new() });
        self.past.truncate(MAX_PAST);
        self.placement += 1;
        Ok(())
    }

    /// A running network keeps its shape: stores that came or went would need their boxes moved.
    fn check_shape(&self, args: &UpArgs) -> Result<(), Failure> {
        let count = |role| self.nodes.iter().filter(|node| node.role == role).count();
        let wanted = [
            ("gateways", args.gateways, count(RoleName::Gateway)),
            ("mixes-per-layer", args.mixes_per_layer, count(RoleName::Mix) / usize::from(LAYERS)),
            ("stores", args.stores, count(RoleName::Store)),
        ];
        for (option, wanted, is) in wanted {
            if let Some(wanted) = wanted.filter(|wanted| usize::from(*wanted) != is) {
                let text =
                    format!("the network in this directory has --{option} {is}, not {wanted}");
                let failure = Failure::new(exit::INVALID, "other_shape", text);
                return Err(failure.hint("leave the option out, or use another directory"));
            }
        }
        if let Some(range) = args.bind_range
            && !self.nodes.iter().all(|node| range.contains(node.address.ip()))
        {
            let text = "the network in this directory listens outside that --bind-range";
            let failure = Failure::new(exit::INVALID, "other_shape", text);
            return Err(failure.hint("leave the option out, or use another directory"));
        }
        Ok(())
    }

    /// Somebody else's program may have taken a port since the last time.
    fn move_from_taken_ports(&mut self) -> Result<(), Failure> {
        for index in 0..self.nodes.len() {
            self.move_if_taken(index)?;
        }
        Ok(())
    }

    /// Gives a node that does not run another port if somebody else's program has its own. Returns whether it did.
    pub(super) fn move_if_taken(&mut self, index: usize) -> Result<bool, Failure> {
        let address = self.nodes[index].address;
        if !is_taken(address) {
            return Ok(false);
        }
        let mut addresses = Addresses::without(self.nodes.iter().map(|node| node.address));
        self.nodes[index].address = addresses.free(address.ip())?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn args(dir: &Path) -> UpArgs {
        UpArgs {
            dir: dir.to_owned(),
            gateways: None,
            mixes_per_layer: None,
            stores: None,
            rate: None,
            until_stdin_closes: false,
            mix_delay: None,
            max_sessions: None,
            link_rate: None,
            bind_range: None,
            runner: None,
        }
    }

    #[test]
    fn a_new_plan_has_the_default_shape_and_reads_back_with_its_changes() {
        let dir = tempfile::tempdir().expect("a directory");
        let plan = Plan::load_or_new(dir.path(), &args(dir.path())).expect("a new plan");
        assert_eq!(plan.nodes.len(), 2 + 3 + 4);
        assert!(plan.nodes.iter().all(|node| node.address.ip().is_loopback()));
        plan.save(dir.path()).expect("saves");

        let changed =
            UpArgs { rate: Some(0.2), mix_delay: Some(MixDelay::Fixed(7)), ..args(dir.path()) };
        let again = Plan::load_or_new(dir.path(), &changed).expect("reads");
        assert_eq!((again.pace, again.mix_delay_ms), (Some(200), 7));
        assert_eq!(again.nodes[0].address, plan.nodes[0].address);
        assert_eq!(again.nodes[0].id().expect("a key"), plan.nodes[0].id().expect("a key"));
    }

    #[test]
    fn the_mix_delay_goes_by_reports_where_that_is_wanted_and_by_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut plan = Plan::continued(dir.path(), &args(dir.path())).expect("a new plan");
        plan.rule_mix_delay(&[100.0]);
        assert_eq!(plan.mix_delay_ms, MIX_DELAY_MS, "it was not asked for");
        plan.save(dir.path()).expect("saves");

        let ruled = UpArgs { mix_delay: Some(MixDelay::ByRule), ..args(dir.path()) };
        let mut plan = Plan::continued(dir.path(), &ruled).expect("reads");
        assert_eq!(plan.mix_delay_ms, 1_000, "nobody has reported yet");
        plan.rule_mix_delay(&[100.0]);
        plan.save(dir.path()).expect("saves");
        let again = Plan::continued(dir.path(), &ruled).expect("reads");
        assert_eq!(again.mix_delay_ms, 300, "the last report holds until the next");

        let fixed = UpArgs { mix_delay: Some(MixDelay::Fixed(7)), ..args(dir.path()) };
        let mut plan = Plan::continued(dir.path(), &fixed).expect("reads");
        plan.rule_mix_delay(&[100.0]);
        assert_eq!(plan.mix_delay_ms, 7);
    }

    #[test]
    fn a_wiped_store_is_listed_anew_in_the_next_placement() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut plan = Plan::load_or_new(dir.path(), &args(dir.path())).expect("a new plan");
        let index = plan.nodes.iter().position(|node| node.store.is_some()).expect("four stores");
        let [first, second] = [1, 2].map(|n| Incarnation::from_bytes([n; 16]));
        assert_eq!(plan.relist(index, second).err().map(|failure| failure.code), Some("plan"));
        plan.nodes[index].store.as_mut().expect("a store").incarnation = Some(first);
        plan.relist(index, second).expect("relists");
        assert_eq!(plan.placement, 2);
        assert_eq!(plan.past[0].were[0].incarnation, first);
        for _ in 0..2 * MAX_PAST {
            plan.relist(index, first).expect("relists");
        }
        assert_eq!(plan.past.len(), MAX_PAST);
        plan.save(dir.path()).expect("saves");
        let again = Plan::load_or_new(dir.path(), &args(dir.path())).expect("reads");
        assert_eq!((again.placement, again.past), (plan.placement, plan.past));
    }

    #[test]
    fn another_shape_is_refused_and_damage_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let plan = Plan::load_or_new(dir.path(), &args(dir.path())).expect("a new plan");
        plan.save(dir.path()).expect("saves");
        let other = UpArgs { stores: Some(5), ..args(dir.path()) };
        let failure = Plan::load_or_new(dir.path(), &other).err().expect("four stores, not five");
        assert_eq!(failure.code, "other_shape");

        disk::replace(&dir.path().join(FILE), b"{}", true).expect("writes");
        let failure = Plan::load_or_new(dir.path(), &args(dir.path())).err().expect("damaged");
        assert_eq!(failure.code, "plan");
    }

    #[test]
    fn each_node_has_an_address_of_its_own_in_a_range() {
        let dir = tempfile::tempdir().expect("a directory");
        let range = Some("127.1.0.0/24".parse().expect("a range"));
        let ranged = UpArgs { bind_range: range, ..args(dir.path()) };
        let plan = Plan::load_or_new(dir.path(), &ranged).expect("a new plan");
        let ip = |n: usize| plan.nodes[n].address.ip().to_string();
        assert_eq!((ip(0).as_str(), ip(8).as_str()), ("127.1.0.1", "127.1.0.9"));
        plan.save(dir.path()).expect("saves");

        let again = Plan::load_or_new(dir.path(), &ranged).expect("reads");
        assert_eq!(again.nodes[8].address, plan.nodes[8].address);
        let other = Some("127.2.0.0/24".parse().expect("a range"));
        let other = UpArgs { bind_range: other, ..args(dir.path()) };
        let failure = Plan::load_or_new(dir.path(), &other).err().expect("another range");
        assert_eq!(failure.code, "other_shape");
        let small = Some("127.1.0.0/29".parse().expect("a range"));
        let small = UpArgs { bind_range: small, ..args(dir.path()) };
        let failure = Plan::new(&small).err().expect("nine nodes, six addresses");
        assert_eq!(failure.code, "bind_range");
    }

    #[test]
    fn a_taken_port_is_given_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let plan = Plan::load_or_new(dir.path(), &args(dir.path())).expect("a new plan");
        plan.save(dir.path()).expect("saves");
        let _taken = UdpSocket::bind(plan.nodes[1].address).expect("was free");
        let again = Plan::load_or_new(dir.path(), &args(dir.path())).expect("reads");
        assert_ne!(again.nodes[1].address, plan.nodes[1].address);
        assert_eq!(again.nodes[0].address, plan.nodes[0].address);
    }
}
