//! What a value looks like: a token, a password, a number, a sentence.

use crate::mask::is_status;
use crate::names::{self, SecretName, Trust};
use crate::rules::Kind;
use crate::vendors::looks_random;

/// A word of no language, as people choose it for a password: letters with a digit
/// or a sign among them, and no address, version, count or name with a number.
pub(super) fn is_passwordish(word: &[u8]) -> bool {
    let end = word
        .iter()
        .rposition(|byte| !b".,;:!?)]}".contains(byte))
        .map_or(0, |last| last + 1);
    let core = &word[..end];
    let count = |class: fn(&u8) -> bool| core.iter().filter(|byte| class(byte)).count();
    let letters = count(u8::is_ascii_alphabetic);
    let digits = count(u8::is_ascii_digit);
    let upper = count(u8::is_ascii_uppercase);
    let signs = count(|byte| b"@#$%^&*!+~|?".contains(byte));
    if !(5..=128).contains(&word.len()) || letters < 2 {
        return false;
    }
    if digits + signs == 0 {
        return is_jumbled(core);
    }
    if upper > 4 && is_variable_name(core) {
        return false;
    }
    let is_plain = upper == 0 && signs == 0;
    let is_place = core.contains(&b'/') && (is_plain || core.starts_with(b"/"));
    !(is_place
        || core.windows(3).any(|three| three == b"://")
        || is_plain && core.iter().any(|byte| matches!(byte, b'.' | b'-' | b'_'))
        || is_assignment(core)
        || is_email(core)
        || is_numbered(core)
        || is_amount(core)
        || core.starts_with(b"0x")
        || core.starts_with(b"HTTP/")
        || core.starts_with(b"argon2")
        || core.starts_with(b"--")
        || core.iter().any(|byte| b"()[]{}<>\"'`".contains(byte)))
}

/// Long, of capitals, small letters and digits, that change all the time: a name
/// in camel case changes less often.
pub(super) fn is_scrambled(value: &[u8]) -> bool {
    if !(20..=512).contains(&value.len()) {
        return false;
    }
    let class = |byte: u8| match byte {
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let count = |wanted: u8| value.iter().filter(|&&byte| class(byte) == wanted).count();
    let changes = value
        .windows(2)
        .filter(|two| class(two[0]) != class(two[1]))
        .count();
    let allowed = value
        .iter()
        .all(|&byte| class(byte) > 0 || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'.'));
    let least = if count(1) >= 5 && count(2) >= 5 { 1 } else { 2 };
    allowed && count(1) >= 3 && count(2) >= 3 && count(3) >= least && changes * 9 >= value.len() * 4
}

/// Words between dots, the last with a number: `orange.glacier.mirror5`. Parts of
/// names of hosts and modules are shorter.
pub(super) fn is_dotted_phrase(value: &[u8]) -> bool {
    let letters = value
        .iter()
        .rposition(|byte| !byte.is_ascii_digit())
        .map_or(0, |last| last + 1);
    let is_word = |word: &[u8]| word.len() >= 5 && word.iter().all(u8::is_ascii_lowercase);
    let words = || value[..letters].split(|&byte| byte == b'.');
    letters < value.len() && words().count() >= 3 && words().all(is_word)
}

/// In running text a token has digits, or is long and of both cases. A word and
/// a dotted name are neither.
pub(super) fn is_token_like(value: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if let Some((id, secret)) = value.split_at_checked(6)
        && secret.len() == 17
        && secret[0] == b'.'
        && id.iter().chain(&secret[1..]).all(is_part)
    {
        return value.iter().any(u8::is_ascii_digit); // Of Kubernetes: `y2dfer.0p7zqhay1vnxaqfp`.
    }
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    let both_cases = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_dotted = value.contains(&b'.') && !both_cases && digits * 3 < value.len();
    (value.len() >= 6 && digits > 0 && !is_dotted)
        || (value.len() >= 16 && both_cases && !value.contains(&b'.'))
}

