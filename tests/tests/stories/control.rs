//! The control socket: commands to a running daemon, and what systemd is told.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use telemetry_tests::{Daemon, Finished, Invocation, Signal, free_port, get, plant, wait_until};

use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

fn started(place: &Path, config: &str) -> Daemon {
    plant(&place.join("source"), &[("a", "text")]);
    let daemon = Daemon::start(place, config);
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    daemon
}

fn ask(daemon: &Daemon, args: &[&str]) -> Finished {
    daemon.beside().args(args).run()
}

fn rewrite(place: &Path, config: &str) {
    std::fs::write(place.join("sync-daemon.toml"), config).unwrap();
}

#[test]
fn the_socket_is_for_this_user_only() {
    let place = tempfile::tempdir().unwrap();
    let _daemon = started(place.path(), &with_jobs(free_port(), ""));
    let mode = |path: &str| {
        let metadata = std::fs::metadata(place.path().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("state/control.sock"), 0o600);
    assert_eq!(mode("state"), 0o700);
}

#[test]
fn the_level_changes_at_run_time_over_rust_log_and_comes_back() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let daemon = Invocation::new(place.path())
        .env("RUST_LOG", "warn")
        .start(&with_jobs(free_port(), &job("docs", place.path(), OFTEN)));
    daemon.wait_until(SOON, "the socket", || {
        ask(&daemon, &["log-level", "debug", "--for", "1s"]).code() == Some(0)
    });
    daemon.wait_for_record(SOON, "a debug event", |record| record["level"] == "DEBUG");
    daemon.wait_until(SOON, "the end of it", || {
        let status = ask(&daemon, &["status", "--json"]).expect_success();
        let status: Value = serde_json::from_str(&status).unwrap();
        status["log_level"] == "warn"
    });
    let set = ask(&daemon, &["log-level", "trace", "--for", "1h"]).expect_success();
    assert_eq!(set, "log level: trace for 1h\n");
    let status = ask(&daemon, &["status", "--json"]).expect_success();
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["log_level_set"]["level"], "trace");
    assert!(status["log_level_set"]["until"].is_string(), "{status}");
    let shown = ask(&daemon, &["status"]).expect_success();
    assert!(
        shown.contains("trace, set by `log-level` for 59m"),
        "{shown}"
    );
    daemon.wait_for_record(SOON, "a trace event", |record| record["level"] == "TRACE");
    let back = ask(&daemon, &["log-level", "default"]).expect_success();
    assert_eq!(back, "log level: warn\n");
    let status = ask(&daemon, &["status", "--json"]).expect_success();
    let status: Value = serde_json::from_str(&status).unwrap();
    assert!(status["log_level_set"].is_null(), "{status}");
    assert_eq!(ask(&daemon, &["log-level", "loud"]).code(), Some(2));
}

#[test]
fn a_run_can_be_cancelled_by_name() {
    let place = tempfile::tempdir().unwrap();
    let port = free_port();
    let daemon = started(
        place.path(),
        &with_jobs(port, &job("docs", place.path(), MANUAL)),
    );
    // Large enough to be under way for a while; sparse, so that it takes no room in the source.
    let large = std::fs::File::create(place.path().join("source/large")).unwrap();
    let hole = 1 << 40;
    large.set_len(hole).unwrap();
    for number in 0..20_000 {
        let path = place.path().join(format!("source/file{number}"));
        std::fs::write(path, "x").unwrap();
    }
    let idle = ask(&daemon, &["cancel", "docs"]);
    assert_eq!(idle.code(), Some(1), "{idle:?}");
    assert!(idle.stderr.contains("neither runs nor waits"), "{idle:?}");
    ask(&daemon, &["trigger", "docs"]).expect_success();
    daemon.wait_until(SOON, "the cancelled run", || {
        let cancelled = ask(&daemon, &["cancel", "docs"]);
        if cancelled.stdout.contains("waiting") {
            // Too early: on a busy machine it had not begun, and is gone without a trace.
            ask(&daemon, &["trigger", "docs"]).expect_success();
        }
        cancelled.stdout.contains("running")
    });
    let end = daemon.wait_for_record(SOON, "the end of the run", |record| {
        record["fields"]["job_name"] == "docs_sync"
    });
    assert_eq!(end["fields"]["status"], "cancelled", "{end}");
    assert_eq!(end["level"], "WARN", "{end}");
    let status = ask(&daemon, &["status", "--json"]).expect_success();
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["jobs"][0]["state"], "idle", "{status}");
    let scrape = telemetry_tests::get(&format!("http://127.0.0.1:{port}/metrics")).unwrap();
    let series = "sync_errors_total{job_id=\"docs\",error_type=\"cancelled\"} 1";
    assert!(scrape.body.contains(series), "{}", scrape.body);
}

