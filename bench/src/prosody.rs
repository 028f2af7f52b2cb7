//! The peer that protects nothing: one XMPP server, two clients.

use std::path::Path;
use std::process::Command;

use crate::report::Row;

pub(crate) fn run(_args: &crate::Args) -> Vec<Row> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/xmpp/run");
    let output = Command::new(&script).output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        other => {
            eprintln!("bench: prosody is left out: {other:?}");
            return Vec::new();
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let row = |what: &str, name: &str, unit| Some(Row::new(what, figure(name)?, unit));
    [
        row("prosody (XMPP over TLS, no end-to-end encryption), one way", "median_ms", "ms"),
        row("prosody, a message", "cpu_ms", "ms CPU"),
        row("prosody, messages", "per_second", "a second"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
