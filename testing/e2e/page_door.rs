//! The page's door: how a page gets in, what it is told, and what becomes of those who do not belong there. The
//! page itself is played by a client that speaks the same socket.

mod harness;
mod tab;

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Duration;

use harness::{Network, PASSPHRASE, Person};
use serde_json::{Value, json};
use tab::{Address, Tab, messages_in};

/// `MAX_TABS` of spec/09-parameters.md.
const MAX_TABS: usize = 32;

fn address(person: &Person) -> Address {
    let said = person.ok(&["open", "--print"]).remove(0);
    assert_eq!(said["opened"], false);
    Address::of(said["url"].as_str().expect("an address"))
}

fn refused(person: &Person) -> u64 {
    person.ok(&["status"])[0]["door"]["refused"].as_u64().expect("a number")
}

#[test]
fn a_page_gets_in_by_a_code_once_and_by_nothing_else() {
    let mut network = Network::up();
    let alice = Person::new(&network, "alice");
    let address = address(&alice);
    let own = address.origin();
    let before = refused(&alice);

    assert_eq!(address.session("0000", Some(&own)).0, 401, "no code");
    assert_eq!(address.session(&address.code, Some("http://evil.example")).0, 403);
    assert_eq!(address.session(&address.code, Some("null")).0, 403);
    let (status, body) = address.session(&address.code, Some(&own));
    assert_eq!(status, 200, "{body}");
    let token = body["token"].as_str().expect("a token").to_owned();
    let (status, body) = address.session(&address.code, Some(&own));
    assert_eq!((status, &body["error"]["code"]), (401, &json!("wrong_code")), "a second time");

    // The card's token is for commands, the page's for its socket, and neither for the other's.
    let card = std::fs::read_to_string(alice.profile().join("daemon.json")).expect("a card");
    let card: Value = serde_json::from_str(&card).expect("JSON");
    let wrong = [card["token"].as_str().expect("a token"), "", "00", &token[1..]];
    for token in wrong {
        let mut tab = Tab::connect(&address, Some(&own)).expect("a socket");
        tab.say(json!({ "type": "hello", "token": token, "after": null }));
        assert_eq!(tab.last_words(), Some("wrong_token".to_owned()), "{token}");
    }
    for origin in ["http://evil.example", "null", "https://127.0.0.1", "http://localhost"] {
        assert_eq!(Tab::connect(&address, Some(origin)).err(), Some(403), "{origin}");
    }
    assert!(refused(&alice) >= before + 11, "they are counted");

    let mut tab = Tab::hello(&address, &token, None);
    assert_eq!((&tab.welcome["profile"], &tab.welcome["name"]), (&json!("open"), &json!("alice")));
    assert_eq!(tab.ask(json!({ "command": "contacts" })), Ok(json!({ "contacts": [] })));
    let kept = alice.profile().join("pages.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&kept).expect("a file").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&kept).expect("a file").contains(&token));
    alice.ok(&["stop"]);
    assert_eq!(tab.last_words(), None, "it is told that the daemon stops, and no error");
    network.stop();
}

#[test]
fn the_page_is_for_everybody_on_this_machine_and_says_what_it_may_do() {
    let mut network = Network::up();
    let alice = Person::new(&network, "alice");
    let address = address(&alice);
    let (status, head, body) = address.get("/", &address.host());
    let built = status == 200;
    assert!(built || (status == 503 && body.contains("./x build")), "{status}: {body}");
    for line in [
        "content-security-policy: default-src 'none'; script-src 'self'",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "cache-control: no-cache",
    ] {
        assert!(head.contains(line), "{line} in\n{head}");
    }
    assert!(head.contains(&format!("ws://{};", address.host())), "{head}");
    assert_eq!(address.get("/", "evil.example").0, 403, "a name that is pointed here");
    assert_eq!(address.get("/../Cargo.toml", &address.host()).0, 401, "no file of the page");
    assert_eq!(address.get("/v1/alive", &address.host()).0, 401, "the rest needs the card");
    alice.ok(&["stop"]);
    network.stop();
}

#[test]
fn what_is_silent_too_long_or_no_frame_is_cut_off() {
    let mut network = Network::up();
    let alice = Person::new(&network, "alice");
    let address = address(&alice);
    let token = address.token();
    let connect = || Tab::connect(&address, None).expect("a socket");

    let mut silent = connect();
    for first in [r#"{"type":"lock","id":1}"#, "", "{", "null", r#"{"type":"hello"}"#] {
        let mut tab = connect();
        tab.say_text(first);
        assert_eq!(tab.last_words(), Some("invalid".to_owned()), "{first}");
    }
    let mut long = connect();
    long.say_text(&format!("\"{}\"", "x".repeat(100_000)));
    assert!(matches!(long.last_words().as_deref(), Some("invalid") | None));

    let mut tab = Tab::hello(&address, &token, None);
    for (frame, id) in [
        (json!({ "type": "command", "id": 7, "command": { "command": "format_disk" } }), 7),
        (json!({ "type": "command", "id": 8, "command": { "command": "status", "and": 1 } }), 8),
        (json!({ "type": "dance", "id": 9 }), 9),
    ] {
        tab.say(frame);
        let error = tab.until(|frame| frame["type"] == "error");
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!(id), &json!("invalid")));
    }
    tab.ask(json!({ "command": "status" })).expect("it goes on after such a mistake");
    tab.say_text(&format!("\"{}\"", "x".repeat(1 << 20)));
    assert!(matches!(tab.last_words().as_deref(), Some("invalid") | None));
    assert_eq!(silent.last_words(), Some("too_slow".to_owned()));

    let mut tabs: Vec<_> = (0..MAX_TABS).map(|_| Tab::hello(&address, &token, None)).collect();
    let mut more = connect();
    more.say(json!({ "type": "hello", "token": token, "after": null }));
    assert_eq!(more.last_words(), Some("too_many".to_owned()));
    for tab in &mut tabs {
        tab.ask(json!({ "command": "contacts" })).expect("each of them is served");
    }
    alice.ok(&["contacts"]);
    alice.ok(&["stop"]);
    network.stop();
}

