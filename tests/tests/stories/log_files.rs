//! The log file among others: full disks, logrotate, links, a second daemon.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use telemetry_tests::{
    Daemon, Invocation, Signal, Tmpfs, free_port, get, plant, run, tool, wait_until,
};

use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

/// The configuration without jobs, with the log somewhere else.
fn logging_to(path: &Path, port: u16) -> String {
    with_jobs(port, "").replace("logs/daemon.log", &path.display().to_string())
}

/// A daemon that does something five times a second, and has begun to.
fn busy(place: &Path) -> Daemon {
    plant(&place.join("source"), &[("a", "text")]);
    let config = with_jobs(free_port(), &job("good", place, OFTEN));
    let daemon = Daemon::start(place, &config);
    daemon.wait_for_record(SOON, "a run", |record| record["fields"]["job_id"] == "good");
    daemon
}

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'), "a torn end in {}", path.display());
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn numbers(records: &[Value]) -> Vec<u64> {
    let numbers = records.iter().map(|record| record["seq"].as_u64().unwrap());
    numbers.collect()
}

fn readiness(port: u16) -> u16 {
    get(&format!("http://127.0.0.1:{port}/readyz")).map_or(0, |answer| answer.status)
}

/// Runs the real logrotate on the daemon's log, now.
fn logrotate(logrotate: &Path, place: &Path, directives: &str) {
    let config = place.join("logrotate.conf");
    let log = place.join("logs/daemon.log");
    let log = log.display();
    fs::write(&config, format!("{log} {{\n{directives}\nrotate 5\n}}\n")).unwrap();
    // It refuses what others could have written.
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(logrotate);
    command
        .arg("--force")
        .arg("--state")
        .arg(place.join("logrotate.state"))
        .arg(config);
    run(command, "").expect_success();
}

#[test]
fn logrotate_with_a_signal_loses_no_record() {
    let Some(program) = tool("logrotate") else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let daemon = busy(place.path());
    let logs = place.path().join("logs");
    for round in 1..=3 {
        let signal = format!("postrotate\nkill -HUP {}\nendscript", daemon.id());
        let directives = match round {
            // The new file made by logrotate, and by the daemon.
            1 => format!("create 0640\n{signal}"),
            _ => format!("nocreate\n{signal}"),
        };
        logrotate(&program, place.path(), &directives);
        daemon.wait_for_record(SOON, "a run in the new file", |record| {
            record["fields"]["job_id"] == "good"
        });
    }
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    let files = ["daemon.log.3", "daemon.log.2", "daemon.log.1", "daemon.log"];
    let all: Vec<Value> = files
        .iter()
        .flat_map(|name| records(&logs.join(name)))
        .collect();
    let expected: Vec<u64> = (1..=all.len() as u64).collect();
    assert_eq!(numbers(&all), expected, "every record once, in order");
}

#[test]
fn logrotate_without_a_signal_is_noticed_even_by_an_idle_daemon() {
    let Some(program) = tool("logrotate") else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), ""));
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    let before = numbers(&daemon.log()).len();
    logrotate(&program, place.path(), "nocreate");
    let active = place.path().join("logs/daemon.log");
    daemon.wait_until(SOON, "a new file without any record", || active.exists());
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    let rotated = records(&place.path().join("logs/daemon.log.1"));
    assert_eq!(rotated.len(), before, "nothing went to the old file");
    let numbers = numbers(&records(&active));
    assert_eq!(numbers[0] as usize, before + 1);
}

#[test]
fn copytruncate_leaves_a_file_that_begins_with_a_record() {
    let Some(program) = tool("logrotate") else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let daemon = busy(place.path());
    logrotate(&program, place.path(), "copytruncate");
    daemon.wait_for_record(SOON, "a run after the cut", |record| {
        record["fields"]["job_id"] == "good"
    });
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    let logs = place.path().join("logs");
    let (copy, active) = (
        records(&logs.join("daemon.log.1")),
        records(&logs.join("daemon.log")),
    );
    let all = [numbers(&copy), numbers(&active)].concat();
    // What is written between copying and truncating is logrotate's loss; nothing is there twice, and no hole is left.
    assert!(all.is_sorted_by(|one, next| one < next), "{all:?}");
    assert_eq!(all[0], 1);
}

