//! Property: whatever an event holds, it gives one valid line that says the same.

use proptest::prelude::*;
use serde_json::Value;

use crate::support::{parse, raw_lines_of};

/// The number as it stands in the line; serde_json would round it.
fn float_in(line: &str) -> f64 {
    let (_, rest) = line.split_once(r#""float":"#).expect("the field");
    let end = rest.find([',', '}']).expect("an end");
    rest[..end].parse().expect("a number")
}

proptest! {
    #[test]
    fn any_event_is_one_valid_line_that_says_the_same(
        text: String,
        message in "\\PC{0,40}|[\\x00-\\x1f\"\\\\]{0,40}|(?s).{0,400}",
        signed: i64,
        unsigned: u64,
        wide: i128,
        flag: bool,
        float in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        in_span: bool,
    ) {
        let span = |value: &str| tracing::info_span!("outer", value).entered();
        let lines = raw_lines_of(|| {
            let _inside = in_span.then(|| span(&text));
            tracing::info!(
                text, signed, unsigned, wide, flag, float, bytes = &bytes[..], debug = ?text, "{message}"
            );
        });
        prop_assert_eq!(lines.len(), 1);
        let line = parse(&lines[0]);
        let fields = &line["fields"];
        prop_assert_eq!(&line["message"], &Value::from(message));
        prop_assert_eq!(&fields["text"], &Value::from(text.as_str()));
        prop_assert_eq!(&fields["signed"], &Value::from(signed));
        prop_assert_eq!(&fields["unsigned"], &Value::from(unsigned));
        prop_assert_eq!(&fields["wide"], &Value::from(wide.to_string()));
        prop_assert_eq!(&fields["flag"], &Value::from(flag));
        prop_assert_eq!(float_in(&lines[0]).to_bits(), float.to_bits());
        prop_assert_eq!(&fields["debug"], &Value::from(format!("{text:?}")));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = String::from_utf8(bytes).unwrap_or(hex);
        prop_assert_eq!(&fields["bytes"], &Value::from(expected));
        prop_assert_eq!(line.get("spans").is_some(), in_span);
        if in_span {
            prop_assert_eq!(&line["spans"][0]["fields"]["value"], &Value::from(text));
        }
    }
}
