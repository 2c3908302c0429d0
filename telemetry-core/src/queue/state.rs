//! What the queue's lock protects: places, numbers and accounts.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use tracing::Level;

use super::batch::{Chunk, size_of_record};
use super::{QueueConfig, WhenFull};
use crate::gap::Gap;
use crate::record::Record;
use crate::sink::{Health, LossReason, Losses, SinkError, SinkStats};

/// The part of the room kept for WARN and ERROR: one in so many.
const RESERVE: usize = 16;
/// So many records are worth waking the writer before its linger is over; in a
/// small queue half of the room is.
const FULL_ENOUGH: usize = 1_000;

/// Empty chunks that a queue keeps while it has nothing to do: one to fill, while
/// the writer reads the other.
pub(super) const CHUNKS_AT_REST: usize = 2;

/// The part of the room that is worth waking a thread which waits for it: one
/// in so many. Such a wake-up costs more than dozens of records.
const WORTH_WAKING: usize = 4;

pub(super) struct State {
    /// The room for WARN and ERROR, which is all there is.
    all_room: Room,
    /// The room for the other levels.
    most_room: Room,
    /// A front of this size is handed on at once.
    full_enough: Room,
    /// What callers have put in; the last chunk is being filled.
    front: Vec<Chunk>,
    /// What is in front.
    in_front: Room,
    /// Chunks that the writer has emptied.
    spare: Vec<Chunk>,
    /// The number given last; 0 in a queue behind another one.
    seq: u64,
    /// Losses that the log does not tell of yet.
    gap: Gap,
    accounts: Accounts,
    /// The writer sleeps, or is about to, and wants to be woken.
    pub(super) idle: bool,
    /// The front should not wait for company.
    pub(super) urgent: bool,
    /// Threads that wait for room.
    pub(super) waiting_for_room: usize,
    /// What was taken up when one of them was woken last.
    used_when_woken: Room,
    pub(super) flush: Flush,
    pub(super) close: Option<Close>,
}

/// A number of records and their size.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

#[derive(Default)]
struct Accounts {
    accepted: u64,
    delivered: u64,
    lost: Losses,
    /// In the writer's hands.
    in_flight: Room,
    /// The writer is about to tell of a gap.
    tells_of_gap: bool,
}

/// The flushes that were asked for, as tickets counted from 1.
#[derive(Default)]
pub(super) struct Flush {
    ordered: u64,
    deadline: Option<Instant>,
    /// The last one that was carried out.
    pub(super) done: u64,
    /// The last one that succeeded.
    pub(super) durable: u64,
    /// Why the last one did not, until somebody asks.
    pub(super) failure: Option<SinkError>,
}

/// A flush for the writer to carry out.
pub(super) struct FlushOrder {
    ticket: u64,
    pub(super) deadline: Instant,
}

/// The close that was asked for.
pub(super) struct Close {
    order: CloseOrder,
    pub(super) ended: Option<Ended>,
}

#[derive(Clone, Copy)]
pub(super) struct CloseOrder {
    pub(super) deadline: Instant,
    /// The caller's limit, for the error that names it.
    pub(super) limit: Duration,
}

/// How the close went.
pub(super) struct Ended {
    is_good: bool,
    /// Kept for the first who asks.
    pub(super) error: Option<SinkError>,
}

/// What the writer has done since it last told.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) room: Room,
    /// Levels of the records on which the sink panicked.
    pub(super) panicked: Vec<Level>,
}

/// Who of those that wait for room is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    Nobody,
    One,
    All,
}

/// What the writer is to do next.
pub(super) enum Task {
    /// Nothing; the queue is idle now.
    Wait,
    /// Hand on the batch, tell of the gap, then flush.
    Write {
        gap: Option<(Gap, u64)>,
        flush: Option<FlushOrder>,
    },
    Close(CloseOrder),
}

