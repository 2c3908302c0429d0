//! Secrets and home directories do not leave the process.

use std::path::Path;

use telemetry_tests::{Daemon, Invocation, Signal, free_port, get, plant};

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

#[test]
fn an_error_that_names_a_secret_does_not_tell_it_to_anybody() {
    let place = tempfile::tempdir().unwrap();
    let secret = ["hunter", "2-is-not-", "secret"].concat();
    let port = free_port();
    // No such directory: the job fails, and its error names the path.
    let jobs = job("documents", place.path(), MANUAL).replace(
        &format!("{}/source", place.path().display()),
        &format!("/home/alice-in-wonderland/db?password={secret}&x=1"),
    );
    let daemon = Daemon::start(place.path(), &with_jobs(port, &jobs));
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    let summary = daemon
        .beside()
        .args(["trigger", "documents", "--wait", "--json"])
        .run();
    daemon.wait_for_record(SOON, "the failed run", |record| {
        record["fields"]["error_type"] == "source_missing"
    });
    let status = daemon.beside().arg("status").run();
    let status_json = daemon.beside().args(["status", "--json"]).run();
    let metrics = get(&format!("http://127.0.0.1:{port}/metrics"))
        .unwrap()
        .body;
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());

    // That they tell of the error at all.
    for (output, text) in [
        ("summary", &summary.stdout),
        ("status as JSON", &status_json.stdout),
    ] {
        assert!(
            text.contains("[REDACTED:") && text.contains("source_missing"),
            "{output}: {text}"
        );
    }
    let file = std::fs::read_to_string(place.path().join("logs/daemon.log")).unwrap();
    for (output, text) in [
        ("summary", summary.stdout + &summary.stderr),
        ("status", status.stdout + &status.stderr),
        ("status as JSON", status_json.stdout + &status_json.stderr),
        ("metrics", metrics),
        ("file", file),
        ("console", daemon.stderr()),
    ] {
        assert!(!text.contains(&secret), "{output}: {text}");
        assert!(!text.contains("wonderland"), "{output}: {text}");
    }
}

#[test]
fn a_secret_in_the_id_of_a_job_reaches_neither_metrics_nor_the_page() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let port = free_port();
    // What people put there by mistake; harmless ids stay as they are.
    let token = ["AKIA", "2E5DZXQ7", "LMNRT3WV"].concat();
    let ids = [
        token.as_str(),
        "/home/alice-in-wonderland/Documents",
        "documents",
    ];
    let jobs = ids.map(|id| {
        job(id, place.path(), MANUAL).replace(
            &format!("{}/{id}\"", place.path().display()),
            &format!("{}/copy-{}\"", place.path().display(), id.len()),
        )
    });
    let daemon = Daemon::start(place.path(), &with_jobs(port, &jobs.concat()));
    daemon.wait_for_record(SOON, "the start", |record| {
        record["message"] == "sync daemon started"
    });
    for id in ids {
        let trigger = daemon.beside().args(["trigger", id, "--wait"]).run();
        trigger.expect_success();
    }
    let read = |path: &str| get(&format!("http://127.0.0.1:{port}{path}")).unwrap().body;
    let (metrics, page) = (read("/metrics"), read("/page.json"));
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success());
    for (output, text) in [("metrics", &metrics), ("page", &page)] {
        assert!(!text.contains(&token), "{output}: {text}");
        assert!(!text.contains("wonderland"), "{output}: {text}");
    }
    for id in ["[REDACTED:aws_access_key]", "~/Documents", "documents"] {
        let series = format!(
            "sync_operations_total{{job_id=\"{id}\",status=\"success\",trigger_source=\"manual\"}} 1"
        );
        assert!(
            metrics.lines().any(|line| line == series),
            "{series}: {metrics}"
        );
    }
    // The page finds the figures of each job under its clean id.
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let jobs = page["jobs"].as_array().unwrap();
    let runs: Vec<_> = jobs.iter().map(|job| &job["runs"]["success"]).collect();
    assert_eq!(runs, [1.0, 1.0, 1.0]);
}

/// The error text of a command that fails with this code.
fn told(place: &Path, code: i32, args: &[&str]) -> String {
    let done = Invocation::new(place).args(args).run();
    assert_eq!(done.code(), Some(code), "{args:?}: {done:?}");
    done.stderr
}

