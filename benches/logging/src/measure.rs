//! The measurements, each in a process of its own.

use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::contestant::Contestant;
use crate::work::{Job, jobs};

/// Events that follow each other, and the pause after them: a program that
/// logs, not one that does nothing else.
const BURST: usize = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// Nanoseconds that the caller spends in one event, and allocations of its
/// thread.
pub fn latency<C: Contestant>(directory: &Path, threads: usize, events: usize) -> Value {
    let contestant = C::open(directory);
    let (work, gate) = (jobs(), Barrier::new(threads));
    let each = |number: usize| {
        let span = contestant.enter(number as u64);
        // The first events make buffers, which the steady state has.
        work.iter().for_each(|job| contestant.event(&span, job));
        gate.wait();
        thread::sleep(Duration::from_millis(20));
        latencies_of(&contestant, &span, &work, events / threads)
    };
    let (mut nanos, allocations) = on_threads(threads, each)
        .into_iter()
        .reduce(|(mut all, count), (own, own_count)| {
            all.extend(own);
            (all, count + own_count)
        })
        .unwrap_or_default();
    contestant.close();
    expect_lines(directory, nanos.len() + threads * work.len());
    nanos.sort_unstable();
    let quantile = |part: f64| nanos[((nanos.len() - 1) as f64 * part) as usize];
    json!({
        "p50": quantile(0.5),
        "p99": quantile(0.99),
        "p999": quantile(0.999),
        "allocations": allocations as f64 / nanos.len() as f64,
    })
}

fn latencies_of<C: Contestant>(
    contestant: &C,
    span: &C::Span,
    work: &[Job],
    events: usize,
) -> (Vec<u64>, u64) {
    let clock = quanta::Clock::new();
    let empty = cost_of_measuring(&clock);
    let mut nanos = vec![0; events];
    let mut allocations = 0;
    let mut work = work.iter().cycle();
    for burst in nanos.chunks_mut(BURST) {
        let counted = allocation_counter::measure(|| {
            for (place, job) in burst.iter_mut().zip(&mut work) {
                let begin = clock.raw();
                contestant.event(span, black_box(job));
                let end = clock.raw();
                *place = clock.delta_as_nanos(begin, end).saturating_sub(empty);
            }
        });
        allocations += counted.count_total;
        thread::sleep(PAUSE);
    }
    (nanos, allocations)
}

fn cost_of_measuring(clock: &quanta::Clock) -> u64 {
    let mut nanos: Vec<u64> = (0..10_001)
        .map(|_| {
            let begin = clock.raw();
            clock.delta_as_nanos(begin, clock.raw())
        })
        .collect();
    nanos.sort_unstable();
    nanos[nanos.len() / 2]
}

/// Events a second until all are in the file, with the CPU time of all threads
/// and the peak of memory.
pub fn throughput<C: Contestant>(directory: &Path, threads: usize, events: usize) -> Value {
    let contestant = C::open(directory);
    let work = jobs();
    let (cpu, begin) = (cpu_seconds(), Instant::now());
    on_threads(threads, |number| {
        let span = contestant.enter(number as u64);
        for job in work.iter().cycle().take(events / threads) {
            contestant.event(&span, black_box(job));
        }
    });
    contestant.close();
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let peak = peak_megabytes();
    expect_lines(directory, events);
    json!({
        "events_per_second": events as f64 / seconds,
        "cpu_nanos": cpu * 1e9 / events as f64,
        "peak_megabytes": peak,
    })
}

/// Nanoseconds of an event below the level: the best of many short batches,
/// since a neighbour on the machine can only add.
pub fn disabled<C: Contestant>(directory: &Path, events: usize) -> Value {
    const BATCHES: usize = 100;
    let contestant = C::open(directory);
    let work = jobs();
    let span = contestant.enter(1);
    let batch = events / BATCHES;
    let nanos = (0..BATCHES).map(|_| {
        let begin = Instant::now();
        for job in work.iter().cycle().take(batch) {
            contestant.disabled(&span, black_box(job));
        }
        begin.elapsed().as_nanos() as f64 / batch as f64
    });
    let best = nanos.fold(f64::MAX, f64::min);
    drop(span);
    contestant.close();
    json!({ "nanos": best })
}

/// A plain loop, for tools that count instructions; what is in the file is left
/// uncounted, since counting it takes instructions too.
pub fn plain<C: Contestant>(directory: &Path, events: usize) -> Value {
    let contestant = C::open(directory);
    let work = jobs();
    let span = contestant.enter(1);
    emit_all(&contestant, &span, &work, events);
    drop(span);
    contestant.close();
    json!({})
}

/// A function of its own, so that a tool can begin to count here: what comes
/// before calibrates clocks, and never takes the same number of instructions.
#[inline(never)]
fn emit_all<C: Contestant>(contestant: &C, span: &C::Span, work: &[Job], events: usize) {
    for job in work.iter().cycle().take(events) {
        contestant.event(span, black_box(job));
    }
}

fn on_threads<T: Send>(threads: usize, each: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let each = &each;
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || each(number)))
            .collect();
        let joined = handles.into_iter().map(|handle| handle.join());
        joined.map(|result| result.expect("no panic")).collect()
    })
}

/// Nothing may be lost.
fn expect_lines(directory: &Path, expected: usize) {
    let files = std::fs::read_dir(directory).expect("the directory");
    let mut lines = 0;
    for file in files {
        let bytes = std::fs::read(file.expect("an entry").path()).expect("a log file");
        lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
    }
    assert_eq!(lines, expected, "lines in the file");
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Not `ru_maxrss`, which a child inherits from a larger parent.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kilobytes| kilobytes.parse::<f64>().ok());
    peak.expect("the peak of resident memory") / 1024.0
}
