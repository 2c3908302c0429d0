//! The values of an event or a span: visited once, within limits, into one arena.

use std::fmt::{self, Write as _};

use tracing::field::{Field as Name, Visit};

use crate::record::{Field, Kind, Role, Value};

/// Longest text of one value in bytes; longer text is cut and marked.
pub const MAX_VALUE_BYTES: usize = 65_536;
/// Most text of one event, or of one span, in bytes; what comes after is cut
/// and marked. The marks come on top.
pub const MAX_TEXT_BYTES: usize = 262_144;

/// Typed values and the arena that holds their text.
#[derive(Debug, Default, Clone)]
pub(crate) struct Values {
    pub(crate) fields: Vec<Field>,
    pub(crate) text: String,
}

impl Values {
    /// Forgets the values; a large arena is given back, since each thread that
    /// logs has one.
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        self.text.clear();
        if self.text.capacity() > MAX_VALUE_BYTES {
            self.text = String::new();
        }
    }

    /// Takes a field over as it is.
    pub(crate) fn put(&mut self, field: &Field, value: Value<'_>) {
        match value {
            Value::Text(text) => self.put_text(field, text),
            _ => self.fields.push(*field),
        }
    }

    /// Takes a field over with this text in place of its value.
    pub(crate) fn put_text(&mut self, field: &Field, text: &str) {
        self.append(field, usize::MAX, |out| out.write_str(text));
    }

    /// Takes over newer values of a span; a field that has one already gets the
    /// new one. All text together stays within [`MAX_TEXT_BYTES`].
    pub(crate) fn merge(&mut self, newer: &Values) {
        let newest = |field: &Field| newer.fields.iter().rev().find(|n| n.index == field.index);
        let stays = |field: &&Field| newest(field).is_none();
        let kept: usize = self.fields.iter().filter(stays).map(|f| f.text_len()).sum();
        let mut room = MAX_TEXT_BYTES.saturating_sub(kept);

        let mut merged = Values::default();
        for field in &self.fields {
            match newest(field) {
                Some(new) => merged.put_within(new, new.value(&newer.text), &mut room),
                None => merged.put(field, field.value(&self.text)),
            }
        }
        for new in &newer.fields {
            if !merged.fields.iter().any(|old| old.index == new.index) {
                merged.put_within(new, new.value(&newer.text), &mut room);
            }
        }
        *self = merged;
    }

    fn put_within(&mut self, field: &Field, value: Value<'_>, room: &mut usize) {
        if let Value::Text(text) = value {
            self.append(field, *room, |out| out.write_str(text));
            *room = room.saturating_sub(text.len());
        } else {
            self.put(field, value);
        }
    }

    /// Appends a text of at most `most` bytes as the value of a field.
    #[inline]
    fn append(
        &mut self,
        field: &Field,
        most: usize,
        write: impl FnOnce(&mut Limited<'_>) -> fmt::Result,
    ) {
        let start = self.text.len();
        let mut out = Limited::new(&mut self.text, most);
        let written = write(&mut out);
        out.finish(written);
        self.end_text(field, start);
    }

    /// What was appended to the text since `start` is the value of the field.
    #[inline]
    fn end_text(&mut self, field: &Field, start: usize) {
        self.fields.push(Field {
            kind: Kind::Text,
            len: (self.text.len() - start) as u32,
            bits: start as u64,
            ..*field
        });
    }
}

/// Collects the values of an event or a span.
pub(crate) struct Visitor<'a> {
    values: &'a mut Values,
    bridged: bool,
    /// The first field called `message` is the message of an event. A span has
    /// none, and counts as having it already.
    has_message: bool,
}

impl<'a> Visitor<'a> {
    /// For an event; `bridged` when it is a record of the `log` crate.
    pub(crate) fn of_event(values: &'a mut Values, bridged: bool) -> Self {
        Self {
            values,
            bridged,
            has_message: false,
        }
    }

    /// For a span, which has no message.
    pub(crate) fn of_span(values: &'a mut Values) -> Self {
        Self {
            values,
            bridged: false,
            has_message: true,
        }
    }

    // Into each method of `Visit`: those are called through a table, and one
    // call more for each field is felt.
    #[inline(always)]
    fn number(&mut self, name: &Name, kind: Kind, bits: u64, value: &dyn fmt::Debug) {
        let field = self.field(name, kind, bits);
        if field.is_message() {
            self.number_as_text(&field, value);
        } else {
            self.values.fields.push(field);
        }
    }

