//! What a run costs, as Linux counts it.

use std::io;

/// Clock ticks a second in `/proc`: 100 on every Linux that there is (`proc(5)`, `USER_HZ`).
const TICKS: f64 = 100.0;

/// Time of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost(u64);

impl Cost {
    /// What this thread has used so far.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn of_this_thread() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/thread-self/stat")?;
        // The second field is a name in brackets, which may have anything in it.
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        let field = |n: usize| behind.split_whitespace().nth(n)?.parse::<u64>().ok();
        let ticks = field(11).zip(field(12)).map(|(user, system)| user + system);
        ticks.map(Self).ok_or_else(|| io::Error::other("/proc/thread-self/stat is not as expected"))
    }

    /// What was used since an earlier look.
    #[must_use]
    pub fn since(self, before: &Self) -> Self {
        Self(self.0 - before.0)
    }

    /// In seconds, to a hundredth.
    pub fn secs(self) -> f64 {
        self.0 as f64 / TICKS
    }
}

/// The most memory that this process had at a time, in bytes.
///
/// # Errors
/// Where there is no `/proc`.
pub fn peak_memory() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let kilobytes =
        kilobytes.ok_or_else(|| io::Error::other("/proc/self/status is not as expected"))?;
    Ok(kilobytes * 1024)
}
