//! Transports on a whole network of the nodes' cores, on virtual time.

mod collecting;
mod documents;
pub(crate) mod fixture;
mod following;
mod liar;
mod network;
mod operations;
mod person;
mod refusals;
mod resumption;
mod stream;
mod trouble;
