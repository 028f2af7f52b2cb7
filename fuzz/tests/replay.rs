//! Every target stands its corpus, its seeds, and some thousand mutations of both.

use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::random;
use xchat_fuzz::{TARGETS, mutate, target};

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let Ok(files) = folder.read_dir() else { return Vec::new() };
    let mut paths: Vec<_> = files.map(|file| file.expect("readable").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).expect("readable")).collect()
}

/// One seed gives one run; a failing input is printed, to be kept in the corpus once it is mended.
fn stands(name: &str) {
    let target = target(name).expect("there is such a target");
    let mut inputs = (target.seeds)();
    assert!(!inputs.is_empty(), "a target without a valid input tests its error paths only");
    inputs.extend(corpus(name));
    inputs.push(Vec::new());
    for input in &inputs {
        run(target.body, input);
    }
    let rounds = rounds();
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(rounds));
    for _ in 0..target.tries * rounds {
        let mut input = inputs[random::index(&mut rng, inputs.len())].clone();
        let other = &inputs[random::index(&mut rng, inputs.len())];
        mutate(&mut rng, &mut input, other);
        run(target.body, &input);
    }
    println!("{name}: {} inputs and {} mutations", inputs.len(), target.tries * rounds);
}

/// One, or as many as `XCHAT_FUZZ_ROUNDS` says: for who has time.
fn rounds() -> u32 {
    std::env::var("XCHAT_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn run(body: fn(&[u8]), input: &[u8]) {
    if std::panic::catch_unwind(|| body(input)).is_err() {
        println!("this input fails: {input:?}");
        unreachable!("a promise was broken, see above");
    }
}

macro_rules! replay {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            stands(stringify!($name));
        })*

        #[test]
        fn no_target_is_left_out() {
            let tested = [$(stringify!($name)),*];
            for target in TARGETS {
                assert!(tested.contains(&target.name), "{} is not replayed", target.name);
            }
        }
    };
}

replay! {
    cells frames messages boxes replica_messages table_messages directory invitations unwrap blocks group register tables gateway
    mix store transport conversation engine stored
}
