//! A spool that is lost with the process.

use std::collections::BTreeMap;

use telemetry_core::{LEVELS, level_index};

use super::{ByLevel, EVICTION_ORDER, Evicted, Fresh, Holdings, Loaded, Spool, SpoolError, Stored};

/// What a record takes besides its line: key, id, level, tree.
const OVERHEAD: usize = 96;

/// Keeps records in memory, within a bound of bytes.
#[derive(Debug)]
pub struct MemorySpool {
    max_bytes: usize,
    levels: [BTreeMap<u64, Stored>; LEVELS.len()],
    bytes: usize,
    next_key: u64,
}

impl MemorySpool {
    /// An empty one of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            levels: Default::default(),
            bytes: 0,
            next_key: 0,
        }
    }

    fn cost(&self) -> usize {
        let records: usize = self.levels.iter().map(BTreeMap::len).sum();
        self.bytes + records * OVERHEAD
    }

    fn take(&mut self, level: usize, key: u64) -> bool {
        let Some(record) = self.levels[level].remove(&key) else {
            return false;
        };
        self.bytes -= record.line.len();
        true
    }

    /// The oldest of the least valuable records that are not protected.
    fn least_valuable(&self, protected: Option<u64>) -> Option<(usize, u64)> {
        let first = protected.map_or(0, |key| key + 1);
        EVICTION_ORDER.iter().find_map(|group| {
            let oldest = |&level: &usize| {
                let (&key, _) = self.levels[level].range(first..).next()?;
                Some((key, level))
            };
            let (key, level) = group.iter().filter_map(oldest).min()?;
            Some((level, key))
        })
    }

    fn evict(&mut self, protected: Option<u64>) -> Evicted {
        let mut evicted: ByLevel = Default::default();
        while self.cost() > self.max_bytes {
            let Some((level, key)) = self.least_valuable(protected) else {
                break;
            };
            self.take(level, key);
            evicted[level] += 1;
        }
        evicted
    }
}

impl Spool for MemorySpool {
    fn append(
        &mut self,
        records: &[Fresh<'_>],
        protected: Option<u64>,
    ) -> Result<Evicted, SpoolError> {
        for record in records {
            let key = self.next_key;
            self.next_key += 1;
            self.bytes += record.line.len();
            self.levels[level_index(record.level)].insert(
                key,
                Stored {
                    key,
                    level: record.level,
                    id: record.id,
                    line: record.line.to_owned(),
                },
            );
        }
        Ok(self.evict(protected))
    }

    fn append_limit(&self) -> usize {
        usize::MAX
    }

    fn load(
        &mut self,
        after: Option<u64>,
        records: usize,
        bytes: usize,
    ) -> Result<Loaded, SpoolError> {
        let first = after.map_or(0, |key| key + 1);
        let mut oldest = self
            .levels
            .each_ref()
            .map(|level| level.range(first..).map(|(_, record)| record).peekable());
        let mut loaded: Vec<Stored> = Vec::new();
        let mut size = 0;
        while loaded.len() < records {
            let next = oldest
                .iter_mut()
                .filter_map(|level| Some((level.peek()?.key, level)))
                .min_by_key(|(key, _)| *key)
                .and_then(|(_, level)| level.next());
            let Some(record) = next else { break };
            size += record.line.len();
            if !loaded.is_empty() && size > bytes {
                break;
            }
            loaded.push(record.clone());
        }
        Ok(Loaded {
            records: loaded,
            ..Loaded::default()
        })
    }

    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError> {
        let mut removed = 0;
        for record in records {
            removed += u64::from(self.take(level_index(record.level), record.key));
        }
        Ok(removed)
    }

    fn sync(&mut self) -> Result<(), SpoolError> {
        Ok(())
    }

    fn holdings(&self) -> Holdings {
        let first = |level: &BTreeMap<u64, Stored>| level.keys().next().copied();
        let last = |level: &BTreeMap<u64, Stored>| level.keys().next_back().copied();
        Holdings {
            records: self.levels.each_ref().map(|level| level.len() as u64),
            bytes: self.bytes as u64,
            first_key: self.levels.iter().filter_map(first).min(),
            last_key: self.levels.iter().filter_map(last).max(),
        }
    }

    fn file_bytes(&self) -> u64 {
        0
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn breaker_was_open(&self) -> bool {
        false
    }

    fn remember_breaker(&mut self, _open: bool) -> Result<(), SpoolError> {
        Ok(())
    }
}
