//! The value behind a secret name.
//!
//! The two mistakes to avoid: to stop too early (half a password stays) and to
//! take a sentence for a value (`password: required`). A value in quotes ends
//! at its quote, whatever the depth of escaping.

use std::ops::Range;

use super::bare::{past_encoding, past_user_name, take_bare};
use super::closer::encoded_quote;
use super::delimiter::Delimiter;
use super::doubt::{after_parser_word, is_bare_secret, is_key, is_made_up, is_path_to_file};
use super::group::{
    brace_end, holds_names, holds_strings, struct_brace, take_bracketed, take_group, take_tuple,
};

use super::markup::past_style_tag;
use super::pair::{Name, pair_at};
use super::phrase::is_phrase;
use super::shape::{
    is_assignment, is_chosen, is_count, is_long_number, is_scrambled, is_sentence, is_session,
    is_short_number,
};

use super::string::{
    changed_to, curly_quoted, encoded_quoted, next_line_string, past_wrapper, quoted, raw,
    second_string,
};

use super::{Scan, code, header, open};
use crate::mask::{is_harmless, is_status};
use crate::names::{SecretName, Trust};
use crate::rules::Kind;
use crate::text::{Bytes, Text, is_base64, is_blank, is_quote};
use crate::vendors::looks_random;

/// So many values behind the first are followed.
pub(super) const MOST_FOLLOWERS: usize = 256;

/// Takes the value that starts at `at`, if it is one.
pub(super) fn take(
    scan: &mut Scan<'_, '_>,
    name: &Name,
    secret: SecretName,
    delimiter: Delimiter,
    at: usize,
) {
    if secret.trust == Trust::Strong
        && delimiter == Delimiter::Equals
        && !name.is_option
        && is_made_up_word(&scan.text, at)
    {
        return take_bare(scan, name, secret, delimiter, at); // As most are.
    }
    if is_closing_quote(&scan.text, name, delimiter, at) {
        return;
    }
    let at = next_line_string(&scan.text, name, at).unwrap_or(at);
    let at = past_value_line(&scan.text, at);
    if scan.text.at(at) == b'&' && is_struct(&scan.text, at) {
        return; // `&oauth2.Token{AccessToken:"x"}` of Go: each member by itself.
    }
    let at = past_here_document(&scan.text, at);
    let at = past_style_tag(&scan.text, at);
    let at = past_user_name(&scan.text, name, at);
    let at = code::substitute_at(&scan.text, at).unwrap_or(at);
    if let Some(end) = code::source_end(&scan.text, name, secret.trust, delimiter, at) {
        if scan.text.at(at) == b'<' {
            scan.taken = scan.taken.max(end); // What it shows has no secret in it.
        }
        return;
    }
    if open::is_open(scan, name, secret, delimiter, at) {
        return;
    }
    if take_items(scan, name, secret, at) {
        return;
    }
    if let Some(line) = block_line(&scan.text, delimiter, at) {
        let range = line..scan.text.line_end(line);
        let is_key = scan.text.has(line, "-----BEGIN"); // Has a rule of its own.
        if !is_key && is_bare_secret(&scan.text, name, secret, Delimiter::Equals, range.clone()) {
            scan.redact(range, secret.rule);
        }
        return;
    }
    if scan.text.has(at, "-----BEGIN") {
        return; // Has a rule of its own.
    }
    if let Some(content) = curly_quoted(&scan.text, at) {
        return take_quoted(scan, name, secret, content);
    }
    if let Some(content) = raw(&scan.text, at) {
        return take_quoted(scan, name, secret, content);
    }
    let is_just = ["Just \"", "Some \""]
        .iter()
        .any(|wrap| scan.text.has(at, wrap));
    let at = at + 5 * usize::from(is_just); // Of Haskell and OCaml.
    let Some(inner) = past_wrapper(&scan.text, at) else {
        return;
    };
    let is_login = matches!(secret.rule, Kind::Authorization | Kind::Credential);
    let at = match inner > at && is_login {
        true => second_string(&scan.text, inner).unwrap_or(inner),
        false => inner,
    };
    // A word behind `expected` and its like belongs to a message.
    let lead = past_lead(&scan.text, delimiter, at);
    let is_message = lead > at && {
        let is_small = |byte: u8| byte.is_ascii_lowercase();
        let word_end = scan.text.run(lead, lead + 24, is_small);
        word_end > lead && matches!(scan.text.at(word_end), b' ' | b',')
    };
    let at = if is_message { at } else { lead };
    let quote = scan.text.run(at, at + 64, |byte| byte == b'\\');
    let first = scan.text.at(quote);
    if is_quote(first) {
        let depth = quote - at;
        let content = quoted(&scan.text, quote, depth);
        let mut end = content.end + depth + 1;
        take_quoted(scan, name, secret, content);
        for _ in 0..MOST_FOLLOWERS {
            let Some(next) = changed_to(&scan.text, end, depth) else {
                break;
            };
            let content = quoted(&scan.text, next, depth);
            end = content.end + depth + 1;
            take_quoted(scan, name, secret, content);
        }
        return;
    }
    if let Some(length) = encoded_quote(&scan.text, at) {
        let content = encoded_quoted(&scan.text, at, length);
        return take_quoted(scan, name, secret, content);
    }
    if let Some(brace) = struct_brace(&scan.text, at) {
        return take_group(scan, name, secret, brace);
    }
    match first {
        b'[' if quote == at && is_bare_mark(&scan.text, at) => {}
        b'{' if secret.rule != Kind::Cookie
            && secret.rule != Kind::Credential
            && let Some(end) = brace_end(&scan.text, delimiter, at) =>
        {
            let content = at + 1..end;
            let is_format = is_harmless(scan.text.slice(at..end + 1)); // `?password={password}`.
            if !is_format && !is_harmless(scan.text.slice(content.clone())) {
                scan.redact(content, secret.rule);
            }
        }
        b'[' if quote == at && !holds_strings(&scan.text, at) => {
            take_bracketed(scan, name, secret, at);
        }
        b'[' | b'{' if quote == at => take_group(scan, name, secret, at),
        b'(' if quote == at => take_tuple(scan, name, secret, at),
        _ => take_bare(scan, name, secret, delimiter, at),
    }
}

