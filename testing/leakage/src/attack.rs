//! The attacks: what is computed of what an adversary has kept.

pub mod activity;
pub mod chain;
pub mod disclosure;
pub mod entropy;
pub mod ledger;
pub mod pair_features;
pub mod person_features;
pub mod presence;
pub mod probes;
pub mod thief;
pub mod trace;
