//! `xchat net renew`: the authorities' part of a network whose nodes run elsewhere, or under another supervisor.
//!
//! It writes what `net up` writes, makes hop keys and the next document, and starts nothing. Somebody has to
//! carry each node's new keys and the document to the node, in this order, before half a day is over.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use xchat_server::node::directory::Incarnation;
use xchat_server::{clock, files as disk};

use super::plan::Plan;
use super::{MixDelay, UpArgs, broken, files, mix_delay, request};
use crate::failure::{Failure, exit};

/// What `xchat net renew` understands.
#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// Where the network's keys lie, or shall.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Gateways, 1 to 32; 2 if the network is new.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    gateways: Option<u8>,
    /// Mixes in each of the three layers, 1 to 32; 1 if the network is new.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    mixes_per_layer: Option<u8>,
    /// Stores, 3 to 64; 4 if the network is new.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(3..=64))]
    stores: Option<u8>,
    /// Mean delay of a mix in milliseconds, 0 to 10000, or "auto": by what the mixes report; 50 if the network is new.
    #[arg(long, value_name = "MS", value_parser = mix_delay)]
    mix_delay: Option<MixDelay>,
    /// Packets a second that a mix passed on lately (its `forwarded`, over the time between two looks), once for each mix; for
    /// "auto". Without any, the delay stays what it is; of a network that is new to this, it is the longest.
    #[arg(long, value_name = "RATE", value_parser = report)]
    report: Vec<f64>,
    /// Where a node listens from now on: gateway-1=203.0.113.7:4010. May be given for each node.
    #[arg(long, value_name = "NODE=ADDRESS", value_parser = address)]
    address: Vec<(String, SocketAddr)>,
    /// A store has lost its table and made another: the incarnation that its status shows. It then copies its boxes
    /// from the others.
    #[arg(long, value_name = "NODE=INCARNATION", value_parser = incarnation)]
    table: Vec<(String, Incarnation)>,
}

fn address(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("NODE=ADDRESS is expected")?;
    let address: SocketAddr = address.parse().map_err(|error| format!("{error}"))?;
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err("clients and nodes need an address and a port that they can reach".to_owned());
    }
    Ok((name.to_owned(), address))
}

fn report(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => Err("packets a second are expected".to_owned()),
    }
}

fn incarnation(text: &str) -> Result<(String, Incarnation), String> {
    let (name, hex) = text.split_once('=').ok_or("NODE=INCARNATION is expected")?;
    let incarnation = Incarnation::from_hex(hex).ok_or("32 hexadecimal digits are expected")?;
    Ok((name.to_owned(), incarnation))
}

impl RenewArgs {
    /// What of it `net up` understands.
    fn shape(&self) -> UpArgs {
        UpArgs {
            dir: self.dir.clone(),
            gateways: self.gateways,
            mixes_per_layer: self.mixes_per_layer,
            stores: self.stores,
            rate: None,
            mix_delay: self.mix_delay,
            max_sessions: None,
            link_rate: None,
            bind_range: None,
            runner: None,
            until_stdin_closes: false,
        }
    }
}

/// Makes the network if there is none, and its next document.
pub(super) async fn renew(args: &RenewArgs) -> Result<(), Failure> {
    disk::private_dir(&args.dir).map_err(|error| broken(args.dir.display(), &error))?;
    let dir =
        std::fs::canonicalize(&args.dir).map_err(|error| broken(args.dir.display(), &error))?;
    let _lock = request::take(&dir).await?;
    let mut plan = Plan::continued(&dir, &args.shape())?;
    for (name, address) in &args.address {
        let index = place(&plan, name)?;
        plan.nodes[index].address = *address;
    }
    check_addresses(&plan)?;
    for (name, table) in &args.table {
        let index = place(&plan, name)?;
        match &plan.nodes[index].store {
            Some(store) if store.incarnation == Some(*table) => {}
            Some(_) => plan.relist(index, *table)?,
            None => {
                return Err(Failure::new(
                    exit::INVALID,
                    "not_a_store",
                    format!("{name} is no store"),
                ));
            }
        }
    }
    if !args.report.is_empty() {
        if !plan.mix_delay_by_rule {
            let text = "reports are for a network whose mix delay goes by them";
            let failure = Failure::new(exit::INVALID, "fixed_mix_delay", text.to_owned());
            return Err(failure.hint("give --mix-delay auto as well"));
        }
        plan.rule_mix_delay(&args.report);
    }
    plan.save(&dir)?;
    files::make_tables(&mut plan, &dir)?;
    let document = files::renew(&mut plan, &dir, clock::now())?;
    let line = json!({
        "event": "renewed",
        "network": files::network_path(&dir),
        "epoch": document.epoch,
        "valid_until": document.valid_until.as_millis(),
        "mix_delay_ms": document.parameters.mix_delay.as_millis() as u64,
    });
    println!("{line}");
    Ok(())
}

fn place(plan: &Plan, name: &str) -> Result<usize, Failure> {
    plan.nodes.iter().position(|node| node.name == name).ok_or_else(|| {
        let names: Vec<_> = plan.nodes.iter().map(|node| node.name.as_str()).collect();
        let failure = Failure::new(exit::INVALID, "no_such_node", format!("there is no {name}"));
        failure.hint(format!("the nodes are {}", names.join(", ")))
    })
}

/// Two nodes at one address would take each other's packets.
fn check_addresses(plan: &Plan) -> Result<(), Failure> {
    for (index, node) in plan.nodes.iter().enumerate() {
        if let Some(other) = plan.nodes[..index].iter().find(|other| other.address == node.address)
        {
            let text =
                format!("{} and {} would both listen at {}", other.name, node.name, node.address);
            return Err(Failure::new(exit::INVALID, "same_address", text));
        }
    }
    Ok(())
}
