//! Which lines are wanted, and whether a line is one of them.

use std::borrow::Cow;

use jiff::Timestamp;
use memchr::memmem::Finder;
use regex::bytes::Regex;
use serde_json::Value;
use tracing::Level;

use crate::line::{self, Head};

/// What a reader of the log looks for; everything by default.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Records from this moment on.
    pub since: Option<Timestamp>,
    /// Records up to this moment, inclusive.
    pub until: Option<Timestamp>,
    /// Records at least as severe as this: `INFO` stands for INFO, WARN and
    /// ERROR.
    pub level: Option<Level>,
    /// Records whose target begins with this text.
    pub target: Option<String>,
    /// Records in which each of these fields has this value, in the record or
    /// in a span around it. Numbers and booleans are compared as they are
    /// written in the file.
    pub fields: Vec<(String, String)>,
    /// Lines that this matches, as they stand in the file.
    pub grep: Option<Regex>,
    /// Only so many: the last ones.
    pub last: Option<u64>,
}

impl Query {
    /// True when a line has to be a record to be wanted.
    fn asks_for_records(&self) -> bool {
        let times = self.since.or(self.until).is_some();
        times || self.level.is_some() || self.target.is_some() || !self.fields.is_empty()
    }
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A record that is wanted, with its time if it has one.
    Record(Option<u64>),
    /// No record, but nothing is asked for that only a record has.
    Text,
    /// Not wanted.
    No,
    /// No record, so that it cannot be told.
    Unclear,
}

/// A query in the terms of lines.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    since: u64,
    until: u64,
    has_times: bool,
    level: Level,
    target: String,
    fields: Vec<Field>,
    grep: Option<Regex>,
    asks_for_records: bool,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    value: String,
    /// Finds `"name":`, as it stands in a line that has the field.
    key: Finder<'static>,
}

impl Field {
    fn new(name: &str, value: &str) -> Self {
        let key = format!("{}:", Value::from(name));
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            key: Finder::new(&key).into_owned(),
        }
    }

    /// False when a line without parsing it is known not to have the value.
    fn may_be_in(&self, line: &[u8]) -> bool {
        let keys = self.key.find_iter(line);
        let after = |at: usize| &line[at + self.key.needle().len()..];
        keys.map(after).any(|value| self.may_be(value))
    }

    /// Looks at a value as it stands in a line, with what follows.
    fn may_be(&self, value: &[u8]) -> bool {
        const MAX_DIGITS: usize = 18;
        match value {
            [b'"', text @ ..] => {
                let end = memchr::memchr2(b'"', b'\\', text);
                // Escapes take a parser.
                end.is_none_or(|end| text[end] == b'\\' || text[..end] == *self.value.as_bytes())
            }
            [b'1'..=b'9' | b't' | b'f', ..] => {
                let end = value.iter().position(|byte| !byte.is_ascii_alphanumeric());
                let word = &value[..end.unwrap_or(value.len())];
                let is_whole = matches!(value.get(word.len()), Some(b',' | b'}'));
                // Exponents, fractions and very large numbers take a parser.
                let is_plain = is_whole && word.len() <= MAX_DIGITS;
                !is_plain || is_exponent(word) || *word == *self.value.as_bytes()
            }
            _ => true,
        }
    }
}

fn is_exponent(word: &[u8]) -> bool {
    word[0].is_ascii_digit() && word.iter().any(u8::is_ascii_alphabetic)
}

impl Filter {
    pub(crate) fn new(query: &Query) -> Self {
        let nanos = |time: Timestamp| u64::try_from(time.as_nanosecond()).unwrap_or(0);
        let field = |(name, value): &(String, String)| Field::new(name, value);
        Self {
            since: query.since.map_or(0, nanos),
            until: query.until.map_or(u64::MAX, nanos),
            has_times: query.since.or(query.until).is_some(),
            level: query.level.unwrap_or(Level::TRACE),
            target: query.target.clone().unwrap_or_default(),
            fields: query.fields.iter().map(field).collect(),
            grep: query.grep.clone(),
            asks_for_records: query.asks_for_records(),
        }
    }

    /// The moments that are asked for, inclusive, in nanoseconds since 1970;
    /// `None` for all.
    pub(crate) fn times(&self) -> Option<(u64, u64)> {
        self.has_times.then_some((self.since, self.until))
    }

    /// What becomes of a line, given without its end.
    pub(crate) fn judge(&self, line: &[u8]) -> Verdict {
        if line.is_empty() {
            return Verdict::No;
        }
        if let Some(head) = Head::of_json(line) {
            return self.judge_by_head(line, head);
        }
        if let Some(head) = Head::of_words(line) {
            return self.judge_words(line, head);
        }
        match parse(line) {
            Some(record) => self.judge_parsed(line, &record),
            None => self.judge_text(line),
        }
    }