#[test]
fn a_reload_takes_over_jobs_and_levels_and_names_what_needs_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = with_jobs(port, &job("old", place.path(), MANUAL));
    let daemon = started(place.path(), &config);
    let new = with_jobs(port, &job("new", place.path(), OFTEN))
        .replace("log_level = \"info\"", "log_level = \"debug\"")
        .replace("keep_files = 7", "keep_files = 9");
    rewrite(place.path(), &new);
    let told = ask(&daemon, &["reload"]).expect_success();
    for key in ["sync_jobs[new]", "sync_jobs[old]", "telemetry.log_level"] {
        assert!(told.lines().next().unwrap().contains(key), "{key}: {told}");
    }
    assert!(
        told.contains("without a restart: telemetry.log_rotation.keep_files"),
        "{told}"
    );
    daemon.wait_for_record(SOON, "a run of the new job", |record| {
        record["fields"]["job_name"] == "new_sync"
    });
    daemon.wait_for_record(SOON, "a debug event", |record| record["level"] == "DEBUG");
    let gone = ask(&daemon, &["trigger", "old"]);
    assert!(gone.stderr.contains("there are: new"), "{gone:?}");
    let people = ask(&daemon, &["status"]).expect_success();
    assert!(people.contains("keep_files"), "{people}");
    let scrape = telemetry_tests::get(&format!("http://127.0.0.1:{port}/metrics")).unwrap();
    let series =
        "sync_operations_total{job_id=\"new\",status=\"failed\",trigger_source=\"manual\"} 0";
    assert!(scrape.body.contains(series), "{}", scrape.body);
}

#[test]
fn a_wrong_configuration_changes_nothing_and_says_everything() {
    let place = tempfile::tempdir().unwrap();
    let config = with_jobs(free_port(), &job("docs", place.path(), MANUAL));
    let daemon = started(place.path(), &config);
    let wrong = config.replace("keep_files = 7", "keep_fles = 7") + "filters = [\"a[\"]\n";
    rewrite(
        place.path(),
        &wrong.replace("id = \"docs\"", "id = \"other\""),
    );
    let refused = ask(&daemon, &["reload"]);
    assert_eq!(
        refused.code(),
        Some(2),
        "the command reads the same file: {refused:?}"
    );
    assert!(refused.stderr.contains("keep_files"), "{refused:?}");

    daemon.signal(Signal::HUP);
    let error = daemon.wait_for_record(SOON, "the refusal", |record| {
        record["fields"]["error_type"] == "config"
    });
    assert!(
        error["fields"]["error"]
            .as_str()
            .unwrap()
            .contains("keep_files"),
        "{error}"
    );
    rewrite(place.path(), &config);
    ask(&daemon, &["trigger", "docs", "--wait"]).expect_success();
    let again = ask(&daemon, &["reload"]).expect_success();
    assert_eq!(again, "reloaded; nothing has changed\n");
}

