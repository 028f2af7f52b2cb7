use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xchat_engine::{Content, Direction, Event as EngineEvent, MessageRow};

use super::*;
use crate::network::fixture::{Authority, now};
use crate::{
    Client, Command, Cost, From, NewProfile, Online, Pace, Passphrase, ProfileError, Response,
    Status,
};

const DAY: Duration = Duration::from_secs(86_400);
/// Long enough for anything that needs no network, and short enough to wait for.
const SOON: Option<Duration> = Some(Duration::from_millis(300));

fn passphrase() -> Passphrase {
    Passphrase::new("pass")
}

/// A profile in a network of which no node answers.
fn place() -> (TempDir, PathBuf) {
    place_until(now() + DAY)
}

fn place_until(end: Timestamp) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("alice");
    let new = NewProfile {
        name: "Alice".to_owned(),
        network: Authority::new().first(end).to_json(),
        network_path: None,
        pace: Pace::Fast,
        cost: Cost::dangerously_cheap(),
    };
    Profile::create(&path, &new, &passphrase()).expect("makes a profile");
    (dir, path)
}

fn open(path: &Path) -> Profile {
    Profile::open(path, &passphrase()).expect("opens")
}

async fn status(client: &Client) -> Status {
    match client.command(Command::Status, None).await.expect("a status") {
        Response::Status(status) => *status,
        other => panic!("not a status: {other:?}"),
    }
}

#[tokio::test]
async fn without_a_network_it_runs_and_says_so() {
    let (_dir, path) = place();
    let client = Client::open(&path, &passphrase()).await.expect("starts");
    let status = status(&client).await;
    assert_eq!((status.name.as_str(), status.network.as_str()), ("Alice", "nowhere"));
    assert!(!matches!(status.online, Online::Online { .. }));
    assert_eq!(status.crowd.size, "small");
    // What it costs is known before anybody answers, and nobody is blamed.
    assert_eq!((status.pace.name.as_str(), status.paces.len()), ("fast", 4));
    assert_eq!(status.paces[0].message_seconds, status.pace.message_seconds);
    assert_eq!(status.paces[0].bytes_per_month, status.pace.bytes_per_month);
    assert!(status.pace.message_seconds > 9.0, "a second at each of nine mixes");
    assert_eq!(status.document.box_lifetime_ms, 16 * 86_400_000);
    assert_eq!((status.losing, status.avoided_mixes, status.avoided_stores), (false, 0, 0));
    let refused = client.command(Command::Invite, SOON).await.expect_err("nobody is there");
    assert_eq!(refused.kind(), ErrorKind::NoNetwork);
    let contacts = client.command(Command::Contacts, None).await.expect("answers");
    assert_eq!(contacts, Response::Contacts { contacts: Vec::new() });
    client.stop().await;
}

#[tokio::test]
async fn mistakes_get_their_own_kinds() {
    let (_dir, path) = place();
    let client = Client::open(&path, &passphrase()).await.expect("starts");
    let kind = async |command| client.command(command, SOON).await.expect_err("refused").kind();
    let contact = || "Bob".to_owned();
    let send = Command::Send {
        contact: contact(),
        text: "x".into(),
        wait: crate::Wait::Stored,
        from_draft: None,
    };
    assert_eq!(kind(send).await, ErrorKind::NotFound);
    assert_eq!(kind(Command::SafetyNumber { contact: contact() }).await, ErrorKind::NotFound);
    let link = "xchat:nonsense".to_owned();
    assert_eq!(kind(Command::Accept { link }).await, ErrorKind::InvalidLink);
    let wait = client.wait(7, crate::Wait::Stored, SOON).await;
    assert_eq!(wait.expect_err("no such message").kind(), ErrorKind::NotFound);
    client.stop().await;
}

#[tokio::test]
async fn a_stopped_client_has_let_go_of_its_profile() {
    let (_dir, path) = place();
    let client = Client::open(&path, &passphrase()).await.expect("starts");
    let second = Profile::open(&path, &passphrase()).map(drop);
    assert!(matches!(second, Err(ProfileError::Locked)));
    let mut events = client.events(From::Now).await.expect("a stream");
    client.stop().await;
    client.stopped().await;
    let again = client.command(Command::Contacts, None).await.expect_err("it has stopped");
    assert_eq!(again.kind(), ErrorKind::Stopped);
    let mut last = None;
    while let Some(event) = events.next().await.expect("events") {
        last = Some(event.event);
    }
    assert_eq!(last, Some(Event::Stopping));
    drop(open(&path));
}

