//! The SDK: one person's messenger as a handle with commands and events.
//!
//! ```text
//!        Client ── Command ──▶┐                      ┌──▶ Event ── Events
//!                             │   driver (one task)  │
//!   Store (SQLCipher) ◀───────┤  engine ⇄ transport  ├──────▶ Link to the gateway
//!                             └──────────────────────┘
//! ```
//!
//! The driver owns everything and does one thing at a time: it hands an input to the engine, commits
//! what the engine wants kept, and only then carries out the rest. What leaves the device therefore
//! always follows from what is on its disk. The link to the network is up for as long as the client
//! runs, whatever its owner does.
//!
//! ```no_run
//! # async fn run() -> Result<(), xchat_client::Error> {
//! use std::path::Path;
//! use xchat_client::{Client, Command, From, Passphrase, Wait};
//!
//! let client = Client::open(Path::new("alice"), &Passphrase::new("correct horse")).await?;
//! let mut events = client.events(From::Now).await?;
//! let send = Command::Send { contact: "Bob".into(), text: "hello".into(), wait: Wait::Stored,
//!     from_draft: None };
//! client.command(send, None).await?;
//! let _first = events.next().await;
//! client.stop().await;
//! # Ok(()) }
//! ```
//!
//! It does not listen anywhere: faces (the command line, the page) talk to it in-process or through the
//! program's daemon, which mirrors [`Command`] and [`Event`] one to one.

mod api;
mod client;
mod driver;
mod error;
mod events;
pub mod network;
mod profile;
mod store;

pub use api::{
    Alert, Command, Contact, Conversation, Crowd, DocumentStatus, Event, Face, Found, Invitation,
    InvitationState, Message, Notice, Numbered, Online, PaceChoice, PaceStatus, Queued, Response,
    Status, Trouble, Wait,
};
pub use client::Client;
pub use driver::ClockState;
pub use error::{Error, ErrorBody, ErrorKind};
pub use events::{Events, From};
pub use profile::{
    Cost, HeaderError, Hold, MAX_NAME_CHARS, NewProfile, Passphrase, Profile, ProfileError, files,
};
pub use store::{
    Entry, Hit, Seen, Snippet, Stamp, Store, StoreError, StoredMessage, Words, WordsError,
};
pub use xchat_engine::{
    ContactId, ConversationId, Direction, InvitationId, MAX_TEXT_LEN, MessageState,
};
pub use xchat_transport::Pace;
