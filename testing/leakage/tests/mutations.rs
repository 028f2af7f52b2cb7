//! A small campaign with seeds of its own: the attacks find what is there, nothing where nothing is, and every part of
//! the design missing where it was taken away.

use xchat_leakage::adversary::store;
use xchat_leakage::bounds::{QUICK, broken};
use xchat_leakage::campaign::{Attack, Extent, Figure, Finding, Findings, measure};
use xchat_leakage::systems::{Decoys, Direct, Ideal, Nym, System, ThreeHop, TwoHop};

/// Enough to tell pairs and boxes apart.
const FEW: u64 = 6;

/// Enough for the bound on volumes: with few the interval of a design that hides them is as wide as the bound.
const MANY: u64 = 16;

fn findings(system: &dyn System, seeds: u64) -> Findings {
    measure(system, Extent::quick(seeds), None, &mut |_| {}).expect("nothing is kept").findings
}

fn faults(system: &dyn System, seeds: u64) -> Vec<String> {
    let faults = broken(system.expectation(), &findings(system, seeds), QUICK);
    assert!(!faults.iter().any(|fault| fault.contains("too little")), "{faults:?}");
    faults
}

/// Bounds that are passed when a part of the design is missing.
fn faults_of(seeds: u64, change: impl FnOnce(&mut Ideal)) -> Vec<String> {
    let mut design = Ideal::default();
    change(&mut design);
    faults(&design, seeds)
}

#[test]
fn the_baselines_that_hide_nothing_are_seen_through() {
    assert_eq!(faults(&Direct, FEW), Vec::<String>::new());
    assert_eq!(faults(&TwoHop, FEW), Vec::<String>::new());
}

#[test]
fn the_design_as_it_is_meant_keeps_every_bound() {
    assert_eq!(faults_of(MANY, |_| {}), Vec::<String>::new());
}

#[test]
fn cover_off_is_noticed() {
    let faults = faults_of(FEW, |design| design.cover = false);
    assert!(faults.iter().any(|fault| fault.contains("gateway, who talks to whom")), "{faults:?}");
}

#[test]
fn delivery_straight_to_the_client_is_noticed() {
    let faults = faults_of(MANY, |design| design.collector = false);
    assert!(faults.iter().any(|fault| fault.contains(" gateway, how much, 1 h")), "{faults:?}");
}

#[test]
fn mixes_without_delay_are_noticed() {
    let faults = faults_of(FEW, |design| design.mix_delay = Some(0.0));
    assert!(
        faults.iter().any(|fault| fault.contains("and stores, who talks to whom")),
        "{faults:?}"
    );
}

#[test]
fn decoys_off_is_noticed() {
    let faults = faults_of(FEW, |design| design.decoys = Decoys::None);
    assert!(
        faults.iter().any(|fault| fault.contains("stores, which boxes are real")),
        "{faults:?}"
    );
}

#[test]
fn decoys_without_a_rhythm_are_noticed() {
    let design = Ideal { decoys: Decoys::Poisson, ..Ideal::default() };
    let found = findings(&design, FEW);
    let is_it = |line: &&Finding| line.adversary == store::NAME && line.attack == Attack::Decoys;
    // All of the interval: of few seeds that of the design as it is meant is wide too.
    match found.lines.iter().find(is_it).map(|line| &line.figure) {
        Some(Figure::Auc(auc, _)) => {
            assert!(QUICK.decoys.is_some_and(|bound| auc.low > bound), "{auc:?}");
        }
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn links_without_padding_are_noticed() {
    let faults = faults_of(FEW, |design| design.link_padding = false);
    assert!(faults.iter().any(|fault| fault.contains("how much all say")), "{faults:?}");
}

#[test]
fn systems_that_hide_a_little_are_measured_too() {
    for system in [&ThreeHop as &dyn System, &Nym] {
        let findings = findings(system, 2);
        assert!(findings.lines.len() >= 4, "{findings:?}");
        assert!(findings.cost.bytes_a_month > 0.0 && findings.cost.latency.0 > 0.0);
    }
}
