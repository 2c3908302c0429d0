//! Names in running text: `the password is x1y2z3`, `changed from x to y`.

use super::delimiter::{Delimiter, past_tabs};
use super::markup::past_style_tag;
use super::pair::Name;
use super::phrase::{is_phrase, is_told_phrase, words_end};
use super::{call, shape, string, value};
use crate::mask::is_status;
use crate::names::{self, SecretName, Trust};
use crate::rules::Kind;
use crate::text::{Bytes, Text, is_blank, is_quote};
use crate::vendors::looks_random;

use std::ops::Range;

/// A value behind a blank: `--password x`, SQL's `PASSWORD 'x'`, netrc's
/// `login bob password x`, and sentences such as `the password is x1y2z3`.
pub(super) fn spoken(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    at: usize,
    quoted: bool,
) -> Option<(Delimiter, usize)> {
    let word = text.slice(name.range.clone());
    let is_function = secret.rule == Kind::Password && word.iter().all(u8::is_ascii_uppercase);
    if text.has(at, "('") && (is_function || word.eq_ignore_ascii_case(b"password")) {
        return Some((Delimiter::Blank, at + 1)); // SQL's function, and `LDAPPWD('x')`.
    }
    if let Some(value) = call::tuple_struct(text, name, secret)
        .or_else(|| call::wrapped_value(text, name, secret))
        .or_else(|| call::in_brackets(text, name, secret))
    {
        return Some((Delimiter::Blank, value));
    }
    if text.before(name.range.start) == b'=' && !name.is_option && text.at(at) == b' ' {
        return None; // A value itself: `key_name=deploy-key`.
    }
    let value = past_tabs(text, text.skip_blanks(at, 32));
    if let Some(before) = code_before(text, name, secret) {
        return Some((Delimiter::Blank, before));
    }
    if quoted
        && is_quote(text.before(name.range.start))
        && let Some(value) = after_quoted_name(text, at, secret)
    {
        return Some((Delimiter::Blank, value));
    }
    if name.is_option
        && text.at(at) == b'\n'
        && !matches!(text.at(at + 1), b'-' | b' ' | b'\n' | 0)
        && !text.has(at + 1, "usage")
    {
        return Some((Delimiter::Blank, at + 1)); // Arguments, one in a line.
    }
    if value == at && !text.has(at, "? ") || at != name.range.end && !name.is_option {
        return None;
    }
    if text.has(value, "<(echo ") && text.has(name.range.start, "private") {
        return Some((Delimiter::Blank, value + "<(echo ".len()));
    }
    if name.is_option && text.has(value, "\\\n") {
        let next = text.run(value + 1, value + 32, |byte| byte.is_ascii_whitespace());
        return Some((Delimiter::Blank, next)); // The command goes on in the next line.
    }
    let number = text.run(value + 1, value + 4, |byte| byte.is_ascii_digit());
    let is_audit = name.is_option && text.at(value) == b'a' && number > value + 1;
    if is_audit && text.at(number) == b'=' && is_quote(text.at(number + 1)) {
        return Some((Delimiter::Blank, number + 1)); // `a1="--password" a2="x"` of the audit log.
    }
    if name.is_option && text.has(value, "<<< ") {
        return Some((Delimiter::Blank, value + 4)); // `--with-token <<< x`.
    }
    if let Some(value) = after_command(text, name, value) {
        return Some((Delimiter::Equals, value));
    }
    let linked = past_style_tag(text, past_links(text, value));
    if secret.trust == Trust::Strong
        && secret.rule != Kind::Cookie
        && text.has(value, "for ")
        && text.ends_with(linked, ": ")
    {
        return Some((Delimiter::ColonBlank, linked)); // `password for bob: x`.
    }
    let spoken = if name.is_option {
        !matches!(text.at(value), b'-' | 0) && !text.has(value, "< ")
    } else {
        is_secret_at(text, name, secret, linked)
    };
    if spoken {
        let quoted = linked;
        let is_string = is_quote(text.at(quoted)) || string::is_curly(text, quoted);
        let value = if name.is_option || !is_string {
            value
        } else {
            quoted
        };
        return Some((Delimiter::Blank, value));
    }
    let first = value;
    let value = match ["- ", "? "].iter().find(|mark| text.has(value, mark)) {
        Some(mark) => value + mark.len(),
        None => linked,
    };
    let is_scheme = word.eq_ignore_ascii_case(b"bearer"); // Has a rule of its own.
    let is_marked = value > first && matches!(text.before(value - 1), b'-' | b'?');
    let is_bracketed = matches!(text.at(value), b'<' | b'[')
        || ["[", "old=", "new="]
            .iter()
            .any(|mark| text.ends_with(value, mark));
    let is_value = is_phrase_at(text, name, value)
        || (is_marked || is_bracketed) && chosen_at(text, value, secret)
        || random_word_at(text, value, secret)
        || passwordish_at(text, value, secret)
        || value > first && plain_word_at(text, value, secret);
    (!is_scheme && is_value).then_some((Delimiter::Blank, value))
}

