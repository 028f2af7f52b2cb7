//! Names inside packets.

use sphinx_packet::route::NodeAddressBytes;
use xchat_base::identifier;

identifier!(
    /// Names a node: the first 16 bytes of its identifier in the directory.
    NodeTag,
    16
);

identifier!(
    /// Names a client's session at its gateway, for one reply. Drawn at random by the client, and
    /// announced to the gateway before its first use; zeros mean "no client".
    ReplyTag,
    16
);

identifier!(
    /// Where a hop sends a packet next: node tag ‖ reply tag.
    HopAddress,
    32
);

identifier!(
    /// Names a reply block to its creator, or a delivery to its client. Never zeros.
    SurbId,
    16
);

identifier!(
    /// Names an anonymous session at a collector. Neither all zeros nor all ones, which mean
    /// "request" and "reply".
    CollectorSession,
    32
);

impl ReplyTag {
    /// No client: the packet is for the node itself.
    pub const NONE: Self = Self::from_bytes([0; 16]);
}

impl HopAddress {
    /// A node.
    pub fn node(tag: NodeTag) -> Self {
        Self::client(tag, ReplyTag::NONE)
    }

    /// A client behind its gateway.
    pub fn client(gateway: NodeTag, reply_tag: ReplyTag) -> Self {
        let mut bytes = [0u8; 32];
        bytes[..16].copy_from_slice(gateway.as_bytes());
        bytes[16..].copy_from_slice(reply_tag.as_bytes());
        Self::from_bytes(bytes)
    }

    /// The node that the packet is sent to: the hop itself, or the client's gateway.
    pub fn node_tag(&self) -> NodeTag {
        let mut tag = [0u8; 16];
        tag.copy_from_slice(&self.as_bytes()[..16]);
        NodeTag::from_bytes(tag)
    }

    /// Which client; `None` for a node.
    pub fn reply_tag(&self) -> Option<ReplyTag> {
        let mut tag = [0u8; 16];
        tag.copy_from_slice(&self.as_bytes()[16..]);
        let tag = ReplyTag::from_bytes(tag);
        (tag != ReplyTag::NONE).then_some(tag)
    }

    pub(crate) fn to_sphinx(self) -> NodeAddressBytes {
        NodeAddressBytes::from_bytes(*self.as_bytes())
    }

    pub(crate) fn from_sphinx(address: NodeAddressBytes) -> Self {
        Self::from_bytes(address.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_nodes_from_clients() {
        let node = NodeTag::from_bytes([7; 16]);
        let tag = ReplyTag::from_bytes([9; 16]);
        assert_eq!(HopAddress::node(node).node_tag(), node);
        assert_eq!(HopAddress::node(node).reply_tag(), None);
        assert_eq!(HopAddress::client(node, tag).node_tag(), node);
        assert_eq!(HopAddress::client(node, tag).reply_tag(), Some(tag));
        assert_eq!(
            HopAddress::from_sphinx(HopAddress::client(node, tag).to_sphinx()).reply_tag(),
            Some(tag)
        );
    }
}
