//! Names with a value behind them: `key=value`, JSON, debug dumps, options.

use std::ops::Range;

use super::{Scan, shape, value};
use crate::mask::is_status;
use crate::names::{MAX_NAME, SecretName, Trust, Verdict};
use crate::rules::Kind;
use crate::text::{Bytes, Text, is_blank, is_name_byte, is_quote};
use crate::vendors::looks_random;

/// A name in the text.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) range: Range<usize>,
    /// Dashes (or a slash) make it a command-line option.
    pub(super) is_option: bool,
}

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

/// Looks at a name of which `hit` is a piece.
pub(super) fn look(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    if hit.start < scan.names_done {
        return;
    }
    let name = around(scan, hit);
    scan.names_done = name.range.end;
    look_at(scan, name);
}

/// Looks at a name that ends before the delimiter at `at`.
pub(super) fn look_back(scan: &mut Scan<'_, '_>, at: usize) {
    let end = scan.text.run_back(at, at.saturating_sub(4), |byte| {
        is_blank(byte) || is_quote(byte) || byte == b'\\'
    });
    if end > scan.names_done {
        look(scan, end - 1..end);
    }
}

fn look_at(scan: &mut Scan<'_, '_>, name: Name) {
    if scan.text.ends_with(name.range.start, "[REDACTED:") {
        return; // The name of a rule, in a replacement.
    }
    if is_replaced(&scan.text, name.range.end) {
        return;
    }
    let Some((name, secret)) = judge(scan, name) else {
        return;
    };
    if let Some((delimiter, at)) = delimiter_after(&scan.text, &name, secret) {
        value::take(scan, &name, secret, delimiter, at);
    }
}

/// A replacement of ours follows the name that ends at `end`.
fn is_replaced(text: &Text<'_>, end: usize) -> bool {
    let value = match text.at(end) {
        b'=' => end + 1,
        b':' => text.skip_blanks(end + 1, 1),
        _ => return false,
    };
    text.has(value, "[REDACTED:")
}

/// The whole name around a piece of it.
fn around(scan: &Scan<'_, '_>, hit: Range<usize>) -> Name {
    let text = &scan.text;
    let floor = scan.names_done.max(hit.start.saturating_sub(MAX_NAME));
    let start = text.run_back(hit.start, floor, is_name_byte);
    let start = skip_escape(text, start, hit.start);
    let end = text.run(hit.start, text.len(), is_name_byte);
    let dashes = text.run(start, end, |byte| byte == b'-');
    let is_named = matches!(text.at(end), b':' | b'='); // `/password:x`, but no path.
    let slash =
        is_named && text.before(start) == b'/' && matches!(text.before(start - 1), b' ' | 0);
    let last = text.run_back(end, dashes, |byte| matches!(byte, b'.' | b'-'));
    Name {
        range: dashes..last,
        is_option: dashes > start || slash,
    }
}

/// Past what belongs to an escape before the name: `\npassword`, `%22password`,
/// `\u0022password`.
fn skip_escape(text: &Text<'_>, start: usize, limit: usize) -> usize {
    let skipped = match text.before(start) {
        b'\\' if matches!(text.at(start), b'n' | b'r' | b't') => start + 1,
        b'\\' if text.at(start) == b'u' => start + 5,
        b'\\' if text.at(start) == b'x' => start + 3,
        b'%' if text.has(start, "25") => start + 4,
        b'%' => start + 2,
        b'[' => {
            let code = text.run(start, limit, |byte| byte.is_ascii_digit() || byte == b';');
            code + usize::from(text.escape_before(code + 1) > 2)
        }
        _ => start,
    };
    if skipped <= limit { skipped } else { start }
}

/// The verdict on the name; for a plain `key` or `code`, on the word before it
/// and the name (`API key`).
fn judge(scan: &Scan<'_, '_>, name: Name) -> Option<(Name, SecretName)> {
    let text = &scan.text;
    if name.range.len() > MAX_NAME {
        return None;
    }
    if is_sqlite_key(text, &name) {
        let (rule, trust) = (Kind::SqlPassword, Trust::Strong);
        return Some((name, SecretName { rule, trust }));
    }
    if name.range.len() > 32 && shape::is_scrambled(text.slice(name.range.clone())) {
        return None; // A token, no name.
    }
    match scan.names.judge(text.slice(name.range.clone())) {
        Verdict::Secret(secret) if secret.trust == Trust::Scrambled => {
            return joined(scan, &name)
                .or_else(|| (!is_open_key(text, &name)).then_some((name, secret)));
        }
        Verdict::Secret(secret) => return Some((name, secret)),
        Verdict::Allowed => return None,
        Verdict::Plain if is_oauth_code(text, &name) => {
            let (rule, trust) = (Kind::Token, Trust::Shaped);
            return Some((name, SecretName { rule, trust }));
        }
        Verdict::Plain => {}
    }
    let word = text.slice(name.range.clone());
    if name.is_option && matches!(word.first(), Some(b'D' | b'H')) && word.len() > 1 {
        let range = name.range.start + 1..name.range.end; // Java's `-Dname=value`, `curl -Hname:value`.
        return judge(scan, Name { range, ..name });
    }
    joined(scan, &name)
}

