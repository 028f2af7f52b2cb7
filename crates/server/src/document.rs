//! The network file: read at the start, and again whenever it changes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use xchat_node::directory::network_file::MAX_FILE_LEN;
use xchat_node::directory::{NetworkFile, NetworkFileError, Root, VerifiedDocument};

use crate::clock;
use crate::core::Event;
use crate::error::NodeError;
use crate::files;

/// How often the file is looked at. Documents are replaced hours before they end; the shortness is
/// for operators who wait.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Reads and checks a network file.
pub(crate) fn read(path: &Path) -> Result<(Root, VerifiedDocument), NodeError> {
    let network_file =
        |source: NetworkFileError| NodeError::NetworkFile { path: path.to_owned(), source };
    let text = match files::read_at_most(path, MAX_FILE_LEN) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::FileTooLarge => {
            return Err(network_file(NetworkFileError::TooLong));
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(network_file(NetworkFileError::NotText));
        }
        Err(error) => return Err(NodeError::file(path)(error)),
    };
    let file = NetworkFile::parse(&text).map_err(network_file)?;
    let document = file
        .verify(clock::now())
        .map_err(|source| NodeError::Document { path: path.to_owned(), source })?;
    Ok((file.root, document))
}

/// Hands newer documents to the core and to whoever looks at `current`, until nobody does.
pub(crate) async fn follow(
    path: PathBuf,
    root: Root,
    current: watch::Sender<VerifiedDocument>,
    events: mpsc::Sender<Event>,
) {
    // The file as it was when it was last taken or refused for good. One that cannot be used now (half
    // copied, or valid a minute from now) is looked at again.
    let mut seen = None;
    let mut warned = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let stamp = stamp(&path);
        if stamp == seen {
            continue;
        }
        let newer = match read(&path) {
            Ok((of, _)) if of.id() != root.id() => {
                tracing::warn!("the network file is now that of another network; not used");
                seen = stamp;
                continue;
            }
            Ok((_, newer)) => newer,
            Err(error) => {
                if warned != stamp {
                    tracing::warn!(%error, "the network file has changed and cannot be used");
                    warned = stamp;
                }
                continue;
            }
        };
        seen = stamp;
        if newer.hash() == current.borrow().hash() {
            continue;
        }
        let follows = newer.follows(&current.borrow());
        if let Err(error) = follows {
            tracing::warn!(%error, "the new network document is not used");
            continue;
        }
        tracing::info!(epoch = newer.epoch, "a new network document");
        current.send_replace(newer.clone());
        if events.send(Event::Document(newer)).await.is_err() {
            return;
        }
    }
}

/// What changes when a file is replaced.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
