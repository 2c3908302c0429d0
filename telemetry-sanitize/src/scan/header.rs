//! Credentials of HTTP: `Authorization`, `Cookie`, `Bearer` and `Basic`.

use std::ops::Range;

use super::closer::style_end;
use super::pair::Name;
use super::shape::is_assignment;
use super::{Scan, encoded};
use crate::mask::{is_harmless, is_status};
use crate::names::Verdict;
use crate::rules::Kind;
use crate::text::{Far, NAME_BYTES, Text, is_base64, is_blank, is_name_byte};
use crate::vendors::looks_random;

/// Schemes whose credentials are one word.
const ONE_WORD: [&str; 8] = [
    "bearer",
    "basic",
    "token",
    "negotiate",
    "ntlm",
    "apikey",
    "api-key",
    "splunk",
];

/// Attributes of `Set-Cookie` without a value.
const FLAGS: [&str; 3] = ["secure", "httponly", "partitioned"];

/// Looks at the word behind `Bearer ` or `Basic ` in running text.
pub(super) fn look(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let text = &scan.text;
    if !text.starts_word(hit.start) {
        return;
    }
    let start = text.skip_blanks(hit.end, 4);
    let start = style_end(text, start).unwrap_or(start);
    let end = text.run_far(Far::Credentials, start, is_credential);
    let end = text.run_back(end, start, |byte| matches!(byte, b'.' | b':'));
    if text.has(hit.start, "basic") {
        let is_whole = text.run(start, end, is_base64) == end;
        if is_whole && encoded::is_user_and_password(text.slice(start..end)) {
            scan.redact(start..end, Kind::BasicAuth);
        }
        return;
    }
    let value = text.slice(start..end);
    let slashes = value.iter().filter(|&&byte| byte == b'/').count();
    let is_path = value.starts_with(b"/") && slashes > 2 && slashes * 16 > value.len();
    if is_assignment(value) || is_path {
        return; // `Bearer, ExpiresAt=0`, and the path of a modem's.
    }
    let is_listed = text.ends_with(start, ", ") && !value.iter().any(u8::is_ascii_digit);
    if is_listed {
        return; // `scheme: bearer, bearerFormat: JWT`.
    }
    if value.len() >= 8 && (looks_random(value) || value.len() >= 24) && !is_status(value) {
        scan.redact(start..end, Kind::BearerToken);
    }
}

fn is_credential(byte: u8) -> bool {
    is_base64(byte) || matches!(byte, b'.' | b'~' | b':' | b'%')
}

