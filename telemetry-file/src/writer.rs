//! The writing side, behind one lock: buffer, active file, rotation, healing.
//!
//! # States
//! *Writing*: a file is open; records gather in the buffer and are written at
//! the end of a batch or when the buffer is full. *Failing*: the last attempt
//! to open or write failed; there is no file, records are dropped and counted,
//! and once a [`RETRY_INTERVAL`] a record makes another attempt, with
//! everything that belongs to opening: directories, lock, a torn line. So does
//! the end of a batch, which a queue announces even when it is idle: the
//! trouble is over when a file is open and has room. A failed
//! write drops what was in the buffer: a sink that held it back would lose the
//! newest instead, and would have to bound it all the same.
//!
//! A rotation that fails is not a failure to write: the file stays, and so do
//! the records.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use telemetry_core::{LossReason, SinkError};
use tracing::Level;

use crate::accounts::{Accounts, SINK_NAME, Trouble};
use crate::active::{ActiveFile, Look};
use crate::archive_name::Label;
use crate::archiver::Archiver;
use crate::config::FileConfig;
use crate::directory::Directory;
use crate::durability::Durability;
use crate::error::FileError;
use crate::platform;
use crate::rotation::{Period, Reason, Rules, Step};
use crate::surroundings::Surroundings;

/// The buffer is written out when it holds so much.
pub(crate) const BUFFER_BYTES: usize = 256 << 10;

/// Pause between attempts to open, write or rotate after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How often the path is compared with the open file.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Attempts to find a name that no archive has.
const NAME_ATTEMPTS: usize = 16;

/// Everything about the active file.
pub(crate) struct Writer {
    config: FileConfig,
    surroundings: Surroundings,
    accounts: Arc<Accounts>,
    durability: Arc<Durability>,
    rotation: Option<Rotation>,
    buffer: Buffer,
    /// `None` while failing.
    active: Option<ActiveFile>,
    /// What the file covers; of the file before, while this one is empty.
    period: Option<Period>,
    failing: bool,
    /// No attempt before, while failing.
    next_attempt: Duration,
    next_look: Duration,
    closed: bool,
    moved_outside: metrics::Counter,
}

/// How the file is set aside.
pub(crate) struct Rotation {
    rules: Rules,
    directory: Directory,
    archiver: Arc<Archiver>,
    counters: [(Reason, metrics::Counter); 3],
    /// The last name that was given away, which may have been removed since.
    last_name: Option<(Label, u32)>,
    /// The moment of the record for which the last attempt failed.
    overdue: Option<u64>,
    /// No attempt before, after a failed one.
    next_attempt: Duration,
}

impl Rotation {
    pub(crate) fn new(rules: Rules, directory: Directory, archiver: Arc<Archiver>) -> Self {
        Self {
            rules,
            directory,
            archiver,
            counters: [Reason::Day, Reason::Hour, Reason::Size]
                .map(|reason| (reason, rotations(reason))),
            last_name: None,
            overdue: None,
            next_attempt: Duration::ZERO,
        }
    }

    fn count(&self, reason: Reason) {
        if let Some((_, counter)) = self.counters.iter().find(|(known, _)| *known == reason) {
            counter.increment(1);
        }
    }

    /// A number that no archive of this period has or had.
    fn next_number(&self, label: Label) -> io::Result<u32> {
        let number = self.directory.next_number(label)?;
        Ok(match self.last_name {
            Some((last, given)) if last == label => number.max(given.saturating_add(1)),
            _ => number,
        })
    }

    /// Renames the active file to an archive of the period.
    fn set_aside(&mut self, path: &std::path::Path, label: Label) -> io::Result<PathBuf> {
        let first = self.next_number(label)?;
        for number in (first..=u32::MAX).take(NAME_ATTEMPTS) {
            let archive = self.directory.join(&self.directory.name(label, number));
            match platform::rename_new(path, &archive) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.last_name = Some((label, number));
                    return Ok(archive);
                }
            }
        }
        Err(io::Error::other("every name for the archive is taken"))
    }
}

