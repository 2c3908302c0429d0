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
/// a small [`Queue`](crate::Queue) of its own.
pub struct Console {
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    text: String,
    /// Level of each record in `text`.
    waiting: Vec<Level>,
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
            state: Mutex::new(State {
                out,
                text: String::new(),
                waiting: Vec::new(),
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
        lock(&self.state).with_priorities = on;
        self
    }
}

impl Sink for Console {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let state = &mut *lock(&self.state);
        state.accepted += 1;
        if state.closed {
            state.lost.add(LossReason::Shutdown, record.level(), 1);
            return Err(SinkError::Closed { sink: "console" });
        }
        if state.with_priorities {
            state.text.push_str(journal::prefix(record.level()));
        }
        match &mut state.pretty {
            None => state.text.push_str(record.json()),
            Some(pretty) => pretty.push(&mut state.text, record),
        }
        state.text.push('\n');
        state.waiting.push(record.level());
        if state.text.len() >= BUFFER_BYTES {
            state.write_out();
        }
        Ok(())
    }

    fn batch_end(&self) {
        lock(&self.state).write_out();
    }

    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        lock(&self.state).write_out();
        Ok(())
    }

    fn close(&self, _: Duration) -> Result<(), SinkError> {
        let mut state = lock(&self.state);
        state.write_out();
        state.closed = true;
        Ok(())
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        let state = lock(&self.state);
        into.push(SinkStats {
            name: Cow::Borrowed("console"),
            accepted: state.accepted,
            delivered: state.delivered,
            dropped: state.lost.total(),
            rejected: 0,
            pending: state.waiting.len() as u64,
            health: match &state.trouble {
                None => Health::Good,
                Some(trouble) => Health::Failing(trouble.clone()),
            },
            lost: state.lost.clone(),
        });
    }
}

impl State {
    fn write_out(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let written = self
            .out
            .write_all(self.text.as_bytes())
            .and_then(|()| self.out.flush());
        match written {
            Ok(()) => {
                self.delivered += self.waiting.len() as u64;
                self.trouble = None;
            }
            // There is nowhere to complain to: stderr itself is what fails.
            Err(error) => {
                for &level in &self.waiting {
                    self.lost.add(LossReason::IoError, level, 1);
                }
                self.trouble = Some(error.to_string());
            }
        }
        self.waiting.clear();
        self.text.clear();
    }
}
