//! Honest people whose gateway is the hostile one: their app is started again and again, and tries it each time.

use xchat_testkit::{Ground, Person, give_up};

use crate::Attack;
use crate::tally::Kind;

/// Of two gateways everybody draws one to try first; that none of so many draws the hostile one happens once in
/// 1,024 attacks.
const MOST: usize = 10;

/// Somebody whose app tries the hostile gateway first.
pub(crate) fn find(ground: &Ground, attack: &Attack) -> Person {
    let lies = || attack.tally.of(Kind::GatewayLies).0;
    for number in 1..=MOST {
        let before = lies();
        let person = Person::new(ground, &format!("visitor-{number}"));
        person.wait_until_online();
        if lies() > before {
            return person;
        }
    }
    give_up("nobody tries the hostile gateway first")
}

/// Comes and goes until the attack is over.
pub(crate) fn come_and_go(person: &Person, attack: &Attack) {
    while !attack.beat.is_over() {
        person.ok(&["stop"]);
        person.wait_until_online();
    }
}
