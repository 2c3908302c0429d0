//! The metrics endpoint, as Prometheus and `curl` see it.

use telemetry_tests::{Daemon, Prometheus, Signal, free_port, get, plant, promtool, shell};

use crate::daemon::in_the_middle_of_a_run;
use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

/// Every metric of the specification, and what the contract adds.
const NAMES: &[&str] = &[
    "sync_operations_total",
    "sync_operations_duration_seconds_bucket",
    "sync_files_processed_total",
    "sync_bytes_transferred_total",
    "sync_errors_total",
    "daemon_uptime_seconds",
    "daemon_memory_usage_bytes",
    "daemon_cpu_usage_percent",
    "active_sync_jobs",
    "file_watchers_active",
    "pocketbase_requests_total",
    "pocketbase_request_duration_seconds_bucket",
    "pocketbase_connection_errors_total",
    "log_entries_total",
    "log_upload_errors_total",
    "log_buffer_size",
    "telemetry_records_total",
    "telemetry_records_pending",
    "telemetry_records_lost_total",
    "log_records_suppressed_total",
    "pocketbase_circuit_breaker_state",
    "log_spool_bytes",
    "log_dead_letters",
    "log_redactions_total",
    "log_rotations_total",
    "sync_last_success_timestamp_seconds",
    "sync_daemon_build_info",
    "process_resident_memory_bytes",
];

/// The first scrape of a daemon with one manual job, and the daemon.
pub(crate) fn first_scrape(place: &std::path::Path) -> (Daemon, u16, String) {
    plant(&place.join("source"), &[("a", "text")]);
    let port = free_port();
    let jobs = job("documents", place, MANUAL);
    let daemon = Daemon::start(place, &with_jobs(port, &jobs));
    let url = format!("http://127.0.0.1:{port}/metrics");
    let text = daemon.wait_for(SOON, "the endpoint", || {
        Some(get(&url).ok()?.expect_status(200).body)
    });
    (daemon, port, text)
}

