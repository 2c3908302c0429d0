//! `sync-daemon logs`: the log file and its archives as one log.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use regex::bytes::Regex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use telemetry_core::Pretty;
use telemetry_file::FileError;
use telemetry_file::read::{Follower, Line, LogReader, Merged, Query};
use tracing::Level;

use super::output::{colors_stdout, say};
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, Global, settings};
use crate::mirror::escape;

/// How often a log that is followed is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);

/// What stands for standard input among the files, and where it is.
const STDIN_NAME: &str = "-";
const STDIN_PATH: &str = "/dev/stdin";

/// With how many lines following begins, as `tail -f` and `journalctl -f` do.
const LINES_BEFORE_FOLLOWING: u64 = 10;

/// Arguments of `logs`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Without FILE the log of the configuration is read. A FILE that is an active log brings its archives; an \
archive (.log.xz, .log) is read alone, and so is what comes through a pipe: zcat old.log.gz | sync-daemon logs -. Several logs are merged by time. Archives and parts of archives that lie outside of \
--since and --until are not unpacked.\n\n\
A TIME is RFC 3339 (2026-11-23T12:00:00Z, 2026-11-23T13:00:00+01:00) or a duration before now (90s, 10m, 2h, 3d).\n\n\
Lines that are no records (plain text, a line cut by a crash) are shown as they are, unless --since, --until, --level, --target, \
--field or --output json ask for what only a record has; then they are left out, and counted on stderr.\n\n\
Exit codes: 0 done, also when nothing was found; 1 no log, or a part of it cannot be read; 2 bad usage.\n\n\
Examples:\n  sync-daemon logs -f --level warn\n  sync-daemon logs --since 2h --field job_id=documents\n  \
sync-daemon logs --level error --output json | jq .fields.error_type"
)]
pub struct LogsArgs {
    /// Log files or archives instead of the configured log; - is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Go on with what is being written, across rotations; begins with the last 10 lines unless -n or --since is given
    #[arg(long, short, conflicts_with = "until")]
    follow: bool,
    /// Only the last N lines of those asked for
    #[arg(long, short = 'n', value_name = "N")]
    lines: Option<u64>,
    /// Only from this time on
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Only up to this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
    /// Only records at least as severe: trace, debug, info, warn or error
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    level: Option<Level>,
    /// Only records whose target begins with this
    #[arg(long, value_name = "PREFIX")]
    target: Option<String>,
    /// Only records with this field, their own or one of a span around them; may be repeated, and all have to be there
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = parse_field)]
    fields: Vec<(String, String)>,
    /// Only lines that match this regular expression, as they stand in the file
    #[arg(long, value_name = "REGEX")]
    grep: Option<Regex>,
    /// pretty: lines for people; json: the lines of the file
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    output: Output,
}

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Pretty,
    /// One JSON object a line, as it stands in the file.
    Json,
}

impl LogsArgs {
    fn query(&self) -> Query {
        let begins_short = self.follow && self.since.is_none();
        let last = begins_short.then_some(LINES_BEFORE_FOLLOWING);
        Query {
            since: self.since,
            until: self.until,
            level: self.level,
            target: self.target.clone(),
            fields: self.fields.clone(),
            grep: self.grep.clone(),
            last: self.lines.or(last),
        }
    }
}

/// Runs `logs`.
pub fn run(args: &LogsArgs, global: &Global) -> ExitCode {
    ExitCode::from(try_run(args, global).unwrap_or_else(|end| end.code()))
}

/// Why reading ends early.
enum End {
    /// Nobody reads the output any more: done.
    ReaderGone,
    /// It was said why.
    Said(u8),
}

