//! What a client's link carries.

use std::collections::BTreeMap;

use crate::plan::Plan;
use crate::record::{HOUR, Observer, Party, Seen};

/// Counts bytes of clients in hours in which they are online throughout.
#[derive(Debug)]
pub struct Meter {
    bytes: BTreeMap<(u32, u32), u64>,
}

impl Meter {
    /// For the people of a plan, who are online in their hours.
    pub fn new(plan: &Plan) -> Self {
        Self { bytes: plan.people.iter().map(|sample| ((sample.client, sample.hour), 0)).collect() }
    }

    /// Bytes both ways of each.
    pub fn bytes_an_hour(&self) -> Vec<f64> {
        self.bytes.values().map(|&bytes| bytes as f64).collect()
    }
}

impl Observer for Meter {
    fn watches(&self, client: u32, hour: u32) -> bool {
        self.bytes.contains_key(&(client, hour))
    }

    fn seen(&mut self, seen: &Seen) {
        let ((Party::Client(client), _) | (_, Party::Client(client))) = (seen.from, seen.to) else {
            return;
        };
        let hour = (seen.at_micros / HOUR) as u32;
        if let Some(bytes) = self.bytes.get_mut(&(client, hour)) {
            *bytes += u64::from(seen.bytes);
        }
    }
}
