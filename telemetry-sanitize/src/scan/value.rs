//! Where the value behind a secret name ends, and whether it is a secret.
//!
//! The two mistakes to avoid: to stop too early (half a password stays) and to
//! take a sentence for a value (`password: required`). A value in quotes ends
//! at its quote, whatever the depth of escaping. A bare one ends at a blank, or
//! before the next pair (`&user=`, `, user:`, `;Server=`): a separator that no
//! pair follows is part of the password.

use std::ops::Range;

use super::pair::{self, Delimiter, Name, pair_at};
use super::shape::{
    is_assignment, is_chosen, is_count, is_hex_key, is_long_number, is_passwordish, is_predicate,
    is_scrambled, is_sentence, is_session, is_short_number, is_token_like,
};
use super::{Scan, header};
use crate::mask::{is_harmless, is_status};
use crate::names::{SecretName, Trust, Verdict, is_description};
use crate::rules::Kind;
use crate::text::{Bytes, Far, Text, is_blank, is_name_byte, is_quote};
use crate::vendors::{Body, looks_random};

/// So many values behind the first are followed.
const MOST_FOLLOWERS: usize = 24;

/// Takes the value that starts at `at`, if it is one.
pub(super) fn take(
    scan: &mut Scan<'_, '_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    at: usize,
) {
    let at = next_line_string(&scan.text, name, at).unwrap_or(at);
    if let Some(line) = block_line(&scan.text, delimiter, at) {
        let range = line..scan.text.line_end(line);
        let is_key = scan.text.has(line, "-----BEGIN"); // Has a rule of its own.
        if !is_key && is_bare_secret(&scan.text, name, secret, Delimiter::Equals, range.clone()) {
            scan.redact(range, secret.rule);
        }
        return;
    }
    if scan.text.has(at, "-----BEGIN") {
        return; // Has a rule of its own.
    }
    if let Some(content) = curly_quoted(&scan.text, at) {
        return take_quoted(scan, name, secret, content);
    }
    let Some(at) = past_wrapper(&scan.text, at) else {
        return;
    };
    let at = past_lead(&scan.text, delimiter, at);
    let quote = scan.text.run(at, at + 64, |byte| byte == b'\\');
    let first = scan.text.at(quote);
    if is_quote(first) {
        let depth = quote - at;
        let content = quoted(&scan.text, quote, depth);
        let mut end = content.end + depth + 1;
        take_quoted(scan, name, secret, content);
        for _ in 0..MOST_FOLLOWERS {
            let Some(next) = changed_to(&scan.text, end, depth) else {
                break;
            };
            let content = quoted(&scan.text, next, depth);
            end = content.end + depth + 1;
            take_quoted(scan, name, secret, content);
        }
        return;
    }
    if let Some(length) = pair::encoded_quote(&scan.text, at) {
        let content = encoded_quoted(&scan.text, at, length);
        return take_quoted(scan, name, secret, content);
    }
    if let Some(brace) = struct_brace(&scan.text, at) {
        return take_group(scan, name, secret, brace);
    }
    match first {
        b'[' if quote == at && is_bare_mark(&scan.text, at) => {}
        b'{' if let Some(end) = brace_end(&scan.text, delimiter, at) => {
            let content = at + 1..end;
            if !is_harmless(scan.text.slice(content.clone())) {
                scan.redact(content, secret.rule);
            }
        }
        b'[' if quote == at && !holds_strings(&scan.text, at) => {
            take_bracketed(scan, name, secret, at);
        }
        b'[' | b'{' if quote == at => take_group(scan, name, secret, at),
        b'(' if quote == at => take_tuple(scan, name, secret, at),
        _ => take_bare(scan, name, secret, delimiter, at),
    }
}

/// Whether a text that is the whole value of a secret name is a secret.
pub(super) fn is_secret_text(secret: SecretName, value: &[u8]) -> bool {
    let told = match secret.trust {
        Trust::Strong => false,
        Trust::Shaped => is_status(value),
        Trust::Counted => is_status(value) || is_count(secret.trust, value) || value.len() < 6,
        Trust::Digits => !is_short_number(value),
        Trust::Number => !is_long_number(value),
        Trust::Session => !is_session(secret, value),
        Trust::Scrambled => !is_scrambled(value),
    };
    !told && !is_harmless(value) && !is_sentence(value)
}

/// The string on the line after `"password":`.
fn next_line_string(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    if !matches!(text.at(at), b'\n' | b'\r') || !is_quote(text.before(name.range.start)) {
        return None;
    }
    let start = text.run(at, at + 64, |byte| byte.is_ascii_whitespace());
    if !is_quote(text.at(start)) {
        return None;
    }
    let end = quoted(text, start, 0).end + 1;
    (text.at(text.skip_blanks(end, 2)) != b':').then_some(start)
}

/// The line that follows `password: |` in YAML, or a line of one word in the
/// place of the value.
fn block_line(text: &Text<'_>, delimiter: Delimiter, at: usize) -> Option<usize> {
    if text.at(at) == b'\n' {
        let start = text.skip_blanks(at + 1, 64);
        let end = text.run(start, text.line_end(start), |byte| !is_blank(byte));
        let word = text.slice(start.min(end)..end);
        let is_value = !matches!(word.last(), None | Some(b':')) && !word.starts_with(b"-");
        let is_whole = end == text.line_end(start) && !is_status(word) && !pair_at(text, start);
        return (start > at + 1 && is_value && is_whole && !is_harmless(word)).then_some(start);
    }
    if delimiter != Delimiter::ColonBlank || !matches!(text.at(at), b'|' | b'>') {
        return None;
    }
    let end = text.run(at + 1, at + 3, |byte| matches!(byte, b'-' | b'+'));
    (text.at(end) == b'\n').then(|| text.skip_blanks(end + 1, 64))
}

/// The brace of `Secret { value: "x" }`; a dump without a string in it stays.
pub(super) fn struct_brace(text: &Text<'_>, at: usize) -> Option<usize> {
    if !text.at(at).is_ascii_uppercase() {
        return None;
    }
    let end = text.run(at, at + 48, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'_'
    });
    let brace = text.skip_blanks(end, 1);
    let is_struct = end > at && text.at(brace) == b'{';
    let (_, value) = is_struct.then(|| key_at(text, text.skip_blanks(brace + 1, 4)))??;
    is_quote(text.at(past_wrapper_once(text, value))).then_some(brace)
}