impl End {
    fn code(self) -> u8 {
        match self {
            Self::ReaderGone => EXIT_OK,
            Self::Said(code) => code,
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        say(&format!(
            "sync-daemon: cannot write to standard output: {error}"
        ));
        Self::Said(EXIT_FAILED)
    }
}

fn try_run(args: &LogsArgs, global: &Global) -> Result<u8, End> {
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since > until
    {
        say("sync-daemon: --since is later than --until, so that no record fits");
        return Err(End::Said(EXIT_USAGE));
    }
    let files = files(args, global).map_err(End::Said)?;
    let query = args.query();
    let mut printer = Printer::new(args.output, colors_stdout(global));
    if args.follow && !global.quiet {
        for file in files.iter().filter(|file| !file.exists()) {
            say(&format!(
                "sync-daemon: no log file {file:?} yet, waiting for it"
            ));
        }
    }
    let (log, followers) = open(&files, &query, args.follow).map_err(|error| {
        let hint = match (&error, args.files.is_empty()) {
            (FileError::NoLog { .. }, true) => "; name one, or a configuration with --config",
            _ => "",
        };
        say(&format!("sync-daemon: {error}{hint}"));
        End::Said(EXIT_FAILED)
    })?;
    let code = print_all(log, &mut printer)?;
    if followers.is_empty() {
        printer.tell_left_out(global);
        return Ok(code);
    }
    follow(followers, &mut printer)
}

/// The named files, or the log of the configuration.
fn files(args: &LogsArgs, global: &Global) -> Result<Vec<PathBuf>, u8> {
    if !args.files.is_empty() {
        let named = args.files.iter();
        return Ok(named
            .map(|file| match file.as_os_str() == STDIN_NAME {
                true => PathBuf::from(STDIN_PATH),
                false => file.clone(),
            })
            .collect());
    }
    let telemetry = settings::load(global)?.loaded.config.telemetry;
    Ok(vec![telemetry.log_file_path])
}

/// Opens the logs; with a follower for each if they are to be followed.
fn open(
    files: &[PathBuf],
    query: &Query,
    follow: bool,
) -> Result<(Merged, Vec<Follower>), FileError> {
    if !follow {
        return Ok((Merged::open(files, query)?, Vec::new()));
    }
    let mut readers = Vec::new();
    let mut followers = Vec::new();
    for file in files {
        let (reader, follower) = LogReader::open_to_follow(file, query)?;
        readers.push(reader);
        followers.push(follower);
    }
    Ok((Merged::of(readers, query), followers))
}

/// Prints what there is; a part that cannot be read is said and left out.
fn print_all(mut log: Merged, printer: &mut Printer) -> Result<u8, End> {
    while let Some(line) = log.next_line() {
        printer.print(line)?;
    }
    printer.out.flush()?;
    printer.left_out += log.left_out();
    let errors = log.take_errors();
    for error in &errors {
        say(&format!("sync-daemon: {error}"));
    }
    Ok(match errors.is_empty() {
        true => EXIT_OK,
        false => EXIT_FAILED,
    })
}

/// Ends when nobody reads the output any more, or by a signal.
fn follow(mut followers: Vec<Follower>, printer: &mut Printer) -> Result<u8, End> {
    let mut last_error = String::new();
    loop {
        for follower in &mut followers {
            match print_new(follower, printer) {
                Ok(()) => {}
                Err(FollowEnd::Output(end)) => return Err(end),
                // It may come back; said once.
                Err(FollowEnd::Log(error)) => say_once(&error, &mut last_error),
            }
        }
        printer.out.flush()?;
        if !is_read_after(FOLLOW_INTERVAL) {
            return Ok(EXIT_OK);
        }
    }
}

enum FollowEnd {
    Output(End),
    Log(FileError),
}

fn print_new(follower: &mut Follower, printer: &mut Printer) -> Result<(), FollowEnd> {
    while let Some(lines) = follower.poll().map_err(FollowEnd::Log)? {
        for line in lines.iter() {
            printer
                .print(line)
                .map_err(|error| FollowEnd::Output(error.into()))?;
        }
    }
    Ok(())
}

fn say_once(error: &FileError, last: &mut String) {
    let text = error.to_string();
    if *last != text {
        say(&format!("sync-daemon: {text}"));
        *last = text;
    }
}

/// Waits, unless whoever reads the output has gone: then returns false at once.
fn is_read_after(pause: Duration) -> bool {
    let stdout = io::stdout();
    let mut streams = [PollFd::new(&stdout, PollFlags::empty())];
    let limit = Timespec::try_from(pause).ok();
    match poll(&mut streams, limit.as_ref()) {
        // Nothing was asked for: only an error is told.
        Ok(told) => told == 0 || !streams[0].revents().contains(PollFlags::ERR),
        Err(_) => true,
    }
}

/// Writes lines to stdout.
struct Printer {
    output: Output,
    pretty: Pretty,
    text: String,
    out: BufWriter<StdoutLock<'static>>,
    /// Lines that are no records, and could not be told or not be shown.
    left_out: u64,
}

impl Printer {
    fn new(output: Output, color: bool) -> Self {
        Self {
            output,
            pretty: Pretty::new(color),
            text: String::new(),
            out: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            left_out: 0,
        }
    }

