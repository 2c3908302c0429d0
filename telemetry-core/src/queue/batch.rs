//! Records back to back.

use std::sync::Arc;

use crate::json::Line;
use crate::record::{Field, Head, Record};
use crate::span::Span;

/// Records as a queue keeps them: heads, all their fields, all their text, and
/// the spans that they share.
#[derive(Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    fields: Vec<Field>,
    text: String,
    spans: Vec<Arc<Span>>,
    /// Records that it has room for without growing.
    records: usize,
}

/// One record's place in the batch.
struct Entry {
    head: Head,
    field_count: u32,
    text_len: u32,
    /// Index of its span, or [`NO_SPAN`].
    span: u32,
}

const NO_SPAN: u32 = u32::MAX;

/// What a usual record needs: the preallocation reckons with it.
const USUAL_FIELDS: usize = 6;
const USUAL_TEXT: usize = 128;
/// Spans of a usual batch.
const USUAL_SPANS: usize = 64;

/// A span is looked for among so many that came last: about as many as there
/// are threads that log at the same time. To count one more reference to a span
/// costs the caller more, since the writer counts them down on another core.
const RECENT_SPANS: usize = 4;

impl Batch {
    /// Room for so many usual records, but not for more than `max_bytes`: a
    /// batch that grows would reallocate under the lock.
    pub(super) fn with_room(records: usize, max_bytes: usize) -> Self {
        let usual = size_of::<Entry>() + USUAL_FIELDS * size_of::<Field>() + USUAL_TEXT;
        let records = records.min(max_bytes / usual + 1);
        Self {
            entries: Vec::with_capacity(records),
            fields: Vec::with_capacity(records * USUAL_FIELDS),
            text: String::with_capacity(records * USUAL_TEXT),
            spans: Vec::with_capacity(records.min(USUAL_SPANS)),
            records,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, record: &Record<'_>, seq: u64) {
        let span = record.span.map_or(NO_SPAN, |span| self.place_of(span));
        self.entries.push(Entry {
            head: Head {
                seq,
                ..*record.head
            },
            field_count: record.fields.len() as u32,
            text_len: record.text.len() as u32,
            span,
        });
        self.fields.extend_from_slice(record.fields);
        self.text.push_str(record.text);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.entries.as_slice()) + size_of_val(self.fields.as_slice()) + self.text.len()
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = &Head> {
        self.entries.iter().map(|entry| &entry.head)
    }

    /// Lends every record in turn, and makes `line` ready for each.
    pub(super) fn for_each(&self, line: &mut Line, mut lend: impl FnMut(&Record<'_>)) {
        let (mut fields, mut text) = (self.fields.as_slice(), self.text.as_str());
        for entry in &self.entries {
            let (own_fields, other_fields) = fields.split_at(entry.field_count as usize);
            let (own_text, other_text) = text.split_at(entry.text_len as usize);
            (fields, text) = (other_fields, other_text);
            line.reset();
            lend(&Record {
                head: &entry.head,
                span: self.spans.get(entry.span as usize),
                fields: own_fields,
                text: own_text,
                line,
                seq: entry.head.seq,
            });
        }
    }

    /// Forgets the records, and gives back what unusual ones have made it grow:
    /// two batches that stay large would take twice the bound.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.fields.clear();
        self.text.clear();
        self.spans.clear();
        self.fields.shrink_to(self.records * USUAL_FIELDS);
        self.text.shrink_to(self.records * USUAL_TEXT);
        self.spans.shrink_to(USUAL_SPANS);
    }

    /// Where the span is kept. A batch has fewer records than there are indices.
    #[inline]
    fn place_of(&mut self, span: &Arc<Span>) -> u32 {
        let recent = self.spans.iter().enumerate().rev().take(RECENT_SPANS);
        for (place, known) in recent {
            if Arc::ptr_eq(known, span) {
                return place as u32;
            }
        }
        self.spans.push(Arc::clone(span));
        (self.spans.len() - 1) as u32
    }
}

/// The bytes that a record takes in a batch.
#[inline]
pub(super) fn size_of_record(record: &Record<'_>) -> usize {
    size_of::<Entry>() + size_of_val(record.fields) + record.text.len()
}

#[cfg(all(test, not(queue_model)))]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::notice::Notice;

    #[test]
    fn what_large_records_took_is_given_back() {
        let mut batch = Batch::with_room(8, usize::MAX);
        let usual = (batch.fields.capacity(), batch.text.capacity());
        let identity = Identity::new(uuid::Uuid::nil());
        let notice = Notice::new(crate::gap::metadata(), &"x".repeat(1 << 20));
        notice.lend(identity, 1, None, &Line::default(), |record| {
            (0..8).for_each(|_| batch.push(record, 1));
        });
        assert!(batch.text.capacity() >= 8 << 20);
        batch.clear();
        assert_eq!((batch.fields.capacity(), batch.text.capacity()), usual);
    }
}
