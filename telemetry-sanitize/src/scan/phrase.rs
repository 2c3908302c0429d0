//! Passwords of several words without quotes: recovery phrases, those to the end of a
//! line or member, and of mail providers; where the tail of a value ends.

use std::ops::Range;

use super::bare::in_query;
use super::delimiter::Delimiter;
use super::pair::{Name, pair_at};
use super::shape::is_passwordish;
use crate::mask::is_status;
use crate::names::{SecretName, Trust};
use crate::rules::Kind;
use crate::text::{Bytes, Text, is_blank};

/// A line of its own (`password: correct horse battery`) is the value to its end.
pub(super) fn tail_end(
    text: &Text<'_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    end: usize,
) -> usize {
    if let Some(end) = app_password_end(text, name, end) {
        return end;
    }
    if let Some(end) = phrase_end(text, name, secret, end) {
        return end;
    }
    if is_phrase(text, name) && secret.rule == Kind::Secret {
        return words_end(text, end);
    }
    if is_phrase(text, name) && delimiter == Delimiter::ColonBlank {
        let last = words_end(text, end);
        if last == text.line_end(last) {
            return last; // `passphrase: correct horse battery`, to the end of the line.
        }
    }
    if delimiter != Delimiter::ColonBlank || secret.trust != Trust::Strong {
        return end;
    }
    let floor = name.range.start.saturating_sub(64);
    let line = text.run_back(name.range.start, floor, |byte| {
        is_blank(byte) || matches!(byte, b'-')
    });
    if !matches!(text.before(line), b'\n' | 0) {
        return end;
    }
    let limit = text.line_end(end);
    let mut last = end;
    while last < limit && is_blank(text.at(last)) {
        let word = text.skip_blanks(last, 64);
        if pair_at(text, word) || !starts_word(text.at(word)) {
            break;
        }
        last = text.run(word, limit, |byte| !is_blank(byte) && byte != b'"');
    }
    last
}

/// In `User{name=bob, password=two words, id=7}` blanks are part of the value.
pub(super) fn member_end(
    text: &Text<'_>,
    name: &Name,
    delimiter: Delimiter,
    end: usize,
) -> Option<usize> {
    const LONGEST: usize = 96;
    let is_flow = || {
        let floor = name.range.start.saturating_sub(128);
        let open = text.run_back(name.range.start, floor, |byte| !b"{}\n".contains(&byte));
        text.before(open) == b'{' // `{user: bob, password: two words}`.
    };
    let may_be = match delimiter {
        Delimiter::Equals => true,
        Delimiter::ColonBlank => text.at(end) == b' ' && is_flow(),
        _ => false,
    };
    if !may_be || text.at(end) != b' ' {
        return None;
    }
    let before = text.before(name.range.start);
    let is_inside = matches!(before, b'{' | b'(') || text.ends_with(name.range.start, ", ");
    if !is_inside || matches!(text.at(end + 1), b'}' | b')') {
        return None;
    }
    let last = text.run(end, end + LONGEST, |byte| {
        byte.is_ascii_alphanumeric() || b" !@#$%^&*_-.+?".contains(&byte)
    });
    let is_end = match text.at(last) {
        b'}' | b')' => true,
        b',' => text.at(last + 1) == b' ' && pair_at(text, last + 2),
        _ => false,
    };
    is_end.then_some(last)
}

