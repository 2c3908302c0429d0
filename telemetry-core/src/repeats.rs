//! Floods: callsites that repeat themselves too often.
//!
//! A callsite has a window of one second, which begins with the first record
//! after the last window. What goes beyond the limit in it is not captured, but
//! counted. When the second is over, one record says how many were left out: the
//! next event of the process brings it along, whichever callsite it comes from,
//! since there is no thread here that could wake up for it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tracing::{Event, Level, Metadata};
use tracing_log::NormalizeEvent as _;

use crate::capture::hand_on;
use crate::identity::Identity;
use crate::json::{AddressHasher, Line};
use crate::lock;
use crate::notice::{Notice, NoticeMeta, callsite_about};
use crate::sink::Sink;

/// Callsites that are watched. The `log` crate lets a program make up targets,
/// so there is no natural bound; what comes after is not thinned.
const MAX_CALLSITES: usize = 4_096;
const SECOND: u64 = 1_000_000_000;
/// No second is over, ever.
const NEVER: u64 = u64::MAX;
const NAMES: &[&str] = &["message", "suppressed", "limit_per_sec"];

/// So many records a second of each callsite, below WARN; for
/// [`Capture::with_repeat_limit`](crate::Capture::with_repeat_limit).
///
/// A clone is another handle on the same counts. What goes beyond the limit is
/// not a record: it is never offered to a sink and uses no number. It is counted
/// ([`suppressed`](Self::suppressed), at once), and when its second is over the
/// next event of the process brings along a record `suppressed 120 records`, of
/// the level, target, file and line of the callsite, with the fields
/// `suppressed` and `limit_per_sec`. Before the pipeline is closed,
/// [`tell_rest`](Self::tell_rest) gives the last of them.
///
/// Records of the `log` crate are told apart by target, file and line. After
/// 4,096 callsites, new ones are not thinned.
#[derive(Clone)]
pub struct RepeatLimit(Arc<Inner>);

struct Inner {
    per_second: NonZeroU32,
    count: Box<dyn Fn() + Send + Sync>,
    suppressed: AtomicU64,
    /// When the first second is over in which something was suppressed.
    due: AtomicU64,
    callsites: RwLock<HashMap<usize, Mutex<Window>, BuildHasherDefault<AddressHasher>>>,
}

/// What a callsite did in its second.
#[derive(Default)]
struct Window {
    begin: u64,
    records: u64,
    suppressed: u64,
    /// What tells of it; made when there is something to tell.
    meta: Option<NoticeMeta>,
}

impl RepeatLimit {
    /// A limit of so many records.
    pub fn per_second(limit: NonZeroU32) -> Self {
        Self::counting(limit, || {})
    }

