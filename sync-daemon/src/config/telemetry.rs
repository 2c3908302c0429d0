//! `[telemetry]`: what is logged, how finely, and where to.

use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::metrics::Metrics;
use super::pocketbase::PocketbaseLogging;
use super::sanitize::Sanitize;
use super::section::{Keys, Section};
use super::slot::{
    self, Choice, MIB, choice, count, days_or_none, dir_mode, file_mode, file_path, megabytes,
    megabytes_or_none, milliseconds, small, switch,
};

/// Default of [`Telemetry::enabled`].
pub const DEFAULT_TELEMETRY_ENABLED: bool = true;
/// Default of [`Telemetry::log_level`].
pub const DEFAULT_LOG_LEVEL: LevelFilter = LevelFilter::INFO;
/// Default of [`Telemetry::json_logging`].
pub const DEFAULT_JSON_LOGGING: bool = true;
/// Default of [`Telemetry::console_logging`].
pub const DEFAULT_CONSOLE_LOGGING: bool = true;
/// Default of [`Telemetry::log_file_path`].
pub const DEFAULT_LOG_FILE_PATH: &str = "logs/daemon.log";
/// Default of [`Telemetry::console_format`].
pub const DEFAULT_CONSOLE_FORMAT: ConsoleFormat = ConsoleFormat::Auto;
/// Default of [`Telemetry::console_min_level`] and [`Telemetry::file_min_level`].
pub const DEFAULT_SINK_MIN_LEVEL: LevelFilter = LevelFilter::TRACE;
/// Default of [`Telemetry::queue_capacity`], in records.
pub const DEFAULT_QUEUE_CAPACITY: usize = 16_384;
/// Default of [`Telemetry::queue_max_bytes`]: 16 MB.
pub const DEFAULT_QUEUE_MAX_BYTES: u64 = 16 * MIB;
/// Default of [`Telemetry::when_full`].
pub const DEFAULT_WHEN_FULL: WhenFull = WhenFull::Drop;
/// Default of [`Telemetry::block_timeout`]: one second.
pub const DEFAULT_BLOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Default of [`Telemetry::repeat_limit_per_sec`]: no limit.
pub const DEFAULT_REPEAT_LIMIT_PER_SEC: u32 = 0;
/// Default of [`Telemetry::span_events`].
pub const DEFAULT_SPAN_EVENTS: bool = false;
/// Default of [`Telemetry::file_sync`].
pub const DEFAULT_FILE_SYNC: FileSync = FileSync::Interval;
/// Default of [`Telemetry::file_mode`].
pub const DEFAULT_FILE_MODE: u32 = 0o640;
/// Default of [`Telemetry::dir_mode`].
pub const DEFAULT_DIR_MODE: u32 = 0o750;

