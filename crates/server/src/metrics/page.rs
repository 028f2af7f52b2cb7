//! The page: Prometheus' text format, version 0.0.4, and what of a status may be on it.
//!
//! No label names a client, a box, a peer or the node itself: whoever scrapes knows whom they asked.

use std::fmt::{Display, Write};

use crate::control::{Load, NodeStatus};

/// Counts of what happened, since the start, are rounded down to this: one packet, write or session moves a
/// number once in a thousand times.
const COUNT_STEP: u64 = 1_000;

/// Counts of what is there now.
const NOW_STEP: u64 = 100;

/// Bytes of a table: ten thousand boxes.
const BYTES_STEP: u64 = 16 * 1024 * 1024;

/// A metric's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// A counter of a status, as the page shows it.
struct Shown {
    /// Its name in the status.
    name: &'static str,
    kind: Kind,
    step: u64,
    help: &'static str,
}

const fn count(name: &'static str, help: &'static str) -> Shown {
    Shown { name, kind: Kind::Counter, step: COUNT_STEP, help }
}

const fn now(name: &'static str, help: &'static str) -> Shown {
    Shown { name, kind: Kind::Gauge, step: NOW_STEP, help }
}

/// Every counter of every role. One that is not here is not on the page.
const COUNTERS: &[Shown] = &[
    // Of all.
    count("received", "Frames that came on packet links."),
    count("unknown_peer", "Frames from peers that have no business to send them."),
    // Documents come every few hours, and not from clients.
    Shown {
        name: "refused_documents",
        kind: Kind::Counter,
        step: 1,
        help: "Network documents that did not follow from the one in use.",
    },
    // Gateways.
    count("to_mixes", "Packets handed to mixes."),
    count("to_clients", "Packets handed to clients."),
    count("unknown_tag", "Packets whose tag no session has announced, or which was spent."),
    count("refused_tags", "Tags that were zero or taken."),
    count("unknown_mix", "Packets for a first hop that is no mix of the first layer."),
    count("malformed", "Frames that could not be read, or not in their place."),
    count("welcomed", "Sessions opened."),
    count("resumed", "Sessions that went on after their link was lost."),
    count("refused_busy", "Sessions or writes refused for want of room."),
    count("refused_too_fast", "Sessions ended because they went on faster than their pace."),
    count("over_pace", "Packets and questions that came too fast and were dropped."),
    count("refused_proof", "Proofs of work that did not hold, or came too late."),
    count("refused_silent", "Links on which nobody asked for a session in time."),
    count("refused_idle", "Sessions ended because no packet came any more."),
    count("documents", "Network documents given to clients."),
    now("sessions", "Sessions."),
    now("kept", "Seats kept for clients whose links were lost."),
    now("opening", "Links without a session."),
    now("tags", "Announced and unspent tags."),
    count("loops", "The gateway's own loops that left."),
    count("loops_back", "Those that came back whole and in time."),
    count("loops_lost", "Those that did not."),
    // Mixes.
    count("forwarded", "Packets passed on."),
    count("unreadable", "Frames, packets and requests that could not be read."),
    count("replays", "Packets that came before."),
    count("refused_peer", "Frames refused because their mix sends packets twice."),
    count("cache_full", "Packets refused because the replay cache is full."),
    count("bad_next_hop", "Packets for a next hop that this mix does not send to."),
    count("delay_too_long", "Packets that asked for a longer delay than there is."),
    count("queue_full", "Packets dropped because too many wait."),
    count("late", "Packets that were due too long ago."),
    now("waiting", "Packets that wait for their delay."),
    now("remembered", "Replay tags remembered."),
    // Stores.
    count("writes", "Requests to write."),
    count("reads", "Requests to read."),
    count("registers", "Requests for a standing read."),
    count("collects", "Requests to collect."),
    count("answered", "Answers sent."),
    count("refused", "Refusals among the answers."),
    count("refused_full", "Writes refused because the table has reached its size."),
    count("untaken", "Proposals of other stores not taken because of that."),
    count("deliveries_sent", "Deliveries sent to collectors."),
    count("items_kept", "Deliveries that came for a session here."),
    count("items_dropped", "Deliveries for no session, or for one that was full."),
    count("bad_reply_block", "Answers and deliveries with nowhere to go."),
    count("replica_frames", "Frames of other stores that were taken."),
    count("not_shared", "Frames of other stores about boxes not shared with them."),
    count("missed", "Boxes that a comparison with another store found to be missing."),
    now("pending", "Operations under way."),
    now("registrations", "Standing reads."),
    now("collector_sessions", "Collector sessions."),
    now("items", "Items that wait to be collected."),
];

