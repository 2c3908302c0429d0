//! Secrets that a command or protocol puts in a fixed place: `PASS x`,
//! `AUTH PLAIN x`, `net user bob x`, `echo x | sudo -S`.

use std::ops::Range;

mod places;

pub(crate) use places::{PLACES, Place};

use super::{Scan, bare, call, shape, string};
use crate::mask::{is_harmless, is_status};
use crate::rules::Kind;
use crate::text::{Bytes, Text, is_base64, is_blank, is_quote};
use crate::vendors::looks_random;

/// Looks around the literal at `hit`.
pub(super) fn look(scan: &mut Scan<'_, '_>, place: Place, hit: Range<usize>) {
    let text = &scan.text;
    let found = match place {
        Place::Next => word_at(text, hit.end).filter(|word| !is_told(text, word.clone())),
        Place::Second if text.before(hit.start) == b'.' => None, // `example.net user bob`.
        Place::Second => {
            let first = text.run(hit.end, hit.end + 128, |byte| {
                !is_blank(byte) && !is_quote(byte)
            });
            let is_domain = text.slice(hit.end..first).contains(&b'\\'); // `CORP\bob`.
            match is_domain {
                true => word_at(text, first),
                false => nth_word(text, hit.end, 1),
            }
        }
        Place::Sasl => {
            let start = text.skip_blanks(hit.end, 4);
            let word = start..text.run(start, start + 512, is_base64);
            Some(word).filter(|word| is_sasl(text.slice(word.clone())))
        }
        Place::Pass => pass(text, &hit).or_else(|| account(text, hit.end)),
        Place::Login => login(text, &hit),
        Place::Piped => piped(text, &hit),
        Place::Address => address(text, hit.start),
        Place::Slash => slash(text, hit.end),
        Place::PgPass => pgpass(text, hit.end),
        Place::Code => code(text, hit.end),
        Place::Phrase => phrase(text, hit.end),
        Place::Wifi => wifi(text, hit.end),
        Place::Asked => asked(text, hit.end),
        Place::LastString => last_string(text, hit.end - 1),
        Place::Wire => wire(text, hit.end),
        Place::Pair => pair(text, hit.end),
        Place::Chosen => chosen(text, hit.end),
        Place::Sent => {
            let end = text.run(hit.end, hit.end + 130, |byte| {
                !byte.is_ascii_whitespace() && !is_quote(byte) && byte != b'\\'
            });
            let is_typed = ["\\r", "\\\\r", "\\n"].iter().any(|key| text.has(end, key));
            let word = text.slice(hit.end..end);
            (is_typed && shape::is_chosen(word)).then_some(hit.end..end)
        }
        Place::Named => named(text, hit.end),
        Place::Path => path(text, hit.end),
        Place::Account => account(text, hit.end),
        Place::Call => call::argument_at(text, hit.end, 1),
        Place::Argument => {
            call::argument_at(text, hit.end, 0).filter(|word| is_quote(text.before(word.start)))
        }
        Place::WithUser => with_user(text, &hit),
        Place::Connect => call::argument_at(text, hit.end, 2),
        Place::Last => nth_word(text, hit.end, 1).or_else(|| word_at(text, hit.end)),
        Place::Rule => acl_rule(text, hit.end),
        Place::Random => {
            let end = text.run(hit.end, hit.end + 130, |byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
            });
            let word = text.slice(hit.end..end);
            let is_random = word.len() >= 16 && looks_random(word);
            is_random.then_some(hit.end..end)
        }
    };
    let Some(word) = found else { return };
    let secret = scan.text.slice(word.clone());
    let is_option = secret
        .first()
        .is_some_and(|byte| matches!(byte, b'-' | b'/' | b'|' | b'<' | b'*'))
        && !is_quote(scan.text.before(word.start));
    if secret.len() >= 4 && !is_option && !is_harmless(secret) && !is_status(secret) {
        scan.redact(word, Kind::CommandPassword);
    }
}

/// `requirepass directive is not set`.
fn is_told(text: &Text<'_>, word: Range<usize>) -> bool {
    let next = text.skip_blanks(word.end, 2);
    let end = text.run(next, next + 16, |byte| byte.is_ascii_alphabetic());
    let is_word = text.slice(word).iter().all(u8::is_ascii_alphabetic);
    is_word && end > next && is_status(text.slice(next..end))
}

