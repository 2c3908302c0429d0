//! The tables of a spool's file, and what one transaction does to them.

use redb::{ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};
use telemetry_core::{LEVELS, level_index};

use super::leaky::Leaky;
use super::pack::{EMPTY_BYTES, Entry, Packer, entries, packed_bytes};
use super::{ByLevel, EVICTION_ORDER, Evicted, Fresh, Holdings, SpoolError};
use crate::planted;

/// Version of the layout.
const VERSION: u64 = 2;

/// The version in which each record had a value of its own.
const UNPACKED: u64 = 1;

/// No sum in a file is greater: a disk that lies tells any number.
const MOST: u64 = 1 << 48;

/// What is read is taken for no more than this, which can be added to.
const MOST_READ: u64 = 1 << 62;

/// A pack holds no key that is further behind its own.
const PACK_SPAN: u64 = 1 << 32;

/// The packs of one level, under the keys of their first records.
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
const META_VERSION: &str = "version";
const META_NEXT_KEY: &str = "next_key";
const META_BYTES: &str = "bytes";
const META_COST: &str = "cost";
pub(super) const META_BREAKER_OPEN: &str = "breaker_open";

/// How many records there are of each level.
const META_RECORDS: [&str; LEVELS.len()] = ["errors", "warns", "infos", "debugs", "traces"];

/// What the spool keeps account of besides the records themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) next_key: u64,
    pub(super) records: ByLevel,
    /// Bytes of all lines.
    pub(super) bytes: u64,
    /// Estimated bytes of the pages for them.
    pub(super) cost: u64,
}

/// How large things may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// What all packs may cost.
    pub(super) cost_limit: u64,
    /// Most bytes of a pack of more than one record.
    pub(super) pack_bytes: usize,
}

