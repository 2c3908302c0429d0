//! A record on its way to a destination.

use tracing::Level;

use crate::id::RecordId;

/// A record that no spool holds yet, lent.
#[derive(Debug, Clone, Copy)]
pub struct Fresh<'a> {
    /// Its level: decides what a full spool gives up first.
    pub level: Level,
    /// Its id, by which a resend is recognised.
    pub id: RecordId,
    /// The record as one JSON object.
    pub line: &'a str,
}

/// A record in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the spool: later records have greater keys.
    pub key: u64,
    /// Its level.
    pub level: Level,
    /// Its id.
    pub id: RecordId,
    /// The record as one JSON object.
    pub line: String,
}
