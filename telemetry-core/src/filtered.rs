//! A minimum level for one destination.

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::record::Record;
use crate::sink::{Records, Sink, SinkError, SinkStats};

/// Hands on the records that are at least as severe as a level.
///
/// The others are not offered to the sink behind it, so they are not in its
/// accounts: its gaps in the sequence numbers are by design.
pub struct Filtered<S> {
    least: LevelFilter,
    sink: S,
}

impl<S: Sink> Filtered<S> {
    /// Lets through what `least` enables.
    pub fn new(least: LevelFilter, sink: S) -> Self {
        Self { least, sink }
    }
}

impl<S: Sink> Sink for Filtered<S> {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        if record.level() <= self.least {
            self.sink.write(record)
        } else {
            Ok(())
        }
    }
    fn write_all(&self, records: &mut Records<'_>) {
        self.sink.write_all(&mut Records::new(&mut |take| {
            records.for_each(&mut |record| {
                if record.level() <= self.least {
                    take(record);
                }
            });
        }));
    }
    fn batch_end(&self) {
        self.sink.batch_end();
    }
    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        self.sink.flush(limit)
    }
    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        self.sink.close(limit)
    }
    fn reopen(&self) {
        self.sink.reopen();
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        self.sink.stats(into);
    }
}
