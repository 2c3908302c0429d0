//! `[[sync_jobs]]` and `[[file_watchers]]`: what is mirrored, and when.

use std::path::PathBuf;
use std::time::Duration;

use ignore::gitignore::GitignoreBuilder;
use jiff::tz::TimeZone;

use super::section::{Example, Keys, Listed, Section};
use super::slot::{
    Choice, choice, count, duration, milliseconds, optional_text, path, positive_duration, small,
    switch, text, texts,
};
use crate::jobs::CronTimes;

/// Default of [`SyncJob::enabled`] and [`FileWatcher::enabled`].
pub const DEFAULT_ENTRY_ENABLED: bool = true;
/// Default of [`Schedule::kind`] where `[sync_jobs.schedule]` is not written.
pub const DEFAULT_SCHEDULE_KIND: ScheduleKind = ScheduleKind::Manual;
/// Default of [`Schedule::kind`] where `[sync_jobs.schedule]` is written without `type`.
pub const DEFAULT_WRITTEN_SCHEDULE_KIND: ScheduleKind = ScheduleKind::Interval;
/// Default of [`Schedule::interval`]: five minutes.
pub const DEFAULT_SCHEDULE_INTERVAL: Duration = Duration::from_secs(300);
/// Default of [`Schedule::jitter`]: none.
pub const DEFAULT_SCHEDULE_JITTER: Duration = Duration::ZERO;
/// Default of [`Schedule::run_at_start`].
pub const DEFAULT_RUN_AT_START: bool = false;
/// Default of [`Schedule::timezone`].
pub const DEFAULT_SCHEDULE_TIMEZONE: &str = "UTC";
/// Default of [`SyncOptions::max_delete`]; 0 is no limit.
pub const DEFAULT_MAX_DELETE: usize = 1_000;
/// Default of [`SyncOptions::max_delete_percent`].
pub const DEFAULT_MAX_DELETE_PERCENT: u32 = 50;
/// Default of [`SyncOptions::comparison_method`].
pub const DEFAULT_COMPARISON_METHOD: ComparisonMethod = ComparisonMethod::SizeMtime;
/// Default of [`SyncOptions::durability`].
pub const DEFAULT_DURABILITY: Durability = Durability::None;
/// Default of [`FileWatcher::debounce`]: one second.
pub const DEFAULT_DEBOUNCE: Duration = Duration::from_secs(1);
/// Default of [`FileWatcher::max_delay`]: ten seconds.
pub const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(10);

/// The label value of metrics without jobs; no job may have this id.
const RESERVED_JOB_ID: &str = "none";
const LONGEST_DELAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// An element of `[[sync_jobs]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncJob {
    /// The name of the job on the command line and in metric labels; unique.
    pub id: String,
    /// The name of the job in the log. Default: the id.
    pub name: String,
    /// The directory to read; always written.
    pub source_path: PathBuf,
    /// The directory that becomes its mirror; always written.
    pub destination_path: PathBuf,
    /// Whether the job runs on schedule; a disabled job can still be run by hand. Default: [`DEFAULT_ENTRY_ENABLED`].
    pub enabled: bool,
    /// What is left out, in gitignore syntax. Default: nothing.
    pub filters: Vec<String>,
    /// `[sync_jobs.schedule]`; absent: the job runs only by hand.
    pub schedule: Schedule,
    /// `[sync_jobs.sync_options]`.
    pub sync_options: SyncOptions,
}

impl Default for SyncJob {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            source_path: PathBuf::new(),
            destination_path: PathBuf::new(),
            enabled: DEFAULT_ENTRY_ENABLED,
            filters: Vec::new(),
            schedule: Schedule::default(),
            sync_options: SyncOptions::default(),
        }
    }
}

impl Section for SyncJob {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "id",
            text(&mut self.id, "an id", entry_id),
            "The job's name on the command line and in metrics",
        );
        keys.key(
            "name",
            text(&mut self.name, "a name", any_text),
            "The job's name in the log; the id if left out",
        );
        keys.key(
            "source_path",
            path(&mut self.source_path),
            "The directory to read",
        );
        keys.key(
            "destination_path",
            path(&mut self.destination_path),
            "The directory that becomes its mirror",
        );
        keys.key(
            "enabled",
            switch(&mut self.enabled),
            "false: only when it is run by hand",
        );
        keys.key(
            "filters",
            texts(&mut self.filters, check_glob),
            "What is left out, in gitignore syntax",
        );
        keys.table(
            "schedule",
            &mut self.schedule,
            "Without this table the job runs only by hand",
        );
        keys.table(
            "sync_options",
            &mut self.sync_options,
            "How the job mirrors",
        );
    }
}

