//! A person of the demo: their profile, and the commands they would type.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{internal, own_binary};
use crate::failure::{Failure, exit};
use xchat_client::Profile;

/// Not a secret: the demo's people live in a directory of their own and own nothing.
const PASSPHRASE: &str = "demo";

/// One of the two.
pub(super) struct Person {
    name: &'static str,
    profile: PathBuf,
}

impl Person {
    pub(super) fn at(dir: &Path, name: &'static str) -> Self {
        Self { name, profile: dir.join(name) }
    }

    fn command(&self, args: &[&str]) -> Result<Command, Failure> {
        let mut command = Command::new(own_binary()?);
        command
            .arg("--json")
            .arg("--profile")
            .arg(&self.profile)
            .args(args)
            .env("XCHAT_PASSPHRASE", PASSPHRASE)
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs one command; its output lines, or its error as the demo's own.
    async fn run(&self, args: &[&str]) -> Result<Vec<Value>, Failure> {
        let output = self.command(args)?.output().await;
        let output = output.map_err(|error| internal("cannot run a command", &error))?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let error: Value = stderr
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok())
            .unwrap_or_else(|| json!({ "error": { "message": stderr.trim() } }));
        let message = error["error"]["message"].as_str().unwrap_or("no message");
        let text = format!("{}: `xchat {}`: {message}", self.name, args.join(" "));
        let failure = Failure::new(exit::UNAVAILABLE, "demo_failed", text);
        Err(failure.hint(error["error"]["hint"].as_str().unwrap_or_default()))
    }

    pub(super) async fn init_if_new(&self, network: &Path) -> Result<(), Failure> {
        if Profile::exists(&self.profile) {
            return Ok(());
        }
        let network = network.to_string_lossy();
        self.run(&["init", "--network", &network, "--name", self.name]).await.map(drop)
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Opens their page, in the browser if there is one; otherwise the address, which works once.
    pub(super) async fn open(&self, print: bool) -> Result<Option<String>, Failure> {
        let args = if print { &["open", "--print"][..] } else { &["open"] };
        let said = self.run(args).await?;
        let address = said.first().and_then(|line| line["url"].as_str());
        Ok(address.map(str::to_owned))
    }

    /// Whether a daemon of theirs runs.
    pub(super) fn is_online(&self) -> bool {
        Profile::exists(&self.profile) && !matches!(Profile::is_open(&self.profile), Ok(false))
    }

    /// Stops the person's daemon, if it runs.
    pub(super) async fn stop(&self) {
        if self.profile.exists() {
            // Nothing to do about a daemon that is already gone.
            let _ = self.run(&["stop"]).await;
        }
    }
}

/// The first time: one invites, the other accepts. The link is kept until both know each other, so that a run which is
/// interrupted goes on with the meeting that it has begun: a second one would make a second contact of the same name.
pub(super) async fn meet_if_strangers(
    people: &[Person; 2],
    invitation: &Path,
) -> Result<(), Failure> {
    let [inviter, accepter] = people;
    if accepter.run(&["contacts"]).await?.is_empty() {
        let link = match std::fs::read_to_string(invitation) {
            Ok(link) => link,
            Err(_) => invite(inviter, accepter, invitation).await?,
        };
        if let Err(failure) = accepter.run(&["accept", &link]).await {
            // It came true while nobody looked, after the last run.
            if accepter.run(&["contacts"]).await?.is_empty() {
                let hint = "\nIf that link is too old, start over with --fresh.";
                let hint = format!("{}{hint}", failure.hint);
                return Err(failure.hint(hint));
            }
        }
    }
    inviter.run(&["contacts", "--wait", accepter.name]).await?;
    // It has served.
    let _ = std::fs::remove_file(invitation);
    Ok(())
}

async fn invite(inviter: &Person, accepter: &Person, invitation: &Path) -> Result<String, Failure> {
    println!("{} invites {}, through the network …", inviter.name, accepter.name);
    let invited = inviter.run(&["invite"]).await?;
    let link = invited.first().and_then(|line| line["link"].as_str()).unwrap_or_default();
    // Before anybody accepts it.
    xchat_client::files::replace_file(invitation, link.as_bytes())
        .map_err(|error| internal("cannot keep the invitation", &error))?;
    Ok(link.to_owned())
}
