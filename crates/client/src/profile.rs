//! A profile: one person's data directory.
//!
//! ```text
//! profile.json   plain: version, and the database's key wrapped under the passphrase
//! store.db       SQLCipher: everything else; with store.db-wal while it is open
//! store.mark     how far the database has come
//! lock           held by the process that has the profile open
//! creating       there while the profile is being made
//! ```

mod error;
pub mod files;
mod header;

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_core::OsRng;
use xchat_base::Secret;
use xchat_transport::Pace;
use zeroize::Zeroizing;

use crate::store::{Store, StoreError};

pub use error::ProfileError;
pub use header::{Cost, HeaderError};

/// Longest display name, in characters.
pub const MAX_NAME_CHARS: usize = xchat_engine::MAX_NAME_CHARS;

/// What a person types to open their profile. Wiped on drop, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes over the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text. Every call is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

/// What a new profile is made from.
#[derive(Debug, Clone)]
pub struct NewProfile {
    /// The person's name, as contacts will see it.
    pub name: String,
    /// The network file's text, checked by the caller (see [`crate::network`]).
    pub network: String,
    /// Where that text came from; a newer document there is taken at the next start.
    pub network_path: Option<PathBuf>,
    /// How many packets the device sends.
    pub pace: Pace,
    /// What a guess at the passphrase costs.
    pub cost: Cost,
}

/// The settings a profile starts with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) network: String,
    pub(crate) network_path: Option<PathBuf>,
    pub(crate) pace: Pace,
}

/// Names in the `settings` table.
pub(crate) mod setting {
    pub(crate) const NAME: &str = "name";
    pub(crate) const NETWORK: &str = "network";
    pub(crate) const NETWORK_PATH: &str = "network_path";
    pub(crate) const PACE: &str = "pace";
    /// The transport's pinned gateways.
    pub(crate) const TRANSPORT: &str = "transport";
    /// The transport's decoys.
    pub(crate) const DECOYS: &str = "decoys";
}

/// An open profile: while it lives, no other process can open it.
pub struct Profile {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) reopen: Reopen,
}

/// What it takes to open the store once more, after its disk has failed.
pub(crate) struct Reopen {
    path: PathBuf,
    key: Secret<32>,
    _hold: Hold,
}

/// Keeps a profile's directory for this process, with or without a profile in it: while a clone of it lives, no
/// other process can open or make one there. The system lets go of it when the process ends, however that ends.
#[derive(Clone)]
pub struct Hold(#[allow(dead_code)] Arc<File>);

impl Reopen {
    pub(crate) fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.path, &self.key)
    }
}

impl Profile {
    /// Whether there is a profile in this directory.
    pub fn exists(dir: &Path) -> bool {
        header_path(dir).exists()
    }

    /// Looks for a profile in this directory.
    ///
    /// # Errors
    /// [`ProfileError::NotFound`], or [`ProfileError::Incomplete`] if there is a database whose
    /// header is gone.
    pub fn find(dir: &Path) -> Result<(), ProfileError> {
        if Self::exists(dir) {
            Ok(())
        } else if is_headless(dir) {
            Err(ProfileError::Incomplete("profile.json"))
        } else {
            Err(ProfileError::NotFound(dir.to_owned()))
        }
    }

    /// Keeps the directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`ProfileError`]: another process has it, or others on this machine could read it.
    pub fn hold(dir: &Path) -> Result<Hold, ProfileError> {
        files::private_dir(dir).map_err(at(dir))?;
        check_private(dir)?;
        Ok(Hold(Arc::new(lock(dir)?)))
    }

