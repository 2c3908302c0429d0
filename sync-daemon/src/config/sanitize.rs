//! `[telemetry.sanitize]`: what is redacted before any record leaves the process.

use std::collections::BTreeMap;
use std::path::PathBuf;

use regex::Regex;

use super::section::{Example, Keys, Listed, Section};
use super::slot::{path_names, switch, text, texts};

/// Default of [`Sanitize::enabled`], in a build that can sanitize.
pub const DEFAULT_SANITIZE_ENABLED: bool = true;
/// Default of [`Sanitize::normalize_paths`].
pub const DEFAULT_NORMALIZE_PATHS: bool = true;
/// Default of [`Sanitize::pii`].
pub const DEFAULT_PII: bool = false;
/// Default of [`Sanitize::keyed_hash`].
pub const DEFAULT_KEYED_HASH: bool = false;

/// `[telemetry.sanitize]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sanitize {
    /// Whether anything is redacted. Default: [`DEFAULT_SANITIZE_ENABLED`].
    pub enabled: bool,
    /// Names of fields to redact besides the built-in ones; globs with `*`, `?` and `[…]`. Default: none.
    pub deny_fields: Vec<String>,
    /// Names of fields that are never redacted for their name; globs. Default: none.
    pub allow_fields: Vec<String>,
    /// Text to redact wherever it stands. Default: none.
    pub patterns: Vec<Pattern>,
    /// Whether home directories are shortened to `~`. Default: [`DEFAULT_NORMALIZE_PATHS`].
    pub normalize_paths: bool,
    /// Absolute directories and the text that replaces them. Default: none.
    pub roots: BTreeMap<PathBuf, String>,
    /// Whether personal data (mail addresses, telephone numbers) is redacted too. Default: [`DEFAULT_PII`].
    pub pii: bool,
    /// Whether equal secrets can be recognised as equal by a keyed hash. Default: [`DEFAULT_KEYED_HASH`].
    pub keyed_hash: bool,
}

impl Default for Sanitize {
    fn default() -> Self {
        Self {
            enabled: DEFAULT_SANITIZE_ENABLED,
            deny_fields: Vec::new(),
            allow_fields: Vec::new(),
            patterns: Vec::new(),
            normalize_paths: DEFAULT_NORMALIZE_PATHS,
            roots: BTreeMap::new(),
            pii: DEFAULT_PII,
            keyed_hash: DEFAULT_KEYED_HASH,
        }
    }
}

impl Section for Sanitize {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "enabled",
            switch(&mut self.enabled),
            "false: secrets reach the console, the file and the server",
        );
        keys.key(
            "deny_fields",
            texts(&mut self.deny_fields, field_glob),
            "Globs of more field names to redact, like [\"employee_id\", \"*_ssn\"]",
        );
        keys.key(
            "allow_fields",
            texts(&mut self.allow_fields, field_glob),
            "Globs of field names that are never redacted for their name, like [\"token_count\"]",
        );
        keys.key(
            "normalize_paths",
            switch(&mut self.normalize_paths),
            "/home/alice/x becomes ~/x",
        );
        keys.key(
            "roots",
            path_names(&mut self.roots),
            "Directories that get another name, like { \"/srv/data\" = \"<data>\" }",
        );
        keys.key(
            "pii",
            switch(&mut self.pii),
            "Redact mail and IP addresses, telephone numbers and the like too",
        );
        keys.key(
            "keyed_hash",
            switch(&mut self.keyed_hash),
            "[REDACTED:rule:1f3a]: equal secrets can be recognised as equal",
        );
        keys.list(
            "patterns",
            &mut self.patterns,
            "Text to redact wherever it stands",
        );
    }
}

/// An element of `patterns`: a later layer's pattern of the same name replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pattern {
    /// The name of the rule in `[REDACTED:name]` and in metrics.
    pub name: String,
    /// What to redact; valid, and never matching the empty string.
    pub regex: String,
}

impl Section for Pattern {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "name",
            text(&mut self.name, "a name", rule_name),
            "The name of the rule in [REDACTED:name]",
        );
        keys.key(
            "regex",
            text(&mut self.regex, "a regular expression", redacting_regex),
            "What to redact",
        );
    }
}

impl Listed for Pattern {
    const IDENTITY: &'static str = "name";

    fn identity(&self) -> &str {
        &self.name
    }
}

impl Example for Pattern {
    fn example() -> Self {
        Self {
            name: "ticket".to_owned(),
            regex: "TCK-[0-9]{8}".to_owned(),
        }
    }
}

/// A rule's name becomes a metric label and stands between brackets; as
/// `telemetry_sanitize` allows it, which this build may be without.
fn rule_name(written: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !(1..=32).contains(&written.len()) || !written.chars().all(allowed) {
        return Err(format!(
            "`{written}` is not a rule's name: 1 to 32 small letters, digits and `_`"
        ));
    }
    Ok(written.to_owned())
}

fn redacting_regex(written: &str) -> Result<String, String> {
    let regex = Regex::new(written).map_err(|error| {
        // The crate draws a picture over several lines; the last one names the error.
        let text = error.to_string();
        let reason = text
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        format!("not a regular expression: {reason}")
    })?;
    if regex.is_match("") {
        return Err("this matches the empty string, so it would redact everywhere".to_owned());
    }
    Ok(written.to_owned())
}

/// Names of fields hold no slash, comment sign or negation, so the syntax of ignore files is the syntax of a glob.
fn field_glob(written: &str) -> Result<(), String> {
    let wrong = |c: char| c.is_whitespace() || c.is_control() || c == '/' || c == '#' || c == '!';
    if written.is_empty() || written.starts_with(wrong) || written.contains('/') {
        return Err(format!("`{written}` is not a glob for field names"));
    }
    super::jobs::check_glob(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regex_that_matches_nothing_at_all_is_refused() {
        for regex in ["", "a*", "(x|)", "^", r"\b"] {
            let verdict = redacting_regex(regex);
            assert_eq!(
                verdict.is_err(),
                Regex::new(regex).unwrap().is_match(""),
                "{regex}"
            );
        }
        assert!(redacting_regex("x*").is_err());
        assert!(redacting_regex("TCK-[0-9]{8}").is_ok());
    }

    #[test]
    fn only_names_that_the_rules_take_are_taken() {
        assert!(rule_name("ticket_2").is_ok());
        for name in ["", "Ticket", "ti-cket", &"a".repeat(33)] {
            assert!(rule_name(name).is_err(), "{name}");
        }
    }

    #[cfg(feature = "sanitize")]
    #[test]
    fn a_name_is_taken_here_if_the_rules_take_it() {
        let longest = "a".repeat(32);
        for name in [
            "ticket_2",
            "9",
            "",
            "Ticket",
            "ti-cket",
            "ü",
            &longest,
            &format!("{longest}a"),
        ] {
            let rules = telemetry_sanitize::Sanitizer::builder().pattern(name, "TCK");
            assert_eq!(rule_name(name).is_ok(), rules.build().is_ok(), "{name}");
        }
    }

    #[test]
    fn the_reason_of_a_bad_regex_is_one_line() {
        assert_eq!(
            redacting_regex("(a").unwrap_err(),
            "not a regular expression: unclosed group"
        );
    }
}
