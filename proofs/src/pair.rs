//! A conversation of two: the rule of epochs (spec 4.7 to 4.9), from outbox to history.
//!
//! The two sides are the production state machine, `xchat_engine::Conversation`, and so are lanes,
//! boxes, runs and what is stored; only MLS is replaced, by [`ModelGroup`]. Around them:
//!
//! - **Boxes** are ideal write-once registers (`register` shows that three stores make one). An
//!   operation is posted, takes effect once at some later moment, and its answer comes at some moment
//!   after that: answers are late and overtake each other. A box that somebody follows may be handed
//!   over as soon as it has a value.
//! - **Crash**: a side falls back to what was persisted. Answers on their way to it are lost; a write
//!   that has not taken effect may still do so, much later or never. It starts again at any time:
//!   one who stays away is a laggard.
//! - **An insider** may put rubbish into the commit lane, and an entry whose run comes late.
//! - **Time** stands still, and no receipts are sent: they would only confirm earlier. Hours pass only
//!   when all is still and the commit lane has an entry that nothing has pointed somebody to. At the beginning
//!   the second person's first look at the commit lane has been answered, the first one's not.
//!
//! A world is *at rest* when nothing is under way but what is lost. Worlds at rest are where all that
//! was said must have arrived; every world leads to one, so nothing that can be lost stays unseen.

mod group;
mod person;

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use stateright::{Model, Property};
use xchat_base::Timestamp;
use xchat_engine::{Direction, Input, MessageState, Mutation, SideInput, commit_entry};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, RunPointer, SealedBox};

pub use group::ModelGroup;
pub use person::{Careless, Operation, Person};

/// The moment at which everything happens.
const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// What each has received is what the other has said, in order, nothing twice.
pub const ONCE_IN_ORDER: &str = "what is received was said, once and in order";
/// At rest, everything that was said has arrived and is known to be stored.
pub const NOTHING_LOST: &str = "at rest, all that was said is stored and received";
/// The two have followed the same commits.
pub const ONE_ORDER: &str = "the members agree on the order of epochs";
/// Nothing stops the conversation.
pub const NOBODY_LOST: &str = "nobody loses the way to the next epoch";

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Says something.
    Say,
    /// Renews their keys.
    Renew,
}

/// What an insider does, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insider {
    /// Puts into the commit lane of the first epoch what is no entry.
    Rubbish,
    /// Puts an entry there whose run is written later.
    LateRun,
}

/// What is explored.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Each person's steps, one after the other.
    pub plans: [Vec<Step>; 2],
    /// Crashes, over both.
    pub crashes: u8,
    /// Whether the insider acts.
    pub insider: Option<Insider>,
    /// What the conversation lacks.
    pub mutation: Option<Mutation>,
    /// What the driver of the engine does wrong.
    pub careless: Option<Careless>,
}

/// The world at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    people: [Person; 2],
    boxes: BTreeMap<BoxId, SealedBox>,
    crashes: u8,
    /// Boxes that the insider has still to write.
    insider: Vec<SealedBox>,
}

/// What a turn that is not finished began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// An answer.
    Answer(Operation),
    /// A box that was handed over.
    Arrival(BoxId),
}

/// What can happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A person takes the next step.
    Step(usize),
    /// An operation takes effect.
    Decide(usize, Operation),
    /// An answer arrives.
    Answer(usize, Operation),
    /// A followed box is handed over.
    Arrive(usize, BoxId),
    /// Hours pass, and the commit lane is looked at.
    Wake(usize),
    /// A side stops, with all that is not persisted.
    Crash(usize),
    /// A side stops in the middle of a turn, whose effects have left (see [`Careless`]).
    CrashInTurn(usize, Cause),
    /// A side starts from what was persisted.
    Start(usize),
    /// A write from before a crash takes effect.
    DecideOrphan(usize, SealedBox),
    /// The insider writes the next box.
    Insider,
}

/// The model of one scenario.
pub struct PairModel {
    scenario: Scenario,
}

impl PairModel {
    /// Of this scenario.
    pub fn new(scenario: Scenario) -> Self {
        Self { scenario }
    }

