//! Spans: order, fields recorded later, and what an event saw stays as it was.

use serde_json::{Value, json};
use telemetry_core::{Capture, Identity, MAX_TEXT_BYTES, MemorySink, Numbered};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{captured_by, dispatch_to, line_of, lines_of};

fn spans_of(lines: &[Value]) -> Vec<&Value> {
    lines.iter().map(|line| &line["spans"]).collect()
}

#[test]
fn spans_come_outermost_first_with_their_typed_fields() {
    let line = line_of(|| {
        let _outer = tracing::info_span!("outer", job = "documents", run = 7).entered();
        let _middle = tracing::info_span!("middle").entered();
        let _inner = tracing::info_span!("inner", ratio = 0.5, dry = false).entered();
        tracing::info!("deep");
    });
    let expected = json!([
        {"name": "outer", "fields": {"job": "documents", "run": 7}},
        {"name": "middle", "fields": {}},
        {"name": "inner", "fields": {"ratio": 0.5, "dry": false}},
    ]);
    assert_eq!(line["spans"], expected);
}

#[test]
fn spans_are_left_out_when_there_are_none() {
    let line = line_of(|| tracing::info!("alone"));
    assert!(line.get("spans").is_none());
    let line = line_of(|| {
        let _around = tracing::info_span!("around").entered();
        tracing::info!(parent: None, "alone by choice");
    });
    assert!(line.get("spans").is_none());
}

#[test]
fn an_explicit_parent_wins() {
    let line = line_of(|| {
        let other = tracing::info_span!("other");
        let _around = tracing::info_span!("around").entered();
        tracing::info!(parent: &other, "elsewhere");
    });
    assert_eq!(line["spans"], json!([{"name": "other", "fields": {}}]));
}

#[test]
fn a_field_recorded_later_shows_from_then_on() {
    let lines = lines_of(|| {
        let span = tracing::info_span!("job", id = 1, files = Empty);
        let _inside = span.enter();
        tracing::info!("before");
        span.record("files", 42);
        tracing::info!("after");
        span.record("files", "all");
        tracing::info!("again");
    });
    let expected = [
        &json!([{"name": "job", "fields": {"id": 1}}]),
        &json!([{"name": "job", "fields": {"id": 1, "files": 42}}]),
        &json!([{"name": "job", "fields": {"id": 1, "files": "all"}}]),
    ];
    assert_eq!(spans_of(&lines), expected);
}

#[test]
fn a_field_recorded_on_a_parent_reaches_the_children_that_live() {
    let lines = lines_of(|| {
        let outer = tracing::info_span!("outer", state = Empty);
        let _outer = outer.enter();
        let inner = tracing::info_span!("inner");
        let _inner = inner.enter();
        let innermost = tracing::info_span!("innermost");
        let _innermost = innermost.enter();
        tracing::info!("before");
        outer.record("state", "running");
        tracing::info!("after");
        inner.in_scope(|| tracing::info!("in the middle"));
    });
    assert_eq!(lines[0]["spans"][0]["fields"], json!({}));
    for line in &lines[1..] {
        let expected = json!({"name": "outer", "fields": {"state": "running"}});
        assert_eq!(line["spans"][0], expected);
    }
    assert_eq!(lines[1]["spans"][2]["name"], "innermost");
}

#[test]
fn a_span_entered_again_between_others_is_told_apart() {
    let lines = lines_of(|| {
        let (a, b) = (
            tracing::info_span!("s", n = 1),
            tracing::info_span!("s", n = 2),
        );
        for span in [&a, &b, &a] {
            span.in_scope(|| tracing::info!("here"));
        }
        drop((a, b));
        // Their slots in the registry, and perhaps their memory, are used again.
        tracing::info_span!("s", n = 3).in_scope(|| tracing::info!("here"));
    });
    let numbers: Vec<_> = lines
        .iter()
        .map(|line| line["spans"][0]["fields"]["n"].clone())
        .collect();
    assert_eq!(json!(numbers), json!([1, 2, 1, 3]));
}