/// The word at `at`, or what is in its quotes.
fn word_at(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = text.skip_blanks(at, 4);
    let quote = text.run(start, start + 8, |byte| byte == b'\\');
    if is_quote(text.at(quote)) {
        return Some(string::quoted(text, quote, quote - start));
    }
    let end = text.run(start, start + 256, |byte| {
        !byte.is_ascii_whitespace() && !is_quote(byte) && !matches!(byte, b'\\' | b',')
    });
    (end > start).then_some(start..end)
}

/// The next word, if somebody chose it for a password.
fn chosen(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let word = match is_quote(text.before(at)) {
        true => string::quoted(text, at - 1, text.escapes_before(at - 1)),
        false => word_at(text, at)?,
    };
    let is_string = is_quote(text.before(word.start));
    let content = text.slice(word.clone());
    let is_setting = is_string || text.ends_with(at, "key ") || text.ends_with(at, "string ");
    let is_chosen = shape::is_passwordish(content) || is_setting && shape::is_chosen(content);
    let is_phrase = is_string && text.ends_with(at, "<<< ") && of_cryptsetup(text, at);
    (is_chosen || is_phrase).then_some(word)
}

/// Whatever `cryptsetup` is given opens a disk.
fn of_cryptsetup(text: &Text<'_>, at: usize) -> bool {
    let line = text.run_back(at, at.saturating_sub(128), |byte| byte != b'\n');
    text.slice(line..at)
        .windows(b"cryptsetup ".len())
        .any(|word| word == b"cryptsetup ")
}

fn nth_word(text: &Text<'_>, at: usize, nth: usize) -> Option<Range<usize>> {
    let mut word = word_at(text, at)?;
    for _ in 0..nth {
        let end = word.end + usize::from(is_quote(text.at(word.end)));
        if !is_blank(text.at(end)) {
            return None;
        }
        word = word_at(text, end)?;
    }
    Some(word)
}

fn is_sasl(word: &[u8]) -> bool {
    word.len() >= 8 && word.iter().all(|&byte| is_base64(byte)) && looks_random(word)
}

/// `PASS` also is what a test says that has passed: `PASS src/app.test.js`.
fn pass(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    let command = text.slice(hit.start..hit.end - 1);
    let is_ftp = command == b"PASS" && of_ftp(text, hit.start);
    let starts = starts_message(text, hit.start) || follows_user(text, hit.start) || is_ftp;
    if !matches!(command, b"PASS" | b"AUTH") || !starts {
        return None;
    }
    let mut word = word_at(text, hit.end)?;
    if text.at(word.end) == b',' && !is_quote(text.before(word.start)) {
        word.end = text.run(word.end, word.end + 128, |byte| {
            !byte.is_ascii_whitespace() && byte != b'\\'
        });
    }
    let secret = text.slice(word.clone());
    let rest = text.skip_blanks(word.end, 4);
    let is_last = ends_message(text, rest);
    let second = (!is_last && command == b"AUTH")
        .then(|| nth_word(text, hit.end, 1))
        .flatten();
    if let Some(second) = second.filter(|word| {
        let rest = text.skip_blanks(word.end, 4);
        let word = text.slice(word.clone());
        ends_message(text, rest) && (shape::is_chosen(word) || shape::is_strange(word))
    }) {
        return Some(second); // Redis' `AUTH bob x`.
    }
    let is_numbered = secret.last().is_some_and(u8::is_ascii_digit);
    let is_made_up =
        shape::is_strange(secret) || !secret.contains(&b'/') && shape::is_passwordish(secret);
    let is_path = !is_made_up && (secret.contains(&b'/') || secret.contains(&b'.') && !is_numbered);
    let is_word = !is_ftp && secret.iter().all(u8::is_ascii_alphabetic) && !looks_random(secret);
    (is_last && !is_path && !is_word).then_some(word)
}

/// FTP is spoken of right before.
fn of_ftp(text: &Text<'_>, at: usize) -> bool {
    let from = at.saturating_sub(80);
    let is_named =
        |at: usize| text.has(at, "ftp") || text.has(at, "\nUSER ") || text.has(at, "Command: ");
    (from..at).any(is_named)
}

/// `USER bob PASS x` in one line.
fn follows_user(text: &Text<'_>, at: usize) -> bool {
    let end = at.saturating_sub(1);
    let name = text.run_back(end, end.saturating_sub(64), |byte| {
        !byte.is_ascii_whitespace()
    });
    text.before(at) == b' ' && name < end && text.ends_with(name, "USER ")
}

