mod migration;

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let profile = dir.path().join("alice");
    (dir, profile)
}

fn new_profile() -> NewProfile {
    NewProfile {
        name: "Alice".to_owned(),
        network: "{}".to_owned(),
        network_path: None,
        pace: Pace::Phone,
        cost: Cost::dangerously_cheap(),
    }
}

fn secret() -> Passphrase {
    Passphrase::new("open sesame")
}

#[test]
fn it_opens_again_with_what_it_was_made_from() {
    let (_dir, path) = place();
    let new = NewProfile { network_path: Some("/n/network.json".into()), ..new_profile() };
    Profile::create(&path, &new, &secret()).expect("makes one");
    let profile = Profile::open(&path, &secret()).expect("opens");
    assert_eq!(profile.name(), "Alice");
    assert_eq!(profile.settings.pace, Pace::Phone);
    assert_eq!(profile.settings.network_path.as_deref(), Some(Path::new("/n/network.json")));
}

#[test]
fn a_wrong_passphrase_is_not_damage() {
    let (_dir, path) = place();
    Profile::create(&path, &new_profile(), &secret()).expect("makes one");
    let wrong = Profile::open(&path, &Passphrase::new("open")).map(drop);
    assert!(matches!(wrong, Err(ProfileError::Header(HeaderError::WrongPassphrase))));
    std::fs::write(store_path(&path), [5; 8192]).expect("writes");
    let damaged = Profile::open(&path, &secret()).map(drop);
    assert!(matches!(damaged, Err(ProfileError::Store(StoreError::Corrupt))));
    std::fs::remove_file(store_path(&path)).expect("removes");
    let gone = Profile::open(&path, &secret()).map(drop);
    assert!(matches!(gone, Err(ProfileError::Incomplete("store.db"))));
}

#[test]
fn one_at_a_time() {
    let (_dir, path) = place();
    Profile::create(&path, &new_profile(), &secret()).expect("makes one");
    let first = Profile::open(&path, &secret()).expect("opens");
    assert!(matches!(Profile::open(&path, &secret()).map(drop), Err(ProfileError::Locked)));
    assert!(Profile::is_open(&path).expect("looks"));
    Profile::check_passphrase(&path, &secret()).expect("needs no lock");
    drop(first);
    assert!(!Profile::is_open(&path).expect("looks"));
    Profile::open(&path, &secret()).expect("opens again");
}

#[test]
fn it_is_made_once_and_for_its_owner_only() {
    let (_dir, path) = place();
    Profile::create(&path, &new_profile(), &secret()).expect("makes one");
    let again = Profile::create(&path, &new_profile(), &secret());
    assert!(matches!(again, Err(ProfileError::Exists(_))));
    let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode();
    assert_eq!(mode(&path) & 0o777, 0o700);
    for entry in std::fs::read_dir(&path).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path) & 0o777, 0o600, "{}", path.display());
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("opens it up");
    let exposed = Profile::open(&path, &secret()).map(drop);
    assert!(matches!(exposed, Err(ProfileError::Exposed(_))));
}

#[test]
fn a_backup_is_a_profile_with_the_same_passphrase_and_nothing_is_written_over() {
    let (dir, path) = place();
    Profile::create(&path, &new_profile(), &secret()).expect("makes one");
    let copy = dir.path().join("copy");
    let wrong = Profile::back_up(&path, &Passphrase::new("wrong"), &copy);
    assert!(matches!(wrong, Err(ProfileError::Header(HeaderError::WrongPassphrase))));
    assert!(!copy.exists());
    let mut profile = Profile::open(&path, &secret()).expect("opens");
    let busy = Profile::back_up(&path, &secret(), &copy);
    assert!(matches!(busy, Err(ProfileError::Locked)));
    // In the write-ahead log only, when the copy is made.
    let settings: [(&str, &[u8]); 2] = [("said", b"since"), (setting::DECOYS, b"of this one")];
    profile.store.set_settings(&settings).expect("sets");
    drop(profile);
    Profile::back_up(&path, &secret(), &copy).expect("copies");
    assert!(matches!(Profile::back_up(&path, &secret(), &copy), Err(ProfileError::Occupied(_))));
    let bytes = std::fs::read(store_path(&copy)).expect("a file");
    assert!(!bytes.starts_with(b"SQLite format 3"), "it is encrypted as well");

    std::fs::remove_dir_all(&path).expect("all is lost");
    std::fs::rename(&copy, &path).expect("put back");
    let profile = Profile::open(&path, &secret()).expect("opens");
    assert_eq!(profile.name(), "Alice");
    assert_eq!(profile.store.setting("said").expect("reads").as_deref(), Some(&b"since"[..]));
    assert_eq!(profile.store.setting(setting::DECOYS).expect("reads"), None);
}

