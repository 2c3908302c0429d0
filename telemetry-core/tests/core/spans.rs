//! Spans: order, fields recorded later, and what an event saw stays as it was.

use serde_json::{Value, json};
use telemetry_core::MAX_TEXT_BYTES;
use tracing::field::Empty;

use crate::support::{line_of, lines_of};

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
