//! The vectors in `spec/vectors` are what this program writes and reads.

use std::path::PathBuf;

use xchat_fuzz::vectors::{Format, formats, replay};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/formats.json")
}

/// With `XCHAT_VECTORS=write` it writes them: a change of a format changes the file in the same commit.
#[test]
fn every_format_is_written_as_its_vectors_say() {
    let now = serde_json::to_string_pretty(&formats()).expect("texts") + "\n";
    if std::env::var_os("XCHAT_VECTORS").is_some_and(|value| value == "write") {
        std::fs::write(path(), &now).expect("writes");
    }
    let kept = std::fs::read_to_string(path()).expect("spec/vectors/formats.json");
    let kept: Vec<Format> = serde_json::from_str(&kept).expect("a list of formats");
    for (kept, now) in kept.iter().zip(formats()) {
        assert!(!kept.values.is_empty(), "{} has no values", kept.format);
        assert!(*kept == now, "{} is written otherwise now", kept.format);
    }
    assert_eq!(kept.len(), formats().len());
}

#[test]
fn every_vector_is_read_and_written_as_the_same() {
    let kept = std::fs::read_to_string(path()).expect("spec/vectors/formats.json");
    let kept: Vec<Format> = serde_json::from_str(&kept).expect("a list of formats");
    kept.iter().for_each(replay);
}
