//! What stands between a name and its value, and where the value starts.

use super::closer::style_end;
use super::markup::{next_element, tag_end};
use super::pair::{Name, pair_at};
use super::{group, member, sentence, shape, string, table};
use crate::names::{SecretName, Trust};
use crate::rules::Kind;
use crate::text::{NAME_BYTES, Text, is_base64, is_blank, is_quote};
use crate::vendors::looks_random;

/// What stands between a name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// `=`, `=>`, `:=`, and percent-encoded ones.
    Equals,
    /// A colon without a blank behind it.
    Colon,
    /// A colon and a blank: running text uses it too.
    ColonBlank,
    /// The comma of a tuple.
    Comma,
    /// The `>` of an XML element.
    Tag,
    /// The blank after a command-line option, or words such as `is`.
    Blank,
}

/// The delimiter behind the name, and where the value starts.
pub(super) fn delimiter_after(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    at: usize,
    quoted: bool,
) -> Option<(Delimiter, usize)> {
    if let Some(found) = delimiter_at(text, name, at, quoted, secret) {
        return Some(found);
    }
    member::value_key(text, name, at, quoted)
        .or_else(|| sentence::spoken(text, name, secret, at, quoted))
}

fn delimiter_at(
    text: &Text<'_>,
    name: &Name,
    at: usize,
    quoted: bool,
    secret: SecretName,
) -> Option<(Delimiter, usize)> {
    if text.at(at) == b'<'
        && let Some(content) = next_element(text, name, at)
    {
        return Some((Delimiter::Tag, content));
    }
    if let Some(content) = tag_end(text, name, at) {
        return Some((Delimiter::Tag, content));
    }
    if text.has(at, "} => ") && text.before(name.range.start) == b'{' {
        return Some((Delimiter::Equals, at + "} => ".len())); // `jsonpath={.data.password}`.
    }
    if let Some(value) = ci_value(text, name, at) {
        return Some((Delimiter::Equals, value));
    }
    let mark = past_tabs(text, text.skip_blanks(at, 64));
    let mark = match text.at(mark) {
        b'\n' if quoted => text.run(mark, mark + 64, |byte| byte.is_ascii_whitespace()),
        _ => mark,
    };
    let (delimiter, end) = match text.at(mark) {
        b'=' => {
            let end = text.run(mark, mark + 3, |byte| matches!(byte, b'=' | b'>' | b'~'));
            let is_comparison = text.at(mark + 1) == b'=' && text.at(mark + 2) != b'>';
            let value = text.skip_blanks(end, 2);
            if is_comparison && !is_quote(text.at(value)) && !chosen_word_at(text, value) {
                return None;
            }
            (Delimiter::Equals, end)
        }
        b':' if is_part(text, name, mark) && !quoted && !is_symbol(text, name) => {
            let value = text.skip_blanks(mark + 1, 2); // `mysql::root_password: x` of Puppet.
            let is_told = value > mark + 1 && chosen_word_at(text, value);
            return is_told.then_some((Delimiter::ColonBlank, value));
        }
        b':' => return colon_at(text, mark),
        b'.' if mark == name.range.end && text.has(mark, "....") => {
            (Delimiter::Equals, dots_end(text, mark))
        }
        b'.' if mark > at && text.has(mark, ". \"") => (Delimiter::Equals, mark + 2), // Lisp's `(password . "x")`.
        b'R' if mark > at && text.has(mark, "REG_SZ ") => (Delimiter::Equals, mark + 6),
        b'<' if mark > at && text.has(mark, "<- ") => (Delimiter::Equals, mark + 2), // Of R.
        b'-' if let Some(value) = past_arrow(text, mark) => (Delimiter::Equals, value),
        b'|' if mark == at && chosen_cell_at(text, mark + 1) => (Delimiter::Equals, mark + 1),
        b'|' if mark == at && is_quote(text.at(mark + 1)) => (Delimiter::Equals, mark + 1),
        b'|' if mark > at => return table::cell_at(text, mark, secret),
        b'&' if text.has(mark, "&#61;") => (Delimiter::Equals, mark + 5),
        b'%' if text.has(mark, "%3d") || text.has(mark, "%3a") => (Delimiter::Equals, mark + 3),
        0xE2 if mark > at && (text.has(mark, "│") || text.has(mark, "┃")) => {
            return table::cell_at(text, mark + "│".len() - 1, secret);
        }
        0xE2 if text.has(mark, "→") => (Delimiter::Equals, mark + "→".len()),
        0xEF if text.has(mark, "＝") || text.has(mark, "：") => (Delimiter::Equals, mark + 3),
        b'%' if text.has(mark, "%253d") || text.has(mark, "%253a") => (Delimiter::Equals, mark + 5),
        b'\\' if text.has(mark, "\\u003d") => (Delimiter::Equals, mark + 6),
        b'-' if mark > at && text.has(mark, "-> ") => (Delimiter::ColonBlank, mark + 2),
        b'\\' if text.has(mark, "\\u003e") && text.ends_with(name.range.start, "\\u003c") => {
            return Some((Delimiter::Tag, mark + "\\u003e".len()));
        }
        b'&' if text.has(mark, "&gt;") && text.ends_with(name.range.start, "&lt;") => {
            let content = mark + "&gt;".len();
            let is_group = text.has(content, "&lt;") && text.at(content + 4) != b'/';
            return (!is_group).then_some((Delimiter::Tag, content));
        }
        b',' if name.is_option && !quoted && text.has(mark, ", ") && is_in_list(text, name) => {
            (Delimiter::Blank, mark + 1)
        }
        b')' if text.has(mark, ")=(") => (Delimiter::Equals, mark + 3), // PostgreSQL's `Key (token)=(x)`.
        b')' if quoted
            && is_quote(text.at(mark + 5))
            && text.has(mark, ") -> ")
            && is_quote(text.before(name.range.start)) =>
        {
            (Delimiter::Equals, mark + ") -> ".len()) // `options.get("password") -> "x"`.
        }
        b')' if quoted && text.has(mark, "), ") && text.ends_with(name.range.start, "(\"") => {
            let value = string::past_wrapper(text, mark + 3).unwrap_or(mark + 3);
            let is_string = value > mark + 3 && is_quote(text.at(value));
            return is_string.then_some((Delimiter::Comma, value)); // `(String("password"), String("x"))`.
        }
        b')' if quoted => return typed_text(text, mark).map(|value| (Delimiter::Comma, value)),
        b',' if quoted || text.before(name.range.start) == b'{' => {
            return comma_at(text, name, mark).or_else(|| header_item(text, secret, mark));
        }
        _ => return None,
    };
    let end = if text.at(mark) == b'%' {
        let blanks = ["%20", "%2520", "+"]; // In a query.
        let blank = blanks.iter().find(|blank| text.has(end, blank));
        end + blank.map_or(0, |blank| blank.len())
    } else {
        end
    };
    let value = if text.at(end) == b'\n' && text.before(end) == b'>' {
        text.run(end, end + 32, |byte| byte.is_ascii_whitespace()) // PHP dumps break here.
    } else {
        text.skip_blanks(end, 8)
    };
    let value = past_tabs(text, style_end(text, value).unwrap_or(value));
    if delimiter == Delimiter::Equals && value > end && mark == at && pair_at(text, value) {
        return None; // `logname= uid=0`: the value is empty.
    }
    Some((delimiter, value))
}

