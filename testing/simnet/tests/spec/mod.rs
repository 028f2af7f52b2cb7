//! Tables of the specification, so that tests hold them to what the cores do.

const STREAM: &str = include_str!("../../../../spec/08-client-stream.md");

/// The numbers in the row of this name, of the table that follows these words.
pub(crate) fn row(words: &str, name: &str) -> Vec<f64> {
    let (_, table) = STREAM.split_once(words).expect("the table is there");
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let mut rows = rows.take_while(|line| line.starts_with('|'));
    let begin = format!("| {name} |");
    let row = rows.find_map(|row| row.strip_prefix(&begin)).expect("the row is there");
    let numbers = row.split('|').map(str::trim).filter(|cell| !cell.is_empty());
    numbers.map(|cell| number(cell.split(' ').next().unwrap_or(cell))).collect()
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}
