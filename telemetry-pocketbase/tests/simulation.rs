//! A few worlds of the simulator, and a few planted bugs; `cargo xtask simulate`
//! runs many more.
#![cfg(feature = "simulation")]

use std::time::Duration;

use telemetry_pocketbase::simulation::{Absence, Bug, endure, run};

/// Unoptimised, a world takes some hundredths of a second.
const SEEDS: u64 = 60;

#[test]
fn no_law_is_broken() {
    let seeds = match std::env::var_os("SYNC_DAEMON_LONG") {
        Some(_) => 50 * SEEDS,
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
    for seed in 0..10 {
        let first = run(seed, None, dir.path()).unwrap();
        let again = run(seed, None, dir.path()).unwrap();
        assert_eq!((first.steps, first.seen), (again.steps, again.seen));
    }
}

#[test]
fn planted_bugs_are_found() {
    let dir = tempfile::tempdir().unwrap();
    for bug in [
        Bug::GivesUpFailedRounds,
        Bug::CommitsLate,
        Bug::CountsDeliveriesTwice,
        Bug::ChangesIds,
    ] {
        let found = (0..SEEDS).any(|seed| run(seed, Some(bug), dir.path()).is_err());
        assert!(found, "{bug} was not found within {SEEDS} seeds");
    }
}

#[test]
fn broken_law_is_told_with_its_seed_and_its_story() {
    let dir = tempfile::tempdir().unwrap();
    let broken = (0..SEEDS).find_map(|seed| run(seed, Some(Bug::CommitsLate), dir.path()).err());
    let broken = broken.expect("late commits are noticed");
    assert!(!broken.story.is_empty(), "{broken}");
    let text = broken.to_string();
    assert!(
        text.starts_with(&format!("seed {}: ", broken.seed)),
        "{text}"
    );
    assert!(!text.contains("not a second time"), "{text}");
}

/// At the full rate, for as long as fills a small spool many times over;
/// `cargo xtask check --long` lets the hour pass.
#[test]
fn memory_and_disk_stay_within_bounds_while_the_server_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let absence = Absence {
        lasts: Duration::from_secs(6),
        spool_bytes: 2 << 20,
    };
    let endured = endure(absence, dir.path()).unwrap();
    assert_eq!(endured.records, 60_000);
    assert!(endured.evicted > 40_000, "{endured:?}");
    assert!(endured.delivered > 1_000, "{endured:?}");
    assert_eq!(endured.evicted + endured.delivered, endured.records);
    assert!(endured.file_bytes <= absence.spool_bytes, "{endured:?}");
}
