//! A spool that is watched: what the real one does is compared with what it
//! should do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemetry_core::level_index;

use super::truth::Truth;
use crate::delivery::{
    DiskSpool, Evicted, Fit, Fresh, Holdings, Loaded, Spool, SpoolError, Stored,
};
use crate::id::RecordId;

/// Levels in the order in which they may be given up.
const GROUPS: [&[usize]; 4] = [&[3, 4], &[2], &[1], &[0]];

/// What the spool should hold. Outlives the process.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    pub(super) live: BTreeMap<u64, (usize, RecordId)>,
    durable: BTreeMap<u64, (usize, RecordId)>,
    /// Records whose transaction failed: they may be there or not.
    in_doubt: Vec<RecordId>,
    /// A transaction failed: it may have given up others.
    evictions_in_doubt: bool,
    /// The disk has lied: anything may be missing.
    pub(super) is_rotten: bool,
    pub(super) broken: Option<String>,
    pub(super) evicted: u64,
}

/// What the watcher and the world share.
pub(super) type Shared = Arc<Mutex<(Shadow, Truth)>>;

/// Locks what is shared.
pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, (Shadow, Truth)> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The real spool and what it should do.
pub(super) struct Watched {
    inner: DiskSpool,
    shared: Shared,
    fit: Fit,
}

impl Watched {
    /// Watches a spool that was just opened; `is_new`: its file was set aside.
    pub(super) fn new(
        mut inner: DiskSpool,
        shared: Shared,
        fit: Fit,
        is_new: bool,
    ) -> Result<Self, SpoolError> {
        let found = inner.load(usize::MAX, usize::MAX)?;
        let mut guard = lock(&shared);
        let (shadow, truth) = &mut *guard;
        shadow.compare(&found, truth, is_new);
        drop(guard);
        Ok(Self { inner, shared, fit })
    }
}

