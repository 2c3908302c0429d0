//! The bounded queue between the threads that log and the sinks.
//!
//! Two batches: callers fill the one in front under a short lock, the writer
//! swaps it against its own empty one and hands its records on without any
//! lock. Records are copied, not boxed: a lent view costs the caller 670
//! instructions less than a shared handle, and preallocated batches allocate
//! nothing. A channel was measured and rejected: it wakes its consumer for each
//! record, which makes the caller's 99th percentile ten times as long.
//!
//! # The argument
//! - *Order.* A number is taken under the lock, together with the place in the
//!   batch, or at the loss. So records are handed on in the order of their
//!   numbers, and a gap in the numbers is a loss.
//! - *Bound.* `front + in flight <= capacity`, in records and in bytes. The
//!   writer lowers `in_flight` as it goes; a caller that sees no room reads it
//!   again before it gives up.
//! - *Waking.* The writer sleeps only after it has seen, under the lock, an empty
//!   front, and has set `idle` there. Whoever fills an empty queue finds `idle`,
//!   clears it and unparks; nobody else needs to, except that an ERROR or a full
//!   thousand ends the linger early. An unpark that comes early is not lost: it
//!   makes the next park return at once.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use tracing::Level;

use crate::capture::suppress_events_of_this_thread;
use crate::complain::complain;
use crate::gap::Gap;
use crate::json::Line;
use crate::lock;
use crate::record::{Field, Head, Record};
use crate::sink::{Health, LossReason, Losses, Sink, SinkError, SinkStats};

/// Default of [`QueueConfig::capacity`].
pub const DEFAULT_CAPACITY: usize = 16_384;
/// Default of [`QueueConfig::max_bytes`]: 16 MiB.
pub const DEFAULT_MAX_BYTES: usize = 16 << 20;
/// Default limit of [`WhenFull::Block`].
pub const DEFAULT_BLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the writer waits for more after the first record.
const LINGER: Duration = Duration::from_millis(5);
/// So many records end the linger early.
const FULL_ENOUGH: usize = 1_000;
/// An idle sink gets a `batch_end` this often, so that it can do what is due.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The writer tells of its progress after so many records.
const PROGRESS: usize = 128;
/// How long `drop` waits for the writer.
const DROP_LIMIT: Duration = Duration::from_secs(2);
/// The part of the capacity kept for WARN and ERROR: one in so many.
const RESERVE: usize = 16;

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
    /// Most bytes of the same. Default [`DEFAULT_MAX_BYTES`].
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
/// thread of its own.
///
/// Numbers records that have no number yet. When records were lost, an ERROR
/// record says how many once there is room again. The thread calls the sink's
/// [`batch_end`](Sink::batch_end) after each batch and about once a second when
/// idle. A sink that panics loses that record (counted), nothing else.
///
/// Close it before the process ends; dropping it closes it too, and waits two
/// seconds at most.
#[must_use = "dropping the queue closes it"]
pub struct Queue {
    shared: Arc<Shared>,
    writer: Thread,
    handle: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    config: QueueConfig,
    sink: Box<dyn Sink>,
    state: Mutex<State>,
    /// Room was made.
    room: Condvar,
    /// A flush or the close is done.
    done: Condvar,
    in_flight: AtomicUsize,
    in_flight_bytes: AtomicUsize,
    somebody_waits: AtomicBool,
}

#[derive(Default)]
struct State {
    front: Batch,
    seq: u64,
    idle: bool,
    /// The front should not wait for company.
    urgent: bool,
    gap: Gap,
    accepted: u64,
    delivered: u64,
    lost: Losses,
    /// Records in the writer's hands; written back when it takes the next batch.
    taken: u64,
    flush: Flush,
    close: Option<Close>,
}

#[derive(Default)]
struct Flush {
    wanted: u64,
    done: u64,
    deadline: Option<Instant>,
    failed: bool,
}

