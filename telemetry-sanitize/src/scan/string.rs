//! Values in quotes, at any depth of escaping, and what stands around them: `Some("x")`,
//! `b'x'`, `"old" -> "new"`.

use std::ops::Range;

use super::group::struct_brace;
use super::pair::Name;
use super::shape;
use crate::text::{Bytes, Text, is_quote};

/// The string on the line after `"password":`.
pub(super) fn next_line_string(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    if !matches!(text.at(at), b'\n' | b'\r') || !is_quote(text.before(name.range.start)) {
        return None;
    }
    let start = text.run(at, at + 64, |byte| byte.is_ascii_whitespace());
    if !is_quote(text.at(start)) {
        return None;
    }
    let end = quoted(text, start, 0).end + 1;
    (text.at(text.skip_blanks(end, 2)) != b':').then_some(start)
}

/// Past `Some(`, `Secret("`'s name, Python's `b'`: what Debug output puts around.
pub(super) fn past_wrapper(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.has(at, "$request->") {
        let open = text.run(at, at + 40, |byte| {
            byte != b'(' && !byte.is_ascii_whitespace()
        });
        if text.at(open) == b'(' && is_quote(text.at(open + 1)) {
            let end = quoted(text, open + 1, 0).end + 1;
            let other = end + ") ?? ".len();
            return match text.has(end, ") ?? ") && is_quote(text.at(other)) {
                true => Some(other),
                false => fallback(text, open + 1), // PHP's.
            };
        }
    }
    if !text.at(at).is_ascii_alphanumeric() {
        return Some(past_opening(text, at));
    }
    static PATH: Bytes = Bytes::letters_and_digits().and(b"_:.");
    let end = text.run_in(at, at + 48, &PATH);
    if text.has(at, "vec![") {
        return Some(at + "vec!".len());
    }
    if text.has(at, "Optional[") {
        return Some(at + "Optional[".len()); // Java's.
    }
    if text.has(at, "String.raw`") {
        return Some(at + "String.raw".len());
    }
    let is_prefix = end == at + 1 && b"burfBUNnE".contains(&text.at(at));
    if is_prefix && matches!(text.at(end), b'"' | b'\'') {
        return Some(end);
    }
    if end == at || text.at(end) != b'(' {
        return Some(at);
    }
    if is_quote(text.at(end + 1)) && is_getter(text.slice(at..end)) {
        return fallback(text, end + 1);
    }
    if text.has(at, "string(") {
        let length_end = text.run(end + 1, end + 8, |byte| byte.is_ascii_digit());
        let quote = text.run(length_end + 2, length_end + 18, |byte| byte == b'\\');
        if text.has(length_end, ") ") && text.at(quote) == b'"' {
            return Some(length_end + 2); // PHP's `string(8) "x"`.
        }
    }
    let is_call = text.at(at).is_ascii_lowercase() && text.has(at, "prompt");
    if is_call {
        return Some(at);
    }
    let mut inner = text.run(end + 1, end + 34, |byte| byte.is_ascii_whitespace());
    for _ in 0..3 {
        inner = past_wrapper_once(text, inner);
    }
    let inner = inner + usize::from(text.at(inner) == b'b' && is_quote(text.at(inner + 1)));
    let quote = text.run(inner, inner + 64, |byte| byte == b'\\');
    let digits = text.run(inner, inner + 12, |byte| byte.is_ascii_digit());
    let is_number = digits > inner + 2 && text.at(digits) == b')';
    let is_value = is_quote(text.at(quote)) || is_number || struct_brace(text, inner).is_some();
    Some(if is_value { inner } else { at })
}

/// Past what opens a string in some languages: `@"x"`, `"""x"""`, `[]string{"x"}`.
fn past_opening(text: &Text<'_>, at: usize) -> usize {
    match text.at(at) {
        b'(' if text.has(at, "(*string)(\"") => at + "(*string)(".len(),
        b'(' if text.has(at, "(string) (len=") => {
            let length = at + "(string) (len=".len(); // A dump of Go.
            let end = text.run(length, length + 6, |byte| byte.is_ascii_digit());
            if text.has(end, ") \"") { end + 2 } else { at }
        }
        b'@' | b'$' | b'&' if text.at(at + 1) == b'"' => at + 1,
        b'$' if text.at(at + 1) == b'\'' => at + 1, // Of a shell.
        b'<' if text.has(at, "<<\"") => at + 2,     // Erlang's binaries.
        b'[' if text.has(at, "[]string{") || text.has(at, "[]byte(") => {
            let value = text.run(at, at + 9, |byte| !matches!(byte, b'{' | b'(')) + 1;
            if is_quote(text.at(value)) { value } else { at }
        }
        _ => at,
    }
}

