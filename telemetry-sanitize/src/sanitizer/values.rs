//! The values of fields with secret names: all of one goes, but for what in it gives no
//! access: the scheme of credentials, the names of cookies, the first and last line of a key.

use std::mem;
use std::ops::Range;

use telemetry_core::Value;

use super::{MARK_START, MAX_ROUNDS, Sanitizer, Space};
use crate::mask::is_harmless;
use crate::names::{SecretName, Trust};
use crate::rules::Kind;
use crate::scan::{self, Finding, Scan, What};

impl Sanitizer {
    /// Writes a key block without its body into the space; false when it has none.
    pub(super) fn replace_body(&self, body: Range<usize>, text: &str, space: &mut Space) -> bool {
        if is_harmless(text[body.clone()].as_bytes()) {
            return false;
        }
        space.rules.clear();
        space.findings.clear();
        let what = What::Builtin(Kind::PemKey);
        space.findings.push(Finding { range: body, what });
        self.rebuild(text, space);
        true
    }

    /// Whether the value of a secret name is one. What was replaced in it before says
    /// nothing about the rest.
    pub(super) fn is_secret(
        &self,
        secret: SecretName,
        value: Value<'_>,
        space: &mut Space,
    ) -> bool {
        let is_secret = is_secret_value(secret, value);
        match value {
            Value::Text(text) if is_secret && text.contains('[') && text.contains(MARK_START) => {
                self.find_masks(text, &mut space.masks);
                let rest = without(text, &space.masks);
                is_secret_value(secret, Value::Text(&rest))
            }
            _ => is_secret,
        }
    }

    /// Writes what stands in the place of the value of a secret name: all of it goes,
    /// but for the scheme of credentials and the names of cookies. False when it was
    /// sanitized before, and stays.
    pub(super) fn replace_value(
        &self,
        secret: SecretName,
        value: Value<'_>,
        space: &mut Space,
    ) -> bool {
        if let Value::Text(text) = value
            && matches!(secret.rule, Kind::Authorization | Kind::Cookie)
        {
            space.rules.clear();
            if self.replace_credentials(secret.rule, text, space) {
                self.find_masks(&space.text, &mut space.masks);
                if !is_only_open(&space.text, &space.masks) {
                    self.put_whole(secret.rule, text, space);
                }
                return true;
            }
            if !space.masks.is_empty() && is_only_open(text, &space.masks) {
                return false; // `Bearer [REDACTED:bearer_token]`.
            }
        }
        match value {
            Value::Text(text) => self.put_whole(secret.rule, text, space),
            Value::I64(number) => self.put_whole(secret.rule, &number.to_string(), space),
            Value::U64(number) => self.put_whole(secret.rule, &number.to_string(), space),
            Value::F64(number) => self.put_whole(secret.rule, &number.to_string(), space),
            Value::Bool(flag) => self.put_whole(secret.rule, &flag.to_string(), space),
        }
        true
    }

    /// Writes the value of a header without its secret parts; false when it has none.
    fn replace_credentials(&self, rule: Kind, text: &str, space: &mut Space) -> bool {
        if !self.replace_parts(rule, text, space) {
            return false;
        }
        for _ in 1..MAX_ROUNDS {
            let before = mem::take(&mut space.text);
            let rules = mem::take(&mut space.rules);
            // What is left is looked at as any text.
            let is_changed = self.change_text(&before, space);
            space.rules.splice(0..0, rules);
            if !is_changed && !self.replace_parts(rule, &before, space) {
                space.text = before;
                return true;
            }
        }
        self.put_whole(rule, text, space);
        true
    }

    /// One search for the secret parts of the value of a header.
    fn replace_parts(&self, rule: Kind, text: &str, space: &mut Space) -> bool {
        space.findings.clear();
        let mut scan = Scan::new(text, &self.names, &self.triggers, &mut space.findings);
        scan.run_credentials(rule);
        self.find_masks(text, &mut space.masks);
        self.write_without(text, space)
    }
}

/// The text without what was replaced in it before.
fn without(text: &str, masks: &[Range<usize>]) -> String {
    let mut rest = text.to_owned();
    for mask in masks.iter().rev() {
        rest.replace_range(mask.clone(), "");
    }
    rest
}

