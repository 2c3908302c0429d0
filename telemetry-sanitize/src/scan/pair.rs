//! Names with a value behind them: `key=value`, JSON, debug dumps, options.

use std::ops::Range;

use super::sentence::{self, find_word};
use super::{Scan, group, member, place, shape, string, table, told, value};
use crate::names::{MAX_NAME, SecretName, Trust, Verdict};
use crate::rules::Kind;
use crate::text::{Bytes, NAME_BYTES, Text, is_base64, is_blank, is_name_byte, is_quote};
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
    if is_replaced(&scan.text, name.range.end)
        || scan.text.has(name.range.end, ":chauthtok")
        || scan.text.ends_with(name.range.start, "/etc/")
    {
        return;
    }
    let Some((name, secret)) = judge(scan, name) else {
        return;
    };
    let is_image = secret.rule == Kind::Authorization
        && scan.text.before(name.range.start) == b'/'
        && scan.text.at(name.range.end) == b':';
    if is_image || place::is_place(&scan.text, &name, secret) {
        return; // `registry/auth:1.2.3`, `secrets.cc:7:9`.
    }
    let (at, quoted) = past_closers(&scan.text, name.range.end);
    if quoted && scan.text.at(at) == b',' && member::take_beside(scan, &name, secret, at) {
        return;
    }
    let is_refused = name.is_option
        && (scan.text.ends_with(name.range.start, "for '--")
            || scan.text.ends_with(name.range.start, "argument '--")
                && is_quote(scan.text.at(name.range.end)));
    if !is_refused
        && let Some((delimiter, at)) = delimiter_after(&scan.text, &name, secret, at, quoted)
    {
        return value::take(scan, &name, secret, delimiter, at);
    }
    if let Some(value) = told::before(&scan.text, &name, secret) {
        return scan.redact(value, secret.rule);
    }
    table::take_columns(scan, &name, at);
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
    let end = text.run_in(hit.start, text.len(), &NAME_BYTES);
    let end = leader(text, hit.end..end).unwrap_or(end);
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

