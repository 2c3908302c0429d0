//! Runs the simulator of the uploader; `cargo xtask simulate` calls it.
//!
//! - `--seeds N [--from S]`: seeds S to S + N, on all cores;
//! - `--seconds T [--from S]`: as many seeds as fit;
//! - `--seed S`: one seed, again, with its story if it breaks a law;
//! - `--bugs`: plants every bug in turn and counts the seeds until it is found;
//! - `--away T`: the server is away for T seconds of simulated time.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use telemetry_pocketbase::simulation::{Absence, Broken, Bug, SOMETIMES, Seen, endure, run};

/// A planted bug must be found within so many seeds.
const SEEDS_FOR_A_BUG: u64 = 50_000;

/// From so many seeds on, everything interesting must have happened.
const SEEDS_FOR_SOMETIMES: u64 = 20_000;

/// A world takes milliseconds: one that takes so long hangs.
const LONGEST_WORLD: Duration = Duration::from_secs(120);

/// The spool of an absence.
const SPOOL_BYTES: u64 = 64 * 1024 * 1024;

/// What the uploader may take in memory: the cache of the spool, what waits in
/// the channel, and what one transaction changes.
const MEMORY_BYTES: u64 = 48 * 1024 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = scratch_directory();
    let passed = match Task::parse(&arguments) {
        Some(Task::Bugs) => find_bugs(&dir),
        Some(Task::Away(seconds)) => stay_away(seconds, &dir),
        Some(Task::Seeds { from, count, limit }) => run_seeds(from, count, limit, &dir),
        None => {
            say(
                "usage: simulate [--seeds N] [--from S] [--seed S] [--seconds T] [--bugs] [--away T]",
            );
            false
        }
    };
    // It holds nothing that anybody needs.
    let _ = std::fs::remove_dir_all(&dir);
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

enum Task {
    Seeds {
        from: u64,
        count: u64,
        limit: Option<Duration>,
    },
    Bugs,
    Away(u64),
}

impl Task {
    fn parse(arguments: &[String]) -> Option<Self> {
        let (mut from, mut count, mut limit) = (0, 1_000, None);
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            if name == "--bugs" {
                return Some(Self::Bugs);
            }
            let number: u64 = rest.next()?.parse().ok()?;
            match name.as_str() {
                "--seeds" => count = number,
                "--from" => from = number,
                "--seed" => (from, count) = (number, 1),
                "--seconds" => (count, limit) = (u64::MAX, Some(Duration::from_secs(number))),
                "--away" => return Some(Self::Away(number)),
                _ => return None,
            }
        }
        Some(Self::Seeds { from, count, limit })
    }
}

/// In memory where the system has such a place: dead letters are synced.
fn scratch_directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let dir = base.join(format!("simulate-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a scratch directory can be made");
    dir
}

