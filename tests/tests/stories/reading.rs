//! `sync-daemon logs`: the log read back.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use telemetry_tests::{
    Daemon, Finished, Invocation, Process, Signal, free_port, jq, plant, shell, wait_until,
};

use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

/// `logs` in a directory with the specification's configuration.
fn logs(place: &Path, arguments: &[&str]) -> Finished {
    let config = place.join("sync-daemon.toml");
    Invocation::new(place)
        .arg("--config")
        .arg(config)
        .arg("logs")
        .args(arguments)
        .run()
}

/// The same as a command that the story starts itself.
fn logs_command(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-daemon-under-test"));
    command.current_dir(place).arg("logs").args(arguments);
    command
}

/// The records that `logs --output json` prints.
fn records(place: &Path, arguments: &[&str]) -> Vec<Value> {
    let text = logs(place, &[arguments, &["--output", "json"]].concat()).expect_success();
    let parse = |line: &str| serde_json::from_str(line).expect("JSON");
    text.lines().map(parse).collect()
}

/// A log of thousands of records in several archives, of jobs that succeed and one that fails, by a daemon that has ended.
fn with_archives(place: &Path) {
    let names: Vec<String> = (0..2500).map(|number| format!("file{number:05}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    plant(&place.join("source"), &files);
    let broken = job("broken", place, MANUAL).replace("/source", "/nowhere");
    let jobs = job("good", place, MANUAL) + &job("second", place, MANUAL) + &broken;
    let config = with_jobs(free_port(), &jobs)
        .replace("max_size_mb = 100", "max_size_mb = 1")
        .replace("log_level = \"info\"", "log_level = \"debug\"");
    let daemon = Daemon::start(place, &config);
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    for job in ["good", "broken", "second"] {
        // That of the broken one is 1.
        daemon.beside().args(["trigger", job, "--wait"]).run();
    }
    let archives = || {
        let entries = fs::read_dir(place.join("logs")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name != "daemon.log")
            .collect::<Vec<_>>()
    };
    daemon.wait_until(SOON, "compressed archives", || {
        let archives = archives();
        archives.len() >= 2 && archives.iter().all(|name| name.ends_with(".xz"))
    });
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
}

/// Every line of the log, oldest first, by other means.
fn all_by_xzcat(place: &Path) -> Option<String> {
    let script = "for f in $(ls -v logs/daemon-*.xz); do xz -dc $f; done; cat logs/daemon.log";
    Some(shell(place, &["xz"], script)?.expect_success())
}

#[test]
fn archives_and_the_active_file_are_one_log() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    with_archives(place);
    let Some(all) = all_by_xzcat(place) else {
        return;
    };
    let whole = logs(place, &["--output", "json"]).expect_success();
    assert!(whole == all, "{} bytes, not {}", whole.len(), all.len());
    let numbers: Vec<u64> = all
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected);

    // By name, by the names of archives, and with all at once.
    let named = Invocation::new(place)
        .args(["logs", "logs/daemon.log", "--output", "json"])
        .run()
        .expect_success();
    assert!(named == all);
    let glob = shell(place, &[], "ls logs/daemon*");
    let glob = glob.unwrap().expect_success();
    let globbed = Invocation::new(place)
        .args(["logs", "--output", "json"])
        .args(glob.lines())
        .run()
        .expect_success();
    assert!(globbed == all, "each file once");

    let last = records(place, &["-n", "7"]);
    let lasts: Vec<Value> = all
        .lines()
        .rev()
        .take(7)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(last.iter().eq(lasts.iter().rev()));

    agrees_with_jq(place, &all);
}

