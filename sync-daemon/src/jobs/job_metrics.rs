//! The metrics of jobs: names, labels, and handles registered once.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::job::Trigger;
use crate::error_type::ErrorType;
use crate::mirror::{Report, Status};

const OPERATIONS: &str = "sync_operations_total";
const DURATION: &str = "sync_operations_duration_seconds";
const FILES: &str = "sync_files_processed_total";
const BYTES: &str = "sync_bytes_transferred_total";
const ERRORS: &str = "sync_errors_total";
const LAST_SUCCESS: &str = "sync_last_success_timestamp_seconds";
const MISSED: &str = "sync_starts_missed_total";
const ACTIVE: &str = "active_sync_jobs";

/// Reads one count of a report.
type Count = fn(&Report) -> u64;

/// The counts of a report, by their label `operation`.
const FILE_OPERATIONS: [(&str, Count); 7] = [
    ("created", |report| report.created),
    ("updated", |report| report.updated),
    ("deleted", |report| report.deleted),
    ("unchanged", |report| report.unchanged),
    ("skipped", |report| report.skipped),
    ("failed", |report| report.failed),
    ("vanished", |report| report.vanished),
];

/// The metrics of one job.
///
/// All handles are made by [`register`](Self::register), so that a run looks up
/// no label. Without a recorder they count into nothing.
pub struct JobMetrics {
    /// By [`Status::ALL`], then by [`Trigger::ALL`].
    operations: Vec<Vec<Counter>>,
    /// By [`Status::ALL`].
    durations: Vec<Histogram>,
    /// By [`FILE_OPERATIONS`].
    files: Vec<Counter>,
    bytes: Counter,
    /// By [`ErrorType::ALL`].
    errors: Vec<Counter>,
    missed: Counter,
    last_success: Gauge,
    active: Gauge,
}

impl JobMetrics {
    /// Makes the handles; the recorder must have been installed before.
    pub fn register(job_id: &str) -> Self {
        let operations = |status: Status| {
            let of_trigger = |trigger: Trigger| {
                counter!(
                    OPERATIONS,
                    "job_id" => job_id.to_owned(),
                    "status" => status.as_str(),
                    "trigger_source" => trigger.as_str()
                )
            };
            Trigger::ALL.map(of_trigger).into()
        };
        let duration = |status: Status| histogram!(DURATION, "job_id" => job_id.to_owned(), "status" => status.as_str());
        let files = FILE_OPERATIONS
            .map(|(name, _)| counter!(FILES, "job_id" => job_id.to_owned(), "operation" => name));
        let errors = ErrorType::ALL.map(|error_type| {
            counter!(
                ERRORS,
                "job_id" => job_id.to_owned(),
                "error_type" => error_type.as_str()
            )
        });
        Self {
            operations: Status::ALL.map(operations).into(),
            durations: Status::ALL.map(duration).into(),
            files: files.into(),
            bytes: counter!(BYTES, "job_id" => job_id.to_owned()),
            errors: errors.into(),
            missed: counter!(MISSED, "job_id" => job_id.to_owned()),
            last_success: gauge!(LAST_SUCCESS, "job_id" => job_id.to_owned()),
            active: gauge!(ACTIVE),
        }
    }

    /// A start was left out.
    pub(super) fn missed(&self) {
        self.missed.increment(1);
    }

    /// A run has begun.
    pub(super) fn begin(&self) {
        self.active.increment(1.0);
    }

    /// A run has ended. What a dry run would have done is not counted as done.
    pub(super) fn end(&self, report: &Report, trigger: Trigger, dry_run: bool) {
        self.active.decrement(1.0);
        let status = report.status as usize;
        self.operations[status][trigger as usize].increment(1);
        self.durations[status].record(report.duration);
        for error in &report.errors {
            self.errors[error.error_type as usize].increment(1);
        }
        if report.status == Status::Cancelled {
            // Its closing event says so, and no entry does.
            self.errors[ErrorType::Cancelled as usize].increment(1);
        }
        for (counter, omitted) in self.errors.iter().zip(report.omitted_by_type) {
            counter.increment(omitted);
        }
        if dry_run {
            return;
        }
        for (counter, (_, count)) in self.files.iter().zip(FILE_OPERATIONS) {
            counter.increment(count(report));
        }
        self.bytes.increment(report.bytes_transferred);
        if report.status == Status::Success {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            self.last_success.set(now.unwrap_or_default().as_secs_f64());
        }
    }
}

