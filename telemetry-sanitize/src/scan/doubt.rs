//! Whether what stands behind a secret name without quotes is a secret, or tells
//! something: `password: required`, `token: Token{…}`, `--password PASSWORD`.

use std::ops::Range;

use super::bare::in_query;
use super::delimiter::Delimiter;
use super::pair::Name;
use super::phrase::{is_long_phrase, is_phrase};
use super::shape::{
    is_count, is_dotted_phrase, is_hex, is_hex_key, is_long_number, is_passwordish, is_predicate,
    is_scrambled, is_session, is_short_number, is_token_like, is_word_and_number,
};

use crate::mask::{is_harmless, is_status};
use crate::names::{SecretName, Trust};
use crate::rules::Kind;
use crate::text::{Text, is_blank, is_quote};
use crate::vendors::looks_random;

pub(super) fn is_bare_secret(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    at: Range<usize>,
) -> bool {
    let value = text.slice(at.clone());
    if secret.trust == Trust::Strong && !name.is_option && is_made_up(value) {
        return true; // As most are.
    }
    if is_harmless(value)
        || is_directory(text, name, value)
        || is_count(secret, value)
        || is_duration(value)
        || is_call(value)
        || is_same_word(text, name, value)
    {
        return false;
    }
    match secret.trust {
        Trust::Digits => return is_short_number(value),
        Trust::Number => return is_long_number(value),
        Trust::Session => return is_session(secret, value),
        Trust::Chosen => return is_passwordish(value) || is_word_and_number(value),
        Trust::Scrambled => return is_key(text, name, value),
        _ => {}
    }
    let is_of_card = text.has(name.range.start, "security");
    let least = if is_of_card { 3 } else { 4 };
    if secret.rule == Kind::Pin && is_short_number(value) && value.len() >= least {
        return true;
    }
    let running_text = matches!(delimiter, Delimiter::ColonBlank | Delimiter::Blank);
    let is_link = running_text && (value.starts_with(b"https://") || value.starts_with(b"http://"));
    if says_nothing(text, name, secret, at.clone())
        || is_path_to_file(value)
        || is_test_result(text, name, delimiter, value)
    {
        return false;
    }
    if is_usage(text, name, value) || running_text && is_address(value) || is_link {
        return false;
    }
    let is_told = running_text
        && !name.is_option
        && !is_phrase(text, name)
        && is_told(text, name, at.clone());
    if secret.rule == Kind::Secret && is_phrase(text, name) && is_long_phrase(text, at.clone()) {
        return true; // Some of its words tell things in other places.
    }
    if is_status(value) && (!name.is_option || delimiter == Delimiter::ColonBlank) || is_told {
        return false;
    }
    if delimiter == Delimiter::ColonBlank && is_type(value) {
        return false;
    }
    if secret.trust == Trust::Strong {
        return true;
    }
    let shaped = match secret.rule {
        Kind::Signature => value.len() >= if in_query(text, name) { 8 } else { 16 },
        Kind::Credential | Kind::Authorization => is_token_like(value),
        _ => {
            !running_text
                || name.is_option
                || is_token_like(value)
                || is_dotted_phrase(value)
                || is_passwordish(value) && has_both_cases(value)
                || is_word_alone(text, name, at.clone())
        }
    };
    let is_closed = is_quote(text.at(at.end)) || text.ends_with(at.start, "\r\n\r\n");
    shaped
        && (name.is_option || is_closed || !is_debug_dump(text, at))
        && !after_parser_word(text, name)
}

/// What nobody writes by hand: a key of something unknown.
pub(super) fn is_key(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    let is_id = value.len() == 36
        && value
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let is_mixed = || value.len() >= 14 && !value.contains(&b'/') && is_made_of_three(value);
    let in_url = in_query(text, name) && (is_hex(value) || is_id || is_mixed()); // `?key=…` of a map.
    in_url || is_scrambled(value) || is_hex_key(value) || is_variable(text, name) && is_hex(value)
}

fn has_both_cases(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_lowercase) && value.iter().any(u8::is_ascii_uppercase)
}

