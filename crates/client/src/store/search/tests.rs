use proptest::prelude::*;
use tempfile::TempDir;
use xchat_base::Secret;
use xchat_engine::{Change, Content, MessageRow, MessageState};

use super::*;

fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let key = Secret::new([7; 32]);
    let store = Store::create(&dir.path().join("store.db"), &key).expect("a store");
    (dir, store)
}

fn conversation(number: u8) -> ConversationId {
    ConversationId::from_bytes([number; 16])
}

fn row(id: u64, with: u8, text: &str) -> Change {
    Change::Message(MessageRow {
        id,
        conversation: conversation(with),
        contact: ContactId::from_bytes([with; 8]),
        direction: if id.is_multiple_of(2) { Direction::In } else { Direction::Out },
        content: Content::Text(text.to_owned()),
        sent_at: 1_800_000_000_000 + id,
        state: MessageState::Received,
        number: 0,
    })
}

fn filled(texts: &[&str]) -> (TempDir, Store) {
    let (dir, mut store) = store();
    let changes: Vec<_> = (1..).zip(texts).map(|(id, text)| row(id, 1, text)).collect();
    store.apply(&changes).expect("applies");
    (dir, store)
}

fn found(store: &Store, typed: &str) -> Vec<u64> {
    let words = Words::new(typed).expect("words");
    let hits = store.search(&words, None, u64::MAX, 50).expect("searches");
    hits.into_iter().map(|hit| hit.id).collect()
}

/// The words that are marked in the first message that was found.
fn marked(store: &Store, typed: &str) -> Vec<String> {
    let words = Words::new(typed).expect("words");
    let hit = store.search(&words, None, u64::MAX, 1).expect("searches").remove(0);
    let chars: Vec<char> = hit.snippet.text.chars().collect();
    let cut = |(from, to): &(u32, u32)| chars[*from as usize..*to as usize].iter().collect();
    hit.snippet.marks.iter().map(cut).collect()
}

#[test]
fn all_words_have_to_be_there_and_the_last_as_a_beginning() {
    let (_dir, store) = filled(&["see you on the other side", "the other day", "nothing of it"]);
    assert_eq!(found(&store, "other"), [2, 1], "newest first");
    assert_eq!(found(&store, "OTHER si"), [1]);
    assert!(found(&store, "oth side").is_empty(), "only the last one may be unfinished");
    assert_eq!(found(&store, "the oth"), [2, 1]);
    assert_eq!(found(&store, "s"), [1]);
    assert_eq!(marked(&store, "see oth"), ["see", "other"]);
}

#[test]
fn latin_letters_are_found_with_and_without_their_marks() {
    // The second as a Mac writes it: each mark a character of its own.
    let (_dir, store) = filled(&["Crème brûlée at Zoë’s", "Cre\u{300}me bru\u{302}le\u{301}e"]);
    assert_eq!(found(&store, "creme BRULEE"), [2, 1]);
    assert_eq!(found(&store, "crème brûl"), [2, 1]);
    assert_eq!(marked(&store, "brulee"), ["bru\u{302}le\u{301}e"]);
    assert_eq!(found(&store, "zoe"), [1]);
}

#[test]
fn arabic_is_found_with_and_without_its_marks() {
    let (_dir, store) =
        filled(&["نلتقي يومَ الأحدِ في المقهى", "قال مُحَمَّدٌ إنّ الموعد ١٠:٣٠", "أهلًا بك في المدرســـة"]);
    assert_eq!(found(&store, "الاحد"), [1]);
    assert_eq!(found(&store, "الأحد المقهي"), [1]);
    assert_eq!(found(&store, "محمد"), [2]);
    assert_eq!(found(&store, "محم"), [2]);
    assert_eq!(found(&store, "المدرسه"), [3]);
    assert!(found(&store, "المو 10").is_empty());
    assert_eq!(found(&store, "الموعد 10"), [2]);
    // Marked as it was written.
    assert_eq!(marked(&store, "محمد"), ["مُحَمَّدٌ"]);
    assert_eq!(marked(&store, "المدرسة"), ["المدرســـة"]);
    assert_eq!(marked(&store, "اهلا بك"), ["أهلًا", "بك"]);
}

