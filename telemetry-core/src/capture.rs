//! From a `tracing` event to a [`Record`]: the part on the caller's thread.
//!
//! Nothing is allocated in the steady state: the event is visited into scratch
//! space that the thread keeps. The scratch is *taken out* of its place while
//! in use, so that a `Debug` implementation that logs gets space of its own
//! instead of a panic.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::subscriber::{Interest, SetGlobalDefaultError};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::closing;
use crate::entered;
use crate::identity::Identity;
use crate::json::Line;
use crate::notice::now;
use crate::record::{Head, Record};
use crate::repeats::RepeatLimit;
use crate::sink::Sink;
use crate::span::{Freshness, Span};
use crate::stopwatch::Stopwatch;
use crate::visit::{Values, Visitor};

/// How deep events may be emitted while an event is being formatted.
const MAX_DEPTH: u8 = 4;
/// These dump request heads with credentials at DEBUG and TRACE, row by row, so
/// that no rule on a line could find them. They are shut out of every sink.
const SHUT_OUT: [&str; 4] = ["ureq", "ureq_proto", "rustls", "hyper"];

/// Events that were not captured, because a sink or a formatting value emitted them.
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Has no destructor, so that it guards until the very end of the thread.
    static GUARD: Guard = const { Guard { depth: Cell::new(0), in_sink: Cell::new(false) } };
    /// Gone while destructors of thread locals run; what they log allocates.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// A layer that turns each event into a [`Record`] and gives it to a sink.
///
/// Behind a [`Queue`](crate::Queue) this never waits for I/O. It may also be
/// given a file or a server straight away: then the caller's thread does the
/// work, and [`Numbered`](crate::Numbered) gives records their numbers.
///
/// Events of `ureq`, `ureq_proto`, `rustls` and `hyper` at DEBUG and TRACE are
/// never captured. Neither are events that a sink emits while it writes
/// ([`suppressed_events`] counts them). A sink that panics on the caller's
/// thread panics the caller: [`Queue`](crate::Queue) and [`Tee`](crate::Tee)
/// catch that.
pub struct Capture<S> {
    /// Tells this layer from others of the process: span ids are per registry.
    number: u64,
    identity: Identity,
    span_events: bool,
    repeats: Option<RepeatLimit>,
    sink: S,
}