/// Takes the credentials in the value of an `Authorization` header. The scheme
/// stays. In `strong` context a short word behind a scheme is a secret too.
pub(super) fn take_credentials(scan: &mut Scan<'_, '_>, value: Range<usize>, strong: bool) {
    let text = &scan.text;
    const ENCODED: [&str; 4] = ["bearer+", "bearer%20", "basic+", "basic%20"];
    if let Some(scheme) = ENCODED.iter().find(|scheme| text.has(value.start, scheme)) {
        let start = value.start + scheme.len();
        let end = run_in_line(text, start, value.end, is_word_byte);
        let rule = first_rule(&scheme.as_bytes()[..scheme.find(['+', '%']).unwrap_or(0)]);
        return take_word(scan, rule, start..end, strong);
    }
    let word_end = run_in_line(text, value.start, value.end, is_word_byte);
    let first = text.slice(value.start..word_end);
    let first = first.strip_suffix(b":").unwrap_or(first); // `Bearer: x`.
    let next = text.skip_blanks(word_end, 8).min(value.end);
    let next = style_end(text, next).unwrap_or(next).min(value.end);
    let second_end = run_in_line(text, next, value.end, is_word_byte);
    let is_scheme = ONE_WORD
        .iter()
        .any(|scheme| first.eq_ignore_ascii_case(scheme.as_bytes()));
    let second = text.slice(next..second_end);
    let is_other_scheme = strong && is_word(first) && second.len() >= 8 && looks_random(second);
    let padding = second
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    let is_pair = second[..second.len() - padding].contains(&b'=');
    if let Some(secret) = last_part(text, value.start..word_end, next..second_end) {
        let has_id = ["AKIA", "ASIA"].iter().any(|id| text.has(next, id));
        let start = if has_id { next } else { secret.start };
        return scan.redact(start..secret.end, Kind::Authorization);
    }
    if !strong && starts_pair(text, value.start, value.end) {
        let name_end = text.run_in(value.start, value.end, &NAME_BYTES);
        let verdict = scan.names.judge(text.slice(value.start..name_end));
        if matches!(verdict, Verdict::Secret(_)) {
            return; // `auth: token=x`: each pair by itself.
        }
    }
    if is_scheme && next >= second_end && next >= value.end {
        return; // A scheme alone.
    }
    let is_open = second.ends_with(b"=") && {
        let quote = text.run(second_end, second_end + 16, |byte| byte == b'\\');
        let first = text.at(quote + 1);
        first.is_ascii_alphanumeric() || first == b'['
    };
    let is_pair = is_pair || is_open && second.len() < 24; // `token="x"`.
    if is_scheme && is_template(text, next) {
        return; // `Bearer ${{ secrets.TOKEN }}`.
    }
    if next < second_end && !is_pair && (is_scheme || is_other_scheme) {
        return take_word(scan, first_rule(first), next..second_end, strong);
    }
    if is_harmless(second) && next < second_end {
        return; // Masked already, behind a scheme.
    }
    let has_pairs =
        strong && is_word(first) && !is_status(first) && starts_pair(text, next, value.end);
    if has_pairs || is_parameter_scheme(first) && text.slice(next..value.end).contains(&b'=') {
        return take_parameters(scan, next..value.end);
    }
    take_word(
        scan,
        Kind::Authorization,
        value.start..word_end,
        strong && !is_scheme,
    );
}

/// `${{ secrets.TOKEN }}`, `{{ token }}`, `$(cat token)`, with blanks in it.
fn is_template(text: &Text<'_>, at: usize) -> bool {
    let close = match text.at(at) {
        b'$' if text.at(at + 1) == b'(' => b')',
        b'$' | b'{' => b'}',
        _ => return false,
    };
    let end = text.run(at, at + 96, |byte| byte != close && byte != b'\n');
    let end = text.run(end, end + 2, |byte| byte == close);
    is_harmless(text.slice(at..end))
}

/// A pair such as `token="x"` starts at `at`.
fn starts_pair(text: &Text<'_>, at: usize, limit: usize) -> bool {
    let end = text.run_in(at, limit, &NAME_BYTES);
    let is_name =
        (1..=32).contains(&(end - at)) && !text.slice(at..end).iter().any(u8::is_ascii_digit);
    is_name && end + 1 < limit && text.at(end) == b'=' && text.at(end + 1) != b'='
}

/// The secret at the end of `AWS id:signature` and `PVEAPIToken=user!id=x`.
fn last_part(text: &Text<'_>, first: Range<usize>, second: Range<usize>) -> Option<Range<usize>> {
    let (word, mark) = match text.slice(first.clone()) {
        b"AWS" | b"SharedKey" | b"SharedKeyLite" => (second, b':'),
        one if one.starts_with(b"PVEAPIToken=") => (first, b'='),
        _ => return None,
    };
    let start = text.run(word.start, word.end, |byte| byte != mark) + 1;
    let start = match mark {
        b'=' => text.run(start, word.end, |byte| byte != mark) + 1,
        _ => start,
    };
    let end = text.run_back(word.end, start, |byte| {
        matches!(byte, b',' | b';' | b'\\' | b']')
    });
    (start < end).then_some(start..end)
}

/// A scheme that is not known by name, such as `SSWS` or `Bot`.
fn is_word(first: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    (2..=24).contains(&first.len()) && first[0].is_ascii_alphabetic() && first.iter().all(is_letter)
}

/// As [`Text::run`], and not over a line break or quote that is escaped.
fn run_in_line(text: &Text<'_>, from: usize, limit: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let mut end = from;
    loop {
        end = text.run(end, limit, |byte| byte != b'\\' && belongs(byte));
        let is_escape = matches!(text.at(end + 1), b'r' | b'n' | b'"' | b'\\');
        if end >= limit || text.at(end) != b'\\' || is_escape || !belongs(b'\\') {
            return end;
        }
        end += 1;
    }
}