impl Listed for SyncJob {
    const IDENTITY: &'static str = "id";

    fn identity(&self) -> &str {
        &self.id
    }
}

impl Example for SyncJob {
    fn example() -> Self {
        Self {
            id: "documents".to_owned(),
            name: "documents_sync".to_owned(),
            source_path: PathBuf::from("/home/alice/Documents"),
            destination_path: PathBuf::from("/backup/Documents"),
            filters: vec!["*.tmp".to_owned(), ".git/".to_owned()],
            schedule: Schedule {
                kind: DEFAULT_WRITTEN_SCHEDULE_KIND,
                ..Schedule::default()
            },
            ..Self::default()
        }
    }
}

/// `[sync_jobs.schedule]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// What starts the job. Default: [`DEFAULT_SCHEDULE_KIND`], or [`DEFAULT_WRITTEN_SCHEDULE_KIND`] where the table is written.
    pub kind: ScheduleKind,
    /// The pause between two starts with [`ScheduleKind::Interval`]; not zero. Default: [`DEFAULT_SCHEDULE_INTERVAL`].
    pub interval: Duration,
    /// A random delay of at most this long is added to each start. Default: [`DEFAULT_SCHEDULE_JITTER`].
    pub jitter: Duration,
    /// Whether the job also runs when the daemon starts. Default: [`DEFAULT_RUN_AT_START`].
    pub run_at_start: bool,
    /// The points in time with [`ScheduleKind::Cron`]: five fields, or six with seconds; `None` is the default.
    pub expression: Option<String>,
    /// The time zone of the expression, an IANA name. Default: [`DEFAULT_SCHEDULE_TIMEZONE`].
    pub timezone: String,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            kind: DEFAULT_SCHEDULE_KIND,
            interval: DEFAULT_SCHEDULE_INTERVAL,
            jitter: DEFAULT_SCHEDULE_JITTER,
            run_at_start: DEFAULT_RUN_AT_START,
            expression: None,
            timezone: DEFAULT_SCHEDULE_TIMEZONE.to_owned(),
        }
    }
}

impl Section for Schedule {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key("type", choice(&mut self.kind), "interval, cron or manual");
        keys.key(
            "interval",
            positive_duration(&mut self.interval),
            "With type = \"interval\": the pause between two starts, like \"90s\" or \"1h 30m\"",
        );
        keys.key(
            "jitter",
            duration(&mut self.jitter),
            "A random delay of at most this is added to each start",
        );
        keys.key(
            "run_at_start",
            switch(&mut self.run_at_start),
            "Run also when the daemon starts",
        );
        keys.key(
            "expression",
            optional_text(&mut self.expression, "a cron expression", cron_expression),
            "With type = \"cron\": five fields, or six with seconds, like \"0 */15 * * * *\"",
        );
        keys.key(
            "timezone",
            text(&mut self.timezone, "a time zone", time_zone),
            "The time zone of the expression",
        );
    }

    /// Whoever writes the table wants a schedule.
    fn written(&mut self) {
        self.kind = DEFAULT_WRITTEN_SCHEDULE_KIND;
    }
}

/// What starts a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleKind {
    /// A timer, every [`Schedule::interval`].
    Interval,
    /// A calendar, at the times of [`Schedule::expression`].
    Cron,
    /// Only a person or a script.
    Manual,
}

impl Choice for ScheduleKind {
    const ALL: &'static [(&'static str, Self)] = &[
        ("interval", Self::Interval),
        ("cron", Self::Cron),
        ("manual", Self::Manual),
    ];
}