#[test]
fn what_a_page_was_writing_is_kept_after_its_socket_has_gone_and_only_by_its_token() {
    let mut network = Network::up();
    let (alice, bob) = (Person::new(&network, "alice"), Person::new(&network, "bob"));
    alice.meet(&bob);
    let address = address(&alice);
    let (own, token) = (address.origin(), address.token());
    let mut other = Tab::hello(&address, &token, None);
    let card = std::fs::read_to_string(alice.profile().join("daemon.json")).expect("a card");
    let card: Value = serde_json::from_str(&card).expect("JSON");
    let draft = json!({ "contact": "bob", "text": "half a sen", "face": "gone" });

    for token in ["", "00", card["token"].as_str().expect("a token")] {
        assert_eq!(address.draft(token, &own, &draft).0, 401, "{token}");
    }
    assert_eq!(address.draft(&token, "http://evil.example", &draft).0, 403);
    let (status, body) = address.draft(&token, &own, &json!({ "contact": "bob", "command": 1 }));
    assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid")));
    let long = json!({ "contact": "bob", "text": "x".repeat(8_193), "face": "gone" });
    assert_eq!(address.draft(&token, &own, &long).0, 422);

    assert_eq!(address.draft(&token, &own, &draft), (200, json!({})));
    let told = other.until(|frame| frame["event"]["event"] == "draft");
    assert_eq!(told["event"]["text"], "half a sen", "the other tabs are told");
    let listed = other.ask(json!({ "command": "conversations" })).expect("a list");
    assert_eq!(listed["conversations"][0]["draft"], "half a sen");
    alice.ok(&["stop"]);
    bob.ok(&["stop"]);
    network.stop();
}