struct Close {
    deadline: Instant,
    done: bool,
    result: Option<SinkError>,
}

/// Records back to back: heads, all their fields, all their text.
#[derive(Default)]
struct Batch {
    heads: Vec<Head>,
    fields: Vec<Field>,
    text: String,
}

impl Batch {
    fn with_capacity(records: usize) -> Self {
        Self {
            heads: Vec::with_capacity(records),
            fields: Vec::with_capacity(records.saturating_mul(6)),
            text: String::with_capacity(records.saturating_mul(128)),
        }
    }

    fn push(&mut self, record: &Record<'_>, seq: u64) {
        self.heads.push(Head {
            seq,
            span: record.span.cloned(),
            field_count: record.fields.len() as u32,
            text_len: record.text.len() as u32,
            ..*record.head
        });
        self.fields.extend_from_slice(record.fields);
        self.text.push_str(record.text);
    }

    fn bytes(&self) -> usize {
        size_of_val(self.heads.as_slice()) + size_of_val(self.fields.as_slice()) + self.text.len()
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.fields.clear();
        self.text.clear();
    }
}

impl Queue {
    /// Starts the writer's thread, which owns `sink` until the queue is closed.
    ///
    /// # Panics
    /// If the operating system cannot start a thread.
    pub fn start(config: QueueConfig, sink: impl Sink + 'static) -> Self {
        let config = QueueConfig {
            capacity: config.capacity.max(1),
            ..config
        };
        let name = config.name;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                front: Batch::with_capacity(config.capacity),
                ..State::default()
            }),
            config,
            sink: Box::new(sink),
            room: Condvar::new(),
            done: Condvar::new(),
            in_flight: AtomicUsize::new(0),
            in_flight_bytes: AtomicUsize::new(0),
            somebody_waits: AtomicBool::new(false),
        });
        let writer = Writer::new(Arc::clone(&shared));
        let handle = thread::Builder::new()
            .name(name.into())
            .spawn(move || writer.run())
            .expect("the operating system starts a thread");
        Self {
            shared,
            writer: handle.thread().clone(),
            handle: Mutex::new(Some(handle)),
        }
    }

    fn is_writer(&self) -> bool {
        thread::current().id() == self.writer.id()
    }
}

