//! One run of a job: its span, its metrics and its closing event.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;

use super::job::{Job, Trigger};
use crate::error_type::ErrorType;
use crate::mirror::{self, Cancel, Observer, Report, Status};

/// How a run went, for `status` and for whoever waits for it.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// When it began.
    pub started_at: Timestamp,
    /// What started it.
    pub trigger: Trigger,
    /// What it did.
    pub report: Report,
}

/// Runs a job on this thread and tells about it.
///
/// Blocks until the mirror is made, refused or cancelled. Emits exactly one
/// event at the end (target `sync_daemon::daemon`), and counts the same numbers
/// in the job's metrics. A panic in the engine becomes a failed run.
pub fn run(job: &Job, trigger: Trigger, observer: &dyn Observer, cancel: &Cancel) -> RunSummary {
    let span = tracing::info_span!(
        "job",
        job_id = job.id,
        job_name = job.name,
        trigger = trigger.as_str()
    );
    let _entered = span.enter();
    let started_at = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    job.metrics.begin();
    tracing::debug!(target: "sync_daemon::daemon", "sync job started");
    let report = catch_unwind(AssertUnwindSafe(|| {
        mirror::mirror(
            &job.source,
            &job.destination,
            &job.options,
            observer,
            cancel,
        )
    }))
    .unwrap_or_else(|panic| panicked(&*panic));
    job.metrics.end(&report, trigger, job.options.dry_run);
    tell(job, trigger, &report);
    RunSummary {
        started_at,
        trigger,
        report,
    }
}

/// The panic hook has told about the panic itself.
fn panicked(_: &(dyn Any + Send)) -> Report {
    Report::refused(
        String::new(),
        ErrorType::Panic,
        "the mirror engine panicked; this is a bug, and the log has its place".to_owned(),
    )
}

/// Emits the one event of a run that has `job_name` and `duration_ms` in its
/// fields: readers of the log count runs by it.
macro_rules! closing_event {
    ($level:ident, $job:expr, $trigger:expr, $report:expr, $message:literal $(, $field:ident = $value:expr)*) => {
        tracing::$level!(
            target: "sync_daemon::daemon",
            job_id = $job.id,
            job_name = $job.name,
            trigger = $trigger.as_str(),
            status = $report.status.as_str(),
            duration_ms = $report.duration.as_millis() as u64,
            files_processed = $report.files_processed(),
            bytes_transferred = $report.bytes_transferred,
            success_rate = $report.success_rate(),
            dry_run = $job.options.dry_run.then_some(true),
            $($field = $value,)*
            $message
        )
    };
}

fn tell(job: &Job, trigger: Trigger, report: &Report) {
    let error_type = report.error_type().unwrap_or(ErrorType::Internal).as_str();
    let error = report.errors.first().map(|first| {
        if first.path.is_empty() {
            first.message.clone()
        } else {
            format!("{}: {}", first.path, first.message)
        }
    });
    let error = error.as_deref();
    let failed = report.failed;
    match report.status {
        Status::Success => {
            closing_event!(
                info,
                job,
                trigger,
                report,
                "Sync job completed successfully"
            );
        }
        Status::Partial => closing_event!(
            warn,
            job,
            trigger,
            report,
            "Sync job completed, but not everything was synced",
            failed = failed,
            error_type = error_type,
            error = error
        ),
        Status::Failed => closing_event!(
            error,
            job,
            trigger,
            report,
            "Sync job failed",
            failed = failed,
            error_type = error_type,
            error = error
        ),
        Status::Cancelled => closing_event!(
            warn,
            job,
            trigger,
            report,
            "Sync job was cancelled",
            error_type = ErrorType::Cancelled.as_str()
        ),
    }
}
