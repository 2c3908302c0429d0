//! What holds for every text.

use std::borrow::Cow;
use std::sync::LazyLock;

use proptest::prelude::*;
use telemetry_sanitize::{Pattern, SanitizeConfig, Sanitizer};

static SANITIZER: LazyLock<Sanitizer> = LazyLock::new(|| {
    Sanitizer::new(SanitizeConfig {
        deny_fields: vec!["employee_id".into(), "*_ssn".into()],
        patterns: vec![Pattern {
            name: "ticket".into(),
            regex: "TCK-[0-9]{4}|R[A-Z]+".into(),
        }],
        roots: [("/srv/data".to_owned(), "<data>".to_owned())].into(),
        ..SanitizeConfig::default()
    })
    .unwrap()
});

/// Pieces that rules look at, in any order and nesting.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "password",
        "passwd",
        "token",
        "api_key",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "otp",
        "secrets",
        "employee_id",
        "API key",
        "=",
        ":",
        ": ",
        " = ",
        "=>",
        ",",
        ", ",
        ";",
        "&",
        "|",
        "\"",
        "'",
        "`",
        "\\",
        "\\\"",
        "\\\\\"",
        "%22",
        "%3D",
        "%26",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "<",
        ">",
        " ",
        "\n",
        "\\n",
        "--",
        "-",
        "/",
        "@",
        "://",
        "http://",
        "hunter2",
        "a1B2c3D4e5F6",
        "Bearer ",
        "Basic ",
        "Ym9iOmh1bnRlcjI=",
        "ghp_",
        "sk-",
        "eyJhbGciOiJI",
        ".",
        "AKIA",
        "0123456789ABCDEF",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "MIIEowIBAAKCAQEA",
        "/home/",
        "/home/bob",
        "/Users/",
        "C:\\Users\\",
        "\\\\srv\\Users\\",
        "/root",
        "/srv/data",
        "file://",
        "IDENTIFIED BY ",
        "mysql -p",
        "curl -u ",
        "value",
        "login ",
        "4111 1111 1111 1111",
        "[REDACTED:password]",
        "[REDACTED:",
        "~",
        "TCK-1234",
        "None",
        "****",
        "${X}",
        "required",
        "é",
        "密",
        "\u{0}",
        "Some(",
        "Jane Doe",
        "_",
        "x",
    ])
    .prop_map(str::to_owned);
    prop_oneof![8 => known, 1 => "\\PC{0,6}", 1 => any::<String>().prop_map(|s| s.chars().take(8).collect())]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

/// The longest replacement, for the documented bound.
const LONGEST_REPLACEMENT: usize = "[REDACTED:]".len() + 32;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sanitizing_twice_is_the_same_as_once(text in text()) {
        let once = SANITIZER.text(&text).into_owned();
        let twice = SANITIZER.text(&once);
        prop_assert_eq!(&twice, &once, "text {:?}", text);
    }

    #[test]
    fn no_rule_fails_on_any_text(text in text()) {
        let found = SANITIZER.text(&text);
        prop_assert!(!found.contains("[REDACTED:error]"), "{:?}", text);
        prop_assert!(found.len() <= text.len().max(1) * LONGEST_REPLACEMENT);
    }

    #[test]
    fn arbitrary_text_is_sanitized_without_failing(text in any::<String>()) {
        let found = SANITIZER.text(&text);
        prop_assert!(!found.contains("[REDACTED:error]"));
    }

    #[test]
    fn words_and_numbers_come_back_borrowed(words in prop::collection::vec("[abdefghlmnrtu]{1,9}|[0-9]{1,3}|[0-9]{5}", 0..20)) {
        let text = words.join(" ");
        prop_assert!(matches!(SANITIZER.text(&text), Cow::Borrowed(_)), "{}", text);
    }

    #[test]
    fn a_quoted_password_of_any_characters_leaves_no_piece(
        secret in "[A-Za-z0-9 !@#$%^&*()_+=,.;:/?<>|~-]{8,40}".prop_filter("a placeholder", |s| {
            s.bytes().filter(u8::is_ascii_alphanumeric).count() > 5
                && !s.starts_with(['<', '[', '$', '%', '{']) && s.trim() == s
        }),
        depth in 0_usize..4,
    ) {
        let quote = format!("{}\"", "\\".repeat((1 << depth) - 1));
        let text = format!("{{{quote}user{quote}:1,{quote}password{quote}:{quote}{secret}{quote}}}");
        let expected = format!("{{{quote}user{quote}:1,{quote}password{quote}:{quote}[REDACTED:password]{quote}}}");
        prop_assert_eq!(SANITIZER.text(&text), expected);
    }
}