/// What follows the bracket is a string, or a group.
fn holds_strings(text: &Text<'_>, open: usize) -> bool {
    let first = text.run(open + 1, open + 64, |byte| {
        byte.is_ascii_whitespace() || byte == b'\\'
    });
    let prefixed = matches!(text.at(first), b'b' | b'u') && is_quote(text.at(first + 1));
    is_quote(text.at(first)) || prefixed || matches!(text.at(first), b'{' | b'[' | b'(')
}

/// Words in brackets, as Go writes the values of a header: `Authorization:[x]`.
fn take_bracketed(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, open: usize) {
    let text = &scan.text;
    let end = text.run(open + 1, text.line_end(open), |byte| {
        !matches!(byte, b']' | b'[')
    });
    if text.at(end) != b']' {
        return;
    }
    match secret.rule {
        Kind::Authorization => {
            return header::take_credentials(scan, open + 1..end, secret.trust == Trust::Strong);
        }
        Kind::Cookie => {
            let is_set = header::is_set_cookie(text, name);
            return header::take_cookies(scan, is_set, open + 1..end);
        }
        _ => {}
    }
    let mut at = open + 1;
    while at < end {
        at = past_encoding(&scan.text, at).min(end);
        let word_end = scan.text.run(at, end, |byte| !matches!(byte, b' ' | b','));
        let word = scan.text.slice(at..word_end);
        let is_alone = at == open + 1 && word_end == end;
        let is_told = is_alone && secret.trust == Trust::Strong && word.len() >= 4;
        let is_made_up = is_told || is_passwordish(word) || word.len() > 8 && looks_random(word);
        if is_made_up && is_bare_secret(&scan.text, name, secret, Delimiter::Equals, at..word_end) {
            scan.redact(at..word_end, secret.rule);
        }
        at = scan
            .text
            .run(word_end, end, |byte| matches!(byte, b' ' | b','));
    }
}

/// `auth=('bob', 'x')` and `password=("x")`: the last string.
fn take_tuple(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, open: usize) {
    let text = &scan.text;
    let mut last = None;
    let mut at = open + 1;
    for _ in 0..2 {
        let quote = text.run(at, at + 16, |byte| byte == b'\\');
        if !is_quote(text.at(quote)) {
            break;
        }
        let content = quoted(text, quote, quote - at);
        at = content.end + (quote - at) + 1;
        last = Some(content);
        at = text.run(at, at + 2, |byte| byte == b',' || byte == b' ');
    }
    let is_closed = text.at(at) == b')';
    let Some(content) = last.filter(|_| is_closed) else {
        return;
    };
    if secret.rule == Kind::Authorization {
        let value = text.slice(content.clone());
        if !is_harmless(value) && !is_status(value) {
            scan.redact(content, Kind::Password);
        }
    } else {
        take_quoted(scan, name, secret, content);
    }
}

/// The end of a value that ODBC puts in braces: `PWD={two words};`.
fn brace_end(text: &Text<'_>, delimiter: Delimiter, at: usize) -> Option<usize> {
    let end = text.run(at + 1, at + 130, |byte| {
        !matches!(byte, b'}' | b'{' | b'"' | b'\n')
    });
    let is_end = text.at(end) == b'}' && (matches!(text.at(end + 1), b';' | 0));
    (delimiter == Delimiter::Equals && is_end).then_some(end)
}

/// `[REDACTED]`, `[hidden]`: a mask, no list.
fn is_bare_mark(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at, at + 64, |byte| byte != b']');
    is_harmless(text.slice(at..(end + 1).min(text.len())))
}

/// Past `old` and `new` before a value: `key: old x new y`.
pub(super) fn past_lead(text: &Text<'_>, delimiter: Delimiter, at: usize) -> usize {
    if delimiter != Delimiter::ColonBlank {
        return at;
    }
    const WORDS: [&str; 8] = [
        "new value: ",
        "value: ",
        "old ",
        "new ",
        "expected ",
        "got ",
        "old=",
        "new=",
    ];
    let word = WORDS.iter().find(|word| text.has(at, word));
    at + word.map_or(0, |word| word.len())
}

/// Past `Some(`, `Secret("`'s name, Python's `b'`: what Debug output puts around.
fn past_wrapper(text: &Text<'_>, at: usize) -> Option<usize> {
    if !text.at(at).is_ascii_alphanumeric() {
        return Some(past_opening(text, at));
    }
    let end = text.run(at, at + 48, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.')
    });
    let is_prefix = end == at + 1 && b"burfBUNnE".contains(&text.at(at));
    if is_prefix && matches!(text.at(end), b'"' | b'\'') {
        return Some(end);
    }
    if end == at || text.at(end) != b'(' {
        return Some(at);
    }
    if is_quote(text.at(end + 1)) && is_getter(text.slice(at..end)) {
        return fallback(text, end + 1);
    }
    if text.has(at, "string(") {
        let length_end = text.run(end + 1, end + 8, |byte| byte.is_ascii_digit());
        let quote = text.run(length_end + 2, length_end + 18, |byte| byte == b'\\');
        if text.has(length_end, ") ") && text.at(quote) == b'"' {
            return Some(length_end + 2); // PHP's `string(8) "x"`.
        }
    }
    let is_call = text.at(at).is_ascii_lowercase() && text.has(at, "prompt");
    if is_call {
        return Some(at);
    }
    let mut inner = end + 1;
    for _ in 0..3 {
        inner = past_wrapper_once(text, inner);
    }
    let inner = inner + usize::from(text.at(inner) == b'b' && is_quote(text.at(inner + 1)));
    let quote = text.run(inner, inner + 64, |byte| byte == b'\\');
    let is_value = is_quote(text.at(quote)) || struct_brace(text, inner).is_some();
    Some(if is_value { inner } else { at })
}

/// Past what opens a string in some languages: `@"x"`, `"""x"""`, `[]string{"x"}`.
fn past_opening(text: &Text<'_>, at: usize) -> usize {
    match text.at(at) {
        b'@' | b'$' if text.at(at + 1) == b'"' => at + 1,
        b'"' if text.has(at, "\"\"\"") && text.at(at + 3) != b'"' => at + 2,
        b'\'' if text.has(at, "'''") && text.at(at + 3) != b'\'' => at + 2,
        b'[' if text.has(at, "[]string{") || text.has(at, "[]byte(") => {
            let value = text.run(at, at + 9, |byte| !matches!(byte, b'{' | b'(')) + 1;
            if is_quote(text.at(value)) { value } else { at }
        }
        _ => at,
    }
}

/// A call that looks up a variable: `os.environ.get`.
fn is_getter(call: &[u8]) -> bool {
    const GETTERS: [&[u8]; 7] = [
        b"get",
        b"getenv",
        b"env",
        b"environ",
        b"getOrDefault",
        b"fetch",
        b"config",
    ];
    let is_letter = |byte: &u8| !byte.is_ascii_alphabetic();
    let word = call.rsplit(is_letter).next().unwrap_or_default();
    GETTERS.contains(&word)
}

