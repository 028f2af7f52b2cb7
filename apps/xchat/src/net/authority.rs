//! The authorities of a local network: hop keys that follow one another, and documents about them.

use std::time::Duration;

use rand_core::OsRng;
use xchat_base::{Secret, Timestamp};
use xchat_server::RoleName;
use xchat_server::node::directory::{
    AuthoritySecret, Descriptor, Document, DocumentHash, HopKeyPeriod, NetworkFile, NetworkId,
    NetworkName, Parameters, Placement, PlacementEpoch, Role, Root,
};
use xchat_server::node::sphinx::{HopKey, HopSecret};

use super::broken;
use super::plan::{Plan, PlannedHopKey, PlannedNode, StoredSecret, THRESHOLD, damaged};
use crate::failure::{Failure, exit};

/// A new hop key starts this often and lives for two of these, so that neighbours overlap by one:
/// a reply block lives at most half of that, a standing read (two hours) well within it.
const SLOT: Duration = Duration::from_secs(12 * 3600);

/// A document is good for so long: a person whose device was off for a night can still go online.
const VALIDITY: Duration = Duration::from_secs(24 * 3600);

/// Well before half its validity a document is replaced.
pub(super) const RENEW_AFTER: Duration = Duration::from_secs(6 * 3600);

/// Clocks differ.
const SKEW: Duration = Duration::from_secs(300);

/// Gives every mix and store the keys of the slots around now: the one before while it lasts, this
/// one, and two to come. The keys that are over, for their files.
pub(super) fn roll_keys(plan: &mut Plan, now: Timestamp) -> Result<Vec<(usize, HopKey)>, Failure> {
    let slot = SLOT.as_secs();
    let current = now.as_secs() / slot;
    let mut over = Vec::new();
    for (index, node) in plan.nodes.iter_mut().enumerate() {
        if node.role == RoleName::Gateway {
            continue;
        }
        let (kept, ended): (Vec<_>, Vec<_>) =
            std::mem::take(&mut node.hop_keys).into_iter().partition(|key| key.until > now);
        node.hop_keys = kept;
        for key in ended {
            over.push((index, hop_secret(&key)?.public()));
        }
        for number in current.saturating_sub(1)..=current + 2 {
            let from = Timestamp::from_secs(number * slot);
            if node.hop_keys.iter().all(|key| key.from != from) {
                let secret = StoredSecret::new(&Secret::random(&mut OsRng));
                node.hop_keys.push(PlannedHopKey { secret, from, until: from + 2 * SLOT });
            }
        }
        node.hop_keys.sort_by_key(|key| key.from);
    }
    Ok(over)
}

pub(super) fn hop_secret(key: &PlannedHopKey) -> Result<HopSecret, Failure> {
    Ok(HopSecret::from_secret(&key.secret.read().ok_or_else(damaged)?))
}

/// The next document after `current`, or the first.
pub(super) fn sign(
    plan: &Plan,
    current: Option<&NetworkFile>,
    now: Timestamp,
) -> Result<NetworkFile, Failure> {
    let secrets = plan.authorities.iter().map(|secret| secret.read().ok_or_else(damaged));
    let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
    let secrets: Vec<_> = secrets.iter().map(AuthoritySecret::from_secret).collect();
    let document = document(plan, now)?;
    let refused = |error| Failure::from((exit::INTERNAL, "document", error)).hint("this is a bug");
    match current {
        Some(current) => current.next(document, &secrets).map_err(refused),
        None => {
            let name = NetworkName::new(&plan.name).map_err(|error| broken("the plan", &error))?;
            let keys = secrets.iter().map(AuthoritySecret::public).collect();
            let root =
                Root::new(name, keys, THRESHOLD).map_err(|error| broken("the plan", &error))?;
            NetworkFile::first(root, document, &secrets).map_err(refused)
        }
    }
}