/// A value that opens a session: long and random, and neither a UUID nor a hash.
pub(super) fn is_session(secret: SecretName, value: &[u8]) -> bool {
    let is_secret = secret.rule == Kind::Secret && !value.starts_with(b"arn:");
    let is_strange = is_secret && value.iter().any(|byte| b"#&!;@$^*<\"\\".contains(byte));
    if is_strange && value.len() >= 8 {
        return true;
    }
    if value.len() < 24 {
        return false;
    }
    let hex = value
        .iter()
        .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let lower_hex = secret.rule == Kind::Token && hex && !value.iter().any(u8::is_ascii_uppercase);
    let letters = value
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    let allowed = value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=.%:".contains(byte));
    let is_address = secret.rule == Kind::Secret && value.contains(&b':') || is_assignment(value);
    letters >= 6 && !lower_hex && allowed && !is_address && looks_random(value)
}

pub(super) fn is_short_number(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let separators = value
        .iter()
        .filter(|byte| matches!(byte, b' ' | b'-'))
        .count();
    (3..=12).contains(&digits) && digits + separators == value.len()
}

/// As many digits as a card has, in groups or not.
pub(super) fn is_long_number(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let other = value.len() - digits;
    (12..=19).contains(&digits)
        && other <= 4
        && value
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-'))
}

/// Numbers under `pass` and `tokens` count something, or say how long.
pub(super) fn is_count(secret: SecretName, value: &[u8]) -> bool {
    let longest = if secret.rule == Kind::Token { 12 } else { 7 };
    let is_counted = |byte: &u8| byte.is_ascii_digit() || b".,%/smhd".contains(byte);
    secret.trust == Trust::Counted
        && value.len() <= longest
        && value.first().is_some_and(u8::is_ascii_digit)
        && value.iter().all(is_counted)
}

/// At least three words, two of which tell about secrets: a message to the user.
pub(super) fn is_sentence(value: &[u8]) -> bool {
    if value.len() > 256 || !value.contains(&b' ') {
        return false;
    }
    let words = || {
        value
            .split(|byte| !byte.is_ascii_alphabetic())
            .filter(|w| !w.is_empty())
    };
    let plain = value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b" ,.'!?-:()%".contains(byte));
    let told = words().filter(|word| is_status(word)).count();
    let is_negated = [b"doesn't ".as_slice(), b"can't ", b"isn't ", b"didn't "]
        .iter()
        .any(|start| value.starts_with(start));
    plain && is_negated && told > 0
        || plain && told >= 2 && (words().count() >= 3 || words().count() == told)
}

/// `90dc5-8bc82`.
pub(super) fn is_recovery_code(word: &[u8]) -> bool {
    let count = |class: fn(&u8) -> bool| word.iter().filter(|byte| class(byte)).count();
    if is_github_code(word) {
        return true;
    }
    (8..=24).contains(&word.len())
        && count(u8::is_ascii_digit) >= 4
        && count(u8::is_ascii_lowercase) > 0
        && word
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

/// `i8dd0-p1hpx`, the form of GitHub's.
fn is_github_code(word: &[u8]) -> bool {
    word.len() == 11
        && word[5] == b'-'
        && word.iter().any(u8::is_ascii_digit)
        && word
            .iter()
            .enumerate()
            .all(|(at, byte)| at == 5 || byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// `1b3d519c-5129-431d-a3e6-4c5281b87a17`, in small letters.
pub(super) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
        })
}

/// 16 bytes in hexadecimal at least.
pub(super) fn is_hex(value: &[u8]) -> bool {
    value.len() >= 32 && value.iter().all(u8::is_ascii_hexdigit)
}

/// 32 bytes in hexadecimal, with or without `0x`.
pub(super) fn is_hex_key(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"0x").unwrap_or(value);
    digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit)
}

