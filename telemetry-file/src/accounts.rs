//! What became of the records, and how the sink is.
//!
//! The accounts have a lock of their own, held for a few additions and never
//! during I/O: `stats` answers even while the disk hangs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use telemetry_core::{Health, LossReason, SinkStats};
use tracing::Level;

use crate::surroundings::Complain;

/// Name of the sink in statistics and errors.
pub(crate) const SINK_NAME: &str = "file";

/// What can go wrong, each once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Records are lost.
    Write,
    /// The file stays longer than it should.
    Rotate,
    /// Records may not survive a power loss.
    Sync,
    /// Archives are not compressed, or not removed.
    Archive,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Write, Self::Rotate, Self::Sync, Self::Archive];

    fn begins(self, path: &Path, reason: &str) -> String {
        match self {
            Self::Write => format!(
                "cannot write log file {path:?}: {reason}; records are dropped and counted until it works again"
            ),
            Self::Rotate => format!(
                "cannot rotate log file {path:?}: {reason}; writing goes on in the same file"
            ),
            Self::Sync => format!(
                "cannot force log file {path:?} to the disk: {reason}; records may not survive a power loss"
            ),
            Self::Archive => format!(
                "cannot tidy the archives of log file {path:?}: {reason}; trying again, with pauses of up to ten minutes"
            ),
        }
    }

    fn ends(self, path: &Path) -> String {
        match self {
            Self::Write => format!("log file {path:?} is written again"),
            Self::Rotate => format!("log file {path:?} rotates again"),
            Self::Sync => format!("log file {path:?} reaches the disk again"),
            Self::Archive => format!("the archives of log file {path:?} are tidy again"),
        }
    }
}

/// The books of one sink.
pub(crate) struct Accounts {
    path: PathBuf,
    complain: Complain,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    stats: SinkStats,
    troubles: [Option<String>; Trouble::ALL.len()],
    /// What had been dropped when writing began to fail.
    dropped_before: u64,
}

impl Accounts {
    pub(crate) fn new(path: &Path, complain: Complain) -> Self {
        Self {
            path: path.to_owned(),
            complain,
            books: Mutex::default(),
        }
    }

    /// So many records were offered, and are pending now.
    pub(crate) fn accept(&self, count: u64) {
        let stats = &mut self.books().stats;
        stats.accepted += count;
        stats.pending += count;
    }

    /// Pending records have reached the file.
    pub(crate) fn deliver(&self, count: usize) {
        let stats = &mut self.books().stats;
        stats.pending -= count as u64;
        stats.delivered += count as u64;
    }

    /// Pending records are lost.
    pub(crate) fn lose(&self, reason: LossReason, levels: impl IntoIterator<Item = Level>) {
        let stats = &mut self.books().stats;
        for level in levels {
            stats.pending -= 1;
            stats.dropped += 1;
            stats.lost.add(reason, level, 1);
        }
    }

    /// Something goes wrong; said on stderr the first time.
    pub(crate) fn begin(&self, trouble: Trouble, reason: &str) {
        let mut books = self.books();
        let dropped = books.stats.dropped;
        let before = books.troubles[trouble as usize].replace(reason.to_owned());
        if before.is_some() {
            return;
        }
        if trouble == Trouble::Write {
            books.dropped_before = dropped;
        }
        drop(books);
        (self.complain)(&trouble.begins(&self.path, reason));
    }

    /// It works; said on stderr if it did not before.
    pub(crate) fn end(&self, trouble: Trouble) {
        let mut books = self.books();
        if books.troubles[trouble as usize].take().is_none() {
            return;
        }
        let lost = books.stats.dropped - books.dropped_before;
        drop(books);
        let mut message = trouble.ends(&self.path);
        if trouble == Trouble::Write {
            message.push_str(&format!("; {lost} records were lost meanwhile"));
        }
        (self.complain)(&message);
    }

    /// True between the beginning of a trouble and its end.
    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.books().troubles[trouble as usize].is_some()
    }

    /// Why records are being lost, if they are.
    pub(crate) fn failure(&self) -> Option<String> {
        self.books().troubles[Trouble::Write as usize].clone()
    }

    pub(crate) fn pending(&self) -> u64 {
        self.books().stats.pending
    }

    pub(crate) fn snapshot(&self) -> SinkStats {
        let books = self.books();
        SinkStats {
            name: SINK_NAME.into(),
            health: self.health(&books),
            ..books.stats.clone()
        }
    }

    fn health(&self, books: &Books) -> Health {
        if let Some(reason) = &books.troubles[Trouble::Write as usize] {
            return Health::Failing(format!("cannot write {:?}: {reason}", self.path));
        }
        let reasons: Vec<String> = Trouble::ALL
            .into_iter()
            .filter_map(|trouble| {
                let reason = books.troubles[trouble as usize].as_deref()?;
                Some(trouble.begins(&self.path, reason))
            })
            .collect();
        if reasons.is_empty() {
            return Health::Good;
        }
        Health::Degraded(reasons.join("; "))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
