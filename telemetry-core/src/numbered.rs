//! Sequence numbers where there is no queue.

use std::sync::Mutex;
use std::time::Duration;

use crate::json::Line;
use crate::lock;
use crate::record::Record;
use crate::sink::{Sink, SinkError, SinkStats};

/// Numbers records from 1, under a lock that it holds while the sink writes: so
/// records reach the sink in the order of their numbers.
///
/// For [`Capture`](crate::Capture) straight into a sink; a
/// [`Queue`](crate::Queue) numbers by itself. Records that have a number keep it.
pub struct Numbered<S> {
    sink: S,
    last: Mutex<(u64, Line)>,
}

impl<S: Sink> Numbered<S> {
    /// Numbers what goes to `sink`.
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            last: Mutex::default(),
        }
    }
}

impl<S: Sink> Sink for Numbered<S> {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        if record.seq() != 0 {
            return self.sink.write(record);
        }
        let (seq, line) = &mut *lock(&self.last);
        *seq += 1;
        line.reset();
        self.sink.write(&record.numbered(*seq, line))
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