impl Shadow {
    fn fail(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// Compares what a spool holds after it was opened with what it should.
    fn compare(&mut self, found: &Loaded, truth: &mut Truth, is_new: bool) {
        let mut live = BTreeMap::new();
        for record in &found.records {
            live.insert(record.key, (level_index(record.level), record.id));
            self.check_content(record, truth);
            let is_known = self.durable.get(&record.key).map(|known| known.1) == Some(record.id);
            if !is_known && !self.in_doubt.contains(&record.id) && !self.is_rotten {
                self.fail(format!(
                    "the spool came back with {}, which had left",
                    record.id
                ));
            }
            if let Some(entry) = truth.entries.get_mut(&record.id) {
                entry.is_committed = true;
            }
        }
        for (key, (_, id)) in &self.durable {
            if live.contains_key(key) {
                continue;
            }
            let Some(entry) = truth.entries.get_mut(id) else {
                continue;
            };
            let was_removed = !self.live.contains_key(key);
            if self.is_rotten {
                entry.is_rotten = true;
            } else if self.evictions_in_doubt {
                entry.is_evicted = true;
            } else if !was_removed {
                self.broken
                    .get_or_insert(format!("{id} was committed and is gone"));
            }
        }
        if is_new && !self.is_rotten {
            self.fail("a spool without a fault was set aside".to_owned());
        }
        self.durable.clone_from(&live);
        self.live = live;
        self.in_doubt.clear();
        self.evictions_in_doubt = false;
    }

    fn check_content(&mut self, record: &Stored, truth: &Truth) {
        match truth.entries.get(&record.id) {
            Some(entry) if entry.line == record.line && entry.level == record.level => {}
            Some(_) if self.is_rotten => {}
            Some(_) => self.fail(format!("{} came out of the spool altered", record.id)),
            None if self.is_rotten => {}
            None => self.fail(format!("{} was never written", record.id)),
        }
    }

    /// Takes over new records, less those that were given up.
    fn appended(
        &mut self,
        records: &[Fresh<'_>],
        protected: Option<u64>,
        evicted: &Evicted,
        last_key: Option<u64>,
        truth: &mut Truth,
    ) {
        // New records behind the old ones, numbered as if none were given up.
        let first_new = self.live.keys().next_back().map_or(0, |key| key + 1);
        let mut all = self.live.clone();
        for (place, record) in (first_new..).zip(records) {
            all.insert(place, (level_index(record.level), record.id));
        }
        for (level, &count) in evicted.iter().enumerate() {
            let gone: Vec<u64> = all
                .iter()
                .filter(|(_, (of, _))| *of == level)
                .map(|(key, _)| *key)
                .filter(|key| protected.is_none_or(|up_to| *key > up_to))
                .take(count as usize)
                .collect();
            if gone.len() < count as usize {
                self.fail(format!(
                    "{count} evictions of level {level}, but so many may not go"
                ));
            }
            for key in gone {
                let Some((_, id)) = all.remove(&key) else {
                    continue;
                };
                self.evicted += 1;
                if let Some(entry) = truth.entries.get_mut(&id) {
                    entry.is_evicted = true;
                }
            }
        }
        self.check_priorities(&all, protected, evicted);
        for record in records {
            if let Some(entry) = truth.entries.get_mut(&record.id) {
                entry.is_committed = true;
            }
        }
        // Only those that stay get a key.
        let new: Vec<_> = all.split_off(&first_new).into_values().collect();
        let end = last_key.map_or(0, |key| key + 1);
        let start = end.saturating_sub(new.len() as u64);
        if !new.is_empty() {
            if self
                .live
                .keys()
                .next_back()
                .is_some_and(|&old| old >= start)
            {
                self.fail("a key was given twice".to_owned());
            }
            all.extend((start..).zip(new));
        }
        self.live = all;
        self.durable.clone_from(&self.live);
    }

    /// Nothing is given up while something less valuable stays.
    fn check_priorities(
        &mut self,
        left: &BTreeMap<u64, (usize, RecordId)>,
        protected: Option<u64>,
        evicted: &Evicted,
    ) {
        let may_go = |key: &u64| protected.is_none_or(|up_to| *key > up_to);
        for (rank, group) in GROUPS.iter().enumerate() {
            if group.iter().all(|&level| evicted[level] == 0) {
                continue;
            }
            let cheaper: Vec<usize> = GROUPS[..rank].concat();
            let stays = left
                .iter()
                .any(|(key, (level, _))| may_go(key) && cheaper.contains(level));
            if stays {
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
                shadow.appended(records, protected, evicted, holdings.last_key, truth);
                let is_needless = evicted.iter().any(|&count| count > 0)
                    && self.fit.tightness < 3
                    && holdings.bytes * 6 < self.fit.max_bytes
                    && holdings.total() * 512 < self.fit.max_bytes;
                if is_needless {
                    shadow.fail(format!("given up {evicted:?} with {holdings:?} left"));
                }
            }
            Err(_) => {
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

    fn load(&mut self, records: usize, bytes: usize) -> Result<Loaded, SpoolError> {
        let loaded = self.inner.load(records, bytes)?;
        let mut guard = lock(&self.shared);
        let (shadow, truth) = &mut *guard;
        for record in &loaded.records {
            shadow.check_content(record, truth);
        }
        let ids = loaded.records.iter().map(|record| record.id);
        let wanted = shadow.live.values().map(|(_, id)| *id);
        if !ids.eq(wanted.take(loaded.records.len())) && !shadow.is_rotten {
            shadow.fail("the spool gave others than its oldest records".to_owned());
        }
        Ok(loaded)
    }

    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError> {
        let removed = self.inner.remove(records)?;
        let mut guard = lock(&self.shared);
        for record in records {
            guard.0.live.remove(&record.key);
        }
        Ok(removed)
    }

    fn sync(&mut self) -> Result<(), SpoolError> {
        self.inner.sync()?;
        let mut guard = lock(&self.shared);
        guard.0.durable = guard.0.live.clone();
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
        self.inner.remember_breaker(open)?;
        // It is a durable transaction, and takes the removals along.
        let mut guard = lock(&self.shared);
        guard.0.durable = guard.0.live.clone();
        Ok(())
    }
}
