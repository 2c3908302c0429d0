//! The bounded queue between the threads that log and the sinks.
//!
//! Callers fill the batch in front under a short lock; the writer takes all of
//! it and hands its records on without any lock. Records are copied, not boxed:
//! a lent view costs the caller 670 instructions less than a shared handle. A
//! batch is made of preallocated chunks, which come back as the writer empties
//! them, so that the steady state allocates nothing, and a queue that was full
//! gives its memory back. A channel was measured and rejected: it wakes its
//! consumer for each record, which makes the caller's 99th percentile ten times
//! as long. The sink is given a hundred records or so at once, see
//! [`Sink::write_all`].
//!
//! # The argument
//! - *Order.* A number is taken under the lock, together with the place in the
//!   batch, or at the loss. So records are handed on in the order of their
//!   numbers, and a gap in the numbers is a loss.
//! - *Bound.* `front + in flight <= capacity`, in records and in bytes; both
//!   change under the lock only. The writer books its progress every
//!   [`PROGRESS`](writer::PROGRESS) records, so that room comes back while it
//!   is still busy with the batch.
//! - *The law.* Every count changes under the same lock as the place of the
//!   record it counts, so each snapshot adds up.
//! - *Waking.* The writer sleeps only after it has seen, under the lock, an empty
//!   front, and has set `idle` there. Whoever fills an empty queue finds `idle`,
//!   clears it and unparks. Nobody else needs to, except that an ERROR or a
//!   front that is full enough ends the linger: they set `urgent`, which the
//!   writer reads under the lock before it lingers. An unpark that comes early
//!   is not lost: it makes the next park return at once.
//! - *Room.* Those who wait for it are woken one at a time while the writer is at
//!   work, see [`State::book`]: at the end of each batch, and before when what is
//!   taken up falls. When nothing is left all are woken, so nobody sleeps in front
//!   of an idle writer.

mod batch; // records back to back, in chunks
#[cfg(all(test, queue_model))]
mod model; // every order in which the threads could act
mod state; // what the lock protects: places, numbers, accounts
mod sync; // locks, waits and threads
mod writer; // the thread behind it

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::state::{CloseOrder, State};
use self::sync::{Condvar, JoinHandle, Mutex, MutexGuard, Thread, lock};
use self::writer::Writer;
use crate::complain::complain;
use crate::deadline_after;
use crate::record::Record;
use crate::sink::{Sink, SinkError, SinkStats};

/// Default of [`QueueConfig::capacity`].
pub const DEFAULT_CAPACITY: usize = 16_384;
/// Default of [`QueueConfig::max_bytes`]: 16 MiB.
pub const DEFAULT_MAX_BYTES: usize = 16 << 20;
/// Default limit of [`WhenFull::Block`].
pub const DEFAULT_BLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long `drop` waits for the writer.
const DROP_LIMIT: Duration = Duration::from_secs(2);
/// The sink has the whole limit of a flush or close; so much longer does the
/// caller wait, for the writer to say how it went.
const GRACE: Duration = Duration::from_millis(100);

/// What to do with a record that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Drop the newest and count it: the start of an incident explains it. A
    /// sixteenth of the room is kept for WARN and ERROR.
    DropNewest,
    /// Wait for room on the caller's thread; after this time drop after all.
    Block(Duration),
}

/// Bounds of a [`Queue`].
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The name in accounts and of the thread. Default `queue`.
    pub name: &'static str,
    /// Most records between the callers and the sink, those being written
    /// included. Default [`DEFAULT_CAPACITY`]; at least 1.
    pub capacity: usize,
    /// Most bytes of the same, as they lie in memory. Default
    /// [`DEFAULT_MAX_BYTES`]. One record alone always passes.
    pub max_bytes: usize,
    /// Default [`WhenFull::DropNewest`].
    pub when_full: WhenFull,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            name: "queue",
            capacity: DEFAULT_CAPACITY,
            max_bytes: DEFAULT_MAX_BYTES,
            when_full: WhenFull::DropNewest,
        }
    }
}

