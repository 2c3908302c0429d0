//! A log file that rotates by day, hour and size and archives as xz.
//!
//! [`FileSink`] appends each record as one JSON line to one file, whose name
//! never changes. When a day or hour is over, or the file would grow too large,
//! it is renamed to an archive beside it, and a thread in the background
//! compresses that and removes the archives that are too many, too old or too
//! large.
//!
//! It promises:
//! - No line is lost, doubled or torn by a rotation, however it ends. An archive
//!   is complete and on the disk before its source goes.
//! - The caller never waits for compression.
//! - A disk that is full, read-only or gone is no panic and no silence: it is
//!   said once on stderr, each lost record is counted, the health says why, and
//!   writing resumes by itself.
//! - Nothing that is not ours is overwritten, followed or removed: strict names,
//!   no symbolic links, one writer at a time.
//!
//! It does not promise that a record is on the disk when `write` returns (see
//! [`FileSync`]), it does not hold records back while the disk is away, and it
//! writes on the thread that calls it: where a hung disk must not hold the
//! caller, put a `Queue` in front.
//!
//! # Example
//! ```
//! use telemetry_core::{Capture, Identity, Numbered};
//! use telemetry_file::{FileConfig, FileSink, Frequency, RotationConfig};
//! use tracing_subscriber::layer::SubscriberExt as _;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("daemon.log");
//! let file = FileSink::open(FileConfig {
//!     path: path.clone(),
//!     rotation: RotationConfig {
//!         frequency: Frequency::Hourly,
//!         keep_files: 48,
//!         ..RotationConfig::default()
//!     },
//!     ..FileConfig::default()
//! })?;
//! let identity = Identity::new(uuid::Uuid::new_v4());
//! let capture = Capture::new(identity, Numbered::new(file));
//! let subscriber = tracing_subscriber::registry().with(capture);
//! tracing::subscriber::with_default(subscriber, || {
//!     tracing::info!(files = 3, "copied");
//! });
//! assert!(std::fs::read_to_string(path)?.contains(r#""message":"copied""#));
//! # Ok(())
//! # }
//! ```
//!
//! # Names of archives
//! `STEM-YYYY-MM-DD[THH][±ZZZZ].N.log[.xz]` beside the file, where `daemon` is
//! the stem of `daemon.log`: the day (or hour) whose records it holds, with its
//! offset from UTC if that is local time, and a number from 0 in the order of
//! time. `ls -v` sorts them. A file belongs to the period of its first record,
//! after a restart too: the timestamp of the first line tells (of a line that is
//! not ours, the time of the last write). It is set aside when the first record
//! of a later period arrives, not by a timer, not even when `batch_end` finds it
//! idle: records of the old period may still wait in a queue, and a file that
//! nothing is written to is as good in its place. Records count by their own
//! timestamps. A clock that goes back rotates nothing and takes no name twice.
//! With [`Frequency::Never`] the day is
//! that of the first record.
//!
//! # Rotation from outside
//! A file that `logrotate` or somebody else moved is noticed by the next `write`
//! or `batch_end` after a second (behind a `Queue` that is within two seconds,
//! idle or not), and at once by `reopen` (SIGHUP): until then records go to the
//! file that was moved. One that was deleted, truncated or written to by others
//! is noticed before anything else is written to it, so that no record goes to a
//! file without a name, or behind half a line; `copytruncate` is safe.
//!
//! # Reading back
//! [`read`] finds records by time, level, target, field and pattern in the file
//! and its archives, and follows what is being written.

// What callers hold, and what stands behind its lock.
mod config;
mod error;
mod sink;
mod writer;

// The file: when it is set aside, and what becomes of it.
mod active;
mod durability;
mod line;
mod rotation;

// The archives beside it.
mod archive_name;
mod archiver;
mod directory;
mod retention;
mod xz;
mod xz_index;

// Reading them back.
pub mod read;

// Books, clocks and systems.
mod accounts;
mod clock;
mod platform;
mod surroundings;

#[cfg(test)]
mod model;
#[cfg(test)]
mod stories;

pub use clock::{Clock, SystemClock};
pub use config::{
    Compression, DEFAULT_COMPRESSION_LEVEL, DEFAULT_DIR_MODE, DEFAULT_FILE_MODE,
    DEFAULT_KEEP_FILES, DEFAULT_MAX_SIZE_BYTES, DEFAULT_MIN_FREE_BYTES, DEFAULT_PATH, FileConfig,
    FileSync, Format, Frequency, RotationConfig, Timezone,
};
pub use error::FileError;
pub use sink::FileSink;