    fn insider_boxes(&self, person: &Person) -> Vec<SealedBox> {
        let mut rng = ChaCha20Rng::seed_from_u64(99);
        let keys = person.commit_lane();
        let seal = |content: &[u8]| {
            let mut rng = ChaCha20Rng::seed_from_u64(98);
            keys.seal(&mut rng, content).expect("short")
        };
        match self.scenario.insider {
            None => Vec::new(),
            Some(Insider::Rubbish) => vec![seal(b"rubbish")],
            Some(Insider::LateRun) => {
                let commit = ModelGroup::foreign_commit(1);
                let (pointer, mut run) = RunPointer::seal(&mut rng, &commit).expect("short");
                run.push(seal(&commit_entry(&pointer)));
                run
            }
        }
    }

    fn write(world: &mut World, boxed: &SealedBox) -> WriteOutcome {
        let value = world.boxes.entry(boxed.id()).or_insert_with(|| boxed.clone());
        if value == boxed { WriteOutcome::Stored } else { WriteOutcome::Exists(value.clone()) }
    }

    fn decide(world: &mut World, operation: Operation) -> Operation {
        match operation {
            Operation::Write(boxed) => {
                let outcome = Self::write(world, &boxed);
                Operation::Written(boxed.id(), outcome.into())
            }
            Operation::Read(id) => Operation::Found(id, world.boxes.get(&id).cloned()),
            decided => decided,
        }
    }

    /// All that this person asked for at the start is answered.
    fn settle(world: &mut World, who: usize) {
        loop {
            let Some(operation) = world.people[who].operations().next().cloned() else { return };
            world.people[who].remove(&operation);
            if let Some(input) = Self::decide(world, operation).into_input() {
                world.people[who].handle(input);
            }
        }
    }

    fn step_input(&self, world: &World, who: usize) -> SideInput {
        let done = world.people[who].steps();
        match self.scenario.plans[who][done] {
            Step::Say => SideInput::Say(said(who, done)),
            Step::Renew => SideInput::Renew,
        }
    }

    /// Nothing is under way but what is lost, and nothing more is going to be done.
    fn is_still(&self, world: &World) -> bool {
        world.insider.is_empty()
            && world.people.iter().zip(&self.scenario.plans).all(|(person, plan)| {
                person.is_idle()
                    && person.steps() == plan.len()
                    && world.arrivals(person).is_empty()
            })
    }

    fn at_rest(&self, world: &World) -> bool {
        self.is_still(world) && !world.people.iter().any(|person| world.is_unaware(person))
    }

    fn said(&self, who: usize, steps: usize) -> Vec<String> {
        let plan = self.scenario.plans[who].iter().enumerate().take(steps);
        plan.filter(|(_, step)| **step == Step::Say).map(|(n, _)| said(who, n)).collect()
    }

    fn once_in_order(&self, world: &World) -> bool {
        [0, 1].into_iter().all(|who| {
            let said = self.said(1 - who, world.people[1 - who].steps());
            said.starts_with(&world.people[who].texts(Direction::In))
        })
    }

    fn nothing_lost(&self, world: &World) -> bool {
        [0, 1].into_iter().all(|who| {
            let said = self.said(who, world.people[who].steps());
            world.people[who].all_stored() && world.people[1 - who].texts(Direction::In) == said
        })
    }
}

impl World {
    /// The boxes that could be handed over to this person now.
    fn arrivals(&self, person: &Person) -> Vec<BoxId> {
        person.followed().filter(|id| self.boxes.contains_key(id)).copied().collect()
    }

    /// Whether the commit lane has an entry that nothing points this person to.
    fn is_unaware(&self, person: &Person) -> bool {
        !person.is_lost() && self.boxes.contains_key(&person.commit_lane().id())
    }
}

fn said(who: usize, step: usize) -> String {
    format!("{who}.{step}")
}

/// One of the histories goes on where the other ends; at rest, they are one.
fn one_order(model: &PairModel, world: &World) -> bool {
    let [a, b] = world.people.each_ref().map(Person::history);
    a.iter().zip(b).all(|(a, b)| a == b) && (a.len() == b.len() || !model.at_rest(world))
}

