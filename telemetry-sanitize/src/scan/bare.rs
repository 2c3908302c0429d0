//! Values without quotes: where they end. At a blank, or before the next pair (`&user=`,
//! `, user:`, `;Server=`): a separator that no pair follows is part of the password. What
//! stands there may be pairs itself, each to be looked at alone.

use std::ops::Range;

use super::delimiter::Delimiter;
use super::doubt::is_bare_secret;
use super::pair::{Name, pair_at};
use super::phrase::{member_end, tail_end};
use super::shape::{is_assignment, is_chosen, is_passwordish, is_recovery_code, is_short_number};
use super::string::quoted;
use super::value::MOST_FOLLOWERS;
use super::{Scan, header};
use crate::mask::{is_harmless, is_status};
use crate::names::{SecretName, Trust, Verdict, is_description};
use crate::rules::Kind;
use crate::text::{Bytes, Far, NAME_BYTES, Text, is_base64, is_blank, is_name_byte, is_quote};
use crate::vendors::{Body, looks_random};

/// Past what says how the value is written: `sha256=`, `base64:`.
pub(super) fn past_encoding(text: &Text<'_>, at: usize) -> usize {
    // Most often the first letter tells that nothing is said.
    static STARTS: Bytes = Bytes::of(b"tsbvpTSBVP{");
    if !STARTS.has(text.at(at)) {
        return at;
    }
    if text.at(at) == b'{' {
        let end = text.run(at + 1, at + 12, |byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit()
        });
        let is_scheme = end > at + 2 && text.at(end) == b'}' && is_base64(text.at(end + 1));
        return if is_scheme { end + 1 } else { at }; // LDAP's `{SSHA}`.
    }
    let mut at = at;
    if text.has(at, "t=") {
        let time_end = text.run(at + 2, at + 16, |byte| byte.is_ascii_digit());
        if text.has(time_end, ",v1=") {
            at = time_end + 1;
        }
    }
    let prefix = ["sha256=", "sha1=", "base64:", "v1=", "v0=", "pass:"]
        .iter()
        .find(|prefix| text.has(at, prefix));
    at + prefix.map_or(0, |prefix| prefix.len())
}

pub(super) fn take_bare(
    scan: &mut Scan<'_, '_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    at: usize,
) {
    let text = &scan.text;
    if delimiter == Delimiter::Comma {
        return;
    }
    if text.has(at, "%7b%22") {
        return; // An object: each member by itself.
    }
    if secret.rule == Kind::Authorization && delimiter != Delimiter::Blank {
        if delimiter == Delimiter::ColonBlank && starts_member(text, name, at) {
            return;
        }
        if secret.trust != Trust::Strong && is_known_pair(scan, at) {
            return; // `auth: user=bob password=x`: each pair by itself.
        }
        let first = text.run(at, at + 16, |byte| byte.is_ascii_lowercase());
        let is_level = text.at(first) == b',' && is_status(text.slice(at..first));
        let name_end = text.run(at, at + 16, |byte| byte.is_ascii_lowercase());
        let is_named = delimiter == Delimiter::ColonBlank && name_end > at;
        if is_named && text.has(name_end, ": error") {
            return; // `invalid authorization: acme: error: 403`.
        }
        let word_end = text.run(at, at + 24, |byte| {
            byte.is_ascii_lowercase() || byte == b'-'
        });
        const METHODS: [&[u8]; 6] = [b"abac", b"acl", b"ldap", b"none", b"off", b"rbac"];
        let is_setting = delimiter == Delimiter::Equals
            && METHODS.contains(&text.slice(at..word_end))
            && text.at(word_end) == b' '
            && pair_at(text, word_end + 1);
        let is_method = delimiter == Delimiter::Equals
            && secret.trust != Trust::Strong
            && text.slice(at..word_end).contains(&b'-')
            && matches!(text.at(word_end), b' ' | b'\n' | 0);
        if is_setting || is_method {
            return; // `authorization=rbac cache_ttl=218s`.
        }
        if is_level && secret.trust != Trust::Strong {
            return; // `RUST_LOG=auth=debug,token=trace`.
        }
        let end = match delimiter {
            Delimiter::Tag => bare_end(text, name, delimiter, at),
            _ if in_query(text, name) => separator_end(text, at, true),
            _ => header_end(text, name, at),
        };
        return header::take_credentials(scan, at..end, secret.trust == Trust::Strong);
    }
    if secret.rule == Kind::Cookie {
        let end = header_end(text, name, at);
        return header::take_cookies(scan, header::is_set_cookie(text, name), at..end);
    }
    let at = past_encoding(text, at);
    let at = at + 2 * usize::from(text.has(at, "**") && text.at(at + 2) != b'*');
    let end = bare_end(text, name, delimiter, at);
    let word = text.slice(at..end);
    let is_key = delimiter == Delimiter::ColonBlank // `secret: secretName: x`.
        && text.at(end) == b':'
        && is_blank(text.at(end + 1))
        && word.len() < 24
        && word.iter().all(|byte| matches!(byte, b'/' | b'-') || byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte.is_ascii_alphabetic())
        && word.iter().filter(|byte| byte.is_ascii_digit()).count() < 2;
    let is_column = delimiter == Delimiter::ColonBlank // `passwd -> password_digest`.
        && (word.contains(&b'_')
            || word.contains(&b'-')
                && (text.ends_with(at, "-> ") || secret.rule == Kind::ApiKey))
        && word.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'))
        && matches!(scan.names.judge(word), Verdict::Secret(_));
    if is_key
        || is_column
        || secret.rule == Kind::Credential && (is_assignment(word) || is_scope(word))
        || delimiter == Delimiter::ColonBlank && word.starts_with(b"--") && is_option(word)
        || is_option_name(scan, name, at..end)
        || is_secret_pair(scan, name, delimiter, at..end)
        || is_cmdlet(text, at..end)
    {
        return; // Each pair by itself.
    }
    if is_bare_secret(text, name, secret, delimiter, at..end) {
        let end = tail_end(text, name, secret, delimiter, end);
        let at = past_user(text, name, secret, at..end);
        scan.redact(at..end, secret.rule);
        take_followers(scan, name, secret, end);
    } else if !word.is_empty() && is_harmless(word) {
        scan.taken = scan.taken.max(end);
    }
}

