//! The daemon from start to end.

use std::time::Instant;

use serde_json::Value;
use telemetry_tests::{Daemon, Signal, assert_same_tree, free_port, plant};

use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

#[test]
fn it_mirrors_on_schedule_and_on_demand_and_drains() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    plant(&source, &[("a", "first"), ("deep/b", "second")]);
    let jobs = job("interval", place.path(), OFTEN) + &job("manual", place.path(), MANUAL);
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), &jobs));

    daemon.wait_for_record(SOON, "a scheduled run", |record| {
        record["fields"]["job_name"] == "interval_sync" && record["fields"]["files_processed"] == 3
    });
    assert_same_tree(&source, &place.path().join("interval"));
    assert!(!place.path().join("manual").exists(), "nobody asked for it");

    let finished = daemon.beside().args(["trigger", "manual", "--wait"]).run();
    let summary: Value = serde_json::from_str(&finished.expect_success()).unwrap();
    assert_eq!(summary["report"]["created"], 3, "{summary}");
    assert_eq!(summary["trigger"], "manual", "{summary}");
    assert_same_tree(&source, &place.path().join("manual"));

    let status = daemon.beside().args(["status", "--json"]).run();
    let status: Value = serde_json::from_str(&status.expect_success()).unwrap();
    assert_eq!(status["state"], "running", "{status}");
    assert_eq!(status["jobs"].as_array().unwrap().len(), 2, "{status}");
    let people = daemon.beside().arg("status").run().expect_success();
    let line = people.lines().find(|line| line.starts_with("manual "));
    let line = line.expect(&people);
    assert!(
        line.contains("idle") && line.contains("success, "),
        "{people}"
    );

    let unknown = daemon.beside().args(["trigger", "nothing"]).run();
    assert_eq!(unknown.code(), Some(1));
    assert!(unknown.stderr.contains("interval, manual"), "{unknown:?}");

    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success(), "{}", daemon.stderr());
    let last = daemon.log().pop().expect("a log");
    assert_eq!(last["message"], "sync daemon stopped", "{last}");
    let gone = daemon.beside().arg("status").run();
    assert_eq!(gone.code(), Some(1));
    assert!(gone.stderr.contains("no sync-daemon runs"), "{gone:?}");
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused_with_the_pid() {
    let place = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), ""));
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    let second = daemon.beside().arg("start").run();
    assert_eq!(second.code(), Some(1), "{second:?}");
    let pid = format!("pid {}", daemon.id());
    assert!(second.stderr.contains(&pid), "{second:?}");
}

#[test]
fn identity_survives_a_restart_and_the_session_does_not() {
    let place = tempfile::tempdir().unwrap();
    let config = with_jobs(free_port(), "");
    let mut starts = Vec::new();
    for round in 1..=2 {
        let daemon = Daemon::start(place.path(), &config);
        let is_start = |record: &Value| record["message"] == "sync daemon started";
        daemon.wait_until(SOON, "the start", || {
            daemon
                .log()
                .iter()
                .filter(|record| is_start(record))
                .count()
                == round
        });
        daemon.kill();
        starts = daemon.log().into_iter().filter(is_start).collect();
    }
    assert_eq!(starts[0]["daemon_id"], starts[1]["daemon_id"]);
    assert_ne!(starts[0]["session_id"], starts[1]["session_id"]);
}

#[test]
fn a_taken_port_is_named_with_its_key_and_the_rest_goes_on() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let jobs = job("interval", place.path(), OFTEN);
    let daemon = Daemon::start(place.path(), &with_jobs(port, &jobs));
    let error = daemon.wait_for_record(SOON, "the taken port", |record| {
        record["fields"]["error_type"] == "metrics"
    });
    let text = error.to_string();
    assert!(text.contains(&port.to_string()), "{text}");
    assert!(text.contains("telemetry.metrics.port"), "{text}");
    daemon.wait_for_record(SOON, "a run", |record| {
        record["fields"]["job_name"] == "interval_sync"
    });
}

#[test]
fn a_failing_job_is_an_error_with_its_type_and_the_daemon_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let jobs = job("interval", place.path(), OFTEN);
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), &jobs));
    let failed = daemon.wait_for_record(SOON, "a failed run", |record| {
        record["fields"]["job_name"] == "interval_sync"
    });
    assert_eq!(failed["level"], "ERROR", "{failed}");
    assert_eq!(failed["fields"]["error_type"], "source_missing", "{failed}");
    assert_eq!(failed["fields"]["success_rate"], 0.0, "{failed}");
    plant(&place.path().join("source"), &[("a", "text")]);
    daemon.wait_for_record(SOON, "a run that succeeds", |record| {
        record["message"] == "Sync job completed successfully"
    });
}

#[test]
fn the_shutdown_takes_no_longer_than_it_may() {
    let place = tempfile::tempdir().unwrap();
    let config = with_jobs(free_port(), "[daemon]\nshutdown_timeout_secs = 5\n");
    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    let asked = Instant::now();
    daemon.signal(Signal::INT);
    assert!(daemon.wait_exit(SOON).success());
    assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
}

/// A daemon in the middle of a run that takes seconds.
pub(crate) fn in_the_middle_of_a_run(place: &std::path::Path, rest: &str) -> Daemon {
    let source = place.join("source");
    std::fs::create_dir(&source).unwrap();
    for number in 0..30_000 {
        std::fs::write(source.join(number.to_string()), "x").unwrap();
    }
    let jobs = job("long", place, "type = \"manual\"\nrun_at_start = true") + rest;
    let daemon = Daemon::start(place, &with_jobs(free_port(), &jobs));
    let copy = place.join("long");
    daemon.wait_until(SOON, "the run is under way", || {
        std::fs::read_dir(&copy).is_ok_and(|mut entries| entries.next().is_some())
    });
    daemon
}

#[test]
fn a_run_that_does_not_end_in_time_is_cancelled_and_leaves_no_half_file() {
    let place = tempfile::tempdir().unwrap();
    let daemon = in_the_middle_of_a_run(place.path(), "[daemon]\nshutdown_timeout_secs = 1\n");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success(), "{}", daemon.stderr());
    let end = daemon
        .log()
        .into_iter()
        .find(|record| record["fields"]["job_name"] == "long_sync");
    let end = end.expect("the run has told how it ended");
    let copied = std::fs::read_dir(place.path().join("long"))
        .unwrap()
        .count();
    if end["fields"]["status"] == "cancelled" {
        assert!(copied < 30_000, "{end}");
        assert_eq!(end["fields"]["files_processed"], copied, "{end}");
    } else {
        // A machine that copies all in half a second has nothing to cancel.
        assert_eq!(end["fields"]["status"], "success", "{end}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = tempfile::tempdir().unwrap();
    let daemon = in_the_middle_of_a_run(place.path(), "");
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::INT);
    let status = daemon.wait_exit(SOON);
    assert_eq!(status.code(), Some(1), "{}", daemon.stderr());
    assert!(daemon.stderr().contains("stopped at once"));
}
