//! The step in a pipeline that rewrites records.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetry_core::{Record, Records, Rewrite, Sink, SinkError, SinkStats, Span, Value};

use crate::callsites::Callsites;
use crate::names::Verdict;
use crate::sanitizer::{Sanitizer, Space};
use crate::seen::{Known, Seen};
use crate::spans::Spans;

/// A sink that hands records on without secrets: message, fields and the fields
/// of spans, values and names.
///
/// A record in which there is nothing to change is handed on as it is, so that
/// its JSON stays shared. Keeps no record, and so has no accounts of its own:
/// [`stats`](Sink::stats) are those of the sink behind it.
///
/// # Threads
/// Verdicts and spans are kept under one lock. [`write`](Sink::write) does not
/// hold it while the next sink writes; [`write_all`](Sink::write_all), which a
/// queue calls on its one thread, does.
pub struct Sanitized<S> {
    sanitizer: Arc<Sanitizer>,
    state: Mutex<State>,
    next: S,
}

#[derive(Default)]
struct State {
    callsites: Callsites,
    spans: Spans,
    seen: Seen,
    /// Space for the search in a text.
    space: Space,
    /// Space for a changed record; taken out while the next sink reads it.
    copy: Rewrite,
}

impl<S: Sink> Sanitized<S> {
    /// Puts the sanitizer before `next`.
    pub fn new(sanitizer: impl Into<Arc<Sanitizer>>, next: S) -> Self {
        Self {
            sanitizer: sanitizer.into(),
            state: Mutex::default(),
            next,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record without its secrets; `None` when there were none.
    fn changed(&self, record: &Record<'_>, state: &mut State) -> Option<Changed> {
        let span = record.span();
        let span = span.and_then(|span| self.sanitize_span(span, state));
        let copy = self.rewrite(record, state, span.is_some())?;
        Some(Changed { copy, span })
    }

    /// Copies the record without its secrets; `None` when there were none and
    /// its span stays too.
    fn rewrite(
        &self,
        record: &Record<'_>,
        state: &mut State,
        span_changed: bool,
    ) -> Option<Rewrite> {
        let callsite = state.callsites.get(&self.sanitizer, record.metadata());
        let must_copy = span_changed || callsite.renames();
        let mut copy = must_copy.then(|| start_copy(&mut state.copy, record, 0));
        for (index, (field, value)) in record.values().enumerate() {
            let verdict = callsite.verdict_on(field);
            if let Some(text) = self.change(verdict, value, &mut state.seen, &mut state.space) {
                copy.get_or_insert_with(|| start_copy(&mut state.copy, record, index))
                    .put_text(&callsite.named(field), text);
            } else if let Some(copy) = &mut copy {
                copy.copy(&callsite.named(field), value);
            }
        }
        copy
    }

    /// What to write in the place of a value, if anything.
    #[inline]
    fn change<'s>(
        &self,
        verdict: Verdict,
        value: Value<'_>,
        seen: &'s mut Seen,
        space: &'s mut Space,
    ) -> Option<&'s str> {
        let is_secret = matches!(verdict, Verdict::Secret(_));
        let text = match value {
            Value::Text(text) if !is_secret => text,
            _ if is_secret => return self.sanitizer.change(verdict, value, space),
            _ => return None,
        };
        let place = match seen.look(text) {
            Known::Clean => return None,
            Known::Changed(place) => {
                let known = seen.changed(place);
                self.sanitizer.count_again(&known.rules);
                return Some(&known.text);
            }
            Known::Unknown(place) => place,
        };
        if self.sanitizer.change(verdict, value, space).is_none() {
            seen.insert(text, place);
            return None;
        }
        if let Some(rules) = space.rules() {
            seen.insert_changed(text, place, space.text(), rules);
        }
        Some(space.text())
    }

    /// The span without secrets, and whether it differs from the given one.
    fn sanitize_span(&self, span: &Arc<Span>, state: &mut State) -> Option<Arc<Span>> {
        if let Some(known) = state.spans.get(span) {
            return known.cloned();
        }
        let parent = span.parent();
        let new_parent = parent.and_then(|parent| self.sanitize_span(parent, state));
        let callsite = state.callsites.get(&self.sanitizer, span.metadata());
        let space = &mut state.space;
        let mut changed = new_parent.is_some() || callsite.renames();
        let rewritten = span.rewritten(new_parent.or_else(|| parent.cloned()), |field, value| {
            let verdict = callsite.verdict_on(field);
            *field = callsite.named(field);
            let text = self.sanitizer.change(verdict, value, space);
            changed |= text.is_some();
            text.map(str::to_owned)
        });
        let result = changed.then(|| Arc::new(rewritten));
        state.spans.insert(span, result.clone());
        result
    }
}

/// What a record was made into.
struct Changed {
    copy: Rewrite,
    /// `None`: the span of the record stays.
    span: Option<Arc<Span>>,
}

impl Changed {
    fn record<'a>(&'a self, of: &Record<'a>) -> Record<'a> {
        self.copy.record(of, self.span.as_ref().or(of.span()))
    }

    /// The space for the next one.
    fn into_space(mut self) -> Rewrite {
        self.copy.clear();
        self.copy
    }
}

