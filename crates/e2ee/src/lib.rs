//! End-to-end encryption: how two people meet, the MLS group they then share, and how they verify it.
//!
//! ```text
//!   inviter                                                   accepter
//!   PendingMember ── key package ── Bundle ──(boxes)──▶ InvitationLink::check_bundle
//!        │                                                       │
//!   Group::join ◀── Welcome, hello ── Meeting ──(a run)── Group::create      both in epoch 1
//!        │                                                       │
//!   encrypt / decrypt ◀────────── PrivateMessage ──────────▶ encrypt / decrypt
//!   begin_update … merge_pending ──── commit (PublicMessage) ───▶ check_commit, apply_commit
//! ```
//!
//! A conversation is one MLS group (RFC 9420) in one suite, MLKEM768X25519 with AES-128-GCM, SHA-256
//! and Ed25519 (0x004F), with a signature key of its own. Nothing here does any I/O: a [`Group`] is
//! loaded from key/value pairs, every change leaves by [`Group::take_changes`], and randomness is an
//! argument. The formats are in `spec/04-conversation.md` and `spec/05-invitation.md`.
//!
//! What it does not do: lanes, epochs' ends, outboxes and retries (`xchat-engine`), and boxes
//! (`xchat-pigeonhole`).

pub mod group;
pub mod invitation;
mod provider;
pub mod safety_number;
mod signer;
mod storage;

pub use group::{CommitError, Group, GroupError, MESSAGE_OVERHEAD, MessageError, PendingMember};
pub use invitation::{AcceptEntry, Bundle, BundleError, InvitationLink, LinkError, Meeting};
pub use safety_number::SafetyNumber;
