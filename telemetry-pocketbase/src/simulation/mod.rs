//! The uploader in a world made of numbers.
//!
//! One seed decides everything: workload, latencies, lost answers, crashes of
//! either side, also in the middle of a write, torn and lost writes of the
//! spool, full disks, jumps of the clock. The parts under test are the real
//! ones, from the way in to the classification of answers, with the spool on
//! disk or in memory; only threads, clock, disk, network and server are
//! simulated. After every step the laws are checked:
//!
//! 1. accepted = delivered + dropped + rejected + pending; pending is what is
//!    really there, and what has left was delivered, refused or given up, as
//!    counted;
//! 2. nothing is stored twice, nothing is altered but as documented, order is
//!    kept within a session;
//! 3. channel, spool, dead letters and what is in work stay within their bounds,
//!    and a full spool gives up the least valuable first, and nothing without
//!    need;
//! 4. when faults stop, everything pending is delivered, and fresh records pass;
//! 5. what the spool has committed is delivered or in the dead letters, whatever
//!    died meanwhile; what was written is committed within 200 ms; what a disk
//!    made of it otherwise is never delivered.
//!
//! Also: nothing is uploaded while the breaker is open or before the server
//! wants it, a restart finds the breaker as it was, an answered flush means
//! durable, and a process that is told to stop does so in time.
//!
//! To show that a broken law is found, a [`Bug`] can be planted. To show that the
//! worlds are interesting, each run tells what it has [`Seen`], and [`SOMETIMES`]
//! lists what many runs together must see. [`ModelServer`] is the model of
//! PocketBase alone, to be compared with a real one, and [`endure`] leaves the
//! server away for long.
//!
//! A world has one process at a time, and no threads: races are not simulated.

mod away;
mod bugs;
mod disk;
mod faults;
mod laws;
mod model;
mod network;
mod plan;
mod process;
mod server;
mod sights;
mod truth;
mod watched;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use away::{Absence, Endured, endure};
pub use bugs::Bug;
pub(crate) use bugs::{is_planted, is_running};
pub use server::{Condition, ModelServer, Way};
pub use sights::{SOMETIMES, Seen};

use world::World;

/// What a run that kept all laws came upon.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// How often each interesting thing happened.
    pub seen: Seen,
    /// Steps of the world.
    pub steps: u64,
}

/// A law was broken.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The seed that broke it, and breaks it again.
    pub seed: u64,
    /// What happened.
    pub law: String,
    /// What came before.
    pub story: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.law)
    }
}

/// Runs the world of one seed, perhaps with a bug in it. `dir` is for the dead
/// letters of the run.
///
/// # Errors
/// The law that was broken.
pub fn run(seed: u64, bug: Option<Bug>, dir: &Path) -> Result<Run, Broken> {
    // A story takes time, and most runs need none: so a seed that breaks a law
    // is run again to tell how that came.
    let broken = match run_world(seed, bug, dir, false) {
        Ok(run) => return Ok(run),
        Err(broken) => broken,
    };
    let told = run_world(seed, bug, dir, true);
    Err(match told {
        Err(told) if told.law == broken.law => told,
        _ => Broken {
            law: format!("{}; but not a second time", broken.law),
            ..broken
        },
    })
}

fn run_world(seed: u64, bug: Option<Bug>, dir: &Path, is_telling: bool) -> Result<Run, Broken> {
    let letters = dir.join(format!("{seed}.jsonl"));
    let outcome = bugs::with_planted(seed, bug, || {
        let mut world = World::new(seed, letters.clone(), is_telling);
        let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
        let law = match outcome {
            Ok(Ok(())) => {
                let steps = world.steps;
                return Ok(Run {
                    seen: world.sights.into_seen(),
                    steps,
                });
            }
            Ok(Err(law)) => law,
            Err(_) => bugs::last_panic(),
        };
        let story = std::mem::take(&mut world.story).into();
        Err(Broken { seed, law, story })
    });
    // Most runs have none.
    let _ = std::fs::remove_file(letters);
    outcome
}
