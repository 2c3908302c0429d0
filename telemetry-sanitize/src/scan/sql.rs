//! Passwords in SQL: `IDENTIFIED BY 'x'`. (`PASSWORD 'x'` is found by its name.)

use std::ops::Range;

use super::{Scan, string};
use crate::mask::is_harmless;
use crate::names::{Trust, Verdict};
use crate::rules::Kind;
use crate::text::{Far, Text, is_blank, is_quote};

/// Words that may stand between `IDENTIFIED` and the password.
const BETWEEN: [&str; 5] = ["BY", "AS", "PASSWORD", "VALUES", "USING"];

/// Looks at what follows `IDENTIFIED`.
pub(super) fn look(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let Some(at) = password_at(&scan.text, hit.end) else {
        return;
    };
    let text = &scan.text;
    let quote = text.run(at, at + 16, |byte| byte == b'\\');
    let range = if is_quote(text.at(quote)) {
        string::quoted(text, quote, quote - at)
    } else {
        let end = text.run(at, text.len(), |byte| {
            !is_blank(byte) && !matches!(byte, b';' | b'\n' | b'\r' | b'"' | b')')
        });
        at..end
    };
    let password = text.slice(range.clone());
    let is_word = password.eq_ignore_ascii_case(b"random") || password == b"?";
    if !is_word && !is_harmless(password) {
        scan.redact(range, Kind::SqlPassword);
    }
}

/// Past `BY`, `BY PASSWORD`, `WITH plugin AS` and so on.
fn password_at(text: &Text<'_>, from: usize) -> Option<usize> {
    let mut at = text.skip_blanks(from, 8);
    if text.has(at, "WITH ") {
        let plugin = text.skip_blanks(at + 5, 8);
        let end = text.run(plugin, plugin + 48, |byte| !is_blank(byte));
        at = text.skip_blanks(end, 8);
    }
    let mut found = false;
    while let Some(word) = BETWEEN.iter().find(|word| text.has(at, word)) {
        let end = at + word.len();
        let next = text.skip_blanks(end, 8);
        if next == end && !is_quote(text.at(end)) {
            break;
        }
        found = true;
        at = next;
    }
    found.then_some(at)
}

/// Functions whose second argument is a key.
pub(crate) const CIPHERS: [&str; 8] = [
    "aes_encrypt(",
    "aes_decrypt(",
    "des_encrypt(",
    "des_decrypt(",
    "pgp_sym_encrypt(",
    "pgp_sym_decrypt(",
    "encryptbypassphrase(",
    "decryptbypassphrase(",
];

/// Looks at the arguments of a function that encrypts.
pub(super) fn look_cipher(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let is_first = scan.text.ends_with(hit.end, "bypassphrase(");
    let mut at = scan.text.skip_blanks(hit.end, 4);
    if !is_first {
        at = value_at(&scan.text, at).after;
        if scan.text.at(at) != b',' {
            return;
        }
        at = scan.text.skip_blanks(at + 1, 4);
    }
    let key = value_at(&scan.text, at);
    if key.is_text && !is_harmless(scan.text.slice(key.content.clone())) {
        scan.redact(key.content, Kind::SqlPassword);
    }
}

/// Columns and values are looked for so far from `VALUES`.
const REACH: usize = 1024;

/// Looks at `(name, password) VALUES ('bob', 'x')`: the values in the places of
/// secret columns go.
pub(super) fn look_values(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let text = &scan.text;
    let close = text.run_back(hit.start, hit.start.saturating_sub(8), is_blank);
    if text.before(close) != b')' {
        return;
    }
    let floor = close.saturating_sub(REACH);
    let open = text.run_back(close - 1, floor, |byte| byte != b'(');
    let columns = text.slice(open..close - 1).split(|&byte| byte == b',');
    let judge = |column: &[u8]| scan.names.judge(column);
    let is_secret = |column: &[u8]| matches!(judge(column), Verdict::Secret(secret) if secret.trust != Trust::Scrambled);
    let is_key = |column: &[u8]| matches!(judge(column), Verdict::Secret(secret) if secret.trust == Trust::Scrambled);
    let has_keys = columns.clone().any(|column| is_key(trim_column(column)));
    let secrets: Vec<usize> = columns
        .enumerate()
        .filter(|(_, column)| is_secret(trim_column(column)))
        .map(|(place, _)| place)
        .collect();
    if has_keys || !secrets.is_empty() {
        take_tuples(scan, hit.end, &secrets, has_keys);
    }
}

