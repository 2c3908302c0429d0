//! What ships in `deploy/`: every file is checked with the program that it is for, or as far as that can be had.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use telemetry_tests::{Daemon, Finished, free_port, plant, promtool, run, skip};

use crate::metrics::first_scrape;
use crate::{OFTEN, SOON, job, with_jobs};

/// The block of the specification, word for word.
const SPECIFIED_PROMETHEUS: &str = "\
# prometheus.yml
scrape_configs:
  - job_name: 'sync-daemon'
    static_configs:
      - targets: ['localhost:9090']
    scrape_interval: 15s
    metrics_path: /metrics
";

/// The block of the specification, word for word.
const SPECIFIED_ALERTS: &str = "\
# alerts.yml
groups:
- name: sync-daemon
  rules:
  - alert: SyncJobFailure
    expr: rate(sync_errors_total[5m]) > 0.1
    for: 2m
    annotations:
      summary: \"High error rate in sync operations\"
      
  - alert: DaemonDown
    expr: up{job=\"sync-daemon\"} == 0
    for: 1m
    annotations:
      summary: \"Sync daemon is down\"
";

/// Where `deploy` and `docs` are.
fn project() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_owned()
}

fn shipped(path: &str) -> String {
    let path = project().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn path_of(file: &str) -> String {
    let path = project().join("deploy/prometheus").join(file);
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// What follows `- alert:` in a file of rules.
fn alerts_in(rules: &str) -> BTreeSet<&str> {
    let lines = rules.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix("- alert: "))
        .collect()
}

#[test]
fn the_files_of_the_specification_ship_as_written() {
    assert_eq!(
        shipped("deploy/prometheus/prometheus.yml"),
        SPECIFIED_PROMETHEUS
    );
    assert_eq!(shipped("deploy/prometheus/alerts.yml"), SPECIFIED_ALERTS);
}

#[test]
fn promtool_accepts_the_configurations_and_rules() {
    for file in ["prometheus.yml", "prometheus-with-auth.yml"] {
        let args = ["check", "config", "--syntax-only", &path_of(file)];
        let Some(checked) = promtool(&args, "") else {
            return;
        };
        checked.expect_success();
    }
    for file in [
        "alerts.yml",
        "sync-daemon-alerts.yml",
        "sync-daemon-rules.yml",
    ] {
        let checked = promtool(&["check", "rules", &path_of(file)], "").expect("it was there");
        checked.expect_success();
    }
}

#[test]
fn every_rule_does_in_its_cases_what_they_say() {
    for file in [
        "alerts-test.yml",
        "sync-daemon-alerts-test.yml",
        "sync-daemon-rules-test.yml",
    ] {
        let Some(tested) = promtool(&["test", "rules", &path_of(file)], "") else {
            return;
        };
        assert!(tested.expect_success().contains("SUCCESS"), "{file}");
    }
}

#[test]
fn every_alert_has_a_firing_case_a_quiet_case_and_a_section_of_the_runbook() {
    let rules = shipped("deploy/prometheus/sync-daemon-alerts.yml");
    let cases = shipped("deploy/prometheus/sync-daemon-alerts-test.yml");
    let runbook = shipped("docs/runbook.md");
    let alerts = alerts_in(&rules);
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in &alerts {
        for claim in ["fires", "is quiet"] {
            let case = format!("- name: \"{alert} {claim}: ");
            assert!(cases.contains(&case), "{case} is missing");
        }
        let link = format!("runbook: docs/runbook.md#{}", alert.to_lowercase());
        assert!(rules.contains(&link), "{link} is missing");
    }
    let sections = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|title| title.starts_with(['S', 'L', 'M']) && !title.contains(' '));
    let sections: BTreeSet<&str> = sections.collect();
    assert_eq!(sections, alerts);

    let old_cases = shipped("deploy/prometheus/alerts-test.yml");
    for alert in alerts_in(SPECIFIED_ALERTS) {
        for claim in ["fires", "is quiet"] {
            assert!(old_cases.contains(&format!("{alert} {claim}: ")), "{alert}");
        }
    }
}

#[test]
fn rules_and_dashboard_name_only_metrics_that_the_daemon_has() {
    let place = tempfile::tempdir().unwrap();
    let (_daemon, _, text) = first_scrape(place.path());
    let known: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let dashboard = dashboard_queries().join("\n");
    for (file, queries) in [
        ("the dashboard", dashboard.as_str()),
        (
            "the alerts",
            &shipped("deploy/prometheus/sync-daemon-alerts.yml"),
        ),
        (
            "the rules",
            &shipped("deploy/prometheus/sync-daemon-rules.yml"),
        ),
    ] {
        let used = selected_metrics(queries);
        assert!(used.len() > 5, "{file}: {used:?}");
        for metric in used {
            let is_known = metric == "up" || known.contains(metric);
            assert!(is_known, "{file}: the daemon has no {metric}");
        }
    }
}