/// Of `get("SECRET", "x")` the second string; where there is only the name of a
/// variable, none.
fn fallback(text: &Text<'_>, quote: usize) -> Option<usize> {
    let end = quoted(text, quote, 0).end + 1;
    let next = text.skip_blanks(end + 1, 2);
    (text.at(end) == b',' && is_quote(text.at(next))).then_some(next)
}

fn past_wrapper_once(text: &Text<'_>, at: usize) -> usize {
    let end = text.run(at, at + 48, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'_'
    });
    if end > at && text.at(end) == b'(' {
        end + 1
    } else {
        at
    }
}

/// The content of the string that opens with the quote at `open`, which has
/// `depth` backslashes before it.
///
/// Each level of escaping doubles the backslashes before a quote and adds one.
/// So the string closes at the same quote with as many backslashes, besides
/// escaped backslashes in pairs of the level; with fewer, the string around it
/// closes.
pub(super) fn quoted(text: &Text<'_>, open: usize, depth: usize) -> Range<usize> {
    let mark = text.at(open);
    let start = open + 1;
    let limit = text.line_end(start);
    let mut at = start;
    while at < limit {
        let quote = text.run(at, limit, |byte| byte != mark);
        if quote >= limit {
            break;
        }
        let first = text.run_back(quote, start, |byte| byte == b'\\');
        let backslashes = quote - first;
        let escapes = backslashes.saturating_sub(depth) / (depth + 1);
        let doubled = mark == b'\'' && quote > start && is_doubled(text, quote);
        if doubled {
            at = quote + 2;
            continue;
        }
        if escapes.is_multiple_of(2) {
            return start..quote - backslashes.min(depth);
        }
        at = quote + 1;
    }
    start..limit
}

/// The content of a string in the quotes that books use.
fn curly_quoted(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    const QUOTES: [(&str, &str); 5] = [
        ("\u{201c}", "\u{201d}"),
        ("\u{2018}", "\u{2019}"),
        ("\u{201e}", "\u{201c}"),
        ("\u{ab}", "\u{bb}"),
        ("\u{300c}", "\u{300d}"),
    ];
    if text.at(at).is_ascii() {
        return None;
    }
    let (open, close) = QUOTES.iter().find(|(open, _)| text.has(at, open))?;
    let start = at + open.len();
    let limit = text.line_end(start).min(start + 256);
    let mut end = start;
    while end < limit {
        end = text.run(end, limit, |byte| byte != close.as_bytes()[0]);
        if text.has(end, close) {
            return Some(start..end);
        }
        if text.has(end, open) {
            return None;
        }
        end += 1;
    }
    None
}

/// A quote that books use opens at `at`.
pub(super) fn is_curly(text: &Text<'_>, at: usize) -> bool {
    curly_quoted(text, at).is_some()
}

/// The quote of the second value in `"old" -> "new"` and `'old' to 'new'`.
#[rustfmt::skip] // A list of words, not one a line.
fn changed_to(text: &Text<'_>, end: usize, depth: usize) -> Option<usize> {
    const LINKS: [&str; 11] = [
        " -> ", " => ", " to ", " and ", " or ", ", now ", ", got ", " but got ", " != ", " vs ", ", new ",
    ];
    let link = LINKS.iter().find(|link| text.has(end, link))?;
    let quote = end + link.len() + depth;
    is_quote(text.at(quote)).then_some(quote)
}

/// SQL and YAML double a single quote inside of a string: `'it''s'`.
fn is_doubled(text: &Text<'_>, quote: usize) -> bool {
    text.at(quote + 1) == b'\'' && text.at(quote + 2).is_ascii_alphanumeric()
}

fn encoded_quoted(text: &Text<'_>, open: usize, length: usize) -> Range<usize> {
    let mark = text.as_str().get(open..open + length).unwrap_or_default();
    let start = open + length;
    let limit = text.line_end(start);
    let mut end = start;
    while end < limit && (!text.has(end, mark) || text.ends_with(end, "%5c")) {
        end = text.run(end + 1, limit, |byte| byte != mark.as_bytes()[0]);
    }
    start..end
}

fn take_quoted(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, content: Range<usize>) {
    let value = scan.text.slice(content.clone());
    let is_prompt = value.ends_with(b": ") || value.eq_ignore_ascii_case(b"password:");
    let is_mark = value.len() < 4 && !value.iter().any(u8::is_ascii_alphanumeric);
    let is_short = is_mark || secret.trust == Trust::Counted && value.len() < 6;
    if is_prompt
        || is_short
        || is_harmless(value)
        || is_sentence(value) && !is_phrase(&scan.text, name)
        || is_count(secret.trust, value)
    {
        return;
    }
    if secret.rule == Kind::Credential && is_assignment(value) {
        return; // `CREDENTIALS 'aws_access_key_id=…'`: each pair by itself.
    }
    if holds_names(scan, content.clone()) || is_private_pem(value) {
        return; // Each member by itself; a key block has a rule of its own.
    }
    match secret.rule {
        Kind::Authorization => header::take_credentials(scan, content, true),
        Kind::Cookie => {
            let is_set = header::is_set_cookie(&scan.text, name);
            header::take_cookies(scan, is_set, content);
        }
        _ if secret.trust == Trust::Shaped && is_status(value) => {}
        _ if secret.trust == Trust::Shaped && after_parser_word(&scan.text, name) => {}
        _ if secret.trust == Trust::Digits && !is_short_number(value) => {}
        _ if secret.trust == Trust::Number && !is_long_number(value) => {}
        _ if secret.trust == Trust::Scrambled && !is_scrambled(value) && !is_hex_key(value) => {}
        _ if secret.trust == Trust::Session && !is_session(secret, value) => {}
        Kind::Signature => {
            let start = past_encoding(&scan.text, content.start).min(content.end);
            scan.redact(start..content.end, secret.rule);
        }
        _ => scan.redact(content, secret.rule),
    }
}

