//! The findings in words, as a table for a terminal and as `docs/leakage.md` with pictures.

mod page;
mod picture;
mod table;

use crate::adversary::{
    Beside, Collectors, EveryLink, Gateway, Lens, WithCollectors, WithStores, one_store, store,
};
use crate::attack::{probes, thief, trace};
use crate::campaign::Attack;

pub use page::{Report, name, page};
pub use picture::pictures;
pub use table::{followed, probed, signs, table};

/// An attack's name in the report.
pub(crate) fn attack_name(attack: Attack) -> String {
    match attack {
        Attack::Pairs(hours) => format!("who talks to whom, {hours} h"),
        Attack::Volume => "how much, 1 h".into(),
        Attack::Activity => "how much all say, by the minute".into(),
        Attack::Entropy => "who else could it be".into(),
        Attack::Disclosure => "disclosure over days".into(),
        Attack::Trace(share) => format!("whose packet it is, {share} % of the mixes"),
        Attack::Thief => "who accepted the invitation".into(),
        Attack::Chaining => "which boxes belong together".into(),
        Attack::Decoys => "which boxes are real".into(),
        Attack::Presence => "presence alone".into(),
    }
}

/// What each adversary sees, in the words of its module.
pub(crate) fn adversaries() -> Vec<(&'static str, &'static str)> {
    let lenses: [Box<dyn Lens>; 6] = [
        Box::new(EveryLink::default()),
        Box::new(Gateway),
        Box::new(Collectors::default()),
        Box::new(WithStores::new(Beside::EveryLink)),
        Box::new(WithStores::new(Beside::Gateway)),
        Box::new(WithCollectors::default()),
    ];
    let mut all: Vec<_> = lenses.iter().map(|lens| (lens.name(), lens.sees())).collect();
    all.insert(2, (one_store::NAME, one_store::SEES));
    all.insert(3, (store::NAME, store::SEES));
    all.insert(5, (trace::NAME, trace::SEES));
    all.push((probes::NAME, probes::SEES));
    all.push((thief::NAME, thief::SEES));
    all
}
