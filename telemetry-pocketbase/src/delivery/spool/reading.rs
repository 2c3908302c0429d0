//! Reading the oldest records of a spool's file.

use redb::{Database, OwnedRange, ReadableDatabase};
use telemetry_core::LEVELS;

use super::change::RECORDS;
use super::value::decode as decode_value;
use super::{SpoolError, Stored};
use crate::planted;

/// What was found, and the places (level and key) of what makes no sense.
pub(super) struct Found {
    pub(super) records: Vec<Stored>,
    pub(super) senseless: Vec<(usize, u64)>,
}

/// Reads the oldest records of all levels from a key on, in the order of their
/// keys, of those that are `there`.
pub(super) fn load(
    database: &Database,
    first: u64,
    is_there: impl Fn(u64) -> bool,
    records: usize,
    bytes: usize,
) -> Result<Found, SpoolError> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let mut streams = Vec::with_capacity(LEVELS.len());
    for (level, table) in RECORDS.into_iter().enumerate() {
        let table = transaction.open_table(table).map_err(redb::Error::from)?;
        let range = table.range_owned(first..).map_err(redb::Error::from)?;
        streams.push(Stream::start(level, range)?);
    }
    let mut loaded: Vec<Stored> = Vec::new();
    let mut senseless = Vec::new();
    let mut size = 0;
    while loaded.len() < records {
        let oldest = streams
            .iter_mut()
            .filter(|stream| stream.next.is_some())
            .min_by_key(|stream| stream.next.as_ref().map(|entry| entry.key));
        let Some(stream) = oldest else { break };
        let Some(entry) = stream.next.take() else {
            break;
        };
        if !is_there(entry.key) {
            stream.advance()?;
            continue;
        }
        let Some(record) = entry.record else {
            senseless.push((stream.level, entry.key));
            stream.advance()?;
            continue;
        };
        if loaded.last().is_some_and(|last| last.key >= record.key) {
            return Err(SpoolError::Corrupt(
                "its records are out of order".to_owned(),
            ));
        }
        size += record.line.len();
        if !loaded.is_empty() && size > bytes {
            break;
        }
        loaded.push(record);
        stream.advance()?;
    }
    Ok(Found {
        records: loaded,
        senseless,
    })
}

/// A place in a table, with its record if that makes sense.
struct Entry {
    key: u64,
    record: Option<Stored>,
}

/// The records of one level, oldest first.
struct Stream {
    level: usize,
    range: OwnedRange<u64, &'static [u8]>,
    next: Option<Entry>,
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
        let key = key.value();
        let record = decode(key, self.level, value.value());
        self.next = Some(Entry { key, record });
        Ok(())
    }
}

fn decode(key: u64, level: usize, value: &[u8]) -> Option<Stored> {
    let (id, line) = decode_value(key, value)?;
    let line = if planted!(CutsLongLines) {
        &line[..line.len().min(400)]
    } else {
        line
    };
    Some(Stored {
        key,
        level: LEVELS[level],
        id,
        line: line.to_owned(),
    })
}