/// The verdict on the word before a plain `key`, `code`, `codes` or `phrase`
/// together with it.
fn joined(scan: &Scan<'_, '_>, name: &Name) -> Option<(Name, SecretName)> {
    let text = &scan.text;
    let word = text.slice(name.range.clone());
    let joins = [b"key".as_slice(), b"code", b"codes", b"phrase"];
    if text.before(name.range.start) != b' '
        || !joins.iter().any(|join| word.eq_ignore_ascii_case(join))
    {
        return None;
    }
    let end = name.range.start - 1;
    let start = text.run_back(end, end.saturating_sub(24), |byte| {
        byte.is_ascii_alphanumeric() || byte == b'-'
    });
    let start = skip_escape(text, start, end);
    let name = Name {
        range: start..name.range.end,
        is_option: name.is_option,
    };
    match scan.names.judge(text.slice(name.range.clone())) {
        Verdict::Secret(secret) if secret.trust != Trust::Scrambled => Some((name, secret)),
        _ => None,
    }
}

/// The word before says that the key is for everybody, or names something.
fn is_open_key(text: &Text<'_>, name: &Name) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const WORDS: [&str; 37] = [
        "blob", "content", "dedup", "digest", "entry", "etcd", "group", "hash", "kv", "layer", "lookup", "message",
        "node", "s3", "storage", "topic", "verifying",
        "bucket", "cache", "config", "foreign", "host", "idempotency", "index", "lock", "map", "object",
        "partition", "peer", "primary", "pub", "public", "redis", "registry", "row", "server", "sort",
    ];
    let end = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(2),
        is_blank,
    );
    end < name.range.start && WORDS.iter().any(|word| text.ends_with(end, word))
}

/// `PRAGMA key = 'x'` and `ATTACH DATABASE 'x' AS y KEY 'x'` of encrypted SQLite.
fn is_sqlite_key(text: &Text<'_>, name: &Name) -> bool {
    let is_pragma = text.ends_with(name.range.start, "pragma ")
        && (text.has(name.range.start, "key") || text.has(name.range.start, "rekey"));
    let line = name.range.start.saturating_sub(128);
    is_pragma
        || (text.slice(name.range.clone()) == b"KEY"
            && text.has(name.range.end, " '")
            && find_word(text, line, "attach ").is_some())
}

/// `?code=…` of a redirection, with a long random value.
fn is_oauth_code(text: &Text<'_>, name: &Name) -> bool {
    let in_query = matches!(text.before(name.range.start), b'?' | b'&');
    if !in_query || !text.has(name.range.start, "code=") {
        return false;
    }
    let value = name.range.end + 1;
    let end = text.run(value, value + 256, |byte| {
        byte != b'&' && !byte.is_ascii_whitespace()
    });
    let is_callback = text.has(end, "&state=") && end - value >= 8;
    (end - value >= 16 || is_callback) && looks_random(text.slice(value..end))
}

/// The delimiter behind the name, and where the value starts.
fn delimiter_after(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<(Delimiter, usize)> {
    let (at, quoted) = past_closers(text, name.range.end);
    if let Some(found) = delimiter_at(text, name, at, quoted, secret) {
        return Some(found);
    }
    value_key(text, name, at, quoted).or_else(|| spoken(text, name, secret, at))
}

/// Past the quote (escaped at any depth) or bracket that closes the name.
fn past_closers(text: &Text<'_>, from: usize) -> (usize, bool) {
    let mut at = from;
    let mut quoted = false;
    for _ in 0..4 {
        let after_backslashes = text.run(at, at + 64, |byte| byte == b'\\');
        if is_quote(text.at(after_backslashes)) {
            at = after_backslashes + 1;
            quoted = true;
        } else if let Some(length) = encoded_quote(text, at) {
            at += length;
            quoted = true;
        } else if text.at(at) == b']' {
            at += 1;
        } else if text.has(at, "%5d") {
            at += 3;
        } else if let Some(end) = style_end(text, at) {
            at = end;
        } else if text.has(at, "**") {
            at += 2; // Markdown.
        } else if let Some(end) = index_end(text, at) {
            at = end;
        } else {
            break;
        }
    }
    (at, quoted)
}

/// Past `[0]`, and the remark in `password (prod): x`.
fn index_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let open = text.skip_blanks(at, 1);
    let (close, is_inside): (u8, fn(u8) -> bool) = match text.at(open) {
        b'[' if open == at => (b']', |byte| byte.is_ascii_digit()),
        b'(' if open > at => (b')', |byte| byte.is_ascii_alphabetic() || byte == b' '),
        _ => return None,
    };
    let end = text.run(open + 1, open + 20, is_inside);
    let is_whole = end > open + 1 && text.at(end) == close;
    (is_whole && matches!(text.at(end + 1), b':' | b'=')).then_some(end + 1)
}