    /// Makes a profile. The header is written last and makes it one: after a crash before that,
    /// nothing is there, and this can be called again.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn create(
        dir: &Path,
        new: &NewProfile,
        passphrase: &Passphrase,
    ) -> Result<(), ProfileError> {
        // Before anything is made.
        check_new(new, passphrase)?;
        let hold = Self::hold(dir)?;
        Self::create_held(&hold, dir, new, passphrase)
    }

    /// As [`Self::create`], in a directory that is held already.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn create_held(
        _hold: &Hold,
        dir: &Path,
        new: &NewProfile,
        passphrase: &Passphrase,
    ) -> Result<(), ProfileError> {
        check_new(new, passphrase)?;
        if Self::exists(dir) {
            return Err(ProfileError::Exists(dir.to_owned()));
        }
        if is_headless(dir) {
            return Err(ProfileError::Incomplete("profile.json"));
        }
        let creating = creating_path(dir);
        files::private_file(&creating).map_err(at(&creating))?;
        files::sync_parent(&creating).map_err(at(&creating))?;
        let (header, key) = header::Header::create(passphrase, new.cost, &mut OsRng)?;
        let path = store_path(dir);
        remove_leftovers(&path)?;
        files::private_file(&path).map_err(at(&path))?;
        let mut store = Store::create(&path, &key)?;
        let network_path = new.network_path.as_deref().map(path_bytes).unwrap_or_default();
        store.set_settings(&[
            (setting::NAME, new.name.as_bytes()),
            (setting::NETWORK, new.network.as_bytes()),
            (setting::NETWORK_PATH, network_path),
            (setting::PACE, new.pace.name().as_bytes()),
        ])?;
        store.close()?;
        let path = header_path(dir);
        files::replace_file(&path, header.to_json().as_bytes()).map_err(at(&path))?;
        forget_creation(dir)
    }

    /// Locks and opens a profile.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn open(dir: &Path, passphrase: &Passphrase) -> Result<Self, ProfileError> {
        Self::find(dir)?;
        let hold = Self::hold(dir)?;
        Self::open_held(&hold, dir, passphrase)
    }

    /// As [`Self::open`], in a directory that is held already, and stays held when the profile is closed.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn open_held(
        hold: &Hold,
        dir: &Path,
        passphrase: &Passphrase,
    ) -> Result<Self, ProfileError> {
        Self::find(dir)?;
        let key = read_header(dir)?.unlock(passphrase)?;
        let path = store_path(dir);
        if !path.exists() {
            return Err(ProfileError::Incomplete("store.db"));
        }
        // Left by a crash right after the header was written.
        forget_creation(dir)?;
        let store = Store::open(&path, &key)?;
        let settings = Settings::read(&store)?;
        Ok(Self { store, settings, reopen: Reopen { path, key, _hold: hold.clone() } })
    }

    /// Copies the profile into a new directory, which is then a profile of its own with the same passphrase: put back
    /// in the first one's place, each conversation goes on by itself (`spec/04-conversation.md`, 4.13). The header is
    /// written last, as in [`Self::create`]: what a crash cuts off is no profile.
    ///
    /// # Errors
    /// [`ProfileError`]; [`ProfileError::Exists`] if there is something at `to` already.
    pub fn back_up(dir: &Path, passphrase: &Passphrase, to: &Path) -> Result<(), ProfileError> {
        if to.exists() {
            return Err(ProfileError::Occupied(to.to_owned()));
        }
        let profile = Self::open(dir, passphrase)?;
        files::private_dir(to).map_err(at(to))?;
        let creating = creating_path(to);
        files::private_file(&creating).map_err(at(&creating))?;
        files::sync_parent(&creating).map_err(at(&creating))?;
        let path = store_path(to);
        let copy = files::private_file(&path).map_err(at(&path))?;
        // By the time the copy is used they will have gone on elsewhere, and must not do again what they have done since.
        profile.store.copy_to(&path, &profile.reopen.key, setting::DECOYS)?;
        copy.sync_all().map_err(at(&path))?;
        let header = std::fs::read(header_path(dir)).map_err(at(dir))?;
        let path = header_path(to);
        files::replace_file(&path, &header).map_err(at(&path))?;
        forget_creation(to)?;
        profile.store.close()?;
        Ok(())
    }

    /// Whether a process has the profile open.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn is_open(dir: &Path) -> Result<bool, ProfileError> {
        match lock(dir) {
            Ok(_) => Ok(false),
            Err(ProfileError::Locked) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Waits, and holds up the thread, until no process has the profile open.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn wait_until_free(dir: &Path) -> Result<(), ProfileError> {
        let path = lock_path(dir);
        let file = files::private_file(&path).map_err(at(&path))?;
        file.lock().map_err(at(&path))
    }

    /// Checks a passphrase without opening the profile, which may be in use.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn check_passphrase(dir: &Path, passphrase: &Passphrase) -> Result<(), ProfileError> {
        Self::find(dir)?;
        read_header(dir)?.unlock(passphrase)?;
        Ok(())
    }

    /// Its database, for tools that look into a profile while no client runs on it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// See [`Self::store`].
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The person's name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }
}

