//! Counts what a run does, and tells the log about it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::escape_path;
use super::failure::Failure;
use super::report::{FileError, MAX_REPORTED_ERRORS, Report, Status};
use crate::error_type::ErrorType;

/// The counters of one run, shared by its threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    created: AtomicU64,
    updated: AtomicU64,
    deleted: AtomicU64,
    unchanged: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    vanished: AtomicU64,
    bytes: AtomicU64,
    errors: Mutex<Vec<FileError>>,
    /// By [`ErrorType::ALL`].
    omitted: [AtomicU64; ErrorType::ALL.len()],
    warned_about_special_files: AtomicBool,
}

/// What was done to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It was not there.
    Create,
    /// It was brought up to date.
    Update,
    /// It is gone.
    Delete,
}

impl Operation {
    /// The imperative, as a plan has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// The past participle, as logs and metrics have it.
    pub fn done_str(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Update => "updated",
            Self::Delete => "deleted",
        }
    }
}

impl Tally {
    /// One entry is done. The path is only put together if somebody listens.
    pub(super) fn done(&self, operation: Operation, bytes: u64, path: impl FnOnce() -> PathBuf) {
        self.add(operation, 1);
        if tracing::enabled!(tracing::Level::DEBUG) {
            let path = escape_path(&path());
            let operation = operation.done_str();
            tracing::debug!(%path, operation, bytes, "entry synced");
        }
    }

    /// So many entries are done, without an event for each.
    pub(super) fn add(&self, operation: Operation, count: u64) {
        let counter = match operation {
            Operation::Create => &self.created,
            Operation::Update => &self.updated,
            Operation::Delete => &self.deleted,
        };
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// One entry could not be synced.
    pub(super) fn failed(&self, path: &Path, failure: Failure) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let path = escape_path(path);
        tracing::debug!(
            %path,
            operation = "failed",
            bytes = 0_u64,
            error_type = failure.error_type.as_str(),
            error = failure.message,
            "entry failed"
        );
        self.note(path, failure);
    }

    /// Something to be named among the errors that is no entry of its own.
    pub(super) fn note(&self, path: String, failure: Failure) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() < MAX_REPORTED_ERRORS {
            errors.push(FileError {
                path,
                error_type: failure.error_type,
                message: failure.message,
            });
        } else {
            self.omitted[failure.error_type as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One entry of the source disappeared before it could be copied.
    pub(super) fn vanished(&self, path: &Path) {
        self.vanished.fetch_add(1, Ordering::Relaxed);
        if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(path = %escape_path(path), operation = "vanished", bytes = 0_u64, "entry vanished");
        }
    }

    /// One special file of the source was left out; the first of a run is worth a warning.
    pub(super) fn skipped(&self, path: &Path) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        if !self
            .warned_about_special_files
            .swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                path = %escape_path(path),
                "special files (FIFO, socket, device) are skipped; this is the first one"
            );
        }
    }

    pub(super) fn unchanged(&self, count: u64) {
        self.unchanged.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn has_failures(&self) -> bool {
        self.failed.load(Ordering::Relaxed) > 0
    }

    /// The report, still without status and duration.
    pub(super) fn into_report(self) -> Report {
        let mut errors = self
            .errors
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        // Threads report in any order; people read in the order of names.
        errors.sort_by(|a, b| a.path.cmp(&b.path));
        let omitted_by_type = self.omitted.map(AtomicU64::into_inner);
        Report {
            created: self.created.into_inner(),
            updated: self.updated.into_inner(),
            deleted: self.deleted.into_inner(),
            unchanged: self.unchanged.into_inner(),
            skipped: self.skipped.into_inner(),
            failed: self.failed.into_inner(),
            vanished: self.vanished.into_inner(),
            bytes_transferred: self.bytes.into_inner(),
            errors,
            errors_omitted: omitted_by_type.iter().sum(),
            omitted_by_type,
            status: Status::Success,
            ..Report::empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_are_not_named_are_counted_by_type() {
        let tally = Tally::default();
        for _ in 0..MAX_REPORTED_ERRORS {
            tally.note("a".to_owned(), Failure::new(ErrorType::Read, "torn"));
        }
        for error_type in [ErrorType::Read, ErrorType::NoSpace, ErrorType::NoSpace] {
            tally.note("b".to_owned(), Failure::new(error_type, "later"));
        }
        let report = tally.into_report();
        assert_eq!(report.errors.len(), MAX_REPORTED_ERRORS);
        assert_eq!(report.errors_omitted, 3);
        assert_eq!(report.omitted_by_type[ErrorType::NoSpace as usize], 2);
        assert_eq!(report.omitted_by_type[ErrorType::Read as usize], 1);
    }
}
