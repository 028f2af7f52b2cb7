//! The profile in the daemon's hands: not there yet, locked, or open.
//!
//! The directory is held from the daemon's start to its end, also while the profile in it is closed: whoever
//! looks for a daemon asks who holds it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::spawn_blocking;
use xchat_base::Timestamp;
use xchat_client::network::{self, Described};
use xchat_client::{
    Client, Cost, Error, ErrorBody, ErrorKind, Hold, NewProfile, Pace, Passphrase, Profile,
};

use super::socket::frames::ProfileState;

/// Whoever has the profile's daemon but not its passphrase.
const NOT_OPEN: (&str, &str, &str) = (
    "passphrase_needed",
    "the profile is locked",
    "Unlock it in the page, or run a command that asks for the passphrase.",
);

/// See the module's page.
pub(super) struct Keeper {
    dir: PathBuf,
    /// Of a network that a new profile would be in.
    network: Mutex<Option<PathBuf>>,
    /// Let go of when the daemon ends.
    hold: Mutex<Option<Hold>>,
    opened: watch::Sender<Opened>,
    /// One derivation of a key at a time: it is meant to be slow, and takes memory.
    changing: AsyncMutex<()>,
}

/// An open profile, or none.
#[derive(Clone, Default)]
pub(super) struct Opened {
    /// Counts the changes.
    number: u64,
    open: Option<Open>,
}

#[derive(Clone)]
struct Open {
    /// The change by which it was opened.
    number: u64,
    client: Client,
    name: String,
}

impl Opened {
    /// Its client, and a number that no other client of this daemon has.
    pub(super) fn client(&self) -> Option<(u64, &Client)> {
        self.open.as_ref().map(|open| (open.number, &open.client))
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.open.as_ref().map(|open| open.name.as_str())
    }
}

impl Keeper {
    pub(super) fn new(dir: &Path, hold: Hold, network: Option<PathBuf>) -> Self {
        Self {
            dir: dir.to_owned(),
            network: Mutex::new(network),
            hold: Mutex::new(Some(hold)),
            opened: watch::Sender::new(Opened::default()),
            changing: AsyncMutex::new(()),
        }
    }

    /// Whose profile it is, as it stands, and to be told of changes.
    pub(super) fn opened(&self) -> watch::Receiver<Opened> {
        self.opened.subscribe()
    }

    pub(super) fn state(&self) -> ProfileState {
        if self.opened.borrow().open.is_some() {
            ProfileState::Open
        } else if Profile::exists(&self.dir) {
            ProfileState::Locked
        } else {
            ProfileState::Absent
        }
    }

    /// The client of the open profile.
    pub(super) fn client(&self) -> Result<Client, ErrorBody> {
        if let Some((_, client)) = self.opened.borrow().client() {
            return Ok(client.clone());
        }
        if let Err(error) = Profile::find(&self.dir) {
            return Err(Error::from(error).body());
        }
        let (code, message, hint) = NOT_OPEN;
        let [code, message, hint] = [code, message, hint].map(str::to_owned);
        Err(ErrorBody { code, message, hint })
    }

    /// Opens the profile and goes online; done already if it is open.
    pub(super) async fn unlock(&self, passphrase: Passphrase) -> Result<(), ErrorBody> {
        let _changing = self.changing.lock().await;
        self.open(passphrase).await.map_err(|error| error.body())
    }

    async fn open(&self, passphrase: Passphrase) -> Result<(), Error> {
        if self.opened.borrow().open.is_some() {
            return Ok(());
        }
        let (hold, dir) = (self.hold()?, self.dir.clone());
        let opening = spawn_blocking(move || Profile::open_held(&hold, &dir, &passphrase));
        let profile = opening.await.map_err(|_| panicked())??;
        let name = profile.name().to_owned();
        let client = Client::start(profile)?;
        self.opened.send_modify(|opened| {
            let number = opened.number + 1;
            *opened = Opened { number, open: Some(Open { number, client, name }) };
        });
        Ok(())
    }

    /// Makes the profile, opens it and goes online.
    pub(super) async fn create(
        &self,
        name: String,
        passphrase: Passphrase,
        pace: &str,
    ) -> Result<(), ErrorBody> {
        let _changing = self.changing.lock().await;
        let Some(pace) = Pace::from_name(pace) else {
            return Err(bad("invalid", "there is no such pace"));
        };
        let path = self.network().ok_or_else(|| {
            let hint = "Get a network file from whoever runs the network, and open the page with \
                        `xchat open --network FILE`.";
            ErrorBody { hint: hint.to_owned(), ..bad("bad_network", "no network is known") }
        })?;
        let (hold, dir) = (self.hold().map_err(|error| error.body())?, self.dir.clone());
        let given = passphrase.clone();
        let making = spawn_blocking(move || {
            let network = network::read(&path, now())?;
            let cost = Cost::default();
            let new = NewProfile { name, network, network_path: Some(path), pace, cost };
            Ok::<_, Error>(Profile::create_held(&hold, &dir, &new, &given)?)
        });
        let made = making.await.map_err(|_| panicked()).and_then(|made| made);
        let opened = match made {
            Ok(()) => self.open(passphrase).await,
            Err(error) => {
                // There may be one since, made by a command: then the pages learn of it.
                self.opened.send_modify(|opened| opened.number += 1);
                Err(error)
            }
        };
        opened.map_err(|error| error.body())
    }

    /// Goes offline and forgets the keys.
    pub(super) async fn lock(&self) {
        let _changing = self.changing.lock().await;
        // First, so that a client which stops because of this is nobody's any more.
        let number = self.opened.borrow().number + 1;
        if let Some(open) = self.opened.send_replace(Opened { number, open: None }).open {
            open.client.stop().await;
        }
    }

    /// As [`Self::lock`], and lets go of the directory.
    pub(super) async fn end(&self) {
        let _changing = self.changing.lock().await;
        let client = self.opened.borrow().client().map(|(_, client)| client.clone());
        if let Some(client) = client {
            client.stop().await;
        }
        drop(self.hold.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Returns if the client of the open profile ends without having been asked to.
    pub(super) async fn died(&self) {
        let mut opened = self.opened.subscribe();
        loop {
            let now = opened.borrow_and_update().clone();
            match now.client() {
                Some((number, client)) => tokio::select! {
                    () = client.stopped() => {
                        let present = self.opened.borrow().client().map(|(number, _)| number);
                        if present == Some(number) {
                            return;
                        }
                    }
                    changed = opened.changed() => if changed.is_err() { return },
                },
                None => {
                    if opened.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// A new profile would be in the network of this file.
    pub(super) fn set_network(&self, path: PathBuf) {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
        self.opened.send_modify(|opened| opened.number += 1);
    }

    /// The network that a new profile would be in, if it can be used.
    pub(super) fn described(&self) -> Option<Described> {
        network::describe(&network::read(&self.network()?, now()).ok()?).ok()
    }

    /// As given, or a file that lies in the profile's directory.
    fn network(&self) -> Option<PathBuf> {
        let given = self.network.lock().unwrap_or_else(PoisonError::into_inner).clone();
        given.or_else(|| Some(self.dir.join("network.json")).filter(|path| path.exists()))
    }

    fn hold(&self) -> Result<Hold, Error> {
        let hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hold.ok_or_else(|| Error::new(ErrorKind::Stopped, "the daemon is ending"))
    }
}

fn bad(code: &str, message: &str) -> ErrorBody {
    ErrorBody { code: code.to_owned(), message: message.to_owned(), hint: String::new() }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "opening the profile has panicked")
}

fn now() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::ZERO + now.unwrap_or_default()
}
