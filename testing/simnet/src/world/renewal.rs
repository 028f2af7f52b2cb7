//! What the authorities sign reaches the nodes; clients ask their gateways for it, and keep it.

use std::collections::BTreeSet;
use std::time::Duration;

use xchat_base::random;

use super::{Event, Stream, World, stream};
use crate::core::In;
use crate::network::again;

/// Within so long after it was signed nodes have a document.
const READ_WITHIN: Duration = Duration::from_secs(60);

impl World {
    /// The first document is replaced when its time has come, if any is.
    pub(super) fn plan_renewal(&mut self) {
        if let Some(authorities) = &self.authorities {
            let every = authorities.renewal.document_every();
            self.agenda.plan(self.now + every, Event::Renew);
        }
    }

    pub(super) fn renew(&mut self) {
        let Some(authorities) = &mut self.authorities else { return };
        let rng = &mut stream(self.seed, &Stream::Renewal(self.document.epoch));
        let (document, mut secrets) = authorities.renew(&self.document, self.now, rng);
        for (place, seat) in (0..).zip(&mut self.seats) {
            seat.hop_secrets_to_come.extend(secrets.remove(&seat.id).unwrap_or_default());
            let at = self.now + READ_WITHIN.mul_f64(random::unit(rng));
            self.agenda.plan(at, Event::TakeDocument(place));
        }
        self.document = document;
        self.plan_renewal();
    }

    /// A node has the present document: as in its driver the keys come first, so that the core has them when that gives them
    /// their time.
    pub(super) fn take_document(&mut self, place: u16) {
        let seat = &self.seats[usize::from(place)];
        // It reads it when it is back.
        if seat.down || seat.core.document().epoch == self.document.epoch {
            return;
        }
        let own = self.document.node(&seat.id);
        let listed: BTreeSet<_> =
            own.iter().flat_map(|own| &own.hop_keys).map(|period| period.key).collect();
        let seat = &mut self.seats[usize::from(place)];
        for secret in std::mem::take(&mut seat.hop_secrets_to_come) {
            let seat = &mut self.seats[usize::from(place)];
            if let Some(insider) = &mut seat.insider {
                insider.add(&secret);
            }
            seat.secrets.push(again(&secret));
            // Only these its driver reads.
            if listed.contains(secret.public().as_bytes()) {
                self.at_node(place, In::AddSecret(secret));
            }
        }
        self.at_node(place, In::Document(self.document.clone()));
    }
}
