//! The metrics of the telemetry crates: every name stands here, and only here.

use telemetry_core::LEVELS;

use crate::buckets;
use crate::family::{Family, Kind, Preset};

/// A metric of the telemetry crates.
///
/// The other crates do not depend on this one: they register the same names
/// through the `metrics` facade, and are described from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Counter of records; `level`, `target`.
    LogEntries,
    /// Counter of failed upload requests.
    LogUploadErrors,
    /// Gauge of records.
    LogBufferSize,
    /// Counter of records.
    LogRecordsSuppressed,
    /// Gauge in bytes.
    LogSpoolBytes,
    /// Gauge of records.
    LogDeadLetters,
    /// Counter of values; `rule`.
    LogRedactions,
    /// Counter of rotations; `reason`.
    LogRotations,
    /// Counter of requests; `method`, `status`.
    PocketbaseRequests,
    /// Histogram in seconds; `method`, `status`.
    PocketbaseRequestDuration,
    /// Counter of connections.
    PocketbaseConnectionErrors,
    /// Gauge: 0, 1 or 2.
    PocketbaseBreakerState,
    /// Counter of records; `sink`, `outcome`.
    Records,
    /// Gauge of records; `sink`.
    RecordsPending,
    /// Counter of records; `sink`, `reason`, `level`.
    RecordsLost,
    /// Counter of increments; `metric`.
    LabelsFolded,
    /// Counter of failures; `collector`.
    CollectionErrors,
    /// Counter of requests; `status`.
    HttpRequests,
    /// Counter of connections; `outcome`.
    HttpConnections,
    /// Gauge in seconds.
    DaemonUptime,
    /// Gauge in bytes.
    DaemonMemory,
    /// Gauge in percent of one core.
    DaemonCpu,
    /// Counter in whole seconds.
    ProcessCpu,
    /// Gauge of descriptors.
    ProcessOpenFds,
    /// Gauge of descriptors.
    ProcessMaxFds,
    /// Gauge in bytes.
    ProcessVirtualMemory,
    /// Gauge in bytes.
    ProcessVirtualMemoryMax,
    /// Gauge in bytes.
    ProcessResidentMemory,
    /// Gauge in seconds since 1970.
    ProcessStartTime,
    /// Gauge of threads.
    ProcessThreads,
}

/// The values of `outcome` in [`Metric::Records`].
pub(crate) const OUTCOMES: [&str; 4] = ["accepted", "delivered", "dropped", "rejected"];

/// The values of `outcome` in [`Metric::HttpConnections`].
pub(crate) const CONNECTION_OUTCOMES: [&str; 5] =
    ["closed", "timed_out", "failed", "refused", "evicted"];

/// The values of `status` in [`Metric::HttpRequests`].
pub(crate) const HTTP_STATUSES: [&str; 9] = [
    "200", "400", "401", "404", "405", "421", "429", "500", "503",
];

impl Metric {
    /// Every metric, in the order of the enum.
    pub const ALL: [Self; 30] = [
        Self::LogEntries,
        Self::LogUploadErrors,
        Self::LogBufferSize,
        Self::LogRecordsSuppressed,
        Self::LogSpoolBytes,
        Self::LogDeadLetters,
        Self::LogRedactions,
        Self::LogRotations,
        Self::PocketbaseRequests,
        Self::PocketbaseRequestDuration,
        Self::PocketbaseConnectionErrors,
        Self::PocketbaseBreakerState,
        Self::Records,
        Self::RecordsPending,
        Self::RecordsLost,
        Self::LabelsFolded,
        Self::CollectionErrors,
        Self::HttpRequests,
        Self::HttpConnections,
        Self::DaemonUptime,
        Self::DaemonMemory,
        Self::DaemonCpu,
        Self::ProcessCpu,
        Self::ProcessOpenFds,
        Self::ProcessMaxFds,
        Self::ProcessVirtualMemory,
        Self::ProcessVirtualMemoryMax,
        Self::ProcessResidentMemory,
        Self::ProcessStartTime,
        Self::ProcessThreads,
    ];