/// `set 'password' to 'x'` and Redis' `"requirepass" "x"`: the string behind a name
/// in quotes.
fn after_quoted_name(text: &Text<'_>, at: usize, secret: SecretName) -> Option<usize> {
    const LINKS: [&str; 11] = [
        " to ",
        " changed from ",
        " has value ",
        " is ",
        " was ",
        " as ",
        " with value ",
        " set to ",
        " changed to ",
        " with ",
        " ",
    ];
    if secret.trust != Trust::Strong || text.at(at) != b' ' {
        return None;
    }
    if let Some(value) = default_value(text, at) {
        return Some(value);
    }
    let link = LINKS
        .iter()
        .find(|link| text.has(at, link) && is_quote(text.at(at + link.len())))?;
    let value = at + link.len();
    let content = text.slice(string::quoted(text, value, 0));
    let is_linked = *link != " " && shape::is_no_word(content);
    let is_string = is_linked || shape::is_strange(content) || shape::is_chosen(content);
    is_string.then_some(value)
}

/// Terraform's `variable "db_password" { default = "x" }`.
fn default_value(text: &Text<'_>, at: usize) -> Option<usize> {
    let past = |at: usize| text.run(at, at + 24, |byte| byte.is_ascii_whitespace());
    let open = past(at);
    let key = past(open + 1);
    let equals = past(key + "default".len());
    let value = past(equals + 1);
    let is_default = text.at(open) == b'{' && text.has(key, "default") && text.at(equals) == b'=';
    (is_default && is_quote(text.at(value))).then_some(value)
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

/// Behind `pass phrase for key:`, some words that go to the end of the line.
fn is_phrase_at(text: &Text<'_>, name: &Name, at: usize) -> bool {
    let is_told = text.ends_with(at, "password is: ") || text.ends_with(at, "passphrase is: ");
    if !is_told && (!text.ends_with(at, ": ") || !is_phrase(text, name)) {
        return false;
    }
    if is_told && is_told_phrase(text, at) {
        return true;
    }
    let first = text.run(at, at + 16, |byte| byte.is_ascii_lowercase());
    let end = words_end(text, first);
    let words = text.slice(at..end).split(|&byte| byte == b' ');
    let is_told = words.clone().any(is_status);
    end == text.line_end(at) && words.count() >= 3 && !is_told
}

/// `482913 is your verification code`: the code stands before.
fn code_before(text: &Text<'_>, name: &Name, secret: SecretName) -> Option<usize> {
    let is_password = secret.rule == Kind::Password
        && ["one time ", "one-time "]
            .iter()
            .any(|words| text.ends_with(name.range.start, words));
    if secret.rule != Kind::Pin && !is_password {
        return None;
    }
    let floor = name.range.start.saturating_sub(32);
    let from = text.run_back(name.range.start, floor, |byte| {
        byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'-')
    });
    let between = text.slice(from..name.range.start);
    let end = from;
    let start = text.run_back(end, end.saturating_sub(9), |byte| byte.is_ascii_digit());
    let is_code = (4..=8).contains(&(end - start)) && {
        between.starts_with(b" is your ") || between.starts_with(b" as your ")
    };
    is_code.then_some(start)
}