/// The end of the line, to which `passphrase: one two 3!`, `password=three plain words`
/// and `password: Words with a number 68!` go. A word that leads on (`for`, `from`) or
/// tells something says that a message follows.
fn phrase_end(text: &Text<'_>, name: &Name, secret: SecretName, end: usize) -> Option<usize> {
    const LONGEST: usize = 100;
    let is_wireless = || text.ends_with(name.range.end, "psk");
    if text.at(end) != b' ' || secret.rule != Kind::Password && !is_wireless() {
        return None;
    }
    let limit = text.line_end(end);
    if limit - end > LONGEST {
        return None;
    }
    let ends_in_letter = text.before(limit).is_ascii_alphabetic();
    let start = text.run_back(end, name.range.end, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b':' | b'"')
    });
    let first = text.slice(start..end);
    let is_lower = |word: &[u8]| word.iter().all(u8::is_ascii_lowercase);
    static SIGNLESS: Bytes = Bytes::but(b"!#?@&");
    let has_sign = text.run_in(end, limit, &SIGNLESS) < limit;
    // Most often the last letter tells that a message follows.
    if ends_in_letter && !has_sign && first.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let is_told = is_phrase(text, name) && !name.is_option && !in_query(text, name);
    let is_name = first.first().is_some_and(u8::is_ascii_uppercase) && is_lower(&first[1..]);
    if ends_in_letter && !is_told && !has_sign && !is_lower(first) && !is_name {
        return None;
    }
    let all = text.slice(start..limit);
    let words = || all.split(|&byte| byte == b' ');
    let may_be = if is_told {
        first.len() <= 12 && first.iter().all(u8::is_ascii_alphabetic)
    } else if ends_in_letter && !has_sign && is_name {
        let is_plain = |word: &[u8]| word.len() > 3 && is_lower(word) && !is_of_sentence(word);
        let mark = text.run_back(start, start.saturating_sub(2), is_blank);
        let least = if text.before(mark) == b'=' { 3 } else { 4 };
        words().count() >= least && words().skip(1).all(is_plain)
    } else if ends_in_letter && !has_sign {
        words().count() >= 3 && words().all(|word| word.len() > 2 && is_lower(word))
    } else {
        is_word_and_signs(words)
    };
    let is_pair = |byte: &u8| b"=:\"'({|;".contains(byte);
    let is_exclaimed = || {
        let mark = text.run_back(start, start.saturating_sub(2), is_blank);
        let is_part = |word: &[u8]| is_lower(word.strip_suffix(b"!").unwrap_or(word));
        text.before(mark) == b'=' && words().count() == 3 && words().all(is_part)
    };
    let may_be = may_be || has_sign && is_exclaimed(); // `password=kettle pepper cinder!`.
    let is_message = || words().any(|word| is_status(word) || leads_on(word));
    (may_be && words().count() <= 10 && !all.iter().any(is_pair) && !is_message()).then_some(limit)
}

/// Three words at least go to the end of the line that make no sentence; the last may have
/// a number: `walrus turnip meerkat66`.
pub(super) fn is_told_phrase(text: &Text<'_>, at: usize) -> bool {
    const LONGEST: usize = 100;
    let end = text.line_end(at);
    if end - at > LONGEST {
        return false;
    }
    let words = text.slice(at..end).split(|&byte| byte == b' ');
    let count = words.clone().count();
    let is_message = |word: &[u8]| is_status(word) || leads_on(word) || is_of_sentence(word);
    let is_part = |(place, word): (usize, &[u8])| {
        let (first, rest) = word.split_first().unwrap_or((&0, &[]));
        let is_word = first.is_ascii_alphabetic() && rest.iter().all(u8::is_ascii_lowercase);
        let is_number = place > 0 && word.len() <= 4 && word.iter().all(u8::is_ascii_digit);
        let is_last = place + 1 == count && is_passwordish(word);
        (is_word && word.len() > 2 || is_number || is_last) && !is_message(word)
    };
    (3..=10).contains(&count) && words.enumerate().all(is_part)
}

