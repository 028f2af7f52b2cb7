use std::time::Duration;

use super::fixture::{Authority, now};
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn an_expired_file_is_refused_with_the_reason() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("network.json");
    std::fs::write(&path, authority.first(now() - DAY).to_json()).expect("writes");
    let refused = read(&path, now()).expect_err("it has expired");
    assert!(matches!(refused, NetworkError::Document(DirectoryError::Expired { .. })));
    std::fs::write(&path, "{}").expect("writes");
    assert!(matches!(read(&path, now()), Err(NetworkError::File(_))));
    assert!(matches!(read(&dir.path().join("none"), now()), Err(NetworkError::Read(_))));
}

#[test]
fn a_start_takes_the_newer_of_two_documents_of_one_network() {
    let authority = Authority::new();
    let old = authority.first(now() - DAY);
    let new = authority.next(&old, now() + DAY);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("network.json");
    // Nothing there: the kept one serves, although it has expired.
    let kept = start(&old.to_json(), Some(&path), now()).expect("starts");
    assert!(kept.newer.is_none());
    assert_eq!(kept.document.epoch, 1);
    std::fs::write(&path, new.to_json()).expect("writes");
    let newer = start(&old.to_json(), Some(&path), now()).expect("starts");
    assert_eq!(newer.document.epoch, 2);
    assert_eq!(newer.newer, Some(new.to_json()));
    // Older, or of another network: ignored.
    std::fs::write(&path, old.to_json()).expect("writes");
    assert!(start(&new.to_json(), Some(&path), now()).expect("starts").newer.is_none());
    std::fs::write(&path, Authority::new().first(now() + DAY).to_json()).expect("writes");
    assert!(start(&old.to_json(), Some(&path), now()).expect("starts").newer.is_none());
}

#[test]
fn a_network_is_described_by_its_own_file() {
    let described = describe(&Authority::new().first(now() + DAY).to_json()).expect("a file");
    assert_eq!(described.name, "nowhere");
    assert_eq!(described.paces.len(), 4);
    assert!(describe("{}").is_err());
}