    /// The message is text, whatever the callsite gave.
    #[cold]
    fn number_as_text(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.append(field, |out| write!(out, "{value:?}"));
    }

    #[inline]
    fn text(&mut self, name: &Name, write: impl FnOnce(&mut Limited<'_>) -> fmt::Result) {
        let field = self.field(name, Kind::Text, 0);
        self.append(&field, write);
    }

    #[inline]
    fn append(&mut self, field: &Field, write: impl FnOnce(&mut Limited<'_>) -> fmt::Result) {
        let room = MAX_TEXT_BYTES.saturating_sub(self.values.text.len());
        self.values.append(field, room.min(MAX_VALUE_BYTES), write);
    }

    #[inline]
    fn field(&mut self, name: &Name, kind: Kind, bits: u64) -> Field {
        let text = name.name();
        Field {
            name: text,
            kind,
            role: self.role(text),
            // Nobody names 65,536 fields; the last index would stand for the rest.
            index: name.index().min(usize::from(u16::MAX)) as u16,
            len: 0,
            bits,
        }
    }

    #[inline]
    fn role(&mut self, name: &str) -> Role {
        if name == "message" && !std::mem::replace(&mut self.has_message, true) {
            Role::Message
        } else if self.bridged && name.starts_with("log.") {
            Role::Bridged
        } else {
            Role::Plain
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, name: &Name, value: &dyn fmt::Debug) {
        self.text(name, |out| write!(out, "{value:?}"));
    }
    fn record_str(&mut self, name: &Name, value: &str) {
        let field = self.field(name, Kind::Text, 0);
        let start = self.values.text.len();
        if value.len() <= MAX_VALUE_BYTES && start + value.len() <= MAX_TEXT_BYTES {
            self.values.text.push_str(value);
            self.values.end_text(&field, start);
        } else {
            self.append(&field, |out| out.write_str(value));
        }
    }
    fn record_i64(&mut self, name: &Name, value: i64) {
        self.number(name, Kind::I64, value as u64, &value);
    }
    fn record_u64(&mut self, name: &Name, value: u64) {
        self.number(name, Kind::U64, value, &value);
    }
    fn record_f64(&mut self, name: &Name, value: f64) {
        self.number(name, Kind::F64, value.to_bits(), &value);
    }
    fn record_bool(&mut self, name: &Name, value: bool) {
        self.number(name, Kind::Bool, value.into(), &value);
    }
    fn record_i128(&mut self, name: &Name, value: i128) {
        self.text(name, |out| write!(out, "{value}"));
    }
    fn record_u128(&mut self, name: &Name, value: u128) {
        self.text(name, |out| write!(out, "{value}"));
    }
    fn record_bytes(&mut self, name: &Name, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.record_str(name, text),
            Err(_) => self.text(name, |out| {
                value.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }),
        }
    }
    fn record_error(&mut self, name: &Name, value: &(dyn std::error::Error + 'static)) {
        self.text(name, |out| {
            write!(out, "{value}")?;
            let mut source = value.source();
            while let Some(cause) = source {
                write!(out, ": {cause}")?;
                source = cause.source();
            }
            Ok(())
        });
    }
}

/// Appends to the arena up to a limit, and counts what would have come.
struct Limited<'a> {
    text: &'a mut String,
    start: usize,
    /// Where the arena must end.
    end: usize,
    cut: usize,
}

impl<'a> Limited<'a> {
    fn new(text: &'a mut String, most: usize) -> Self {
        let start = text.len();
        Self {
            text,
            start,
            end: start.saturating_add(most),
            cut: 0,
        }
    }

    #[inline]
    fn finish(self, written: fmt::Result) {
        if self.cut > 0 {
            let whole = self.text.len() - self.start + self.cut;
            let _ = write!(self.text, "…[cut, {whole} bytes in all]");
        } else if written.is_err() {
            self.text.push_str("[its formatting failed]");
        }
    }

    #[cold]
    fn cut(&mut self, piece: &str) {
        // Once cut, nothing more is taken: a later piece would close the gap unseen.
        let room = if self.cut == 0 {
            self.end - self.text.len()
        } else {
            0
        };
        let fits = piece.floor_char_boundary(room);
        self.text.push_str(&piece[..fits]);
        self.cut += piece.len() - fits;
    }
}

impl fmt::Write for Limited<'_> {
    #[inline]
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.cut == 0 && self.text.len() + piece.len() <= self.end {
            self.text.push_str(piece);
        } else {
            self.cut(piece);
        }
        Ok(())
    }
}