impl Model for PairModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let (mutation, careless) = (self.scenario.mutation, self.scenario.careless);
        let people = [0, 1].map(|leaf| Person::new(leaf, mutation, careless));
        let insider = self.insider_boxes(&people[0]);
        let mut world = World { people, boxes: BTreeMap::new(), crashes: 0, insider };
        Self::settle(&mut world, 1);
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (who, person) in world.people.iter().enumerate() {
            actions.extend(person.orphans().map(|boxed| Action::DecideOrphan(who, boxed.clone())));
            if !person.is_running() {
                actions.push(Action::Start(who));
                continue;
            }
            if person.steps() < self.scenario.plans[who].len() {
                actions.push(Action::Step(who));
            }
            for operation in person.operations() {
                let operation = operation.clone();
                if matches!(operation, Operation::Write(_) | Operation::Read(_)) {
                    actions.push(Action::Decide(who, operation));
                    continue;
                }
                if world.crashes < self.scenario.crashes && person.is_careless() {
                    actions.push(Action::CrashInTurn(who, Cause::Answer(operation.clone())));
                }
                actions.push(Action::Answer(who, operation));
            }
            for id in world.arrivals(person) {
                actions.push(Action::Arrive(who, id));
                if world.crashes < self.scenario.crashes && person.is_careless() {
                    actions.push(Action::CrashInTurn(who, Cause::Arrival(id)));
                }
            }
            if world.crashes < self.scenario.crashes {
                actions.push(Action::Crash(who));
            }
        }
        if !world.insider.is_empty() {
            actions.push(Action::Insider);
        }
        if self.is_still(world) {
            let unaware = |who: &usize| world.is_unaware(&world.people[*who]);
            actions.extend([0, 1].into_iter().filter(unaware).map(Action::Wake));
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Step(who) => {
                let input = self.step_input(&world, who);
                world.people[who].take_step(input);
            }
            Action::Decide(who, operation) => {
                world.people[who].remove(&operation);
                let decided = Self::decide(&mut world, operation);
                world.people[who].post(decided);
            }
            Action::Answer(who, operation) => {
                world.people[who].remove(&operation);
                world.people[who].handle(operation.into_input()?);
            }
            Action::Arrive(who, id) => {
                let boxed = world.boxes.get(&id)?.clone();
                world.people[who].unfollow(&id);
                world.people[who].handle(SideInput::Engine(Input::Arrived(boxed)));
            }
            Action::Wake(who) => world.people[who].wake(),
            Action::Crash(who) => {
                world.crashes += 1;
                world.people[who].crash();
            }
            Action::CrashInTurn(who, cause) => {
                world.crashes += 1;
                let input = match cause {
                    Cause::Answer(operation) => operation.into_input()?,
                    Cause::Arrival(id) => {
                        SideInput::Engine(Input::Arrived(world.boxes.get(&id)?.clone()))
                    }
                };
                world.people[who].crash_in_turn(input);
            }
            Action::Start(who) => world.people[who].start(),
            Action::DecideOrphan(who, boxed) => {
                world.people[who].remove_orphan(&boxed);
                Self::write(&mut world, &boxed);
            }
            Action::Insider => {
                let boxed = world.insider.pop()?;
                Self::write(&mut world, &boxed);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE_IN_ORDER, |model: &Self, world| model.once_in_order(world)),
            Property::always(NOTHING_LOST, |model: &Self, world| {
                !model.at_rest(world) || model.nothing_lost(world)
            }),
            Property::always(ONE_ORDER, one_order),
            Property::always(NOBODY_LOST, |_, world: &World| {
                world.people.iter().all(|person| !person.is_lost())
            }),
            Property::sometimes("the world comes to rest", |model: &Self, world| {
                model.at_rest(world)
            }),
            Property::sometimes(
                "every planned renewal makes an epoch",
                |model: &Self, world: &World| {
                    let renewals = model.scenario.plans.iter().flatten();
                    let renewals = renewals.filter(|step| **step == Step::Renew).count();
                    world.people.iter().all(|person| person.history().len() >= renewals)
                },
            ),
        ]
    }
}

/// What a person was told of a message.
pub(crate) fn is_stored(state: MessageState) -> bool {
    matches!(state, MessageState::Stored | MessageState::Delivered)
}

/// The answer of a register, as it waits to arrive.
pub(crate) fn read_outcome(found: Option<SealedBox>) -> ReadOutcome {
    found.map_or(ReadOutcome::Empty, ReadOutcome::Found)
}