#[tokio::test]
async fn dropping_the_last_handle_stops_it() {
    let (_dir, path) = place();
    let client = Client::open(&path, &passphrase()).await.expect("starts");
    let events = client.events(From::Now).await.expect("a stream");
    let mut live = events.live_for_tests();
    // A stream holds a handle too.
    drop((client, events));
    while live.recv().await.is_ok() {}
}

async fn halted(client: &Client) -> Option<crate::error::ErrorBody> {
    match client.command(Command::Status, SOON).await {
        Ok(crate::api::Response::Status(status)) => status.halted,
        other => panic!("{other:?}"),
    }
}

/// A commit fails with `code`; what fails goes with the connection, as if the cause were gone.
async fn halts_and_goes_on(path: &Path, profile: Profile, kind: ErrorKind) {
    let client = Client::start(profile).expect("starts");
    let mut events = client.events(From::Now).await.expect("a stream");
    let refused = client.command(Command::Invite, SOON).await.expect_err("its keys are not kept");
    assert_eq!(refused.kind(), kind);
    // It may have halted before anybody could listen: as soon as it wanted to keep its gateways.
    assert_eq!(halted(&client).await.expect("halted").code, kind.code());
    while halted(&client).await.is_some() {
        // The next status, whatever it says, is a reason to look again.
        while !matches!(
            events.next().await.expect("events").expect("it goes on").event,
            Event::Status(_)
        ) {}
    }
    let invited = client.command(Command::Invite, SOON).await.expect_err("nobody is there");
    assert_eq!(invited.kind(), ErrorKind::NoNetwork, "the disk is not what is missing");
    client.stop().await;
    drop(open(path));
}

#[tokio::test]
async fn a_full_disk_halts_it_until_there_is_room() {
    let (_dir, path) = place();
    let profile = open(&path);
    profile.store.limit_pages(0);
    halts_and_goes_on(&path, profile, ErrorKind::DiskFull).await;
}

/// As after an error that made the system take the disk away from writers.
#[tokio::test]
async fn a_disk_that_becomes_read_only_halts_it_until_it_can_be_written() {
    let (_dir, path) = place();
    let profile = open(&path);
    profile.store.make_read_only();
    halts_and_goes_on(&path, profile, ErrorKind::Io).await;
}

/// The kept document was valid once, and is for a later time than the clock shows.
#[tokio::test]
async fn a_clock_that_is_behind_is_named_and_nothing_is_begun_by_it() {
    let (_dir, path) = place_until(now() + 365 * DAY);
    let client = Client::open(&path, &passphrase()).await.expect("starts");
    assert_eq!(status(&client).await.clock, ClockState::Behind);
    let refused = client.command(Command::Invite, SOON).await.expect_err("by a wrong clock");
    assert_eq!(refused.kind(), ErrorKind::ClockWrong);
    client.stop().await;
}

/// A clock that is ahead looks like a device that was off for long.
#[tokio::test]
async fn by_a_clock_that_may_be_ahead_nothing_becomes_due() {
    let (_dir, path) = place_until(now() - 300 * DAY);
    let (events, _sessions) = mpsc::channel(MAX_UNREAD);
    let mut driver = Driver::load(open(&path), events).expect("loads");
    let now = driver.now();
    assert_eq!(driver.clock_state(now), ClockState::Unsure);
    driver.engine_wake = Some(Timestamp::ZERO);
    driver.timers();
    assert_eq!(driver.engine_wake, Some(Timestamp::ZERO), "it waits until the time is known");
    assert!(driver.next_wake() > Instant::now(), "without spinning");
}

#[tokio::test]
async fn after_the_clock_was_set_back_everything_is_loaded_anew() {
    let (_dir, path) = place();
    let (events, _sessions) = mpsc::channel(MAX_UNREAD);
    let mut driver = Driver::load(open(&path), events).expect("loads");
    driver.clock.run_ahead(365 * DAY);
    assert!(driver.clock.was_set_back());
    let ahead = driver.now();
    assert_eq!(driver.clock_state(ahead), ClockState::Unsure);
    driver.start_over();
    let now = driver.now();
    assert!(now < ahead && !driver.clock.was_set_back());
    assert_eq!(driver.clock_state(now), ClockState::Right);
    assert!(matches!(driver.state, State::Running { .. }));
    assert!(driver.transport_wake.is_some_and(|at| at < now + DAY), "it goes on by the right time");
}

