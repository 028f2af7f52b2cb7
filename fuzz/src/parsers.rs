//! Parsers: what they accept is what they write.

use std::collections::VecDeque;
use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Secret, Timestamp, Wire};
use xchat_directory::{Document, NetworkFile, SignedDocument};
use xchat_e2ee::{AcceptEntry, Bundle, InvitationLink, Meeting};
use xchat_node::cells::{CELL_LEN, CellReader, CellWriter, MAX_FRAME};
use xchat_pigeonhole::delivery::DELIVERY_LEN;
use xchat_pigeonhole::register::{BoxRecord, ReplicaMessage, TableMessage};
use xchat_pigeonhole::{
    Answer, AnswerKey, BoxId, DeliveryKey, Lane, Op, Request, RunPointer, RunReader, SealedBox,
    SignedAnswer, Ticket, Told,
};
use xchat_simnet::network::{Founded, Shape, found};
use xchat_sphinx::work::{ChallengeSeed, SHARES};
use xchat_sphinx::{
    Challenge, ClientFrame, GatewayFrame, NodeFrame, NodeTag, PACKET_LEN, Pace, Packet, Proof,
    RefusalCode, ReplyTag, SessionToken,
};

use crate::{Bytes, Target, register, tables};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Reading and writing are inverses, both ways: there is one encoding of a value.
fn is_canonical<T: Wire>(bytes: &[u8]) {
    if let Ok(value) = T::from_wire(bytes) {
        assert!(value.to_wire() == bytes, "{} has two encodings", T::FORMAT);
    }
}

/// What was read is written so that it is read as the same.
fn round_trips<T: Wire + PartialEq>(bytes: &[u8]) -> Option<T> {
    let value = T::from_wire(bytes).ok()?;
    let again = T::from_wire(&value.to_wire()).ok();
    assert!(again.as_ref() == Some(&value), "{} does not round-trip", T::FORMAT);
    again
}

fn tagged(seeds: &[(u8, Vec<u8>)]) -> Vec<Vec<u8>> {
    seeds.iter().map(|(tag, bytes)| [&[*tag][..], bytes].concat()).collect()
}

fn sealed() -> SealedBox {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    Lane::new(Secret::new([1; 32])).keys().seal(&mut rng, b"content").expect("short")
}

// --- cells ------------------------------------------------------------------------------------------

pub(crate) const CELLS: Target =
    Target { name: "cells", body: cells, seeds: cell_seeds, tries: 2_000 };

/// Frames, whose lengths the input gives, are read as they were written; then cells of its own bytes are read or
/// refused.
fn cells(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut frames: VecDeque<Vec<u8>> = VecDeque::new();
    for _ in 0..input.index(8) {
        let (len, byte) = (usize::from(input.u16()) + 1, input.u8());
        frames.push_back(vec![byte; len]);
    }
    let mut waiting = frames.clone();
    let (mut writer, mut reader) = (CellWriter::default(), CellReader::default());
    let mut read = Vec::new();
    while !waiting.is_empty() || writer.is_within_a_frame() {
        let cell = writer.cell(|| waiting.pop_front());
        assert!(cell.len() == CELL_LEN);
        read.extend(reader.take(&cell).expect("written just now"));
    }
    assert!(frames == read, "what was written is read");
    for bytes in input.rest().chunks(64) {
        let mut cell = bytes.repeat(CELL_LEN.div_ceil(bytes.len()));
        cell.truncate(CELL_LEN);
        match reader.take(&cell) {
            Ok(frames) => {
                assert!(frames.iter().all(|frame| (1..=MAX_FRAME).contains(&frame.len())))
            }
            Err(_) => break,
        }
    }
}

fn cell_seeds() -> Vec<Vec<u8>> {
    vec![
        vec![1, 9, 108, 7],
        vec![3, 0, 0, 1, 255, 255, 2, 0, 5, 3, 0, 0, 0, 4, 1, 2, 3, 4],
        vec![0, 0, 0, 9, 110, 1],
    ]
}

// --- frames ---------------------------------------------------------------------------------------

