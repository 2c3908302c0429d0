//! Reading the oldest records of a spool's file.

use redb::{Database, OwnedAccessGuard, OwnedRange, ReadableDatabase};
use telemetry_core::LEVELS;

use super::change::RECORDS;
use super::pack::{self, Entry};
use super::{SpoolError, Stored};
use crate::planted;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) records: Vec<Stored>,
    /// The packs (level and key) in which something makes no sense.
    pub(super) senseless: Vec<(usize, u64)>,
    /// How many records and packs make none.
    pub(super) senseless_count: u64,
}

impl Found {
    fn note_senseless(&mut self, level: usize, pack: u64) {
        self.senseless_count += 1;
        if !self.senseless.contains(&(level, pack)) {
            self.senseless.push((level, pack));
        }
    }
}

/// Reads the oldest records of all levels from a key on, in the order of their
/// keys, of those that are `there` (by level and key).
pub(super) fn load(
    database: &Database,
    first: u64,
    is_there: impl Fn(usize, u64) -> bool,
    records: usize,
    bytes: usize,
) -> Result<Found, SpoolError> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let mut found = Found::default();
    let mut streams = Vec::with_capacity(LEVELS.len());
    for (level, table) in RECORDS.into_iter().enumerate() {
        let table = transaction.open_table(table).map_err(redb::Error::from)?;
        // The first record may stand in the middle of a pack.
        let mut before = table.range(..=first).map_err(redb::Error::from)?;
        let start = match before.next_back() {
            Some(entry) => entry.map_err(redb::Error::from)?.0.value(),
            None => first,
        };
        let range = table.range_owned(start..).map_err(redb::Error::from)?;
        let mut stream = Stream {
            level,
            first,
            range,
            pack: None,
            next: None,
        };
        stream.advance(&mut found)?;
        streams.push(stream);
    }
    let mut size = 0;
    while found.records.len() < records {
        let oldest = streams
            .iter_mut()
            .filter(|stream| stream.next.is_some())
            .min_by_key(|stream| stream.next.as_ref().map(|entry| entry.key));
        let Some(stream) = oldest else { break };
        let Some(entry) = stream.next.take() else {
            break;
        };
        if found
            .records
            .last()
            .is_some_and(|last| last.key >= entry.key)
        {
            return Err(SpoolError::Corrupt(
                "its records are out of order".to_owned(),
            ));
        }
        if is_there(stream.level, entry.key) {
            size += entry.line_bytes();
            if !found.records.is_empty() && size > bytes {
                break;
            }
            stream.read(&entry, &mut found);
        }
        stream.advance(&mut found)?;
    }
    Ok(found)
}

/// A pack that is being read.
struct Pack {
    key: u64,
    value: OwnedAccessGuard<&'static [u8]>,
    entries: std::vec::IntoIter<Entry>,
}

/// The records of one level, oldest first.
struct Stream {
    level: usize,
    /// What stands before this key was read already.
    first: u64,
    range: OwnedRange<u64, &'static [u8]>,
    pack: Option<Pack>,
    next: Option<Entry>,
}

impl Stream {
    fn advance(&mut self, found: &mut Found) -> Result<(), SpoolError> {
        self.next = None;
        loop {
            if let Some(pack) = &mut self.pack
                && let Some(entry) = pack.entries.find(|entry| entry.key >= self.first)
            {
                self.next = Some(entry);
                return Ok(());
            }
            let Some(next) = self.range.next() else {
                return Ok(());
            };
            let (key, value) = next.map_err(redb::Error::from)?;
            let key = key.value();
            match pack::entries(key, value.value()) {
                Some(entries) => {
                    self.pack = Some(Pack {
                        key,
                        value,
                        entries: entries.into_iter(),
                    });
                }
                None if key >= self.first => found.note_senseless(self.level, key),
                None => {}
            }
        }
    }

    /// Reads a record of the pack that the stream is at.
    fn read(&self, entry: &Entry, found: &mut Found) {
        let Some(pack) = &self.pack else { return };
        let Some((id, line)) = entry.read(pack.value.value()) else {
            found.note_senseless(self.level, pack.key);
            return;
        };
        let line = if planted!(CutsLongLines) {
            &line[..line.len().min(400)]
        } else {
            line
        };
        found.records.push(Stored {
            key: entry.key,
            level: LEVELS[self.level],
            id,
            line: line.to_owned(),
        });
    }
}