/// The page: `fresh` is what may be known at once, `coarse` is the moment whose traffic may be seen.
pub(super) fn page(fresh: &NodeStatus, coarse: &NodeStatus) -> String {
    let mut page = Page::default();
    let labels = format!("{{version=\"{}\",role=\"{}\"}}", fresh.version, fresh.role);
    page.labelled("info", "The program's version and the node's role.", &labels);
    health(&mut page, fresh);
    load(&mut page, coarse);
    page.count(
        "frames_dropped",
        "Frames dropped because a node was away or slow.",
        coarse.frames_dropped,
    );
    for shown in COUNTERS {
        if let Some(value) = coarse.counters.get(shown.name) {
            page.family(shown.name, shown.kind, shown.help, value / shown.step * shown.step);
        }
    }
    page.text
}

/// The node itself and its links to other nodes, which are public: exact.
fn health(page: &mut Page, status: &NodeStatus) {
    page.gauge("serving", "1 if the node does its work.", u8::from(status.serving));
    page.gauge("document", "Number of the network document in use.", status.epoch);
    let until = status.valid_until / 1_000;
    page.gauge("document_valid_until_seconds", "When that ends, in Unix time.", until);
    page.gauge("links_wanted", "Links that the node keeps to others.", status.links_wanted);
    page.gauge("links_up", "Of these, links that are up.", status.links_up);
    if let Some(loops) = &status.loops {
        let failing = loops.failing_mixes.len();
        page.gauge("failing_mixes", "Mixes through which too few loops come back.", failing);
        page.gauge("losing", "1 if many loops are lost.", u8::from(loops.losing));
    }
    page.gauge("repeating", "Nodes that send packets twice.", status.repeating.len());
    let Some(table) = &status.table else { return };
    page.gauge(
        "catching_up",
        "1 if the store does not answer for all of its boxes.",
        u8::from(status.catching_up),
    );
    page.gauge("sources_left", "Stores from which something is to be copied.", table.sources_left);
    page.gauge("table_full", "1 if the table has reached its size.", u8::from(table.full));
    if let Some(most) = table.max_bytes {
        page.gauge("table_max_bytes", "What the table may take of the disk.", most);
    }
}

/// What clients make of it: of the moment that is shown.
fn load(page: &mut Page, status: &NodeStatus) {
    match &status.load {
        Some(Load::Gateway { max_sessions, full, line, .. }) => {
            page.gauge("max_sessions", "Sessions at most.", max_sessions);
            page.gauge("full", "1 if newcomers are turned away.", u8::from(*full));
            if let Some(line) = line {
                page.gauge(
                    "line_max_bytes_per_second",
                    "What all sessions together may take, each way.",
                    line.max_kbit_per_s.saturating_mul(1_000 / 8),
                );
            }
        }
        Some(Load::Store { busy }) => {
            page.gauge("busy", "1 if more waits than is worked off.", u8::from(*busy));
        }
        None => {}
    }
    let Some(table) = &status.table else { return };
    let bytes = table.bytes / BYTES_STEP * BYTES_STEP;
    page.gauge("table_bytes", "What the table takes of the disk.", bytes);
    page.count(
        "refilled",
        "Boxes copied from other stores since the table was made.",
        table.refilled,
    );
}

/// The text so far.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help, value);
    }

    fn count(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, Kind::Counter, help, value / COUNT_STEP * COUNT_STEP);
    }

    fn labelled(&mut self, name: &str, help: &str, labels: &str) {
        self.head(name, Kind::Gauge, help);
        self.line(format_args!("xchat_node_{name}{labels} 1"));
    }

    fn family(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        let name = match kind {
            Kind::Counter => format!("{name}_total"),
            Kind::Gauge => name.to_owned(),
        };
        self.head(&name, kind, help);
        self.line(format_args!("xchat_node_{name} {value}"));
    }

    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.line(format_args!("# HELP xchat_node_{name} {help}"));
        self.line(format_args!("# TYPE xchat_node_{name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes it");
    }
}
