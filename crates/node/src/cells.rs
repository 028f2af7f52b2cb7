//! Cells: what a link between two nodes carries, all of one length, whether there is something to say or not.
//!
//! ```text
//!   frames   [len|frame 1][len|frame 2 …………………………]            a stream of frames, each after its length
//!   cells    [·······cell·······][·······cell·······][·0 padding··]   cut into pieces of CELL_LEN
//! ```
//!
//! Whoever drives a link asks for a cell at each of its link's times, which depend on nothing that happens; then
//! what passes between two nodes does not tell when a box is written, copied or delivered (spec 06,
//! section 6.9). A cell that has nothing to carry is padding alone.

use thiserror::Error;

/// Bytes of a cell: a packet frame and its length.
pub const CELL_LEN: usize = 2_417;

/// Bytes of the length before each frame, big-endian. A length of zero says that the rest of the cell is padding;
/// fewer bytes than this at the end of a cell are padding too.
const PREFIX: usize = 4;

/// No frame between nodes is longer: a piece of a store's table. What announces more is refused by its
/// announcement, so a reader never holds more than this and a cell.
pub const MAX_FRAME: usize = 64 * 1024;

/// The sending end of one link.
#[derive(Debug, Default)]
pub struct CellWriter {
    /// A frame, behind its length, of which the first `out` bytes are gone.
    begun: Vec<u8>,
    out: usize,
}

impl CellWriter {
    /// The next cell, of [`CELL_LEN`] bytes: what is left of a frame, then frames from `next` for as long as
    /// there are any and room, then padding. A frame that is empty or longer than [`MAX_FRAME`] is left out:
    /// no core makes one.
    pub fn cell<F: AsRef<[u8]>>(&mut self, mut next: impl FnMut() -> Option<F>) -> Vec<u8> {
        let mut cell = Vec::with_capacity(CELL_LEN);
        loop {
            let room = CELL_LEN - cell.len();
            let left = &self.begun[self.out..];
            let taken = left.len().min(room);
            cell.extend_from_slice(&left[..taken]);
            self.out += taken;
            if self.out < self.begun.len() || CELL_LEN - cell.len() < PREFIX {
                break;
            }
            let Some(frame) = next() else { break };
            self.begin(frame.as_ref());
        }
        cell.resize(CELL_LEN, 0);
        cell
    }

    /// Whether a frame was begun whose end has not left.
    pub fn is_within_a_frame(&self) -> bool {
        self.out < self.begun.len()
    }

    fn begin(&mut self, frame: &[u8]) {
        self.begun.clear();
        self.out = 0;
        if frame.is_empty() || frame.len() > MAX_FRAME {
            return;
        }
        self.begun.extend_from_slice(&(frame.len() as u32).to_be_bytes());
        self.begun.extend_from_slice(frame);
    }
}

/// What is no cell, or announces a frame that nobody sends. The link is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a cell of another length, or a frame longer than any")]
pub struct BadCell;

/// The receiving end of one link.
#[derive(Debug, Default)]
pub struct CellReader {
    /// Of a frame whose length was read: what has come of it.
    frame: Vec<u8>,
    missing: usize,
}

impl CellReader {
    /// The frames that end in this cell, in order.
    ///
    /// # Errors
    /// [`BadCell`]; the reader must not be used again.
    pub fn take(&mut self, cell: &[u8]) -> Result<Vec<Vec<u8>>, BadCell> {
        if cell.len() != CELL_LEN {
            return Err(BadCell);
        }
        let mut frames = Vec::new();
        let mut rest = cell;
        loop {
            let (piece, behind) = rest.split_at(self.missing.min(rest.len()));
            self.frame.extend_from_slice(piece);
            self.missing -= piece.len();
            rest = behind;
            if self.missing > 0 {
                return Ok(frames);
            }
            if !self.frame.is_empty() {
                frames.push(std::mem::take(&mut self.frame));
            }
            let Some((prefix, behind)) = rest.split_first_chunk::<PREFIX>() else {
                return Ok(frames);
            };
            let len = u32::from_be_bytes(*prefix) as usize;
            if len == 0 {
                return Ok(frames);
            }
            if len > MAX_FRAME {
                return Err(BadCell);
            }
            self.missing = len;
            rest = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn cells(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut waiting: VecDeque<_> = frames.iter().cloned().collect();
        let mut writer = CellWriter::default();
        let mut cells = Vec::new();
        while !waiting.is_empty() || writer.is_within_a_frame() {
            cells.push(writer.cell(|| waiting.pop_front()));
        }
        cells
    }

    fn read(cells: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut reader = CellReader::default();
        cells.iter().flat_map(|cell| reader.take(cell).expect("our own")).collect()
    }

    #[test]
    fn a_cell_of_nothing_is_padding() {
        let cell = CellWriter::default().cell(|| None::<Vec<u8>>);
        assert_eq!(cell, vec![0; CELL_LEN]);
        assert_eq!(CellReader::default().take(&cell), Ok(Vec::new()));
    }

    #[test]
    fn a_packet_frame_fills_one_cell() {
        let packet = vec![7; xchat_sphinx::frame::NODE_FRAME_LEN];
        let cells = cells(&[packet.clone(), packet.clone()]);
        assert_eq!(cells.len(), 2);
        assert_eq!(read(&cells), [packet.clone(), packet]);
    }

    /// The reader's memory: a frame of the greatest length, and no more.
    #[test]
    fn a_frame_that_is_too_long_is_refused_by_its_announcement() {
        let mut cell = vec![0; CELL_LEN];
        cell[..PREFIX].copy_from_slice(&(MAX_FRAME as u32 + 1).to_be_bytes());
        assert_eq!(CellReader::default().take(&cell), Err(BadCell));
        cell[..PREFIX].copy_from_slice(&(MAX_FRAME as u32).to_be_bytes());
        let mut reader = CellReader::default();
        let mut frames = Vec::new();
        while frames.is_empty() {
            frames = reader.take(&cell).expect("announced");
            assert!(reader.frame.len() <= MAX_FRAME);
        }
        assert_eq!(frames[0].len(), MAX_FRAME);
    }

    #[test]
    fn a_cell_of_another_length_is_refused() {
        for len in [0, 1, CELL_LEN - 1, CELL_LEN + 1] {
            assert_eq!(CellReader::default().take(&vec![0; len]), Err(BadCell));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            lens in prop::collection::vec(prop_oneof![1usize..40, 2_390usize..2_450, 1usize..20_000], 0..12),
        ) {
            let frames: Vec<_> = lens.iter().map(|len| vec![(len % 251) as u8 + 1; *len]).collect();
            let cells = cells(&frames);
            prop_assert!(cells.iter().all(|cell| cell.len() == CELL_LEN));
            // No more cells than the bytes need, and those that a length did not fit into.
            let bytes: usize = lens.iter().map(|len| len + PREFIX).sum();
            prop_assert!(cells.len() <= (bytes + (PREFIX - 1) * frames.len()).div_ceil(CELL_LEN) + 1);
            prop_assert_eq!(read(&cells), frames);
        }

        #[test]
        fn any_cells_are_read_or_refused(
            cells in prop::collection::vec(prop::collection::vec(any::<u8>(), CELL_LEN), 0..4),
        ) {
            let mut reader = CellReader::default();
            for cell in &cells {
                if reader.take(cell).is_err() {
                    break;
                }
                prop_assert!(reader.frame.len() <= MAX_FRAME);
            }
        }
    }
}
