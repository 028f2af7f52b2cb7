//! Models that drive the production cores through every interleaving within small bounds.
//!
//! A model here is not a re-implementation: its state holds the production state machines, its
//! actions hand them inputs, and its properties look at what they answered. What is modelled is the
//! world around them: clients, a network that loses, reorders and duplicates, and crashes.

pub mod register;