    /// As [`per_second`](Self::per_second); calls `count` for each suppressed
    /// record, on the thread that logs: for a counter of an exporter.
    pub fn counting(limit: NonZeroU32, count: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            per_second: limit,
            count: Box::new(count),
            suppressed: AtomicU64::new(0),
            due: AtomicU64::new(NEVER),
            callsites: RwLock::default(),
        }))
    }

    /// Records that were suppressed until now.
    pub fn suppressed(&self) -> u64 {
        self.0.suppressed.load(Ordering::Relaxed)
    }

    /// Tells `sink` what has been suppressed and was not told yet, on behalf of
    /// `identity`. For the end of a program: its last second is never over.
    pub fn tell_rest(&self, identity: Identity, sink: &dyn Sink) {
        self.0.due.store(NEVER, Ordering::Relaxed);
        self.tell(identity, sink, |_| true);
    }

    /// Tells `sink` of each second that is over.
    #[inline]
    pub(crate) fn tell_due(&self, now: u64, identity: Identity, sink: &dyn Sink) {
        let due = self.0.due.load(Ordering::Relaxed);
        if due == NEVER || is_within(now, due.saturating_sub(SECOND)) {
            return;
        }
        self.0.due.store(NEVER, Ordering::Relaxed);
        self.tell(identity, sink, |window| !is_within(now, window.begin));
    }

    /// False for an event that goes beyond the limit.
    pub(crate) fn admits(&self, event: &Event<'_>, is_bridged: bool, now: u64) -> bool {
        if !is_bridged {
            return self.admits_callsite(event.metadata(), now);
        }
        let Some(meta) = event.normalized_metadata() else {
            return true;
        };
        let mut hasher = DefaultHasher::new();
        (meta.target(), meta.file(), meta.line()).hash(&mut hasher);
        self.admits_key(hasher.finish() as usize, &meta, now)
    }

    /// The same for a callsite that is known by its address.
    pub(crate) fn admits_callsite(&self, meta: &'static Metadata<'static>, now: u64) -> bool {
        self.admits_key(std::ptr::from_ref(meta).addr(), meta, now)
    }

    fn admits_key(&self, key: usize, meta: &Metadata<'_>, now: u64) -> bool {
        if *meta.level() <= Level::WARN || self.fits(key, meta, now) {
            return true;
        }
        self.0.suppressed.fetch_add(1, Ordering::Relaxed);
        (self.0.count)();
        false
    }

    fn fits(&self, key: usize, meta: &Metadata<'_>, now: u64) -> bool {
        let callsites = self.0.callsites.read();
        let callsites = callsites.unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = callsites.get(&key) {
            return self.fits_in(&mut lock(window), meta, now);
        }
        drop(callsites);
        let callsites = self.0.callsites.write();
        let mut callsites = callsites.unwrap_or_else(PoisonError::into_inner);
        if callsites.len() >= MAX_CALLSITES && !callsites.contains_key(&key) {
            return true;
        }
        let window = callsites.entry(key).or_default();
        self.fits_in(&mut lock(window), meta, now)
    }

    fn fits_in(&self, window: &mut Window, meta: &Metadata<'_>, now: u64) -> bool {
        if !is_within(now, window.begin) {
            window.begin = now;
            window.records = 0;
        }
        window.records += 1;
        if window.records <= u64::from(self.0.per_second.get()) {
            return true;
        }
        window.suppressed += 1;
        window
            .meta
            .get_or_insert_with(|| callsite_about(meta, "repeats", NAMES));
        self.note_due(window);
        false
    }

    fn note_due(&self, window: &Window) {
        let over = window.begin.saturating_add(SECOND);
        self.0.due.fetch_min(over, Ordering::Relaxed);
    }

    /// Tells of each window that `is_told` picks; the others stay due.
    fn tell(&self, identity: Identity, sink: &dyn Sink, is_told: impl Fn(&Window) -> bool) {
        let callsites = self.0.callsites.read();
        let callsites = callsites.unwrap_or_else(PoisonError::into_inner);
        let notices: Vec<Notice> = callsites
            .values()
            .filter_map(|window| self.notice(&mut lock(window), &is_told))
            .collect();
        drop(callsites);
        for notice in notices {
            let line = Line::default();
            notice.lend(identity, 0, None, &line, |record| hand_on(sink, record));
        }
    }

    fn notice(&self, window: &mut Window, is_told: impl Fn(&Window) -> bool) -> Option<Notice> {
        let meta = window.meta?;
        if window.suppressed == 0 {
            return None;
        }
        if !is_told(window) {
            self.note_due(window);
            return None;
        }
        let suppressed = std::mem::take(&mut window.suppressed);
        let message = format!("suppressed {suppressed} records");
        let notice = Notice::new(meta, &message)
            .number(suppressed)
            .number(self.0.per_second.get().into());
        Some(notice)
    }
}