/// The value is an object in a string, with a secret name in it:
/// `"SecretString":"{\"user\":\"bob\",\"password\":\"x\"}"`.
fn holds_names(scan: &Scan<'_, '_>, content: Range<usize>) -> bool {
    const MEMBERS: usize = 16;
    let text = &scan.text;
    if text.at(content.start) != b'{' || content.len() > 4096 {
        return false;
    }
    let mut at = content.start + 1;
    for _ in 0..MEMBERS {
        let start = text.run(at, content.end, |byte| byte.is_ascii_whitespace());
        let Some((key, value)) = key_at(text, start) else {
            return false;
        };
        let verdict = scan.names.judge(text.slice(key));
        let quote = text.run(value, value + 16, |byte| byte == b'\\');
        if matches!(verdict, Verdict::Secret(_)) && is_quote(text.at(quote)) {
            return true;
        }
        match past_member(text, value) {
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

fn is_private_pem(value: &[u8]) -> bool {
    let head = &value[..value.len().min(48)];
    head.starts_with(b"-----BEGIN") && head.windows(7).any(|word| word == b"PRIVATE")
}

/// Lists and objects in which every string is secret: `["a", "b"]`,
/// `secrets: {"db": "x"}`, `{"value": "x"}`.
fn take_group(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, at: usize) {
    let is_list = scan.text.at(at) == b'[';
    let is_plural = scan.text.before(name.range.end).eq_ignore_ascii_case(&b's');
    let mut at = at + 1;
    loop {
        at = scan.text.skip_blanks(at, 16);
        if !is_list {
            let Some((key, value)) = key_at(&scan.text, at) else {
                return;
            };
            let key = &scan.text.as_str()[key];
            if !is_plural && !is_wrapper_key(key.as_bytes()) || is_description(key) {
                let Some(next) = past_member(&scan.text, value) else {
                    return;
                };
                at = next;
                continue;
            }
            at = past_wrapper_once(&scan.text, value);
        }
        let quote = scan.text.run(at, at + 64, |byte| byte == b'\\');
        if !is_quote(scan.text.at(quote)) {
            return;
        }
        let depth = quote - at;
        let content = quoted(&scan.text, quote, depth);
        at = scan.text.skip_blanks(content.end + depth + 1, 8);
        take_quoted(scan, name, secret, content);
        if scan.text.at(at) != b',' {
            return;
        }
        at += 1;
    }
}

/// Past a member of a group that is a string, a number or a word, and its comma.
pub(super) fn past_member(text: &Text<'_>, value: usize) -> Option<usize> {
    let quote = text.run(value, value + 16, |byte| byte == b'\\');
    let end = if is_quote(text.at(quote)) {
        quoted(text, quote, quote - value).end + (quote - value) + 1
    } else {
        text.run(value, value + 64, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-')
        })
    };
    (end > value && text.at(end) == b',').then_some(end + 1)
}

/// The key of an object's entry, and where its value starts.
pub(super) fn key_at(text: &Text<'_>, at: usize) -> Option<(Range<usize>, usize)> {
    let start = text.run(at, at + 16, |byte| byte == b'\\' || is_quote(byte));
    let end = text.run(start, start + 64, is_name_byte);
    let colon = text.run(end, end + 16, |byte| byte == b'\\' || is_quote(byte));
    let colon = text.skip_blanks(colon, 2);
    let is_pair = end > start && matches!(text.at(colon), b':' | b'=');
    is_pair.then(|| (start..end, text.skip_blanks(colon + 1, 8)))
}

/// What a type that wraps one value calls it.
fn is_wrapper_key(key: &[u8]) -> bool {
    const KEYS: [&str; 18] = [
        "new",
        "old",
        "current",
        "previous",
        "access",
        "refresh",
        "secret",
        "data",
        "string",
        "text",
        "s", // DynamoDB's string.
        "value",
        "inner",
        "inner_secret",
        "plain",
        "plaintext",
        "raw",
        "0",
    ];
    KEYS.iter()
        .any(|known| key.eq_ignore_ascii_case(known.as_bytes()))
}

/// Past what says how the value is written: `sha256=`, `base64:`.
fn past_encoding(text: &Text<'_>, at: usize) -> usize {
    // Most often the first letter tells that nothing is said.
    static STARTS: Bytes = Bytes::of(b"tsbvpTSBVP");
    if !STARTS.has(text.at(at)) {
        return at;
    }
    let mut at = at;
    if text.has(at, "t=") {
        let time_end = text.run(at + 2, at + 16, |byte| byte.is_ascii_digit());
        if text.has(time_end, ",v1=") {
            at = time_end + 1;
        }
    }
    let prefix = ["sha256=", "sha1=", "base64:", "v1=", "v0=", "pass:"]
        .iter()
        .find(|prefix| text.has(at, prefix));
    at + prefix.map_or(0, |prefix| prefix.len())
}

fn take_bare(
    scan: &mut Scan<'_, '_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    at: usize,
) {
    let text = &scan.text;
    if delimiter == Delimiter::Comma {
        return;
    }
    if secret.rule == Kind::Authorization && delimiter != Delimiter::Blank {
        if delimiter == Delimiter::ColonBlank && starts_member(text, name, at) {
            return;
        }
        let end = match delimiter {
            Delimiter::Tag => bare_end(text, name, delimiter, at),
            _ if in_query(text, name) => separator_end(text, at, true),
            _ => header_end(text, name, at),
        };
        return header::take_credentials(scan, at..end, secret.trust == Trust::Strong);
    }
    if secret.rule == Kind::Cookie {
        let end = header_end(text, name, at);
        return header::take_cookies(scan, header::is_set_cookie(text, name), at..end);
    }
    let at = past_encoding(text, at);
    let at = at + 2 * usize::from(text.has(at, "**") && text.at(at + 2) != b'*');
    let end = bare_end(text, name, delimiter, at);
    let word = text.slice(at..end);
    if secret.rule == Kind::Credential && is_assignment(word)
        || is_option_name(scan, name, at..end)
        || is_secret_pair(scan, name, delimiter, at..end)
        || is_cmdlet(text, at..end)
    {
        return; // Each pair by itself.
    }
    if is_bare_secret(text, name, secret, delimiter, at..end) {
        let end = tail_end(text, name, secret, delimiter, end);
        let at = past_user(text, name, secret, at..end);
        scan.redact(at..end, secret.rule);
        take_followers(scan, name, secret, end);
    } else if !word.is_empty() && is_harmless(word) {
        scan.taken = scan.taken.max(end);
    }
}

/// In a dump of Go, `Auth: Server:x` is an empty value and the next member.
fn starts_member(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let end = text.run(at, at + 48, |byte| byte.is_ascii_alphanumeric());
    let is_name = end > at && text.at(at).is_ascii_uppercase() && text.at(end) == b':';
    let floor = name.range.start.saturating_sub(256);
    let open = text.run_back(name.range.start, floor, |byte| {
        byte != b'{' && byte != b'\n'
    });
    is_name && !is_blank(text.at(end + 1)) && text.before(open) == b'{'
}

/// `--secret dbPassword x`: the option has no value, and the name behind it has one.
fn is_option_name(scan: &Scan<'_, '_>, name: &Name, value: Range<usize>) -> bool {
    let text = &scan.text;
    name.is_option
        && text.at(value.end) == b' '
        && !matches!(
            text.at(value.end + 1),
            b'-' | b'"' | b'\'' | b'&' | b'|' | 0
        )
        && text
            .slice(value.clone())
            .iter()
            .all(|&byte| is_name_byte(byte))
        && text.slice(value.clone()).iter().any(u8::is_ascii_lowercase)
        && matches!(scan.names.judge(text.slice(value)), Verdict::Secret(_))
}

/// `vncpasswd: password=x`, and the parts of `--secret id=x,src=y`.
fn is_secret_pair(
    scan: &Scan<'_, '_>,
    name: &Name,
    delimiter: Delimiter,
    value: Range<usize>,
) -> bool {
    let text = &scan.text;
    if name.is_option && text.has(value.start, "id=") {
        return true;
    }
    if delimiter != Delimiter::ColonBlank {
        return false;
    }
    if is_assignment(text.slice(value.clone()))
        && text.at(value.end) == b' '
        && pair_at(text, value.end + 1)
    {
        return true; // `auth-user-pass: username=bob password=x`.
    }
    let end = text.run(value.start, value.end, is_name_byte);
    text.at(end) == b'='
        && end + 1 < value.end
        && end > value.start + 2
        && matches!(
            scan.names.judge(text.slice(value.start..end)),
            Verdict::Secret(_)
        )
}

/// `$pw = ConvertTo-SecureString "x"`: a command, whose words are looked at.
fn is_cmdlet(text: &Text<'_>, value: Range<usize>) -> bool {
    let word = text.slice(value.clone());
    text.at(value.end) == b' '
        && matches!(text.at(value.end + 1), b'"' | b'\'' | b'-' | b'(')
        && word.first().is_some_and(u8::is_ascii_uppercase)
        && word.windows(3).any(|three| {
            three[0].is_ascii_lowercase() && three[1] == b'-' && three[2].is_ascii_uppercase()
        })
        && word
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
}

/// Of `bob:x` behind `credentials` the user stays, and of `bob/x` behind `user/pass`.
fn past_user(text: &Text<'_>, name: &Name, secret: SecretName, value: Range<usize>) -> usize {
    let before = text.before(name.range.start);
    let mark = match secret.rule {
        Kind::Credential => b':',
        Kind::Password if matches!(before, b'/' | b':') && is_after_user(text, name) => before,
        _ => return value.start,
    };
    let user = text.run(value.start, value.end, |byte| {
        byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-' | b'.' | b'@')
    });
    let is_user = user > value.start && text.at(user) == mark && value.end >= user + 5;
    if is_user { user + 1 } else { value.start }
}

/// The name is the second of `user/password`.
fn is_after_user(text: &Text<'_>, name: &Name) -> bool {
    let end = name.range.start - 1;
    ["user", "username", "login"]
        .iter()
        .any(|user| text.ends_with(end, user))
}

/// What leads from one value to the next, by its second byte: most values have
/// other words behind them.
fn link_at(text: &Text<'_>, at: usize) -> Option<&'static str> {
    let links: &[&str] = match text.at(at + 1) {
        b't' => &[" to "],
        b'-' => &[" -> "],
        b'a' => &[" and "],
        b'g' => &[" got "],
        b'b' => &[" but got "],
        b'n' => &[" new ", " new="],
        b' ' => &[
            ", got ",
            ", but got ",
            ", received ",
            ", new ",
            ", new=",
            ", now ",
        ],
        _ => &[],
    };
    links.iter().find(|link| text.has(at, link)).copied()
}

/// Further values behind the one that ends at `end`: `backup codes: 1, 2, 3`,
/// `changed from a to b`, `expected token a, got b`.
fn take_followers(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, end: usize) {
    if !matches!(scan.text.at(end), b' ' | b',') {
        return;
    }
    let is_plural = scan.text.before(name.range.end).eq_ignore_ascii_case(&b's');
    let mut end = end;
    for _ in 0..MOST_FOLLOWERS {
        let text = &scan.text;
        let list = text.has(end, ", ") && is_plural;
        let link = link_at(text, end);
        let start = match link {
            Some(link) => end + link.len(),
            None if list => end + 2,
            None => return,
        };
        let word_end = text.run(start, start + 256, |byte| {
            !byte.is_ascii_whitespace() && !is_quote(byte) && byte != b','
        });
        let word_end = trim_closers(text, start, word_end);
        let word = text.slice(start..word_end);
        let is_code = secret.rule == Kind::Pin && is_short_number(word);
        let is_changed = link.is_some() && secret.rule == Kind::Password && is_chosen(word);
        let is_made_up =
            is_code || is_changed || is_passwordish(word) || word.len() > 8 && looks_random(word);
        if !is_made_up || is_harmless(word) || pair_at(text, start) {
            return;
        }
        scan.redact(start..word_end, secret.rule);
        end = word_end;
    }
}

/// A header's value goes to the end of the line, or of the string it stands in.
fn header_end(text: &Text<'_>, name: &Name, at: usize) -> usize {
    let limit = text.line_end(at);
    let mark = text.before(name.range.start);
    let end = text.run(at, limit, |byte| byte != mark);
    if !is_quote(mark) || end == limit {
        return limit;
    }
    text.run_back(end, at, |byte| byte == b'\\')
}

/// Where a value without quotes ends.
fn bare_end(text: &Text<'_>, name: &Name, delimiter: Delimiter, at: usize) -> usize {
    if delimiter == Delimiter::Tag {
        let limit = text.line_end(at);
        let mut end = at;
        if text.ends_with(at, "<![CDATA[") {
            while end < limit && !text.has(end, "]]>") {
                end = text.run(end + 1, limit, |byte| byte != b']');
            }
            return end;
        }
        loop {
            end = text.run(end, limit, |byte| byte != b'<' && byte != b'&');
            if end >= limit || text.at(end) == b'<' || text.has(end, "&lt;/") {
                return end;
            }
            end += 1;
        }
    }
    if is_form_value(text, name, at) {
        return text.line_end(at);
    }
    if text.before(at) == b'*' && text.ends_with(at, "**") {
        let limit = text.line_end(at);
        let mut end = text.run(at, limit, |byte| byte != b'*');
        while end < limit && !text.has(end, "**") {
            end = text.run(end + 1, limit, |byte| byte != b'*');
        }
        return end; // Markdown.
    }
    if let Some(end) = placeholder_end(text, at).or_else(|| crypt_end(text, at)) {
        return end;
    }
    let in_query = in_query(text, name);
    if let Some(end) = argument_end(text, name, at) {
        return end;
    }
    let end = separator_end(text, at, in_query);
    let end = connection_end(text, name, delimiter, end).unwrap_or(end);
    let end = text.run_back(end, at, |byte| byte == b'\\' && is_quote(text.at(end)));
    trim_closers(text, at, end)
}

/// The value of a form's part, which goes to the end of its line.
fn is_form_value(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let is_part = text.ends_with(at, "\r\n\r\n") || text.ends_with(at, "\n\n");
    is_part && is_quote(text.at(name.range.end)) && text.ends_with(name.range.start, "name=\"")
}

/// The name stands in the query (or the path's parameters) of a URL.
fn in_query(text: &Text<'_>, name: &Name) -> bool {
    match text.before(name.range.start) {
        b'?' | b'&' | b'#' => true,
        b';' => text.has(name.range.start, "jsessionid"),
        _ => false,
    }
}

/// The end of a hash such as `$argon2id$v=19$m=65536,t=3,p=4$…`.
fn crypt_end(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.at(at) != b'$' {
        return None;
    }
    let end = text.run(at, at + 512, |byte| Body::Crypt.has(byte));
    let end = text.run_back(end, at, |byte| matches!(byte, b',' | b'.'));
    let parts = text.slice(at..end).split(|&byte| byte == b'$').count();
    (parts > 3 && end - at > 24).then_some(end)
}

/// The quote that closes the argument `"--password=two words"`.
fn argument_end(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    let dashes = text.run_back(name.range.start, name.range.start.saturating_sub(2), |b| {
        b == b'-'
    });
    let mark = text.before(dashes);
    if is_quote(mark)
        && let Some(end) = item_end(text, dashes - 1, at)
    {
        return Some(end);
    }
    if name.is_option && dashes == 0 {
        let is_next = |two: &[u8]| two == b" -";
        let is_alone = text.len() < 512 && !text.slice(at..text.len()).windows(2).any(is_next);
        return is_alone.then_some(text.len()); // An argument by itself.
    }
    if !name.is_option || !is_quote(mark) {
        return None;
    }
    let limit = text.line_end(at).min(at + 256);
    let end = text.run(at, limit, |byte| byte != mark && byte != b'\\');
    let is_more = text.slice(at..end).windows(2).any(|two| two == b" -");
    (text.at(end) == mark && !is_more).then_some(end)
}

/// The end of the string that opens at `quote`, if it is an item of a list: of
/// arguments, or of variables (`["A=b", "PASSWORD=two words"]`).
fn item_end(text: &Text<'_>, quote: usize, at: usize) -> Option<usize> {
    let first = text.run_back(quote, quote.saturating_sub(16), |byte| byte == b'\\');
    let open = text.run_back(first, first.saturating_sub(2), |byte| {
        byte.is_ascii_whitespace()
    });
    let is_script = ["-c\",", "-c',", "-c\\\","]
        .iter()
        .any(|end| text.ends_with(open, end));
    if !matches!(text.before(open), b'[' | b',') || is_script {
        return None;
    }
    let depth = quote - first;
    let end = quoted(text, quote, depth).end;
    let is_item = matches!(text.at(end + depth + 1), b',' | b']');
    let is_pair = |word: usize| text.at(word) == b' ' && pair_at(text, word + 1);
    let is_short = end >= at && end - at <= 256;
    (is_item && is_short && !(at..end).any(is_pair)).then_some(end)
}

/// `<your token>`, `{{ token }}` and `${X:-y z}` hold blanks.
fn placeholder_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let close = match text.at(at) {
        b'<' => b'>',
        b'{' => b'}',
        b'$' if text.at(at + 1) == b'{' => b'}',
        _ => return None,
    };
    let end = text.run(at, at + 64, |byte| byte != close && byte != b'\n');
    let end = text.run(end, end + 2, |byte| byte == close);
    let is_whole = !text.at(end).is_ascii_alphanumeric(); // `<word>80` is none.
    (is_whole && is_harmless(text.slice(at..end))).then_some(end)
}

/// In `Server=db;Password=two words;Encrypt=true` blanks are part of the value.
fn connection_end(text: &Text<'_>, name: &Name, delimiter: Delimiter, end: usize) -> Option<usize> {
    let is_blank_next = text.at(end) == b' ' || text.has(end, ", ");
    if delimiter != Delimiter::Equals || !is_blank_next || text.before(end) == b':' {
        return None;
    }
    let floor = name.range.start.saturating_sub(8);
    let before = text.run_back(name.range.start, floor, is_blank);
    let inside = text.before(before) == b';';
    let from = end;
    let end = text.run(end, end + 128, |byte| {
        !matches!(byte, b';' | b'"' | b'\n' | b'=')
    });
    match text.at(end) {
        b';' if inside || pair_at(text, text.skip_blanks(end + 1, 4)) => Some(end),
        b'"' if inside => Some(end),
        0 if inside && is_connection(text, name) => {
            let rest = text.slice(from..end);
            rest.iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ')
                .then_some(end)
        }
        _ => None,
    }
}

/// A connection string, by a name that only those have.
fn is_connection(text: &Text<'_>, name: &Name) -> bool {
    const NAMES: [&str; 4] = ["data source=", "initial catalog=", "server=", "driver="];
    let from = name.range.start.saturating_sub(256);
    (from..name.range.start).any(|at| NAMES.iter().any(|known| text.has(at, known)))
}

/// Where a blank, a quote or the next pair ends the value.
fn separator_end(text: &Text<'_>, at: usize, in_query: bool) -> usize {
    let sort = if in_query {
        Far::BareInQuery
    } else {
        Far::Bare
    };
    text.remember(sort, at, || first_separator(text, at, in_query))
}

fn first_separator(text: &Text<'_>, at: usize, in_query: bool) -> usize {
    let mut end = at;
    loop {
        end = text.run(end, text.len(), |byte| !may_separate(byte));
        if end >= text.len() || separates(text, end, in_query) {
            return end;
        }
        end += 1;
    }
}

fn may_separate(byte: u8) -> bool {
    static SEPARATORS: Bytes = Bytes::of(b" \t\n\r\x0c\x1b\0\"'`&;,|%\\#?:<");
    SEPARATORS.has(byte)
}

fn separates(text: &Text<'_>, at: usize, in_query: bool) -> bool {
    let next = at + 1;
    let last = next >= text.len() || text.at(next).is_ascii_whitespace() || text.at(next) == b'"';
    match text.at(at) {
        b'&' if text.has(at, "&amp;") => in_query || pair_at(text, at + 5),
        b'&' => in_query || last || pair_at(text, next),
        b'#' | b'?' => in_query,
        b'<' => text.at(next) == b'/',
        b':' => {
            let name_end = text.run(next, next + 64, |byte| {
                byte.is_ascii_uppercase() || byte == b'_'
            });
            name_end > next + 1 && text.at(name_end) == b'=' // A list of variables.
        }
        b'%' if in_query && (text.has(at, "%22") || text.has(at, "%27")) => {
            // What is encoded once in a query is part of the value, but for what closes around it.
            let next = at + 3;
            let closes = ["%7D", "%2C", "%5D", "%29"];
            let is_end = !is_name_byte(text.at(next)) && text.at(next) != b'%';
            is_end || closes.iter().any(|close| text.has(next, close))
        }
        b'%' if text.has(at, "%26") => encoded_pair_at(text, at + 3),
        b'%' if text.has(at, "%2526") => encoded_pair_at(text, at + 5),
        b'%' => ["%22", "%27", "%2C%22", "%2522"]
            .iter()
            .any(|end| text.has(at, end)),
        b'\\' if text.has(at, "\\u0026") => in_query || pair_at(text, at + 6),
        b'\\' if text.has(at, "\\u001b") || text.has(at, "\\x1b") => true,
        b'\\' => ends_at_escape(text, at),
        b'\'' => last || !text.at(next).is_ascii_alphanumeric(),
        b';' | b',' | b'|' => last || text.has(next, "</") || pair_at(text, next),
        _ => true,
    }
}

fn encoded_pair_at(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at, at + 64, is_name_byte);
    end > at && (text.at(end) == b'%' || text.at(end) == b'=')
}

/// An escaped line break or tab, at the end or before a pair.
fn ends_at_escape(text: &Text<'_>, at: usize) -> bool {
    let letter = text.run(at, at + 16, |byte| byte == b'\\');
    if !matches!(text.at(letter), b'n' | b'r' | b't') {
        return is_quote(text.at(letter));
    }
    if text.at(letter) == b'n' && letter == at + 1 {
        return true;
    }
    let next = text.skip_blanks(letter + 1, 8);
    let last = next >= text.len() || !is_name_byte(text.at(next));
    last || pair_at(text, next) || text.run(next, next + 2, |b| b == b'-') > next
}

/// Brackets that close something before the value, and punctuation after it.
pub(super) fn trim_closers(text: &Text<'_>, at: usize, end: usize) -> usize {
    let mut end = end;
    for _ in 0..8 {
        let value = text.slice(at..end);
        if value.is_empty() || value.len() > 512 {
            break;
        }
        let count = |wanted: u8| value.iter().filter(|&&byte| byte == wanted).count();
        let drop = match text.before(end) {
            b',' | b';' | b'.' | b':' => true,
            b')' => count(b')') > count(b'('),
            b']' => count(b']') > count(b'['),
            b'}' => count(b'}') > count(b'{'),
            b'>' => count(b'>') > count(b'<'),
            b'\'' => true,
            _ => false,
        };
        if !drop {
            break;
        }
        end -= 1;
    }
    end
}

fn is_bare_secret(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    at: Range<usize>,
) -> bool {
    let value = text.slice(at.clone());
    if is_harmless(value) || is_directory(text, name, value) || is_count(secret.trust, value) {
        return false;
    }
    match secret.trust {
        Trust::Digits => return is_short_number(value),
        Trust::Number => return is_long_number(value),
        Trust::Session => return is_session(secret, value),
        Trust::Scrambled => return is_scrambled(value) || is_hex_key(value),
        _ => {}
    }
    let is_of_card = text.has(name.range.start, "security");
    let least = if is_of_card { 3 } else { 4 };
    if secret.rule == Kind::Pin && is_short_number(value) && value.len() >= least {
        return true;
    }
    let running_text = matches!(delimiter, Delimiter::ColonBlank | Delimiter::Blank);
    if is_usage(text, name, value) {
        return false;
    }
    let is_told = running_text && !name.is_option && is_told(text, at.clone());
    if secret.rule == Kind::Secret && is_phrase(text, name) && is_long_phrase(text, at.clone()) {
        return true; // Some of its words tell things in other places.
    }
    if is_status(value) && !name.is_option || is_told {
        return false;
    }
    if delimiter == Delimiter::ColonBlank && is_type(value) {
        return false;
    }
    if secret.trust == Trust::Strong {
        return true;
    }
    let shaped = match secret.rule {
        Kind::Signature => value.len() >= if in_query(text, name) { 8 } else { 16 },
        Kind::Credential | Kind::Authorization => is_token_like(value),
        _ => {
            !running_text
                || name.is_option
                || is_token_like(value)
                || is_word_alone(text, name, at.clone())
        }
    };
    shaped && (name.is_option || !is_debug_dump(text, at)) && !after_parser_word(text, name)
}

/// A long word that is all the value of a name made of several words (`apiKey: x`),
/// and tells nothing.
fn is_word_alone(text: &Text<'_>, name: &Name, at: Range<usize>) -> bool {
    let words = text.slice(name.range.clone());
    let value = text.slice(at.clone());
    let is_made_of_words = words.windows(2).any(|two| {
        matches!(two[0], b'_' | b'-' | b'.')
            || two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase()
    });
    let is_word = value.len() >= 12 && value.iter().all(u8::is_ascii_alphabetic);
    let is_last = at.end >= text.len() || matches!(text.at(at.end), b'\n' | b'\r');
    is_made_of_words && is_word && is_last && !is_predicate(value)
}

/// `password: user must change it`: the second word tells something.
fn is_told(text: &Text<'_>, at: Range<usize>) -> bool {
    let value = text.slice(at.clone());
    if !value.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let next = text.skip_blanks(at.end, 2);
    let end = text.run(next, next + 16, |byte| byte.is_ascii_alphabetic());
    end > next && is_status(text.slice(next..end))
}

/// The type of a field or parameter in source text: `password: Option<String>`.
fn is_type(value: &[u8]) -> bool {
    const TYPES: [&str; 12] = [
        "String",
        "string",
        "str",
        "&str",
        "&'",
        "Option<",
        "Vec<",
        "Secret<",
        "SecretString",
        "Optional[",
        "bytes",
        "Box<",
    ];
    TYPES.iter().any(|name| {
        let open = name.ends_with(['<', '[', '\'']);
        value == name.as_bytes() || (open && value.starts_with(name.as_bytes()))
    })
}

/// `Token{a64f992 …}`, `android.os.BinderProxy@3a1b`, `Token(..)`: a dump.
fn is_debug_dump(text: &Text<'_>, at: Range<usize>) -> bool {
    let word = text.run(at.start, at.end, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b':')
    });
    let starts_like_type = text.at(at.start).is_ascii_alphabetic();
    if text.at(at.start) == b'<' && text.at(at.end) == b' ' {
        return text
            .slice(at.start + 1..at.end)
            .iter()
            .all(u8::is_ascii_alphanumeric);
    }
    match text.at(word) {
        _ if word >= at.end => false,
        b'{' | b'(' | b'[' | b'<' => starts_like_type && word > at.start,
        b'@' => {
            let address = text.slice(word + 1..at.end);
            let is_type = text.slice(at.start..word).contains(&b'.') && starts_like_type;
            is_type && address.iter().all(u8::is_ascii_hexdigit)
        }
        _ => false,
    }
}