/// A word in a place where a password must stand, in brackets or behind a dash.
fn chosen_at(text: &Text<'_>, at: usize, secret: SecretName) -> bool {
    let start = at + usize::from(matches!(text.at(at), b'<' | b'['));
    let end = text.run(start, start + 130, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'>' | b']') && !is_quote(byte)
    });
    let is_change = ["old=", "new="].iter().any(|mark| text.ends_with(at, mark));
    let is_told = (secret.trust == Trust::Strong || is_change) && secret.rule != Kind::Cookie;
    is_told && shape::is_chosen(text.slice(start.min(end)..end))
}

/// A word in running text that somebody chose for a password.
fn passwordish_at(text: &Text<'_>, at: usize, secret: SecretName) -> bool {
    if secret.trust != Trust::Strong || secret.rule == Kind::Cookie {
        return false;
    }
    let end = text.run(at, at + 130, |byte| {
        let is_end = is_quote(byte) || matches!(byte, b'\\' | b'<');
        !is_end && !byte.is_ascii_whitespace() && !byte.is_ascii_control()
    });
    let word = text.slice(at.min(end)..end);
    let is_mark = |byte: &u8| matches!(byte, b',' | b';');
    let word = word.split(is_mark).next().unwrap_or_default();
    let is_linked =
        text.ends_with(at, " is ") || text.ends_with(at, " was ") || text.ends_with(at, " to ");
    let is_digits = word.len() >= 4 && word.iter().all(u8::is_ascii_digit);
    let is_base32 = word.len() >= 16
        && word.iter().any(u8::is_ascii_digit)
        && word
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(byte));
    let is_joined = secret.rule == Kind::Password && shape::is_word_and_number(word);
    let core = word.strip_suffix(b"]").unwrap_or(word);
    let is_id = core.len() <= 12 && core.iter().all(u8::is_ascii_hexdigit);
    if secret.rule == Kind::Secret && is_id {
        return false; // `[rotate-secrets 5a93f08]`.
    }
    shape::is_passwordish(word) || is_base32 || is_joined || is_linked && is_digits
}

/// `setenv NAME value`, and the digit of a router's `password 7 value`.
fn after_command(text: &Text<'_>, name: &Name, value: usize) -> Option<usize> {
    let is_first = name.range.start == 4 && text.has(0, "ENV ");
    if is_first
        || ["setenv ", "setx ", "\nENV "]
            .iter()
            .any(|word| text.ends_with(name.range.start, word))
    {
        return Some(value);
    }
    if !text.at(value).is_ascii_digit() || text.at(value + 1) != b' ' {
        return None;
    }
    let end = text.run(value + 2, value + 130, |byte| !byte.is_ascii_whitespace());
    let word = text.slice(value.min(text.len())..end.min(text.len()));
    let word = word.get(2..).unwrap_or_default();
    let has_digit = word.iter().any(u8::is_ascii_digit);
    let is_mixed = word.len() >= 6
        && (has_digit && word.iter().any(u8::is_ascii_alphabetic) || looks_random(word));
    is_mixed.then_some(value + 2)
}

/// After words for a secret, what stands in quotes is one; after `token` and
/// `secret` alone it may be the name of something.
fn is_secret_at(text: &Text<'_>, name: &Name, secret: SecretName, value: usize) -> bool {
    if secret.rule == Kind::Password && after_login(text, name.range.start) {
        return true;
    }
    if text.at(value) == b'E' && text.at(value + 1) == b'\'' {
        return secret.rule == Kind::Password; // PostgreSQL's `PASSWORD E'x'`.
    }
    if !is_quote(text.at(value)) && !string::is_curly(text, value) {
        return false;
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
        [" is ", " to ", " was "]
            .iter()
            .any(|link| text.ends_with(value, link))
    };
    let is_statement = word == b"SECRET" && text.at(value) == b'\'';
    let holds_pair =
        || text.slice(string::quoted(text, value, 0)).contains(&b'=') && is_quote(text.at(value));
    let is_symbol = is_linked
        || secret.rule == Kind::Cookie && holds_pair()
        || is_statement
        || is_varied(text, value)
        || text.before(name.range.start) == b':'; // `{:secret "x"}`.
    let is_common = is_common && !is_symbol && secret.rule != Kind::SqlPassword;
    !is_common
        && !is_api
        && !matches!(
            secret.trust,
            Trust::Digits | Trust::Session | Trust::Scrambled | Trust::Chosen
        )
        && (secret.rule != Kind::Signature || {
            let content = text.slice(string::quoted(text, value, 0));
            content.len() >= 32 && looks_random(content)
        })
}