/// Default of [`LogRotation::enabled`].
pub const DEFAULT_ROTATION_ENABLED: bool = true;
/// Default of [`LogRotation::frequency`].
pub const DEFAULT_ROTATION_FREQUENCY: RotationFrequency = RotationFrequency::Daily;
/// Default of [`LogRotation::keep_files`].
pub const DEFAULT_KEEP_FILES: usize = 7;
/// Default of [`LogRotation::max_size_bytes`]: 100 MB.
pub const DEFAULT_MAX_SIZE_BYTES: u64 = 100 * MIB;
/// Default of [`LogRotation::compression`].
pub const DEFAULT_COMPRESSION: Compression = Compression::Xz;
/// Default of [`LogRotation::compression_level`].
pub const DEFAULT_COMPRESSION_LEVEL: u32 = 2;
/// Default of [`LogRotation::min_free_bytes`]: 100 MB.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 100 * MIB;
/// Default of [`LogRotation::timezone`].
pub const DEFAULT_ROTATION_TIMEZONE: RotationTimezone = RotationTimezone::Utc;

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Whether there is any telemetry. Default: [`DEFAULT_TELEMETRY_ENABLED`].
    pub enabled: bool,
    /// The least severe level that is recorded, where `RUST_LOG` names no other. `log_level` at the root of a file is the same key.
    /// Default: [`DEFAULT_LOG_LEVEL`].
    pub log_level: LevelFilter,
    /// Whether the log file holds JSON lines; otherwise the lines are for people. Default: [`DEFAULT_JSON_LOGGING`].
    pub json_logging: bool,
    /// Whether the console shows the log too. Default: [`DEFAULT_CONSOLE_LOGGING`].
    pub console_logging: bool,
    /// The active log file; a relative path starts at the working directory. Default: [`DEFAULT_LOG_FILE_PATH`].
    pub log_file_path: PathBuf,
    /// The format on the console. Default: [`DEFAULT_CONSOLE_FORMAT`].
    pub console_format: ConsoleFormat,
    /// The least severe level on the console. Default: [`DEFAULT_SINK_MIN_LEVEL`].
    pub console_min_level: LevelFilter,
    /// The least severe level in the file. Default: [`DEFAULT_SINK_MIN_LEVEL`].
    pub file_min_level: LevelFilter,
    /// Records between the callers and the sinks; at least 1. Default: [`DEFAULT_QUEUE_CAPACITY`].
    pub queue_capacity: usize,
    /// Bytes between the callers and the sinks. Default: [`DEFAULT_QUEUE_MAX_BYTES`].
    pub queue_max_bytes: u64,
    /// What a caller does that finds the queue full. Default: [`DEFAULT_WHEN_FULL`].
    pub when_full: WhenFull,
    /// How long [`WhenFull::Block`] waits before it drops after all. Default: [`DEFAULT_BLOCK_TIMEOUT`].
    pub block_timeout: Duration,
    /// Records a second from one callsite below WARN; 0 is no limit. Default: [`DEFAULT_REPEAT_LIMIT_PER_SEC`].
    pub repeat_limit_per_sec: u32,
    /// Whether a closing span is an event. Default: [`DEFAULT_SPAN_EVENTS`].
    pub span_events: bool,
    /// When the log file is made durable. Default: [`DEFAULT_FILE_SYNC`].
    pub file_sync: FileSync,
    /// Permission bits of log files; owner read and write are always among them. Default: [`DEFAULT_FILE_MODE`].
    pub file_mode: u32,
    /// Permission bits of log directories made by the daemon. Default: [`DEFAULT_DIR_MODE`].
    pub dir_mode: u32,
    /// `[telemetry.log_rotation]`.
    pub log_rotation: LogRotation,
    /// `[telemetry.pocketbase_logging]`.
    pub pocketbase_logging: PocketbaseLogging,
    /// `[telemetry.metrics]`.
    pub metrics: Metrics,
    /// `[telemetry.sanitize]`.
    pub sanitize: Sanitize,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            enabled: DEFAULT_TELEMETRY_ENABLED,
            log_level: DEFAULT_LOG_LEVEL,
            json_logging: DEFAULT_JSON_LOGGING,
            console_logging: DEFAULT_CONSOLE_LOGGING,
            log_file_path: PathBuf::from(DEFAULT_LOG_FILE_PATH),
            console_format: DEFAULT_CONSOLE_FORMAT,
            console_min_level: DEFAULT_SINK_MIN_LEVEL,
            file_min_level: DEFAULT_SINK_MIN_LEVEL,
            queue_capacity: DEFAULT_QUEUE_CAPACITY,
            queue_max_bytes: DEFAULT_QUEUE_MAX_BYTES,
            when_full: DEFAULT_WHEN_FULL,
            block_timeout: DEFAULT_BLOCK_TIMEOUT,
            repeat_limit_per_sec: DEFAULT_REPEAT_LIMIT_PER_SEC,
            span_events: DEFAULT_SPAN_EVENTS,
            file_sync: DEFAULT_FILE_SYNC,
            file_mode: DEFAULT_FILE_MODE,
            dir_mode: DEFAULT_DIR_MODE,
            log_rotation: LogRotation::default(),
            pocketbase_logging: PocketbaseLogging::default(),
            metrics: Metrics::default(),
            sanitize: Sanitize::default(),
        }
    }
}

