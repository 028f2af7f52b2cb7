//! A real store with more to write than it works off: real links, real disks. The test plays the mixes
//! around it, so that nothing but the store sets the pace.

#[path = "network/fixture.rs"]
mod fixture;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fixture::{Network, PLACEMENT, SOON};
use rand_core::OsRng;
use tokio::sync::mpsc;
use tokio::time::timeout;
use xchat_base::{Secret, Wire};
use xchat_server::control::{self, Load};
use xchat_server::keys;
use xchat_server::link::{Endpoint, LinkConfig, LinkSecret, LinkSender, PeerId};
use xchat_server::node::cells::{CellReader, CellWriter};
use xchat_server::node::pigeonhole::{
    Answer, BoxId, Lane, Op, Refusal, Request, SealedBox, SignedAnswer, StoreId, Ticket,
};
use xchat_server::node::sphinx::frame::PACKET_ALPN;
use xchat_server::node::sphinx::{
    Hop, HopAddress, HopSecret, NodeFrame, NodeTag, Packet, ReplyKey, ReplyTag, SurbId, Unwrapped,
    build, reply_block, unwrap,
};

const GATEWAY: usize = 0;
const MIXES: [usize; 3] = [1, 2, 3];
const STORES: [usize; 3] = [4, 5, 6];

/// Far beyond what waits at a store when it begins to refuse.
const FLOOD: usize = 1_400;

/// Writes under way at once when nobody floods: what a store has settled while a batch is on its disk.
const CALM: usize = 48;

/// No answer comes later than an operation's end.
const QUIET: Duration = Duration::from_secs(12);

/// The mixes of the network, in one place: what they are sent, and what they send.
struct Mixes {
    hops: [HopSecret; 3],
    way: [Hop; 3],
    /// The client's end of all replies.
    client: HopSecret,
    gateway: NodeTag,
    /// Links of the last layer to each store.
    senders: BTreeMap<usize, LinkSender>,
    /// What stores send to the first layer.
    replies: mpsc::UnboundedReceiver<Vec<u8>>,
    _endpoints: Vec<Endpoint>,
}

/// A question that is ready to be sent to a store, and how its answer is read.
struct Question {
    frame: Vec<u8>,
    store: usize,
    id: BoxId,
    key: ReplyKey,
}

async fn endpoint(network: &Network, mix: usize) -> Endpoint {
    let config = &network.nodes[mix].config;
    let seed = keys::read(&keys::node_key_path(&config.dir)).expect("planned");
    let secret = LinkSecret::from_seed(seed);
    Endpoint::bind(LinkConfig::listening(secret, config.bind, &[PACKET_ALPN])).await.expect("binds")
}

