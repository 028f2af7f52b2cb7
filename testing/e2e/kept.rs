//! What is kept for a person, and found again: drafts, open invitations, everything that was said; and the decoys.

mod harness;
mod tab;

use std::collections::BTreeSet;

use harness::{Network, Person};
use serde_json::{Value, json};
use tab::{Address, Tab};
use xchat_client::{Passphrase, Profile};

fn address(person: &Person) -> Address {
    let said = person.ok(&["open", "--print"]).remove(0);
    Address::of(said["url"].as_str().expect("an address"))
}

fn draft(tab: &mut Tab) -> Value {
    let shown = tab.ask(json!({ "command": "conversations" })).expect("a list");
    shown["conversations"][0]["draft"].clone()
}

fn told(tab: &mut Tab) -> (String, String) {
    let event = tab.until(|frame| frame["event"]["event"] == "draft")["event"].clone();
    let text = |field: &str| event[field].as_str().expect("a text").to_owned();
    (text("text"), text("face"))
}

#[test]
fn a_draft_is_told_to_all_tabs_survives_kill_9_and_goes_when_it_is_sent() {
    let mut network = Network::up();
    let (alice, bob) = (Person::new(&network, "alice"), Person::new(&network, "bob"));
    alice.meet(&bob);
    let place = address(&alice);
    let token = place.token();
    let mut tabs = [Tab::hello(&place, &token, None), Tab::hello(&place, &token, None)];
    assert_eq!(draft(&mut tabs[0]), Value::Null);
    let write = |text: &str| json!({ "command": "set_draft", "contact": "bob", "text": text, "face": "first" });
    assert_eq!(tabs[0].ask(write("see you at")), Ok(json!({})));
    assert_eq!(told(&mut tabs[1]), ("see you at".to_owned(), "first".to_owned()));
    let longest = "ط".repeat(4096);
    assert_eq!(tabs[0].ask(write(&longest)), Ok(json!({})));
    assert_eq!(tabs[0].ask(write(&format!("{longest}x"))), Err("invalid".to_owned()));
    assert_eq!(tabs[0].ask(write("see you at ten")), Ok(json!({})));

    // It was on the disk when it was answered.
    alice.kill_daemon();
    alice.ok(&["contacts"]);
    let mut tabs = [Tab::hello(&place, &token, None), Tab::hello(&place, &token, None)];
    assert_eq!(draft(&mut tabs[1]), json!("see you at ten"));

    // What another face says has nothing to do with it; what it was written for removes it.
    alice.ok(&["send", "bob", "something else"]);
    assert_eq!(draft(&mut tabs[0]), json!("see you at ten"));
    let send = |text: &str| json!({ "command": "send", "contact": "bob", "text": text, "wait": "no", "from_draft": "first" });
    assert_eq!(tabs[0].ask(send("")), Err("invalid".to_owned()));
    assert_eq!(draft(&mut tabs[0]), json!("see you at ten"), "nothing was sent");
    tabs[0].ask(send("see you at ten")).expect("queued");
    assert_eq!(told(&mut tabs[1]), (String::new(), "first".to_owned()));
    for tab in &mut tabs {
        assert_eq!(draft(tab), Value::Null);
    }
    alice.kill_daemon();
    alice.ok(&["contacts"]);
    assert_eq!(draft(&mut Tab::hello(&place, &token, None)), Value::Null);
    for person in [&alice, &bob] {
        person.ok(&["stop"]);
    }
    network.stop();
}

#[test]
fn an_open_invitation_is_there_after_kill_9_and_can_be_taken_back() {
    let mut network = Network::up();
    let (alice, bob) = (Person::new(&network, "alice"), Person::new(&network, "bob"));
    assert!(alice.ok(&["invitations"]).is_empty());
    let link = |lines: Vec<Value>| lines[0]["link"].as_str().expect("a link").to_owned();
    let links = [link(alice.ok(&["invite"])), link(alice.ok(&["invite"]))];
    let open = alice.ok(&["invitations"]);
    let shown: BTreeSet<_> =
        open.iter().map(|line| line["link"].as_str().expect("a link")).collect();
    assert_eq!(shown, links.iter().map(String::as_str).collect());
    let days = 14 * 24 * 3600 * 1000;
    for line in &open {
        let time = |field: &str| line[field].as_u64().expect("a time");
        assert_eq!(time("expires_at") - time("made_at"), days);
    }
    alice.kill_daemon();
    assert_eq!(alice.ok(&["invitations"]), open);

    // One is accepted, the other is taken back.
    let id = |link: &str| {
        let line = open.iter().find(|line| line["link"] == link).expect("it is open");
        line["invitation"].as_str().expect("an id").to_owned()
    };
    bob.ok(&["accept", &links[0]]);
    alice.wait_for_contact("bob");
    let taken = alice.fail(&["withdraw", &id(&links[0])]);
    assert_eq!(taken["error"]["code"], "not_found");
    let mut events = alice.listen_to_all("0");
    let withdrawn = id(&links[1]);
    assert_eq!(alice.ok(&["withdraw", &withdrawn])[0]["withdrawn"], withdrawn);
    assert!(alice.ok(&["invitations"]).is_empty());
    events.until(|event| event["invitation"] == withdrawn && event["state"] == "withdrawn");
    events.until(|event| event["event"] == "invitation_failed" && event["reason"] == "withdrawn");
    let late = bob.fail(&["accept", &links[1]]);
    assert_eq!(late["error"]["code"], "expired");
    for wrong in ["", "x", "00", &"0".repeat(32)] {
        assert_eq!(alice.fail(&["withdraw", wrong])["error"]["code"], "not_found", "{wrong}");
    }
    drop(events);
    for person in [&alice, &bob] {
        person.ok(&["stop"]);
    }
    network.stop();
}

