//! Private keys as PEM blocks.

use std::ops::Range;

use super::Scan;
use crate::rules::Kind;
use crate::text::{Text, is_base64};

/// Looks at a block that starts at `hit`: what is between its BEGIN and END lines
/// goes, the lines say that a key was there. Without an END line (it was cut off)
/// it goes as far as what follows looks like base64.
pub(super) fn look(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let label_end = scan.text.run(hit.end, hit.end + 64, |byte| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" _+%".contains(&byte)
    });
    let label = scan.text.slice(hit.end..label_end);
    if !contains(label, b"PRIVATE") && !contains(label, b"PGP MESSAGE") {
        return;
    }
    let body = scan.text.run(label_end, label_end + 8, |byte| byte == b'-');
    let (body_end, end) = match end_line(&scan.text, body) {
        Some(line) => (line.start, line.end),
        None => {
            let end = body_end(&scan.text, body);
            (end, end)
        }
    };
    let start = past_headers(&scan.text, past_breaks(&scan.text, body), body_end).min(body_end);
    if scan.text.has(start, "[REDACTED:") {
        return;
    }
    let body = start..before_breaks(&scan.text, start, body_end);
    scan.redact(body, Kind::PemKey);
    scan.taken = scan.taken.max(end);
}

/// Looks at an END line whose block began in another text: the lines of base64
/// before it are a key.
pub(super) fn look_end(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let text = &scan.text;
    let label_end = text.run(hit.end, hit.end + 64, |byte| byte != b'-' && byte != b'\n');
    if !contains(text.slice(hit.end..label_end), b"PRIVATE KEY") {
        return;
    }
    let floor = scan.taken;
    let mut start = hit.start;
    loop {
        let word_end = text.run_back(start, floor, |byte| byte.is_ascii_whitespace());
        let word = text.run_back(word_end, floor, is_base64);
        if word_end - word < 16 {
            break;
        }
        start = word;
    }
    if start < hit.start {
        let end = before_breaks(text, start, hit.start);
        scan.redact(start..end, Kind::PemKey);
    }
}

/// Looks at what follows `Private-Lines: 1` of a PuTTY key.
pub(super) fn look_putty(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let text = &scan.text;
    let count = text.skip_blanks(hit.end, 2);
    let start = past_breaks(
        text,
        text.run(count, count + 4, |byte| byte.is_ascii_digit()),
    );
    let end = body_end(text, start);
    if end >= start + 16 {
        scan.redact(start..end, Kind::PemKey);
    }
}

fn contains(label: &[u8], word: &[u8]) -> bool {
    label.windows(word.len()).any(|window| window == word)
}

/// Past `Proc-Type: 4,ENCRYPTED` and the like.
fn past_headers(text: &Text<'_>, from: usize, limit: usize) -> usize {
    let mut at = from;
    for _ in 0..4 {
        let name = text.run(at, (at + 24).min(limit), |byte| {
            byte.is_ascii_alphabetic() || byte == b'-'
        });
        if name == at || !text.has(name, ": ") {
            break;
        }
        let is_value = |byte: u8| !byte.is_ascii_whitespace() && !matches!(byte, b'\\' | b'%');
        let mut end = text.run(name + 2, limit, is_value);
        while text.at(end) == b' ' && text.at(end + 1).is_ascii_alphabetic() && end - at < 80 {
            end = text.run(end + 1, limit, is_value); // `Version: GnuPG v2`.
        }
        at = past_breaks(text, end);
    }
    at
}

/// The END line, if that is the next line of dashes.
fn end_line(text: &Text<'_>, from: usize) -> Option<Range<usize>> {
    let rest = text.as_str().get(from..)?;
    let dashes = from + rest.find("-----")?;
    let label = text.run(dashes, dashes + 5, |byte| byte == b'-');
    if !["END ", "END+", "END%20"]
        .iter()
        .any(|word| text.has(label, word))
    {
        return None;
    }
    let label_end = text.run(label, label + 72, |byte| byte != b'-');
    Some(dashes..text.run(label_end, label_end + 5, |byte| byte == b'-'))
}

/// Where what stands before `end` ends, without line breaks, plain or escaped.
fn before_breaks(text: &Text<'_>, start: usize, end: usize) -> usize {
    let mut end = end;
    loop {
        let plain = text.run_back(end, start, |byte| byte.is_ascii_whitespace());
        let is_letter = matches!(text.before(plain), b'n' | b'r');
        let escape = match is_letter {
            true => text.run_back(plain - 1, start, |byte| byte == b'\\'),
            false => plain,
        };
        if is_letter && escape < plain - 1 {
            end = escape;
            continue;
        }
        if plain >= start + 3
            && ["%0a", "%0d", "%20"]
                .iter()
                .any(|code| text.ends_with(plain, code))
        {
            end = plain - 3;
            continue;
        }
        return plain;
    }
}

/// The end of a body that was cut off: words of base64 with line breaks, plain
/// or escaped, between them.
fn body_end(text: &Text<'_>, from: usize) -> usize {
    let mut end = from;
    let mut at = from;
    loop {
        let word = past_breaks(text, at);
        let word_end = text.run(word, text.len(), is_base64);
        let is_name = text.at(word_end) == b':'; // `Private-MAC:` of a PuTTY key.
        if is_name || word_end == word || !is_key_word(text, word..word_end, end > from) {
            return end;
        }
        at = word_end;
        end = word_end;
    }
}

/// Past blanks and line breaks, plain or escaped at any depth.
fn past_breaks(text: &Text<'_>, from: usize) -> usize {
    let mut at = from;
    loop {
        let next = text.run(at, text.len(), |byte| byte.is_ascii_whitespace());
        let letter = text.run(next, next + 16, |byte| byte == b'\\');
        if text.has(next, "%0a") || text.has(next, "%0d") || text.has(next, "%20") {
            at = next + 3;
            continue;
        }
        let escape = letter > next && matches!(text.at(letter), b'n' | b'r');
        if !escape {
            return next;
        }
        at = letter + 1;
    }
}

/// A line of a key is long; its last one may be short, but is no word.
fn is_key_word(text: &Text<'_>, word: Range<usize>, inside: bool) -> bool {
    let value = text.slice(word);
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase)
        || has(u8::is_ascii_digit)
        || value.contains(&b'=');
    value.len() >= 24 || (inside && mixed && !value.contains(&b'_'))
}