/// Takes records from any thread without I/O and hands them to a sink on a
/// thread of its own, after five milliseconds at most when the sink is not busy.
///
/// Numbers records that have no number yet. When records were lost, an ERROR
/// record says how many once there is room again; it is one of the accepted
/// records in the accounts. The thread calls the sink's
/// [`batch_end`](Sink::batch_end) after each batch and about once a second when
/// idle. A sink that panics loses that record (counted), nothing else.
///
/// In its accounts a record counts as delivered when the sink has been given
/// it; what the sink made of it stands in the accounts of the sink. Behind
/// another queue it keeps the numbers, and the record that tells of a loss
/// takes the number of the last one lost.
///
/// [`flush`](Sink::flush) and [`close`](Sink::close) return within their limit
/// and a tenth of a second, also when the sink hangs. Close it before the
/// process ends; dropping it closes it too, and waits two seconds at most.
#[must_use = "dropping the queue closes it"]
pub struct Queue {
    shared: Arc<Shared>,
    writer: Thread,
    handle: Mutex<Option<JoinHandle<()>>>,
}

/// What callers and writer share.
struct Shared {
    name: &'static str,
    when_full: WhenFull,
    sink: Box<dyn Sink>,
    state: Mutex<State>,
    /// Room was made.
    room: Condvar,
    /// A flush or the close is done.
    done: Condvar,
}

impl Queue {
    /// Starts the writer's thread, which owns `sink` until the queue is closed.
    ///
    /// # Panics
    /// If the operating system cannot start a thread.
    pub fn start(config: QueueConfig, sink: impl Sink + 'static) -> Self {
        let shared = Arc::new(Shared {
            name: config.name,
            when_full: config.when_full,
            sink: Box::new(sink),
            state: Mutex::new(State::new(&config)),
            room: Condvar::new(),
            done: Condvar::new(),
        });
        let writer = Writer::new(Arc::clone(&shared));
        let (thread, handle) = sync::spawn(config.name, move || writer.run())
            .expect("the operating system starts a thread");
        Self {
            shared,
            writer: thread,
            handle: Mutex::new(Some(handle)),
        }
    }

    /// True on the queue's own thread, which cannot wait for itself.
    fn is_writer(&self) -> bool {
        sync::current().id() == self.writer.id()
    }

    /// Waits until there is room for a record of this size, the queue is
    /// closed, or the time is over.
    #[cold]
    fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        record: &Record<'_>,
        limit: Duration,
    ) -> MutexGuard<'a, State> {
        state.begin_waiting();
        self.writer.unpark();
        let mut state = sync::wait_while(&self.shared.room, state, limit, |state| {
            state.close.is_none() && !state.has_room(record)
        });
        state.waiting_for_room -= 1;
        state
    }
}

impl Sink for Queue {
    #[inline]
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let shared = &*self.shared;
        let mut state = lock(&shared.state);
        let mut has_room = state.has_room(record);
        if !has_room && let WhenFull::Block(limit) = shared.when_full {
            state = self.wait_for_room(state, record, limit);
            has_room = state.has_room(record);
        }
        if state.close.is_some() {
            state.refuse(record);
            return Err(SinkError::Closed { sink: shared.name });
        }
        if !has_room {
            state.drop_newest(record);
            return Err(SinkError::Full { sink: shared.name });
        }
        let wake = state.push(record);
        drop(state);
        if wake {
            self.writer.unpark();
        }
        Ok(())
    }

    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        if self.is_writer() {
            return Ok(());
        }
        let deadline = deadline_after(limit);
        let shared = &*self.shared;
        let mut state = lock(&shared.state);
        let ticket = state.flush.order(deadline);
        self.writer.unpark();
        let mut state = shared.wait_until(state, deadline, |state| {
            state.flush.done >= ticket || state.has_ended()
        });
        let ended_well = state.close.as_ref().is_some_and(|close| close.ended_well());
        if state.flush.durable >= ticket || ended_well {
            return Ok(());
        }
        let failure = state.flush.failure.take();
        Err(failure.unwrap_or_else(|| shared.timeout(limit, state.pending())))
    }

    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        if self.is_writer() {
            return Ok(());
        }
        let deadline = deadline_after(limit);
        let shared = &*self.shared;
        let mut state = lock(&shared.state);
        state.order_close(CloseOrder { deadline, limit });
        self.writer.unpark();
        shared.room.notify_all();
        let mut state = shared.wait_until(state, deadline, State::has_ended);
        let pending = state.pending();
        let Some(ended) = state.close.as_mut().and_then(|close| close.ended.as_mut()) else {
            return Err(shared.timeout(limit, pending));
        };
        let result = ended.error.take().map_or(Ok(()), Err);
        drop(state);
        if let Some(handle) = lock(&self.handle).take() {
            // Its last act was to say that it has ended.
            let _ = handle.join();
        }
        result
    }

    fn reopen(&self) {
        let reopened = self.shared.guarded(|sink| {
            sink.reopen();
            Ok(())
        });
        if let Err(error) = reopened {
            complain(&format!("reopening: {error}"));
        }
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        into.push(lock(&self.shared.state).stats(self.shared.name));
        self.shared.sink.stats(into);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Err(error) = self.close(DROP_LIMIT) {
            complain(&format!("closing the queue: {error}"));
        }
    }
}

