//! Types and calls: `Password("x")`, `setPassword("x")`, `ApiToken(value=x)`,
//! `login("bob", "x")`.

use std::ops::Range;

use super::pair::Name;
use super::{group, shape, string};
use crate::names::{SecretName, Trust};
use crate::text::{Text, is_blank, is_quote};
use crate::vendors::looks_random;

/// `Password("x")`, `Credentials("bob", "x")` and `config.setPassword("x")`: where
/// the last string starts.
pub(super) fn tuple_struct(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<usize> {
    let open = name.range.end;
    if text.at(open) != b'(' || text.ends_with(open, "plainauth") {
        return None; // Of Go's `smtp.PlainAuth` the third string is the password.
    }
    let whole = text.slice(name.range.clone());
    let dot = whole.iter().rposition(|&byte| byte == b'.');
    let word = &whole[dot.map_or(0, |dot| dot + 1)..];
    let is_type = word.first()?.is_ascii_uppercase() && word.iter().any(u8::is_ascii_lowercase);
    let is_bytes = text.at(open + 1) == b'b' && is_quote(text.at(open + 2));
    let mut value = open + 1 + usize::from(is_bytes);
    let quote = text.run(value, value + 16, |byte| byte == b'\\');
    let is_string = is_quote(text.at(quote));
    let is_method = dot.is_some() || matches!(text.before(name.range.start), b'.' | b':');
    let is_setter = is_method
        || [b"set".as_slice(), b"with"]
            .iter()
            .any(|verb| word.starts_with(verb));
    let is_call = is_type || is_setter && is_string;
    if !is_call || is_verb(word) {
        return None;
    }
    if !is_type && secret.trust != Trust::Strong {
        let content = text.slice(string::quoted(text, quote, quote - value));
        let is_token = shape::is_token_like(content) || looks_random(content);
        if !is_token {
            return None;
        }
    }
    if text.at(value) == b'[' {
        let end = text.run(value, value + 512, |byte| !matches!(byte, b']' | b'\n'));
        let is_bytes = text.at(end) == b']' && group::is_bytes(text.slice(value + 1..end));
        return is_bytes.then_some(value); // `SecretKey([1, 2, …])`.
    }
    if !is_string {
        let end = text.run(value, value + 512, |byte| {
            byte.is_ascii_alphanumeric() || b"-_.+/=".contains(&byte)
        });
        let is_token = end - value >= 16 && looks_random(text.slice(value..end));
        return (is_token && text.at(end) == b')').then_some(value);
    }
    let first = string::quoted(text, quote, quote - value);
    let next = first.end + (quote - value) + 1;
    if text.has(next, ", ") && (is_quote(text.at(next + 2)) || text.at(next + 2) == b'\\') {
        value = next + 2;
    } else if text.at(next) != b')' {
        return None;
    }
    Some(value)
}

/// `Secret { name: "db", value: "x" }` and `ApiToken(value=x, owner=bob)`: where the
/// value starts. A token with a short value is one of a parser.
pub(super) fn wrapped_value(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<usize> {
    const MEMBERS: [&str; 10] = [
        "value", "secret", "token", "inner", "given", "found", "actual", "got", "input", "plain",
    ];
    let word = text.slice(name.range.clone());
    let is_type = word.first()?.is_ascii_uppercase() && word.iter().any(u8::is_ascii_lowercase);
    let open = text.skip_blanks(name.range.end, 1);
    let close = match text.at(open) {
        b'{' => b'}',
        b'(' => b')',
        b'[' => b']',
        _ => return None,
    };
    if !is_type && close != b')' {
        return None;
    }
    let limit = text.run(open, open + 160, |byte| byte != close && byte != b'\n');
    let value = (open + 1..limit).find_map(|at| {
        let starts = matches!(text.before(at), b' ' | b'{' | b'(' | b'[');
        let member = MEMBERS
            .iter()
            .find(|member| starts && text.has(at, member))?;
        let end = at + member.len();
        match text.at(end) {
            b'=' if close != b'}' => Some(end + 1),
            b':' if close == b'}' && text.at(end + 1) == b' ' => Some(end + 2),
            _ => None,
        }
    })?;
    let content = match is_quote(text.at(value)) {
        true => string::quoted(text, value, 0),
        false => value..text.run(value, limit, |byte| byte != b',' && !is_blank(byte)),
    };
    let content = text.slice(content);
    if !is_type && !is_quote(text.at(value)) {
        return None;
    }
    let is_long = content.len() >= 16 && looks_random(content);
    let is_listed = close == b']' && shape::is_chosen(content);
    let is_told = secret.trust == Trust::Strong && (close == b'}' || shape::is_chosen(content));
    (is_told && (is_quote(text.at(value)) || close != b'}') || is_long || is_listed)
        .then_some(value)
}

/// `password(x)`, `Password[x]` and `password {x}`, as some write a word and its value.
pub(super) fn in_brackets(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<usize> {
    let open = text.skip_blanks(name.range.end, 1);
    let close = match text.at(open) {
        b'(' if open == name.range.end => b')',
        b'[' if open == name.range.end => b']',
        b'{' => b'}',
        _ => return None,
    };
    let word = text.slice(name.range.clone());
    let is_word = word.iter().all(u8::is_ascii_alphabetic) && !is_verb(word);
    if !is_word || matches!(text.before(name.range.start), b'_' | b'.') {
        return None;
    }
    let end = text.run(open + 1, open + 130, |byte| {
        !byte.is_ascii_whitespace() && !is_quote(byte) && byte != text.at(open) && byte != close
    });
    let content = text.slice(open + 1..end.max(open + 1));
    let is_secret = match secret.trust {
        Trust::Strong => shape::is_chosen(content),
        _ => {
            let is_id = text.ends_with(name.range.end, "appid")
                && content.len() == 36
                && content[8] == b'-'; // Of a class.
            content.len() >= 16 && looks_random(content) && !is_id && !content.contains(&b':')
        }
    };
    (is_secret && text.at(end) == close).then_some(open + 1)
}

/// The argument with this number: the second of `login("bob", "x")`.
pub(super) fn argument_at(text: &Text<'_>, at: usize, number: usize) -> Option<Range<usize>> {
    let mut found = argument(text, at)?;
    for _ in 0..number {
        let after = text.run(found.end, found.end + 16, |byte| {
            byte == b'\\' || is_quote(byte)
        });
        if text.at(after) != b',' {
            return None;
        }
        found = argument(text, text.skip_blanks(after + 1, 2))?;
    }
    let word = text.slice(found.clone());
    let is_first = number == 0 && !text.ends_with(at, "crypt(");
    let is_string = !is_first && is_quote(text.before(found.start));
    let is_strange = is_string && shape::is_strange(word);
    // `password:$p` and `$password: String!` of GraphQL, `const std::string&`.
    let is_parameter =
        word.windows(2).any(|two| two == b":$" || two == b": ") || word.starts_with(b"const ");
    (!is_parameter && (is_strange || shape::is_chosen(word))).then_some(found)
}

fn argument(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let is_prefixed = matches!(text.at(at), b'N' | b'b') && is_quote(text.at(at + 1));
    let at = at + usize::from(is_prefixed);
    if text.at(at) == b'{' {
        let end = text.run(at, at + 256, |byte| byte != b'}' && byte != b'\n');
        return (text.at(end) == b'}').then_some(at..end + 1);
    }
    let quote = text.run(at, at + 8, |byte| byte == b'\\');
    if is_quote(text.at(quote)) {
        return Some(string::quoted(text, quote, quote - at));
    }
    let end = text.run(at, at + 130, |byte| {
        byte != b'\n' && !is_quote(byte) && !matches!(byte, b',' | b')' | b'(' | b'=')
    });
    (end > at && !matches!(text.at(end), b'(' | b'=')).then_some(at..end)
}

/// `GetSecret("db")` calls something by the name of the secret.
fn is_verb(word: &[u8]) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const VERBS: [&[u8]; 22] = [
        b"get", b"read", b"load", b"find", b"fetch", b"delete", b"create", b"has", b"is", b"lookup",
        b"list", b"need", b"parse", b"peek", b"prompt", b"remove", b"expect", b"require", b"rotate", b"next", b"mock",
        b"describe",
    ];
    VERBS.iter().any(|verb| {
        let start = word.get(..verb.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(verb))
            && word
                .get(verb.len())
                .is_none_or(|next| !next.is_ascii_lowercase())
    })
}
