//! Lines of JSON, changed in place: what is no secret stays byte for byte.
//!
//! A name in JSON stands beside its value, so a typed value (`"pin": 1234`) is
//! found too, and a value is unescaped before rules look at it. Where name and
//! value are only neighbours (`["--password", "x"]`, `{"name": "password",
//! "value": "x"}`) the list or object is looked at as text besides.

use std::borrow::Cow;

use serde_json::Value as Json;
use telemetry_core::Value;

use crate::names::Verdict;
use crate::sanitizer::Sanitizer;

impl Sanitizer {
    /// A line of a log without secrets and home directories. A JSON object or
    /// list is sanitized by its names and values, all else as
    /// [text](Self::text); borrowed when there was nothing to change.
    ///
    /// Only values and names that hold something secret change: order, blanks
    /// and numbers stay as they are. A secret value that is no string becomes one.
    pub fn line<'t>(&self, line: &'t str) -> Cow<'t, str> {
        let is_json =
            line.trim_start().starts_with(['{', '[']) && serde_json::from_str::<Json>(line).is_ok();
        if !is_json || !self.is_enabled() {
            return self.text(line);
        }
        // Neighbours may change a name, which then is judged anew.
        const ROUNDS: usize = 4;
        let mut changed: Option<String> = None;
        for _ in 0..ROUNDS {
            let text = changed.as_deref().unwrap_or(line);
            let mut editor = Editor::new(self, text);
            let Some(()) = editor.value(Verdict::Plain) else {
                return self.text(line);
            };
            match editor.finish() {
                Cow::Owned(text) => changed = Some(text),
                Cow::Borrowed(_) => break,
            }
        }
        changed.map_or(Cow::Borrowed(line), Cow::Owned)
    }
}

/// Walks over valid JSON and notes changed pieces.
struct Editor<'s, 't> {
    sanitizer: &'s Sanitizer,
    text: &'t str,
    at: usize,
    out: String,
    /// Everything before is in `out`, where anything changed.
    copied: usize,
}

impl<'s, 't> Editor<'s, 't> {
    fn new(sanitizer: &'s Sanitizer, text: &'t str) -> Self {
        Self {
            sanitizer,
            text,
            at: 0,
            out: String::new(),
            copied: 0,
        }
    }

    fn finish(mut self) -> Cow<'t, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.out.push_str(&self.text[self.copied..]);
        Cow::Owned(self.out)
    }

    /// Walks over a value that stands under a name with this verdict.
    fn value(&mut self, verdict: Verdict) -> Option<()> {
        self.skip_blanks();
        match self.byte() {
            b'{' => self.group(verdict, Self::object),
            b'[' => self.group(verdict, Self::list),
            b'"' => {
                let text = self.string()?;
                let changed = self
                    .sanitizer
                    .value_judged(verdict, Value::Text(&text.content));
                self.replace(text.start, changed)
            }
            _ => self.scalar(verdict),
        }
    }

    /// A group, and what its members are to each other as neighbours.
    fn group(
        &mut self,
        verdict: Verdict,
        walk: fn(&mut Self, Verdict) -> Option<bool>,
    ) -> Option<()> {
        let start = self.at;
        let mark = (self.out.len(), self.copied);
        let pairs = walk(self, verdict)?;
        if pairs {
            self.look_at_neighbours(start, mark);
        }
        Some(())
    }

    /// Looks at the group that ends here as text, with what changed in it so far.
    fn look_at_neighbours(&mut self, start: usize, (written, copied): (usize, usize)) {
        let mut group = String::new();
        if self.copied > copied {
            // What was copied first is the text before the group.
            let before = start - copied;
            group.push_str(&self.out[written + before..]);
        }
        group.push_str(&self.text[self.copied.max(start)..self.at]);
        let Cow::Owned(changed) = self.sanitizer.text(&group) else {
            return;
        };
        if serde_json::from_str::<Json>(&changed).is_err() {
            return; // A rule for other texts took a bracket along.
        }
        self.out.truncate(written);
        self.out.push_str(&self.text[copied..start]);
        self.out.push_str(&changed);
        self.copied = self.at;
    }

    /// Walks over an object; true when one of its members may be the name of
    /// another.
    fn object(&mut self, outer: Verdict) -> Option<bool> {
        self.at += 1;
        let mut names_value = false;
        let mut is_flat = true;
        while self.next_member(b'}')? {
            let name = self.string()?;
            // As it is written, so that the line sanitized again is judged the same.
            let told = self.sanitizer.text(&name.content);
            let changed = matches!(told, Cow::Owned(_)).then(|| told.to_string());
            self.replace(name.start, changed)?;
            self.skip_blanks();
            self.at += 1; // The colon.
            self.skip_blanks();
            names_value |= is_value_name(&told);
            is_flat &= !matches!(self.byte(), b'{' | b'[');
            self.value(self.sanitizer.member_verdict(outer, &told))?;
        }
        Some(names_value && is_flat)
    }

    /// Walks over a list; true when one of its strings may name the next.
    fn list(&mut self, outer: Verdict) -> Option<bool> {
        self.at += 1;
        let mut strings = 0;
        let mut is_flat = true;
        while self.next_member(b']')? {
            strings += usize::from(self.byte() == b'"');
            is_flat &= !matches!(self.byte(), b'{' | b'[');
            self.value(outer)?;
        }
        Some(is_flat && strings > 1)
    }

    /// To the next member, or past the end of the group.
    fn next_member(&mut self, close: u8) -> Option<bool> {
        self.skip_blanks();
        if self.byte() == b',' {
            self.at += 1;
            self.skip_blanks();
        }
        if self.byte() == close {
            self.at += 1;
            return Some(false);
        }
        (self.at < self.text.len()).then_some(true)
    }

    /// A number, or a word such as `true`.
    fn scalar(&mut self, verdict: Verdict) -> Option<()> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace())
            .unwrap_or(rest.len());
        self.at += length;
        let written = &self.text[start..self.at];
        let number = written
            .parse::<u64>()
            .map(Value::U64)
            .or_else(|_| written.parse::<i64>().map(Value::I64))
            .or_else(|_| written.parse::<f64>().map(Value::F64));
        let changed = number
            .ok()
            .and_then(|value| self.sanitizer.value_judged(verdict, value));
        self.replace(start, changed)
    }

    fn string(&mut self) -> Option<Text<'t>> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut is_escaped = false;
        while *bytes.get(end)? != b'"' {
            let escape = usize::from(bytes[end] == b'\\');
            is_escaped |= escape > 0;
            end += 1 + escape;
        }
        self.at = end + 1;
        let content = if is_escaped {
            Cow::Owned(serde_json::from_str(&self.text[start..self.at]).ok()?)
        } else {
            Cow::Borrowed(&self.text[start + 1..end])
        };
        Some(Text { start, content })
    }

    /// Notes what stands in the place of the piece that ends here.
    fn replace(&mut self, start: usize, changed: Option<String>) -> Option<()> {
        let Some(changed) = changed else {
            return Some(());
        };
        self.out.push_str(&self.text[self.copied..start]);
        self.out.push_str(&serde_json::to_string(&changed).ok()?);
        self.copied = self.at;
        Some(())
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        while self.byte().is_ascii_whitespace() {
            self.at += 1;
        }
    }
}