/// Past escapes of a terminal that start at `at`, raw or as `\\u001b[0m` and
/// `\\x1b[0m`.
fn style_end(text: &Text<'_>, at: usize) -> Option<usize> {
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
    let mark = text.skip_blanks(at, 8);
    let (delimiter, end) = match text.at(mark) {
        b'=' => {
            let end = text.run(mark, mark + 3, |byte| matches!(byte, b'=' | b'>' | b'~'));
            let is_comparison = text.at(mark + 1) == b'=';
            if is_comparison && !is_quote(text.at(text.skip_blanks(end, 2))) {
                return None;
            }
            (Delimiter::Equals, end)
        }
        b':' if text.before(name.range.start) == b':' && !quoted => return None,
        b':' => return colon_at(text, mark),
        b'|' if mark > at => return cell_at(text, mark, secret),
        b'%' if text.has(mark, "%3d") || text.has(mark, "%3a") => (Delimiter::Equals, mark + 3),
        0xE2 if text.has(mark, "→") => (Delimiter::Equals, mark + "→".len()),
        0xEF if text.has(mark, "＝") || text.has(mark, "：") => (Delimiter::Equals, mark + 3),
        b'%' if text.has(mark, "%253d") || text.has(mark, "%253a") => (Delimiter::Equals, mark + 5),
        b'\\' if text.has(mark, "\\u003d") => (Delimiter::Equals, mark + 6),
        b'-' if mark > at && text.has(mark, "-> ") => (Delimiter::ColonBlank, mark + 2),
        b'&' if text.has(mark, "&gt;") && text.ends_with(name.range.start, "&lt;") => {
            return Some((Delimiter::Tag, mark + "&gt;".len()));
        }
        b'>' if text.before(name.range.start) == b'<' => (Delimiter::Tag, mark + 1),
        b',' if quoted => return comma_at(text, name, mark),
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
    let value = style_end(text, value).unwrap_or(value);
    if delimiter == Delimiter::Equals && value > end && mark == at && pair_at(text, value) {
        return None; // `logname= uid=0`: the value is empty.
    }
    Some((delimiter, value))
}

/// The end of an XML tag that is the name (`<ns:password type="x">`), or has it
/// as an attribute (`<entry key="password">`): the value is its content.
fn tag_end(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
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
        .any(|key| tag.ends_with(key));
    if !is_tag && !is_key {
        return None;
    }
    let end = text.run(at, at + REACH, |byte| !matches!(byte, b'<' | b'>' | b'\n'));
    let has_value = find_word(text, at, "value=").is_some_and(|value| value < end);
    if text.at(end) != b'>' || text.before(end) == b'/' || has_value {
        return None;
    }
    let content = end + 1;
    let wraps = ["<![CDATA[", "<value>", "<string>"];
    let wrap = wraps.iter().find(|wrap| text.has(content, wrap));
    let content = content + wrap.map_or(0, |wrap| wrap.len());
    let is_group = text.at(content) == b'<' && text.at(content + 1).is_ascii_alphabetic() && {
        let tag = text.run(content + 1, content + 65, |byte| {
            is_name_byte(byte) || byte == b':'
        });
        matches!(text.at(tag), b'>' | b' ' | b'/') && find_word(text, tag, "</").is_some()
    };
    (!is_group).then_some(content) // `<auth><user>`: each element by itself.
}

/// `<key>password</key><string>x</string>` and `<name>password</name><value>x`: the
/// content of the next element.
fn next_element(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    let start = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(80),
        |byte| byte != b'>' && byte != b'\n',
    );
    let is_key = text.ends_with(start, "<key>") || text.ends_with(start, "<name>");
    let close = ["</key>", "</name>"]
        .iter()
        .find(|close| text.has(at, close))?;
    let next = text.run(at + close.len(), at + close.len() + 32, |byte| {
        byte.is_ascii_whitespace()
    });
    let open = ["<string>", "<value>"]
        .iter()
        .find(|open| text.has(next, open))?;
    is_key.then(|| next + open.len())
}

