//! Runs the simulator of the uploader; `cargo xtask simulate` calls it.
//!
//! - `--seeds N [--from S]`: seeds S to S + N, on all cores;
//! - `--seconds T`: as many seeds as fit;
//! - `--seed S`: one seed, again;
//! - `--bugs`: plants every bug in turn and counts the seeds until it is found.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use telemetry_pocketbase::simulation::{Broken, Bug, SOMETIMES, Seen, run};

/// A planted bug must be found within so many seeds.
const SEEDS_FOR_A_BUG: u64 = 20_000;

/// From so many seeds on, everything interesting must have happened.
const SEEDS_FOR_SOMETIMES: u64 = 2_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = scratch_directory();
    let passed = match Task::parse(&arguments) {
        Some(Task::Bugs) => find_bugs(&dir),
        Some(Task::Seeds { from, count, limit }) => run_seeds(from, count, limit, &dir),
        None => {
            say("usage: simulate [--seeds N] [--from S] [--seed S] [--seconds T] [--bugs]");
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
                _ => return None,
            }
        }
        Some(Self::Seeds { from, count, limit })
    }
}

/// In memory where the system has such a place: dead letters are synced.
fn scratch_directory() -> std::path::PathBuf {
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
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || limit.is_some_and(|limit| started.elapsed() >= limit) {
                break;
            }
            match run(from + number, None, dir) {
                Ok(run) => {
                    steps.fetch_add(run.steps, Ordering::Relaxed);
                    let mut seen = seen.lock().expect("no thread panics");
                    for (name, count) in run.seen {
                        *seen.entry(name).or_default() += count;
                    }
                }
                Err(law) => {
                    broken.lock().expect("no thread panics").get_or_insert(law);
                    is_over.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    side_by_side(work);
    let done = next.load(Ordering::Relaxed).min(count);
    if let Some(law) = broken.into_inner().expect("no thread panics") {
        for line in &law.story {
            say(line);
        }
        say(&format!("a law is broken: {law}"));
        say(&format!("again: cargo xtask simulate --seed {}", law.seed));
        return false;
    }
    let seen = seen.into_inner().expect("no thread panics");
    say(&format!(
        "{done} seeds, {} steps, {:.1} s: no law broken",
        steps.into_inner(),
        started.elapsed().as_secs_f64()
    ));
    for (name, count) in &seen {
        say(&format!("  {count:>9} {name}"));
    }
    done < SEEDS_FOR_SOMETIMES || everything_happened(&seen)
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
    let work = || {
        while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            // Seeds run side by side: each bug needs a directory of its own.
            let name = bug.to_string();
            let dir = dir.join(&name);
            std::fs::create_dir_all(&dir).expect("a scratch directory can be made");
            let found = (0..SEEDS_FOR_A_BUG).find_map(|seed| run(seed, Some(*bug), &dir).err());
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
    side_by_side(work);
    let (all, missed) = (Bug::ALL.len() as u64, missed.into_inner());
    say(&format!("{} of {all} found", all - missed));
    missed == 0
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