impl Settings {
    fn read(store: &Store) -> Result<Self, ProfileError> {
        let text = |name: &'static str| -> Result<String, ProfileError> {
            let value = store.setting(name)?.ok_or(ProfileError::Incomplete(name))?;
            String::from_utf8(value).map_err(|_| ProfileError::Store(StoreError::Corrupt))
        };
        let network_path = text(setting::NETWORK_PATH)?;
        let pace = Pace::from_name(&text(setting::PACE)?);
        Ok(Self {
            name: text(setting::NAME)?,
            network: text(setting::NETWORK)?,
            network_path: (!network_path.is_empty()).then(|| network_path.into()),
            pace: pace.ok_or(ProfileError::Store(StoreError::Corrupt))?,
        })
    }
}

fn header_path(dir: &Path) -> PathBuf {
    dir.join("profile.json")
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

fn store_path(dir: &Path) -> PathBuf {
    dir.join("store.db")
}

fn creating_path(dir: &Path) -> PathBuf {
    dir.join("creating")
}

/// Whether there is a database without a header, and not because its making was cut off: the header
/// is lost, and with it the key, unless there is a backup of it somewhere.
fn is_headless(dir: &Path) -> bool {
    store_path(dir).exists() && !header_path(dir).exists() && !creating_path(dir).exists()
}

fn forget_creation(dir: &Path) -> Result<(), ProfileError> {
    remove(&creating_path(dir))
}

fn remove(path: &Path) -> Result<(), ProfileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// A path that is not UTF-8 is not remembered.
fn path_bytes(path: &Path) -> &[u8] {
    path.to_str().unwrap_or_default().as_bytes()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ProfileError {
    let path = path.to_owned();
    move |source| ProfileError::Io { path, source }
}

fn check_new(new: &NewProfile, passphrase: &Passphrase) -> Result<(), ProfileError> {
    check_name(&new.name)?;
    if passphrase.expose().is_empty() { Err(ProfileError::EmptyPassphrase) } else { Ok(()) }
}

fn check_name(name: &str) -> Result<(), ProfileError> {
    let count = name.chars().count();
    let fits = (1..=MAX_NAME_CHARS).contains(&count) && !name.trim().is_empty();
    if fits && !name.chars().any(char::is_control) { Ok(()) } else { Err(ProfileError::Name) }
}

/// The group's and the others' permissions.
const NOT_THE_OWNERS: u32 = 0o077;

fn check_private(dir: &Path) -> Result<(), ProfileError> {
    let mode = std::fs::metadata(dir).map_err(at(dir))?.permissions().mode();
    if mode & NOT_THE_OWNERS == 0 { Ok(()) } else { Err(ProfileError::Exposed(dir.to_owned())) }
}

fn read_header(dir: &Path) -> Result<header::Header, ProfileError> {
    let path = header_path(dir);
    let len = std::fs::metadata(&path).map_err(at(&path))?.len();
    if len > header::MAX_HEADER_LEN {
        return Err(HeaderError::TooLong.into());
    }
    let bytes = std::fs::read(&path).map_err(at(&path))?;
    let text = str::from_utf8(&bytes).map_err(|error| HeaderError::Malformed(error.into()))?;
    Ok(header::Header::parse(text)?)
}

fn lock(dir: &Path) -> Result<File, ProfileError> {
    let path = lock_path(dir);
    let file = files::private_file(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ProfileError::Locked),
        Err(TryLockError::Error(source)) => Err(ProfileError::Io { path, source }),
    }
}

/// A database of which only the making was begun: its key was never written down, so nobody can miss
/// it.
fn remove_leftovers(store: &Path) -> Result<(), ProfileError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = store.as_os_str().to_owned();
        name.push(suffix);
        remove(Path::new(&name))?;
    }
    remove(&store.with_extension("mark"))
}

#[cfg(test)]
mod tests;
