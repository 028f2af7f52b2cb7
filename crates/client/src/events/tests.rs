use tempfile::TempDir;
use xchat_engine::{
    Change, ContactId, Content, ConversationId, Direction, MessageRow, MessageState,
};

use super::*;
use crate::network::fixture::{Authority, now};
use crate::{Cost, NewProfile, Pace, Passphrase, Profile};

fn row(id: u64) -> MessageRow {
    MessageRow {
        id,
        conversation: ConversationId::from_bytes([1; 16]),
        contact: ContactId::from_bytes([1; 8]),
        direction: Direction::Out,
        content: Content::Text(format!("text {id}")),
        sent_at: id,
        state: MessageState::Waiting,
        number: id,
    }
}

/// A client whose history has `messages` rows, of which the first is stored since.
fn client(messages: u64) -> (TempDir, Client) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("alice");
    let passphrase = Passphrase::new("pass");
    let new = NewProfile {
        name: "Alice".to_owned(),
        network: Authority::new().first(now() + std::time::Duration::from_secs(86_400)).to_json(),
        network_path: None,
        pace: Pace::Desk,
        cost: Cost::dangerously_cheap(),
    };
    Profile::create(&path, &new, &passphrase).expect("makes a profile");
    let mut profile = Profile::open(&path, &passphrase).expect("opens");
    let rows: Vec<Change> = (1..=messages).map(|id| Change::Message(row(id))).collect();
    profile.store.apply(&rows).expect("applies");
    let stored = Change::MessageState { id: 1, state: MessageState::Stored };
    profile.store.apply(&[stored]).expect("applies");
    (dir, Client::start(profile).expect("starts"))
}

/// What the stream says about messages until it ends: ids, with `!` for a mere change of state.
async fn told(mut events: Events) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = events.next().await.expect("events") {
        match event.event {
            Event::Message(message) => told.push(message.id.to_string()),
            Event::MessageState { id, .. } => told.push(format!("{id}!")),
            _ => {}
        }
    }
    told
}

fn ids(range: impl Iterator<Item = u64>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

#[tokio::test]
async fn history_comes_first_and_whole() {
    let (_dir, client) = client(600);
    let mut events = client.events(From::Message(3)).await.expect("a stream");
    for id in 4..=600 {
        match events.next().await.expect("events").expect("more messages").event {
            Event::Message(message) => assert_eq!(message.id, id),
            other => panic!("not a message: {other:?}"),
        }
    }
    let now = client.events(From::Now).await.expect("a stream");
    client.stop().await;
    assert_eq!(told(events).await, Vec::<String>::new());
    assert_eq!(told(now).await, Vec::<String>::new());
}

#[tokio::test]
async fn after_a_change_come_new_messages_and_old_ones_that_moved_on() {
    let (_dir, client) = client(10);
    let mut events = client.events(From::Change(8)).await.expect("a stream");
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = events.next().await.expect("events").expect("three changes");
        told.push((event.seq, matches!(event.event, Event::Message(_))));
    }
    assert_eq!(told, [(9, true), (10, true), (11, false)]);
    client.stop().await;
}

/// A stream over a hand-made live channel, of which the store knows more than the channel says.
fn over(client: &Client, from: From, room: usize) -> (broadcast::Sender<Numbered>, Events) {
    let (sender, live) = broadcast::channel(room);
    let events = Events::new(client.clone(), from, Subscription { live, seq: 11 });
    (sender, events)
}

fn live(seq: u64, id: u64) -> Numbered {
    Numbered { seq, event: Event::Message(row(id).into()) }
}

#[tokio::test]
async fn what_history_has_told_is_not_told_again() {
    let (_dir, client) = client(10);
    let (sender, events) = over(&client, From::Message(7), 16);
    // Written between the subscription and the reading of the history: it is in both.
    sender.send(live(12, 10)).expect("a receiver");
    sender.send(live(13, 11)).expect("a receiver");
    drop(sender);
    assert_eq!(told(events).await, ids(8..=11));
    client.stop().await;
}

/// Everything was written, and the first message stored, between the subscription and the reading of the history.
#[tokio::test]
async fn what_history_has_told_as_it_stands_is_not_told_as_a_change() {
    let (_dir, client) = client(10);
    let (sender, live) = broadcast::channel(1);
    let events = Events::new(client.clone(), From::Message(0), Subscription { live, seq: 4 });
    drop(sender);
    assert_eq!(told(events).await, ids(1..=10));
    client.stop().await;
}

#[tokio::test]
async fn a_missed_message_is_news_once_and_one_from_others_does_not_change() {
    let (_dir, client) = client(1);
    let (_sender, mut events) = over(&client, From::Change(0), 1);
    events.told = 5;
    let mut missed = |id, direction, seq| {
        let row = MessageRow { direction, ..row(id) };
        let missed = events.missed(StoredMessage { row, born: id, seq }, 0)?;
        assert_eq!(missed.seq, seq);
        Some(matches!(missed.event, Event::Message(_)))
    };
    assert_eq!(missed(6, Direction::Out, 6), Some(true));
    // It moves on before the next page of changes is read.
    assert_eq!(missed(6, Direction::Out, 9), Some(false));
    assert_eq!(missed(5, Direction::Out, 10), Some(false), "told by the history");
    assert_eq!(missed(7, Direction::In, 7), Some(true));
    assert_eq!(missed(5, Direction::In, 5), None, "told by the history");
    client.stop().await;
}

#[tokio::test]
async fn who_is_cut_off_in_the_history_gets_the_rest_of_it_and_what_moved_on() {
    let (_dir, client) = client(10);
    // The first seven were told when nothing had changed after change 10: then message 1 was stored.
    let (sender, events) = over(&client, From::History { message: 7, change: 10 }, 16);
    drop(sender);
    let mut expected = ids(8..=10);
    expected.push("1!".to_owned());
    assert_eq!(told(events).await, expected);
    client.stop().await;
}

#[tokio::test]
async fn a_stream_says_where_it_begins() {
    let (_dir, client) = client(10);
    let begins = async |from| client.events(from).await.expect("a stream").seq();
    assert_eq!((begins(From::Now).await, begins(From::Message(3)).await), (11, 11));
    assert_eq!(begins(From::Change(4)).await, 4);
    client.stop().await;
}

/// As a page says that has seen another profile at the same address.
#[tokio::test]
async fn a_change_that_never_was_keeps_nothing_back() {
    let (_dir, client) = client(10);
    let (sender, events) = over(&client, From::Change(1_000), 16);
    assert_eq!(events.seq(), 11);
    sender.send(live(12, 11)).expect("a receiver");
    drop(sender);
    assert_eq!(told(events).await, ids(11..=11));
    client.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_gets_from_the_store_what_the_buffer_lost() {
    let (_dir, client) = client(10);
    let (sender, live_end) = broadcast::channel(2);
    let from = Subscription { live: live_end, seq: 4 };
    let events = Events::new(client.clone(), From::Now, from);
    for id in 5..=10 {
        sender.send(live(id, id)).expect("a receiver");
    }
    drop(sender);
    // Messages 5 to 10 and the change of message 1, each once.
    let mut expected = ids(5..=10);
    expected.push("1!".to_owned());
    assert_eq!(told(events).await, expected);
    client.stop().await;
}