#[test]
fn everything_is_there_at_zero_from_the_first_scrape() {
    let place = tempfile::tempdir().unwrap();
    let (_daemon, _, text) = first_scrape(place.path());
    for name in NAMES {
        let has_series = text.lines().any(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        assert!(has_series, "{name} is missing");
    }
    for series in [
        r#"sync_operations_total{job_id="documents",status="failed",trigger_source="schedule"} 0"#,
        r#"sync_errors_total{job_id="documents",error_type="no_space"} 0"#,
        r#"sync_files_processed_total{job_id="documents",operation="vanished"} 0"#,
        r#"pocketbase_requests_total{method="POST",status="429"} 0"#,
        r#"sync_operations_duration_seconds_count{job_id="documents",status="success"} 0"#,
    ] {
        assert!(text.contains(series), "{series} is missing");
    }
}

#[test]
fn promtool_has_no_complaint() {
    let place = tempfile::tempdir().unwrap();
    let (_daemon, _, text) = first_scrape(place.path());
    let Some(checked) = promtool(&["check", "metrics"], &text) else {
        return;
    };
    assert_eq!(checked.stderr, "");
    assert_eq!(checked.expect_success(), "");
}

#[test]
fn the_curl_examples_of_the_specification_find_something() {
    let place = tempfile::tempdir().unwrap();
    let (_daemon, port, _) = first_scrape(place.path());
    for pattern in ["sync_operations", "daemon_uptime"] {
        let script = format!("curl -s http://localhost:{port}/metrics | grep {pattern}");
        let Some(found) = shell(place.path(), &["curl"], &script) else {
            return;
        };
        assert!(found.expect_success().contains(pattern));
    }
}

#[test]
fn a_run_is_counted_as_the_log_tells_it() {
    let place = tempfile::tempdir().unwrap();
    let (daemon, port, _) = first_scrape(place.path());
    daemon
        .beside()
        .args(["trigger", "documents", "--wait"])
        .run()
        .expect_success();
    let scrape = get(&format!("http://127.0.0.1:{port}/metrics")).unwrap();
    let text = scrape.expect_status(200).body;
    for series in [
        r#"sync_operations_total{job_id="documents",status="success",trigger_source="manual"} 1"#,
        r#"sync_files_processed_total{job_id="documents",operation="created"} 1"#,
        r#"sync_bytes_transferred_total{job_id="documents"} 4"#,
        r#"sync_operations_duration_seconds_count{job_id="documents",status="success"} 1"#,
    ] {
        assert!(text.contains(series), "{series} is missing in {text}");
    }
}

#[test]
fn the_accounts_of_every_sink_balance() {
    let place = tempfile::tempdir().unwrap();
    let (_daemon, _, text) = first_scrape(place.path());
    let value = |series: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(series));
        let line = line.unwrap_or_else(|| panic!("{series} is missing in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    for sink in [
        "queue",
        "console_queue",
        "console",
        "file",
        "counter",
        "page",
    ] {
        let total = |outcome: &str| {
            value(&format!(
                "telemetry_records_total{{sink=\"{sink}\",outcome=\"{outcome}\"}}"
            ))
        };
        let pending = value(&format!("telemetry_records_pending{{sink=\"{sink}\"}}"));
        let known = total("delivered") + total("dropped") + total("rejected") + pending;
        assert_eq!(total("accepted"), known, "{sink}");
    }
}

#[test]
fn a_draining_daemon_is_not_ready_and_is_scraped_to_the_end() {
    let place = tempfile::tempdir().unwrap();
    let daemon = in_the_middle_of_a_run(place.path(), "");
    let status = daemon.beside().args(["status", "--json"]).run();
    let status: serde_json::Value = serde_json::from_str(&status.expect_success()).unwrap();
    let url = status["metrics"].as_str().expect("an endpoint");
    daemon.signal(Signal::TERM);
    daemon.wait_until(SOON, "the reason", || {
        let answer = get(&url.replace("/metrics", "/readyz")).expect("the endpoint goes last");
        answer.status == 503 && answer.json()["reasons"][0] == "the daemon is draining"
    });
    let text = get(url).unwrap().expect_status(200).body;
    assert!(text.contains("\nactive_sync_jobs "), "{text}");
}

/// The figures of a working daemon, which change from one collection to the next.
#[test]
fn process_figures_are_those_of_the_kernel_and_as_fresh_as_configured() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let port = free_port();
    let config = with_jobs(port, &job("documents", place.path(), OFTEN));
    let config = config.replace(
        "collection_interval_secs = 15",
        "collection_interval_secs = 1",
    );
    let daemon = Daemon::start(place.path(), &config);
    let figure = |name: &str| -> Option<f64> {
        let answer = get(&format!("http://127.0.0.1:{port}/metrics")).ok()?;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        answer.body.lines().find_map(value)
    };
    let resident = || -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: f64 = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        1024.0 * kilobytes
    };
    daemon.wait_until(SOON, "the kernel's figure of memory", || {
        let shown = figure("daemon_memory_usage_bytes").unwrap_or_default();
        (shown - resident()).abs() < 0.05 * resident()
    });
    for name in ["daemon_cpu_usage_percent", "process_cpu_seconds_total"] {
        let first = figure(name);
        daemon.wait_until(SOON, name, || {
            figure(name).is_some_and(|later| Some(later) != first)
        });
    }
}

#[test]
fn a_real_prometheus_scrapes_it() {
    let place = tempfile::tempdir().unwrap();
    let (daemon, port, _) = first_scrape(place.path());
    let config = format!(
        "scrape_configs:\n  - job_name: 'sync-daemon'\n    static_configs:\n      - targets: ['localhost:{port}']\n    \
         scrape_interval: 1s\n    metrics_path: /metrics\n"
    );
    let Some(prometheus) = Prometheus::start(&config) else {
        return;
    };
    daemon.wait_until(SOON, "a scrape", || {
        let data = prometheus.api("/api/v1/query?query=daemon_uptime_seconds");
        !data["result"].as_array().unwrap().is_empty()
    });
    let up = prometheus.api("/api/v1/query?query=up");
    assert_eq!(up["result"][0]["value"][1], "1", "{up}");
}

#[test]
fn it_says_that_it_lives_and_is_ready() {
    let place = tempfile::tempdir().unwrap();
    let (daemon, port, _) = first_scrape(place.path());
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    get(&url("/healthz")).unwrap().expect_status(200);
    daemon.wait_until(SOON, "readiness", || {
        get(&url("/readyz")).unwrap().status == 200
    });
    get(&url("/nothing")).unwrap().expect_status(404);
    let page = get(&url("/")).unwrap().expect_status(200).body;
    assert!(page.contains("/metrics"), "{page}");
}
