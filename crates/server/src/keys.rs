//! Key files: 32 bytes in hexadecimal, for the owner's eyes only.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use xchat_base::{Secret, id};
use xchat_node::directory::Descriptor;
use xchat_node::hop::MAX_HOP_SECRETS;
use xchat_node::sphinx::{HopKey, HopSecret};
use zeroize::Zeroizing;

use crate::files;

/// The node's Ed25519 seed, below its directory: link identity, and what a store signs with.
const NODE_KEY: &str = "node.key";
/// The directory of hop keys; each file is named by its public key.
const HOP_DIR: &str = "hop";
const KEY_SUFFIX: &str = "key";

/// Files looked at in the hop key directory: far above [`MAX_HOP_SECRETS`], so that what an operator
/// left there does not hide a key.
const MAX_HOP_FILES: usize = 256;

/// Why a key file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{}: others may read this key (mode {mode:03o}); run: chmod 600 {0}", path.display())]
    Permissions {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not 64 hexadecimal digits.
    #[error("{}: not a key: 64 hexadecimal digits are expected", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
    /// A hop key under another key's name.
    #[error("{}: the file's name is not the public key of the secret in it", path.display())]
    WrongName {
        /// Which.
        path: PathBuf,
    },
}

/// Where a node's own key lies.
pub fn node_key_path(dir: &Path) -> PathBuf {
    dir.join(NODE_KEY)
}

fn hop_key_path(dir: &Path, key: &HopKey) -> PathBuf {
    dir.join(HOP_DIR).join(key.to_hex()).with_extension(KEY_SUFFIX)
}

/// Reads a key file.
///
/// # Errors
/// [`KeyError`].
pub fn read(path: &Path) -> Result<Secret<32>, KeyError> {
    let file = |source| KeyError::File { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(file)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Permissions { path: path.to_owned(), mode });
    }
    let text = Zeroizing::new(files::read_at_most(path, 128).map_err(file)?);
    let mut bytes = Zeroizing::new([0u8; 32]);
    id::unhex(text.trim_end(), bytes.as_mut_slice())
        .ok_or_else(|| KeyError::Malformed { path: path.to_owned() })?;
    Ok(Secret::new(*bytes))
}

/// Writes a key file; one that holds this key already is left alone.
///
/// # Errors
/// [`KeyError::File`].
pub fn write(path: &Path, secret: &Secret<32>) -> Result<(), KeyError> {
    if read(path).is_ok_and(|present| present == *secret) {
        return Ok(());
    }
    let file = |source| KeyError::File { path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        files::private_dir(dir).map_err(file)?;
    }
    let mut text = Zeroizing::new(id::hex(secret.expose()));
    text.push('\n');
    files::replace(path, text.as_bytes(), true).map_err(file)
}

/// Writes a hop key into a node's directory.
///
/// # Errors
/// [`KeyError::File`].
pub fn write_hop(dir: &Path, secret: &HopSecret) -> Result<(), KeyError> {
    write(&hop_key_path(dir, &secret.public()), &secret.to_secret())
}

/// Erases a hop key. The blocks on the disk are not overwritten: on a journalling file system or a
/// flash drive that would be a gesture; full-disk encryption is what protects them.
///
/// # Errors
/// [`KeyError::File`].
pub fn remove_hop(dir: &Path, key: &HopKey) -> Result<(), KeyError> {
    let path = hop_key_path(dir, key);
    files::remove(&path).map_err(|source| KeyError::File { path, source })
}

/// Whether a document lists a hop key for this node.
pub(crate) fn is_listed(key: &HopKey, own: &Descriptor) -> bool {
    own.hop_keys.iter().any(|period| period.key == *key.as_bytes())
}

/// The hop keys for which `wanted` says yes, at most [`MAX_HOP_SECRETS`].
///
/// # Errors
/// [`KeyError`]: the first key file that cannot be used.
pub fn read_hops(dir: &Path, wanted: impl Fn(&HopKey) -> bool) -> Result<Vec<HopSecret>, KeyError> {
    let hop_dir = dir.join(HOP_DIR);
    let entries = match fs::read_dir(&hop_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(KeyError::File { path: hop_dir, source }),
    };
    let mut secrets = Vec::new();
    for entry in entries.take(MAX_HOP_FILES) {
        let path = entry.map_err(|source| KeyError::File { path: hop_dir.clone(), source })?.path();
        let named = path.file_stem().and_then(|stem| stem.to_str()).and_then(HopKey::from_hex);
        let Some(named) = named.filter(|_| path.extension().is_some_and(|ext| ext == KEY_SUFFIX))
        else {
            continue;
        };
        if !wanted(&named) || secrets.len() >= MAX_HOP_SECRETS {
            continue;
        }
        let secret = HopSecret::from_secret(&read(&path)?);
        if secret.public() != named {
            return Err(KeyError::WrongName { path });
        }
        secrets.push(secret);
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_others_may_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = node_key_path(dir.path());
        let secret = Secret::new([7; 32]);
        write(&path, &secret).expect("writes");
        assert_eq!(read(&path).expect("reads"), secret);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let error = read(&path).expect_err("others may read it").to_string();
        assert!(error.contains("mode 644") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn rubbish_is_no_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = node_key_path(dir.path());
        for rubbish in ["", "abc", &"zz".repeat(32), &"00".repeat(33)] {
            files::replace(&path, rubbish.as_bytes(), true).expect("writes");
            assert!(matches!(read(&path), Err(KeyError::Malformed { .. })), "{rubbish}");
        }
    }

    #[test]
    fn hop_keys_are_found_by_name_and_checked() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(read_hops(dir.path(), |_| true).expect("no directory yet").is_empty());
        let secrets = [1, 2].map(|n| HopSecret::from_secret(&Secret::new([n; 32])));
        for secret in &secrets {
            write_hop(dir.path(), secret).expect("writes");
        }
        let wanted = secrets[0].public();
        let found = read_hops(dir.path(), |key| *key == wanted).expect("reads");
        assert_eq!(found.iter().map(HopSecret::public).collect::<Vec<_>>(), [wanted]);

        remove_hop(dir.path(), &wanted).expect("removes");
        remove_hop(dir.path(), &wanted).expect("twice is fine");
        assert_eq!(read_hops(dir.path(), |_| true).expect("reads").len(), 1);

        write(&hop_key_path(dir.path(), &wanted), &Secret::new([3; 32])).expect("writes");
        assert!(matches!(read_hops(dir.path(), |_| true), Err(KeyError::WrongName { .. })));
    }
}