#[test]
fn a_tab_that_does_not_read_is_cut_off_and_holds_nobody_up() {
    let mut network = Network::up();
    let (alice, bob) = (Person::new(&network, "alice"), Person::new(&network, "bob"));
    alice.meet(&bob);
    for n in 0..120 {
        alice.ok(&["send", "bob", "--no-wait", &format!("{n} {}", "x".repeat(8_000))]);
    }
    let address = address(&alice);
    let token = address.token();
    let mut slow = Tab::hello(&address, &token, None);
    // Far more than the system takes for it.
    for id in 0..60 {
        slow.say(json!({ "type": "command", "id": id, "command": { "command": "messages", "limit": 1000 } }));
    }
    let mut other = Tab::hello(&address, &token, None);
    let open = || alice.ok(&["status"])[0]["door"]["open"].as_u64().expect("a number");
    let before = open();
    let end = std::time::Instant::now() + Duration::from_secs(90);
    while open() >= before {
        other.ask(json!({ "command": "contacts" })).expect("it is served meanwhile");
        assert!(std::time::Instant::now() < end, "it is cut off");
    }
    let answered = slow.read_to_the_end();
    assert!(answered < 60, "{answered} answers came");
    // It comes back, like any other.
    Tab::hello(&address, &token, Some(0)).ask(json!({ "command": "contacts" })).expect("served");
    for person in [&alice, &bob] {
        person.ok(&["stop"]);
    }
    network.stop();
}

#[test]
fn tabs_see_the_same_and_a_killed_daemon_keeps_nothing_from_them() {
    let mut network = Network::up();
    let (alice, bob) = (Person::new(&network, "alice"), Person::new(&network, "bob"));
    alice.meet(&bob);
    let address = address(&alice);
    let token = address.token();
    let mut tabs = [Tab::hello(&address, &token, None), Tab::hello(&address, &token, None)];
    for n in 0..5 {
        bob.ok(&["send", "alice", &format!("first {n}")]);
    }
    let heard = tabs.each_mut().map(|tab| tab.messages(5));
    assert_eq!(heard[0], heard[1], "ids, numbers and texts");
    let contact = tabs[0].contact("bob");
    let last = heard[0][4].0;

    // What one tab has read, the other learns, and a later start remembers.
    let unread = |tab: &mut Tab| {
        let shown = tab.ask(json!({ "command": "conversations" })).expect("a list");
        shown["conversations"][0]["unread"].as_u64().expect("a number")
    };
    assert_eq!(unread(&mut tabs[1]), 5);
    let mark = json!({ "command": "mark_read", "contact": contact, "up_to": last - 1 });
    assert_eq!(tabs[0].ask(mark), Ok(json!({})));
    for tab in &mut tabs {
        let read = tab.until(|frame| frame["event"]["event"] == "read");
        assert_eq!((&read["event"]["contact"], &read["event"]["unread"]), (&contact, &json!(1)));
    }

    // A message of one tab is seen by the other.
    let send = json!({ "command": "send", "contact": contact, "text": "from a tab", "wait": "no" });
    let sent = tabs[0].ask(send).expect("queued");
    let seen = tabs[1].until(|frame| frame["event"]["text"] == "from a tab");
    assert_eq!(seen["event"]["id"], sent["id"]);
    let delivered = |frame: &Value| {
        frame["event"]["event"] == "message_state" && frame["event"]["state"] == "delivered"
    };
    let place = tabs[1].until(delivered)["event"]["seq"].as_u64().expect("a number");

    alice.kill_daemon();
    for tab in &mut tabs {
        tab.read_to_the_end();
    }
    for n in 0..5 {
        bob.ok(&["send", "alice", &format!("second {n}")]);
    }
    alice.ok(&["contacts"]);
    let mut again = Tab::hello(&address, &token, Some(place));
    assert_eq!(again.welcome["place"], place, "the daemon is back at its port");
    let texts: Vec<_> = again.messages(5).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts, (0..5).map(|n| format!("second {n}")).collect::<Vec<_>>());
    assert_eq!(unread(&mut again), 6);
    // Nothing comes twice.
    bob.ok(&["send", "alice", "the end"]);
    let rest = again.until(|frame| frame["event"]["event"] == "message");
    assert_eq!(rest["event"]["text"], "the end");

    // Whoever was away from the beginning gets the whole, once.
    let mut late = Tab::hello(&address, &token, Some(0));
    let all: Vec<_> = late.messages(12).into_iter().map(|(id, _, _)| id).collect();
    let mut once = all.clone();
    once.dedup();
    assert_eq!(all, once);
    assert_eq!(messages_in(&alice, "bob"), 12);
    for person in [&alice, &bob] {
        person.ok(&["stop"]);
    }
    network.stop();
}

fn serve_locked(person: &Person, more: &[&str]) -> Child {
    let args = [&["serve", "--locked"], more].concat();
    let mut child = person.spawn(&args);
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert!(line.contains("\"ready\""), "{line}");
    child
}

