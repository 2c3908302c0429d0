//! The uploader in a world made of numbers.
//!
//! One seed decides everything: workload, latencies, lost answers, crashes of
//! either side, torn and lost writes of the spool, full disks, jumps of the
//! clock. The parts under test are the real ones, from the way in to the
//! classification of answers; only threads, clock, disk, network and server are
//! simulated. After every step the laws are checked:
//!
//! 1. accepted = delivered + dropped + rejected + pending, and pending is what
//!    is really there;
//! 2. nothing is stored twice, nothing is altered but as documented, order is
//!    kept within a session;
//! 3. channel and spool stay within their bounds, and a full spool gives up the
//!    least valuable first;
//! 4. when faults stop, everything pending is delivered, and fresh records pass;
//! 5. what the spool has committed is delivered or in the dead letters, whatever
//!    died meanwhile; what was written is committed within 200 ms.
//!
//! Also: nothing is uploaded while the breaker is open or before the server
//! wants it, and an answered flush means durable.
//!
//! To show that a broken law is found, a [`Bug`] can be planted.
//!
//! A world has one process at a time, and no threads: races are not simulated.

mod bugs;
mod disk;
mod model;
mod network;
mod plan;
mod truth;
mod watched;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use bugs::Bug;
pub(crate) use bugs::{is_planted, is_running};
pub use world::Seen;

use world::World;

/// Things that a large number of seeds must come upon, or the simulator has
/// become blind.
pub const SOMETIMES: [&str; 16] = [
    "batch not readable",
    "batch too long",
    "breaker left open",
    "breaker opened",
    "dead letter",
    "dead token noticed",
    "evicted",
    "killed",
    "killed in the middle of an upload",
    "late request arrived",
    "power cut",
    "resend recognised",
    "stopped with records in the spool",
    "stored in a batch",
    "stored in bulk",
    "stored singly",
];

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
    let letters = dir.join(format!("{seed}.jsonl"));
    let outcome = bugs::with_planted(bug, || {
        let mut world = World::new(seed, letters.clone());
        let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
        let law = match outcome {
            Ok(Ok(())) => {
                let (seen, steps) = (std::mem::take(&mut world.seen), world.steps);
                return Ok(Run { seen, steps });
            }
            Ok(Err(law)) => law,
            Err(_) => "it panicked".to_owned(),
        };
        let story = std::mem::take(&mut world.story).into();
        Err(Broken { seed, law, story })
    });
    // Most runs have none.
    let _ = std::fs::remove_file(letters);
    outcome
}
