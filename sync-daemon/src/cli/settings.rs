//! The configuration as the commands find it.

use tracing::level_filters::LevelFilter;

use super::output::{redact_as, say, say_parts};
use super::{EXIT_USAGE, Global};
use crate::config::{Config, Environment, LoadOptions, Loaded, Search};
use crate::telemetry::Levels;

/// Where configuration was looked for, and what was found.
#[derive(Debug)]
pub struct Found {
    /// The places.
    pub search: Search,
    /// The effective configuration; only defaults and environment without files.
    pub loaded: Loaded,
}

/// Loads what `--config`, the environment and the usual places say.
///
/// # Errors
/// Says everything that is wrong on stderr, and returns the exit code.
pub fn load(global: &Global) -> Result<Found, u8> {
    let environment = Environment::of_process();
    let search = Search::new(&global.config, &environment);
    match Config::load(&LoadOptions::new(search.files.clone(), environment)) {
        Ok(loaded) => {
            redact_as(&loaded.config.telemetry.sanitize);
            Ok(Found { search, loaded })
        }
        Err(errors) => {
            for error in errors.iter() {
                let parts = error.parts();
                say_parts(&parts.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Err(EXIT_USAGE)
        }
    }
}

/// As [`load`], for commands that make no sense without a file.
///
/// # Errors
/// Also if there is none: says where it was looked for and how to make one.
pub fn load_file(global: &Global) -> Result<Loaded, u8> {
    let found = load(global)?;
    if found.search.files.is_empty() {
        say(&format!(
            "{}; `sync-daemon config init` writes one, `--config FILE` names one",
            nothing_found(&found.search)
        ));
        return Err(EXIT_USAGE);
    }
    Ok(found.loaded)
}

/// Where a configuration file was looked for in vain.
pub fn nothing_found(search: &Search) -> String {
    let places: Vec<_> = search
        .looked_for
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!("no configuration file; looked for {}", places.join(", "))
}

/// The levels that environment and command line ask for.
pub fn levels(global: &Global) -> Levels {
    let command_line = if global.verbose {
        Some(LevelFilter::DEBUG)
    } else if global.quiet {
        Some(LevelFilter::WARN)
    } else {
        None
    };
    let rust_log = std::env::var("RUST_LOG").ok();
    Levels {
        rust_log: rust_log.filter(|value| !value.trim().is_empty()),
        command_line,
    }
}
