//! Drawing routes.

use xchat_base::{Rng, random};

use crate::descriptor::{Descriptor, NodeId, OperatorId};
use crate::document::Document;

/// Draws of three independent mixes before [`random_route`] gives up on luck and searches. With three
/// operators, each in every layer, two draws of nine succeed: 32 failures in a row happen three times
/// in ten thousand, and the search then finds what there is.
const DRAWS: usize = 32;

/// One mix of each layer, uniformly among the routes whose operators are distinct and none of
/// `avoid` (those of the gateway and the store at its ends). `None` when there is no such route.
pub fn random_route<'a>(
    rng: &mut Rng,
    doc: &'a Document,
    avoid: &[OperatorId],
) -> Option<[&'a Descriptor; 3]> {
    let layers = [1, 2, 3].map(|layer| {
        doc.mixes(layer).filter(|mix| !avoid.contains(&mix.operator)).collect::<Vec<_>>()
    });
    if layers.iter().any(Vec::is_empty) {
        return None;
    }
    for _ in 0..DRAWS {
        let route = layers.each_ref().map(|layer| layer[random::index(rng, layer.len())]);
        if distinct(&route) {
            return Some(route);
        }
    }
    search(rng, &layers)
}

/// A store, uniformly among those that are not in `but` and of operators not in `avoid`: a collector.
pub fn random_store<'a>(
    rng: &mut Rng,
    doc: &'a Document,
    avoid: &[OperatorId],
    but: &[NodeId],
) -> Option<&'a Descriptor> {
    let may = |store: &&Descriptor| !avoid.contains(&store.operator) && !but.contains(&store.id);
    let stores: Vec<_> = doc.stores().filter(may).collect();
    stores.get(random::index(rng, stores.len())).copied()
}

fn distinct(route: &[&Descriptor; 3]) -> bool {
    let [a, b, c] = route.map(|mix| mix.operator);
    a != b && b != c && a != c
}

/// The first valid route from a random starting point: not uniform, but it ends.
fn search<'a>(rng: &mut Rng, layers: &[Vec<&'a Descriptor>; 3]) -> Option<[&'a Descriptor; 3]> {
    let starts = layers.each_ref().map(|layer| random::index(rng, layer.len()));
    let rotated = |i: usize| layers[i].iter().cycle().skip(starts[i]).take(layers[i].len());
    for first in rotated(0) {
        for second in rotated(1).filter(|mix| mix.operator != first.operator) {
            for third in rotated(2) {
                if distinct(&[first, second, third]) {
                    return Some([first, second, third]);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::fixture::{Network, operator, rng};

    /// A network whose mixes have the operators given, layer by layer.
    fn with_operators(layers: [&[u8]; 3]) -> Document {
        let mut doc = Network::new().document;
        doc.descriptors.retain(|d| !(1..=3).any(|layer| d.is_mix_of(layer)));
        for (layer, operators) in (1..).zip(layers) {
            for (i, own) in (0..).zip(operators) {
                let mut mix = crate::fixture::mix(layer, 10 * layer + i);
                mix.operator = operator(*own);
                doc.descriptors.push(mix);
            }
        }
        doc
    }

    #[test]
    fn a_route_takes_one_mix_of_each_layer_and_each_operator_once() {
        let doc = with_operators([&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]]);
        let rng = &mut rng(1);
        let mut seen: BTreeMap<_, u32> = BTreeMap::new();
        for _ in 0..6_000 {
            let route = random_route(rng, &doc, &[]).expect("there is one");
            assert!(route.iter().zip(1..).all(|(mix, layer)| mix.is_mix_of(layer)));
            let operators: BTreeSet<_> = route.iter().map(|mix| mix.operator).collect();
            assert_eq!(operators.len(), 3);
            *seen.entry(route.map(|mix| mix.id)).or_default() += 1;
        }
        assert_eq!(seen.len(), 6, "every order of three operators comes up");
        // 1,000 expected with a standard deviation of 29.
        assert!(seen.values().all(|n| (850..1_150).contains(n)), "{seen:?}");
    }

    #[test]
    fn avoided_operators_are_avoided() {
        let doc = with_operators([&[1, 4], &[2, 4], &[3, 5]]);
        let rng = &mut rng(2);
        for _ in 0..100 {
            let route = random_route(rng, &doc, &[operator(4), operator(5)]).expect("there is one");
            assert_eq!(route.map(|mix| mix.operator), [1, 2, 3].map(operator));
        }
        assert_eq!(random_route(rng, &doc, &[operator(1), operator(4)]), None);
    }

    #[test]
    fn the_only_route_is_found_and_an_impossible_one_is_not() {
        let mut many = [1u8; 80];
        many[79] = 2;
        let doc = with_operators([&many, &[1], &[3]]);
        let rng = &mut rng(3);
        for _ in 0..50 {
            let route = random_route(rng, &doc, &[]).expect("there is one");
            assert_eq!(route.map(|mix| mix.operator), [2, 1, 3].map(operator));
        }
        let doc = with_operators([&[1, 2], &[1, 2], &[1, 2]]);
        assert_eq!(random_route(rng, &doc, &[]), None);
    }

    #[test]
    fn a_collector_is_any_store_of_another_operator() {
        let doc = Network::new().document;
        let rng = &mut rng(4);
        let all: Vec<_> = doc.stores().map(|store| store.operator).collect();
        let (avoided, rest) = all.split_at(2);
        let drawn: BTreeSet<_> = (0..200)
            .map(|_| random_store(rng, &doc, avoided, &[]).expect("there is one").operator)
            .collect();
        assert_eq!(drawn, rest.iter().copied().collect());
        assert_eq!(random_store(rng, &doc, &all, &[]), None);
    }
}
