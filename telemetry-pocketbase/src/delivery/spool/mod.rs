//! Where records wait until they are delivered.
//!
//! A spool is one queue in the order of keys. When it is full it gives up the
//! least valuable records first: the oldest DEBUG or TRACE, then the oldest
//! INFO, then the oldest WARN, then the oldest ERROR. One on disk gives up a page
//! of them at a time, since it keeps them so.

mod bounded_file;
mod change;
mod disk;
mod leaky;
mod memory;
mod pack;
mod reading;

use std::io;
use std::path::PathBuf;

use telemetry_core::LEVELS;

use super::record::{Fresh, Stored};

pub use disk::{DiskSpool, Fit};
pub use memory::MemorySpool;

/// Keeps records in the order of their arrival.
pub trait Spool: Send {
    /// Takes over `records`; durable when it returns, if the spool is
    /// [durable](Self::is_durable) at all. May give up others for them, but
    /// none with a key up to `protected`, which are being uploaded.
    ///
    /// # Errors
    /// Nothing was taken over. The spool must be opened anew.
    fn append(
        &mut self,
        records: &[Fresh<'_>],
        protected: Option<u64>,
    ) -> Result<Evicted, SpoolError>;

    /// Most bytes of lines that one [`append`](Self::append) should bring.
    fn append_limit(&self) -> usize;

    /// The oldest records behind the key `after`, or of all: at most `records`,
    /// and no more than `bytes`, but at least one if there is any. Records that
    /// make no sense are taken out.
    ///
    /// # Errors
    /// The spool must be opened anew.
    fn load(
        &mut self,
        after: Option<u64>,
        records: usize,
        bytes: usize,
    ) -> Result<Loaded, SpoolError>;

    /// Takes records out; durable after the next [`append`](Self::append) or
    /// [`sync`](Self::sync). Returns how many of them were there.
    ///
    /// # Errors
    /// Nothing was taken out. The spool must be opened anew.
    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError>;

    /// Makes removals durable; cheap when there were none.
    ///
    /// # Errors
    /// The spool must be opened anew.
    fn sync(&mut self) -> Result<(), SpoolError>;

    /// What it holds.
    fn holdings(&self) -> Holdings;

    /// Its size on disk, 0 for one in memory.
    fn file_bytes(&self) -> u64;

    /// Whether its records survive the process.
    fn is_durable(&self) -> bool;

    /// What was last given to [`remember_breaker`](Self::remember_breaker),
    /// perhaps by an earlier process.
    fn breaker_was_open(&self) -> bool;

    /// Remembers the breaker, for the next start.
    ///
    /// # Errors
    /// The spool must be opened anew.
    fn remember_breaker(&mut self, open: bool) -> Result<(), SpoolError>;
}

/// What was read from a spool.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The records, in the order of their keys.
    pub records: Vec<Stored>,
    /// Records that made no sense and were taken out, by level.
    pub senseless: [u64; LEVELS.len()],
    /// Something was not as the spool had counted it, and was counted anew:
    /// what it [holds](Spool::holdings) may be any number now.
    pub is_counted_anew: bool,
}

/// Numbers of records by level, in the order of [`LEVELS`].
pub(crate) type ByLevel = [u64; LEVELS.len()];

/// Records given up for others, by level.
pub type Evicted = [u64; LEVELS.len()];

/// Levels in the order in which a full spool gives them up; those of one group
/// by age.
const EVICTION_ORDER: [&[usize]; 4] = [&[3, 4], &[2], &[1], &[0]];

/// What a spool holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Records by level, in the order of [`LEVELS`].
    pub records: [u64; LEVELS.len()],
    /// Bytes of all their lines.
    pub bytes: u64,
    /// The oldest record, or a key before it, behind the last that was removed.
    pub first_key: Option<u64>,
    /// The newest record, or a removed one behind it.
    pub last_key: Option<u64>,
}

impl Holdings {
    /// Records of all levels.
    pub fn total(&self) -> u64 {
        self.records.iter().sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }
}

/// Why a spool did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// Another process has it.
    #[error("another process uses it")]
    InUse,
    /// The directory or the file cannot be made, or not be set aside.
    #[error("cannot use {path}")]
    File {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is of a version of this program that is newer than this one.
    #[error("its version is {found}, this program knows {known}")]
    Version {
        /// Version of the file.
        found: u64,
        /// Newest version that is known.
        known: u64,
    },
    /// The file may not grow as it wants to: open the spool anew, at full size
    /// or, if it has that, tighter.
    #[error("it may not grow as far as was thought")]
    NoRoom {
        /// The file is smaller than its bound.
        may_grow: bool,
    },
    /// The disk did not do what it should.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// The content makes no sense.
    #[error("it is corrupt: {0}")]
    Corrupt(String),
}

#[cfg(test)]
mod tests;
