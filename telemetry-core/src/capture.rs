//! From a `tracing` event to a [`Record`]: the part on the caller's thread.
//!
//! Nothing is allocated in the steady state: the event is visited into scratch
//! space that the thread keeps. The scratch is *taken out* of its place while
//! in use, so that a `Debug` implementation that logs gets space of its own
//! instead of a panic.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field as Name, Visit};
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::identity::Identity;
use crate::json::Line;
use crate::record::{Field, Head, Kind, Record, Role};
use crate::sink::Sink;
use crate::span::{Freshness, Span, SpanValues};

/// Longest text of one value in bytes; longer text is cut and marked.
pub const MAX_VALUE_BYTES: usize = 65_536;
/// Most text of one event, or of one span, in bytes; what comes after is cut and marked.
pub const MAX_TEXT_BYTES: usize = 262_144;
/// How deep events may be emitted while an event is being formatted.
const MAX_DEPTH: u8 = 4;
/// These dump request heads with credentials at DEBUG and TRACE, row by row, so
/// that no rule on a line could find them. They are shut out of every sink.
const SHUT_OUT: [&str; 4] = ["ureq", "ureq_proto", "rustls", "hyper"];

/// Events that were not captured, because a sink or a formatting value emitted them.
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static THREAD: ThreadState = const { ThreadState { scratch: Cell::new(None), depth: Cell::new(0), in_sink: Cell::new(false) } };
}

struct ThreadState {
    scratch: Cell<Option<Box<Scratch>>>,
    depth: Cell<u8>,
    in_sink: Cell<bool>,
}

#[derive(Default)]
struct Scratch {
    values: SpanValues,
    line: Line,
}

/// A layer that turns each event into a [`Record`] and gives it to a sink.
///
/// Behind a [`Queue`](crate::Queue) this never waits for I/O. It may also be
/// given a file or a server straight away: then the caller's thread does the
/// work, and [`Numbered`](crate::Numbered) gives records their numbers.
///
/// Events of `ureq`, `ureq_proto`, `rustls` and `hyper` at DEBUG and TRACE are
/// never captured. Neither are events that a sink emits while it writes
/// ([`suppressed_events`] counts them).
pub struct Capture<S> {
    identity: Identity,
    sink: S,
}

impl<S: Sink + 'static> Capture<S> {
    /// Captures for `sink`, on behalf of `identity`.
    pub fn new(identity: Identity, sink: S) -> Self {
        Self { identity, sink }
    }
}

/// Events that were not captured since the process began: emitted by a sink
/// while it wrote, or more than four levels deep while an event was formatted.
pub fn suppressed_events() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// Marks this thread as one that works for sinks: its events are not captured.
/// For threads that would otherwise feed the pipeline they serve.
pub fn suppress_events_of_this_thread() {
    THREAD.with(|thread| thread.in_sink.set(true));
}

/// True on a thread whose events are not captured.
pub(crate) fn is_suppressed() -> bool {
    THREAD.with(|thread| thread.in_sink.get())
}