/// The content of a string in which nothing is escaped: Rust's `r#"x"#`, C++'s `R"(x)"`,
/// and three quotes.
pub(super) fn raw(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let (start, close): (usize, &str) = match text.at(at) {
        b'r' if text.has(at + 1, "##\"") => (at + 4, "\"##"),
        b'r' if text.has(at + 1, "#\"") => (at + 3, "\"#"),
        b'r' if text.has(at + 1, "'''") => (at + 4, "'''"),
        b'R' if text.has(at + 1, "\"(") => (at + 3, ")\""),
        b'\'' if text.has(at, "'''") => (at + 3, "'''"),
        b'\'' if text.has(at, "'\\''") => (at + 4, "'\\''"), // In a string of a shell.
        b'"' if text.has(at, "\"\"\"") => (at + 3, "\"\"\""),
        _ => return None,
    };
    // Three quotes may hold lines. What is longer is taken up to its first quote.
    const LONGEST: usize = 384;
    let limit = match close.as_bytes() {
        [first, second, _] if first == second => text.len(),
        _ => text.line_end(start),
    };
    let limit = limit.min(start + LONGEST);
    let mut end = start;
    while end < limit && !text.has(end, close) {
        end = text.run(end + 1, limit, |byte| byte != close.as_bytes()[0]);
    }
    (start < end && end < limit).then_some(start..end)
}

/// A call that looks up a variable: `os.environ.get`.
fn is_getter(call: &[u8]) -> bool {
    const GETTERS: [&[u8]; 8] = [
        b"var",
        b"get",
        b"getenv",
        b"env",
        b"environ",
        b"getOrDefault",
        b"fetch",
        b"config",
    ];
    const VERBS: [&[u8]; 6] = [
        b"get_",
        b"fetch_",
        b"read_",
        b"load_",
        b"lookup_",
        b"retrieve_",
    ];
    let is_other = |byte: &u8| !byte.is_ascii_alphabetic();
    let word = call.rsplit(is_other).next().unwrap_or_default();
    let last = call
        .rsplit(|byte| matches!(byte, b'.' | b':'))
        .next()
        .unwrap_or_default();
    let is_known = |known: &&[u8]| word.eq_ignore_ascii_case(known);
    let is_camel = last.starts_with(b"get") && last.get(3).is_some_and(u8::is_ascii_uppercase);
    is_camel || GETTERS.iter().any(is_known) || VERBS.iter().any(|verb| last.starts_with(verb))
}

/// Of `get("SECRET", "x")` the second string; where there is only the name of a
/// variable, none.
fn fallback(text: &Text<'_>, quote: usize) -> Option<usize> {
    let first = quoted(text, quote, 0);
    let end = first.end + 1;
    let next = text.skip_blanks(end + 1, 2);
    if text.at(end) == b',' && is_quote(text.at(next)) {
        return Some(next);
    }
    let word = text.slice(first);
    let is_name = word.iter().all(|byte| !byte.is_ascii_lowercase());
    (!is_name && (shape::is_passwordish(word) || shape::is_strange(word))).then_some(quote)
}

/// Of `auth=BasicAuth("bob", "x")` the second string.
pub(super) fn second_string(text: &Text<'_>, at: usize) -> Option<usize> {
    let quote = text.run(at, at + 16, |byte| byte == b'\\');
    if !is_quote(text.at(quote)) {
        return None;
    }
    let end = quoted(text, quote, quote - at).end + (quote - at) + 1;
    let next = text.skip_blanks(end + 1, 2);
    let second = text.run(next, next + 16, |byte| byte == b'\\');
    (text.at(end) == b',' && is_quote(text.at(second))).then_some(next)
}

pub(super) fn past_wrapper_once(text: &Text<'_>, at: usize) -> usize {
    let end = text.run(at, at + 48, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'_'
    });
    if end > at && text.at(end) == b'(' {
        end + 1
    } else {
        at
    }
}