pub(crate) const FRAMES: Target =
    Target { name: "frames", body: frames, seeds: frame_seeds, tries: 20_000 };

fn frames(input: &[u8]) {
    let mut input = Bytes::new(input);
    let kind = input.u8();
    let bytes = input.rest();
    match kind % 3 {
        0 => is_canonical::<ClientFrame>(bytes),
        1 => is_canonical::<GatewayFrame>(bytes),
        _ => {
            if let Ok(frame) = NodeFrame::from_bytes(bytes) {
                assert!(frame.to_bytes() == bytes, "a node frame has two encodings");
            }
        }
    }
}

fn frame_seeds() -> Vec<Vec<u8>> {
    let packet = Packet::from_bytes(&[7; PACKET_LEN]).expect("the length is right");
    let tag = |n| ReplyTag::from_bytes([n; 16]);
    let proof = Proof::from_numbers([[9; 4]; SHARES]);
    let seed = ChallengeSeed::from_bytes([4; 32]);
    let challenge = Challenge { seed, effort: 300, within_secs: 60 };
    tagged(&[
        (0, ClientFrame::Open.to_wire()),
        (
            0,
            ClientFrame::Hello { pace: Pace::Desk, tags: (1..4).map(tag).collect(), proof }
                .to_wire(),
        ),
        (0, ClientFrame::GetDocument { newer_than: 300 }.to_wire()),
        (
            0,
            ClientFrame::Resume {
                token: SessionToken::from_bytes([3; 32]),
                tags: (1..3).map(tag).collect(),
            }
            .to_wire(),
        ),
        (
            0,
            ClientFrame::Packet {
                announce: tag(1),
                first_hop: NodeTag::from_bytes([2; 16]),
                packet: packet.clone(),
            }
            .to_wire(),
        ),
        (1, GatewayFrame::Welcome { session: SessionToken::from_bytes([3; 32]) }.to_wire()),
        (1, GatewayFrame::Packet(packet.clone()).to_wire()),
        (1, GatewayFrame::Document(Some(vec![1; 40])).to_wire()),
        (1, GatewayFrame::Document(None).to_wire()),
        (1, GatewayFrame::Challenge(challenge).to_wire()),
        (
            1,
            GatewayFrame::Refused { code: RefusalCode::Other(99), retry_after_secs: 300 }.to_wire(),
        ),
        (2, NodeFrame { tag: tag(5), packet }.to_bytes()),
    ])
}

// --- requests, answers, deliveries ----------------------------------------------------------------

pub(crate) const MESSAGES: Target =
    Target { name: "messages", body: messages, seeds: message_seeds, tries: 10_000 };

fn delivery_key() -> DeliveryKey {
    DeliveryKey::from_bytes([6; 32])
}

fn messages(input: &[u8]) {
    let mut input = Bytes::new(input);
    let kind = input.u8();
    let bytes = input.rest();
    match kind % 3 {
        0 => drop(round_trips::<Request>(bytes)),
        1 => {
            if let Some(answer) = round_trips::<SignedAnswer>(bytes) {
                let store = answer_key().store();
                let verified = answer.verify(&store, &sealed().id());
                let believed = answer.collected();
                // No answer is believed about a box and to a collect, but a refusal, which claims nothing.
                if let (Ok(one), Ok(_)) = (verified, believed) {
                    assert!(matches!(one, Answer::Refused(_)), "an answer fits two questions");
                }
            }
        }
        _ => {
            let opened = delivery_key().open(&[9; 16], bytes);
            assert!(opened.is_err() || bytes.len() == DELIVERY_LEN, "a delivery of another size");
        }
    }
}

fn answer_key() -> AnswerKey {
    AnswerKey::from_seed(&Secret::new([4; 32]))
}