#[test]
fn half_a_backup_is_no_profile() {
    let (dir, path) = place();
    Profile::create(&path, &new_profile(), &secret()).expect("makes one");
    let copy = dir.path().join("copy");
    Profile::back_up(&path, &secret(), &copy).expect("copies");
    std::fs::remove_file(header_path(&copy)).expect("as if it was not written yet");
    std::fs::write(creating_path(&copy), "").expect("writes");
    assert!(matches!(Profile::open(&copy, &secret()).map(drop), Err(ProfileError::NotFound(_))));
}

#[test]
fn half_a_creation_is_begun_anew() {
    let (_dir, path) = place();
    Profile::create(&path, &new_profile(), &secret()).expect("makes one");
    // As after a crash before the header was there: the database's key was never written down.
    std::fs::remove_file(header_path(&path)).expect("removes");
    std::fs::write(creating_path(&path), "").expect("writes");
    assert!(matches!(Profile::open(&path, &secret()).map(drop), Err(ProfileError::NotFound(_))));
    Profile::create(&path, &new_profile(), &Passphrase::new("another")).expect("makes one");
    Profile::open(&path, &Passphrase::new("another")).expect("opens");
}

#[test]
fn a_database_that_has_lost_its_header_is_not_thrown_away() {
    let (_dir, path) = place();
    Profile::create(&path, &new_profile(), &secret()).expect("makes one");
    let header = std::fs::read(header_path(&path)).expect("a header");
    std::fs::remove_file(header_path(&path)).expect("removes");
    for refused in [
        Profile::open(&path, &secret()).map(drop),
        Profile::check_passphrase(&path, &secret()),
        Profile::create(&path, &new_profile(), &secret()),
    ] {
        assert!(matches!(refused, Err(ProfileError::Incomplete("profile.json"))), "{refused:?}");
    }
    std::fs::write(header_path(&path), header).expect("a backup");
    Profile::open(&path, &secret()).expect("opens");
}

#[test]
fn names_and_passphrases_are_checked_before_anything_is_made() {
    let (_dir, path) = place();
    for name in ["", "  ", "a\nb", &"x".repeat(65)] {
        let new = NewProfile { name: name.to_owned(), ..new_profile() };
        let refused = Profile::create(&path, &new, &secret());
        assert!(matches!(refused, Err(ProfileError::Name)), "{name:?}");
    }
    let refused = Profile::create(&path, &new_profile(), &Passphrase::new(""));
    assert!(matches!(refused, Err(ProfileError::EmptyPassphrase)));
    assert!(!path.exists());
}

#[test]
fn a_directory_can_be_held_before_there_is_a_profile_and_while_it_is_closed() {
    let (_dir, path) = place();
    let hold = Profile::hold(&path).expect("a new directory");
    assert!(Profile::is_open(&path).expect("looks"));
    let elsewhere = Profile::create(&path, &new_profile(), &secret());
    assert!(matches!(elsewhere, Err(ProfileError::Locked)));
    Profile::create_held(&hold, &path, &new_profile(), &secret()).expect("makes one");
    for _ in 0..2 {
        let profile = Profile::open_held(&hold, &path, &secret()).expect("opens");
        drop(profile);
        assert!(Profile::is_open(&path).expect("looks"), "it is still held");
    }
    drop(hold);
    assert!(!Profile::is_open(&path).expect("looks"));
    drop(Profile::open(&path, &secret()).expect("opens"));
}
