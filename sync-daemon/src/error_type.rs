//! The closed list of what can go wrong, as logs and metrics name it.

use serde::Serialize;

/// Why something failed: the `error_type` of log lines, reports and metric labels.
///
/// The list is closed: dashboards and alerts are written against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    /// The source directory does not exist.
    SourceMissing,
    /// The source is empty while the destination is not; an unmounted disk looks like this.
    SourceEmpty,
    /// The source, or a directory in it, cannot be listed.
    SourceUnreadable,
    /// The destination cannot be created or opened.
    DestinationUnavailable,
    /// Source and destination contain each other.
    Overlap,
    /// More deletions were planned than the options allow.
    DeleteLimit,
    /// The operating system refused access.
    Permission,
    /// The disk, or a quota, is full.
    NoSpace,
    /// Reading a source file failed.
    Read,
    /// Writing, renaming or deleting in the destination failed.
    Write,
    /// A file kept changing while it was copied.
    Changed,
    /// Another process or job holds the lock.
    Locked,
    /// A bounded wait ran out.
    Timeout,
    /// Stopped on request.
    Cancelled,
    /// The code panicked; this is a bug.
    Panic,
    /// The configuration is wrong.
    Config,
    /// A log record could not be written.
    LogWrite,
    /// A log record could not be uploaded.
    Upload,
    /// The metrics endpoint or a collector failed.
    Metrics,
    /// Anything else; this is a bug.
    Internal,
}

impl ErrorType {
    /// Every value, in the order of the documentation.
    pub const ALL: [Self; 20] = [
        Self::SourceMissing,
        Self::SourceEmpty,
        Self::SourceUnreadable,
        Self::DestinationUnavailable,
        Self::Overlap,
        Self::DeleteLimit,
        Self::Permission,
        Self::NoSpace,
        Self::Read,
        Self::Write,
        Self::Changed,
        Self::Locked,
        Self::Timeout,
        Self::Cancelled,
        Self::Panic,
        Self::Config,
        Self::LogWrite,
        Self::Upload,
        Self::Metrics,
        Self::Internal,
    ];

    /// The name in logs, reports and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SourceMissing => "source_missing",
            Self::SourceEmpty => "source_empty",
            Self::SourceUnreadable => "source_unreadable",
            Self::DestinationUnavailable => "destination_unavailable",
            Self::Overlap => "overlap",
            Self::DeleteLimit => "delete_limit",
            Self::Permission => "permission",
            Self::NoSpace => "no_space",
            Self::Read => "read",
            Self::Write => "write",
            Self::Changed => "changed",
            Self::Locked => "locked",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
            Self::Config => "config",
            Self::LogWrite => "log_write",
            Self::Upload => "upload",
            Self::Metrics => "metrics",
            Self::Internal => "internal",
        }
    }
}

impl std::fmt::Display for ErrorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