/// What a test types into the field: `get('[name=password]').type('x')`.
fn typed_text(text: &Text<'_>, close: usize) -> Option<usize> {
    const METHODS: [&str; 8] = [
        ".type(",
        ".fill(",
        ".sendKeys(",
        ".send_keys(",
        ".setValue(",
        ".set(",
        ".typeText(",
        ".input(",
    ];
    let dot = text.run(close, close + 4, |byte| byte == b')');
    let method = METHODS.iter().find(|method| text.has(dot, method))?;
    let value = dot + method.len();
    is_quote(text.at(value)).then_some(value)
}

/// The option stands in a list without quotes: `[mysql, --password, x]`.
fn is_in_list(text: &Text<'_>, name: &Name) -> bool {
    let floor = name.range.start.saturating_sub(128);
    let open = text.run_back(name.range.start, floor, |byte| !b"[]\n".contains(&byte));
    text.before(open) == b'['
}

/// A word that somebody chose for a password stands at `at`.
fn chosen_word_at(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at, at + 64, |byte| !byte.is_ascii_whitespace());
    shape::is_passwordish(text.slice(at..end))
}

/// What a build server's command sets: `::set-output name=token::x`,
/// `##vso[task.setvariable variable=token;issecret=true]x`.
fn ci_value(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    if text.before(name.range.start) != b'=' {
        return None;
    }
    if text.has(at, "::") && text.ends_with(name.range.start, " name=") {
        return Some(at + 2);
    }
    if !text.ends_with(name.range.start, "variable=") {
        return None;
    }
    let close = match text.before(at) {
        b']' => at,
        _ => text.run(at, at + 64, |byte| byte != b']' && byte != b'\n') + 1,
    };
    (text.before(close) == b']').then_some(close)
}

