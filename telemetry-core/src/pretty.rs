//! Records for a person.

use std::fmt::Write as _;

use tracing::Level;

use crate::json::Clock;
use crate::record::{Record, Value};
use crate::span::Span;

/// Formats records as lines for a person: time, level, target, message, fields,
/// and the spans around them.
///
/// Control characters in values are escaped, so that a log line cannot take over
/// a terminal, and a record is always one line.
#[derive(Default)]
pub struct Pretty {
    clock: Clock,
    color: bool,
}

impl Pretty {
    /// With ANSI colours or without.
    pub fn new(color: bool) -> Self {
        Self {
            clock: Clock::default(),
            color,
        }
    }

    /// Appends the record, without a newline at the end.
    pub fn push(&mut self, out: &mut String, record: &Record<'_>) {
        let mut time = String::new();
        self.clock.push(&mut time, record.unix_nanos());
        time.truncate(time.len() - 3);
        time.push('Z');
        let mut line = self.begin(out, &time, record.level(), record.target());
        line.message(record.message());
        for (name, value) in record.fields() {
            line.field(name, value);
        }
        let mut chain: Vec<&Span> = Vec::new();
        let mut next = record.span();
        while let Some(span) = next {
            chain.push(span);
            next = span.parent();
        }
        for span in chain.iter().rev() {
            line.span(span.name());
            for (field, value) in span.fields() {
                line.span_field(field.name(), value);
            }
        }
        line.end();
    }

    /// Begins a line of parts, for a record that was read back from a file: its
    /// message, its fields and its spans, in this order.
    pub fn begin<'a>(
        &self,
        out: &'a mut String,
        time: &str,
        level: Level,
        target: &str,
    ) -> PrettyLine<'a> {
        let paint = Paint(self.color);
        paint.visible(out, DIM, time);
        let (level, style) = match level {
            Level::ERROR => (" ERROR ", "31"),
            Level::WARN => ("  WARN ", "33"),
            Level::INFO => ("  INFO ", "32"),
            Level::DEBUG => (" DEBUG ", "34"),
            Level::TRACE => (" TRACE ", "35"),
        };
        paint.push(out, style, level);
        // A target of the `log` crate may be any text.
        paint.visible(out, DIM, target);
        paint.push(out, DIM, ": ");
        PrettyLine {
            out,
            paint,
            spans: String::new(),
            in_fields: false,
        }
    }
}

/// A line for a person that is put together from parts: see [`Pretty::begin`].
pub struct PrettyLine<'a> {
    out: &'a mut String,
    paint: Paint,
    /// ` in outer{a=1}:inner`
    spans: String,
    /// The last span has fields already.
    in_fields: bool,
}

impl PrettyLine<'_> {
    /// The message.
    pub fn message(&mut self, message: &str) {
        push_visible(self.out, message);
    }

    /// The next field of the record.
    pub fn field(&mut self, name: &str, value: Value<'_>) {
        self.out.push(' ');
        self.paint.visible(self.out, ITALIC, name);
        self.paint.push(self.out, DIM, "=");
        push_value(self.out, value);
    }

    /// The next span, the outermost first.
    pub fn span(&mut self, name: &str) {
        self.end_span();
        let before = if self.spans.is_empty() { " in " } else { ":" };
        self.spans.push_str(before);
        push_visible(&mut self.spans, name);
    }

    /// The next field of that span.
    pub fn span_field(&mut self, name: &str, value: Value<'_>) {
        self.spans.push(if self.in_fields { ' ' } else { '{' });
        self.in_fields = true;
        push_visible(&mut self.spans, name);
        self.spans.push('=');
        push_value(&mut self.spans, value);
    }

    /// Ends the line, without a newline.
    pub fn end(mut self) {
        self.end_span();
        if !self.spans.is_empty() {
            self.paint.push(self.out, DIM, &self.spans);
        }
    }

    fn end_span(&mut self) {
        if std::mem::take(&mut self.in_fields) {
            self.spans.push('}');
        }
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
