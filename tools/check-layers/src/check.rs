//! Holds `cargo metadata` against the rules.

use serde::Deserialize;

use crate::rules::{BANNED_IN_CORES, LAYERS, LEAF_FOLDERS, Layer, OWNED, RESERVED};

/// The part of `cargo metadata --no-deps` that matters here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    pub(crate) workspace_root: String,
}

/// A member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

/// One line of a `[dependencies]` table.
#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Set for a crate of this repository.
    path: Option<String>,
    /// `None` is a normal dependency; otherwise `dev` or `build`.
    kind: Option<String>,
    /// The `cfg(…)` or triple of a `[target.….dependencies]` table.
    target: Option<String>,
}

impl Package {
    /// The folder of the manifest, relative to the workspace root.
    fn folder<'a>(&'a self, root: &str) -> &'a str {
        let path = self.manifest_path.strip_prefix(root).unwrap_or(&self.manifest_path);
        path.trim_start_matches('/').trim_end_matches("Cargo.toml").trim_end_matches('/')
    }

    fn is_leaf(&self, root: &str) -> bool {
        let top = self.folder(root).split('/').next().unwrap_or_default();
        LEAF_FOLDERS.contains(&top)
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("xchat-").unwrap_or(name)
}

/// The cores of this workspace, by package name.
pub(crate) fn cores(metadata: &Metadata) -> Vec<&str> {
    let is_core = |name: &str| LAYERS.iter().any(|l| l.core && l.name == short(name));
    metadata.packages.iter().map(|p| p.name.as_str()).filter(|name| is_core(name)).collect()
}

/// Every broken rule, one sentence each; empty when all is well. `read` gives a file's text by its
/// path relative to the workspace root.
pub(crate) fn check(metadata: &Metadata, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let root = metadata.workspace_root.as_str();
    let mut broken = Vec::new();
    for package in &metadata.packages {
        let folder = package.folder(root);
        if !read(&format!("{folder}/Cargo.toml")).is_some_and(|text| inherits_lints(&text)) {
            broken.push(format!("{folder}: Cargo.toml lacks `[lints] workspace = true`"));
        }
        if package.is_leaf(root) {
            continue;
        }
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == short(&package.name)) else {
            broken.push(format!("{folder}: no layer is defined for this crate"));
            continue;
        };
        for dependency in &package.dependencies {
            broken.extend(check_dependency(layer, dependency, metadata));
        }
        if layer.core && read(&format!("{folder}/clippy.toml")) != read("tools/core-clippy.toml") {
            broken.push(format!(
                "{folder}: a core's clippy.toml is a link to tools/core-clippy.toml"
            ));
        }
    }
    broken
}

/// Every reserved word in a source file of what ships, by its path relative to the workspace root. Modules of tests do not ship.
pub(crate) fn reserved(path: &str, text: &str) -> Vec<String> {
    if path.contains("/src/tests/") {
        return Vec::new();
    }
    let is_here = |(word, owner): &&(&str, Option<&str>)| {
        text.contains(word) && !owner.is_some_and(|owner| path.starts_with(owner))
    };
    RESERVED.iter().filter(is_here).map(|(word, _)| format!("{path}: `{word}` ships")).collect()
}

fn check_dependency(layer: &Layer, dep: &Dependency, metadata: &Metadata) -> Option<String> {
    let name = layer.name;
    if dep.path.is_some() {
        let target = short(&dep.name);
        let for_tests = dep.kind.as_deref() == Some("dev") && serves_tests(layer, dep, metadata);
        if for_tests || target == "base" || layer.uses.contains(&target) {
            return None;
        }
        let mut allowed = layer.uses.to_vec();
        allowed.push("base");
        return Some(format!(
            "{name} -> {target} is not an arrow; {name} may use {}",
            allowed.join(", ")
        ));
    }
    if let Some((prefix, owner)) = OWNED.iter().find(|(prefix, _)| dep.name.starts_with(prefix))
        && *owner != name
    {
        return Some(format!("{name} names {}: only {owner} may name {prefix}", dep.name));
    }
    // Cores run in the browser, where the host's entropy needs a feature switched on by whoever
    // links them; that is configuration, not use.
    let wasm_only = dep.target.as_deref().is_some_and(|target| target.contains("wasm32"));
    if layer.core && !wasm_only && BANNED_IN_CORES.iter().any(|ban| is_banned(&dep.name, ban)) {
        return Some(format!("{name} is a core and must not depend on {}", dep.name));
    }
    None
}

/// Tests may use the testkit, and those of a core any other core: the real counterpart instead of a
/// stand-in, still without a machine below it.
fn serves_tests(layer: &Layer, dep: &Dependency, metadata: &Metadata) -> bool {
    let root = metadata.workspace_root.as_str();
    let in_testing = |p: &Package| p.name == dep.name && p.folder(root).starts_with("testing/");
    let is_core = LAYERS.iter().any(|other| other.core && other.name == short(&dep.name));
    (layer.core && is_core) || metadata.packages.iter().any(in_testing)
}

