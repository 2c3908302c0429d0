//! Wrong configurations: everything is said at once, before anything starts.

use std::path::Path;

use telemetry_tests::{Finished, Invocation, plant};

fn start(place: &Path, config: &str) -> Finished {
    plant(place, &[("sync-daemon.toml", config)]);
    Invocation::new(place).arg("start").run()
}

#[test]
fn all_mistakes_are_shown_with_their_places() {
    let place = tempfile::tempdir().unwrap();
    let config = "[telemetry]\nlog_levle = \"info\"\n\n[telemetry.log_rotation]\nkeep_files = \"seven\"\n\n\
                  [telemetry.pocketbase_logging]\nbatch_size = 0\n";
    let refused = start(place.path(), config);
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    for part in [
        "sync-daemon.toml:2:1",
        "log_level",
        "sync-daemon.toml:5:14",
        "sync-daemon.toml:8:14",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(!place.path().join("logs").exists(), "nothing was started");
    let check = Invocation::new(place.path())
        .args(["config", "check"])
        .run();
    assert_eq!(check.code(), Some(2));
    assert_eq!(check.stderr, refused.stderr);
}

#[test]
fn start_without_a_configuration_says_where_it_looked() {
    let place = tempfile::tempdir().unwrap();
    let refused = Invocation::new(place.path()).arg("start").run();
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    for part in [
        "./sync-daemon.toml",
        "/etc/sync-daemon/config.toml",
        "config init",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
}

#[test]
fn a_malformed_rust_log_is_refused_with_its_text() {
    let place = tempfile::tempdir().unwrap();
    plant(place.path(), &[("sync-daemon.toml", "")]);
    let refused = Invocation::new(place.path())
        .env("RUST_LOG", "sync_daemon=loudly")
        .arg("start")
        .run();
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.contains("sync_daemon=loudly"), "{refused:?}");
}

#[test]
fn init_writes_a_file_that_check_accepts_and_does_not_overwrite_it() {
    let place = tempfile::tempdir().unwrap();
    let config = |args: &[&str]| Invocation::new(place.path()).arg("config").args(args).run();
    config(&["init"]).expect_success();
    let checked = config(&["check"]).expect_success();
    assert!(checked.contains("redaction"), "{checked}");
    assert!(checked.contains("password"), "the rules by name: {checked}");
    let again = config(&["init"]);
    assert_eq!(again.code(), Some(1), "{again:?}");
    assert!(again.stderr.contains("--force"), "{again:?}");
    let shown = config(&["show", "--origin"]).expect_success();
    assert!(
        shown.contains("log_file_path = \"logs/daemon.log\""),
        "{shown}"
    );
}
