//! Values in brackets: lists, objects (in a string too), tuples, the values of types.

use std::ops::Range;

use super::bare::past_encoding;
use super::delimiter::Delimiter;
use super::doubt::is_bare_secret;
use super::pair::Name;
use super::sentence::find_word;
use super::shape::is_chosen;
use super::string::{past_wrapper_once, quoted};
use super::value::take_quoted;
use super::{Scan, header};
use crate::mask::{is_harmless, is_status};
use crate::names::{SecretName, Trust, Verdict, is_description};
use crate::rules::Kind;
use crate::text::{NAME_BYTES, Text, is_blank, is_quote};
use crate::vendors::looks_random;

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
pub(super) fn holds_strings(text: &Text<'_>, open: usize) -> bool {
    let first = text.run(open + 1, open + 64, |byte| {
        byte.is_ascii_whitespace() || byte == b'\\'
    });
    let prefixed = matches!(text.at(first), b'b' | b'u') && is_quote(text.at(first + 1));
    is_quote(text.at(first)) || prefixed || matches!(text.at(first), b'{' | b'[' | b'(')
}

/// Words in brackets, as Go writes the values of a header: `Authorization:[x]`.
pub(super) fn take_bracketed(
    scan: &mut Scan<'_, '_>,
    name: &Name,
    secret: SecretName,
    open: usize,
) {
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
    if matches!(secret.trust, Trust::Strong | Trust::Scrambled)
        && is_bytes(text.slice(open + 1..end))
    {
        return scan.redact(open + 1..end, secret.rule);
    }
    let mut at = open + 1;
    while at < end {
        at = past_encoding(&scan.text, at).min(end);
        let word_end = scan.text.run(at, end, |byte| !matches!(byte, b' ' | b','));
        let word = scan.text.slice(at..word_end);
        let is_alone = at == open + 1 && word_end == end;
        let is_told = is_alone && secret.trust == Trust::Strong && word.len() >= 4;
        let is_made_up = is_told || is_chosen(word) || word.len() > 8 && looks_random(word);
        if is_made_up && is_bare_secret(&scan.text, name, secret, Delimiter::Equals, at..word_end) {
            scan.redact(at..word_end, secret.rule);
        }
        at = scan
            .text
            .run(word_end, end, |byte| matches!(byte, b' ' | b','));
    }
}

/// A key as a list of its bytes: `[86, 209, 17, …]`.
pub(super) fn is_bytes(list: &[u8]) -> bool {
    const LEAST: usize = 12;
    let mut items = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let is_byte = |item: &[u8]| {
        let number = item.strip_prefix(b"0x").unwrap_or(item);
        (1..=3).contains(&number.len()) && number.iter().all(u8::is_ascii_hexdigit)
    };
    items.clone().take(LEAST).count() == LEAST && items.all(is_byte)
}

/// `auth=('bob', 'x')` and `password=("x")`: the last string.
pub(super) fn take_tuple(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, open: usize) {
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
    if last.is_none() {
        let word = open + 1..text.run(open + 1, open + 130, |byte| byte != b')' && !is_blank(byte));
        let is_word = text.at(word.end) == b')' && is_chosen(text.slice(word.clone()));
        if is_word && secret.trust == Trust::Strong {
            scan.redact(word, secret.rule); // `password=(x)`.
        }
        return;
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
pub(super) fn brace_end(text: &Text<'_>, delimiter: Delimiter, at: usize) -> Option<usize> {
    let end = text.run(at + 1, at + 130, |byte| {
        !matches!(byte, b'}' | b'"' | b'\n')
    });
    let is_end = text.at(end) == b'}' && (matches!(text.at(end + 1), b';' | 0));
    if text.at(at + 1) == b'\'' && key_at(text, at + 1).is_some() {
        return None; // `{'name': 'x'}`.
    }
    (delimiter == Delimiter::Equals && is_end).then_some(end)
}

/// The value is an object in a string, with a secret name in it:
/// `"SecretString":"{\"user\":\"bob\",\"password\":\"x\"}"`.
pub(super) fn holds_names(scan: &Scan<'_, '_>, content: Range<usize>) -> bool {
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
        let is_secret = match scan.names.judge(text.slice(key)) {
            Verdict::Secret(secret) => matches!(secret.trust, Trust::Strong | Trust::Shaped),
            _ => false,
        };
        let quote = text.run(value, value + 16, |byte| byte == b'\\');
        if is_secret && is_quote(text.at(quote)) {
            let member = text.slice(quoted(text, quote, quote - value));
            let is_told = member.starts_with(b"[REDACTED:") || !is_harmless(member);
            return is_told && text.before(content.end) == b'}';
        }
        match past_member(text, value) {
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

/// Lists and objects in which every string is secret: `["a", "b"]`,
/// `secrets: {"db": "x"}`, `{"value": "x"}`.
pub(super) fn take_group(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, at: usize) {
    let is_record = scan.text.has(at, "{\"level\":") || scan.text.has(at, "{\"msg\":");
    if is_record && find_word(&scan.text, at + 2, "msg\":").is_some() {
        return; // `external-secrets: {"level":…`: the record of a program.
    }
    let is_list = scan.text.at(at) == b'[' || is_set(&scan.text, at);
    let is_dict = scan.text.has(at, "{'") && secret.trust != Trust::Counted; // Whose keys are users.
    let is_plural = is_dict || scan.text.before(name.range.end).eq_ignore_ascii_case(&b's');
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

/// `{"a", "b"}` of Python.
fn is_set(text: &Text<'_>, open: usize) -> bool {
    let quote = text.skip_blanks(open + 1, 4);
    is_quote(text.at(quote)) && text.at(quoted(text, quote, 0).end + 1) == b','
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
    let end = text.run_in(start, start + 64, &NAME_BYTES);
    let colon = text.run(end, end + 16, |byte| byte == b'\\' || is_quote(byte));
    let colon = text.skip_blanks(colon, 2);
    let is_pair = end > start && matches!(text.at(colon), b':' | b'=');
    is_pair.then(|| (start..end, text.skip_blanks(colon + 1, 8)))
}

/// What a type that wraps one value calls it.
fn is_wrapper_key(key: &[u8]) -> bool {
    const KEYS: [&str; 19] = [
        "stringValue", // Of OpenTelemetry.
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
