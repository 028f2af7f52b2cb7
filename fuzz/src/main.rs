//! libFuzzer over one target: `XCHAT_FUZZ_TARGET=frames fuzz CORPUS… -max_total_time=60`, as `./x fuzz` runs it.
//!
//! With `XCHAT_FUZZ_SEEDS=DIR` it writes the target's valid inputs into DIR before it begins; `XCHAT_FUZZ_TARGET=list`
//! prints the names of all targets.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use xchat_fuzz::{TARGETS, Target, target};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("XCHAT_FUZZ_TARGET").expect("XCHAT_FUZZ_TARGET names a target");
    if name == "list" {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    }
    let target = target(&name).expect("there is a target of this name");
    if let Some(dir) = std::env::var_os("XCHAT_FUZZ_SEEDS") {
        for (n, seed) in (target.seeds)().into_iter().enumerate() {
            let path = Path::new(&dir).join(format!("seed-{n}"));
            std::fs::write(path, seed).expect("the folder of the corpus can be written");
        }
    }
    TARGET.get_or_init(|| target);
}

fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        (target.body)(data);
    }
});
