//! A spool in one `redb` file.
//!
//! # Layout
//! One table for each level, so that the oldest records of a level are found
//! without a search. Keys count over all levels. A value is a
//! [pack](super::pack): those records of a level that came with one transaction,
//! or as many of them as fill a page. The table `meta` holds the version of the
//! layout, the numbers of records, the sums of sizes and the state of the breaker.
//!
//! In version 1 each record had a value of its own. Such a file is taken over as
//! it is: its values are read as packs of one record, until all are delivered.
//!
//! # The bound on the file
//! The bound is kept twice. First, records are given up as soon as the estimated
//! size of all of them exceeds it. Second, the file itself refuses to grow beyond
//! it: the transaction fails with [`SpoolError::NoRoom`], nothing of it is stored,
//! and the caller opens the spool anew. `redb` lets its file grow by doubling it,
//! so that happens at more than half of the bound: then the file is set to its
//! full size by hand. If it has that already the estimate was wrong, and the spool
//! is opened tighter.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, Durability, StorageBackend};
use telemetry_core::{LEVELS, level_index};

use super::bounded_file::{BoundedFile, Growth, full_size, open_file};
use super::change::{Change, ENTRY_BYTES, META_BREAKER_OPEN, PAGE, Sizes};
use super::leaky::Leaky;
use super::reading::load;
use super::{ByLevel, Evicted, Fresh, Holdings, Loaded, Spool, SpoolError, Stored};
use crate::planted;

/// Memory that `redb` may use for pages.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Most bytes of lines in one transaction: what it changes exists twice until
/// it is committed.
const MAX_TRANSACTION_BYTES: u64 = 512 * 1024;

/// The page that a pack fills. Larger ones would save little more, and a file
/// that is nearly full has no room for them between the others.
const MAX_PACK_PAGE: u64 = 4 * PAGE;

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

    fn sizes(self) -> Sizes {
        let page = (self.max_bytes / 64).clamp(PAGE, MAX_PACK_PAGE);
        let page = 1 << page.ilog2();
        Sizes {
            cost_limit: self.cost_limit(),
            pack_bytes: (page - ENTRY_BYTES) as usize,
        }
    }
}

/// Keeps records in a file.
#[derive(Debug)]
pub struct DiskSpool {
    database: Guarded,
    growth: Arc<Growth>,
    fit: Fit,
    holdings: Holdings,
    /// The sums of the file are not what is in it.
    is_doubtful: bool,
    breaker_was_open: bool,
    /// Records that were taken out, but not of the file yet: the next transaction
    /// does that along with its own work, since one for each upload would cost
    /// more than the upload.
    gone: Gone,
}

/// Keys of records by level, ascending.
#[derive(Debug, Default)]
struct Gone([Vec<u64>; LEVELS.len()]);

impl Gone {
    /// Adds a record; false if it was there.
    fn insert(&mut self, level: usize, key: u64) -> bool {
        let keys = &mut self.0[level];
        if keys.last().is_none_or(|&last| last < key) {
            keys.push(key);
            return true;
        }
        match keys.binary_search(&key) {
            Ok(_) => false,
            Err(place) => {
                keys.insert(place, key);
                true
            }
        }
    }

    fn has(&self, level: usize, key: u64) -> bool {
        let keys = &self.0[level];
        keys.last() >= Some(&key) && keys.binary_search(&key).is_ok()
    }

    /// Whether a record of any level has this key.
    fn has_any(&self, key: u64) -> bool {
        (0..LEVELS.len()).any(|level| self.has(level, key))
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    fn clear(&mut self) {
        self.0.iter_mut().for_each(Vec::clear);
    }
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
        let storage = open_file(path)?;
        let attempt = Attempt::begin(path);
        Self::on(storage, fit, attempt.is_repeated)
    }

