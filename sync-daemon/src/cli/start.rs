//! `sync-daemon start`.

use std::process::ExitCode;

use telemetry_core::tell;
use tokio::sync::mpsc;

use super::output::{colors_stderr, redacted};
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, Global, settings};
use crate::daemon::{self, DaemonError, Ending, Options};
use crate::signals::{self, Signal};

/// What `start --help` says at the end.
pub(super) const HELP: &str = "Without --config it reads the first that exists of $SYNC_DAEMON_CONFIG, \
./sync-daemon.toml, $XDG_CONFIG_HOME/sync-daemon/config.toml and /etc/sync-daemon/config.toml. \
Every value can be overridden by the environment: SYNC_DAEMON__TELEMETRY__LOG_LEVEL=debug.\n\n\
SIGTERM and SIGINT let running jobs end and write out the log, for daemon.shutdown_timeout_secs at \
most; a second one ends it at once. SIGHUP reads the configuration anew and opens the log file anew. \
RUST_LOG sets levels for single targets.\n\n\
Exit codes: 0 stopped in order, 1 it cannot start or was stopped at once, 2 bad usage or configuration.\n\n\
Examples:\n  sync-daemon start\n  sync-daemon start --config /etc/sync-daemon/config.toml --config local.toml\n  \
RUST_LOG=sync_daemon::telemetry=debug sync-daemon start";

/// Signals that wait while the daemon is busy; more of them say nothing new.
const PENDING_SIGNALS: usize = 8;

/// Runs the daemon in the foreground until SIGTERM or SIGINT; a second one stops
/// it at once.
pub fn run(global: &Global) -> ExitCode {
    let loaded = match settings::load_file(global) {
        Ok(loaded) => loaded,
        Err(code) => return ExitCode::from(code),
    };
    let (sender, receiver) = mpsc::channel(PENDING_SIGNALS);
    let mut stopping = false;
    let watching = signals::watch(move |signal| {
        if signal == Signal::Stop && std::mem::replace(&mut stopping, true) {
            tell("stopped at once; what was pending may be lost");
            std::process::exit(i32::from(EXIT_FAILED));
        }
        // Full: the daemon has more of the same to read already.
        let _ = sender.try_send(signal);
        true
    });
    if let Err(error) = watching {
        tell(&format!("cannot watch for signals: {error}"));
        return ExitCode::from(EXIT_FAILED);
    }
    let options = Options {
        loaded,
        levels: settings::levels(global),
        color: colors_stderr(global),
    };
    match daemon::run(options, receiver) {
        Ok(ending) => {
            tell_of(&ending);
            ExitCode::from(EXIT_OK)
        }
        Err(error @ DaemonError::Telemetry(_)) => {
            tell(&redacted(&format!("sync-daemon: {error}")));
            ExitCode::from(EXIT_USAGE)
        }
        Err(error) => {
            tell(&redacted(&format!("sync-daemon: {error}")));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Says what was left behind; the log is closed already. Whether anybody reads it or not, the daemon ends.
fn tell_of(ending: &Ending) {
    if !ending.jobs_ended {
        tell("a sync job did not end in time");
    }
    if ending.spooled > 0 {
        let count = ending.spooled;
        tell(&format!(
            "{count} log records wait in the spool for the next start"
        ));
    } else if let Err(error) = &ending.telemetry {
        tell(&format!("not all log records were written: {error}"));
    }
}