impl State {
    pub(super) fn new(config: &QueueConfig) -> Self {
        let all_room = Room {
            records: config.capacity.max(1),
            bytes: config.max_bytes,
        };
        let most_room = match config.when_full {
            WhenFull::DropNewest => Room {
                records: all_room.records - all_room.records.div_ceil(RESERVE),
                bytes: all_room.bytes - all_room.bytes / RESERVE,
            },
            WhenFull::Block(_) => all_room,
        };
        let full_enough = Room {
            records: FULL_ENOUGH.min(all_room.records.div_ceil(2)),
            bytes: all_room.bytes / 2,
        };
        Self {
            all_room,
            most_room,
            full_enough,
            front: Vec::new(),
            in_front: Room::default(),
            spare: Vec::new(),
            seq: 0,
            gap: Gap::default(),
            accounts: Accounts::default(),
            idle: false,
            urgent: false,
            waiting_for_room: 0,
            used_when_woken: all_room,
            flush: Flush::default(),
            close: None,
        }
    }

    /// True when this record may come in. A record alone always may, however
    /// small the bound.
    #[inline]
    pub(super) fn has_room(&self, record: &Record<'_>) -> bool {
        let room = if record.level() <= Level::WARN {
            self.all_room
        } else {
            self.most_room
        };
        let Room { records, bytes } = self.used();
        records == 0 || (records < room.records && bytes + size_of_record(record) <= room.bytes)
    }

    /// Takes a record in; true when the writer must be woken.
    #[inline]
    pub(super) fn push(&mut self, record: &Record<'_>) -> bool {
        self.accounts.accepted += 1;
        let seq = self.take_number(record);
        if !self.front.last().is_some_and(|chunk| chunk.fits(record)) {
            self.begin_chunk();
        }
        if let Some(chunk) = self.front.last_mut() {
            chunk.push(record, seq);
        }
        self.in_front.records += 1;
        self.in_front.bytes += size_of_record(record);
        let becomes_urgent =
            !self.urgent && (record.level() == Level::ERROR || self.is_full_enough());
        self.urgent |= becomes_urgent;
        std::mem::take(&mut self.idle) || becomes_urgent
    }

    #[cold]
    fn begin_chunk(&mut self) {
        let room = self.all_room;
        let spare = self.spare.pop();
        let chunk = spare.unwrap_or_else(|| Chunk::with_room(room.records, room.bytes));
        self.front.push(chunk);
    }

    /// Takes back a chunk that the writer is through with.
    pub(super) fn recycle(&mut self, chunk: Chunk) {
        self.spare.push(chunk);
    }

    /// The empty chunks, if there are more than a queue at rest keeps and nothing
    /// came since the writer began to wait.
    pub(super) fn take_superfluous(&mut self) -> Vec<Chunk> {
        if self.idle && self.spare.len() > CHUNKS_AT_REST {
            std::mem::take(&mut self.spare)
        } else {
            Vec::new()
        }
    }

    /// Counts a record that found no room. It uses up a number, so that a gap in
    /// the numbers is a loss.
    #[cold]
    pub(super) fn drop_newest(&mut self, record: &Record<'_>) {
        let seq = self.take_number(record);
        self.accounts.accepted += 1;
        self.accounts.lose(LossReason::QueueFull, record.level());
        self.gap.add(record, seq);
    }

    /// Counts a record that came after the close.
    #[cold]
    pub(super) fn refuse(&mut self, record: &Record<'_>) {
        self.accounts.accepted += 1;
        self.accounts.lose(LossReason::Shutdown, record.level());
    }

    /// Gives the writer its next task, and the front in exchange for an empty
    /// batch when that is to write it.
    pub(super) fn next_task(&mut self, batch: &mut Vec<Chunk>) -> Task {
        let is_too_late = |close: &Close| Instant::now() >= close.deadline();
        if let Some(close) = self.close.as_ref().filter(|close| is_too_late(close)) {
            return Task::Close(close.order);
        }
        let flush = self.flush.take_order();
        if self.in_front.records == 0 && self.gap.is_empty() && flush.is_none() {
            if let Some(close) = &self.close {
                return Task::Close(close.order);
            }
            self.idle = true;
            return Task::Wait;
        }
        std::mem::swap(&mut self.front, batch);
        self.urgent = false;
        self.accounts.in_flight = std::mem::take(&mut self.in_front);
        let gap = self.take_gap();
        Task::Write { gap, flush }
    }