/// What is left of credentials or cookies without the masks are a scheme, attributes, and
/// names with values in which nothing was found.
fn is_only_open(text: &str, masks: &[Range<usize>]) -> bool {
    let rest = without(text, masks);
    // A scheme that is not known, as `SSWS` or `Bot`.
    let is_name = |word: &str| {
        word.len() <= 12
            && word.bytes().all(|byte| byte.is_ascii_alphabetic())
            && word.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    rest.split_whitespace().enumerate().all(|(place, word)| {
        if place == 0 && is_name(word) {
            return true;
        }
        let word = word.trim_matches([',', ';', '"', '\'', ':']);
        word.is_empty() || word.contains('=') || scan::is_open_word(word.as_bytes())
    })
}

/// What stands between the first and the last line of a private key in PEM, if the
/// text is nothing else.
pub(super) fn pem_body(text: &str) -> Option<Range<usize>> {
    const MARK: &str = "-----";
    if !text.trim_start().starts_with(MARK) {
        return None; // As most are.
    }
    let mut marks = text.match_indices(MARK).map(|(at, _)| at);
    let [first, second, third, fourth] = [(); 4].map(|()| marks.next());
    let (first, body, last) = (first?, second? + MARK.len(), third?);
    let label = |line: &'_ str, start: &str| {
        let label = line.trim_start_matches('-').strip_prefix(start)?;
        let is_label =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
        let is_key = label.trim_end_matches(" BLOCK").ends_with("PRIVATE KEY")
            && label.len() <= 40
            && label.bytes().all(is_label);
        is_key.then(|| label.to_owned())
    };
    let begin = label(&text[first..second?], "BEGIN ")?;
    let end = label(&text[last..fourth?], "END ")?;
    let is_whole = marks.next().is_none()
        && text[..first].trim().is_empty()
        && text[fourth? + MARK.len()..].trim().is_empty()
        && begin == end;
    let content = text[body..last].trim();
    let start = body + text[body..last].find(content)?;
    is_whole.then(|| start..start + content.len())
}

/// Under a secret name, what may stay is what is no secret: nothing, a flag, a
/// placeholder, a word such as `expired`, a number where no number is secret.
fn is_secret_value(secret: SecretName, value: Value<'_>) -> bool {
    match value {
        Value::Bool(_) => false,
        Value::Text(text) => scan::is_secret_text(secret, text.as_bytes()),
        Value::F64(_) => secret.trust == Trust::Strong,
        Value::I64(0..=9999) | Value::U64(0..=9999) if secret.rule == Kind::ApiKey => false, // A count.
        Value::I64(_) | Value::U64(_) if secret.trust != Trust::Number => holds_numbers(secret),
        Value::I64(number) => number >= LEAST_CARD,
        Value::U64(number) => number >= LEAST_CARD as u64,
    }
}

/// The least number with as many digits as a card has.
const LEAST_CARD: i64 = 100_000_000_000;

/// A password or code may be a number. A token is none: `token = 3` is a place
/// in a text, `cookies = 3` a count.
fn holds_numbers(secret: SecretName) -> bool {
    let is_code = matches!(secret.rule, Kind::Pin | Kind::Card);
    is_code || (secret.trust == Trust::Strong && secret.rule != Kind::Cookie)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SanitizeConfig;

    #[test]
    fn of_a_key_block_under_a_secret_name_the_first_and_last_line_stay() {
        let sanitizer = Sanitizer::new(SanitizeConfig::default()).unwrap();
        let line = |mark: &str| format!("-----{mark} RSA PRIVATE KEY-----");
        let (first, last) = (line("BEGIN"), line("END"));
        let body = "a1B2c3D4".repeat(8);
        let block = format!("{first}\n{body}\n{body}\n{last}\n");
        let changed = |text: &str| sanitizer.value("tls_key", Value::Text(text));
        assert_eq!(
            changed(&block),
            Some(format!("{first}\n[REDACTED:pem_key]\n{last}\n"))
        );
        let more = format!("{block}hunter2");
        assert_eq!(changed(&more).unwrap(), "[REDACTED:private_key]");
    }

    #[test]
    fn a_mask_does_not_save_what_stands_beside_it() {
        let sanitizer = Sanitizer::new(SanitizeConfig::default()).unwrap();
        let changed = |text: &str| sanitizer.value("authorization", Value::Text(text));
        let whole = Some("[REDACTED:authorization]".to_owned());
        assert_eq!(changed("[REDACTED:token] abcdefgh"), whole);
        assert_eq!(changed("Bearer [REDACTED:bearer_token]"), None);
    }
}
