//! A log line as a record of the collection.
//!
//! # The mapping
//! | field of the record | from the line |
//! |---|---|
//! | `id` | made from session and number |
//! | `timestamp` | as it is; the server keeps milliseconds |
//! | `timestamp_exact` | the same as text |
//! | `message` | as it is; one space when empty, since the field is required |
//! | `fields`, `spans` | as they are, but integers beyond ±2^53 as text, since the server keeps numbers as floats; of a key that occurs twice the last stays, as for every reader of the line |
//! | `level`, `target`, `module_path`, `file`, `line`, `daemon_id`, `session_id`, `seq` | as they are |
//!
//! Values are copied as JSON, not parsed and written again: this runs for every
//! record.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::limits::Limits;
use crate::id::RecordId;

/// The greatest integer that a float keeps exactly.
const MAX_EXACT: u64 = 1 << 53;

/// Digits of the greatest integer that is certainly exact.
const EXACT_DIGITS: usize = 15;

/// Keys that are open at once in a usual record.
const USUAL_KEYS: usize = 8;

/// A log line, cut at its top level.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    level: &'a RawValue,
    #[serde(borrow)]
    target: &'a RawValue,
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    fields: &'a RawValue,
    #[serde(borrow)]
    spans: Option<&'a RawValue>,
    #[serde(borrow)]
    module_path: Option<&'a RawValue>,
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    line: Option<&'a RawValue>,
    #[serde(borrow)]
    daemon_id: &'a RawValue,
    #[serde(borrow)]
    session_id: &'a RawValue,
    #[serde(borrow)]
    seq: &'a RawValue,
}

/// Appends the record for `line` as a JSON object, its values cut to `limits`.
///
/// # Errors
/// The line is none of ours: the reason. `out` is as it was.
pub(crate) fn write_row(
    out: &mut Vec<u8>,
    id: RecordId,
    line: &str,
    limits: &Limits,
) -> Result<(), String> {
    let line: Line<'_> =
        serde_json::from_str(line).map_err(|error| format!("not a log line: {error}"))?;
    out.extend_from_slice(b"{\"id\":\"");
    out.extend_from_slice(id.as_str().as_bytes());
    out.push(b'"');
    let mut out = Row { out, limits };
    out.put("timestamp", line.timestamp.get());
    out.put("timestamp_exact", line.timestamp.get());
    out.put("level", line.level.get());
    out.put("target", line.target.get());
    out.put("message", or_space(line.message.get()));
    out.put_exact("fields", line.fields.get());
    if let Some(spans) = line.spans {
        out.put_exact("spans", spans.get());
    }
    let optional = [
        ("module_path", line.module_path),
        ("file", line.file),
        ("line", line.line),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            out.put(name, value.get());
        }
    }
    out.put("daemon_id", line.daemon_id.get());
    out.put("session_id", line.session_id.get());
    out.put("seq", line.seq.get());
    out.out.push(b'}');
    Ok(())
}

fn or_space(message: &str) -> &str {
    if message == "\"\"" { "\" \"" } else { message }
}

/// A record that is being written.
struct Row<'a> {
    out: &'a mut Vec<u8>,
    limits: &'a Limits,
}

impl Row<'_> {
    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn put(&mut self, name: &str, json: &str) {
        self.name(name);
        match self.limits.fit(name, json) {
            Some(cut) => self.out.extend_from_slice(cut.as_bytes()),
            None => self.out.extend_from_slice(json.as_bytes()),
        }
    }

    /// Puts a value whose numbers survive floats and whose keys are unique.
    fn put_exact(&mut self, name: &str, json: &str) {
        self.name(name);
        let start = self.out.len();
        if copy_exact(self.out, json.as_bytes()).is_err() {
            self.out.truncate(start);
            self.out.extend_from_slice(rewritten(json).as_bytes());
        }
        if self.limits.is_empty() {
            return;
        }
        let written = std::str::from_utf8(&self.out[start..]).unwrap_or_default();
        if let Some(cut) = self.limits.fit(name, written) {
            self.out.truncate(start);
            self.out.extend_from_slice(cut.as_bytes());
        }
    }
}

/// A key occurs twice in one object.
struct DuplicateKey;

/// Copies valid JSON token by token.
fn copy_exact(out: &mut Vec<u8>, json: &[u8]) -> Result<(), DuplicateKey> {
    // Keys of the objects that are open, with their depth.
    let mut keys: Vec<(usize, &[u8])> = Vec::with_capacity(USUAL_KEYS);
    let mut depth = 0;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        let end = match byte {
            b'"' => string_end(json, at),
            b'-' | b'0'..=b'9' => number_end(json, at),
            _ => at + 1,
        };
        let token = &json[at..end];
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                keys.retain(|&(of, _)| of < depth);
                depth -= 1;
            }
            b'"' if json.get(end) == Some(&b':') => {
                if keys.contains(&(depth, token)) {
                    return Err(DuplicateKey);
                }
                keys.push((depth, token));
            }
            _ => {}
        }
        if is_inexact(token) {
            out.push(b'"');
            out.extend_from_slice(token);
            out.push(b'"');
        } else {
            out.extend_from_slice(token);
        }
        at = end;
    }
    Ok(())
}