impl<Sub, S> Layer<Sub> for Capture<S>
where
    Sub: Subscriber + for<'a> LookupSpan<'a>,
    S: Sink + 'static,
{
    fn register_callsite(&self, meta: &'static Metadata<'static>) -> Interest {
        if is_shut_out(meta) {
            Interest::never()
        } else {
            Interest::always()
        }
    }

    fn enabled(&self, meta: &Metadata<'_>, _: Context<'_, Sub>) -> bool {
        !is_shut_out(meta)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, Sub>) {
        let mut values = SpanValues::default();
        attributes.record(&mut Visitor::of_span(&mut values));
        let Some(span) = context.span(id) else { return };
        let parent = span.parent().and_then(|parent| snapshot(&parent));
        let freshness = Freshness::default();
        let newest = Arc::new(Span::new(
            parent,
            attributes.metadata(),
            &values,
            freshness.clone(),
        ));
        span.extensions_mut().replace(LiveSpan {
            values,
            freshness,
            newest,
        });
    }

    fn on_record(&self, id: &Id, record: &SpanRecord<'_>, context: Context<'_, Sub>) {
        // Visiting runs foreign code: before the lock of the extensions.
        let mut newer = SpanValues::default();
        record.record(&mut Visitor::of_span(&mut newer));
        let Some(span) = context.span(id) else { return };
        if let Some(live) = span.extensions_mut().get_mut::<LiveSpan>() {
            live.values.merge(&newer);
            live.freshness.advance();
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, Sub>) {
        THREAD.with(|thread| {
            if thread.in_sink.get() || thread.depth.get() >= MAX_DEPTH {
                SUPPRESSED.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let mut scratch = thread.scratch.take().unwrap_or_default();
            let bridged = event.is_log();
            thread.depth.set(thread.depth.get() + 1);
            let depth = Restore(&thread.depth, thread.depth.get() - 1);
            event.record(&mut Visitor::of_event(&mut scratch.values, bridged));
            drop(depth);
            let head = Head {
                nanos: now(),
                seq: 0,
                meta: event.metadata(),
                identity: self.identity,
                span: context.event_span(event).and_then(|span| snapshot(&span)),
                field_count: scratch.values.fields.len() as u32,
                text_len: scratch.values.text.len() as u32,
                bridged,
            };
            let record = Record {
                head: &head,
                span: head.span.as_ref(),
                fields: &scratch.values.fields,
                text: &scratch.values.text,
                line: &scratch.line,
                seq: 0,
            };
            thread.in_sink.set(true);
            let in_sink = Restore(&thread.in_sink, false);
            // The sink has counted what it could not take.
            let _ = self.sink.write(&record);
            self.sink.batch_end();
            drop(in_sink);
            scratch.line.reset();
            scratch.values.fields.clear();
            scratch.values.text.clear();
            thread.scratch.set(Some(scratch));
        });
    }
}

/// Puts a value back, also when foreign code panics.
struct Restore<'a, T: Copy>(&'a Cell<T>, T);

impl<T: Copy> Drop for Restore<'_, T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// What the registry keeps of a span that is alive.
struct LiveSpan {
    values: SpanValues,
    freshness: Freshness,
    newest: Arc<Span>,
}

/// The span as it is now.
fn snapshot<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<Arc<Span>> {
    if let Some(live) = span.extensions().get::<LiveSpan>()
        && live.newest.is_current()
    {
        return Some(Arc::clone(&live.newest));
    }
    let parent = span.parent().and_then(|parent| snapshot(&parent));
    let mut extensions = span.extensions_mut();
    let live = extensions.get_mut::<LiveSpan>()?;
    let newest = Span::new(
        parent,
        span.metadata(),
        &live.values,
        live.freshness.clone(),
    );
    live.newest = Arc::new(newest);
    Some(Arc::clone(&live.newest))
}

fn is_shut_out(meta: &Metadata<'_>) -> bool {
    if *meta.level() < Level::DEBUG {
        return false;
    }
    let root = meta.target().split("::").next().unwrap_or_default();
    SHUT_OUT.contains(&root)
}

fn now() -> u64 {
    // A clock before 1970 is set wrong; 0 shows that and keeps the record.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// Collects the values of an event or a span.
struct Visitor<'a> {
    values: &'a mut SpanValues,
    is_event: bool,
    bridged: bool,
    has_message: bool,
}

impl<'a> Visitor<'a> {
    fn of_event(values: &'a mut SpanValues, bridged: bool) -> Self {
        values.fields.clear();
        values.text.clear();
        Self {
            values,
            is_event: true,
            bridged,
            has_message: false,
        }
    }

    fn of_span(values: &'a mut SpanValues) -> Self {
        Self {
            values,
            is_event: false,
            bridged: false,
            has_message: false,
        }
    }

    #[inline]
    fn number(&mut self, name: &Name, kind: Kind, bits: u64, as_text: fmt::Arguments<'_>) {
        match self.role(name) {
            // The message is text, whatever the callsite gave.
            Role::Message => self.text(name, Role::Message, |out| out.write_fmt(as_text)),
            role => self.values.fields.push(Field {
                name: name.name(),
                kind,
                role,
                index: name.index() as u8,
                len: 0,
                bits,
            }),
        }
    }

    #[inline]
    fn role(&mut self, name: &Name) -> Role {
        if !self.is_event {
            Role::Plain
        } else if name.name() == "message" && !std::mem::replace(&mut self.has_message, true) {
            Role::Message
        } else if self.bridged && name.name().starts_with("log.") {
            Role::Bridged
        } else {
            Role::Plain
        }
    }

    #[inline]
    fn text(
        &mut self,
        name: &Name,
        role: Role,
        write: impl FnOnce(&mut Limited<'_>) -> fmt::Result,
    ) {
        let start = self.values.text.len();
        let mut out = Limited::new(&mut self.values.text);
        let written = write(&mut out);
        out.finish(written);
        self.values.fields.push(Field {
            name: name.name(),
            kind: Kind::Text,
            role,
            index: name.index() as u8,
            len: (self.values.text.len() - start) as u32,
            bits: start as u64,
        });
    }

    fn plain_text(&mut self, name: &Name, write: impl FnOnce(&mut Limited<'_>) -> fmt::Result) {
        let role = self.role(name);
        self.text(name, role, write);
    }
}

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, name: &Name, value: &dyn fmt::Debug) {
        self.plain_text(name, |out| write!(out, "{value:?}"));
    }
    fn record_str(&mut self, name: &Name, value: &str) {
        self.plain_text(name, |out| out.write_str(value));
    }
    fn record_i64(&mut self, name: &Name, value: i64) {
        self.number(name, Kind::I64, value as u64, format_args!("{value}"));
    }
    fn record_u64(&mut self, name: &Name, value: u64) {
        self.number(name, Kind::U64, value, format_args!("{value}"));
    }
    fn record_f64(&mut self, name: &Name, value: f64) {
        self.number(name, Kind::F64, value.to_bits(), format_args!("{value}"));
    }
    fn record_bool(&mut self, name: &Name, value: bool) {
        self.number(name, Kind::Bool, value.into(), format_args!("{value}"));
    }
    fn record_i128(&mut self, name: &Name, value: i128) {
        self.plain_text(name, |out| write!(out, "{value}"));
    }
    fn record_u128(&mut self, name: &Name, value: u128) {
        self.plain_text(name, |out| write!(out, "{value}"));
    }
    fn record_bytes(&mut self, name: &Name, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.record_str(name, text),
            Err(_) => self.plain_text(name, |out| {
                value.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }),
        }
    }
    fn record_error(&mut self, name: &Name, value: &(dyn std::error::Error + 'static)) {
        self.plain_text(name, |out| {
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

/// Appends to the arena up to the limits, and counts what would have come.
struct Limited<'a> {
    text: &'a mut String,
    /// Where the arena must end.
    end: usize,
    start: usize,
    cut: usize,
}

impl<'a> Limited<'a> {
    fn new(text: &'a mut String) -> Self {
        let start = text.len();
        let end = (start + MAX_VALUE_BYTES).min(MAX_TEXT_BYTES.max(start));
        Self {
            text,
            end,
            start,
            cut: 0,
        }
    }

    fn finish(self, written: fmt::Result) {
        if self.cut > 0 {
            let whole = self.text.len() - self.start + self.cut;
            let _ = write!(self.text, "…[cut, {whole} bytes in all]");
        } else if written.is_err() {
            self.text.push_str("[its formatting failed]");
        }
    }
}

impl fmt::Write for Limited<'_> {
    #[inline]
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.cut == 0 && self.text.len() + piece.len() <= self.end {
            self.text.push_str(piece);
            return Ok(());
        }
        // Once cut, nothing more is taken: a later piece would close the gap unseen.
        let room = if self.cut == 0 {
            self.end - self.text.len()
        } else {
            0
        };
        let fits = piece.floor_char_boundary(room);
        self.text.push_str(&piece[..fits]);
        self.cut += piece.len() - fits;
        Ok(())
    }
}
