//! What callers hold.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use telemetry_core::{Pretty, Record, Records, Sink, SinkError, SinkStats};
use tracing::Level;

use crate::accounts::{Accounts, SINK_NAME};
use crate::archive_name;
use crate::archiver::{Archiver, Keeper};
use crate::clock::Clock;
use crate::config::{Compression, FileConfig, Format, RotationConfig, Timezone};
use crate::directory::Directory;
use crate::durability::Durability;
use crate::error::FileError;
use crate::platform;
use crate::retention::Limits;
use crate::rotation::Rules;
use crate::surroundings::Surroundings;
use crate::writer::{Rotation, Writer};

/// xz knows no higher level.
const MAX_COMPRESSION_LEVEL: u32 = 9;

/// How long dropping the sink waits for its threads.
const DROP_LIMIT: Duration = Duration::from_secs(1);

/// Pause between attempts to get the lock of a writer that waits for a disk.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Appends records as lines to one file, which is set aside by time and
/// size.
///
/// # Threads
/// `write` copies the line into a buffer; the thread that calls `batch_end`, or
/// that fills 256 KiB, writes it to the file. Renaming at a rotation happens
/// there too. Archives are compressed and removed by the thread `log-archiver`,
/// with the lowest priority where the system allows that for one thread; the
/// thread `log-sync` forces data to the disk for
/// [`FileSync::Interval`](crate::FileSync::Interval) and for `flush`. A disk that
/// hangs holds the writing thread, but not `stats`: put a queue in front where
/// that matters.
///
/// `close` gives a compression up and leaves the plain archive, which the next
/// start compresses.
///
/// # Losses
/// While the file cannot be opened or written, records are dropped as
/// `io_error`, `write` returns [`SinkError::Failed`], the health is `Failing`,
/// stderr gets one line, and about once a second a record, or `batch_end`
/// without one, makes another attempt. Dropping the sink closes it.
///
/// # Metrics
/// `log_rotations_total{reason}`, reason = `day`, `hour`, `size`, `external`.
/// The handles are made when the sink is opened: install the recorder before.
pub struct FileSink {
    /// `None`: JSON lines.
    pretty: Option<Mutex<Words>>,
    writer: Mutex<Writer>,
    /// To be done by whoever has the lock next: under a flood it is free for
    /// moments only, and who asks may have no time to wait for one.
    reopen_asked: AtomicBool,
    accounts: Arc<Accounts>,
    durability: Arc<Durability>,
    archiver: Option<Arc<Archiver>>,
}

/// Space for one line of words.
#[derive(Default)]
struct Words {
    pretty: Pretty,
    line: String,
}

impl FileSink {
    /// Opens or creates the file, and locks it against a second writer. Begins
    /// to tidy what an earlier process left unfinished.
    ///
    /// # Errors
    /// For a configuration that cannot work: the path names no file, or a
    /// directory, a link, a device, or a file that another process or sink
    /// writes to; or no such compression level. A directory that cannot be
    /// written at the moment is not an error: the sink says so on stderr,
    /// counts what it loses, and tries again.
    pub fn open(config: FileConfig) -> Result<Self, FileError> {
        Self::open_in(config, Surroundings::default())
    }

    /// As [`open`](Self::open), with a clock of the caller's.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with_clock(
        config: FileConfig,
        clock: impl Clock + 'static,
    ) -> Result<Self, FileError> {
        let surroundings = Surroundings {
            clock: Arc::new(clock),
            ..Surroundings::default()
        };
        Self::open_in(config, surroundings)
    }

    pub(crate) fn open_in(
        config: FileConfig,
        surroundings: Surroundings,
    ) -> Result<Self, FileError> {
        let directory = directory_of(&config)?;
        let rotation = config.rotation.clone();
        if rotation.compression_level > MAX_COMPRESSION_LEVEL {
            let level = rotation.compression_level;
            return Err(FileError::CompressionLevel { level });
        }
        metrics::describe_counter!("log_rotations_total", "Log files set aside, by reason");
        let accounts = Arc::new(Accounts::new(
            &config.path,
            Arc::clone(&surroundings.complain),
        ));
        let force = Arc::clone(&surroundings.force);
        let durability = Arc::new(Durability::start(config.sync, force, &accounts)?);
        let mut sink = Self {
            pretty: (config.format == Format::Pretty).then(Mutex::default),
            writer: Mutex::new(Writer::open(
                config,
                surroundings.clone(),
                Arc::clone(&accounts),
                Arc::clone(&durability),
            )?),
            reopen_asked: AtomicBool::new(false),
            accounts,
            durability,
            archiver: None,
        };
        if rotation.enabled {
            sink.start_rotation(&rotation, directory, surroundings)?;
        }
        Ok(sink)
    }

    /// The archiver starts when the file is ours alone: it touches archives.
    fn start_rotation(
        &mut self,
        config: &RotationConfig,
        directory: Directory,
        surroundings: Surroundings,
    ) -> Result<(), FileError> {
        let rules = Rules {
            frequency: config.frequency,
            zone: zone(config.timezone, &surroundings),
            max_size: config.max_size_bytes,
        };
        let archiver = Arc::new(Archiver::start(Keeper {
            directory: directory.clone(),
            level: (config.compression == Compression::Xz).then_some(config.compression_level),
            limits: limits(config),
            surroundings,
            accounts: Arc::clone(&self.accounts),
            desk: Arc::default(),
        })?);
        self.archiver = Some(Arc::clone(&archiver));
        self.writer()
            .rotate_by(Rotation::new(rules, directory, archiver));
        Ok(())
    }

    /// Accepts one line, captured `at` nanoseconds since 1970.
    pub(crate) fn write_line(&self, line: &str, at: u64, level: Level) -> Result<(), SinkError> {
        self.writer().write(line, at, level)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.reopen_if_asked(&mut writer);
        writer
    }

    fn reopen_if_asked(&self, writer: &mut Writer) {
        if self.reopen_asked.load(Ordering::Relaxed) {
            self.reopen_asked.store(false, Ordering::Relaxed);
            writer.reopen();
        }
    }

    /// The writer, unless somebody holds it beyond the deadline.
    fn writer_until(&self, deadline: Instant) -> Option<MutexGuard<'_, Writer>> {
        loop {
            match self.writer.try_lock() {
                Ok(writer) => return Some(writer),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            }
        }
    }

    fn timeout(&self, limit: Duration) -> SinkError {
        SinkError::Timeout {
            sink: SINK_NAME,
            limit,
            pending: self.accounts.pending(),
        }
    }
}

