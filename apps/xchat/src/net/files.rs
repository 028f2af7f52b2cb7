//! What `net up` writes: each node's directory, the network file, the list of nodes.

use std::path::{Path, PathBuf};

use rand_core::OsRng;
use serde_json::{Value, json};
use xchat_base::Timestamp;
use xchat_server::files as disk;
use xchat_server::node::directory::network_file::MAX_FILE_LEN;
use xchat_server::node::directory::{NetworkFile, VerifiedDocument};
use xchat_server::node::sphinx::HopKey;
use xchat_server::prepared::store_incarnation;
use xchat_server::{NodeConfig, keys};

use super::authority::{self, hop_secret};
use super::broken;
use super::plan::{Plan, PlannedNode, Tuning};
use crate::failure::{Failure, exit};
use crate::node::failure;

const NETWORK: &str = "network.json";
const NODES: &str = "nodes.json";
const CONFIG: &str = "node.toml";

pub(super) fn network_path(dir: &Path) -> PathBuf {
    dir.join(NETWORK)
}

pub(super) fn config_path(node: &PlannedNode, dir: &Path) -> PathBuf {
    node.dir(dir).join(CONFIG)
}

/// Writes whatever a node's directory lacks or has old. Its table is left alone.
pub(super) fn prepare(node: &PlannedNode, dir: &Path, tuning: Tuning) -> Result<(), Failure> {
    let own = node.dir(dir);
    disk::private_dir(&own).map_err(|error| broken(own.display(), &error))?;
    let mut config = NodeConfig::new(node.role, node.address, network_path(dir), own.clone());
    config.max_sessions = tuning.max_sessions.unwrap_or(config.max_sessions);
    config.link_rate = tuning.link_rate.unwrap_or(config.link_rate);
    let path = config_path(node, dir);
    let text = config.to_toml();
    if std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
        disk::replace(&path, text.as_bytes(), false)
            .map_err(|error| broken(path.display(), &error))?;
    }
    let key = |error: keys::KeyError| failure(error.into());
    keys::write(&keys::node_key_path(&own), &node.secret()?).map_err(key)?;
    for planned in &node.hop_keys {
        keys::write_hop(&own, &hop_secret(planned)?).map_err(key)?;
    }
    Ok(())
}

/// Makes the tables of stores that never had one, so that the first document can list them.
pub(super) fn make_tables(plan: &mut Plan, dir: &Path) -> Result<(), Failure> {
    for node in &mut plan.nodes {
        let own = node.dir(dir);
        let Some(store) = node.store.as_mut().filter(|store| store.incarnation.is_none()) else {
            continue;
        };
        disk::private_dir(&own).map_err(|error| broken(own.display(), &error))?;
        store.incarnation = Some(store_incarnation(&own, &mut OsRng).map_err(failure)?);
    }
    Ok(())
}

/// Rolls keys, writes them, and then the document that lists them: in this order, so that a node
/// which sees the document has its keys. The document.
pub(super) fn renew(
    plan: &mut Plan,
    dir: &Path,
    now: Timestamp,
) -> Result<VerifiedDocument, Failure> {
    let over = authority::roll_keys(plan, now)?;
    plan.save(dir)?;
    for node in &plan.nodes {
        prepare(node, dir, plan.tuning())?;
    }
    let path = network_path(dir);
    let current = match disk::read_at_most(&path, MAX_FILE_LEN) {
        Ok(text) => Some(NetworkFile::parse(&text).map_err(|error| {
            Failure::from((exit::INVALID, "network_file", error))
                .hint("restore the file: without it the chain of documents cannot go on")
        })?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(broken(path.display(), &error)),
    };
    let next = authority::sign(plan, current.as_ref(), now)?;
    disk::replace(&path, next.to_json().as_bytes(), false)
        .map_err(|error| broken(path.display(), &error))?;
    remove_keys(plan, dir, &over)?;
    let document = next.verify(now);
    document
        .map_err(|error| Failure::from((exit::INTERNAL, "document", error)).hint("this is a bug"))
}

/// A running node erases its own keys; this is for those that ended while nothing ran.
fn remove_keys(plan: &Plan, dir: &Path, over: &[(usize, HopKey)]) -> Result<(), Failure> {
    for (index, key) in over {
        keys::remove_hop(&plan.nodes[*index].dir(dir), key)
            .map_err(|error| failure(error.into()))?;
    }
    Ok(())
}

/// Writes the list of nodes; `pids` in the plan's order, `None` for one that does not run.
pub(super) fn write_nodes(plan: &Plan, dir: &Path, pids: &[Option<u32>]) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(|error| broken("the program", &error))?;
    let mut list: Vec<Value> = Vec::with_capacity(plan.nodes.len());
    for (node, pid) in plan.nodes.iter().zip(pids) {
        let restart = [
            quoted(&program),
            "net restart --dir".to_owned(),
            quoted(dir),
            format!("--node {}", node.name),
        ];
        list.push(json!({
            "name": node.name,
            "role": node.role.as_str(),
            "layer": node.layer,
            "id": node.id()?.to_hex(),
            "address": node.address,
            "pid": pid,
            "dir": node.dir(dir),
            "config": config_path(node, dir),
            "restart": restart.join(" "),
        }));
    }
    let mut text = serde_json::to_string_pretty(&list).map_err(|error| broken(NODES, &error))?;
    text.push('\n');
    disk::replace(&dir.join(NODES), text.as_bytes(), false)
        .map_err(|error| broken(dir.join(NODES).display(), &error))
}

/// For a shell: quoted unless it is plain.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/a-b_c.d")), "/tmp/a-b_c.d");
        assert_eq!(quoted(Path::new("/tmp/a b")), "'/tmp/a b'");
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
    }
}