#[test]
fn a_password_that_all_can_read_is_warned_about() {
    let place = tempfile::tempdir().unwrap();
    let secret = format!("{:016x}", 0x5eed_u64 << 40);
    let config = with_jobs(free_port(), &format!("# admin_password = \"{secret}\"\n"));
    plant(place.path(), &[("sync-daemon.toml", &config)]);
    let daemon = started(place.path(), &config);
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(place.path().join("sync-daemon.toml"), mode).unwrap();
    daemon.signal(Signal::HUP);
    let warning = daemon.wait_for_record(SOON, "the warning", |record| {
        record["level"] == "WARN" && record["message"].as_str().unwrap().contains("everybody")
    });
    assert!(!warning.to_string().contains(&secret), "{warning}");
}

#[test]
fn every_error_has_a_type_of_the_closed_list() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    std::fs::create_dir(place.path().join("hollow")).unwrap();
    plant(&place.path().join("emptied"), &[("precious", "text")]);
    let from = |id: &str, source: &str| {
        job(id, place.path(), OFTEN).replace("/source\"", &format!("/{source}\""))
    };
    let deleting = "[sync_jobs.sync_options]\ndelete_destination_files = true\n";
    let jobs = [
        from("missing", "nowhere"),
        from("emptied", "hollow") + deleting,
        from("source/inside", "source"),
        job("no/parent/here", place.path(), OFTEN),
    ];
    // A port that is taken, and a level that shows everything.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = with_jobs(port, &jobs.concat());
    let daemon = Daemon::start(place.path(), &config);
    let known = [
        "source_missing",
        "source_empty",
        "source_unreadable",
        "destination_unavailable",
        "overlap",
        "delete_limit",
        "permission",
        "no_space",
        "read",
        "write",
        "changed",
        "locked",
        "timeout",
        "cancelled",
        "panic",
        "config",
        "log_write",
        "upload",
        "metrics",
        "internal",
    ];
    for expected in [
        "source_missing",
        "source_empty",
        "overlap",
        "destination_unavailable",
        "metrics",
    ] {
        daemon.wait_for_record(SOON, expected, |record| {
            record["level"] == "ERROR" && record["fields"]["error_type"] == expected
        });
    }
    rewrite(place.path(), "colour = 1");
    daemon.signal(Signal::HUP);
    daemon.wait_for_record(SOON, "config", |record| {
        record["fields"]["error_type"] == "config"
    });
    for record in daemon.log() {
        let error_type = record["fields"]["error_type"].as_str();
        if record["level"] == "ERROR" {
            assert!(
                error_type.is_some_and(|found| known.contains(&found)),
                "{record}"
            );
        }
    }
}

/// Plays systemd: collects what the daemon sends.
struct Systemd {
    path: std::path::PathBuf,
    received: Arc<Mutex<Vec<String>>>,
}

impl Systemd {
    fn listen(place: &Path) -> Self {
        let path = place.join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&received);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                into.lock().unwrap().extend(text.lines().map(str::to_owned));
            }
        });
        Self { path, received }
    }

    fn lines(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    fn count(&self, line: &str) -> usize {
        self.lines()
            .iter()
            .filter(|received| received.starts_with(line))
            .count()
    }
}

#[test]
fn systemd_hears_of_start_reload_status_watchdog_and_end() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let systemd = Systemd::listen(place.path());
    let daemon = Invocation::new(place.path())
        .env("NOTIFY_SOCKET", &systemd.path)
        .env("WATCHDOG_USEC", "300000")
        .start(&with_jobs(free_port(), &job("docs", place.path(), MANUAL)));
    daemon.wait_until(SOON, "READY", || systemd.count("READY=1") == 1);
    daemon.wait_until(SOON, "a status", || {
        systemd.count("STATUS=running: 1 jobs") > 0
    });
    daemon.wait_until(SOON, "the watchdog is fed", || {
        systemd.count("WATCHDOG=1") >= 3
    });
    daemon.signal(Signal::HUP);
    daemon.wait_until(SOON, "READY again", || systemd.count("READY=1") == 2);
    assert_eq!(systemd.count("RELOADING=1"), 1);
    assert_eq!(systemd.count("MONOTONIC_USEC="), 1);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    wait_until(SOON, "STOPPING", || systemd.count("STOPPING=1") == 1);
}