impl Sink for FileSink {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let Some(words) = &self.pretty else {
            // Encoded outside the lock; the next sink in the chain uses it too.
            return self.write_line(record.json(), record.unix_nanos(), record.level());
        };
        let Words { pretty, line } = &mut *words.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        pretty.push(line, record);
        self.write_line(line, record.unix_nanos(), record.level())
    }

    fn write_all(&self, records: &mut Records<'_>) {
        if self.pretty.is_some() {
            return records.for_each(&mut |record| {
                // Counted there.
                let _ = self.write(record);
            });
        }
        let mut writer = self.writer();
        records.for_each(&mut |record| {
            // Counted there.
            let _ = writer.write(record.json(), record.unix_nanos(), record.level());
        });
    }

    fn batch_end(&self) {
        // A failure is told by the accounts, and by the next `write`.
        let _ = self.writer().end_batch();
    }

    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        let deadline = deadline_after(limit);
        let mut writer = self
            .writer_until(deadline)
            .ok_or_else(|| self.timeout(limit))?;
        writer.write_out()?;
        if writer.is_failing() {
            return Err(writer.failure());
        }
        drop(writer);
        let left = deadline.saturating_duration_since(Instant::now());
        if !self.durability.flush(left) {
            return Err(self.timeout(limit));
        }
        Ok(())
    }

    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        let deadline = deadline_after(limit);
        let left = || deadline.saturating_duration_since(Instant::now());
        let closed = match self.writer_until(deadline) {
            Some(mut writer) => writer.close(),
            None => Err(self.timeout(limit)),
        };
        let synced = self.durability.stop(left());
        if let Some(archiver) = &self.archiver {
            // A compression that is given up is done at the next start.
            archiver.stop(left());
        }
        if !synced {
            return closed.and(Err(self.timeout(limit)));
        }
        closed
    }

    /// Done at once, or by the thread that writes at the moment when it next does
    /// something: waits for nobody.
    fn reopen(&self) {
        self.reopen_asked.store(true, Ordering::Relaxed);
        if let Some(mut writer) = self.writer_until(Instant::now()) {
            self.reopen_if_asked(&mut writer);
        }
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        // A disk that hangs holds the writer. What came before it hung is booked.
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.book();
        }
        into.push(self.accounts.snapshot());
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        // Nobody is left to tell; records that are lost here are those of a
        // disk that hangs or fails, which stderr has been told.
        let _ = self.close(DROP_LIMIT);
    }
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink")
            .field("stats", &self.accounts.snapshot())
            .finish_non_exhaustive()
    }
}

fn directory_of(config: &FileConfig) -> Result<Directory, FileError> {
    let path = &config.path;
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(Directory::new(
            platform::directory_of(path),
            archive_name::stem(name),
        )),
        None => Err(FileError::NoFileName { path: path.clone() }),
    }
}

fn zone(timezone: Timezone, surroundings: &Surroundings) -> Option<TimeZone> {
    match (timezone, &surroundings.local_zone) {
        (Timezone::Utc, _) => None,
        (Timezone::Local, Some(zone)) => Some(zone.clone()),
        (Timezone::Local, None) => Some(TimeZone::system()),
    }
}

fn deadline_after(limit: Duration) -> Instant {
    let now = Instant::now();
    // A limit beyond what the clock can tell is none: a year stands for it.
    now.checked_add(limit).unwrap_or(now + 365 * DAY)
}

fn limits(config: &RotationConfig) -> Limits {
    Limits {
        keep_files: config.keep_files,
        max_age: (config.max_age_days > 0).then(|| DAY * config.max_age_days),
        max_total_bytes: config.max_total_bytes,
        min_free_bytes: config.min_free_bytes,
    }
}