/// True in the second that begins at `begin`; a clock that went back is not.
fn is_within(now: u64, begin: u64) -> bool {
    now.checked_sub(begin).is_some_and(|passed| passed < SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemorySink, Numbered};

    const MILLI: u64 = SECOND / 1_000;
    const START: u64 = 1_700_000_000 * SECOND;

    /// A limit of two records a second, in front of a memory.
    struct Flood {
        limit: RepeatLimit,
        identity: Identity,
        memory: MemorySink,
        sink: Numbered<MemorySink>,
    }

    impl Flood {
        fn new() -> Self {
            let memory = MemorySink::new();
            Self {
                limit: RepeatLimit::per_second(NonZeroU32::new(2).expect("not 0")),
                identity: Identity::new(uuid::Uuid::new_v4()),
                sink: Numbered::new(memory.clone()),
                memory,
            }
        }

        /// How many of `events` that come at this time are let through.
        fn admitted(&self, meta: &'static Metadata<'static>, events: u32, now: u64) -> u32 {
            self.limit.tell_due(now, self.identity, &self.sink);
            let admits = |_: &u32| self.limit.admits_callsite(meta, now);
            (0..events).filter(admits).count() as u32
        }

        fn messages(&self) -> Vec<String> {
            let lines = self.memory.lines();
            let lines = lines.iter().map(|line| serde_json::from_str(line));
            lines
                .map(|line: Result<serde_json::Value, _>| {
                    let line = line.expect("valid JSON");
                    line["message"].as_str().expect("text").to_owned()
                })
                .collect()
        }
    }

    macro_rules! callsite {
        ($level:ident) => {
            tracing::subscriber::with_default(tracing_subscriber::registry(), || {
                let span = tracing::span!(Level::$level, "flood");
                span.metadata().expect("a callsite")
            })
        };
    }

    #[test]
    fn what_goes_beyond_the_limit_is_told_when_the_second_is_over() {
        let (flood, site) = (Flood::new(), callsite!(INFO));
        assert_eq!(flood.admitted(site, 5, START), 2);
        assert_eq!(flood.admitted(site, 5, START + 999 * MILLI), 0);
        assert_eq!(flood.messages(), [""; 0], "the second is not over");
        assert_eq!(flood.admitted(site, 3, START + SECOND), 2);
        assert_eq!(flood.messages(), ["suppressed 8 records"]);
        assert_eq!(flood.limit.suppressed(), 9);
        flood.limit.tell_rest(flood.identity, &flood.sink);
        assert_eq!(flood.messages()[1..], ["suppressed 1 records"]);
        flood.limit.tell_rest(flood.identity, &flood.sink);
        assert_eq!(flood.messages().len(), 2, "told once");
    }

    #[test]
    fn an_event_of_another_callsite_brings_it_along() {
        let (flood, noisy, other) = (Flood::new(), callsite!(DEBUG), callsite!(INFO));
        flood.admitted(noisy, 12, START);
        assert_eq!(flood.admitted(other, 1, START + 2 * SECOND), 1);
        assert_eq!(flood.messages(), ["suppressed 10 records"]);
    }

    #[test]
    fn callsites_are_told_each_in_its_own_time() {
        let (flood, first, second) = (Flood::new(), callsite!(INFO), callsite!(INFO));
        flood.admitted(first, 3, START);
        flood.admitted(second, 4, START + 500 * MILLI);
        flood.admitted(first, 1, START + SECOND);
        assert_eq!(flood.messages(), ["suppressed 1 records"]);
        flood.admitted(first, 1, START + 1_499 * MILLI);
        assert_eq!(flood.messages().len(), 1);
        flood.admitted(first, 1, START + 1_500 * MILLI);
        assert_eq!(flood.messages()[1..], ["suppressed 2 records"]);
    }

    #[test]
    fn warnings_and_errors_are_never_thinned() {
        let flood = Flood::new();
        assert_eq!(flood.admitted(callsite!(WARN), 100, START), 100);
        assert_eq!(flood.admitted(callsite!(ERROR), 100, START), 100);
        assert_eq!(flood.limit.suppressed(), 0);
    }

    #[test]
    fn a_clock_that_goes_back_begins_a_new_second() {
        let (flood, site) = (Flood::new(), callsite!(INFO));
        flood.admitted(site, 3, START + 3_600 * SECOND);
        assert_eq!(flood.admitted(site, 3, START), 2);
        assert_eq!(flood.messages(), ["suppressed 1 records"]);
    }
}