fn is_word_byte(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !byte.is_ascii_control() && byte != b'"' && byte != b'\''
}

fn first_rule(scheme: &[u8]) -> Kind {
    if scheme.eq_ignore_ascii_case(b"bearer") {
        Kind::BearerToken
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        Kind::BasicAuth
    } else {
        Kind::Authorization
    }
}

/// The word says how credentials are written or a cookie is kept, and is none.
pub(super) fn is_open_word(word: &[u8]) -> bool {
    let is_known = |open: &&str| word.eq_ignore_ascii_case(open.as_bytes());
    ONE_WORD.iter().chain(&FLAGS).any(is_known) || is_parameter_scheme(word)
}

/// Schemes whose credentials are `name=value` parameters to the end.
fn is_parameter_scheme(scheme: &[u8]) -> bool {
    const SCHEMES: [&str; 6] = [
        "digest",
        "oauth",
        "hawk",
        "signature",
        "aws4-hmac-sha256",
        "sharedkey",
    ];
    SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))
}

/// Parameters that say who and what, and give no access.
const OPEN_PARAMETERS: [&str; 33] = [
    "nonce",
    "cnonce",
    "opaque",
    "id",
    "ts",
    "ext",
    "hash",
    "app",
    "dlg",
    "sr",
    "se",
    "skn",
    "sv",
    "sp",
    "st",
    "oauth_nonce",
    "timestamp",
    "username",
    "realm",
    "uri",
    "qop",
    "nc",
    "algorithm",
    "version",
    "headers",
    "keyid",
    "signedheaders",
    "credential",
    "oauth_version",
    "oauth_signature_method",
    "oauth_timestamp",
    "oauth_consumer_key",
    "created",
];

/// Takes the values of `name="value", name=value`; all of it where there is a
/// word without a name.
fn take_parameters(scan: &mut Scan<'_, '_>, all: Range<usize>) {
    let mut at = all.start;
    while at < all.end {
        let text = &scan.text;
        let name_end = text.run_in(at, all.end, &NAME_BYTES);
        if name_end == at || text.at(name_end) != b'=' {
            return scan.redact(at..all.end, Kind::Authorization);
        }
        let quote = text.run(name_end + 1, all.end, |byte| byte == b'\\');
        let is_quoted = text.at(quote) == b'"';
        let start = if is_quoted { quote + 1 } else { name_end + 1 };
        let is_plain = |byte: u8| byte != b'"' && byte != b'\\';
        let is_part = |byte: u8| is_plain(byte) && (is_quoted || !b", &]".contains(&byte));
        let end = match text.at(start) {
            b'[' if !is_quoted => {
                let mark = text.run(start, all.end, |byte| byte != b']'); // Masked already.
                text.run((mark + 1).min(all.end), all.end, is_part)
            }
            _ => text.run(start, all.end, is_part),
        };
        let is_open = OPEN_PARAMETERS.iter().any(|name| {
            text.slice(at..name_end)
                .eq_ignore_ascii_case(name.as_bytes())
        });
        let is_key_id = is_open && text.slice(start..end).ends_with(b"/aws4_request");
        if is_key_id {
            let id_end = text.run(start, end, |byte| byte != b'/');
            scan.redact(start..id_end, Kind::Authorization);
        } else if !is_open && !is_harmless(text.slice(start..end)) {
            scan.redact(start..end, Kind::Authorization);
        }
        let after = end + usize::from(is_quoted);
        if scan.text.at(after) == b'\\' && matches!(scan.text.at(after + 1), b'r' | b'n') {
            return; // The next header.
        }
        at = scan
            .text
            .run(end, all.end, |byte| !is_name_byte(byte) || byte == b'.');
    }
}

