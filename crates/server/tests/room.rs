//! A store whose table has reached its size: real links, real disks.

#[path = "network/client.rs"]
mod client;
#[path = "network/fixture.rs"]
mod fixture;

use std::path::Path;
use std::time::Duration;

use client::{Client, STORES, sealed};
use fixture::{HOUR, Network, SOON};
use rand_core::OsRng;
use tokio::time::{sleep, timeout};
use xchat_base::{Secret, Timestamp};
use xchat_server::clock;
use xchat_server::control::{self, TableStatus};
use xchat_server::node::pigeonhole::register::{BoxRecord, BoxTable};
use xchat_server::node::pigeonhole::{Answer, Lane, Refusal, SealedBox};
use xchat_server::table::DiskTable;

/// Boxes of 1.6 KB: more than the table may take.
const BOXES: usize = 6_500;
const MAX_MIB: u32 = 8;

/// So often they are written, one over the other: the engine begins another journal after 64 MB.
const ROUNDS: usize = 7;

fn boxes() -> Vec<SealedBox> {
    let mut lane = Lane::new(Secret::new([7; 32]));
    let mut boxes = Vec::with_capacity(BOXES);
    for _ in 0..BOXES {
        boxes.push(lane.keys().seal(&mut OsRng, &[1; 1_000]).expect("fits"));
        lane.advance();
    }
    boxes
}

/// Puts boxes into the table of a store that does not run.
fn fill(dir: &Path, boxes: &[SealedBox], expires_at: Timestamp) {
    let mut table = DiskTable::open(dir, 8, &mut OsRng).expect("opens");
    let verified = boxes.iter().map(|sealed| sealed.clone().verify().expect("own"));
    let verified: Vec<_> = verified.collect();
    for _ in 0..ROUNDS {
        for boxed in &verified {
            let record = BoxRecord::Chosen { boxed: boxed.clone(), expires_at };
            table.put(boxed.id(), record);
        }
        table.commit().expect("commits");
    }
}

/// Waits until a store's table is as wanted.
async fn table_when(dir: &Path, wanted: impl Fn(&TableStatus) -> bool) -> TableStatus {
    let asked = async {
        loop {
            let table = control::query(dir).await.ok().and_then(|status| status.table);
            if let Some(table) = table.filter(&wanted) {
                return table;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(2 * SOON, asked).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_at_its_size_refuses_new_boxes_reads_old_ones_and_has_room_when_they_expire() {
    let [full, other, _] = STORES;
    let mut network = Network::planned();
    let dir = network.nodes[full].config.dir.clone();
    network.nodes[full].config.max_disk_mib = Some(MAX_MIB);
    let old = boxes();
    fill(&dir, &old, clock::now() + HOUR);
    for index in 0..network.nodes.len() {
        network.start(index);
    }
    network.connected().await;

    let table = table_when(&dir, |table| table.full).await;
    assert_eq!(table.max_bytes, Some(u64::from(MAX_MIB) << 20));
    assert!(Some(table.bytes) >= table.max_bytes, "{table:?}");
    let mut client = Client::connect(&network).await;
    let (one, two) = (sealed(1), sealed(2));
    let refused = Answer::Refused(Refusal::Busy);
    assert_eq!(client.write(&network, full, &one).await, refused);
    assert_eq!(client.write(&network, other, &one).await, Answer::Stored, "the other two do");
    let found = Answer::Found(old[0].clone());
    assert_eq!(client.read(&network, full, old[0].id()).await, found);
    let status = control::query(&dir).await.expect("it runs");
    assert!(status.serving, "it serves");
    assert_eq!((status.counters["refused_full"], status.counters["refused_busy"]), (1, 1));
    assert!(status.counters["untaken"] > 0);

    // Their time is over: the sweep comes to them when the store starts.
    network.stop(full).await;
    fill(&dir, &old, clock::now() - HOUR);
    network.start(full);
    network.connected().await;
    let table = table_when(&dir, |table| !table.full && table.bytes > 0).await;
    assert!(Some(table.bytes) < table.max_bytes, "{table:?}");
    assert_eq!(client.write(&network, full, &two).await, Answer::Stored);
    assert_eq!(client.write(&network, full, &one).await, Answer::Stored, "it was decided without");
}
