//! `sync-daemon status`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::output::{print, say};
use super::{EXIT_FAILED, Global, settings};
use crate::control::{self, Reply, Request, SinkReport, StatusReport};
use crate::state_dir::control_socket;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Asks the running daemon how it is.
pub fn run(args: &StatusArgs, global: &Global) -> ExitCode {
    let code = settings::load(global).map_or_else(
        |code| code,
        |found| {
            let socket = control_socket(&found.loaded.config.daemon.state_dir);
            match control::ask(&socket, &Request::Status) {
                Ok(Reply::Status(status)) => show(&status, args.json),
                Ok(_) => {
                    say("sync-daemon: the daemon answered something else than its status");
                    EXIT_FAILED
                }
                Err(error) => {
                    say(&format!("sync-daemon: {error}"));
                    EXIT_FAILED
                }
            }
        },
    );
    ExitCode::from(code)
}

fn show(status: &StatusReport, json: bool) -> u8 {
    if !json {
        return print(&for_people(status));
    }
    match serde_json::to_string_pretty(status) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => {
            say(&format!("sync-daemon: the status is no JSON: {error}"));
            EXIT_FAILED
        }
    }
}

fn for_people(status: &StatusReport) -> String {
    let mut out = String::new();
    let uptime = std::time::Duration::from_secs(status.uptime_secs);
    let uptime = humantime::format_duration(uptime);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "sync-daemon {} is {}, pid {}, up {uptime}",
        status.version, status.state, status.pid
    );
    let _ = writeln!(out, "daemon   {}", status.daemon_id);
    let _ = writeln!(out, "session  {}", status.session_id);
    let metrics = status.metrics.as_deref().unwrap_or("off");
    let _ = writeln!(out, "metrics  {metrics}");
    for note in &status.notes {
        let _ = writeln!(out, "note     {note}");
    }
    let _ = writeln!(out, "\njobs");
    if status.jobs.is_empty() {
        let _ = writeln!(out, "  none");
    }
    for job in &status.jobs {
        let _ = writeln!(out, "  {}", job_line(job));
    }
    let _ = writeln!(out, "\nlog records");
    for sink in &status.sinks {
        let _ = writeln!(out, "  {}", sink_line(sink));
    }
    out
}

fn job_line(job: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let last = &job["last_run"];
    let last = if last.is_null() {
        "has not run yet".to_owned()
    } else {
        let report = &last["report"];
        format!(
            "last run {} ({}, {} created, {} updated, {} deleted, {} failed)",
            text(&report["status"]),
            text(&last["started_at"]),
            report["created"],
            report["updated"],
            report["deleted"],
            report["failed"]
        )
    };
    let next = job["next_run"]
        .as_str()
        .map_or(String::new(), |time| format!(", next {time}"));
    let disabled = if job["enabled"] == Value::Bool(false) {
        " (disabled)"
    } else {
        ""
    };
    format!(
        "{}{disabled}: {}, {last}{next}",
        text(&job["id"]),
        text(&job["state"])
    )
}

fn sink_line(sink: &SinkReport) -> String {
    let mut line = format!(
        "{}: {}, {} accepted, {} delivered, {} pending, {} dropped, {} rejected",
        sink.sink,
        sink.health,
        sink.accepted,
        sink.delivered,
        sink.pending,
        sink.dropped,
        sink.rejected
    );
    for (reason, count) in &sink.lost {
        let _ = write!(line, ", {count} lost by {reason}");
    }
    line
}
