//! Redaction: the configuration in the terms of `telemetry-sanitize`.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use telemetry_core::Sink;
use telemetry_sanitize::{HashKey, Pattern, SanitizeConfig, Sanitized, Sanitizer};
use uuid::Uuid;

use super::TelemetryError;
use crate::config;

/// In the state directory.
const KEY_FILE: &str = "sanitize.key";

/// Puts the sanitizer before `next`.
pub(super) fn before(
    settings: &config::Sanitize,
    state_dir: &Path,
    next: impl Sink + 'static,
) -> Result<Box<dyn Sink>, TelemetryError> {
    let sanitizer = keyed_sanitizer(settings, state_dir)?;
    Ok(Box::new(Sanitized::new(sanitizer, next)))
}

/// As the daemon with this state directory redacts: with its key, where tags are
/// wanted.
///
/// # Errors
/// If a rule of the configuration is wrong, or the key cannot be kept.
pub fn keyed_sanitizer(
    settings: &config::Sanitize,
    state_dir: &Path,
) -> Result<Sanitizer, TelemetryError> {
    let mut config = sanitize_config(settings);
    if settings.keyed_hash {
        let path = state_dir.join(KEY_FILE);
        let key = hash_key(&path).map_err(|source| TelemetryError::HashKey { path, source })?;
        config.hash_key = Some(key);
    }
    Ok(Sanitizer::new(config)?)
}

/// The key of this installation: made up once, and only for the daemon's user.
fn hash_key(path: &Path) -> io::Result<HashKey> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(path)?,
        Err(error) => return Err(error),
    };
    let bytes = |part: &str| part.parse().map(|id: Uuid| id.into_bytes()).ok();
    let halves = text.trim().split_at_checked(32);
    let halves = halves.and_then(|(one, two)| Some([bytes(one)?, bytes(two)?]));
    let Some(halves) = halves else {
        let why = "it does not hold 64 hexadecimal digits; remove it to begin with a new key";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    };
    let mut key = [0; 32];
    key.copy_from_slice(&halves.concat());
    Ok(HashKey::new(key))
}

/// Two random UUIDs, 244 random bits; under another name first, so that a crash
/// leaves no half key. Of two that make one at a time, the first wins.
fn make_key(path: &Path) -> io::Result<String> {
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let text = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let fresh = path.with_extension(Uuid::new_v4().simple().to_string());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    let linked = writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&fresh, path));
    fs::remove_file(&fresh)?;
    match linked {
        Ok(()) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path),
        Err(error) => Err(error),
    }
}

/// The names of the rules that are in effect, the built-in ones first.
///
/// # Errors
/// If a rule of the configuration is wrong.
pub fn rules(settings: &config::Sanitize) -> Result<Vec<String>, TelemetryError> {
    let sanitizer = Sanitizer::new(sanitize_config(settings))?;
    let counted = sanitizer.redactions();
    let names = counted.into_iter().map(|(rule, _)| rule.to_owned());
    Ok(names.collect())
}

/// One by itself, for text that takes another way out than the pipeline.
pub(super) fn sanitizer(
    settings: &config::Sanitize,
) -> Result<Sanitizer, telemetry_sanitize::SanitizeError> {
    Sanitizer::new(sanitize_config(settings))
}

/// One that leaves paths as they are. Where the configuration is wrong, which is
/// said elsewhere, with the built-in rules.
pub fn sanitizer_of_secrets(settings: &config::Sanitize) -> Sanitizer {
    let secrets = |settings: &config::Sanitize| SanitizeConfig {
        normalize_paths: false,
        roots: BTreeMap::new(),
        ..sanitize_config(settings)
    };
    let sanitizer = Sanitizer::new(secrets(settings));
    sanitizer.unwrap_or_else(|_| {
        Sanitizer::new(secrets(&config::Sanitize::default())).expect("the built-in rules are right")
    })
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
        pii: settings.pii,
        hash_key: None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tagged(state_dir: &Path) -> String {
        let settings = config::Sanitize {
            keyed_hash: true,
            ..config::Sanitize::default()
        };
        let sanitizer = keyed_sanitizer(&settings, state_dir).unwrap();
        sanitizer.text("password=hunter22").into_owned()
    }

    #[test]
    fn tags_survive_a_restart_and_differ_between_installations() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = tagged(&one.path().join("state"));
        assert!(first.starts_with("password=[REDACTED:password:"), "{first}");
        assert_eq!(first, tagged(&one.path().join("state")));
        let others = (0..3).map(|n| tagged(&two.path().join(n.to_string())));
        // Of four installations, all share a tag of 16 bits once in 10^14 runs.
        assert!(others.collect::<Vec<_>>() != vec![first; 3]);
    }

    #[test]
    fn the_key_is_private_and_a_damaged_one_is_refused() {
        let place = tempfile::tempdir().unwrap();
        tagged(place.path());
        let path = place.path().join(KEY_FILE);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, "half").unwrap();
        assert!(hash_key(&path).is_err());
    }
}