#[test]
fn a_page_makes_the_profile_locks_and_opens_it() {
    let mut network = Network::up();
    let alice = Person::without_profile();
    let file = network.file();
    let mut daemon = serve_locked(&alice, &["--network", file.to_str().expect("utf-8")]);
    let address = address(&alice);
    let token = address.token();
    let mut tab = Tab::hello(&address, &token, None);
    let mut other = Tab::hello(&address, &token, None);
    assert_eq!((&tab.welcome["profile"], &tab.welcome["place"]), (&json!("absent"), &Value::Null));
    assert!(tab.welcome["network"].is_string());
    let paces = tab.welcome["paces"].as_array().expect("a list");
    assert_eq!(paces.len(), 4);
    assert_eq!(tab.ask(json!({ "command": "contacts" })), Err("no_profile".to_owned()));
    assert_eq!(alice.fail(&["contacts"])["error"]["code"], "no_profile");

    let create = |name: &str, passphrase: &str, pace: &str| json!({ "type": "create", "name": name, "passphrase": passphrase, "pace": pace });
    for (name, passphrase, pace) in
        [("", PASSPHRASE, "desk"), ("alice", "", "desk"), ("alice", PASSPHRASE, "warp")]
    {
        let refused = tab.request(create(name, passphrase, pace));
        assert_eq!(refused, Err("invalid".to_owned()), "{name} {pace}");
    }
    assert_eq!(tab.request(create("alice", PASSPHRASE, "fast")), Ok(json!({})));
    for tab in [&mut tab, &mut other] {
        let welcome = tab.until_profile("open");
        assert_eq!((&welcome["name"], &welcome["place"]), (&json!("alice"), &json!(0)));
    }
    assert_eq!(tab.request(create("eve", "x", "desk")), Err("profile_exists".to_owned()));
    assert_eq!(alice.ok(&["status"])[0]["name"], "alice", "the commands use it too");

    assert_eq!(other.request(json!({ "type": "lock" })), Ok(json!({})));
    for tab in [&mut tab, &mut other] {
        tab.until_profile("locked");
    }
    assert_eq!(tab.ask(json!({ "command": "contacts" })), Err("passphrase_needed".to_owned()));
    let unlock = |passphrase: &str| json!({ "type": "unlock", "passphrase": passphrase });
    assert_eq!(tab.request(unlock("wrong")), Err("wrong_passphrase".to_owned()));
    let refused = alice.fail_with_passphrase("wrong", &["contacts"]);
    assert_eq!(refused["error"]["code"], "wrong_passphrase");
    assert_eq!(tab.request(unlock(PASSPHRASE)), Ok(json!({})));
    for tab in [&mut tab, &mut other] {
        tab.until_profile("open");
        assert_eq!(tab.ask(json!({ "command": "contacts" })), Ok(json!({ "contacts": [] })));
    }

    // A command opens a locked profile as well.
    assert_eq!(tab.request(json!({ "type": "lock" })), Ok(json!({})));
    tab.until_profile("locked");
    assert!(alice.ok(&["contacts"]).is_empty());
    tab.until_profile("open");

    // And so it goes on after a restart, locked, for the same page.
    alice.ok(&["stop"]);
    assert!(daemon.wait().expect("ends").success());
    tab.read_to_the_end();
    let mut daemon = serve_locked(&alice, &[]);
    let tab = Tab::hello(&address, &token, Some(0));
    assert_eq!(tab.welcome["profile"], "locked");
    alice.ok(&["stop"]);
    assert!(daemon.wait().expect("ends").success());
    network.stop();
}

#[test]
fn without_a_network_no_profile_is_made() {
    let alice = Person::without_profile();
    let mut daemon = serve_locked(&alice, &[]);
    let address = address(&alice);
    let mut tab = Tab::hello(&address, &address.token(), None);
    assert_eq!(tab.welcome["network"], Value::Null);
    let create =
        json!({ "type": "create", "name": "alice", "passphrase": PASSPHRASE, "pace": "desk" });
    assert_eq!(tab.request(create), Err("bad_network".to_owned()));
    alice.ok(&["stop"]);
    assert!(daemon.wait().expect("ends").success());
}