/// A pair starts at `at` that is judged by itself: of a secret, or of what describes it.
fn is_known_pair(scan: &Scan<'_, '_>, at: usize) -> bool {
    let text = &scan.text;
    let start = at + "$env:".len() * usize::from(text.has(at, "$env:"));
    let end = text.run_in(start, start + 48, &NAME_BYTES);
    let mark = text.skip_blanks(end, 1);
    let name = text.as_str().get(start..end).unwrap_or_default();
    let is_secret = || {
        let verdict = scan.names.judge(name.as_bytes());
        matches!(verdict, Verdict::Secret(secret) if secret.trust == Trust::Strong)
    };
    end > start && text.at(mark) == b'=' && (is_description(name) || is_secret())
}

/// `Credential=AKIA…/20250301/us-east-1/s3/aws4_request`: the access key has a rule of its own.
fn is_scope(value: &[u8]) -> bool {
    let is_key = value.starts_with(b"AKIA") || value.starts_with(b"ASIA");
    let date = value.get(21..29).unwrap_or_default();
    is_key && value.get(20) == Some(&b'/') && date.len() == 8 && date.iter().all(u8::is_ascii_digit)
}

/// In a dump of Go, `Auth: Server:x` is an empty value and the next member.
fn starts_member(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let end = text.run(at, at + 48, |byte| byte.is_ascii_alphanumeric());
    let is_name = end > at && text.at(at).is_ascii_uppercase() && text.at(end) == b':';
    let floor = name.range.start.saturating_sub(256);
    let open = text.run_back(name.range.start, floor, |byte| {
        byte != b'{' && byte != b'\n'
    });
    is_name && !is_blank(text.at(end + 1)) && text.before(open) == b'{'
}

/// `--api-token`: an option, not a value.
fn is_option(word: &[u8]) -> bool {
    word.len() > 3
        && word[2..]
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || *byte == b'-')
}

/// `--secret dbPassword x`: the option has no value, and the name behind it has one.
fn is_option_name(scan: &Scan<'_, '_>, name: &Name, value: Range<usize>) -> bool {
    let text = &scan.text;
    name.is_option
        && text.at(value.end) == b' '
        && !matches!(
            text.at(value.end + 1),
            b'-' | b'"' | b'\'' | b'&' | b'|' | 0
        )
        && text
            .slice(value.clone())
            .iter()
            .all(|&byte| is_name_byte(byte))
        && text.slice(value.clone()).iter().any(u8::is_ascii_lowercase)
        && matches!(scan.names.judge(text.slice(value)), Verdict::Secret(_))
}