impl Writer {
    /// Opens the file, or begins failing.
    ///
    /// # Errors
    /// When the configuration itself is at fault.
    pub(crate) fn open(
        config: FileConfig,
        surroundings: Surroundings,
        accounts: Arc<Accounts>,
        durability: Arc<Durability>,
    ) -> Result<Self, FileError> {
        let mut writer = Self {
            config,
            surroundings,
            accounts,
            durability,
            rotation: None,
            buffer: Buffer::default(),
            active: None,
            period: None,
            failing: false,
            next_attempt: Duration::ZERO,
            next_look: Duration::ZERO,
            closed: false,
            moved_outside: rotations(Reason::External),
        };
        match (writer.surroundings.open)(&writer.config) {
            Ok(active) => writer.take(active),
            Err(error) if error.is_configuration() => return Err(error),
            Err(error) => writer.fail(&reason(&error)),
        }
        Ok(writer)
    }

    /// From now on the file is set aside by these rules.
    pub(crate) fn rotate_by(&mut self, rotation: Rotation) {
        if let Some(began) = self.active.as_ref().and_then(ActiveFile::began) {
            self.period = Some(rotation.rules.period(began));
        }
        self.rotation = Some(rotation);
    }

    /// Accepts one line, without its end, captured at the moment `at`.
    pub(crate) fn write(&mut self, line: &str, at: u64, level: Level) -> Result<(), SinkError> {
        if self.closed {
            self.accounts.accept(1);
            self.accounts.lose(LossReason::Shutdown, [level]);
            return Err(SinkError::Closed { sink: SINK_NAME });
        }
        if self.is_ready() {
            self.rotate_if_due(at, line.len() as u64 + 1);
        }
        if self.active.is_none() {
            self.accounts.accept(1);
            self.accounts.lose(LossReason::IoError, [level]);
            return Err(self.failure());
        }
        self.buffer.push(line, level);
        if self.buffer.bytes.len() < BUFFER_BYTES {
            return Ok(());
        }
        self.write_out()
    }

    /// Ends a batch: writes the buffer out, or sees whether all is well.
    ///
    /// # Errors
    /// As `write_out`.
    pub(crate) fn end_batch(&mut self) -> Result<(), SinkError> {
        if !self.buffer.is_empty() {
            return self.write_out();
        }
        if self.closed {
            return Ok(());
        }
        if self.failing {
            self.try_to_heal();
        } else {
            if self.look_if_due() {
                self.sync_if_failed();
            }
            self.rotate_if_overdue();
        }
        Ok(())
    }