/// Capitals, small letters and digits, as nobody writes them.
fn is_made_of_three(value: &[u8]) -> bool {
    let count = |class: fn(&u8) -> bool| value.iter().filter(|byte| class(byte)).count();
    count(u8::is_ascii_uppercase) > 2
        && count(u8::is_ascii_lowercase) > 2
        && count(u8::is_ascii_digit) > 0
        && looks_random(value)
}

/// The name is that of a variable: `CF_Key`, `ACME_KEY`.
fn is_variable(text: &Text<'_>, name: &Name) -> bool {
    let word = text.slice(name.range.clone());
    let is_upper = word
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    let is_exported = text.ends_with(name.range.start, "export ");
    word.contains(&b'_') && (is_upper || is_exported) && text.at(name.range.end) == b'='
}

/// Letters and digits in one word, of which no other look says that it is none.
pub(super) fn is_made_up(value: &[u8]) -> bool {
    if !(8..=64).contains(&value.len()) || matches!(value[0], b'x' | b'X') {
        return false;
    }
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_enough = digits > 0 && digits + 1 < value.len();
    is_enough && value.iter().all(u8::is_ascii_alphanumeric)
}

/// Too short, or a word in capitals as parsers name their tokens: `password = 2;`,
/// `Private Key: PEM routines`, `token=NEWLINE`.
fn says_nothing(text: &Text<'_>, name: &Name, secret: SecretName, at: Range<usize>) -> bool {
    let value = text.slice(at.clone());
    if matches!(
        value,
        b"can't" | b"couldn't" | b"doesn't" | b"isn't" | b"won't"
    ) {
        return true; // A sentence.
    }
    let is_number = value.iter().all(u8::is_ascii_digit);
    let is_key = matches!(secret.rule, Kind::ApiKey | Kind::PrivateKey);
    let is_password = matches!(secret.rule, Kind::Password | Kind::Secret);
    let is_word = value.iter().all(u8::is_ascii_alphabetic);
    let is_upper = value
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    let is_plural = is_password && is_number && value.len() < 5 && {
        text.before(name.range.end).eq_ignore_ascii_case(&b's') // `secrets=260`.
    };
    let is_of_openssl =
        value.starts_with(b"PEM_read") || value.windows(7).any(|part| part == b":error:");
    if secret.rule == Kind::PrivateKey && is_of_openssl {
        return true;
    }
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_coded = value.len() <= 10 && digits >= 3 && is_code(value, digits);
    if is_coded && text.has(at.end, ": ") {
        return true; // `token: IDX10223: Lifetime validation failed`.
    }
    if value.len() > 12 && is_upper && value.contains(&b'_') && text.has(at.end, ": ") {
        return true; // `signature: INSTALL_PARSE_FAILED_NO_CERTIFICATES: …`.
    }
    let is_place = matches!(secret.rule, Kind::Token | Kind::ApiKey | Kind::PrivateKey);
    is_plural
        || is_place && is_number && value.len() < 4
        || is_key && is_word && value.len() < 5
        || is_password && matches!(value, b"at" | b"in" | b"is" | b"of" | b"on" | b"or" | b"to")
        || is_password && value.len() <= 2 && (is_number || !is_blank(text.at(at.end)))
        || secret.trust == Trust::Shaped && is_upper && value.len() < 16
}

/// Capitals and the number of an error: `IDX10223`.
fn is_code(value: &[u8], digits: usize) -> bool {
    let (letters, number) = value.split_at(value.len() - digits);
    (2..=4).contains(&letters.len())
        && letters.iter().all(u8::is_ascii_uppercase)
        && number.iter().all(u8::is_ascii_digit)
}

/// `/tmp/token.txt`: the file that holds the secret.
pub(super) fn is_path_to_file(value: &[u8]) -> bool {
    const ENDS: [&[u8]; 8] = [
        b".txt", b".pem", b".key", b".json", b".yaml", b".yml", b".env", b".conf",
    ];
    let is_path = matches!(value.first(), Some(b'/' | b'.')) && value[1..].contains(&b'/');
    let is_url = value.starts_with(b"https://") || value.starts_with(b"file:///");
    if is_url
        && [b".asc".as_slice(), b".gpg", b".pub", b".crt"]
            .iter()
            .any(|end| value.ends_with(end))
    {
        return true; // `gpgkey=https://example.com/release.asc`.
    }
    let is_system = [b"/etc/", b"/run/", b"/dev/"]
        .iter()
        .any(|start| value.starts_with(*start));
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || b"/-_.".contains(byte);
    let is_page = is_path && value.iter().all(is_part); // `/reset-password/done`.
    is_system || is_page || is_path && ENDS.iter().any(|end| value.ends_with(end))
}

