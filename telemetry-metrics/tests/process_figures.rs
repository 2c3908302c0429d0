//! The figures of this process against what the kernel says. A process of its
//! own: other tests would use CPU time as well.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use telemetry_metrics::{Figures, Handle, ProcessCollector};

/// Long enough for the kernel's clock ticks of 10 ms.
const BUSY: Duration = Duration::from_secs(2);

/// Of `/proc/PID/stat`: the same on every Linux that has it.
const TICKS_PER_SECOND: f64 = 100.0;

#[test]
fn cpu_of_a_busy_loop_and_memory_are_what_proc_says() {
    let handle = Handle::build(&[]).unwrap();
    handle.collect_at_intervals(ProcessCollector::new(&handle));
    let start = Instant::now();
    let first = Bracket::around(|| handle.collect());

    while start.elapsed() < BUSY {
        std::hint::spin_loop();
    }

    let last = Bracket::around(|| handle.collect());
    let text = handle.render();
    let figures = Figures::of(&text);
    let shown = figures.sum("daemon_cpu_usage_percent", &[]);
    // A busy machine may have held us up between our look and the collector's.
    let least = percent(first.after, last.before, first.before.at, last.after.at);
    let most = percent(first.before, last.after, first.after.at, last.before.at);
    assert!(
        (0.95 * least..=1.05 * most).contains(&shown),
        "{shown} % for {least} to {most} %"
    );
    // The loop got some of a core, or the two would agree about nothing.
    assert!(least > 10.0, "{least} %");

    // What runs only after the collector's look (to render, to read) takes pages too, and the
    // kernel adds up what its cores have booked some dozens of pages at a time.
    let memory = figures.sum("daemon_memory_usage_bytes", &[]);
    let (before, after) = (last.before.resident, last.after.resident);
    assert!(
        (0.9 * before.min(after)..=1.1 * after.max(before)).contains(&memory),
        "{memory} bytes for {before} to {after}"
    );
}

/// What the kernel says at one moment.
#[derive(Clone, Copy)]
struct Moment {
    ticks: f64,
    /// In bytes.
    resident: f64,
    at: Instant,
}

/// The moments before and after something.
struct Bracket {
    before: Moment,
    after: Moment,
}

impl Bracket {
    fn around(what: impl FnOnce()) -> Self {
        let now = || Moment {
            ticks: cpu_ticks(),
            resident: resident_bytes(),
            at: Instant::now(),
        };
        let before = now();
        what();
        let after = now();
        Self { before, after }
    }
}

/// The CPU time between two moments, over the time between two others.
fn percent(from: Moment, to: Moment, start: Instant, end: Instant) -> f64 {
    let used = (to.ticks - from.ticks) / TICKS_PER_SECOND;
    100.0 * used / end.duration_since(start).as_secs_f64()
}

/// User and system time of all threads.
fn cpu_ticks() -> f64 {
    stat(11) + stat(12)
}

/// As everybody tells it who reads `stat`. `VmRSS` of `status` is exact on newer kernels, and this
/// one is some hundred KiB away from it, by what the cores have not booked yet.
fn resident_bytes() -> f64 {
    rustix::param::page_size() as f64 * stat(21)
}

/// A field of `/proc/self/stat`, counted from the one after the name of the program.
fn stat(place: usize) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name is in parentheses and may hold anything.
    let after_name = stat.rsplit_once(')').unwrap().1;
    let field = after_name.split_whitespace().nth(place);
    field.unwrap().parse().unwrap()
}
