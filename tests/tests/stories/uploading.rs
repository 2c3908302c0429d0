//! The log in PocketBase.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitStatus;

use serde_json::Value;
use telemetry_tests::{Daemon, Finished, Invocation, PocketBase, Signal, free_port, plant, rounds};

use crate::{OFTEN, SOON, job, with_jobs};

const COLLECTION: &str = "daemon_logs";

/// A configuration that uploads to `url` every second, with these jobs.
fn uploading(url: &str, jobs: &str) -> String {
    let uploads = format!(
        r#"
[telemetry.pocketbase_logging]
enabled = true
collection = "daemon_logs"
batch_size = 100
flush_interval_secs = 1
max_retries = 3
url = "{url}"
identity = "daemon@example.com"
password_file = "password"
[telemetry.pocketbase_logging.breaker]
failures = 1
open_secs = 1
max_open_secs = 1
[daemon]
shutdown_timeout_secs = 4
"#
    );
    with_jobs(free_port(), &(uploads + jobs))
}

fn set_up(place: &Path, server: &PocketBase, config: &str) -> Finished {
    plant(place, &[("sync-daemon.toml", config)]);
    Invocation::new(place)
        .args(["pocketbase", "setup", "--admin", server.superuser()])
        .env("SYNC_DAEMON_ADMIN_PASSWORD", server.password())
        .run()
}

fn stop(daemon: &Daemon) -> ExitStatus {
    daemon.signal(Signal::TERM);
    daemon.wait_exit(SOON)
}

/// The records of the file that belong on the server.
fn uploadable(daemon: &Daemon) -> Vec<Value> {
    let log = daemon.log().into_iter();
    log.filter(|record| {
        let level = record["level"].as_str().unwrap();
        let target = record["target"].as_str().unwrap();
        ["INFO", "WARN", "ERROR"].contains(&level) && !target.starts_with("telemetry_pocketbase")
    })
    .collect()
}

/// A record's place in the world: its session and number.
pub(crate) fn place_of(record: &Value) -> (String, u64) {
    let session = record["session_id"].as_str().unwrap();
    (session.to_owned(), record["seq"].as_u64().unwrap())
}

/// Every record of the file that belongs there is on the server, once.
fn assert_all_stored_once(daemon: &Daemon, server: &PocketBase) {
    let sent: BTreeSet<_> = uploadable(daemon).iter().map(place_of).collect();
    let stored = server.records(COLLECTION, "");
    let places: BTreeSet<_> = stored.iter().map(place_of).collect();
    assert_eq!(places.len(), stored.len(), "something is stored twice");
    let missing: Vec<_> = sent.difference(&places).collect();
    assert!(missing.is_empty(), "missing on the server: {missing:?}");
}

#[test]
fn setup_makes_a_server_ready_and_records_arrive() {
    let Some(server) = PocketBase::start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let jobs = job("documents", place.path(), OFTEN);
    let config = uploading(&server.url(), &jobs);
    let report = set_up(place.path(), &server, &config).expect_success();
    assert!(report.contains("created"), "{report}");
    let password = place.path().join("password");
    let mode = std::fs::metadata(&password).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = set_up(place.path(), &server, &config).expect_success();
    assert!(!again.contains("created"), "{again}");
    let check = Invocation::new(place.path())
        .args(["pocketbase", "check"])
        .run();
    let check = check.expect_success();
    assert!(!check.contains("WRONG"), "{check}");

    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_until(SOON, "a run on the server", || {
        server.count(COLLECTION, "message = 'Sync job completed successfully'") >= 3
    });
    assert!(stop(&daemon).success(), "{}", daemon.stderr());
    assert_all_stored_once(&daemon, &server);

    let stored = server.records(COLLECTION, "message = 'Sync job completed successfully'");
    let record = &stored[0];
    assert_eq!(record["level"], "INFO", "{record}");
    assert_eq!(record["target"], "sync_daemon::daemon", "{record}");
    assert_eq!(record["fields"]["job_name"], "documents_sync", "{record}");
    assert_eq!(record["spans"][0]["name"], "job", "{record}");
    let id = record["id"].as_str().unwrap();
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    assert!(id.len() == 15 && id.chars().all(is_id), "{id}");
    let file = daemon.log();
    let original = file.iter().find(|line| place_of(line) == place_of(record));
    let original = original.expect("it is in the file, too");
    assert_eq!(record["timestamp_exact"], original["timestamp"]);
}

