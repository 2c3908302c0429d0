//! kill -9 of daemon and server in turn, under load: what is stored, what is lost, and how old that was.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use telemetry_tests::{Daemon, Invocation, Signal, plant, rounds};

use crate::SOON;
use crate::bulk::server_with_hook;
use crate::job;
use crate::shipping::COLLECTION;
use crate::uploading::place_of;

/// What a busy machine may add to the 200 ms after which a record is durable: the write itself.
const SLACK: Duration = Duration::from_millis(400);

/// Twenty runs a second, each with a record of every file.
const VERY_OFTEN: &str = "type = \"interval\"\ninterval = \"50ms\"";
const FILES: usize = 40;

type Places = BTreeSet<(String, u64)>;

/// A daemon that writes a record of each file that it looks at.
fn start(place: &Path, config: &str) -> Daemon {
    Invocation::new(place)
        .env("RUST_LOG", "info,sync_daemon=trace")
        .start(config)
}

fn log_bytes(daemon: &Daemon) -> u64 {
    let path = daemon.directory().join("logs/daemon.log");
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The records in the spool that nobody uses at the moment.
fn spooled(place: &Path) -> Vec<Value> {
    let export = Invocation::new(place).args(["spool", "export"]).run();
    let lines = export.expect_success();
    let parse = |line| serde_json::from_str(line).unwrap();
    lines.lines().map(parse).collect()
}

/// The records of the file that belong on the server, with their times.
fn written(daemon: &Daemon) -> Vec<((String, u64), Timestamp)> {
    let log = daemon.log().into_iter();
    let ours = log.filter(|record| {
        let target = record["target"].as_str().unwrap();
        !["telemetry_pocketbase", "ureq", "rustls", "redb"]
            .iter()
            .any(|other| target.starts_with(other))
    });
    ours.map(|record| {
        let time = record["timestamp"].as_str().unwrap().parse().unwrap();
        (place_of(&record), time)
    })
    .collect()
}

#[test]
fn kill_9_of_daemon_and_server_in_turn_loses_only_what_was_not_spooled() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let names: Vec<String> = (0..FILES).map(|number| number.to_string()).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "text")).collect();
    plant(&place.join("source"), &files);
    let jobs = job("documents", place, VERY_OFTEN);
    let more = "min_level = \"trace\"";
    let Some((server, config)) = server_with_hook(place, more, &jobs) else {
        return;
    };
    let config = config.replace("shutdown_timeout_secs = 4", "shutdown_timeout_secs = 30");
    let mut random = fastrand::Rng::with_seed(9);
    let mut daemon = start(place, &config);
    let (mut committed, mut kills) = (Places::new(), Vec::new());
    for round in 0..rounds(4, 100) {
        let (before, more) = (log_bytes(&daemon), random.u64(50_000..400_000));
        daemon.wait_until(SOON, "more records", || log_bytes(&daemon) > before + more);
        if round % 2 == 1 {
            server.restart();
            continue;
        }
        daemon.kill();
        kills.push(Timestamp::now());
        committed.extend(spooled(place).iter().map(place_of));
        daemon = start(place, &config);
    }
    let before = log_bytes(&daemon);
    daemon.wait_until(SOON, "records of the last", || log_bytes(&daemon) > before);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(2 * SOON).success(), "{}", daemon.stderr());
    assert_eq!(spooled(place), [] as [Value; 0], "everything was delivered");

    let stored = server.records(COLLECTION, "");
    let places: Places = stored.iter().map(place_of).collect();
    assert_eq!(places.len(), stored.len(), "something is stored twice");
    let lost: Vec<_> = committed.difference(&places).collect();
    assert!(lost.is_empty(), "spooled and not stored: {lost:?}");

    let written = written(&daemon);
    let in_file: Places = written.iter().map(|(place, _)| place.clone()).collect();
    let mut oldest = Duration::ZERO;
    let mut beyond = 0;
    for (place, time) in written.iter().filter(|(place, _)| !places.contains(place)) {
        let kill = kills.iter().find(|kill| *kill >= time);
        let kill = kill.unwrap_or_else(|| panic!("{place:?} is missing and nobody was killed"));
        oldest = oldest.max(kill.duration_since(*time).unsigned_abs());
        beyond += 1;
    }
    let report = format!(
        "{} kills of the daemon: {} records in the file, {} stored (each once), {beyond} in the file only, \
         the oldest of them written {oldest:?} before a kill; {} stored and not in the file\n",
        kills.len(),
        in_file.len(),
        places.len(),
        places.difference(&in_file).count(),
    );
    // Past the test runner's capturing: the figures of a long run are worth keeping.
    let _ = std::io::stderr().write_all(report.as_bytes());
    assert!(oldest <= Duration::from_millis(200) + SLACK, "{report}");
}