#[test]
fn what_is_typed_is_never_syntax() {
    let (_dir, store) = filled(&["plain NOT text OR more", "a \"quoted\" word", "a* b:c (d) ^e"]);
    assert!(found(&store, "plain OR nothing").is_empty(), "it is a word like others");
    assert_eq!(found(&store, "NOT text"), [1]);
    assert_eq!(found(&store, "\"quoted\""), [2]);
    assert_eq!(found(&store, "\"quot"), [2]);
    assert_eq!(found(&store, "text : plain"), [1]);
    assert!(found(&store, "conversation : (d) ^e* a*").is_empty());
    assert_eq!(found(&store, "(d) ^e* a*"), [3]);
    assert_eq!(found(&store, "b:c"), [3]);
    assert!(found(&store, "NEAR(plain text, 1)").is_empty());
    assert!(found(&store, &"a".repeat(MAX_SEARCH_LEN)).is_empty());
    assert_eq!(found(&store, &"a ".repeat(MAX_SEARCH_LEN / 2)), [3, 2]);
    // A conversation's id is in the index, and not to be found as a word.
    assert!(found(&store, &conversation(1).to_hex()).is_empty());
}

#[test]
fn without_a_word_there_is_no_search() {
    for nothing in ["", "   ", "!?", "👍", "\0\0", "\"\"", "* - ("] {
        assert_eq!(Words::new(nothing), Err(WordsError::Nothing), "{nothing:?}");
    }
    let long = "é".repeat(MAX_SEARCH_LEN);
    assert_eq!(Words::new(&long), Err(WordsError::TooLong(2 * MAX_SEARCH_LEN)));
}

#[test]
fn finds_come_in_pages_and_of_one_conversation() {
    let (_dir, mut store) = store();
    let changes: Vec<_> =
        (1..=200).map(|id| row(id, (id % 4) as u8, &format!("line {id}"))).collect();
    store.apply(&changes).expect("applies");
    let words = Words::new("line").expect("a word");
    let mut before = u64::MAX;
    let mut all = Vec::new();
    loop {
        let hits = store.search(&words, None, before, 50).expect("searches");
        let Some(last) = hits.last() else { break };
        before = last.id;
        all.extend(hits.into_iter().map(|hit| hit.id));
    }
    assert_eq!(all, (1..=200).rev().collect::<Vec<_>>());
    let hits = store.search(&words, Some(conversation(3)), 100, 5).expect("searches");
    assert_eq!(hits.iter().map(|hit| hit.id).collect::<Vec<_>>(), [99, 95, 91, 87, 83]);
    assert!(hits.iter().all(|hit| hit.contact == ContactId::from_bytes([3; 8])));
    assert_eq!((hits[0].direction, hits[0].sent_at), (Direction::Out, 1_800_000_000_099));
    let nobody = store.search(&words, Some(conversation(9)), u64::MAX, 5).expect("searches");
    assert!(nobody.is_empty());
}

#[test]
fn what_is_not_text_is_not_found_and_a_nul_is_no_end() {
    let (_dir, mut store) = store();
    let kind = Content::Unknown { kind: 9, body: b"hidden".to_vec() };
    let Change::Message(unknown) = row(1, 1, "") else { unreachable!("a message") };
    let unknown = Change::Message(MessageRow { content: kind, ..unknown });
    store.apply(&[unknown, row(2, 1, "before\0behind it")]).expect("applies");
    assert!(found(&store, "hidden").is_empty());
    assert_eq!(found(&store, "behind"), [2]);
    assert_eq!(marked(&store, "behind"), Vec::<String>::new(), "found, and not marked");
    assert_eq!(marked(&store, "before"), ["before"]);
}