/// What `logs` finds is what jq finds.
fn agrees_with_jq(place: &Path, all: &str) {
    let middle = all.lines().nth(all.lines().count() / 2).unwrap();
    let middle: Value = serde_json::from_str(middle).unwrap();
    let time = middle["timestamp"].as_str().unwrap();
    let since = format!(r#"select(.timestamp >= "{time}")"#);
    let until = format!(r#"select(.timestamp <= "{time}")"#);
    let queries: [(&[&str], &str); 9] = [
        (&["--level", "error"], r#"select(.level=="ERROR")"#),
        (
            &["--level", "info"],
            r#"select(.level=="ERROR" or .level=="WARN" or .level=="INFO")"#,
        ),
        (&["--level", "TRACE"], "."),
        (
            &["--target", "sync_daemon::daemon"],
            r#"select(.target | startswith("sync_daemon::daemon"))"#,
        ),
        (
            &["--field", "operation=created"],
            r#"select(.fields.operation=="created")"#,
        ),
        (
            &["--field", "job_id=second"],
            r#"select(.fields.job_id=="second" or ([.spans[]?.fields.job_id] | any(. == "second")))"#,
        ),
        (
            &["--grep", "file00[0-9]{2}7"],
            r#"select(tostring | test("file00[0-9]{2}7"))"#,
        ),
        (&["--since", time], &since),
        (
            &["--until", time, "--field", "operation=created"],
            &format!("{until} | select(.fields.operation==\"created\")"),
        ),
    ];
    for (arguments, filter) in queries {
        let Some(expected) = jq(&["-c", &format!("{filter} | .seq")], all) else {
            return;
        };
        let expected = expected.expect_success();
        let found = records(place, arguments);
        let found: Vec<String> = found
            .iter()
            .map(|record| record["seq"].to_string())
            .collect();
        assert!(!found.is_empty(), "{arguments:?}");
        assert_eq!(found.join("\n"), expected.trim_end(), "{arguments:?}");
    }
}

#[test]
fn lines_for_people_look_as_on_the_console() {
    let place = tempfile::tempdir().unwrap();
    let config = with_jobs(free_port(), "").replace(
        "console_logging = true",
        "console_logging = true\nconsole_format = \"pretty\"",
    );
    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    let shown = logs(place.path(), &[]).expect_success();
    assert_eq!(shown, daemon.stderr());
    let colored = logs(place.path(), &["--color", "always"]).expect_success();
    assert!(colored.contains("\u{1b}[32m  INFO "), "{colored}");
}

#[test]
fn lines_that_are_not_ours_are_shown_or_counted() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("some.log");
    let record = r#"{"timestamp":"2026-01-01T00:00:00Z","level":"ERROR","target":"a","message":"m","fields":{}}"#;
    let bytes = format!("plain \u{1b}[31mtext\n{record}\n{}\n", &record[..70]);
    fs::write(&log, [bytes.as_bytes(), b"\xff\n"].concat()).unwrap();
    let read = |arguments: &[&str]| {
        Invocation::new(place.path())
            .args(["logs", "some.log"])
            .args(arguments)
            .run()
    };
    let shown = read(&[]);
    assert_eq!(shown.stderr, "");
    let shown = shown.expect_success();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 4, "{shown}");
    assert!(lines[0].starts_with("plain \\x1b[31mtext"), "{shown}");
    assert_eq!(lines[1], "2026-01-01T00:00:00Z ERROR a: m");
    for arguments in [["--output", "json"], ["--level", "error"]] {
        let found = read(&arguments);
        assert!(
            found.stderr.contains("3 lines are no records"),
            "{}",
            found.stderr
        );
        assert_eq!(found.expect_success().lines().count(), 1);
    }
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let place = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..5)
        .map(|second| {
            format!(
                r#"{{"timestamp":"2026-01-01T00:00:0{second}Z","level":"INFO","target":"a","message":"m","fields":{{}}}}"#
            )
        })
        .collect();
    let text = lines.join("\n") + "\n";
    let read = |arguments: &[&str]| {
        let logs = Invocation::new(place.path()).args(["logs", "-", "--output", "json"]);
        logs.args(arguments).run_with_input(&text).expect_success()
    };
    assert_eq!(read(&[]), text);
    assert_eq!(read(&["-n", "2"]), lines[3..].join("\n") + "\n");
    let since = ["--since", "2026-01-01T00:00:04Z"];
    assert_eq!(read(&since), lines[4].clone() + "\n");
}