#[test]
fn a_killed_server_delays_records_and_loses_none() {
    let Some(server) = PocketBase::start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let config = uploading(&server.url(), &job("documents", place.path(), OFTEN));
    set_up(place.path(), &server, &config).expect_success();
    let daemon = Daemon::start(place.path(), &config);
    for _ in 0..rounds(2, 20) {
        let before = server.count(COLLECTION, "");
        daemon.wait_until(SOON, "records on the server", || {
            server.count(COLLECTION, "") > before
        });
        server.kill();
        let logged = daemon.log().len();
        daemon.wait_until(SOON, "the daemon to go on", || {
            daemon.log().len() > logged + 5
        });
        server.serve();
    }
    let now = uploadable(&daemon).len() as u64;
    daemon.wait_until(SOON, "everything on the server", || {
        server.count(COLLECTION, "") >= now
    });
    assert!(stop(&daemon).success(), "{}", daemon.stderr());
    assert_all_stored_once(&daemon, &server);
}

#[test]
fn a_server_that_hangs_stores_nothing_twice() {
    let Some(server) = PocketBase::start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let config = uploading(&server.url(), &job("documents", place.path(), OFTEN)).replace(
        "max_retries = 3",
        "max_retries = 3\nrequest_timeout_secs = 1",
    );
    set_up(place.path(), &server, &config).expect_success();
    let daemon = Daemon::start(place.path(), &config);
    for _ in 0..rounds(1, 20) {
        let before = server.count(COLLECTION, "");
        daemon.wait_until(SOON, "records on the server", || {
            server.count(COLLECTION, "") > before
        });
        server.pause();
        let failed = || {
            let log = daemon.log();
            let told = |record: &&Value| record["target"].to_string().contains("pocketbase");
            log.iter().filter(told).count()
        };
        let (told, logged) = (failed(), daemon.log().len());
        daemon.wait_until(SOON, "a request to time out", || {
            failed() > told && daemon.log().len() > logged + 10
        });
        server.resume();
    }
    let now = uploadable(&daemon).len() as u64;
    daemon.wait_until(SOON, "everything on the server", || {
        server.count(COLLECTION, "") >= now
    });
    assert!(stop(&daemon).success(), "{}", daemon.stderr());
    assert_all_stored_once(&daemon, &server);
}

#[test]
fn what_is_left_at_shutdown_waits_in_the_spool_for_the_next_start() {
    let Some(server) = PocketBase::start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let config = uploading(&server.url(), &job("documents", place.path(), OFTEN));
    set_up(place.path(), &server, &config).expect_success();
    server.kill();

    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_until(SOON, "a few runs", || daemon.log().len() > 5);
    assert!(stop(&daemon).success(), "a spool is no failure");
    assert!(
        daemon
            .stderr()
            .contains("wait in the spool for the next start"),
        "{}",
        daemon.stderr()
    );

    server.serve();
    assert_eq!(
        server.count(COLLECTION, "target = 'sync_daemon::daemon'"),
        0
    );
    let daemon = Daemon::start(place.path(), &config);
    let spooled = uploadable(&daemon).len() as u64;
    daemon.wait_until(SOON, "the spooled records", || {
        server.count(COLLECTION, "target = 'sync_daemon::daemon'") >= spooled
    });
    assert!(stop(&daemon).success(), "{}", daemon.stderr());
    assert_all_stored_once(&daemon, &server);
}

#[test]
fn without_a_credential_the_daemon_says_so_and_spools() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let jobs = job("documents", place.path(), OFTEN);
    // The block of the specification as it stands: no account, no password.
    let block = "\n[telemetry.pocketbase_logging]\nenabled = true\ncollection = \"daemon_logs\"\nbatch_size = 100\n\
                 flush_interval_secs = 30\nmax_retries = 3\n[daemon]\nshutdown_timeout_secs = 2\n";
    let daemon = Daemon::start(
        place.path(),
        &with_jobs(free_port(), &(block.to_owned() + &jobs)),
    );
    daemon.wait_for_record(SOON, "the warning", |record| {
        record["level"] == "WARN" && record["target"].as_str().unwrap().contains("pocketbase")
    });
    let status = daemon.beside().args(["status", "--json"]).run();
    let status: Value = serde_json::from_str(&status.expect_success()).unwrap();
    let notes = status["notes"].to_string();
    assert!(notes.contains("pocketbase"), "{notes}");
    daemon.wait_for_record(SOON, "a run all the same", |record| {
        record["fields"]["job_id"] == "documents"
    });
    assert!(stop(&daemon).success(), "{}", daemon.stderr());
}

#[test]
fn uploading_unsanitized_records_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let config = uploading("http://127.0.0.1:1", "") + "\n[telemetry.sanitize]\nenabled = false\n";
    plant(place.path(), &[("sync-daemon.toml", config.as_str())]);
    let refused = Invocation::new(place.path()).arg("start").run();
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.contains("allow_unsanitized"), "{refused:?}");
}
