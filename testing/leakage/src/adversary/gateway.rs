//! The gateway.

use super::Lens;

/// See [`Lens::sees`].
#[derive(Debug, Default)]
pub struct Gateway;

impl Lens for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn sees(&self) -> &'static str {
        "Every frame of its clients, and the node that each one goes to or comes from. At its worst: the two people of \
         a pair are always clients of one and the same operator's gateways. In a baseline it is the server or the relays \
         that clients are connected to. It sees no other link and runs no other node."
    }
}
