//! Records for a person, or for whatever reads stderr.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;

use tracing::Level;

use crate::journal;
use crate::lock;
use crate::pretty::Pretty;
use crate::record::Record;
use crate::sink::{Health, LossReason, Losses, Sink, SinkError, SinkStats};

/// What a line on the console looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Time, level, target, message, fields and spans for a person.
    Pretty {
        /// With ANSI colours.
        color: bool,
    },
    /// The JSON line.
    Json,
}

/// Writes records to a stream, stderr by default.
///
/// Control characters in values are escaped, so that a log line cannot take
/// over a terminal. A stopped terminal blocks the writer: put the console behind
/// a small [`Queue`](crate::Queue) of its own. Its [`stats`](Sink::stats) do not
/// wait for the stream.
pub struct Console {
    /// Locked before the desk by who writes out, so that chunks keep their
    /// order; nobody else waits for it.
    out: Mutex<Out>,
    desk: Mutex<Desk>,
}

/// The stream, and what is being written to it.
struct Out {
    stream: Box<dyn Write + Send>,
    text: String,
    /// Level of each record in `text`.
    levels: Vec<Level>,
}

/// What waits to be written, and the accounts. Never locked while the stream
/// is written to: that may take for ever.
struct Desk {
    text: String,
    /// Level of each record in `text`.
    waiting: Vec<Level>,
    /// Records that are being written.
    in_hand: usize,
    /// `None`: JSON.
    pretty: Option<Pretty>,
    with_priorities: bool,
    accepted: u64,
    delivered: u64,
    lost: Losses,
    trouble: Option<String>,
    closed: bool,
}

/// So much text is written without waiting for the end of the batch.
const BUFFER_BYTES: usize = 32 << 10;

impl Console {
    /// Writes to stderr.
    pub fn new(format: Format) -> Self {
        Self::to(format, Box::new(io::stderr()))
    }

    /// Writes to `out`.
    pub fn to(format: Format, out: Box<dyn Write + Send>) -> Self {
        Self {
            out: Mutex::new(Out {
                stream: out,
                text: String::new(),
                levels: Vec::new(),
            }),
            desk: Mutex::new(Desk {
                text: String::new(),
                waiting: Vec::new(),
                in_hand: 0,
                pretty: match format {
                    Format::Pretty { color } => Some(Pretty::new(color)),
                    Format::Json => None,
                },
                with_priorities: false,
                accepted: 0,
                delivered: 0,
                lost: Losses::default(),
                trouble: None,
                closed: false,
            }),
        }
    }

    /// Begins each line with the priority that the journal of systemd
    /// understands and takes off (`<3>` for ERROR), off by default: see
    /// [`stderr_is_journal`](crate::stderr_is_journal).
    pub fn with_priorities(self, on: bool) -> Self {
        lock(&self.desk).with_priorities = on;
        self
    }
}

impl Console {
    /// Writes what waits.
    fn write_out(&self) {
        let mut out = lock(&self.out);
        // More than once only if the stream panicked and left something.
        while self.take_up(&mut out) {
            let Out {
                stream,
                text,
                levels,
            } = &mut *out;
            let written = stream
                .write_all(text.as_bytes())
                .and_then(|()| stream.flush());
            lock(&self.desk).book(written, levels);
            text.clear();
            levels.clear();
        }
    }

    /// Makes what waits what is to be written; false if there is nothing.
    fn take_up(&self, out: &mut Out) -> bool {
        if out.levels.is_empty() {
            let desk = &mut *lock(&self.desk);
            std::mem::swap(&mut desk.text, &mut out.text);
            std::mem::swap(&mut desk.waiting, &mut out.levels);
            desk.in_hand = out.levels.len();
        }
        !out.levels.is_empty()
    }
}

impl Sink for Console {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let is_much = lock(&self.desk).take(record)?;
        if is_much {
            self.write_out();
        }
        Ok(())
    }

    fn batch_end(&self) {
        self.write_out();
    }

    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        self.write_out();
        Ok(())
    }

    fn close(&self, _: Duration) -> Result<(), SinkError> {
        lock(&self.desk).closed = true;
        self.write_out();
        Ok(())
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        let desk = lock(&self.desk);
        into.push(SinkStats {
            name: Cow::Borrowed("console"),
            accepted: desk.accepted,
            delivered: desk.delivered,
            dropped: desk.lost.total(),
            rejected: 0,
            pending: (desk.waiting.len() + desk.in_hand) as u64,
            health: match &desk.trouble {
                None => Health::Good,
                Some(trouble) => Health::Failing(trouble.clone()),
            },
            lost: desk.lost.clone(),
        });
    }
}

impl Desk {
    /// Takes a record on; true when so much waits that it is to be written.
    fn take(&mut self, record: &Record<'_>) -> Result<bool, SinkError> {
        self.accepted += 1;
        if self.closed {
            self.lost.add(LossReason::Shutdown, record.level(), 1);
            return Err(SinkError::Closed { sink: "console" });
        }
        if self.with_priorities {
            self.text.push_str(journal::prefix(record.level()));
        }
        match &mut self.pretty {
            None => self.text.push_str(record.json()),
            Some(pretty) => pretty.push(&mut self.text, record),
        }
        self.text.push('\n');
        self.waiting.push(record.level());
        Ok(self.text.len() >= BUFFER_BYTES)
    }

    /// Books what became of the records in hand.
    fn book(&mut self, written: io::Result<()>, levels: &[Level]) {
        self.in_hand = 0;
        match written {
            Ok(()) => {
                self.delivered += levels.len() as u64;
                self.trouble = None;
            }
            // There is nowhere to complain to: stderr itself is what fails.
            Err(error) => {
                for &level in levels {
                    self.lost.add(LossReason::IoError, level, 1);
                }
                self.trouble = Some(error.to_string());
            }
        }
    }
}
