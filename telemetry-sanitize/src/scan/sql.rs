//! Passwords in SQL: `IDENTIFIED BY 'x'`. (`PASSWORD 'x'` is found by its name.)

use std::ops::Range;

use super::{Scan, value};
use crate::mask::is_harmless;
use crate::rules::Kind;
use crate::text::{Text, is_blank, is_quote};

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
        value::quoted(text, quote, quote - at)
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