/// A line or message ends at `at`, or the mark of the next one stands there.
fn ends_message(text: &Text<'_>, at: usize) -> bool {
    const ENDS: &[u8] = b"\n\r\\\"'(";
    at >= text.len() || ENDS.contains(&text.at(at)) || text.has(at, "-->")
}

/// At the start of a line, or behind the mark of a direction: `> `, `C: `.
fn starts_message(text: &Text<'_>, at: usize) -> bool {
    let mark = text.run_back(at, at.saturating_sub(3), is_blank);
    matches!(
        text.before(mark),
        0 | b'\n' | b'\r' | b'*' | b'>' | b'<' | b':' | b'"' | b'\'' | b'n' | b']'
    )
}

fn login(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    let tag = text.run_back(hit.start, hit.start.saturating_sub(8), |byte| {
        byte.is_ascii_alphanumeric()
    });
    let exact = text.slice(hit.start + 1..hit.end - 1) == b"LOGIN";
    let is_tag = exact && text.slice(tag..hit.start).iter().any(u8::is_ascii_digit);
    let second = is_tag.then(|| nth_word(text, hit.end, 1))??;
    let is_last = ends_message(text, text.skip_blanks(second.end, 4));
    let is_behind = is_last && is_blank(text.before(tag)); // What the program logs before it.
    (starts_message(text, tag) || is_behind).then_some(second)
}

/// The last argument of the `echo` or `printf` before the pipe; of `<<<`, what
/// follows. Of `user:password` only the password.
fn piped(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    let is_here = text.ends_with(hit.end, "<<<");
    let is_sudo = text.has(hit.start, "| sudo");
    if is_sudo
        && !text
            .slice(hit.end..text.line_end(hit.end).min(hit.end + 32))
            .windows(2)
            .any(|w| w == b"-S")
    {
        return None;
    }
    if text.has(hit.start, "| base64") {
        // Only where what follows says what it is.
        let line = hit.end..text.line_end(hit.end).min(hit.end + 64);
        let names = ["secret", "password", "token", "_key"];
        if !line
            .clone()
            .any(|at| names.iter().any(|name| text.has(at, name)))
        {
            return None;
        }
    }
    let word = if is_here {
        word_at(text, hit.end)?
    } else {
        echoed(text, hit.start)?
    };
    let is_pair = text.has(hit.start, "| chpasswd") || is_here;
    let colon = text.run(word.start, word.end, |byte| byte != b':');
    Some(if is_pair && colon < word.end {
        colon + 1..word.end
    } else {
        word
    })
}

fn echoed(text: &Text<'_>, pipe: usize) -> Option<Range<usize>> {
    const REACH: usize = 256;
    let from = pipe.saturating_sub(REACH);
    let line = text.run_back(pipe, from, |byte| byte != b'\n');
    let echo = (line..pipe)
        .rev()
        .find(|&at| text.has(at, "echo ") || text.has(at, "printf "))?;
    let mut at = text.run(echo, pipe, |byte| byte != b' ');
    loop {
        let word = word_at(text, at)?;
        if word.end > pipe {
            return None;
        }
        if !text.slice(word.clone()).starts_with(b"-") && text.slice(word.clone()) != b"%s" {
            return Some(word);
        }
        at = word.end + usize::from(is_quote(text.at(word.end)));
    }
}

/// The value behind a word for a password in another language.
fn named(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let close = at + usize::from(is_quote(text.at(at)));
    let mark = text.skip_blanks(close, 32);
    let links = [
        "est ", "es ", "ist ", "lautet ", "\u{e8} ", "\u{e9} ", "jest ",
    ];
    let link = links
        .iter()
        .find(|link| mark > close && text.has(mark, link));
    let mark = mark + link.map_or(0, |link| link.len());
    let after = match text.at(mark) {
        b':' | b'=' => mark + 1,
        0xEF if text.has(mark, "：") || text.has(mark, "＝") => mark + "：".len(),
        _ => {
            let word = word_at(text, mark)?;
            let is_chosen = mark > close && shape::is_passwordish(text.slice(word.clone()));
            return is_chosen.then_some(word);
        }
    };
    let word = word_at(text, after)?;
    let is_string = is_quote(text.before(word.start));
    let end = match is_string {
        true => word.end,
        false => bare::trim_closers(text, word.start, word.end),
    };
    Some(word.start..end)
}

