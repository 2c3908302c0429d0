//! A spool in one `redb` file.
//!
//! # Layout
//! One table for each level, from key to record, so that the oldest record of a
//! level is found without a search and counting costs nothing. Keys count over
//! all levels. A value is a checksum, the id and the line. The table `meta` holds
//! the version of the layout, the sums of sizes and the state of the breaker.
//!
//! # The bound on the file
//! The bound is kept twice. First, records are given up as soon as the estimated
//! size of all of them exceeds it. Second, the file itself refuses to grow beyond
//! it: the transaction fails with [`SpoolError::NoRoom`], nothing of it is stored,
//! and the caller opens the spool anew. `redb` lets its file grow by doubling it,
//! so that happens at more than half of the bound: then the file is set to its
//! full size by hand. If it has that already the estimate was wrong, and the spool
//! is opened tighter.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, Durability, StorageBackend};
use telemetry_core::level_index;

use super::bounded_file::{BoundedFile, Growth, full_size, open_file};
use super::change::{Change, META_BREAKER_OPEN, META_VERSION, Sums};
use super::leaky::Leaky;
use super::reading::load;
use super::{ByLevel, Evicted, Fresh, Holdings, Loaded, Spool, SpoolError, Stored};
use crate::planted;

/// Version of the layout.
const VERSION: u64 = 1;

/// Memory that `redb` may use for pages.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Most bytes of lines in one transaction: what it changes exists twice until
/// it is committed.
const MAX_TRANSACTION_BYTES: u64 = 512 * 1024;

/// How a spool is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Bound on the size of the file.
    pub max_bytes: u64,
    /// Give the file its full size at once: after
    /// [`SpoolError::NoRoom`] with `may_grow`.
    pub at_full_size: bool,
    /// 0, and one more after each other [`SpoolError::NoRoom`].
    pub tightness: u32,
}

impl Fit {
    /// As a spool is opened first.
    pub fn within(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            at_full_size: false,
            tightness: 0,
        }
    }

    fn transaction_bytes(self) -> u64 {
        MAX_TRANSACTION_BYTES.min(self.max_bytes / 16)
    }

    /// What the estimated cost of all records may be.
    fn cost_limit(self) -> u64 {
        // An eighth is for what a transaction changes, until the old pages are free.
        let margin = self.max_bytes / 8 + 2 * self.transaction_bytes();
        let mut limit = self.max_bytes.saturating_sub(margin);
        for _ in 0..self.tightness.min(16) {
            limit -= limit / 8;
        }
        limit
    }
}

/// Keeps records in a file.
#[derive(Debug)]
pub struct DiskSpool {
    database: Guarded,
    growth: Arc<Growth>,
    fit: Fit,
    sums: Sums,
    holdings: Holdings,
    breaker_was_open: bool,
    /// Keys and levels of records that were taken out, but not of the file yet:
    /// the next transaction does that along with its own work, since one for
    /// each upload would cost more than the upload.
    gone: BTreeMap<u64, usize>,
}

