//! Base64 in which a secret hides.

use std::ops::Range;

use super::shape::is_chosen;
use super::{Scan, Sight};
use crate::mask::is_harmless;
use crate::names::Names;
use crate::rules::Kind;
use crate::text::{Text, is_base64};

use super::Triggers;

/// Shorter runs hold no pair worth decoding.
const SHORTEST: usize = 20;
/// More than this of a run is not decoded.
const DECODED: usize = 8192;

/// True when no run of base64 is long enough and has a capital: without one it
/// decodes to nothing readable. There is a capital somewhere. Looks first at the byte in which a run would have
/// to end, so that most bytes are never looked at.
#[inline]
pub(crate) fn is_impossible(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut start = 0;
    while let Some(window) = bytes.get(start..start + SHORTEST) {
        if let Some(other) = window.iter().rposition(|&byte| !is_base64(byte)) {
            start += other + 1;
            continue;
        }
        let run = &bytes[start..];
        let length = run
            .iter()
            .position(|&byte| !is_base64(byte))
            .unwrap_or(run.len());
        if run[..length].iter().any(u8::is_ascii_uppercase) {
            return false;
        }
        start += length;
    }
    true
}

/// Looks into every long run of base64 that is no finding yet; false when there
/// is no such run.
pub(super) fn look(scan: &mut Scan<'_, '_>) -> bool {
    if is_impossible(scan.text.as_str()) {
        return false;
    }
    let known = scan.findings.len();
    scan.findings
        .sort_unstable_by_key(|found| found.range.start);
    let mut next = 0;
    let mut at = 0;
    while at < scan.text.len() {
        let start = scan.text.run(at, scan.text.len(), |byte| !is_base64(byte));
        let start = scan.text.run(start, scan.text.len(), |byte| byte == b'='); // Of a pair.
        let start = match scan.text.before(start) {
            b'%' if scan.text.has(start, "22") => start + 2, // A quote stands before.
            b'\\' if matches!(scan.text.at(start), b'n' | b'r' | b't') => start + 1,
            b':' => scan.text.run(start, start + 2, |byte| byte == b'/'), // Of a URL.
            _ => start,
        };
        let end = scan.text.run(start, scan.text.len(), |byte| {
            is_base64(byte) && byte != b'='
        });
        let end = scan.text.run(end, end + 2, |byte| byte == b'=');
        at = end.max(start + 1);
        while next < known && scan.findings[next].range.end <= start {
            next += 1;
        }
        let is_known = next < known && scan.findings[next].range.start < end;
        if end - start < SHORTEST || is_known {
            continue;
        }
        if let Some(token) = token_around(&scan.text, start..end) {
            at = token.end;
            scan.redact(token, Kind::Token);
        } else if hides_secret(scan, start..end) {
            scan.redact(start..end, Kind::Encoded);
        }
    }
    true
}

/// A token without a prefix that shows by its dots: those of bots at Discord
/// (`MTIz….Gx1Y2z.…`) and what Vault once wrote (`s.…`).
fn token_around(text: &Text<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let is_url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let value = text.slice(run.clone());
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    let mixed =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let is_vault =
        run.len() == 24 && text.ends_with(run.start, "s.") && text.starts_word(run.start - 2);
    if is_vault && mixed && value.iter().all(u8::is_ascii_alphanumeric) {
        return Some(run.start - 2..run.end);
    }
    let is_user = (24..=28).contains(&run.len()) && matches!(value[0], b'M' | b'N' | b'O');
    let time = run.end + 1;
    let time_end = text.run(time, time + 8, is_url);
    let end = text.run(time_end + 1, time_end + 80, is_url);
    let is_dotted = text.at(run.end) == b'.' && text.at(time_end) == b'.';
    let is_bot = is_user && is_dotted && time_end - time == 6 && end - time_end > 27;
    (is_bot && text.starts_word(run.start)).then_some(run.start..end)
}

fn hides_secret(scan: &Scan<'_, '_>, range: Range<usize>) -> bool {
    let value = scan.text.slice(range);
    if !starts_readable(value) {
        return false;
    }
    let mut decoded = Vec::new();
    decode(value, &mut decoded);
    let Ok(text) = std::str::from_utf8(&decoded) else {
        return false;
    };
    let readable = text.chars().all(|c| !c.is_control() || c.is_whitespace());
    let is_login = || is_login(text);
    readable
        && (is_login()
            || !scan.triggers.is_quiet(text) && finds_something(scan.names, scan.triggers, text))
}

/// `bob:x`, with what somebody chose for a password.
fn is_login(text: &str) -> bool {
    let Some((user, password)) = text.trim_end().split_once(':') else {
        return false;
    };
    let is_user =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@');
    let starts = user.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    starts && user.len() >= 3 && user.bytes().all(is_user) && is_chosen(password.as_bytes())
}

/// A first look without decoding all of it: most runs are paths and hashes.
fn starts_readable(value: &[u8]) -> bool {
    let mut groups = value.chunks_exact(4).take(3);
    groups.all(|group| {
        let bits = group.iter().try_fold(0_u32, |bits, &byte| {
            Some(bits << 6 | u32::from(digit(byte)?))
        });
        bits.is_some_and(|bits| {
            let bytes = bits.to_be_bytes();
            bytes[1..]
                .iter()
                .all(|&byte| byte >= b' ' || byte.is_ascii_whitespace())
        })
    })
}

fn finds_something(names: &Names, triggers: &Triggers, text: &str) -> bool {
    let mut findings = Vec::new();
    Scan::new(text, names, triggers, &mut findings).run(&mut Sight::default());
    !findings.is_empty()
}

/// True for base64 of `user:password` in readable characters.
pub(super) fn is_user_and_password(value: &[u8]) -> bool {
    if value.len() < 6 || !value.iter().all(|&byte| is_base64(byte)) {
        return false;
    }
    let mut decoded = Vec::new();
    decode(value, &mut decoded);
    let Ok(text) = std::str::from_utf8(&decoded) else {
        return false;
    };
    let password = text.split_once(':').map(|(_, password)| password);
    password.is_some_and(|password| !is_harmless(password.as_bytes()))
        && !text.chars().any(char::is_control)
}

/// Decodes either alphabet, with or without padding; a cut last group is left.
fn decode(value: &[u8], into: &mut Vec<u8>) {
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in value.iter().take(DECODED) {
        let Some(six) = digit(byte) else { break };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            into.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