fn take_word(scan: &mut Scan<'_, '_>, rule: Kind, word: Range<usize>, strong: bool) {
    let text = &scan.text;
    if is_harmless(text.slice(word.clone())) {
        return; // `Bearer ${TOKEN}`.
    }
    let end = text.run_back(word.end, word.start, |byte| {
        matches!(
            byte,
            b'"' | b'\'' | b',' | b';' | b')' | b'}' | b']' | b'\\' | b'.'
        )
    });
    let value = text.slice(word.start..end);
    let secret = value.len() >= 6 && (looks_random(value) || value.len() >= 16);
    let is_word = value.iter().skip(1).all(u8::is_ascii_lowercase); // `auth: Calculating`.
    let word_like = value.iter().all(u8::is_ascii_alphabetic) && value.len() < 12;
    let secret = secret && !(word_like && is_word);
    if is_harmless(value) || is_status(value) || !(secret || strong && !word_like) {
        return;
    }
    scan.redact(word.start..end, rule);
}

/// The name of the header is `Set-Cookie`.
pub(super) fn is_set_cookie(text: &Text<'_>, name: &Name) -> bool {
    text.has(name.range.start, "set")
}

/// What counts visitors: `_ga=GA1.2.1.2`.
fn is_visitor(value: &[u8]) -> bool {
    let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    [b"GA1.".as_slice(), b"GS1.", b"fb.1."].iter().any(|start| {
        value
            .strip_prefix(*start)
            .is_some_and(|rest| rest.iter().all(is_number))
    })
}

/// A short word under a name that says how somebody likes a page to look, or an
/// attribute of `Set-Cookie`.
fn is_preference(name: &[u8], value: &[u8]) -> bool {
    const NAMES: [&str; 16] = [
        "theme", "lang", "language", "locale", "tz", "timezone", "currency", "consent", "path",
        "domain", "samesite", "max-age", "expires", "country", "region", "mode",
    ];
    let is_known = NAMES
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    is_known
        && value.len() <= 32
        && !(value.len() >= 8 && looks_random(value) && !value.contains(&b'/'))
}

/// Where the next cookie starts of several in one `Set-Cookie`: `a=1; Path=/, b=2`.
fn next_cookie(text: &Text<'_>, from: usize, limit: usize) -> Option<usize> {
    let mut at = from;
    while at < limit {
        at = run_in_line(text, at, limit, |byte| byte != b',') + 1;
        let name = text.skip_blanks(at, 2);
        let name_end = text.run_in(name, limit, &NAME_BYTES);
        if name > at && name_end > name && text.at(name_end) == b'=' {
            return Some(name); // But for `Expires=Thu, 01-Jan-1970`.
        }
    }
    None
}

/// Takes the values of `name=value; name=value`. Of `Set-Cookie`, only the
/// first: what follows are attributes.
pub(super) fn take_cookies(scan: &mut Scan<'_, '_>, is_set: bool, value: Range<usize>) {
    let mut at = value.start;
    while at < value.end {
        let text = &scan.text;
        let pair_end = run_in_line(text, at, value.end, |byte| {
            byte != b';' && byte != b'"' && !is_blank(byte)
        });
        let equals = text.run(at, pair_end, |byte| byte != b'=');
        let content = if equals < pair_end { equals + 1 } else { at };
        let cookie = text.slice(content..pair_end);
        let is_preference = text.at(at) == b'_' && is_visitor(cookie)
            || is_preference(text.slice(at..equals.min(pair_end)), cookie);
        let is_attribute = FLAGS
            .iter()
            .any(|name| cookie.eq_ignore_ascii_case(name.as_bytes()));
        let is_preference = is_preference || is_attribute && equals == pair_end;
        let is_long = cookie.len() > 2; // `a=1` is a flag.
        let secret = (equals < pair_end && is_long || looks_random(cookie)) && !is_preference;
        let is_deleted = cookie == b"deleted";
        if secret && !is_deleted && !is_harmless(cookie) {
            scan.redact(content..pair_end, Kind::Cookie);
        }
        if is_set {
            let Some(next) = next_cookie(&scan.text, pair_end, value.end) else {
                return;
            };
            at = next;
            continue;
        }
        if scan.text.at(pair_end) != b';' {
            return;
        }
        at = scan.text.skip_blanks(pair_end + 1, 8).max(pair_end + 1);
    }
}
