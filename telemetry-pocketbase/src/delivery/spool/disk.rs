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

use redb::{
    Database, Durability, OwnedRange, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    Table, TableDefinition, WriteTransaction,
};
use telemetry_core::{LEVELS, level_index};

use super::bounded_file::{BoundedFile, Growth};
use super::{EVICTION_ORDER, Evicted, Fresh, Holdings, Spool, SpoolError, Stored};
use crate::id::{ID_LENGTH, RecordId};

/// Version of the layout.
const VERSION: u64 = 1;

/// Memory that `redb` may use for pages.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Most bytes of lines in one transaction: what it changes exists twice until
/// it is committed.
const TRANSACTION_BYTES: usize = 512 * 1024;

/// The records of one level.
type Records = TableDefinition<'static, u64, &'static [u8]>;

/// The tables in the order of [`LEVELS`].
const RECORDS: [Records; LEVELS.len()] = [
    TableDefinition::new("error"),
    TableDefinition::new("warn"),
    TableDefinition::new("info"),
    TableDefinition::new("debug"),
    TableDefinition::new("trace"),
];

const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
const META_VERSION: &str = "version";
const META_NEXT_KEY: &str = "next_key";
const META_BYTES: &str = "bytes";
const META_COST: &str = "cost";
const META_BREAKER_OPEN: &str = "breaker_open";

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

/// What the spool keeps account of besides the records themselves.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    next_key: u64,
    /// Bytes of all lines.
    bytes: u64,
    /// Estimated bytes of the pages for them.
    cost: u64,
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

/// The tables of one transaction.
struct Change<'t> {
    records: [Table<'t, u64, &'static [u8]>; LEVELS.len()],
    meta: Table<'t, &'static str, u64>,
    sums: Sums,
}

impl<'t> Change<'t> {
    fn begin(transaction: &'t WriteTransaction) -> Result<Self, SpoolError> {
        let table = |index: usize| {
            transaction
                .open_table(RECORDS[index])
                .map_err(redb::Error::from)
        };
        let mut change = Self {
            records: [table(0)?, table(1)?, table(2)?, table(3)?, table(4)?],
            meta: transaction.open_table(META).map_err(redb::Error::from)?,
            sums: Sums::default(),
        };
        change.sums = Sums {
            next_key: change.meta(META_NEXT_KEY)?.unwrap_or(0),
            bytes: change.meta(META_BYTES)?.unwrap_or(0),
            cost: change.meta(META_COST)?.unwrap_or(0),
        };
        Ok(change)
    }

    fn meta(&self, name: &str) -> Result<Option<u64>, SpoolError> {
        let value = self.meta.get(name).map_err(redb::Error::from)?;
        Ok(value.map(|value| value.value()))
    }

    fn set_meta(&mut self, name: &str, value: u64) -> Result<(), SpoolError> {
        if self.meta(name)? != Some(value) {
            self.meta.insert(name, value).map_err(redb::Error::from)?;
        }
        Ok(())
    }

    fn store_sums(&mut self) -> Result<(), SpoolError> {
        let sums = self.sums;
        self.set_meta(META_NEXT_KEY, sums.next_key)?;
        self.set_meta(META_BYTES, sums.bytes)?;
        self.set_meta(META_COST, sums.cost)
    }

    fn insert(&mut self, record: &Fresh<'_>) -> Result<(), SpoolError> {
        let key = self.sums.next_key;
        let mut value = Vec::with_capacity(ID_LENGTH + record.line.len());
        value.extend_from_slice(record.id.as_str().as_bytes());
        value.extend_from_slice(record.line.as_bytes());
        self.records[level_index(record.level)]
            .insert(key, value.as_slice())
            .map_err(redb::Error::from)?;
        self.sums.next_key += 1;
        self.sums.bytes += record.line.len() as u64;
        self.sums.cost += cost(record.line.len());
        Ok(())
    }

    /// Takes one record out; false if it was not there.
    fn take(&mut self, level: usize, key: u64) -> Result<bool, SpoolError> {
        let taken = self.records[level].remove(key).map_err(redb::Error::from)?;
        let Some(value) = taken else {
            return Ok(false);
        };
        let bytes = value.value().len().saturating_sub(ID_LENGTH);
        self.sums.bytes = self.sums.bytes.saturating_sub(bytes as u64);
        self.sums.cost = self.sums.cost.saturating_sub(cost(bytes));
        Ok(true)
    }

