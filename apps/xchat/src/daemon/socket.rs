//! The socket of a page.

#![allow(dead_code)] // Until the socket is served.

pub(super) mod frames;
