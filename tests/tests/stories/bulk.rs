//! Uploads in bulk, through the hook file on a real PocketBase.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use telemetry_tests::{
    Daemon, Invocation, PocketBase, Signal, free_port, plant, request, rounds, wait_until,
};

use crate::{OFTEN, SOON, job, with_jobs};

const COLLECTION: &str = "daemon_logs";
const BULK: &str = "/api/sync-daemon/v1/daemon_logs";

/// A configuration that uploads to `url` every second.
fn uploading(url: &str, more: &str, jobs: &str) -> String {
    let uploads = format!(
        r#"
[telemetry.pocketbase_logging]
enabled = true
flush_interval_secs = 1
url = "{url}"
identity = "daemon@example.com"
password_file = "password"
{more}
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

/// A server with the files that `pocketbase files` writes, and the account.
pub(crate) fn server_with_hook(
    place: &Path,
    more: &str,
    jobs: &str,
) -> Option<(PocketBase, String)> {
    let server = PocketBase::prepare()?;
    let config = uploading(&server.url(), more, jobs);
    plant(place, &[("sync-daemon.toml", &config)]);
    let files = Invocation::new(place).args(["pocketbase", "files"]).run();
    files.expect_success();
    for (from, to) in [
        ("pb_hooks/sync_daemon.pb.js", server.hooks_dir()),
        ("pb_migrations/sync_daemon_logs.js", server.migrations_dir()),
    ] {
        let from = place.join(from);
        let to = to.join(from.file_name().unwrap());
        std::fs::copy(from, to).unwrap();
    }
    server.serve();
    let setup = Invocation::new(place)
        .args(["pocketbase", "setup", "--admin", server.superuser()])
        .env("SYNC_DAEMON_ADMIN_PASSWORD", server.password())
        .run()
        .expect_success();
    assert!(setup.contains("good     collection daemon_logs"), "{setup}");
    assert!(setup.contains("good     hook"), "{setup}");
    Some((server, config))
}

/// Signs the daemon's account in; its token.
fn token(server: &PocketBase, place: &Path) -> String {
    let password = std::fs::read_to_string(place.join("password")).unwrap();
    let body = json!({"identity": "daemon@example.com", "password": password.trim()});
    let url = server.url() + "/api/collections/telemetry_clients/auth-with-password";
    let answer = request("POST", &url, &[], Some(body.to_string())).unwrap();
    let answer = answer.expect_status(200).json();
    answer["token"].as_str().unwrap().to_owned()
}

fn record(id: &str, message: &str) -> Value {
    json!({
        "id": id, "timestamp": "2026-01-02T03:04:05.678901Z",
        "timestamp_exact": "2026-01-02T03:04:05.678901Z", "level": "INFO",
        "target": "a::b", "message": message, "fields": {"a": 1}, "line": 7,
        "daemon_id": "d", "session_id": "s", "seq": 1,
    })
}

#[test]
fn files_of_the_daemon_make_a_server_take_uploads_in_bulk_exactly_once() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    plant(&place.join("source"), &[("a", "text")]);
    let jobs = job("documents", place, OFTEN);
    let Some((server, config)) = server_with_hook(place, "", &jobs) else {
        return;
    };
    let check = Invocation::new(place).args(["pocketbase", "check"]).run();
    let check = check.expect_success();
    assert!(check.contains("uploads in bulk: "), "{check}");
    assert!(!check.contains("WRONG"), "{check}");

    let daemon = Daemon::start(place, &config);
    let filter = "target = 'sync_daemon::daemon'";
    for round in 0..rounds(2, 20) {
        let before = server.count(COLLECTION, filter);
        daemon.wait_until(SOON, "records on the server", || {
            server.count(COLLECTION, filter) > before
        });
        if round % 2 == 0 {
            server.restart();
        } else {
            server.pause();
            std::thread::yield_now();
            server.resume();
        }
    }
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success(), "{}", daemon.stderr());
    let stored = server.records(COLLECTION, filter);
    let places: BTreeSet<String> = stored
        .iter()
        .map(|r| format!("{}/{}", r["session_id"], r["seq"]))
        .collect();
    assert_eq!(places.len(), stored.len(), "something is stored twice");
    let written = daemon.log().into_iter().filter(|record| {
        record["target"] == "sync_daemon::daemon"
            && ["INFO", "WARN", "ERROR"].contains(&record["level"].as_str().unwrap())
    });
    for record in written {
        let place = format!("{}/{}", record["session_id"], record["seq"]);
        assert!(places.contains(&place), "{record} is missing");
    }
}