/// A long random part of a path.
fn path(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let digits_end = text.run(at, at + 16, |byte| byte.is_ascii_digit());
    let at = match text.at(digits_end) {
        b'/' if digits_end > at => digits_end + 1, // An account before the secret.
        _ => at,
    };
    let end = text.run(at, at + 512, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'=' | b'%')
    });
    let end = text.run_back(end, at, |byte| byte == b'.');
    let part = text.slice(at.min(end)..end);
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let both_cases = [u8::is_ascii_uppercase, u8::is_ascii_lowercase]
        .iter()
        .all(|class| part.iter().filter(|byte| class(byte)).count() > 2);
    let least = match both_cases {
        true if part.len() >= 20 => 0,
        true => 1,
        false => 2,
    };
    (part.len() >= 16 && digits >= least && looks_random(part)).then_some(at..end)
}

/// The word behind `-p`, with `-u` not far before.
fn with_user(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    let from = hit.start.saturating_sub(64);
    let is_user = (from..hit.start).any(|at| text.has(at, " -u ") || text.has(at, " --user "));
    let word = word_at(text, hit.end)?;
    let content = text.slice(word.clone());
    let is_chosen = shape::is_chosen(content) && !content.contains(&b'/');
    (is_user && is_chosen).then_some(word)
}

/// The word behind `>`.
fn acl_rule(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let limit = text.line_end(at).min(at + 256);
    let rule = (at..limit).find(|&at| text.at(at) == b'>' && text.before(at) == b' ')? + 1;
    let word = word_at(text, rule)?;
    (word.start == rule).then_some(word)
}

fn code(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = at + usize::from(is_quote(text.at(at)));
    let end = text.run(start, start + 9, |byte| byte.is_ascii_digit());
    ((4..=8).contains(&(end - start)) && !text.at(end).is_ascii_alphanumeric())
        .then_some(start..end)
}

fn phrase(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = at + usize::from(is_quote(text.at(at)));
    let mut end = start;
    for count in 0..24 {
        let word = end + usize::from(count > 0 && text.at(end) == b' ');
        let word_end = text.run(word, word + 9, |byte| byte.is_ascii_lowercase());
        if word_end - word < 3 || count > 0 && word == end {
            return (count >= 12).then_some(start..end);
        }
        end = word_end;
    }
    Some(start..end)
}

fn wifi(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let limit = text.line_end(at).min(at + 128);
    let mut part = at;
    while part < limit {
        part = text.run(part, limit, |byte| byte != b';') + 1;
        if text.has(part, "P:") {
            let end = text.run(part + 2, limit, |byte| byte != b';');
            return Some(part + 2..end);
        }
    }
    None
}

fn asked(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = text.run(at, at + 16, |byte| {
        byte.is_ascii_whitespace() || b"C:><-\\rn/".contains(&byte)
    });
    let end = text.run(start, start + 256, is_base64);
    (start > at && end - start >= 6).then_some(start..end)
}

fn last_string(text: &Text<'_>, quote: usize) -> Option<Range<usize>> {
    let first = string::quoted(text, quote, 0);
    match text.has(first.end, "\" \"") {
        true => Some(string::quoted(text, first.end + 2, 0)),
        false => Some(first),
    }
}

/// `AUTH⏎$6⏎secret⏎`, and with a user before it.
fn wire(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let is_break = |byte: u8| matches!(byte, b'\r' | b'\n' | b'\\' | b'$');
    let mut found = None;
    let mut length = at;
    for _ in 0..2 {
        let digits_end = text.run(length, length + 6, |byte| byte.is_ascii_digit());
        let break_length = if text.at(digits_end) == b'\\' { 4 } else { 2 };
        let start = digits_end + break_length;
        let end = text.run(start, start + 256, |byte| !is_break(byte));
        if digits_end == length || end <= start {
            break;
        }
        found = Some(start..end);
        length = text.run(end, end + 5, |byte| {
            is_break(byte) || matches!(byte, b'r' | b'n')
        });
        if text.before(length) != b'$' {
            break;
        }
    }
    found
}

fn pair(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let user = string::quoted(text, at - 1, 0);
    let wraps = ["\", \"", "\", Some(\"", "', '"];
    let wrap = wraps.iter().find(|wrap| text.has(user.end, wrap))?;
    Some(string::quoted(text, user.end + wrap.len() - 1, 0))
}