impl std::fmt::Debug for JobMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobMetrics").finish_non_exhaustive()
    }
}

/// The families of jobs, with every series at 0 from the start. Without jobs
/// there is one series of each, with `job_id="none"`.
#[cfg(feature = "metrics")]
pub fn presets(job_ids: &[String]) -> Vec<telemetry_metrics::Preset> {
    use telemetry_metrics::buckets::JOB_SECONDS;
    use telemetry_metrics::{Family, Kind, Preset};

    let family = |name, kind, labels, help| Family {
        name,
        kind,
        help,
        labels,
    };
    let none = ["none".to_owned()];
    let jobs = if job_ids.is_empty() { &none } else { job_ids };
    let of_jobs = |family: Family| Preset::of(family).each("job_id", jobs);
    let statuses = Status::ALL.map(Status::as_str);
    vec![
        of_jobs(family(
            OPERATIONS,
            Kind::Counter,
            &["job_id", "status", "trigger_source"],
            "Runs of sync jobs, by how they ended and what started them.",
        ))
        .each("status", statuses)
        .each("trigger_source", Trigger::ALL.map(Trigger::as_str)),
        of_jobs(family(
            DURATION,
            Kind::Histogram(JOB_SECONDS),
            &["job_id", "status"],
            "How long runs of sync jobs took, by how they ended.",
        ))
        .each("status", statuses),
        of_jobs(family(
            FILES,
            Kind::Counter,
            &["job_id", "operation"],
            "Files, links and directories, by what was done about them.",
        ))
        .each("operation", FILE_OPERATIONS.map(|(name, _)| name)),
        of_jobs(family(
            BYTES,
            Kind::Counter,
            &["job_id"],
            "Bytes of file content written to destinations.",
        )),
        of_jobs(family(
            ERRORS,
            Kind::Counter,
            &["job_id", "error_type"],
            "Errors of sync jobs; a run may have several.",
        ))
        .each("error_type", ErrorType::ALL.map(ErrorType::as_str)),
        of_jobs(family(
            MISSED,
            Kind::Counter,
            &["job_id"],
            "Starts on schedule that were left out because too many jobs waited.",
        )),
        of_jobs(family(
            LAST_SUCCESS,
            Kind::Gauge,
            &["job_id"],
            "When the job last succeeded, in seconds since 1970; 0 if it has not since the start.",
        )),
        Preset::of(family(
            ACTIVE,
            Kind::Gauge,
            &[],
            "Sync jobs that are running now.",
        )),
        Preset::of(family(
            "file_watchers_active",
            Kind::Gauge,
            &[],
            "File watchers that are watching now.",
        )),
    ]
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use telemetry_metrics::{Figures, Handle};

    use super::*;

    #[test]
    fn errors_are_counted_whether_the_report_names_them_or_not() {
        let handle = Handle::build(&presets(&["a".to_owned()])).unwrap();
        metrics::with_local_recorder(&*handle.recorder(), || {
            let mut report = Report::refused("x".to_owned(), ErrorType::NoSpace, "full".to_owned());
            report.omitted_by_type[ErrorType::NoSpace as usize] = 7;
            report.omitted_by_type[ErrorType::Read as usize] = 2;
            JobMetrics::register("a").end(&report, Trigger::Manual, false);
        });
        let text = handle.render();
        let of =
            |error_type| Figures::of(&text).sum("sync_errors_total", &[("error_type", error_type)]);
        assert_eq!((of("no_space"), of("read"), of("write")), (8.0, 2.0, 0.0));
    }
}