/// A shell's `PWD=/srv` and `OLDPWD=~`.
fn is_directory(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    let name = text.slice(name.range.clone());
    (name == b"PWD" || name == b"OLDPWD" || name == b"pwd")
        && matches!(value.first(), Some(b'/' | b'~'))
}

/// The name of an option's value in a help text: `--password PASSWORD`, and what
/// a message tells about the option: `option --password requires`.
fn is_usage(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    if !name.is_option {
        return false;
    }
    let word = value.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_' && *byte != b'-');
    let word = word.clone().next().unwrap_or_default();
    let option = text.slice(name.range.clone());
    let is_upper = !word.is_empty() && !word.iter().any(u8::is_ascii_lowercase);
    let same = word.len() >= 3
        && option
            .to_ascii_uppercase()
            .windows(word.len())
            .any(|part| part == word);
    let is_told = ["option", "flag", "argument", "parameter", "use"]
        .iter()
        .any(|before| {
            let start = text.run_back(name.range.start, name.range.start.saturating_sub(3), |b| {
                b == b'-'
            });
            text.ends_with(start.saturating_sub(1), before)
        });
    (is_upper && same) || is_typed_usage(text, name, value) || (is_told && is_status(value))
}

/// `--password string   Password for the registry`: the type, and a column that
/// explains.
fn is_typed_usage(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    let start = text.skip_blanks(name.range.end, 2);
    let end = start + value.len();
    let is_column = text.has(end, "  ");
    is_column
        && matches!(
            value,
            b"string" | b"text" | b"value" | b"str" | b"file" | b"bytes"
        )
}

