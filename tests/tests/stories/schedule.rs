//! When jobs run: by the calendar, for each other's sake, and without a daemon.

use std::path::Path;

use serde_json::Value;
use telemetry_tests::{Daemon, Invocation, assert_same_tree, free_port, plant, set_modified};

use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

/// Every second of every minute in a zone that is neither UTC nor a whole number of hours away from it.
const EVERY_SECOND: &str =
    "type = \"cron\"\nexpression = \"* * * * * *\"\ntimezone = \"Asia/Kathmandu\"";

fn configured(place: &Path, jobs: &str) {
    plant(
        place,
        &[("sync-daemon.toml", &with_jobs(free_port(), jobs))],
    );
}

fn lines(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

#[test]
fn cron_with_seconds_and_a_zone_runs_and_says_when_next() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    plant(&source, &[("a", "text")]);
    let nightly = "type = \"cron\"\nexpression = \"30 2 * * *\"\ntimezone = \"Europe/Berlin\"";
    let jobs = job("seconds", place.path(), EVERY_SECOND) + &job("nightly", place.path(), nightly);
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), &jobs));
    let run = daemon.wait_for_record(SOON, "a run by the calendar", |record| {
        record["fields"]["job_id"] == "seconds"
    });
    assert_eq!(run["fields"]["trigger"], "schedule", "{run}");
    assert_same_tree(&source, &place.path().join("seconds"));
    let status = daemon.beside().args(["status", "--json"]).run();
    let status: Value = serde_json::from_str(&status.expect_success()).unwrap();
    let next = status["jobs"][0]["next_run"].as_str().unwrap();
    assert!(
        next.contains("T00:30:00") || next.contains("T01:30:00"),
        "half past two in Berlin: {next}"
    );
}

#[test]
fn two_jobs_on_one_destination_wait_for_each_other_and_none_fails() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    std::fs::create_dir(place.path().join("one")).unwrap();
    std::os::unix::fs::symlink("one", place.path().join("link")).unwrap();
    let second = job("two", place.path(), OFTEN).replace("/two", "/link");
    let jobs = job("one", place.path(), OFTEN) + &second;
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), &jobs));
    daemon.wait_until(SOON, "runs of both", || {
        let log = daemon.log();
        let runs = |id: &str| {
            log.iter()
                .filter(|record| record["fields"]["job_id"] == id)
                .count()
        };
        runs("one") >= 5 && runs("two") >= 5
    });
    let locked = daemon
        .log()
        .into_iter()
        .find(|record| record["level"] != "INFO");
    assert_eq!(locked, None);
}

#[test]
fn run_does_configured_jobs_without_a_daemon() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    plant(&source, &[("a", "text"), ("deep/b", "more")]);
    let disabled = job("off", place.path(), MANUAL).replace(
        "[sync_jobs.schedule]",
        "enabled = false\n[sync_jobs.schedule]",
    );
    let jobs = job("first", place.path(), MANUAL) + &job("second", place.path(), OFTEN) + &disabled;
    configured(place.path(), &jobs);
    let run = |args: &[&str]| Invocation::new(place.path()).arg("run").args(args).run();

    let planned = run(&["first", "--dry-run"]).expect_success();
    assert!(planned.contains("create a\n"), "{planned}");
    assert!(
        planned.contains("first: dry run, nothing was touched"),
        "{planned}"
    );
    assert!(!place.path().join("first").exists());

    let summaries = lines(&run(&["--all", "--json"]).expect_success());
    let ids: Vec<_> = summaries
        .iter()
        .map(|summary| summary["job_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["first", "second"], "those that are enabled");
    for summary in &summaries {
        assert_eq!(summary["created"], 3, "{summary}");
        assert_eq!(summary["status"], "success", "{summary}");
    }
    assert_same_tree(&source, &place.path().join("second"));
    assert!(!place.path().join("off").exists());
    assert!(
        !place.path().join("logs").exists(),
        "no log file without --config"
    );

    let people = run(&["off"]).expect_success();
    assert!(people.starts_with("off: done"), "{people}");
    let unknown = run(&["nothing"]);
    assert_eq!(unknown.code(), Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("first, second, off"), "{unknown:?}");
    assert_eq!(run(&[]).code(), Some(2));

    std::fs::remove_dir_all(&source).unwrap();
    let failed = run(&["first", "--json"]);
    assert_eq!(failed.code(), Some(1), "{failed:?}");
    assert_eq!(
        lines(&failed.stdout)[0]["errors"][0]["error_type"],
        "source_missing"
    );
}

#[test]
fn run_with_a_configuration_file_logs_where_it_says() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    configured(place.path(), &job("first", place.path(), MANUAL));
    Invocation::new(place.path())
        .args(["--config", "sync-daemon.toml", "run", "first"])
        .run()
        .expect_success();
    let log = std::fs::read_to_string(place.path().join("logs/daemon.log")).unwrap();
    assert!(log.contains("Sync job completed successfully"), "{log}");
}

#[test]
fn metrics_event_and_summary_agree_with_the_disk() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    plant(
        &source,
        &[("kept", "same"), ("changed", "before"), ("gone", "soon")],
    );
    let port = free_port();
    let deleting = job("exact", place.path(), MANUAL)
        + "[sync_jobs.sync_options]\ndelete_destination_files = true\n";
    let daemon = Daemon::start(place.path(), &with_jobs(port, &deleting));
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    let trigger = || {
        let finished = daemon.beside().args(["trigger", "exact", "--wait"]).run();
        let summary: Value = serde_json::from_str(&finished.expect_success()).unwrap();
        summary["report"].clone()
    };
    trigger();
    plant(&source, &[("changed", "afterwards"), ("new", "12345")]);
    set_modified(&source.join("changed"), 1_700_000_000_000_000_005);
    std::fs::remove_file(source.join("gone")).unwrap();
    let report = trigger();
    assert_same_tree(&source, &place.path().join("exact"));

    // On disk: one new file, one changed, one gone, one as it was.
    let expected = [
        ("created", 1),
        ("updated", 1),
        ("deleted", 1),
        ("unchanged", 1),
        ("failed", 0),
    ];
    for (operation, count) in expected {
        assert_eq!(report[operation], count, "{operation}: {report}");
    }
    let bytes = "afterwards".len() + "12345".len();
    assert_eq!(report["bytes_transferred"], bytes, "{report}");

    let event = daemon.wait_for_record(SOON, "the event of the second run", |record| {
        record["fields"]["job_name"] == "exact_sync"
            && record["fields"]["bytes_transferred"] == bytes
    });
    assert_eq!(event["fields"]["files_processed"], 3, "{event}");
    assert_eq!(event["fields"]["success_rate"], 100.0, "{event}");

    let metrics = telemetry_tests::get(&format!("http://127.0.0.1:{port}/metrics")).unwrap();
    let metrics = metrics.expect_status(200).body;
    // The first run created three.
    for (operation, count) in [
        ("created", 4),
        ("updated", 1),
        ("deleted", 1),
        ("unchanged", 1),
    ] {
        let series = format!(
            "sync_files_processed_total{{job_id=\"exact\",operation=\"{operation}\"}} {count}\n"
        );
        assert!(
            metrics.contains(&series),
            "{series} is missing in {metrics}"
        );
    }
    let total = bytes + "same".len() + "before".len() + "soon".len();
    let series = format!("sync_bytes_transferred_total{{job_id=\"exact\"}} {total}\n");
    assert!(
        metrics.contains(&series),
        "{series} is missing in {metrics}"
    );
}