impl Section for Telemetry {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "enabled",
            switch(&mut self.enabled),
            "false: no log, no metrics, nothing; for comparison",
        );
        keys.key(
            "log_level",
            choice(&mut self.log_level),
            "trace, debug, info, warn, error or off; RUST_LOG refines it",
        );
        keys.key(
            "json_logging",
            switch(&mut self.json_logging),
            "The log file holds JSON lines; false: lines for people",
        );
        keys.key(
            "console_logging",
            switch(&mut self.console_logging),
            "Show the log on stderr too",
        );
        keys.key(
            "log_file_path",
            file_path(&mut self.log_file_path),
            "The active log file always has this name",
        );
        keys.key(
            "console_format",
            choice(&mut self.console_format),
            "auto (pretty on a terminal, JSON otherwise), pretty or json",
        );
        keys.key(
            "console_min_level",
            choice(&mut self.console_min_level),
            "The console leaves out what is less severe",
        );
        keys.key(
            "file_min_level",
            choice(&mut self.file_min_level),
            "The file leaves out what is less severe",
        );
        keys.key(
            "queue_capacity",
            count(&mut self.queue_capacity, 1..=16_777_216),
            "Records between the caller and the sinks",
        );
        keys.key(
            "queue_max_mb",
            megabytes(&mut self.queue_max_bytes, 1..=65_536),
            "Memory for those records",
        );
        keys.key(
            "when_full",
            choice(&mut self.when_full),
            "drop (counted; WARN and ERROR keep a reserve) or block",
        );
        keys.key(
            "block_timeout_ms",
            milliseconds(&mut self.block_timeout, 1..=60_000),
            "Longest wait of when_full = \"block\"; then the record is dropped and counted",
        );
        keys.key(
            "repeat_limit_per_sec",
            small(&mut self.repeat_limit_per_sec, 0..=1_000_000),
            "Records a second from one place in the code, below WARN; 0: no limit",
        );
        keys.key(
            "span_events",
            switch(&mut self.span_events),
            "An event when a span closes, with its busy and idle time",
        );
        keys.key(
            "file_sync",
            choice(&mut self.file_sync),
            "When the file is made durable: never, interval (every second), error or always",
        );
        keys.key(
            "file_mode",
            file_mode(&mut self.file_mode),
            "Permissions of log files",
        );
        keys.key(
            "dir_mode",
            dir_mode(&mut self.dir_mode),
            "Permissions of log directories that the daemon makes",
        );
        keys.table(
            "log_rotation",
            &mut self.log_rotation,
            "When the active log file is closed and archived",
        );
        keys.table(
            "pocketbase_logging",
            &mut self.pocketbase_logging,
            "Upload of the log to PocketBase; without this table it is off",
        );
        keys.table("metrics", &mut self.metrics, "The Prometheus endpoint");
        keys.table(
            "sanitize",
            &mut self.sanitize,
            "What is redacted before any record leaves the process",
        );
    }
}

/// `[telemetry.log_rotation]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRotation {
    /// Whether the active file is ever closed and archived. Default: [`DEFAULT_ROTATION_ENABLED`].
    pub enabled: bool,
    /// The longest time that one file covers. Default: [`DEFAULT_ROTATION_FREQUENCY`].
    pub frequency: RotationFrequency,
    /// Archives that stay; 0 is any number. Default: [`DEFAULT_KEEP_FILES`].
    pub keep_files: usize,
    /// Bytes after which the active file is archived; `None` (0 in the file) is no limit. Default: [`DEFAULT_MAX_SIZE_BYTES`].
    pub max_size_bytes: Option<u64>,
    /// How archives are compressed. Default: [`DEFAULT_COMPRESSION`].
    pub compression: Compression,
    /// 0 (fast) to 9 (small). Default: [`DEFAULT_COMPRESSION_LEVEL`].
    pub compression_level: u32,
    /// Age at which an archive is deleted; `None` (0 in the file, the default) is no limit.
    pub max_age: Option<Duration>,
    /// Bytes of all archives together; `None` (0 in the file, the default) is no limit.
    pub max_total_bytes: Option<u64>,
    /// Bytes that stay free on the disk: archives go first. Default: [`DEFAULT_MIN_FREE_BYTES`].
    pub min_free_bytes: u64,
    /// Whose midnight and full hours count. Default: [`DEFAULT_ROTATION_TIMEZONE`].
    pub timezone: RotationTimezone,
}

