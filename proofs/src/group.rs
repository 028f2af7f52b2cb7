//! The rule of epochs in a group: shared lanes, removal, members who lag (spec 4.7 to 4.9; groups of
//! more than two are not built yet, so this is the rule itself and not the code: [`crate::pair`]
//! drives the code).
//!
//! A lane may have several writers: who finds a box taken reads it and takes the next one. A commit
//! may remove a member; who learns of it that way finds out what was not stored. What `pair` spells
//! out is one step here: a commit's run is whole, missing, or void for ever, as the register decides.
//!
//! Boxes are ideal write-once registers; operations are posted, take effect, and are answered, each at
//! any later moment. A crash loses what is under way; a write that has not taken effect may do so
//! later or never. Who has crashed starts again at any time: a laggard.

mod member;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use stateright::{Model, Property};

pub use member::{Disk, Member, Memory, Pending, Told};

/// Every member has received what each other has said, in order, and nothing twice.
pub const ONCE_IN_ORDER: &str = "what is received was said, once and in order";
/// At rest, what was reported as stored is with every member who is left.
pub const NOTHING_LOST: &str = "at rest, what is stored has been received by all who are left";
/// At rest, nobody waits: who is left has stored all, who was removed knows what was not delivered.
pub const ALL_TOLD: &str = "at rest, every sender knows what became of every message";
/// No two members have followed different commits.
pub const ONE_ORDER: &str = "the members agree on the order of epochs";

/// What can be left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// The look at the commit lane is posted together with the box, not after its acknowledgement.
    LookBeforeAck,
    /// An epoch is left without draining its lanes.
    NoDrain,
    /// A lane counts as drained by a read that began before the entry was known.
    DrainByOldReads,
    /// What was not confirmed is not sent again.
    NoResend,
    /// Who finds a commit's run incomplete skips it and leaves it to be completed.
    LeaveHoles,
    /// An entry that is not valid is the end, instead of being skipped.
    StopAtRubbish,
    /// Messages are taken in whatever their number.
    TakeRepeated,
    /// A crash may come when a box has left and its batch is not persisted.
    EmitFirst,
    /// A crash may come when a message is on the disk and the number and position that go with it
    /// are not.
    NumberApart,
}

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Says something.
    Say,
    /// Renews keys, or removes a member.
    Commit(Option<u8>),
}

/// What an insider puts into the first epoch's commit lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insider {
    /// No entry at all.
    Rubbish,
    /// An entry whose run comes later.
    LateRun,
}

/// What is explored.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Each member's steps, one after the other.
    pub plans: Vec<Vec<Step>>,
    /// Lanes of an epoch; members share them by number.
    pub lanes: usize,
    /// Crashes, over all.
    pub crashes: u8,
    /// Looks at lanes and commit lane that nothing calls for, over all.
    pub looks: u8,
    /// Whether an insider acts.
    pub insider: Option<Insider>,
    /// Epochs that can end, one after another: the model makes sure that they do.
    pub ends: usize,
    /// What is left out.
    pub mutation: Option<Mutation>,
}

/// A box of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneBox {
    /// Its place in the lane.
    pub at: u8,
    /// Who wrote it.
    pub sender: u8,
    /// The sender's number of the message.
    pub seq: u8,
    /// What it says: the sender's step.
    pub text: u8,
}

/// A commit: who made it, at which step, and whom it removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit {
    maker: u8,
    step: u8,
    /// Who is not in the next epoch.
    pub removes: Option<u8>,
}

/// A box of the commit lane; without a commit it is rubbish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Its place in the lane.
    pub at: u8,
    commit: Option<Commit>,
}

/// Whether all boxes of a commit's run are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Run {
    /// They are.
    Whole,
    /// Not yet.
    Missing,
    /// A reader has filled a hole: they never will be.
    Void,
}

/// Boxes are found by who followed the same commits only.
type Epoch = Vec<Commit>;

/// A write from before a crash, or from an epoch that was left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Orphan {
    /// A box of a lane.
    Box(Epoch, usize, LaneBox),
    /// A box of the commit lane.
    Entry(Epoch, Entry),
}

