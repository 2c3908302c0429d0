//! What really became of every record, kept apart from the accounts of the
//! uploader.

use std::collections::HashMap;
use std::fmt::Write as _;

use tracing::Level;
use uuid::Uuid;

use super::model::Row;
use crate::delivery::Time;
use crate::id::RecordId;

/// The longest filler of a record.
pub(super) const MAX_FILLER: usize = 4096;

const FILLER: [u8; MAX_FILLER] = [b'x'; MAX_FILLER];

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

impl Kind {
    /// Whether the dead letters are a good place for it.
    pub(super) fn may_be_refused(self) -> bool {
        match self {
            Self::Plain | Self::Awkward | Self::Long => false,
            Self::Poison | Self::Mystery | Self::Unreadable | Self::Senseless => true,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Plain => "counted",
            Self::Awkward | Self::Senseless => "",
            Self::Poison => "poison",
            Self::Mystery => "mystery",
            Self::Unreadable => "unreadable",
            Self::Long => LONG,
        }
    }
}

/// Longer than a foreign collection takes, in characters of two bytes.
const LONG: &str = match std::str::from_utf8(&LONG_BYTES) {
    Ok(text) => text,
    Err(_) => "",
};

const LONG_BYTES: [u8; 600] = {
    let mut bytes = [0xc3; 600];
    let mut at = 1;
    while at < bytes.len() {
        bytes[at] = 0xa4;
        at += 2;
    }
    bytes
};

/// One record, from the workload's point of view.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: RecordId,
    pub(super) kind: Kind,
    pub(super) level: Level,
    pub(super) line: String,
    /// Bytes of filler.
    size: usize,
    session: Uuid,
    pub(super) seq: u64,
    /// The process that wrote it.
    pub(super) process: u64,
    pub(super) written_at: Time,
    /// The spool has said that it has it.
    pub(super) is_committed: bool,
    /// The spool has given it up.
    pub(super) is_evicted: bool,
    /// It was lost in a way that nobody can help: a disk that lies, or a spool
    /// in memory whose process has ended.
    pub(super) is_lost: bool,
    /// The server has it.
    pub(super) is_stored: bool,
}

/// All records, in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) entries: Vec<Entry>,
    places: HashMap<RecordId, usize>,
    session: Uuid,
    next_seq: u64,
}

impl Truth {
    /// A process begins.
    pub(super) fn begin_session(&mut self, session: Uuid) {
        self.session = session;
        self.next_seq = 1;
    }

    /// Makes a record of the session; its place.
    pub(super) fn write(
        &mut self,
        (kind, level, size): (Kind, Level, usize),
        process: u64,
        now: Time,
    ) -> usize {
        let (session, seq) = (self.session, self.next_seq);
        self.next_seq += 1;
        let id = RecordId::of(session, seq);
        let place = self.entries.len();
        self.places.insert(id, place);
        self.entries.push(Entry {
            id,
            kind,
            level,
            line: line(session, seq, kind, level, size),
            size,
            session,
            seq,
            process,
            written_at: now,
            is_committed: false,
            is_evicted: false,
            is_lost: false,
            is_stored: false,
        });
        place
    }

    /// The last record was not taken: it was never written.
    pub(super) fn take_back(&mut self) {
        if let Some(entry) = self.entries.pop() {
            self.places.remove(&entry.id);
        }
    }

    pub(super) fn get(&self, id: &RecordId) -> Option<&Entry> {
        self.places.get(id).map(|&place| &self.entries[place])
    }

    pub(super) fn get_mut(&mut self, id: &RecordId) -> Option<&mut Entry> {
        self.places.get(id).map(|&place| &mut self.entries[place])
    }

    /// Checks that a stored row is one of ours, and not altered.
    pub(super) fn stored(&mut self, row: &Row, max_message: usize) -> Result<&Entry, String> {
        let id = RecordId::parse(row.id.as_bytes());
        let entry = id
            .and_then(|id| self.get_mut(&id))
            .ok_or_else(|| format!("the server holds {}, which nobody wrote", row.id))?;
        entry.is_stored = true;
        let altered = |name: &str, found: &str, wanted: &str| {
            format!(
                "{} was altered: {name} is {found} instead of {wanted}",
                row.id
            )
        };
        let message = match entry.kind.message() {
            "" => " ",
            other => other,
        };
        // What the hook takes is cut only if the server's own route has told.
        if row.message != message && row.message != cut(message, max_message) {
            return Err(altered("message", &row.message, message));
        }
        let mut fields = String::new();
        write_fields(&mut fields, entry.kind, entry.size, true);
        if row.fields != fields {
            return Err(altered("fields", &row.fields, &fields));
        }
        let (level, session) = (entry.level.to_string(), entry.session.to_string());
        for (name, found, wanted) in [
            ("level", &row.level, level.as_str()),
            ("target", &row.target, "simulated"),
            ("session_id", &row.session_id, session.as_str()),
        ] {
            if found != wanted {
                return Err(altered(name, found, wanted));
            }
        }
        if row.seq != entry.seq {
            return Err(altered("seq", &row.seq.to_string(), &entry.seq.to_string()));
        }
        Ok(entry)
    }
}

fn line(session: Uuid, seq: u64, kind: Kind, level: Level, size: usize) -> String {
    if kind == Kind::Senseless {
        return format!("no line, number {seq} of {session}");
    }
    let mut line = String::with_capacity(256 + size);
    let message = kind.message();
    let _ = write!(
        line,
        r#"{{"timestamp":"2026-01-02T03:04:05.678901Z","level":"{level}","target":"simulated","message":"{message}","fields":"#
    );
    write_fields(&mut line, kind, size, false);
    let _ = write!(
        line,
        r#","daemon_id":"d","session_id":"{session}","seq":{seq}}}"#
    );
    line
}

/// The fields as they are written, or as the documented mapping has them stored.
fn write_fields(out: &mut String, kind: Kind, size: usize, is_stored: bool) {
    match (kind, is_stored) {
        (Kind::Awkward, false) => out.push_str(
            r#"{"big":18446744073709551615,"small":-9223372036854775808,"text":"\"\\\u0001","twice":1,"twice":2}"#,
        ),
        (Kind::Awkward, true) => out.push_str(
            r#"{"big":"18446744073709551615","small":"-9223372036854775808","text":"\"\\\u0001","twice":2}"#,
        ),
        _ => {
            out.push_str(r#"{"filler":""#);
            out.push_str(std::str::from_utf8(&FILLER[..size]).unwrap_or_default());
            out.push_str("\"}");
        }
    }
}

/// The documented cut, written a second time.
fn cut(message: &str, max_message: usize) -> String {
    if message.chars().count() <= max_message {
        return message.to_owned();
    }
    let kept: String = message.chars().take(max_message - 6).collect();
    format!("{kept}…[cut]")
}