/// A string of JSON.
struct Text<'t> {
    start: usize,
    content: Cow<'t, str>,
}

/// The member beside `"name": "password"` that holds the value; and the one that
/// tells that the others are parts of a key.
fn is_value_name(name: &str) -> bool {
    const NAMES: [&str; 5] = ["value", "val", "content", "data", "kty"];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SanitizeConfig;

    fn sanitized(line: &str) -> String {
        let sanitizer = Sanitizer::new(SanitizeConfig::default()).unwrap();
        sanitizer.line(line).into_owned()
    }

    #[test]
    fn names_and_typed_values_at_any_depth_are_looked_at() {
        for (line, expected) in [
            (
                r#"{"message":"hi","fields":{"pin": 1234, "n":1.50,"ok":true}}"#,
                r#"{"message":"hi","fields":{"pin": "[REDACTED:pin]", "n":1.50,"ok":true}}"#,
            ),
            (
                r#"{"spans":[{"name":"job","fields":{"password":"sunny day"}}]}"#,
                r#"{"spans":[{"name":"job","fields":{"password":"[REDACTED:password]"}}]}"#,
            ),
            (
                r#"{"a":{"secrets":{"db":"x1","mq":["y1","y2"]}}}"#,
                r#"{"a":{"secrets":{"db":"[REDACTED:secret]","mq":["[REDACTED:secret]","[REDACTED:secret]"]}}}"#,
            ),
            (
                r#"{"message":"a\tb password=\"x\ty\" c"}"#,
                r#"{"message":"a\tb password=\"[REDACTED:password]\" c"}"#,
            ),
            (
                r#"{"password=hunter22":1}"#,
                r#"{"password=[REDACTED:password]":"[REDACTED:password]"}"#,
            ),
        ] {
            assert_eq!(sanitized(line), expected);
        }
    }

    #[test]
    fn neighbours_name_each_other() {
        for (line, expected) in [
            (
                r#"{"x":1,"argv":["run","--password","sunshine","-v"],"y":2}"#,
                r#"{"x":1,"argv":["run","--password","[REDACTED:password]","-v"],"y":2}"#,
            ),
            (
                r#"{"pin":1234,"env":[{"name":"DB_PASSWORD","value":"sunshine"}]}"#,
                r#"{"pin":"[REDACTED:pin]","env":[{"name":"DB_PASSWORD","value":"[REDACTED:password]"}]}"#,
            ),
        ] {
            assert_eq!(sanitized(line), expected);
        }
    }

    #[test]
    fn a_line_without_secrets_stays_byte_for_byte() {
        let sanitizer = Sanitizer::new(SanitizeConfig::default()).unwrap();
        for line in [
            r#" { "b" : 1.0e3, "a":[ 1, "x" ] , "u":"\u00e9\/" } "#,
            "[]",
            "{",
            r#"{"a":"#,
            "plain",
        ] {
            assert!(matches!(sanitizer.line(line), Cow::Borrowed(found) if found == line));
        }
    }

    #[test]
    fn broken_json_is_text() {
        assert_eq!(
            sanitized(r#"{"password":"sunshine","#),
            r#"{"password":"[REDACTED:password]","#
        );
    }
}