/// What stands in quotes at `at` has capitals and digits, as no name of a secret
/// has.
fn is_varied(text: &Text<'_>, at: usize) -> bool {
    if !is_quote(text.at(at)) {
        return false;
    }
    let content = text.slice(string::quoted(text, at, 0));
    let has = |class: fn(&u8) -> bool| content.iter().any(class);
    (6..=128).contains(&content.len()) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// Past the words between a name and its value: `is`, `changed to`, `for bob:`.
fn past_links(text: &Text<'_>, from: usize) -> usize {
    let at = from;
    if text.has(at, "for ") || text.has(at, "of ") {
        let end = text.run(at + 3, at + 128, |byte| {
            !matches!(byte, b':' | b'=' | b'\n')
        });
        let is_one = !text.slice(at..end).windows(2).any(|two| two == b". ");
        if is_one && matches!(text.at(end), b':' | b'=') && is_blank(text.at(end + 1)) {
            return text.skip_blanks(end + 1, 8);
        }
        if text.has(end, ":\n") {
            return text.skip_blanks(end + 2, 8); // The line below.
        }
        let verbs = [
            " to \"",
            " to '",
            " is ",
            " was ",
            " reset to ",
            " set to ",
            " changed to ",
        ];
        let found = |verb: &&str| {
            let length = verb.trim_end_matches(['"', '\'']).len();
            Some(find_word(text, at + 3, verb)? + length)
        };
        if let Some(value) = verbs.iter().filter_map(found).min() {
            return past_verbs(text, value);
        }
    }
    if text.at(at) == b'(' {
        let end = text.run(at + 1, at + 16, |byte| byte.is_ascii_alphabetic());
        if end > at + 1 && text.has(end, ") ") {
            return end + 2; // `private key (WIF) x`.
        }
    }
    if matches!(text.at(at), b'(' | b'[') {
        return at + 1;
    }
    if let Some(value) = after_colon(text, at) {
        return value::past_lead(text, Delimiter::ColonBlank, value);
    }
    past_verbs(text, at)
}

/// Past words such as `is`, `was set to`.
fn past_verbs(text: &Text<'_>, from: usize) -> usize {
    const LINKS: [&str; 35] = [
        "ascii-text ",
        "hexadecimal ",
        "invalid, got ",
        "/d ",
        "hex ",
        "expected ",
        "mismatch: expected ",
        "has been ",
        "ist ",
        "lautet ",
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
        "guess ",
        "attempt ",
        "supplied ",
        "provided ",
        "provided: ",
        "found: ",
        "1: ",
    ];
    let mut at = from;
    static STARTS: Bytes = Bytes::of(b"iwtcsrnavufp1mhegl/IWTCSRNAVUFPMHEGL");
    for _ in 0..4 {
        if !STARTS.has(text.at(at)) {
            break;
        }
        let Some(link) = LINKS.iter().find(|link| text.has(at, link)) else {
            break;
        };
        at += link.len();
    }
    at + usize::from(at > from && text.at(at) == b'[')
}

/// Behind up to three words and a colon or `=`: `token not found: x`.
fn after_colon(text: &Text<'_>, from: usize) -> Option<usize> {
    let end = text.run(from, from + 64, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'@' | b'.' | b'-' | b'_')
    });
    let told = text.slice(from..end);
    let words = told.split(|&byte| byte == b' ').count();
    let last = told.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    if last.len() > 24 {
        return None; // The value, which `=` ends.
    }
    if words > 1 && names::is_about_something(last) || last.eq_ignore_ascii_case(b"algorithm") {
        return None; // `Invalid client secret provided. Trace ID: …`.
    }
    let is_mark = matches!(text.at(end), b':' | b'=') && is_blank(text.at(end + 1));
    let after = text.skip_blanks(end + 1, 4);
    let breaks = text.run(after, after + 12, |byte| byte.is_ascii_whitespace());
    let is_next_line = text.at(end) == b':' && text.at(after) == b'\n';
    if is_next_line && end > from && words <= 7 {
        return Some(breaks); // `use this password to proceed:`, and the line below.
    }
    (end > from && words <= 4 && is_mark).then_some(after)
}

