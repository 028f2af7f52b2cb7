//! The rules themselves. ARCHITECTURE.md draws the same arrows for people; change both together.

/// A crate that ships, and the crates of ours that it may use besides `base`.
pub(crate) struct Layer {
    /// The crate's name without the `xchat-` prefix.
    pub(crate) name: &'static str,
    /// A core has no async, sockets, files, clock, threads or global randomness.
    pub(crate) core: bool,
    /// Arrows out of it; `base` is open to everyone and not listed.
    pub(crate) uses: &'static [&'static str],
}

const fn core(name: &'static str, uses: &'static [&'static str]) -> Layer {
    Layer { name, core: true, uses }
}

const fn shell(name: &'static str, uses: &'static [&'static str]) -> Layer {
    Layer { name, core: false, uses }
}

/// Every crate under `crates/` and `apps/`. A crate that is missing here fails the check.
pub(crate) const LAYERS: &[Layer] = &[
    core("base", &[]),
    core("sphinx", &[]),
    core("pigeonhole", &[]),
    core("directory", &[]),
    core("circuit", &[]),
    core("e2ee", &[]),
    core("engine", &["e2ee", "pigeonhole"]),
    core("transport", &["directory", "sphinx", "pigeonhole", "circuit"]),
    core("node", &["directory", "sphinx", "pigeonhole", "circuit"]),
    shell("link", &[]),
    shell("client", &["engine", "transport", "link"]),
    shell("server", &["node", "link"]),
    shell("xchat", &["client", "server"]),
];

/// Folders whose crates nothing that ships depends on; they may use every layer.
pub(crate) const LEAF_FOLDERS: &[&str] =
    &["testing", "proofs", "fuzz", "bench", "examples", "tools"];

/// Dependencies with one owner: a crate whose name starts with the first may be named by the second
/// only, so that replacing it touches one crate.
pub(crate) const OWNED: &[(&str, &str)] = &[
    ("iroh", "link"),
    ("openmls", "e2ee"),
    ("sphinx-packet", "sphinx"),
    ("rusqlite", "client"),
    ("fjall", "server"),
];

/// Words that code under `crates/` and `apps/` does not have, but for the folder of the second: what ships has one
/// packet format, and nobody puts another in its place (`docs/adr/0008-packets-as-a-value.md`).
pub(crate) const RESERVED: &[(&str, Option<&str>)] = &[
    ("PacketFormat for ", Some("crates/sphinx/")),
    (".with_format(", None),
    ("::with_format(", None),
];

/// Crates that bring in what a core must not have. Names ending in `-` are prefixes. Tests of a core
/// may use them no more than its code: a test that needs a clock or a thread tests the driver.
pub(crate) const BANNED_IN_CORES: &[&str] = &[
    "async-",
    "axum",
    "chrono",
    "crossbeam",
    "fjall",
    "futures",
    "futures-",
    "getrandom",
    "hyper",
    "iroh",
    "iroh-",
    "libc",
    "mio",
    "parking_lot",
    "rand",
    "rayon",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tokio-",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrow_points_to_a_layer_above_it_in_the_table() {
        // The table is ordered, so this also shows that the arrows have no cycle.
        for (row, layer) in LAYERS.iter().enumerate() {
            for target in layer.uses {
                let found = LAYERS[..row].iter().any(|other| other.name == *target);
                assert!(found, "{} -> {target}", layer.name);
            }
        }
    }

    #[test]
    fn a_core_uses_only_cores() {
        for layer in LAYERS.iter().filter(|layer| layer.core) {
            for target in layer.uses {
                assert!(LAYERS.iter().any(|other| other.name == *target && other.core));
            }
        }
    }
}
