//! `Debug` for the types of the door that hold secrets, texts or people: it says what kind of thing
//! it is, and nothing of what is in it. A log line or a panic message may print any of them.

use core::fmt::{Debug, Formatter, Result};

use crate::api::{Change, Command, Contact, Content, OpenInvitation, Response};

impl Debug for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Invite => "Invite",
            Self::Invitations => "Invitations",
            Self::Withdraw { .. } => "Withdraw",
            Self::Accept { .. } => "Accept",
            Self::Send { .. } => "Send",
            Self::Contacts => "Contacts",
            Self::SafetyNumber { .. } => "SafetyNumber",
            Self::SetVerified { .. } => "SetVerified",
        })
    }
}

impl Debug for Response {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Link(_) => f.write_str("Link"),
            Self::Invitations(open) => write!(f, "Invitations({})", open.len()),
            Self::Contact(contact) => contact.fmt(f),
            Self::Message { id, state } => write!(f, "Message({id}, {})", state.as_str()),
            Self::Contacts(contacts) => write!(f, "Contacts({})", contacts.len()),
            Self::SafetyNumber { .. } => f.write_str("SafetyNumber"),
            Self::Ok => f.write_str("Ok"),
        }
    }
}

impl Debug for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Put { value, .. } => write!(f, "Put({} bytes)", value.len()),
            Self::Delete { .. } => f.write_str("Delete"),
            Self::DeletePrefix { .. } => f.write_str("DeletePrefix"),
            Self::Message(row) => write!(f, "Message({})", row.id),
            Self::MessageState { id, state } => {
                write!(f, "MessageState({id}, {})", state.as_str())
            }
            Self::MessageNumber { id, number } => write!(f, "MessageNumber({id}, {number})"),
        }
    }
}

impl Debug for Content {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Notice(notice) => notice.fmt(f),
            Self::Unknown { kind, body } => write!(f, "Unknown({kind}, {} bytes)", body.len()),
        }
    }
}

impl Debug for OpenInvitation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("OpenInvitation")
    }
}

impl Debug for Contact {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("Contact")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xchat_base::Timestamp;

    use crate::api::{ContactId, ConversationId, Event, InvitationId};

    #[test]
    fn nothing_that_was_said_or_is_secret_is_printed() {
        let conversation = ConversationId::from_bytes([1; 16]);
        let contact = Contact {
            contact: ContactId::from_bytes([2; 8]),
            name: "planted".into(),
            conversation,
            verified: false,
            rejoined: false,
            rejoining: false,
        };
        let open = OpenInvitation {
            invitation: InvitationId::from_bytes([3; 16]),
            link: Some("planted".into()),
            made_at: Timestamp::ZERO,
            expires_at: Timestamp::ZERO,
        };
        let printed = [
            format!("{:?}", Command::Accept { link: "planted".into() }),
            format!("{:?}", Command::Send { conversation, text: "planted".into() }),
            format!("{:?}", Response::Link("planted".into())),
            format!("{:?}", Response::Invitations(vec![open.clone()])),
            format!("{open:?}"),
            format!("{:?}", Response::SafetyNumber { digits: "planted".into() }),
            format!("{:?}", Response::Contacts(vec![contact.clone()])),
            format!("{:?}", Change::Put { key: b"planted".to_vec(), value: b"planted".to_vec() }),
            format!("{:?}", Content::Text("planted".into())),
            format!("{:?}", Event::Contact(contact)),
        ];
        for text in printed {
            assert!(!text.contains("planted") && !text.contains("112, 108"), "{text}");
        }
    }
}
