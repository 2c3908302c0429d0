//! The accounts of the simplest sinks.

use std::borrow::Cow;

use crate::record::Record;
use crate::sink::{LossReason, Losses, SinkError, SinkStats};

/// The accounts of a sink that is done with a record when `write` returns: a
/// counter, a list in memory. Nothing is ever pending, and only what comes after
/// the close is lost.
///
/// ```
/// use std::sync::Mutex;
/// use std::time::Duration;
/// use telemetry_core::{Books, Record, Sink, SinkError, SinkStats};
///
/// /// Remembers the longest message.
/// struct Longest(Mutex<(Books, String)>);
///
/// impl Sink for Longest {
///     fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
///         let (books, longest) = &mut *self.0.lock().unwrap();
///         books.accept(record)?;
///         if record.message().len() > longest.len() {
///             record.message().clone_into(longest);
///         }
///         Ok(())
///     }
///     fn flush(&self, _: Duration) -> Result<(), SinkError> {
///         Ok(()) // nothing is on its way
///     }
///     fn close(&self, _: Duration) -> Result<(), SinkError> {
///         self.0.lock().unwrap().0.close();
///         Ok(())
///     }
///     fn stats(&self, into: &mut Vec<SinkStats>) {
///         into.push(self.0.lock().unwrap().0.stats());
///     }
/// }
/// # let longest = Longest(Mutex::new((Books::new("longest"), String::new())));
/// # let mut stats = Vec::new();
/// # longest.stats(&mut stats);
/// # assert_eq!(stats[0].name, "longest");
/// ```
#[derive(Debug, Clone)]
pub struct Books {
    name: &'static str,
    accepted: u64,
    lost: Losses,
    is_closed: bool,
}

impl Books {
    /// Of a sink with this name, which has seen no record yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            accepted: 0,
            lost: Losses::default(),
            is_closed: false,
        }
    }

    /// Books a record that was offered: call it first, and go on with `?`.
    ///
    /// # Errors
    /// [`SinkError::Closed`] after [`close`](Self::close); the record is then
    /// booked as lost.
    pub fn accept(&mut self, record: &Record<'_>) -> Result<(), SinkError> {
        self.accepted += 1;
        if self.is_closed {
            self.lost.add(LossReason::Shutdown, record.level(), 1);
            return Err(SinkError::Closed { sink: self.name });
        }
        Ok(())
    }

    /// Refuses records from now on.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// What became of the records.
    pub fn stats(&self) -> SinkStats {
        let dropped = self.lost.total();
        SinkStats {
            name: Cow::Borrowed(self.name),
            accepted: self.accepted,
            delivered: self.accepted - dropped,
            dropped,
            lost: self.lost.clone(),
            ..SinkStats::default()
        }
    }
}