/// The tables of one transaction.
pub(super) struct Change<'t> {
    records: [Leaky<Table<'t, u64, &'static [u8]>>; LEVELS.len()],
    meta: Leaky<Table<'t, &'static str, u64>>,
    pub(super) sums: Sums,
    /// Something was not as the sums have it: [`count_anew`](Self::count_anew).
    pub(super) is_doubtful: bool,
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
            is_doubtful: false,
        };
        let sum = |name| Ok::<_, SpoolError>(change.meta(name)?.unwrap_or(0).min(MOST_READ));
        let mut sums = Sums {
            next_key: change.meta(META_NEXT_KEY)?.unwrap_or(0),
            bytes: sum(META_BYTES)?,
            cost: sum(META_COST)?,
            records: ByLevel::default(),
        };
        for (count, name) in sums.records.iter_mut().zip(META_RECORDS) {
            *count = sum(name)?;
        }
        change.sums = sums;
        Ok(change)
    }

    /// Counts anew when the sums are beyond belief. Only when the spool is opened:
    /// what they were then, the books go on from.
    pub(super) fn doubt_sums(&mut self) -> Result<(), SpoolError> {
        let sums = self.sums;
        let mut all = sums.records.into_iter().chain([sums.bytes, sums.cost]);
        if all.any(|sum| sum > MOST) {
            self.count_anew()?;
        }
        Ok(())
    }

    /// Makes a new spool one of this version, and an older one.
    pub(super) fn adopt_version(&mut self) -> Result<(), SpoolError> {
        match self.meta(META_VERSION)? {
            Some(VERSION) => Ok(()),
            None => self.set_meta(META_VERSION, VERSION),
            // Its values can be read, and are packs of one record; only their
            // number was not kept.
            Some(UNPACKED) => {
                for (count, table) in self.sums.records.iter_mut().zip(&self.records) {
                    *count = table.len().map_err(redb::Error::from)?;
                }
                self.set_meta(META_VERSION, VERSION)
            }
            Some(found) => Err(SpoolError::Version {
                found,
                known: VERSION,
            }),
        }
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
        for table in &self.records {
            let last = table.last().map_err(redb::Error::from)?;
            let Some((key, pack)) = last else { continue };
            let key = key.value();
            let behind = match entries(key, pack.value()) {
                Some(entries) => entries.last().map_or(key, |entry| entry.key) + 1,
                None => key.saturating_add(PACK_SPAN),
            };
            self.sums.next_key = self.sums.next_key.max(behind);
        }
        Ok(())
    }

    pub(super) fn store_sums(&mut self) -> Result<(), SpoolError> {
        let sums = self.sums;
        if !planted!(ForgetsNextKey) {
            self.set_meta(META_NEXT_KEY, sums.next_key)?;
        }
        self.set_meta(META_BYTES, sums.bytes)?;
        self.set_meta(META_COST, sums.cost)?;
        for (count, name) in sums.records.into_iter().zip(META_RECORDS) {
            self.set_meta(name, count)?;
        }
        Ok(())
    }

    /// Takes out the records of a level that have these keys, which ascend.
    /// They count as taken out whatever is found.
    pub(super) fn take(&mut self, level: usize, keys: &[u64]) -> Result<(), SpoolError> {
        let mut found = 0;
        let mut left = keys;
        while let Some(&key) = left.first() {
            let Some(pack) = self.pack_of(level, key)? else {
                left = &left[1..];
                continue;
            };
            let is_taken = |entry: &Entry| keys.binary_search(&entry.key).is_ok();
            let thinned = self.thin(level, pack, is_taken)?;
            found += thinned.records;
            let behind = thinned.last_key.unwrap_or(key).max(key);
            left = &left[left.partition_point(|&key| key <= behind)..];
        }
        let count = keys.len() as u64;
        self.is_doubtful |= found != count;
        self.sums.records[level] = self.sums.records[level].saturating_sub(count);
        Ok(())
    }

    /// The key of the pack in which a record would be.
    fn pack_of(&self, level: usize, key: u64) -> Result<Option<u64>, SpoolError> {
        let mut packs = self.records[level]
            .range(..=key)
            .map_err(redb::Error::from)?;
        let Some(entry) = packs.next_back() else {
            return Ok(None);
        };
        Ok(Some(entry.map_err(redb::Error::from)?.0.value()))
    }

    /// Takes some records out of a pack, or all of one that makes no sense. The
    /// number of records in the sums is the caller's.
    fn thin(
        &mut self,
        level: usize,
        key: u64,
        is_taken: impl Fn(&Entry) -> bool,
    ) -> Result<Thinned, SpoolError> {
        let table = &mut self.records[level];
        let Some(value) = table.remove(key).map_err(redb::Error::from)? else {
            return Ok(Thinned::default());
        };
        let pack = value.value();
        let mut thinned = Thinned::default();
        let mut bytes = 0;
        let freed = cost(pack.len());
        let mut rest = Packer::default();
        match entries(key, pack) {
            None => self.is_doubtful = true,
            Some(entries) => {
                thinned.last_key = entries.last().map(|entry| entry.key);
                for entry in &entries {
                    if is_taken(entry) || planted!(TakesWholePacks) {
                        thinned.records += 1;
                        bytes += entry.line_bytes() as u64;
                    } else {
                        rest.keep(entry, pack);
                    }
                }
            }
        }
        drop(value);
        self.sums.bytes = self.sums.bytes.saturating_sub(bytes);
        if !planted!(ForgetsFreedRoom) {
            self.sums.cost = self.sums.cost.saturating_sub(freed);
        }
        self.insert(level, rest.finish())?;
        Ok(thinned)
    }

    /// Takes out of a pack what makes no sense.
    pub(super) fn mend(&mut self, level: usize, key: u64) -> Result<(), SpoolError> {
        let mut senseless = Vec::new();
        if let Some(value) = self.records[level].get(key).map_err(redb::Error::from)? {
            let pack = value.value();
            let entries = entries(key, pack).unwrap_or_default();
            let bad = entries.iter().filter(|entry| entry.read(pack).is_none());
            senseless.extend(bad.map(|entry| entry.key));
        }
        self.thin(level, key, |entry| senseless.contains(&entry.key))?;
        Ok(())
    }

    /// Makes the sums those of what is there: reads all of it.
    pub(super) fn count_anew(&mut self) -> Result<(), SpoolError> {
        let mut sums = Sums {
            next_key: self.sums.next_key,
            ..Sums::default()
        };
        for (table, count) in self.records.iter().zip(&mut sums.records) {
            for entry in table.iter().map_err(redb::Error::from)? {
                let (key, value) = entry.map_err(redb::Error::from)?;
                let pack = value.value();
                sums.cost += cost(pack.len());
                let entries = entries(key.value(), pack).unwrap_or_default();
                *count += entries.len() as u64;
                let bytes = entries.iter().map(Entry::line_bytes).sum::<usize>();
                sums.bytes += bytes as u64;
            }
        }
        self.sums = sums;
        self.is_doubtful = false;
        Ok(())
    }

    /// Takes over `records` and gives up the least valuable ones of all, old
    /// and new, so that the rest costs no more than it may. What is given up are
    /// whole packs, but for what is `protected`. A new record that is given up
    /// never gets a place: first room is made, then it is used, or the file
    /// would have to hold both.
    pub(super) fn append(
        &mut self,
        records: &[Fresh<'_>],
        sizes: Sizes,
        protected: Option<u64>,
    ) -> Result<Evicted, SpoolError> {
        let (mut packs, pack_of) = plan(records, sizes.pack_bytes);
        let limit = sizes.cost_limit;
        let mut evicted = Evicted::default();
        let mut incoming: u64 = packs.iter().map(|pack| cost(pack.bytes)).sum();
        for group in eviction_order() {
            self.evict(
                group,
                limit.saturating_sub(incoming),
                protected,
                &mut evicted,
            )?;
            for pack in packs.iter_mut().filter(|pack| group.contains(&pack.level)) {
                if self.sums.cost + incoming > limit {
                    pack.is_kept = false;
                    incoming -= cost(pack.bytes);
                    evicted[pack.level] += pack.records;
                }
            }
        }
        let mut open: [(usize, Packer); LEVELS.len()] = Default::default();
        for (record, place) in records.iter().zip(pack_of) {
            if !packs[place].is_kept {
                continue;
            }
            let level = level_index(record.level);
            let (current, packer) = &mut open[level];
            if *current != place {
                let full = packer.finish();
                *current = place;
                self.insert(level, full)?;
            }
            let (_, packer) = &mut open[level];
            packer.push(self.sums.next_key, record.id, record.line);
            self.sums.next_key += 1;
            self.sums.records[level] += 1;
            self.sums.bytes += record.line.len() as u64;
        }
        for (level, (_, mut packer)) in open.into_iter().enumerate() {
            self.insert(level, packer.finish())?;
        }
        Ok(evicted)
    }

    fn insert(&mut self, level: usize, pack: Option<(u64, Vec<u8>)>) -> Result<(), SpoolError> {
        if let Some((key, pack)) = pack {
            self.sums.cost += cost(pack.len());
            self.records[level]
                .insert(key, pack.as_slice())
                .map_err(redb::Error::from)?;
        }
        Ok(())
    }

    /// Gives up the oldest packs of a group of levels until all cost `limit` at
    /// most, or there are no more.
    fn evict(
        &mut self,
        group: &[usize],
        limit: u64,
        protected: Option<u64>,
        evicted: &mut Evicted,
    ) -> Result<(), SpoolError> {
        let first = match protected {
            Some(key) if !planted!(EvictsWhatIsInWork) => key + 1,
            _ => 0,
        };
        while self.sums.cost > limit {
            let Some((key, level)) = self.oldest(group, first)? else {
                break;
            };
            let thinned = self.thin(level, key, |entry| entry.key >= first)?;
            evicted[level] += if planted!(CountsPacks) {
                thinned.records.min(1)
            } else {
                thinned.records
            };
            let count = &mut self.sums.records[level];
            *count = count.saturating_sub(thinned.records);
        }
        Ok(())
    }

    /// The oldest pack of a group of levels with a record from `first` on: its
    /// key and level.
    fn oldest(&self, group: &[usize], first: u64) -> Result<Option<(u64, usize)>, SpoolError> {
        let mut oldest: Option<(u64, u64, usize)> = None;
        for &level in group {
            let table = &self.records[level];
            let mut before = table.range(..first).map_err(redb::Error::from)?;
            let mut behind = table.range(first..).map_err(redb::Error::from)?;
            let mut found = None;
            if let Some(entry) = before.next_back() {
                let (key, value) = entry.map_err(redb::Error::from)?;
                let key = key.value();
                // What makes no sense may go as well.
                let entries = entries(key, value.value());
                let record = entries.map_or(Some(first), |entries| {
                    let from = entries.partition_point(|entry| entry.key < first);
                    entries.get(from).map(|entry| entry.key)
                });
                found = record.map(|record| (record, key, level));
            }
            if found.is_none()
                && let Some(entry) = behind.next()
            {
                let key = entry.map_err(redb::Error::from)?.0.value();
                found = Some((key, key, level));
            }
            oldest = oldest.into_iter().chain(found).min();
        }
        Ok(oldest.map(|(_, key, level)| (key, level)))
    }

    pub(super) fn holdings(&self) -> Result<Holdings, SpoolError> {
        let mut holdings = Holdings {
            bytes: self.sums.bytes,
            records: self.sums.records,
            ..Holdings::default()
        };
        for table in &self.records {
            let first = table.first().map_err(redb::Error::from)?;
            let last = table.last().map_err(redb::Error::from)?;
            if let (Some((first, _)), Some((last, pack))) = (first, last) {
                let oldest = holdings.first_key.unwrap_or(u64::MAX);
                holdings.first_key = Some(oldest.min(first.value()));
                let last = last.value();
                let entries = entries(last, pack.value()).unwrap_or_default();
                let last = entries.last().map_or(last, |entry| entry.key);
                holdings.last_key = holdings.last_key.max(Some(last));
            }
        }
        Ok(holdings)
    }
}