/// A word that may stand behind `the password is`: `required`, `case-sensitive`.
pub(super) fn is_predicate(word: &[u8]) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const ENDS: [&str; 30] = [
        "able", "al", "ally", "ant", "ary", "ast", "ate", "ed", "een", "en", "ent", "er", "est", "ful",
        "ible", "ic", "ing", "ious", "ive", "izard", "less", "ly", "ment", "ory", "ous", "own", "text", "ure",
        "word", "words",
    ];
    #[rustfmt::skip] // A list of words, not one a line.
    const WORDS: [&str; 46] = [
        "across", "admin", "afterwards", "alright", "around", "asterisks", "before", "behind", "below", "between",
        "blank", "complex", "correct", "database", "default", "enough", "exactly", "expire", "expires", "garbage",
        "guest", "hashes", "identical", "incomplete", "inside", "keyring", "mandatory", "nothing",
        "nowhere", "online", "outside", "private", "public", "random", "readable", "safe", "simple",
        "something", "stdin", "string", "strings", "strong", "sudden", "unique", "username", "useless",
    ];
    let ends_with = |end: &&str| {
        let at = word.len().checked_sub(end.len());
        at.is_some_and(|at| word[at..].eq_ignore_ascii_case(end.as_bytes()))
    };
    const OF_LONG: [&str; 6] = ["able", "ally", "ed", "ible", "ing", "ive"];
    let ends = if word.len() < 14 { &ENDS[..] } else { &OF_LONG };
    is_status(word)
        || ends.iter().any(ends_with)
        || WORDS
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

/// `uid=0`, `timeout=30s`.
pub(super) fn is_assignment(word: &[u8]) -> bool {
    let equals = word.iter().position(|&byte| byte == b'=');
    equals.is_some_and(|equals| {
        let name = &word[..equals];
        let value = &word[equals + 1..];
        name.len() > 1
            && value.iter().any(|&byte| byte != b'=')
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.'))
    })
}

/// Letters that go up and down as in no name: `hKQKdDkdbyU`, not `JsonRpcApi`.
fn is_jumbled(word: &[u8]) -> bool {
    if word.len() < 8 || !word.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let mut runs = [0; 2];
    let mut singles = [0; 2];
    for run in word.chunk_by(|a, b| a.is_ascii_uppercase() == b.is_ascii_uppercase()) {
        let case = usize::from(run[0].is_ascii_uppercase());
        runs[case] += 1;
        singles[case] += usize::from(run.len() == 1);
    }
    let [lower, upper] = runs;
    lower + upper >= 5 && singles[0] > 0 && (upper >= 3 || singles[1] < upper)
}

fn is_email(word: &[u8]) -> bool {
    let at_sign = word.iter().rposition(|&byte| byte == b'@');
    at_sign.is_some_and(|at_sign| {
        let host = &word[at_sign + 1..];
        let is_host =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(byte);
        host.contains(&b'.') && host.iter().all(is_host)
    })
}

/// `user42`, `sha256`, `db-01`: a word of the trade and its number.
fn is_numbered(word: &[u8]) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const WORDS: [&str; 56] = [
        "account", "admin", "aes", "attempt", "base", "client", "column", "crc", "db", "des", "device",
        "entry", "field", "file", "group", "host", "hs", "http", "id", "item", "ipv", "job", "key",
        "level", "line", "md", "mysql", "node", "oauth", "option", "page", "pam", "part", "pbkdf", "phase",
        "process", "profile", "python", "record", "rfc", "row", "rule", "server", "session", "sha", "slot",
        "step", "task", "test", "type", "user", "utf", "v", "version", "win", "worker",
    ];
    let stem_end = word
        .iter()
        .rposition(|byte| !byte.is_ascii_digit() && !matches!(byte, b'-' | b'_' | b'.' | b'#'))
        .map_or(0, |last| last + 1);
    let stem = &word[..stem_end];
    word.len() - stem_end <= 6
        && WORDS
            .iter()
            .any(|known| stem.eq_ignore_ascii_case(known.as_bytes()))
}

