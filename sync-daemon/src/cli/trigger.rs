//! `sync-daemon trigger JOB` and `sync-daemon cancel JOB`.

use std::process::ExitCode;

use clap::Args;

use super::ask::{ask, unexpected};
use super::output::print;
use super::{EXIT_FAILED, EXIT_OK, EXIT_PARTIAL, Global};
use crate::control::{Reply, Request};

/// Arguments of `trigger`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "A job that waits for its turn already runs once for all who asked; one that \
runs now runs once more.\n\n\
Exit codes: 0 asked for (with --wait: done), 1 no daemon runs, no such job, or the run failed, 3 with \
--wait: finished, but some files could not be synced."
)]
pub struct TriggerArgs {
    /// The id of the job
    pub job: String,
    /// Wait until the run has ended, print its summary, and exit as it ended
    #[arg(long)]
    pub wait: bool,
}

/// Arguments of `cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The id of the job
    pub job: String,
}

/// Asks the running daemon for a run of a job.
pub fn run(args: &TriggerArgs, global: &Global) -> ExitCode {
    let request = Request::Trigger {
        job: args.job.clone(),
        wait: args.wait,
    };
    let code = match ask(&request, global) {
        Ok(Reply::Triggered) => print(&format!("triggered {}\n", args.job)),
        Ok(Reply::Finished(summary)) => finished(&summary),
        Ok(other) => unexpected(&other),
        Err(code) => code,
    };
    ExitCode::from(code)
}

/// Asks the running daemon to stop a job.
pub fn cancel(args: &CancelArgs, global: &Global) -> ExitCode {
    let request = Request::Cancel {
        job: args.job.clone(),
    };
    let code = match ask(&request, global) {
        Ok(Reply::Cancelled(was)) => print(&format!("cancelled {} ({was})\n", args.job)),
        Ok(other) => unexpected(&other),
        Err(code) => code,
    };
    ExitCode::from(code)
}

/// Prints the summary of a run; the exit code is the one of `run`.
fn finished(summary: &serde_json::Value) -> u8 {
    let printed = print(&format!("{summary:#}\n"));
    let ended = match summary["report"]["status"].as_str() {
        Some("success") => EXIT_OK,
        Some("partial") => EXIT_PARTIAL,
        _ => EXIT_FAILED,
    };
    ended.max(printed)
}
