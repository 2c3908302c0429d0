//! Names with a value behind them: `key=value`, JSON, debug dumps, options.

use std::ops::Range;

use super::closer::past_closers;
use super::delimiter::delimiter_after;
use super::sentence::find_word;
use super::{Scan, member, place, shape, string, table, told, value};
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
    if is_image
        || is_logger(&scan.text, &name, secret)
        || place::is_place(&scan.text, &name, secret)
    {
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

/// The name of a logger, before what it says: `app.auth: epoch=1713510400`.
fn is_logger(text: &Text<'_>, name: &Name, secret: SecretName) -> bool {
    if secret.rule != Kind::Authorization || !text.ends_with(name.range.end, ".auth") {
        return false;
    }
    let is_glued = text.before(name.range.start) == b':'; // `WARN:app.auth:job started`.
    let marks = [": ", " : ", if is_glued { ":" } else { ": " }];
    let Some(said) = marks.iter().find(|mark| text.has(name.range.end, mark)) else {
        return false;
    };
    let start = name.range.end + said.len();
    let end = text.run(start, start + 256, |byte| !byte.is_ascii_whitespace());
    let word = text.slice(start..end);
    let is_token =
        word.len() >= 20 && word.iter().all(|&byte| is_base64(byte)) && looks_random(word);
    !is_token
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
