//! `sync-daemon sync SRC DST`: the main job, without any configuration.

use std::path::Path;

use serde_json::Value;
use telemetry_tests::{Finished, Invocation, assert_same_tree, plant};

fn sync(place: &Path, args: &[&str]) -> Finished {
    Invocation::new(place)
        .args(["sync", "source", "copy"])
        .args(args)
        .run()
}

fn summary(finished: Finished) -> Value {
    serde_json::from_str(&finished.expect_success()).expect("one JSON object on stdout")
}

#[test]
fn a_real_tree_is_mirrored_and_the_second_run_copies_nothing() {
    let place = tempfile::tempdir().unwrap();
    // Tens of thousands of real files, links and directories on most machines.
    let share = Path::new("/usr/share");
    let sync = || {
        Invocation::new(place.path())
            .arg("sync")
            .arg(share)
            .args(["copy", "--json"])
            .run()
    };
    let first = summary(sync());
    assert_eq!(first["status"], "success", "{first}");
    assert!(first["created"].as_u64().unwrap() > 100, "{first}");
    assert_same_tree(share, &place.path().join("copy"));

    let second = summary(sync());
    assert_eq!(second["created"], 0, "{second}");
    assert_eq!(second["updated"], 0, "{second}");
    assert_eq!(second["bytes_transferred"], 0, "{second}");
    assert_eq!(second["unchanged"], first["created"], "{second}");
    assert!(!place.path().join("logs").exists(), "sync writes no log");
}

#[test]
fn a_change_is_copied_and_a_deletion_only_with_delete() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    plant(&source, &[("kept", "old"), ("gone", "soon")]);
    sync(place.path(), &[]).expect_success();
    plant(&source, &[("kept", "brand new")]);
    std::fs::remove_file(source.join("gone")).unwrap();

    let cautious = summary(sync(place.path(), &["--json"]));
    assert_eq!(cautious["updated"], 1, "{cautious}");
    assert_eq!(cautious["deleted"], 0, "{cautious}");
    let thorough = summary(sync(place.path(), &["--json", "--delete"]));
    assert_eq!(thorough["deleted"], 1, "{thorough}");
    assert_same_tree(&source, &place.path().join("copy"));
}

#[test]
fn a_dry_run_prints_the_plan_and_touches_nothing() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("file", "text")]);
    let plan = sync(place.path(), &["--dry-run"]).expect_success();
    assert!(plan.contains("file"), "{plan}");
    assert!(!place.path().join("copy").exists());
}

#[test]
fn people_get_a_summary() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("file", "text")]);
    let summary = sync(place.path(), &[]).expect_success();
    assert!(summary.contains("created"), "{summary}");
}

#[test]
fn what_is_too_dangerous_is_refused_with_its_reason() {
    let place = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], code: i32, error_type: &str| {
        let finished = Invocation::new(place.path())
            .arg("sync")
            .args(args)
            .arg("--json")
            .run();
        assert_eq!(finished.code(), Some(code), "{finished:?}");
        let report: Value = serde_json::from_str(&finished.stdout).expect("a report");
        assert_eq!(report["errors"][0]["error_type"], error_type, "{report}");
    };
    refused(&["missing", "copy"], 1, "source_missing");

    let names: Vec<String> = (0..20).map(|number| format!("file{number}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "text")).collect();
    plant(&place.path().join("full"), &files);
    plant(&place.path().join("source"), &[("file0", "text")]);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    refused(&["empty", "full", "--delete"], 1, "source_empty");
    refused(&["full", "full/inside"], 1, "overlap");
    refused(
        &["source", "full", "--delete", "--max-delete", "5"],
        3,
        "delete_limit",
    );
    let left = std::fs::read_dir(place.path().join("full"))
        .unwrap()
        .count();
    assert_eq!(left, files.len(), "nothing was deleted");
}
