//! `spec/vectors/formats.json`: valid bytes of every format, for whoever writes a second implementation.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use xchat_node::cells::{CELL_LEN, CellReader, CellWriter};

use crate::{Target, parsers};

/// One format and some of its values.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Its name in the specification.
    pub format: String,
    /// Where that is.
    pub section: String,
    /// Encoded values, in hexadecimal; no two the same.
    pub values: Vec<String>,
}

/// A format: its name, its section, the target that reads it and the tag that the target knows it by, if it knows several.
type Known = (&'static str, &'static str, Target, Option<u8>);

const CELL: &str = "cell";

const FORMATS: &[Known] = &[
    ("client frame", "06, 6.8", parsers::FRAMES, Some(0)),
    ("gateway frame", "06, 6.8", parsers::FRAMES, Some(1)),
    ("node frame", "06, 6.8", parsers::FRAMES, Some(2)),
    ("request", "03, 3.8", parsers::MESSAGES, Some(0)),
    ("signed answer", "03, 3.8", parsers::MESSAGES, Some(1)),
    ("delivery", "03, 3.8", parsers::MESSAGES, Some(2)),
    ("box", "03, 3.1", parsers::BOXES, Some(0)),
    ("run pointer", "03, 3.3", parsers::BOXES, Some(2)),
    ("replica message", "03, 3.9", parsers::REPLICA_MESSAGES, Some(0)),
    ("table message", "03, 3.9", parsers::TABLE_MESSAGES, None),
    ("told delivery", "03, 3.9", parsers::REPLICA_MESSAGES, Some(2)),
    ("document", "07, 7.2", parsers::DIRECTORY, Some(0)),
    ("signed document", "07, 7.3", parsers::DIRECTORY, Some(1)),
    ("network file", "07, 7.8", parsers::DIRECTORY, Some(2)),
    ("invitation link", "05, 5.1", parsers::INVITATIONS, Some(0)),
    ("bundle", "05, 5.2", parsers::INVITATIONS, Some(1)),
    ("accept entry", "05, 5.2", parsers::INVITATIONS, Some(2)),
    ("meeting", "05, 5.2", parsers::INVITATIONS, Some(3)),
];

/// The values that this program writes.
pub fn formats() -> Vec<Format> {
    let of_format = |(format, section, target, tag): &Known| {
        let seeds = (target.seeds)().into_iter();
        let values = seeds.filter_map(|seed| match (tag, seed.split_first()) {
            (None, _) => Some(seed),
            (Some(tag), Some((first, rest))) => (first == tag).then(|| rest.to_vec()),
            (Some(_), None) => None,
        });
        let mut values: Vec<_> = values.map(|value| xchat_base::id::hex(&value)).collect();
        values.dedup();
        Format { format: (*format).to_owned(), section: (*section).to_owned(), values }
    };
    FORMATS.iter().map(of_format).chain([cells()]).collect()
}

/// The cells of some frames, one behind the other; they are no seed of the target, which cuts frames itself.
fn cells() -> Format {
    let streams = [vec![], vec![vec![1; 2_413]], vec![vec![2; 5_000], vec![3; 10], vec![4; 2_300]]];
    let cut = |frames: &Vec<Vec<u8>>| {
        let mut waiting: VecDeque<_> = frames.iter().collect();
        let mut writer = CellWriter::default();
        let mut cells = writer.cell(|| waiting.pop_front());
        while !waiting.is_empty() || writer.is_within_a_frame() {
            cells.extend(writer.cell(|| waiting.pop_front()));
        }
        xchat_base::id::hex(&cells)
    };
    let values = streams.iter().map(cut).collect();
    Format { format: CELL.to_owned(), section: "06, 6.9".to_owned(), values }
}

/// A second writer and reader agree on them.
fn replay_cells(bytes: &[u8]) {
    let mut reader = CellReader::default();
    let frames = bytes.chunks(CELL_LEN).flat_map(|cell| reader.take(cell).expect("a cell"));
    let mut frames: VecDeque<_> = frames.collect();
    let mut writer = CellWriter::default();
    for cell in bytes.chunks(CELL_LEN) {
        assert!(writer.cell(|| frames.pop_front()) == cell, "cut as it was");
    }
    assert!(frames.is_empty());
}

/// Puts a value to the target that knows its format: it must be read, and written as the same bytes.
///
/// # Panics
/// It was not.
pub fn replay(format: &Format) {
    if format.format == CELL {
        for value in &format.values {
            replay_cells(&unhex(value));
        }
        return;
    }
    let known = FORMATS.iter().find(|(name, ..)| *name == format.format);
    let (_, _, target, tag) = known.expect("a format of the specification");
    for value in &format.values {
        let input: Vec<u8> = tag.iter().copied().chain(unhex(value)).collect();
        (target.body)(&input);
    }
}

fn unhex(value: &str) -> Vec<u8> {
    let mut bytes = vec![0; value.len() / 2];
    xchat_base::id::unhex(value, &mut bytes).expect("hexadecimal");
    bytes
}
