//! `cargo xtask bench`: the project beside its peers, interleaved, on this machine.
//!
//! Figures of different runs are not comparable: machines differ, and so does what else they do. Within one run everybody
//! meets the same machine, so that the ratios can be compared. `BENCHMARKS.md` holds what was measured last.

mod files; // log files
mod history; // the log that is read back
mod idle; // the daemon that does nothing
mod logging; // log pipelines
mod machine; // where it was measured
mod measure; // one timed run
mod mirror; // mirroring directories
mod overhead; // what telemetry costs the daemon
mod sanitize; // redaction
mod upload; // records on their way to a server
mod workload; // what is mirrored

use anyhow::{Result, bail};
use xshell::Shell;

/// What `cargo xtask bench` understands.
pub(crate) const USAGE: &str = "\
  bench files [--rounds N]   `logs` beside xzcat, jq and grep, and what callers feel of a rotation; 1 GB below target/
  bench idle [--seconds N]   how soon the daemon is there, and what it costs when it does nothing
  bench logging [--rounds N] [--contestant NAME]...
                             the log pipeline beside tracing-appender, slog, spdlog-rs and logforth
  bench mirror [--rounds N] [--scenario NAME]... [--directory DIR]
                             the mirror engine beside rsync, rclone and cp; DIR gets 10 GB
  bench overhead [--rounds N] [--directory DIR]
                             the daemon with telemetry on and off, by CPU time and by instructions
  bench sanitize [--rounds N]
                             redaction of a record, beside a list of regular expressions
  bench upload [--rounds N] [--backlog N]
                             uploads to a real PocketBase beside bare clients; a backlog of N records (0: none)
";

/// Runs the benchmark that is named first.
///
/// # Errors
/// If there is no such benchmark, if it is asked for wrongly, or if a contestant fails.
pub(crate) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    match args.split_first() {
        Some((name, options)) if name == "files" => files::run(shell, options),
        Some((name, options)) if name == "idle" => idle::run(shell, options),
        Some((name, options)) if name == "logging" => logging::run(shell, options),
        Some((name, options)) if name == "mirror" => mirror::run(shell, options),
        Some((name, options)) if name == "overhead" => overhead::run(shell, options),
        Some((name, options)) if name == "sanitize" => sanitize::run(shell, options),
        Some((name, options)) if name == "upload" => upload::run(shell, options),
        _ => bail!("which benchmark?\n{USAGE}"),
    }
}
