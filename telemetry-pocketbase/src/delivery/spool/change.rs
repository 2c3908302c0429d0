//! The tables of a spool's file, and what one transaction does to them.

use redb::{ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};
use telemetry_core::{LEVELS, level_index};

use super::leaky::Leaky;
use super::value::{HEAD_LENGTH, encode};
use super::{EVICTION_ORDER, Evicted, Fresh, Holdings, SpoolError};
use crate::planted;

/// The records of one level.
pub(super) type Records = TableDefinition<'static, u64, &'static [u8]>;

/// The tables in the order of [`LEVELS`].
pub(super) const RECORDS: [Records; LEVELS.len()] = [
    TableDefinition::new("error"),
    TableDefinition::new("warn"),
    TableDefinition::new("info"),
    TableDefinition::new("debug"),
    TableDefinition::new("trace"),
];

pub(super) const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
pub(super) const META_VERSION: &str = "version";
pub(super) const META_NEXT_KEY: &str = "next_key";
pub(super) const META_BYTES: &str = "bytes";
pub(super) const META_COST: &str = "cost";
pub(super) const META_BREAKER_OPEN: &str = "breaker_open";

/// What the spool keeps account of besides the records themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) next_key: u64,
    /// Bytes of all lines.
    pub(super) bytes: u64,
    /// Estimated bytes of the pages for them.
    pub(super) cost: u64,
}

/// The tables of one transaction.
pub(super) struct Change<'t> {
    records: [Leaky<Table<'t, u64, &'static [u8]>>; LEVELS.len()],
    meta: Leaky<Table<'t, &'static str, u64>>,
    pub(super) sums: Sums,
}

impl<'t> Change<'t> {
    pub(super) fn begin(transaction: &'t WriteTransaction) -> Result<Self, SpoolError> {
        let table = |index: usize| {
            transaction
                .open_table(RECORDS[index])
                .map(Leaky::new)
                .map_err(redb::Error::from)
        };
        let mut change = Self {
            records: [table(0)?, table(1)?, table(2)?, table(3)?, table(4)?],
            meta: Leaky::new(transaction.open_table(META).map_err(redb::Error::from)?),
            sums: Sums::default(),
        };
        change.sums = Sums {
            next_key: change.meta(META_NEXT_KEY)?.unwrap_or(0),
            bytes: change.meta(META_BYTES)?.unwrap_or(0),
            cost: change.meta(META_COST)?.unwrap_or(0),
        };
        Ok(change)
    }

    pub(super) fn meta(&self, name: &str) -> Result<Option<u64>, SpoolError> {
        let value = self.meta.get(name).map_err(redb::Error::from)?;
        Ok(value.map(|value| value.value()))
    }

    pub(super) fn set_meta(&mut self, name: &str, value: u64) -> Result<(), SpoolError> {
        if self.meta(name)? != Some(value) {
            self.meta.insert(name, value).map_err(redb::Error::from)?;
        }
        Ok(())
    }

    /// No key is given twice, whatever a disk that lies has made of the number:
    /// a new record would take the place of an old one.
    pub(super) fn skip_keys_in_use(&mut self) -> Result<(), SpoolError> {
        if let Some(last) = self.holdings()?.last_key {
            self.sums.next_key = self.sums.next_key.max(last + 1);
        }
        Ok(())
    }

    pub(super) fn store_sums(&mut self) -> Result<(), SpoolError> {
        let sums = self.sums;
        if !planted!(ForgetsNextKey) {
            self.set_meta(META_NEXT_KEY, sums.next_key)?;
        }
        self.set_meta(META_BYTES, sums.bytes)?;
        self.set_meta(META_COST, sums.cost)
    }

    fn insert(&mut self, record: &Fresh<'_>) -> Result<(), SpoolError> {
        let key = self.sums.next_key;
        let value = encode(key, record.id, record.line);
        self.records[level_index(record.level)]
            .insert(key, value.as_slice())
            .map_err(redb::Error::from)?;
        self.sums.next_key += 1;
        self.sums.bytes += record.line.len() as u64;
        self.sums.cost += cost(record.line.len());
        Ok(())
    }

    /// Takes one record out; false if it was not there.
    pub(super) fn take(&mut self, level: usize, key: u64) -> Result<bool, SpoolError> {
        let taken = self.records[level].remove(key).map_err(redb::Error::from)?;
        let Some(value) = taken else {
            return Ok(false);
        };
        let bytes = value.value().len().saturating_sub(HEAD_LENGTH);
        self.sums.bytes = self.sums.bytes.saturating_sub(bytes as u64);
        if !planted!(ForgetsFreedRoom) {
            self.sums.cost = self.sums.cost.saturating_sub(cost(bytes));
        }
        Ok(true)
    }

    /// Takes over `records` and gives up the least valuable ones of all, old
    /// and new, so that the rest costs `limit` at most. A new record that is
    /// given up never gets a place: first room is made, then it is used, or the
    /// file would have to hold both.
    pub(super) fn append(
        &mut self,
        records: &[Fresh<'_>],
        limit: u64,
        protected: Option<u64>,
    ) -> Result<Evicted, SpoolError> {
        let mut evicted = Evicted::default();
        let mut incoming: u64 = records.iter().map(|record| cost(record.line.len())).sum();
        let mut is_kept = vec![true; records.len()];
        for group in eviction_order() {
            self.evict(
                group,
                limit.saturating_sub(incoming),
                protected,
                &mut evicted,
            )?;
            for (record, is_kept) in records.iter().zip(&mut is_kept) {
                let level = level_index(record.level);
                if self.sums.cost + incoming > limit && group.contains(&level) {
                    *is_kept = false;
                    incoming -= cost(record.line.len());
                    evicted[level] += 1;
                }
            }
        }
        for (record, is_kept) in records.iter().zip(is_kept) {
            if is_kept {
                self.insert(record)?;
            }
        }
        Ok(evicted)
    }

    /// Gives up the oldest records of a group of levels until all cost `limit`
    /// at most, or there are no more.
    fn evict(
        &mut self,
        group: &[usize],
        limit: u64,
        protected: Option<u64>,
        evicted: &mut Evicted,
    ) -> Result<(), SpoolError> {
        while self.sums.cost > limit {
            let Some((key, level)) = self.oldest(group, protected)? else {
                break;
            };
            self.take(level, key)?;
            evicted[level] += 1;
        }
        Ok(())
    }

    fn oldest(
        &self,
        group: &[usize],
        protected: Option<u64>,
    ) -> Result<Option<(u64, usize)>, SpoolError> {
        let first = match protected {
            Some(key) if !planted!(EvictsWhatIsInWork) => key + 1,
            _ => 0,
        };
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
        Ok(oldest)
    }

    pub(super) fn holdings(&self) -> Result<Holdings, SpoolError> {
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

fn eviction_order() -> [&'static [usize]; 4] {
    let mut order = EVICTION_ORDER;
    if planted!(EvictsErrorsFirst) {
        order.reverse();
    }
    order
}

/// Estimated bytes of pages for a line: pages are half to wholly full, and a
/// value larger than a page gets a power of two of them.
pub(super) fn cost(line: usize) -> u64 {
    const PAGE: u64 = 4096;
    const ENTRY: u64 = 32;
    let bytes = line as u64 + HEAD_LENGTH as u64 + ENTRY;
    if bytes * 3 < PAGE {
        bytes + bytes / 2
    } else {
        bytes.max(PAGE).next_power_of_two()
    }
}