    fn print(&mut self, line: Line<'_>) -> io::Result<()> {
        match (self.output, line.is_record) {
            (Output::Json, true) => self.out.write_all(line.text)?,
            // It would break whatever reads JSON.
            (Output::Json, false) => {
                self.left_out += 1;
                return Ok(());
            }
            (Output::Pretty, _) => {
                self.text.clear();
                if !push_record(&self.pretty, &mut self.text, line) {
                    self.text.push_str(&escape(line.text));
                }
                self.out.write_all(self.text.as_bytes())?;
            }
        }
        self.out.write_all(b"\n")
    }

    fn tell_left_out(&self, global: &Global) {
        if self.left_out > 0 && !global.quiet {
            let count = self.left_out;
            let (lines, are) = match count {
                1 => ("line", "is no record and was"),
                _ => ("lines", "are no records and were"),
            };
            say(&format!("sync-daemon: {count} {lines} {are} left out"));
        }
    }
}

/// A record as it stands in the file, as far as it is shown.
#[derive(Deserialize)]
struct Written {
    timestamp: String,
    level: String,
    #[serde(default)]
    target: String,
    message: String,
    #[serde(default)]
    fields: Entries,
    #[serde(default)]
    spans: Vec<WrittenSpan>,
}

#[derive(Deserialize)]
struct WrittenSpan {
    name: String,
    #[serde(default)]
    fields: Entries,
}

/// The entries of an object in the order of the file, which a map would forget.
#[derive(Default)]
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Visit)
    }
}

/// Appends a record as the console shows it; false if it does not have what
/// that takes.
fn push_record(pretty: &Pretty, out: &mut String, line: Line<'_>) -> bool {
    if !line.is_record {
        return false;
    }
    let Ok(record) = serde_json::from_slice::<Written>(line.text) else {
        return false;
    };
    let Ok(level) = parse_level(&record.level) else {
        return false;
    };
    let time = to_millis(&record.timestamp);
    let mut words = pretty.begin(out, &time, level, &record.target);
    words.message(&record.message);
    for (name, value) in &record.fields.0 {
        with_value(value, |value| words.field(name, value));
    }
    for span in &record.spans {
        words.span(&span.name);
        for (name, value) in &span.fields.0 {
            with_value(value, |value| words.span_field(name, value));
        }
    }
    words.end();
    true
}

/// A time as the console shows it: finer digits tell people nothing.
fn to_millis(time: &str) -> Cow<'_, str> {
    const MILLIS: usize = "2026-11-23T12:00:00.000".len();
    let fraction = time.get(MILLIS..).and_then(|rest| rest.strip_suffix('Z'));
    match fraction {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Cow::Owned(format!("{}Z", &time[..MILLIS]))
        }
        _ => Cow::Borrowed(time),
    }
}

