//! The JSON line: its keys, their order, and names that could break it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use telemetry_core::{Capture, Identity, MemorySink, Numbered};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{keys_in_order, line_of, lines_of, parse, raw_line_of};

#[test]
fn keys_come_in_the_order_of_the_contract() {
    let outside = raw_line_of(|| tracing::info!(a = 1, "text"));
    let inside = raw_line_of(|| tracing::info_span!("s").in_scope(|| tracing::info!("text")));
    let mut expected = vec![
        "timestamp",
        "level",
        "target",
        "message",
        "fields",
        "spans",
        "module_path",
        "file",
        "line",
        "daemon_id",
        "session_id",
        "seq",
    ];
    assert_eq!(keys_in_order(&inside), expected);
    expected.retain(|key| *key != "spans");
    assert_eq!(keys_in_order(&outside), expected);
}

#[test]
fn a_line_says_who_what_and_where() {
    let identity = Identity::new(uuid::Uuid::new_v4());
    let memory = MemorySink::new();
    let capture = Capture::new(identity, Numbered::new(memory.clone()));
    let subscriber = tracing_subscriber::registry().with(capture);
    let here = tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(target: "own::target", n = 1, "text");
        line!() - 1
    });
    let line = parse(&memory.lines()[0]);
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["target"], "own::target");
    assert_eq!(line["message"], "text");
    assert_eq!(line["module_path"], module_path!());
    assert_eq!(line["file"], file!());
    assert_eq!(line["line"], here);
    assert_eq!(line["daemon_id"], identity.daemon_id().to_string());
    assert_eq!(line["session_id"], identity.session_id().to_string());
    assert_eq!(line["seq"], 1);
}

#[test]
fn the_time_is_utc_in_microseconds_and_now() {
    let micros = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_micros()
    };
    let before = micros();
    let line = line_of(|| tracing::info!("now"));
    let after = micros();
    let text = line["timestamp"].as_str().expect("text");
    assert_eq!(text.len(), "2024-01-01T12:00:00.000000Z".len());
    let time: jiff::Timestamp = text.parse().expect("RFC 3339");
    let time = u128::try_from(time.as_microsecond()).expect("after 1970");
    assert!((before..=after).contains(&time), "{before} {time} {after}");
}

#[test]
fn numbers_count_from_one() {
    let lines = lines_of(|| (0..5).for_each(|n| tracing::info!(n)));
    let seqs: Vec<_> = lines.iter().map(|line| line["seq"].clone()).collect();
    assert_eq!(json!(seqs), json!([1, 2, 3, 4, 5]));
}

#[test]
fn fields_named_like_keys_of_the_line_do_not_break_it() {
    let line = line_of(|| {
        tracing::info!(
            level = "none",
            timestamp = 3,
            seq = "x",
            target = true,
            fields = 1.5,
            "the message"
        );
    });
    assert_eq!(line["message"], "the message");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["seq"], 1);
    let expected =
        json!({"level": "none", "timestamp": 3, "seq": "x", "target": true, "fields": 1.5});
    assert_eq!(line["fields"], expected);
}

#[test]
fn a_field_called_message_is_the_message_when_there_is_no_other() {
    let line = line_of(|| tracing::info!(message = 42, other = 1));
    assert_eq!(line["message"], "42");
    assert_eq!(line["fields"], json!({"other": 1}));
    let line = line_of(|| tracing::info!(message = true, "the text"));
    assert_eq!(line["message"], "the text");
    assert_eq!(line["fields"], json!({"message_2": true}));
}

#[test]
fn an_event_without_a_message_has_an_empty_one() {
    let line = line_of(|| tracing::info!(a = 1));
    assert_eq!(line["message"], "");
}

#[test]
fn a_field_named_twice_is_kept_twice() {
    let line = line_of(|| tracing::info!(a = 1, a = "two", a_2 = 3));
    assert_eq!(line["fields"], json!({"a": 1, "a_2": "two", "a_2_2": 3}));
}

#[test]
fn names_are_escaped_like_text() {
    let line = line_of(|| tracing::info!("quote\"\n" = 1, r#type = "raw", dotted.name = 2));
    let expected = json!({"quote\"\n": 1, "type": "raw", "dotted.name": 2});
    assert_eq!(line["fields"], expected);
}

#[test]
fn hostile_text_stays_text() {
    let hostile =
        "\" , \"level\":\"FAKE\" \\ \u{0}\u{1}\u{7f}\u{9b}\r\n\t\x1b[31mred\u{2028}\u{fffd}";
    let line = line_of(|| {
        tracing::info_span!("s", hostile).in_scope(|| tracing::info!(hostile, "{hostile}"));
    });
    assert_eq!(line["message"], hostile);
    assert_eq!(line["fields"]["hostile"], hostile);
    assert_eq!(line["spans"][0]["fields"]["hostile"], hostile);
    assert_eq!(line["level"], "INFO");
}

#[cfg(unix)]
#[test]
fn a_file_name_that_is_no_unicode_gives_a_valid_line() {
    use std::os::unix::ffi::OsStrExt as _;

    // Among them what would be a lone surrogate.
    let name = std::ffi::OsStr::from_bytes(b"a\xff\xed\xa0\x80\"\n");
    let path = std::path::Path::new(name);
    let line = line_of(|| tracing::info!(debug = ?path, display = %path.display(), "{path:?}"));
    assert_eq!(line["fields"]["display"], path.display().to_string());
    assert_eq!(line["fields"]["debug"], format!("{path:?}"));
    assert_eq!(line["message"], format!("{path:?}"));
}

#[test]
fn what_dumps_request_heads_is_shut_out_below_info() {
    let lines = lines_of(|| {
        tracing::trace!(target: "ureq", "head");
        tracing::debug!(target: "ureq_proto::client", "head");
        tracing::debug!(target: "rustls::client::hs", "head");
        tracing::trace!(target: "hyper::proto::h1", "head");
        tracing::info!(target: "hyper", "kept: not below INFO");
        tracing::debug!(target: "hyperspace", "kept: another crate");
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line["message"] != "head"));
}
