//! `sync-daemon sync`: one mirror pass, without any configuration.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressStyle};

use super::one_shot::OneShot;
use super::output::{say, say_parts};
use super::{EXIT_FAILED, EXIT_OK, EXIT_PARTIAL, EXIT_USAGE, Global};
use crate::config;
use crate::mirror::{
    Cancel, Comparison, DEFAULT_FILE_OPERATIONS, DEFAULT_MAX_DELETE, Durability, Filter,
    FilterError, Observer, Operation, Options, Plan, Report, Status, escape, mirror,
};
use crate::signals;

/// Arguments of `sync-daemon sync`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Afterwards the contents of DST are those of SRC; a trailing slash changes \
nothing. DST is created if it is missing, its parent must exist.\n\n\
Refused before anything is touched: a missing SRC, an empty SRC while DST is not empty (an \
unmounted disk looks like this), and SRC and DST that contain each other.\n\n\
Exit codes: 0 done, 1 failed or stopped, 2 bad usage, 3 finished, but some files could not be \
synced (each is named). Files that vanished meanwhile and special files leave it at 0. A dry run changes no mode, so that it \
cannot tell what is in a directory of DST that is closed to its owner: it names it and ends with 3.\n\n\
Examples:\n  sync-daemon sync ~/Documents /backup/Documents --delete\n  \
sync-daemon sync /srv/www /mnt/www --exclude '*.tmp' --exclude 'cache/' --dry-run"
)]
pub struct SyncArgs {
    /// Directory to mirror
    #[arg(value_name = "SRC", value_hint = ValueHint::DirPath)]
    source: PathBuf,
    /// Directory that becomes its mirror
    #[arg(value_name = "DST", value_hint = ValueHint::DirPath)]
    destination: PathBuf,
    /// Delete from DST what SRC does not have
    #[arg(long)]
    delete: bool,
    /// Delete nothing at all if more than N deletions are planned; 0 means no limit
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_DELETE)]
    max_delete: u64,
    /// Only show what would be done, one line for each action
    #[arg(long)]
    dry_run: bool,
    /// Compare contents instead of size and modification time
    #[arg(long)]
    checksum: bool,
    /// Leave out what matches GLOB, in SRC and DST (gitignore syntax, repeatable)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Take in again what an --exclude left out (gitignore syntax, repeatable)
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Copy so many files at once
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FILE_OPERATIONS as u16,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Accept an empty SRC although DST is not empty
    #[arg(long)]
    allow_empty_source: bool,
    /// What survives a power cut right after the run
    #[arg(long, value_name = "WHAT", default_value = "none")]
    durability: DurabilityArg,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// [`Durability`] as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DurabilityArg {
    /// Whatever the kernel has written by then
    None,
    /// Every file is flushed before it takes its name
    File,
    /// The file system is flushed before each batch of files takes its names
    Batch,
}

impl From<DurabilityArg> for Durability {
    fn from(argument: DurabilityArg) -> Self {
        match argument {
            DurabilityArg::None => Self::None,
            DurabilityArg::File => Self::File,
            DurabilityArg::Batch => Self::Batch,
        }
    }
}