fn colon_at(text: &Text<'_>, colon: usize) -> Option<(Delimiter, usize)> {
    let after = colon + 1;
    let after = style_end(text, after).unwrap_or(after);
    let after = after + 2 * usize::from(text.has(after, "** ")); // Markdown.
    match text.at(after) {
        b':' => None,
        b'=' => Some((Delimiter::Equals, text.skip_blanks(after + 1, 8))),
        b'/' if text.at(after + 1) == b'/' => None,
        byte if is_blank(byte) => {
            let value = text.skip_blanks(after, 32);
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
        byte.is_ascii_alphanumeric() || b"&'_<>[]?!".contains(&byte)
    });
    if text.has(at, "!!") && is_blank(text.at(end)) {
        return Some(text.skip_blanks(end, 2));
    }
    let is_typed = end > at && text.has(end, " = ") && is_quote(text.at(end + 3));
    is_typed.then_some(end + 3)
}

/// The next cell of a table, if it holds something random: a table of columns
/// and their types has the same look.
fn cell_at(text: &Text<'_>, bar: usize, secret: SecretName) -> Option<(Delimiter, usize)> {
    let value = text.skip_blanks(bar + 1, 64);
    let is_cell = random_word_at(text, value, secret) || {
        let end = text.run(value, value + 128, |byte| !byte.is_ascii_whitespace());
        secret.trust == Trust::Strong && shape::is_passwordish(text.slice(value..end))
    };
    is_cell.then_some((Delimiter::Blank, value))
}

/// `("password", "x")`, `["password", "x"]` and `"--password", "x"`; in a longer
/// list of names (`"id", "password", "email"`) the next one is no value.
fn comma_at(text: &Text<'_>, name: &Name, comma: usize) -> Option<(Delimiter, usize)> {
    let value = text.skip_blanks(comma + 1, 8);
    let is_prefix = |byte: u8| matches!(byte, b'b' | b'u' | b'r');
    let value = value + usize::from(is_prefix(text.at(value)) && is_quote(text.at(value + 1)));
    let quote = text.run(value, value + 64, |byte| byte == b'\\');
    if !is_quote(text.at(quote)) {
        return None;
    }
    let open = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(64),
        |byte| is_quote(byte) || byte == b'\\' || byte == b'-',
    );
    let is_prefixed = is_prefix(text.before(open)) && open < name.range.start;
    let open = open - usize::from(is_prefixed);
    let open = text.run_back(open, open.saturating_sub(2), is_blank);
    let is_pair = match text.before(open) {
        b'(' => true,
        b'[' => closes_after(text, quote),
        _ => false,
    };
    (name.is_option || is_pair).then_some((Delimiter::Comma, value))
}

/// A bracket closes the list right after the string that opens at `quote`.
fn closes_after(text: &Text<'_>, quote: usize) -> bool {
    let mark = text.at(quote);
    let end = text.run(quote + 1, quote + 257, |byte| byte != mark);
    text.at(end + 1) == b']'
}

/// `"name":"password","value":"x"` and its like: the value has a key of its own.
fn value_key(text: &Text<'_>, name: &Name, at: usize, quoted: bool) -> Option<(Delimiter, usize)> {
    if text.at(at) == b'\n'
        && text.has(at + 1, "  ")
        && let Some(found) = rejected_input(text, at + 3)
    {
        return Some(found);
    }
    let key = text.run(at, at + 24, |byte| {
        byte.is_ascii_whitespace() || byte == b',' || byte == b'\\' || is_quote(byte)
    });
    let is_form_part = quoted && key > at + 2 && is_form_break(text, at);
    if is_form_part {
        return Some((Delimiter::Equals, key));
    }
    if key == at || !text.has(key, "value") {
        return value_before(text, name, quoted);
    }
    let (end, key_quoted) = past_closers(text, key + 5);
    match text.at(end) {
        b':' => colon_at(text, end),
        b'=' if quoted || key_quoted => Some((Delimiter::Equals, end + 1)),
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
    let is_filler = |byte: u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'\\' | b':' | b',') || is_quote(byte)
    };
    let floor = name.range.start.saturating_sub(MAX_NAME);
    let key_end = text.run_back(name.range.start, floor, is_filler);
    let key = text.run_back(key_end, floor, |byte| byte.is_ascii_alphabetic());
    let is_key = ["name", "key"].iter().any(|known| {
        text.slice(key..key_end)
            .eq_ignore_ascii_case(known.as_bytes())
    });
    if !quoted || !is_key || key_end == name.range.start {
        return None;
    }
    let close = text.run_back(key, key.saturating_sub(16), is_filler);
    let mark = text.at(close);
    let open = text.run_back(close, close.saturating_sub(512), |byte| {
        byte != mark && byte != b'\\'
    });
    let before = text.run_back(open, open.saturating_sub(24), is_filler);
    let is_value = is_quote(mark) && open > 0 && text.ends_with(before, "value") && before < open;
    is_value.then(|| (Delimiter::Colon, open - 1))
}

