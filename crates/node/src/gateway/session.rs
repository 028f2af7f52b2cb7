//! A client's session at its gateway.

/// The driver's number for a client's connection. It means nothing outside the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

impl SessionId {
    /// A number that this process has not used before.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connected; the next frame is a Hello.
    Opened,
    /// It may send packets.
    Welcomed,
}
