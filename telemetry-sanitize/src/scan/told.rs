//! Values before the name: `invalid type: string "x", expected a password`,
//! `could not parse "x" as ApiKey`, `x is the password for bob`.

use std::ops::Range;

use super::pair::Name;
use super::sentence::find_word;
use super::shape;
use crate::mask::{is_harmless, is_status};
use crate::names::{SecretName, Trust};
use crate::rules::Kind;
use crate::text::{Text, is_blank, is_quote};
use crate::vendors::looks_random;

/// How far before the name the value ends.
const REACH: usize = 40;

/// What links a value to the name behind it.
#[rustfmt::skip] // A list of words, not one a line.
const LINKS: [&str; 18] = [
    " as ", " for ", ") for ", ", expected ", " is not ", " is the ", " is a ", " is an ", " is your ", " is my ",
    " is no ", " is invalid ", " does not match ", " was the ", " set as ", " used as ", " isn't ", " accepted as ",
];

/// The value that a sentence tells before the name.
pub(super) fn before(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<Range<usize>> {
    if let Some(value) = input_before(text, name) {
        return (!value.is_empty() && !is_harmless(text.slice(value.clone()))).then_some(value);
    }
    let is_word = matches!(
        secret.rule,
        Kind::Password | Kind::Secret | Kind::Token | Kind::ApiKey | Kind::PrivateKey
    );
    let before = text.before(name.range.start);
    let is_named = is_quote(before)
        && [" option ", " for key "]
            .iter()
            .any(|link| text.ends_with(name.range.start - 1, link));
    if !is_word || !is_named && !matches!(before, b' ' | b'-') {
        return None;
    }
    let dashes = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(2),
        |byte| byte == b'-',
    );
    let is_option = dashes < name.range.start && is_quote(text.before(dashes));
    let end = dashes - usize::from(is_option || is_named);
    let value = quoted_before(text, end).or_else(|| word_before(text, end))?;
    let content = text.slice(value.clone());
    let is_secret = match secret.trust {
        Trust::Strong => shape::is_passwordish(content) || shape::is_chosen(content),
        _ => content.len() >= 16 && looks_random(content) && !content.contains(&b' '),
    };
    (is_secret && !is_harmless(content) && !is_status(content)).then_some(value)
}

/// The value in `<input value="x" type="password">`.
fn input_before(text: &Text<'_>, name: &Name) -> Option<Range<usize>> {
    let end = name.range.start;
    if !text.ends_with(end, " type=\"") {
        return None;
    }
    let open = text.run_back(end, end.saturating_sub(256), |byte| {
        byte != b'<' && byte != b'\n'
    });
    let start = find_word(text, open, " value=\"")? + " value=\"".len();
    let close = text.run(start, end, |byte| byte != b'"');
    (text.before(open) == b'<' && close < end).then_some(start..close)
}

/// The string before a link that ends at `end`.
fn quoted_before(text: &Text<'_>, end: usize) -> Option<Range<usize>> {
    let link = text.run_back(end, end.saturating_sub(REACH), |byte| {
        byte.is_ascii_alphabetic() || b" -,)".contains(&byte)
    });
    let mark = text.before(link);
    if !is_quote(mark) || !LINKS.iter().any(|known| text.has(link, known)) {
        return None;
    }
    let close = link - 1;
    let start = text.run_back(close, close.saturating_sub(256), |byte| {
        byte != mark && byte != b'\n'
    });
    (text.before(start) == mark).then_some(start..close)
}

/// The word before `is the password`.
fn word_before(text: &Text<'_>, end: usize) -> Option<Range<usize>> {
    let link = [
        " is the ",
        " is your ",
        " is my ",
        " accepted as ",
        " used as ",
        " set as ",
    ]
    .iter()
    .find(|link| text.ends_with(end, link))?;
    let end = end - link.len();
    let start = text.run_back(end, end.saturating_sub(130), |byte| {
        !is_blank(byte) && byte != b'\n' && !is_quote(byte)
    });
    let user_end = text.run(start, end, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
    });
    let start = match text.at(user_end) {
        b':' if user_end + 4 < end => user_end + 1, // `bob:x accepted as password`.
        _ => start,
    };
    Some(start..end)
}
