//! Network files: what a profile knows of its network before it goes online.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use thiserror::Error;
use xchat_base::Timestamp;
use xchat_transport::directory::network_file::MAX_FILE_LEN;
use xchat_transport::directory::{
    DirectoryError, NetworkFile, NetworkFileError, Root, VerifiedDocument,
};

use crate::api::PaceChoice;

/// Why a network file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It cannot be read.
    #[error("cannot read the network file")]
    Read(#[source] std::io::Error),
    /// It is not one.
    #[error(transparent)]
    File(#[from] NetworkFileError),
    /// Its document is expired, unsigned or foreign.
    #[error("the network file's document is refused: {0}")]
    Document(#[from] DirectoryError),
}

/// Reads and checks a network file: the text to keep.
///
/// # Errors
/// [`NetworkError`] with the reason.
pub fn read(path: &Path, now: Timestamp) -> Result<String, NetworkError> {
    let text = read_bounded(path)?;
    NetworkFile::parse(&text)?.verify(now)?;
    Ok(text)
}

/// The name of a network file's network.
///
/// # Errors
/// [`NetworkError`] with the reason.
pub fn name(text: &str) -> Result<String, NetworkError> {
    Ok(NetworkFile::parse(text)?.root.name().as_str().to_owned())
}

/// What a person is told of a network before they are in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// The paces in it, fastest first.
    pub paces: Vec<PaceChoice>,
}

/// Describes a network file that [`read`] has checked.
///
/// # Errors
/// [`NetworkError`] with the reason.
pub fn describe(text: &str) -> Result<Described, NetworkError> {
    let file = NetworkFile::parse(text)?;
    let name = file.root.name().as_str().to_owned();
    let document = file.document.dangerously_assume_timely(&file.root)?;
    Ok(Described { name, paces: PaceChoice::all(&document.parameters) })
}

fn read_bounded(path: &Path) -> Result<String, NetworkError> {
    let mut bytes = Vec::new();
    // Not by its length as the system says it: it may be a device, or grow.
    let file = File::open(path).map_err(NetworkError::Read)?;
    file.take(MAX_FILE_LEN as u64 + 1).read_to_end(&mut bytes).map_err(NetworkError::Read)?;
    if bytes.len() > MAX_FILE_LEN {
        return Err(NetworkFileError::TooLong.into());
    }
    String::from_utf8(bytes).map_err(|_| NetworkFileError::NotText.into())
}

/// What a start begins with.
pub(crate) struct Start {
    pub(crate) root: Root,
    pub(crate) document: VerifiedDocument,
    /// The text, if it is newer than the one that was kept.
    pub(crate) newer: Option<String>,
}

/// The kept network file, or the one at `path` if it has a newer document of the same network.
///
/// An expired document is taken: the transport sends nothing by it and waits for a newer one.
pub(crate) fn start(
    kept: &str,
    path: Option<&Path>,
    now: Timestamp,
) -> Result<Start, NetworkError> {
    let file = NetworkFile::parse(kept)?;
    let root = file.root.clone();
    let document = file.document.dangerously_assume_timely(&root)?;
    let newer = path.and_then(|path| newer_file(path, &document, &root, now));
    Ok(match newer {
        Some((text, document)) => Start { root, document, newer: Some(text) },
        None => Start { root, document, newer: None },
    })
}

/// What is wrong with the file does not matter here: the kept one serves.
fn newer_file(
    path: &Path,
    than: &VerifiedDocument,
    root: &Root,
    now: Timestamp,
) -> Option<(String, VerifiedDocument)> {
    let text = read_bounded(path).ok()?;
    let document = NetworkFile::parse(&text).ok()?.document.verify(root, now).ok()?;
    document.follows(than).ok()?;
    Some((text, document))
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests;
