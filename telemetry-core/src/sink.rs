//! The contract that every destination of records keeps, and its accounts.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tracing::Level;

use crate::record::Record;

/// A destination for records: a file, a server, memory; or a step on the way
/// there, such as [`Queue`](crate::Queue), [`Tee`](crate::Tee) and
/// [`Filtered`](crate::Filtered), which are sinks that hold sinks.
///
/// # Threads
/// May be called on the thread that logs, and by several threads at once:
/// `write` never waits for a network. Events emitted by a sink while it writes
/// are not captured (it would call itself); a sink tells about its troubles in
/// [`stats`](Sink::stats) and, once for each trouble, on stderr
/// ([`complain`](crate::complain)).
///
/// # The law
/// In each [`SinkStats`], `accepted = delivered + dropped + rejected + pending`.
/// Every record offered to `write` counts as accepted, those answered
/// [`SinkError::Full`] included.
///
/// # Writing one
/// A sink that keeps the messages of errors for a status page:
///
/// ```
/// use std::sync::Mutex;
/// use std::time::Duration;
/// use telemetry_core::{Record, Sink, SinkError, SinkStats};
/// use tracing::Level;
///
/// #[derive(Default)]
/// struct Errors(Mutex<Vec<String>>);
///
/// impl Sink for Errors {
///     fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
///         if record.level() == Level::ERROR {
///             self.0.lock().unwrap().push(record.message().to_owned());
///         }
///         Ok(())
///     }
///     fn flush(&self, _limit: Duration) -> Result<(), SinkError> {
///         Ok(()) // nothing is on its way
///     }
///     fn close(&self, _limit: Duration) -> Result<(), SinkError> {
///         Ok(())
///     }
///     fn stats(&self, _into: &mut Vec<SinkStats>) {} // nothing can be lost
/// }
/// ```
pub trait Sink: Send + Sync {
    /// Accepts one record, lent for the call: keep a copy if you need one.
    /// `Ok` means accepted, not yet durable.
    ///
    /// # Errors
    /// [`SinkError::Full`] if it was dropped (and counted),
    /// [`SinkError::Closed`] after [`close`](Sink::close),
    /// [`SinkError::Failed`] if the destination failed (and it was counted).
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError>;

    /// Accepts several records, one after the other, as [`write`](Sink::write)
    /// would, but tells nothing of those that were lost: the accounts do.
    ///
    /// Does so by default. A sink that takes a lock for each record takes it once
    /// here, since that costs as much as to copy the record: a queue calls this
    /// for a hundred records or so, on one thread. A step in a pipeline hands on
    /// what it is given through the same function of the next one. All records
    /// have to be taken: those that are not count as lost, as if the sink had
    /// panicked on them.
    fn write_all(&self, records: &mut Records<'_>) {
        records.for_each(&mut |record| {
            // Counted there.
            let _ = self.write(record);
        });
    }

    /// The caller has no more records at the moment: write out what a buffer
    /// holds. Called often; must be cheap when there is nothing to do.
    fn batch_end(&self) {}

    /// Waits until everything accepted before this call is as durable as the
    /// sink is configured to make it.
    ///
    /// # Errors
    /// [`SinkError::Timeout`] if that takes longer than `limit`.
    fn flush(&self, limit: Duration) -> Result<(), SinkError>;

    /// Writes out what is pending and stops; later writes get
    /// [`SinkError::Closed`]. Closing twice is harmless.
    ///
    /// # Errors
    /// [`SinkError::Timeout`] if something is left after `limit`; it is counted
    /// as dropped, or still pending when it is kept for the next start.
    fn close(&self, limit: Duration) -> Result<(), SinkError>;

    /// Opens the destination anew, after somebody moved it (a log rotation from
    /// outside, SIGHUP). Does nothing by default.
    fn reopen(&self) {}

    /// The accounts of this sink and of those it holds, one entry a sink.
    fn stats(&self, into: &mut Vec<SinkStats>);
}

/// Shared sinks are sinks, so that a caller can keep a handle on one that it
/// has put into a pipeline.
impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        (**self).write(record)
    }
    fn write_all(&self, records: &mut Records<'_>) {
        (**self).write_all(records);
    }
    fn batch_end(&self) {
        (**self).batch_end();
    }
    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        (**self).flush(limit)
    }
    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        (**self).close(limit)
    }
    fn reopen(&self) {
        (**self).reopen();
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        (**self).stats(into);
    }
}

/// Boxed sinks are sinks, so that a list may hold different ones.
impl<S: Sink + ?Sized> Sink for Box<S> {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        (**self).write(record)
    }
    fn write_all(&self, records: &mut Records<'_>) {
        (**self).write_all(records);
    }
    fn batch_end(&self) {
        (**self).batch_end();
    }
    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        (**self).flush(limit)
    }
    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        (**self).close(limit)
    }
    fn reopen(&self) {
        (**self).reopen();
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        (**self).stats(into);
    }
}

/// What is given one record after the other.
pub type Take<'a> = dyn FnMut(&Record<'_>) + 'a;