/// Runs the command until it is done, or stopped by SIGINT or SIGTERM.
pub fn run(args: &SyncArgs, global: &Global) -> ExitCode {
    let options = match options_of(args) {
        Ok(options) => options,
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let cancel = Cancel::new();
    if let Err(error) = cancel_on_signal(cancel.clone()) {
        say(&format!("error: cannot wait for signals: {error}"));
        return ExitCode::from(EXIT_FAILED);
    }
    let telemetry = match OneShot::start(global, &config::Sanitize::default()) {
        Ok(telemetry) => telemetry,
        Err(code) => return ExitCode::from(code),
    };
    let shows_progress = !args.json && !global.quiet && io::stderr().is_terminal();
    let progress = Progress::new(shows_progress, args.dry_run && !args.json);
    let report = mirror(
        &args.source,
        &args.destination,
        &options,
        &progress,
        &cancel,
    );
    progress.finish();
    telemetry.end();
    name_errors(&report);
    if let Err(error) = print_result(args, global, &report, progress.into_lines()) {
        // Whoever reads only the first lines has what they wanted.
        if error.kind() != io::ErrorKind::BrokenPipe {
            say(&format!("error: cannot write the result: {error}"));
            return ExitCode::from(EXIT_FAILED);
        }
    }
    ExitCode::from(exit_code(report.status))
}

fn options_of(args: &SyncArgs) -> Result<Options, FilterError> {
    let excludes = args.exclude.iter().cloned();
    let includes = args.include.iter().map(|pattern| format!("!{pattern}"));
    let comparison = if args.checksum {
        Comparison::Checksum
    } else {
        Comparison::SizeMtime
    };
    Ok(Options {
        delete: args.delete,
        max_delete: args.max_delete,
        // Whoever asks for deletion on the command line has named the limit in files.
        max_delete_percent: 0,
        allow_empty_source: args.allow_empty_source,
        comparison,
        durability: args.durability.into(),
        dry_run: args.dry_run,
        filter: Filter::parse(excludes.chain(includes))?,
        file_operations: usize::from(args.threads),
        ..Options::default()
    })
}

pub(super) fn exit_code(status: Status) -> u8 {
    match status {
        Status::Success => EXIT_OK,
        Status::Partial => EXIT_PARTIAL,
        Status::Failed | Status::Cancelled => EXIT_FAILED,
    }
}

/// Stops the run at the first signal, and the process at the second.
pub(super) fn cancel_on_signal(cancel: Cancel) -> io::Result<()> {
    signals::watch(move |_| {
        if cancel.is_cancelled() {
            std::process::exit(i32::from(EXIT_FAILED));
        }
        cancel.cancel();
        true
    })
}

/// Shows how far the run is, and keeps the plan of a dry run.
struct Progress {
    bar: ProgressBar,
    /// `None`: nobody wants to see the plan.
    lines: Option<Mutex<Vec<String>>>,
}

impl Progress {
    fn new(is_shown: bool, keeps_plan: bool) -> Self {
        let bar = if is_shown {
            ProgressBar::no_length()
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style("{spinner} {human_pos} files looked at  {elapsed}"));
        if is_shown {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self {
            bar,
            lines: keeps_plan.then(Mutex::default),
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn into_lines(self) -> Vec<String> {
        let lines = self.lines.unwrap_or_default();
        lines.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress {
    fn scanned(&self, entries: u64) {
        self.bar.inc(entries);
    }

    fn planned(&self, plan: &Plan) {
        if let Some(lines) = &self.lines {
            *lines.lock().unwrap_or_else(PoisonError::into_inner) = lines_of(plan);
            return;
        }
        self.bar.reset();
        self.bar.set_length(plan.totals().bytes);
        self.bar.set_style(style(
            "{bar:30} {percent:>3}%  {decimal_bytes} of {decimal_total_bytes}  \
             {decimal_bytes_per_sec}  {eta} left",
        ));
    }

    fn bytes_written(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

pub(super) fn lines_of(plan: &Plan) -> Vec<String> {
    use std::os::unix::ffi::OsStrExt;
    let mut lines = Vec::new();
    let visited: Result<(), std::convert::Infallible> = plan.try_for_each(|action| {
        let path = escape(action.path.as_os_str().as_bytes());
        let slash = if action.is_directory { "/" } else { "" };
        lines.push(format!("{} {path}{slash}", action.operation.as_str()));
        Ok(())
    });
    match visited {
        Ok(()) => lines,
    }
}

pub(super) fn name_errors(report: &Report) {
    for error in &report.errors {
        let error_type = format!(" [{}]", error.error_type);
        say_parts(&[&error.path, ": ", &error.message, &error_type]);
    }
    if report.errors_omitted > 0 {
        say(&format!("and {} more errors", report.errors_omitted));
    }
}

fn print_result(
    args: &SyncArgs,
    global: &Global,
    report: &Report,
    plan: Vec<String>,
) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)?;
        return out.flush();
    }
    for line in plan {
        writeln!(out, "{line}")?;
    }
    if !global.quiet {
        write_summary(&mut out, args.dry_run, report)?;
    }
    out.flush()
}

fn write_summary(out: &mut impl Write, dry_run: bool, report: &Report) -> io::Result<()> {
    let headline = match (report.status, dry_run) {
        (Status::Success, false) => "Done",
        (Status::Success, true) => "Dry run, nothing was touched",
        (Status::Partial, _) => "Finished, but not everything could be synced",
        (Status::Failed, _) => "Failed",
        (Status::Cancelled, _) => "Stopped on request",
    };
    let seconds = report.duration.as_secs_f64();
    writeln!(out, "{headline} ({seconds:.2} s)")?;
    if report.status == Status::Failed && report.files_processed() + report.unchanged == 0 {
        // Refused: the reason has been told, and there is nothing to count.
        return Ok(());
    }
    let tense = |operation: Operation| match dry_run {
        true => format!("to {}", operation.as_str()),
        false => operation.done_str().to_owned(),
    };
    let always = [
        (tense(Operation::Create), report.created),
        (tense(Operation::Update), report.updated),
        (tense(Operation::Delete), report.deleted),
        ("unchanged".to_owned(), report.unchanged),
    ];
    for (label, count) in always {
        write_count(out, &label, count)?;
    }
    let exceptions = [
        ("skipped (special files)", report.skipped),
        ("vanished meanwhile", report.vanished),
        ("failed", report.failed),
        ("deletions withheld", report.deletions_withheld),
    ];
    for (label, count) in exceptions.into_iter().filter(|(_, count)| *count > 0) {
        write_count(out, label, count)?;
    }
    let bytes = DecimalBytes(report.bytes_transferred);
    let label = if dry_run {
        "to transfer"
    } else {
        "transferred"
    };
    if dry_run || report.bytes_transferred == 0 || seconds < 0.001 {
        return writeln!(out, "  {label:<24}{bytes:>12}");
    }
    // Exact enough for people: the fraction of a byte is lost.
    let rate = DecimalBytes((report.bytes_transferred as f64 / seconds) as u64);
    writeln!(out, "  {label:<24}{bytes:>12}  ({rate}/s)")
}

fn write_count(out: &mut impl Write, label: &str, count: u64) -> io::Result<()> {
    let count = HumanCount(count).to_string();
    writeln!(out, "  {label:<24}{count:>12}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        sync: SyncArgs,
    }

    fn parse(arguments: &[&str]) -> SyncArgs {
        let command = Command::try_parse_from([&["sync"], arguments].concat());
        command.expect("valid arguments").sync
    }

    #[test]
    fn without_delete_nothing_may_be_deleted() {
        let options = options_of(&parse(&["a", "b"])).expect("valid");
        assert!(!options.delete);
        assert_eq!(options.max_delete, DEFAULT_MAX_DELETE);
    }

    #[test]
    fn includes_take_in_again_what_excludes_left_out() {
        let arguments = parse(&["a", "b", "--include", "keep.log", "--exclude", "*.log"]);
        let filter = options_of(&arguments).expect("valid").filter;
        assert!(filter.excludes("x.log".as_ref(), false));
        assert!(!filter.excludes("keep.log".as_ref(), false));
    }

    #[test]
    fn bad_pattern_is_an_error_of_usage() {
        let arguments = parse(&["a", "b", "--exclude", "x[y"]);
        assert!(options_of(&arguments).is_err());
    }

    #[test]
    fn summary_names_exceptions_only_when_there_are_some() {
        let missing = crate::error_type::ErrorType::SourceMissing;
        let mut report = Report::refused("x".into(), missing, "gone".into());
        let text = |report: &Report| {
            let mut out = Vec::new();
            write_summary(&mut out, false, report).expect("a vector takes everything");
            String::from_utf8(out).expect("text")
        };
        assert!(text(&report).starts_with("Failed"));
        assert!(!text(&report).contains("unchanged"));
        report.unchanged = 1;
        assert!(!text(&report).contains("vanished"));
        report.vanished = 1234;
        assert!(text(&report).contains("1,234"));
    }
}
