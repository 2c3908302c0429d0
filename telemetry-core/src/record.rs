//! A log record: captured once, immutable, lent to the sinks.
//!
//! Nothing is formatted and nothing is allocated while a record travels. Names
//! are `&'static str` from the callsite, numbers are bits, and all text of a
//! record lies in one arena. What holds the arena lends views into it
//! ([`Record`]): the scratch space of the capturing thread, the batch of a
//! queue, or a [`Rewrite`] that a sink fills with changed values.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::{Level, Metadata};

use crate::identity::Identity;
use crate::json::Line;
use crate::span::Span;

/// A typed value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A float; JSON writes a non-finite one as text.
    F64(f64),
    /// A boolean.
    Bool(bool),
    /// Text: strings, `Debug` and `Display` output, 128-bit integers, errors.
    Text(&'a str),
}

/// What a [`Field`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    I64,
    U64,
    F64,
    Bool,
    Text,
}

/// What a field stands for in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// An entry of `fields`.
    Plain,
    /// The message of the event.
    Message,
    /// A property of a bridged `log` record (`log.target`, `log.line`, …),
    /// which replaces what the callsite says of itself.
    Bridged,
}

/// The place of a name that is not in the callsite's field set, which is never so
/// large.
const RENAMED: u16 = u16::MAX;

/// A field of a record or span: a static name and a typed value.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    /// Place of the name in the callsite's field set.
    pub(crate) index: u16,
    /// Length of the text in bytes.
    pub(crate) len: u32,
    /// The number, or where the text starts in the arena.
    pub(crate) bits: u64,
}

impl Field {
    /// The name as written at the callsite.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Place of the name in the callsite's field set: together with the
    /// callsite it identifies the name, so that verdicts on names can be cached.
    /// Past the end of the set where the field was [renamed](Self::renamed).
    pub fn index(&self) -> usize {
        usize::from(self.index)
    }

    /// The field with another name, which no other one of its record or span may
    /// have. The message, and what a bridged `log` record says of its callsite,
    /// keep theirs.
    #[must_use]
    pub fn renamed(self, name: &'static str) -> Self {
        if self.role != Role::Plain {
            return self;
        }
        Self {
            name,
            index: RENAMED,
            ..self
        }
    }

    /// True for the message of the event, which is not an entry of `fields`.
    pub fn is_message(&self) -> bool {
        self.role == Role::Message
    }

    pub(crate) fn value<'a>(&self, text: &'a str) -> Value<'a> {
        match self.kind {
            Kind::I64 => Value::I64(self.bits as i64),
            Kind::U64 => Value::U64(self.bits),
            Kind::F64 => Value::F64(f64::from_bits(self.bits)),
            Kind::Bool => Value::Bool(self.bits != 0),
            Kind::Text => Value::Text(self.slice(text)),
        }
    }

    /// Bytes of text in the arena.
    pub(crate) fn text_len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn slice<'a>(&self, text: &'a str) -> &'a str {
        let start = self.bits as usize;
        &text[start..start + self.len as usize]
    }
}

/// What a record has besides its fields and its span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// Nanoseconds since 1970.
    pub(crate) nanos: u64,
    /// 0: not numbered yet.
    pub(crate) seq: u64,
    pub(crate) meta: &'static Metadata<'static>,
    pub(crate) identity: Identity,
    /// From the `log` crate: some fields describe the callsite.
    pub(crate) bridged: bool,
}

/// One event, lent for the length of a call.
///
/// To keep one, keep its [`json`](Record::json), or copy the values.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(crate) head: &'a Head,
    pub(crate) span: Option<&'a Arc<Span>>,
    pub(crate) fields: &'a [Field],
    pub(crate) text: &'a str,
    pub(crate) line: &'a Line,
    /// The number, where it is not (yet) that of the head.
    pub(crate) seq: u64,
}

