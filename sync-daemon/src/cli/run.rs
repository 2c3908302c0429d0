//! `sync-daemon run JOB...`: one pass of configured jobs, without a daemon.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use indicatif::{DecimalBytes, HumanCount};
use serde_json::{Value, json};

use super::one_shot::OneShot;
use super::output::{print, say};
use super::settings::load_file;
use super::sync::{cancel_on_signal, exit_code, lines_of, name_errors};
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, Global};
use crate::config::{Config, SyncJob};
use crate::jobs::{self, Job, RunSummary, Trigger};
use crate::mirror::{Cancel, Observer, Operation, Plan, Report, Status};

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The jobs run one after another, in the order given. A running daemon is not \
asked; a destination that it works on at the moment is refused as `locked`.\n\n\
--json prints one object a job, each on a line: the keys of `sync --json`, with job_id, job_name \
and started_at.\n\n\
Exit codes: 0 all done, 1 a job failed or was stopped, 2 bad usage or configuration, 3 finished, \
but some files could not be synced (each is named).\n\n\
Examples:\n  sync-daemon run documents photos\n  sync-daemon run --all --dry-run"
)]
pub struct RunArgs {
    /// The ids of the jobs
    #[arg(value_name = "JOB", required_unless_present = "all")]
    jobs: Vec<String>,
    /// Every job that is enabled
    #[arg(long, conflicts_with = "jobs")]
    all: bool,
    /// Only show what would be done, one line for each action
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a job
    #[arg(long)]
    json: bool,
}

/// Runs the command until the jobs are done, or stopped by SIGINT or SIGTERM.
pub fn run(args: &RunArgs, global: &Global) -> ExitCode {
    ExitCode::from(try_run(args, global).unwrap_or_else(|code| code))
}

fn try_run(args: &RunArgs, global: &Global) -> Result<u8, u8> {
    let config = load_file(global)?.config;
    let jobs = chosen(&config, args).map_err(|error| {
        say(&format!("sync-daemon: {error}"));
        EXIT_USAGE
    })?;
    let cancel = Cancel::new();
    cancel_on_signal(cancel.clone()).map_err(|error| {
        say(&format!("sync-daemon: cannot wait for signals: {error}"));
        EXIT_FAILED
    })?;
    let telemetry = OneShot::start(global, &config.telemetry.sanitize)?;
    let mut worst = EXIT_OK;
    for job in jobs {
        if cancel.is_cancelled() {
            break;
        }
        let job = Job::new(&job, &config.concurrency);
        let code = run_one(&job, args, global, &cancel);
        worst = worse(worst, code);
    }
    telemetry.end();
    Ok(worst)
}

/// The jobs to run, in the order to run them.
fn chosen(config: &Config, args: &RunArgs) -> Result<Vec<SyncJob>, String> {
    let mut jobs = Vec::new();
    if args.all {
        jobs.extend(config.sync_jobs.iter().filter(|job| job.enabled).cloned());
    }
    for id in &args.jobs {
        let job = config.sync_jobs.iter().find(|job| job.id == *id);
        jobs.push(job.cloned().ok_or_else(|| unknown(id, config))?);
    }
    for job in &mut jobs {
        job.sync_options.dry_run |= args.dry_run;
    }
    Ok(jobs)
}

fn unknown(id: &str, config: &Config) -> String {
    let known: Vec<&str> = config.sync_jobs.iter().map(|job| job.id.as_str()).collect();
    format!("no job has the id `{id}`; there are: {}", known.join(", "))
}

/// Failed is worse than partial, although its code is less.
fn worse(one: u8, other: u8) -> u8 {
    if one == EXIT_FAILED || other == EXIT_FAILED {
        EXIT_FAILED
    } else {
        one.max(other)
    }
}

fn run_one(job: &Job, args: &RunArgs, global: &Global, cancel: &Cancel) -> u8 {
    let shows_plan = job.options.dry_run && !args.json;
    let planned = Planned {
        lines: shows_plan.then(Mutex::default),
    };
    let summary = jobs::run(job, Trigger::Manual, &planned, cancel);
    name_errors(&summary.report);
    let text = if args.json {
        format!("{}\n", as_json(job, &summary))
    } else if global.quiet && !shows_plan {
        String::new()
    } else {
        planned.into_text() + &for_people(job, &summary.report)
    };
    worse(print(&text), exit_code(summary.report.status))
}

