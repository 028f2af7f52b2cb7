//! `check-layers`: fails when a crate depends on something its layer must not see.
//!
//! With `--cores` it prints the packages that are cores instead, one a line, for the WebAssembly
//! check in `x`.

use std::process::{Command, ExitCode};

mod check;
mod rules;

fn main() -> ExitCode {
    let metadata = match metadata() {
        Ok(metadata) => metadata,
        Err(why) => {
            eprintln!("check-layers: {why}");
            return ExitCode::from(2);
        }
    };
    if std::env::args().nth(1).as_deref() == Some("--cores") {
        for name in check::cores(&metadata) {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    let root = metadata.workspace_root.clone();
    let mut broken =
        check::check(&metadata, &|path| std::fs::read_to_string(format!("{root}/{path}")).ok());
    for folder in ["crates", "apps"] {
        if let Err(why) = sources(&root, folder, &mut broken) {
            eprintln!("check-layers: {folder}: {why}");
            return ExitCode::from(2);
        }
    }
    for line in &broken {
        eprintln!("{line}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Looks into every Rust file below a folder.
fn sources(root: &str, folder: &str, broken: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(format!("{root}/{folder}"))? {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            sources(root, &path, broken)?;
        } else if path.ends_with(".rs") {
            broken.extend(check::reserved(&path, &std::fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}

fn metadata() -> Result<check::Metadata, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|why| format!("cargo metadata: {why}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|why| format!("cargo metadata: {why}"))
}
