//! A short attack, so that every test run makes one; the long one is `./x attack`.

use std::path::Path;
use std::process::Command;

const SECONDS: &str = "15";

/// Nothing is taken that must not be, and two people's messages arrive once and in order.
#[test]
fn a_short_attack_changes_nothing() {
    let attack = Path::new(env!("CARGO_BIN_EXE_xchat-attack"));
    // The same run of cargo builds both programs into one directory.
    let xchat = attack.with_file_name("xchat");
    assert!(xchat.exists(), "build it first: cargo build --package xchat");
    let output = Command::new(attack)
        .arg("--xchat")
        .arg(xchat)
        .args(["--seconds", SECONDS, "--rate", "1000"])
        .output()
        .expect("it starts");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}
