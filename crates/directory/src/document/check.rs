//! The rules a document keeps whoever signed it.

use std::collections::BTreeSet;

use xchat_base::Timestamp;

use super::{Document, MAX_NODES};
use crate::descriptor::{Descriptor, HopKeyPeriod, LAYERS, MAX_ADDRESSES, MAX_HOP_KEYS, Role};
use crate::error::Invalid;
use crate::placement::{MAX_PAST, REPLICAS};

pub(super) fn check(doc: &Document) -> Result<(), Invalid> {
    if doc.valid_from >= doc.valid_until {
        return Err(Invalid::Validity);
    }
    if doc.epoch == 0 {
        return Err(Invalid::Epoch);
    }
    if doc.descriptors.len() > MAX_NODES {
        return Err(Invalid::TooManyNodes { got: doc.descriptors.len() });
    }
    doc.parameters.check()?;
    for node in &doc.descriptors {
        check_node(node, doc)?;
    }
    check_identities(doc)?;
    check_population(doc)?;
    check_tokens(doc)?;
    check_past(doc)
}

/// What was has at most as many stores as what is: the bound on nodes holds for each placement.
fn check_past(doc: &Document) -> Result<(), Invalid> {
    let placement = &doc.placement;
    let views = placement.views(doc);
    let possible = placement.past.len() <= MAX_PAST
        && views.len() == placement.past.len() + 1
        && views.iter().all(|view| view.stores.len() <= MAX_NODES);
    if possible { Ok(()) } else { Err(Invalid::Past) }
}

fn check_node(node: &Descriptor, doc: &Document) -> Result<(), Invalid> {
    let id = node.id;
    if node.addresses.is_empty() || node.addresses.len() > MAX_ADDRESSES {
        return Err(Invalid::Addresses { id });
    }
    match node.role {
        Role::Mix { layer } if layer == 0 || layer > LAYERS => {
            return Err(Invalid::Layer { id, layer });
        }
        Role::Gateway if node.hop_keys.is_empty() => return Ok(()),
        Role::Gateway => return Err(Invalid::HopKeys { id }),
        Role::Mix { .. } | Role::Store { .. } => {}
    }
    let well_formed = node.hop_keys.len() <= MAX_HOP_KEYS
        && node.hop_keys.iter().all(|period| period.from < period.until)
        && covers(&node.hop_keys, doc.valid_from, doc.valid_until);
    if well_formed { Ok(()) } else { Err(Invalid::HopKeys { id }) }
}

/// Whether at every moment from `from` to `until` some period is valid: then nobody who holds a
/// valid document ever lacks a key.
fn covers(periods: &[HopKeyPeriod], from: Timestamp, until: Timestamp) -> bool {
    let mut sorted: Vec<_> = periods.iter().collect();
    sorted.sort_unstable_by_key(|period| period.from);
    let mut covered = from;
    for period in sorted {
        if period.from > covered {
            return false;
        }
        covered = covered.max(period.until);
    }
    covered >= until
}

fn check_identities(doc: &Document) -> Result<(), Invalid> {
    // Distinct tags imply distinct ids; a tag is what a packet's header can name.
    let mut tags = BTreeSet::new();
    for node in &doc.descriptors {
        if node.tag() == [0; 16] || !tags.insert(node.tag()) {
            return Err(Invalid::DuplicateTag { id: node.id });
        }
    }
    let mut keys = BTreeSet::new();
    for node in &doc.descriptors {
        let own: BTreeSet<_> = node.hop_keys.iter().map(|period| period.key).collect();
        if own.iter().any(|key| !keys.insert(*key)) {
            return Err(Invalid::HopKeys { id: node.id });
        }
    }
    Ok(())
}

fn check_population(doc: &Document) -> Result<(), Invalid> {
    if doc.gateways().next().is_none() {
        return Err(Invalid::NoGateway);
    }
    if let Some(layer) = (1..=LAYERS).find(|layer| doc.mixes(*layer).next().is_none()) {
        return Err(Invalid::EmptyLayer { layer });
    }
    let operators: BTreeSet<_> = doc.stores().map(|store| store.operator).collect();
    if operators.len() < REPLICAS {
        return Err(Invalid::TooFewStores { operators: operators.len() });
    }
    Ok(())
}

fn check_tokens(doc: &Document) -> Result<(), Invalid> {
    let stores: BTreeSet<_> = doc.stores().map(|store| store.id).collect();
    let placed: BTreeSet<_> = doc.placement.tokens.iter().map(|(id, _)| *id).collect();
    let tokens: BTreeSet<_> = doc.placement.tokens.iter().map(|(_, token)| *token).collect();
    let count = doc.placement.tokens.len();
    if stores != placed || placed.len() != count || tokens.len() != count {
        return Err(Invalid::Tokens);
    }
    Ok(())
}