/// `vncpasswd: password=x`, and the parts of `--secret id=x,src=y`.
fn is_secret_pair(
    scan: &Scan<'_, '_>,
    name: &Name,
    delimiter: Delimiter,
    value: Range<usize>,
) -> bool {
    let text = &scan.text;
    if name.is_option && text.has(value.start, "id=") {
        return true;
    }
    if delimiter != Delimiter::ColonBlank && delimiter != Delimiter::Colon {
        return false;
    }
    if is_assignment(text.slice(value.clone()))
        && text.at(value.end) == b' '
        && pair_at(text, value.end + 1)
    {
        return true; // `auth-user-pass: username=bob password=x`.
    }
    let end = text.run_in(value.start, value.end, &NAME_BYTES);
    let next = text.skip_blanks(end, 4);
    if end == value.end && next > end && matches!(text.at(next), b'=' | b':') {
        let verdict = scan.names.judge(text.slice(value));
        return matches!(verdict, Verdict::Secret(_)); // `Jwt:Secret = x`.
    }
    let is_open = end + 1 < value.end || is_quote(text.at(end + 1));
    text.at(end) == b'='
        && is_open
        && end > value.start + 2
        && matches!(
            scan.names.judge(text.slice(value.start..end)),
            Verdict::Secret(_)
        )
}

/// `$pw = ConvertTo-SecureString "x"`: a command, whose words are looked at.
fn is_cmdlet(text: &Text<'_>, value: Range<usize>) -> bool {
    let word = text.slice(value.clone());
    text.at(value.end) == b' '
        && matches!(text.at(value.end + 1), b'"' | b'\'' | b'-' | b'(')
        && word.first().is_some_and(u8::is_ascii_uppercase)
        && word.windows(3).any(|three| {
            three[0].is_ascii_lowercase() && three[1] == b'-' && three[2].is_ascii_uppercase()
        })
        && word
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
}

/// Of `bob:x` behind `credentials` the user stays, and of `bob/x` behind `user/pass`.
fn past_user(text: &Text<'_>, name: &Name, secret: SecretName, value: Range<usize>) -> usize {
    let before = text.before(name.range.start);
    let mark = match secret.rule {
        Kind::Credential => b':',
        Kind::Password if matches!(before, b'/' | b':') && is_after_user(text, name) => before,
        Kind::Password if is_user_and_password(text, name) => b':',
        _ => return value.start,
    };
    let user = text.run(value.start, value.end, |byte| {
        byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-' | b'.' | b'@')
    });
    let is_user = user > value.start && text.at(user) == mark && value.end >= user + 5;
    if is_user { user + 1 } else { value.start }
}

/// Past `bob / ` behind `user / password: `.
pub(super) fn past_user_name(text: &Text<'_>, name: &Name, at: usize) -> usize {
    let start = name.range.start;
    let is_second = text.before(start) == b' '
        && ["user / ", "username / ", "login / "]
            .iter()
            .any(|user| text.ends_with(start, user));
    if !is_second {
        return at;
    }
    let user = text.run_in(at, at + 48, &NAME_BYTES);
    if text.has(user, " / ") { user + 3 } else { at }
}

/// The name is that of both: `userpass`.
fn is_user_and_password(text: &Text<'_>, name: &Name) -> bool {
    ["userpass", "user_pass", "userpwd", "user_password"]
        .iter()
        .any(|both| text.ends_with(name.range.end, both))
}

/// The name is the second of `user/password`.
fn is_after_user(text: &Text<'_>, name: &Name) -> bool {
    let end = name.range.start - 1;
    ["user", "username", "login"]
        .iter()
        .any(|user| text.ends_with(end, user))
}

