//! What really became of every record, kept apart from the accounts of the
//! uploader.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use tracing::Level;
use uuid::Uuid;

use super::model::Model;
use crate::delivery::Time;
use crate::id::RecordId;

/// How a record is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Like most.
    Plain,
    /// With an empty message, and integers that floats would round.
    Awkward,
    /// Refused by the server, with a reason.
    Poison,
    /// Refused by the server, without a reason.
    Mystery,
    /// Not readable for the server.
    Unreadable,
    /// Longer than a foreign collection takes.
    Long,
    /// No log line at all.
    Senseless,
}

/// One record, from the workload's point of view.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) level: Level,
    pub(super) line: String,
    /// The process that wrote it.
    pub(super) process: u64,
    pub(super) written_at: Time,
    /// The spool has said that it is durable.
    pub(super) is_committed: bool,
    /// The spool has given it up.
    pub(super) is_evicted: bool,
    /// A disk that lies has lost it.
    pub(super) is_rotten: bool,
}

/// All records, by id.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) entries: BTreeMap<RecordId, Entry>,
    by_text: HashMap<String, RecordId>,
    next_seq: HashMap<Uuid, u64>,
}

impl Truth {
    /// Makes a record of a session.
    pub(super) fn write(
        &mut self,
        session: Uuid,
        kind: Kind,
        level: Level,
        size: usize,
        process: u64,
        now: Time,
    ) -> (RecordId, String) {
        let seq = self.next_seq.entry(session).or_insert(1);
        let id = RecordId::of(session, *seq);
        let line = line(session, *seq, kind, level, size);
        *seq += 1;
        self.by_text.insert(id.to_string(), id);
        self.entries.insert(
            id,
            Entry {
                kind,
                level,
                line: line.clone(),
                process,
                written_at: now,
                is_committed: false,
                is_evicted: false,
                is_rotten: false,
            },
        );
        (id, line)
    }

    /// Checks that a stored row is one of ours, and not altered.
    pub(super) fn check_row(&self, model: &Model, id: &str) -> Result<(), String> {
        let row = &model.rows[id];
        let entry = self
            .by_text
            .get(id)
            .and_then(|id| self.entries.get(id))
            .ok_or_else(|| format!("the server holds {id}, which nobody wrote"))?;
        let cut = expected(&entry.line, model.setup.max_message);
        let whole = expected(&entry.line, usize::MAX);
        // What the hook takes is cut only if the server's own route has told.
        let is_cut = row["message"] == cut["message"];
        let wanted = if is_cut { cut } else { whole };
        for name in ["level", "message", "target", "fields", "session_id", "seq"] {
            if row[name] != wanted[name] {
                return Err(format!(
                    "{id} was altered: {name} is {} instead of {}",
                    row[name], wanted[name]
                ));
            }
        }
        Ok(())
    }
}

fn line(session: Uuid, seq: u64, kind: Kind, level: Level, size: usize) -> String {
    let message = match kind {
        Kind::Plain => "counted".to_owned(),
        Kind::Awkward => String::new(),
        Kind::Poison => "poison".to_owned(),
        Kind::Mystery => "mystery".to_owned(),
        Kind::Unreadable => "unreadable".to_owned(),
        Kind::Long => "ä".repeat(300),
        Kind::Senseless => return format!("no line, number {seq} of {session}"),
    };
    let fields = match kind {
        Kind::Awkward => json!({"big": u64::MAX, "small": i64::MIN, "text": "\"\\\u{1}"}),
        _ => json!({"filler": "x".repeat(size)}),
    };
    json!({
        "timestamp": "2026-01-02T03:04:05.678901Z",
        "level": level.to_string(),
        "target": "simulated",
        "message": message,
        "fields": fields,
        "daemon_id": "d",
        "session_id": session.to_string(),
        "seq": seq,
    })
    .to_string()
}

/// The documented mapping, written a second time and without care for speed.
fn expected(line: &str, max_message: usize) -> Value {
    let mut row: Value = serde_json::from_str(line).unwrap_or_default();
    if row["message"] == "" {
        row["message"] = json!(" ");
    }
    let message = row["message"].as_str().unwrap_or_default();
    if message.chars().count() > max_message {
        let kept: String = message.chars().take(max_message - 6).collect();
        row["message"] = json!(format!("{kept}…[cut]"));
    }
    if row["fields"].get("big").is_some() {
        row["fields"]["big"] = json!(u64::MAX.to_string());
        row["fields"]["small"] = json!(i64::MIN.to_string());
    }
    row
}
