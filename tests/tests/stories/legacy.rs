//! The log in a PocketBase from before 0.23.

use std::collections::BTreeSet;

use telemetry_tests::{Daemon, Invocation, PocketBase, Signal, free_port, plant};

use crate::shipping::COLLECTION;
use crate::uploading::place_of;
use crate::{OFTEN, SOON, job, with_jobs};

#[test]
fn pocketbase_0_22_with_our_migration_takes_every_record_once() {
    let Some(server) = PocketBase::prepare_legacy() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    plant(&place.join("source"), &[("a", "text")]);
    // There is no other account that may create records: the collection has no rule for one.
    let uploads = format!(
        "\n[telemetry.pocketbase_logging]\nenabled = true\nflush_interval_secs = 1\nurl = \"{}\"\n\
         identity = \"{}\"\nauth_collection = \"_superusers\"\npassword_file = \"password\"\n\
         [telemetry.pocketbase_logging.breaker]\nfailures = 1\nopen_secs = 1\nmax_open_secs = 1\n\
         [daemon]\nshutdown_timeout_secs = 10\n",
        server.url(),
        server.superuser(),
    );
    let config = with_jobs(free_port(), &(uploads + &job("documents", place, OFTEN)));
    plant(
        place,
        &[
            ("sync-daemon.toml", config.as_str()),
            ("password", server.password()),
        ],
    );
    let files = Invocation::new(place).args(["pocketbase", "files", "--legacy"]);
    files.run().expect_success();
    let migration = "sync_daemon_logs.js";
    std::fs::copy(
        place.join("pb_migrations").join(migration),
        server.migrations_dir().join(migration),
    )
    .unwrap();
    server.serve();
    let check = Invocation::new(place).args(["pocketbase", "check"]).run();
    let check = check.expect_success();
    assert!(!check.contains("WRONG"), "{check}");

    let daemon = Daemon::start(place, &config);
    let filter = "target = 'sync_daemon::daemon'";
    for _ in 0..2 {
        let before = server.count(COLLECTION, filter);
        daemon.wait_until(SOON, "records on the server", || {
            server.count(COLLECTION, filter) > before
        });
        server.restart();
    }
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success(), "{}", daemon.stderr());
    let stored = server.records(COLLECTION, filter);
    let places: BTreeSet<_> = stored.iter().map(place_of).collect();
    assert_eq!(places.len(), stored.len(), "something is stored twice");
    for record in daemon.log() {
        let belongs = record["target"] == "sync_daemon::daemon" && record["level"] == "INFO";
        assert!(!belongs || places.contains(&place_of(&record)), "{record}");
    }
    let run = stored.iter().find(|r| r["fields"]["job_id"] == "documents");
    assert_eq!(run.expect("a run")["fields"]["job_name"], "documents_sync");
}
