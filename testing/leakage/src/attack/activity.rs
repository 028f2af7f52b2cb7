//! How much all of them say together, minute by minute, from what goes on between nodes.
//!
//! Client streams do not show it. Links between stores do, if they are used only when a box is copied, and so do
//! the packets that stores send of their own accord, if nothing pads those links.

use crate::learn::Table;
use crate::record::{HOUR, Kind, Micros, Observer, SECOND, Seen};
use crate::traffic::Traffic;

/// Minutes of an hour.
const MINUTES: usize = 60;
const MINUTE: Micros = 60 * SECOND;

/// Counts frames of each kind.
#[derive(Debug, Default)]
pub struct Activity {
    /// The first hour that is looked at.
    first: u64,
    /// For each minute from then on: of client links, of packets and of copies between nodes.
    minutes: Vec<[f64; 3]>,
}

impl Activity {
    /// Of so many hours of a run, after the first ones.
    pub fn new(warm_up: u32, hours: u32) -> Self {
        Self { first: warm_up.into(), minutes: vec![[0.0; 3]; hours as usize * MINUTES] }
    }

    /// A sample for each minute: frames, and messages written in it. Both as differences from their mean over the
    /// hour: that evenings are busier everybody knows. And of the messages what is beyond the share of those who are online
    /// in that minute: that more is said where there are more people to say it everybody knows too, and who is online no
    /// cover hides.
    pub fn samples(&self, traffic: &Traffic, seed: u64) -> Table {
        let mut table = Table::default();
        let mut present = Vec::new();
        for (nth, minutes) in self.minutes.chunks(MINUTES).enumerate() {
            let start = (self.first + nth as u64) * HOUR;
            let written = |minute: usize| {
                let from = start + minute as u64 * MINUTE;
                traffic.between(from, from + MINUTE).len() as f64
            };
            let mean =
                |of: &dyn Fn(usize) -> f64| (0..MINUTES).map(of).sum::<f64>() / MINUTES as f64;
            let usual = [0, 1, 2].map(|kind| mean(&|minute| minutes[minute][kind]));
            let here = |minute: usize| online(traffic, start + minute as u64 * MINUTE);
            let (usually_written, usually_here) = (mean(&written), mean(&here));
            for (minute, frames) in minutes.iter().enumerate() {
                let row = frames.iter().zip(usual).map(|(count, usual)| count - usual).collect();
                table.add(row, written(minute) - usually_written, seed);
                present.push(here(minute) - usually_here);
            }
        }
        let both = present.iter().zip(&table.labels).map(|(here, said)| here * said).sum::<f64>();
        let each = both / present.iter().map(|here| here * here).sum::<f64>().max(1e-9);
        for (label, here) in table.labels.iter_mut().zip(&present) {
            *label -= each * here;
        }
        table
    }
}

/// How many are online in a minute, on average over some of its moments.
fn online(traffic: &Traffic, from: Micros) -> f64 {
    const MOMENTS: u64 = 6;
    let moments = (0..MOMENTS).map(|moment| from + moment * MINUTE / MOMENTS);
    let count =
        |at| (0..traffic.shape.clients).filter(|client| traffic.is_online(*client, at)).count();
    moments.map(count).sum::<usize>() as f64 / MOMENTS as f64
}

impl Observer for Activity {
    fn watches(&self, _client: u32, _hour: u32) -> bool {
        false
    }

    fn seen(&mut self, seen: &Seen) {
        let kind = match seen.kind {
            Kind::Client | Kind::Control => 0,
            Kind::Packet => 1,
            Kind::Replica => 2,
        };
        let Some(at) = seen.at_micros.checked_sub(self.first * HOUR) else { return };
        if let Some(minute) = self.minutes.get_mut((at / MINUTE) as usize) {
            minute[kind] += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Shape;

    /// More is said where more are online. Whoever sees only how many that are has not seen what they say.
    #[test]
    fn how_many_are_online_is_not_how_much_they_say() {
        let (hours, seed) = (6, 3);
        let shape = Shape { first_hour: 17, ..Shape::talkative(60, hours) };
        let traffic = Traffic::new(shape, seed);
        let mut activity = Activity::new(0, hours);
        for (minute, frames) in (0..).zip(&mut activity.minutes) {
            frames[0] = online(&traffic, minute * MINUTE);
        }
        let table = activity.samples(&traffic, seed);
        let told: f64 = table.rows.iter().zip(&table.labels).map(|(row, said)| row[0] * said).sum();
        let seen: f64 = table.rows.iter().map(|row| row[0] * row[0]).sum();
        let said: f64 = table.labels.iter().map(|said| said * said).sum();
        assert!(seen > 1.0 && said > 1.0, "{seen}, {said}");
        assert!(told.abs() < 1e-6 * (seen * said).sqrt(), "{told}");
    }
}
