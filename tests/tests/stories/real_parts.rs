//! The real programs are there and do what the other stories take for granted.

use serde_json::json;
use telemetry_tests::{
    Invocation, PocketBase, Prometheus, assert_same_tree, jq, plant, promtool, rounds, run,
    set_modified, shell, tool,
};

#[test]
fn the_daemon_under_test_is_built_and_goes_by_its_own_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let help = Invocation::new(directory.path()).arg("--help").run();
    let help = help.expect_success();
    assert!(help.contains("Usage: sync-daemon "), "{help}");
}

#[test]
fn a_killed_pocketbase_comes_back_with_its_data() {
    let Some(server) = PocketBase::start() else {
        return;
    };
    let notes = json!({
        "name": "notes",
        "type": "base",
        "fields": [{ "name": "text", "type": "text" }],
    });
    server.post("/api/collections", &notes).expect_status(200);

    let rounds = rounds(2, 20);
    for round in 1..=rounds {
        let note = json!({ "text": format!("before kill {round}") });
        server
            .post("/api/collections/notes/records", &note)
            .expect_status(200);
        server.restart();
        assert_eq!(server.count("notes", ""), u64::from(round));
    }
    let records = server.records("notes", "text ~ 'kill 1'");
    assert_eq!(records[0]["text"], "before kill 1");
    assert_eq!(server.count("notes", "text = 'never written'"), 0);
}

#[test]
fn a_pocketbase_that_is_not_served_refuses_connections() {
    let Some(server) = PocketBase::prepare() else {
        return;
    };
    assert!(telemetry_tests::get(&server.url()).is_err());
}

#[test]
fn promtool_accepts_a_sound_exposition_and_complains_without_help() {
    let series = "# TYPE widgets_total counter\nwidgets_total 1\n";
    let sound = format!("# HELP widgets_total Widgets made.\n{series}");
    let Some(accepted) = promtool(&["check", "metrics"], &sound) else {
        return;
    };
    assert_eq!(accepted.expect_success(), "");

    let complaint = promtool(&["check", "metrics"], series).expect("promtool was there");
    assert_ne!(complaint.code(), Some(0));
    assert!(complaint.stderr.contains("no help text"), "{complaint:?}");
}

#[test]
fn prometheus_starts_with_a_configuration_and_answers_queries() {
    let Some(server) = Prometheus::start("scrape_configs: []\n") else {
        return;
    };
    let data = server.api("/api/v1/query?query=vector(7)");
    assert_eq!(data["result"][0]["value"][1], "7");
}

#[test]
fn jq_selects_and_counts() {
    let Some(selected) = jq(
        &["-r", "select(.level == \"ERROR\").message"],
        "{\"level\":\"INFO\"}{\"level\":\"ERROR\",\"message\":\"m\"}",
    ) else {
        return;
    };
    assert_eq!(selected.expect_success(), "m\n");
}

#[test]
fn a_pipeline_of_the_documentation_finds_the_fetched_programs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    plant(directory.path(), &[("numbers", "1\n2\n")]);
    let Some(sum) = shell(directory.path(), &["jq"], "jq '.' numbers | jq -s 'add'") else {
        return;
    };
    assert_eq!(sum.expect_success(), "3\n");
}

#[test]
fn rsync_mirrors_a_tree() {
    let Some(rsync) = tool("rsync") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (source, copy) = (
        directory.path().join("source"),
        directory.path().join("copy"),
    );
    plant(&source, &[("a", "first"), ("deep/b", "second")]);
    // rsync compares whole seconds, and leaves a directory's time alone that was made in the same one.
    set_modified(&source.join("deep"), 1_000_000_000_123_456_789);
    let mut command = std::process::Command::new(rsync);
    command.arg("-a").arg(source.join("")).arg(&copy);
    run(command, "").expect_success();
    assert_same_tree(&source, &copy);
}
