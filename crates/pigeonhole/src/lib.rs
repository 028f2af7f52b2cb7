//! Boxes, lanes and the write-once register: where a message lies, unlinkable to the next one.
//!
//! ```text
//!   Lane ──keys()──► BoxKeys ──seal()──► SealedBox ──Request──► Replica ──ReplicaMessage── Replica
//!    │ advance()        │ open()              │ verify()           │ BoxTable
//!    ▼                  ▼                     ▼                    ▼
//!   next secret       content             VerifiedBox       Stored / Exists / Found / Empty
//! ```
//!
//! A **box** is a write-once record of one size whose id is the Ed25519 key that verifies it. A
//! **lane** is a sequence of boxes derived from one secret by a one-way ratchet. A **run** is a
//! value too large for one box. The **register** makes a box linearizable over its three replicas.
//! The normative description is `spec/03-boxes.md`.
//!
//! ```
//! use xchat_pigeonhole::{BoxKeys, Lane};
//! use xchat_base::Secret;
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let mut writer = Lane::new(Secret::new([7; 32]));
//! let reader = Lane::new(Secret::new([7; 32]));
//! let sealed = writer.keys().seal(&mut rng, b"hello")?;
//! writer.advance();
//! assert_eq!(reader.keys().open(&sealed)?, b"hello");
//! assert_ne!(writer.keys().id(), reader.keys().id());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It does not know packets, routes or directories: what a reply block or a replica set is, the
//! callers decide.

pub mod answer;
pub mod boxes;
pub mod delivery;
pub mod lane;
pub mod outcome;
pub mod register;
pub mod request;
pub mod run;
pub mod ticket;

pub use answer::{AnswerKey, SignedAnswer, StoreId};
pub use boxes::{
    BOX_PLAINTEXT_LEN, BoxId, MAX_CONTENT_LEN, SEALED_BOX_LEN, SealedBox, VerifiedBox,
};
pub use delivery::DeliveryKey;
pub use lane::{BoxKeys, Lane};
pub use outcome::{ReadOutcome, WriteOutcome};
pub use request::{Answer, Op, Refusal, Request};
pub use run::{RunPointer, RunReader};
pub use ticket::{Dated, Handed, TICKET_LEN, Tell, Ticket, Told};