/// What was taken out of a pack.
#[derive(Debug, Default)]
struct Thinned {
    records: u64,
    /// The last record that the pack had.
    last_key: Option<u64>,
}

/// A pack of new records.
struct Planned {
    level: usize,
    records: u64,
    bytes: usize,
    is_kept: bool,
}

/// Divides new records into packs; returns beside them the pack of each record.
fn plan(records: &[Fresh<'_>], pack_bytes: usize) -> (Vec<Planned>, Vec<usize>) {
    let mut packs: Vec<Planned> = Vec::new();
    let mut open: [Option<usize>; LEVELS.len()] = Default::default();
    let mut pack_of = Vec::with_capacity(records.len());
    for record in records {
        let level = level_index(record.level);
        let bytes = packed_bytes(record.line.len());
        let place = match open[level] {
            Some(place) if packs[place].bytes + bytes <= pack_bytes => place,
            _ => {
                packs.push(Planned {
                    level,
                    records: 0,
                    bytes: EMPTY_BYTES,
                    is_kept: true,
                });
                packs.len() - 1
            }
        };
        open[level] = Some(place);
        packs[place].records += 1;
        packs[place].bytes += bytes;
        pack_of.push(place);
    }
    (packs, pack_of)
}

fn eviction_order() -> [&'static [usize]; 4] {
    let mut order = EVICTION_ORDER;
    if planted!(EvictsErrorsFirst) {
        order.reverse();
    }
    order
}

/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;

/// What a page holds besides a value.
pub(super) const ENTRY_BYTES: u64 = 32;

/// Estimated bytes of pages for a value: pages are half to wholly full, and a
/// value larger than a page gets a power of two of them.
fn cost(value: usize) -> u64 {
    let bytes = value as u64 + ENTRY_BYTES;
    if bytes * 3 < PAGE {
        bytes + bytes / 2
    } else {
        bytes.max(PAGE).next_power_of_two()
    }
}