fn message_seeds() -> Vec<Vec<u8>> {
    let request = |op| Request { reply: vec![8; 396], op }.to_wire();
    let id = sealed().id();
    let found = SignedAnswer::sign(&answer_key(), id, Answer::Found(sealed()), NOW);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let delivery = delivery_key().seal(&mut rng, &[9; 16], &found).expect("fits");
    let item = Answer::Item { id: [9; 16], sealed: delivery.clone() };
    tagged(&[
        (
            0,
            request(Op::Write {
                placement: 1,
                boxed: sealed(),
                tell: Ticket::from_bytes([9; 16]).tell(),
            }),
        ),
        (0, request(Op::Read { placement: 1, id })),
        (
            0,
            request(Op::Register {
                placement: 1,
                id,
                delivery: vec![8; 444],
                delivery_id: [9; 16],
                seal_key: delivery_key(),
                lifetime_secs: 3_600,
            }),
        ),
        (0, request(Op::Collect { session: [7; 32] })),
        (1, found.to_wire()),
        (1, SignedAnswer::sign(&answer_key(), id, Answer::Empty, NOW).to_wire()),
        (1, SignedAnswer::unsigned(item, NOW).to_wire()),
        (1, SignedAnswer::unsigned(Answer::NoItem, NOW).to_wire()),
        (2, delivery),
    ])
}

// --- boxes, lanes, runs ---------------------------------------------------------------------------

pub(crate) const BOXES: Target =
    Target { name: "boxes", body: boxes, seeds: box_seeds, tries: 8_000 };

fn boxes(input: &[u8]) {
    let mut input = Bytes::new(input);
    let kind = input.u8();
    let bytes = input.rest();
    match kind % 3 {
        0 => {
            if let Ok(boxed) = SealedBox::from_bytes(bytes) {
                assert!(boxed.as_bytes().as_slice() == bytes, "a box has two encodings");
                // Only its owner makes a box that others store.
                assert!(boxed.verify().is_err() || boxed == sealed(), "a forged box");
                let _ = Lane::new(Secret::new([1; 32])).keys().open(&boxed);
            }
        }
        1 => {
            if let Ok(lane) = Lane::from_stored(bytes) {
                assert!(lane.to_stored().expose().as_slice() == bytes, "a lane has two encodings");
            }
        }
        _ => {
            if let Ok(pointer) = RunPointer::from_bytes(bytes) {
                assert!(pointer.to_bytes().as_slice() == bytes, "a pointer has two encodings");
                // Up to 512 keys are derived from one, which costs milliseconds: a few will do.
                if pointer.box_count() <= 8 {
                    let reader = RunReader::new(pointer.clone());
                    assert_eq!(reader.missing().len(), pointer.box_count());
                    assert!(
                        reader.value().is_ok_and(|value| value.is_none())
                            || pointer.value_len() == 0
                    );
                }
            }
        }
    }
}

fn box_seeds() -> Vec<Vec<u8>> {
    let lane = Lane::new(Secret::new([1; 32]));
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (pointer, _) = RunPointer::seal(&mut rng, &[5; 3_000]).expect("short");
    tagged(&[
        (0, sealed().to_bytes()),
        (1, lane.to_stored().expose().to_vec()),
        (2, pointer.to_bytes().to_vec()),
    ])
}

// --- replica messages and box records -------------------------------------------------------------

pub(crate) const REPLICA_MESSAGES: Target = Target {
    name: "replica_messages",
    body: replica_messages,
    seeds: replica_message_seeds,
    tries: 8_000,
};

fn replica_messages(input: &[u8]) {
    let mut input = Bytes::new(input);
    let kind = input.u8();
    let bytes = input.rest();
    match kind % 3 {
        0 => {
            if let Ok(message) = ReplicaMessage::from_wire(bytes) {
                assert_eq!(ReplicaMessage::from_wire(&message.to_wire()), Ok(message));
            }
        }
        1 => {
            if let Ok(record) = BoxRecord::from_stored(bytes) {
                assert_eq!(BoxRecord::from_stored(&record.to_stored()), Ok(record.clone()));
                let _ = record.sweep(NOW);
            }
        }
        _ => {
            if let Ok(told) = Told::from_wire(bytes) {
                assert_eq!(Told::from_wire(&told.to_wire()), Ok(told));
            }
        }
    }
}

