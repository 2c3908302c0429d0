//! The spool and the dead letters on the command line, with a real PocketBase.

use std::path::Path;

use serde_json::Value;
use telemetry_tests::{Daemon, Finished, Invocation, PocketBase, Signal, free_port, plant};

use crate::{OFTEN, SOON, job, with_jobs};

fn run(place: &Path, args: &[&str]) -> Finished {
    Invocation::new(place).args(args).run()
}

#[test]
fn spool_is_shown_and_dead_letters_are_replayed_once_the_server_takes_them() {
    let Some(server) = PocketBase::start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    plant(&place.join("source"), &[("a", "text")]);
    let uploads = format!(
        "\n[telemetry.pocketbase_logging]\nenabled = true\nflush_interval_secs = 1\nurl = \"{}\"\n\
         identity = \"daemon@example.com\"\npassword_file = \"password\"\n[daemon]\nshutdown_timeout_secs = 4\n",
        server.url()
    );
    let config = with_jobs(free_port(), &(uploads + &job("documents", place, OFTEN)));
    plant(place, &[("sync-daemon.toml", &config)]);
    assert_eq!(
        run(place, &["spool", "stat"]).expect_success(),
        "no spool\n"
    );
    Invocation::new(place)
        .args(["pocketbase", "setup", "--admin", server.superuser()])
        .env("SYNC_DAEMON_ADMIN_PASSWORD", server.password())
        .run()
        .expect_success();

    // The collection demands what no record of ours has: each is refused for itself.
    let collection = "/api/collections/daemon_logs";
    let before = server.get(collection).expect_status(200).json();
    let mut fields = before["fields"].clone();
    fields.as_array_mut().unwrap().push(serde_json::json!({
        "name": "extra", "type": "text", "required": true,
    }));
    server
        .patch(collection, &serde_json::json!({"fields": fields}))
        .expect_status(200);

    let daemon = Daemon::start(place, &config);
    daemon.wait_until(SOON, "dead letters", || {
        let list = run(place, &["dead-letter", "list"]).expect_success();
        list.lines().count() >= 3
    });
    let in_use = run(place, &["spool", "stat"]);
    assert_eq!(in_use.code(), Some(1), "{in_use:?}");
    assert!(in_use.stderr.contains("stop the daemon"), "{in_use:?}");
    server.kill();
    let logged = daemon.log().len();
    daemon.wait_until(SOON, "more records", || daemon.log().len() > logged + 3);
    daemon.signal(Signal::TERM);
    daemon.wait_exit(SOON);

    let stat = run(place, &["spool", "stat"]).expect_success();
    assert!(stat.contains("records") && stat.contains("INFO"), "{stat}");
    let verify = run(place, &["spool", "verify"]).expect_success();
    assert!(verify.contains("0 make no sense"), "{verify}");
    let export = run(place, &["spool", "export"]).expect_success();
    let spooled = export.lines().count();
    assert!(spooled > 0);
    for line in export.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }

    let list = run(place, &["dead-letter", "list"]).expect_success();
    let ids: Vec<&str> = list.lines().filter_map(|l| l.split(' ').next()).collect();
    assert!(list.contains("extra: validation_required"), "{list}");
    let show = run(place, &["dead-letter", "show", ids[0]]).expect_success();
    let letter: Value = serde_json::from_str(show.trim_end()).unwrap();
    assert_eq!(letter["id"], ids[0]);
    run(place, &["dead-letter", "drop", ids[0]]).expect_success();
    assert_eq!(run(place, &["dead-letter", "drop", ids[0]]).code(), Some(1));
    run(place, &["dead-letter", "replay", "--all"]).expect_success();
    assert_eq!(run(place, &["dead-letter", "list"]).expect_success(), "");

    server.serve();
    server
        .patch(collection, &serde_json::json!({"fields": before["fields"]}))
        .expect_status(200);
    let daemon = Daemon::start(place, &config);
    let missing = || {
        let dead = ids[1..].iter();
        dead.filter(|id| server.count("daemon_logs", &format!("id = '{id}'")) != 1)
            .count()
    };
    daemon.wait_until(SOON, "the dead letters on the server", || missing() == 0);
    assert_eq!(
        server.count("daemon_logs", &format!("id = '{}'", ids[0])),
        0
    );
}
