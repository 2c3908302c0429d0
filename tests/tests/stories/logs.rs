//! The log file and the console.

use std::path::Path;

use serde_json::Value;
use telemetry_tests::{Daemon, Invocation, Signal, free_port, plant, run, shell, tool};

use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

/// A daemon whose log has a few runs, some of them failed.
fn with_history(place: &Path) -> Daemon {
    plant(&place.join("source"), &[("a", "text"), ("b", "more")]);
    let broken = job("broken", place, OFTEN).replace("/source", "/nowhere");
    let jobs = job("good", place, OFTEN) + &broken;
    let daemon = Daemon::start(place, &with_jobs(free_port(), &jobs));
    daemon.wait_until(SOON, "runs of both jobs", || {
        let log = daemon.log();
        let of = |job: &str| {
            log.iter()
                .filter(|record| record["fields"]["job_id"] == job)
                .count()
        };
        of("good") >= 3 && of("broken") >= 2
    });
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    daemon
}

#[test]
fn lines_have_the_shape_of_the_contract() {
    let place = tempfile::tempdir().unwrap();
    let daemon = with_history(place.path());
    let text = std::fs::read_to_string(place.path().join("logs/daemon.log")).unwrap();
    let closing = text
        .lines()
        .find(|line| line.contains("Sync job completed successfully"))
        .expect("a successful run");
    let keys = [
        "timestamp",
        "level",
        "target",
        "message",
        "fields",
        "spans",
        "module_path",
        "file",
        "line",
        "daemon_id",
        "session_id",
        "seq",
    ];
    let places: Vec<usize> = keys
        .iter()
        .map(|key| closing.find(&format!("\"{key}\":")).expect(key))
        .collect();
    assert!(places.is_sorted(), "{closing}");

    let log = daemon.log();
    for (place, record) in log.iter().enumerate() {
        assert_eq!(record["seq"], place as u64 + 1, "no gap: {record}");
        let time = record["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() >= 27, "{time}");
    }
    let record: Value = serde_json::from_str(closing).unwrap();
    assert_eq!(record["target"], "sync_daemon::daemon");
    assert_eq!(record["level"], "INFO");
    for field in [
        "duration_ms",
        "files_processed",
        "bytes_transferred",
        "success_rate",
    ] {
        assert!(record["fields"][field].is_number(), "{field}: {record}");
    }
    for field in ["job_name", "job_id", "trigger", "status"] {
        assert!(record["fields"][field].is_string(), "{field}: {record}");
    }
    assert_eq!(record["spans"][0]["name"], "job", "{record}");
}

#[test]
fn the_jq_examples_of_the_specification_work_as_written() {
    let place = tempfile::tempdir().unwrap();
    let daemon = with_history(place.path());
    let Some(operations) = shell(
        place.path(),
        &["jq"],
        "jq 'select(.fields.job_name)' logs/daemon.log | jq -s length",
    ) else {
        return;
    };
    let runs = daemon
        .log()
        .iter()
        .filter(|record| record["fields"]["job_name"].is_string())
        .count();
    assert_eq!(operations.expect_success().trim(), runs.to_string());

    let errors = shell(
        place.path(),
        &["jq"],
        r#"jq 'select(.level == "ERROR")' logs/daemon.log | jq '.fields.error_type' | sort | uniq -c"#,
    );
    let errors = errors.unwrap().expect_success();
    assert!(errors.contains("\"source_missing\""), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");

    let average = shell(
        place.path(),
        &["jq"],
        "jq 'select(.fields.duration_ms) | .fields.duration_ms' logs/daemon.log | jq -s 'add/length'",
    );
    let average: f64 = average.unwrap().expect_success().trim().parse().unwrap();
    assert!((0.0..60_000.0).contains(&average), "{average}");
}

#[test]
fn rust_log_shows_the_telemetry_at_work() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let jobs = job("good", place.path(), MANUAL);
    let daemon = Invocation::new(place.path())
        .env("RUST_LOG", "sync_daemon::telemetry=debug")
        .start(&with_jobs(free_port(), &jobs));
    daemon.wait_for_record(SOON, "a debug event of the telemetry", |record| {
        record["level"] == "DEBUG" && record["target"].as_str().unwrap().contains("telemetry")
    });
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    daemon
        .beside()
        .args(["trigger", "good", "--wait"])
        .run()
        .expect_success();
    daemon.wait_for_record(SOON, "the run", |record| {
        record["fields"]["job_id"] == "good"
    });
    let other = daemon.log().into_iter().find(|record| {
        record["level"] == "DEBUG" && !record["target"].as_str().unwrap().contains("telemetry")
    });
    assert_eq!(other, None, "other targets keep their level");
}

#[test]
fn the_console_is_pretty_when_asked_and_json_into_a_pipe() {
    let place = tempfile::tempdir().unwrap();
    let started = |config: &str| {
        let daemon = Daemon::start(place.path(), config);
        daemon.wait_until(SOON, "the start", || {
            daemon.stderr().contains("sync daemon started")
        });
        daemon.signal(Signal::TERM);
        assert!(daemon.wait_exit(SOON).success());
        daemon.stderr()
    };
    let piped = started(&with_jobs(free_port(), ""));
    for line in piped.lines() {
        serde_json::from_str::<Value>(line).expect(line);
    }
    let config = with_jobs(free_port(), "").replace(
        "console_logging = true",
        "console_logging = true\nconsole_format = \"pretty\"",
    );
    let pretty = started(&config);
    assert!(
        pretty.contains("INFO sync_daemon::daemon: sync daemon started version="),
        "{pretty}"
    );
}

#[test]
fn files_rotate_by_size_and_become_archives_that_hold_every_line() {
    let Some(xz) = tool("xz") else { return };
    let place = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..6000).map(|number| format!("file{number:05}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    plant(&place.path().join("source"), &files);
    let config = with_jobs(free_port(), &job("good", place.path(), MANUAL))
        .replace("max_size_mb = 100", "max_size_mb = 1")
        .replace("log_level = \"info\"", "log_level = \"debug\"");
    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    daemon
        .beside()
        .args(["trigger", "good", "--wait"])
        .run()
        .expect_success();
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());

    let logs = place.path().join("logs");
    let mut archives: Vec<_> = std::fs::read_dir(&logs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap() != "daemon.log")
        .collect();
    archives.sort();
    assert!(archives.len() >= 2, "{archives:?}");
    let mut lines = Vec::new();
    for archive in archives.iter().chain([&logs.join("daemon.log")]) {
        let name = archive.file_name().unwrap().to_str().unwrap();
        let text = if name.ends_with(".xz") {
            let mut command = std::process::Command::new(&xz);
            command.args(["--decompress", "--stdout"]).arg(archive);
            run(command, "").expect_success()
        } else {
            std::fs::read_to_string(archive).unwrap()
        };
        lines.extend(text.lines().map(|line| {
            let record: Value = serde_json::from_str(line).expect(line);
            record["seq"].as_u64().unwrap()
        }));
    }
    let expected: Vec<u64> = (1..=lines.len() as u64).collect();
    assert!(lines.len() > 6000, "{}", lines.len());
    lines.sort_unstable();
    assert_eq!(lines, expected, "every line is there once");
}

#[test]
fn a_log_directory_that_cannot_be_written_is_said_and_heals() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    // A file where the directory should be keeps root out, too.
    plant(place.path(), &[("logs", "in the way")]);
    let jobs = job("good", place.path(), OFTEN);
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), &jobs));
    daemon.wait_until(SOON, "the complaint", || {
        daemon.stderr().contains("logs/daemon.log")
    });
    daemon.wait_until(SOON, "the loss in the status", || {
        let status = daemon.beside().args(["status", "--json"]).run();
        let Ok(status) = serde_json::from_str::<Value>(&status.stdout) else {
            return false;
        };
        let sinks = status["sinks"].as_array().unwrap();
        let file = sinks.iter().find(|sink| sink["sink"] == "file").unwrap();
        file["health"] == "failing" && file["lost"]["io_error"].as_u64() > Some(0)
    });
    std::fs::remove_file(place.path().join("logs")).unwrap();
    daemon.wait_for_record(SOON, "a record once there is a directory", |record| {
        record["fields"]["job_id"] == "good"
    });
}

#[test]
fn sighup_follows_a_rotation_from_outside() {
    let place = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), ""));
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    let logs = place.path().join("logs");
    std::fs::rename(logs.join("daemon.log"), logs.join("daemon.log.1")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for_record(SOON, "a record in the new file", |record| {
        record["message"] == "log file reopened"
    });
}

#[test]
fn the_file_holds_lines_for_people_when_asked() {
    let place = tempfile::tempdir().unwrap();
    let config = with_jobs(free_port(), "").replace("json_logging = true", "json_logging = false");
    let daemon = Daemon::start(place.path(), &config);
    let path = place.path().join("logs/daemon.log");
    daemon.wait_until(SOON, "the start", || {
        std::fs::read_to_string(&path)
            .is_ok_and(|text| text.contains("INFO sync_daemon::daemon: sync daemon started"))
    });
}