fn document(plan: &Plan, now: Timestamp) -> Result<Document, Failure> {
    let mut descriptors = Vec::with_capacity(plan.nodes.len());
    let mut tokens = Vec::new();
    for node in &plan.nodes {
        let id = node.id()?;
        if let Some(store) = &node.store {
            tokens.push((id, store.token));
        }
        let hop_keys = node.hop_keys.iter().map(period).collect::<Result<_, _>>()?;
        descriptors.push(Descriptor {
            id,
            operator: node.operator,
            role: role(node)?,
            addresses: vec![node.address],
            hop_keys,
        });
    }
    let parameters = Parameters {
        mix_delay: Duration::from_millis(u64::from(plan.mix_delay_ms)),
        mix_delay_by_rule: plan.mix_delay_by_rule,
        pace_override: plan.pace,
        ..Parameters::default()
    };
    Ok(Document {
        // Filled in with the root, the epoch and the chain.
        network: NetworkId::from_bytes([0; NetworkId::LEN]),
        epoch: 1,
        previous: DocumentHash::from_bytes([0; DocumentHash::LEN]),
        valid_from: now - SKEW,
        valid_until: now + VALIDITY,
        placement: Placement {
            epoch: PlacementEpoch(plan.placement),
            tokens,
            past: plan.past.clone(),
        },
        descriptors,
        parameters,
    })
}

fn period(key: &PlannedHopKey) -> Result<HopKeyPeriod, Failure> {
    let public = hop_secret(key)?.public();
    Ok(HopKeyPeriod { key: *public.as_bytes(), from: key.from, until: key.until })
}

fn role(node: &PlannedNode) -> Result<Role, Failure> {
    match (node.role, node.layer, &node.store) {
        (RoleName::Gateway, ..) => Ok(Role::Gateway),
        (RoleName::Mix, Some(layer), _) => Ok(Role::Mix { layer }),
        (RoleName::Store, _, Some(store)) => {
            let incarnation = store.incarnation.ok_or_else(damaged)?;
            Ok(Role::Store { incarnation })
        }
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use xchat_server::node::directory::Incarnation;

    use super::*;
    use crate::net::UpArgs;

    fn plan() -> Plan {
        let args = UpArgs {
            dir: Path::new("/nowhere").to_owned(),
            gateways: Some(1),
            mixes_per_layer: Some(1),
            stores: Some(3),
            rate: None,
            until_stdin_closes: false,
            mix_delay: None,
            max_sessions: None,
            link_rate: None,
            bind_range: None,
            runner: None,
        };
        let mut plan = Plan::load_or_new(Path::new("/nowhere"), &args).expect("a plan");
        for store in plan.nodes.iter_mut().filter_map(|node| node.store.as_mut()) {
            store.incarnation = Some(Incarnation::from_bytes([1; 16]));
        }
        plan
    }

    #[test]
    fn documents_follow_one_another_for_a_week_of_renewals() {
        let mut plan = plan();
        let mut now = Timestamp::from_secs(1_800_000_000);
        roll_keys(&mut plan, now).expect("rolls");
        let mut file = sign(&plan, None, now).expect("signs");
        for _ in 0..28 {
            let before = file.verify(now).expect("valid");
            now = now + RENEW_AFTER;
            // A slot is as long as two renewals: each key's end is met.
            roll_keys(&mut plan, now).expect("rolls");
            file = sign(&plan, Some(&file), now).expect("signs");
            let after = file.verify(now).expect("valid");
            after.follows(&before).expect("the chain holds");
            assert!(after.descriptors.iter().all(|node| node.hop_keys.len() <= 4));
            assert!(file.verify(now + VALIDITY - Duration::from_secs(1)).is_ok());
        }
    }

    #[test]
    fn a_network_that_slept_for_a_month_wakes_with_fresh_keys() {
        let mut plan = plan();
        let now = Timestamp::from_secs(1_800_000_000);
        roll_keys(&mut plan, now).expect("rolls");
        let file = sign(&plan, None, now).expect("signs");
        let later = now + Duration::from_secs(30 * 24 * 3600);
        assert!(file.verify(later).is_err());
        let over = roll_keys(&mut plan, later).expect("rolls");
        assert_eq!(over.len(), 4 * (3 + 3));
        let next = sign(&plan, Some(&file), later).expect("signs");
        assert_eq!(next.verify(later).expect("valid").epoch, 2);
    }
}