/// `--- PASS: TestAPIKey`, `PASS: everything`.
fn is_test_result(text: &Text<'_>, name: &Name, delimiter: Delimiter, value: &[u8]) -> bool {
    delimiter == Delimiter::ColonBlank
        && text.slice(name.range.clone()) == b"PASS"
        && (text.ends_with(name.range.start, "--- ") || !value.iter().any(u8::is_ascii_digit))
}

/// `300s`, `+1627ms`, and `2|c` of a metric.
fn is_duration(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"+").unwrap_or(value);
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let unit = &value[digits..];
    let is_metric = unit.starts_with(b"|c|#") || matches!(unit, b"|c" | b"|g");
    (1..=6).contains(&digits) && is_metric
        || (1..=6).contains(&digits)
            && matches!(
                unit,
                b"ms" | b"s" | b"m" | b"min" | b"h" | b"d" | b"us" | b"ns"
            )
}

/// A call without arguments, whose value is not seen: `prompt_password()?`.
fn is_call(value: &[u8]) -> bool {
    let opened = value.strip_suffix(b"{").unwrap_or(value).strip_suffix(b"(");
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | b':');
    if opened.is_some_and(|name| name.len() > 2 && name.iter().all(is_letter)) {
        return true; // `jsonencode({`: each argument by itself.
    }
    let value = value.strip_suffix(b";").unwrap_or(value);
    let value = value.strip_suffix(b"?").unwrap_or(value);
    let name = value.strip_suffix(b"()").unwrap_or_default();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.');
    let is_plain = name.len() > 2 && name.iter().all(is_part);
    is_plain || is_call_of_names(value)
}

/// `load_key(path)`: a function by its name, with names as arguments.
fn is_call_of_names(value: &[u8]) -> bool {
    let Some(open) = value.iter().position(|&byte| byte == b'(') else {
        return false;
    };
    let (function, rest) = value.split_at(open);
    let Some(arguments) = rest[1..].strip_suffix(b")") else {
        return false;
    };
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.' | b':');
    let is_argument = |byte: &u8| is_name(byte) || *byte == b',';
    function.contains(&b'_') && function.iter().all(is_name) && arguments.iter().all(is_argument)
}

/// `self.token = token`: the value is another variable.
fn is_same_word(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    let name = text.slice(name.range.clone());
    let owners: [&[u8]; 3] = [b"self.", b"this.", b"cls."];
    owners
        .iter()
        .any(|owner| name.starts_with(owner) && name[owner.len()..] == *value)
}

/// `10.0.0.1`, with or without a port.
fn is_address(value: &[u8]) -> bool {
    let parts = value.split(|byte| !byte.is_ascii_digit());
    let is_plain = value
        .iter()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':'));
    is_plain
        && (4..=5).contains(&parts.clone().count())
        && parts.clone().all(|part| !part.is_empty())
}

/// A long word that is all the value of a name made of several words (`apiKey: x`),
/// and tells nothing.
fn is_word_alone(text: &Text<'_>, name: &Name, at: Range<usize>) -> bool {
    let words = text.slice(name.range.clone());
    let value = text.slice(at.clone());
    let is_made_of_words = words.windows(2).any(|two| {
        matches!(two[0], b'_' | b'-' | b'.')
            || two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase()
    });
    let is_word = value.len() >= 12 && value.iter().all(u8::is_ascii_alphabetic);
    let is_last = at.end >= text.len() || matches!(text.at(at.end), b'\n' | b'\r');
    is_made_of_words && is_word && is_last && !is_predicate(value)
}