/// The content of the string that opens with the quote at `open`, which has
/// `depth` backslashes before it.
///
/// Each level of escaping doubles the backslashes before a quote and adds one.
/// So the string closes at the same quote with as many backslashes, besides
/// escaped backslashes in pairs of the level; with fewer, the string around it
/// closes.
pub(super) fn quoted(text: &Text<'_>, open: usize, depth: usize) -> Range<usize> {
    let mark = text.at(open);
    let start = open + 1;
    let mut limit = text.line_end(start);
    let mut at = start;
    while at < limit {
        let quote = text.run(at, limit, |byte| byte != mark);
        if quote >= limit {
            // A backslash before the break: the string goes on in the next line.
            let is_continued = text.before(limit) == b'\\' && text.at(limit) == b'\n' && depth == 0;
            let next = text.line_end((limit + 1).min(text.len()));
            let is_closed = text.run(limit, next, |byte| byte != mark) < next;
            if is_continued && is_closed {
                limit = next;
                continue;
            }
            break;
        }
        if mark == b'\'' && depth == 0 && text.has(quote, "'\\''") {
            at = quote + 4; // A shell's `'it'\''s'`.
            continue;
        }
        let first = text.run_back(quote, start, |byte| byte == b'\\');
        let backslashes = quote - first;
        let escapes = backslashes.saturating_sub(depth) / (depth + 1);
        let doubled = quote > start && depth == 0 && is_doubled(text, quote);
        if doubled {
            at = quote + 2;
            continue;
        }
        if escapes.is_multiple_of(2) {
            return start..quote - backslashes.min(depth);
        }
        at = quote + 1;
    }
    start..limit
}

/// The content of a string in the quotes that books use.
pub(super) fn curly_quoted(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    const QUOTES: [(&str, &str); 5] = [
        ("\u{201c}", "\u{201d}"),
        ("\u{2018}", "\u{2019}"),
        ("\u{201e}", "\u{201c}"),
        ("\u{ab}", "\u{bb}"),
        ("\u{300c}", "\u{300d}"),
    ];
    if text.at(at).is_ascii() {
        return None;
    }
    let (open, close) = QUOTES.iter().find(|(open, _)| text.has(at, open))?;
    let start = at + open.len();
    let limit = text.line_end(start).min(start + 256);
    let mut end = start;
    while end < limit {
        end = text.run(end, limit, |byte| byte != close.as_bytes()[0]);
        if text.has(end, close) {
            return Some(start..end);
        }
        if text.has(end, open) {
            return None;
        }
        end += 1;
    }
    None
}

/// A quote that books use opens at `at`.
pub(super) fn is_curly(text: &Text<'_>, at: usize) -> bool {
    curly_quoted(text, at).is_some()
}

/// The quote of the second value in `"old" -> "new"` and `'old' to 'new'`.
#[rustfmt::skip] // A list of words, not one a line.
pub(super) fn changed_to(text: &Text<'_>, end: usize, depth: usize) -> Option<usize> {
    const LINKS: [&str; 11] = [
        " -> ", " => ", " to ", " and ", " or ", ", now ", ", got ", " but got ", " != ", " vs ", ", new ",
    ];
    if let Some(next) = continued(text, end) {
        return Some(next);
    }
    let link = LINKS.iter().find(|link| text.has(end, link))?;
    let quote = end + link.len() + depth;
    is_quote(text.at(quote)).then_some(quote)
}

/// The quote of the next part of a string in parts: `"a" + "b"`, `"a" \` and `"b"` on the
/// next line.
fn continued(text: &Text<'_>, end: usize) -> Option<usize> {
    let mark = text.skip_blanks(end, 2);
    if !matches!(text.at(mark), b'+' | b'\\') {
        return None;
    }
    let next = text.run(mark + 1, mark + 40, |byte| byte.is_ascii_whitespace());
    (next > mark + 1 && is_quote(text.at(next))).then_some(next)
}

/// SQL, YAML, C# and tables double a quote inside of a string: `'it''s'`.
fn is_doubled(text: &Text<'_>, quote: usize) -> bool {
    let mark = text.at(quote);
    let next = text.at(quote + 2);
    let is_inside = match mark {
        b'\'' => next.is_ascii_alphanumeric(),
        b'"' => next.is_ascii_alphanumeric() || b"!#$%&*@+~?^".contains(&next),
        _ => false,
    };
    text.at(quote + 1) == mark && is_inside
}

pub(super) fn encoded_quoted(text: &Text<'_>, open: usize, length: usize) -> Range<usize> {
    let mark = text.as_str().get(open..open + length).unwrap_or_default();
    let start = open + length;
    let limit = text.line_end(start);
    let mut end = start;
    while end < limit && (!text.has(end, mark) || text.ends_with(end, "%5c")) {
        end = text.run(end + 1, limit, |byte| byte != mark.as_bytes()[0]);
    }
    start..end
}