fn line(id: u64, direction: Direction, sent_at: Timestamp) -> MessageRow {
    MessageRow {
        id,
        conversation: ConversationId::from_bytes([7; 16]),
        contact: xchat_engine::ContactId::from_bytes([7; 8]),
        direction,
        content: Content::Text("a line".to_owned()),
        sent_at: sent_at.as_millis(),
        state: MessageState::Stored,
        number: id,
    }
}

/// Decoys live as their owner does, and know it from what is said.
#[tokio::test]
async fn what_is_said_is_told_to_the_decoys() {
    let (_dir, path) = place();
    let (events, _sessions) = mpsc::channel(MAX_UNREAD);
    let mut driver = Driver::load(open(&path), events).expect("loads");
    let habits = |driver: &Driver| driver.transport.kept_decoys().as_bytes().to_vec();
    let now = driver.now();
    let tell = |driver: &mut Driver, row: MessageRow| {
        let before = habits(driver);
        driver.carry_out_engine(vec![xchat_engine::Effect::Event(EngineEvent::Message(row))]);
        habits(driver) != before
    };
    assert!(tell(&mut driver, line(1, Direction::Out, now)));
    assert!(tell(&mut driver, line(2, Direction::In, now)));
    let nobody = MessageRow {
        content: Content::Notice(xchat_engine::Notice::WeRejoined),
        ..line(3, Direction::In, now)
    };
    assert!(!tell(&mut driver, nobody), "said by nobody");
}

/// A backup has no decoys, and those of another version cannot be read: how their owner talks is in the history.
#[tokio::test]
async fn without_decoys_what_was_said_lately_is_told_to_new_ones() {
    let decoys_after = |rows: &[MessageRow], decoys: Option<&[u8]>| {
        let (_dir, path) = place();
        let Profile { mut store, settings, reopen } = open(&path);
        let rows: Vec<_> = rows.iter().cloned().map(xchat_engine::Change::Message).collect();
        store.apply(&rows).expect("applies");
        if let Some(decoys) = decoys {
            store.set_settings(&[(setting::DECOYS, decoys)]).expect("sets");
        }
        let (events, _sessions) = mpsc::channel(MAX_UNREAD);
        let driver = Driver::load(Profile { store, settings, reopen }, events).expect("loads");
        driver.transport.kept_decoys().as_bytes().to_vec()
    };
    let now = now();
    let lately = [line(1, Direction::Out, now - 2 * DAY), line(2, Direction::In, now - DAY)];
    // What is known of a conversation takes more than a hundred bytes.
    let nothing = decoys_after(&[], None);
    let know_it = |decoys: &[u8]| decoys.len() > nothing.len() + 100;
    assert!(know_it(&decoys_after(&lately, None)));
    assert!(know_it(&decoys_after(&lately, Some(b"of another version"))));
    assert!(!know_it(&decoys_after(&lately, Some(&nothing))), "they are told no more");
    let elsewhen =
        [line(1, Direction::Out, now - 400 * DAY), line(2, Direction::In, now + 400 * DAY)];
    assert!(!know_it(&decoys_after(&elsewhen, None)));
}

fn contact(number: usize) -> Contact {
    let number = u8::try_from(number % 256).expect("a byte");
    Contact {
        contact: xchat_engine::ContactId::from_bytes([number; 8]),
        name: format!("contact {number}"),
        conversation: ConversationId::from_bytes([number; 16]),
        verified: false,
        rejoined: false,
        rejoining: false,
    }
}

fn ask(driver: &mut Driver, command: Command) -> Result<Response, Error> {
    let (reply, mut answer) = oneshot::channel();
    driver.request(Request::Command { command, reply });
    answer.try_recv().expect("it needs no network")
}

