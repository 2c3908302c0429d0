//! A daemon's whole set of metrics, as the daemon of this workspace has them:
//! all there at 0, described, and in order.

use std::collections::{HashMap, HashSet};

use telemetry_core::{LEVELS, LossReason, SinkStats};
use telemetry_metrics::{
    CountingSink, Family, Handle, Kind, Preset, ProcessCollector, SinkAccounts, buckets,
    log_presets, redaction_presets, upload_presets,
};

const STATUSES: [&str; 4] = ["success", "partial", "failed", "cancelled"];
const TRIGGERS: [&str; 4] = ["schedule", "watcher", "manual", "startup"];
const OPERATIONS: [&str; 7] = [
    "created",
    "updated",
    "deleted",
    "unchanged",
    "skipped",
    "failed",
    "vanished",
];
const ERROR_TYPES: [&str; 3] = ["source_missing", "overlap", "internal"];

const fn family(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [&'static str],
) -> Family {
    Family {
        name,
        kind,
        help,
        labels,
    }
}

fn daemon_presets(jobs: &[&str]) -> Vec<Preset> {
    use Kind::{Counter, Gauge, Histogram};
    vec![
        Preset::of(family(
            "sync_operations_total",
            Counter,
            "Sync operations by job, status and trigger.",
            &["job_id", "status", "trigger_source"],
        ))
        .each("job_id", jobs)
        .each("status", STATUSES)
        .each("trigger_source", TRIGGERS),
        Preset::of(family(
            "sync_operations_duration_seconds",
            Histogram(buckets::JOB_SECONDS),
            "Duration of sync operations, in seconds.",
            &["job_id", "status"],
        ))
        .each("job_id", jobs)
        .each("status", STATUSES),
        Preset::of(family(
            "sync_files_processed_total",
            Counter,
            "Files by what was done with them.",
            &["job_id", "operation"],
        ))
        .each("job_id", jobs)
        .each("operation", OPERATIONS),
        Preset::of(family(
            "sync_bytes_transferred_total",
            Counter,
            "Bytes written to destinations.",
            &["job_id"],
        ))
        .each("job_id", jobs),
        Preset::of(family(
            "sync_errors_total",
            Counter,
            "Errors by job and type.",
            &["job_id", "error_type"],
        ))
        .each("job_id", jobs)
        .each("error_type", ERROR_TYPES),
        Preset::of(family(
            "sync_last_success_timestamp_seconds",
            Gauge,
            "End of the last successful run, in seconds since 1970; 0 is never.",
            &["job_id"],
        ))
        .each("job_id", jobs),
        Preset::of(family(
            "active_sync_jobs",
            Gauge,
            "Sync operations running now.",
            &[],
        )),
        Preset::of(family(
            "file_watchers_active",
            Gauge,
            "File watchers at work.",
            &[],
        )),
        Preset::of(BUILD_INFO)
            .each("version", ["0.1.0"])
            .each("revision", ["abc"])
            .each("features", ["file"]),
    ]
}

const BUILD_INFO: Family = family(
    "sync_daemon_build_info",
    Kind::Gauge,
    "Version, revision and features of this build; always 1.",
    &["version", "revision", "features"],
);

fn first_scrape() -> String {
    let mut presets = daemon_presets(&["documents", "photos"]);
    presets.extend(log_presets("sync_daemon"));
    presets.extend(upload_presets());
    presets.extend(redaction_presets(["password", "bearer"]));
    let handle = Handle::build(&presets).unwrap();
    handle.gauge(BUILD_INFO, &["0.1.0", "abc", "file"]).set(1.0);
    handle.collect_at_intervals(ProcessCollector::new(&handle));
    handle.collect_at_scrapes(SinkAccounts::reading(|into| {
        into.extend(["queue", "file", "pocketbase"].map(|name| SinkStats {
            name: name.into(),
            ..SinkStats::default()
        }));
    }));
    let _counter = CountingSink::new(&handle);
    handle.render()
}

/// The values by series.
fn series(text: &str) -> HashMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs
        .map(|(series, value)| (series, value.parse().unwrap()))
        .collect()
}

