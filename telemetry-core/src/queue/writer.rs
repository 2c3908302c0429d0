//! The thread behind the queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::batch::{Chunk, Reader, size_of_record};
use super::state::{CHUNKS_AT_REST, CloseOrder, FlushOrder, Progress, Task, Wake};
use super::sync::{self, lock};
use crate::capture::suppress_events_of_this_thread;
use crate::complain::complain;
use crate::gap::Gap;
use crate::json::Line;
use crate::record::Record;
use crate::sink::{Records, Sink, Take};

/// The writer books its progress after so many records.
pub(super) const PROGRESS: usize = 128;

/// How long the writer waits for more after a record, or after a batch: one
/// that comes meanwhile costs nobody a wake-up.
const LINGER: Duration = Duration::from_millis(5);
/// An idle sink gets a `batch_end` this often, so that it can do what is due.
const HEARTBEAT: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// What it is writing; empty in between.
    batch: Vec<Chunk>,
    line: Line,
    has_complained: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            batch: Vec::new(),
            line: Line::default(),
            has_complained: false,
        }
    }

    pub(super) fn run(mut self) {
        suppress_events_of_this_thread();
        loop {
            let task = lock(&self.shared.state).next_task(&mut self.batch);
            match task {
                Task::Wait => {
                    sync::sleep(HEARTBEAT);
                    self.give_back();
                    self.batch_end();
                    self.linger();
                }
                Task::Write { gap, flush } => {
                    self.hand_on();
                    if let Some((gap, seq)) = gap {
                        self.tell_of(&gap, seq);
                    }
                    self.batch_end();
                    match flush {
                        Some(order) => self.flush(&order),
                        None => self.linger(),
                    }
                }
                Task::Close(order) => return self.close(order),
            }
        }
    }

    /// Gives every record of the batch to the sink.
    fn hand_on(&mut self) {
        let shared = &*self.shared;
        let mut has_panicked = false;
        for mut chunk in self.batch.drain(..) {
            let mut reader = chunk.reader();
            while reader.left() > 0 {
                let progress = hand_on(&*shared.sink, &mut reader, &mut self.line);
                has_panicked |= !progress.panicked.is_empty();
                shared.book(progress);
            }
            chunk.clear();
            lock(&shared.state).recycle(chunk);
        }
        if has_panicked {
            self.complain();
        }
    }

    /// Gives back what a flood has touched, outside of the lock.
    fn give_back(&self) {
        let superfluous = lock(&self.shared.state).take_superfluous();
        for (number, mut chunk) in superfluous.into_iter().enumerate() {
            if number < CHUNKS_AT_REST {
                chunk.renew();
                lock(&self.shared.state).recycle(chunk);
            } else {
                chunk.give_back();
            }
        }
    }

    /// Writes the record that tells of a gap.
    fn tell_of(&mut self, gap: &Gap, seq: u64) {
        self.line.reset();
        let is_written = gap.with_record(seq, &self.line, |record| {
            is_written(&*self.shared.sink, record)
        });
        lock(&self.shared.state).book_gap(is_written);
        if !is_written {
            self.complain();
        }
    }

    fn batch_end(&mut self) {
        let ended = self.shared.guarded(|sink| {
            sink.batch_end();
            Ok(())
        });
        if ended.is_err() {
            self.complain();
        }
    }

    fn linger(&self) {
        // Asked under the lock: the sink may have used up the token of an unpark.
        let is_urgent = lock(&self.shared.state).is_urgent();
        if !is_urgent {
            sync::linger(LINGER);
        }
    }

    fn flush(&self, order: &FlushOrder) {
        let limit = order.deadline.saturating_duration_since(Instant::now());
        let result = self.shared.guarded(|sink| sink.flush(limit));
        lock(&self.shared.state).flush.finish(order, result);
        self.shared.done.notify_all();
    }

    fn close(&self, order: CloseOrder) {
        let shared = &*self.shared;
        let left = lock(&shared.state).abandon_front();
        let limit = order.deadline.saturating_duration_since(Instant::now());
        let mut result = shared.guarded(|sink| sink.close(limit));
        if left > 0 {
            result = Err(shared.timeout(order.limit, left));
        }
        lock(&shared.state).end(result);
        shared.done.notify_all();
    }

    fn complain(&mut self) {
        if !std::mem::replace(&mut self.has_complained, true) {
            let name = self.shared.name;
            complain(&format!(
                "a sink behind `{name}` panicked; what it loses is counted, and it is tried again"
            ));
        }
    }
}

impl Shared {
    fn book(&self, progress: Progress) {
        let wake = lock(&self.state).book(&progress);
        match wake {
            Wake::Nobody => {}
            Wake::One => self.room.notify_one(),
            Wake::All => self.room.notify_all(),
        }
    }
}

/// Gives some records to the sink, at least one.
fn hand_on(sink: &dyn Sink, reader: &mut Reader<'_>, line: &mut Line) -> Progress {
    let mut progress = Progress::default();
    let mut lend = |take: &mut Take<'_>| {
        let mut is_more = true;
        while is_more && progress.room.records < PROGRESS {
            is_more = reader.lend(line, |record| {
                progress.room.records += 1;
                progress.room.bytes += size_of_record(record);
                if catch_unwind(AssertUnwindSafe(|| take(record))).is_err() {
                    progress.panicked.push(record.level());
                }
            });
        }
    };
    // A panic over a record is caught above, and one after all of them has lost none.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        sink.write_all(&mut Records::new(&mut lend));
    }));
    if progress.room.records == 0 {
        // It has taken none: a panic before the first.
        reader.lend(line, |record| {
            progress.room.records += 1;
            progress.room.bytes += size_of_record(record);
            progress.panicked.push(record.level());
        });
    }
    progress
}

/// Writes; false when the sink panicked. What a sink refuses it has counted.
fn is_written(sink: &dyn Sink, record: &Record<'_>) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        let _ = sink.write(record);
    }))
    .is_ok()
}
