//! A small campaign with seeds of its own: the attacks find what is there, nothing where nothing is, and every part of
//! the design missing where it was taken away.

use xchat_leakage::bounds::{QUICK, broken};
use xchat_leakage::campaign::{Extent, Findings, measure};
use xchat_leakage::systems::{Decoys, Direct, Ideal, Nym, System, ThreeHop, TwoHop};

fn findings(system: &dyn System) -> Findings {
    measure(system, Extent::quick(6), &mut |_| {}).findings
}

fn faults(system: &dyn System) -> Vec<String> {
    broken(system.expectation(), &findings(system), QUICK)
}

/// Bounds that are passed when a part of the design is missing.
fn faults_of(change: impl FnOnce(&mut Ideal)) -> Vec<String> {
    let mut design = Ideal::default();
    change(&mut design);
    faults(&design)
}

#[test]
fn the_baselines_that_hide_nothing_are_seen_through() {
    assert_eq!(faults(&Direct), Vec::<String>::new());
    assert_eq!(faults(&TwoHop), Vec::<String>::new());
}

#[test]
fn the_design_as_it_is_meant_keeps_every_bound() {
    assert_eq!(faults_of(|_| {}), Vec::<String>::new());
}

#[test]
fn cover_off_is_noticed() {
    let faults = faults_of(|design| design.cover = false);
    assert!(faults.iter().any(|fault| fault.contains("gateway, Pairs")), "{faults:?}");
}

#[test]
fn delivery_straight_to_the_client_is_noticed() {
    let faults = faults_of(|design| design.collector = false);
    assert!(faults.iter().any(|fault| fault.contains(" gateway, Volume")), "{faults:?}");
}

#[test]
fn mixes_without_delay_are_noticed() {
    let faults = faults_of(|design| design.mix_delay = Some(0.0));
    assert!(faults.iter().any(|fault| fault.contains("and stores, Pairs")), "{faults:?}");
}

#[test]
fn decoys_off_is_noticed() {
    let faults = faults_of(|design| design.decoys = Decoys::None);
    assert!(faults.iter().any(|fault| fault.contains("stores, Decoys")), "{faults:?}");
}

#[test]
fn decoys_without_a_rhythm_are_noticed() {
    let faults = faults_of(|design| design.decoys = Decoys::Poisson);
    assert!(faults.iter().any(|fault| fault.contains("stores, Decoys")), "{faults:?}");
}

#[test]
fn links_without_padding_are_noticed() {
    let faults = faults_of(|design| design.link_padding = false);
    assert!(faults.iter().any(|fault| fault.contains("Activity")), "{faults:?}");
}

#[test]
fn systems_that_hide_a_little_are_measured_too() {
    for system in [&ThreeHop as &dyn System, &Nym] {
        let findings = findings(system);
        assert!(findings.lines.len() >= 4, "{findings:?}");
        assert!(findings.cost.bytes_a_month > 0.0 && findings.cost.latency.0 > 0.0);
    }
}