pub(super) fn find_word(text: &Text<'_>, from: usize, word: &str) -> Option<usize> {
    let limit = (from + 48).min(text.len());
    (from..limit).find(|&at| text.has(at, word))
}

/// A word that nobody writes in a sentence: letters and digits mixed, or only
/// digits where a code is expected.
pub(super) fn random_word_at(text: &Text<'_>, at: usize, secret: SecretName) -> bool {
    let start = at + usize::from(is_quote(text.at(at)));
    let end = text.run(start, start + 256, |byte| {
        !byte.is_ascii_whitespace()
            && !byte.is_ascii_control()
            && !is_quote(byte)
            && !matches!(byte, b',' | b';' | b')' | b']')
    });
    let end = text.run_back(end, start, |byte| matches!(byte, b'.' | b':'));
    let word = text.slice(start..end);
    let count = |class: fn(&u8) -> bool| word.iter().filter(|byte| class(byte)).count();
    let digits = count(u8::is_ascii_digit);
    let (lower, upper) = (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    if digits == 0 && upper <= 4 {
        return false; // A word, as most are.
    }
    let least = if secret.rule == Kind::Card { 3 } else { 4 };
    let is_code = matches!(secret.rule, Kind::Pin | Kind::Card)
        || [
            "passcode",
            "PIN",
            "one-time password",
            "one time password",
            "OTP",
        ]
        .iter()
        .any(|name| text.ends_with(at.saturating_sub(1), name));
    let only_digits = digits == word.len() && (least..=8).contains(&digits) && is_code;
    let is_recovery = secret.rule == Kind::Pin && shape::is_recovery_code(word);
    let has_hex = || {
        let mut runs = word.split(|byte| !byte.is_ascii_hexdigit());
        runs.any(|run| run.len() >= 32) && !word.starts_with(b"sha")
    };
    let is_long = matches!(secret.rule, Kind::ApiKey | Kind::Token) && word.len() >= 40;
    let is_id = word.len() <= 16 && word.iter().all(u8::is_ascii_hexdigit);
    if is_id && text.ends_with(at, "created: ") {
        return false; // Of what was created.
    }
    if is_named_thing(text, start..end, secret) || shape::is_assignment(word) {
        return false;
    }
    if is_recovery || is_long && has_hex() {
        return true;
    }
    let is_vault = word.starts_with(b"s.") && word.len() == 26; // As Vault wrote them.
    let is_key = word.len() >= 32 && upper > 4 && lower > 4 || is_vault; // Base64 has slashes.
    let is_other = !is_key && count(|&byte| b"./:=(".contains(&byte)) > 0;
    let mixed = digits > 1 && lower + upper > 1 && {
        upper > 0 && lower > 0 || digits > 2 || lower == word.len() - digits && word.len() >= 20
    };
    let changes = word
        .windows(2)
        .filter(|two| two[0].is_ascii_uppercase() && two[1].is_ascii_lowercase());
    let mixed = mixed || word.len() >= 12 && digits > 0 && upper > 2 && lower > 2;
    let mixed = mixed || (word.len() >= 16 && upper > 4 && changes.count() * 6 >= word.len());
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
            if value.len() <= 12 && value.iter().all(u8::is_ascii_hexdigit) {
                return true; // Its id.
            }
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
            let is_upper = text.slice(before.saturating_sub(3)..before) == b"PIN"; // No hardware's.
            let next = text.skip_blanks(word.end, 2);
            let end = text.run(next, next + 16, |byte| byte.is_ascii_alphabetic());
            !is_upper && end > next && !is_status(text.slice(next..end))
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
    let is_word = matches!(
        text.slice(word..word_end),
        b"or" | b"and" | b"account" | b"name"
    );
    word_end < at && word < word_end && before < word && !is_word && {
        text.ends_with(before, "login") || text.ends_with(before, "machine")
    }
}
