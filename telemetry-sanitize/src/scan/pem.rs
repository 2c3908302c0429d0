//! Private keys as PEM blocks.

use std::ops::Range;

use super::Scan;
use crate::mask::is_harmless;
use crate::rules::Kind;
use crate::text::{Bytes, Text, is_base64, is_blank};

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
    let start = past_closers(&scan.text, body);
    let start = past_headers(&scan.text, past_breaks(&scan.text, start), body_end).min(body_end);
    let start = past_prefix(&scan.text, hit.start, start).min(body_end);
    if scan.text.has(start, "[REDACTED:") {
        return;
    }
    let body = start..before_breaks(&scan.text, start, body_end);
    if is_harmless(scan.text.slice(body.clone())) {
        return; // `[REDACTED]` of another.
    }
    take_body(scan, body);
    scan.taken = scan.taken.max(end);
}

/// Takes a body as a whole; where each line of it has something before it that a program
/// writes (`web-1 | `, `> `), the lines by themselves.
fn take_body(scan: &mut Scan<'_, '_>, body: Range<usize>) {
    let text = &scan.text;
    let first = text.line_end(body.start).min(body.end);
    let mark = prefix_before(text, body.start);
    let is_blank_only = text.slice(mark.clone()).iter().all(u8::is_ascii_whitespace);
    if is_blank_only || first >= body.end {
        return scan.redact(body, Kind::PemKey);
    }
    let length = mark.len();
    let mut at = body.start;
    while at < body.end {
        let end = scan.text.line_end(at).min(body.end);
        scan.redact(at..before_closers(&scan.text, at, end), Kind::PemKey);
        at = scan
            .text
            .run(end, body.end, |byte| matches!(byte, b'\n' | b'\r'));
        let is_like = is_prefix_like(
            scan.text.slice(mark.clone()),
            scan.text.slice(at..(at + length).min(scan.text.len())),
        );
        if at < body.end && is_like {
            at += length;
        }
    }
}

/// What closes a string that is one line of a key: `',`, `\n" +`.
static CLOSERS: Bytes = Bytes::of(b"'\",;)\\ ");

/// Past what closes the string with the BEGIN line, if that is all of the line.
fn past_closers(text: &Text<'_>, from: usize) -> usize {
    let end = text.run_in(from, from + 8, &CLOSERS);
    let end = end + usize::from(text.before(end) == b'\\' && text.at(end) == b'n');
    let end = text.run_in(end, end + 4, &CLOSERS);
    let end = end + usize::from(text.at(end) == b'+');
    if matches!(text.at(end), b'\n' | b'\r') {
        end
    } else {
        from
    }
}

fn before_closers(text: &Text<'_>, start: usize, end: usize) -> usize {
    let end = end - " +".len() * usize::from(text.ends_with(end, " +"));
    let close = text.run_back(end, start, |byte| CLOSERS.has(byte));
    let is_break = close < end && text.before(close) == b'n' && text.before(close - 1) == b'\\';
    if is_break && close > start + 1 {
        return text.run_back(close - 1, start, |byte| byte == b'\\');
    }
    close
}

/// Past what stands before the first line of the body as before the BEGIN line.
fn past_prefix(text: &Text<'_>, begin: usize, body: usize) -> usize {
    let line = text.run_back(begin, begin.saturating_sub(LONGEST_PREFIX), |byte| {
        byte != b'\n' && byte != b'\r'
    });
    let mark = text.slice(line..begin);
    // The blanks at its start were passed as those of the body.
    let start = text.run_back(body, body.saturating_sub(mark.len()), is_blank);
    let other = start..(start + mark.len()).min(text.len());
    let is_line =
        matches!(text.before(start), b'\n' | b'\r') && !mark.iter().all(u8::is_ascii_whitespace);
    if is_line && is_prefix_like(mark, text.slice(other.clone())) {
        other.end
    } else {
        body
    }
}

/// What stands before the key in the first line of its body.
fn prefix_before(text: &Text<'_>, body: usize) -> Range<usize> {
    let start = text.run_back(body, body.saturating_sub(LONGEST_PREFIX), |byte| {
        byte != b'\n' && byte != b'\r'
    });
    let is_start = matches!(text.before(start), b'\n' | b'\r');
    if is_start { start..body } else { body..body }
}

/// Another line has the same before it, but for the time.
fn is_prefix_like(mark: &[u8], other: &[u8]) -> bool {
    let is_like = |(a, b): (&u8, &u8)| a == b || a.is_ascii_digit() && b.is_ascii_digit();
    mark.len() == other.len() && mark.iter().zip(other).all(is_like)
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

/// What programs write before each line is not longer.
const LONGEST_PREFIX: usize = 80;

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
        if plain >= start + 6
            && (text.ends_with(plain, "\\u000a") || text.ends_with(plain, "\\u000d"))
        {
            end = plain - 6;
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
        if text.has(next, "\\u000a") || text.has(next, "\\u000d") {
            at = next + "\\u000a".len();
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