impl Default for LogRotation {
    fn default() -> Self {
        Self {
            enabled: DEFAULT_ROTATION_ENABLED,
            frequency: DEFAULT_ROTATION_FREQUENCY,
            keep_files: DEFAULT_KEEP_FILES,
            max_size_bytes: Some(DEFAULT_MAX_SIZE_BYTES),
            compression: DEFAULT_COMPRESSION,
            compression_level: DEFAULT_COMPRESSION_LEVEL,
            max_age: None,
            max_total_bytes: None,
            min_free_bytes: DEFAULT_MIN_FREE_BYTES,
            timezone: DEFAULT_ROTATION_TIMEZONE,
        }
    }
}

impl Section for LogRotation {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "enabled",
            switch(&mut self.enabled),
            "false: the file grows until something else rotates it",
        );
        keys.key("frequency", choice(&mut self.frequency), "daily or hourly");
        keys.key(
            "keep_files",
            count(&mut self.keep_files, 0..=1_000_000),
            "Archives to keep; 0: any number",
        );
        keys.key(
            "max_size_mb",
            megabytes_or_none(&mut self.max_size_bytes),
            "Size after which the file is archived early; 0: no limit",
        );
        keys.key("compression", choice(&mut self.compression), "xz or none");
        keys.key(
            "compression_level",
            small(&mut self.compression_level, 0..=9),
            "0 (fast) to 9 (small)",
        );
        keys.key(
            "max_age_days",
            days_or_none(&mut self.max_age),
            "Archives older than this go; 0: no limit",
        );
        keys.key(
            "max_total_mb",
            megabytes_or_none(&mut self.max_total_bytes),
            "The oldest archives go when all together are larger; 0: no limit",
        );
        keys.key(
            "min_free_mb",
            megabytes(&mut self.min_free_bytes, 0..=u64::from(u32::MAX)),
            "The oldest archives go when the disk has less room",
        );
        keys.key(
            "timezone",
            slot::choice(&mut self.timezone),
            "utc or local: whose midnight",
        );
    }
}

/// Severities, least severe first.
impl Choice for LevelFilter {
    const ALL: &'static [(&'static str, Self)] = &[
        ("trace", LevelFilter::TRACE),
        ("debug", LevelFilter::DEBUG),
        ("info", LevelFilter::INFO),
        ("warn", LevelFilter::WARN),
        ("error", LevelFilter::ERROR),
        ("off", LevelFilter::OFF),
    ];
}

/// The format on the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// JSON lines.
    Json,
}

impl Choice for ConsoleFormat {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("pretty", Self::Pretty),
        ("json", Self::Json),
    ];
}

/// What a caller does that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Drops the record and counts it.
    Drop,
    /// Waits, at most [`Telemetry::block_timeout`].
    Block,
}

impl Choice for WhenFull {
    const ALL: &'static [(&'static str, Self)] = &[("drop", Self::Drop), ("block", Self::Block)];
}

/// When the log file is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSync {
    /// When the operating system likes to.
    Never,
    /// Every second.
    Interval,
    /// After each ERROR, and every second.
    Error,
    /// After every batch.
    Always,
}

impl Choice for FileSync {
    const ALL: &'static [(&'static str, Self)] = &[
        ("never", Self::Never),
        ("interval", Self::Interval),
        ("error", Self::Error),
        ("always", Self::Always),
    ];
}

/// The longest time that one log file covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationFrequency {
    /// A new file at midnight.
    Daily,
    /// A new file at every full hour.
    Hourly,
}

impl Choice for RotationFrequency {
    const ALL: &'static [(&'static str, Self)] =
        &[("daily", Self::Daily), ("hourly", Self::Hourly)];
}

/// How archives are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// xz, at [`LogRotation::compression_level`].
    Xz,
    /// Not at all.
    None,
}

impl Choice for Compression {
    const ALL: &'static [(&'static str, Self)] = &[("xz", Self::Xz), ("none", Self::None)];
}

/// Whose midnight and full hours rotate the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationTimezone {
    /// UTC's.
    Utc,
    /// This machine's.
    Local,
}

impl Choice for RotationTimezone {
    const ALL: &'static [(&'static str, Self)] = &[("utc", Self::Utc), ("local", Self::Local)];
}
