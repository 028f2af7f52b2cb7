//! CPU time, from the kernel's own accounts.

use std::path::Path;

/// Nanoseconds of a clock tick in `/proc` (`USER_HZ` is 100 on every Linux that this runs on).
const TICK: u64 = 10_000_000;

/// Nanoseconds that a process has run, in steps of ten milliseconds, with its threads that have ended; 0 if it is gone.
pub(crate) fn of_process(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may have any letters; user and system time are fields 14 and 15 (proc_pid_stat(5)).
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
    let times = fields.split(' ').skip(11).take(2);
    times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * TICK
}

/// Nanoseconds that this thread has run.
pub(crate) fn of_this_thread() -> u64 {
    schedstat(Path::new("/proc/thread-self"))
}

/// The first number of `schedstat` (Documentation/scheduler/sched-stats).
fn schedstat(of: &Path) -> u64 {
    let text = std::fs::read_to_string(of.join("schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Microseconds of this thread for each of `count` turns of `work`.
pub(crate) fn micros_each(count: usize, mut work: impl FnMut(usize)) -> f64 {
    let before = of_this_thread();
    for n in 0..count {
        work(n);
    }
    (of_this_thread() - before) as f64 / 1_000.0 / count as f64
}

/// Of an unsorted list.
pub(crate) fn quantile(values: &mut [f64], of: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 - 1.0) * of).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}
