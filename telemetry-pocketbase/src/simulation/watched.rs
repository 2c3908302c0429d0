//! A spool that is watched: what the real one does is compared with what it
//! should do.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemetry_core::{LEVELS, level_index};

use super::sights::Sights;
use super::truth::Truth;
use crate::delivery::{Evicted, Fit, Fresh, Holdings, Loaded, Spool, SpoolError, Stored};
use crate::id::RecordId;

/// Levels in the order in which they may be given up.
const GROUPS: [&[usize]; 4] = [&[3, 4], &[2], &[1], &[0]];

/// What was given up, in the order of [`LEVELS`].
const EVICTED: [&str; LEVELS.len()] = [
    "evicted ERROR",
    "evicted WARN",
    "evicted INFO",
    "evicted DEBUG",
    "evicted TRACE",
];

/// The records of one level, by key.
type Level = BTreeMap<u64, RecordId>;

/// What the spool should hold. Outlives the process.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    live: [Level; LEVELS.len()],
    /// The next key of a spool in memory.
    next_key: u64,
    /// Taken out, but not yet for certain.
    unsynced: Vec<(usize, u64, RecordId)>,
    /// Records whose transaction failed: they may be there or not.
    in_doubt: HashSet<RecordId>,
    /// A transaction failed: it may have given up others.
    evictions_in_doubt: bool,
    /// The disk has lied: anything may be missing.
    pub(super) is_rotten: bool,
    /// Whether the breaker was open, as the spool was told last; `None`: nobody
    /// knows.
    pub(super) breaker_was_open: Option<bool>,
    /// Records that this process has taken out.
    pub(super) removed: u64,
    /// Records that this process has given up.
    pub(super) evicted: u64,
    pub(super) broken: Option<String>,
    pub(super) sights: Sights,
}

/// Which records of a transaction get a key.
#[derive(Debug, Clone, Copy)]
enum Keys {
    /// In memory: all, also those that are given up at once.
    OfAll,
    /// On disk: those that stay. The last one has this.
    OfThoseThatStay { last: Option<u64> },
}

/// What the watcher and the world share.
pub(super) type Shared = Arc<Mutex<(Shadow, Truth)>>;

/// Locks what is shared.
pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, (Shadow, Truth)> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The real spool and what it should do.
pub(super) struct Watched {
    inner: Box<dyn Spool>,
    shared: Shared,
    fit: Fit,
}

impl Watched {
    /// Watches a spool that was just opened; `is_new`: its file was set aside.
    pub(super) fn new(
        mut inner: Box<dyn Spool>,
        shared: Shared,
        fit: Fit,
        is_new: bool,
    ) -> Result<Self, SpoolError> {
        let found = inner.load(None, usize::MAX, usize::MAX)?;
        let mut guard = lock(&shared);
        let (shadow, truth) = &mut *guard;
        shadow
            .sights
            .count("senseless record taken out", found.senseless.iter().sum());
        if fit.tightness > 0 {
            shadow.sights.note("spool opened tighter");
        } else if fit.at_full_size {
            shadow.sights.note("spool grown to its full size");
        }
        if inner.is_durable() {
            shadow.compare(&found, truth, is_new);
        } else {
            shadow.begin_anew(truth);
        }
        drop(guard);
        Ok(Self { inner, shared, fit })
    }
}

impl Shadow {
    /// How many records there should be.
    pub(super) fn count(&self) -> usize {
        self.live.iter().map(Level::len).sum()
    }

    /// The oldest record that should be there.
    pub(super) fn oldest(&self) -> Option<RecordId> {
        self.in_order(None).next()
    }