#[test]
fn commands_tell_what_is_wrong_without_its_secrets_and_with_whole_paths() {
    let place = tempfile::tempdir().unwrap();
    let token = ["AKIA", "2E5DZXQ7", "LMNRT3WV"].concat();
    let secret = ["hunter", "2-is-not-", "secret"].concat();
    let source = format!("/home/alice-in-wonderland/db?password={secret}&x=1");
    let jobs = job("documents", place.path(), MANUAL)
        .replace(&format!("{}/source", place.path().display()), &source);
    let broken =
        format!("[telemetry]\n{token} = 1\nlog_level = \"{token}\"\npassword = \"{secret}\"\n");
    let files = [("jobs.toml", jobs.as_str()), ("broken.toml", &broken)];
    plant(place.path(), &files);
    let told = |code: i32, args: &[&str]| {
        let text = told(place.path(), code, args);
        assert!(!text.contains(&token) && !text.contains(&secret), "{text}");
        text
    };
    let sync = told(1, &["sync", &source, "copy"]);
    let run = told(1, &["run", "documents", "--config", "jobs.toml"]);
    for text in [sync, run] {
        let named = "/home/alice-in-wonderland/db?password=[REDACTED:password]&x=1: ";
        assert!(text.contains(named), "{text}");
        assert!(text.contains("[source_missing]"), "{text}");
    }
    let check = told(2, &["config", "check", "--config", "broken.toml"]);
    for part in [
        "broken.toml:2:1: unknown key `[REDACTED:aws_access_key]`\n",
        "2 | [REDACTED:aws_access_key] = 1\n",
        "broken.toml:3:13: `[REDACTED:aws_access_key]` is not one of `trace`",
        "broken.toml:4:1: unknown key `password`\n",
    ] {
        assert!(check.contains(part), "{part}: {check}");
    }
    let job = told(2, &["run", &token, "--config", "jobs.toml"]);
    assert!(job.contains("there are: documents"), "{job}");
    let usage = told(2, &["sync", &format!("--{token}"), "a", "b"]);
    assert!(usage.contains("Usage: "), "{usage}");
    let log = told(1, &["logs", &format!("missing/{token}")]);
    assert!(log.contains("missing/[REDACTED:"), "{log}");
    // The last words of a daemon that refuses to start.
    let start = Invocation::new(place.path())
        .env("RUST_LOG", format!("sync_daemon={token}"))
        .args(["start", "--config", "jobs.toml"])
        .run();
    assert_eq!(start.code(), Some(2), "{start:?}");
    let refused = "sync_daemon=[REDACTED:aws_access_key]";
    assert!(start.stderr.contains(refused), "{start:?}");
    assert!(!start.stderr.contains(&token), "{start:?}");
}

#[test]
fn a_daemon_that_cannot_write_its_log_says_so_without_the_secret_in_its_path() {
    let place = tempfile::tempdir().unwrap();
    let token = ["AKIA", "2E5DZXQ7", "LMNRT3WV"].concat();
    plant(place.path(), &[("file", "a file, and no directory")]);
    let config =
        with_jobs(free_port(), "").replace("logs/daemon.log", &format!("file/{token}/daemon.log"));
    let daemon = Daemon::start(place.path(), &config);
    daemon.wait_until(SOON, "the complaint", || {
        daemon.stderr().contains("telemetry: cannot write log file")
    });
    daemon.signal(Signal::TERM);
    daemon.wait_exit(SOON);
    let text = daemon.stderr();
    assert!(
        text.contains("file/[REDACTED:aws_access_key]/daemon.log"),
        "{text}"
    );
    assert!(!text.contains(&token), "{text}");
}

#[test]
fn the_rules_of_the_configuration_hold_for_what_commands_tell() {
    let place = tempfile::tempdir().unwrap();
    let ticket = "TCK-20261127";
    let job = job("documents", place.path(), MANUAL).replace("/source\"", &format!("/{ticket}\""));
    let rule = "patterns = [ { name = \"ticket\", regex = \"TCK-[0-9]{8}\" } ]";
    for (rules, shows) in [
        (rule.to_owned(), false),
        (format!("{rule}\nenabled = false"), true),
    ] {
        let config = format!("{job}\n[telemetry.sanitize]\n{rules}\n");
        plant(place.path(), &[("sync-daemon.toml", &config)]);
        let text = told(place.path(), 1, &["run", "documents"]);
        assert_eq!(text.contains(ticket), shows, "{text}");
        assert_eq!(text.contains("[REDACTED:ticket]"), !shows, "{text}");
    }
}

#[test]
fn lines_are_sanitized_on_demand_and_counted_by_rule() {
    let place = tempfile::tempdir().unwrap();
    let secret = ["hunter", "22"].concat();
    let lines = format!(
        "{}\n{}\nplain password={secret} in /home/alice/x\n\nno line break at the end",
        r#"{"message":"benign", "fields":{"n":1.50},"spans":[]}"#,
        format_args!(
            r#"{{"message":"m","fields":{{"pin":1234,"a":{{"dbPassword":"{secret}"}}}},"spans":[{{"name":"job","fields":{{"token":"{secret}"}}}}]}}"#
        ),
    );
    let done = Invocation::new(place.path())
        .args(["sanitize", "--report"])
        .run_with_input(&lines);
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    let expected = [
        r#"{"message":"benign", "fields":{"n":1.50},"spans":[]}"#,
        r#"{"message":"m","fields":{"pin":"[REDACTED:pin]","a":{"dbPassword":"[REDACTED:password]"}},"spans":[{"name":"job","fields":{"token":"[REDACTED:token]"}}]}"#,
        "plain password=[REDACTED:password] in ~/x",
        "",
        "no line break at the end",
    ];
    assert_eq!(done.stdout, expected.join("\n"));
    let count = |line: &str| done.stderr.lines().any(|found| found.trim() == line);
    assert!(count("2 password"), "{}", done.stderr);
    assert!(count("1 home_path"), "{}", done.stderr);
}

#[test]
fn the_rules_under_trial_are_those_of_the_named_file() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("trial.toml");
    let rules =
        "[telemetry.sanitize]\ndeny_fields = [\"employee_id\"]\npii = true\nkeyed_hash = true\n";
    std::fs::write(&file, rules).unwrap();
    let trial = || {
        let config = file.to_str().unwrap();
        Invocation::new(place.path())
            .args(["sanitize", "--config", config])
            .run_with_input("employee_id=77 for bob@example.com\n")
            .expect_success()
    };
    let first = trial();
    assert!(
        first.starts_with("employee_id=[REDACTED:denied_field:"),
        "{first}"
    );
    assert!(first.contains(" for [REDACTED:email:"), "{first}");
    // The key of the tags is kept beside the daemon's state.
    assert_eq!(trial(), first);
    assert!(place.path().join("state/sanitize.key").exists());
}