/// Some records, lent one after the other: see [`Sink::write_all`].
///
/// A step that hands on every second record:
///
/// ```
/// # use telemetry_core::{Records, Sink};
/// fn every_second(records: &mut Records<'_>, next: &dyn Sink) {
///     let mut number = 0;
///     next.write_all(&mut Records::new(&mut |take| {
///         records.for_each(&mut |record| {
///             number += 1;
///             if number % 2 == 0 {
///                 take(record);
///             }
///         });
///     }));
/// }
/// ```
pub struct Records<'a> {
    lend: &'a mut dyn FnMut(&mut Take<'_>),
}

impl<'a> Records<'a> {
    /// Those that `lend` gives to what it is given.
    pub fn new(lend: &'a mut dyn FnMut(&mut Take<'_>)) -> Self {
        Self { lend }
    }

    /// Gives each of them to `take`. Another call finds none.
    pub fn for_each(&mut self, take: &mut Take<'_>) {
        (self.lend)(take);
    }
}

/// Why a sink did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// No room: the record was dropped and counted.
    #[error("sink `{sink}` is full; the record was dropped and counted")]
    Full {
        /// Name of the sink, as in [`SinkStats::name`].
        sink: &'static str,
    },
    /// The sink was closed before.
    #[error("sink `{sink}` is closed")]
    Closed {
        /// Name of the sink.
        sink: &'static str,
    },
    /// Not done within the limit that the caller gave.
    #[error("sink `{sink}` was not done within {limit:?}; {pending} records are pending")]
    Timeout {
        /// Name of the sink.
        sink: &'static str,
        /// The caller's limit.
        limit: Duration,
        /// Records that were waiting at the time.
        pending: u64,
    },
    /// The destination failed: the record was dropped and counted.
    #[error("sink `{sink}` failed")]
    Failed {
        /// Name of the sink.
        sink: &'static str,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What became of the records that a sink was offered: one consistent snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// The sink, as metrics and `status` name it: `queue`, `file`, `console`, …
    pub name: Cow<'static, str>,
    /// Records offered to `write`; those found in a spool at the start too.
    pub accepted: u64,
    /// Records that reached the destination.
    pub delivered: u64,
    /// Records lost on the way; [`lost`](Self::lost) says why.
    pub dropped: u64,
    /// Records that the destination refused for themselves.
    pub rejected: u64,
    /// Records on their way; counted by itself, never derived.
    pub pending: u64,
    /// How the sink is.
    pub health: Health,
    /// The losses by reason and level; their sum is [`dropped`](Self::dropped)
    /// plus, for reason [`LossReason::Refused`], [`rejected`](Self::rejected).
    pub lost: Losses,
}

/// How a sink is, in words for `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// Records arrive.
    #[default]
    Good,
    /// Nothing is lost yet, but somebody should look: the reason.
    Degraded(String),
    /// Records are being lost: the reason.
    Failing(String),
}

/// Why a record was lost: the `reason` of `telemetry_records_lost_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LossReason {
    /// The queue between caller and sinks was full.
    QueueFull,
    /// The channel to an uploader was full.
    ChannelFull,
    /// The spool was full, and this was the least valuable record.
    SpoolFull,
    /// The disk or stream refused it.
    IoError,
    /// Larger than the destination can take.
    TooLarge,
    /// The sink panicked on it.
    SinkPanicked,
    /// Still waiting when the time for shutting down was over.
    Shutdown,
    /// The destination refused it for itself.
    Refused,
}

impl LossReason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::ChannelFull,
        Self::SpoolFull,
        Self::IoError,
        Self::TooLarge,
        Self::SinkPanicked,
        Self::Shutdown,
        Self::Refused,
    ];

    /// The name in metrics and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::ChannelFull => "channel_full",
            Self::SpoolFull => "spool_full",
            Self::IoError => "io_error",
            Self::TooLarge => "too_large",
            Self::SinkPanicked => "sink_panicked",
            Self::Shutdown => "shutdown",
            Self::Refused => "refused",
        }
    }
}

/// All levels, most severe first: the order of [`level_index`].
pub const LEVELS: [Level; 5] = [
    Level::ERROR,
    Level::WARN,
    Level::INFO,
    Level::DEBUG,
    Level::TRACE,
];

/// Place of a level in [`LEVELS`]: 0 for ERROR, 4 for TRACE.
pub fn level_index(level: Level) -> usize {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

/// Counts of lost records by reason and level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses([[u64; LEVELS.len()]; LossReason::ALL.len()]);

impl Losses {
    /// Counts `count` records of `level` as lost for `reason`.
    pub fn add(&mut self, reason: LossReason, level: Level, count: u64) {
        self.0[reason as usize][level_index(level)] += count;
    }

    /// How many records of `level` were lost for `reason`.
    pub fn of(&self, reason: LossReason, level: Level) -> u64 {
        self.0[reason as usize][level_index(level)]
    }

    /// How many records were lost in all.
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    /// The counts that are not zero.
    pub fn iter(&self) -> impl Iterator<Item = (LossReason, Level, u64)> + '_ {
        LossReason::ALL.into_iter().flat_map(move |reason| {
            LEVELS
                .into_iter()
                .map(move |level| (reason, level, self.of(reason, level)))
                .filter(|&(_, _, count)| count > 0)
        })
    }
}