#[test]
fn everything_that_is_known_is_there_at_zero() {
    let text = first_scrape();
    let series = series(&text);
    let mut expected = Vec::new();
    for job in ["documents", "photos"] {
        for status in STATUSES {
            for trigger in TRIGGERS {
                expected.push(format!(
                    "sync_operations_total{{job_id=\"{job}\",status=\"{status}\",trigger_source=\"{trigger}\"}}"
                ));
            }
            let labels = format!("job_id=\"{job}\",status=\"{status}\"");
            for bound in ["0.01", "1", "3600", "43200", "+Inf"] {
                expected.push(format!(
                    "sync_operations_duration_seconds_bucket{{{labels},le=\"{bound}\"}}"
                ));
            }
            expected.push(format!("sync_operations_duration_seconds_sum{{{labels}}}"));
            expected.push(format!(
                "sync_operations_duration_seconds_count{{{labels}}}"
            ));
        }
        for operation in OPERATIONS {
            expected.push(format!(
                "sync_files_processed_total{{job_id=\"{job}\",operation=\"{operation}\"}}"
            ));
        }
        for error in ERROR_TYPES {
            expected.push(format!(
                "sync_errors_total{{job_id=\"{job}\",error_type=\"{error}\"}}"
            ));
        }
        expected.push(format!("sync_bytes_transferred_total{{job_id=\"{job}\"}}"));
        expected.push(format!(
            "sync_last_success_timestamp_seconds{{job_id=\"{job}\"}}"
        ));
    }
    for status in ["200", "400", "429", "error"] {
        let labels = format!("method=\"POST\",status=\"{status}\"");
        expected.push(format!("pocketbase_requests_total{{{labels}}}"));
        for bound in ["0.001", "60", "+Inf"] {
            expected.push(format!(
                "pocketbase_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}}"
            ));
        }
    }
    for level in LEVELS {
        for target in ["sync_daemon", "other"] {
            expected.push(format!(
                "log_entries_total{{level=\"{level}\",target=\"{target}\"}}"
            ));
        }
    }
    for reason in ["day", "hour", "size", "external"] {
        expected.push(format!("log_rotations_total{{reason=\"{reason}\"}}"));
    }
    for rule in ["password", "bearer"] {
        expected.push(format!("log_redactions_total{{rule=\"{rule}\"}}"));
    }
    for sink in ["queue", "file", "pocketbase"] {
        for outcome in ["accepted", "delivered", "dropped", "rejected"] {
            expected.push(format!(
                "telemetry_records_total{{sink=\"{sink}\",outcome=\"{outcome}\"}}"
            ));
        }
        expected.push(format!("telemetry_records_pending{{sink=\"{sink}\"}}"));
        for reason in LossReason::ALL {
            for level in LEVELS {
                let reason = reason.as_str();
                expected.push(format!(
                    "telemetry_records_lost_total{{sink=\"{sink}\",reason=\"{reason}\",level=\"{level}\"}}"
                ));
            }
        }
    }
    expected.extend(
        [
            "active_sync_jobs",
            "file_watchers_active",
            "pocketbase_connection_errors_total",
            "pocketbase_circuit_breaker_state",
            "log_upload_errors_total",
            "log_buffer_size",
            "log_records_suppressed_total",
            "log_spool_bytes",
            "log_dead_letters",
            "daemon_cpu_usage_percent",
            "telemetry_labels_folded_total{metric=\"log_entries_total\"}",
            "telemetry_collection_errors_total{collector=\"process\"}",
            "telemetry_collection_errors_total{collector=\"sinks\"}",
        ]
        .map(str::to_owned),
    );
    for name in &expected {
        assert_eq!(series.get(name.as_str()), Some(&0.0), "{name}");
    }
    let info = "sync_daemon_build_info{version=\"0.1.0\",revision=\"abc\",features=\"file\"}";
    assert_eq!(series[info], 1.0);
    assert!(series["daemon_uptime_seconds"] > 0.0);
    assert!(series["daemon_memory_usage_bytes"] > 0.0);
}

#[test]
fn every_family_has_help_and_type_before_its_series_once() {
    let text = first_scrape();
    let mut described = HashSet::new();
    let mut current = "";
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap();
            assert!(described.insert(current), "{current} comes twice");
            let type_line = format!("# TYPE {current} ");
            assert!(lines.next().unwrap().starts_with(&type_line), "{current}");
        } else {
            assert!(line.starts_with(current), "{line} stands under {current}");
            assert!(!line.starts_with("# "), "{line} without HELP");
        }
    }
}

#[test]
fn exposition_is_the_same_each_time_but_for_what_changes() {
    // Left for promtool, which checks it by hand: `promtool check metrics < …`.
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract.prom");
    let text = first_scrape();
    std::fs::write(path, &text).unwrap();
    let names = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| match line.rsplit_once(' ') {
                Some((series, _)) if !line.starts_with('#') => series.to_owned(),
                _ => line.to_owned(),
            })
            .collect()
    };
    assert_eq!(names(&text), names(&first_scrape()));
}
