//! What a run did, and what it could not do.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::error_type::ErrorType;

/// How many failed paths a report names; the others are counted in
/// [`Report::errors_omitted`].
pub const MAX_REPORTED_ERRORS: usize = 1000;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The destination is what the source was.
    Success,
    /// Finished, but something failed or was withheld; each is in the errors.
    Partial,
    /// Refused before anything was touched, or stopped at the first error.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl Status {
    /// Every value, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Success, Self::Partial, Self::Failed, Self::Cancelled];

    /// The name in logs, reports and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One thing that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileError {
    /// The path relative to both roots, escaped as by [`escape`](super::escape); a root itself is
    /// named in full.
    pub path: String,
    /// Why, from the closed list.
    pub error_type: ErrorType,
    /// What happened, for people.
    pub message: String,
}

/// What a run did. Files, symbolic links and directories are counted; the two roots are not.
///
/// After a dry run the counters tell what would have been done.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Entries that the destination did not have.
    pub created: u64,
    /// Entries whose content, type, mode, owner or time was brought up to date. A directory whose
    /// time was only touched up because its entries changed is not one of them.
    pub updated: u64,
    /// Entries that were removed because the source does not have them.
    pub deleted: u64,
    /// Entries that needed nothing.
    pub unchanged: u64,
    /// Special files (FIFO, socket, device) of the source; they are never opened nor made.
    pub skipped: u64,
    /// Entries that could not be synced; each is one of `errors`, or is counted in
    /// `errors_omitted`.
    pub failed: u64,
    /// Entries of the source that disappeared during the run.
    pub vanished: u64,
    /// Bytes of file content written to the destination.
    pub bytes_transferred: u64,
    /// How long the run took.
    pub duration: Duration,
    /// How it ended.
    pub status: Status,
    /// What failed or was withheld, at most [`MAX_REPORTED_ERRORS`].
    pub errors: Vec<FileError>,
    /// How many errors did not fit into `errors`.
    pub errors_omitted: u64,
    /// The same by [`ErrorType::ALL`], for metrics.
    pub omitted_by_type: [u64; ErrorType::ALL.len()],
    /// How many deletions were planned and not done because of the limit.
    pub deletions_withheld: u64,
}

impl Report {
    /// The report of a run that was refused before anything was touched.
    pub fn refused(path: String, error_type: ErrorType, message: String) -> Self {
        let error = FileError {
            path,
            error_type,
            message,
        };
        Self {
            status: Status::Failed,
            errors: vec![error],
            ..Self::empty()
        }
    }

    /// Created, updated and deleted entries together.
    pub fn files_processed(&self) -> u64 {
        self.created + self.updated + self.deleted
    }

    /// The share of entries that are as they should be, in percent: 100 when there were none and
    /// nothing went wrong, 0 when the run was refused.
    pub fn success_rate(&self) -> f64 {
        let good = self.files_processed() + self.unchanged;
        let all = good + self.failed;
        if all > 0 {
            // Counts of files are far below 2^53, where the conversion is exact.
            good as f64 * 100.0 / all as f64
        } else if self.status == Status::Failed {
            0.0
        } else {
            100.0
        }
    }

    /// The type of the first error, for the one line that tells how the run ended.
    pub fn error_type(&self) -> Option<ErrorType> {
        self.errors.first().map(|error| error.error_type)
    }

    pub(super) fn empty() -> Self {
        Self {
            created: 0,
            updated: 0,
            deleted: 0,
            unchanged: 0,
            skipped: 0,
            failed: 0,
            vanished: 0,
            bytes_transferred: 0,
            duration: Duration::ZERO,
            status: Status::Success,
            errors: Vec::new(),
            errors_omitted: 0,
            omitted_by_type: [0; ErrorType::ALL.len()],
            deletions_withheld: 0,
        }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let duration_ms = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        let mut object = serializer.serialize_struct("Report", 13)?;
        object.serialize_field("created", &self.created)?;
        object.serialize_field("updated", &self.updated)?;
        object.serialize_field("deleted", &self.deleted)?;
        object.serialize_field("unchanged", &self.unchanged)?;
        object.serialize_field("skipped", &self.skipped)?;
        object.serialize_field("failed", &self.failed)?;
        object.serialize_field("vanished", &self.vanished)?;
        object.serialize_field("bytes_transferred", &self.bytes_transferred)?;
        object.serialize_field("duration_ms", &duration_ms)?;
        object.serialize_field("status", &self.status)?;
        object.serialize_field("errors", &self.errors)?;
        object.serialize_field("errors_omitted", &self.errors_omitted)?;
        object.serialize_field("deletions_withheld", &self.deletions_withheld)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_keys_of_the_contract() {
        let report = Report::refused("/x".into(), ErrorType::SourceMissing, "gone".into());
        let json = serde_json::to_value(&report).expect("serializes");
        assert_eq!(json["status"], "failed");
        assert_eq!(json["duration_ms"], 0);
        assert_eq!(json["errors"][0]["error_type"], "source_missing");
        for key in ["created", "updated", "deleted", "unchanged", "skipped"] {
            assert_eq!(json[key], 0, "{key}");
        }
    }

    #[test]
    fn success_rate_is_whole_without_work_and_zero_when_refused() {
        assert!((Report::empty().success_rate() - 100.0).abs() < f64::EPSILON);
        let refused = Report::refused(String::new(), ErrorType::Overlap, String::new());
        assert!(refused.success_rate().abs() < f64::EPSILON);
        let half = Report {
            unchanged: 1,
            failed: 1,
            ..Report::empty()
        };
        assert!((half.success_rate() - 50.0).abs() < f64::EPSILON);
    }
}
