//! Drawing routes.

use xchat_base::{Rng, random};

use crate::descriptor::{Descriptor, OperatorId};
use crate::document::Document;

/// Draws of three independent mixes before [`random_route`] gives up on luck and searches. With two
/// operators a layer in equal shares a draw fails three times in four; 32 failures in a row happen
/// once in ten thousand, and the search then finds what there is.
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

/// A store, uniformly among those of operators not in `avoid`: a collector.
pub fn random_store<'a>(
    rng: &mut Rng,
    doc: &'a Document,
    avoid: &[OperatorId],
) -> Option<&'a Descriptor> {
    let stores: Vec<_> = doc.stores().filter(|store| !avoid.contains(&store.operator)).collect();
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