/// The world at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    members: Vec<Member>,
    boxes: BTreeMap<(Epoch, usize, u8), LaneBox>,
    entries: BTreeMap<(Epoch, u8), Entry>,
    /// Of runs that are not whole from the start: the insider's.
    insiders_run: Run,
    insider_acts: u8,
    orphans: BTreeSet<Orphan>,
    crashes: u8,
    looks: u8,
}

/// What can happen next; members by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Takes the next step.
    Step(usize),
    /// The append takes effect.
    DecideAppend(usize),
    /// Its answer arrives.
    Appended(usize),
    /// The look takes effect.
    DecideLook(usize),
    /// Its answer arrives.
    Looked(usize),
    /// The own entry takes effect.
    DecideEntry(usize),
    /// Its answer arrives.
    EntryWritten(usize),
    /// The read of a lane takes effect.
    DecideRead(usize, usize),
    /// Its answer arrives.
    LaneRead(usize, usize),
    /// A lane's next box is handed over.
    Take(usize, usize),
    /// Looks at the commit lane.
    Look(usize),
    /// Reads a lane's next box.
    Read(usize, usize),
    /// Stops.
    Crash(usize),
    /// Stops when what was said has left and is not on the disk.
    CrashInSay(usize),
    /// Stops when a message is on the disk, and not where it came from.
    CrashInTake(usize, usize),
    /// Starts from its disk.
    Start(usize),
    /// A write that was given up takes effect.
    DecideOrphan(Orphan),
    /// The insider does the next thing.
    Insider,
}

/// The model of one scenario.
pub struct GroupModel {
    scenario: Scenario,
    /// Steps of each member.
    steps: Vec<usize>,
    settles: bool,
}

impl GroupModel {
    /// Of this scenario.
    pub fn new(scenario: Scenario) -> Self {
        let steps = scenario.plans.iter().map(Vec::len).collect();
        Self { scenario, steps, settles: true }
    }

    /// Worlds that nothing can tell apart are visited one by one.
    pub fn unsettled(scenario: Scenario) -> Self {
        Self { settles: false, ..Self::new(scenario) }
    }

    fn step(&self, world: &mut World, who: usize) {
        let member = &mut world.members[who];
        let step = member.steps;
        member.steps += 1;
        let number = u8::try_from(step).expect("few steps");
        match self.scenario.plans[who][step] {
            Step::Say => member.say(number, self.scenario.mutation),
            Step::Commit(removes) => {
                let gone = removes.is_some_and(|whom| {
                    member.disk.history.iter().any(|commit| commit.removes == Some(whom))
                });
                if !gone {
                    let maker = member.number;
                    member.commit(Commit { maker, step: number, removes });
                }
            }
        }
    }

    fn insider_steps(&self) -> u8 {
        match self.scenario.insider {
            None => 0,
            Some(Insider::Rubbish) => 1,
            Some(Insider::LateRun) => 2,
        }
    }

    fn act_as_insider(&self, world: &mut World) {
        world.insider_acts += 1;
        if world.insider_acts == 2 {
            if world.insiders_run == Run::Missing {
                world.insiders_run = Run::Whole;
            }
            return;
        }
        let commit = Commit { maker: u8::MAX, step: 0, removes: None };
        let commit = (self.scenario.insider == Some(Insider::LateRun)).then_some(commit);
        let entry = Entry { at: 0, commit };
        world.entries.entry((Vec::new(), 0)).or_insert(entry);
    }

    /// What a reader of an entry finds of its run. A hole is filled, so that it stays one.
    fn resolve(&self, world: &mut World, entry: Entry) -> Run {
        if entry.commit.is_none_or(|commit| commit.maker != u8::MAX) {
            return Run::Whole;
        }
        if world.insiders_run == Run::Missing {
            if self.scenario.mutation != Some(Mutation::LeaveHoles) {
                world.insiders_run = Run::Void;
            }
            return Run::Void;
        }
        world.insiders_run
    }

