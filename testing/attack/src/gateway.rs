//! A hostile gateway: what clients hear that dial it.

use std::sync::Arc;
use std::time::Duration;

use rand_core::RngCore;
use tokio::sync::mpsc;
use xchat_base::{Wire, random};
use xchat_link::{CloseReason, Link};
use xchat_sphinx::work::ChallengeSeed;
use xchat_sphinx::{Challenge, GatewayFrame, PACKET_LEN, Packet, RefusalCode, SessionToken};

use crate::Attack;
use crate::tally::Kind;
use crate::view::{Dice, rubbish};

/// Frames that one client is sent at most.
const FRAMES: u32 = 64;

/// How long a client is kept without being answered.
const SILENCE: Duration = Duration::from_secs(20);

/// Serves every client that comes, badly.
pub(crate) async fn deceive(
    attack: Arc<Attack>,
    mut clients: mpsc::Receiver<Link>,
    mut dice: Dice,
) {
    while let Some(link) = clients.recv().await {
        let own = fork(&mut dice);
        tokio::spawn(one_client(Arc::clone(&attack), link, own));
    }
}

/// A generator of its own for each client, so that one does not move another's draws.
fn fork(dice: &mut Dice) -> Dice {
    use rand_chacha::rand_core::SeedableRng;
    Dice::seed_from_u64(dice.next_u64())
}

async fn one_client(attack: Arc<Attack>, link: Link, mut dice: Dice) {
    attack.tally.tried(Kind::GatewayLies);
    if dice.next_u32() & 7 == 0 {
        return link.close(CloseReason::Busy);
    }
    let (mut sender, mut receiver) = link.split();
    let hello = tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await;
    if !matches!(hello, Ok(Ok(Some(_)))) {
        return;
    }
    if dice.next_u32() & 3 != 0 {
        // Work for nothing, or for more than anybody does.
        let seed = ChallengeSeed::random(&mut dice);
        let effort = if dice.next_u32() & 7 == 0 { dice.next_u32() } else { 1 };
        let challenge = Challenge { seed, effort, within_secs: 60 };
        let challenge = GatewayFrame::Challenge(challenge).to_wire();
        let patience = Duration::from_secs(10);
        if sender.send(challenge.into()).await.is_err()
            || !matches!(tokio::time::timeout(patience, receiver.recv()).await, Ok(Ok(Some(_))))
        {
            return;
        }
        let session = SessionToken::random(&mut dice);
        let welcome = GatewayFrame::Welcome { session }.to_wire();
        if sender.send(welcome.into()).await.is_err() {
            return;
        }
    }
    for _ in 0..FRAMES {
        attack.tally.tried(Kind::GatewayLies);
        let frame = lie(&attack, &mut dice);
        if sender.send(frame.into()).await.is_err() {
            return;
        }
        // One lie for each thing that the client says, or after a while.
        let gap = attack.packet_gap() * 4;
        if matches!(tokio::time::timeout(gap, receiver.recv()).await, Ok(Ok(None) | Err(_))) {
            return;
        }
    }
    // Nothing more: the client has to notice by itself.
    let _ =
        tokio::time::timeout(SILENCE, async { while let Ok(Some(_)) = receiver.recv().await {} })
            .await;
}

fn lie(attack: &Attack, dice: &mut Dice) -> Vec<u8> {
    match dice.next_u32() % 8 {
        0 => rubbish(dice, 4_096),
        1..=3 => {
            let mut bytes = vec![0; PACKET_LEN];
            dice.fill_bytes(&mut bytes);
            let packet = Packet::from_bytes(&bytes).expect("of a packet's length");
            GatewayFrame::Packet(packet).to_wire()
        }
        4 => GatewayFrame::Document(Some(rubbish(dice, 8_192))).to_wire(),
        5 => {
            // The document in force, changed: its signatures do not hold any more.
            let mut document = attack.view.document.signed().to_wire();
            let at = random::index(dice, document.len());
            document[at] ^= 1;
            GatewayFrame::Document(Some(document)).to_wire()
        }
        6 => GatewayFrame::Document(Some(attack.view.document.signed().to_wire())).to_wire(),
        _ if dice.next_u32() & 15 == 0 => {
            let code = RefusalCode::from((dice.next_u32() % 12) as u8);
            let retry_after_secs = dice.next_u32() as u16;
            GatewayFrame::Refused { code, retry_after_secs }.to_wire()
        }
        _ => GatewayFrame::Document(None).to_wire(),
    }
}