/// `90days`, `12h`, `2nd`, `2024-05-01T10:00:00Z`.
fn is_amount(word: &[u8]) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const UNITS: [&str; 24] = [
        "bit", "bits", "bytes", "chars", "d", "day", "days", "h", "hours", "kb", "m", "mb", "min", "mins",
        "ms", "nd", "rd", "s", "sec", "secs", "st", "th", "times", "x",
    ];
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit = &word[digits..];
    let is_date = digits == 4 && unit.first() == Some(&b'-');
    digits > 0
        && (is_date
            || UNITS
                .iter()
                .any(|known| unit.eq_ignore_ascii_case(known.as_bytes())))
}

/// `gravel_nectar10`, `velvet.hazel.985`: words that tell nothing, joined, and digits
/// at their end.
pub(super) fn is_word_and_number(word: &[u8]) -> bool {
    let is_mark = |byte: &u8| matches!(byte, b'-' | b'_' | b'.');
    let digits = word.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let stem = &word[..word.len() - digits];
    let stem = match stem.last() {
        Some(last) if is_mark(last) => &stem[..stem.len() - 1],
        _ => stem,
    };
    let parts = || stem.split(is_mark);
    let is_part =
        |part: &[u8]| part.len() > 2 && part.iter().all(u8::is_ascii_lowercase) && !is_status(part);
    (2..=4).contains(&digits)
        && (2..=4).contains(&parts().count())
        && parts().all(is_part)
        && !names::is_about(parts().next().unwrap_or_default())
        || is_word_and_code(word)
}

/// `saturn.9540dx`: a word, a dot, and digits with letters behind them.
fn is_word_and_code(word: &[u8]) -> bool {
    let Some(dot) = word.iter().position(|&byte| byte == b'.') else {
        return false;
    };
    let (stem, code) = (&word[..dot], &word[dot + 1..]);
    let digits = code.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let letters = &code[digits..];
    let is_lower = |part: &[u8]| part.iter().all(u8::is_ascii_lowercase);
    let is_code =
        (3..=5).contains(&digits) && (2..=4).contains(&letters.len()) && is_lower(letters);
    stem.len() > 3 && is_lower(stem) && is_code
}

/// Letters, digits and signs in one word, as no program writes it.
pub(super) fn is_strange(word: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| word.iter().any(class);
    (8..=64).contains(&word.len())
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && has(|byte| byte.is_ascii_punctuation() && !b"-_.:,".contains(byte))
        && !has(|byte| matches!(byte, b' ' | b'"'))
        && !is_assignment(word)
}

/// Not only a word or words: a digit or a sign is among the letters.
pub(super) fn is_no_word(content: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| content.iter().any(class);
    (6..=128).contains(&content.len())
        && has(u8::is_ascii_alphabetic)
        && has(|byte| byte.is_ascii_digit() || b"!@#$%^&*{}<>;".contains(byte))
        && !is_sentence(content)
        && !has(|byte| *byte == b'/')
}

/// `P4PASSWD`, `MY_TOKEN`: what a variable is called that holds a secret.
fn is_variable_name(word: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let ends: [&[u8]; 4] = [b"PASSWD", b"PASSWORD", b"SECRET", b"TOKEN"];
    ends.iter().any(|end| word.ends_with(end)) && word.iter().all(is_part)
}

/// As [`is_passwordish`], or small letters and digits with dashes or underscores
/// between: in a place where a password must stand.
pub(super) fn is_chosen(word: &[u8]) -> bool {
    let count = |class: fn(&u8) -> bool| word.iter().filter(|byte| class(byte)).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_joined = (8..=64).contains(&word.len())
        && digits > 1
        && letters > 3
        && word.iter().all(is_plain)
        && !is_numbered(word)
        && !is_amount(word);
    is_passwordish(word) || is_joined || is_word_and_number(word)
}
