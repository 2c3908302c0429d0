//! Records of our own making: about a gap, a span that closed, a flood.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::Metadata;
use tracing::field::FieldSet;
use tracing_core::callsite::{Callsite, Identifier};
use tracing_core::subscriber::Interest;

use crate::identity::Identity;
use crate::json::Line;
use crate::record::{Field, Head, Kind, Record, Role};
use crate::span::Span;
use crate::visit::Values;

/// The callsite of a notice, which names its fields: the message first, the
/// others in the order in which they are given.
pub(crate) type NoticeMeta = &'static Metadata<'static>;

/// Message and fields of a record that no macro emitted.
pub(crate) struct Notice {
    meta: NoticeMeta,
    values: Values,
}

impl Notice {
    pub(crate) fn new(meta: NoticeMeta, message: &str) -> Self {
        let mut notice = Self {
            meta,
            values: Values::default(),
        };
        notice.put_text(Role::Message, message);
        notice
    }

    /// The next field is this text.
    pub(crate) fn text(mut self, value: &str) -> Self {
        self.put_text(Role::Plain, value);
        self
    }

    /// The next field is this number.
    pub(crate) fn number(mut self, value: u64) -> Self {
        let field = self.next_field(Role::Plain, Kind::U64, value);
        self.values.fields.push(field);
        self
    }

    /// Lends the record that it is. Its number is 0 where the next step numbers.
    pub(crate) fn lend<T>(
        &self,
        identity: Identity,
        seq: u64,
        span: Option<&Arc<Span>>,
        line: &Line,
        lend: impl FnOnce(&Record<'_>) -> T,
    ) -> T {
        let head = Head {
            nanos: now(),
            seq,
            meta: self.meta,
            identity,
            bridged: false,
        };
        lend(&Record {
            head: &head,
            span,
            fields: &self.values.fields,
            text: &self.values.text,
            line,
            seq,
        })
    }

    fn put_text(&mut self, role: Role, value: &str) {
        let field = self.next_field(role, Kind::Text, 0);
        self.values.put_text(&field, value);
    }

    fn next_field(&self, role: Role, kind: Kind, bits: u64) -> Field {
        let place = self.values.fields.len();
        let name = self.meta.fields().iter().nth(place);
        Field {
            name: name.expect("the callsite names every field").name(),
            kind,
            role,
            index: place as u16,
            len: 0,
            bits,
        }
    }
}

/// Nanoseconds since 1970. A clock before that is set wrong; 0 shows it and
/// keeps the record.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// A callsite for notices about another one: of the same level, target and
/// place. It stays for the rest of the process: make one for each callsite, not
/// one for each record.
pub(crate) fn callsite_about(
    of: &Metadata<'_>,
    name: &'static str,
    fields: &'static [&'static str],
) -> NoticeMeta {
    let keep = |text: &str| -> &'static str { Box::leak(Box::from(text)) };
    Box::leak(Box::new(Metadata::new(
        name,
        keep(of.target()),
        *of.level(),
        of.file().map(keep),
        of.line(),
        of.module_path().map(keep),
        FieldSet::new(fields, Identifier(&NoticeCallsite)),
        tracing_core::metadata::Kind::EVENT,
    )))
}

/// Stands behind the callsites made here; no event ever comes through it.
struct NoticeCallsite;

impl Callsite for NoticeCallsite {
    fn set_interest(&self, _: Interest) {}
    fn metadata(&self) -> &Metadata<'_> {
        crate::gap::metadata()
    }
}
