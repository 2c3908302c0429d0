//! Tokens that show by their shape: vendors' prefixes and JSON web tokens.

use std::ops::Range;

use super::{Scan, What};
use crate::rules::Kind;
use crate::text::{Bytes, Far, Text};
use crate::vendors::{Body, Left, VENDORS, Vendor, looks_random};

/// Looks at a token that starts with the prefix at `hit`.
pub(super) fn look(scan: &mut Scan<'_, '_>, index: u8, prefix: u8, hit: Range<usize>) {
    let vendor = &VENDORS[usize::from(index)];
    let text = &scan.text;
    if text.slice(hit.clone()) != vendor.prefixes[usize::from(prefix)].as_bytes() {
        return;
    }
    let start = match vendor.left {
        Left::Edge if !text.starts_word(hit.start) && !is_glued(vendor, prefix) => return,
        // `search-api-1-470384f3-…`.
        Left::Edge if vendor.body == Body::Uuid && text.before(hit.start) == b'-' => return,
        Left::Edge if text.at(hit.start) == b'{' => hit.end, // The scheme of a hash, `{SSHA}`.
        Left::Edge => hit.start,
        Left::Stays => match vendor.rule {
            "discord_webhook" => past_number(text, hit.end), // Which one; the token follows.
            "teams_webhook" => past_connector(text, hit.end),
            "slack_webhook" => past_team(text, hit.end),
            _ => hit.end,
        },
        Left::Part(body, least) => {
            let start = text.run_back(hit.start, hit.start.saturating_sub(96), |byte| {
                body.has(byte) && byte != b'='
            });
            let before = text.before(start);
            let is_longer = body == Body::Base64 && body.has(before) && before != b'=';
            if hit.start - start < least || is_longer {
                return;
            }
            past_escape(text, start)
        }
    };
    let body_end = body_end(text, hit.end, vendor.body);
    let end = text.run_back(body_end, hit.end, |byte| {
        matches!(byte, b'.' | b':' | b'%' | b'-')
    });
    let body = text.slice(hit.end..body_end);
    let is_tail = matches!(vendor.left, Left::Part(Body::Base64, _));
    if is_tail && body.len() > LONGEST_TAIL {
        return;
    }
    if body.len() < vendor.min || !is_random(vendor, body) {
        // What is no token at this length holds none; do not look again.
        if body.len() > LONGEST_NAME {
            scan.taken = scan.taken.max(end);
        }
        return;
    }
    let end = match vendor.rule {
        "teams_webhook" if start > hit.end => {
            text.run(start, end, |byte| byte.is_ascii_alphanumeric())
        }
        _ => end,
    };
    let secret = match vendor.rule {
        "aws_access_key" => aws_secret(text, end),
        _ => None,
    };
    scan.take(start..end, What::Vendor(index));
    if let Some(secret) = secret {
        scan.take(secret, What::Vendor(index));
    }
}

/// The prefix is told even where letters stand before it: `tokenghp_…`.
fn is_glued(vendor: &Vendor, prefix: u8) -> bool {
    const PREFIXES: [&str; 9] = [
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
    ];
    PREFIXES.contains(&vendor.prefixes[usize::from(prefix)])
}

/// Past the group and tenant, and the name of the connector: `GUID@GUID/IncomingWebhook/`.
fn past_connector(text: &Text<'_>, at: usize) -> usize {
    let tenant = text.run(at, at + 96, |byte| {
        byte.is_ascii_alphanumeric() || b"-@".contains(&byte)
    });
    let name = text.run(tenant + 1, tenant + 40, |byte| byte.is_ascii_alphanumeric());
    let is_known = text.at(tenant) == b'/' && text.at(name) == b'/' && name > tenant + 1;
    if is_known { name + 1 } else { at }
}

/// Past the team, `T012AB3CD/`: the webhook and its key follow.
fn past_team(text: &Text<'_>, at: usize) -> usize {
    let end = text.run(at, at + 16, |byte| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit()
    });
    let slash = text.run(end, end + 1, |byte| byte == b'\\');
    let is_team = text.at(at) == b'T' && text.at(slash) == b'/' && text.at(slash + 1) == b'B';
    if is_team { slash + 1 } else { at }
}

fn past_number(text: &Text<'_>, at: usize) -> usize {
    let end = text.run(at, at + 24, |byte| byte.is_ascii_digit());
    if end > at && text.at(end) == b'/' {
        end + 1
    } else {
        at
    }
}

/// Past what is left of an escape that the letters before a mark run into.
fn past_escape(text: &Text<'_>, start: usize) -> usize {
    match text.before(start) {
        b'%' if text
            .slice(start..start + 2)
            .iter()
            .all(u8::is_ascii_hexdigit) =>
        {
            start + 2
        }
        b'\\' if matches!(text.at(start), b'n' | b'r' | b't') => start + 1,
        _ => start,
    }
}

/// Where the characters of a token end. A percent sign belongs to it where a
/// character of base64 is encoded: `%22` is a quote behind it.
fn body_end(text: &Text<'_>, from: usize, body: Body) -> usize {
    let mut end = from;
    loop {
        end = text.run(end, text.len(), |byte| body.has(byte) && byte != b'%');
        let is_encoded = ["%2b", "%2f", "%3d", "%7e"]
            .iter()
            .any(|code| text.has(end, code));
        if body.has(b'/') && text.has(end, "\\/") {
            end += 2; // As PHP writes it in JSON.
            continue;
        }
        if !body.has(b'%') || !is_encoded {
            return end;
        }
        end += 3;
    }
}

/// The secret key that stands close behind an access key: 40 characters.
fn aws_secret(text: &Text<'_>, end: usize) -> Option<Range<usize>> {
    const REACH: usize = 24;
    const LENGTH: usize = 40;
    static KEY: Bytes = Bytes::letters_and_digits().and(b"+/");
    let limit = end + REACH;
    let mut at = end + usize::from(text.at(end) == b'/'); // What parts them.
    while at < limit && !matches!(text.at(at), b'\n' | 0) {
        let key_end = text.run_in(at, at + LENGTH + 1, &KEY);
        if key_end == at + LENGTH && looks_random(text.slice(at..key_end)) {
            return Some(at..key_end);
        }
        at = key_end + 1;
    }
    None
}

/// Of a key with its mark near the end, no more than this follows the mark; in a
/// picture in base64 the mark stands by chance.
const LONGEST_TAIL: usize = 12;

/// A run without anything random in it that is longer is no name either.
const LONGEST_NAME: usize = 512;

fn is_random(vendor: &Vendor, body: &[u8]) -> bool {
    if vendor.rule == "clickhouse_key" && body.iter().all(u8::is_ascii_hexdigit) {
        return false; // A hash.
    }
    let is_capitals = vendor.body == Body::Upper && body.len() <= 64; // May have no digit.
    matches!(vendor.left, Left::Part(..)) || is_capitals || looks_random(body)
}

/// Looks at a JSON web token: parts of base64url with dots between, the first
/// of which is an object and so starts with `eyJ`.
pub(super) fn look_jwt(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let text = &scan.text;
    let starts = text.slice(hit.clone()) == b"eyJ";
    if !starts || !text.starts_word(hit.start) {
        return;
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let header = text.run_far(Far::JwtPart, hit.end, is_part);
    if text.at(header) != b'.' || header - hit.start < 10 {
        return;
    }
    let end = text.run(header, text.len(), |byte| {
        is_part(byte) || byte == b'.' || byte == b'='
    });
    let end = text.run_back(end, header, |byte| byte == b'.');
    if end - header > 8 {
        scan.redact(hit.start..end, Kind::Jwt);
    }
}
