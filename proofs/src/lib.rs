//! Models that drive the production cores through every interleaving within small bounds.
//!
//! A model here is not a re-implementation: its state holds the production state machines, its
//! actions hand them inputs, and its properties look at what they answered. What is modelled is the
//! world around them: clients, a network that loses, reorders and duplicates, and crashes. The one
//! exception is [`group`], because groups of more than two are a rule on paper so far.
//!
//! | model | what is real | what is taken for granted |
//! |---|---|---|
//! | [`register`] | replicas, coordinator, tables | disks that keep what they synced |
//! | [`pair`] | conversations of two: outbox, lanes, commit lane, drain, stored forms | linearizable boxes (by `register`), MLS, honest drivers |
//! | [`group`] | nothing: the rule of epochs for two and three, shared lanes, removal | as above, and runs of boxes |
//!
//! Not covered by any of them: boxes that expire, several conversations in one engine, meeting, and
//! whether a transport hands over in time what it was asked for.

pub mod group;
pub mod pair;
pub mod register;
