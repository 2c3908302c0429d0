//! What a log file is to be: plain data, checked once by `FileSink::open`.

use std::path::PathBuf;

/// Default of [`FileConfig::path`].
pub const DEFAULT_PATH: &str = "logs/daemon.log";
/// Default of [`FileConfig::file_mode`]: the owner writes, the group reads.
pub const DEFAULT_FILE_MODE: u32 = 0o640;
/// Default of [`FileConfig::dir_mode`]: the owner writes, the group lists.
pub const DEFAULT_DIR_MODE: u32 = 0o750;
/// Default of [`RotationConfig::max_size_bytes`]: 100 MB.
pub const DEFAULT_MAX_SIZE_BYTES: u64 = 100 << 20;
/// Default of [`RotationConfig::keep_files`].
pub const DEFAULT_KEEP_FILES: usize = 7;
/// Default of [`RotationConfig::compression_level`].
pub const DEFAULT_COMPRESSION_LEVEL: u32 = 2;
/// Default of [`RotationConfig::min_free_bytes`]: 100 MB.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 100 << 20;

/// A log file: where it is, how it rotates, how durable and how private it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// The active file; its name never changes. Its archives lie beside it.
    /// Missing directories are created. Default [`DEFAULT_PATH`].
    pub path: PathBuf,
    /// What a line looks like. Default [`Format::Json`].
    pub format: Format,
    /// When the file is set aside, and what becomes of it.
    pub rotation: RotationConfig,
    /// When data is forced to the disk. Default [`FileSync::Interval`].
    pub sync: FileSync,
    /// Permissions of a file that the sink creates, whatever the umask says;
    /// an existing file keeps its own. Default [`DEFAULT_FILE_MODE`].
    pub file_mode: u32,
    /// Permissions of a directory that the sink creates, whatever the umask
    /// says. Default [`DEFAULT_DIR_MODE`].
    pub dir_mode: u32,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from(DEFAULT_PATH),
            format: Format::default(),
            rotation: RotationConfig::default(),
            sync: FileSync::default(),
            file_mode: DEFAULT_FILE_MODE,
            dir_mode: DEFAULT_DIR_MODE,
        }
    }
}

/// What a line of the file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object, for machines.
    #[default]
    Json,
    /// Words for a person, as [`telemetry_core::Pretty`] writes them.
    Pretty,
}

/// When the active file becomes an archive, and which archives are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationConfig {
    /// False: the file grows for ever, and no archive is touched. Default true.
    pub enabled: bool,
    /// Rotation by time. Default [`Frequency::Daily`].
    pub frequency: Frequency,
    /// Rotation by size: no file grows beyond it, unless a single record is
    /// larger. 0: any size. Default [`DEFAULT_MAX_SIZE_BYTES`].
    pub max_size_bytes: u64,
    /// How many archives are kept. 0: any number. Default
    /// [`DEFAULT_KEEP_FILES`].
    pub keep_files: usize,
    /// The form of archives. Default [`Compression::Xz`].
    pub compression: Compression,
    /// 0 (fast) to 9 (small). Default [`DEFAULT_COMPRESSION_LEVEL`].
    pub compression_level: u32,
    /// Archives whose last record is older are removed. 0: any age, the
    /// default.
    pub max_age_days: u32,
    /// The archives together take no more, without the active file. 0: any
    /// size, the default.
    pub max_total_bytes: u64,
    /// Archives are removed while the file system has less free space. 0: no
    /// floor. Default [`DEFAULT_MIN_FREE_BYTES`].
    pub min_free_bytes: u64,
    /// Whose days and hours. Default [`Timezone::Utc`].
    pub timezone: Timezone,
}

impl Default for RotationConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            frequency: Frequency::default(),
            max_size_bytes: DEFAULT_MAX_SIZE_BYTES,
            keep_files: DEFAULT_KEEP_FILES,
            compression: Compression::default(),
            compression_level: DEFAULT_COMPRESSION_LEVEL,
            max_age_days: 0,
            max_total_bytes: 0,
            min_free_bytes: DEFAULT_MIN_FREE_BYTES,
            timezone: Timezone::default(),
        }
    }
}

/// How often a file is set aside, besides its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frequency {
    /// A file holds the records of one day.
    #[default]
    Daily,
    /// A file holds the records of one hour.
    Hourly,
    /// Only the size counts.
    Never,
}

/// The form of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// `.log.xz`, written by a background thread.
    #[default]
    Xz,
    /// `.log`, as it was.
    None,
}

/// Whose days and hours a file covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timezone {
    /// Coordinated universal time.
    #[default]
    Utc,
    /// The system's zone, as it is when the sink is opened. Archives carry the
    /// offset in their names, since an hour may come twice.
    Local,
}

/// When written records are forced to the disk (`fsync`).
///
/// Whatever is chosen, a record that was written out survives the death of the
/// process; this is about power loss and kernel crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileSync {
    /// When the system does it by itself; `flush` does not wait for the disk.
    Never,
    /// One second after a write at the latest, by a background thread; in a
    /// burst after each 8 MiB.
    #[default]
    Interval,
    /// Each batch that holds an ERROR, before the caller goes on.
    Error,
    /// Each batch, before the caller goes on. Without a queue: each record.
    Always,
}
