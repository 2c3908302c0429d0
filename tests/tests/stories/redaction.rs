//! Secrets and home directories do not leave the process.

use telemetry_tests::{Daemon, Invocation, Signal, free_port, plant};

use crate::{MANUAL, SOON, job, with_jobs};

#[test]
fn a_home_directory_is_shortened_in_every_output() {
    let place = tempfile::tempdir().unwrap();
    // No such user: the job fails, and its error names the path.
    let jobs = job("documents", place.path(), MANUAL).replace(
        &format!("{}/source", place.path().display()),
        "/home/alice-in-wonderland/Documents",
    );
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), &jobs));
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    daemon
        .beside()
        .args(["trigger", "documents", "--wait"])
        .run();
    let failed = daemon.wait_for_record(SOON, "the failed run", |record| {
        record["fields"]["error_type"] == "source_missing"
    });
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    assert!(failed.to_string().contains("~/Documents"), "{failed}");
    let file = std::fs::read_to_string(place.path().join("logs/daemon.log")).unwrap();
    for (output, text) in [("file", file), ("console", daemon.stderr())] {
        assert!(!text.contains("wonderland"), "{output}: {text}");
    }
}

#[test]
fn a_secret_in_a_file_name_is_redacted_in_the_log() {
    let place = tempfile::tempdir().unwrap();
    // Put together here, so that no scanner of repositories takes it for a real one.
    let secret = ["hunter", "2-is-not-", "secret"].concat();
    let name = format!("backup?password={secret}&x=1");
    plant(&place.path().join("source"), &[(name.as_str(), "text")]);
    let config = with_jobs(free_port(), &job("documents", place.path(), MANUAL));
    let daemon = Invocation::new(place.path())
        .env("RUST_LOG", "sync_daemon=debug")
        .start(&config);
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    daemon
        .beside()
        .args(["trigger", "documents", "--wait"])
        .run()
        .expect_success();
    let created = daemon.wait_for_record(SOON, "the event of the file", |record| {
        record["fields"]["operation"] == "created"
    });
    assert!(created.to_string().contains("[REDACTED"), "{created}");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    let file = std::fs::read_to_string(place.path().join("logs/daemon.log")).unwrap();
    for (output, text) in [("file", file), ("console", daemon.stderr())] {
        assert!(!text.contains(&secret), "{output}: {text}");
    }
    assert!(place.path().join("documents").join(name).exists());
}