/// The second part of `admin/x`, `bob:x` or `bob / x`, if nobody would write it in
/// a sentence.
fn account(text: &Text<'_>, start: usize) -> Option<Range<usize>> {
    let at = start + usize::from(text.at(start) == b'['); // `login attempt [root/x]`.
    if text.has(at, "b'") {
        let user = string::quoted(text, at + 1, 0); // `b'root'/b'x'` of Python.
        let is_next = text.has(user.end, "'/b'");
        return is_next.then(|| string::quoted(text, user.end + 3, 0));
    }
    let is_tuple = text.at(at) == b'(';
    let at = at + usize::from(is_tuple);
    if !text.at(at).is_ascii_alphabetic() {
        return None; // An address.
    }
    static USER: Bytes = Bytes::letters_and_digits().and(b"_-.@");
    let user_end = text.run_in(at, at + 48, &USER);
    let next = text.at(user_end + 1);
    let mark = match text.at(user_end) {
        b':' | b'/' if user_end > at && !text.has(at, "HTTP/") => user_end + 1,
        b' ' if next == b'w' && text.has(user_end, " with ") => user_end + " with ".len(),
        b' ' if next == b'/' && text.has(user_end, " / ") => user_end + 3,
        b',' if is_tuple && text.at(user_end + 1) == b' ' => user_end + 2,
        _ => return None,
    };
    let end = text.run(mark, mark + 128, |byte| {
        !byte.is_ascii_whitespace() && !is_quote(byte) && !matches!(byte, b',' | b'\\')
    });
    let at_sign = text.run_back(end, mark, |byte| byte != b'@');
    let host = text.slice(at_sign..end);
    let is_host = at_sign > mark + 1 && host.iter().all(|byte| !byte.is_ascii_uppercase());
    let end = if is_host { at_sign - 1 } else { end };
    let end = bare::trim_closers(text, mark, end);
    let word = text.slice(mark.min(end)..end);
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_thing = text.ends_with(at, "for ") && word.iter().all(is_plain); // `for job:night2`.
    const TOLD: [&str; 19] = [
        ":587 ",
        "digest ",
        "source_name=",
        "attempt ",
        "user.info=",
        "register => ",
        "list: \"",
        "-user ",
        "-user=",
        "userinfo=",
        "userpwd=",
        "credentials ",
        "credentials: ",
        "creds ",
        "creds: ",
        "ing as ",
        "login as ",
        "combination ",
        "stats auth ",
    ];
    let is_told = TOLD.iter().any(|told| text.ends_with(start, told));
    let mut pairs = word.split(|&byte| byte == b':');
    let is_mac = word.contains(&b':') && pairs.all(|pair| pair.len() == 2);
    let is_chosen = !is_mac && (shape::is_passwordish(word) || is_told && shape::is_chosen(word));
    (is_chosen && !is_thing).then_some(mark..end)
}

fn slash(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let option = text.run(at, at + 4, |byte| matches!(byte, b'-' | b's' | b'S' | b' '));
    let word = word_at(text, if text.at(at) == b'-' { option } else { at })?;
    let slash = text.run(word.start, word.end, |byte| byte != b'/');
    let end = text.run(slash, word.end, |byte| byte != b'@');
    (slash > word.start && slash < end).then_some(slash + 1..end)
}

fn address(text: &Text<'_>, at_sign: usize) -> Option<Range<usize>> {
    let start = text.run_back(at_sign, at_sign.saturating_sub(128), |byte| {
        !byte.is_ascii_whitespace() && !is_quote(byte) && byte != b'='
    });
    let is_oracle = text.has(at_sign, "@//"); // `bob/x@//db:1521/app`.
    let mark = if is_oracle { b'/' } else { b':' };
    let colon = text.run(start, at_sign, |byte| byte != mark);
    let is_url = text.has(colon + 1, "//");
    (colon < at_sign && colon > start && !is_url).then_some(colon + 1..at_sign)
}

fn pgpass(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let is_five = text.has(at - 1, ":") || text.ends_with(at, "*:*:*:");
    let mut start = at;
    let names = if text.ends_with(at, "*:*:*:") { 1 } else { 2 };
    for _ in 0..names {
        let end = text.run(start, start + 64, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'*')
        });
        if end == start || text.at(end) != b':' {
            return None;
        }
        start = end + 1;
    }
    let end = text.run(start, start + 128, |byte| {
        !byte.is_ascii_whitespace() && !is_quote(byte)
    });
    (is_five && end > start).then_some(start..end)
}
