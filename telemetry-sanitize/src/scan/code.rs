//! Source text in the place of a value, as logs quote it: the secret itself is not seen.

use super::delimiter::Delimiter;
use super::pair::Name;
use super::string::quoted;
use crate::mask::is_harmless;
use crate::names::Trust;
use crate::text::{Text, is_blank, is_quote};

/// Longest expression, and how deep calls may stand in calls.
const LONGEST: usize = 240;
const DEEPEST: usize = 4;

/// `(*string)(nil)`, `(*string)(0xc000012345)` and `0xc000012345` of Go; `0x0`.
fn pointer_end(text: &Text<'_>, trust: Trust, at: usize) -> Option<usize> {
    let is_cast = text.has(at, "(*");
    if text.has(at, "0x0") && matches!(text.at(at + 3), b' ' | b',' | b')' | b'}' | b'\n' | 0) {
        return Some(at + 3);
    }
    let number = match is_cast {
        true => text.run(at + 2, at + 40, |byte| byte != b')' && !is_blank(byte)) + 2,
        false => at,
    };
    if is_cast && text.has(number, "nil)") {
        return Some(number + "nil)".len());
    }
    let end = text.run(number + 2, number + 20, |byte| byte.is_ascii_hexdigit());
    let is_pointer = text.has(number, "0xc0") && end == number + 12;
    let is_told = is_cast || trust == Trust::Shaped && !text.at(end).is_ascii_alphanumeric();
    (is_pointer && is_told).then_some(end)
}

/// The end of source text at `at` that yields the value: `hash(body.password, rounds)`,
/// `<object object at 0x1f>`, `Some(Secret([REDACTED String]))`.
pub(super) fn source_end(
    text: &Text<'_>,
    name: &Name,
    trust: Trust,
    delimiter: Delimiter,
    at: usize,
) -> Option<usize> {
    let first = text.at(at);
    if matches!(first, b'(' | b'0') {
        return pointer_end(text, trust, at);
    }
    match delimiter {
        Delimiter::Equals | Delimiter::ColonBlank => {}
        Delimiter::Colon | Delimiter::Blank if first == b'<' => {}
        _ => return None,
    }
    match first {
        b'<' => repr_end(text, at),
        b'r' | b'$' | b'E' if let Some(end) = lookup_end(text, at) => Some(end),
        b'A'..=b'Z' => wrapped_mask_end(text, at)
            .or_else(|| generic_end(text, at))
            .or_else(|| class_end(text, at))
            .or_else(|| expression_end(text, at)),
        b'a'..=b'z' | b'_' if trust == Trust::Shaped && is_token_member(text, at) => Some(at),
        b'a'..=b'z' | b'_' => same_member_end(text, name, at)
            .or_else(|| class_end(text, at))
            .or_else(|| expression_end(text, at)),
        _ => None,
    }
}

const LOOKUPS: [&str; 6] = [
    "req.headers().get(",
    "request.headers().get(",
    "$request->input(",
    "$request->get(",
    "$request->header(",
    "Environment.GetEnvironmentVariable(",
];

/// The string that stands in for what is looked up: `.unwrap_or("x")`, ` ?? "x"`.
pub(super) fn substitute_at(text: &Text<'_>, at: usize) -> Option<usize> {
    const REACH: usize = 96;
    if !matches!(text.at(at), b'r' | b'E') || !LOOKUPS.iter().any(|start| text.has(at, start)) {
        return None;
    }
    let limit = text.line_end(at).min(at + REACH);
    let links = ["unwrap_or(\"", "?? \""];
    let found = |at: usize| {
        links
            .iter()
            .find(|link| text.has(at, link))
            .map(|link| at + link.len() - 1)
    };
    (at..limit).find_map(found)
}

