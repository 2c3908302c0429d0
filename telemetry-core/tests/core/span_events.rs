//! The event that tells how long a span took.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use telemetry_core::{Capture, Identity, MemorySink, Numbered};
use tracing::field::Empty;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{lines_of, parse};

fn lines_with_span_events(emit: impl FnOnce()) -> Vec<Value> {
    let memory = MemorySink::new();
    let identity = Identity::new(uuid::Uuid::new_v4());
    let capture = Capture::new(identity, Numbered::new(memory.clone())).with_span_events(true);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), emit);
    memory.lines().iter().map(|line| parse(line)).collect()
}

fn micros(line: &Value, field: &str) -> u64 {
    line["fields"][field].as_u64().expect("a number")
}

#[test]
fn a_span_that_closes_is_an_event_of_its_level_target_and_place() {
    let here = line!() + 3;
    let lines = lines_with_span_events(|| {
        let _outer = tracing::info_span!("outer").entered();
        let inner = tracing::debug_span!(target: "mirror", "inner", files = Empty);
        inner.in_scope(|| tracing::info!("inside"));
        inner.record("files", 7);
    });
    let messages: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
    assert_eq!(messages, ["inside", "span closed", "span closed"]);
    let inner = &lines[1];
    assert_eq!(inner["level"], "DEBUG");
    assert_eq!(inner["target"], "mirror");
    assert_eq!(inner["file"], file!());
    assert_eq!(inner["line"], here);
    let spans = json!([
        {"name": "outer", "fields": {}},
        {"name": "inner", "fields": {"files": 7}},
    ]);
    assert_eq!(inner["spans"], spans, "with what was recorded last");
    assert_eq!(lines[2]["spans"], json!([{"name": "outer", "fields": {}}]));
    assert_eq!(lines[2]["seq"], 3);
}

#[test]
fn busy_and_idle_time_are_told_apart() {
    const LONG: Duration = Duration::from_millis(2);
    let spin = || {
        let begin = Instant::now();
        while begin.elapsed() < LONG {}
    };
    let begin = Instant::now();
    let lines = lines_with_span_events(|| {
        let span = tracing::info_span!("job");
        span.in_scope(spin);
        spin();
    });
    let whole = begin.elapsed().as_micros() as u64;
    let (busy, idle) = (micros(&lines[0], "busy_us"), micros(&lines[0], "idle_us"));
    let least = LONG.as_micros() as u64;
    assert!(busy >= least && idle >= least, "{busy} {idle}");
    assert!(busy + idle <= whole, "{busy} + {idle} in {whole}");
}

#[test]
fn without_span_events_a_span_closes_in_silence() {
    let lines = lines_of(|| {
        let _span = tracing::info_span!("job").entered();
        tracing::info!("inside");
    });
    assert_eq!(lines.len(), 1);
}
