//! The way in: records are gathered in chunks, and chunks go to the uploader.
//!
//! A chunk is one piece of text and a few numbers for each record, so that
//! handing over a hundred records costs one send. Chunks come back empty and
//! are used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use telemetry_core::level_index;
use tracing::Level;

use super::ledger::Ledger;
use super::record::Fresh;
use super::spool::ByLevel;
use crate::id::RecordId;

/// A chunk is sent when it holds this much, if not before.
const CHUNK_BYTES: usize = 32 * 1024;

/// Empty chunks that are kept.
const SPARE_CHUNKS: usize = 8;

/// What the uploader is sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// A first record waits to be collected; see [`Intake::call_me`].
    Wake,
    /// Records.
    Chunk(Chunk),
    /// Answer when everything before is as durable as it gets.
    Flush(Sender<()>),
    /// Deliver for so long at most, stop, and answer.
    Close { limit: Duration, done: Sender<()> },
}

/// Some records.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    text: String,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    level: Level,
    id: RecordId,
    /// Where its line ends in the text; it begins where the one before ends.
    end: usize,
}

impl Chunk {
    /// Its records in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = Fresh<'_>> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let line = &self.text[start..entry.end];
            start = entry.end;
            Fresh {
                level: entry.level,
                id: entry.id,
                line,
            }
        })
    }

    /// Numbers of its records by level.
    pub(crate) fn by_level(&self) -> ByLevel {
        let mut counts = ByLevel::default();
        for entry in &self.entries {
            counts[level_index(entry.level)] += 1;
        }
        counts
    }

    /// Bytes of its lines.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    fn push(&mut self, level: Level, id: RecordId, line: &str) {
        self.text.push_str(line);
        self.entries.push(Entry {
            level,
            id,
            end: self.text.len(),
        });
    }

    fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
    }
}

/// Why a record was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    Full,
    Closed,
}

/// The way in, shared by those who write and the uploader.
#[derive(Debug)]
pub(crate) struct Intake {
    ledger: Arc<Ledger>,
    open: Mutex<Open>,
    messages: Sender<Message>,
    /// The uploader wants to be woken by the next record.
    is_asleep: AtomicBool,
    spare_in: Sender<Chunk>,
    spare_out: Receiver<Chunk>,
}

/// The chunk that is being filled.
#[derive(Debug, Default)]
struct Open {
    chunk: Chunk,
    closed: bool,
}

impl Intake {
    /// An intake and the receiver of its messages. The channel is bounded by
    /// the ledger in records and bytes; it has a place for each record that the
    /// ledger admits, and some for messages.
    pub(crate) fn new(ledger: Arc<Ledger>, capacity: usize) -> (Self, Receiver<Message>) {
        const MESSAGES: usize = 64;
        let (messages, receiver) = crossbeam_channel::bounded(capacity + MESSAGES);
        let (spare_in, spare_out) = crossbeam_channel::bounded(SPARE_CHUNKS);
        let intake = Self {
            ledger,
            open: Mutex::default(),
            messages,
            is_asleep: AtomicBool::new(false),
            spare_in,
            spare_out,
        };
        (intake, receiver)
    }

    /// Takes one record, or counts its loss. Never waits.
    pub(crate) fn offer(&self, level: Level, id: RecordId, line: &str) -> Result<(), Turned> {
        let mut open = self.lock();
        if open.closed {
            self.ledger.refuse(level);
            return Err(Turned::Closed);
        }
        if !self.ledger.admit(level, line.len()) {
            return Err(Turned::Full);
        }
        open.chunk.push(level, id, line);
        if open.chunk.bytes() >= CHUNK_BYTES {
            self.send(&mut open);
        } else if self.is_asleep.swap(false, Ordering::AcqRel) {
            // A full channel wakes the uploader as well.
            let _ = self.messages.try_send(Message::Wake);
        }
        Ok(())
    }

    /// Asks for [`Message::Wake`] at the next record; false if one is here
    /// already. So an uploader without work sleeps as long as it likes.
    pub(crate) fn call_me(&self) -> bool {
        let open = self.lock();
        let is_empty = open.chunk.entries.is_empty();
        self.is_asleep.store(is_empty, Ordering::Release);
        is_empty
    }

    /// Sends the records gathered so far.
    pub(crate) fn send_gathered(&self) {
        self.send(&mut self.lock());
    }

    /// Sends the records gathered so far and `message` behind them. False if
    /// nobody receives it.
    pub(crate) fn send_behind(&self, message: Message) -> bool {
        let mut open = self.lock();
        self.send(&mut open);
        open.chunk.entries.is_empty() && self.messages.try_send(message).is_ok()
    }

    /// Records that were gathered and not sent.
    #[cfg(feature = "simulation")]
    pub(crate) fn gathered(&self) -> u64 {
        self.lock().chunk.entries.len() as u64
    }

    /// From now on every record is turned away.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Whether records are turned away.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes an empty chunk back.
    pub(crate) fn give_back(&self, mut chunk: Chunk) {
        chunk.clear();
        // A full shelf of spare chunks means that this one is not needed.
        let _ = self.spare_in.try_send(chunk);
    }

    fn send(&self, open: &mut Open) {
        if open.chunk.entries.is_empty() {
            return;
        }
        let spare = self.spare_out.try_recv().unwrap_or_default();
        let chunk = std::mem::replace(&mut open.chunk, spare);
        match self.messages.try_send(Message::Chunk(chunk)) {
            Ok(()) => {}
            // Full of messages for the moment: it goes with the next.
            Err(TrySendError::Full(Message::Chunk(chunk))) => open.chunk = chunk,
            // The uploader is gone; it has accounted for everything queued.
            Err(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