/// `req.headers().get("token").and_then(…)`, `$request->input('password')`: what asks a
/// request or the environment for one by its name.
fn lookup_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.?".contains(&byte);
    let member = text.run(at, at + 64, is_part);
    if text.has(at, "req.") && (text.at(member) == b';' || text.has(member, " ??")) {
        return Some(member); // `req.cookies?.token ?? null`.
    }
    if text.has(at, "req.headers.") && text.ends_with(member, ".split") {
        return Some(member); // `req.headers.authorization?.split(' ')[1]`.
    }
    if text.has(at, "$request->") {
        let call = text.run(at + "$request->".len(), at + 48, |byte| {
            byte.is_ascii_alphabetic()
        });
        if text.has(call, "();") {
            return Some(call + "();".len());
        }
    }
    let start = LOOKUPS.iter().find(|start| text.has(at, start))?;
    let quote = at + start.len();
    let content = quoted(text, quote, 0);
    let is_name = is_quote(text.at(quote)) && content.len() < 48;
    let is_alone = is_name && text.at(content.end + 1) == b')'; // Nothing stands in for it.
    let end = text.run(content.end, content.end + 80, |byte| {
        byte != b';' && byte != b'\n'
    });
    let rest = text.slice(content.end + 1..end);
    let is_all =
        !rest.iter().any(|&byte| is_quote(byte)) && !rest.windows(2).any(|two| two == b"??");
    (is_alone && is_all).then_some(end)
}

/// `<object object at 0x1f>`, `<MagicMock name='token' id='14'>`: how Python shows what
/// has no other text.
fn repr_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let end = text.run(at + 1, at + 80, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
    });
    let number = ["object at 0x", "at 0x"]
        .iter()
        .find(|mark| text.has(end + 1, mark))
        .map(|mark| end + 1 + mark.len());
    if let Some(number) = number.filter(|_| end > at + 1 && text.at(end) == b' ') {
        let close = text.run(number, number + 20, |byte| byte.is_ascii_hexdigit());
        return (close > number && text.at(close) == b'>').then_some(close + 1);
    }
    // `name='token' id='14'>` of a mock.
    let name = end + " name='".len();
    let name_end = text.run(name, name + 40, |byte| {
        byte.is_ascii_alphabetic() || byte == b'_'
    });
    let number = name_end + "' id='".len();
    let close = text.run(number, number + 20, |byte| byte.is_ascii_digit());
    let is_mock = text.has(end, " name='") && text.has(name_end, "' id='");
    (is_mock && close > number && text.has(close, "'>")).then_some(close + 2)
}

/// `Some(_)`, `Secret(***)`, `Some(Secret([REDACTED alloc::string::String]))`.
fn wrapped_mask_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let mut inner = at;
    for _ in 0..3 {
        let end = text.run(inner, inner + 40, |byte| {
            byte.is_ascii_alphanumeric() || byte == b':'
        });
        if !text.at(inner).is_ascii_uppercase() || text.at(end) != b'(' {
            break;
        }
        inner = end + 1;
    }
    let digits = text.run(inner, inner + 8, |byte| byte.is_ascii_digit());
    if inner > at && digits > inner && text.at(digits) == b')' && text.has(at, "Token(") {
        return Some(digits + 1); // `Token(82517)` of mio.
    }
    if inner == at || !matches!(text.at(inner), b'_' | b'.' | b'*' | b'[') {
        return None;
    }
    let end = text.run(inner, inner + 64, |byte| byte != b')' && byte != b'\n');
    let is_mask = text.at(end) == b')' && is_harmless(text.slice(inner..end));
    is_mask.then(|| text.run(end, end + 3, |byte| byte == b')'))
}

/// `Any<String>`, `Option<Secret>`: a type and what it holds.
fn generic_end(text: &Text<'_>, at: usize) -> Option<usize> {
    const SMALL: [&[u8]; 6] = [b"any", b"bytes", b"number", b"str", b"string", b"unknown"];
    let is_letter = |byte: u8| byte.is_ascii_alphabetic();
    let open = text.run(at, at + 24, is_letter);
    if text.at(open) != b'<' {
        return None;
    }
    let close = text.run(open + 1, open + 25, is_letter);
    let inner = text.slice(open + 1..close);
    let is_type = (text.at(open + 1).is_ascii_uppercase() || SMALL.contains(&inner))
        && text.at(close) == b'>'
        && !text.at(close + 1).is_ascii_alphanumeric();
    is_type.then_some(close + 1)
}