    /// Name, kind, help text and labels.
    pub const fn family(self) -> Family {
        match self {
            Self::LogEntries => counter(
                "log_entries_total",
                "Log records by level and target; past the cap of targets it is `other`.",
                &["level", "target"],
            ),
            Self::LogUploadErrors => counter(
                "log_upload_errors_total",
                "Requests for uploading log records that failed.",
                &[],
            ),
            Self::LogBufferSize => gauge(
                "log_buffer_size",
                "Log records waiting for upload, in the channel and in the spool.",
                &[],
            ),
            Self::LogRecordsSuppressed => counter(
                "log_records_suppressed_total",
                "Log records left out because their callsite repeated itself too often.",
                &[],
            ),
            Self::LogSpoolBytes => gauge(
                "log_spool_bytes",
                "Size of the spool of log records on disk, in bytes.",
                &[],
            ),
            Self::LogDeadLetters => gauge(
                "log_dead_letters",
                "Log records that the server refused, kept in the dead-letter file.",
                &[],
            ),
            Self::LogRedactions => counter(
                "log_redactions_total",
                "Values redacted in log records, by rule.",
                &["rule"],
            ),
            Self::LogRotations => counter(
                "log_rotations_total",
                "Rotations of the log file, by reason.",
                &["reason"],
            ),
            Self::PocketbaseRequests => counter(
                "pocketbase_requests_total",
                "Requests to PocketBase by method and HTTP status; `error` is no answer, `4xx` an unusual code.",
                &["method", "status"],
            ),
            Self::PocketbaseRequestDuration => histogram(
                "pocketbase_request_duration_seconds",
                "Time from request to answer of PocketBase, in seconds.",
                &["method", "status"],
                buckets::REQUEST_SECONDS,
            ),
            Self::PocketbaseConnectionErrors => counter(
                "pocketbase_connection_errors_total",
                "Connections to PocketBase that could not be made or broke.",
                &[],
            ),
            Self::PocketbaseBreakerState => gauge(
                "pocketbase_circuit_breaker_state",
                "Circuit breaker of the uploader: 0 closed, 1 half-open, 2 open.",
                &[],
            ),
            Self::Records => counter(
                "telemetry_records_total",
                "Log records of each sink by what became of them: \
                 accepted = delivered + dropped + rejected + pending.",
                &["sink", "outcome"],
            ),
            Self::RecordsPending => gauge(
                "telemetry_records_pending",
                "Log records that a sink has accepted and not yet delivered.",
                &["sink"],
            ),
            Self::RecordsLost => counter(
                "telemetry_records_lost_total",
                "Log records that a sink lost, by reason and level.",
                &["sink", "reason", "level"],
            ),
            Self::LabelsFolded => counter(
                "telemetry_labels_folded_total",
                "Increments counted as `other` because a metric had too many label values.",
                &["metric"],
            ),
            Self::CollectionErrors => counter(
                "telemetry_collection_errors_total",
                "Failures to collect figures; the last values stay.",
                &["collector"],
            ),
            Self::HttpRequests => counter(
                "telemetry_http_requests_total",
                "Requests to the metrics endpoint, by HTTP status.",
                &["status"],
            ),
            Self::HttpConnections => counter(
                "telemetry_http_connections_total",
                "Connections to the metrics endpoint, by how they ended.",
                &["outcome"],
            ),
            Self::DaemonUptime => gauge(
                "daemon_uptime_seconds",
                "Time since the daemon started, in seconds.",
                &[],
            ),
            Self::DaemonMemory => gauge(
                "daemon_memory_usage_bytes",
                "Resident memory of the daemon, in bytes.",
                &[],
            ),
            Self::DaemonCpu => gauge(
                "daemon_cpu_usage_percent",
                "CPU time over the last collection interval; 100 is one core.",
                &[],
            ),
            Self::ProcessCpu => counter(
                "process_cpu_seconds_total",
                "Total user and system CPU time, in whole seconds.",
                &[],
            ),
            Self::ProcessOpenFds => gauge("process_open_fds", "Open file descriptors.", &[]),
            Self::ProcessMaxFds => gauge(
                "process_max_fds",
                "Limit of open file descriptors; 0 is no limit.",
                &[],
            ),
            Self::ProcessVirtualMemory => gauge(
                "process_virtual_memory_bytes",
                "Virtual memory, in bytes.",
                &[],
            ),
            Self::ProcessVirtualMemoryMax => gauge(
                "process_virtual_memory_max_bytes",
                "Limit of virtual memory, in bytes; 0 is no limit.",
                &[],
            ),
            Self::ProcessResidentMemory => gauge(
                "process_resident_memory_bytes",
                "Resident memory, in bytes.",
                &[],
            ),
            Self::ProcessStartTime => gauge(
                "process_start_time_seconds",
                "Start of the process, in seconds since 1970.",
                &[],
            ),
            Self::ProcessThreads => gauge("process_threads", "Threads of the process.", &[]),
        }
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        self.family().name
    }
}

