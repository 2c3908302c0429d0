//! The series of a daemon, one by one: those that were promised, at 0 from the first scrape, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use telemetry_tests::{Daemon, free_port, get, plant};

use crate::{MANUAL, SOON, job, with_jobs};

const STATUSES: &[&str] = &["success", "partial", "failed", "cancelled"];
const TRIGGERS: &[&str] = &["schedule", "watcher", "manual", "startup"];
const OPERATIONS: &[&str] = &[
    "created",
    "updated",
    "deleted",
    "unchanged",
    "skipped",
    "failed",
    "vanished",
];
const ERROR_TYPES: &[&str] = &[
    "source_missing",
    "source_empty",
    "source_unreadable",
    "destination_unavailable",
    "overlap",
    "delete_limit",
    "permission",
    "no_space",
    "read",
    "write",
    "changed",
    "locked",
    "timeout",
    "cancelled",
    "panic",
    "config",
    "log_write",
    "upload",
    "metrics",
    "internal",
];
const LEVELS: &[&str] = &["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const SINKS: &[&str] = &[
    "queue",
    "console_queue",
    "console",
    "file",
    "counter",
    "page",
];
const OUTCOMES: &[&str] = &["accepted", "delivered", "dropped", "rejected"];
const REASONS: &[&str] = &[
    "queue_full",
    "channel_full",
    "spool_full",
    "io_error",
    "too_large",
    "sink_panicked",
    "shutdown",
    "refused",
];
const HTTP: &[&str] = &["200", "400", "429", "error"];

/// A label and its values.
type Label<'a> = (&'a str, &'a [&'a str]);

/// A family with all of its series.
struct Promise<'a> {
    name: &'a str,
    kind: &'a str,
    labels: Vec<Label<'a>>,
}

/// Those whose series are known before anything happens.
fn promises<'a>(jobs: &'a [&'a str]) -> Vec<Promise<'a>> {
    let promise = |kind| {
        move |name, labels: &[Label<'a>]| Promise {
            name,
            kind,
            labels: labels.to_vec(),
        }
    };
    let (counter, gauge, histogram) = (promise("counter"), promise("gauge"), promise("histogram"));
    let of_job = ("job_id", jobs);
    let of_request = [("method", &["POST"][..]), ("status", HTTP)];
    vec![
        counter(
            "sync_operations_total",
            &[of_job, ("status", STATUSES), ("trigger_source", TRIGGERS)],
        ),
        histogram(
            "sync_operations_duration_seconds",
            &[of_job, ("status", STATUSES)],
        ),
        counter(
            "sync_files_processed_total",
            &[of_job, ("operation", OPERATIONS)],
        ),
        counter("sync_bytes_transferred_total", &[of_job]),
        counter("sync_errors_total", &[of_job, ("error_type", ERROR_TYPES)]),
        gauge("sync_last_success_timestamp_seconds", &[of_job]),
        gauge("active_sync_jobs", &[]),
        gauge("file_watchers_active", &[]),
        gauge("daemon_cpu_usage_percent", &[]),
        counter("pocketbase_requests_total", &of_request),
        histogram("pocketbase_request_duration_seconds", &of_request),
        counter("pocketbase_connection_errors_total", &[]),
        gauge("pocketbase_circuit_breaker_state", &[]),
        counter("log_upload_errors_total", &[]),
        gauge("log_buffer_size", &[]),
        gauge("log_spool_bytes", &[]),
        gauge("log_dead_letters", &[]),
        counter("log_records_suppressed_total", &[]),
        counter(
            "log_rotations_total",
            &[("reason", &["day", "external", "hour", "size"])],
        ),
        counter(
            "telemetry_records_lost_total",
            &[("sink", SINKS), ("reason", REASONS), ("level", LEVELS)],
        ),
    ]
}

impl Promise<'_> {
    /// All combinations, written as the text format does.
    fn series(&self) -> BTreeSet<String> {
        let mut all = vec![String::new()];
        for (label, values) in &self.labels {
            all = all
                .iter()
                .flat_map(|start| {
                    values
                        .iter()
                        .map(move |value| format!("{start},{label}=\"{value}\""))
                })
                .collect();
        }
        all.iter()
            .map(|labels| match labels.strip_prefix(',') {
                Some(labels) => format!("{}{{{labels}}}", self.name),
                None => self.name.to_owned(),
            })
            .collect()
    }
}

/// The first scrape of a daemon with these manual jobs.
fn first_scrape_with(place: &Path, jobs: &[&str]) -> String {
    plant(&place.join("source"), &[("a", "text")]);
    let port = free_port();
    let jobs: String = jobs.iter().map(|id| job(id, place, MANUAL)).collect();
    let daemon = Daemon::start(place, &with_jobs(port, &jobs));
    let url = format!("http://127.0.0.1:{port}/metrics");
    daemon.wait_for(SOON, "the endpoint", || {
        Some(get(&url).ok()?.expect_status(200).body)
    })
}

