//! Every kind of value reaches the line with its type.

use std::error::Error;
use std::fmt;

use serde_json::json;
use telemetry_core::{MAX_TEXT_BYTES, MAX_VALUE_BYTES};

use crate::support::{line_of, raw_line_of};

#[test]
fn integers_keep_sign_and_range() {
    let line = line_of(|| {
        tracing::info!(
            low = i64::MIN,
            high = u64::MAX,
            small = -1i8,
            size = 7usize,
            zero = 0
        );
    });
    let expected = json!({"low": i64::MIN, "high": u64::MAX, "small": -1, "size": 7, "zero": 0});
    assert_eq!(line["fields"], expected);
}

#[test]
fn big_integers_are_text() {
    let line = line_of(|| tracing::info!(low = i128::MIN, high = u128::MAX));
    assert_eq!(line["fields"]["low"], i128::MIN.to_string());
    assert_eq!(line["fields"]["high"], u128::MAX.to_string());
}

#[test]
fn floats_are_numbers_and_non_finite_ones_are_text() {
    let line = line_of(|| {
        tracing::info!(
            half = 0.5f64,
            whole = 100.0f64,
            tiny = f64::MIN_POSITIVE,
            minus_zero = -0.0f64,
            nan = f64::NAN,
            up = f64::INFINITY,
            down = f64::NEG_INFINITY,
        );
    });
    let fields = &line["fields"];
    assert_eq!(fields["half"], 0.5);
    assert!(fields["whole"].is_f64(), "a whole float stays a float");
    assert_eq!(fields["tiny"], f64::MIN_POSITIVE);
    assert!(
        fields["minus_zero"]
            .as_f64()
            .is_some_and(f64::is_sign_negative)
    );
    assert_eq!(fields["nan"], "NaN");
    assert_eq!(fields["up"], "inf");
    assert_eq!(fields["down"], "-inf");
}

#[test]
fn booleans_strings_debug_and_display_keep_their_form() {
    let line = line_of(|| {
        tracing::info!(
            yes = true,
            no = false,
            text = "as it is",
            debug = ?Some("quoted"),
            display = %"plain",
            missing = Option::<u64>::None,
            present = Some(3u64),
        );
    });
    let expected = json!({
        "yes": true, "no": false, "text": "as it is", "debug": "Some(\"quoted\")",
        "display": "plain", "present": 3,
    });
    assert_eq!(line["fields"], expected);
}

#[test]
fn bytes_are_text_where_they_are_utf8_and_hex_otherwise() {
    let line = line_of(|| {
        tracing::info!(text = "grün".as_bytes(), raw = &[0x00u8, 0xff, 0x7f][..]);
    });
    assert_eq!(line["fields"], json!({"text": "grün", "raw": "00ff7f"}));
}

#[test]
fn an_error_brings_its_whole_source_chain() {
    let cause = Failure("disk is on fire", None);
    let error = Failure("cannot write", Some(Box::new(cause)));
    let error = Failure("sync failed", Some(Box::new(error)));
    let error: &dyn Error = &error;
    let line = line_of(|| tracing::error!(error, "no luck"));
    let chain = "sync failed: cannot write: disk is on fire";
    assert_eq!(line["fields"]["error"], chain);
}

#[derive(Debug)]
struct Failure(&'static str, Option<Box<Failure>>);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn a_value_that_cannot_be_formatted_says_so() {
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("begun ")?;
            Err(fmt::Error)
        }
    }
    let line = line_of(|| tracing::info!(broken = ?Broken, after = 1));
    let expected = json!({"broken": "begun [its formatting failed]", "after": 1});
    assert_eq!(line["fields"], expected);
}

#[test]
fn a_value_that_panics_leaves_the_thread_able_to_log() {
    struct Bomb;
    impl fmt::Debug for Bomb {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("on purpose")
        }
    }
    let line = line_of(|| {
        for _ in 0..10 {
            let caught = std::panic::catch_unwind(|| tracing::info!(bomb = ?Bomb));
            assert!(caught.is_err(), "the panic of a value is the caller's");
        }
        tracing::info!("still here");
    });
    assert_eq!(line["message"], "still here");
}

#[test]
fn a_megabyte_of_message_is_cut_at_the_limit_and_marked() {
    let long = "x".repeat(1 << 20);
    let line = line_of(|| tracing::info!(after = 1, "{long}"));
    let message = line["message"].as_str().expect("text");
    let (kept, mark) = message.split_at(MAX_VALUE_BYTES);
    assert!(kept.bytes().all(|byte| byte == b'x'));
    assert_eq!(mark, "…[cut, 1048576 bytes in all]");
    assert_eq!(line["fields"]["after"], 1);
}

#[test]
fn a_cut_never_splits_a_character() {
    let long = format!("x{}", "ü".repeat(MAX_VALUE_BYTES));
    let line = line_of(|| tracing::info!(long));
    let value = line["fields"]["long"].as_str().expect("text");
    // The limit falls into the middle of an ü, which goes as a whole.
    assert!(value.starts_with(&long[..MAX_VALUE_BYTES - 1]));
    let mark = format!("ü…[cut, {} bytes in all]", long.len());
    assert!(value.ends_with(&mark), "{}", &value[value.len() - 60..]);
}

#[test]
fn many_long_values_share_the_limit_of_the_event() {
    let long = "y".repeat(MAX_VALUE_BYTES);
    let line = raw_line_of(|| {
        tracing::info!(
            a = long,
            b = long,
            c = long,
            d = long,
            e = long,
            f = long,
            g = 1,
            "short"
        );
    });
    assert!(line.len() < MAX_TEXT_BYTES + 1_000, "{} bytes", line.len());
    let line = crate::support::parse(&line);
    assert_eq!(line["fields"]["c"], long);
    assert_eq!(line["fields"]["f"], "…[cut, 65536 bytes in all]");
    assert_eq!(line["fields"]["g"], 1, "a number needs no room");
}