#[test]
fn migration_leaves_alone_what_setup_has_made() {
    let Some(server) = PocketBase::start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    plant(
        place,
        &[("sync-daemon.toml", &uploading(&server.url(), "", ""))],
    );
    let setup = Invocation::new(place)
        .args(["pocketbase", "setup", "--admin", server.superuser()])
        .env("SYNC_DAEMON_ADMIN_PASSWORD", server.password());
    setup.run().expect_success();
    let token = token(&server, place);
    let files = Invocation::new(place).args(["pocketbase", "files"]);
    files.run().expect_success();
    for directory in ["pb_hooks", "pb_migrations"] {
        for file in std::fs::read_dir(place.join(directory)).unwrap() {
            let file = file.unwrap();
            let to = server.hooks_dir().with_file_name(directory);
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    server.restart();
    let rows = json!([record("aaaaaaaaaaaaaaa", "one")]).to_string();
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = request("POST", &(server.url() + BULK), &headers, Some(rows)).unwrap();
    assert_eq!(answer.expect_status(200).json()["stored"], 1);
}

#[test]
fn bulk_route_tells_what_became_of_each_record() {
    let place = tempfile::tempdir().unwrap();
    let Some((server, _)) = server_with_hook(place.path(), "", "") else {
        return;
    };
    let token = token(&server, place.path());
    let send = |token: &str, body: String| {
        let url = server.url() + BULK;
        let headers = [
            ("authorization", token),
            ("content-type", "application/json"),
        ];
        request("POST", &url, &headers, Some(body)).unwrap()
    };
    let good = record("aaaaaaaaaaaaaaa", "hello");
    let mut bad_level = record("bbbbbbbbbbbbbbb", "hello");
    bad_level["level"] = json!("info");
    let mut bad_time = record("ccccccccccccccc", "hello");
    bad_time["timestamp"] = json!("yesterday");
    let empty = record("ddddddddddddddd", "");
    let bad_id = record("EEEEEEEEEEEEEEE", "hello");
    let all = json!([good, bad_level, good, bad_time, empty, bad_id, 7]);
    let answer = send(&token, all.to_string()).expect_status(200).json();
    assert_eq!(answer["count"], 7, "{answer}");
    assert_eq!(
        (&answer["stored"], &answer["known"]),
        (&json!(1), &json!(1))
    );
    let refused: Vec<_> = answer["refused"].as_array().unwrap().iter().collect();
    let positions: Vec<_> = refused
        .iter()
        .map(|r| r["position"].as_u64().unwrap())
        .collect();
    assert_eq!(positions, [1, 3, 4, 5, 6], "{answer}");

    let stored = server.records(COLLECTION, "");
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0]["timestamp"], "2026-01-02 03:04:05.678Z");
    assert_eq!(stored[0]["fields"], json!({"a": 1}));
    assert!(!stored[0]["created"].as_str().unwrap().is_empty());

    assert_eq!(send(&token, "[{".to_owned()).status, 400);
    assert_eq!(send("no token", "[]".to_owned()).status, 401);
    assert_eq!(server.count(COLLECTION, ""), 1);
}

#[test]
fn constraint_of_the_table_is_told_and_not_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let Some((server, _)) = server_with_hook(place.path(), "", "") else {
        return;
    };
    let index = "CREATE UNIQUE INDEX idx_target ON daemon_logs (target)";
    let collection = server
        .get("/api/collections/daemon_logs")
        .expect_status(200)
        .json();
    let mut indexes = collection["indexes"].clone();
    indexes.as_array_mut().unwrap().push(json!(index));
    server
        .patch("/api/collections/daemon_logs", &json!({"indexes": indexes}))
        .expect_status(200);
    let token = token(&server, place.path());
    let rows = json!([
        record("aaaaaaaaaaaaaaa", "one"),
        record("bbbbbbbbbbbbbbb", "two")
    ]);
    let url = server.url() + BULK;
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = request("POST", &url, &headers, Some(rows.to_string())).unwrap();
    let answer = answer.expect_status(200).json();
    assert_eq!(answer["stored"], 1, "{answer}");
    assert_eq!(answer["refused"][0]["position"], 1, "{answer}");
    assert!(
        answer["refused"][0]["reason"]
            .to_string()
            .contains("the table refuses it")
    );
}

#[test]
fn retention_deletes_what_is_older_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let Some((server, _)) = server_with_hook(place.path(), "retention_days = 30", "") else {
        return;
    };
    let path = format!("/api/collections/{COLLECTION}/records");
    let mut young = record("aaaaaaaaaaaaaaa", "young");
    young["timestamp"] = json!("2999-01-01T00:00:00Z");
    server.post(&path, &young).expect_status(200);
    let mut old = record("bbbbbbbbbbbbbbb", "old");
    old["timestamp"] = json!("2001-01-01T00:00:00Z");
    server.post(&path, &old).expect_status(200);
    server
        .post("/api/crons/sync_daemon_retention", &json!({}))
        .expect_status(204);
    wait_until(Duration::from_secs(10), "the old record to go", || {
        server.count(COLLECTION, "") == 1
    });
    assert_eq!(server.records(COLLECTION, "")[0]["message"], "young");
}