impl Mixes {
    /// Takes the place of the mixes, and starts the stores.
    async fn around(network: &mut Network) -> Self {
        let (first, last) = (endpoint(network, MIXES[0]).await, endpoint(network, MIXES[2]).await);
        let (received, replies) = mpsc::unbounded_channel();
        let accepting = first.clone();
        tokio::spawn(async move {
            while let Some(link) = accepting.accept().await {
                let received = received.clone();
                tokio::spawn(async move {
                    let (_sender, mut receiver) = link.split();
                    let mut reader = CellReader::default();
                    while let Ok(Some(cell)) = receiver.recv().await {
                        for frame in reader.take(&cell).expect("a store's cell") {
                            if received.send(frame).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        for store in STORES {
            network.start(store);
        }
        network.connected().await;
        let mut senders = BTreeMap::new();
        for store in STORES {
            let node = network.descriptor(store);
            let peer = PeerId::from_bytes(*node.id.as_bytes());
            let link = last.connect(peer, &node.addresses, PACKET_ALPN, SOON).await;
            senders.insert(store, link.expect("connects").split().0);
        }
        let hops = MIXES.map(|mix| {
            let dir = &network.nodes[mix].config.dir;
            keys::read_hops(dir, |_| true).expect("planned").remove(0)
        });
        Self {
            hops,
            way: MIXES.map(|mix| network.hop(mix)),
            client: HopSecret::random(&mut OsRng),
            gateway: NodeTag::from_bytes(network.descriptor(GATEWAY).tag()),
            senders,
            replies,
            _endpoints: vec![first, last],
        }
    }

    fn question(&self, network: &Network, store: usize, id: BoxId, op: Op) -> Question {
        let delays = [Duration::ZERO; 4];
        let own = Hop {
            address: HopAddress::client(self.gateway, ReplyTag::random(&mut OsRng)),
            key: self.client.public(),
        };
        let [one, two, three] = self.way;
        let (block, key) =
            reply_block(&mut OsRng, &[one, two, three, own], &delays).expect("builds");
        let message = Request { reply: block.as_bytes().to_vec(), op }.to_wire();
        let way = [one, two, three, network.hop(store)];
        let packet = build(&mut OsRng, &way, &delays, &message).expect("builds");
        let frame = NodeFrame::to_node(self.through(packet)).to_bytes();
        Question { frame, store, id, key }
    }

    fn write(&self, network: &Network, store: usize, boxed: &SealedBox) -> Question {
        let op = Op::Write {
            placement: PLACEMENT,
            boxed: boxed.clone(),
            tell: Ticket::from_bytes([9; 16]).tell(),
        };
        self.question(network, store, boxed.id(), op)
    }

    fn read(&self, network: &Network, store: usize, id: BoxId) -> Question {
        self.question(network, store, id, Op::Read { placement: PLACEMENT, id })
    }

    fn through(&self, mut packet: Packet) -> Packet {
        for hop in &self.hops {
            packet = match unwrap(hop, &packet).expect("for this mix").unwrapped {
                Unwrapped::Forward { packet, .. } => packet,
                other => unreachable!("not for a mix: {other:?}"),
            };
        }
        packet
    }

    /// Sends questions, at most `window` of them unanswered at a time, and reads all answers that come,
    /// until each has one or none has come for a long time. What was not answered is not in the result.
    async fn ask(
        &mut self,
        network: &Network,
        questions: Vec<Question>,
        window: usize,
    ) -> BTreeMap<BoxId, Answer> {
        let count = questions.len();
        let mut asked: BTreeMap<SurbId, Question> = BTreeMap::new();
        let mut frames = Vec::new();
        let mut waiting = questions.into_iter();
        let mut sent = 0;
        while frames.len() < count {
            while sent < count && sent - frames.len() < window {
                let Some(question) = waiting.next() else { break };
                let sender = self.senders.get_mut(&question.store).expect("a store");
                // A packet's frame fills one cell.
                let mut frame = Some(&question.frame);
                let cell = CellWriter::default().cell(|| frame.take());
                sender.send(cell.into()).await.expect("sends");
                asked.insert(question.key.id(), question);
                sent += 1;
                frames.extend(std::iter::from_fn(|| self.replies.try_recv().ok()));
            }
            match timeout(QUIET, self.replies.recv()).await {
                Ok(Some(frame)) => frames.push(frame),
                _ => break,
            }
        }
        // Reading takes the processor from the stores, so it comes last.
        frames.iter().filter_map(|frame| self.answer(network, &mut asked, frame)).collect()
    }

    fn answer(
        &self,
        network: &Network,
        asked: &mut BTreeMap<SurbId, Question>,
        frame: &[u8],
    ) -> Option<(BoxId, Answer)> {
        let packet = self.through(NodeFrame::from_bytes(frame).expect("a frame").packet);
        let opened = unwrap(&self.client, &packet).expect("for the client").unwrapped;
        let Unwrapped::Reply { id, payload } = opened else { unreachable!("no reply") };
        let Question { store, id, key, .. } = asked.remove(&id)?;
        let signed = SignedAnswer::from_wire(&key.recover(payload).expect("sealed"));
        let signed = signed.expect("an answer");
        let store = StoreId::from_bytes(*network.descriptor(store).id.as_bytes());
        Some((id, signed.verify(&store, &id).expect("believable")))
    }
}

fn boxes(lane: u8, count: usize) -> Vec<SealedBox> {
    let mut lane = Lane::new(Secret::new([lane; 32]));
    let mut next = || {
        let sealed = lane.keys().seal(&mut OsRng, b"content").expect("fits");
        lane.advance();
        sealed
    };
    (0..count).map(|_| next()).collect()
}

fn count(answers: &BTreeMap<BoxId, Answer>, is: impl Fn(&Answer) -> bool) -> usize {
    answers.values().filter(|answer| is(answer)).count()
}

fn is_busy(answer: &Answer) -> bool {
    *answer == Answer::Refused(Refusal::Busy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooded_store_refuses_the_newest_keeps_what_it_took_and_recovers() {
    let mut network = Network::planned();
    let mut mixes = Mixes::around(&mut network).await;
    let store = STORES[0];

    // What it does when nobody is in a hurry.
    let calm = boxes(1, 300);
    let questions = calm.iter().map(|boxed| mixes.write(&network, store, boxed)).collect();
    let began = Instant::now();
    let answers = mixes.ask(&network, questions, CALM).await;
    let calm_rate = 300.0 / began.elapsed().as_secs_f64();
    assert_eq!(count(&answers, |answer| *answer == Answer::Stored), 300);

    // And now everything at once, with a read among every ten writes.
    let flood = boxes(2, FLOOD);
    let mut questions = Vec::new();
    for (n, boxed) in flood.iter().enumerate() {
        questions.push(mixes.write(&network, store, boxed));
        if n % 10 == 9 {
            questions.push(mixes.read(&network, store, calm[n / 10].id()));
        }
    }
    let began = Instant::now();
    let answers = mixes.ask(&network, questions, usize::MAX).await;
    let elapsed = began.elapsed();
    let stored = count(&answers, |answer| *answer == Answer::Stored);
    let busy = count(&answers, is_busy);
    let found = count(&answers, |answer| matches!(answer, Answer::Found(_)));
    println!(
        "calm {calm_rate:.0} writes/s; {FLOOD} at once: {stored} stored, {busy} busy, {found} of \
         {} reads found, in {elapsed:?}",
        FLOOD / 10
    );
    assert!(busy > 0, "it says that it cannot keep up");
    assert!(stored > FLOOD / 10, "and goes on with what it took: {stored}");
    assert!(found >= FLOOD / 10 * 9 / 10, "reads are answered: {found}");

    // It takes up again by itself: what was refused, or not answered, is asked for again.
    let status = control::query(&network.nodes[store].config.dir).await.expect("it runs");
    assert_eq!(status.load, Some(Load::Store { busy: false }));
    assert!(status.counters["refused_busy"] >= busy as u64);
    let is_stored = |boxed: &&SealedBox| answers.get(&boxed.id()) == Some(&Answer::Stored);
    let (kept, again): (Vec<_>, Vec<_>) = flood.iter().partition(is_stored);
    let again: Vec<_> =
        again.iter().take(200).map(|boxed| mixes.write(&network, store, boxed)).collect();
    let retried = again.len();
    let answers = mixes.ask(&network, again, CALM).await;
    // One whose answer was dropped on the way exists already, as what it is.
    let written = |answer: &Answer| matches!(answer, Answer::Stored | Answer::Exists(_));
    assert_eq!(count(&answers, written), retried);

    // Nothing that was called stored is lost: the other stores have it.
    let other = STORES[1];
    let reads = kept.iter().take(200).map(|boxed| mixes.read(&network, other, boxed.id()));
    let reads: Vec<_> = reads.collect();
    let asked = reads.len();
    let answers = mixes.ask(&network, reads, CALM).await;
    assert_eq!(count(&answers, |answer| matches!(answer, Answer::Found(_))), asked);
    for store in STORES {
        network.stop(store).await;
    }
}
