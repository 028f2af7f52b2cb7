//! The hop keys of a node, each with the period that the document gives it.

use std::collections::BTreeMap;
use std::time::Duration;

use xchat_base::Timestamp;
use xchat_directory::Descriptor;
use xchat_directory::descriptor::MAX_HOP_KEYS;
use xchat_sphinx::{HopKey, HopSecret, ReplayTag};

use super::replay::{PrintKey, TagPrint};

/// Secrets a node keeps: those the document may list, and the next one that it does not list yet.
pub const MAX_HOP_SECRETS: usize = MAX_HOP_KEYS + 1;

/// A key opens packets for so long before and after its period: packets under way at its end, and
/// clocks that differ.
pub const KEY_GRACE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Period {
    from: Timestamp,
    until: Timestamp,
}

impl Period {
    fn accepts(&self, now: Timestamp) -> bool {
        self.from - KEY_GRACE <= now && now < self.end()
    }

    /// Without the grace: such a key is tried first.
    fn contains_strictly(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    fn end(&self) -> Timestamp {
        self.until + KEY_GRACE
    }
}

struct Key {
    secret: HopSecret,
    prints: PrintKey,
    /// `None` until a document lists it.
    period: Option<Period>,
}

/// Secrets by public key.
pub(super) struct HopKeys {
    keys: BTreeMap<HopKey, Key>,
}

impl HopKeys {
    pub(super) fn new(secrets: Vec<HopSecret>, own: &Descriptor) -> Self {
        let mut keys = Self { keys: BTreeMap::new() };
        for secret in secrets {
            keys.add(secret);
        }
        keys.follow(Some(own));
        keys
    }

    /// Whether there was room.
    pub(super) fn add(&mut self, secret: HopSecret) -> bool {
        if self.keys.len() >= MAX_HOP_SECRETS {
            return false;
        }
        let key = Key { prints: PrintKey::of(&secret), secret, period: None };
        self.keys.entry(key.secret.public()).or_insert(key);
        true
    }

    /// A key that is no longer listed keeps the period it had: packets for it may be under way.
    pub(super) fn follow(&mut self, own: Option<&Descriptor>) {
        for (public, key) in &mut self.keys {
            let listed = own.and_then(|own| {
                own.hop_keys.iter().find(|period| period.key == *public.as_bytes())
            });
            if let Some(listed) = listed {
                key.period = Some(Period { from: listed.from, until: listed.until });
            }
        }
    }

    /// The print of a packet that this key has opened; nothing, if it is not one of ours.
    pub(super) fn print(&self, key: &HopKey, tag: &ReplayTag) -> Option<TagPrint> {
        Some(self.keys.get(key)?.prints.print(tag))
    }

    pub(super) fn any_listed(&self) -> bool {
        self.keys.values().any(|key| key.period.is_some())
    }

    /// The keys that packets may have been made for, the latest first: most packets are for it.
    pub(super) fn current(&self, now: Timestamp) -> impl Iterator<Item = (HopKey, &HopSecret)> {
        let mut current: Vec<_> = self
            .keys
            .iter()
            .filter_map(|(public, key)| Some((key.period?, *public, &key.secret)))
            .filter(|(period, ..)| period.accepts(now))
            .collect();
        current.sort_unstable_by_key(|(period, public, _)| {
            std::cmp::Reverse((period.contains_strictly(now), period.from, *public))
        });
        current.into_iter().map(|(_, public, secret)| (public, secret))
    }

    /// Drops (and so wipes) the secrets whose time is over.
    pub(super) fn remove_ended(&mut self, now: Timestamp) -> Vec<HopKey> {
        let ended: Vec<_> = self
            .keys
            .iter()
            .filter(|(_, key)| key.period.is_some_and(|period| period.end() <= now))
            .map(|(public, _)| *public)
            .collect();
        for public in &ended {
            self.keys.remove(public);
        }
        ended
    }

    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.keys.values().filter_map(|key| Some(key.period?.end())).min()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use xchat_directory::{HopKeyPeriod, NodeId, OperatorId, Role};

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(100_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn secrets(count: usize) -> Vec<HopSecret> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        (0..count).map(|_| HopSecret::random(&mut rng)).collect()
    }

    fn descriptor(keys: &[(HopKey, Timestamp, Timestamp)]) -> Descriptor {
        Descriptor {
            id: NodeId::from_bytes([1; 32]),
            operator: OperatorId::from_bytes([1; 32]),
            role: Role::Mix { layer: 1 },
            addresses: Vec::new(),
            hop_keys: keys
                .iter()
                .map(|(key, from, until)| HopKeyPeriod {
                    key: *key.as_bytes(),
                    from: *from,
                    until: *until,
                })
                .collect(),
        }
    }

    #[test]
    fn keys_serve_their_periods_and_a_grace_and_are_then_erased() {
        let secrets = secrets(3);
        let [old, new, next] = [0, 1, 2].map(|i| secrets[i].public());
        let own = descriptor(&[(old, T0, T0 + 2 * HOUR), (new, T0 + HOUR, T0 + 3 * HOUR)]);
        let mut keys = HopKeys::new(secrets, &own);
        let at = |keys: &HopKeys, now| keys.current(now).map(|(key, _)| key).collect::<Vec<_>>();

        assert_eq!(at(&keys, T0), [old]);
        assert_eq!(at(&keys, T0 + HOUR - KEY_GRACE), [old, new], "the valid one first");
        assert_eq!(at(&keys, T0 + HOUR), [new, old], "the latest first");
        assert_eq!(at(&keys, T0 + 2 * HOUR), [new, old], "the grace");
        assert_eq!(keys.next_end(), Some(T0 + 2 * HOUR + KEY_GRACE));
        assert!(keys.remove_ended(T0 + 2 * HOUR).is_empty());
        assert_eq!(keys.remove_ended(T0 + 2 * HOUR + KEY_GRACE), [old]);

        keys.follow(Some(&descriptor(&[(next, T0 + 2 * HOUR, T0 + 4 * HOUR)])));
        let now = T0 + 2 * HOUR + KEY_GRACE;
        assert_eq!(at(&keys, now), [next, new], "a key no longer listed keeps its period");
    }

    #[test]
    fn secrets_are_bounded() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut keys = HopKeys::new(secrets(MAX_HOP_SECRETS + 1), &descriptor(&[]));
        assert_eq!(keys.keys.len(), MAX_HOP_SECRETS);
        assert!(!keys.add(HopSecret::random(&mut rng)));
        assert!(!keys.any_listed());
    }
}
