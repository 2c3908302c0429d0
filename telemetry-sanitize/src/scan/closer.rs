//! What stands between the end of a name and its delimiter: quotes at any depth, brackets,
//! remarks, the marks of a style.

use super::markup::close_tag;
use crate::text::{Bytes, Text, is_blank, is_quote};

/// Past the quote (escaped at any depth) or bracket that closes the name.
pub(super) fn past_closers(text: &Text<'_>, from: usize) -> (usize, bool) {
    let mut at = from;
    let mut quoted = false;
    static CLOSERS: Bytes = Bytes::of(b"\\\"'`%&]*<>)[( :\x1b");
    for _ in 0..4 {
        if !CLOSERS.has(text.at(at)) {
            break;
        }
        let after_backslashes = text.run(at, at + 64, |byte| byte == b'\\');
        if is_quote(text.at(after_backslashes)) {
            at = after_backslashes + 1;
            quoted = true;
        } else if let Some(length) = encoded_quote(text, at) {
            at += length;
            quoted = true;
        } else if text.at(at) == b']' {
            at += 1;
        } else if text.has(at, ">> =") || text.has(at, ")\":") {
            at += 2 - usize::from(text.at(at) == b')'); // Erlang's `<<"password">> => x`, `"cs(Cookie)"`.
        } else if text.has(at, "%5d") {
            at += 3;
        } else if let Some(end) = style_end(text, at) {
            at = end;
        } else if text.has(at, "**") || text.has(at, "*:") {
            at += 2 - usize::from(text.at(at + 1) == b':'); // Markdown.
        } else if let Some(end) = class_end(text, at) {
            at = end;
        } else if text.has(at, ":protected]") || text.has(at, ":private]") {
            at = text.run(at, at + 12, |byte| byte != b']') + 1; // PHP's objects.
        } else if text.has(at, " ID  ") || text.has(at, " ID =") {
            at += " ID".len(); // Consul's `Secret ID    = x`.
        } else if text.has(at, " bytes (hex):") {
            at += " bytes (hex)".len();
        } else if let Some(end) = close_tag(text, at) {
            at = end;
        } else if let Some(end) = index_end(text, at).or_else(|| number_end(text, at)) {
            at = end;
        } else {
            break;
        }
    }
    (at, quoted)
}

/// Past `:"App\\Config":private]` of PHP.
fn class_end(text: &Text<'_>, at: usize) -> Option<usize> {
    if !text.has(at, ":\"") {
        return None;
    }
    let end = text.run(at + 2, at + 80, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'\\' || byte == b'_'
    });
    text.has(end, "\":private]")
        .then(|| end + "\":private]".len())
}

/// Past `[0]`, and the remark in `password (prod): x`.
fn index_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let open = text.skip_blanks(at, 1);
    let (close, is_inside): (u8, fn(u8) -> bool) = match text.at(open) {
        b'[' if open == at => (b']', |byte| byte.is_ascii_digit()),
        b'(' if open > at || text.has(at, "(hex)") => {
            (b')', |byte| byte.is_ascii_alphanumeric() || byte == b' ')
        }
        _ => return None,
    };
    // `passwd[4711]:` is a program and its process.
    let most = if close == b']' { 3 } else { 20 };
    let end = text.run(open + 1, open + most, is_inside);
    let is_whole = end > open + 1 && text.at(end) == close;
    let is_named = matches!(text.at(end + 1), b':' | b'=') || text.has(end + 1, " = ");
    (is_whole && is_named).then_some(end + 1)
}

/// Past the number in `Unseal Key 1: x`.
fn number_end(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.at(at) != b' ' || !text.at(at + 1).is_ascii_digit() {
        return None;
    }
    let end = text.run(at + 1, at + 4, |byte| byte.is_ascii_digit());
    let is_number = text.at(end) == b':';
    (is_number && is_blank(text.at(end + 1))).then_some(end)
}

/// Past escapes of a terminal that start at `at`, raw or as `\\u001b[0m` and
/// `\\x1b[0m`.
pub(super) fn style_end(text: &Text<'_>, at: usize) -> Option<usize> {
    const STARTS: [&str; 4] = ["\x1b[", "\\u001b[", "\\x1b[", "\\033["];
    let mut end = at;
    while matches!(text.at(end), 0x1b | b'\\')
        && let Some(start) = STARTS.iter().find(|start| text.has(end, start))
    {
        let code = end + start.len();
        let mark = text.run(code, code + 16, |byte| {
            byte.is_ascii_digit() || byte == b';'
        });
        if text.at(mark) != b'm' {
            break;
        }
        end = mark + 1;
    }
    (end > at).then_some(end)
}

/// The length of a quote that is written as an entity or an escape.
pub(super) fn encoded_quote(text: &Text<'_>, at: usize) -> Option<usize> {
    #[rustfmt::skip] // A list of words, not one a line.
    const QUOTES: [&str; 14] = [
        "%22", "%27", "%2522", "%2527", "&quot;", "&apos;", "&#34;", "&#39;", "&#x22;", "&#x27;",
        "\\u0022", "\\u0027", "\\x22", "\\x27",
    ];
    if !matches!(text.at(at), b'%' | b'&' | b'\\') {
        return None;
    }
    QUOTES
        .iter()
        .find(|quote| text.has(at, quote))
        .map(|quote| quote.len())
}