/// `password: user must change it`: the next word tells something.
fn is_told(text: &Text<'_>, name: &Name, at: Range<usize>) -> bool {
    let value = text.slice(at.clone());
    let word = value.strip_suffix(b"..").unwrap_or(value); // Of `Reading...`.
    if matches!(
        word,
        b"can't" | b"doesn't" | b"isn't" | b"mustn't" | b"won't"
    ) {
        return true;
    }
    if word == b"base64" && text.has(at.end, " decode") {
        return true;
    }
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-';
    if word.is_empty() || !word.iter().all(is_part) {
        return false;
    }
    let next = text.skip_blanks(at.end, 2);
    let end = text.run(next, next + 16, |byte| byte.is_ascii_alphabetic());
    let is_next = end > next && next > at.end;
    let is_about = ["password", "passphrase", "secret", "token"]
        .iter()
        .any(|about| word.eq_ignore_ascii_case(about.as_bytes()));
    if is_about && (is_next || is_quote(text.at(next))) {
        return true; // `passwd: password expiry information changed`.
    }
    let is_kind = ["key", "password", "secret", "token"]
        .iter()
        .any(|kind| text.slice(next..end).eq_ignore_ascii_case(kind.as_bytes()));
    let is_joined = word.contains(&b'-') && word[0].is_ascii_uppercase();
    if is_next && is_kind && is_joined && word.len() == value.len() {
        return true; // `NO_KEY: Pre-shared key for 10.0.0.1 is missing`.
    }
    let is_verb = word.len() > 5 && (word.ends_with(b"ed") || word.ends_with(b"ing"));
    let name = text.slice(name.range.clone());
    let is_program =
        name.last() == Some(&b's') || name.iter().any(|byte| matches!(byte, b'.' | b'-'));
    if is_verb && is_program && (is_next || word.len() < value.len() || text.has(at.end, "...")) {
        return true; // `external-secrets: synced db in 3 ms`, `db.secret: Reading...`.
    }
    is_next && word.len() == value.len() && is_status(text.slice(next..end))
}

/// The type of a field or parameter in source text: `password: Option<String>`.
fn is_type(value: &[u8]) -> bool {
    const TYPES: [&str; 15] = [
        "SecretStr",
        "bool",
        "&[",
        "String",
        "string",
        "str",
        "&str",
        "&'",
        "Option<",
        "Vec<",
        "Secret<",
        "SecretString",
        "Optional[",
        "bytes",
        "Box<",
    ];
    let value = value.strip_suffix(b"!").unwrap_or(value); // GraphQL's.
    if value.strip_prefix(b"&").is_some_and(is_type) {
        return true; // Rust's `&SecretString`.
    }
    TYPES.iter().any(|name| {
        let open = name.ends_with(['<', '[', '\'']);
        value == name.as_bytes() || (open && value.starts_with(name.as_bytes()))
    })
}

/// `Token{a64f992 …}`, `android.os.BinderProxy@3a1b`, `Token(..)`: a dump.
fn is_debug_dump(text: &Text<'_>, at: Range<usize>) -> bool {
    let word = text.run(at.start, at.end, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b':')
    });
    let starts_like_type = text.at(at.start).is_ascii_alphabetic();
    if text.at(at.start) == b'<' && text.at(at.end) == b' ' {
        return text
            .slice(at.start + 1..at.end)
            .iter()
            .all(u8::is_ascii_alphanumeric);
    }
    match text.at(word) {
        _ if word >= at.end => false,
        b'{' | b'(' | b'[' | b'<' => starts_like_type && word > at.start,
        b'@' => {
            let address = text.slice(word + 1..at.end);
            let is_type = text.slice(at.start..word).contains(&b'.') && starts_like_type;
            is_type && address.iter().all(u8::is_ascii_hexdigit)
        }
        _ => false,
    }
}

/// A shell's `PWD=/srv` and `OLDPWD=~`.
fn is_directory(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    let name = text.slice(name.range.clone());
    (name == b"PWD" || name == b"OLDPWD" || name == b"pwd")
        && matches!(value.first(), Some(b'/' | b'~'))
}