/// Past tabs that are escaped, and the blanks among them.
pub(super) fn past_tabs(text: &Text<'_>, from: usize) -> usize {
    let mut at = from;
    while text.has(at, "\\t") && at < from + 32 {
        at = text.skip_blanks(at + 2, 8);
    }
    at
}

/// A part of something with colons: `mysql::root_password:`, `arn:aws:secret:name`. What
/// `WARN:app.db:password: x` of Python logs is none.
fn is_part(text: &Text<'_>, name: &Name, colon: usize) -> bool {
    text.before(name.range.start) == b':'
        && (text.ends_with(name.range.start, "::") || !is_blank(text.at(colon + 1)))
}

/// `:password: x`, a symbol in YAML; `Vec::password:` is none.
fn is_symbol(text: &Text<'_>, name: &Name) -> bool {
    let before = name
        .range
        .start
        .checked_sub(2)
        .map_or(b'\n', |at| text.at(at));
    before.is_ascii_whitespace() && is_blank(text.at(name.range.end + 1))
}

/// Past the dots that lead from a name to its value: `password.......x`.
fn dots_end(text: &Text<'_>, at: usize) -> usize {
    let end = text.run(at, at + 64, |byte| byte == b'.');
    end + usize::from(text.at(end) == b':')
}

/// Past the arrow to a value that is no word: `secret_key->x`, `password ---> x`.
fn past_arrow(text: &Text<'_>, at: usize) -> Option<usize> {
    let head = text.run(at, at + 8, |byte| byte == b'-');
    let value = text.skip_blanks(head + 1, 2);
    let end = text.run(value, value + 64, |byte| !byte.is_ascii_whitespace());
    let is_apart = value > head + 1;
    let is_chosen = || is_apart && shape::is_chosen(text.slice(value.min(end)..end));
    let is_value = || is_chosen() || chosen_word_at(text, value) || random_word_at(text, value);
    (text.at(head) == b'>' && is_value()).then_some(value)
}

/// A long random word stands at `at`.
fn random_word_at(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at, at + 128, is_base64);
    end >= at + 20 && looks_random(text.slice(at..end))
}

/// What somebody chose for a password stands between bars: `password|x|user|bob`.
fn chosen_cell_at(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at, at + 64, |byte| {
        !byte.is_ascii_whitespace() && byte != b'|'
    });
    let is_closed = text.at(end) == b'|' || end >= text.len();
    is_closed && shape::is_chosen(text.slice(at..end))
}

pub(super) fn colon_at(text: &Text<'_>, colon: usize) -> Option<(Delimiter, usize)> {
    let after = colon + 1;
    let after = style_end(text, after).unwrap_or(after);
    if text.at(after) == b' '
        && let Some(value) = style_end(text, after + 1)
    {
        return Some((Delimiter::ColonBlank, value));
    }
    let tabs = past_tabs(text, after);
    if tabs > after {
        return Some((Delimiter::ColonBlank, tabs));
    }
    if text.has(after, "\\n  ") {
        let value = text.skip_blanks(after + 2, 32);
        return (!pair_at(text, value)).then_some((Delimiter::ColonBlank, value));
    }
    let after = after + 2 * usize::from(text.has(after, "** ")); // Markdown.
    match text.at(after) {
        b':' if text.at(after + 1) == b' ' => {
            Some((Delimiter::ColonBlank, after + 2)) // LDIF's base64.
        }
        b':' => None,
        b'=' => Some((Delimiter::Equals, text.skip_blanks(after + 1, 8))),
        b'/' if text.at(after + 1) == b'/' => None,
        byte if is_blank(byte) => {
            let value = text.skip_blanks(after, 32);
            if text.has(value, "=> ") {
                return Some((Delimiter::Equals, text.skip_blanks(value + 2, 8)));
            }
            match typed_value(text, value) {
                Some(value) => Some((Delimiter::Equals, value)),
                None => Some((Delimiter::ColonBlank, value)),
            }
        }
        _ => Some((Delimiter::Colon, after)),
    }
}

