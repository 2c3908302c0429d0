//! The command line: one module a command, one enum that lists them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub mod adjust;
mod ask;
pub mod config;
#[cfg(feature = "pocketbase")]
pub mod dead_letter;
pub mod documents;
#[cfg(feature = "file")]
pub mod logs;
mod one_shot;
pub mod output;
#[cfg(feature = "pocketbase")]
pub mod pocketbase;
pub mod run;
#[cfg(feature = "sanitize")]
pub mod sanitize;
pub mod settings;
#[cfg(feature = "pocketbase")]
pub mod spool;
pub mod start;
pub mod status;
pub mod sync;
mod table;
pub mod trigger;

/// Everything was done.
pub const EXIT_OK: u8 = 0;
/// The command failed.
pub const EXIT_FAILED: u8 = 1;
/// The command line or the configuration is wrong; nothing was started.
pub const EXIT_USAGE: u8 = 2;
/// Finished, but some files could not be synced; each was named.
pub const EXIT_PARTIAL: u8 = 3;

/// Mirrors directories on schedule, and tells about it in logs and metrics.
#[derive(Debug, Parser)]
#[command(name = "sync-daemon", version = crate::version::long(), propagate_version = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Configuration file; repeat it to let later files override earlier ones
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Log only warnings and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log debug messages too
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to colour the output; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// When to colour output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Even into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground until SIGTERM or SIGINT; SIGHUP reloads
    #[command(after_long_help = start::HELP)]
    Start,
    /// Mirror SRC to DST once, without any configuration
    Sync(sync::SyncArgs),
    /// Run configured jobs once, without a running daemon
    Run(run::RunArgs),
    /// Ask the running daemon to run a job now
    Trigger(trigger::TriggerArgs),
    /// Ask the running daemon to stop the run of a job
    Cancel(trigger::CancelArgs),
    /// Show how the running daemon is
    Status(status::StatusArgs),
    /// Ask the running daemon to read its configuration anew
    #[command(after_long_help = adjust::RELOAD_HELP)]
    Reload,
    /// Change how finely the running daemon logs
    LogLevel(adjust::LogLevelArgs),
    /// Make a PocketBase server ready for the log, or check it
    #[cfg(feature = "pocketbase")]
    #[command(name = "pocketbase")]
    PocketBase(pocketbase::PocketBaseArgs),
    /// Look at the records that wait for upload
    #[cfg(feature = "pocketbase")]
    Spool(spool::SpoolArgs),
    /// Look at the records that the server refused, send them again or drop them
    #[cfg(feature = "pocketbase")]
    DeadLetter(dead_letter::DeadLetterArgs),
    /// Remove secrets and home directories from lines on stdin
    #[cfg(feature = "sanitize")]
    Sanitize(sanitize::SanitizeArgs),
    /// Search the log file and its archives, or follow it
    #[cfg(feature = "file")]
    Logs(logs::LogsArgs),
    /// Write, check or show the configuration
    Config(config::ConfigArgs),
    /// Print a hardened unit for systemd
    Systemd,
    /// Print completions for a shell
    Completions(documents::CompletionsArgs),
    /// Print the manual page
    Man,
}

/// Parses the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    output::say_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.command {
        Command::Start => start::run(&cli.global),
        Command::Sync(args) => sync::run(&args, &cli.global),
        Command::Run(args) => run::run(&args, &cli.global),
        Command::Trigger(args) => trigger::run(&args, &cli.global),
        Command::Cancel(args) => trigger::cancel(&args, &cli.global),
        Command::Status(args) => status::run(&args, &cli.global),
        #[cfg(feature = "pocketbase")]
        Command::PocketBase(args) => pocketbase::run(&args, &cli.global),
        #[cfg(feature = "pocketbase")]
        Command::Spool(args) => spool::run(&args, &cli.global),
        #[cfg(feature = "pocketbase")]
        Command::DeadLetter(args) => dead_letter::run(&args, &cli.global),
        #[cfg(feature = "sanitize")]
        Command::Sanitize(args) => sanitize::run(&args, &cli.global),
        Command::Reload => adjust::reload(&cli.global),
        Command::LogLevel(args) => adjust::log_level(&args, &cli.global),
        #[cfg(feature = "file")]
        Command::Logs(args) => logs::run(&args, &cli.global),
        Command::Config(args) => config::run(&args, &cli.global),
        Command::Systemd => documents::systemd(),
        Command::Completions(args) => documents::completions(&args),
        Command::Man => documents::man(),
    }
}

/// Prints what clap has to say. It repeats arguments, and one may hold a secret.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    if error.use_stderr() && output::redacted(&text) != text {
        output::say(text.trim_end());
    } else {
        // Nobody is left to be told that it failed.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE))
}
