//! Shows that a search takes time linear in its text: by counting steps, which no
//! busy machine changes.

use crate::SanitizeConfig;
use crate::rules::RULES;
use crate::sanitizer::Sanitizer;
use crate::scan::{BUDGET, LEAST_BUDGET};

/// Texts that make rules look far, again and again.
#[rustfmt::skip] // A list of words, not one a line.
const ADVERSARIES: &[&str] = &[
    "password=", "password=\"", "\"password\":'", "key", "a", "token: ", "://", "http://a:b@", "x://a:b",
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY----- AAAA ", "eyJ", "/home/", "/home/a ",
    "C:\\Users\\", "\\\\a\\Users\\", "mysql -", "curl -u ", "1", "4111 ", "secrets: [\"", "secrets={\"", "\\",
    "%22", "Bearer ", "IDENTIFIED BY '", "password=,", "password=a,b:", "value", "Cookie: a=b; ",
    "password=a;b", "password=x ", "authorization: ", "login x password ", "[REDACTED:password]", "ghp_", "é",
    "A1a2", "password:\\\\\\\"", "api key ", "/Users/A B ", "password=a;", "password=[", "password \u{201c}",
    "codes: 1234, ", "authorization: a b=c ", "docker login -p", "token from a1B2c3D4e5 to ", "key AbC1",
    "password:\n ", "aes_encrypt(a,", "[", "{\"a\":", "[{\"password\":[", "password={",
    "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----\\n", "eyJhbGciOiJI.", "QUJDREVGR0hJSktM",
    "QUJDREVGR0hJSktMTU5P ", "'", "\\\"", "value: \"password\", ", "for bob is ", "Server=a b;", "[REDACTED:",
    "session=", "cred=", "key=", "pin=", "basic%20", "key='a''", "kty\"", "\\home\\", "auth: digest ",
    "key token /home/a ", "cookie=[a ", "password=r#\"a", "password=\"\"\"a", "tokens:\n  - a1B2c3D4e5", "{password: a b, ",
    "(password=a b ", "password=two words ", "password=\"a\"\"b", "password=\"a\" + \"b\" + ", "[--password, a, ",
    "password: a\\\n", "passphrase: a b 1! ", "password,a\n\"a\"\"b\",c\n", "secrets=\"{\\\"a\\\":\\\"b\\\",", "sender: send \"a\\r\"",
];

/// What is put behind each literal, to lead a look on.
const BEHIND: [&str; 10] = [
    "",
    " ",
    "=",
    ": ",
    "=\"",
    "\\\"",
    "=x,",
    "['",
    " a1B2c3D4e5 ",
    "a",
];

fn sanitizer() -> Sanitizer {
    Sanitizer::new(SanitizeConfig::default()).unwrap()
}

fn repeated(piece: &str, size: usize) -> String {
    piece.repeat(size / piece.len() + 1)
}

/// Takes the steps of a text, and of one that is four times as long.
fn assert_linear(sanitizer: &Sanitizer, piece: &str, size: usize) {
    let (short, long) = (repeated(piece, size), repeated(piece, 4 * size));
    let (few, many) = (sanitizer.steps(&short), sanitizer.steps(&long));
    assert!(
        many <= 8 * few + 4096,
        "{piece:?}: {few} steps for {} bytes, {many} for {}",
        short.len(),
        long.len()
    );
    // What one look takes comes on top, and the looks for cards and base64.
    let most = (BUDGET + 32) * long.len() + LEAST_BUDGET;
    assert!(
        many <= most,
        "{piece:?}: {many} steps for {} bytes",
        long.len()
    );
}

#[test]
fn steps_grow_with_the_text_and_not_faster() {
    let sanitizer = sanitizer();
    for piece in ADVERSARIES {
        assert_linear(&sanitizer, piece, 16 << 10);
    }
}

#[test]
fn no_literal_makes_steps_grow_faster_than_the_text() {
    let sanitizer = sanitizer();
    for literal in sanitizer.literals() {
        for behind in BEHIND {
            assert_linear(&sanitizer, &format!("{literal}{behind}"), 1 << 10);
        }
    }
}

#[test]
fn what_programs_write_stays_far_below_the_budget() {
    let sanitizer = sanitizer();
    let of_rules = RULES
        .iter()
        .flat_map(|rule| rule.vanish.iter().chain(rule.survive));
    let examples: Vec<String> = of_rules.map(|text| text.replace(['«', '»'], "")).collect();
    let joined = examples.join(" ");
    for (text, times) in [(&joined, 1), (&joined, 8)] {
        let text = format!("{text} ").repeat(times);
        let steps = sanitizer.steps(&text);
        assert!(
            steps <= text.len() * BUDGET / 2,
            "{steps} steps for {} bytes",
            text.len()
        );
    }
}

#[test]
fn a_text_past_the_budget_goes_as_a_whole() {
    let sanitizer = sanitizer();
    let text = repeated("session=", 1 << 20);
    assert_eq!(sanitizer.text(&text), "[REDACTED:error]");
    let errors = ("error", 1);
    assert!(sanitizer.redactions().contains(&errors));
}