#[test]
fn a_daemon_that_stands_still_does_not_feed_the_watchdog() {
    let place = tempfile::tempdir().unwrap();
    let systemd = Systemd::listen(place.path());
    let daemon = Invocation::new(place.path())
        .env("NOTIFY_SOCKET", &systemd.path)
        .env("WATCHDOG_USEC", "60000")
        .start(&with_jobs(free_port(), ""));
    daemon.wait_until(SOON, "the watchdog is fed", || {
        systemd.count("WATCHDOG=1") >= 1
    });
    daemon.pause();
    // What was sent before has arrived once nothing more comes for many times the interval.
    let mut before = 0;
    wait_until(Duration::from_secs(10), "silence", || {
        let now = systemd.count("WATCHDOG=1");
        std::thread::sleep(Duration::from_millis(200));
        std::mem::replace(&mut before, now) == now && now == systemd.count("WATCHDOG=1")
    });
    daemon.resume();
    daemon.wait_until(SOON, "the next one", || {
        systemd.count("WATCHDOG=1") > before
    });
}

#[test]
fn unit_completions_and_manual_are_printed() {
    let place = tempfile::tempdir().unwrap();
    let print = |args: &[&str]| {
        Invocation::new(place.path())
            .args(args)
            .run()
            .expect_success()
    };
    assert!(print(&["systemd"]).contains("Type=notify"));
    let completions = print(&["completions", "bash"]);
    assert!(completions.contains("complete -F"), "{completions}");
    let manual = print(&["man"]);
    assert!(manual.contains(".TH sync-daemon 1"), "{manual}");
    assert!(manual.contains("SYNC-DAEMON LOG-LEVEL"), "{manual}");
}

/// A daemon whose stderr is a full pipe that nobody reads.
fn unread(place: &Path) -> (Child, u16) {
    for number in 0..500 {
        plant(&place.join("source"), &[(&format!("file {number}"), "")]);
    }
    let port = free_port();
    let config = with_jobs(port, &job("docs", place, MANUAL))
        .replace("log_level = \"info\"", "log_level = \"trace\"")
        + "\n[daemon]\nshutdown_timeout_secs = 2\n";
    rewrite(place, &config);
    let child = Command::new(env!("CARGO_BIN_EXE_sync-daemon-under-test"))
        .arg("start")
        .current_dir(place)
        .env("SYNC_DAEMON__DAEMON__STATE_DIR", place.join("state"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Each run looks at every file, which is one record each: more than a pipe takes.
    wait_until(SOON, "an answer", || {
        beside(place, &["trigger", "docs", "--wait"]).code() == Some(0)
    });
    beside(place, &["trigger", "docs", "--wait"]).expect_success();
    (child, port)
}

fn beside(place: &Path, args: &[&str]) -> Finished {
    Invocation::new(place).args(args).run()
}

fn ends(child: &mut Child) -> Option<i32> {
    let mut code = None;
    wait_until(SOON, "the end", || {
        let status = child.try_wait().unwrap();
        code = status.and_then(|status| status.code());
        status.is_some()
    });
    code
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn stderr_that_nobody_reads_stops_neither_the_answers_nor_the_end() {
    let place = tempfile::tempdir().unwrap();
    let (mut child, port) = unread(place.path());
    let status = beside(place.path(), &["status", "--json"]).expect_success();
    let status: Value = serde_json::from_str(&status).unwrap();
    let sinks = status["sinks"].as_array().unwrap();
    let console = sinks.iter().find(|sink| sink["sink"] == "console").unwrap();
    assert_ne!(console["pending"], 0, "the pipe is not full: {status:#}");
    for path in ["metrics", "readyz"] {
        let answer = get(&format!("http://127.0.0.1:{port}/{path}")).unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    terminate(&child);
    assert_eq!(ends(&mut child), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once_though_nobody_reads_why() {
    let place = tempfile::tempdir().unwrap();
    let (mut child, _) = unread(place.path());
    terminate(&child);
    terminate(&child);
    // The second may come too late for a quick end.
    assert!(matches!(ends(&mut child), Some(0 | 1)));
}