    /// Opens or makes a spool on whatever `redb` can write to; a suspect one has
    /// all its pages checked first.
    pub(crate) fn on(
        storage: impl StorageBackend,
        fit: Fit,
        is_suspect: bool,
    ) -> Result<Self, SpoolError> {
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
            holdings: Holdings::default(),
            is_doubtful: false,
            breaker_was_open: false,
            gone: Gone::default(),
        };
        if is_suspect {
            spool.check_pages()?;
        }
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
        let all = |_, _| true;
        let found = guarded(|| load(self.database.get()?, first, all, usize::MAX, bytes))?;
        Ok((found.records, found.senseless_count))
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
            change.adopt_version()?;
            change.doubt_sums()?;
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
            let (result, is_doubtful, holdings) = {
                let mut change = Change::begin(&transaction)?;
                for (level, keys) in gone.0.iter().enumerate() {
                    change.take(level, keys)?;
                }
                let result = work(&mut change)?;
                change.store_sums()?;
                (result, change.is_doubtful, change.holdings()?)
            };
            let transaction = transaction.into_inner();
            transaction.commit().map_err(redb::Error::from)?;
            Ok((result, is_doubtful, holdings))
        });
        match changed {
            Ok((result, is_doubtful, holdings)) => {
                self.is_doubtful |= is_doubtful;
                self.holdings = holdings;
                self.gone.clear();
                Ok(result)
            }
            Err(error) => Err(no_room(&self.growth, self.fit, error)),
        }
    }

    /// Takes out of packs (by level and key) what makes no sense, and counts
    /// everything anew. Returns how many records there are less than was thought.
    fn mend(&mut self, packs: &[(usize, u64)]) -> Result<ByLevel, SpoolError> {
        let mut lacking = self.holdings.records;
        self.change(|change| {
            for &(level, key) in packs {
                change.mend(level, key)?;
            }
            change.count_anew()
        })?;
        self.is_doubtful = false;
        for (lacking, found) in lacking.iter_mut().zip(self.holdings.records) {
            *lacking = lacking.saturating_sub(found);
        }
        Ok(lacking)
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
        let sizes = self.fit.sizes();
        self.change(|change| change.append(records, sizes, protected))
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
        let is_there = |level, key| !self.gone.has(level, key);
        let found = guarded(|| load(self.database.get()?, first, is_there, records, bytes))?;
        let mut loaded = Loaded {
            records: found.records,
            ..Loaded::default()
        };
        // A sum that a disk has altered shows at the latest when nothing is left.
        let is_drained = after.is_none() && loaded.records.is_empty();
        let is_wrong = is_drained && !self.holdings.is_empty();
        if !found.senseless.is_empty() || self.is_doubtful || is_wrong {
            loaded.senseless = self.mend(&found.senseless)?;
            loaded.is_counted_anew = true;
        }
        Ok(loaded)
    }

    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError> {
        let mut removed = 0;
        let holdings = &mut self.holdings;
        for record in records {
            let level = level_index(record.level);
            if self.gone.insert(level, record.key) {
                removed += 1;
                holdings.records[level] = holdings.records[level].saturating_sub(1);
                holdings.bytes = holdings.bytes.saturating_sub(record.line.len() as u64);
            }
        }
        while let Some(first) = holdings.first_key
            && self.gone.has_any(first)
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

/// An attempt to open a spool, marked by a file beside it for as long as it lasts.
///
/// Once in some 440,000 simulated worlds a rotten page makes `redb` panic twice,
/// which ends the process: nothing can be caught, and the next start would end the
/// same way. So a file that an earlier attempt did not outlive has all its pages
/// checked before they are used. A kill at that moment only makes the next start
/// slower. Without a place for the mark there is no check either.
struct Attempt {
    mark: PathBuf,
    is_repeated: bool,
}

impl Attempt {
    fn begin(path: &Path) -> Self {
        let mark = beside(path, ".opening");
        let is_repeated = mark.exists();
        // A disk that takes no mark has other troubles, which are told of.
        let _ = fs::write(&mark, "");
        Self { mark, is_repeated }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.mark);
    }
}

/// The path with something behind the file's name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn set_aside(path: &Path) -> Result<PathBuf, SpoolError> {
    let aside = beside(path, ".corrupt");
    fs::rename(path, &aside).map_err(|source| SpoolError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(aside)
}
