//! A few worlds of the simulator, and a few planted bugs; `cargo xtask simulate`
//! runs many more.
#![cfg(feature = "simulation")]

use telemetry_pocketbase::simulation::{Bug, run};

/// Unoptimised, a world takes some hundredths of a second.
const SEEDS: u64 = 20;

#[test]
fn no_law_is_broken() {
    let seeds = match std::env::var_os("SYNC_DAEMON_LONG") {
        Some(_) => 100 * SEEDS,
        None => SEEDS,
    };
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..seeds {
        if let Err(broken) = run(seed, None, dir.path()) {
            panic!(
                "{}\nagain: cargo xtask simulate --seed {seed}\n{broken}",
                broken.story.join("\n")
            );
        }
    }
}

#[test]
fn one_seed_is_always_the_same_world() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(7, None, dir.path()).unwrap();
    let again = run(7, None, dir.path()).unwrap();
    assert_eq!((first.steps, first.seen), (again.steps, again.seen));
}

#[test]
fn planted_bugs_are_found() {
    let dir = tempfile::tempdir().unwrap();
    for bug in [
        Bug::GivesUpFailedRounds,
        Bug::SplitsBackwards,
        Bug::SendsWhileOpen,
        Bug::CommitsLate,
        Bug::EvictsErrorsFirst,
        Bug::CountsDeliveriesTwice,
        Bug::ForgetsEvictions,
        Bug::ChangesIds,
    ] {
        let found = (0..SEEDS).any(|seed| run(seed, Some(bug), dir.path()).is_err());
        assert!(found, "{bug} was not found within {SEEDS} seeds");
    }
}