impl DiskSpool {
    /// Opens or makes the spool at `path`, whose file will not exceed
    /// `fit.max_bytes`. Takes a moment and little memory, whatever its size.
    ///
    /// A file that makes no sense is renamed to `<path>.corrupt` (in place of
    /// an earlier one), and a new one begun; the reason is returned beside it.
    ///
    /// # Errors
    /// [`SpoolError::InUse`] if another process has it, [`SpoolError::Version`]
    /// if a newer program wrote it, [`SpoolError::File`] and
    /// [`SpoolError::Disk`] if the system refuses.
    pub fn open(path: &Path, fit: Fit) -> Result<(Self, Option<String>), SpoolError> {
        match Self::try_open(path, fit) {
            Err(SpoolError::Corrupt(reason)) => {
                let (spool, report) = Self::begin_anew(path, fit, &reason)?;
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
    pub fn begin_anew(path: &Path, fit: Fit, reason: &str) -> Result<(Self, String), SpoolError> {
        let aside = set_aside(path)?;
        let spool = Self::try_open(path, fit)?;
        let report = format!("{reason}; it was renamed to {}", aside.display());
        Ok((spool, report))
    }

    fn try_open(path: &Path, fit: Fit) -> Result<Self, SpoolError> {
        Self::on(open_file(path)?, fit)
    }

    /// Opens or makes a spool on whatever `redb` can write to.
    pub(crate) fn on(storage: impl StorageBackend, fit: Fit) -> Result<Self, SpoolError> {
        let backend = BoundedFile::new(storage, fit.max_bytes)?;
        if fit.at_full_size {
            backend.grow_to_bound()?;
        }
        let growth = backend.growth();
        let database = guarded(|| {
            Ok(Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(backend)
                .map_err(redb::Error::from)?)
        })
        .map_err(|error| no_room(&growth, fit, error))?;
        let mut spool = Self {
            database: Guarded(Some(database)),
            growth,
            fit,
            sums: Sums::default(),
            holdings: Holdings::default(),
            breaker_was_open: false,
            gone: BTreeMap::new(),
        };
        spool.read_meta()?;
        Ok(spool)
    }

    /// Opens the spool at `path` for a look at it: nothing is made, and nothing
    /// set aside.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`SpoolError::Corrupt`].
    pub(crate) fn look(path: &Path) -> Result<Self, SpoolError> {
        Self::try_open(path, Fit::within(u64::MAX))
    }

    /// The records from a key on, at most `bytes` of them but at least one, and
    /// how many made no sense. Takes nothing out.
    ///
    /// # Errors
    /// [`SpoolError::Disk`] and [`SpoolError::Corrupt`].
    pub(crate) fn page(&self, first: u64, bytes: usize) -> Result<(Vec<Stored>, u64), SpoolError> {
        let all = |_| true;
        let found = guarded(|| load(self.database.get()?, first, all, usize::MAX, bytes))?;
        Ok((found.records, found.senseless.len() as u64))
    }

    /// Checks every page of the file.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`] if one is damaged.
    pub(crate) fn check_pages(&mut self) -> Result<(), SpoolError> {
        let database = self.database.0.as_mut();
        let is_sound = guarded(|| match database {
            Some(database) => Ok(database.check_integrity().map_err(redb::Error::from)?),
            None => Ok(false),
        })?;
        if is_sound {
            return Ok(());
        }
        Err(SpoolError::Corrupt("a page was damaged".to_owned()))
    }

    fn read_meta(&mut self) -> Result<(), SpoolError> {
        self.breaker_was_open = self.change(|change| {
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
            change.skip_keys_in_use()?;
            Ok(change.meta(META_BREAKER_OPEN)?.unwrap_or(0) != 0)
        })?;
        Ok(())
    }

    /// Runs one durable transaction; its sums count once it is committed.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let durability = if planted!(CommitsWithoutSync) {
            Durability::None
        } else {
            Durability::Immediate
        };
        let (database, gone) = (&self.database, &self.gone);
        let changed = guarded(|| {
            let transaction = database.get()?.begin_write().map_err(redb::Error::from)?;
            let mut transaction = Leaky::new(transaction);
            transaction
                .set_durability(durability)
                .map_err(|error| SpoolError::Disk(error.to_string()))?;
            let (result, sums, holdings) = {
                let mut change = Change::begin(&transaction)?;
                for (&key, &level) in gone {
                    change.take(level, key)?;
                }
                let result = work(&mut change)?;
                change.store_sums()?;
                (result, change.sums, change.holdings()?)
            };
            let transaction = transaction.into_inner();
            transaction.commit().map_err(redb::Error::from)?;
            Ok((result, sums, holdings))
        });
        match changed {
            Ok((result, sums, holdings)) => {
                self.sums = sums;
                self.holdings = holdings;
                self.gone.clear();
                Ok(result)
            }
            Err(error) => Err(no_room(&self.growth, self.fit, error)),
        }
    }

    fn take_out(&mut self, places: &[(usize, u64)]) -> Result<ByLevel, SpoolError> {
        self.change(|change| {
            let mut taken = ByLevel::default();
            for &(level, key) in places {
                taken[level] += u64::from(change.take(level, key)?);
            }
            Ok(taken)
        })
    }
}

/// The error, or that the file was not allowed to grow.
fn no_room(growth: &Growth, fit: Fit, error: SpoolError) -> SpoolError {
    if !growth.was_refused() {
        return error;
    }
    SpoolError::NoRoom {
        may_grow: growth.file_bytes() < full_size(fit.max_bytes),
    }
}

impl Spool for DiskSpool {
    fn append(
        &mut self,
        records: &[Fresh<'_>],
        protected: Option<u64>,
    ) -> Result<Evicted, SpoolError> {
        let limit = self.fit.cost_limit();
        self.change(|change| change.append(records, limit, protected))
    }

    fn append_limit(&self) -> usize {
        self.fit.transaction_bytes() as usize
    }

    fn load(
        &mut self,
        after: Option<u64>,
        records: usize,
        bytes: usize,
    ) -> Result<Loaded, SpoolError> {
        let first = after.map_or(0, |key| key + 1);
        let is_there = |key| !self.gone.contains_key(&key);
        let found = guarded(|| load(self.database.get()?, first, is_there, records, bytes))?;
        let mut senseless = ByLevel::default();
        if !found.senseless.is_empty() {
            senseless = self.take_out(&found.senseless)?;
        }
        Ok(Loaded {
            records: found.records,
            senseless,
        })
    }

    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError> {
        let mut removed = 0;
        let holdings = &mut self.holdings;
        for record in records {
            let level = level_index(record.level);
            if self.gone.insert(record.key, level).is_none() {
                removed += 1;
                holdings.records[level] = holdings.records[level].saturating_sub(1);
                holdings.bytes = holdings.bytes.saturating_sub(record.line.len() as u64);
            }
        }
        while let Some(first) = holdings.first_key
            && self.gone.contains_key(&first)
        {
            holdings.first_key = Some(first + 1);
        }
        if holdings.is_empty() {
            self.holdings = Holdings::default();
        }
        Ok(removed)
    }

    fn sync(&mut self) -> Result<(), SpoolError> {
        if !self.gone.is_empty() {
            self.change(|_| Ok(()))?;
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
        if planted!(ForgetsBreaker) {
            return Ok(());
        }
        self.change(|change| change.set_meta(META_BREAKER_OPEN, u64::from(open)))?;
        self.breaker_was_open = open;
        Ok(())
    }
}

/// A database whose end may not panic: it writes to a file that may be damaged.
#[derive(Debug)]
struct Guarded(Option<Database>);

impl Guarded {
    fn get(&self) -> Result<&Database, SpoolError> {
        let closed = || SpoolError::Disk("it is closed".to_owned());
        self.0.as_ref().ok_or_else(closed)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let database = self.0.take();
        // What is wrong with the file shows when it is opened again.
        let _ = guarded(|| {
            drop(database);
            Ok(())
        });
    }
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
            // What stands in the file points to where there is no file.
            redb::Error::Io(source)
                if matches!(
                    source.kind(),
                    std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Corrupt(source.to_string())
            }
            other => Self::Disk(other.to_string()),
        }
    }
}

impl From<std::io::Error> for SpoolError {
    fn from(error: std::io::Error) -> Self {
        redb::Error::Io(error).into()
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
