//! Payment card numbers.
//!
//! Identifiers and times have 14 to 19 digits too, and one in ten of them has a
//! valid check digit by chance. So the prefix and the length must be those of a
//! card scheme, and the number must stand by itself.

use super::Scan;
use crate::rules::Kind;
use crate::text::{Text, is_blank};

/// A text with fewer digits holds none.
pub(super) const SHORTEST: usize = 14;
const LONGEST: usize = 19;

/// Looks at every run of digits.
pub(super) fn look(scan: &mut Scan<'_, '_>) {
    let mut at = 0;
    loop {
        at = scan
            .text
            .run(at, scan.text.len(), |byte| !byte.is_ascii_digit());
        if at >= scan.text.len() {
            return;
        }
        let is_quote = scan.text.before(at) == b'%' && scan.text.has(at, "22");
        at += if is_quote { 2 } else { 0 }; // `%22` stands before.
        let end = number_end(&scan.text, at);
        if is_card(&scan.text, at, end) && !is_named_otherwise(&scan.text, at, end) {
            scan.redact(at..end, Kind::Card);
        }
        at = end;
    }
}

/// Where the digits end; those of a card may stand in groups, with blanks or
/// dashes between.
fn number_end(text: &Text<'_>, start: usize) -> usize {
    const GROUPINGS: [&[usize]; 3] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];
    let end = text.run(start, text.len(), |byte| byte.is_ascii_digit());
    let separator = text.at(end);
    if end - start != 4 || !matches!(separator, b' ' | b'-') {
        return end;
    }
    let grouped = GROUPINGS
        .iter()
        .find_map(|groups| grouped_end(text, start, groups, separator));
    grouped.unwrap_or(end)
}

fn grouped_end(text: &Text<'_>, start: usize, groups: &[usize], separator: u8) -> Option<usize> {
    let mut at = start;
    for (place, &length) in groups.iter().enumerate() {
        if place > 0 {
            at = (text.at(at) == separator).then_some(at + 1)?;
        }
        let end = text.run(at, at + length + 1, |byte| byte.is_ascii_digit());
        at = (end - at == length).then_some(end)?;
    }
    Some(at)
}

/// The word before says that a run of digits without groups is something else:
/// `order 4111…`, `tracking_id=4111…`.
fn is_named_otherwise(text: &Text<'_>, start: usize, end: usize) -> bool {
    const NAMES: [&str; 24] = [
        "tracking",
        "order",
        "transaction",
        "txn",
        "id",
        "block",
        "blk",
        "timestamp",
        "ts",
        "time",
        "epoch",
        "invoice",
        "ref",
        "reference",
        "imei",
        "session",
        "request",
        "seq",
        "sequence",
        "offset",
        "snowflake",
        "serial",
        "uid",
        "ns",
    ];
    if end - start > 16 {
        return false;
    }
    let mut at = start;
    for _ in 0..2 {
        let word_end = text.run_back(at, at.saturating_sub(4), |byte| {
            is_blank(byte) || matches!(byte, b'=' | b':' | b'#' | b'"' | b'\\')
        });
        let word = text.run_back(word_end, word_end.saturating_sub(24), |b| {
            b.is_ascii_alphabetic()
        });
        if NAMES.iter().any(|name| {
            text.slice(word..word_end)
                .eq_ignore_ascii_case(name.as_bytes())
        }) {
            return true;
        }
        let is_number = ["number", "no", "nr", "is"].iter().any(|name| {
            text.slice(word..word_end)
                .eq_ignore_ascii_case(name.as_bytes())
        });
        if !is_number {
            return false;
        }
        at = word;
    }
    false
}

fn is_card(text: &Text<'_>, start: usize, end: usize) -> bool {
    let joins =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    let is_joined = joins(text.before(start)) && text.escape_before(start) == 0;
    let is_continued = joins(text.at(end)) && !matches!(text.at(end), b'.' | b'/');
    if is_joined && text.before(start) != b'/' || is_continued {
        return false;
    }
    let mut digits = [0; LONGEST];
    let mut count = 0;
    for byte in text.slice(start..end).iter().filter(|b| b.is_ascii_digit()) {
        if count == LONGEST {
            return false;
        }
        digits[count] = byte - b'0';
        count += 1;
    }
    is_issued(&digits[..count]) && has_check_digit(&digits[..count])
}

/// Prefix and length are those of a card scheme.
fn is_issued(digits: &[u8]) -> bool {
    if digits.len() < SHORTEST {
        return false;
    }
    let prefix = digits[..4]
        .iter()
        .fold(0, |sum, &digit| sum * 10 + u32::from(digit));
    match digits.len() {
        14 => matches!(prefix, 3000..=3059 | 3600..=3699 | 3800..=3999),
        15 => matches!(prefix / 100, 34 | 37),
        16 => {
            prefix / 1000 == 4
                || matches!(prefix, 5100..=5599 | 2221..=2720 | 3528..=3589 | 6011 | 6440..=6599)
        }
        _ => false,
    }
}

/// The Luhn check.
fn has_check_digit(digits: &[u8]) -> bool {
    let weigh = |(place, &digit): (usize, &u8)| {
        let doubled = u32::from(digit) << (place % 2);
        if doubled > 9 { doubled - 9 } else { doubled }
    };
    let sum: u32 = digits.iter().rev().enumerate().map(weigh).sum();
    sum.is_multiple_of(10)
}
