//! Letters that people take for the same, beyond what SQLite's tokeniser folds: Arabic, as it is written with
//! or without its marks, and its digits.
//!
//! The tokeniser `unicode61` folds capitals and Latin diacritics by itself. What is done here is Lucene's
//! `ArabicNormalizer`, with the Persian forms of two letters and the digits beside it.
//!
//! **The index on disk is made by this.** Whoever changes what it does adds a step to the schema that makes
//! the index anew. And it must leave the number of words in a text as it is: the words that were found are
//! marked in the text as it was written, by their places (`a_text_keeps_its_words`).

/// A text or a search as the index has it.
pub(crate) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A mark alone is a word of its own to the tokeniser: it stays.
    let mut in_word = false;
    for c in text.chars() {
        if in_word && is_mark(c) {
            continue;
        }
        in_word = is_letter(c);
        out.push(letter(c));
    }
    out
}

/// Vowel marks and the lengthening stroke.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}' | '\u{640}')
}

fn is_letter(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{63f}' | '\u{641}'..='\u{64a}' | '\u{66e}'..='\u{66f}' | '\u{671}'..='\u{6d3}')
}

fn letter(c: char) -> char {
    match c {
        // Alef with madda, with hamza above or below, and alef wasla.
        '\u{622}' | '\u{623}' | '\u{625}' | '\u{671}' => '\u{627}',
        // Teh marbuta and heh.
        '\u{629}' => '\u{647}',
        // Alef maksura and the Persian yeh.
        '\u{649}' | '\u{6cc}' => '\u{64a}',
        // The Persian keheh.
        '\u{6a9}' => '\u{643}',
        '\u{660}'..='\u{669}' => digit(c, 0x660),
        '\u{6f0}'..='\u{6f9}' => digit(c, 0x6f0),
        other => other,
    }
}

fn digit(c: char, zero: u32) -> char {
    char::from_digit(u32::from(c) - zero, 10).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_take_for_the_same_is_the_same() {
        for (written, sought) in [
            ("مُحَمَّد", "محمد"),
            ("الأحد", "الاحد"),
            ("آخر إلى", "اخر الي"),
            ("مدرســـة", "مدرسه"),
            ("علی کتاب", "علي كتاب"),
            ("٣٤ ۵۶", "34 56"),
            ("Zoë, hello", "Zoë, hello"),
        ] {
            assert_eq!(folded(written), folded(sought), "{written}");
        }
        assert_ne!(folded("بيت"), folded("بنت"));
    }

    #[test]
    fn a_mark_that_belongs_to_no_letter_stays() {
        for alone in ["\u{64e}", "a\u{64e}b", " \u{640} ", "3\u{651}"] {
            assert_eq!(folded(alone), alone);
        }
    }
}