/// `unexpected token: "}"`, `invalid token 'x'`: a parser speaks.
fn after_parser_word(text: &Text<'_>, name: &Name) -> bool {
    const WORDS: [&str; 6] = [
        "unexpected",
        "invalid",
        "illegal",
        "expected",
        "unknown",
        "next",
    ];
    let end = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(2),
        is_blank,
    );
    const COMMON: [&[u8]; 3] = [b"token", b"tokens", b"key"];
    let word = text.slice(name.range.clone());
    if !COMMON
        .iter()
        .any(|common| word.eq_ignore_ascii_case(common))
    {
        return false;
    }
    let mark = text.run(name.range.end, name.range.end + 4, |byte| {
        is_blank(byte) || is_quote(byte) || matches!(byte, b':' | b'=')
    });
    let value_end = text.run(mark, mark + 64, |byte| {
        byte.is_ascii_alphanumeric() || b"-_.+/=".contains(&byte)
    });
    let value = text.slice(mark..value_end);
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    let all = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let is_token = value.len() >= if all { 8 } else { 16 } && looks_random(value);
    !is_token && end < name.range.start && WORDS.iter().any(|word| text.ends_with(end, word))
}

/// A line of its own (`password: correct horse battery`) is the value to its end.
fn tail_end(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    end: usize,
) -> usize {
    if let Some(end) = app_password_end(text, name, end) {
        return end;
    }
    if is_phrase(text, name) && secret.rule == Kind::Secret {
        return words_end(text, end);
    }
    if is_phrase(text, name) && delimiter == Delimiter::ColonBlank {
        let last = words_end(text, end);
        if last == text.line_end(last) {
            return last; // `passphrase: correct horse battery`, to the end of the line.
        }
    }
    if delimiter != Delimiter::ColonBlank || secret.trust != Trust::Strong {
        return end;
    }
    let floor = name.range.start.saturating_sub(64);
    let line = text.run_back(name.range.start, floor, |byte| {
        is_blank(byte) || matches!(byte, b'-')
    });
    if !matches!(text.before(line), b'\n' | 0) {
        return end;
    }
    let limit = text.line_end(end);
    let mut last = end;
    while last < limit && is_blank(text.at(last)) {
        let word = text.skip_blanks(last, 64);
        if pair_at(text, word) || !starts_word(text.at(word)) {
            break;
        }
        last = text.run(word, limit, |byte| !is_blank(byte) && byte != b'"');
    }
    last
}

