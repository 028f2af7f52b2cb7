//! CPU time, from the kernel's own accounts.

use std::path::Path;

/// Nanoseconds that all threads of a process have run; 0 if it is gone.
pub(crate) fn of_process(pid: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks.flatten().map(|task| schedstat(&task.path())).sum()
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
