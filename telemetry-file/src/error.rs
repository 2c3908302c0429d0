//! Why a log file cannot be used.

use std::io;
use std::path::PathBuf;

use crate::xz;

/// Why a log file cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The path ends in nothing that could name a file.
    #[error(
        "log file path {path:?} does not name a file in UTF-8; give a path such as logs/daemon.log"
    )]
    NoFileName {
        /// The configured path.
        path: PathBuf,
    },
    /// There is a directory where the file should be.
    #[error("log file path {path:?} is a directory; give the path of a file in it")]
    IsDirectory {
        /// The configured path.
        path: PathBuf,
    },
    /// A link could lead the records into somebody else's file.
    #[error(
        "log file path {path:?} is a symbolic link, which is not followed; give the path it points to"
    )]
    IsSymlink {
        /// The configured path.
        path: PathBuf,
    },
    /// A device, a socket or a pipe: nothing that can be rotated.
    #[error("log file path {path:?} is not a regular file")]
    NotRegular {
        /// The configured path.
        path: PathBuf,
    },
    /// Two writers would tear each other's rotation apart.
    #[error(
        "log file {path:?} is in use by another process or sink; stop it or choose another path"
    )]
    Locked {
        /// The configured path.
        path: PathBuf,
    },
    /// xz knows the levels 0 to 9.
    #[error("compression level {level} does not exist; choose 0 to 9")]
    CompressionLevel {
        /// The configured level.
        level: u32,
    },
    /// The system refused a background thread.
    #[error("cannot start thread `{name}` of the log file")]
    Thread {
        /// Name of the thread.
        name: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be opened or written at the moment. `FileSink::open`
    /// does not return this: it tries again instead.
    #[error("log file {path:?} cannot be written: {reason}")]
    Unwritable {
        /// The configured path.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is neither a log file nor an archive of one.
    #[error("there is no log file {path:?} and no archive of it")]
    NoLog {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file of the log cannot be read, or not to its end.
    #[error("log file {path:?} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system or the format said.
        reason: String,
    },
}

impl FileError {
    pub(crate) fn unreadable(path: &std::path::Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::IsADirectory => Self::IsDirectory { path },
            _ if xz::is_damage(error) => Self::Unreadable {
                path,
                reason: format!("cut or damaged ({error})"),
            },
            _ => Self::Unreadable {
                path,
                reason: error.to_string(),
            },
        }
    }

    /// True when the path itself is at fault, so that trying again later is
    /// not what anybody wants at the start.
    pub(crate) fn is_configuration(&self) -> bool {
        !matches!(self, Self::Unwritable { .. })
    }
}