#[tokio::test]
async fn drafts_are_kept_told_and_bounded() {
    let (_dir, path) = place();
    let (events, _sessions) = mpsc::channel(MAX_UNREAD);
    let mut driver = Driver::load(open(&path), events).expect("loads");
    let named = |number: usize| contact(number).contact.to_hex();
    driver.contacts = (0..256).map(|n| (contact(n).conversation, contact(n))).collect();
    let mut told = driver.events.subscribe();
    let face = || crate::Face::new("a tab").expect("short");
    let draft = |contact: String, text: &str| {
        let text = text.to_owned();
        Command::SetDraft { contact, text, face: face() }
    };
    for number in 0..255 {
        ask(&mut driver, draft(named(number), "half a sen")).expect("kept");
    }
    let first = told.try_recv().expect("told").event;
    let Contact { conversation, contact: whose, .. } = contact(0);
    let text = "half a sen".to_owned();
    assert_eq!(first, Event::Draft { conversation, contact: whose, text, face: face() });
    while told.try_recv().is_ok() {}
    ask(&mut driver, draft(named(0), "half a sen")).expect("the same");
    assert!(told.try_recv().is_err(), "nothing has changed");

    // The longest, one byte more, and nobody's.
    let kind = |answer: Result<Response, Error>| answer.expect_err("refused").kind();
    let longest = "x".repeat(crate::MAX_TEXT_LEN);
    ask(&mut driver, draft(named(255), &longest)).expect("the last there is room for");
    let longer = ask(&mut driver, draft(named(0), &format!("{longest}x")));
    assert_eq!(kind(longer), ErrorKind::Invalid);
    assert_eq!(kind(ask(&mut driver, draft("nobody".to_owned(), "x"))), ErrorKind::NotFound);
    let stranger = ConversationId::from_bytes([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
    let number_257 = Contact {
        conversation: stranger,
        contact: xchat_engine::ContactId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]),
        ..contact(7)
    };
    let name = number_257.contact.to_hex();
    driver.contacts.insert(stranger, number_257);
    assert_eq!(kind(ask(&mut driver, draft(name.clone(), "x"))), ErrorKind::TooMany);
    ask(&mut driver, draft(named(3), "")).expect("room is made");
    ask(&mut driver, draft(name, "x")).expect("kept");

    let Ok(Response::Conversations { conversations }) = ask(&mut driver, Command::Conversations)
    else {
        panic!("not a list")
    };
    let of = |number: usize| {
        let shown = conversations.iter().find(|each| each.contact == contact(number));
        shown.expect("listed").draft.clone()
    };
    assert_eq!((of(0).as_deref(), of(3)), (Some("half a sen"), None));
}

#[tokio::test]
async fn a_search_is_answered_or_refused_with_a_reason() {
    let (_dir, path) = place();
    let mut profile = open(&path);
    let row = |id, number, text: &str| {
        let Contact { contact, conversation, .. } = contact(number);
        xchat_engine::Change::Message(xchat_engine::MessageRow {
            id,
            conversation,
            contact,
            direction: xchat_engine::Direction::In,
            content: xchat_engine::Content::Text(text.to_owned()),
            sent_at: id,
            state: MessageState::Received,
            number: 0,
        })
    };
    let rows: Vec<_> = (1..=60).map(|id| row(id, (id % 2) as usize, "the heron flies")).collect();
    profile.store_mut().apply(&rows).expect("applies");
    let (events, _sessions) = mpsc::channel(MAX_UNREAD);
    let mut driver = Driver::load(profile, events).expect("loads");
    driver.contacts = (0..2).map(|n| (contact(n).conversation, contact(n))).collect();
    let mut search = |words: &str, with: Option<&str>, before| {
        let (words, contact) = (words.to_owned(), with.map(str::to_owned));
        ask(&mut driver, Command::Search { words, contact, before, limit: Some(1_000) })
    };
    let Ok(Response::Found { found, more: true }) = search("her", None, None) else {
        panic!("a full page")
    };
    assert_eq!(found.len(), Command::MAX_FOUND as usize);
    assert_eq!((found[0].id, found[0].snippet.as_str()), (60, "the heron flies"));
    assert_eq!(found[0].marks, [(4, 9)]);
    let Ok(Response::Found { found, more: false }) = search("her", None, Some(11)) else {
        panic!("the rest")
    };
    assert_eq!(found.len(), 10);
    let Ok(Response::Found { found, more: false }) = search("her", Some("contact 1"), None) else {
        panic!("those of one conversation")
    };
    assert_eq!((found.len(), found[0].id), (30, 59));
    let refused = search("?!", None, None).expect_err("no word");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.body().message.contains("nothing to search for"), "{refused:?}");
    let refused = search(&"x".repeat(300), None, None).expect_err("too long");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let refused = search("heron", Some("nobody"), None).expect_err("nobody");
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}