/// The empty line between the head and the value in a part of a form.
fn is_form_break(text: &Text<'_>, at: usize) -> bool {
    text.has(at, "\r\n\r\n") || text.has(at, "\n\n")
}

/// A value behind a blank: `--password x`, SQL's `PASSWORD 'x'`, netrc's
/// `login bob password x`, and sentences such as `the password is x1y2z3`.
fn spoken(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    at: usize,
) -> Option<(Delimiter, usize)> {
    let word = text.slice(name.range.clone());
    if text.has(at, "('") && word.eq_ignore_ascii_case(b"password") {
        return Some((Delimiter::Blank, at + 1)); // SQL's function.
    }
    if let Some(value) =
        tuple_struct(text, name, secret).or_else(|| braced_struct(text, name, secret))
    {
        return Some((Delimiter::Blank, value));
    }
    let value = text.skip_blanks(at, 8);
    if let Some(before) = code_before(text, name, secret) {
        return Some((Delimiter::Blank, before));
    }
    if value == at || at != name.range.end && !name.is_option {
        return None;
    }
    if name.is_option && text.has(value, "<<< ") {
        return Some((Delimiter::Blank, value + 4)); // `--with-token <<< x`.
    }
    if let Some(value) = after_command(text, name, value) {
        return Some((Delimiter::Equals, value));
    }
    let spoken = if name.is_option {
        !matches!(text.at(value), b'-' | 0)
    } else {
        is_secret_at(text, name, secret, past_links(text, value))
    };
    if spoken {
        let quoted = past_links(text, value);
        let is_string = is_quote(text.at(quoted)) || value::is_curly(text, quoted);
        let value = if name.is_option || !is_string {
            value
        } else {
            quoted
        };
        return Some((Delimiter::Blank, value));
    }
    let first = value;
    let value = match text.has(value, "- ") {
        true => value + 2,
        false => past_links(text, value),
    };
    let is_scheme = word.eq_ignore_ascii_case(b"bearer"); // Has a rule of its own.
    let is_value = random_word_at(text, value, secret)
        || passwordish_at(text, value, secret)
        || value > first && plain_word_at(text, value, secret);
    (!is_scheme && is_value).then_some((Delimiter::Blank, value))
}

/// The last word of `the password is sunshine`, which tells nothing about the
/// password as `the password is required` does.
fn plain_word_at(text: &Text<'_>, at: usize, secret: SecretName) -> bool {
    let links = [
        " is ",
        " was ",
        " set to ",
        " changed to ",
        " reset to ",
        " is now ",
    ];
    let is_linked = links.iter().any(|link| text.ends_with(at, link));
    let end = text.run(at, at + 64, |byte| {
        byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_')
    });
    let word = text.slice(at..end);
    let close = text.run(end, end + 2, |byte| matches!(byte, b'.' | b'!'));
    let is_last = close >= text.len() || text.at(close) == b'\n';
    let hyphens = word.iter().filter(|&&byte| byte == b'-').count();
    let is_joined = hyphens > 1 && word.len() > 12 || word.len() > 11 && text.ends_with(at, " to ");
    secret.rule == Kind::Password
        && secret.trust == Trust::Strong
        && is_linked
        && is_last
        && word.len() >= 6
        && (is_joined && !is_status(word) || !shape::is_predicate(word))
}

