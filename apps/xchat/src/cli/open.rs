//! Opening the page.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;
use xchat_client::files;

use super::failures::of_file;
use super::output::Output;
use super::{Here, OpenArgs, internal, passphrase};
use crate::daemon::Daemon;
use crate::failure::Failure;

pub(super) async fn open(here: &Here<'_>, args: OpenArgs, out: Output) -> Result<(), Failure> {
    let network = network(args.network)?;
    let network = network.as_deref();
    // Nobody is asked: the page does that.
    let passphrase = passphrase::given(here.global)?;
    let daemon = Daemon::for_page(&here.profile, passphrase, network).await?;
    let address = daemon.page(network).await?;
    if !args.print && has_display() && show(&here.profile, &address).await? {
        return out.line(&json!({ "opened": true }), || "Opened in the browser.".to_owned());
    }
    out.line(&json!({ "opened": false, "url": address }), || {
        format!("Open this in a browser on this machine; it works once, for a minute:\n{address}")
    })
}

/// A path that means the same to the daemon.
pub(super) fn network(given: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    given
        .map(|path| std::path::absolute(path).map_err(|error| internal("no such path", &error)))
        .transpose()
}

/// Whether a browser could be seen.
fn has_display() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// A program that finds no browser says so by then.
const REFUSES_WITHIN: Duration = Duration::from_secs(3);

/// Hands the address over to the browser; false if there is no program for that.
///
/// Every user of the machine can read the arguments of a program. So the browser gets the name of a file
/// that only its owner can read, and that sends it on.
async fn show(profile: &Path, address: &str) -> Result<bool, Failure> {
    let path = profile.join("open.html");
    let text = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>xchat</title>\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0;url={address}\">\n"
    );
    files::replace_file(&path, text.as_bytes())
        .map_err(|error| of_file("write open.html", &error))?;
    let opening = Command::new("xdg-open")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for this program, not for the browser.
        .process_group(0)
        .spawn();
    let Ok(mut opening) = opening else { return Ok(false) };
    match timeout(REFUSES_WITHIN, opening.wait()).await {
        Ok(status) => Ok(status.is_ok_and(|status| status.success())),
        // Without a desktop it is the browser itself, and stays.
        Err(_) => Ok(true),
    }
}
