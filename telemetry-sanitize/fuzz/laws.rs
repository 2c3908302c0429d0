//! What holds for every text, whatever is in it. Asked by the fuzz target beside
//! this file, and by `tests/fuzz.rs` on any toolchain.

use std::borrow::Cow;

use telemetry_core::Value;
use telemetry_sanitize::{HashKey, Pattern, SanitizeConfig, Sanitizer};

/// `[REDACTED:rule:1f3a]` with the longest name that a rule can have.
const LONGEST_REPLACEMENT: usize = "[REDACTED:".len() + 32 + ":1f3a]".len();

/// Sanitizers that differ in all that can be configured.
pub(crate) struct Laws {
    sanitizers: Vec<Sanitizer>,
}

impl Laws {
    /// Builds the sanitizers.
    pub(crate) fn new() -> Self {
        let configured = SanitizeConfig {
            deny_fields: vec!["employee_id".into(), "*_ssn".into()],
            allow_fields: vec!["session_token".into()],
            patterns: vec![Pattern {
                name: "ticket".into(),
                regex: "TCK-[0-9]{4}|R[A-Z]+".into(),
            }],
            roots: [("/srv/data".to_owned(), "<data>".to_owned())].into(),
            pii: true,
            hash_key: Some(HashKey::new([7; 32])),
            ..SanitizeConfig::default()
        };
        let configs = [SanitizeConfig::default(), configured];
        let built = configs.map(|config| Sanitizer::new(config).expect("a valid configuration"));
        Self {
            sanitizers: built.into(),
        }
    }

    /// Panics if one of the laws does not hold for the text.
    pub(crate) fn check(&self, text: &str) {
        for sanitizer in &self.sanitizers {
            let once = sanitizer.text(text);
            let twice = sanitizer.text(&once);
            assert_eq!(twice, once, "sanitized again, it is another text: {text:?}");
            assert!(
                matches!(twice, Cow::Borrowed(_)),
                "a text without a secret is copied: {once:?}"
            );
            assert!(
                once.len() <= text.len() * LONGEST_REPLACEMENT,
                "longer than is said: {text:?}"
            );
            let failed = "[REDACTED:error";
            assert!(
                text.contains(failed) || !once.contains(failed),
                "a rule has failed: {text:?}"
            );
            check_line(sanitizer, text);
            NAMES
                .iter()
                .for_each(|name| check_value(sanitizer, name, text));
        }
    }
}

/// Names of fields whose values are replaced in different ways.
const NAMES: [&str; 7] = [
    "password",
    "authorization",
    "cookie",
    "auth",
    "token",
    "pin",
    "tls_key",
];

/// The value of a field that was sanitized stays.
fn check_value(sanitizer: &Sanitizer, name: &str, value: &str) {
    let Some(once) = sanitizer.value(name, Value::Text(value)) else {
        return;
    };
    let twice = sanitizer.value(name, Value::Text(&once));
    assert_eq!(twice, None, "under {name} again another text: {value:?}");
}

/// A line of JSON stays one, and sanitized again it is the same.
fn check_line(sanitizer: &Sanitizer, line: &str) {
    let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    let sanitized = sanitizer.line(line);
    if is_json(line) && line.trim_start().starts_with(['{', '[']) {
        assert!(is_json(&sanitized), "no JSON any more: {line:?}");
    }
    if is_json(line) != is_json(&sanitized) {
        return; // Broken JSON, whose wrong escape was part of a path that is gone.
    }
    let twice = sanitizer.line(&sanitized);
    assert_eq!(
        twice, sanitized,
        "sanitized again, it is another line: {line:?}"
    );
}