/// `javax.crypto.spec.SecretKeySpec@17d5c`, `System.Security.SecureString`: what kind of
/// object it is, of Java and .NET.
fn class_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let end = text.run(at, at + 80, |byte| {
        byte.is_ascii_alphabetic() || byte == b'.'
    });
    let class = text.slice(at..end);
    let last = class.rsplit(|&byte| byte == b'.').next()?;
    let is_class = last.len() > 3
        && last[0].is_ascii_uppercase()
        && class.iter().filter(|&&byte| byte == b'.').count() >= 2;
    let hash_end = match text.at(end) {
        b'@' => text.run(end + 1, end + 9, |byte| {
            byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
        }),
        _ => end,
    };
    let hash = text.slice(end..hash_end);
    let is_object =
        hash.len() > 4 && hash.iter().any(u8::is_ascii_alphabetic) && class[0].is_ascii_lowercase();
    let is_known = ["System.", "java.", "javax."]
        .iter()
        .any(|root| class.starts_with(root.as_bytes()));
    let is_last = matches!(
        text.at(hash_end),
        b' ' | b',' | b';' | b')' | b']' | b'}' | b'"' | b'\'' | b':' | b'\n' | 0
    );
    (is_class && (is_object || is_known) && is_last).then_some(hash_end)
}

/// `cts.Token;`: a member that is named as what it is.
fn is_token_member(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at, at + 80, |byte| {
        byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.')
    });
    text.at(end) == b';' && text.ends_with(end, ".token")
}

/// `this.apiKey = options.apiKey`: a member of something, by the same name.
fn same_member_end(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    let word = text.slice(name.range.clone());
    let last = word.rsplit(|&byte| byte == b'.').next()?;
    let end = text.run(at, at + 80, |byte| {
        byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.')
    });
    let value = text.slice(at..end);
    let dot = value.len().checked_sub(last.len() + 1)?;
    let is_same = value[dot] == b'.' && dot > 0 && value[dot + 1..] == *last;
    let is_end = matches!(text.at(end), b';' | b',' | b')' | b' ' | b'\n' | 0);
    (is_same && is_end).then_some(end)
}

/// A call, or calls one behind the other: `z.string().min(8)`, `_input(prompt, stream)`.
/// Its first name is no word (it has a dot, an underscore, or capitals inside), so that
/// a password with brackets in it is none.
fn expression_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let first = path_end(text, at);
    if !matches!(text.at(first), b'(' | b'[') {
        return None;
    }
    let path = text.slice(at..first);
    let is_camel = path
        .windows(2)
        .any(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase());
    let has_digit = path.iter().any(u8::is_ascii_digit) && !path.starts_with(b"base64.");
    let signs = path
        .iter()
        .filter(|byte| matches!(byte, b'_' | b'.' | b':'))
        .count();
    let is_conversion = is_conversion(text, at, path);
    if !is_camel && signs == 0 && !is_conversion {
        return None;
    }
    let (end, calls) = chain_end(text, at, DEEPEST)?;
    let rest = text.skip_blanks(end, 2);
    let is_end = match text.at(rest) {
        0 | b';' | b',' | b')' | b'}' | b'\n' | b'\r' | b'`' => true,
        b'/' | b'#' | b'?' | b'|' | b'{' => rest > end,
        _ => false,
    };
    let least = if has_digit && signs < 2 { 2 } else { 1 };
    // A password may have brackets too: `Summer_Love(99)`.
    let opened = text
        .slice(at..end)
        .iter()
        .filter(|&&byte| byte == b'(')
        .count();
    let is_source = calls > 1
        || opened > 1
        || is_conversion
        || path.windows(2).any(|two| two == b"::")
        || is_camel && signs > 0
        || matches!(text.at(rest), b';' | b',' | b')' | b'}' | b'`')
        || !text.slice(at..end).iter().any(u8::is_ascii_digit)
            && signs > 0
            && !path[0].is_ascii_uppercase();
    let is_end = is_end && is_source;
    (calls >= least && is_end && end - at <= LONGEST).then_some(end)
}

/// `string(bytePassword)`, and `make([]byte, 32)` of Go.
fn is_conversion(text: &Text<'_>, at: usize, path: &[u8]) -> bool {
    let start = at + path.len() + 1;
    let end = text.run(start, start + 40, |byte| byte.is_ascii_alphabetic());
    matches!(path, b"string" | b"str" | b"bytes") && text.at(end) == b')'
        || path == b"make" && text.has(start, "[]")
}

/// The end of `a.b::c`.
fn path_end(text: &Text<'_>, at: usize) -> usize {
    let end = text.run(at, at + 80, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':')
    });
    text.run_back(end, at, |byte| matches!(byte, b'.' | b':'))
}