/// The name of an option's value in a help text: `--password PASSWORD`, and what
/// a message tells about the option: `option --password requires`.
fn is_usage(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    if !name.is_option {
        return false;
    }
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let word = value
        .split(|byte| !is_name(byte))
        .next()
        .unwrap_or_default();
    let rest = &value[word.len()..];
    let is_whole = rest.first().is_none_or(|byte| b"])|>=".contains(byte)) || rest == b"...";
    if value.len() == 1 && value[0].is_ascii_uppercase() && text.has(name.range.end + 2, "  ") {
        return true; // `--max-tokens N    stop after N tokens`.
    }
    const PROSE: [&[u8]; 13] = [
        b"via", b"or", b"and", b"the", b"to", b"is", b"in", b"on", b"for", b"flag", b"instead",
        b"option", b"value",
    ];
    if PROSE.contains(&value) {
        return true; // `Using --password via the CLI is insecure`.
    }
    let is_key_id = matches!(value.len(), 8 | 16)
        && value
            .iter()
            .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte));
    let owner = text.slice(name.range.clone());
    let is_other = [b"api".as_slice(), b"secret", b"license", b"access"]
        .iter()
        .any(|other| {
            owner
                .windows(other.len())
                .any(|part| part.eq_ignore_ascii_case(other))
        });
    if is_key_id && !is_other && text.ends_with(name.range.end, "-key") {
        return true; // `--encrypt-key 254DABE3`, of GnuPG.
    }
    let option = text.slice(name.range.clone());
    let is_upper = !word.is_empty() && !word.iter().any(u8::is_ascii_lowercase);
    let same = word.len() >= 3
        && option.windows(word.len()).any(|part| {
            let is_same =
                |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a == b'-' && *b == b'_');
            part.iter().zip(word).all(is_same)
        });
    let is_told = ["option", "flag", "argument", "parameter", "use"]
        .iter()
        .any(|before| {
            let start = text.run_back(name.range.start, name.range.start.saturating_sub(3), |b| {
                b == b'-' || is_quote(b)
            });
            text.ends_with(start.saturating_sub(1), before)
        });
    let is_column = text.has(name.range.end + 1 + word.len(), "  ") && word.len() == value.len();
    (is_upper && (same || is_column) && is_whole)
        || is_typed_usage(text, name, value)
        || (is_told && is_status(value))
}

/// `--password string   Password for the registry`: the type, and a column that
/// explains.
fn is_typed_usage(text: &Text<'_>, name: &Name, value: &[u8]) -> bool {
    let start = text.skip_blanks(name.range.end, 64);
    let end = start + value.len();
    let is_column = text.has(end, "  ");
    let is_pair = text.ends_with(name.range.start, ", --") && text.has(name.range.end, "  ");
    if is_pair && value.iter().all(u8::is_ascii_lowercase) {
        return true; // `-W, --password  force a prompt`.
    }
    let is_wide = start >= name.range.end + 2 && text.at(name.range.end + 2) == b' ';
    if is_wide && text.at(end) == b' ' && value.iter().all(u8::is_ascii_lowercase) {
        return true; // `-p, --password      prompt for the password`.
    }
    is_column
        && matches!(
            value,
            b"string" | b"text" | b"value" | b"str" | b"file" | b"bytes"
        )
}

/// `unexpected token: "}"`, `invalid token 'x'`: a parser speaks.
pub(super) fn after_parser_word(text: &Text<'_>, name: &Name) -> bool {
    const WORDS: [&str; 11] = [
        "bos",
        "eos",
        "eot",
        "pad",
        "unk",
        "unexpected",
        "invalid",
        "illegal",
        "expected",
        "unknown",
        "next",
    ];
    let end = text.run_back(
        name.range.start,
        name.range.start.saturating_sub(2),
        is_blank,
    );
    const COMMON: [&[u8]; 3] = [b"token", b"tokens", b"key"];
    let word = text.slice(name.range.clone());
    if !COMMON
        .iter()
        .any(|common| word.eq_ignore_ascii_case(common))
    {
        return false;
    }
    let mark = text.run(name.range.end, name.range.end + 4, |byte| {
        is_blank(byte) || is_quote(byte) || matches!(byte, b':' | b'=')
    });
    let value_end = text.run(mark, mark + 64, |byte| {
        byte.is_ascii_alphanumeric() || b"-_.+/=".contains(&byte)
    });
    let value = text.slice(mark..value_end);
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    let all = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let is_token = value.len() >= if all { 8 } else { 16 } && looks_random(value);
    !is_token && end < name.range.start && WORDS.iter().any(|word| text.ends_with(end, word))
}
