//! Names and values in markup: XML's elements and attributes, the tags of a style.

use super::pair::Name;
use super::sentence::find_word;
use crate::text::{Text, is_blank, is_name_byte, is_quote};

/// Past the tag of a style before the colon: `<b>Password</b>: x`.
pub(super) fn close_tag(text: &Text<'_>, at: usize) -> Option<usize> {
    if !text.has(at, "</") {
        return None;
    }
    let end = text.run(at + 2, at + 10, |byte| byte.is_ascii_alphabetic());
    let is_label = end <= at + 8 && text.at(end) == b'>' && text.at(end + 1) == b':';
    is_label.then_some(end + 1)
}

/// Past the tag of a style before the value: `is <code>x</code>`, `<b>Password:</b> x`.
pub(super) fn past_style_tag(text: &Text<'_>, at: usize) -> usize {
    const TAGS: [&str; 10] = [
        "<code>",
        "<b>",
        "<strong>",
        "<kbd>",
        "<i>",
        "<em>",
        "<pre>",
        "<tt>",
        "</b> ",
        "</strong> ",
    ];
    if text.at(at) != b'<' {
        return at;
    }
    let tag = TAGS.iter().find(|tag| text.has(at, tag));
    at + tag.map_or(0, |tag| tag.len())
}

/// The end of an XML tag that is the name (`<ns:password type="x">`), or has it
/// as an attribute (`<entry key="password">`): the value is its content.
pub(super) fn tag_end(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    const REACH: usize = 128;
    let may_be = matches!(text.before(name.range.start), b'<' | b':' | b'"');
    if !may_be || !matches!(text.at(at), b' ' | b'>') {
        return None;
    }
    let floor = name.range.start.saturating_sub(REACH);
    let open = text.run_back(name.range.start, floor, |byte| {
        !matches!(byte, b'<' | b'>' | b'\n')
    });
    if text.before(open) != b'<' {
        return None;
    }
    let tag = text.slice(open..name.range.start);
    let is_tag = tag.is_empty() || tag.ends_with(b":") && !tag.contains(&b' ');
    let is_key = [b"key=\"".as_slice(), b"name=\""]
        .iter()
        .any(|key| ends_with_any_case(tag, key));
    if !is_tag && !is_key {
        return None;
    }
    let end = text.run(at, at + REACH, |byte| !matches!(byte, b'<' | b'>' | b'\n'));
    let has_value = ["value=", "content="]
        .iter()
        .any(|word| find_word(text, at, word).is_some_and(|value| value < end));
    if text.at(end) != b'>' || text.before(end) == b'/' || has_value {
        return None;
    }
    let word = text.slice(name.range.clone());
    let is_upper = !word.iter().any(u8::is_ascii_lowercase);
    let is_closed = || {
        let limit = text.line_end(end).min(end + 512);
        text.slice(end..limit).windows(2).any(|two| two == b"</")
    };
    if tag.is_empty() && is_upper && !is_closed() {
        return None; // `--password <PASSWORD>: too short`.
    }
    let content = end + 1;
    let below = text.run(content, content + 32, |byte| byte.is_ascii_whitespace());
    let content = if text.has(below, "<value>") {
        below
    } else {
        content
    };
    let wraps = ["<![CDATA[", "<value>", "<string>"];
    let wrap = wraps.iter().find(|wrap| text.has(content, wrap));
    let content = content + wrap.map_or(0, |wrap| wrap.len());
    let is_group = text.at(content) == b'<' && text.at(content + 1).is_ascii_alphabetic() && {
        let tag = text.run(content + 1, content + 65, |byte| {
            is_name_byte(byte) || byte == b':'
        });
        matches!(text.at(tag), b'>' | b' ' | b'/') && find_word(text, tag, "</").is_some()
    };
    let next = text.at(content);
    let is_told =
        (tag.is_empty() || !is_closed()) && (is_blank(next) || next == b'@' || is_quote(next)); // `AUTH <password> called`.
    (!is_group && !is_told).then_some(content) // `<auth><user>`: each element by itself.
}

fn ends_with_any_case(text: &[u8], end: &[u8]) -> bool {
    let start = text.len().checked_sub(end.len());
    start.is_some_and(|start| text[start..].eq_ignore_ascii_case(end))
}

/// `<key>password</key><string>x</string>` and `<name>password</name><value>x`: the
/// content of the next element.
pub(super) fn next_element(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    let start = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(80),
        |byte| byte != b'>' && byte != b'\n',
    );
    let opens = ["<key>", "<name>", "<td>", "<th>", "<dt>"];
    let is_key = opens.iter().any(|open| text.ends_with(start, open));
    let close = ["</key>", "</name>", "</td>", "</th>", "</dt>"]
        .iter()
        .find(|close| text.has(at, close))?;
    let next = text.run(at + close.len(), at + close.len() + 32, |byte| {
        byte.is_ascii_whitespace()
    });
    let open = ["<string>", "<value>", "<td>", "<dd>"]
        .iter()
        .find(|open| text.has(next, open))?;
    let content = next + open.len();
    let is_string = text.has(content, "<string>"); // XML-RPC.
    is_key.then(|| content + "<string>".len() * usize::from(is_string))
}
