//! A small campaign against the production cores, with seeds of its own: it keeps its bounds, and each part of the design that
//! can be taken away from what ships must be found missing.
//!
//! Two parts cannot be taken away from the cores, because there is no code for a client without cover, nor for a store that delivers
//! to a client instead of its collector. These are taken away from the idealised model (`mutations.rs`).

use xchat_leakage::adversary::{Beside, Collectors, EveryLink, Lens as _, WithStores, store};
use xchat_leakage::bounds::{CORES, broken};
use xchat_leakage::campaign::{Attack, Extent, Figure, Findings, measure};
use xchat_leakage::stats::Interval;
use xchat_leakage::systems::{System, Xchat};
use xchat_simnet::DecoyLanes;

fn findings(change: impl FnOnce(&mut Xchat), seeds: u64) -> Findings {
    let mut system = Xchat::default();
    change(&mut system);
    let found = measure(&system, Extent::small(seeds), None, &mut |_| {})
        .expect("nothing is kept")
        .findings;
    for line in &found.lines {
        println!("{}, {:?}: {:?}", line.adversary, line.attack, line.figure);
    }
    found
}

/// What an attack gave, and of how many samples.
fn figure(found: &Findings, adversary: &str, attack: Attack) -> (Interval, usize) {
    let wanted = |line: &&xchat_leakage::campaign::Finding| {
        line.adversary == adversary && line.attack == attack
    };
    match found.lines.iter().find(wanted).map(|line| &line.figure) {
        Some(Figure::Auc(interval, samples) | Figure::Correlation(interval, samples)) => {
            (*interval, *samples)
        }
        other => unreachable!("{adversary}, {attack:?}: {other:?}"),
    }
}

/// All of the interval is beyond the bound that what ships keeps with all of its own.
fn assert_noticed(found: &Findings, adversary: &str, attack: Attack, bound: Option<f64>) {
    let (interval, _) = figure(found, adversary, attack);
    assert!(bound.is_some_and(|bound| interval.low > bound), "{interval:?}");
}

#[test]
fn what_ships_keeps_every_bound() {
    let whole = findings(|_| {}, 32);
    let faults = broken(Xchat::default().expectation(), &whole, CORES);
    assert_eq!(faults, Vec::<String>::new());
    // And there was something to be found, for whoever stands where it can be seen.
    let (told, _) = figure(&whole, Collectors::default().name(), Attack::Pairs(1));
    assert!(told.low > 0.8, "{told:?}");
    let (_, hours) = figure(&whole, EveryLink::default().name(), Attack::Volume);
    let (_, boxes) = figure(&whole, store::NAME, Attack::Decoys);
    assert!(hours >= 80 && boxes >= 400, "{hours} hours, {boxes} boxes");
}

#[test]
fn mixes_without_delay_are_noticed() {
    let found = findings(|cores| cores.mix_delay_ms = Some(0), 4);
    let adversary = WithStores::new(Beside::EveryLink);
    assert_noticed(&found, adversary.name(), Attack::Pairs(1), CORES.with_stores);
}

#[test]
fn decoys_off_is_noticed() {
    let found = findings(|cores| cores.decoys = DecoyLanes::None, 1);
    // Every box is somebody's then, if there are boxes.
    assert!(figure(&found, store::NAME, Attack::Chaining).1 >= 100);
    assert_noticed(&found, store::NAME, Attack::Decoys, CORES.decoys);
}

#[test]
fn decoys_without_a_rhythm_are_noticed() {
    let found = findings(|cores| cores.decoys = DecoyLanes::Poisson, 8);
    assert_noticed(&found, store::NAME, Attack::Decoys, CORES.decoys);
}

#[test]
fn links_without_padding_are_noticed() {
    let found = findings(|cores| cores.link_padding = false, 4);
    assert_noticed(&found, EveryLink::default().name(), Attack::Activity, CORES.activity);
}
