//! Reading the oldest records of a spool's file.

use redb::{Database, OwnedRange, ReadableDatabase};
use telemetry_core::LEVELS;

use super::change::RECORDS;
use super::{SpoolError, Stored};
use crate::id::{ID_LENGTH, RecordId};

/// Reads the oldest records of all levels in the order of their keys.
pub(super) fn load(
    database: &Database,
    records: usize,
    bytes: usize,
) -> Result<Vec<Stored>, SpoolError> {
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