/// `482913 is your verification code`: the code stands before.
fn code_before(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<usize> {
    if secret.rule != Kind::Pin {
        return None;
    }
    let floor = name.range.start.saturating_sub(32);
    let from = text.run_back(name.range.start, floor, |byte| {
        byte.is_ascii_alphabetic() || byte == b' '
    });
    let between = text.slice(from..name.range.start);
    let end = from;
    let start = text.run_back(end, end.saturating_sub(9), |byte| byte.is_ascii_digit());
    let is_code = (4..=8).contains(&(end - start)) && between.starts_with(b" is your ");
    is_code.then_some(start)
}

/// A word in running text that somebody chose for a password.
fn passwordish_at(text: &Text<'_>, at: usize, secret: SecretName) -> bool {
    let end = text.run(at, at + 130, |byte| {
        !byte.is_ascii_whitespace() && !byte.is_ascii_control() && !is_quote(byte) && byte != b'\\'
    });
    let word = text.slice(at.min(end)..end);
    let word = word.split(|&byte| byte == b',').next().unwrap_or_default();
    let is_linked =
        text.ends_with(at, " is ") || text.ends_with(at, " was ") || text.ends_with(at, " to ");
    let trusted = secret.trust == Trust::Strong && secret.rule != Kind::Cookie;
    let is_digits = word.len() >= 4 && word.iter().all(u8::is_ascii_digit);
    let is_base32 = word.len() >= 16
        && word.iter().any(u8::is_ascii_digit)
        && word
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(byte));
    trusted && (shape::is_passwordish(word) || is_base32 || is_linked && is_digits)
}

/// `Password("x")`, `Credentials("bob", "x")` and `config.setPassword("x")`: where
/// the last string starts.
fn tuple_struct(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<usize> {
    let open = name.range.end;
    if text.at(open) != b'(' {
        return None;
    }
    let whole = text.slice(name.range.clone());
    let dot = whole.iter().rposition(|&byte| byte == b'.');
    let word = &whole[dot.map_or(0, |dot| dot + 1)..];
    let is_type = word.first()?.is_ascii_uppercase() && word.iter().any(u8::is_ascii_lowercase);
    let mut value = open + 1;
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
        let content = text.slice(value::quoted(text, quote, quote - value));
        let is_token = shape::is_token_like(content) || looks_random(content);
        if !is_token {
            return None;
        }
    }
    if !is_string {
        let end = text.run(value, value + 512, |byte| {
            byte.is_ascii_alphanumeric() || b"-_.+/=".contains(&byte)
        });
        let is_token = end - value >= 16 && looks_random(text.slice(value..end));
        return (is_token && text.at(end) == b')').then_some(value);
    }
    let first = value::quoted(text, quote, quote - value);
    let next = first.end + (quote - value) + 1;
    if text.has(next, ", ") && (is_quote(text.at(next + 2)) || text.at(next + 2) == b'\\') {
        value = next + 2;
    } else if text.at(next) != b')' {
        return None;
    }
    Some(value)
}

