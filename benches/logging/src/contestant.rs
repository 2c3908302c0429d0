//! What takes part.

use std::path::Path;

use crate::work::Job;

/// Records between the callers and the file, for everybody.
pub const CAPACITY: usize = 16_384;

/// A logging system under test.
pub trait Contestant: Sync + Sized {
    /// What holds the surrounding span, or its one field where the peer has no
    /// spans.
    type Span;

    /// Installs it: JSON lines to a file in `directory`, from INFO on.
    fn open(directory: &Path) -> Self;

    /// Enters the span `job` with the field `run_id`, on this thread.
    fn enter(&self, run_id: u64) -> Self::Span;

    /// Logs one INFO event with the fields of the job.
    fn event(&self, span: &Self::Span, job: &Job);

    /// The same at DEBUG, which is filtered out.
    fn disabled(&self, span: &Self::Span, job: &Job);

    /// Returns once everything is in the file.
    fn close(self);
}

/// Emits one event through the macros of `tracing` or of those who copied them.
macro_rules! event {
    ($emit:path, $job:expr) => {
        $emit!(
            job_name = $job.job_name,
            duration_ms = $job.duration_ms,
            files_processed = $job.files_processed,
            bytes_transferred = $job.bytes_transferred,
            success_rate = $job.success_rate,
            "Backup job completed"
        )
    };
}
pub(crate) use event;

/// `enter`, `event` and `disabled` of everybody who is a subscriber of `tracing`.
macro_rules! through_tracing {
    () => {
        type Span = tracing::span::EnteredSpan;

        fn enter(&self, run_id: u64) -> Self::Span {
            tracing::info_span!("job", run_id).entered()
        }

        fn event(&self, _: &Self::Span, job: &crate::work::Job) {
            crate::contestant::event!(tracing::info, job);
        }

        fn disabled(&self, _: &Self::Span, job: &crate::work::Job) {
            crate::contestant::event!(tracing::debug, job);
        }
    };
}
pub(crate) use through_tracing;
