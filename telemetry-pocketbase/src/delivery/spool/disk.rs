//! A spool in one `redb` file.
//!
//! # Layout
//! One table for each level, from key to record, so that the oldest record of a
//! level is found without a search and counting costs nothing. Keys count over
//! all levels. A value is the id (15 bytes) and the line. The table `meta` holds
//! the version of the layout, the sums of sizes and the state of the breaker.
//!
//! # The bound on the file
//! `redb` lets its file grow by doubling it, so only a file of half the bound
//! is sure to have room: one that is greater may not be able to double. The
//! bound is kept twice. First, records are given up as soon as the estimated
//! size of all of them exceeds half the bound. Second, the file itself refuses
//! to grow beyond the bound: the transaction fails with [`SpoolError::NoRoom`],
//! nothing of it is stored, and the caller opens the spool anew, tighter.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, Durability};
use telemetry_core::level_index;

use super::bounded_file::{BoundedFile, Growth};
use super::change::{Change, META_BREAKER_OPEN, META_VERSION, Sums, cost};
use super::reading::load;
use super::{Evicted, Fresh, Holdings, Spool, SpoolError, Stored};

/// Version of the layout.
const VERSION: u64 = 1;

/// Memory that `redb` may use for pages.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Most bytes of lines in one transaction: what it changes exists twice until
/// it is committed.
const TRANSACTION_BYTES: usize = 512 * 1024;

/// Keeps records in a file.
#[derive(Debug)]
pub struct DiskSpool {
    database: Database,
    growth: Arc<Growth>,
    /// Bound on [`Sums::cost`].
    limit: u64,
    sums: Sums,
    holdings: Holdings,
    breaker_was_open: bool,
    has_removals: bool,
}

impl DiskSpool {
    /// Opens or makes the spool at `path`, whose file will not exceed
    /// `max_bytes`. Takes a moment and little memory, whatever its size.
    /// `tightness` is 0, and one more after each [`SpoolError::NoRoom`].
    ///
    /// A file that makes no sense is renamed to `<path>.corrupt` (in place of
    /// an earlier one), and a new one begun; the reason is returned beside it.
    ///
    /// # Errors
    /// [`SpoolError::InUse`] if another process has it, [`SpoolError::Version`]
    /// if a newer program wrote it, [`SpoolError::File`] and
    /// [`SpoolError::Disk`] if the system refuses.
    pub fn open(
        path: &Path,
        max_bytes: u64,
        tightness: u32,
    ) -> Result<(Self, Option<String>), SpoolError> {
        match Self::try_open(path, max_bytes, tightness) {
            Err(SpoolError::Corrupt(reason)) => {
                let (spool, report) = Self::begin_anew(path, max_bytes, tightness, &reason)?;
                Ok((spool, Some(report)))
            }
            other => Ok((other?, None)),
        }
    }

    /// As [`open`](Self::open), for a file that made no sense while it was
    /// used, for this reason.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn begin_anew(
        path: &Path,
        max_bytes: u64,
        tightness: u32,
        reason: &str,
    ) -> Result<(Self, String), SpoolError> {
        let aside = set_aside(path)?;
        let spool = Self::try_open(path, max_bytes, tightness)?;
        let report = format!("{reason}; it was renamed to {}", aside.display());
        Ok((spool, report))
    }

    fn try_open(path: &Path, max_bytes: u64, tightness: u32) -> Result<Self, SpoolError> {
        let backend = BoundedFile::open(path, max_bytes)?;
        let growth = backend.growth();
        let database = guarded(|| {
            Ok(Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(backend)
                .map_err(redb::Error::from)?)
        })?;
        let mut spool = Self {
            database,
            growth,
            limit: cost_limit(max_bytes, tightness),
            sums: Sums::default(),
            holdings: Holdings::default(),
            breaker_was_open: false,
            has_removals: false,
        };
        spool.read_meta()?;
        Ok(spool)
    }

    fn read_meta(&mut self) -> Result<(), SpoolError> {
        self.breaker_was_open = self.change(Durability::Immediate, |change| {
            match change.meta(META_VERSION)? {
                None => change.set_meta(META_VERSION, VERSION)?,
                Some(VERSION) => {}
                Some(found) => {
                    return Err(SpoolError::Version {
                        found,
                        known: VERSION,
                    });
                }
            }
            Ok(change.meta(META_BREAKER_OPEN)?.unwrap_or(0) != 0)
        })?;
        Ok(())
    }

    /// Runs one transaction; its sums count once it is committed.
    fn change<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let is_durable = matches!(durability, Durability::Immediate);
        let database = &self.database;
        let changed = guarded(|| {
            let mut transaction = database.begin_write().map_err(redb::Error::from)?;
            transaction
                .set_durability(durability)
                .map_err(|error| SpoolError::Disk(error.to_string()))?;
            let (result, sums, holdings) = {
                let mut change = Change::begin(&transaction)?;
                let result = work(&mut change)?;
                change.store_sums()?;
                (result, change.sums, change.holdings()?)
            };
            transaction.commit().map_err(redb::Error::from)?;
            Ok((result, sums, holdings))
        });
        match changed {
            Ok((result, sums, holdings)) => {
                self.sums = sums;
                self.holdings = holdings;
                self.has_removals &= !is_durable;
                Ok(result)
            }
            Err(_) if self.growth.was_refused() => Err(SpoolError::NoRoom),
            Err(error) => Err(error),
        }
    }
}

