//! `daemon.json`: where the profile's daemon is, and what opens it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xchat_client::files;

/// The file's contents.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Card {
    /// The version of the daemon's interface.
    pub(super) api: u32,
    /// On 127.0.0.1.
    pub(super) port: u16,
    /// What a request has to carry.
    pub(super) token: String,
    /// The daemon's process.
    pub(super) pid: u32,
}

impl Card {
    pub(super) fn path(profile: &Path) -> PathBuf {
        profile.join("daemon.json")
    }

    pub(super) fn write(&self, profile: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        files::replace_file(&Self::path(profile), text.as_bytes())
    }

    /// The card, if there is one that only its owner can read.
    pub(super) fn read(profile: &Path) -> io::Result<Option<Self>> {
        let path = Self::path(profile);
        let mode = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if mode & 0o077 != 0 {
            let text = "daemon.json can be read by others on this machine";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?).ok())
    }

    pub(super) fn remove(profile: &Path) {
        // It may be gone already.
        let _ = std::fs::remove_file(Self::path(profile));
    }
}