    fn decide(world: &mut World, who: usize, what: &Action) -> Option<()> {
        let member = &mut world.members[who];
        let epoch = member.disk.history.clone();
        let (lane, next_entry) = (member.lane(), member.disk.next_entry);
        let memory = member.memory.as_mut()?;
        match what {
            Action::DecideAppend(_) => {
                let flight = member.disk.flight?;
                let value = *world.boxes.entry((epoch, lane, flight.at)).or_insert(flight);
                memory.append = Some(Pending::Decided(value));
            }
            Action::DecideLook(_) => {
                let entry = world.entries.get(&(epoch, next_entry)).copied();
                memory.look.as_mut()?.0 = Pending::Decided(entry);
            }
            Action::DecideEntry(_) => {
                let own = Entry { at: next_entry, commit: member.disk.pending };
                let entry = *world.entries.entry((epoch, next_entry)).or_insert(own);
                memory.entry = Some(Pending::Decided(entry));
            }
            Action::DecideRead(_, lane) => {
                let next = member.disk.next[*lane];
                let value = world.boxes.get(&(epoch, *lane, next)).copied();
                memory.reads[*lane] = Some(Pending::Decided(value));
            }
            _ => return None,
        }
        Some(())
    }

    /// An answer arrives; what the member gives up by it may still take effect.
    fn answer(&self, world: &mut World, who: usize, what: &Action) -> Option<()> {
        let before = world.members[who].clone();
        let memory = before.memory.as_ref()?;
        let mutation = self.scenario.mutation;
        match what {
            Action::Appended(_) => {
                let Some(Pending::Decided(value)) = memory.append else { return None };
                world.members[who].appended(value, mutation);
            }
            Action::Looked(_) => {
                let Some((Pending::Decided(entry), confirms)) = memory.look else { return None };
                let entry = entry.map(|entry| (entry, self.resolve(world, entry)));
                world.members[who].looked(entry, confirms, mutation);
            }
            Action::EntryWritten(_) => {
                let Some(Pending::Decided(entry)) = memory.entry else { return None };
                let run = self.resolve(world, entry);
                world.members[who].entry_found(entry, run, mutation);
            }
            Action::LaneRead(_, lane) => {
                let Some(Pending::Decided(value)) = memory.reads[*lane] else { return None };
                world.members[who].lane_read(*lane, value, mutation);
            }
            _ => return None,
        }
        if world.members[who].disk.history != before.disk.history {
            Self::orphan(world, &before);
        }
        Some(())
    }

    /// Writes of this member that have not taken effect have lost their owner.
    fn orphan(world: &mut World, member: &Member) {
        let Some(memory) = &member.memory else { return };
        let epoch = &member.disk.history;
        if let (Some(Pending::Posted), Some(boxed)) = (memory.append, member.disk.flight) {
            world.orphans.insert(Orphan::Box(epoch.clone(), member.lane(), boxed));
        }
        if memory.entry == Some(Pending::Posted) {
            let entry = Entry { at: member.disk.next_entry, commit: member.disk.pending };
            world.orphans.insert(Orphan::Entry(epoch.clone(), entry));
        }
    }

    fn crash(world: &mut World, who: usize) {
        world.crashes += 1;
        let member = world.members[who].clone();
        Self::orphan(world, &member);
        world.members[who].memory = None;
    }

    fn crash_in_say(&self, world: &mut World, who: usize) {
        let disk = world.members[who].disk.clone();
        self.step(world, who);
        Self::crash(world, who);
        world.members[who].disk = disk;
    }

    fn crash_in_take(world: &mut World, who: usize, lane: usize) -> Option<()> {
        let value = world.next_box(who, lane)?;
        let disk = world.members[who].disk.clone();
        world.members[who].take(lane, value, None);
        let received = world.members[who].disk.received.clone();
        Self::crash(world, who);
        world.members[who].disk = Disk { received, ..disk };
        Some(())
    }

    fn orphan_decided(world: &mut World, orphan: Orphan) {
        world.orphans.remove(&orphan);
        match orphan {
            Orphan::Box(epoch, lane, boxed) => {
                world.boxes.entry((epoch, lane, boxed.at)).or_insert(boxed);
            }
            Orphan::Entry(epoch, entry) => {
                world.entries.entry((epoch, entry.at)).or_insert(entry);
            }
        }
    }

    /// Whether nothing is bound to happen any more, and everybody has started.
    pub fn at_rest(&self, world: &World) -> bool {
        let mut actions = Vec::new();
        self.actions_of_all(world, &mut actions);
        actions.is_empty() && world.members.iter().all(|member| member.memory.is_some())
    }

