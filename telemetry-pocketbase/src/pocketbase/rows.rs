//! The records of a batch, as the ways to upload want them.

use std::ops::Range;

use super::limits::Limits;
use super::row::write_row;
use crate::delivery::{Batch, Verdict};
use crate::id::RecordId;
use crate::planted;

/// By so many bytes a row is usually longer than its line: id and exact time.
const MORE_THAN_LINE: usize = 80;

/// The path of the records of a collection.
pub(crate) fn records_path(collection: &str) -> String {
    format!("/api/collections/{collection}/records")
}

/// The records of a batch as rows of the collection.
#[derive(Default)]
pub(crate) struct Rows {
    json: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Rows {
    /// Those that are no log lines are refused.
    pub(crate) fn of(batch: &Batch, limits: &Limits) -> Result<Self, Vec<(usize, Verdict)>> {
        let lines: usize = batch.records.iter().map(|record| record.line.len()).sum();
        let mut rows = Self {
            json: Vec::with_capacity(lines + batch.records.len() * MORE_THAN_LINE),
            places: Vec::with_capacity(batch.records.len()),
        };
        let mut refused = Vec::new();
        for (index, record) in batch.records.iter().enumerate() {
            if let Err(reason) = rows.push_within(record.id, &record.line, limits) {
                refused.push((index, Verdict::Unsendable(reason)));
            }
        }
        if refused.is_empty() {
            Ok(rows)
        } else {
            Err(refused)
        }
    }

    /// Adds one record; the reason if it is no log line.
    pub(crate) fn push(&mut self, id: RecordId, line: &str) -> Result<(), String> {
        self.push_within(id, line, &Limits::default())
    }

    fn push_within(&mut self, id: RecordId, line: &str, limits: &Limits) -> Result<(), String> {
        let id = if planted!(ChangesIds) {
            RecordId::of_unnumbered(uuid::Uuid::nil())
        } else {
            id
        };
        let start = self.json.len();
        write_row(&mut self.json, id, line, limits)?;
        self.places.push(start..self.json.len());
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// One record as an object.
    pub(crate) fn row(&self, index: usize) -> &[u8] {
        &self.json[self.places[index].clone()]
    }

    /// The body of a request to `/api/batch`.
    pub(crate) fn batch_body(&self, records_path: &str) -> Vec<u8> {
        let head = format!(r#"{{"method":"POST","url":"{records_path}","body":"#);
        let mut body = Vec::with_capacity(self.json.len() + self.len() * (head.len() + 2) + 16);
        body.extend_from_slice(b"{\"requests\":[");
        for index in 0..self.len() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(self.row(index));
            body.push(b'}');
        }
        body.extend_from_slice(b"]}");
        body
    }

    /// The body of a request to the bulk route.
    pub(crate) fn bulk_body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.json.len() + self.len() + 2);
        body.push(b'[');
        for index in 0..self.len() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(self.row(index));
        }
        body.push(b']');
        body
    }
}