impl Shared {
    fn wait_until<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: Instant,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let limit = deadline.saturating_duration_since(Instant::now()) + GRACE;
        sync::wait_while(&self.done, state, limit, |state| !condition(state))
    }

    fn timeout(&self, limit: Duration, pending: u64) -> SinkError {
        SinkError::Timeout {
            sink: self.name,
            limit,
            pending,
        }
    }

    /// Calls the sink; a panic of it becomes an error.
    fn guarded(
        &self,
        act: impl FnOnce(&dyn Sink) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        catch_unwind(AssertUnwindSafe(|| act(&*self.sink))).unwrap_or_else(|_| {
            Err(SinkError::Failed {
                sink: self.name,
                source: "the sink behind it panicked".into(),
            })
        })
    }
}

#[cfg(all(test, not(queue_model)))]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use tracing::Dispatch;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::{Capture, Identity, LossReason};

    const PATIENCE: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(1);

    /// Says when it is in `write`, and stays there until it may go on.
    struct Hung {
        entered: Mutex<Sender<()>>,
        go: Mutex<Receiver<()>>,
    }

    impl Sink for Hung {
        fn write(&self, _: &Record<'_>) -> Result<(), SinkError> {
            let _ = lock(&self.entered).send(());
            let _ = lock(&self.go).recv_timeout(PATIENCE);
            Ok(())
        }
        fn flush(&self, _: Duration) -> Result<(), SinkError> {
            Ok(())
        }
        fn close(&self, _: Duration) -> Result<(), SinkError> {
            Ok(())
        }
        fn stats(&self, _: &mut Vec<SinkStats>) {}
    }

    /// A queue that hangs in its first record, and what makes it go on.
    fn hung(config: QueueConfig) -> (Arc<Queue>, Dispatch, Sender<()>) {
        let (enter, entered) = channel();
        let (go, gone) = channel();
        let sink = Hung {
            entered: Mutex::new(enter),
            go: Mutex::new(gone),
        };
        let queue = Arc::new(Queue::start(config, sink));
        let capture = Capture::new(Identity::new(uuid::Uuid::new_v4()), Arc::clone(&queue));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(capture));
        emit(&dispatch);
        entered.recv_timeout(PATIENCE).expect("the first record");
        (queue, dispatch, go)
    }

    fn emit(dispatch: &Dispatch) {
        tracing::dispatcher::with_default(dispatch, || tracing::info!("text"));
    }

    fn wait_until(queue: &Queue, condition: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(&lock(&queue.shared.state)) {
            assert!(Instant::now() < deadline, "waited in vain");
            thread::yield_now();
        }
    }

    #[test]
    fn close_wakes_those_who_wait_for_room() {
        let (queue, dispatch, go) = hung(QueueConfig {
            capacity: 1,
            when_full: WhenFull::Block(PATIENCE * 2),
            ..QueueConfig::default()
        });
        let begin = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| emit(&dispatch));
            wait_until(&queue, |state| state.waiting_for_room == 1);
            queue.close(SHORT).expect_err("the sink hangs");
        });
        assert!(
            begin.elapsed() < PATIENCE,
            "it has waited for its whole time"
        );
        let stats = lock(&queue.shared.state).stats("queue");
        assert_eq!(stats.lost.of(LossReason::Shutdown, tracing::Level::INFO), 1);
        go.send(()).expect("the sink waits");
    }

    #[test]
    fn closing_again_gives_more_time() {
        let (queue, dispatch, go) = hung(QueueConfig::default());
        emit(&dispatch);
        queue.close(SHORT).expect_err("the sink hangs");
        thread::scope(|scope| {
            let second = scope.spawn(|| queue.close(PATIENCE));
            let is_later = |state: &State| {
                let close = state.close.as_ref().expect("ordered before");
                close.deadline() > Instant::now() + PATIENCE / 2
            };
            wait_until(&queue, is_later);
            (0..2).for_each(|_| go.send(()).expect("the sink waits"));
            second.join().expect("joined").expect("all is written");
        });
        assert_eq!(lock(&queue.shared.state).stats("queue").delivered, 2);
    }
}