fn with_value(value: &Value, show: impl FnOnce(telemetry_core::Value<'_>)) {
    match value {
        Value::String(text) => show(telemetry_core::Value::Text(text)),
        Value::Bool(flag) => show(telemetry_core::Value::Bool(*flag)),
        // As it is written; our records have nothing that is nested.
        other => show(telemetry_core::Value::Text(&other.to_string())),
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let before_now = humantime::parse_duration(text)
        .map_err(|_| "neither RFC 3339 with its Z or offset (2026-11-23T12:00:00Z) nor a duration (10m, 2h, 3d)")?;
    let time = SystemTime::now().checked_sub(before_now);
    time.and_then(|time| Timestamp::try_from(time).ok())
        .ok_or_else(|| "further back than clocks go".to_owned())
}

fn parse_level(text: &str) -> Result<Level, String> {
    let known = ["trace", "debug", "info", "warn", "error"];
    let lower = text.to_ascii_lowercase();
    match lower.parse() {
        Ok(level) if known.contains(&lower.as_str()) => Ok(level),
        _ => Err(format!("not one of {}", known.join(", "))),
    }
}

fn parse_field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("not of the form NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, is_record: bool) -> String {
        let mut out = String::new();
        let line = Line {
            text: text.as_bytes(),
            unix_nanos: None,
            is_record,
        };
        let is_shown = push_record(&Pretty::default(), &mut out, line);
        assert_eq!(is_shown, !out.is_empty());
        out
    }

    #[test]
    fn a_record_is_shown_as_the_console_shows_it() {
        let text = r#"{"timestamp":"2026-11-23T12:00:00.000001Z","level":"WARN","target":"app","message":"slow\u001b","fields":{"bytes":12,"ok":true,"note":"a b","ratio":0.5},"spans":[{"name":"job","fields":{"id":"docs","run":7}},{"name":"inner","fields":{}}],"seq":1}"#;
        assert_eq!(
            shown(text, true),
            r#"2026-11-23T12:00:00.000Z  WARN app: slow\u{1b} bytes=12 ok=true note="a b" ratio=0.5 in job{id=docs run=7}:inner"#
        );
    }

    #[test]
    fn times_are_shown_to_the_millisecond() {
        for (time, shown) in [
            ("2026-11-23T12:00:00.123456Z", "2026-11-23T12:00:00.123Z"),
            ("2026-11-23T12:00:00.12Z", "2026-11-23T12:00:00.12Z"),
            ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z"),
            ("2026-11-23T12:00:00+01:00", "2026-11-23T12:00:00+01:00"),
            ("any text at all", "any text at all"),
        ] {
            assert_eq!(to_millis(time), shown);
        }
    }

    #[test]
    fn what_is_not_one_of_our_records_is_not_forced_into_the_form() {
        assert_eq!(shown(r#"{"a":1}"#, true), "");
        assert_eq!(shown("plain text", false), "");
    }

    #[test]
    fn times_are_absolute_or_before_now() {
        assert_eq!(
            parse_time("2026-11-23T13:00:00+01:00"),
            parse_time("2026-11-23T12:00:00Z")
        );
        let now = Timestamp::now();
        let ago = parse_time("2h").expect("a duration");
        let seconds = now.as_second() - ago.as_second();
        assert!((7199..=7260).contains(&seconds), "{seconds}");
        for wrong in ["yesterday", "2026-11-23", "-2h", "", "99999999999y"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn levels_are_words() {
        assert_eq!(parse_level("Error"), Ok(Level::ERROR));
        assert!(parse_level("1").is_err());
        assert!(parse_level("off").is_err());
    }

    #[test]
    fn fields_have_a_name_and_any_value() {
        let field = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(parse_field("a=b=c"), field("a", "b=c"));
        assert_eq!(parse_field("a="), field("a", ""));
        assert!(parse_field("=b").is_err());
        assert!(parse_field("a").is_err());
    }
}
