//! Passwords in URLs.

use std::ops::Range;

use super::Scan;
use super::pair::pair_at;
use crate::mask::is_harmless;
use crate::rules::Kind;
use crate::text::{Bytes, Text};
use crate::vendors::looks_random;

/// Looks at the authority behind `://`. What stands in the query is found by
/// its names.
pub(super) fn look(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let text = &scan.text;
    let encoded = text.at(hit.start) == b'%';
    if is_replaced(text, hit.end) || text.ends_with(hit.start, "enode") {
        return; // Of Ethereum's nodes, whose keys are for everybody.
    }
    let Some(at_sign) = user_info_end(text, hit.end, encoded) else {
        return;
    };
    let colon = text.run(hit.end, at_sign, |byte| byte != b':');
    let password = if colon < at_sign {
        colon + 1..at_sign
    } else if let Some(colon) = encoded
        .then(|| find(text, hit.end..at_sign, "%3a"))
        .flatten()
    {
        colon + 3..at_sign
    } else if is_token(text.slice(hit.end..at_sign)) {
        hit.end..at_sign
    } else {
        return;
    };
    let user = hit.end..colon;
    if text.slice(password.clone()) == b"x-oauth-basic" {
        if is_harmless(text.slice(user.clone())) {
            return;
        }
        return scan.redact(user, Kind::UrlPassword); // GitHub's: the user is the token.
    }
    // Sentry's public key and Twilio's account are hexadecimal; they give no access.
    let is_id = text
        .slice(user.clone())
        .iter()
        .rev()
        .take(32)
        .all(u8::is_ascii_hexdigit);
    let is_key =
        colon < at_sign && user.len() >= 32 && !is_id && is_token(text.slice(user.clone()));
    if !is_harmless(text.slice(password.clone())) {
        if is_key {
            scan.redact(user, Kind::UrlPassword); // `https://KEY:SECRET@host`.
        }
        scan.redact(password, Kind::UrlPassword);
    }
}

/// A replacement of ours stands in the place of the password.
fn is_replaced(text: &Text<'_>, start: usize) -> bool {
    let colon = text.run_in(start, start + 64, &USER);
    if text.has(start, "[REDACTED:url_password]:x-oauth-basic@") {
        return true;
    }
    text.at(colon) == b':' && text.has(colon + 1, "[REDACTED:url_password]@")
}

/// A long random word in the place of the user.
fn is_token(user: &[u8]) -> bool {
    let count = |class: fn(&u8) -> bool| user.iter().filter(|byte| class(byte)).count();
    let digits = count(u8::is_ascii_digit);
    let is_mixed =
        digits > 0 && count(u8::is_ascii_uppercase) > 1 && count(u8::is_ascii_lowercase) > 1;
    let is_jumbled = count(u8::is_ascii_uppercase) > 4 && count(u8::is_ascii_lowercase) > 4;
    let least = if is_mixed { 10 } else { 20 };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let enough = is_mixed || is_jumbled || digits > 2;
    user.len() >= least && enough && looks_random(user) && user.iter().all(is_plain)
}

/// The `@` before the host. A password may hold `@`; one with `/`, `?` or `#`
/// in it is broken, but not less secret: it shows by a port that is no number.
fn user_info_end(text: &Text<'_>, start: usize, encoded: bool) -> Option<usize> {
    if encoded {
        let end = text.run_in(start, start + REACH, &IN_URL);
        return find(text, start..end, "%40");
    }
    let (mut semicolon, mut at_sign, mut colon) = (None, None, None);
    let mut authority = start;
    loop {
        authority = text.run_in(authority, text.len(), &AUTHORITY);
        match text.at(authority) {
            b';' if semicolon.is_none() => semicolon = Some(authority),
            b'\\' if text.has(authority, "\\u0040") => at_sign = Some(authority),
            b'@' => at_sign = Some(authority),
            b':' => colon = Some(authority),
            b';' => {}
            _ => break,
        }
        authority += 1;
    }
    // What follows the `;` of `sqlserver://db;user=sa` are parameters.
    if semicolon.is_some_and(|semicolon| pair_at(text, semicolon + 1)) {
        return None;
    }
    if at_sign.is_some() {
        // `https://bob:x@y#z@host`: what stands before a path.
        let end = text.run_in(authority, authority + REACH, &BEFORE_PATH);
        let is_broken = text.at(authority) == b'#' && colon < at_sign;
        let later = is_broken.then(|| last(text, authority..end, b'@'));
        return later.flatten().or(at_sign);
    }
    let colon = colon?;
    let port = text.slice(colon + 1..authority);
    if port.iter().all(u8::is_ascii_digit) || text.at(start) == b'[' {
        return None;
    }
    let end = text.run_in(authority, authority + REACH, &IN_URL);
    last(text, authority..end, b'@')
}

/// How far a broken password is followed.
const REACH: usize = 256;

/// All but what is no part of a URL.
static IN_URL: Bytes = Bytes::but(b" \t\n\r\x0c\"'`<>\\");
static BEFORE_PATH: Bytes = Bytes::but(b" \t\n\r\x0c\"'`<>\\/?");
static USER: Bytes = Bytes::but(b" \t\n\r\x0c\"'`<>\\/?#@:");
/// All but what ends an authority or divides it.
static AUTHORITY: Bytes = Bytes::but(b" \t\n\r\x0c\"'`<>\\/?#;@:");

/// Looks at `jdbc:oracle:thin:USER/PASSWORD@HOST`.
pub(super) fn look_oracle(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let text = &scan.text;
    let end = text.run_in(hit.end, hit.end + REACH, &IN_URL);
    let slash = text.run(hit.end, end, |byte| byte != b'/' && byte != b'@');
    let Some(at_sign) = last(text, slash..end, b'@') else {
        return;
    };
    if slash + 1 < at_sign && !is_harmless(text.slice(slash + 1..at_sign)) {
        scan.redact(slash + 1..at_sign, Kind::UrlPassword);
    }
}

fn last(text: &Text<'_>, range: Range<usize>, wanted: u8) -> Option<usize> {
    let after = text.run_back(range.end, range.start, |byte| byte != wanted);
    (after > range.start).then(|| after - 1)
}

fn find(text: &Text<'_>, range: Range<usize>, wanted: &str) -> Option<usize> {
    let mut at = range.start;
    while at < range.end {
        at = text.run(at, range.end, |byte| byte != b'%');
        if at < range.end && text.has(at, wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}