/// `[sync_jobs.sync_options]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncOptions {
    /// Whether the job only tells what it would do. Default: false.
    pub dry_run: bool,
    /// Whether permission bits are copied. Default: true.
    pub preserve_permissions: bool,
    /// Whether modification times are copied; without, a destination that is not older than its source is unchanged. Default: true.
    pub preserve_timestamps: bool,
    /// Whether files that the source does not have are deleted from the destination. Default: false.
    pub delete_destination_files: bool,
    /// Planned deletions above which none is done; 0 is no limit. Default: [`DEFAULT_MAX_DELETE`].
    pub max_delete: usize,
    /// The same as a share of the destination's files, where there are more than 100. Default: [`DEFAULT_MAX_DELETE_PERCENT`].
    pub max_delete_percent: u32,
    /// Whether an empty source may empty the destination. Default: false.
    pub allow_empty_source: bool,
    /// Whether files that the filters leave out are deleted from the destination. Default: false.
    pub delete_excluded: bool,
    /// How a changed file is recognised. Default: [`DEFAULT_COMPARISON_METHOD`].
    pub comparison_method: ComparisonMethod,
    /// Whether names with a leading dot are left out. Default: false.
    pub ignore_hidden_files: bool,
    /// Whether the job goes on after a file failed. Default: true.
    pub continue_on_error: bool,
    /// What has reached the disk when the job ends. Default: [`DEFAULT_DURABILITY`].
    pub durability: Durability,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            preserve_permissions: true,
            preserve_timestamps: true,
            delete_destination_files: false,
            max_delete: DEFAULT_MAX_DELETE,
            max_delete_percent: DEFAULT_MAX_DELETE_PERCENT,
            allow_empty_source: false,
            delete_excluded: false,
            comparison_method: DEFAULT_COMPARISON_METHOD,
            ignore_hidden_files: false,
            continue_on_error: true,
            durability: DEFAULT_DURABILITY,
        }
    }
}

impl Section for SyncOptions {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "dry_run",
            switch(&mut self.dry_run),
            "Only tell what would be done",
        );
        keys.key(
            "preserve_permissions",
            switch(&mut self.preserve_permissions),
            "Copy permission bits",
        );
        keys.key(
            "preserve_timestamps",
            switch(&mut self.preserve_timestamps),
            "Copy modification times; false: a destination not older than its source is unchanged",
        );
        keys.key(
            "delete_destination_files",
            switch(&mut self.delete_destination_files),
            "Delete from the destination what the source does not have",
        );
        keys.key(
            "max_delete",
            count(&mut self.max_delete, 0..=u64::from(u32::MAX)),
            "When more would be deleted, nothing is; 0: no limit",
        );
        keys.key(
            "max_delete_percent",
            small(&mut self.max_delete_percent, 0..=100),
            "The same as a share of more than 100 files",
        );
        keys.key(
            "allow_empty_source",
            switch(&mut self.allow_empty_source),
            "Let an empty source empty the destination",
        );
        keys.key(
            "delete_excluded",
            switch(&mut self.delete_excluded),
            "Delete from the destination what the filters leave out",
        );
        keys.key(
            "comparison_method",
            choice(&mut self.comparison_method),
            "size_mtime or checksum",
        );
        keys.key(
            "ignore_hidden_files",
            switch(&mut self.ignore_hidden_files),
            "Leave out names with a leading dot",
        );
        keys.key(
            "continue_on_error",
            switch(&mut self.continue_on_error),
            "Go on after a file failed",
        );
        keys.key(
            "durability",
            choice(&mut self.durability),
            "What has reached the disk at the end: none, file or batch",
        );
    }
}

/// How a changed file is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparisonMethod {
    /// By size and modification time.
    SizeMtime,
    /// By content; reads every file on both sides.
    Checksum,
}

impl Choice for ComparisonMethod {
    const ALL: &'static [(&'static str, Self)] = &[
        ("size_mtime", Self::SizeMtime),
        ("checksum", Self::Checksum),
    ];
}

/// What has reached the disk when a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What the operating system has written by then.
    None,
    /// Each file, before it takes its name.
    File,
    /// Everything, by one call at the end.
    Batch,
}

impl Choice for Durability {
    const ALL: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("file", Self::File),
        ("batch", Self::Batch),
    ];
}

/// An element of `[[file_watchers]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct FileWatcher {
    /// The name of the watcher; unique.
    pub id: String,
    /// The directory to watch; always written.
    pub watch_path: PathBuf,
    /// The job that a change starts; always written, and the id of a job.
    pub sync_job_id: String,
    /// Whether it watches. Default: [`DEFAULT_ENTRY_ENABLED`].
    pub enabled: bool,
    /// Whether directories below are watched too. Default: true.
    pub recursive: bool,
    /// How long it must be quiet before the job starts. Default: [`DEFAULT_DEBOUNCE`].
    pub debounce: Duration,
    /// The longest time from the first change to the start; not shorter than `debounce`. Default: [`DEFAULT_MAX_DELAY`].
    pub max_delay: Duration,
}

