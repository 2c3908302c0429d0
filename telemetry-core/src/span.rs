//! Spans as records keep them: an immutable snapshot, shared by its events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Metadata;

use crate::record::{Field, Value};
use crate::visit::Values;

/// A span at one moment: its name, its fields, its parent.
///
/// The cost is paid when the span is created or records a field, not by each
/// event: a record holds the `Arc` of its innermost span. A field recorded
/// later makes a new snapshot, so what an event saw never changes, and work on
/// a span (encoding, sanitizing) can be cached by the address of its `Arc`.
#[derive(Debug)]
pub struct Span {
    parent: Option<Arc<Span>>,
    meta: &'static Metadata<'static>,
    fields: Vec<Field>,
    text: String,
    freshness: Freshness,
}

impl Span {
    pub(crate) fn new(
        parent: Option<Arc<Span>>,
        meta: &'static Metadata<'static>,
        values: &Values,
        freshness: Freshness,
    ) -> Self {
        Self {
            parent,
            meta,
            fields: values.fields.clone(),
            text: values.text.clone(),
            freshness,
        }
    }

    /// The name of the span.
    pub fn name(&self) -> &'static str {
        self.meta.name()
    }

    /// The callsite that created it.
    pub fn metadata(&self) -> &'static Metadata<'static> {
        self.meta
    }

    /// The span around it.
    pub fn parent(&self) -> Option<&Arc<Span>> {
        self.parent.as_ref()
    }

    /// Its fields with their values.
    pub fn fields(&self) -> impl Iterator<Item = (&Field, Value<'_>)> {
        self.fields
            .iter()
            .map(|field| (field, field.value(&self.text)))
    }

    /// A copy with another parent, whose values `change` may replace: it
    /// returns the new text of a field, or `None` to leave it as it is. It may
    /// [rename](Field::renamed) the field too.
    pub fn rewritten<'a>(
        &'a self,
        parent: Option<Arc<Span>>,
        mut change: impl FnMut(&mut Field, Value<'a>) -> Option<String>,
    ) -> Self {
        let mut values = Values::default();
        for (field, value) in self.fields() {
            let mut field = *field;
            match change(&mut field, value) {
                Some(text) => values.put_text(&field, &text),
                None => values.put(&field, value),
            }
        }
        Self::new(parent, self.meta, &values, Freshness::default())
    }

    /// False when this span or one around it has recorded a field since.
    pub(crate) fn is_current(&self) -> bool {
        let mut span = Some(self);
        while let Some(this) = span {
            if !this.freshness.holds() {
                return false;
            }
            span = this.parent.as_deref();
        }
        true
    }
}

/// Tells a snapshot whether its span has recorded a field since.
#[derive(Debug, Default, Clone)]
pub(crate) struct Freshness {
    /// Counts the changes of the live span.
    live: Arc<AtomicU64>,
    seen: u64,
}

impl Freshness {
    fn holds(&self) -> bool {
        self.live.load(Ordering::Acquire) == self.seen
    }

    /// The span has changed: every snapshot before is out of date.
    pub(crate) fn advance(&mut self) {
        self.seen = self.live.fetch_add(1, Ordering::AcqRel) + 1;
    }
}