/// Where dots start that lead to a value.
fn leader(text: &Text<'_>, name: Range<usize>) -> Option<usize> {
    const LEAST: usize = 4;
    if name.len() <= LEAST {
        return None;
    }
    let mut at = name.start;
    loop {
        at = text.run(at, name.end, |byte| byte != b'.');
        let end = text.run(at, name.end, |byte| byte == b'.');
        if end >= name.end {
            return None;
        }
        if end - at >= LEAST {
            return Some(at);
        }
        at = end;
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
    if text.has(name.range.start, "user-secrets set ") {
        return None; // A command; the name of the secret follows.
    }
    if is_sqlite_key(text, &name) {
        let (rule, trust) = (Kind::SqlPassword, Trust::Strong);
        return Some((name, SecretName { rule, trust }));
    }
    if name.range.len() > 32 && shape::is_scrambled(text.slice(name.range.clone())) {
        return None; // A token, no name.
    }
    if name.is_option && matches!(text.at(name.range.start), b'D' | b'H') && name.range.len() > 1 {
        if let Verdict::Secret(secret) = scan.names.judge(text.slice(name.range.clone()))
            && secret.trust == Trust::Strong
        {
            return Some((name, secret)); // `-DB_PASS=x` in a diff.
        }
        // Java's `-Dname=value`, `curl -Hname:value`.
        let range = name.range.start + 1..name.range.end;
        let name = Name {
            range,
            ..name.clone()
        };
        if let Some(found) = judge(scan, name) {
            return Some(found);
        }
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
    joined(scan, &name)
}

/// The verdict on the word before a plain `key`, `code`, `codes` or `phrase`
/// together with it.
fn joined(scan: &Scan<'_, '_>, name: &Name) -> Option<(Name, SecretName)> {
    let text = &scan.text;
    let word = text.slice(name.range.clone());
    let joins = [b"key".as_slice(), b"code", b"codes", b"phrase", b"seed"];
    if !matches!(text.before(name.range.start), b' ' | b':')
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
    const WORDS: [&str; 39] = [
        "action", "blob", "content", "dedup", "digest", "entry", "etcd", "group", "hash", "kv", "layer", "lookup", "message",
        "miss for", "node", "s3", "storage", "topic", "verifying",
        "bucket", "cache", "config", "foreign", "host", "idempotency", "index", "lock", "map", "object",
        "partition", "peer", "primary", "pub", "public", "redis", "registry", "row", "server", "sort",
    ];
    let end = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(2),
        is_blank,
    );
    static LAST: Bytes = Bytes::of(b"btpydhvre3cgnxkswBTPYDHVRECGNXKSW");
    let cache = text.ends_with(end, "for")
        && find_word(text, end.saturating_sub(40), "cache").is_some_and(|at| at < end);
    if cache {
        return true; // `no cache is found for key: x`.
    }
    let may_be = end < name.range.start && LAST.has(text.before(end));
    may_be && WORDS.iter().any(|word| text.ends_with(end, word))
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
    if is_code_member(text, name) {
        return true;
    }
    let before = text.before(name.range.start);
    let in_query = matches!(before, b'?' | b'&' | b' ' | b'"' | b'=' | b'\n' | 0);
    if !in_query || !text.has(name.range.start, "code=") {
        return false;
    }
    let value = name.range.end + 1;
    let end = text.run(value, value + 256, |byte| {
        byte != b'&' && !byte.is_ascii_whitespace()
    });
    let is_callback = [
        "&state=",
        "&grant_type=",
        "&redirect_uri=",
        "&client_",
        "&code_verifier=",
    ]
    .iter()
    .any(|next| text.has(end, next));
    let is_callback = is_callback && end - value >= 8;
    let is_alone = matches!(before, b'?' | b'&') && end - value >= 16;
    (is_alone || is_callback) && looks_random(text.slice(value..end))
}

/// `{"code":"x","client_secret":…`: what is exchanged for a token.
fn is_code_member(text: &Text<'_>, name: &Name) -> bool {
    let value = name.range.end + 3;
    if !text.has(name.range.start, "code\":\"") || text.before(name.range.start) != b'"' {
        return false;
    }
    let end = string::quoted(text, value - 1, 0).end;
    let nexts = ["\",\"client_", "\",\"grant_type", "\",\"redirect_uri"];
    let is_exchange = nexts.iter().any(|next| text.has(end, next));
    is_exchange && end >= value + 16 && looks_random(text.slice(value..end))
}

/// The delimiter behind the name, and where the value starts.
fn delimiter_after(
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

/// Past the tag of a style before the colon: `<b>Password</b>: x`.
fn close_tag(text: &Text<'_>, at: usize) -> Option<usize> {
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
    (is_whole && matches!(text.at(end + 1), b':' | b'=')).then_some(end + 1)
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
        b':' if text.before(name.range.start) == b':' && !quoted && !is_symbol(text, name) => {
            let value = text.skip_blanks(mark + 1, 2); // `mysql::root_password: x` of Puppet.
            let is_told = value > mark + 1 && chosen_word_at(text, value);
            return is_told.then_some((Delimiter::ColonBlank, value));
        }
        b':' => return colon_at(text, mark),
        b'.' if mark == name.range.end && text.has(mark, "....") => {
            (Delimiter::Equals, dots_end(text, mark))
        }
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
fn next_element(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
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

/// Past the member in `user[name]=`, encoded or not.
fn past_member_name(text: &Text<'_>, at: usize) -> usize {
    let (open, close) = match text.at(at) {
        b'[' => (1, "]"),
        b'%' if text.has(at, "%5b") => (3, "%5d"),
        _ => return at,
    };
    let end = text.run_in(at + open, at + open + 32, &NAME_BYTES);
    if text.has(end, close) {
        end + close.len()
    } else {
        at
    }
}

/// A pair such as `user=` or `"user":` starts at `at`.
pub(super) fn pair_at(text: &Text<'_>, at: usize) -> bool {
    let start = text.run(at, at + 16, |byte| byte == b'\\' || is_quote(byte));
    let end = text.run_in(start, start + 64, &NAME_BYTES);
    if end == start {
        return false;
    }
    let end = past_member_name(text, end);
    let (after, quoted) = past_closers(text, end);
    match text.at(text.skip_blanks(after, 1)) {
        b'=' => true,
        b':' => quoted || is_blank(text.at(after + 1)),
        _ => false,
    }
}
