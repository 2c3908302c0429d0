//! The record that tells a reader of the log where records are missing.

use std::sync::OnceLock;

use tracing::{Level, Metadata};
use tracing_core::callsite::Callsite;
use tracing_core::subscriber::Interest;

use crate::identity::Identity;
use crate::json::Line;
use crate::notice::{Notice, NoticeMeta};
use crate::record::Record;
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
        let (first, last) = (self.first_seq, self.last_seq);
        let message = format!("{lost} records lost, from {first} to {last}");
        let notice = Notice::new(metadata(), &message)
            .text("log_write")
            .number(lost)
            .number(first)
            .number(last);
        let notice = self.by_level.iter().copied().fold(notice, Notice::number);
        let identity = self.identity.expect("a gap has lost a record");
        notice.lend(identity, seq, None, line, lend)
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

pub(crate) fn metadata() -> NoticeMeta {
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
