//! How frames travel.

use std::time::Duration;

use xchat_base::Timestamp;
use xchat_base::random::{self, Rng};
use xchat_node::cells::CELL_LEN;

/// What links do to frames. Real links are QUIC streams, reliable and in order; those between nodes may do worse
/// here, those of clients keep the order and lose nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Links {
    /// Shortest way.
    pub delay: Duration,
    /// Longest way between nodes is `delay + jitter`, uniform: frames overtake one another.
    pub jitter: Duration,
    /// Chance that a frame between nodes is lost, 0 to 1.
    pub loss: f64,
    /// Shortest way between a client and its gateway.
    pub client_delay: Duration,
    /// The longest one is longer by this, but for frames that wait for those before them.
    pub client_jitter: Duration,
    /// Cells a second on each link between nodes, as production nodes send them; zero for none.
    pub cells: u32,
}

/// A link between nodes on which cells leave at equal gaps: where its stream has come to. What `CellWriter` and a clock do to
/// a frame's time, without cells that carry nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Padded {
    first: Timestamp,
    gap: Duration,
    /// The cell that is being filled, and how much is in it.
    cell: u64,
    filled: usize,
}

impl Padded {
    /// A link that comes up now, with its clock at a random moment.
    pub(crate) fn new(cells: u32, now: Timestamp, rng: &mut Rng) -> Self {
        let gap = Duration::from_secs(1) / cells;
        Self { first: now + gap.mul_f64(random::unit(rng)), gap, cell: 0, filled: 0 }
    }

    /// When the last byte of a frame of this length leaves, if it is handed over now.
    pub(crate) fn leaves(&mut self, now: Timestamp, len: usize) -> Timestamp {
        const PREFIX: usize = 4;
        let gap = self.gap.as_micros().max(1) as u64;
        let next = (now.since(self.first).as_micros() as u64).div_ceil(gap);
        if self.cell < next {
            (self.cell, self.filled) = (next, 0);
        }
        if CELL_LEN - self.filled < PREFIX {
            (self.cell, self.filled) = (self.cell + 1, 0);
        }
        self.filled += PREFIX + len;
        while self.filled > CELL_LEN {
            (self.cell, self.filled) = (self.cell + 1, self.filled - CELL_LEN);
        }
        self.first + Duration::from_micros(gap * self.cell)
    }
}

impl Links {
    /// A quiet data centre.
    pub fn good() -> Self {
        let delay = Duration::from_millis(1);
        let client_jitter = Duration::ZERO;
        Self { delay, jitter: delay, loss: 0.0, client_delay: delay, client_jitter, cells: 0 }
    }

    /// Everything overtakes, and one frame in fifty is lost.
    pub fn bad() -> Self {
        let delay = Duration::from_millis(5);
        Self {
            delay,
            jitter: Duration::from_millis(200),
            loss: 0.02,
            client_delay: delay,
            client_jitter: Duration::ZERO,
            cells: 0,
        }
    }

    pub(crate) fn travel(&self, rng: &mut Rng) -> Option<Duration> {
        let lost = random::unit(rng) < self.loss;
        let way = self.delay + self.jitter.mul_f64(random::unit(rng));
        (!lost).then_some(way)
    }

    /// When a frame of a client's link arrives; `last` is when the one before it does.
    pub(crate) fn travel_in_order(
        &self,
        now: Timestamp,
        last: &mut Timestamp,
        rng: &mut Rng,
    ) -> Timestamp {
        let way = self.client_delay + self.client_jitter.mul_f64(random::unit(rng));
        *last = (*last).max(now + way);
        *last
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use xchat_node::cells::{CellReader, CellWriter};

    use super::*;

    /// The times are those at which the production writer, asked at each tick, has let the frames out.
    #[test]
    fn frames_leave_when_the_production_cells_let_them() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let begin = Timestamp::from_secs(1_800_000_000);
        let mut link = Padded::new(100, begin, &mut rng);
        let (mut told, mut frames) = (Vec::new(), VecDeque::new());
        let mut now = begin;
        for n in 0..400usize {
            now = now + random::exponential(&mut rng, Duration::from_millis(13));
            let len = [2_413, 40, 1_700, 5_000][n % 4];
            told.push(link.leaves(now, len));
            frames.push_back((now, vec![1u8; len]));
        }
        let (mut writer, mut reader) = (CellWriter::default(), CellReader::default());
        let (mut seen, mut tick) = (Vec::new(), link.first);
        while seen.len() < told.len() {
            let cell = writer.cell(|| {
                frames.front().filter(|(handed, _)| *handed <= tick)?;
                frames.pop_front().map(|(_, frame)| frame)
            });
            seen.extend(reader.take(&cell).expect("a cell").iter().map(|_| tick));
            tick = tick + link.gap;
        }
        assert_eq!(seen, told);
    }
}
