//! The part of a text in which something was found.

use std::ops::Range;

/// The longest part that is shown, in characters: three lines on a phone.
const MAX_CHARS: usize = 160;

/// So much of what stands before the first word that was found is shown at most.
const LEAD: usize = 40;

/// Where a mark begins and ends in what SQLite hands back: see [`super::Store::search`].
const BEGIN: u8 = 0xff;
const END: u8 = 0xfe;

/// A part of a text, on one line, and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The part, with an ellipsis where it was cut.
    pub text: String,
    /// What was found: first character and the one after the last, counted in characters (Unicode scalar
    /// values) of `text`; in order, and apart from each other.
    pub marks: Vec<(u32, u32)>,
}

impl Snippet {
    /// The part of `text` around the first of these ranges of its bytes.
    pub(super) fn of(text: &str, marks: &[Range<usize>]) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let marks = in_chars(text, marks);
        let first = marks.first().map_or(0, |mark| mark.start);
        let begin = begin(&chars, first);
        let end = chars.len().min(begin + MAX_CHARS);
        let mut shown = String::new();
        // The ellipsis moves everything behind it on by one.
        let shift = usize::from(begin > 0);
        if begin > 0 {
            shown.push('…');
        }
        shown.extend(chars[begin..end].iter().map(|c| if c.is_control() { ' ' } else { *c }));
        if end < chars.len() {
            shown.push('…');
        }
        let place = |at: usize| (at.clamp(begin, end) - begin + shift) as u32;
        let marks = marks.into_iter().map(|mark| (place(mark.start), place(mark.end)));
        Self { text: shown, marks: marks.filter(|(from, to)| from < to).collect() }
    }
}

/// Where a part begins that is to show the character at `first`: at a word, if one begins near enough.
fn begin(chars: &[char], first: usize) -> usize {
    // A text that fits is shown whole; at its end, as much before as there is room for.
    let latest = chars.len().saturating_sub(MAX_CHARS);
    let earliest = first.saturating_sub(LEAD).min(latest);
    if earliest == 0 {
        return 0;
    }
    let mut words = (earliest..=first).filter(|at| chars[at - 1].is_whitespace());
    words.next().unwrap_or(earliest)
}

fn in_chars(text: &str, marks: &[Range<usize>]) -> Vec<Range<usize>> {
    // Marks are few, and texts short.
    let count = |end: usize| text.char_indices().take_while(|(at, _)| *at < end).count();
    marks.iter().map(|mark| count(mark.start)..count(mark.end)).collect()
}

/// The ranges of bytes of `text` that lie between marks in `highlighted`, which is `text` otherwise.
///
/// SQLite ends a text at a NUL, so of a text that has one only what lies before it is marked.
pub(super) fn marks(text: &str, highlighted: &[u8]) -> Vec<Range<usize>> {
    let (mut at, mut open, mut found) = (0, None, Vec::new());
    for byte in highlighted {
        match *byte {
            BEGIN => open = Some(at),
            END => found.extend(open.take().filter(|start| *start < at).map(|start| start..at)),
            other if text.as_bytes().get(at) == Some(&other) => at += 1,
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is marked, as a reader would cut it out.
    fn found(snippet: &Snippet) -> Vec<String> {
        let cut = |(from, to): &(u32, u32)| {
            snippet.text.chars().skip(*from as usize).take((to - from) as usize).collect()
        };
        snippet.marks.iter().map(cut).collect()
    }

    fn snippet(text: &str, words: &[&str]) -> Snippet {
        let range = |word: &&str| {
            let start = text.find(word).expect("it is there");
            start..start + word.len()
        };
        let ranges: Vec<_> = words.iter().map(range).collect();
        Snippet::of(text, &ranges)
    }

    #[test]
    fn a_short_text_is_shown_whole_on_one_line() {
        let shown = snippet("see you\non the other side", &["other"]);
        assert_eq!(shown.text, "see you on the other side");
        assert_eq!(shown.marks, [(15, 20)]);
        assert_eq!(snippet("نلتقي غدًا في المقهى", &["المقهى"]).marks, [(14, 20)]);
        assert_eq!(found(&snippet("👍👍 so 👍 good", &["good"])), ["good"]);
    }

    #[test]
    fn a_long_text_is_cut_at_a_word_before_what_was_found() {
        let text = format!("{} the heron flies {}", "a word ".repeat(100), "and more ".repeat(100));
        let shown = snippet(&text, &["heron", "flies"]);
        assert!(shown.text.starts_with("…a word a word") && shown.text.ends_with('…'), "{shown:?}");
        assert_eq!(shown.text.chars().count(), MAX_CHARS + 2);
        assert_eq!(found(&shown), ["heron", "flies"]);
        // What lies outside of the part is not marked.
        let shown = snippet(&format!("heron {} flies", "x".repeat(400)), &["heron", "flies"]);
        assert_eq!(found(&shown), ["heron"]);
        // One word without an end.
        let long = "y".repeat(500);
        let shown = snippet(&long, &[&long]);
        assert_eq!(shown.marks, [(0, 160)]);
        // At the end of a text there is room before.
        let shown = snippet(&format!("{}end", "a word ".repeat(100)), &["end"]);
        assert!(shown.text.chars().count() > MAX_CHARS - 8, "{shown:?}");
        assert_eq!(found(&shown), ["end"]);
    }

    #[test]
    fn what_is_between_marks_is_found_and_nothing_behind_a_nul() {
        assert_eq!(marks("a b c", b"\xffa\xfe b \xffc\xfe"), [0..1, 4..5]);
        assert_eq!(
            marks("a\0b c", b"\xffa\xfe\xffb\xfe c"),
            std::iter::once(0..1).collect::<Vec<_>>()
        );
        assert!(marks("a\0b", b"\xffa").is_empty() && marks("", b"").is_empty());
    }
}