impl Sink for Queue {
    #[inline]
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let shared = &*self.shared;
        let level = record.level();
        let size = size_of::<Head>() + size_of_val(record.fields) + record.text.len();
        let mut state = lock(&shared.state);
        if let WhenFull::Block(limit) = shared.config.when_full
            && !shared.has_room(&state, size, level)
        {
            state = shared.wait_for_room(state, size, level, limit, &self.writer);
        }
        if state.close.is_some() {
            state.accepted += 1;
            state.lost.add(LossReason::Shutdown, level, 1);
            return Err(SinkError::Closed {
                sink: shared.config.name,
            });
        }
        if !shared.has_room(&state, size, level) {
            state.drop_newest(record);
            return Err(SinkError::Full {
                sink: shared.config.name,
            });
        }
        state.accepted += 1;
        let seq = state.take_number(record);
        state.front.push(record, seq);
        let is_full_enough = state.front.heads.len() == FULL_ENOUGH;
        let urgent = is_full_enough || level == Level::ERROR;
        state.urgent |= urgent;
        let wake = std::mem::take(&mut state.idle) || urgent;
        drop(state);
        if wake {
            self.writer.unpark();
        }
        Ok(())
    }

    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        if self.is_writer() {
            // A panic hook on the writer's own thread: it cannot wait for itself.
            return Ok(());
        }
        let deadline = Instant::now() + limit;
        let shared = &*self.shared;
        let mut state = lock(&shared.state);
        if state.close.as_ref().is_some_and(|close| close.done) {
            return Ok(());
        }
        state.flush.wanted += 1;
        state.flush.deadline = Some(
            state
                .flush
                .deadline
                .map_or(deadline, |other| other.max(deadline)),
        );
        let ticket = state.flush.wanted;
        self.writer.unpark();
        let state = shared.wait_until(state, deadline, |state| {
            state.flush.done >= ticket || state.close.as_ref().is_some_and(|close| close.done)
        });
        if state.flush.done >= ticket && !state.flush.failed {
            return Ok(());
        }
        Err(SinkError::Timeout {
            sink: shared.config.name,
            limit,
            pending: state.pending(),
        })
    }

    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        if self.is_writer() {
            return Ok(());
        }
        let deadline = Instant::now() + limit;
        let shared = &*self.shared;
        let mut state = lock(&shared.state);
        if state.close.is_none() {
            state.close = Some(Close {
                deadline,
                done: false,
                result: None,
            });
        }
        self.writer.unpark();
        shared.room.notify_all();
        // The sink has the whole limit; the writer needs a moment more to say so.
        let mut state = shared.wait_until(state, deadline + LINGER * 20, |state| {
            state.close.as_ref().is_some_and(|close| close.done)
        });
        let pending = state.pending();
        let close = state.close.as_mut().filter(|close| close.done);
        let Some(close) = close else {
            return Err(SinkError::Timeout {
                sink: shared.config.name,
                limit,
                pending,
            });
        };
        let result = close.result.take();
        drop(state);
        if let Some(handle) = lock(&self.handle).take() {
            // It has said that it is done; a panic of its own was reported by the hook.
            let _ = handle.join();
        }
        result.map_or(Ok(()), Err)
    }

    fn reopen(&self) {
        self.shared.sink.reopen();
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        let shared = &*self.shared;
        let state = lock(&shared.state);
        into.push(SinkStats {
            name: Cow::Borrowed(shared.config.name),
            accepted: state.accepted,
            delivered: state.delivered,
            dropped: state.lost.total(),
            rejected: 0,
            pending: state.pending(),
            health: Health::Good,
            lost: state.lost.clone(),
        });
        drop(state);
        shared.sink.stats(into);
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
    /// True when a record of this size and level may still come in.
    #[inline]
    fn has_room(&self, state: &State, size: usize, level: Level) -> bool {
        let front = state.front.heads.len();
        let records = front + self.in_flight.load(Ordering::Relaxed);
        let bytes = state.front.bytes() + self.in_flight_bytes.load(Ordering::Relaxed);
        if records == 0 {
            // One record alone always passes, however small the bound.
            return true;
        }
        let keeps_reserve = self.config.when_full == WhenFull::DropNewest && level > Level::WARN;
        let (reserve, reserve_bytes) = if keeps_reserve {
            (
                self.config.capacity.div_ceil(RESERVE),
                self.config.max_bytes / RESERVE,
            )
        } else {
            (0, 0)
        };
        records + reserve < self.config.capacity
            && bytes + size + reserve_bytes <= self.config.max_bytes
    }

    fn wait_for_room<'a>(
        &self,
        state: MutexGuard<'a, State>,
        size: usize,
        level: Level,
        limit: Duration,
        writer: &Thread,
    ) -> MutexGuard<'a, State> {
        self.somebody_waits.store(true, Ordering::Relaxed);
        writer.unpark();
        let waited = self.room.wait_timeout_while(state, limit, |state| {
            if state.close.is_some() || self.has_room(state, size, level) {
                return false;
            }
            self.somebody_waits.store(true, Ordering::Relaxed);
            true
        });
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    fn wait_until<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: Instant,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let limit = deadline.saturating_duration_since(Instant::now());
        let waited = self
            .done
            .wait_timeout_while(state, limit, |state| !condition(state));
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }
}

impl State {
    fn pending(&self) -> u64 {
        self.front.heads.len() as u64 + self.taken
    }

    /// The number of the record: its own, or the next one.
    #[inline]
    fn take_number(&mut self, record: &Record<'_>) -> u64 {
        if record.seq != 0 {
            return record.seq;
        }
        self.seq += 1;
        self.seq
    }