    /// Most lines are refused here, and nothing has been parsed.
    fn judge_by_head(&self, line: &[u8], head: Head<'_>) -> Verdict {
        if !self.wants(head) || !self.matches_text(line) {
            return Verdict::No;
        }
        if self.fields.is_empty() {
            return match is_json(line) {
                true => Verdict::Record(Some(head.at)),
                false => self.judge_text(line),
            };
        }
        if !self.fields.iter().all(|field| field.may_be_in(line)) {
            return Verdict::No;
        }
        match parse(line) {
            Some(record) if self.has_fields(&record) => Verdict::Record(Some(head.at)),
            Some(_) => Verdict::No,
            None => self.judge_text(line),
        }
    }

    /// A line for people has no fields that could be told from its message.
    fn judge_words(&self, line: &[u8], head: Head<'_>) -> Verdict {
        if !self.wants(head) || !self.matches_text(line) {
            return Verdict::No;
        }
        match self.fields.is_empty() && std::str::from_utf8(line).is_ok() {
            true => Verdict::Text,
            false => Verdict::Unclear,
        }
    }

    /// A record with keys in another order, or of another program.
    fn judge_parsed(&self, line: &[u8], record: &Value) -> Verdict {
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let at = text("timestamp").and_then(|time| line::nanos_of(time.as_bytes()));
        let level = text("level").and_then(|level| line::level_of(level.as_bytes()));
        let is_told = |asked: bool, told: bool| !asked || told;
        let is_clear = is_told(self.has_times, at.is_some())
            && is_told(self.level != Level::TRACE, level.is_some())
            && is_told(!self.target.is_empty(), text("target").is_some());
        if !is_clear {
            return self.judge_text(line);
        }
        let head = Head {
            at: at.unwrap_or(self.since),
            level: level.unwrap_or(self.level),
            target: text("target").unwrap_or_default().as_bytes(),
        };
        match self.wants(head) && self.matches_text(line) && self.has_fields(record) {
            true => Verdict::Record(at),
            false => Verdict::No,
        }
    }

    fn judge_text(&self, line: &[u8]) -> Verdict {
        if self.asks_for_records {
            return Verdict::Unclear;
        }
        match self.matches_text(line) {
            true => Verdict::Text,
            false => Verdict::No,
        }
    }

    fn wants(&self, head: Head<'_>) -> bool {
        // The more severe, the smaller.
        (self.since..=self.until).contains(&head.at)
            && head.level <= self.level
            && head.target.starts_with(self.target.as_bytes())
    }

    fn matches_text(&self, line: &[u8]) -> bool {
        self.grep.as_ref().is_none_or(|grep| grep.is_match(line))
    }

    fn has_fields(&self, record: &Value) -> bool {
        self.fields.iter().all(|field| {
            let is_it = |holder: &Value| {
                let value = holder.get("fields").and_then(|all| all.get(&field.name));
                value.is_some_and(|value| is_written(value, &field.value))
            };
            let spans = record.get("spans").and_then(Value::as_array);
            is_it(record) || spans.is_some_and(|spans| spans.iter().any(is_it))
        })
    }
}