#[test]
fn a_span_field_named_twice_is_kept_twice() {
    let line = line_of(|| {
        tracing::info_span!("s", a = 1, a = 2, a_2 = 3).in_scope(|| tracing::info!("x"));
    });
    let expected = json!({"a": 1, "a_2": 2, "a_2_2": 3});
    assert_eq!(line["spans"][0]["fields"], expected);
}

#[test]
fn a_span_is_followed_to_another_thread() {
    let line = line_of(|| {
        let span = tracing::info_span!("moved", n = 1);
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    span.in_scope(|| tracing::info!("over there"));
                });
            });
        });
    });
    assert_eq!(
        line["spans"],
        json!([{"name": "moved", "fields": {"n": 1}}])
    );
}

#[test]
fn all_text_of_a_span_stays_within_the_limit() {
    let long = "z".repeat(60_000);
    let line = line_of(|| {
        let span = tracing::info_span!(
            "s",
            a = Empty,
            b = Empty,
            c = Empty,
            d = Empty,
            e = Empty,
            f = Empty
        );
        for name in ["a", "b", "c", "d", "e", "f", "a"] {
            span.record(name, &long);
        }
        span.in_scope(|| tracing::info!("x"));
    });
    let fields = line["spans"][0]["fields"].as_object().expect("an object");
    let bytes: usize = fields
        .values()
        .filter_map(Value::as_str)
        .map(str::len)
        .sum();
    assert!(bytes < MAX_TEXT_BYTES + 1_000, "{bytes} bytes");
    assert_eq!(fields["f"], "…[cut, 60000 bytes in all]");
}

#[test]
fn a_field_called_message_is_an_ordinary_field_of_a_span() {
    let line = line_of(|| {
        tracing::info_span!("s", message = "own", n = 1).in_scope(|| tracing::info!("text"));
    });
    let expected = json!([{"name": "s", "fields": {"message": "own", "n": 1}}]);
    assert_eq!(line["spans"], expected);
    assert_eq!(line["message"], "text");
}

#[test]
fn two_subscribers_on_one_thread_keep_their_spans_apart() {
    let (first, second) = (MemorySink::new(), MemorySink::new());
    let outer = dispatch_to(Numbered::new(first.clone()));
    let inner = dispatch_to(Numbered::new(second.clone()));
    tracing::dispatcher::with_default(&outer, || {
        let _span = tracing::info_span!("outer").entered();
        tracing::dispatcher::with_default(&inner, || {
            tracing::info!("in no span of this subscriber");
            let _span = tracing::info_span!("inner").entered();
            tracing::info!("inside");
        });
        tracing::info!("inside");
    });
    let texts = |memory: &MemorySink| memory.texts().join("\n").replace("INFO core::spans: ", "");
    assert_eq!(texts(&first), "inside in outer");
    assert_eq!(
        texts(&second),
        "in no span of this subscriber\ninside in inner"
    );
}

#[test]
fn behind_a_filter_of_its_own_the_innermost_span_that_it_lets_through_counts() {
    let memory = MemorySink::new();
    let capture = Capture::new(
        Identity::new(uuid::Uuid::new_v4()),
        Numbered::new(memory.clone()),
    );
    let subscriber = tracing_subscriber::registry().with(capture.with_filter(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || {
        let _outer = tracing::info_span!("outer").entered();
        let _inner = tracing::debug_span!("too quiet").entered();
        tracing::info!("inside");
    });
    assert!(memory.texts()[0].ends_with("inside in outer"));
}

#[test]
fn a_span_in_the_place_of_another_is_told_apart() {
    let memory = MemorySink::new();
    captured_by(Numbered::new(memory.clone()), || {
        // The registry gives the place of a span that closed to the next one.
        for number in 0..1_000 {
            tracing::info_span!("job", number).in_scope(|| tracing::info!("inside"));
        }
    });
    for (number, text) in memory.texts().iter().enumerate() {
        let end = format!("inside in job{{number={number}}}");
        assert!(text.ends_with(&end), "{text}");
    }
}
