//! The upload to PocketBase: the configuration in the terms of
//! `telemetry-pocketbase`.

use std::path::{Path, PathBuf};

use telemetry_core::{Filtered, Sink};
use telemetry_pocketbase::{
    BreakerPolicy, PasswordSource, PocketBaseConfig, PocketBaseError, PocketBaseSink, Secret,
};

use crate::config::PocketbaseLogging;

/// The variable that may hold the password of the account.
pub const PASSWORD_VARIABLE: &str = "SYNC_DAEMON_POCKETBASE_PASSWORD";
/// The systemd credential that may hold it.
const CREDENTIAL: &str = "pocketbase-password";

/// Starts the uploader behind its minimum level. No server is asked yet.
pub(super) fn start(
    settings: &PocketbaseLogging,
    state_dir: &Path,
) -> Result<Box<dyn Sink>, PocketBaseError> {
    let sink = PocketBaseSink::start(uploader_config(settings, state_dir))?;
    Ok(Box::new(Filtered::new(settings.min_level, sink)))
}

/// What the uploader is told, with its spool in the state directory.
pub fn uploader_config(settings: &PocketbaseLogging, state_dir: &Path) -> PocketBaseConfig {
    let identity = settings.identity.clone().unwrap_or_default();
    let defaults = PocketBaseConfig::new(
        settings.url.clone(),
        identity,
        password_source(settings),
        state_dir,
    );
    PocketBaseConfig {
        collection: settings.collection.clone(),
        auth_collection: settings.auth_collection.clone(),
        queue_capacity: settings.queue_capacity,
        batch_size: settings.batch_size,
        batch_max_bytes: settings.batch_max_bytes as usize,
        flush_interval: settings.flush_interval,
        max_retries: settings.max_retries,
        spool_max_bytes: settings.spool_max_bytes,
        dead_letter_max_bytes: settings.dead_letter_max_bytes,
        request_timeout: settings.request_timeout,
        breaker: BreakerPolicy {
            failures: settings.breaker.failures,
            open_for: settings.breaker.open,
            max_open_for: settings.breaker.max_open,
        },
        ca_file: settings.ca_file.clone(),
        proxy: settings.proxy.clone().map(Secret::new),
        ..defaults
    }
}

/// The password file first, then the environment, then systemd.
fn password_source(settings: &PocketbaseLogging) -> PasswordSource {
    let file = settings.password_file.clone().map(PasswordSource::File);
    let variable = PasswordSource::Env(PASSWORD_VARIABLE.to_owned());
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
        .map(|directory| PasswordSource::File(PathBuf::from(directory).join(CREDENTIAL)));
    let sources = file.into_iter().chain([variable]).chain(credential);
    PasswordSource::FirstOf(sources.collect())
}
