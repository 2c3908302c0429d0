//! `sync-daemon sanitize`: what the rules make of a file, before production.

use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::process::ExitCode;

use clap::Args;
use telemetry_sanitize::{Lines, Sanitizer};

use super::output::say;
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, Global, settings};
use crate::config;
use crate::telemetry;

/// Arguments of `sanitize`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Reads lines on stdin and writes each, sanitized, on stdout. A line of JSON (a record of the log, \
say) is sanitized by its names and values, all else as text.\n\n\
The rules are those of `telemetry.sanitize` in the file that `--config` names, or else the built-in ones.\n\n\
  journalctl -u app | sync-daemon sanitize --report > /dev/null"
)]
pub struct SanitizeArgs {
    /// Say on stderr how often each rule replaced something
    #[arg(long)]
    pub report: bool,
}

/// Runs `sanitize`.
pub fn run(args: &SanitizeArgs, global: &Global) -> ExitCode {
    ExitCode::from(match sanitizer(global) {
        Ok(sanitizer) => {
            let code = filter(&sanitizer);
            if args.report {
                say(report(&sanitizer).trim_end());
            }
            code
        }
        Err(code) => code,
    })
}

/// The rules of the named files; the files of the usual places are left alone,
/// so that a trial means the same everywhere.
fn sanitizer(global: &Global) -> Result<Sanitizer, u8> {
    let config = if global.config.is_empty() {
        config::Config::default()
    } else {
        settings::load(global)?.loaded.config
    };
    let settings = &config.telemetry.sanitize;
    telemetry::keyed_sanitizer(settings, &config.daemon.state_dir).map_err(|error| {
        say(&format!("sync-daemon: {error}"));
        EXIT_USAGE
    })
}

fn filter(sanitizer: &Sanitizer) -> u8 {
    match copy(sanitizer) {
        Ok(()) => EXIT_OK,
        // A reader that has read enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => EXIT_OK,
        Err(error) => {
            say(&format!(
                "sync-daemon: cannot sanitize standard input: {error}"
            ));
            EXIT_FAILED
        }
    }
}

/// Line for line; what stands between lines, and a missing break at the end, stays.
fn copy(sanitizer: &Sanitizer) -> io::Result<()> {
    let mut lines = Lines::new(sanitizer);
    let mut input = BufReader::new(io::stdin().lock());
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let content = text.trim_end_matches(['\n', '\r']);
        out.write_all(lines.next(content).as_bytes())?;
        out.write_all(&text.as_bytes()[content.len()..])?;
        line.clear();
        // Whoever writes line by line wants to read them so too.
        if input.buffer().is_empty() {
            out.flush()?;
        }
    }
    out.flush()
}

fn report(sanitizer: &Sanitizer) -> String {
    let redactions = sanitizer.redactions();
    let used = redactions.iter().filter(|(_, count)| *count > 0);
    let lines: Vec<_> = used
        .map(|(rule, count)| format!("{count:8} {rule}"))
        .collect();
    if lines.is_empty() {
        return "nothing was replaced".to_owned();
    }
    lines.join("\n")
}