fn run_seeds(from: u64, count: u64, limit: Option<Duration>, dir: &Path) -> bool {
    let started = Instant::now();
    let (next, steps, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (seen, broken) = (Mutex::new(Seen::new()), Mutex::new(None::<Broken>));
    let watch = Watch::default();
    let work = || {
        let mut own = Seen::new();
        while !is_over.load(Ordering::Relaxed) {
            if limit.is_some_and(|limit| started.elapsed() >= limit) {
                break;
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let seed = from.wrapping_add(number);
            match watch.during(seed, || run(seed, None, dir)) {
                Ok(run) => {
                    steps.fetch_add(run.steps, Ordering::Relaxed);
                    add(&mut own, run.seen);
                }
                Err(law) => {
                    lock(&broken).get_or_insert(law);
                    is_over.store(true, Ordering::Relaxed);
                }
            }
        }
        add(&mut lock(&seen), own);
    };
    watch.over(|| side_by_side(work));
    let done = next.into_inner().min(count);
    if let Some(law) = lock(&broken).take() {
        for line in &law.story {
            say(line);
        }
        say(&format!("a law is broken: {law}"));
        say(&format!("again: cargo xtask simulate --seed {}", law.seed));
        return false;
    }
    let seen = std::mem::take(&mut *lock(&seen));
    let seconds = started.elapsed().as_secs_f64();
    say(&format!(
        "{done} seeds from {from}, {} steps, {seconds:.1} s, {:.0} seeds a second: no law broken",
        steps.into_inner(),
        done as f64 / seconds
    ));
    for (name, count) in &seen {
        say(&format!("  {count:>9} {name}"));
    }
    done < SEEDS_FOR_SOMETIMES || everything_happened(&seen)
}

fn add(sum: &mut Seen, more: Seen) {
    for (name, count) in more {
        *sum.entry(name).or_default() += count;
    }
}

fn everything_happened(seen: &Seen) -> bool {
    let never: Vec<_> = SOMETIMES
        .iter()
        .filter(|name| seen.get(*name).is_none_or(|count| *count == 0))
        .collect();
    if !never.is_empty() {
        say(&format!("never happened: {never:?}"));
    }
    never.is_empty()
}

fn find_bugs(dir: &Path) -> bool {
    let (next, missed) = (AtomicU64::new(0), AtomicU64::new(0));
    let watch = Watch::default();
    let work = || {
        while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            // Seeds run side by side: each bug needs a directory of its own.
            let name = bug.to_string();
            let dir = dir.join(&name);
            std::fs::create_dir_all(&dir).expect("a scratch directory can be made");
            let found = (0..SEEDS_FOR_A_BUG)
                .find_map(|seed| watch.during(seed, || run(seed, Some(*bug), &dir)).err());
            match found {
                Some(law) => say(&format!(
                    "{name:<26} {:>6} seeds: {}",
                    law.seed + 1,
                    law.law
                )),
                None => {
                    missed.fetch_add(1, Ordering::Relaxed);
                    say(&format!("{name:<26} NOT FOUND in {SEEDS_FOR_A_BUG} seeds"));
                }
            }
        }
    };
    watch.over(|| side_by_side(work));
    let (all, missed) = (Bug::ALL.len() as u64, missed.into_inner());
    say(&format!("{} of {all} found", all - missed));
    missed == 0
}

fn stay_away(seconds: u64, dir: &Path) -> bool {
    let started = Instant::now();
    let absence = Absence {
        lasts: Duration::from_secs(seconds),
        spool_bytes: SPOOL_BYTES,
    };
    let endured = match endure(absence, dir) {
        Ok(endured) => endured,
        Err(law) => {
            say(&format!("a law is broken: {law}"));
            say(&format!("again: cargo xtask simulate --away {seconds}"));
            return false;
        }
    };
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    say(&format!(
        "{} records in {seconds} s without a server ({:.1} s of real time): {} MiB of memory, {} MiB of disk, {} records given up, {} delivered afterwards",
        endured.records,
        started.elapsed().as_secs_f64(),
        megabytes(endured.memory_bytes),
        megabytes(endured.file_bytes),
        endured.evicted,
        endured.delivered,
    ));
    if endured.memory_bytes > MEMORY_BYTES {
        say(&format!("more memory than {} MiB", megabytes(MEMORY_BYTES)));
        return false;
    }
    true
}

/// Looks after worlds that never end.
#[derive(Default)]
struct Watch {
    running: Mutex<HashMap<std::thread::ThreadId, (u64, Instant)>>,
}

impl Watch {
    fn during<T>(&self, seed: u64, work: impl FnOnce() -> T) -> T {
        let thread = std::thread::current().id();
        lock(&self.running).insert(thread, (seed, Instant::now()));
        let result = work();
        lock(&self.running).remove(&thread);
        result
    }

    /// Ends the process if a world hangs while `work` runs.
    fn over(&self, work: impl FnOnce()) {
        let (end, is_over) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let pause = Duration::from_secs(1);
                while is_over.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
                    self.check();
                }
            });
            work();
            drop(end);
        });
    }

    fn check(&self) {
        let running = lock(&self.running);
        let hangs = |(_, since): &&(u64, Instant)| since.elapsed() > LONGEST_WORLD;
        if let Some((seed, _)) = running.values().find(hangs) {
            say(&format!("seed {seed} hangs"));
            say(&format!("again: cargo xtask simulate --seed {seed}"));
            std::process::exit(1);
        }
    }
}

/// A thread that panics has said so.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does the same on every core.
fn side_by_side(work: impl Fn() + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&work);
        }
    });
}

fn say(line: &str) {
    // A closed stdout is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{line}");
}