/// Twelve words in small letters at least, as in a recovery phrase.
fn is_long_phrase(text: &Text<'_>, first: Range<usize>) -> bool {
    let end = words_end(text, first.end);
    let words = text.slice(first.start..end).split(|&byte| byte == b' ');
    words.count() >= 12
}

/// The name is that of a recovery phrase.
fn is_phrase(text: &Text<'_>, name: &Name) -> bool {
    let words = ["phrase", "mnemonic"];
    words
        .iter()
        .any(|word| text.ends_with(name.range.end, word))
}

/// A mail provider's password for one program: `abcd efgh ijkl mnop`.
fn app_password_end(text: &Text<'_>, name: &Name, first_end: usize) -> Option<usize> {
    let is_group = |start: usize| {
        let end = text.run(start, start + 5, |byte| byte.is_ascii_lowercase());
        end == start + 4
    };
    let groups = [first_end - 4, first_end + 1, first_end + 6, first_end + 11];
    let is_app = first_end >= name.range.end + 5
        && groups
            .iter()
            .all(|&start| is_group(start) && matches!(text.before(start), b' ' | b'=' | b':'));
    is_app.then_some(first_end + 15)
}

/// The end of a recovery phrase: 12, 15, … or 24 words in small letters.
fn words_end(text: &Text<'_>, first_end: usize) -> usize {
    let mut end = first_end;
    let mut phrase_end = first_end;
    for count in 1..=24 {
        if count % 3 == 0 || count < 12 {
            phrase_end = end;
        }
        let word = text.skip_blanks(end, 1);
        let word_end = text.run(word, word + 9, |byte| byte.is_ascii_lowercase());
        if word == end || word_end - word < 3 {
            break;
        }
        end = word_end;
    }
    phrase_end
}

fn starts_word(byte: u8) -> bool {
    !matches!(byte, b'(' | b'|' | b'"' | b'[' | b'{' | 0) && !byte.is_ascii_whitespace()
}