/// The end of a path with calls and indices behind it, and how many calls those are.
fn chain_end(text: &Text<'_>, at: usize, depth: usize) -> Option<(usize, usize)> {
    if depth == 0 || text.at(at).is_ascii_digit() {
        return None;
    }
    let mut end = path_end(text, at);
    let mut calls = 0;
    while end > at && end - at <= LONGEST {
        end = match text.at(end) {
            b'(' => {
                calls += 1;
                let (close, has_string) = arguments_end(text, end + 1, depth)?;
                let is_plain = !has_string
                    || is_getter(text, end) && text.at(close) == b'.'
                    || is_encoder(text, end);
                is_plain.then_some(close)?
            }
            b'[' => {
                calls += 1;
                index_end(text, end)?
            }
            b'?' => end + 1,
            b'.' if calls > 0 => path_end(text, end + 1),
            b'-' if text.at(end + 1) == b'>' => path_end(text, end + 2),
            _ => return Some((end, calls)),
        };
    }
    None
}

/// The call that opens at `open` looks something up by its name: `headers.get(`.
fn is_getter(text: &Text<'_>, open: usize) -> bool {
    [
        ".get",
        ".client",
        ".header",
        ".resource",
        ".param",
        ".query",
    ]
    .iter()
    .any(|getter| text.ends_with(open, getter))
}

/// The call that opens at `open` is told an encoding: `.toString("hex")`.
fn is_encoder(text: &Text<'_>, open: usize) -> bool {
    let is_call = [".toString", ".digest", ".encode", ".decode"]
        .iter()
        .any(|call| text.ends_with(open, call));
    is_call
        && ["hex", "base64", "utf"]
            .iter()
            .any(|encoding| text.has(open + 2, encoding))
}

/// Past `["name"]` and `[0]`.
fn index_end(text: &Text<'_>, open: usize) -> Option<usize> {
    let end = text.run(open + 1, open + 40, |byte| {
        byte.is_ascii_alphabetic() || is_quote(byte) || byte == b'_'
    });
    let end = text.run(end, end + 3, |byte| byte.is_ascii_digit());
    (text.at(end) == b']' && end > open + 1).then_some(end + 1)
}

/// Past the bracket that closes arguments which are names, numbers, calls, or words by
/// their names (`scope="read"`); and whether a string without a name is among them.
fn arguments_end(text: &Text<'_>, from: usize, depth: usize) -> Option<(usize, bool)> {
    const MOST: usize = 8;
    let mut at = from;
    let mut has_string = false;
    for _ in 0..MOST {
        at = text.skip_blanks(at, 4);
        if text.at(at) == b')' {
            return Some((at + 1, has_string));
        }
        let (value, is_named) = past_parameter(text, at);
        let value = value + usize::from(matches!(text.at(value), b'&' | b'*' | b'$'));
        let value = value + 2 * usize::from(text.has(value, "[]")); // A type of Go.
        at = if is_quote(text.at(value)) {
            has_string |= !is_named;
            let content = quoted(text, value, 0);
            let has_digits = is_encoder(text, from - 1); // `utf8`.
            let is_word = |byte: &u8| {
                byte.is_ascii_lowercase()
                    || b"_-/. ".contains(byte)
                    || has_digits && byte.is_ascii_digit()
            };
            let is_plain = content.len() <= 40 && text.slice(content.clone()).iter().all(is_word);
            is_plain.then_some(content.end + 1)?
        } else if text.at(value).is_ascii_digit() {
            text.run(value, value + 8, |byte| byte.is_ascii_digit())
        } else {
            chain_end(text, value, depth - 1)?.0
        };
        match text.at(at) {
            b',' => at += 1,
            b')' => {}
            _ => return None,
        }
    }
    None
}

/// Past `name=`, and whether there is one.
fn past_parameter(text: &Text<'_>, at: usize) -> (usize, bool) {
    let end = text.run(at, at + 32, |byte| {
        byte.is_ascii_alphabetic() || byte == b'_'
    });
    let is_named = end > at && text.at(end) == b'=' && !is_blank(text.at(end + 1));
    if is_named {
        (end + 1, true)
    } else {
        (at, false)
    }
}
