//! How many runs there are at a time.

use std::num::NonZero;
use std::thread;

/// Runs at a time, of which each takes so many bytes at most: one for each processor, and no more than there is memory for.
pub(super) fn at_once(bytes: u64) -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let table = std::fs::read_to_string("/proc/meminfo");
    within(processors, bytes, table.ok().and_then(|table| available(&table)))
}

/// One at least: whether it fits, the system will say.
fn within(processors: usize, bytes: u64, available: Option<u64>) -> usize {
    let room = available.map_or(u64::MAX, |available| available / bytes.max(1));
    processors.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

/// Bytes that programs can have, by the table of Linux (proc(5)); elsewhere nobody says.
fn available(table: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1_024 * kilobytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_than_memory_holds() {
        let table = "MemTotal:       24679700 kB\nMemAvailable:    4194304 kB\nBuffers: 1 kB\n";
        assert_eq!(available(table), Some(4 << 30));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(within(8, 1 << 30, available(table)), 4);
        assert_eq!(within(2, 1 << 30, available(table)), 2);
        assert_eq!(within(8, 0, available(table)), 8);
        assert_eq!(within(8, 5 << 30, available(table)), 1);
        assert_eq!(within(8, 5 << 30, None), 8);
    }
}