/// `Secret { name: "db", value: "x" }`: where the value starts. A token with a
/// short value is one of a parser.
fn braced_struct(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<usize> {
    let word = text.slice(name.range.clone());
    let is_type = word.first()?.is_ascii_uppercase() && word.iter().any(u8::is_ascii_lowercase);
    let open = name.range.end;
    if !is_type || !text.has(open, " { ") {
        return None;
    }
    let key = find_in(
        text,
        open..open + 160,
        &[" value: \"", " secret: \"", " token: \"", " inner: \""],
    )?;
    let content = text.slice(value::quoted(text, key - 1, 0));
    let is_long = content.len() >= 16 && looks_random(content);
    (secret.trust == Trust::Strong || is_long).then_some(key - 1)
}

/// The end of the first of the words in the range, before a brace closes.
fn find_in(text: &Text<'_>, range: Range<usize>, words: &[&str]) -> Option<usize> {
    let limit = text.run(range.start, range.end, |byte| byte != b'}' && byte != b'\n');
    (range.start..limit).find_map(|at| {
        let word = words.iter().find(|word| text.has(at, word))?;
        Some(at + word.len())
    })
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

/// `setenv NAME value`, and the digit of a router's `password 7 value`.
fn after_command(text: &Text<'_>, name: &Name, value: usize) -> Option<usize> {
    if ["setenv ", "setx ", "\nENV "]
        .iter()
        .any(|word| text.ends_with(name.range.start, word))
    {
        return Some(value);
    }
    let kind = text.at(value).is_ascii_digit() && text.at(value + 1) == b' ';
    let end = text.run(value + 2, value + 130, |byte| !byte.is_ascii_whitespace());
    let word = text.slice(value.min(text.len())..end.min(text.len()));
    let word = word.get(2..).unwrap_or_default();
    let has_digit = word.iter().any(u8::is_ascii_digit);
    let is_mixed = word.len() >= 6
        && (has_digit && word.iter().any(u8::is_ascii_alphabetic) || looks_random(word));
    (kind && is_mixed).then_some(value + 2)
}

/// After words for a secret, what stands in quotes is one; after `token` and
/// `secret` alone it may be the name of something.
fn is_secret_at(text: &Text<'_>, name: &Name, secret: SecretName, value: usize) -> bool {
    if secret.rule == Kind::Password && after_login(text, name.range.start) {
        return true;
    }
    const COMMON: [&[u8]; 8] = [
        b"token",
        b"tokens",
        b"secret",
        b"secrets",
        b"key",
        b"keys",
        b"credentials",
        b"cookie",
    ];
    let word = text.slice(name.range.clone());
    let is_common = COMMON
        .iter()
        .any(|common| word.eq_ignore_ascii_case(common));
    let is_api = word.contains(&b' ') && secret.rule == Kind::ApiKey; // `API key "deploy" created`.
    let is_linked = is_quote(text.at(value)) && is_blank(text.before(value)) && {
        text.ends_with(value, " is ") || text.ends_with(value, " to ")
    };
    let is_statement = word == b"SECRET" && text.at(value) == b'\'';
    let is_symbol = is_linked
        || is_statement
        || is_varied(text, value)
        || text.before(name.range.start) == b':'; // `{:secret "x"}`.
    let is_common = is_common && !is_symbol && secret.rule != Kind::SqlPassword;
    (is_quote(text.at(value)) || value::is_curly(text, value))
        && !is_common
        && !is_api
        && !matches!(
            secret.trust,
            Trust::Digits | Trust::Session | Trust::Scrambled
        )
        && (secret.rule != Kind::Signature || {
            let content = text.slice(value::quoted(text, value, 0));
            content.len() >= 32 && looks_random(content)
        })
}

/// What stands in quotes at `at` has capitals and digits, as no name of a secret
/// has.
fn is_varied(text: &Text<'_>, at: usize) -> bool {
    if !is_quote(text.at(at)) {
        return false;
    }
    let content = text.slice(value::quoted(text, at, 0));
    let has = |class: fn(&u8) -> bool| content.iter().any(class);
    (6..=128).contains(&content.len()) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// Past the words between a name and its value: `is`, `changed to`, `for bob:`.
fn past_links(text: &Text<'_>, from: usize) -> usize {
    const LINKS: [&str; 22] = [
        "ist ",
        "est ",
        "es ",
        "with ",
        "given ",
        "entered ",
        "is: ",
        "is ",
        "was ",
        "to ",
        "changed ",
        "set ",
        "reset ",
        "now ",
        "string ",
        "as ",
        "value ",
        "used ",
        "from ",
        "provided: ",
        "found: ",
        "1: ",
    ];
    let mut at = from;
    if text.has(at, "for ") {
        let end = text.run(at + 4, at + 68, |byte| !matches!(byte, b':' | b'=' | b'\n'));
        if matches!(text.at(end), b':' | b'=') && is_blank(text.at(end + 1)) {
            return text.skip_blanks(end + 1, 8);
        }
        let verbs = [" is ", " was ", " reset to ", " set to ", " changed to "];
        let found = |verb: &&str| Some(find_word(text, at + 4, verb)? + verb.len());
        if let Some(value) = verbs.iter().filter_map(found).min() {
            return value;
        }
    }
    if matches!(text.at(at), b'(' | b'[') {
        return at + 1;
    }
    if let Some(value) = after_colon(text, at) {
        return value;
    }
    static STARTS: Bytes = Bytes::of(b"iwtcsrnavufp1IWTCSRNAVUFP");
    for _ in 0..4 {
        let may_be = STARTS.has(text.at(at));
        let link = LINKS.iter().find(|link| may_be && text.has(at, link));
        let Some(link) = link else {
            break;
        };
        at += link.len();
    }
    at
}

/// Behind up to three words and a colon or `=`: `token not found: x`.
fn after_colon(text: &Text<'_>, from: usize) -> Option<usize> {
    let end = text.run(from, from + 64, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'@' | b'.' | b'-' | b'_')
    });
    let words = text.slice(from..end).split(|&byte| byte == b' ').count();
    let is_mark = matches!(text.at(end), b':' | b'=') && is_blank(text.at(end + 1));
    (end > from && words <= 4 && is_mark).then(|| text.skip_blanks(end + 1, 4))
}

fn find_word(text: &Text<'_>, from: usize, word: &str) -> Option<usize> {
    let limit = (from + 48).min(text.len());
    (from..limit).find(|&at| text.has(at, word))
}

/// A word that nobody writes in a sentence: letters and digits mixed, or only
/// digits where a code is expected.
fn random_word_at(text: &Text<'_>, at: usize, secret: SecretName) -> bool {
    let start = at + usize::from(is_quote(text.at(at)));
    let end = text.run(start, start + 256, |byte| {
        !byte.is_ascii_whitespace()
            && !byte.is_ascii_control()
            && !is_quote(byte)
            && !matches!(byte, b',' | b';' | b')')
    });
    let end = text.run_back(end, start, |byte| matches!(byte, b'.' | b':'));
    let word = text.slice(start..end);
    let count = |class: fn(&u8) -> bool| word.iter().filter(|byte| class(byte)).count();
    let digits = count(u8::is_ascii_digit);
    let (lower, upper) = (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let least = if secret.rule == Kind::Card { 3 } else { 4 };
    let is_code = matches!(secret.rule, Kind::Pin | Kind::Card)
        || ["passcode", "PIN"]
            .iter()
            .any(|name| text.ends_with(at.saturating_sub(1), name));
    let only_digits = digits == word.len() && (least..=8).contains(&digits) && is_code;
    if is_named_thing(text, start..end, secret) || shape::is_assignment(word) {
        return false;
    }
    let is_vault = word.starts_with(b"s.") && word.len() == 26; // As Vault wrote them.
    let is_key = word.len() >= 32 && upper > 4 && lower > 4 || is_vault; // Base64 has slashes.
    let is_other = !is_key && count(|&byte| b"./:=(".contains(&byte)) > 0;
    let mixed = digits > 1 && lower + upper > 1 && (upper > 0 && lower > 0 || digits > 2);
    let changes = word
        .windows(2)
        .filter(|two| two[0].is_ascii_uppercase() && two[1].is_ascii_lowercase());
    let mixed = mixed || word.len() >= 12 && digits > 0 && upper > 2 && lower > 2;
    let mixed = mixed || (word.len() >= 20 && upper > 4 && changes.count() * 6 >= word.len());
    let quoted = start > at && digits > 0 && lower + upper > 2 && word.len() >= 6;
    let is_told = text.ends_with(at, "is: ") || text.ends_with(at, "is ");
    let told = is_told && secret.rule == Kind::Password && digits > 0 && lower + upper > 1;
    only_digits
        || (told && word.len() >= 6 && !is_other)
        || (word.len() >= 8 && mixed && !is_other)
        || (quoted && !is_other)
}

/// `secret web-523ec519`, `RSA key 9FEA…`, `pin 12 of header`: which one it is.
fn is_named_thing(text: &Text<'_>, word: Range<usize>, secret: SecretName) -> bool {
    let value = text.slice(word.clone());
    let before = text.run_back(word.start, word.start.saturating_sub(2), is_blank);
    match secret.rule {
        Kind::Secret => {
            let first = value.split(|&byte| byte == b'-').next().unwrap_or_default();
            let is_name = first.len() > 2 && first.iter().all(u8::is_ascii_lowercase);
            is_name && first.len() < value.len() && !value.iter().any(u8::is_ascii_uppercase)
        }
        Kind::ApiKey | Kind::PrivateKey => {
            text.ends_with(before, "sa key") && value.iter().all(u8::is_ascii_hexdigit)
        }
        Kind::Pin
            if ["pin", "pincode"]
                .iter()
                .any(|name| text.ends_with(before, name)) =>
        {
            let next = text.skip_blanks(word.end, 2);
            let end = text.run(next, next + 16, |byte| byte.is_ascii_alphabetic());
            end > next && !is_status(text.slice(next..end))
        }
        _ => false,
    }
}

/// `login NAME ` or `machine NAME ` stands before.
fn after_login(text: &Text<'_>, at: usize) -> bool {
    let word_end = text.run_back(at, at.saturating_sub(4), |byte| byte.is_ascii_whitespace());
    let floor = word_end.saturating_sub(64);
    let word = text.run_back(word_end, floor, |byte| !byte.is_ascii_whitespace());
    let before = text.run_back(word, word.saturating_sub(4), |b| b.is_ascii_whitespace());
    word_end < at && word < word_end && before < word && {
        text.ends_with(before, "login") || text.ends_with(before, "machine")
    }
}

/// A pair such as `user=` or `"user":` starts at `at`.
pub(super) fn pair_at(text: &Text<'_>, at: usize) -> bool {
    let start = text.run(at, at + 16, |byte| byte == b'\\' || is_quote(byte));
    let end = text.run(start, start + 64, is_name_byte);
    if end == start {
        return false;
    }
    let (after, quoted) = past_closers(text, end);
    match text.at(text.skip_blanks(after, 1)) {
        b'=' => true,
        b':' => quoted || is_blank(text.at(after + 1)),
        _ => false,
    }
}