/// A word of letters and digits that a blank ends, and of which no look says that it is none.
fn is_made_up_word(text: &Text<'_>, at: usize) -> bool {
    static WORD: Bytes = Bytes::letters_and_digits();
    let end = text.run_in(at, at + 65, &WORD);
    let is_end = matches!(text.at(end), b' ' | b'\n' | 0) && text.at(end + 1) != b'{';
    is_end && end > at && is_made_up(text.slice(at..end))
}

/// Past `value: ` on the line below the name.
fn past_value_line(text: &Text<'_>, at: usize) -> usize {
    let key = text.skip_blanks(at + 1, 16);
    let is_member = text.at(at) == b'\n' && key > at + 1 && text.has(key, "value: ");
    if is_member { key + "value: ".len() } else { at }
}

/// The brace of a struct follows the name of its type.
fn is_struct(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at + 1, at + 64, |byte| {
        byte.is_ascii_alphanumeric() || b"_.*".contains(&byte)
    });
    let member = text.run(end + 1, end + 40, |byte| byte.is_ascii_alphanumeric());
    end > at + 1 && text.at(end) == b'{' && member > end + 1 && text.at(member) == b':'
}

/// The line below `<<-EOT` of Terraform or a shell.
fn past_here_document(text: &Text<'_>, at: usize) -> usize {
    if !text.has(at, "<<") {
        return at;
    }
    let word = text.run(at + 2, at + 4, |byte| byte == b'-' || is_quote(byte));
    let end = text.run(word, word + 16, |byte| {
        byte.is_ascii_uppercase() || byte == b'_'
    });
    let is_start = end > word && text.at(end) == b'\n';
    if is_start {
        text.skip_blanks(end + 1, 32)
    } else {
        at
    }
}

/// Takes the items of a list in YAML, each in a line of its own: `tokens:⏎  - x⏎  - y`.
fn take_items(scan: &mut Scan<'_, '_>, name: &Name, secret: SecretName, at: usize) -> bool {
    if !scan.text.before(name.range.end).eq_ignore_ascii_case(&b's') {
        return false;
    }
    let mut found = false;
    let mut end = at;
    loop {
        let text = &scan.text;
        let line = end + usize::from(text.has(end, "\r\n"));
        let mark = text.skip_blanks(line + 1, 32);
        if text.at(line) != b'\n' || !text.has(mark, "- ") {
            return found;
        }
        end = text.line_end(mark);
        let start = text.skip_blanks(mark + 2, 8);
        let item = match is_quote(text.at(start)) {
            true => quoted(text, start, 0),
            false => start..text.run(start, end, |byte| !is_blank(byte)),
        };
        let value = text.slice(item.clone());
        if (is_chosen(value) || looks_random(value)) && !is_harmless(value) {
            found = true;
            scan.redact(item, secret.rule);
        }
    }
}

