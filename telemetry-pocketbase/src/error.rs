//! What can go wrong before the uploader runs, and in the setup functions.

use std::io;
use std::path::PathBuf;

use crate::delivery::SpoolError;

/// Why something of this crate could not be done.
///
/// Troubles of the running uploader are not errors: it keeps the records, tries
/// again and tells in [`Sink::stats`](telemetry_core::Sink::stats).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PocketBaseError {
    /// A value of the configuration cannot be.
    #[error("`{field}` {why}")]
    Config {
        /// The field of [`PocketBaseConfig`](crate::PocketBaseConfig).
        field: &'static str,
        /// What it must be.
        why: String,
    },
    /// The spool belongs to another process, or cannot be opened.
    #[error("cannot open the spool {path}")]
    Spool {
        /// Its file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: SpoolError,
    },
    /// A file could not be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no thread.
    #[error("cannot start the thread {name}")]
    Thread {
        /// Name of the thread.
        name: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No answer came.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// The server.
        url: String,
        /// What happened instead.
        why: String,
    },
    /// The server answered and refused.
    #[error("the server refused {what}: HTTP {status}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The status of the answer.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// The server has something by this name that is not what is needed;
    /// changing it could destroy data, so a person must decide.
    #[error("{what}: {why}; change or rename it, then run the setup again")]
    Conflict {
        /// The thing on the server.
        what: String,
        /// What is in the way.
        why: String,
    },
}
