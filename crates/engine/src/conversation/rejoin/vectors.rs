//! `spec/vectors/conversation.json`: valid bytes of what people and their apps say to one another, and the lanes of the
//! rejoin windows, for whoever writes a second implementation.

use serde::{Deserialize, Serialize};
use xchat_base::{Secret, Timestamp, Wire, id};
use xchat_pigeonhole::{Dated, Handed, Ticket};

use super::entry::{Entry, RequestBody};
use super::lanes::first_box;
use crate::conversation::epoch::CommitEntry;
use crate::record::{Batch, Gap, Profile, Receipt, Record, Taken, Text, Tickets, kind};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/conversation.json");

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Vectors {
    formats: Vec<Format>,
    rejoin: Rejoin,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Format {
    format: String,
    section: String,
    values: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rejoin {
    secret: String,
    windows: Vec<Window>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    unix_seconds: u64,
    window: u64,
    /// The id of its lane's first box.
    first_box: String,
}

fn format<T: Wire>(section: &str, values: &[T]) -> Format {
    let values = values.iter().map(|value| id::hex(&value.to_wire())).collect();
    Format { format: T::FORMAT.to_owned(), section: section.to_owned(), values }
}

fn vectors() -> Vectors {
    let run = [&[7; 32][..], &3_000u32.to_be_bytes(), &[8; 32]].concat();
    let dated = |n: u8| Dated {
        ticket: Ticket::from_bytes([n; 16]),
        until: Timestamp::from_secs(1_800_000_000 + 60 * u64::from(n)),
    };
    let tickets = (1..4).map(dated).collect();
    let taken = Taken { seq: 300, digest: [9; 16] };
    let text = Text { sent_at: 1_800_000_000_123, text: "مرحبا, world".to_owned() };
    let whole = |seq, kind, body: Vec<u8>| Record { seq, kind, more: false, body };
    let batches = [
        Batch { records: vec![whole(1, kind::TEXT, text.to_wire())] },
        Batch {
            records: vec![
                Record { more: true, ..whole(127, kind::TEXT, vec![1; 200]) },
                whole(128, kind::TEXT, vec![2; 3]),
                whole(0, kind::TAKEN, taken.to_wire()),
                whole(0, kind::EPOCH_ENDED, Vec::new()),
                whole(u64::MAX, u16::MAX, b"of a later version".to_vec()),
            ],
        },
    ];
    let entries = [
        Entry::Request { side: 1, id: [3; 16], run: run.clone() },
        Entry::Answer { side: 0, to: [3; 16], run: run.clone() },
    ];
    let secret = Secret::new([5; 32]);
    let windows = [1_800_000_000, 1_800_000_000 + 30 * 24 * 3_600].map(|unix_seconds| {
        let (window, first) = first_box(&secret, Timestamp::from_secs(unix_seconds));
        Window { unix_seconds, window, first_box: id::hex(first.as_bytes()) }
    });
    Vectors {
        formats: vec![
            format("04, 4.7", &batches),
            format("04, 4.7", &[Profile { name: "Alice".to_owned() }]),
            format("04, 4.7", &[text]),
            format("04, 4.7", &[Receipt { up_to: 128 }]),
            format("04, 4.7", &[Tickets::new(Handed { only: true, tickets })]),
            format("04, 4.13", &[Gap { lost: 2 }]),
            format("04, 4.13", &[taken]),
            format("04, 4.9", &[CommitEntry { pointer: run }]),
            format("04, 4.13", &entries),
            format("04, 4.13", &[RequestBody { key_package: vec![4; 40], taken }]),
        ],
        rejoin: Rejoin { secret: id::hex(secret.expose()), windows: windows.into() },
    }
}

fn reads<T: Wire>(values: &[String]) {
    for value in values {
        let mut bytes = vec![0; value.len() / 2];
        id::unhex(value, &mut bytes).expect("hexadecimal");
        let read = T::from_wire(&bytes).expect("a value of the format");
        assert_eq!(read.to_wire(), bytes, "there is one encoding");
    }
}

/// `XCHAT_VECTORS=write` writes them anew, after a change of a format.
#[test]
#[allow(clippy::disallowed_methods)] // A file of the repository, and no core's.
fn the_vectors_are_what_is_written_and_what_is_read() {
    let made = vectors();
    if std::env::var_os("XCHAT_VECTORS").is_some_and(|what| what == "write") {
        let text = serde_json::to_string_pretty(&made).expect("strings and numbers") + "\n";
        std::fs::write(FILE, text).expect("writes");
    }
    let text = std::fs::read_to_string(FILE).expect("the file");
    let kept: Vectors = serde_json::from_str(&text).expect("JSON");
    assert_eq!(kept, made);
    for Format { format, values, .. } in &kept.formats {
        match format.as_str() {
            "record batch" => reads::<Batch>(values),
            "profile" => reads::<Profile>(values),
            "text" => reads::<Text>(values),
            "receipt" => reads::<Receipt>(values),
            "tickets" => reads::<Tickets>(values),
            "gap" => reads::<Gap>(values),
            "records taken in" => reads::<Taken>(values),
            "commit entry" => reads::<CommitEntry>(values),
            "rejoin entry" => reads::<Entry>(values),
            "rejoin request" => reads::<RequestBody>(values),
            other => unreachable!("{other}"),
        }
    }
}
