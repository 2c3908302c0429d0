//! Records back to back, in chunks.

use std::slice;
use std::sync::Arc;

use crate::json::Line;
use crate::record::{Field, Head, Record};
use crate::span::Span;

/// Some records as a queue keeps them: heads, all their fields, all their text,
/// and the spans that they share. A batch is a sequence of chunks: memory is
/// touched as far as a queue fills, and used again as soon as the writer is
/// through with a chunk.
#[derive(Default)]
pub(super) struct Chunk {
    entries: Vec<Entry>,
    fields: Vec<Field>,
    text: String,
    spans: Vec<Arc<Span>>,
    /// Records that it has room for without growing.
    records: usize,
}

/// One record's place in the chunk.
struct Entry {
    head: Head,
    field_count: u32,
    text_len: u32,
    /// Index of its span, or [`NO_SPAN`].
    span: u32,
}

const NO_SPAN: u32 = u32::MAX;

/// From this size on a block is pages of its own, which the GNU C library gives back to
/// the system (its `M_MMAP_THRESHOLD`). A smaller one stays while any block behind it
/// is in use.
const LARGE_BLOCK: usize = 128 << 10;

/// Most records of a chunk: so many that to change it costs nothing, and that each
/// of its parts is a large block; the entries are the smallest.
const CHUNK: usize = LARGE_BLOCK.div_ceil(size_of::<Entry>());

/// What a usual record needs: the preallocation reckons with it.
const USUAL_FIELDS: usize = 6;
const USUAL_TEXT: usize = 128;
/// Spans of a usual chunk.
const USUAL_SPANS: usize = 64;

/// A span is looked for among so many that came last: about as many as there
/// are threads that log at the same time. To count one more reference to a span
/// costs the caller more, since the writer counts them down on another core.
const RECENT_SPANS: usize = 4;

impl Chunk {
    /// Room for so many usual records, but not for more than `max_bytes`, nor
    /// for more than a chunk has.
    pub(super) fn with_room(records: usize, max_bytes: usize) -> Self {
        let usual = size_of::<Entry>() + USUAL_FIELDS * size_of::<Field>() + USUAL_TEXT;
        let records = records.min(max_bytes / usual + 1).min(CHUNK);
        Self {
            entries: Vec::with_capacity(records),
            fields: Vec::with_capacity(records * USUAL_FIELDS),
            text: String::with_capacity(records * USUAL_TEXT),
            spans: Vec::with_capacity(records.min(USUAL_SPANS)),
            records,
        }
    }

    /// True when the record fits without reallocating, which would be done under
    /// the lock.
    #[inline]
    pub(super) fn fits(&self, record: &Record<'_>) -> bool {
        self.entries.len() < self.entries.capacity()
            && record.fields.len() <= self.fields.capacity() - self.fields.len()
            && record.text.len() <= self.text.capacity() - self.text.len()
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

    pub(super) fn heads(&self) -> impl Iterator<Item = &Head> {
        self.entries.iter().map(|entry| &entry.head)
    }

    /// All records, to be lent one after the other.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            entries: self.entries.iter(),
            fields: &self.fields,
            text: &self.text,
            spans: &self.spans,
        }
    }

    /// Forgets the records, and gives back what an unusual one has made it grow.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.fields.clear();
        self.text.clear();
        self.spans.clear();
        self.fields.shrink_to(self.records * USUAL_FIELDS);
        self.text.shrink_to(self.records * USUAL_TEXT);
        self.spans.shrink_to(USUAL_SPANS);
    }

    /// Gives memory back to the system, and reserves as much anew, which takes none until it is used.
    /// The chunk is empty.
    pub(super) fn renew(&mut self) {
        let (fields, text) = (self.fields.capacity(), self.text.capacity());
        let entries = self.entries.capacity();
        self.give_back();
        self.entries.reserve_exact(entries);
        self.fields.reserve_exact(fields);
        self.text.reserve_exact(text);
    }

    /// Gives back what is large, by way of a small block: a large one is pages of its own, of which
    /// `realloc` gives back what it cuts off. Freed as a whole it would teach the allocator of the C
    /// library to keep blocks of its size from now on.
    pub(super) fn give_back(&mut self) {
        self.entries.shrink_to(1);
        self.fields.shrink_to(1);
        self.text.shrink_to(1);
    }

    /// Where the span is kept. A chunk has fewer records than there are indices.
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

/// Reads a chunk from its beginning.
pub(super) struct Reader<'a> {
    entries: slice::Iter<'a, Entry>,
    fields: &'a [Field],
    text: &'a str,
    spans: &'a [Arc<Span>],
}

impl Reader<'_> {
    /// How many records were not lent yet.
    pub(super) fn left(&self) -> usize {
        self.entries.len()
    }

    /// Lends the next record, for which it makes `line` ready; false at the end.
    #[inline]
    pub(super) fn lend(&mut self, line: &mut Line, take: impl FnOnce(&Record<'_>)) -> bool {
        let Some(entry) = self.entries.next() else {
            return false;
        };
        let (fields, other_fields) = self.fields.split_at(entry.field_count as usize);
        let (text, other_text) = self.text.split_at(entry.text_len as usize);
        (self.fields, self.text) = (other_fields, other_text);
        line.reset();
        take(&Record {
            head: &entry.head,
            span: self.spans.get(entry.span as usize),
            fields,
            text,
            line,
            seq: entry.head.seq,
        });
        true
    }
}

/// The bytes that a record takes in a chunk.
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
    fn each_part_of_a_chunk_is_a_large_block() {
        let chunk = Chunk::with_room(usize::MAX, usize::MAX);
        let entries = chunk.entries.capacity() * size_of::<Entry>();
        let fields = chunk.fields.capacity() * size_of::<Field>();
        let text = chunk.text.capacity();
        assert!(
            [entries, fields, text]
                .iter()
                .all(|&part| part >= LARGE_BLOCK),
            "{entries}, {fields} and {text} bytes"
        );
    }

    #[test]
    fn what_large_records_took_is_given_back() {
        let mut chunk = Chunk::with_room(8, usize::MAX);
        let usual = (chunk.fields.capacity(), chunk.text.capacity());
        let identity = Identity::new(uuid::Uuid::nil());
        let notice = Notice::new(crate::gap::metadata(), &"x".repeat(1 << 20));
        notice.lend(identity, 1, None, &Line::default(), |record| {
            (0..8).for_each(|_| chunk.push(record, 1));
        });
        assert!(chunk.text.capacity() >= 8 << 20);
        chunk.clear();
        assert_eq!((chunk.fields.capacity(), chunk.text.capacity()), usual);
    }
}