/// What leads from one value to the next, by its second byte: most values have
/// other words behind them.
fn link_at(text: &Text<'_>, at: usize) -> Option<&'static str> {
    let links: &[&str] = match text.at(at + 1) {
        b't' => &[" to "],
        b'-' => &[" -> "],
        b'=' => &[" => "],
        b'a' => &[" and "],
        b'g' => &[" got "],
        b'b' => &[" but got "],
        b'n' => &[" new ", " new="],
        b' ' => &[
            ", got ",
            ", but got ",
            ", received ",
            ", new ",
            ", new=",
            ", now ",
        ],
        _ => &[],
    };
    links.iter().find(|link| text.has(at, link)).copied()
}

/// Further values behind the one that ends at `end`: `backup codes: 1, 2, 3`,
/// `changed from a to b`, `expected token a, got b`.
fn take_followers(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, end: usize) {
    if !matches!(scan.text.at(end), b' ' | b',') {
        return;
    }
    let is_plural = scan.text.before(name.range.end).eq_ignore_ascii_case(&b's');
    let mut end = end;
    for _ in 0..MOST_FOLLOWERS {
        let text = &scan.text;
        let list = text.has(end, ", ") && is_plural;
        let is_next_code = is_plural && secret.rule == Kind::Pin && text.at(end) == b' ';
        let link = link_at(text, end);
        let start = match link {
            Some(link) => end + link.len(),
            None if list => end + 2,
            None if is_next_code => end + 1,
            None => return,
        };
        let word_end = text.run(start, start + 256, |byte| {
            !byte.is_ascii_whitespace() && !is_quote(byte) && byte != b','
        });
        let word_end = trim_closers(text, start, word_end);
        let word = text.slice(start..word_end);
        let is_code = secret.rule == Kind::Pin
            && (is_short_number(word) || is_recovery_code(word) || is_chosen(word));
        let is_changed = link.is_some() && secret.rule == Kind::Password && is_chosen(word);
        let is_made_up =
            is_code || is_changed || is_passwordish(word) || word.len() > 8 && looks_random(word);
        if !is_made_up || is_harmless(word) || pair_at(text, start) {
            return;
        }
        scan.redact(start..word_end, secret.rule);
        end = word_end;
    }
}

/// A header's value goes to the end of the line, or of the string it stands in.
fn header_end(text: &Text<'_>, name: &Name, at: usize) -> usize {
    let limit = text.line_end(at);
    let mark = text.before(name.range.start);
    let end = text.run(at, limit, |byte| byte != mark);
    if !is_quote(mark) || end == limit {
        return limit;
    }
    text.run_back(end, at, |byte| byte == b'\\')
}

/// Where a value without quotes ends.
fn bare_end(text: &Text<'_>, name: &Name, delimiter: Delimiter, at: usize) -> usize {
    if delimiter == Delimiter::Tag {
        let limit = text.line_end(at);
        let mut end = at;
        if text.ends_with(at, "<![CDATA[") {
            while end < limit && !text.has(end, "]]>") {
                end = text.run(end + 1, limit, |byte| byte != b']');
            }
            return end;
        }
        loop {
            end = text.run(end, limit, |byte| !matches!(byte, b'<' | b'&' | b'\\'));
            let is_close = ["<", "&lt;/", "\\u003c/"]
                .iter()
                .any(|close| text.has(end, close));
            if end >= limit || is_close {
                return end;
            }
            end += 1;
        }
    }
    if is_form_value(text, name, at) {
        return text.line_end(at);
    }
    if text.before(at) == b'*' && text.ends_with(at, "**") {
        let limit = text.line_end(at);
        let mut end = text.run(at, limit, |byte| byte != b'*');
        while end < limit && !text.has(end, "**") {
            end = text.run(end + 1, limit, |byte| byte != b'*');
        }
        return end; // Markdown.
    }
    if let Some(end) = placeholder_end(text, at).or_else(|| crypt_end(text, at)) {
        return end;
    }
    let in_query = in_query(text, name);
    if let Some(end) = argument_end(text, name, at) {
        return end;
    }
    let end = separator_end(text, at, in_query);
    let end = connection_end(text, name, delimiter, end)
        .or_else(|| member_end(text, name, delimiter, end))
        .unwrap_or(end);
    let end = text.run_back(end, at, |byte| byte == b'\\' && is_quote(text.at(end)));
    trim_closers(text, at, end)
}

/// The value of a form's part, which goes to the end of its line.
fn is_form_value(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let is_part = text.ends_with(at, "\r\n\r\n") || text.ends_with(at, "\n\n");
    is_part && is_quote(text.at(name.range.end)) && text.ends_with(name.range.start, "name=\"")
}

/// The name stands in the query (or the path's parameters) of a URL.
pub(super) fn in_query(text: &Text<'_>, name: &Name) -> bool {
    match text.before(name.range.start) {
        b'?' | b'&' | b'#' => true,
        b';' => text.has(name.range.start, "jsessionid"),
        _ => false,
    }
}

/// The end of a hash such as `$argon2id$v=19$m=65536,t=3,p=4$…`.
fn crypt_end(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.at(at) != b'$' {
        return None;
    }
    let end = text.run(at, at + 512, |byte| Body::Crypt.has(byte));
    let end = text.run_back(end, at, |byte| matches!(byte, b',' | b'.'));
    let parts = text.slice(at..end).split(|&byte| byte == b'$').count();
    (parts > 3 && end - at > 24).then_some(end)
}

/// The quote that closes the argument `"--password=two words"`.
fn argument_end(text: &Text<'_>, name: &Name, at: usize) -> Option<usize> {
    let dashes = text.run_back(name.range.start, name.range.start.saturating_sub(2), |b| {
        b == b'-'
    });
    // `--from-literal=password=x`.
    let lead = text.run_back(dashes, dashes.saturating_sub(48), |byte| {
        is_name_byte(byte) || byte == b'='
    });
    let is_nested = lead < dashes && text.at(lead) == b'-' && is_quote(text.before(lead));
    let dashes = if is_nested { lead } else { dashes };
    let mark = text.before(dashes);
    if is_quote(mark) && is_option_value(text, dashes - 1) {
        let end = quoted(text, dashes - 1, 0).end;
        let is_last = matches!(text.at(end + 1), b' ' | b'\n' | 0);
        let is_pair = |word: usize| matches!(text.at(word), b' ' | b'&') && pair_at(text, word + 1);
        if end >= at && end - at <= 256 && is_last && !(at..end).any(is_pair) {
            return Some(end);
        }
    }
    if is_quote(mark)
        && let Some(end) = item_end(text, dashes - 1, at)
    {
        return Some(end);
    }
    if is_quote(mark) && text.ends_with(at, "pass:") {
        let end = quoted(text, dashes - 1, 0).end;
        return (end > at).then_some(end); // `-passin 'pass:two words'`.
    }
    if name.is_option && dashes == 0 {
        let is_next = |two: &[u8]| two == b" -";
        let is_column = |two: &[u8]| two == b"  "; // Of a help text.
        let is_apart = |two: &[u8]| is_next(two) || is_column(two);
        let is_alone = text.len() < 512 && !text.slice(at..text.len()).windows(2).any(is_apart);
        return is_alone.then(|| text.line_end(at)); // An argument by itself.
    }
    if !name.is_option || !is_quote(mark) {
        return None;
    }
    let limit = text.line_end(at).min(at + 256);
    let end = text.run(at, limit, |byte| byte != mark && byte != b'\\');
    let is_more = text.slice(at..end).windows(2).any(|two| two == b" -");
    (text.at(end) == mark && !is_more).then_some(end)
}

/// The quote opens the value of a command's option: `-d 'password=two words'`.
fn is_option_value(text: &Text<'_>, quote: usize) -> bool {
    let end = text.run_back(quote, quote.saturating_sub(2), is_blank);
    let start = text.run_back(end, end.saturating_sub(32), is_name_byte);
    let option = text.slice(start..end);
    let is_script = matches!(option, b"-c" | b"-lc" | b"-ec"); // Commands, of which one is a pair.
    end < quote
        && option.first() == Some(&b'-')
        && !is_script
        && matches!(text.before(start), b' ' | 0)
}

/// The end of the string that opens at `quote`, if it is an item of a list: of
/// arguments, or of variables (`["A=b", "PASSWORD=two words"]`).
fn item_end(text: &Text<'_>, quote: usize, at: usize) -> Option<usize> {
    let first = text.run_back(quote, quote.saturating_sub(16), |byte| byte == b'\\');
    let is_prefixed = matches!(text.before(first), b'u' | b'b')
        && !text.before(first - 1).is_ascii_alphanumeric();
    let first = first - usize::from(is_prefixed); // Python's `u'x'`.
    let open = text.run_back(first, first.saturating_sub(2), |byte| {
        byte.is_ascii_whitespace()
    });
    let is_script = ["-c\",", "-c',", "-c\\\","]
        .iter()
        .any(|end| text.ends_with(open, end));
    if !matches!(text.before(open), b'[' | b',') || is_script {
        return None;
    }
    let depth = text.escapes_before(quote);
    let end = quoted(text, quote, depth).end;
    let is_item = matches!(text.at(end + depth + 1), b',' | b']' | b'}' | b')');
    let is_pair = |word: usize| text.at(word) == b' ' && pair_at(text, word + 1);
    let is_short = end >= at && end - at <= 256;
    (is_item && is_short && !(at..end).any(is_pair)).then_some(end)
}

/// `<your token>`, `{{ token }}` and `${X:-y z}` hold blanks.
fn placeholder_end(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.at(at) == b'$' && text.at(at + 1).is_ascii_lowercase() {
        let end = text.run(at + 1, at + 24, |byte| byte.is_ascii_alphanumeric());
        let is_variable = matches!(text.at(end), b')' | b',' | b'}');
        return (is_variable && is_harmless(text.slice(at..end))).then_some(end);
    }
    let close = match text.at(at) {
        b'!' if text.has(at, "!!redacted ") => return Some(at + "!!redacted".len()),
        b'<' => b'>',
        b'{' => b'}',
        b'$' if text.at(at + 1) == b'{' => b'}',
        b'$' if text.at(at + 1) == b'(' => b')',
        _ => return None,
    };
    let longest = if close == b')' { 200 } else { 96 }; // A command is long.
    let end = text.run(at, at + longest, |byte| byte != close && byte != b'\n');
    let end = text.run(end, end + 2, |byte| byte == close);
    let is_whole = !text.at(end).is_ascii_alphanumeric(); // `<word>80` is none.
    (is_whole && is_harmless(text.slice(at..end))).then_some(end)
}

/// In `Server=db;Password=two words;Encrypt=true` blanks are part of the value.
fn connection_end(text: &Text<'_>, name: &Name, delimiter: Delimiter, end: usize) -> Option<usize> {
    let is_blank_next = text.at(end) == b' ' || text.has(end, ", ");
    if delimiter != Delimiter::Equals || !is_blank_next || text.before(end) == b':' {
        return None;
    }
    let floor = name.range.start.saturating_sub(8);
    let before = text.run_back(name.range.start, floor, is_blank);
    let inside = text.before(before) == b';';
    let from = end;
    static SETTING: Bytes = Bytes::but(b";\"\n=");
    let end = text.run_in(end, end + 128, &SETTING);
    match text.at(end) {
        b';' if inside || pair_at(text, text.skip_blanks(end + 1, 4)) => Some(end),
        b'"' if inside => Some(end),
        0 if inside && is_connection(text, name) => {
            let rest = text.slice(from..end);
            rest.iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ')
                .then_some(end)
        }
        _ => None,
    }
}

/// A connection string, by a name that only those have.
fn is_connection(text: &Text<'_>, name: &Name) -> bool {
    const NAMES: [&str; 4] = ["data source=", "initial catalog=", "server=", "driver="];
    let from = name.range.start.saturating_sub(256);
    (from..name.range.start).any(|at| NAMES.iter().any(|known| text.has(at, known)))
}

/// Where a blank, a quote or the next pair ends the value.
fn separator_end(text: &Text<'_>, at: usize, in_query: bool) -> usize {
    let sort = if in_query {
        Far::BareInQuery
    } else {
        Far::Bare
    };
    text.remember(sort, at, || first_separator(text, at, in_query))
}

fn first_separator(text: &Text<'_>, at: usize, in_query: bool) -> usize {
    let mut end = at;
    loop {
        end = text.run_in(end, text.len(), &PLAIN);
        let is_escaped = text.at(end) == b' ' && text.before(end) == b'\\'; // By a shell.
        if end >= text.len() || !is_escaped && separates(text, end, in_query) {
            return end;
        }
        end += 1;
    }
}

/// All but what may separate.
static PLAIN: Bytes = Bytes::but(b" \t\n\r\x0c\x1b\0\"'`&;,|%\\#?:<");

fn separates(text: &Text<'_>, at: usize, in_query: bool) -> bool {
    let next = at + 1;
    let last = next >= text.len() || text.at(next).is_ascii_whitespace() || text.at(next) == b'"';
    match text.at(at) {
        b'&' if text.has(at, "&&") => !in_query,
        b'&' if text.has(at, "&quot;") || text.has(at, "&#39;") || text.has(at, "&lt;") => true,
        b'&' if text.has(at, "&#38;") => true,
        b'&' if text.has(at, "&amp;") => in_query || pair_at(text, at + 5),
        b'&' => in_query || last || pair_at(text, next),
        b'#' if is_syslog_escape(text, at) => true,
        b'#' | b'?' => in_query,
        b'<' => {
            let is_break = |end: &&str| text.has(next, end);
            text.at(next) == b'/' || ["br>", "br/>", "br />"].iter().any(is_break)
        }
        b':' => {
            let name_end = text.run(next, next + 64, |byte| {
                byte.is_ascii_uppercase() || byte == b'_'
            });
            name_end > next + 1 && text.at(name_end) == b'=' // A list of variables.
        }
        b'%' if in_query && (text.has(at, "%22") || text.has(at, "%27")) => {
            // What is encoded once in a query is part of the value, but for what closes around it.
            let next = at + 3;
            let closes = ["%7D", "%2C", "%5D", "%29"];
            let is_end = !is_name_byte(text.at(next)) && text.at(next) != b'%';
            is_end || closes.iter().any(|close| text.has(next, close))
        }
        b'%' if text.has(at, "%26") => !in_query && encoded_pair_at(text, at + 3),
        b'%' if text.has(at, "%2526") => encoded_pair_at(text, at + 5),
        b'%' => ["%22", "%27", "%2C%22", "%2522"]
            .iter()
            .any(|end| text.has(at, end)),
        b'\\' if text.has(at, "\\u0026") => {
            let name_end = text.run_in(at + 6, at + 70, &NAME_BYTES);
            in_query || pair_at(text, at + 6) || text.has(name_end, "\\u003d")
        }
        b'\\' if text.has(at, "\\u001b") || text.has(at, "\\x1b") => true,
        b'\\' if text.has(at, "\\x00") || text.has(at, "\\u0000") => true,
        b'\\' => ends_at_escape(text, at),
        b'\'' => last || !text.at(next).is_ascii_alphanumeric(),
        b';' if is_connection_word(text, next) => true,
        b';' | b',' | b'|' => last || text.has(next, "</") || pair_at(text, next),
        _ => true,
    }
}

/// A control character as syslog writes it: `#012`.
fn is_syslog_escape(text: &Text<'_>, at: usize) -> bool {
    ["#012", "#015", "#011"]
        .iter()
        .any(|escape| text.has(at, escape))
}

/// The name of a setting in a connection string, of two or three words:
/// `Connect Timeout=`.
fn is_connection_word(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at, at + 40, |byte| {
        byte.is_ascii_alphabetic() || byte == b' '
    });
    end > at + 4
        && text.at(end) == b'='
        && text.at(at).is_ascii_uppercase()
        && text.slice(at..end).contains(&b' ')
}