/// In `"Password:" shown` the quote behind the colon closes the one before the name.
fn is_closing_quote(text: &Text<'_>, name: &Name, delimiter: Delimiter, at: usize) -> bool {
    let at = text.run(at, at + 4, |byte| byte == b'\\'); // In a string of its own.
    let mark = text.at(at);
    if delimiter == Delimiter::ColonBlank {
        // `prompt("Password: ")`.
        let is_end = matches!(text.at(at + 1), b')' | b',' | b';');
        return is_quote(mark) && text.before(name.range.start) == mark && is_end;
    }
    if delimiter == Delimiter::Equals && is_quote(mark) {
        // `pin-sha256="…Pw="`: the end of base64 is no name.
        let start = text.run_back(at - 1, at.saturating_sub(96), is_base64);
        return text.before(start) == mark && start < name.range.start;
    }
    delimiter == Delimiter::Colon
        && is_quote(mark)
        && text.before(name.range.start) == mark
        && text.at(text.run(name.range.end, name.range.end + 4, |byte| byte == b'\\')) != mark
        && matches!(text.at(at + 1), b' ' | b')' | b',' | b'.' | b';' | 0)
}

/// Whether a text that is the whole value of a secret name is a secret.
pub(super) fn is_secret_text(secret: SecretName, value: &[u8]) -> bool {
    let told = match secret.trust {
        Trust::Strong => false,
        Trust::Shaped => {
            let is_upper = value.len() < 12 && value.iter().all(u8::is_ascii_uppercase);
            is_status(value) || secret.rule == Kind::Token && is_upper // A parser's `RBRACE`.
        }
        Trust::Counted => is_status(value) || is_count(secret, value) || value.len() < 6,
        Trust::Digits => !is_short_number(value),
        Trust::Number => !is_long_number(value),
        Trust::Session => !is_session(secret, value),
        Trust::Scrambled => !is_scrambled(value),
        Trust::Chosen => !is_chosen(value),
    };
    let is_mark = value.len() < 4 && !value.iter().any(u8::is_ascii_alphanumeric); // A parser's `}`.
    !told && !is_mark && !is_harmless(value) && !is_sentence(value)
}

/// The line that follows `password: |` in YAML, or a line of one word in the
/// place of the value.
fn block_line(text: &Text<'_>, delimiter: Delimiter, at: usize) -> Option<usize> {
    if text.at(at) == b'\n' {
        let start = text.skip_blanks(at + 1, 64);
        let end = text.run(start, text.line_end(start), |byte| !is_blank(byte));
        let word = text.slice(start.min(end)..end);
        let is_value = !matches!(word.last(), None | Some(b':')) && !word.starts_with(b"-");
        let is_whole = end == text.line_end(start) && !is_status(word) && !pair_at(text, start);
        let is_random = word.len() >= 16 && looks_random(word);
        let is_told = start > at + 1 || is_chosen(word) || is_random;
        return (is_told && is_value && is_whole && !is_harmless(word)).then_some(start);
    }
    let is_binary = text.ends_with(at, "!!binary ");
    if delimiter != Delimiter::ColonBlank && !is_binary || !matches!(text.at(at), b'|' | b'>') {
        return None;
    }
    let end = text.run(at + 1, at + 3, |byte| matches!(byte, b'-' | b'+'));
    (text.at(end) == b'\n').then(|| text.skip_blanks(end + 1, 64))
}

/// `[REDACTED]`, `[hidden]`: a mask, no list.
fn is_bare_mark(text: &Text<'_>, at: usize) -> bool {
    let end = text.run(at, at + 64, |byte| byte != b']');
    is_harmless(text.slice(at..(end + 1).min(text.len())))
}

/// Past `old` and `new` before a value: `key: old x new y`.
pub(super) fn past_lead(text: &Text<'_>, delimiter: Delimiter, at: usize) -> usize {
    if delimiter != Delimiter::ColonBlank {
        return at;
    }
    const WORDS: [&str; 12] = [
        "rejected value [",
        "changed to ",
        "new value `",
        "old value `",
        "new value: ",
        "value: ",
        "old ",
        "new ",
        "expected ",
        "got ",
        "old=",
        "new=",
    ];
    let word = WORDS.iter().find(|word| text.has(at, word));
    at + word.map_or(0, |word| word.trim_end_matches('`').len())
}

