//! The event that tells how long a span took.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use tracing::Metadata;

use crate::json::AddressHasher;
use crate::lock;
use crate::notice::{Notice, NoticeMeta, callsite_about};

const NAMES: &[&str] = &["message", "busy_us", "idle_us"];

/// The event of a span that closed.
pub(crate) fn notice(meta: NoticeMeta, (busy, idle): (Duration, Duration)) -> Notice {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Notice::new(meta, "span closed")
        .number(micros(busy))
        .number(micros(idle))
}

/// The callsite of that event: of the level, target and place of the span.
pub(crate) fn metadata(span: &'static Metadata<'static>) -> NoticeMeta {
    type Known = HashMap<usize, NoticeMeta, BuildHasherDefault<AddressHasher>>;
    static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
    let address = std::ptr::from_ref(span).addr();
    let mut known = lock(KNOWN.get_or_init(Mutex::default));
    if let Some(meta) = known.get(&address) {
        return meta;
    }
    let meta = callsite_about(span, "span closed", NAMES);
    known.insert(address, meta);
    meta
}