    /// What is bound to happen, sooner or later.
    fn actions_of_all(&self, world: &World, actions: &mut Vec<Action>) {
        for (who, member) in world.members.iter().enumerate() {
            let Some(memory) = &member.memory else {
                actions.push(Action::Start(who));
                continue;
            };
            if member.steps < self.scenario.plans[who].len() {
                actions.push(Action::Step(who));
            }
            if member.disk.removed {
                continue;
            }
            match memory.append {
                Some(Pending::Posted) => actions.push(Action::DecideAppend(who)),
                Some(Pending::Decided(_)) => actions.push(Action::Appended(who)),
                None => {}
            }
            match memory.look {
                Some((Pending::Posted, _)) => actions.push(Action::DecideLook(who)),
                Some((Pending::Decided(_), _)) => actions.push(Action::Looked(who)),
                None if member.is_open() && world.has_entry(member) => {
                    actions.push(Action::Look(who));
                }
                None => {}
            }
            match memory.entry {
                _ if memory.closing.is_some() => {}
                Some(Pending::Posted) => actions.push(Action::DecideEntry(who)),
                Some(Pending::Decided(_)) => actions.push(Action::EntryWritten(who)),
                None => {}
            }
            for (lane, read) in memory.reads.iter().enumerate() {
                match read {
                    Some(Pending::Posted) => actions.push(Action::DecideRead(who, lane)),
                    Some(Pending::Decided(_)) => actions.push(Action::LaneRead(who, lane)),
                    None => {}
                }
                let own = lane == member.lane() && memory.append.is_some();
                if !own && world.next_box(who, lane).is_some() {
                    actions.push(Action::Take(who, lane));
                }
            }
        }
        if world.insider_acts < self.insider_steps() {
            actions.push(Action::Insider);
        }
    }

    /// What may happen, or not.
    fn mishaps(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(world.orphans.iter().cloned().map(Action::DecideOrphan));
        for (who, member) in world.members.iter().enumerate() {
            let Some(memory) = &member.memory else { continue };
            if world.crashes < self.scenario.crashes && !member.disk.removed {
                actions.push(Action::Crash(who));
                let step = self.scenario.plans[who].get(member.steps);
                if self.scenario.mutation == Some(Mutation::EmitFirst) && step == Some(&Step::Say) {
                    actions.push(Action::CrashInSay(who));
                }
                if self.scenario.mutation == Some(Mutation::NumberApart) {
                    let lanes = 0..self.scenario.lanes;
                    actions.extend(lanes.map(|lane| Action::CrashInTake(who, lane)));
                }
            }
            if world.looks < self.scenario.looks && member.is_open() {
                if memory.look.is_none() {
                    actions.push(Action::Look(who));
                }
                let idle = memory.reads.iter().enumerate().filter(|(_, read)| read.is_none());
                actions.extend(idle.map(|(lane, _)| Action::Read(who, lane)));
            }
        }
    }

    fn texts(&self, who: usize) -> Vec<u8> {
        let plan = self.scenario.plans[who].iter().enumerate();
        let said = plan.filter(|(_, step)| **step == Step::Say);
        said.map(|(n, _)| u8::try_from(n).expect("few steps")).collect()
    }

    /// Each receives a part of what was said: what a removed sender did not store may be missing.
    fn once_in_order(&self, world: &World) -> bool {
        world.members.iter().all(|member| {
            member.disk.received.iter().enumerate().all(|(sender, received)| {
                let said = self.texts(sender);
                received.is_sorted_by(|a, b| a < b) && received.iter().all(|t| said.contains(t))
            })
        })
    }

    fn nothing_lost(world: &World) -> bool {
        world.members.iter().enumerate().all(|(sender, member)| {
            let outbox = member.disk.outbox.iter();
            let stored = outbox.filter(|(_, told)| *told == Told::Stored);
            stored.clone().all(|(text, _)| {
                world.members.iter().enumerate().all(|(reader, other)| {
                    let received = &other.disk.received[sender];
                    reader == sender || other.disk.removed || received.contains(text)
                })
            })
        })
    }

