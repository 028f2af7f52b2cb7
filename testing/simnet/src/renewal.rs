//! Documents and hop keys that follow one another, as the authorities of a network renew them.

use std::collections::BTreeMap;
use std::time::Duration;

use xchat_base::Timestamp;
use xchat_base::random::Rng;
use xchat_directory::{
    AuthoritySecret, Document, HopKeyPeriod, NetworkFile, NodeId, Role, VerifiedDocument,
};
use xchat_sphinx::HopSecret;

/// How often hop keys and documents follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// A new hop key of each node begins at each multiple of this time, and is good for two of them: neighbours overlap by one.
    pub hop_keys_every: Duration,
}

impl Renewal {
    /// As often as `xchat net up` renews them.
    pub const SHIPPED: Self = Self { hop_keys_every: Duration::from_secs(12 * 3600) };

    /// A hop key is good for so long.
    const fn hop_keys_for(self) -> Duration {
        self.hop_keys_every.saturating_mul(2)
    }

    /// A document is good for so long.
    pub(crate) const fn valid_for(self) -> Duration {
        self.hop_keys_every.saturating_mul(2)
    }

    /// It is replaced after a quarter of that.
    pub(crate) fn document_every(self) -> Duration {
        self.hop_keys_every / 2
    }

    /// Adds the keys that a document of this moment is to list, of the slot before this one to the second one to come; gives
    /// the secrets of those that are new.
    pub(crate) fn roll(
        self,
        keys: &mut Vec<HopKeyPeriod>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<HopSecret> {
        keys.retain(|key| key.until > now);
        let slot = self.hop_keys_every.as_secs();
        let current = now.as_secs() / slot;
        let mut secrets = Vec::new();
        for number in current - 1..=current + 2 {
            let from = Timestamp::from_secs(number * slot);
            if keys.iter().all(|key| key.from != from) {
                let secret = HopSecret::random(rng);
                let (key, until) = (*secret.public().as_bytes(), from + self.hop_keys_for());
                keys.push(HopKeyPeriod { key, from, until });
                secrets.push(secret);
            }
        }
        secrets
    }
}

/// Who sign the documents of a network whose keys are renewed.
pub(crate) struct Authorities {
    pub(crate) renewal: Renewal,
    pub(crate) secrets: Vec<AuthoritySecret>,
    pub(crate) file: NetworkFile,
}

impl Authorities {
    /// The document that follows this one, and the secrets of the keys that are new in it.
    pub(crate) fn renew(
        &mut self,
        current: &VerifiedDocument,
        now: Timestamp,
        rng: &mut Rng,
    ) -> (VerifiedDocument, BTreeMap<NodeId, Vec<HopSecret>>) {
        let mut document = Document::clone(current);
        document.valid_from = now - SKEW;
        document.valid_until = now + self.renewal.valid_for();
        let mut secrets = BTreeMap::new();
        for node in document.descriptors.iter_mut().filter(|node| node.role != Role::Gateway) {
            secrets.insert(node.id, self.renewal.roll(&mut node.hop_keys, now, rng));
        }
        self.file = self.file.next(document, &self.secrets).expect("it follows the one before");
        (self.file.verify(now).expect("just signed"), secrets)
    }
}

/// Clocks differ.
pub(crate) const SKEW: Duration = Duration::from_secs(60);