impl<S: Sink + 'static> Capture<S> {
    /// Captures for `sink`, on behalf of `identity`.
    pub fn new(identity: Identity, sink: S) -> Self {
        static CAPTURES: AtomicU64 = AtomicU64::new(0);
        Self {
            number: CAPTURES.fetch_add(1, Ordering::Relaxed),
            identity,
            span_events: false,
            repeats: None,
            sink,
        }
    }

    /// Emits an event when a span closes, off by default: `span closed`, of the
    /// level, target and place of the span, with `busy_us` and `idle_us`. Busy is
    /// the time while at least one thread was inside. The span itself is the
    /// innermost of its `spans`.
    ///
    /// Costs a look at the clock each time that a span is entered or left.
    pub fn with_span_events(self, on: bool) -> Self {
        Self {
            span_events: on,
            ..self
        }
    }

    /// Thins callsites that repeat themselves too often; by default none is.
    pub fn with_repeat_limit(self, limit: Option<RepeatLimit>) -> Self {
        Self {
            repeats: limit,
            ..self
        }
    }

    /// Makes this layer the subscriber of the whole process, at the levels that
    /// `RUST_LOG` asks for; INFO where it says nothing. For programs that need
    /// no other layer.
    ///
    /// # Errors
    /// If the process has a subscriber already.
    pub fn init(self) -> Result<(), SetGlobalDefaultError> {
        let filter = EnvFilter::builder()
            .with_default_directive(LevelFilter::INFO.into())
            .from_env_lossy();
        let subscriber = tracing_subscriber::registry().with(filter).with(self);
        tracing::subscriber::set_global_default(subscriber)
    }

    /// The span of the event as it is now. Most events of a thread come from the
    /// span of the one before, which `last` remembers: that saves the look into
    /// the registry, behind several locks.
    #[inline]
    fn span_of<'a, Sub>(
        &self,
        event: &Event<'_>,
        context: &Context<'_, Sub>,
        last: &'a mut Option<LastSpan>,
    ) -> Option<&'a Arc<Span>>
    where
        Sub: Subscriber + for<'l> LookupSpan<'l>,
    {
        let id = if event.is_contextual() {
            let innermost = entered::innermost(self.number);
            innermost.unwrap_or_else(|_| context.current_span().id().cloned())
        } else {
            event.parent().cloned()
        }?;
        let is_last = |last: &LastSpan| {
            last.id == id && last.capture == self.number && last.span.is_current()
        };
        if !last.as_ref().is_some_and(is_last) {
            *last = self.look_up(id, context);
        }
        last.as_ref().map(|last| &last.span)
    }

    #[cold]
    fn look_up<Sub>(&self, id: Id, context: &Context<'_, Sub>) -> Option<LastSpan>
    where
        Sub: Subscriber + for<'l> LookupSpan<'l>,
    {
        Some(LastSpan {
            capture: self.number,
            span: snapshot(&context.span(&id)?)?,
            id,
        })
    }

    /// Tells how long the span took.
    fn tell_closing(&self, span: &Arc<Span>, times: (Duration, Duration)) {
        if is_suppressed() {
            SUPPRESSED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let meta = closing::metadata(span.metadata());
        let has_room = |limit: &RepeatLimit| limit.admits_callsite(meta, now());
        if self.repeats.as_ref().is_none_or(has_room) {
            let line = Line::default();
            closing::notice(meta, times).lend(self.identity, 0, Some(span), &line, |record| {
                hand_on(&self.sink, record);
            });
        }
    }
}

/// Gives a record to a sink, whose own events are not captured meanwhile.
#[inline]
pub(crate) fn hand_on<S: Sink + ?Sized>(sink: &S, record: &Record<'_>) {
    GUARD.with(|guard| {
        let before = guard.in_sink.replace(true);
        let _restore = Restore(&guard.in_sink, before);
        // The sink has counted what it could not take.
        let _ = sink.write(record);
        sink.batch_end();
    });
}

/// Events that were not captured since the process began: emitted by a sink
/// while it wrote, or more than four levels deep while an event or span was
/// formatted. (A span from so deep has no fields, and counts as one.)
pub fn suppressed_events() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// Marks this thread as one that works for sinks: its events are not captured.
/// For threads that would otherwise feed the pipeline they serve.
pub fn suppress_events_of_this_thread() {
    GUARD.with(|guard| guard.in_sink.set(true));
}

/// True on a thread whose events are not captured.
pub(crate) fn is_suppressed() -> bool {
    GUARD.with(|guard| guard.in_sink.get())
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
        let mut values = Values::default();
        visit(|| attributes.record(&mut Visitor::of_span(&mut values)));
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
            stopwatch: self.span_events.then(|| Stopwatch::start(Instant::now())),
        });
    }

    fn on_enter(&self, id: &Id, context: Context<'_, Sub>) {
        entered::enter(self.number, id);
        if self.span_events {
            with_stopwatch(id, &context, |watch| watch.enter(Instant::now()));
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, Sub>) {
        entered::exit(self.number, id);
        if self.span_events {
            with_stopwatch(id, &context, |watch| watch.exit(Instant::now()));
        }
    }

    fn on_record(&self, id: &Id, record: &SpanRecord<'_>, context: Context<'_, Sub>) {
        // Visiting runs foreign code: before the lock of the extensions.
        let mut newer = Values::default();
        visit(|| record.record(&mut Visitor::of_span(&mut newer)));
        let Some(span) = context.span(id) else { return };
        if let Some(live) = span.extensions_mut().get_mut::<LiveSpan>() {
            live.values.merge(&newer);
            live.freshness.advance();
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, Sub>) {
        if is_suppressed() {
            SUPPRESSED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let bridged = is_bridged(event);
        if let Some(limit) = &self.repeats {
            let now = now();
            limit.tell_due(now, self.identity, &self.sink);
            if !limit.admits(event, bridged, now) {
                return;
            }
        }
        let mut scratch = Scratch::take();
        if visit(|| event.record(&mut Visitor::of_event(&mut scratch.values, bridged))) {
            let Scratch { values, line, span } = &mut *scratch;
            let head = Head {
                nanos: now(),
                seq: 0,
                meta: event.metadata(),
                identity: self.identity,
                bridged,
            };
            let record = Record {
                head: &head,
                span: self.span_of(event, &context, span),
                fields: &values.fields,
                text: &values.text,
                line,
                seq: 0,
            };
            hand_on(&self.sink, &record);
        }
        scratch.put_back();
    }

    fn on_close(&self, id: Id, context: Context<'_, Sub>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let as_it_was = self.span_events.then(|| snapshot(&span)).flatten();
        let stopwatch = {
            let mut extensions = span.extensions_mut();
            let Some(live) = extensions.get_mut::<LiveSpan>() else {
                return;
            };
            // What threads keep of the span is out of date: its id may come again.
            live.freshness.advance();
            live.stopwatch.take()
        };
        if let (Some(span), Some(stopwatch)) = (as_it_was, stopwatch) {
            self.tell_closing(&span, stopwatch.stop(Instant::now()));
        }
    }
}

/// What a thread is doing, so that capturing does not lead to itself.
struct Guard {
    /// Events and spans of this thread that are being formatted.
    depth: Cell<u8>,
    /// A sink is writing on this thread.
    in_sink: Cell<bool>,
}

/// Runs `record`, which calls foreign `Debug` implementations. Does not, and
/// counts that, when they have led here from too deep inside each other.
#[inline]
fn visit(record: impl FnOnce()) -> bool {
    GUARD.with(|guard| {
        let depth = guard.depth.get();
        if depth >= MAX_DEPTH {
            SUPPRESSED.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        guard.depth.set(depth + 1);
        let _restore = Restore(&guard.depth, depth);
        record();
        true
    })
}

/// Puts a value back, also when foreign code panics.
struct Restore<'a, T: Copy>(&'a Cell<T>, T);

impl<T: Copy> Drop for Restore<'_, T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Space for one event at a time, and what is worth keeping until the next.
#[derive(Default)]
struct Scratch {
    values: Values,
    line: Line,
    span: Option<LastSpan>,
}

/// The span of the last event of a thread.
struct LastSpan {
    /// The layer whose event it was.
    capture: u64,
    id: Id,
    span: Arc<Span>,
}

impl Scratch {
    #[inline]
    fn take() -> Box<Self> {
        let kept = SCRATCH.try_with(Cell::take).ok().flatten();
        kept.unwrap_or_default()
    }

    #[inline]
    fn put_back(mut self: Box<Self>) {
        self.values.clear();
        self.line.reset();
        let _ = SCRATCH.try_with(|place| place.set(Some(self)));
    }
}

/// What the registry keeps of a span that is alive.
struct LiveSpan {
    values: Values,
    freshness: Freshness,
    newest: Arc<Span>,
    /// With span events only.
    stopwatch: Option<Stopwatch>,
}

fn with_stopwatch<Sub>(id: &Id, context: &Context<'_, Sub>, act: impl FnOnce(&mut Stopwatch))
where
    Sub: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(span) = context.span(id) else { return };
    let mut extensions = span.extensions_mut();
    let live = extensions.get_mut::<LiveSpan>();
    if let Some(stopwatch) = live.and_then(|live| live.stopwatch.as_mut()) {
        act(stopwatch);
    }
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

/// True for a record of the `log` crate. Nearly every event is told by its
/// target, without a look at the callsite.
fn is_bridged(event: &Event<'_>) -> bool {
    event.metadata().target() == "log" && event.is_log()
}

fn is_shut_out(meta: &Metadata<'_>) -> bool {
    if *meta.level() < Level::DEBUG {
        return false;
    }
    let root = meta.target().split("::").next().unwrap_or_default();
    SHUT_OUT.contains(&root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemorySink, Numbered};

    /// Whether the span that this thread remembers is still good.
    fn remembers_a_good_span() -> bool {
        let scratch = Scratch::take();
        let last = scratch.span.as_ref().expect("an event in a span");
        let is_good = last.span.is_current();
        scratch.put_back();
        is_good
    }

    #[test]
    fn what_a_thread_remembers_of_a_span_ends_with_the_span() {
        let identity = Identity::new(uuid::Uuid::new_v4());
        let capture = Capture::new(identity, Numbered::new(MemorySink::new()));
        let subscriber = tracing_subscriber::registry().with(capture);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("job");
            span.in_scope(|| tracing::info!("inside"));
            assert!(remembers_a_good_span());
            drop(span);
            assert!(!remembers_a_good_span(), "its id may come again");
        });
    }
}