/// The names before an opening brace: all selectors of ours have labels.
fn selected_metrics(queries: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let before_braces = queries
        .match_indices('{')
        .map(|(brace, _)| &queries[..brace]);
    let names = before_braces.map(|before| {
        let start = before.rfind(|c| !is_name(c)).map_or(0, |place| place + 1);
        &before[start..]
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// Every `expr` of the dashboard, Grafana's variables replaced as Grafana does it.
fn dashboard_queries() -> Vec<String> {
    let dashboard = shipped("deploy/grafana/sync-daemon.json");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    let mut queries = Vec::new();
    collect_queries(&dashboard, &mut queries);
    queries
}

fn collect_queries(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(query) = object.get("expr").and_then(Value::as_str) {
                let query = query
                    .replace("$__rate_interval", "1m")
                    .replace("$instance", ".*")
                    .replace("$job_id", ".*");
                into.push(query);
            }
            for inner in object.values() {
                collect_queries(inner, into);
            }
        }
        Value::Array(array) => {
            for inner in array {
                collect_queries(inner, into);
            }
        }
        _ => {}
    }
}

#[test]
fn every_query_of_the_dashboard_is_promql() {
    let queries = dashboard_queries();
    assert!(queries.len() > 20, "{} queries", queries.len());
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (place, query) in queries.iter().enumerate() {
        assert!(!query.contains('$'), "{query}: a variable is left");
        let quoted = Value::from(query.as_str());
        rules += &format!("      - record: query:{place}\n        expr: {quoted}\n");
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("dashboard.yml");
    std::fs::write(&file, rules).unwrap();
    let args = ["check", "rules", file.to_str().unwrap()];
    let Some(checked) = promtool(&args, "") else {
        return;
    };
    let said = checked.expect_success();
    let found = format!("{} rules found", queries.len());
    assert!(said.contains(&found), "{said}");
}

#[test]
fn the_dashboard_shows_what_the_specification_names() {
    let queries = dashboard_queries().join("\n");
    for metric in [
        "sync_operations_total",                   // sync success rate over time
        "sync_operations_duration_seconds_bucket", // operation duration percentiles
        "sync_errors_total",                       // error rate by type
        "daemon_memory_usage_bytes",               // resource utilization trends
        "daemon_cpu_usage_percent",
        "sync_files_processed_total", // file throughput rates
        "sync_bytes_transferred_total",
        "pocketbase_circuit_breaker_state",
        "log_entries_total",
    ] {
        assert!(queries.contains(metric), "{metric} is not shown");
    }
}

/// Filebeat cannot be had here, and says nothing. This is what can be known without it.
#[test]
fn filebeat_reads_the_paths_and_keys_of_a_real_log() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let jobs = job("documents", place.path(), OFTEN);
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), &jobs));
    let record = daemon.wait_for_record(SOON, "a run", |record| {
        record["fields"]["job_name"] == "documents_sync"
    });

    let unit = shipped("deploy/systemd/sync-daemon.service");
    assert!(unit.contains("LogsDirectory=sync-daemon\n"));
    for file in ["filebeat.yml", "filebeat-7.yml"] {
        let config = shipped(&format!("deploy/filebeat/{file}"));
        assert!(config.contains("- /var/log/sync-daemon/*.log\n"), "{file}");
        assert!(config.contains("never run"), "{file} does not say so");
    }
    assert_eq!(log_files(place.path()), ["daemon.log"]);

    let config = shipped("deploy/filebeat/filebeat.yml");
    for key in ["timestamp", "level"] {
        assert!(config.contains(key) && record[key].is_string(), "{key}");
    }
    // The layout of the processor: a fraction of up to nine digits, and Z.
    let timestamp = record["timestamp"].as_str().unwrap();
    let (_, fraction) = timestamp.split_once('.').expect("a fraction of a second");
    let digits = fraction.strip_suffix('Z').expect("UTC");
    assert!(digits.len() <= 9 && digits.bytes().all(|digit| digit.is_ascii_digit()));
    // Its fingerprint needs as many bytes in the first record.
    let log = std::fs::read_to_string(place.path().join("logs/daemon.log")).unwrap();
    let first = log.lines().next().unwrap();
    assert!(config.contains("fingerprint.length: 256") && first.len() > 256);
    // The keys at the top of an event hide none of Filebeat's own but those that they are to replace.
    let record = record.as_object().unwrap();
    for reserved in ["host", "agent", "input", "log", "ecs", "@timestamp"] {
        assert!(!record.contains_key(reserved), "{reserved}");
    }
}

fn log_files(place: &Path) -> Vec<String> {
    let files = std::fs::read_dir(place.join("logs")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".log")).collect()
}

#[test]
fn systemd_accepts_the_unit_and_rates_it_hardened() {
    let place = tempfile::tempdir().unwrap();
    let unit = shipped("deploy/systemd/sync-daemon.service");
    // What it starts must exist where it is checked.
    let here = unit.replace("/usr/bin/sync-daemon", "/bin/true");
    assert_ne!(here, unit);
    let file = place.path().join("sync-daemon.service");
    std::fs::write(&file, here).unwrap();

    let Some(verified) = systemd_analyze(&["verify", "--man=no"], &file) else {
        return;
    };
    assert_eq!((verified.code(), verified.stderr.as_str()), (Some(0), ""));
    let args = ["security", "--offline=true", "--threshold=20", "--no-pager"];
    let rated = systemd_analyze(&args, &file).expect("it was there");
    assert!(rated.expect_success().contains("Overall exposure level"));
}

/// `None`, loudly, where systemd is not installed.
fn systemd_analyze(args: &[&str], unit: &Path) -> Option<Finished> {
    let mut command = Command::new("systemd-analyze");
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        skip("systemd-analyze is not installed");
        return None;
    }
    command.args(args).arg(unit);
    Some(run(command, ""))
}