/// The series of each family by name, with their values; a histogram's are named by its count.
fn families(text: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut families: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            kinds.insert(name, kind);
            families.entry(name.to_owned()).or_default();
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let histogram = name
            .strip_suffix("_count")
            .filter(|of| kinds.get(of) == Some(&"histogram"));
        let name = match (histogram, kinds.contains_key(name)) {
            (Some(histogram), _) => histogram,
            (None, true) => name,
            // A bucket or a sum.
            (None, false) => continue,
        };
        let series = series.replacen(&format!("{name}_count"), name, 1);
        let family = families.get_mut(name).expect("its type comes first");
        family.insert(series, value.parse().unwrap());
    }
    families
}

fn expect_promises(text: &str, jobs: &[&str]) {
    let families = families(text);
    for promise in promises(jobs) {
        let name = promise.name;
        let described = format!("# TYPE {name} {}\n", promise.kind);
        assert!(text.contains(&described), "{described} is missing");
        let found = &families[name];
        let known: BTreeSet<String> = found.keys().cloned().collect();
        assert_eq!(known, promise.series(), "{name}");
        for (series, value) in found {
            assert_eq!(*value, 0.0, "{series}");
        }
    }
}

#[test]
fn all_that_is_known_is_there_at_zero_with_these_labels_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let jobs = ["documents", "photos"];
    let text = first_scrape_with(place.path(), &jobs);
    expect_promises(&text, &jobs);

    let families = families(&text);
    let records = Promise {
        name: "telemetry_records_total",
        kind: "counter",
        labels: vec![("sink", SINKS), ("outcome", OUTCOMES)],
    };
    let found: BTreeSet<String> = families[records.name].keys().cloned().collect();
    assert_eq!(found, records.series());
    assert_eq!(families["telemetry_records_pending"].len(), SINKS.len());
    for level in LEVELS {
        let series = format!("log_entries_total{{level=\"{level}\",target=\"sync_daemon\"}}");
        assert_eq!(families["log_entries_total"][&series], 0.0, "{series}");
    }
    // Rules of the sanitizer: more than names of fields, and all quiet.
    let rules = &families["log_redactions_total"];
    assert!(
        rules.len() > 50 && rules.values().all(|count| *count == 0.0),
        "{rules:?}"
    );
    let (build, one) = families["sync_daemon_build_info"]
        .first_key_value()
        .unwrap();
    assert_eq!(*one, 1.0);
    for label in ["version=\"", "revision=\"", "features=\"file,metrics,"] {
        assert!(build.contains(label), "{build}");
    }
    for process in [
        "cpu_seconds_total",
        "max_fds",
        "open_fds",
        "resident_memory_bytes",
        "start_time_seconds",
        "threads",
        "virtual_memory_bytes",
        "virtual_memory_max_bytes",
    ] {
        assert!(
            families.contains_key(&format!("process_{process}")),
            "{process}"
        );
    }
}

#[test]
fn daemon_without_jobs_has_the_series_of_none() {
    let place = tempfile::tempdir().unwrap();
    let text = first_scrape_with(place.path(), &[]);
    expect_promises(&text, &["none"]);
}

#[test]
fn every_family_is_described_and_nothing_is_labelled_with_the_daemon() {
    let place = tempfile::tempdir().unwrap();
    let text = first_scrape_with(place.path(), &["documents"]);
    let mut lines = text.lines().peekable();
    let mut described = 0;
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a name and its help");
            assert!(words.ends_with('.') && words.len() > 10, "{line}");
            let kind = lines.peek().and_then(|line| line.strip_prefix("# TYPE "));
            assert!(kind.is_some_and(|kind| kind.starts_with(name)), "{line}");
            described += 1;
        }
        assert!(!line.contains("daemon_id="), "{line}");
    }
    assert_eq!(described, families(&text).len());
}

#[test]
fn buckets_reach_from_a_millisecond_to_hours() {
    let place = tempfile::tempdir().unwrap();
    let text = first_scrape_with(place.path(), &["documents"]);
    let bounds = |name: &str, labels: &str| -> Vec<f64> {
        let start = format!("{name}_bucket{{{labels},le=\"");
        let bounds = text.lines().filter_map(|line| line.strip_prefix(&start));
        bounds
            .map(|rest| rest.split('"').next().unwrap())
            .map(|bound| bound.parse().unwrap_or(f64::INFINITY))
            .collect()
    };
    let uploads = bounds(
        "pocketbase_request_duration_seconds",
        "method=\"POST\",status=\"200\"",
    );
    let runs = bounds(
        "sync_operations_duration_seconds",
        "job_id=\"documents\",status=\"success\"",
    );
    for bounds in [&uploads, &runs] {
        assert!(bounds.is_sorted(), "{bounds:?}");
        assert_eq!(bounds.last(), Some(&f64::INFINITY));
    }
    assert_eq!(uploads[0], 0.001);
    assert!(
        runs[0] <= 0.01 && runs[runs.len() - 2] >= 4.0 * 3600.0,
        "{runs:?}"
    );
}
