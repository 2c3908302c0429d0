//! Setting a sanitizer up step by step.

use crate::config::{Pattern, SanitizeConfig, SanitizeError};
use crate::sanitizer::Sanitizer;
use crate::tag::HashKey;

/// Sets a [`Sanitizer`] up step by step. What is not said stays as in
/// [`SanitizeConfig::default`]; the same settings as one value, as read from a file, go to
/// [`Sanitizer::new`].
///
/// ```
/// use telemetry_sanitize::Sanitizer;
///
/// let sanitizer = Sanitizer::builder()
///     .deny_field("employee_*")
///     .pattern("ticket", r"TCK-\d{6}")
///     .root("/srv/data", "<data>")
///     .build()?;
/// assert_eq!(
///     sanitizer.text("employee_id=7 opened TCK-123456 in /srv/data/x"),
///     "employee_id=[REDACTED:denied_field] opened [REDACTED:ticket] in <data>/x",
/// );
/// # Ok::<(), telemetry_sanitize::SanitizeError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is set up before `build`"]
pub struct SanitizerBuilder {
    config: SanitizeConfig,
}

impl SanitizerBuilder {
    /// Adds a glob of names whose values are secret. See [`SanitizeConfig::deny_fields`].
    pub fn deny_field(mut self, glob: impl Into<String>) -> Self {
        self.config.deny_fields.push(glob.into());
        self
    }

    /// Adds a glob of names whose values are never redacted by name. See
    /// [`SanitizeConfig::allow_fields`].
    pub fn allow_field(mut self, glob: impl Into<String>) -> Self {
        self.config.allow_fields.push(glob.into());
        self
    }

    /// Adds a pattern whose matches are redacted under this name. See [`Pattern`].
    pub fn pattern(mut self, name: impl Into<String>, regex: impl Into<String>) -> Self {
        let (name, regex) = (name.into(), regex.into());
        self.config.patterns.push(Pattern { name, regex });
        self
    }

    /// Replaces home directories with `~`, or not. See
    /// [`SanitizeConfig::normalize_paths`].
    pub fn normalize_paths(mut self, normalize: bool) -> Self {
        self.config.normalize_paths = normalize;
        self
    }

    /// Adds a directory and what to write in its place. See [`SanitizeConfig::roots`].
    pub fn root(mut self, directory: impl Into<String>, replacement: impl Into<String>) -> Self {
        let (directory, replacement) = (directory.into(), replacement.into());
        self.config.roots.insert(directory, replacement);
        self
    }

    /// Looks for personal data too, or not. See [`SanitizeConfig::pii`].
    pub fn pii(mut self, pii: bool) -> Self {
        self.config.pii = pii;
        self
    }

    /// Adds a tag to each replacement. See [`SanitizeConfig::hash_key`].
    pub fn hash_key(mut self, key: HashKey) -> Self {
        self.config.hash_key = Some(key);
        self
    }

    /// Builds the rules, as [`Sanitizer::new`] does.
    ///
    /// # Errors
    /// See [`SanitizeError`]; nothing is wrong with a builder on which nothing was set.
    pub fn build(self) -> Result<Sanitizer, SanitizeError> {
        Sanitizer::new(self.config)
    }
}