    /// True when the writer should not wait for more records.
    pub(super) fn is_urgent(&self) -> bool {
        self.urgent || self.flush.is_ordered() || self.close.is_some()
    }

    /// One more thread waits for room.
    pub(super) fn begin_waiting(&mut self) {
        self.waiting_for_room += 1;
        self.urgent = true;
        self.used_when_woken = self.all_room;
    }

    /// Books what the writer has done; tells who of those that wait for room
    /// should look again.
    pub(super) fn book(&mut self, progress: &Progress) -> Wake {
        let accounts = &mut self.accounts;
        accounts.in_flight.records -= progress.room.records;
        accounts.in_flight.bytes -= progress.room.bytes;
        accounts.delivered += (progress.room.records - progress.panicked.len()) as u64;
        for &level in &progress.panicked {
            accounts.lose(LossReason::SinkPanicked, level);
        }
        self.whom_to_wake()
    }

    /// One at a time, and the next one only when those who are awake do not fill
    /// the room that comes back: callers that are all awake take the processor
    /// from the writer, for whom they wait. At the end of a batch in any case, so
    /// that nobody waits for more than a batch while others go on; all of them
    /// when nothing is left, since the writer may sleep then.
    fn whom_to_wake(&mut self) -> Wake {
        if self.waiting_for_room == 0 {
            return Wake::Nobody;
        }
        let (all, used) = (self.all_room, self.used());
        if used.records == 0 {
            return Wake::All;
        }
        let is_worth_waking = used.records <= all.records - all.records / WORTH_WAKING
            && used.bytes <= all.bytes - all.bytes / WORTH_WAKING;
        let before = self.used_when_woken;
        let is_falling = used.records < before.records || used.bytes < before.bytes;
        if self.accounts.in_flight.records > 0 && !(is_worth_waking && is_falling) {
            return Wake::Nobody;
        }
        self.used_when_woken = used;
        Wake::One
    }

    #[inline]
    fn used(&self) -> Room {
        Room {
            records: self.in_front.records + self.accounts.in_flight.records,
            bytes: self.in_front.bytes + self.accounts.in_flight.bytes,
        }
    }

    /// Books the record that told of a gap.
    pub(super) fn book_gap(&mut self, is_written: bool) {
        self.accounts.tells_of_gap = false;
        if is_written {
            self.accounts.delivered += 1;
        } else {
            self.accounts.lose(LossReason::SinkPanicked, Level::ERROR);
        }
    }

    /// Asks for the close; a later deadline replaces an earlier one.
    pub(super) fn order_close(&mut self, order: CloseOrder) {
        let close = self.close.get_or_insert(Close { order, ended: None });
        if order.deadline > close.deadline() {
            close.order = order;
        }
    }

    /// Counts what cannot be written any more; returns how many.
    pub(super) fn abandon_front(&mut self) -> u64 {
        for head in self.front.iter().flat_map(Chunk::heads) {
            self.accounts.lose(LossReason::Shutdown, *head.meta.level());
        }
        self.front.clear();
        std::mem::take(&mut self.in_front).records as u64
    }