/// Past the type in `password: &str = "x"`, and the tag in `password: !!str x`.
fn typed_value(text: &Text<'_>, at: usize) -> Option<usize> {
    let end = text.run(at, at + 32, |byte| {
        byte.is_ascii_alphanumeric() || b"&'_<>[]?!-".contains(&byte)
    });
    const KEPT: [&str; 4] = ["!secret ", "!env ", "!env_var ", "!reference "];
    if KEPT.iter().any(|tag| text.has(at, tag)) {
        return None; // Kept elsewhere, by the name that follows.
    }
    let is_anchor = is_blank(text.at(end)) && !text.has(end, " = ");
    if text.at(at) == b'&' && text.at(at + 1).is_ascii_lowercase() && is_anchor {
        return Some(text.skip_blanks(end, 2)); // YAML's anchor: `password: &pw x`.
    }
    let is_tag = text.at(at) == b'!' && matches!(text.at(at + 1), b'!' | b'a'..=b'z');
    if is_tag && !text.has(at, "!!redacted") && is_blank(text.at(end)) {
        return Some(text.skip_blanks(end, 2));
    }
    let is_typed = end > at && text.has(end, " = ") && is_quote(text.at(end + 3));
    is_typed.then_some(end + 3)
}

/// `("password", "x")`, `["password", "x"]` and `"--password", "x"`; in a longer
/// list of names (`"id", "password", "email"`) the next one is no value.
fn comma_at(text: &Text<'_>, name: &Name, comma: usize) -> Option<(Delimiter, usize)> {
    let value = text.skip_blanks(comma + 1, 8);
    if text.has(value, "with: ") && is_quote(text.at(value + "with: ".len())) {
        return Some((Delimiter::Comma, value + "with: ".len())); // `fill_in "Password", with: "x"`.
    }
    let value = value + 2 * usize::from(text.has(value, "<<\"")); // Erlang's binaries.
    let is_prefix = |byte: u8| matches!(byte, b'b' | b'u' | b'r');
    let value = value + usize::from(is_prefix(text.at(value)) && is_quote(text.at(value + 1)));
    let value = string::past_wrapper(text, value).unwrap_or(value);
    let quote = text.run(value, value + 64, |byte| byte == b'\\');
    if !is_quote(text.at(quote)) && group::struct_brace(text, value).is_none() {
        return None;
    }
    let start = selector_start(text, name.range.start);
    let open = text.run_back(start, start.saturating_sub(64), |byte| {
        is_quote(byte) || byte == b'\\' || byte == b'-'
    });
    let is_prefixed = is_prefix(text.before(open)) && open < name.range.start;
    let open = open - usize::from(is_prefixed);
    let open = text.run_back(open, open.saturating_sub(2), is_blank);
    let is_pair = match text.before(open) {
        b'(' => true,
        b'{' => open == name.range.start,
        0 | b'\n' => ends_line(text, quote), // A line of two cells.
        b'[' => closes_after(text, quote),
        _ => false,
    };
    (name.is_option || is_pair).then_some((Delimiter::Comma, value))
}

/// Where the selector starts of which the name is the last part: `#password`,
/// `input[type=password]`.
fn selector_start(text: &Text<'_>, name: usize) -> usize {
    match text.before(name) {
        b'#' => name - 1,
        b'=' => {
            let start = text.run_back(name, name.saturating_sub(32), |byte| {
                !is_quote(byte) && !matches!(byte, b' ' | b'(' | b'\n')
            });
            let is_selector = text.slice(start..name).contains(&b'[');
            if is_selector { start } else { name }
        }
        _ => name,
    }
}

/// The value in a flat list of headers: `["Host","x","Cookie","sid=x"]`.
fn header_item(text: &Text<'_>, secret: SecretName, comma: usize) -> Option<(Delimiter, usize)> {
    let value = text.skip_blanks(comma + 1, 4);
    let quote = text.run(value, value + 16, |byte| byte == b'\\');
    let start = quote + 1;
    let end = text.run_in(start, start + 64, &NAME_BYTES);
    let is_value = match secret.rule {
        Kind::Cookie => text.at(end) == b'=',
        Kind::Authorization => secret.trust == Trust::Strong && text.at(end) == b' ',
        Kind::ApiKey | Kind::Token => {
            end >= start + 16 && is_quote(text.at(end)) && looks_random(text.slice(start..end))
        }
        _ => false,
    };
    (is_quote(text.at(quote)) && end > start && is_value).then_some((Delimiter::Comma, value))
}

/// The string that opens at `quote` is the last of its line.
fn ends_line(text: &Text<'_>, quote: usize) -> bool {
    let end = string::quoted(text, quote, 0).end + 1;
    end >= text.len() || matches!(text.at(end), b'\n' | b'\r')
}

/// A bracket closes the list right after the string that opens at `quote`.
fn closes_after(text: &Text<'_>, quote: usize) -> bool {
    let mark = text.at(quote);
    let end = text.run(quote + 1, quote + 257, |byte| byte != mark);
    text.at(text.skip_blanks(end + 1, 1)) == b']'
}