fn is_banned(name: &str, ban: &str) -> bool {
    if ban.ends_with('-') { name.starts_with(ban) } else { name == ban }
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[package]\n\n[lints]\nworkspace = true\n";

    /// A workspace of one crate with one dependency, given as the JSON object cargo would print.
    fn verdict(folder: &str, name: &str, dependency: &str) -> Vec<String> {
        let json = format!(
            r#"{{"workspace_root": "/w", "packages": [
                {{"name": "{name}", "manifest_path": "/w/{folder}/Cargo.toml", "dependencies": [{dependency}]}},
                {{"name": "xchat-testkit", "manifest_path": "/w/testing/testkit/Cargo.toml", "dependencies": []}}]}}"#
        );
        let metadata = serde_json::from_str(&json).expect("the test's own JSON");
        check(&metadata, &|path| {
            Some(if path.ends_with("Cargo.toml") { LINTS } else { "same" }.to_owned())
        })
    }

    fn ours(name: &str, kind: &str) -> String {
        format!(r#"{{"name": "xchat-{name}", "path": "/w/x", "kind": {kind}, "target": null}}"#)
    }

    fn external(name: &str, target: &str) -> String {
        format!(r#"{{"name": "{name}", "path": null, "kind": null, "target": {target}}}"#)
    }

    #[test]
    fn an_arrow_of_the_design_passes() {
        assert!(verdict("crates/engine", "xchat-engine", &ours("e2ee", "null")).is_empty());
        assert!(verdict("crates/link", "xchat-link", &ours("base", "null")).is_empty());
    }

    #[test]
    fn a_sideways_arrow_is_named() {
        let broken = verdict("crates/engine", "xchat-engine", &ours("transport", "null"));
        assert_eq!(
            broken,
            ["engine -> transport is not an arrow; engine may use e2ee, pigeonhole, base"]
        );
    }

    #[test]
    fn a_cores_tests_may_run_against_another_core_but_not_against_a_driver() {
        assert!(
            verdict("crates/transport", "xchat-transport", &ours("node", "\"dev\"")).is_empty()
        );
        assert_eq!(verdict("crates/engine", "xchat-engine", &ours("client", "\"dev\"")).len(), 1);
        assert_eq!(verdict("crates/client", "xchat-client", &ours("server", "\"dev\"")).len(), 1);
    }

    #[test]
    fn the_testkit_is_for_tests_only() {
        assert!(verdict("crates/engine", "xchat-engine", &ours("testkit", "\"dev\"")).is_empty());
        assert_eq!(verdict("crates/engine", "xchat-engine", &ours("testkit", "null")).len(), 1);
    }

    #[test]
    fn what_lies_in_testing_may_use_everything() {
        assert!(verdict("testing/simnet", "xchat-simnet", &ours("node", "null")).is_empty());
    }

    #[test]
    fn a_crate_without_a_layer_is_refused() {
        assert_eq!(verdict("crates/misc", "xchat-misc", &ours("base", "null")).len(), 1);
    }

    #[test]
    fn one_owner_per_foreign_stack() {
        assert!(verdict("crates/link", "xchat-link", &external("iroh", "null")).is_empty());
        let broken = verdict("crates/client", "xchat-client", &external("iroh-relay", "null"));
        assert_eq!(broken, ["client names iroh-relay: only link may name iroh"]);
    }

    #[test]
    fn a_core_has_no_runtime_and_no_generator_of_its_own() {
        assert_eq!(verdict("crates/node", "xchat-node", &external("tokio", "null")).len(), 1);
        assert_eq!(
            verdict("crates/node", "xchat-node", &external("futures-util", "null")).len(),
            1
        );
        assert_eq!(verdict("crates/e2ee", "xchat-e2ee", &external("getrandom", "null")).len(), 1);
        let wasm = external("getrandom", r#""cfg(target_arch = \"wasm32\")""#);
        assert!(verdict("crates/e2ee", "xchat-e2ee", &wasm).is_empty());
        assert!(verdict("crates/server", "xchat-server", &external("tokio", "null")).is_empty());
    }

    #[test]
    fn what_ships_has_one_packet_format() {
        let own = "impl PacketFormat for Sphinx {";
        assert!(reserved("crates/sphinx/src/format.rs", own).is_empty());
        assert_eq!(reserved("crates/client/src/driver.rs", own).len(), 1);
        let put_in = "let transport = transport.with_format(&Mine);";
        assert_eq!(reserved("crates/client/src/driver.rs", put_in).len(), 1);
        assert_eq!(reserved("crates/node/src/mix.rs", put_in).len(), 1);
        assert!(reserved("crates/node/src/tests/network.rs", put_in).is_empty());
        assert!(reserved("crates/node/src/mix.rs", "pub fn with_format(mut self)").is_empty());
    }

    #[test]
    fn lints_are_inherited_or_it_is_said() {
        assert!(inherits_lints(LINTS));
        assert!(!inherits_lints("[package]\n"));
        assert!(!inherits_lints("[lints]\n[lints.rust]\n"));
    }
}
