//! What adversaries learn of who talks to whom, how often and when.
//!
//! ```text
//!   Traffic ──▶ System ──frames, insights──▶ Watch(lens of an adversary) ──samples──▶ attack ──▶ report
//!      └──▶ Plan: which pairs and people are looked at ─────┘
//! ```
//!
//! [`traffic`] is what people do, the same for every system. A [`systems::System`] lives through it and tells what
//! there is to see. Each [`adversary`] keeps what it can see of the pairs and people of a [`plan`]. The attacks learn
//! on some seeds and are judged on others.
//!
//! What it does not do: it measures the systems that implement [`systems::System`], and says in its report which these are.

pub mod adversary;
pub mod attack;
pub mod bounds;
pub mod campaign;
pub mod dice;
pub mod learn;
pub mod meter;
pub mod plan;
pub mod record;
pub mod report;
pub mod signals;
pub mod stats;
pub mod systems;
pub mod traffic;