impl Default for FileWatcher {
    fn default() -> Self {
        Self {
            id: String::new(),
            watch_path: PathBuf::new(),
            sync_job_id: String::new(),
            enabled: DEFAULT_ENTRY_ENABLED,
            recursive: true,
            debounce: DEFAULT_DEBOUNCE,
            max_delay: DEFAULT_MAX_DELAY,
        }
    }
}

impl Section for FileWatcher {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "id",
            text(&mut self.id, "an id", entry_id),
            "The watcher's name",
        );
        keys.key(
            "watch_path",
            path(&mut self.watch_path),
            "The directory to watch",
        );
        keys.key(
            "sync_job_id",
            text(&mut self.sync_job_id, "a job's id", entry_id),
            "The job that a change starts",
        );
        keys.key(
            "enabled",
            switch(&mut self.enabled),
            "false: it does not watch",
        );
        keys.key(
            "recursive",
            switch(&mut self.recursive),
            "Watch the directories below too",
        );
        keys.key(
            "debounce_ms",
            milliseconds(&mut self.debounce, 0..=LONGEST_DELAY_MS),
            "How long it must be quiet before the job starts",
        );
        keys.key(
            "max_delay_ms",
            milliseconds(&mut self.max_delay, 0..=LONGEST_DELAY_MS),
            "The longest time from the first change to the start",
        );
    }
}

impl Listed for FileWatcher {
    const IDENTITY: &'static str = "id";

    fn identity(&self) -> &str {
        &self.id
    }
}

impl Example for FileWatcher {
    fn example() -> Self {
        Self {
            id: "documents-watcher".to_owned(),
            watch_path: PathBuf::from("/home/alice/Documents"),
            sync_job_id: "documents".to_owned(),
            ..Self::default()
        }
    }
}

/// Checks one line of gitignore syntax.
pub(crate) fn check_glob(written: &str) -> Result<(), String> {
    if written.trim().is_empty() || written.contains(['\n', '\0']) {
        return Err("a filter cannot be empty, and is one line".to_owned());
    }
    // By default `[a` would be text, and a filter with a slip in it would silently match nothing.
    match GitignoreBuilder::new("")
        .allow_unclosed_class(false)
        .add_line(None, written)
    {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("not a glob: {error}")),
    }
}

/// An id is an argument on the command line and a metric label.
fn entry_id(written: &str) -> Result<String, String> {
    if written.trim().is_empty() || written.trim() != written {
        return Err("an id cannot be empty, nor begin or end with white space".to_owned());
    }
    if written.starts_with('-') || written.contains(char::is_control) {
        return Err(format!(
            "`{written}` cannot be an id: it would not pass as an argument"
        ));
    }
    if written == RESERVED_JOB_ID {
        return Err(format!(
            "`{RESERVED_JOB_ID}` cannot be an id: metrics use it where there is no job"
        ));
    }
    Ok(written.to_owned())
}

fn any_text(written: &str) -> Result<String, String> {
    Ok(written.to_owned())
}

fn time_zone(written: &str) -> Result<String, String> {
    // A small system has no database of zones, and needs none for UTC.
    if written == DEFAULT_SCHEDULE_TIMEZONE {
        return Ok(written.to_owned());
    }
    match TimeZone::get(written) {
        Ok(_) => Ok(written.to_owned()),
        Err(_) => Err(format!(
            "`{written}` is not a time zone like `UTC` or `Europe/Berlin`"
        )),
    }
}

/// Checks the shape; the zone, which may be wrong too, is told about by itself.
fn cron_expression(written: &str) -> Result<Option<String>, String> {
    if written.is_empty() {
        return Ok(None);
    }
    let fields = written.split_ascii_whitespace().count();
    if !matches!(fields, 5 | 6) {
        return Err(format!(
            "a cron expression has five fields, or six with seconds; this has {fields}"
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "*,-/?#+ \t".contains(c);
    if let Some(wrong) = written.chars().find(|c| !allowed(*c)) {
        return Err(format!(
            "`{}` cannot stand in a cron expression",
            wrong.escape_debug()
        ));
    }
    CronTimes::parse(written, DEFAULT_SCHEDULE_TIMEZONE)?;
    Ok(Some(written.to_owned()))
}
