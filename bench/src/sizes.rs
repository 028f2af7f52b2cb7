//! The program itself.

use crate::report::Row;

pub(crate) fn run(args: &crate::Args) -> Vec<Row> {
    let len = std::fs::metadata(&args.xchat).map_or(0, |file| file.len());
    vec![Row::new("the program, all of it", len as f64 / f64::from(1 << 20), "MiB")]
}
