//! A sink for tests.

use std::borrow::Cow;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::lock;
use crate::record::Record;
use crate::sink::{LossReason, Losses, Sink, SinkError, SinkStats};

/// Keeps the JSON line of every record in memory, without a bound.
///
/// A clone is another handle on the same lines, so that a test can put one into
/// a pipeline and look at the other.
#[derive(Clone, Default)]
pub struct MemorySink(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    kept: Vec<String>,
    closed: bool,
    /// What came after the close.
    lost: Losses,
}

impl MemorySink {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines until now, in order.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.0.lines).kept.clone()
    }

    /// Waits until there are `count` lines, or the limit is over; returns the
    /// lines there are.
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<String> {
        let lines = lock(&self.0.lines);
        let waited = self
            .0
            .more
            .wait_timeout_while(lines, limit, |lines| lines.kept.len() < count);
        waited
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .kept
            .clone()
    }
}

impl Sink for MemorySink {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let mut lines = lock(&self.0.lines);
        if lines.closed {
            lines.lost.add(LossReason::Shutdown, record.level(), 1);
            return Err(SinkError::Closed { sink: "memory" });
        }
        lines.kept.push(record.json().to_owned());
        self.0.more.notify_all();
        Ok(())
    }

    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(&self, _: Duration) -> Result<(), SinkError> {
        lock(&self.0.lines).closed = true;
        Ok(())
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        let lines = lock(&self.0.lines);
        let delivered = lines.kept.len() as u64;
        let dropped = lines.lost.total();
        into.push(SinkStats {
            name: Cow::Borrowed("memory"),
            accepted: delivered + dropped,
            delivered,
            dropped,
            lost: lines.lost.clone(),
            ..SinkStats::default()
        });
    }
}
