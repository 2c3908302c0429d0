//! Spans, sanitized once each.

use std::collections::HashMap;
use std::sync::Arc;

use telemetry_core::Span;

use crate::callsites::AddressHasher;

/// Sanitized spans by the address of the span they were made of.
///
/// An entry holds the original too: while it is kept its address cannot come to
/// name another span.
#[derive(Default)]
pub(crate) struct Spans {
    known: HashMap<usize, Entry, AddressHasher>,
    /// The one that was asked for last: events come in runs.
    last: Option<Entry>,
}

#[derive(Clone)]
struct Entry {
    original: Arc<Span>,
    /// `None`: nothing to change.
    changed: Option<Arc<Span>>,
}

/// Most spans that are kept. Past it, those that nobody else holds go first.
pub(crate) const MAX_SPANS: usize = 1024;

impl Spans {
    /// What to write in the place of a span: `Some(None)` when it may stay as
    /// it is, `None` when it was not looked at yet.
    pub(crate) fn get(&mut self, span: &Arc<Span>) -> Option<Option<&Arc<Span>>> {
        let is_last = |last: &Entry| Arc::ptr_eq(&last.original, span);
        if !self.last.as_ref().is_some_and(is_last) {
            self.last = Some(self.known.get(&address(span))?.clone());
        }
        self.last.as_ref().map(|last| last.changed.as_ref())
    }

    pub(crate) fn insert(&mut self, span: &Arc<Span>, changed: Option<Arc<Span>>) {
        if self.known.len() >= MAX_SPANS {
            self.make_room();
        }
        let original = Arc::clone(span);
        self.known
            .insert(address(span), Entry { original, changed });
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets the spans that have ended; all of them, when too many live.
    fn make_room(&mut self) {
        self.last = None;
        self.known
            .retain(|_, entry| Arc::strong_count(&entry.original) > 1);
        if self.known.len() > MAX_SPANS / 2 {
            self.known.clear();
        }
    }
}

fn address(span: &Arc<Span>) -> usize {
    Arc::as_ptr(span).addr()
}
