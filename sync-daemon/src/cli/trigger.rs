//! `sync-daemon trigger JOB` and `sync-daemon cancel JOB`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{DecimalBytes, HumanCount};
use serde_json::Value;

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
    /// With --wait: print the summary as JSON, as is done where stdout is no terminal
    #[arg(long, requires = "wait")]
    pub json: bool,
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
        Ok(Reply::Finished(summary)) => finished(args, &summary),
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
fn finished(args: &TriggerArgs, summary: &Value) -> u8 {
    let is_for_people = !args.json && io::stdout().is_terminal();
    let text = match is_for_people {
        true => for_people(&args.job, &summary["report"]),
        false => format!("{summary:#}\n"),
    };
    let printed = print(&text);
    let ended = match summary["report"]["status"].as_str() {
        Some("success") => EXIT_OK,
        Some("partial") => EXIT_PARTIAL,
        _ => EXIT_FAILED,
    };
    ended.max(printed)
}

/// The errors, and one line that says how it went, like that of `run`.
fn for_people(job: &str, report: &Value) -> String {
    let mut text = String::new();
    for error in report["errors"].as_array().into_iter().flatten() {
        let part = |key: &str| error[key].as_str().unwrap_or_default();
        text += &format!(
            "{}: {} [{}]\n",
            part("path"),
            part("message"),
            part("error_type")
        );
    }
    let count = |key: &str| report[key].as_u64().unwrap_or_default();
    let how = match report["status"].as_str() {
        Some("success") => "done",
        Some("partial") => "finished, but not everything could be synced",
        Some("cancelled") => "stopped on request",
        _ => "failed",
    };
    let mut counts: Vec<String> = ["created", "updated", "deleted", "unchanged"]
        .map(|key| format!("{} {key}", HumanCount(count(key))))
        .into();
    if count("failed") > 0 {
        counts.push(format!("{} failed", HumanCount(count("failed"))));
    }
    text + &format!(
        "{job}: {how} ({:.2} s): {}, {}\n",
        Duration::from_millis(count("duration_ms")).as_secs_f64(),
        counts.join(", "),
        DecimalBytes(count("bytes_transferred")),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_read_one_line_like_that_of_run_and_each_error() {
        let report = json!({
            "status": "partial", "duration_ms": 1234, "bytes_transferred": 3,
            "created": 1000, "updated": 0, "deleted": 2, "unchanged": 4, "failed": 1,
            "errors": [{ "path": "a", "message": "cannot open it", "error_type": "permission" }],
        });
        assert_eq!(
            for_people("docs", &report),
            "a: cannot open it [permission]\n\
             docs: finished, but not everything could be synced (1.23 s): \
             1,000 created, 0 updated, 2 deleted, 4 unchanged, 1 failed, 3 B\n"
        );
    }
}