#[test]
fn bad_usage_and_missing_logs_are_told_apart() {
    let place = tempfile::tempdir().unwrap();
    let read = |arguments: &[&str]| {
        Invocation::new(place.path())
            .arg("logs")
            .args(arguments)
            .run()
    };
    let missing = read(&[]);
    assert_eq!(missing.code(), Some(1));
    assert!(
        missing.stderr.contains("logs/daemon.log"),
        "{}",
        missing.stderr
    );
    assert!(missing.stderr.contains("--config"), "{}", missing.stderr);
    let turned = read(&["--since", "1h", "--until", "2h"]);
    assert_eq!(turned.code(), Some(2), "{}", turned.stderr);
    for wrong in [
        ["--since", "yesterday"],
        ["--level", "loud"],
        ["--field", "name"],
        ["--grep", "("],
        ["--output", "xml"],
        ["-n", "some"],
    ] {
        let refused = read(&wrong);
        assert_eq!(refused.code(), Some(2), "{wrong:?}: {}", refused.stderr);
    }
    fs::write(
        place.path().join("d-2026-01-01.0.log.xz"),
        b"\xFD7zXZ\0 and no more",
    )
    .unwrap();
    let damaged = read(&["d-2026-01-01.0.log.xz"]);
    assert_eq!(damaged.code(), Some(1));
    assert!(
        damaged.stderr.contains("d-2026-01-01.0.log.xz"),
        "{}",
        damaged.stderr
    );
}

#[test]
fn a_closed_pipe_ends_reading_quietly() {
    let place = tempfile::tempdir().unwrap();
    let record = r#"{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","target":"a","message":"m","fields":{}}"#;
    fs::write(
        place.path().join("some.log"),
        format!("{record}\n").repeat(100_000),
    )
    .unwrap();
    // With a follower that has nothing to write, too.
    for arguments in [&["some.log"][..], &["-f", "-n", "0", "some.log"]] {
        let mut child = logs_command(place.path(), arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        wait_until(SOON, "the end", || child.try_wait().unwrap().is_some());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn following_goes_on_across_rotations() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    plant(&place.join("source"), &[("a", "text")]);
    // TRACE makes a record for each file of each run.
    let names: Vec<String> = (0..2000).map(|number| format!("file{number:05}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    plant(&place.join("source"), &files);
    let config = with_jobs(free_port(), &job("good", place, OFTEN))
        .replace("max_size_mb = 100", "max_size_mb = 1")
        .replace("keep_files = 7", "keep_files = 1000")
        .replace("log_level = \"info\"", "log_level = \"trace\"");
    let daemon = Daemon::start(place, &config);
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    let arguments = ["-f", "-n", "1000000", "--output", "json", "logs/daemon.log"];
    let follower = Process::start(logs_command(place, &arguments));
    let archives = || fs::read_dir(place.join("logs")).unwrap().count() - 1;
    daemon.wait_until(SOON, "three rotations", || archives() >= 3);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    let last = daemon.log().last().unwrap()["seq"].clone();
    let is_last = |line: &str| line.contains(&format!("\"seq\":{last}}}"));
    follower.wait_until(SOON, "the last record", || {
        follower.stdout().lines().last().is_some_and(is_last)
    });
    let text = follower.stdout();
    let numbers: Vec<u64> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect(line)["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "every record once");
}

#[test]
fn memory_stays_small_whatever_the_size() {
    const LIMIT_KIB: u64 = 100 * 1024;
    let place = tempfile::tempdir().unwrap();
    let line = format!(
        r#"{{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","target":"a","message":"{}","fields":{{}}}}"#,
        "x".repeat(400)
    );
    let text = format!("{line}\n").repeat((110 << 20) / line.len());
    fs::write(place.path().join("some.log"), text).unwrap();
    for query in ["-n100000000", "--level=error"] {
        let mut reader = logs_command(place.path(), &["some.log", query])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut peak = 0;
        wait_until(SOON, "the end", || {
            let status = fs::read_to_string(format!("/proc/{}/status", reader.id()));
            let line = status.unwrap_or_default();
            let line = line.lines().find(|line| line.starts_with("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            peak = peak.max(kib.unwrap_or(0));
            reader.try_wait().unwrap().is_some()
        });
        assert!(peak > 0 && peak < LIMIT_KIB, "{query}: {peak} KiB");
    }
}