#[test]
fn a_full_disk_is_told_and_heals_without_a_record() {
    const DISK: u64 = 1 << 20;
    let Some(disk) = Tmpfs::mount(DISK) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let port = free_port();
    let jobs = job("good", place.path(), MANUAL);
    let log = disk.path().join("logs/daemon.log");
    let config = with_jobs(port, &jobs).replace("logs/daemon.log", &log.display().to_string());
    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_until(SOON, "a ready daemon", || readiness(port) == 200);

    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 2 * DISK as usize]).expect_err("a full disk");
    daemon.wait_until(SOON, "the full disk in /readyz", || {
        daemon.beside().args(["trigger", "good"]).run().code() == Some(0) && readiness(port) == 503
    });
    assert!(daemon.stderr().contains("cannot write log file"));
    daemon.wait_until(SOON, "half a line to be taken back", || {
        let text = fs::read(&log).unwrap();
        text.is_empty() || text.ends_with(b"\n")
    });
    let is_counted = || {
        let page = get(&format!("http://127.0.0.1:{port}/metrics"))
            .unwrap()
            .body;
        let series = "telemetry_records_total{sink=\"file\",outcome=\"dropped\"} ";
        let count = page.lines().find_map(|line| line.strip_prefix(series));
        count.is_some_and(|count| count != "0")
    };
    daemon.wait_until(SOON, "the loss in the metrics", is_counted);

    fs::remove_file(&ballast).unwrap();
    daemon.wait_until(SOON, "readiness without a record", || {
        readiness(port) == 200
    });
    daemon
        .beside()
        .args(["trigger", "good", "--wait"])
        .run()
        .expect_success();
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    let numbers = numbers(&records(&log));
    assert!(numbers.is_sorted_by(|one, next| one < next));
    assert!(
        numbers.len() < numbers[numbers.len() - 1] as usize,
        "the gap shows the loss"
    );
}

#[test]
fn archives_make_room_on_a_small_disk() {
    let Some(disk) = Tmpfs::mount(4 << 20) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let log = disk.path().join("daemon.log");
    let names: Vec<PathBuf> = (1..=3)
        .map(|day| disk.path().join(format!("daemon-2026-01-0{day}.0.log")))
        .collect();
    for name in &names {
        fs::write(name, "x".repeat((1 << 20) - 1) + "\n").unwrap();
    }
    let theirs = disk.path().join("other-2026-01-01.0.log");
    fs::write(&theirs, "theirs").unwrap();
    let config = logging_to(&log, free_port()).replace(
        "keep_files = 7",
        "keep_files = 7\ncompression = \"none\"\nmin_free_mb = 2",
    );
    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_until(SOON, "the oldest to go", || !names[1].exists());
    daemon.wait_until(SOON, "the start", || log.exists());
    assert!(!names[0].exists() && names[2].exists() && theirs.exists());
}

#[test]
fn two_daemons_do_not_share_a_log_file() {
    let place = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), ""));
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    let other = tempfile::tempdir().unwrap();
    let log = place.path().join("logs/daemon.log");
    let second = Daemon::start(other.path(), &logging_to(&log, free_port()));
    let status = second.wait_exit(SOON);
    assert_eq!(status.code(), Some(2), "{}", second.stderr());
    assert!(second.stderr().contains("in use by another process"));
    assert!(daemon.exit_status().is_none());
}

#[test]
fn a_link_in_place_of_the_log_file_stops_the_start() {
    let place = tempfile::tempdir().unwrap();
    let victim = place.path().join("victim");
    fs::write(&victim, "theirs\n").unwrap();
    fs::create_dir(place.path().join("logs")).unwrap();
    symlink(&victim, place.path().join("logs/daemon.log")).unwrap();
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), ""));
    assert_eq!(daemon.wait_exit(SOON).code(), Some(2));
    assert!(
        daemon.stderr().contains("symbolic link"),
        "{}",
        daemon.stderr()
    );
    assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs\n");
}

#[test]
fn the_log_is_private_to_owner_and_group() {
    let place = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), ""));
    let log = place.path().join("logs/daemon.log");
    daemon.wait_until(SOON, "the file", || log.exists());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&log), 0o640);
    assert_eq!(mode(&place.path().join("logs")), 0o750);
    drop(daemon);

    let configured = with_jobs(free_port(), "")
        .replace("logs/daemon.log", "other/daemon.log")
        .replace(
            "json_logging = true",
            "json_logging = true\nfile_mode = \"0600\"\ndir_mode = \"0700\"",
        );
    let daemon = Daemon::start(place.path(), &configured);
    let log = place.path().join("other/daemon.log");
    daemon.wait_until(SOON, "the file", || log.exists());
    daemon.wait_until(SOON, "its permissions", || mode(&log) == 0o600);
    assert_eq!(mode(&place.path().join("other")), 0o700);
}

#[test]
fn a_killed_daemon_goes_on_in_the_same_file_and_closes_a_torn_line() {
    let place = tempfile::tempdir().unwrap();
    let config = with_jobs(free_port(), "");
    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    daemon.kill();
    drop(daemon);
    let log = place.path().join("logs/daemon.log");
    let before = fs::read_to_string(&log).unwrap();
    fs::write(&log, before.clone() + "{\"timestamp\":\"20").unwrap();
    let daemon = Invocation::new(place.path()).start(&config);
    let has_gone_on = || {
        let text = fs::read_to_string(&log).unwrap();
        text.lines().count() > before.lines().count() + 1
    };
    wait_until(SOON, "a record after the torn line", has_gone_on);
    let text = fs::read_to_string(&log).unwrap();
    let after = text.strip_prefix(&before).unwrap();
    let (torn, rest) = after.split_once('\n').unwrap();
    assert_eq!(torn, "{\"timestamp\":\"20");
    let first = rest.lines().next().unwrap();
    serde_json::from_str::<Value>(first).expect(first);
    drop(daemon);
}