    /// While failing, makes the attempt that the next record would make.
    fn try_to_heal(&mut self) {
        let now = self.surroundings.clock.monotonic();
        if now < self.next_attempt {
            return;
        }
        if self.active.is_none() {
            self.open_again();
        }
        self.next_attempt = now + RETRY_INTERVAL;
        let Some(active) = &self.active else { return };
        match (self.surroundings.reserve)(active.file(), BUFFER_BYTES as u64) {
            Ok(true) => self.heal(),
            // Only a record can tell.
            Ok(false) => {}
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Sees whether the disk answers again, also when nothing is written to it.
    fn sync_if_failed(&self) {
        if let (Some(active), true) = (&self.active, self.accounts.has(Trouble::Sync)) {
            self.durability.try_again(active.file());
        }
    }

    /// True when it looked.
    fn look_if_due(&mut self) -> bool {
        let now = self.surroundings.clock.monotonic();
        let is_due = now >= self.next_look;
        if is_due {
            self.next_look = now + LOOK_INTERVAL;
            self.look();
        }
        is_due
    }

    /// Books the records of the buffer as pending: all at once, since a lock
    /// for each record is felt.
    pub(crate) fn book(&mut self) {
        let unbooked = std::mem::take(&mut self.buffer.unbooked);
        if unbooked > 0 {
            self.accounts.accept(unbooked);
        }
    }

    /// Writes the buffer to the file.
    ///
    /// # Errors
    /// When that failed; what could not be written is dropped and counted.
    pub(crate) fn write_out(&mut self) -> Result<(), SinkError> {
        self.book();
        if self.buffer.is_empty() {
            return Ok(());
        }
        if !self.look_if_due() {
            self.glance();
        }
        let Some(active) = &mut self.active else {
            self.lose_buffer();
            return Err(self.failure());
        };
        match active.append(&self.buffer.bytes, &self.surroundings.append) {
            Ok(()) => {
                self.accounts.deliver(self.buffer.lines.len());
                let (bytes, has_error) = (self.buffer.bytes.len(), self.buffer.has_error);
                self.durability.written(active.file(), bytes, has_error);
                self.buffer.clear();
                self.heal();
                Ok(())
            }
            Err(cut) => {
                let written = self.buffer.lines_within(cut.written);
                self.accounts.deliver(written);
                self.buffer.lines.drain(..written);
                self.fail(&cut.error.to_string());
                self.lose_buffer();
                self.ask_for_room(&cut.error);
                Err(self.failure())
            }
        }
    }

    /// Opens the file anew if somebody moved it, and without waiting for the
    /// next attempt if it could not be opened.
    pub(crate) fn reopen(&mut self) {
        if self.closed {
            return;
        }
        self.next_attempt = Duration::ZERO;
        if self.is_ready() {
            self.look();
            // A failure is told by the accounts.
            let _ = self.write_out();
        }
    }

    /// Writes out the buffer and closes the file for good.
    pub(crate) fn close(&mut self) -> Result<(), SinkError> {
        if self.closed {
            return Ok(());
        }
        let written = self.write_out();
        self.closed = true;
        self.active = None;
        written
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing
    }

    /// What a caller gets whose record was lost.
    pub(crate) fn failure(&self) -> SinkError {
        let reason = self.accounts.failure();
        SinkError::Failed {
            sink: SINK_NAME,
            source: Box::new(FileError::Unwritable {
                path: self.config.path.clone(),
                reason: reason.unwrap_or_else(|| "unknown".to_owned()),
            }),
        }
    }

    /// True when there is a file; makes an attempt to open it if it is time.
    fn is_ready(&mut self) -> bool {
        if self.active.is_some() {
            return true;
        }
        if self.surroundings.clock.monotonic() >= self.next_attempt {
            self.open_again();
        }
        self.active.is_some()
    }

    fn open_again(&mut self) {
        match (self.surroundings.open)(&self.config) {
            Ok(active) => self.take(active),
            Err(error) => self.fail(&reason(&error)),
        }
    }

    fn take(&mut self, active: ActiveFile) {
        if let (Some(began), Some(rotation)) = (active.began(), &self.rotation) {
            self.period = Some(rotation.rules.period(began));
        }
        if active.size() == 0 {
            let directory = platform::directory_of(&self.config.path);
            self.durability.named(directory);
        }
        self.next_look = self.surroundings.clock.monotonic() + LOOK_INTERVAL;
        self.active = Some(active);
    }

    /// Follows what others do to the file and to its name.
    fn look(&mut self) {
        let path = &self.config.path;
        let found = self.active.as_mut().map(|active| active.look(path));
        self.follow(found);
    }

    /// Follows what others do to the file itself.
    fn glance(&mut self) {
        let found = self.active.as_mut().map(ActiveFile::glance);
        self.follow(found);
    }

    fn follow(&mut self, found: Option<Look>) {
        match found {
            None | Some(Look::Same) => return,
            Some(Look::Truncated) => {}
            Some(Look::Moved) => self.open_again(),
        }
        self.moved_outside.increment(1);
    }

    fn fail(&mut self, reason: &str) {
        self.active = None;
        self.failing = true;
        self.next_attempt = self.surroundings.clock.monotonic() + RETRY_INTERVAL;
        self.accounts.begin(Trouble::Write, reason);
    }

    fn heal(&mut self) {
        if self.failing {
            self.failing = false;
            self.accounts.end(Trouble::Write);
        }
    }

    fn lose_buffer(&mut self) {
        let levels = self.buffer.lines.iter().map(|line| line.level);
        self.accounts.lose(LossReason::IoError, levels);
        self.buffer.clear();
    }

    /// A full disk is what the floor of free space is for.
    fn ask_for_room(&self, error: &io::Error) {
        let is_full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        if let (true, Some(rotation)) = (is_full, &self.rotation) {
            rotation.archiver.make_room();
        }
    }

    fn step(&self, at: u64, length: u64) -> Step {
        let (Some(rotation), Some(active)) = (&self.rotation, &self.active) else {
            return Step::Keep;
        };
        let size = active.size() + self.buffer.bytes.len() as u64;
        rotation.rules.step(self.period.as_ref(), size, at, length)
    }

    fn rotate_if_due(&mut self, at: u64, length: u64) {
        match self.step(at, length) {
            Step::Keep => self.forget_overdue(),
            Step::Adopt => {
                let rules = self.rotation.as_ref().map(|rotation| &rotation.rules);
                self.period = rules.map(|rules| rules.period(at));
                self.forget_overdue();
            }
            Step::Rotate(_) => self.rotate(at, length),
        }
    }

    /// Makes the next attempt after a rotation that failed, without waiting
    /// for the record that would make it.
    fn rotate_if_overdue(&mut self) {
        let Some(rotation) = &self.rotation else {
            return;
        };
        let now = self.surroundings.clock.monotonic();
        if let Some(at) = rotation.overdue.filter(|_| now >= rotation.next_attempt) {
            self.rotate_if_due(at, 0);
        }
    }

    /// Ends the trouble of a rotation that failed and is not due any more:
    /// somebody else has moved or cut the file.
    fn forget_overdue(&mut self) {
        let overdue = self.rotation.as_ref().and_then(|rotation| rotation.overdue);
        let Some(at) = overdue.filter(|_| self.active.is_some()) else {
            return;
        };
        if matches!(self.step(at, 0), Step::Rotate(_)) {
            return;
        }
        if let Some(rotation) = &mut self.rotation {
            rotation.overdue = None;
        }
        self.accounts.end(Trouble::Rotate);
    }

    /// Moves on to a new file, so that the record from the moment `at` goes
    /// there.
    fn rotate(&mut self, at: u64, length: u64) {
        let now = self.surroundings.clock.monotonic();
        let rotation = self.rotation.as_ref();
        let is_too_soon = rotation.is_none_or(|rotation| now < rotation.next_attempt);
        if is_too_soon || self.write_out().is_err() {
            return;
        }
        self.look();
        // Somebody else may have moved the file just now.
        let Step::Rotate(reason) = self.step(at, length) else {
            return;
        };
        match self.set_aside() {
            Ok(()) => self.begin_file(reason, at),
            Err(error) => {
                if let Some(rotation) = &mut self.rotation {
                    rotation.overdue = Some(at);
                    rotation.next_attempt = now + RETRY_INTERVAL;
                }
                self.accounts.begin(Trouble::Rotate, &error);
            }
        }
    }

    fn begin_file(&mut self, reason: Reason, at: u64) {
        if let Some(rotation) = &mut self.rotation {
            self.period = Some(rotation.rules.following(self.period, at));
            rotation.overdue = None;
            rotation.count(reason);
            rotation.archiver.take_archive();
        }
        self.durability.hurry();
        self.accounts.end(Trouble::Rotate);
    }

    /// Renames the file and opens the next one; if that cannot be opened the
    /// name is given back, so that a failed rotation loses nothing.
    fn set_aside(&mut self) -> Result<(), String> {
        let (Some(rotation), Some(period), Some(active)) =
            (&mut self.rotation, &self.period, &mut self.active)
        else {
            return Ok(());
        };
        active
            .close_torn_line(&self.surroundings.append)
            .map_err(|cut| cut.error.to_string())?;
        let path = &self.config.path;
        let name_before = rotation.last_name;
        let archive = rotation
            .set_aside(path, period.label)
            .map_err(|error| error.to_string())?;
        match (self.surroundings.open)(&self.config) {
            Ok(next) => {
                self.take(next);
                Ok(())
            }
            Err(error) => {
                let text = reason(&error);
                match platform::rename_new(&archive, path) {
                    Ok(()) => rotation.last_name = name_before,
                    Err(_) => self.fail(&text),
                }
                Err(text)
            }
        }
    }
}

/// Lines on their way to the file.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    lines: Vec<Line>,
    /// How many of the lines the accounts do not know of yet.
    unbooked: u64,
    has_error: bool,
}

struct Line {
    /// Where it ends in the buffer.
    end: usize,
    level: Level,
}

impl Buffer {
    fn push(&mut self, line: &str, level: Level) {
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
        let end = self.bytes.len();
        self.lines.push(Line { end, level });
        self.unbooked += 1;
        self.has_error |= level == Level::ERROR;
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many lines end within the first bytes.
    fn lines_within(&self, bytes: usize) -> usize {
        self.lines.partition_point(|line| line.end <= bytes)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
        self.has_error = false;
        // One huge record shall not hold its memory for ever.
        self.bytes.shrink_to(2 * BUFFER_BYTES);
    }
}

fn rotations(reason: Reason) -> metrics::Counter {
    metrics::counter!("log_rotations_total", "reason" => reason.as_str())
}

/// Without the path, which the complaint names itself.
fn reason(error: &FileError) -> String {
    match error {
        FileError::Unwritable { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}
