//! The record that tells a reader of the log where records are missing.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{Level, Metadata};
use tracing_core::callsite::Callsite;
use tracing_core::subscriber::Interest;

use crate::identity::Identity;
use crate::json::Line;
use crate::record::{Field, Head, Kind, Record, Role};
use crate::sink::{LEVELS, level_index};

/// Records lost one after the other.
#[derive(Default)]
pub(crate) struct Gap {
    by_level: [u64; LEVELS.len()],
    first_seq: u64,
    last_seq: u64,
    identity: Option<Identity>,
}

impl Gap {
    pub(crate) fn add(&mut self, record: &Record<'_>, seq: u64) {
        if self.is_empty() {
            self.first_seq = seq;
            self.identity = Some(record.head.identity);
        }
        self.last_seq = seq;
        self.by_level[level_index(record.level())] += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.identity.is_none()
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Lends the record that tells of this gap. There must be one.
    pub(crate) fn with_record<T>(
        &self,
        seq: u64,
        line: &Line,
        lend: impl FnOnce(&Record<'_>) -> T,
    ) -> T {
        let lost: u64 = self.by_level.iter().sum();
        let message = format!(
            "{lost} records lost, from {} to {}",
            self.first_seq, self.last_seq
        );
        let mut text = message.clone();
        text.push_str("log_write");
        let number = |index: u16, bits| Field {
            name: NAMES[usize::from(index)],
            kind: Kind::U64,
            role: Role::Plain,
            index,
            len: 0,
            bits,
        };
        let words = |index: u16, role, start: usize, end: usize| Field {
            name: NAMES[usize::from(index)],
            kind: Kind::Text,
            role,
            index,
            len: (end - start) as u32,
            bits: start as u64,
        };
        let mut fields = vec![
            words(0, Role::Message, 0, message.len()),
            words(1, Role::Plain, message.len(), text.len()),
            number(2, lost),
            number(3, self.first_seq),
            number(4, self.last_seq),
        ];
        let by_level = self.by_level.iter().enumerate();
        fields.extend(by_level.map(|(place, &count)| number(5 + place as u16, count)));
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let head = Head {
            nanos: since_1970.as_nanos() as u64,
            seq,
            meta: metadata(),
            identity: self.identity.expect("a gap has lost a record"),
            span: None,
            field_count: fields.len() as u32,
            text_len: text.len() as u32,
            bridged: false,
        };
        lend(&Record {
            head: &head,
            span: None,
            fields: &fields,
            text: &text,
            line,
            seq,
        })
    }
}

const NAMES: &[&str] = &[
    "message",
    "error_type",
    "lost",
    "from_seq",
    "to_seq",
    "error",
    "warn",
    "info",
    "debug",
    "trace",
];

/// The callsite that these records name; no event ever comes through it.
struct GapCallsite;

static CALLSITE: GapCallsite = GapCallsite;

impl Callsite for GapCallsite {
    fn set_interest(&self, _: Interest) {}
    fn metadata(&self) -> &Metadata<'_> {
        metadata()
    }
}

fn metadata() -> &'static Metadata<'static> {
    static METADATA: OnceLock<Metadata<'static>> = OnceLock::new();
    METADATA.get_or_init(|| {
        tracing_core::metadata! {
            name: "gap",
            target: "telemetry_core::queue",
            level: Level::ERROR,
            fields: NAMES,
            callsite: &CALLSITE,
            kind: tracing_core::metadata::Kind::EVENT,
        }
    })
}