    /// Gives up the least valuable records until the rest costs `limit` at most.
    fn evict(&mut self, limit: u64, protected: Option<u64>) -> Result<Evicted, SpoolError> {
        let mut evicted = Evicted::default();
        while self.sums.cost > limit {
            let Some((key, level)) = self.least_valuable(protected)? else {
                break;
            };
            self.take(level, key)?;
            evicted[level] += 1;
        }
        Ok(evicted)
    }

    fn least_valuable(&self, protected: Option<u64>) -> Result<Option<(u64, usize)>, SpoolError> {
        let first = protected.map_or(0, |key| key + 1);
        for group in EVICTION_ORDER {
            let mut oldest: Option<(u64, usize)> = None;
            for &level in group {
                let mut range = self.records[level]
                    .range(first..)
                    .map_err(redb::Error::from)?;
                let Some(entry) = range.next() else { continue };
                let key = entry.map_err(redb::Error::from)?.0.value();
                if oldest.is_none_or(|(found, _)| key < found) {
                    oldest = Some((key, level));
                }
            }
            if oldest.is_some() {
                return Ok(oldest);
            }
        }
        Ok(None)
    }

    fn holdings(&self) -> Result<Holdings, SpoolError> {
        let mut holdings = Holdings {
            bytes: self.sums.bytes,
            ..Holdings::default()
        };
        for (table, count) in self.records.iter().zip(&mut holdings.records) {
            *count = table.len().map_err(redb::Error::from)?;
            let first = table.first().map_err(redb::Error::from)?;
            let last = table.last().map_err(redb::Error::from)?;
            if let (Some((first, _)), Some((last, _))) = (first, last) {
                let oldest = holdings.first_key.unwrap_or(u64::MAX);
                holdings.first_key = Some(oldest.min(first.value()));
                holdings.last_key = holdings.last_key.max(Some(last.value()));
            }
        }
        Ok(holdings)
    }
}

/// Reads the oldest records of all levels in the order of their keys.
fn load(database: &Database, records: usize, bytes: usize) -> Result<Vec<Stored>, SpoolError> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let mut streams = Vec::with_capacity(LEVELS.len());
    for (level, table) in RECORDS.into_iter().enumerate() {
        let table = transaction.open_table(table).map_err(redb::Error::from)?;
        let range = table.range_owned(0_u64..).map_err(redb::Error::from)?;
        streams.push(Stream::start(level, range)?);
    }
    let mut loaded: Vec<Stored> = Vec::new();
    let mut size = 0;
    while loaded.len() < records {
        let oldest = streams
            .iter_mut()
            .filter(|stream| stream.next.is_some())
            .min_by_key(|stream| stream.next.as_ref().map(|record| record.key));
        let Some(stream) = oldest else { break };
        let Some(record) = stream.next.take() else {
            break;
        };
        size += record.line.len();
        if !loaded.is_empty() && size > bytes {
            break;
        }
        loaded.push(record);
        stream.advance()?;
    }
    Ok(loaded)
}

/// The records of one level, oldest first.
struct Stream {
    level: usize,
    range: OwnedRange<u64, &'static [u8]>,
    next: Option<Stored>,
}

impl Stream {
    fn start(level: usize, range: OwnedRange<u64, &'static [u8]>) -> Result<Self, SpoolError> {
        let mut stream = Self {
            level,
            range,
            next: None,
        };
        stream.advance()?;
        Ok(stream)
    }

    fn advance(&mut self) -> Result<(), SpoolError> {
        let Some(entry) = self.range.next() else {
            return Ok(());
        };
        let (key, value) = entry.map_err(redb::Error::from)?;
        self.next = Some(decode(key.value(), self.level, value.value())?);
        Ok(())
    }
}

fn decode(key: u64, level: usize, value: &[u8]) -> Result<Stored, SpoolError> {
    let no_record = || SpoolError::Corrupt(format!("record {key} makes no sense"));
    let (id, line) = value.split_at_checked(ID_LENGTH).ok_or_else(no_record)?;
    Ok(Stored {
        key,
        level: LEVELS[level],
        id: RecordId::parse(id).ok_or_else(no_record)?,
        line: String::from_utf8(line.to_vec()).map_err(|_| no_record())?,
    })
}

/// Estimated bytes of pages for a line: pages are half to wholly full, and a
/// value larger than a page gets a power of two of them.
fn cost(line: usize) -> u64 {
    const PAGE: u64 = 4096;
    const ENTRY: u64 = 32;
    let bytes = line as u64 + ID_LENGTH as u64 + ENTRY;
    if bytes * 3 < PAGE {
        bytes + bytes / 2
    } else {
        bytes.max(PAGE).next_power_of_two()
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
