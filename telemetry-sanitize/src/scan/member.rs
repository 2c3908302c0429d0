//! Values that stand beside the name: `"name":"password","value":"x"`, and what a
//! validator says of a field.

use super::closer::past_closers;
use super::delimiter::{Delimiter, colon_at};
use super::pair::Name;
use super::{Scan, group, value};
use crate::names::{MAX_NAME, SecretName, Trust};
use crate::text::{Text, is_blank, is_quote};

/// Takes the values in the object in which the name is a value, as of
/// `{"name":"password","type":"string","value":"x"}`, behind the comma at `at`; false
/// when there are none.
pub(super) fn take_beside(
    scan: &mut Scan<'_, '_>,
    name: &Name,
    secret: SecretName,
    comma: usize,
) -> bool {
    const MEMBERS: usize = 8;
    let text = &scan.text;
    let open = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(MAX_NAME),
        |byte| !is_quote(byte) && byte != b'\n',
    );
    let before = text.run_back(open, open.saturating_sub(16), |byte| {
        is_quote(byte) || byte == b'\\'
    });
    let before = text.run_back(before, before.saturating_sub(4), is_blank);
    // `"loc":["body","password"],"input":"x"`, of a validator.
    let is_last = text.at(comma - 1) == b']' && matches!(text.before(before), b',' | b'[');
    if open == before || !is_last && !matches!(text.before(before), b':' | b'=') {
        return false;
    }
    let mut at = comma + 1;
    let mut found = false;
    for _ in 0..MEMBERS {
        let text = &scan.text;
        let start = text.run(at, at + 32, |byte| byte.is_ascii_whitespace());
        let Some((key, content)) = group::key_at(text, start) else {
            break;
        };
        let next = group::past_member(text, content);
        if is_value_key(text.slice(key), secret) {
            let quote = text.run(content, content + 16, |byte| byte == b'\\');
            if is_quote(text.at(quote)) {
                found = true;
                value::take(scan, name, secret, Delimiter::Colon, content);
            }
        }
        let Some(next) = next else { break };
        at = next;
    }
    found
}

fn is_value_key(key: &[u8], secret: SecretName) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const OF_CHANGES: [&str; 14] = [
        "input",
        "old", "new", "oldvalue", "newvalue", "old_value", "new_value", "previous", "current", "before", "after",
        "from", "to", "parametervalue",
    ];
    key.eq_ignore_ascii_case(b"value")
        || secret.trust == Trust::Strong
            && OF_CHANGES
                .iter()
                .any(|known| key.eq_ignore_ascii_case(known.as_bytes()))
}

/// `"name":"password","value":"x"` and its like: the value has a key of its own.
pub(super) fn value_key(
    text: &Text<'_>,
    name: &Name,
    at: usize,
    quoted: bool,
) -> Option<(Delimiter, usize)> {
    if text.at(at) == b'\n'
        && text.has(at + 1, "  ")
        && let Some(found) = rejected_input(text, at + 3)
    {
        return Some(found);
    }
    let key = text.run(at, at + 24, |byte| {
        byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'\\') || is_quote(byte)
    });
    let key = match text.has(at, "\\n ") {
        true => text.skip_blanks(at + 2, 8), // A line break that is escaped.
        false => key,
    };
    let is_named = ["name=", "key="]
        .iter()
        .any(|key| text.ends_with(name.range.start, key));
    if quoted && text.has(key, "content=\"") && text.ends_with(name.range.start, "name=\"") {
        return Some((Delimiter::Equals, key + "content=".len()));
    }
    if quoted && text.ends_with(name.range.start, " name=\"") && text.at(at) == b' ' {
        let end = text.run(at, at + 160, |byte| byte != b'>' && byte != b'\n');
        let value = (at..end).find(|&at| text.has(at, " value=\""))?;
        return Some((Delimiter::Equals, value + " value=".len())); // `<input name="password" …`.
    }
    if quoted && (text.has(at, "\\r\\n\\r\\n") || text.has(at, "\\n\\n")) {
        let value = at + if text.has(at, "\\r") { 8 } else { 4 };
        let is_part = ["name=\"", "name=\\\""]
            .iter()
            .any(|head| text.ends_with(name.range.start, head));
        return is_part.then_some((Delimiter::Equals, value));
    }
    if quoted && text.has(at, ";s:") {
        // PHP's `s:8:"password";s:1:"x"`.
        let length = text.run(at + 3, at + 8, |byte| byte.is_ascii_digit());
        let is_next = text.at(length) == b':' && is_quote(text.at(length + 1));
        return is_next.then_some((Delimiter::Colon, length + 1));
    }
    if quoted && text.has(at, "\r\nContent-Type:") {
        let head = text.line_end(at + 2);
        let is_part = text.has(head, "\r\n\r\n") && text.ends_with(name.range.start, "name=\"");
        return is_part.then_some((Delimiter::Equals, head + 4));
    }
    let is_form_part = quoted && key > at + 1 && is_form_break(text, at);
    if is_form_part {
        return Some((Delimiter::Equals, key));
    }
    let key = key + "parameter".len() * usize::from(text.has(key, "parametervalue"));
    if key == at || !text.has(key, "value") {
        return value_before(text, name, quoted);
    }
    let (end, key_quoted) = past_closers(text, key + 5);
    let end = if text.at(at) == b'\n' {
        text.skip_blanks(end, 8)
    } else {
        end
    }; // `Value : x`.
    match text.at(end) {
        b':' => colon_at(text, end),
        b'=' if quoted || key_quoted || is_named => Some((Delimiter::Equals, end + 1)),
        _ => None,
    }
}