fn encoded_pair_at(text: &Text<'_>, at: usize) -> bool {
    let end = text.run_in(at, at + 64, &NAME_BYTES);
    let marks = ["=", "%3d", "%253d"];
    end > at && marks.iter().any(|mark| text.has(end, mark))
}

/// An escaped line break or tab, at the end or before a pair.
fn ends_at_escape(text: &Text<'_>, at: usize) -> bool {
    let letter = text.run(at, at + 16, |byte| byte == b'\\');
    if !matches!(text.at(letter), b'n' | b'r' | b't') {
        return is_quote(text.at(letter));
    }
    if text.at(letter) == b'n' && letter == at + 1 {
        return true;
    }
    let next = text.skip_blanks(letter + 1, 8);
    let last = next >= text.len() || !is_name_byte(text.at(next));
    last || pair_at(text, next) || text.run(next, next + 2, |b| b == b'-') > next
}

/// Brackets that close something before the value, and punctuation after it.
pub(super) fn trim_closers(text: &Text<'_>, at: usize, end: usize) -> usize {
    let mut end = end;
    for _ in 0..8 {
        let value = text.slice(at..end);
        if value.is_empty() || value.len() > 512 {
            break;
        }
        let count = |wanted: u8| value.iter().filter(|&&byte| byte == wanted).count();
        let drop = match text.before(end) {
            b',' | b';' | b'.' | b':' => true,
            b')' => count(b')') > count(b'('),
            b']' => count(b']') > count(b'['),
            b'}' => count(b'}') > count(b'{'),
            b'>' => count(b'>') > count(b'<'),
            b'\'' => true,
            _ => false,
        };
        if !drop {
            break;
        }
        end -= 1;
    }
    end
}