/// Where the string that begins at `start` ends, behind its quote.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

fn number_end(json: &[u8], start: usize) -> usize {
    let length = json[start..]
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        .count();
    start + length
}

/// Whether a token is an integer that a float would round.
fn is_inexact(token: &[u8]) -> bool {
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    if digits.len() <= EXACT_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|d| d.parse().ok());
    number.is_none_or(|number: u64| number > MAX_EXACT)
}

/// The slow way, for what has a key twice: through a tree.
fn rewritten(json: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    make_exact(&mut value);
    value.to_string()
}

fn make_exact(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Array(items) => items.iter_mut().for_each(make_exact),
        Value::Object(entries) => entries.values_mut().for_each(make_exact),
        Value::Number(number) if is_inexact(number.to_string().as_bytes()) => {
            *value = Value::String(number.to_string());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn line(message: &str, fields: &str) -> String {
        format!(
            r#"{{"timestamp":"2026-01-02T03:04:05.678901Z","level":"INFO","target":"a::b","message":{message},"fields":{fields},"module_path":"a::b","file":"src/b.rs","line":7,"daemon_id":"d","session_id":"s","seq":3}}"#
        )
    }

    fn row(line: &str) -> Value {
        let mut out = Vec::new();
        write_row(
            &mut out,
            RecordId::of(Uuid::nil(), 3),
            line,
            &Limits::default(),
        )
        .unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn every_part_of_a_line_gets_its_field() {
        let row = row(&line(r#""he said \"hi\"""#, r#"{"n":1,"f":2.5,"b":true}"#));
        let id = RecordId::of(Uuid::nil(), 3);
        let expected = json!({
            "id": id.as_str(),
            "timestamp": "2026-01-02T03:04:05.678901Z",
            "timestamp_exact": "2026-01-02T03:04:05.678901Z",
            "level": "INFO", "target": "a::b", "message": "he said \"hi\"",
            "fields": {"n": 1, "f": 2.5, "b": true},
            "module_path": "a::b", "file": "src/b.rs", "line": 7,
            "daemon_id": "d", "session_id": "s", "seq": 3,
        });
        assert_eq!(row, expected);
    }

    #[test]
    fn empty_message_becomes_a_space() {
        assert_eq!(row(&line(r#""""#, "{}"))["message"], " ");
    }

    #[test]
    fn integers_that_a_float_would_round_become_text() {
        let fields = r#"{"max":18446744073709551615,"min":-9223372036854775808,"edge":9007199254740992,"over":9007199254740993,"text":"18446744073709551615","float":1.8446744073709552e19}"#;
        assert_eq!(
            row(&line(r#""m""#, fields))["fields"],
            json!({
                "max": "18446744073709551615", "min": "-9223372036854775808",
                "edge": 9_007_199_254_740_992_u64, "over": "9007199254740993",
                "text": "18446744073709551615", "float": 1.844_674_407_370_955_2e19,
            })
        );
    }

    #[test]
    fn of_a_key_that_occurs_twice_the_last_value_stays() {
        let fields = r#"{"a":1,"b":{"a":2},"a":18446744073709551615}"#;
        let mut out = Vec::new();
        write_row(
            &mut out,
            RecordId::of(Uuid::nil(), 3),
            &line(r#""m""#, fields),
            &Limits::default(),
        )
        .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains(r#""fields":{"a":"18446744073709551615","b":{"a":2}}"#),
            "{text}"
        );
    }

    #[test]
    fn the_same_key_in_different_objects_is_no_duplicate() {
        let spans = r#"[{"name":"x","fields":{"name":"{\"}"}},{"name":"y","fields":{}}]"#;
        let line = line(r#""m""#, "{}").replace(
            r#""module_path""#,
            &format!(r#""spans":{spans},"module_path""#),
        );
        let expected: Value = serde_json::from_str(spans).unwrap();
        let row = row(&line);
        assert_eq!(row["spans"], expected);
        // The fast way keeps the order of keys, the slow way sorts them.
        let mut out = Vec::new();
        assert!(copy_exact(&mut out, spans.as_bytes()).is_ok());
        assert_eq!(out, spans.as_bytes());
    }

    #[test]
    fn what_is_no_log_line_is_refused_and_leaves_nothing() {
        let mut out = b"before".to_vec();
        for wrong in ["", "{}", "not json", r#"{"timestamp":"t","timestamp":"t"}"#] {
            let reason = write_row(
                &mut out,
                RecordId::of(Uuid::nil(), 1),
                wrong,
                &Limits::default(),
            )
            .unwrap_err();
            assert!(reason.starts_with("not a log line"), "{reason}");
        }
        assert_eq!(out, b"before");
    }
}