/// Words of which the last is a number with a sign behind it, or words with a sign by
/// itself between them: `my saddle & meadow44`.
fn is_word_and_signs<'t, W: Iterator<Item = &'t [u8]>>(words: impl Fn() -> W) -> bool {
    let is_sign = |word: &[u8]| matches!(word, b"&" | b"@" | b"+" | b"#" | b"!" | b",");
    let is_part = |word: &[u8]| word.iter().all(u8::is_ascii_alphabetic) || is_passwordish(word);
    let last = words().last().unwrap_or_default();
    let has_digit = last.iter().any(u8::is_ascii_digit);
    let is_closed = has_digit && last.last().is_some_and(|byte| b"!#$%&*?@+~".contains(byte));
    let has_sign = || has_digit && words().any(is_sign);
    let is_long = || {
        let stem = last
            .iter()
            .filter(|byte| byte.is_ascii_alphabetic())
            .count();
        let is_number = last.len() > 1 && last.iter().all(u8::is_ascii_digit);
        let least = if stem > 3 { 3 } else { 4 };
        has_digit && (stem > 3 || is_number) && words().count() >= least
    };
    let is_number = |word: &[u8]| {
        word.len() > 2
            && word.iter().any(u8::is_ascii_digit)
            && word.last().is_some_and(|byte| b"!#$%&*?@+~".contains(byte))
    };
    let count = words().count();
    let has_number = || count >= 3 && words().any(is_number);
    let ends_loud = || count >= 4 && last.last().is_some_and(|byte| b"!?".contains(byte));
    let is_each = |word: &[u8]| is_sign(word) || is_part(word) || is_number(word) || word == last;
    (is_closed || has_sign() || is_long() || has_number() || ends_loud()) && words().all(is_each)
}

/// A word that holds a sentence together, as words chosen by chance do not.
fn is_of_sentence(word: &[u8]) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const WORDS: [&[u8]; 22] = [
        b"also", b"been", b"cannot", b"does", b"have", b"into", b"just", b"least", b"more", b"must", b"only", b"please",
        b"same", b"should", b"than", b"that", b"their", b"then", b"this", b"will", b"with", b"your",
    ];
    WORDS.contains(&word)
}

/// A word behind which a message goes on.
fn leads_on(word: &[u8]) -> bool {
    #[rustfmt::skip] // A list of words, not one a line.
    const LEADING: [&[u8]; 20] = [
        b"after", b"against", b"and", b"as", b"at", b"because", b"before", b"but", b"by", b"during", b"for", b"from",
        b"in", b"into", b"of", b"on", b"to", b"via", b"when", b"with",
    ];
    LEADING.contains(&word)
}

/// The name is that of a recovery phrase.
pub(super) fn is_phrase(text: &Text<'_>, name: &Name) -> bool {
    let words = ["phrase", "mnemonic"];
    words
        .iter()
        .any(|word| text.ends_with(name.range.end, word))
}

/// Twelve words in small letters at least, as in a recovery phrase.
pub(super) fn is_long_phrase(text: &Text<'_>, first: Range<usize>) -> bool {
    let end = words_end(text, first.end);
    let words = text.slice(first.start..end).split(|&byte| byte == b' ');
    words.count() >= 12
}

/// The end of a recovery phrase of words in small letters: of 12, 15, … or 24, or of
/// fewer than 12.
pub(super) fn words_end(text: &Text<'_>, first_end: usize) -> usize {
    let mut end = first_end;
    let mut phrase_end = first_end;
    for count in 1..=24 {
        if count % 3 == 0 || count < 12 {
            phrase_end = end;
        }
        let word = text.skip_blanks(end, 1);
        let word_end = text.run(word, word + 17, |byte| byte.is_ascii_lowercase());
        let is_cut = text.at(word_end).is_ascii_alphanumeric(); // A longer word.
        if word == end || word_end - word < 3 || is_cut {
            break;
        }
        end = word_end;
    }
    phrase_end
}

/// A mail provider's password for one program: `abcd efgh ijkl mnop`.
fn app_password_end(text: &Text<'_>, name: &Name, first_end: usize) -> Option<usize> {
    if first_end < name.range.end + 5 {
        return None;
    }
    let is_group = |start: usize| {
        let end = text.run(start, start + 5, |byte| byte.is_ascii_lowercase());
        end == start + 4
    };
    let groups = [first_end - 4, first_end + 1, first_end + 6, first_end + 11];
    let is_app = groups
        .iter()
        .all(|&start| matches!(text.before(start), b' ' | b'=' | b':') && is_group(start));
    is_app.then_some(first_end + 15)
}

fn starts_word(byte: u8) -> bool {
    !matches!(byte, b'(' | b'|' | b'"' | b'[' | b'{' | 0) && !byte.is_ascii_whitespace()
}
