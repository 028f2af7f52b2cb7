//! Our invitations, as they stand in JSON.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_engine::{InvitationFailure, InvitationId, OpenInvitation};

/// An invitation of ours that has not ended.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Invitation {
    /// Which, on this device.
    #[ts(type = "InvitationId")]
    pub invitation: InvitationId,
    /// Ready to be handed over; `null` while it is being made.
    pub link: Option<String>,
    /// When it was made, Unix milliseconds.
    pub made_at: u64,
    /// When it ends by itself, Unix milliseconds.
    pub expires_at: u64,
}

/// Whoever has the link can accept it: it is not shown.
impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitation").field("invitation", &self.invitation).finish_non_exhaustive()
    }
}

impl From<OpenInvitation> for Invitation {
    fn from(open: OpenInvitation) -> Self {
        let OpenInvitation { invitation, link, made_at, expires_at } = open;
        let (made_at, expires_at) = (made_at.as_millis(), expires_at.as_millis());
        Self { invitation, link, made_at, expires_at }
    }
}

/// Where an invitation of ours stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InvitationState {
    /// It is on its way into the network.
    Making,
    /// Whoever has the link can accept it.
    Open,
    /// It is being closed; somebody may be faster.
    Closing,
    /// Somebody has accepted it: a contact comes, or the failure.
    Accepted,
    /// Nobody accepted it in time.
    Expired,
    /// It was taken back.
    Withdrawn,
    /// Somebody who has the link wrote something that is no acceptance.
    Spoiled,
}

impl From<xchat_engine::InvitationState> for InvitationState {
    fn from(state: xchat_engine::InvitationState) -> Self {
        use xchat_engine::InvitationState as Engine;
        match state {
            Engine::Making => Self::Making,
            Engine::Open => Self::Open,
            Engine::Closing => Self::Closing,
            Engine::Accepted => Self::Accepted,
            Engine::Failed(InvitationFailure::Expired) => Self::Expired,
            Engine::Failed(InvitationFailure::Withdrawn) => Self::Withdrawn,
            // So does what a later engine has other words for: it is of no use any more.
            _ => Self::Spoiled,
        }
    }
}

impl InvitationState {
    /// As written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Accepted => "accepted",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Spoiled => "spoiled",
        }
    }
}
