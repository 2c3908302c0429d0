//! `sync-daemon trigger JOB`.

use std::process::ExitCode;

use clap::Args;

use super::output::{print, say};
use super::{EXIT_FAILED, EXIT_OK, EXIT_PARTIAL, Global, settings};
use crate::control::{self, Reply, Request};
use crate::state_dir::control_socket;

/// Arguments of `trigger`.
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// The id of the job
    pub job: String,
    /// Wait until the run has ended, print its summary, and exit as it ended
    #[arg(long)]
    pub wait: bool,
}

/// Asks the running daemon for a run of a job.
pub fn run(args: &TriggerArgs, global: &Global) -> ExitCode {
    let code = settings::load(global).map_or_else(
        |code| code,
        |found| {
            let socket = control_socket(&found.loaded.config.daemon.state_dir);
            let request = Request::Trigger {
                job: args.job.clone(),
                wait: args.wait,
            };
            match control::ask(&socket, &request) {
                Ok(Reply::Finished(summary)) => finished(&summary),
                Ok(_) => print(&format!("triggered {}\n", args.job)),
                Err(error) => {
                    say(&format!("sync-daemon: {error}"));
                    EXIT_FAILED
                }
            }
        },
    );
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