    fn fail(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// All behind a key that should be there, oldest first.
    fn in_order(&self, after: Option<u64>) -> impl Iterator<Item = RecordId> {
        let first = after.map_or(0, |key| key + 1);
        let levels = self.live.each_ref();
        let mut levels = levels.map(|level| level.range(first..).peekable());
        std::iter::from_fn(move || {
            let next = levels
                .iter_mut()
                .filter_map(|level| Some((*level.peek()?.0, level)))
                .min_by_key(|(key, _)| *key);
            next.and_then(|(_, level)| level.next()).map(|(_, id)| *id)
        })
    }

    fn last_key(&self) -> Option<u64> {
        let last = |level: &Level| level.keys().next_back().copied();
        self.live.iter().filter_map(last).max()
    }

    /// A spool in memory begins empty: what the one before held is lost.
    fn begin_anew(&mut self, truth: &mut Truth) {
        for id in self.live.iter().flat_map(Level::values) {
            self.sights.note("spool in memory lost");
            if let Some(entry) = truth.get_mut(id) {
                entry.is_lost = true;
            }
        }
        self.live = Default::default();
        self.next_key = 0;
        self.unsynced.clear();
        self.breaker_was_open = Some(false);
    }

    /// Compares what a spool holds after it was opened with what it should.
    fn compare(&mut self, found: &Loaded, truth: &mut Truth, is_new: bool) {
        let before = std::mem::take(&mut self.live);
        let unsynced = std::mem::take(&mut self.unsynced);
        for record in &found.records {
            let level = level_index(record.level);
            self.live[level].insert(record.key, record.id);
            self.check_content(record, truth);
            let was_there = before[level].get(&record.key) == Some(&record.id);
            let was_removed = || unsynced.contains(&(level, record.key, record.id));
            if was_there {
            } else if was_removed() {
                self.sights.note("removal undone by a crash");
            } else if self.in_doubt.contains(&record.id) {
                self.sights
                    .note("transaction failed and was there all the same");
            } else if !self.is_rotten {
                self.fail(format!(
                    "the spool came back with {}, which had left",
                    record.id
                ));
            }
            if let Some(entry) = truth.get_mut(&record.id) {
                entry.is_committed = true;
            }
        }
        for (level, records) in before.iter().enumerate() {
            for (key, id) in records {
                if self.live[level].contains_key(key) {
                    continue;
                }
                let Some(entry) = truth.get_mut(id) else {
                    continue;
                };
                if self.is_rotten {
                    entry.is_lost = true;
                } else if self.evictions_in_doubt {
                    entry.is_evicted = true;
                } else {
                    self.broken
                        .get_or_insert(format!("{id} was committed and is gone"));
                }
            }
        }
        if is_new {
            self.sights.note("spool set aside");
        }
        if self.is_rotten {
            self.breaker_was_open = None;
        }
        if is_new && !self.is_rotten {
            self.fail("a spool without a fault was set aside".to_owned());
        }
        self.in_doubt.clear();
        self.evictions_in_doubt = false;
    }

    fn check_content(&mut self, record: &Stored, truth: &Truth) {
        match truth.get(&record.id) {
            Some(entry) if entry.line == record.line && entry.level == record.level => {}
            Some(_) => self.fail(format!("{} came out of the spool altered", record.id)),
            None => self.fail(format!("{} was never written", record.id)),
        }
    }

    /// Takes over new records, less those that were given up.
    fn appended(
        &mut self,
        records: &[Fresh<'_>],
        protected: Option<u64>,
        evicted: &Evicted,
        keys: Keys,
        truth: &mut Truth,
    ) {
        let may_go = |key: u64| protected.is_none_or(|up_to| key > up_to);
        let first = protected.map_or(0, |up_to| up_to + 1);
        // New records behind the old ones, numbered as if none were given up.
        let first_new = self.last_key().map_or(0, |key| key + 1);
        for (place, record) in (first_new..).zip(records) {
            self.live[level_index(record.level)].insert(place, record.id);
        }
        for (level, &count) in evicted.iter().enumerate() {
            self.sights.count(EVICTED[level], count);
            self.evicted += count;
            for _ in 0..count {
                let oldest = self.live[level].range(first..).next();
                let Some(key) = oldest.map(|(key, _)| *key).filter(|key| may_go(*key)) else {
                    self.fail(format!(
                        "{count} evictions of level {level}, but so many may not go"
                    ));
                    break;
                };
                let gone = self.live[level].remove(&key);
                if let Some(entry) = gone.and_then(|id| truth.get_mut(&id)) {
                    entry.is_evicted = true;
                }
            }
        }
        self.check_priorities(first, evicted);
        for record in records {
            if let Some(entry) = truth.get_mut(&record.id) {
                entry.is_committed = true;
            }
        }
        let new = self
            .live
            .each_mut()
            .map(|level| level.split_off(&first_new));
        let mut ordered: Vec<(u64, usize, RecordId)> = Vec::new();
        for (level, records) in new.into_iter().enumerate() {
            ordered.extend(records.into_iter().map(|(key, id)| (key, level, id)));
        }
        ordered.sort_unstable();
        let start = match keys {
            Keys::OfThoseThatStay { last } => {
                let end = last.map_or(0, |key| key + 1);
                end.saturating_sub(ordered.len() as u64)
            }
            Keys::OfAll => self.next_key,
        };
        self.next_key += records.len() as u64;
        if !ordered.is_empty() && self.last_key().is_some_and(|old| old >= start) {
            self.fail("a key was given twice".to_owned());
        }
        for (place, (provisional, level, id)) in (0..).zip(ordered) {
            let key = match keys {
                Keys::OfThoseThatStay { .. } => start + place,
                Keys::OfAll => start + provisional - first_new,
            };
            self.live[level].insert(key, id);
        }
        self.unsynced.clear();
    }

    /// Nothing is given up while something less valuable stays.
    fn check_priorities(&mut self, first: u64, evicted: &Evicted) {
        for (rank, group) in GROUPS.iter().enumerate() {
            if group.iter().all(|&level| evicted[level] == 0) {
                continue;
            }
            let stays = |&level: &usize| self.live[level].range(first..).next().is_some();
            if GROUPS[..rank].iter().copied().flatten().any(stays) {
                self.fail(format!(
                    "given up {evicted:?}, while something less valuable stays"
                ));
            }
        }
    }
}

impl Spool for Watched {
    fn append(
        &mut self,
        records: &[Fresh<'_>],
        protected: Option<u64>,
    ) -> Result<Evicted, SpoolError> {
        let appended = self.inner.append(records, protected);
        let mut guard = lock(&self.shared);
        let (shadow, truth) = &mut *guard;
        match &appended {
            Ok(evicted) => {
                let holdings = self.inner.holdings();
                let keys = match self.inner.is_durable() {
                    true => Keys::OfThoseThatStay {
                        last: holdings.last_key,
                    },
                    false => Keys::OfAll,
                };
                shadow.appended(records, protected, evicted, keys, truth);
                let is_needless = evicted.iter().any(|&count| count > 0)
                    && !shadow.is_rotten
                    && self.fit.tightness < 3
                    && holdings.bytes * 6 < self.fit.max_bytes
                    && holdings.total() * 512 < self.fit.max_bytes;
                if is_needless {
                    shadow.fail(format!("given up {evicted:?} with {holdings:?} left"));
                }
            }
            Err(_) => {
                shadow.sights.note("transaction failed");
                shadow
                    .in_doubt
                    .extend(records.iter().map(|record| record.id));
                shadow.evictions_in_doubt = true;
            }
        }
        appended
    }

    fn append_limit(&self) -> usize {
        self.inner.append_limit()
    }

    fn load(
        &mut self,
        after: Option<u64>,
        records: usize,
        bytes: usize,
    ) -> Result<Loaded, SpoolError> {
        let loaded = self.inner.load(after, records, bytes)?;
        let mut guard = lock(&self.shared);
        let (shadow, truth) = &mut *guard;
        shadow
            .sights
            .count("senseless record taken out", loaded.senseless.iter().sum());
        for record in &loaded.records {
            shadow.check_content(record, truth);
        }
        let ids = loaded.records.iter().map(|record| record.id);
        let is_oldest = ids.eq(shadow.in_order(after).take(loaded.records.len()));
        if !is_oldest && !shadow.is_rotten {
            shadow.fail("the spool gave others than its oldest records".to_owned());
        }
        Ok(loaded)
    }

    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError> {
        let removed = self.inner.remove(records)?;
        let mut guard = lock(&self.shared);
        let shadow = &mut guard.0;
        shadow.removed += removed;
        for record in records {
            let level = level_index(record.level);
            let Some(id) = shadow.live[level].remove(&record.key) else {
                continue;
            };
            if id != record.id {
                let (key, told) = (record.key, record.id);
                shadow.fail(format!("{told} was taken out by key {key}, which is {id}"));
            }
            shadow.unsynced.push((level, record.key, id));
        }
        Ok(removed)
    }

    fn sync(&mut self) -> Result<(), SpoolError> {
        self.inner.sync()?;
        lock(&self.shared).0.unsynced.clear();
        Ok(())
    }

    fn holdings(&self) -> Holdings {
        self.inner.holdings()
    }

    fn file_bytes(&self) -> u64 {
        self.inner.file_bytes()
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    fn breaker_was_open(&self) -> bool {
        self.inner.breaker_was_open()
    }

    fn remember_breaker(&mut self, open: bool) -> Result<(), SpoolError> {
        let remembered = self.inner.remember_breaker(open);
        let shadow = &mut lock(&self.shared).0;
        shadow.breaker_was_open = remembered.is_ok().then_some(open);
        if remembered.is_ok() {
            // It is a durable transaction, and takes the removals along.
            shadow.unsynced.clear();
        }
        remembered
    }
}