pub(super) fn take_quoted(
    scan: &mut Scan<'_, '_>,
    name: &Name,
    secret: SecretName,
    content: Range<usize>,
) {
    let value = scan.text.slice(content.clone());
    let last = value
        .rsplit(|&byte| byte == b' ')
        .next()
        .unwrap_or_default();
    let is_label = last.len() < value.len()
        && matches!(last, b"passphrase" | b"password" | b"secret" | b"token")
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b' '); // `Database password`.
    let is_prompt = is_label
        || value.ends_with(b": ") && !value.iter().any(u8::is_ascii_digit)
        || value.eq_ignore_ascii_case(b"password:");
    let is_option = value.len() == 2 && value[0] == b'-'; // `("sshpass", "-p")`.
    let is_mark = is_option || value.len() < 4 && !value.iter().any(u8::is_ascii_alphanumeric);
    let is_short = is_mark || secret.trust == Trust::Counted && value.len() < 6;
    let is_tag = ["json:\"", "yaml:\"", "json:\\\"", "yaml:\\\""]
        .iter()
        .any(|tag| value.starts_with(tag.as_bytes())); // Of Go's fields.
    let is_piece = secret.trust == Trust::Counted
        && ["##", "\u{2581}", "\u{120}"].iter().any(|mark| {
            let rest = value.strip_prefix(mark.as_bytes());
            rest.is_some_and(|rest| rest.iter().all(u8::is_ascii_alphabetic)) // To a tokenizer.
        });
    if value.starts_with(b"${") && value.windows(2).any(|two| two == b":?") && is_harmless(value) {
        scan.taken = scan.taken.max(content.end); // `${TOKEN:?must be set}`: no value follows.
        return;
    }
    if is_prompt
        || is_tag
        || is_piece
        || is_file(value)
        || is_short
        || is_harmless(value)
        || is_sentence(value) && !is_phrase(&scan.text, name)
        || is_count(secret, value)
    {
        return;
    }
    if value.windows(5).any(|five| five == b"&sig=") {
        return; // Azure's `?sv=…&sig=x`: the signature has a rule of its own.
    }
    if secret.rule == Kind::Credential && is_assignment(value) {
        return; // `CREDENTIALS 'aws_access_key_id=…'`: each pair by itself.
    }
    if holds_names(scan, content.clone()) || is_private_pem(value) {
        return; // Each member by itself; a key block has a rule of its own.
    }
    match secret.rule {
        Kind::Authorization => header::take_credentials(scan, content, true),
        Kind::Cookie => {
            let is_set = header::is_set_cookie(&scan.text, name);
            header::take_cookies(scan, is_set, content);
        }
        _ if secret.trust == Trust::Shaped && is_status(value) => {}
        _ if secret.trust == Trust::Shaped && after_parser_word(&scan.text, name) => {}
        _ if secret.trust == Trust::Digits && !is_short_number(value) => {}
        _ if secret.trust == Trust::Number && !is_long_number(value) => {}
        _ if secret.trust == Trust::Scrambled && !is_key(&scan.text, name, value) => {}
        _ if secret.trust == Trust::Chosen && !is_chosen(value) => {}
        _ if secret.trust == Trust::Session && !is_session(secret, value) => {}
        Kind::Signature => {
            let start = past_encoding(&scan.text, content.start).min(content.end);
            scan.redact(start..content.end, secret.rule);
        }
        _ => {
            let end = content.end;
            scan.redact(content, secret.rule);
            if secret.rule == Kind::ApiKey && scan.text.has(end, ENCODED) {
                // Elasticsearch tells the same key once more.
                scan.redact(quoted(&scan.text, end + ENCODED.len() - 1, 0), secret.rule);
            }
        }
    }
}

const ENCODED: &str = "\",\"encoded\":\"";

/// `/etc/ssl/client.key`, the file with the key.
fn is_file(value: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    value.first() == Some(&b'/') && is_path_to_file(value) && value.iter().all(is_part)
}

fn is_private_pem(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let head = &value[..value.len().min(48)];
    head.starts_with(b"-----BEGIN") && head.windows(7).any(|word| word == b"PRIVATE")
}
