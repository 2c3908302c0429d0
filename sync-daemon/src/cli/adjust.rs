//! `sync-daemon reload` and `sync-daemon log-level LEVEL`: a running daemon
//! changes its ways.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Global;
use super::ask::{ask, unexpected};
use super::output::print;
use crate::control::{ReloadReport, Reply, Request};

/// What `reload --help` says at the end.
pub(super) const RELOAD_HELP: &str = "The new configuration is checked first; if anything is wrong, \
all of it is said and nothing changes. Jobs, watchers, [concurrency], the log level and the shutdown \
timeout are in force at once; runs that are under way end under the old ones. What needs a restart is \
named.\n\n\
Exit codes: 0 reloaded, 1 no daemon runs or it refused, 2 the configuration is wrong.";

/// Arguments of `log-level`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The level holds for every target, over RUST_LOG, the command line and the \
configuration, until it is taken back by `default`, the time is over, or the daemon ends.\n\n\
Example:\n  sync-daemon log-level debug --for 10m"
)]
pub struct LogLevelArgs {
    /// The level of every target
    #[arg(value_name = "LEVEL")]
    level: LevelArg,
    /// Take it back after this long, like 10m or 1h 30m
    #[arg(long = "for", value_name = "TIME", value_parser = whole_seconds)]
    limit: Option<Duration>,
}

/// A level as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LevelArg {
    /// Log nothing
    Off,
    /// Errors only
    Error,
    /// And warnings
    Warn,
    /// And what the daemon does
    Info,
    /// And each file
    Debug,
    /// And each file looked at
    Trace,
    /// What RUST_LOG, the command line and the configuration say
    Default,
}

impl LevelArg {
    fn name(self) -> Option<String> {
        let name = match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
            Self::Default => return None,
        };
        Some(name.to_owned())
    }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) {
        return Err("at least one second".to_owned());
    }
    Ok(duration)
}

/// Sets the level of the running daemon.
pub fn log_level(args: &LogLevelArgs, global: &Global) -> ExitCode {
    let request = Request::LogLevel {
        level: args.level.name(),
        for_secs: args.limit.map(|limit| limit.as_secs()),
    };
    let code = match ask(&request, global) {
        Ok(Reply::LogLevel(in_force)) => {
            let limit = args.limit.filter(|_| args.level != LevelArg::Default);
            let limit = limit.map_or(String::new(), |limit| {
                format!(" for {}", humantime::format_duration(limit))
            });
            print(&format!("log level: {in_force}{limit}\n"))
        }
        Ok(other) => unexpected(&other),
        Err(code) => code,
    };
    ExitCode::from(code)
}

/// Has the running daemon read its configuration anew.
pub fn reload(global: &Global) -> ExitCode {
    let code = match ask(&Request::Reload, global) {
        Ok(Reply::Reloaded(report)) => print(&for_people(&report)),
        Ok(other) => unexpected(&other),
        Err(code) => code,
    };
    ExitCode::from(code)
}

fn for_people(report: &ReloadReport) -> String {
    let mut text = match report.changed.as_slice() {
        [] => "reloaded; nothing has changed\n".to_owned(),
        keys => format!("reloaded; in force now: {}\n", keys.join(", ")),
    };
    if !report.needs_restart.is_empty() {
        let keys = report.needs_restart.join(", ");
        text.push_str(&format!("not in force without a restart: {keys}\n"));
    }
    text
}