impl Spool for DiskSpool {
    fn append(
        &mut self,
        records: &[Fresh<'_>],
        protected: Option<u64>,
    ) -> Result<Evicted, SpoolError> {
        let limit = self.limit;
        let new_cost = records.iter().map(|record| cost(record.line.len())).sum();
        self.change(Durability::Immediate, |change| {
            // First make room, then use it: the other way round the file would
            // have to hold both.
            let mut evicted = change.evict(limit.saturating_sub(new_cost), protected)?;
            for record in records {
                change.insert(record)?;
            }
            for (sum, more) in evicted.iter_mut().zip(change.evict(limit, protected)?) {
                *sum += more;
            }
            Ok(evicted)
        })
    }

    fn append_limit(&self) -> usize {
        TRANSACTION_BYTES
    }

    fn load(&mut self, records: usize, bytes: usize) -> Result<Vec<Stored>, SpoolError> {
        guarded(|| load(&self.database, records, bytes))
    }

    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError> {
        let removed = self.change(Durability::None, |change| {
            let mut removed = 0;
            for record in records {
                removed += u64::from(change.take(level_index(record.level), record.key)?);
            }
            Ok(removed)
        })?;
        self.has_removals = true;
        Ok(removed)
    }

    fn sync(&mut self) -> Result<(), SpoolError> {
        if self.has_removals {
            self.change(Durability::Immediate, |_| Ok(()))?;
        }
        Ok(())
    }

    fn holdings(&self) -> Holdings {
        self.holdings
    }

    fn file_bytes(&self) -> u64 {
        self.growth.file_bytes()
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn breaker_was_open(&self) -> bool {
        self.breaker_was_open
    }

    fn remember_breaker(&mut self, open: bool) -> Result<(), SpoolError> {
        self.change(Durability::Immediate, |change| {
            change.set_meta(META_BREAKER_OPEN, u64::from(open))
        })?;
        self.breaker_was_open = open;
        Ok(())
    }
}

/// What the estimated cost of all records may be in a file of `max_bytes`.
fn cost_limit(max_bytes: u64, tightness: u32) -> u64 {
    let room = max_bytes / 2;
    // An eighth is for what a transaction changes, until the old pages are free.
    let mut limit = (room - room / 8).saturating_sub(2 * TRANSACTION_BYTES as u64);
    for _ in 0..tightness.min(16) {
        limit -= limit / 8;
    }
    limit
}

/// Runs `work`; a panic over senseless pages becomes an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, SpoolError>) -> Result<T, SpoolError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(SpoolError::Corrupt("a page makes no sense".to_owned())))
}

impl From<redb::Error> for SpoolError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse,
            redb::Error::Corrupted(reason) => Self::Corrupt(reason),
            redb::Error::UpgradeRequired(version) => {
                Self::Corrupt(format!("its file format is {version}"))
            }
            redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => {
                Self::Corrupt(error.to_string())
            }
            redb::Error::Io(source) if source.kind() == std::io::ErrorKind::InvalidData => {
                Self::Corrupt(source.to_string())
            }
            other => Self::Disk(other.to_string()),
        }
    }
}

fn set_aside(path: &Path) -> Result<PathBuf, SpoolError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".corrupt");
    let aside = PathBuf::from(name);
    fs::rename(path, &aside).map_err(|source| SpoolError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(aside)
}
