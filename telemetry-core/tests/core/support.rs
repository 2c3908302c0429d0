//! Shared by all stories: ways to emit, a strict parser, sinks that misbehave on command.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use telemetry_core::{
    Capture, Identity, LossReason, Losses, MemorySink, Numbered, Record, Sink, SinkError, SinkStats,
};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

/// Long enough for a busy machine; reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A subscriber that captures everything for `sink`.
pub(crate) fn dispatch_to(sink: impl Sink + 'static) -> Dispatch {
    let identity = Identity::new(uuid::Uuid::new_v4());
    Dispatch::new(tracing_subscriber::registry().with(Capture::new(identity, sink)))
}

/// Runs `emit` with its events captured for `sink`.
pub(crate) fn captured_by(sink: impl Sink + 'static, emit: impl FnOnce()) {
    tracing::dispatcher::with_default(&dispatch_to(sink), emit);
}

/// The lines of what `emit` emits.
pub(crate) fn raw_lines_of(emit: impl FnOnce()) -> Vec<String> {
    let memory = MemorySink::new();
    captured_by(Numbered::new(memory.clone()), emit);
    memory.lines()
}

/// The only line of what `emit` emits.
pub(crate) fn raw_line_of(emit: impl FnOnce()) -> String {
    let mut lines = raw_lines_of(emit);
    assert_eq!(lines.len(), 1, "one event is one line: {lines:?}");
    lines.remove(0)
}

/// The same, parsed strictly.
pub(crate) fn line_of(emit: impl FnOnce()) -> Value {
    parse(&raw_line_of(emit))
}

/// The same, all of them.
pub(crate) fn lines_of(emit: impl FnOnce()) -> Vec<Value> {
    raw_lines_of(emit).iter().map(|line| parse(line)).collect()
}

/// Parses a line: one object, no key twice in any object, no line break.
#[track_caller]
pub(crate) fn parse(line: &str) -> Value {
    assert!(!line.contains(['\n', '\r']), "a line break in {line:?}");
    let node: Strict = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(node.0.is_object(), "not an object: {line}");
    node.0
}

/// The keys of the line in their order.
pub(crate) fn keys_in_order(line: &str) -> Vec<String> {
    struct Keys(Vec<String>);
    impl<'de> Deserialize<'de> for Keys {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Collect;
            impl<'de> Visitor<'de> for Collect {
                type Value = Keys;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, _)) = map.next_entry::<String, Value>()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            from.deserialize_map(Collect)
        }
    }
    serde_json::from_str::<Keys>(line).expect("an object").0
}

/// A JSON value without a repeated key.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Build;
        impl<'de> Visitor<'de> for Build {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON without null")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(Strict(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(items.into())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut object = serde_json::Map::new();
                while let Some((key, Strict(value))) = map.next_entry::<String, Strict>()? {
                    if object.insert(key.clone(), value).is_some() {
                        return Err(A::Error::custom(format!("key {key:?} twice")));
                    }
                }
                Ok(object.into())
            }
        }
        from.deserialize_any(Build).map(Strict)
    }
}

/// Polls until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// The accounts of a sink itself, without those behind it.
pub(crate) fn stats_of(sink: &dyn Sink) -> SinkStats {
    all_stats_of(sink).remove(0)
}

/// The accounts of a sink and of those behind it.
pub(crate) fn all_stats_of(sink: &dyn Sink) -> Vec<SinkStats> {
    let mut stats = Vec::new();
    sink.stats(&mut stats);
    stats
}

/// Asserts the law of the contract, and that the losses add up.
#[track_caller]
pub(crate) fn assert_law(stats: &SinkStats) {
    let outcomes = stats.delivered + stats.dropped + stats.rejected + stats.pending;
    assert_eq!(stats.accepted, outcomes, "the law: {stats:?}");
    assert_eq!(stats.lost.total(), stats.dropped + stats.rejected);
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sink that hangs in `write` until it is opened; a clone is another handle.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<GateInner>);

#[derive(Default)]
struct GateInner {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    /// So many more records pass.
    permits: usize,
    entered: usize,
    lines: Vec<String>,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self::default()
    }

    pub(crate) fn open(&self) {
        self.admit(usize::MAX);
    }

    /// Lets so many records pass.
    pub(crate) fn admit(&self, records: usize) {
        lock(&self.0.state).permits = records;
        self.0.changed.notify_all();
    }

    /// Waits until so many calls of `write` have begun.
    pub(crate) fn wait_until_entered(&self, calls: usize) {
        let state = lock(&self.0.state);
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.entered < calls);
        let (state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!result.timed_out(), "{} calls", state.entered);
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let state = lock(&self.0.state);
        state.lines.iter().map(|line| parse(line)).collect()
    }
}

impl Sink for Gate {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let mut state = lock(&self.0.state);
        state.entered += 1;
        self.0.changed.notify_all();
        while state.permits == 0 {
            state = self
                .0
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.permits -= 1;
        state.lines.push(record.json().to_owned());
        Ok(())
    }
    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn stats(&self, _: &mut Vec<SinkStats>) {}
}

/// A sink that panics on every seventh record and fails on every third.
#[derive(Default)]
pub(crate) struct Moody(Mutex<Moods>);

#[derive(Default)]
struct Moods {
    offered: u64,
    stats: SinkStats,
}

impl Sink for Moody {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let mut moods = lock(&self.0);
        moods.offered += 1;
        if moods.offered.is_multiple_of(7) {
            drop(moods);
            panic!("on purpose");
        }
        moods.stats.accepted += 1;
        if moods.offered.is_multiple_of(3) {
            moods.stats.dropped += 1;
            let mut lost = std::mem::take(&mut moods.stats.lost);
            lost.add(LossReason::IoError, record.level(), 1);
            moods.stats.lost = lost;
            return Err(SinkError::Failed {
                sink: "moody",
                source: "on purpose".into(),
            });
        }
        moods.stats.delivered += 1;
        Ok(())
    }
    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        into.push(lock(&self.0).stats.clone());
    }
}

/// The sum of losses of one reason over all levels.
pub(crate) fn lost_for(lost: &Losses, reason: LossReason) -> u64 {
    lost.iter()
        .filter(|&(why, _, _)| why == reason)
        .map(|(_, _, count)| count)
        .sum()
}