/// Keeps the plan of a dry run.
struct Planned {
    /// `None`: nobody wants to see it.
    lines: Option<Mutex<Vec<String>>>,
}

impl Planned {
    fn into_text(self) -> String {
        let lines = self.lines.unwrap_or_default();
        let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

impl Observer for Planned {
    fn planned(&self, plan: &Plan) {
        if let Some(lines) = &self.lines {
            *lines.lock().unwrap_or_else(PoisonError::into_inner) = lines_of(plan);
        }
    }
}

fn as_json(job: &Job, summary: &RunSummary) -> Value {
    let mut object = json!({
        "job_id": job.id,
        "job_name": job.name,
        "started_at": summary.started_at.to_string(),
    });
    // A report is plain data, and always an object.
    if let (Some(object), Ok(Value::Object(report))) = (
        object.as_object_mut(),
        serde_json::to_value(&summary.report),
    ) {
        object.extend(report);
    }
    object
}

/// One line: how it went, and what was done.
fn for_people(job: &Job, report: &Report) -> String {
    let dry_run = job.options.dry_run;
    let how = match (report.status, dry_run) {
        (Status::Success, false) => "done",
        (Status::Success, true) => "dry run, nothing was touched",
        (Status::Partial, _) => "finished, but not everything could be synced",
        (Status::Failed, _) => "failed",
        (Status::Cancelled, _) => "stopped on request",
    };
    let done = |operation: Operation, count: u64| {
        let count = HumanCount(count);
        match dry_run {
            true => format!("{count} to {}", operation.as_str()),
            false => format!("{count} {}", operation.done_str()),
        }
    };
    let mut parts = vec![
        done(Operation::Create, report.created),
        done(Operation::Update, report.updated),
        done(Operation::Delete, report.deleted),
        format!("{} unchanged", HumanCount(report.unchanged)),
    ];
    if report.failed > 0 {
        parts.push(format!("{} failed", HumanCount(report.failed)));
    }
    format!(
        "{}: {how} ({:.2} s): {}, {}\n",
        job.id,
        report.duration.as_secs_f64(),
        parts.join(", "),
        DecimalBytes(report.bytes_transferred),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::EXIT_PARTIAL;

    fn config() -> Config {
        let job = |id: &str, enabled| SyncJob {
            id: id.to_owned(),
            enabled,
            ..SyncJob::default()
        };
        Config {
            sync_jobs: vec![job("a", true), job("b", false), job("c", true)],
            ..Config::default()
        }
    }

    fn args(jobs: &[&str], all: bool) -> RunArgs {
        RunArgs {
            jobs: jobs.iter().map(|&id| id.to_owned()).collect(),
            all,
            dry_run: true,
            json: false,
        }
    }

    #[test]
    fn all_means_those_that_are_enabled_and_a_name_means_that_one() {
        let ids = |args: &RunArgs| -> Vec<String> {
            let jobs = chosen(&config(), args).unwrap();
            assert!(jobs.iter().all(|job| job.sync_options.dry_run));
            jobs.into_iter().map(|job| job.id).collect()
        };
        assert_eq!(ids(&args(&[], true)), ["a", "c"]);
        assert_eq!(ids(&args(&["c", "b"], false)), ["c", "b"]);
        let error = chosen(&config(), &args(&["d"], false)).unwrap_err();
        assert_eq!(error, "no job has the id `d`; there are: a, b, c");
    }

    #[test]
    fn the_worst_end_is_the_exit_code() {
        assert_eq!(worse(EXIT_OK, EXIT_PARTIAL), EXIT_PARTIAL);
        assert_eq!(worse(EXIT_PARTIAL, EXIT_FAILED), EXIT_FAILED);
        assert_eq!(worse(EXIT_FAILED, EXIT_PARTIAL), EXIT_FAILED);
    }
}
