//! What a user may set, and what is wrong with it.

use std::collections::BTreeMap;

use crate::tag::HashKey;

/// Settings of a [`Sanitizer`](crate::Sanitizer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanitizeConfig {
    /// Redact at all. Default: `true`. When false every text and record is
    /// handed on as it is; patterns are checked all the same.
    pub enabled: bool,
    /// Globs of further names whose values are secret, besides the built-in
    /// ones. `*` is any run of characters and `?` is one; case does not matter,
    /// and `-` and `_` are the same. Default: none.
    pub deny_fields: Vec<String>,
    /// Globs of names whose values are never redacted by name; wins over
    /// `deny_fields`. Secrets that show by their shape are redacted there too.
    /// Default: none.
    pub allow_fields: Vec<String>,
    /// Further patterns whose matches are redacted. Default: none.
    pub patterns: Vec<Pattern>,
    /// Replace home directories with `~`. Default: `true`.
    pub normalize_paths: bool,
    /// Further directories (absolute) and what to write in their place.
    /// Applied even when `normalize_paths` is false. Default: none.
    pub roots: BTreeMap<String, String>,
    /// Look for personal data too: e-mail and IP addresses, telephone and social
    /// security numbers. Default: `false`.
    pub pii: bool,
    /// Adds a tag to each replacement, `[REDACTED:rule:1f3a]`: the same secret
    /// has the same tag under the same key. Default: none.
    pub hash_key: Option<HashKey>,
}

impl Default for SanitizeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            deny_fields: Vec::new(),
            allow_fields: Vec::new(),
            patterns: Vec::new(),
            normalize_paths: true,
            roots: BTreeMap::new(),
            pii: false,
            hash_key: None,
        }
    }
}

/// A pattern of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The rule's name in `[REDACTED:name]` and in the metric: lower-case
    /// letters, digits and `_`, at most 32, and none of the built-in names.
    pub name: String,
    /// A regular expression in the syntax of the `regex` crate, which takes
    /// linear time: no look-around, no back references.
    pub regex: String,
}

/// What is wrong with a [`SanitizeConfig`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SanitizeError {
    /// A pattern does not compile.
    #[error(
        "pattern `{name}` is not a regular expression that takes linear time; \
         look-around and back references are not available"
    )]
    BadRegex {
        /// Name of the pattern.
        name: String,
        /// What the compiler says.
        #[source]
        source: Box<regex::Error>,
    },
    /// A pattern matches the empty string.
    #[error(
        "pattern `{name}` matches the empty string, so it would match everywhere; use `+` in place of `*`"
    )]
    MatchesEmpty {
        /// Name of the pattern.
        name: String,
    },
    /// A pattern's name cannot be written into `[REDACTED:name]`.
    #[error(
        "pattern name `{name}` is not usable; use 1 to 32 lower-case letters, digits and underscores"
    )]
    BadName {
        /// Name of the pattern.
        name: String,
    },
    /// A pattern's name is taken by a built-in rule or another pattern.
    #[error("pattern name `{name}` is taken by another rule; choose another")]
    NameTaken {
        /// Name of the pattern.
        name: String,
    },
    /// An entry of `deny_fields` or `allow_fields` is empty.
    #[error("`{key}` has an empty entry; remove it or name a field")]
    EmptyGlob {
        /// The key of the configuration.
        key: &'static str,
    },
    /// A key of `roots` is not a directory that could be found in a text.
    #[error("root `{root}` is not an absolute directory below `/`")]
    BadRoot {
        /// The directory as written.
        root: String,
    },
    /// What a root is replaced with would be replaced itself.
    #[error(
        "root `{root}` is replaced with `{with}`, in which another rule would find something; \
         use a word such as `<data>`"
    )]
    BadReplacement {
        /// The directory as written.
        root: String,
        /// What to write in its place.
        with: String,
    },
    /// The rules together are too large for one search automaton.
    #[error("the rules do not fit into one search automaton; use fewer or shorter ones")]
    TooLarge(#[source] Box<dyn std::error::Error + Send + Sync>),
}
