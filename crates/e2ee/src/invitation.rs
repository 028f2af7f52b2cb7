//! Invitations: the link, and what lies in the boxes that it leads to (spec/05).

mod link;
mod meeting;

pub use link::{InvitationLink, LINK_VERSION, LinkError, MAX_NETWORK_NAME_LEN};
pub use meeting::{
    AcceptEntry, Bundle, BundleError, MAX_HELLO_LEN, MAX_KEY_PACKAGE_LEN, MAX_NAME_CHARS,
    MAX_WELCOME_LEN, Meeting, RUN_POINTER_LEN,
};