    pub(super) fn end(&mut self, result: Result<(), SinkError>) {
        if let Some(close) = &mut self.close {
            close.ended = Some(Ended {
                is_good: result.is_ok(),
                error: result.err(),
            });
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.close
            .as_ref()
            .is_some_and(|close| close.ended.is_some())
    }

    /// Records on their way, counted by themselves.
    pub(super) fn pending(&self) -> u64 {
        self.used().records as u64 + u64::from(self.accounts.tells_of_gap)
    }

    pub(super) fn stats(&self, name: &'static str) -> SinkStats {
        let accounts = &self.accounts;
        SinkStats {
            name: Cow::Borrowed(name),
            accepted: accounts.accepted,
            delivered: accounts.delivered,
            dropped: accounts.lost.total(),
            rejected: 0,
            pending: self.pending(),
            health: if self.gap.is_empty() {
                Health::Good
            } else {
                Health::Failing("the queue is full; records are being dropped".into())
            },
            lost: accounts.lost.clone(),
        }
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

    #[inline]
    fn is_full_enough(&self) -> bool {
        self.in_front.records >= self.full_enough.records
            || self.in_front.bytes >= self.full_enough.bytes
    }

    /// The gap with the number of the record that will tell of it: the next
    /// one, or that of the last loss when the numbers come from elsewhere.
    fn take_gap(&mut self) -> Option<(Gap, u64)> {
        if self.gap.is_empty() {
            return None;
        }
        let gap = std::mem::take(&mut self.gap);
        self.accounts.accepted += 1;
        self.accounts.tells_of_gap = true;
        if self.seq == 0 {
            let seq = gap.last_seq();
            return Some((gap, seq));
        }
        self.seq += 1;
        Some((gap, self.seq))
    }
}

impl Accounts {
    fn lose(&mut self, reason: LossReason, level: Level) {
        self.lost.add(reason, level, 1);
    }
}

impl Flush {
    /// Asks for a flush; returns its ticket.
    pub(super) fn order(&mut self, deadline: Instant) -> u64 {
        self.ordered += 1;
        self.deadline = self.deadline.max(Some(deadline));
        self.ordered
    }

    pub(super) fn finish(&mut self, order: &FlushOrder, result: Result<(), SinkError>) {
        self.done = order.ticket;
        match result {
            Ok(()) => self.durable = order.ticket,
            Err(error) => self.failure = Some(error),
        }
    }

    fn is_ordered(&self) -> bool {
        self.deadline.is_some()
    }

    /// All flushes that were asked for until now, as one.
    fn take_order(&mut self) -> Option<FlushOrder> {
        self.deadline.take().map(|deadline| FlushOrder {
            ticket: self.ordered,
            deadline,
        })
    }
}

impl Close {
    pub(super) fn deadline(&self) -> Instant {
        self.order.deadline
    }

    pub(super) fn ended_well(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.is_good)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Dispatch;
    use tracing::dispatcher::with_default;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::sink::Sink;
    use crate::{Capture, Identity, lock};

    /// Takes records in and remembers which would wake the writer.
    struct Probe {
        state: Mutex<State>,
        wakes: Mutex<Vec<bool>>,
    }

    impl Sink for Probe {
        fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
            let wake = lock(&self.state).push(record);
            lock(&self.wakes).push(wake);
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

    /// A probe, and where to emit events into it.
    fn probe(config: &QueueConfig) -> (Arc<Probe>, Dispatch) {
        let probe = Arc::new(Probe {
            state: Mutex::new(State::new(config)),
            wakes: Mutex::default(),
        });
        let capture = Capture::new(Identity::new(uuid::Uuid::new_v4()), Arc::clone(&probe));
        let subscriber = tracing_subscriber::registry().with(capture);
        (probe, Dispatch::new(subscriber))
    }

    fn emit(dispatch: &Dispatch, events: usize) {
        with_default(dispatch, || {
            (0..events).for_each(|_| tracing::info!("text"));
        });
    }

    /// Which of the events that `emit` emits would wake an idle writer.
    fn wakes(config: &QueueConfig, emit: impl FnOnce()) -> Vec<bool> {
        let (probe, dispatch) = probe(config);
        let task = lock(&probe.state).next_task(&mut Vec::new());
        assert!(matches!(task, Task::Wait));
        with_default(&dispatch, emit);
        lock(&probe.wakes).clone()
    }

    #[test]
    fn the_writer_is_woken_from_idle_and_once_for_an_error() {
        let woken = wakes(&QueueConfig::default(), || {
            tracing::info!("from idle");
            tracing::warn!("may wait");
            tracing::error!("may not wait");
            tracing::error!("is awake already");
            tracing::info!("so what");
        });
        assert_eq!(woken, [true, false, true, false, false]);
    }

    #[test]
    fn the_writer_is_woken_when_the_front_is_full_enough() {
        let wakes_at = |config: &QueueConfig, text: &str| {
            let woken = wakes(config, || (0..1_500).for_each(|_| tracing::info!("{text}")));
            let places = woken.iter().enumerate().filter(|(_, wake)| **wake);
            places.map(|(place, _)| place + 1).collect::<Vec<_>>()
        };
        let default = QueueConfig::default();
        assert_eq!(wakes_at(&default, ""), [1, FULL_ENOUGH]);
        let small = QueueConfig {
            capacity: 100,
            ..QueueConfig::default()
        };
        assert_eq!(wakes_at(&small, ""), [1, 50], "half of a small queue");
        // With head and field one of these takes more than a KiB.
        let few_bytes = QueueConfig {
            max_bytes: 200 << 10,
            ..QueueConfig::default()
        };
        let places = wakes_at(&few_bytes, &"x".repeat(1 << 10));
        assert!(
            (80..100).contains(&places[1]),
            "half of the bytes: {places:?}"
        );
    }

    #[test]
    fn chunks_are_used_again_and_given_back_at_rest() {
        let (probe, dispatch) = probe(&QueueConfig::default());
        let all_written = |state: &mut State| {
            let mut batch = Vec::new();
            assert!(matches!(state.next_task(&mut batch), Task::Write { .. }));
            let chunks = batch.len();
            let room = state.accounts.in_flight;
            batch.drain(..).for_each(|mut chunk| {
                chunk.clear();
                state.recycle(chunk);
            });
            state.book(&Progress {
                room,
                panicked: Vec::new(),
            });
            chunks
        };
        emit(&dispatch, 5_000);
        let chunks = all_written(&mut lock(&probe.state));
        assert!(chunks > CHUNKS_AT_REST);
        emit(&dispatch, 1_000);
        let state = &mut *lock(&probe.state);
        assert_eq!(
            state.spare.len(),
            chunks - 1,
            "the last one is filled again"
        );
        assert!(state.take_superfluous().is_empty(), "there is work");
        all_written(state);
        assert!(matches!(state.next_task(&mut Vec::new()), Task::Wait));
        let mut superfluous = state.take_superfluous();
        assert_eq!(superfluous.len(), chunks);
        superfluous.truncate(CHUNKS_AT_REST);
        superfluous.into_iter().for_each(|mut chunk| {
            chunk.renew();
            state.recycle(chunk);
        });
        assert!(state.take_superfluous().is_empty(), "it is at rest");
    }

    /// What `book` says when the writer has written so many of what it holds.
    fn wake_after(state: &mut State, records: usize) -> Wake {
        let bytes = state.accounts.in_flight.bytes / state.accounts.in_flight.records * records;
        state.book(&Progress {
            room: Room { records, bytes },
            panicked: Vec::new(),
        })
    }

    #[test]
    fn those_who_wait_for_room_are_woken_one_at_a_time_while_it_grows() {
        let (probe, dispatch) = probe(&QueueConfig {
            capacity: 100,
            when_full: WhenFull::Block(Duration::ZERO),
            ..QueueConfig::default()
        });
        emit(&dispatch, 100);
        let state = &mut *lock(&probe.state);
        let task = state.next_task(&mut Vec::new());
        assert!(matches!(task, Task::Write { .. }));
        assert_eq!(wake_after(state, 10), Wake::Nobody, "nobody waits");
        state.begin_waiting();
        state.begin_waiting();
        assert_eq!(wake_after(state, 10), Wake::Nobody, "little room");
        assert_eq!(wake_after(state, 10), Wake::One, "70 left");
        assert_eq!(wake_after(state, 0), Wake::Nobody, "no more room than then");
        assert_eq!(wake_after(state, 10), Wake::One, "60 left");
        assert_eq!(wake_after(state, 60), Wake::All, "nothing left");
    }
}