/// True when a value is written like this: text without its quotes.
fn is_written(value: &Value, text: &str) -> bool {
    let written = match value {
        Value::String(value) => Cow::Borrowed(value.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    written == text
}

/// A JSON object; numbers within it keep their digits only as far as JSON
/// libraries do, which is far enough to compare with what somebody types.
fn parse(line: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(line).ok()?;
    value.is_object().then_some(value)
}

/// True for a whole JSON value in UTF-8, without keeping any of it.
fn is_json(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else {
        return false;
    };
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"timestamp":"2026-11-23T12:00:00.5Z","level":"WARN","target":"app::job","message":"slow disk","fields":{"job_id":"docs","bytes":12,"ok":true,"note":"a \"b\""},"spans":[{"name":"job","fields":{"run":7}}]}"#;

    fn judge(query: Query, line: &str) -> Verdict {
        Filter::new(&query).judge(line.as_bytes())
    }

    fn wants(query: Query) -> bool {
        // The same record with keys in another order takes the other path.
        let reordered = LINE
            .replace(r#""level":"WARN","#, "")
            .replace(r#""message""#, r#""level":"WARN","message""#);
        let verdicts = [LINE, &reordered].map(|line| judge(query.clone(), line));
        assert_eq!(verdicts[0], verdicts[1], "{query:?}");
        assert!(!matches!(verdicts[0], Verdict::Text | Verdict::Unclear));
        verdicts[0] != Verdict::No
    }

    fn time(text: &str) -> Option<Timestamp> {
        Some(text.parse().expect("a time"))
    }

    fn field(name: &str, value: &str) -> Query {
        Query {
            fields: vec![(name.to_owned(), value.to_owned())],
            ..Query::default()
        }
    }

    #[test]
    fn times_are_inclusive() {
        let since = |text| Query {
            since: time(text),
            ..Query::default()
        };
        let until = |text| Query {
            until: time(text),
            ..Query::default()
        };
        assert!(wants(since("2026-11-23T12:00:00.5Z")));
        assert!(!wants(since("2026-11-23T12:00:00.500000001Z")));
        assert!(wants(until("2026-11-23T12:00:00.5Z")));
        assert!(!wants(until("2026-11-23T12:00:00.499999999Z")));
    }

    #[test]
    fn a_level_stands_for_all_that_is_as_severe() {
        let level = |level| Query {
            level: Some(level),
            ..Query::default()
        };
        assert!(wants(level(Level::TRACE)));
        assert!(wants(level(Level::WARN)));
        assert!(!wants(level(Level::ERROR)));
    }

    #[test]
    fn a_target_is_a_prefix() {
        let target = |target: &str| Query {
            target: Some(target.to_owned()),
            ..Query::default()
        };
        assert!(wants(target("app")));
        assert!(wants(target("app::job")));
        assert!(!wants(target("job")));
    }

    #[test]
    fn fields_are_those_of_the_record_and_of_its_spans() {
        for (name, value) in [
            ("job_id", "docs"),
            ("bytes", "12"),
            ("ok", "true"),
            ("note", "a \"b\""),
            ("run", "7"),
        ] {
            assert!(wants(field(name, value)), "{name}={value}");
            assert!(!wants(field(name, "other")), "{name}");
        }
        assert!(!wants(field("level", "WARN")), "no field");
        let mut both = field("job_id", "docs");
        both.fields.push(("run".to_owned(), "8".to_owned()));
        assert!(!wants(both), "each of them");
    }

    #[test]
    fn a_value_is_found_however_it_is_written() {
        for (written, value) in [
            ("12", "12"),
            ("-12", "-12"),
            ("0", "0"),
            ("-0", "-0.0"),
            ("0.5", "0.5"),
            ("1e3", "1000.0"),
            ("1E3", "1000.0"),
            ("1.50", "1.5"),
            ("18446744073709551615", "18446744073709551615"),
            ("true", "true"),
            ("null", "null"),
            ("\"\"", ""),
            ("\"\\u0061\"", "a"),
            ("\"a\\\"b\"", "a\"b"),
            ("[1,2]", "[1,2]"),
            (" 7", "7"),
        ] {
            for line in [
                LINE.replace(r#""bytes":12"#, &format!(r#""bytes":{written}"#)),
                LINE.replace(r#""run":7"#, &format!(r#""bytes":{written}"#))
                    .replace(r#""bytes":12,"#, ""),
            ] {
                let found = judge(field("bytes", value), &line);
                assert!(matches!(found, Verdict::Record(_)), "{value} in {line}");
                assert_eq!(judge(field("bytes", "other"), &line), Verdict::No, "{line}");
                assert_eq!(judge(field("bytes", "1"), &line), Verdict::No, "{line}");
            }
        }
        // In the message it is no field.
        let line = LINE.replace("slow disk", r#"\"bytes\":99"#);
        assert_eq!(judge(field("bytes", "99"), &line), Verdict::No);
    }

    #[test]
    fn a_pattern_is_looked_for_in_the_whole_line() {
        let grep = |pattern: &str| Query {
            grep: Some(Regex::new(pattern).expect("a pattern")),
            ..Query::default()
        };
        assert!(wants(grep("sl.w")));
        assert!(wants(grep(r#""bytes":12"#)));
        assert!(!wants(grep("^slow")));
    }

    #[test]
    fn lines_that_are_no_records_are_shown_unless_more_is_asked() {
        let asks = Query {
            level: Some(Level::ERROR),
            ..Query::default()
        };
        for line in [
            "plain text",
            "{\"timestamp\":\"20",
            "12",
            &LINE[..LINE.len() - 2],
        ] {
            assert_eq!(judge(Query::default(), line), Verdict::Text, "{line}");
        }
        assert_eq!(judge(asks.clone(), "plain text"), Verdict::Unclear);
        let cut = LINE.replace("WARN", "ERROR");
        assert_eq!(judge(asks, &cut[..cut.len() - 2]), Verdict::Unclear);
        assert_eq!(judge(Query::default(), ""), Verdict::No);
    }

    #[test]
    fn lines_for_people_have_time_level_and_target() {
        let line = "2026-11-23T12:00:00.500000Z  WARN app::job: slow disk bytes=12";
        let level = |level| Query {
            level: Some(level),
            ..Query::default()
        };
        assert_eq!(judge(level(Level::WARN), line), Verdict::Text);
        assert_eq!(judge(level(Level::ERROR), line), Verdict::No);
        assert_eq!(judge(field("bytes", "12"), line), Verdict::Unclear);
    }

    #[test]
    fn other_json_is_a_record_as_far_as_it_tells() {
        let line = r#"{"level":"ERROR","a":1}"#;
        assert_eq!(judge(Query::default(), line), Verdict::Record(None));
        let level = Query {
            level: Some(Level::ERROR),
            ..Query::default()
        };
        assert_eq!(judge(level.clone(), line), Verdict::Record(None));
        let timed = Query {
            since: time("2026-01-01T00:00:00Z"),
            ..level
        };
        assert_eq!(judge(timed, line), Verdict::Unclear);
    }
}