/// Everything that stands in the index.
fn terms(store: &Store) -> Vec<String> {
    let sql = "CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, search, row)";
    store.conn.execute_batch(sql).expect("a view of the index");
    let mut query = store.conn.prepare("SELECT term FROM terms").expect("a query");
    let rows = query.query_map([], |row| row.get(0)).expect("rows");
    let terms = rows.collect::<Result<_, _>>().expect("terms");
    drop(query);
    store.conn.execute_batch("DROP TABLE temp.terms").expect("drops");
    terms
}

#[test]
fn what_is_deleted_or_changed_leaves_the_index_with_the_same_commit() {
    let (_dir, store) = filled(&["keep this", "forget thát", "مُحَمَّد"]);
    assert!(terms(&store).contains(&"that".to_owned()));
    // No part of the program deletes a message yet; the index must not be what remembers it then.
    store.dangerously_execute("BEGIN; DELETE FROM messages WHERE id IN (2, 3); ROLLBACK;");
    assert_eq!((found(&store, "that"), found(&store, "محمد")), (vec![2], vec![3]));
    store.dangerously_execute("DELETE FROM messages WHERE id IN (2, 3)");
    assert!(found(&store, "that").is_empty() && found(&store, "محمد").is_empty());
    store.dangerously_execute("UPDATE messages SET text = 'kept that' WHERE id = 1");
    assert!(found(&store, "keep").is_empty());
    assert_eq!(found(&store, "kept"), [1]);
    store.dangerously_execute("UPDATE messages SET text = NULL, kind = 9, body = x'00'");
    assert!(found(&store, "kept").is_empty());
    assert_eq!(terms(&store), Vec::<String>::new(), "not even as a mark of deletion");
}

#[test]
fn a_batch_that_fails_leaves_nothing_in_the_index() {
    let (_dir, mut store) = filled(&["first"]);
    let unknown = Change::MessageState { id: 99, state: MessageState::Stored };
    store.apply(&[row(2, 1, "second"), unknown]).expect_err("an unknown row");
    assert!(found(&store, "second").is_empty());
    store.apply(&[row(2, 1, "another")]).expect("applies");
    assert_eq!(found(&store, "another"), [2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// What is marked is found by the places of words: folding must leave their number as it is, and
    /// every part that is marked must be a part of the text.
    #[test]
    fn a_text_keeps_its_words(
        text in "[ab أإآةىيـ ًَُِّْٰ١٢é\u{301}🙂,]{0,40}",
        anything in "\\PC{0,20}",
    ) {
        let (_dir, store) = filled(&[&text]);
        let count = |text: &str| -> i64 {
            store.dangerously_execute("DROP TABLE IF EXISTS temp.plain;
                CREATE VIRTUAL TABLE temp.plain USING fts5(text,
                    tokenize = \"unicode61 remove_diacritics 2 categories 'L* M* N* Co'\");
                DROP TABLE IF EXISTS temp.words;
                CREATE VIRTUAL TABLE temp.words USING fts5vocab(temp, plain, instance);");
            let insert = "INSERT INTO temp.plain (text) VALUES (?1)";
            store.conn.execute(insert, [text]).expect("inserts");
            let count = "SELECT count(*) FROM temp.words";
            store.conn.query_row(count, [], |row| row.get(0)).expect("a count")
        };
        let mixed = format!("{anything}{text}{anything}");
        for text in [&text, &mixed] {
            prop_assert_eq!(count(text), count(&folded(text)), "{}", text);
        }
        for word in text.split_whitespace() {
            let Ok(words) = Words::new(word) else { continue };
            let hits = store.search(&words, None, u64::MAX, 5).expect("searches");
            prop_assert_eq!(hits.len(), 1, "{} in {}", word, &text);
        }
    }

    /// Whatever is typed is an answer or a clear refusal, and never an error of SQLite's.
    #[test]
    fn anything_can_be_typed(typed in "\\PC{0,60}|[\"*():^{}+ \\-a-c\0]{0,60}") {
        let (_dir, store) = filled(&["a b c"]);
        if let Ok(words) = Words::new(&typed) {
            store.search(&words, Some(conversation(1)), u64::MAX, 5).expect("searches");
        }
    }
}
