//! Records back to back.

use crate::json::Line;
use crate::record::{Field, Head, Record};

/// Records as a queue keeps them: heads, all their fields, all their text.
#[derive(Default)]
pub(super) struct Batch {
    heads: Vec<Head>,
    fields: Vec<Field>,
    text: String,
}

/// What a usual record needs: the preallocation reckons with it.
const USUAL_FIELDS: usize = 6;
const USUAL_TEXT: usize = 128;

impl Batch {
    /// Room for so many usual records, but not for more than `max_bytes`: a
    /// batch that grows would reallocate under the lock.
    pub(super) fn with_room(records: usize, max_bytes: usize) -> Self {
        let usual = size_of::<Head>() + USUAL_FIELDS * size_of::<Field>() + USUAL_TEXT;
        let records = records.min(max_bytes / usual + 1);
        Self {
            heads: Vec::with_capacity(records),
            fields: Vec::with_capacity(records * USUAL_FIELDS),
            text: String::with_capacity(records * USUAL_TEXT),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, record: &Record<'_>, seq: u64) {
        self.heads.push(Head {
            seq,
            span: record.span.cloned(),
            field_count: record.fields.len() as u32,
            text_len: record.text.len() as u32,
            ..*record.head
        });
        self.fields.extend_from_slice(record.fields);
        self.text.push_str(record.text);
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.heads.as_slice()) + size_of_val(self.fields.as_slice()) + self.text.len()
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = &Head> {
        self.heads.iter()
    }

    /// Lends every record in turn, and makes `line` ready for each.
    pub(super) fn for_each(&self, line: &mut Line, mut lend: impl FnMut(&Record<'_>)) {
        let (mut fields, mut text) = (self.fields.as_slice(), self.text.as_str());
        for head in &self.heads {
            let (own_fields, other_fields) = fields.split_at(head.field_count as usize);
            let (own_text, other_text) = text.split_at(head.text_len as usize);
            (fields, text) = (other_fields, other_text);
            line.reset();
            lend(&Record {
                head,
                span: head.span.as_ref(),
                fields: own_fields,
                text: own_text,
                line,
                seq: head.seq,
            });
        }
    }

    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.fields.clear();
        self.text.clear();
    }
}

/// The bytes that a record takes in a batch.
#[inline]
pub(super) fn size_of_record(record: &Record<'_>) -> usize {
    size_of::<Head>() + size_of_val(record.fields) + record.text.len()
}