fn trim_column(column: &[u8]) -> &[u8] {
    let is_wrap = |byte: &u8| is_blank(*byte) || is_quote(*byte) || matches!(byte, b'[' | b']');
    let start = column.iter().take_while(|byte| is_wrap(byte)).count();
    let end = column.iter().rev().take_while(|byte| is_wrap(byte)).count();
    column.get(start..column.len() - end).unwrap_or_default()
}

/// Takes the values at the secret places of each tuple.
fn take_tuples(scan: &mut Scan<'_, '_>, from: usize, secrets: &[usize], has_keys: bool) {
    let mut at = parameters(&scan.text, from);
    while matches!(scan.text.at(at), b'(' | b'[') {
        at += 1;
        if scan.text.at(at) == b'[' {
            break; // Pairs of a name and a value.
        }
        let mut is_named = false;
        for place in 0.. {
            at = scan.text.skip_blanks(at, 8);
            let value = value_at(&scan.text, at);
            at = value.after;
            let content = scan.text.slice(value.content.clone());
            let is_name = has_keys && value.is_text && is_name_of_secret(scan, content);
            let is_secret = secrets.contains(&place) || is_named;
            is_named = is_name;
            if is_secret && value.is_text && !is_harmless(content) {
                scan.redact(value.content, Kind::SqlPassword);
            }
            if scan.text.at(at) != b',' {
                break;
            }
            at += 1;
        }
        at = scan
            .text
            .run(at, at + 8, |byte| matches!(byte, b')' | b']' | b',' | b' '));
    }
}

/// Past the statement, whose values are places, to the list of what goes there:
/// `VALUES (?,?) -- params: ['bob', 'x']`, `VALUES (%s, %s)⏎[parameters: ('bob', 'x')]`.
fn parameters(text: &Text<'_>, from: usize) -> usize {
    const REACH: usize = 160;
    let from = text.skip_blanks(from, 8);
    let end = text.run(from, from + REACH, |byte| {
        byte.is_ascii_alphanumeric() || b"(?,%$:@_) ".contains(&byte)
    });
    let places = text.slice(from..end);
    let has_places = places.starts_with(b"(") && places.iter().any(|byte| b"?%$:@".contains(byte));
    if !has_places {
        return from;
    }
    let next = |at: usize| text.at(at + 1);
    let opens = |at: &usize| {
        matches!(text.at(*at), b'(' | b'[') && (is_quote(next(*at)) || next(*at) == b'[')
    };
    let list = (from..from + REACH + 64).find(opens);
    list.filter(|&at| is_quote(next(at))).unwrap_or(from)
}

/// `('smtp_password', 'x')`: a row of settings, whose value follows.
fn is_name_of_secret(scan: &Scan<'_, '_>, content: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.' | b'-');
    content.iter().all(is_part)
        && content.iter().any(|byte| matches!(byte, b'_' | b'.'))
        && matches!(scan.names.judge(content), Verdict::Secret(secret) if secret.trust == Trust::Strong)
}

struct SqlValue {
    content: Range<usize>,
    is_text: bool,
    /// Where the comma or bracket behind it stands.
    after: usize,
}

fn value_at(text: &Text<'_>, at: usize) -> SqlValue {
    let quote = text.run(at, at + 16, |byte| byte == b'\\');
    let ends = |byte: u8| matches!(byte, b',' | b')' | b']' | b';' | b'\n');
    if !is_quote(text.at(quote)) {
        let after = text.run_far(Far::SqlValue, at, |byte| !ends(byte));
        return SqlValue {
            content: at..after,
            is_text: false,
            after,
        };
    }
    let content = string::quoted(text, quote, quote - at);
    let after = text.run_far(Far::SqlValue, content.end, |byte| !ends(byte));
    SqlValue {
        content,
        is_text: true,
        after,
    }
}
