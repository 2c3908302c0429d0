//! `sync-daemon spool stat | verify | export`: what has not been uploaded.

use std::error::Error as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use telemetry_core::LEVELS;
use telemetry_pocketbase::PocketBaseError;
use telemetry_pocketbase::leftovers::{Leftovers, SpoolStat};

use super::output::{print, say};
use super::{EXIT_FAILED, EXIT_OK, Global, settings};

/// Arguments of `spool`.
#[derive(Debug, Args)]
pub struct SpoolArgs {
    /// What to do with the spool.
    #[command(subcommand)]
    pub command: SpoolCommand,
}

/// The commands of `spool`. None of them works while the daemon uses the spool.
#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// Count the records that wait for upload
    Stat,
    /// Read every page and every record; fails if something is damaged
    Verify,
    /// Print the records as JSON lines, oldest first; they stay in the spool
    Export,
}

/// Runs `spool`.
pub fn run(args: &SpoolArgs, global: &Global) -> ExitCode {
    let config = match settings::load(global) {
        Ok(found) => found.loaded.config,
        Err(code) => return ExitCode::from(code),
    };
    let leftovers = Leftovers::of(&config.daemon.state_dir);
    let done = match args.command {
        SpoolCommand::Stat => stat(&leftovers),
        SpoolCommand::Verify => verify(&leftovers),
        SpoolCommand::Export => export(&leftovers),
    };
    ExitCode::from(done.unwrap_or_else(|error| complain(&error)))
}

/// Says what went wrong and why; the exit code.
pub(super) fn complain(error: &PocketBaseError) -> u8 {
    let mut text = format!("sync-daemon: {error}");
    if let Some(cause) = error.source() {
        text.push_str(&format!(": {cause}"));
    }
    if let PocketBaseError::Spool { source, .. } = error
        && matches!(source, telemetry_pocketbase::delivery::SpoolError::InUse)
    {
        text.push_str("; stop the daemon first, `sync-daemon status` shows what it has pending");
    }
    say(&text);
    EXIT_FAILED
}

fn stat(leftovers: &Leftovers) -> Result<u8, PocketBaseError> {
    let text = match leftovers.stat()? {
        None => "no spool\n".to_owned(),
        Some(stat) => described(&stat),
    };
    Ok(print(&text))
}

fn described(stat: &SpoolStat) -> String {
    let mut text = format!("{}\n", stat.path.display());
    let total = stat.holdings.total();
    text.push_str(&format!("records  {total}\n"));
    for (level, count) in LEVELS.iter().zip(stat.holdings.records) {
        if count > 0 {
            text.push_str(&format!("  {level:<6} {count}\n"));
        }
    }
    text.push_str(&format!("bytes    {}\n", stat.holdings.bytes));
    text.push_str(&format!("file     {}\n", stat.file_bytes));
    if let Some(oldest) = &stat.oldest {
        text.push_str(&format!("oldest   {oldest}\n"));
    }
    if stat.breaker_was_open {
        text.push_str("breaker  was open: the server did not work\n");
    }
    text
}

fn verify(leftovers: &Leftovers) -> Result<u8, PocketBaseError> {
    let Some((good, bad)) = leftovers.verify()? else {
        return Ok(print("no spool\n"));
    };
    let printed = print(&format!(
        "{good} records are in order, {bad} make no sense\n"
    ));
    Ok(if bad == 0 { printed } else { EXIT_FAILED })
}

fn export(leftovers: &Leftovers) -> Result<u8, PocketBaseError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match leftovers.export(&mut out) {
        // A reader that has read enough is no failure.
        Err(PocketBaseError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
            Ok(EXIT_OK)
        }
        Err(error) => Err(error),
        Ok(count) => {
            // It was flushed already.
            let _ = out.flush();
            say(&format!("{count} records"));
            Ok(EXIT_OK)
        }
    }
}
