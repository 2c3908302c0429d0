//! Which events are captured.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::{EnvFilter, Registry, reload};

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

/// At INFO, `notify` tells of each watch that went with its directory: a thousand lines for a tree that was deleted, and none
/// of them news. Nobody wrote this, so it is not told as in force.
const QUIETED: &str = "notify=warn";

/// Where the level of an event's target comes from.
///
/// A level that was set at run time ([`LevelControl`]) is first, then `RUST_LOG`,
/// then `--verbose` and `--quiet`, then the configuration.
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
        let mut directives = vec![for_all(default)];
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

/// Changes the levels while the daemon runs.
pub struct LevelControl {
    levels: Levels,
    filter: reload::Handle<EnvFilter, Registry>,
    state: Mutex<LevelState>,
}

struct LevelState {
    configured: LevelFilter,
    at_run_time: Option<AtRunTime>,
    /// Counts the settings, so that the end of one does not end a later one.
    settings: u64,
}

/// A level that was set at run time, for every target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtRunTime {
    /// The level.
    pub level: LevelFilter,
    /// When it is taken back; `None`: not by itself.
    pub until: Option<Timestamp>,
}

/// One setting of the level at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting(u64);

impl LevelControl {
    /// The filter for a subscriber, and the control of it.
    ///
    /// # Errors
    /// If `RUST_LOG` is malformed.
    pub(super) fn new(
        levels: &Levels,
        configured: LevelFilter,
    ) -> Result<(Self, reload::Layer<EnvFilter, Registry>), LevelsError> {
        let (layer, filter) = reload::Layer::new(levels.filter(configured)?);
        let state = Mutex::new(LevelState {
            configured,
            at_run_time: None,
            settings: 0,
        });
        let control = Self {
            levels: levels.clone(),
            filter,
            state,
        };
        Ok((control, layer))
    }

    /// Sets one level for every target, over all else; `None` takes that back.
    pub fn set_at_run_time(&self, set: Option<AtRunTime>) -> Setting {
        let mut state = self.state();
        state.at_run_time = set;
        state.settings += 1;
        self.apply(&state);
        Setting(state.settings)
    }

    /// Takes back a level that was set at run time, unless another has been set
    /// since; returns whether it did.
    pub fn end(&self, setting: Setting) -> bool {
        let mut state = self.state();
        if state.settings != setting.0 {
            return false;
        }
        state.at_run_time = None;
        self.apply(&state);
        true
    }

    /// The configuration has another level now.
    pub fn set_configured(&self, level: LevelFilter) {
        let mut state = self.state();
        state.configured = level;
        self.apply(&state);
    }

    /// What was set at run time, and holds.
    pub fn at_run_time(&self) -> Option<AtRunTime> {
        self.state().at_run_time
    }

    /// What is in force, as directives like those of `RUST_LOG`.
    pub fn in_force(&self) -> String {
        let filter = self.filter.with_current(EnvFilter::to_string);
        without_quieted(&filter.unwrap_or_default())
    }

    fn apply(&self, state: &LevelState) {
        let filter = match state.at_run_time {
            Some(set) => EnvFilter::new(for_all(set.level)),
            // It was understood at the start, and has not changed.
            None => match self.levels.filter(state.configured) {
                Ok(filter) => filter,
                Err(_) => return,
            },
        };
        // An error means that the subscriber is gone, and with it all events.
        let _ = self.filter.reload(filter);
    }

    fn state(&self) -> MutexGuard<'_, LevelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directives of one level for every target.
fn for_all(level: LevelFilter) -> String {
    if level == LevelFilter::INFO {
        format!("{level},{QUIETED}")
    } else {
        level.to_string()
    }
}

fn without_quieted(filter: &str) -> String {
    let directives = filter.split(',');
    let written: Vec<&str> = directives.filter(|&one| one != QUIETED).collect();
    written.join(",")
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
        without_quieted(&levels.filter(LevelFilter::INFO).unwrap().to_string())
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
    fn what_a_library_tells_of_each_watch_is_left_out_unless_somebody_asks() {
        let whole = |rust_log: &str, command_line| {
            let levels = Levels {
                rust_log: Some(rust_log.to_owned()),
                command_line,
            };
            levels.filter(LevelFilter::INFO).unwrap().to_string()
        };
        assert_eq!(parts(&whole("", None)), ["info", "notify=warn"]);
        assert_eq!(
            parts(&whole("notify=trace", None)),
            ["info", "notify=trace"]
        );
        assert_eq!(whole("", Some(LevelFilter::DEBUG)), "debug");
        assert_eq!(whole("", Some(LevelFilter::ERROR)), "error");
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

    fn control(rust_log: Option<&str>) -> (LevelControl, impl Sized) {
        let levels = Levels {
            rust_log: rust_log.map(str::to_owned),
            command_line: None,
        };
        LevelControl::new(&levels, LevelFilter::INFO).unwrap()
    }

    fn set(level: LevelFilter) -> Option<AtRunTime> {
        Some(AtRunTime { level, until: None })
    }

    #[test]
    fn info_at_run_time_brings_no_more_of_a_library_than_info_in_the_configuration() {
        let (control, _layer) = control(Some("notify=trace"));
        control.set_at_run_time(set(LevelFilter::INFO));
        let filter = control.filter.with_current(EnvFilter::to_string).unwrap();
        assert_eq!(parts(&filter), ["info", "notify=warn"]);
        assert_eq!(control.in_force(), "info");
        assert_eq!(control.at_run_time(), set(LevelFilter::INFO));
        control.set_at_run_time(None);
        assert_eq!(control.at_run_time(), None);
    }

    #[test]
    fn a_level_at_run_time_is_over_all_else_until_it_is_taken_back() {
        let (control, _layer) = control(Some("hyper=trace"));
        control.set_at_run_time(set(LevelFilter::ERROR));
        assert_eq!(control.in_force(), "error");
        control.set_configured(LevelFilter::WARN);
        assert_eq!(control.in_force(), "error");
        control.set_at_run_time(None);
        assert_eq!(parts(&control.in_force()), ["hyper=trace", "warn"]);
    }

    #[test]
    fn the_end_of_a_setting_does_not_end_a_later_one() {
        let (control, _layer) = control(None);
        let first = control.set_at_run_time(set(LevelFilter::TRACE));
        let second = control.set_at_run_time(set(LevelFilter::DEBUG));
        assert!(!control.end(first));
        assert_eq!(control.in_force(), "debug");
        assert!(control.end(second));
        assert_eq!(control.in_force(), "info");
    }

    #[test]
    fn events_follow_the_level_at_once() {
        use tracing_subscriber::layer::SubscriberExt as _;
        let (control, layer) = LevelControl::new(&Levels::default(), LevelFilter::INFO).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let is_seen = || tracing::enabled!(tracing::Level::DEBUG);
            assert!(!is_seen());
            control.set_at_run_time(set(LevelFilter::DEBUG));
            assert!(is_seen());
            control.set_at_run_time(None);
            assert!(!is_seen());
        });
    }
}