fn replica_message_seeds() -> Vec<Vec<u8>> {
    let (messages, records) = register::some_messages_and_records();
    let messages = messages.into_iter().map(|bytes| (0, bytes));
    let told = Told { id: BoxId::from_bytes([6; 32]), sealed: vec![7; DELIVERY_LEN] }.to_wire();
    let records = records.into_iter().map(|bytes| (1, bytes));
    tagged(&messages.chain(records).chain([(2, told)]).collect::<Vec<_>>())
}

pub(crate) const TABLE_MESSAGES: Target = Target {
    name: "table_messages",
    body: table_messages,
    seeds: tables::some_messages,
    tries: 4_000,
};

fn table_messages(bytes: &[u8]) {
    if let Ok(message) = TableMessage::from_wire(bytes) {
        assert_eq!(TableMessage::from_wire(&message.to_wire()), Ok(message));
    }
}

// --- the directory --------------------------------------------------------------------------------

pub(crate) const DIRECTORY: Target =
    Target { name: "directory", body: directory, seeds: directory_seeds, tries: 8_000 };

fn founded() -> &'static (xchat_directory::Root, NetworkFile) {
    static FOUNDED: OnceLock<(xchat_directory::Root, NetworkFile)> = OnceLock::new();
    FOUNDED.get_or_init(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let Founded { root, document, .. } = found(&Shape::default(), NOW, &mut rng);
        let document = document.signed().clone();
        (root.clone(), NetworkFile { root, document })
    })
}

fn directory(input: &[u8]) {
    let mut input = Bytes::new(input);
    let kind = input.u8();
    let bytes = input.rest();
    let (root, genuine) = founded();
    match kind % 3 {
        0 => drop(round_trips::<Document>(bytes)),
        1 => {
            if let Some(signed) = round_trips::<SignedDocument>(bytes)
                && signed.verify(root, NOW).is_ok()
            {
                assert_eq!(signed.hash(), genuine.document.hash(), "a forged document");
            }
        }
        _ => {
            if let Ok(text) = std::str::from_utf8(bytes)
                && let Ok(file) = NetworkFile::parse(text)
            {
                let again = NetworkFile::parse(&file.to_json()).expect("its own text");
                assert!(again == file, "a network file does not round-trip");
                let _ = file.verify(NOW);
            }
        }
    }
}

fn directory_seeds() -> Vec<Vec<u8>> {
    let (_, file) = founded();
    let document = file.verify(NOW).expect("just founded");
    tagged(&[
        (0, Document::clone(&document).to_wire()),
        (1, file.document.to_wire()),
        (2, file.to_json().into_bytes()),
    ])
}

// --- invitations ----------------------------------------------------------------------------------

pub(crate) const INVITATIONS: Target =
    Target { name: "invitations", body: invitations, seeds: invitation_seeds, tries: 20_000 };

fn invitations(input: &[u8]) {
    let mut input = Bytes::new(input);
    let kind = input.u8();
    let bytes = input.rest();
    match kind % 4 {
        0 => {
            if let Ok(text) = std::str::from_utf8(bytes)
                && let Ok(link) = text.parse::<InvitationLink>()
            {
                let again = link.to_string().parse::<InvitationLink>();
                assert!(again.is_ok_and(|again| again == link), "a link does not round-trip");
            }
        }
        1 => drop(round_trips::<Bundle>(bytes)),
        2 => drop(round_trips::<AcceptEntry>(bytes)),
        _ => drop(round_trips::<Meeting>(bytes)),
    }
}

fn invitation_seeds() -> Vec<Vec<u8>> {
    let link = InvitationLink {
        network: "demo".into(),
        network_id: [1; 16],
        secret: Secret::new([2; 32]),
        bundle_hash: [3; 32],
    };
    tagged(&[
        (0, link.to_string().into_bytes()),
        (0, link.to_qr_text().into_bytes()),
        (1, Bundle { name: "alice".into(), key_package: vec![4; 90] }.to_wire()),
        (2, AcceptEntry { run: vec![5; 68] }.to_wire()),
        (3, Meeting { welcome: vec![6; 90], hello: vec![7; 40] }.to_wire()),
    ])
}

/// A box id that nothing else has.
pub(crate) fn id(n: u8) -> BoxId {
    Lane::new(Secret::new([n; 32])).keys().id()
}
