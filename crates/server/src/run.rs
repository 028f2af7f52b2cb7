//! A node, from its configuration to its end.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use rand_core::OsRng;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use xchat_link::{Endpoint, LinkConfig, LinkSecret, wait_until_free};
use xchat_node::gateway::Limits;
use xchat_node::pigeonhole::AnswerKey;
use xchat_node::sphinx::HopSecret;
use xchat_node::sphinx::frame::{CLIENT_ALPN, PACKET_ALPN, REPLICA_ALPN};
use xchat_node::store::StoreSetup;
use xchat_node::{Gateway, Mix, Store};

use crate::accept::accept;
use crate::clock;
use crate::config::{self, NodeConfig, RoleName};
use crate::control::{About, Control, Reporter};
use crate::core::{Driver, MAX_WAITING};
use crate::document;
use crate::error::NodeError;
use crate::files;
use crate::journal::Journal;
use crate::links::Links;
use crate::metrics::Metrics;
use crate::prepared::Prepared;
use crate::role::{Act, GatewayRole, Input, MixRole, Role, StoreRole};
use crate::table::DiskTable;

/// Whatever still holds a link of a closed endpoint has so long to let go of it.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs a node until `shutdown`.
///
/// # Errors
/// [`NodeError`]: why it could not start, or could not go on.
pub async fn run(config: NodeConfig, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
    let mut prepared = Prepared::load(config)?;
    files::private_dir(&prepared.config.dir).map_err(NodeError::file(&prepared.config.dir))?;
    let control = Control::bind(&prepared.config.dir).await?;
    let metrics = match prepared.config.metrics {
        Some(address) => Some(Metrics::bind(address).await?),
        None => None,
    };
    let hop_keys: BTreeSet<_> = prepared.hops.iter().map(HopSecret::public).collect();
    let Started { role, acts, journal } = start_core(&mut prepared)?;
    let Prepared { config, id, seed, root, document, .. } = prepared;
    let max_sessions = max_sessions(&config);

    let alpns = alpns(config.role);
    let link = LinkConfig::listening(LinkSecret::from_seed(seed), config.bind, alpns);
    let endpoint = Endpoint::bind(link).await?;
    let (events, received) = mpsc::channel(MAX_WAITING);
    let (current, watched) = watch::channel(document.clone());
    let (alive, mut all_gone) = mpsc::channel(1);
    let links =
        Links::new(id, endpoint.clone(), Handle::current(), alive.clone(), config.link_rate);
    let driver = Driver::new(role, journal, links, id, config.dir.clone(), hop_keys);
    let (stop, stopped) = oneshot::channel();
    let (ended, mut core) = oneshot::channel();
    std::thread::Builder::new()
        .name("core".to_owned())
        .spawn(move || {
            let result = Builder::new_current_thread()
                .enable_time()
                .build()
                .map_err(NodeError::file("core thread"))
                .and_then(|runtime| {
                    runtime.block_on(driver.run(&document, acts, received, stopped))
                });
            // The other side is only gone when the process is.
            let _ = ended.send(result);
        })
        .map_err(NodeError::file("core thread"))?;

    let about = About { role: config.role, id };
    let reporter = Reporter { about, document: watched.clone(), events: events.clone() };
    let accepting = accept(endpoint.clone(), watched, events.clone(), max_sessions, alive);
    let mut tasks = vec![
        tokio::spawn(accepting),
        tokio::spawn(control.serve(reporter.clone())),
        tokio::spawn(document::follow(config.network, root, current, events)),
    ];
    tasks.extend(metrics.map(|metrics| tokio::spawn(metrics.serve(reporter))));
    tracing::info!(role = %config.role, "serving");
    let result = tokio::select! {
        () = shutdown => {
            tracing::info!("stopping");
            let _ = stop.send(());
            core.await.unwrap_or(Err(NodeError::CoreStopped))
        }
        result = &mut core => result.unwrap_or(Err(NodeError::CoreStopped)),
    };
    let addresses = endpoint.local_addresses();
    endpoint.close().await;
    for task in tasks {
        task.abort();
        let _ = task.await;
    }
    // The sockets are free once nobody holds the endpoint: whoever waited may bind them again.
    let _ = timeout(GOODBYE, all_gone.recv()).await;
    drop(endpoint);
    if !wait_until_free(&addresses, GOODBYE).await {
        tracing::warn!("the address is still in use");
    }
    result
}

fn max_sessions(config: &NodeConfig) -> usize {
    usize::try_from(config.max_sessions).unwrap_or(usize::MAX)
}

fn alpns(role: RoleName) -> &'static [&'static [u8]] {
    match role {
        RoleName::Gateway => &[CLIENT_ALPN, PACKET_ALPN],
        RoleName::Mix => &[PACKET_ALPN],
        RoleName::Store => &[PACKET_ALPN, REPLICA_ALPN],
    }
}

/// A core, and what it wanted when it started.
struct Started {
    role: Box<dyn Role>,
    acts: Vec<Act>,
    journal: Journal,
}

fn start_core(prepared: &mut Prepared) -> Result<Started, NodeError> {
    let (hop, journal) = prepared.open_hop()?;
    let (id, document) = (prepared.id, prepared.document.clone());
    let (role, acts): (Box<dyn Role>, _) = match prepared.config.role {
        RoleName::Gateway => {
            let max_sessions = max_sessions(&prepared.config);
            let limits = Limits { max_sessions, ..Limits::default() };
            let mut gateway = Gateway::new(id, document, limits)?;
            if let Some(mbit_per_s) = prepared.config.max_mbit_per_s {
                gateway.limit_packets(config::packets(mbit_per_s));
            }
            let mut role = GatewayRole(gateway);
            let acts = role.handle(Input::Timer, clock::now(), &mut OsRng);
            (Box::new(role), acts)
        }
        RoleName::Mix => {
            let (mix, effects) = Mix::new(id, document, hop, clock::now())?;
            let (role, acts) = MixRole::new(mix, effects);
            (Box::new(role), acts)
        }
        RoleName::Store => {
            let config = &prepared.config;
            let table = DiskTable::open(&config.dir, config.cache_mib, &mut OsRng)?;
            let setup = StoreSetup {
                id,
                answer_key: AnswerKey::from_seed(&prepared.seed),
                incarnation: table.incarnation(),
                hop,
            };
            let (store, effects) = Store::new(setup, document, table, clock::now(), &mut OsRng)?;
            if store.is_catching_up() {
                tracing::warn!("catching up: this store does not answer for all of its boxes yet");
            }
            let most = config.max_disk_mib.map(|mib| u64::from(mib) * 1024 * 1024);
            let (role, acts) = StoreRole::new(store, effects, most);
            (Box::new(role), acts)
        }
    };
    Ok(Started { role, acts, journal })
}