impl<'a> Record<'a> {
    /// When the event was captured.
    pub fn timestamp(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.head.nanos)
    }

    /// When the event was captured, in nanoseconds since 1970.
    pub fn unix_nanos(&self) -> u64 {
        self.head.nanos
    }

    /// Its number in the session, from 1; 0 where nothing numbers records.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Its level.
    pub fn level(&self) -> Level {
        *self.head.meta.level()
    }

    /// The callsite. For records of the `log` crate this is a stand-in: ask
    /// [`target`](Self::target), [`file`](Self::file) and so on instead.
    pub fn metadata(&self) -> &'static Metadata<'static> {
        self.head.meta
    }

    /// The daemon and the session that it comes from.
    pub fn identity(&self) -> Identity {
        self.head.identity
    }

    /// Its target: usually the module path.
    pub fn target(&self) -> &'a str {
        self.bridged_text("log.target")
            .unwrap_or_else(|| self.head.meta.target())
    }

    /// The module that emitted it.
    pub fn module_path(&self) -> Option<&'a str> {
        self.own(self.head.meta.module_path())
            .or_else(|| self.bridged_text("log.module_path"))
    }

    /// The source file that emitted it.
    pub fn file(&self) -> Option<&'a str> {
        self.own(self.head.meta.file())
            .or_else(|| self.bridged_text("log.file"))
    }

    /// The line in the source file.
    pub fn line(&self) -> Option<u32> {
        if !self.head.bridged {
            return self.head.meta.line();
        }
        let field = self.bridged_field("log.line")?;
        u32::try_from(field.bits).ok()
    }

    /// The message; empty when there is none.
    pub fn message(&self) -> &'a str {
        self.fields
            .iter()
            .find(|field| field.is_message())
            .map_or("", |field| field.slice(self.text))
    }

    /// The entries of `fields`, in the order of the callsite. The message is
    /// not among them.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Value<'a>)> + use<'a> {
        let (fields, text) = (self.fields, self.text);
        fields
            .iter()
            .filter(|field| field.role == Role::Plain)
            .map(move |field| (field.name, field.value(text)))
    }

    /// Every value with its place: the message and the entries of `fields`, and
    /// what a bridged `log` record says of its callsite. For sinks that
    /// [rewrite](Rewrite) records.
    pub fn values(&self) -> impl Iterator<Item = (&'a Field, Value<'a>)> + use<'a> {
        let (fields, text) = (self.fields, self.text);
        fields.iter().map(move |field| (field, field.value(text)))
    }

    /// All text of the record in one piece, for a first look at it.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The innermost span in which the event happened.
    pub fn span(&self) -> Option<&'a Arc<Span>> {
        self.span
    }

    /// The record as one JSON object, without a newline at the end; encoded
    /// when first asked for, and shared by all sinks behind the same step.
    ///
    /// Keys in order: `timestamp`, `level`, `target`, `message`, `fields`,
    /// `spans` (left out when empty), `module_path`, `file`, `line`,
    /// `daemon_id`, `session_id`, `seq`.
    pub fn json(&self) -> &'a str {
        self.line.get(self)
    }

    /// The same record with another number.
    pub(crate) fn numbered(self, seq: u64, line: &'a Line) -> Self {
        Self { seq, line, ..self }
    }

    fn own(&self, of_callsite: Option<&'static str>) -> Option<&'a str> {
        if self.head.bridged { None } else { of_callsite }
    }

    fn bridged_field(&self, name: &str) -> Option<&'a Field> {
        if !self.head.bridged {
            return None;
        }
        self.fields
            .iter()
            .find(|field| field.role == Role::Bridged && field.name == name)
    }

    fn bridged_text(&self, name: &str) -> Option<&'a str> {
        self.bridged_field(name)
            .filter(|field| field.kind == Kind::Text)
            .map(|field| field.slice(self.text))
    }
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.json())
    }
}

/// Space for a changed copy of a record: what a redacting sink hands on.
///
/// One is reused for many records, so that changing one allocates nothing in
/// the steady state.
///
/// ```
/// # use telemetry_core::{Record, Rewrite, Sink, Value};
/// /// Hands on a copy in which every text is "x".
/// fn blind(record: &Record<'_>, space: &mut Rewrite, next: &dyn Sink) {
///     space.clear();
///     for (field, value) in record.values() {
///         match value {
///             Value::Text(_) => space.put_text(field, "x"),
///             _ => space.copy(field, value),
///         }
///     }
///     let _ = next.write(&space.record(record, record.span()));
/// }
/// ```
#[derive(Default)]
pub struct Rewrite {
    fields: Vec<Field>,
    text: String,
    line: Line,
}

impl Rewrite {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the record before.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.text.clear();
        self.line.reset();
    }

    /// Takes a field over as it is.
    pub fn copy(&mut self, field: &Field, value: Value<'_>) {
        match value {
            Value::Text(text) => self.put_text(field, text),
            _ => self.fields.push(*field),
        }
    }

    /// Takes a field over with this text in place of its value.
    pub fn put_text(&mut self, field: &Field, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.end_text(field, start);
    }

    /// As [`put_text`](Self::put_text), for text that `write` appends to the
    /// given string.
    pub fn put_with(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        self.end_text(field, start);
    }

    /// The copy: time, level, callsite and number of `of`, the fields put here,
    /// and `span`.
    pub fn record<'a>(&'a self, of: &Record<'a>, span: Option<&'a Arc<Span>>) -> Record<'a> {
        Record {
            head: of.head,
            span,
            fields: &self.fields,
            text: &self.text,
            line: &self.line,
            seq: of.seq,
        }
    }

    fn end_text(&mut self, field: &Field, start: usize) {
        self.fields.push(Field {
            kind: Kind::Text,
            len: (self.text.len() - start) as u32,
            bits: start as u64,
            ..*field
        });
    }
}