    fn drop_newest(&mut self, record: &Record<'_>) {
        // A loss uses up a number, so that a gap in the numbers is a loss.
        let seq = self.take_number(record);
        self.accepted += 1;
        self.lost.add(LossReason::QueueFull, record.level(), 1);
        self.gap.add(record, seq);
    }
}

/// The thread behind the queue.
struct Writer {
    shared: Arc<Shared>,
    batch: Batch,
    line: Line,
    gap_line: Line,
    has_complained: bool,
}

/// What the writer found when it looked at the queue.
enum Found {
    Batch {
        gap: Gap,
        gap_seq: u64,
        flush: Option<u64>,
    },
    Nothing,
    Closing(Instant),
}

impl Writer {
    fn new(shared: Arc<Shared>) -> Self {
        let capacity = shared.config.capacity;
        Self {
            shared,
            batch: Batch::with_capacity(capacity),
            line: Line::default(),
            gap_line: Line::default(),
            has_complained: false,
        }
    }

    fn run(mut self) {
        suppress_events_of_this_thread();
        let mut delivered = 0;
        loop {
            match self.take(std::mem::take(&mut delivered)) {
                Found::Nothing => {
                    thread::park_timeout(HEARTBEAT);
                    self.shared.sink.batch_end();
                    if !self.is_urgent() {
                        thread::park_timeout(LINGER);
                    }
                }
                Found::Batch {
                    gap,
                    gap_seq,
                    flush,
                } => {
                    delivered = self.hand_on();
                    delivered += self.tell_of(&gap, gap_seq);
                    self.shared.sink.batch_end();
                    match flush {
                        Some(ticket) => self.flush(ticket),
                        None => thread::park_timeout(LINGER),
                    }
                }
                Found::Closing(deadline) => return self.close(deadline),
            }
        }
    }

    /// Books what was done and takes what is there.
    fn take(&mut self, delivered: u64) -> Found {
        let shared = &*self.shared;
        let mut state = lock(&shared.state);
        state.delivered += delivered;
        state.taken = 0;
        shared.in_flight.store(0, Ordering::Relaxed);
        shared.in_flight_bytes.store(0, Ordering::Relaxed);
        let flush = (state.flush.wanted > state.flush.done).then_some(state.flush.wanted);
        let past_deadline = state
            .close
            .as_ref()
            .filter(|close| Instant::now() >= close.deadline);
        if let Some(deadline) = past_deadline.map(|close| close.deadline) {
            return Found::Closing(deadline);
        }
        if state.front.heads.is_empty() && state.gap.is_empty() && flush.is_none() {
            if let Some(close) = &state.close {
                return Found::Closing(close.deadline);
            }
            state.idle = true;
            return Found::Nothing;
        }
        std::mem::swap(&mut state.front, &mut self.batch);
        state.urgent = false;
        let gap = std::mem::take(&mut state.gap);
        let gap_seq = if gap.is_empty() {
            0
        } else {
            state.number_gap(&gap)
        };
        state.taken = self.batch.heads.len() as u64 + u64::from(!gap.is_empty());
        shared
            .in_flight
            .store(self.batch.heads.len(), Ordering::Relaxed);
        shared
            .in_flight_bytes
            .store(self.batch.bytes(), Ordering::Relaxed);
        drop(state);
        self.make_room();
        Found::Batch {
            gap,
            gap_seq,
            flush,
        }
    }

