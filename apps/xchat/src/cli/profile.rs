//! Which profile, and a new one.

use std::path::{Path, PathBuf};

use serde_json::json;
use xchat_base::Timestamp;
use xchat_client::{Cost, Error, NewProfile, Pace, Profile, network};

use super::failures::failure;
use super::output::Output;
use super::{Here, InitArgs, PaceArg, passphrase};
use crate::Global;
use crate::failure::{Failure, exit};

/// The profile's directory: as given, or where data of programs lies.
pub(super) fn dir(global: &Global) -> Result<PathBuf, Failure> {
    let dir = match &global.profile {
        Some(dir) => Some(dir.clone()),
        None => default_dir(),
    };
    let dir = dir.ok_or_else(|| {
        Failure::new(exit::USAGE, "no_directory", "where is the profile?")
            .hint("Pass --profile DIR.")
    })?;
    // The daemon outlives this process and its working directory.
    std::path::absolute(&dir).map_err(|error| super::internal("no working directory", &error))
}

fn default_dir() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = named("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let data = data.or_else(|| named("HOME").map(|home| home.join(".local/share")))?;
    Some(data.join("xchat"))
}

pub(super) async fn init(here: &Here<'_>, args: &InitArgs, out: Output) -> Result<(), Failure> {
    let fail = |error: Error| failure(&error.body());
    let dir = &here.profile;
    if Profile::exists(dir) {
        return Err(fail(xchat_client::ProfileError::Exists(dir.clone()).into()));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = Timestamp::ZERO + now.unwrap_or_default();
    let text = network::read(&args.network, now).map_err(|error| fail(error.into()))?;
    let network_name = network::name(&text).map_err(|error| fail(error.into()))?;
    let new = NewProfile {
        name: args.name.clone(),
        network: text,
        network_path: std::path::absolute(&args.network).ok(),
        pace: args.pace.into(),
        cost: Cost::default(),
    };
    let passphrase = passphrase::new(here.global)?;
    Profile::create(dir, &new, &passphrase).map_err(|error| fail(error.into()))?;
    let json = json!({
        "profile": dir, "name": args.name, "network": network_name, "pace": new.pace.name(),
    });
    out.line(&json, || {
        format!(
            "Made a profile for {} in the network “{network_name}”: {}\n\
             Nobody can reset the passphrase. `xchat invite` makes a link for a first contact.",
            args.name,
            dir.display()
        )
    })
}

pub(super) fn back_up(here: &Here<'_>, to: &Path, out: Output) -> Result<(), Failure> {
    let fail = |error: Error| failure(&error.body());
    // Before a passphrase is asked for.
    Profile::find(&here.profile).map_err(|error| fail(error.into()))?;
    if Profile::is_open(&here.profile).map_err(|error| fail(error.into()))? {
        let failure = fail(xchat_client::ProfileError::Locked.into());
        return Err(failure.hint("Go offline first: xchat stop"));
    }
    let passphrase = passphrase::existing(here.global)?;
    Profile::back_up(&here.profile, &passphrase, to).map_err(|error| fail(error.into()))?;
    let to = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
    out.line(&json!({ "backup": to }), || {
        format!(
            "Copied the profile to {}. It opens with the same passphrase.\n\
             To come back from it, put the directory in the profile's place: contacts see that you rejoined.",
            to.display()
        )
    })
}

impl From<PaceArg> for Pace {
    fn from(pace: PaceArg) -> Self {
        match pace {
            PaceArg::Fast => Self::Fast,
            PaceArg::Desk => Self::Desk,
            PaceArg::Phone => Self::Phone,
            PaceArg::Thrift => Self::Thrift,
        }
    }
}