    fn all_told(world: &World) -> bool {
        let left = world.members.iter().filter(|member| !member.disk.removed);
        let histories: BTreeSet<_> = left.map(|member| &member.disk.history).collect();
        histories.len() <= 1
            && world.members.iter().all(|member| {
                let waits = member.disk.removed;
                member.disk.outbox.iter().all(|(_, told)| match told {
                    Told::Stored => true,
                    Told::NotDelivered => waits,
                    Told::Waiting => false,
                })
            })
    }

    fn one_order(world: &World) -> bool {
        world.members.iter().all(|a| {
            world.members.iter().all(|b| {
                a.disk.history.iter().zip(&b.disk.history).all(|(one, other)| one == other)
            })
        })
    }
}

impl World {
    /// What the members have on their disks: with whether the world is at rest, all that properties look at.
    pub fn disks(&self) -> Vec<&Disk> {
        self.members.iter().map(|member| &member.disk).collect()
    }

    fn has_entry(&self, member: &Member) -> bool {
        let key = (member.disk.history.clone(), member.disk.next_entry);
        self.entries.contains_key(&key)
    }

    fn next_box(&self, who: usize, lane: usize) -> Option<LaneBox> {
        let disk = &self.members[who].disk;
        self.boxes.get(&(disk.history.clone(), lane, disk.next[lane])).copied()
    }
}

impl Model for GroupModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let count = self.scenario.plans.len();
        let members = 0..u8::try_from(count).expect("few members");
        let member = |number| Member::new(number, count, self.scenario.lanes);
        vec![World {
            members: members.map(member).collect(),
            boxes: BTreeMap::new(),
            entries: BTreeMap::new(),
            insiders_run: Run::Missing,
            insider_acts: 0,
            orphans: BTreeSet::new(),
            crashes: 0,
            looks: 0,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.actions_of_all(world, actions);
        self.mishaps(world, actions);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        let mutation = self.scenario.mutation;
        match &action {
            Action::Step(who) => self.step(&mut world, *who),
            Action::DecideAppend(who)
            | Action::DecideLook(who)
            | Action::DecideEntry(who)
            | Action::DecideRead(who, _) => Self::decide(&mut world, *who, &action)?,
            Action::Appended(who)
            | Action::Looked(who)
            | Action::EntryWritten(who)
            | Action::LaneRead(who, _) => self.answer(&mut world, *who, &action)?,
            Action::Take(who, lane) => {
                let value = world.next_box(*who, *lane)?;
                world.members[*who].take(*lane, value, mutation);
                world.members[*who].drain(mutation);
            }
            Action::Look(who) => {
                let called_for = world.has_entry(&world.members[*who]);
                world.looks += u8::from(!called_for);
                let confirms = world.members[*who].memory.as_ref()?.acknowledged;
                world.members[*who].look(confirms);
            }
            Action::Read(who, lane) => {
                world.looks += 1;
                world.members[*who].memory.as_mut()?.reads[*lane] = Some(Pending::Posted);
            }
            Action::Crash(who) => Self::crash(&mut world, *who),
            Action::CrashInSay(who) => self.crash_in_say(&mut world, *who),
            Action::CrashInTake(who, lane) => Self::crash_in_take(&mut world, *who, *lane)?,
            Action::Start(who) => {
                world.members[*who].start();
                world.members[*who].pump(mutation);
            }
            Action::DecideOrphan(orphan) => Self::orphan_decided(&mut world, orphan.clone()),
            Action::Insider => self.act_as_insider(&mut world),
        }
        if self.settles {
            world.settle(&self.steps);
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE_IN_ORDER, |model: &Self, world| model.once_in_order(world)),
            Property::always(NOTHING_LOST, |model: &Self, world| {
                !model.at_rest(world) || Self::nothing_lost(world)
            }),
            Property::always(ALL_TOLD, |model: &Self, world| {
                !model.at_rest(world) || Self::all_told(world)
            }),
            Property::always(ONE_ORDER, |_, world| Self::one_order(world)),
            Property::sometimes("epochs end", |model: &Self, world: &World| {
                let ends = |member: &Member| member.disk.history.len() >= model.scenario.ends;
                world.members.iter().any(ends)
            }),
            Property::sometimes("the world comes to rest", |model: &Self, world| {
                model.at_rest(world)
            }),
        ]
    }
}