#[test]
fn what_was_said_is_found_by_its_words() {
    let mut network = Network::up();
    let (alice, bob) = (Person::new(&network, "alice"), Person::new(&network, "bob"));
    alice.meet(&bob);
    let said = ["The heron flies at midnight", "نلتقي يومَ الأحدِ في المقهى", "Crème brûlée, at ten"];
    for text in said {
        alice.ok(&["send", "bob", text, "--wait-delivered"]);
    }
    for (person, words, direction) in [(&alice, "heron mid", "out"), (&bob, "HERON", "in")] {
        let found = person.ok(&["search", words]);
        assert_eq!((found.len(), &found[0]["snippet"]), (1, &json!(said[0])), "{words}");
        assert_eq!(found[0]["direction"], direction);
        assert_eq!(found[0]["marks"][0], json!([4, 9]));
    }
    // Several words need no quotes, and none of them is an option or a language of its own.
    assert_eq!(bob.ok(&["search", "الاحد", "المقهي"])[0]["snippet"], said[1]);
    assert_eq!(bob.ok(&["search", "creme", "brulee", "--with", "alice"])[0]["snippet"], said[2]);
    assert!(bob.ok(&["search", "heron OR brulee"]).is_empty());
    let last = bob.ok(&["search", "at"]);
    let ids: Vec<_> = last.iter().map(|line| line["id"].as_u64().expect("an id")).collect();
    assert!(ids.len() == 2 && ids[0] > ids[1], "newest first: {ids:?}");
    let before = bob.ok(&["search", "at", "--before", &ids[0].to_string()]);
    assert_eq!(before, last[1..]);
    for (args, code) in [
        (&["search", "?!"][..], "invalid"),
        (&["search", &"x".repeat(300)], "invalid"),
        (&["search", "heron", "--with", "nobody"], "not_found"),
    ] {
        assert_eq!(bob.fail(args)["error"]["code"], code, "{args:?}");
    }
    // After a restart, and in a copy.
    bob.ok(&["stop"]);
    assert_eq!(bob.ok(&["search", "heron"]).len(), 1);
    for person in [&alice, &bob] {
        person.ok(&["stop"]);
    }
    network.stop();
}

/// The decoys of a profile that nobody has open, as they are kept.
fn decoys(person: &Person) -> Vec<u8> {
    let passphrase = Passphrase::new(harness::PASSPHRASE);
    let profile = Profile::open(&person.profile(), &passphrase).expect("a profile");
    profile.store().setting("decoys").expect("readable").expect("it was online, so it has some")
}

/// The boxes that a program follows after its start are those that it followed before, whosever they are.
#[test]
fn decoys_go_on_after_kill_9() {
    let mut network = Network::up();
    let (alice, bob) = (Person::new(&network, "alice"), Person::new(&network, "bob"));
    alice.meet(&bob);
    alice.kill_daemon();
    let before = decoys(&alice);
    alice.ok(&["send", "bob", "once more", "--wait-delivered"]);
    alice.kill_daemon();
    let after = decoys(&alice);
    assert_ne!(after, before, "they were tended again");
    // Secrets of their lanes and numbers of their boxes are 32 bytes that the two have in common.
    let known: BTreeSet<&[u8]> = before.windows(32).collect();
    let common = after.windows(32).filter(|secret| known.contains(secret)).count();
    assert!(common > 100, "{common} of {}", before.len());
    bob.ok(&["stop"]);
    let strange = decoys(&bob);
    assert_eq!(strange.windows(32).filter(|secret| known.contains(secret)).count(), 0);
    network.stop();
}
