//! A sink for tests.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::books::Books;
use crate::lock;
use crate::pretty::Pretty;
use crate::record::Record;
use crate::sink::{Sink, SinkError, SinkStats};

/// Keeps every record in memory, as its JSON line and as text for a person,
/// without a bound.
///
/// ```
/// # use telemetry_core::{Capture, Identity, MemorySink, Numbered};
/// # use tracing_subscriber::layer::SubscriberExt as _;
/// let memory = MemorySink::new();
/// let capture = Capture::new(Identity::new(uuid::Uuid::nil()), Numbered::new(memory.clone()));
/// let subscriber = tracing_subscriber::registry().with(capture);
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::warn!(target: "mirror", path = "/a b", "disk is slow");
/// });
/// assert_eq!(memory.texts(), [r#"WARN mirror: disk is slow path="/a b""#]);
/// assert!(memory.lines()[0].contains(r#""fields":{"path":"/a b"}"#));
/// ```
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

struct Lines {
    kept: Vec<String>,
    texts: Vec<String>,
    pretty: Pretty,
    books: Books,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            texts: Vec::new(),
            pretty: Pretty::default(),
            books: Books::new("memory"),
        }
    }
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

    /// The same as text for a person: level, target, message, fields and spans,
    /// as [`Pretty`] writes them, without the time. For assertions that can be
    /// read.
    pub fn texts(&self) -> Vec<String> {
        lock(&self.0.lines).texts.clone()
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
        let lines = &mut *lock(&self.0.lines);
        lines.books.accept(record)?;
        lines.kept.push(record.json().to_owned());
        let mut text = String::new();
        lines.pretty.push(&mut text, record);
        let without_time = text.split_once(' ').map_or("", |(_, text)| text);
        lines.texts.push(without_time.trim_start().to_owned());
        self.0.more.notify_all();
        Ok(())
    }

    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(&self, _: Duration) -> Result<(), SinkError> {
        lock(&self.0.lines).books.close();
        Ok(())
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        into.push(lock(&self.0.lines).books.stats());
    }
}
