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
        push_pretty(out, &mut self.clock, record, Paint(self.color));
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
