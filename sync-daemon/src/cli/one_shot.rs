//! Telemetry of commands that do one thing and end.

use std::time::Duration;

use telemetry_core::Identity;
use tracing::level_filters::LevelFilter;
use uuid::Uuid;

use super::output::{colors_stderr, say};
use super::{EXIT_FAILED, EXIT_USAGE, Global, settings};
use crate::config;
use crate::state_dir::{StateDir, StateDirError};
use crate::telemetry::{Outputs, Setup, Telemetry};

/// The telemetry of one command; [`end`](Self::end) it.
///
/// Without `--config` the log goes to the console only, from WARN on; nothing is
/// written to a file and nothing is uploaded. With `--config` the log goes where
/// the configuration says, unless a daemon that is running has taken its state
/// directory. No such command ever listens.
#[must_use = "end it, or the last records are lost"]
pub(super) struct OneShot {
    telemetry: Telemetry,
    limit: Duration,
    _state_dir: Option<StateDir>,
}

impl OneShot {
    /// Installs it. Without `--config` the console's log is redacted by `sanitize`.
    ///
    /// # Errors
    /// Says on stderr what is wrong, and returns the exit code.
    pub(super) fn start(global: &Global, sanitize: &config::Sanitize) -> Result<Self, u8> {
        if global.config.is_empty() {
            return Self::on_console(global, sanitize);
        }
        let config = settings::load(global)?.loaded.config;
        match StateDir::open(&config.daemon.state_dir) {
            Ok(state_dir) => Self::as_configured(global, config, state_dir),
            Err(error @ StateDirError::Locked { .. }) => {
                say(&format!(
                    "sync-daemon: {error}; logging to the console only"
                ));
                Self::on_console(global, &config.telemetry.sanitize)
            }
            Err(error) => {
                say(&format!("sync-daemon: {error}"));
                Err(EXIT_FAILED)
            }
        }
    }

    /// Writes out what is pending.
    pub(super) fn end(self) {
        if let Err(error) = self.telemetry.close(self.limit) {
            say(&format!(
                "sync-daemon: not all log records were written: {error}"
            ));
        }
    }

    fn on_console(global: &Global, sanitize: &config::Sanitize) -> Result<Self, u8> {
        let settings = config::Telemetry {
            log_level: LevelFilter::WARN,
            console_format: config::ConsoleFormat::Pretty,
            sanitize: config::Sanitize {
                // The key is in the state directory, which belongs to the daemon.
                keyed_hash: false,
                ..sanitize.clone()
            },
            ..config::Telemetry::default()
        };
        Self::install(global, &settings, None, Outputs::Console)
    }

    fn as_configured(
        global: &Global,
        config: config::Config,
        state_dir: StateDir,
    ) -> Result<Self, u8> {
        let mut settings = config.telemetry;
        settings.metrics.enabled = false;
        let limit = config.daemon.shutdown_timeout;
        let one_shot = Self::install(global, &settings, Some(state_dir), Outputs::All)?;
        Ok(Self { limit, ..one_shot })
    }

    fn install(
        global: &Global,
        settings: &config::Telemetry,
        state_dir: Option<StateDir>,
        outputs: Outputs,
    ) -> Result<Self, u8> {
        let daemon_id = state_dir.as_ref().map(StateDir::daemon_id);
        let path = state_dir.as_ref().map(StateDir::path);
        let telemetry = Telemetry::start(&Setup {
            settings,
            levels: &settings::levels(global),
            color: colors_stderr(global),
            identity: Identity::new(daemon_id.unwrap_or_else(Uuid::new_v4)),
            outputs,
            state_dir: path.unwrap_or(std::path::Path::new("")),
            job_ids: &[],
        })
        .map_err(|error| {
            say(&format!("sync-daemon: {error}"));
            EXIT_USAGE
        })?;
        Ok(Self {
            telemetry,
            limit: config::DEFAULT_SHUTDOWN_TIMEOUT,
            _state_dir: state_dir,
        })
    }
}
