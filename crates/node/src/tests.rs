//! What the tests of all roles share, and the roles together on virtual time.

mod client;
pub(crate) mod fixture;
mod loops;
mod network;
mod parameters;
pub(crate) mod peeled;
mod together;