/// A copy of the first values of a record, in this space.
fn start_copy(space: &mut Rewrite, record: &Record<'_>, values: usize) -> Rewrite {
    let mut copy = mem::take(space);
    copy.clear();
    for (field, value) in record.values().take(values) {
        copy.copy(field, value);
    }
    copy
}

impl<S: Sink> Sink for Sanitized<S> {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        if !self.sanitizer.is_enabled() {
            return self.next.write(record);
        }
        let changed = self.changed(record, &mut self.lock());
        let Some(changed) = changed else {
            return self.next.write(record);
        };
        let result = self.next.write(&changed.record(record));
        self.lock().copy = changed.into_space();
        result
    }

    fn write_all(&self, records: &mut Records<'_>) {
        if !self.sanitizer.is_enabled() {
            return self.next.write_all(records);
        }
        let state = &mut *self.lock();
        self.next.write_all(&mut Records::new(&mut |take| {
            records.for_each(&mut |record| match self.changed(record, state) {
                None => take(record),
                Some(changed) => {
                    take(&changed.record(record));
                    state.copy = changed.into_space();
                }
            });
        }));
    }

    fn batch_end(&self) {
        self.next.batch_end();
    }

    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        self.next.flush(limit)
    }

    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        self.next.close(limit)
    }

    fn reopen(&self) {
        self.next.reopen();
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        self.next.stats(into);
    }
}

#[cfg(test)]
mod tests {
    use telemetry_core::{Capture, Identity, MemorySink, Numbered, Queue, QueueConfig};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::SanitizeConfig;
    use crate::spans::MAX_SPANS;

    fn with_pipeline(sink: impl Sink + 'static, log: impl FnOnce()) {
        let capture = Capture::new(Identity::new(uuid::Uuid::nil()), Numbered::new(sink));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), log);
    }

    #[test]
    fn spans_that_are_kept_stay_below_their_bound() {
        let sanitizer = Sanitizer::new(SanitizeConfig::default()).unwrap();
        let sink = Arc::new(Sanitized::new(sanitizer, MemorySink::new()));
        with_pipeline(Arc::clone(&sink), || {
            for number in 0..3 * MAX_SPANS {
                tracing::info_span!("job", number, password = "hunter22")
                    .in_scope(|| tracing::info!("working"));
                assert!(sink.lock().spans.len() <= MAX_SPANS);
            }
        });
    }

    #[test]
    fn a_text_that_comes_again_is_changed_and_counted_again() {
        let sanitizer = Arc::new(Sanitizer::new(SanitizeConfig::default()).unwrap());
        let memory = MemorySink::new();
        let sink = Sanitized::new(Arc::clone(&sanitizer), memory.clone());
        with_pipeline(sink, || {
            for text in ["a password=hunter22", "b", "a password=hunter22", "b"] {
                tracing::info!("{text}");
            }
        });
        let messages = memory.lines();
        for (line, expected) in messages
            .iter()
            .zip(["[REDACTED:password]\"", "b\""].repeat(2))
        {
            assert!(
                line.contains(expected) && !line.contains("hunter22"),
                "{line}"
            );
        }
        assert!(sanitizer.redactions().contains(&("password", 2)));
    }

    #[test]
    fn records_behind_a_queue_are_changed_as_single_ones_are() {
        let log = || {
            for number in 0..300 {
                tracing::info_span!("job", number, password = "hunter22")
                    .in_scope(|| tracing::info!(number, token = number, "a password=x{number}y"));
                tracing::info!("nothing to hide");
            }
        };
        let messages = |memory: &MemorySink| {
            // What differs by the time and the session.
            let cut = |line: &String| line[line.find("\"message\"").unwrap()..].to_owned();
            let end = |line: String| line[..line.find("\"daemon_id\"").unwrap()].to_owned();
            let lines = memory.lines();
            lines.iter().map(cut).map(end).collect::<Vec<_>>()
        };
        let sanitizer = || Sanitizer::new(SanitizeConfig::default()).unwrap();
        let (single, several) = (MemorySink::new(), MemorySink::new());
        with_pipeline(Sanitized::new(sanitizer(), single.clone()), log);
        let sanitized = Sanitized::new(sanitizer(), several.clone());
        let queue = Arc::new(Queue::start(QueueConfig::default(), sanitized));
        with_pipeline(Arc::clone(&queue), log);
        queue.close(Duration::from_secs(10)).unwrap();
        assert_eq!(messages(&several), messages(&single));
        assert_eq!(several.lines().len(), 600);
        assert!(!several.lines().join("").contains("hunter22"));
    }

    #[test]
    fn a_rule_that_fails_redacts_texts_and_names_and_the_record_goes_on() {
        let memory = MemorySink::new();
        let sink = Sanitized::new(Sanitizer::that_fails(), memory.clone());
        with_pipeline(sink, || tracing::info!(n = 1, "password=hunter22"));
        let line = &memory.lines()[0];
        assert!(line.contains(r#""message":"[REDACTED:error]""#), "{line}");
        // The first to be called so is the message, whose name nobody sees.
        assert!(
            line.contains(r#""[REDACTED:error]_2":1"#) && !line.contains("hunter22"),
            "{line}"
        );
    }
}
