//! Records for a person, or for whatever reads stderr.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;

use tracing::Level;

use crate::json::Clock;
use crate::lock;
use crate::record::{Record, Value};
use crate::sink::{Health, LossReason, Losses, Sink, SinkError, SinkStats};
use crate::span::Span;

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
    format: Format,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    text: String,
    /// Level of each record in `text`.
    waiting: Vec<Level>,
    clock: Clock,
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
            format,
            state: Mutex::new(State {
                out,
                text: String::new(),
                waiting: Vec::new(),
                clock: Clock::default(),
                accepted: 0,
                delivered: 0,
                lost: Losses::default(),
                trouble: None,
                closed: false,
            }),
        }
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
        match self.format {
            Format::Json => state.text.push_str(record.json()),
            Format::Pretty { color } => {
                push_pretty(&mut state.text, &mut state.clock, record, Paint(color))
            }
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

/// Puts colours around text, or does not.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn push(self, out: &mut String, style: &str, text: &str) {
        if self.0 {
            let _ = write!(out, "\x1b[{style}m{text}\x1b[0m");
        } else {
            out.push_str(text);
        }
    }

    fn visible(self, out: &mut String, style: &str, text: &str) {
        let mut escaped = String::new();
        push_visible(&mut escaped, text);
        self.push(out, style, &escaped);
    }
}

const DIM: &str = "2";
const ITALIC: &str = "3";

fn push_pretty(out: &mut String, clock: &mut Clock, record: &Record<'_>, paint: Paint) {
    let mut time = String::new();
    clock.push(&mut time, record.unix_nanos());
    time.truncate(time.len() - 3);
    time.push('Z');
    paint.push(out, DIM, &time);
    let (level, style) = match record.level() {
        Level::ERROR => (" ERROR ", "31"),
        Level::WARN => ("  WARN ", "33"),
        Level::INFO => ("  INFO ", "32"),
        Level::DEBUG => (" DEBUG ", "34"),
        Level::TRACE => (" TRACE ", "35"),
    };
    paint.push(out, style, level);
    // A target of the `log` crate may be any text.
    paint.visible(out, DIM, record.target());
    paint.push(out, DIM, ": ");
    push_visible(out, record.message());
    for (name, value) in record.fields() {
        out.push(' ');
        paint.push(out, ITALIC, name);
        paint.push(out, DIM, "=");
        push_value(out, value);
    }
    if let Some(span) = record.span() {
        push_spans(out, span, paint);
    }
}

/// ` in outer{a=1}:inner`
fn push_spans(out: &mut String, innermost: &Span, paint: Paint) {
    let mut chain = vec![innermost];
    while let Some(parent) = chain[chain.len() - 1].parent() {
        chain.push(parent);
    }
    let mut text = String::from(" in ");
    for (place, span) in chain.iter().rev().enumerate() {
        if place > 0 {
            text.push(':');
        }
        text.push_str(span.name());
        let mut before = '{';
        for (field, value) in span.fields() {
            text.push(before);
            before = ' ';
            text.push_str(field.name());
            text.push('=');
            push_value(&mut text, value);
        }
        if before == ' ' {
            text.push('}');
        }
    }
    paint.push(out, DIM, &text);
}

fn push_value(out: &mut String, value: Value<'_>) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::I64(number) => write!(out, "{number}"),
        Value::U64(number) => write!(out, "{number}"),
        Value::F64(number) => write!(out, "{number}"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Text(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
            out.push('"');
            for part in text.split_inclusive('"') {
                match part.strip_suffix('"') {
                    Some(before) => {
                        push_visible(out, before);
                        out.push_str("\\\"");
                    }
                    None => push_visible(out, part),
                }
            }
            out.push('"');
            Ok(())
        }
        Value::Text(text) => {
            push_visible(out, text);
            Ok(())
        }
    };
}

/// Appends text with its control characters escaped.
fn push_visible(out: &mut String, text: &str) {
    if !text.contains(char::is_control) {
        out.push_str(text);
        return;
    }
    for letter in text.chars() {
        if letter.is_control() {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
}