/// What a validator says about the field on the line before:
/// `  Input should be valid [type=x, input_value='x', …`.
fn rejected_input(text: &Text<'_>, line: usize) -> Option<(Delimiter, usize)> {
    let limit = text.run(line, line + 160, |byte| byte != b'\n');
    let mark = "input_value=";
    let value = (line..limit).find(|&at| text.has(at, mark))? + mark.len();
    is_quote(text.at(value)).then_some((Delimiter::Equals, value))
}

/// `"value":"x","name":"password"`: where the value starts.
fn value_before(text: &Text<'_>, name: &Name, quoted: bool) -> Option<(Delimiter, usize)> {
    if !quoted {
        return None;
    }
    let is_filler = |byte: u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'\\' | b':' | b',') || is_quote(byte)
    };
    let floor = name.range.start.saturating_sub(MAX_NAME);
    let key_end = text.run_back(name.range.start, floor, is_filler);
    let key = text.run_back(key_end, floor, |byte| byte.is_ascii_alphabetic());
    let is_key = ["name", "key", "param", "path"].iter().any(|known| {
        text.slice(key..key_end)
            .eq_ignore_ascii_case(known.as_bytes())
    });
    if !is_key || key_end == name.range.start {
        return None;
    }
    let close = text.run_back(key, key.saturating_sub(16), is_filler);
    let mark = text.at(close);
    let open = text.run_back(close, close.saturating_sub(512), |byte| {
        byte != mark && byte != b'\\'
    });
    let before = text.run_back(open, open.saturating_sub(24), is_filler);
    let is_value = is_quote(mark) && open > 0 && text.ends_with(before, "value") && before < open;
    if is_value {
        return Some((Delimiter::Colon, open - 1));
    }
    // `"value":"x","msg":"Invalid value","param":"password"`.
    let key = text.run_back(before, before.saturating_sub(16), |byte| {
        byte.is_ascii_alphabetic()
    });
    let close = text.run_back(key, key.saturating_sub(4), is_filler);
    let is_message = text.slice(key..before) == b"msg" && text.at(close) == mark;
    let open = text.run_back(close, close.saturating_sub(256), |byte| {
        byte != mark && byte != b'\\'
    });
    let before = text.run_back(open, open.saturating_sub(4), is_filler);
    (is_message && is_quote(mark) && open > 0 && text.ends_with(before, "value"))
        .then(|| (Delimiter::Colon, open - 1))
}

/// The empty line between the head and the value in a part of a form.
fn is_form_break(text: &Text<'_>, at: usize) -> bool {
    text.has(at, "\r\n\r\n") || text.has(at, "\n\n")
}
