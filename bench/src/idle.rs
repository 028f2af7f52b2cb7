//! Processes that have nothing to do.

use std::time::{Duration, Instant};

use xchat_testkit::{Ground, Person, memory_of};

use crate::cpu;
use crate::report::Row;

const WATCHED: Duration = Duration::from_secs(20);

const PACES: [&str; 4] = ["fast", "desk", "phone", "thrift"];

pub(crate) fn run(args: &crate::Args) -> Vec<Row> {
    let ground = Ground::up(&args.xchat, &[]);
    let names = ["mix-1-1", "gateway-1", "store-1"];
    let of_node = |name: &str| {
        let node = ground.nodes().into_iter().find(|node| node.name == name);
        node.and_then(|node| node.pid).expect("it runs")
    };
    let nodes = names.map(|name| (format!("an idle node ({name})"), of_node(name)));
    let mut rows = watched(&nodes, 60.0, None);
    let people = PACES.map(|pace| Person::at_pace(&ground, pace, pace));
    people.iter().for_each(Person::wait_until_online);
    let clients = people.iter().zip(PACES);
    let clients: Vec<_> = clients
        .map(|(person, pace)| (format!("an idle client at `{pace}`"), person.pid()))
        .collect();
    rows.extend(watched(&clients, 120.0, Some(1.0)));
    rows
}

fn watched(processes: &[(String, u32)], memory: f64, share: Option<f64>) -> Vec<Row> {
    let before: Vec<_> = processes.iter().map(|(_, pid)| cpu::of_process(*pid)).collect();
    let start = Instant::now();
    std::thread::sleep(WATCHED);
    let lasted = start.elapsed().as_nanos() as f64;
    let mut rows = Vec::new();
    for ((what, pid), before) in processes.iter().zip(before) {
        let percent = (cpu::of_process(*pid) - before) as f64 * 100.0 / lasted;
        let (resident, _) = memory_of(*pid).expect("it runs");
        let row = Row::new(format!("{what}, CPU"), percent, "% of a core");
        rows.push(match share {
            Some(share) => row.at_most(share),
            None => row,
        });
        rows.push(
            Row::new(format!("{what}, memory"), resident as f64 / 1_024.0, "MiB").at_most(memory),
        );
    }
    rows
}
