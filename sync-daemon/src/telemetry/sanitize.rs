//! Redaction: the configuration in the terms of `telemetry-sanitize`.

use telemetry_core::Sink;
use telemetry_sanitize::{Pattern, SanitizeConfig, SanitizeError, Sanitized, Sanitizer};

use crate::config;

/// Puts the sanitizer before `next`.
pub(super) fn before(
    settings: &config::Sanitize,
    next: impl Sink + 'static,
) -> Result<Box<dyn Sink>, SanitizeError> {
    let sanitizer = Sanitizer::new(sanitize_config(settings))?;
    Ok(Box::new(Sanitized::new(sanitizer, next)))
}

fn sanitize_config(settings: &config::Sanitize) -> SanitizeConfig {
    let pattern = |pattern: &config::Pattern| Pattern {
        name: pattern.name.clone(),
        regex: pattern.regex.clone(),
    };
    let root = |(path, name): (&std::path::PathBuf, &String)| {
        (path.to_string_lossy().into_owned(), name.clone())
    };
    SanitizeConfig {
        enabled: settings.enabled,
        deny_fields: settings.deny_fields.clone(),
        allow_fields: settings.allow_fields.clone(),
        patterns: settings.patterns.iter().map(pattern).collect(),
        normalize_paths: settings.normalize_paths,
        roots: settings.roots.iter().map(root).collect(),
    }
}
