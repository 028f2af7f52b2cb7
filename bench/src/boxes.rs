//! A store's part in boxes: checked writes and reads, over its table on disk.

use ed25519_dalek::{Signer, SigningKey};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Secret, Timestamp};
use xchat_pigeonhole::register::{
    ClientOp, Incarnation, Member, MemoryTable, OpId, RegisterEffect, RegisterInput, Replica,
    ReplicaMessage, ReplicaSet,
};
use xchat_pigeonhole::{Answer, AnswerKey, BoxId, Lane, SignedAnswer, StoreId, VerifiedBox};
use xchat_server::table::DiskTable;

use crate::cpu;
use crate::report::Row;

const BOXES: usize = 20_000;

/// Writes that share one fdatasync, as in a store that has much to do.
const BATCH: usize = 256;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) fn run(_args: &crate::Args) -> Vec<Row> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let members = [1u8, 2, 3].map(|rank| Member {
        store: StoreId::from_bytes([rank; 32]),
        incarnation: Incarnation::from_bytes([rank; 16]),
    });
    let replicas = ReplicaSet::new(1, members).expect("three stores");
    let boxes = boxes(&mut rng);
    let (accepts, chosen) = messages(&boxes, replicas, &members, &mut rng);

    let dir = tempfile::tempdir().expect("a directory");
    let mut table = DiskTable::open(dir.path(), 64, &mut rng).expect("a new table");
    let mut replica = Replica::new(members[2]);
    let mut take = |bytes: &Vec<u8>, n: usize, table: &mut DiskTable| {
        let message = ReplicaMessage::from_wire(bytes).expect("its own bytes");
        let input = RegisterInput::Peer { from: members[0].store, message, replicas };
        replica.handle(input, table, NOW, &mut rng);
        if n % BATCH == BATCH - 1 {
            table.commit().expect("the disk works");
        }
    };
    let write = cpu::micros_each(BOXES, |n| take(&accepts[n], n, &mut table));
    table.commit().expect("the disk works");
    let decide = cpu::micros_each(BOXES, |n| take(&chosen[n], n, &mut table));
    table.commit().expect("the disk works");

    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut answers = Vec::with_capacity(BOXES);
    let mut read = |n: usize| {
        let request = ClientOp::Read(boxes[n].id());
        let op = OpId(n as u64);
        let input = RegisterInput::Client { op, request, replicas };
        for effect in replica.handle(input, &mut table, NOW, &mut rng) {
            if let RegisterEffect::Answer { answer, .. } = effect {
                answers.push((boxes[n].id(), answer));
            }
        }
    };
    let read = cpu::micros_each(BOXES, &mut read);
    assert!(
        answers.len() == BOXES
            && answers.iter().all(|(_, answer)| matches!(answer, Answer::Found(_))),
        "every box is found"
    );
    let sign = signing(&answers);
    vec![
        Row::new("checked writes of boxes, a core", 1e6 / write, "a second")
            .at_least_of_cpu(20_000.0)
            .beside("ed25519-dalek, one verification", 1e6 / verifying()),
        Row::new(
            "and the news of their decision, signature checked again",
            1e6 / decide,
            "a second",
        ),
        Row::new("reads of boxes, a core", 1e6 / read, "a second").at_least_of_cpu(80_000.0),
        Row::new("with the answer's signature", 1e6 / (read + sign), "a second"),
    ]
}

fn boxes(rng: &mut ChaCha20Rng) -> Vec<VerifiedBox> {
    let mut lane = Lane::new(Secret::new([1; 32]));
    (0..BOXES)
        .map(|_| {
            let sealed = lane.keys().seal(rng, &[7; 1_000]).expect("short");
            lane.advance();
            sealed.verify().expect("just sealed")
        })
        .collect()
}

/// What the third replica is sent by the first: proposals, and decisions.
fn messages(
    boxes: &[VerifiedBox],
    replicas: ReplicaSet,
    members: &[Member; 3],
    rng: &mut ChaCha20Rng,
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut first, mut second) = (Replica::new(members[0]), Replica::new(members[1]));
    let (mut table, mut other) = (MemoryTable::new(), MemoryTable::new());
    let (mut accepts, mut chosen) = (Vec::new(), Vec::new());
    let sent_to = |effects: Vec<RegisterEffect>, wanted: StoreId| {
        effects.into_iter().find_map(|effect| match effect {
            RegisterEffect::Send { to, message } if to == wanted => Some(message),
            _ => None,
        })
    };
    for (n, boxed) in boxes.iter().enumerate() {
        let (op, request) = (OpId(n as u64), ClientOp::Write(boxed.clone()));
        let effects =
            first.handle(RegisterInput::Client { op, request, replicas }, &mut table, NOW, rng);
        let accept = sent_to(effects.clone(), members[2].store).expect("a proposal");
        accepts.push(accept.to_wire());
        let message = sent_to(effects, members[1].store).expect("a proposal");
        let input = RegisterInput::Peer { from: members[0].store, message, replicas };
        let effects = second.handle(input, &mut other, NOW, rng);
        let message = sent_to(effects, members[0].store).expect("an acceptance");
        let input = RegisterInput::Peer { from: members[1].store, message, replicas };
        let effects = first.handle(input, &mut table, NOW, rng);
        chosen.push(sent_to(effects, members[2].store).expect("a decision").to_wire());
    }
    (accepts, chosen)
}

/// Microseconds of the library alone, for as long a message as a box has.
fn verifying() -> f64 {
    let key = SigningKey::from_bytes(&[5; 32]);
    let message = [7; 1_400];
    let signature = key.sign(&message);
    let public = key.verifying_key();
    cpu::micros_each(2_000, |_| {
        std::hint::black_box(public.verify_strict(&message, &signature)).expect("its own");
    })
}

fn signing(answers: &[(BoxId, Answer)]) -> f64 {
    let key = AnswerKey::from_seed(&Secret::new([4; 32]));
    cpu::micros_each(2_000, |n| {
        let (id, answer) = &answers[n];
        std::hint::black_box(SignedAnswer::sign(&key, *id, answer.clone(), NOW));
    })
}
