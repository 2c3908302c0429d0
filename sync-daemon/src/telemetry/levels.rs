//! Which events are captured.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The module that `RUST_LOG` names to watch telemetry at work; see [`Levels`].
const TELEMETRY: &str = "sync_daemon::telemetry";
/// The crates that do that work.
const TELEMETRY_CRATES: [&str; 5] = [
    "telemetry_core",
    "telemetry_file",
    "telemetry_metrics",
    "telemetry_pocketbase",
    "telemetry_sanitize",
];

/// Where the level of an event's target comes from.
///
/// `RUST_LOG` is first, then `--verbose` and `--quiet`, then the configuration.
/// Targets that `RUST_LOG` does not name keep the level below it. A directive
/// for `sync_daemon::telemetry` holds for every `telemetry_*` crate too.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    /// The value of `RUST_LOG`, if it is set.
    pub rust_log: Option<String>,
    /// The level of `--verbose` or `--quiet`.
    pub command_line: Option<LevelFilter>,
}

/// `RUST_LOG` cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG=`{value}`: {source}; write for example `info,sync_daemon::telemetry=debug`")]
pub struct LevelsError {
    value: String,
    source: ParseError,
}

impl Levels {
    /// The filter, with `configured` for what nothing else names.
    ///
    /// # Errors
    /// If `RUST_LOG` is malformed.
    pub fn filter(&self, configured: LevelFilter) -> Result<EnvFilter, LevelsError> {
        let default = self.command_line.unwrap_or(configured);
        let rust_log = self.rust_log.as_deref().unwrap_or_default();
        // Later directives replace earlier ones for the same target.
        let mut directives = vec![default.to_string()];
        directives.extend(for_telemetry_crates(rust_log));
        directives.extend(rust_log.split(',').map(str::to_owned));
        let directives = directives.join(",");
        EnvFilter::builder()
            .parse(directives)
            .map_err(|source| LevelsError {
                value: rust_log.to_owned(),
                source,
            })
    }
}

/// The directives for `sync_daemon::telemetry`, said of every telemetry crate.
fn for_telemetry_crates(rust_log: &str) -> Vec<String> {
    let rests = rust_log
        .split(',')
        .filter_map(|directive| directive.trim().strip_prefix(TELEMETRY))
        .filter(|rest| rest.is_empty() || rest.starts_with(['=', '[']));
    rests
        .flat_map(|rest| TELEMETRY_CRATES.map(|name| format!("{name}{rest}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(rust_log: Option<&str>, command_line: Option<LevelFilter>) -> String {
        let levels = Levels {
            rust_log: rust_log.map(str::to_owned),
            command_line,
        };
        levels.filter(LevelFilter::INFO).unwrap().to_string()
    }

    fn parts(filter: &str) -> Vec<&str> {
        let mut parts: Vec<&str> = filter.split(',').collect();
        parts.sort_unstable();
        parts
    }

    #[test]
    fn the_configured_level_is_the_default() {
        assert_eq!(filter(None, None), "info");
        assert_eq!(filter(None, Some(LevelFilter::DEBUG)), "debug");
    }

    #[test]
    fn rust_log_wins_where_it_names_something() {
        assert_eq!(filter(Some("warn"), Some(LevelFilter::DEBUG)), "warn");
        let filter = filter(Some("hyper=trace"), None);
        assert_eq!(parts(&filter), ["hyper=trace", "info"]);
    }

    #[test]
    fn telemetry_means_every_telemetry_crate() {
        let filter = filter(
            Some("sync_daemon::telemetry=debug,telemetry_core=warn"),
            None,
        );
        assert_eq!(
            parts(&filter),
            [
                "info",
                "sync_daemon::telemetry=debug",
                "telemetry_core=warn",
                "telemetry_file=debug",
                "telemetry_metrics=debug",
                "telemetry_pocketbase=debug",
                "telemetry_sanitize=debug",
            ]
        );
    }

    #[test]
    fn a_malformed_rust_log_is_an_error_that_quotes_it() {
        let levels = Levels {
            rust_log: Some("sync_daemon=loud".to_owned()),
            command_line: None,
        };
        let error = levels.filter(LevelFilter::INFO).unwrap_err().to_string();
        assert!(error.contains("sync_daemon=loud"), "{error}");
    }
}
