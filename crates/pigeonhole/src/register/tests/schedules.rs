//! Random schedules: more of everything than the model checker can exhaust.

use proptest::prelude::*;
use xchat_base::random;

use super::super::OP_TIMEOUT;
use super::*;

#[derive(Debug, Clone)]
enum Event {
    Write { rank: usize, n: u64 },
    Read { rank: usize },
    Deliver,
    Duplicate,
    Lose,
    Crash { rank: usize },
    Wait { millis: u64 },
}

fn any_event() -> impl Strategy<Value = Event> {
    let rank = || 0..REPLICAS;
    prop_oneof![
        2 => (rank(), 0u64..4).prop_map(|(rank, n)| Event::Write { rank, n }),
        2 => rank().prop_map(|rank| Event::Read { rank }),
        20 => Just(Event::Deliver),
        3 => Just(Event::Duplicate),
        3 => Just(Event::Lose),
        1 => rank().prop_map(|rank| Event::Crash { rank }),
        4 => (1u64..800).prop_map(|millis| Event::Wait { millis }),
    ]
}

/// What was asked, and whether a value had been reported before.
#[derive(Debug, Clone, Copy)]
struct Asked {
    write: Option<u64>,
    after_value: bool,
}

struct Run {
    net: Net,
    asked: BTreeMap<u64, Asked>,
}

impl Run {
    fn reported(&self) -> Vec<VerifiedBox> {
        let answers = self.net.answers.iter().filter_map(|(op, answer)| match answer {
            Answer::Stored => self.asked[op].write.map(value),
            Answer::Exists(sealed) | Answer::Found(sealed) => {
                Some(sealed.verify().expect("only valid boxes are reported"))
            }
            _ => None,
        });
        answers.collect()
    }

    fn ask(&mut self, rank: usize, write: Option<u64>) {
        let op = self.asked.len() as u64;
        let after_value = !self.reported().is_empty();
        self.asked.insert(op, Asked { write, after_value });
        match write {
            Some(n) => self.net.write(op, rank, n),
            None => self.net.read(op, rank),
        }
    }

    /// A message drawn at random: any order.
    fn draw(&mut self) -> Option<usize> {
        let len = self.net.sent.len();
        (len > 0).then(|| random::index(&mut self.net.rng, len))
    }

    fn carry_out(&mut self, event: Event) {
        match event {
            Event::Write { rank, n } => self.ask(rank, Some(n)),
            Event::Read { rank } => self.ask(rank, None),
            Event::Deliver => {
                if let Some(at) = self.draw() {
                    let envelope = self.net.sent.swap_remove(at);
                    self.deliver(envelope);
                }
            }
            Event::Duplicate => {
                if let Some(at) = self.draw() {
                    let envelope = self.net.sent[at].clone();
                    self.deliver(envelope);
                }
            }
            Event::Lose => {
                if let Some(at) = self.draw() {
                    self.net.sent.swap_remove(at);
                }
            }
            Event::Crash { rank } => self.net.crash(rank),
            Event::Wait { millis } => {
                self.net.now = self.net.now + Duration::from_millis(millis);
                for rank in 0..REPLICAS {
                    if self.net.wake[rank].is_some_and(|at| at <= self.net.now) {
                        self.net.wake[rank] = None;
                        self.net.input(rank, RegisterInput::Timer);
                    }
                }
            }
        }
    }

    /// Delivers; and checks what the model checker relies on: a spent message changes nothing.
    fn deliver(&mut self, envelope: Envelope) {
        let (from, to, message) = &envelope;
        let (from, to) = (*from, *to);
        let rank = u8::try_from(from).expect("ranks are small");
        let (replicas, tables) = (&self.net.replicas, &self.net.tables);
        let spent =
            replicas[to].has_spent(message, &replicas[from], rank, &tables[to], self.net.now);
        let before = (replicas[to].operations.clone(), tables[to].clone(), self.net.answers.len());
        self.net.deliver(envelope);
        if spent {
            let after = &self.net;
            assert_eq!(before.1, after.tables[to], "a spent message changed a table");
            assert_eq!(before.2, after.answers.len(), "a spent message ended an operation");
            assert_eq!(before.0, after.replicas[to].operations, "a spent message changed one");
        }
    }

    fn check(&self) {
        let reported = self.reported();
        assert!(reported.windows(2).all(|pair| pair[0] == pair[1]), "two values: {reported:?}");
        for (op, asked) in &self.asked {
            match self.net.answers.get(op) {
                Some(Answer::Empty) => assert!(!asked.after_value, "empty after a value"),
                Some(Answer::Exists(sealed)) => {
                    let own = asked.write.map(value);
                    assert_ne!(own.as_ref().map(VerifiedBox::sealed), Some(sealed));
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_box_has_one_value_whatever_happens(
        events in prop::collection::vec(any_event(), 0..150),
        seed: u64,
    ) {
        let mut run = Run { net: Net::new(seed), asked: BTreeMap::new() };
        for event in events {
            run.carry_out(event);
            run.check();
        }
        // When the trouble is over, whoever asks gets an answer. What one replica alone has accepted
        // before a crash may still become the value when that one is asked; after that all answers
        // are the same.
        run.net.sent.clear();
        run.net.pass(OP_TIMEOUT * 2, nothing_lost);
        for rank in (0..REPLICAS).chain(0..REPLICAS) {
            run.ask(rank, None);
            run.net.pass(OP_TIMEOUT, nothing_lost);
        }
        run.check();
        let last = run.asked.len() as u64;
        let answers: Vec<_> = (last - 3..last).map(|op| run.net.answers[&op].clone()).collect();
        prop_assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", answers);
        prop_assert!(!matches!(answers[0], Answer::Refused(_)));
        prop_assert!(run.net.replicas.iter().all(|replica| replica.operation_count() == 0));
    }
}