impl From<Metric> for Family {
    fn from(metric: Metric) -> Self {
        metric.family()
    }
}

/// The series of a log pipeline with a counter and a file: every level with
/// `target` (the crate's name is a good one), every reason of a rotation.
pub fn log_presets(target: &str) -> Vec<Preset> {
    vec![
        Preset::of(Metric::LogEntries)
            .each("level", LEVELS.map(|level| level.as_str()))
            .each("target", [target]),
        Preset::of(Metric::LogRecordsSuppressed),
        Preset::of(Metric::LogRotations).each("reason", ["day", "hour", "size", "external"]),
    ]
}

/// The series of an uploader with spool and breaker: POST with the statuses 200,
/// 400, 429 and `error`.
pub fn upload_presets() -> Vec<Preset> {
    let per_answer = |metric| {
        Preset::of(metric)
            .each("method", ["POST"])
            .each("status", ["200", "400", "429", "error"])
    };
    vec![
        per_answer(Metric::PocketbaseRequests),
        per_answer(Metric::PocketbaseRequestDuration),
        Preset::of(Metric::PocketbaseConnectionErrors),
        Preset::of(Metric::PocketbaseBreakerState),
        Preset::of(Metric::LogUploadErrors),
        Preset::of(Metric::LogBufferSize),
        Preset::of(Metric::LogSpoolBytes),
        Preset::of(Metric::LogDeadLetters),
    ]
}

/// The series of a sanitizer with these rules.
pub fn redaction_presets<R: AsRef<str>>(rules: impl IntoIterator<Item = R>) -> Vec<Preset> {
    vec![Preset::of(Metric::LogRedactions).each("rule", rules)]
}

/// What this crate fills itself, in every program that installs its recorder.
/// The series of sinks and collectors come with them.
pub(crate) fn own_presets() -> Vec<Preset> {
    vec![
        Preset::of(Metric::LabelsFolded).each("metric", [Metric::LogEntries.name()]),
        Preset::of(Metric::HttpRequests).each("status", HTTP_STATUSES),
        Preset::of(Metric::HttpConnections).each("outcome", CONNECTION_OUTCOMES),
        Preset::of(Metric::DaemonUptime),
        Preset::of(Metric::DaemonMemory),
        Preset::of(Metric::DaemonCpu),
        Preset::of(Metric::ProcessCpu),
        Preset::of(Metric::ProcessOpenFds),
        Preset::of(Metric::ProcessMaxFds),
        Preset::of(Metric::ProcessVirtualMemory),
        Preset::of(Metric::ProcessVirtualMemoryMax),
        Preset::of(Metric::ProcessResidentMemory),
        Preset::of(Metric::ProcessStartTime),
        Preset::of(Metric::ProcessThreads),
    ]
}

const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
) -> Family {
    Family {
        name,
        kind: Kind::Counter,
        help,
        labels,
    }
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Family {
    Family {
        name,
        kind: Kind::Gauge,
        help,
        labels,
    }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    bounds: &'static [f64],
) -> Family {
    Family {
        name,
        kind: Kind::Histogram(bounds),
        help,
        labels,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn all_holds_every_metric_once_and_each_is_valid() {
        for (place, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(place, metric as usize, "{metric:?}");
            metric.family().check().unwrap();
        }
        let names: HashSet<_> = Metric::ALL.map(Metric::name).into_iter().collect();
        assert_eq!(names.len(), Metric::ALL.len());
    }

    #[test]
    fn only_counters_end_in_total() {
        for metric in Metric::ALL {
            let is_counter = metric.family().kind == Kind::Counter;
            assert_eq!(is_counter, metric.name().ends_with("_total"), "{metric:?}");
        }
    }
}