    /// Gives every record of the batch to the sink; returns how many it was given.
    fn hand_on(&mut self) -> u64 {
        let (mut field, mut text, mut panics) = (0, 0, Vec::new());
        for (done, head) in self.batch.heads.iter().enumerate() {
            let fields = &self.batch.fields[field..field + head.field_count as usize];
            let words = &self.batch.text[text..text + head.text_len as usize];
            field += fields.len();
            text += words.len();
            let record = Record {
                head,
                span: head.span.as_ref(),
                fields,
                text: words,
                line: &self.line,
                seq: head.seq,
            };
            if !is_written(&*self.shared.sink, &record) {
                panics.push(record.level());
            }
            self.line.reset();
            if done % PROGRESS == PROGRESS - 1 {
                self.shared.in_flight.fetch_sub(PROGRESS, Ordering::Relaxed);
                self.make_room();
            }
        }
        let delivered = self.batch.heads.len() - panics.len();
        self.batch.clear();
        self.count_panics(&panics);
        delivered as u64
    }

    /// Writes the record that tells of a gap; returns how many were written.
    fn tell_of(&mut self, gap: &Gap, seq: u64) -> u64 {
        if gap.is_empty() {
            return 0;
        }
        self.gap_line.reset();
        let written = gap.with_record(seq, &self.gap_line, |record| {
            is_written(&*self.shared.sink, record)
        });
        if !written {
            self.count_panics(&[Level::ERROR]);
        }
        u64::from(written)
    }

    fn count_panics(&mut self, levels: &[Level]) {
        if levels.is_empty() {
            return;
        }
        let mut state = lock(&self.shared.state);
        for &level in levels {
            state.lost.add(LossReason::SinkPanicked, level, 1);
        }
        state.taken -= levels.len() as u64;
        drop(state);
        if !std::mem::replace(&mut self.has_complained, true) {
            let name = self.shared.config.name;
            complain(&format!(
                "a sink behind `{name}` panicked; the record is lost and counted"
            ));
        }
    }

    fn flush(&mut self, ticket: u64) {
        let deadline = lock(&self.shared.state).flush.deadline.take();
        let limit = deadline.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        });
        let result = catch_unwind(AssertUnwindSafe(|| self.shared.sink.flush(limit)));
        let mut state = lock(&self.shared.state);
        state.flush.done = ticket;
        state.flush.failed = !matches!(result, Ok(Ok(())));
        drop(state);
        self.shared.done.notify_all();
    }

    fn close(&mut self, deadline: Instant) {
        let mut state = lock(&self.shared.state);
        let left: Vec<Level> = state
            .front
            .heads
            .iter()
            .map(|head| *head.meta.level())
            .collect();
        for level in left {
            state.lost.add(LossReason::Shutdown, level, 1);
        }
        state.front.clear();
        drop(state);
        let limit = deadline.saturating_duration_since(Instant::now());
        let result = catch_unwind(AssertUnwindSafe(|| self.shared.sink.close(limit)));
        let mut state = lock(&self.shared.state);
        if let Some(close) = &mut state.close {
            close.done = true;
            close.result = result.unwrap_or(Ok(())).err();
        }
        drop(state);
        self.shared.done.notify_all();
    }

    fn make_room(&self) {
        if self.shared.somebody_waits.swap(false, Ordering::Relaxed) {
            // The lock orders this after the waiter has begun to wait.
            drop(lock(&self.shared.state));
            self.shared.room.notify_all();
        }
    }

    /// True when there is more to do than to wait for company.
    fn is_urgent(&self) -> bool {
        let state = lock(&self.shared.state);
        state.front.heads.is_empty()
            || state.urgent
            || state.flush.wanted > state.flush.done
            || state.close.is_some()
    }
}

impl State {
    /// The record that tells of the gap has a number of its own, if it is this
    /// queue that numbers.
    fn number_gap(&mut self, gap: &Gap) -> u64 {
        self.accepted += 1;
        if self.seq == 0 {
            return gap.last_seq();
        }
        self.seq += 1;
        self.seq
    }
}

/// Writes; false when the sink panicked. What a sink refuses it has counted.
fn is_written(sink: &dyn Sink, record: &Record<'_>) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        let _ = sink.write(record);
    }))
    .is_ok()
}
