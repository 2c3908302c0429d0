//! The active file: opened, locked and appended to; never renamed here.
//!
//! # One writer
//! The handle carries an exclusive `flock`, which goes when the process goes
//! and leaves no lock file behind. The next file after a rotation is locked
//! when it has been created: a second process that opens the path in those
//! microseconds gets the new file, and this one finds it locked, says so and
//! counts its losses. Two never write to the same file. A file that was set
//! aside is unlocked, which tells the archiver that nobody writes to it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::config::FileConfig;
use crate::error::FileError;
use crate::line;
use crate::platform::{self, FileId};
use crate::surroundings::Append;

/// Somebody may move the file while it is opened; not for ever.
const OPEN_ATTEMPTS: usize = 8;

/// The file that records are appended to.
pub(crate) struct ActiveFile {
    file: Arc<File>,
    id: Option<FileId>,
    size: u64,
    /// The last line may have no end: a crash or somebody else cut it.
    torn: bool,
    began: Option<u64>,
}

/// What became of the file behind the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is ours.
    Same,
    /// It is ours, but somebody has cut it.
    Truncated,
    /// The path is free, or stands for another file.
    Moved,
}

/// An append that failed halfway.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Bytes of whole lines that did reach the file.
    pub(crate) written: usize,
    pub(crate) error: io::Error,
}

impl ActiveFile {
    /// Opens or creates the file and locks it.
    pub(crate) fn open(config: &FileConfig) -> Result<Self, FileError> {
        let path = &config.path;
        let unwritable = |error: io::Error| FileError::Unwritable {
            path: path.clone(),
            reason: error.to_string(),
        };
        if let Some(directory) = path.parent() {
            platform::create_directories(directory, config.dir_mode).map_err(unwritable)?;
        }
        for _ in 0..OPEN_ATTEMPTS {
            let Some(file) = open_or_create(config, unwritable)? else {
                continue;
            };
            lock(&file, path, unwritable)?;
            let metadata = file.metadata().map_err(unwritable)?;
            let id = platform::file_id(&metadata);
            // Locked, but perhaps set aside by its last owner just before.
            if stands_for(path, id) {
                return Self::begin(file, id).map_err(unwritable);
            }
        }
        Err(FileError::Unwritable {
            path: path.clone(),
            reason: "somebody keeps moving it while it is opened".to_owned(),
        })
    }

    fn begin(file: File, id: Option<FileId>) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self {
            torn: is_torn(&file, size)?,
            began: began(&file, size)?,
            file: Arc::new(file),
            id,
            size,
        })
    }

    /// Appends whole lines.
    ///
    /// # Errors
    /// When not all of them could be written. Half a line is taken back, so
    /// that the file stays readable; where that fails too, it is closed when
    /// the file is opened again.
    pub(crate) fn append(&mut self, lines: &[u8], append: &Append) -> Result<(), Cut> {
        self.close_torn_line(append)?;
        match write_all(&self.file, lines, append) {
            Ok(()) => {
                self.size += lines.len() as u64;
                Ok(())
            }
            Err(cut) => {
                let whole = whole_lines(&lines[..cut.written]);
                self.take_back((cut.written - whole) as u64, self.size + cut.written as u64);
                Err(Cut {
                    written: whole,
                    ..cut
                })
            }
        }
    }

    /// Ends a line that was cut, if it is still there: somebody may have
    /// truncated the file since. Done before the first record, and before the
    /// file is set aside, since archives are read one after the other.
    pub(crate) fn close_torn_line(&mut self, append: &Append) -> Result<(), Cut> {
        if !self.torn {
            return Ok(());
        }
        let nothing_written = |error| Cut { written: 0, error };
        self.size = self.file.metadata().map_err(nothing_written)?.len();
        if is_torn(&self.file, self.size).map_err(nothing_written)? {
            write_all(&self.file, b"\n", append).map_err(|cut| nothing_written(cut.error))?;
            self.size += 1;
        }
        self.torn = false;
        Ok(())
    }

    /// Removes `excess` bytes from the end, unless somebody else has changed
    /// the file, which then is not of the expected `size`.
    fn take_back(&self, excess: u64, size: u64) {
        let is_ours = self.file.metadata().is_ok_and(|now| now.len() == size);
        if excess > 0 && is_ours {
            // If it fails, the line is closed at the next opening.
            let _ = self.file.set_len(size - excess);
        }
    }

    /// Compares the file with what the path stands for now.
    pub(crate) fn look(&mut self, path: &Path) -> Look {
        match path.symlink_metadata() {
            Ok(metadata) if platform::file_id(&metadata) == self.id => self.compare(&metadata),
            Ok(_) => Look::Moved,
            Err(error) if platform::is_absence(&error) => Look::Moved,
            // Not allowed to look: the open file still takes records.
            Err(_) => self.glance(),
        }
    }

    /// Asks the open file alone, which is cheap enough for every write: records
    /// that go to a deleted file, or behind half a line, are records lost.
    pub(crate) fn glance(&mut self) -> Look {
        match self.file.metadata() {
            Ok(metadata) if platform::is_deleted(&metadata) => Look::Moved,
            Ok(metadata) => self.compare(&metadata),
            // What is wrong with it the next write tells.
            Err(_) => Look::Same,
        }
    }

    fn compare(&mut self, metadata: &Metadata) -> Look {
        let before = std::mem::replace(&mut self.size, metadata.len());
        self.torn |= self.size != before;
        match self.size < before {
            true => Look::Truncated,
            false => Look::Same,
        }
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// When the first record of the file was captured, in nanoseconds since
    /// 1970, as far as can be told when the file is opened.
    pub(crate) fn began(&self) -> Option<u64> {
        self.began
    }
}

/// Gives the lock back at once: the thread that syncs may hold the file longer.
impl Drop for ActiveFile {
    fn drop(&mut self) {
        // Where locks are not supported there is none to give back; anywhere
        // else it goes with the last handle.
        let _ = self.file.unlock();
    }
}

/// `None`: the file vanished in between.
fn open_or_create(
    config: &FileConfig,
    unwritable: impl Fn(io::Error) -> FileError,
) -> Result<Option<File>, FileError> {
    let path = &config.path;
    let mut options = OpenOptions::new();
    platform::refuse_links(options.read(true).append(true));
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            platform::set_mode(&file, config.file_mode).map_err(unwritable)?;
            return Ok(Some(file));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unwritable(error)),
    }
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(None);
    };
    let path = path.clone();
    match metadata.file_type() {
        kind if kind.is_symlink() => Err(FileError::IsSymlink { path }),
        kind if kind.is_dir() => Err(FileError::IsDirectory { path }),
        kind if !kind.is_file() => Err(FileError::NotRegular { path }),
        _ => match options.open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unwritable(error)),
        },
    }
}

fn lock(
    file: &File,
    path: &Path,
    unwritable: impl Fn(io::Error) -> FileError,
) -> Result<(), FileError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(FileError::Locked {
            path: path.to_owned(),
        }),
        // A file system without locks is still one to log to.
        Err(std::fs::TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Ok(())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

fn stands_for(path: &Path, id: Option<FileId>) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| platform::file_id(&metadata) == id)
}

fn is_torn(mut file: &File, size: u64) -> io::Result<bool> {
    if size == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(size - 1))?;
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

/// The timestamp of the first line. A first line that is not ours tells
/// nothing: then the time of the last write, so that a file which nobody has
/// written to today is not taken for one of today.
fn began(mut file: &File, size: u64) -> io::Result<Option<u64>> {
    if size == 0 {
        return Ok(None);
    }
    let mut first = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(line::TIME_BYTES as u64).read_to_end(&mut first)?;
    if let Some(nanos) = line::time_of(&first) {
        return Ok(Some(nanos));
    }
    let modified = file.metadata()?.modified()?;
    let since_epoch = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since_epoch.as_nanos()).ok())
}

fn write_all(file: &File, bytes: &[u8], append: &Append) -> Result<(), Cut> {
    let mut written = 0;
    while written < bytes.len() {
        match append(file, &bytes[written..]) {
            Ok(0) => {
                let error = io::ErrorKind::WriteZero.into();
                return Err(Cut { written, error });
            }
            Ok(length) => written += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Cut { written, error }),
        }
    }
    Ok(())
}

/// The length of the lines that are complete.
fn whole_lines(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|&byte| byte == b'\n');
    last.map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surroundings::Surroundings;
    use std::fs;

    fn config(path: &Path) -> FileConfig {
        FileConfig {
            path: path.to_owned(),
            ..FileConfig::default()
        }
    }

    #[test]
    fn a_file_that_does_not_begin_with_a_record_began_when_it_was_last_written() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("d.log");
        fs::write(&path, "plain text\n").expect("written");
        let past = UNIX_EPOCH + std::time::Duration::from_secs(5);
        let file = File::options().write(true).open(&path).expect("opened");
        file.set_modified(past).expect("set");
        let active = ActiveFile::open(&config(&path)).expect("opened");
        assert_eq!(active.began(), Some(5_000_000_000));
    }

    #[test]
    fn half_a_line_is_taken_back() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("d.log");
        let mut active = ActiveFile::open(&config(&path)).expect("opened");
        let real = Surroundings::default().append;
        let full_after_eight: Append = Arc::new(move |file, bytes| {
            let left = 8u64.saturating_sub(file.metadata()?.len()) as usize;
            match left {
                0 => Err(io::ErrorKind::StorageFull.into()),
                left => real(file, &bytes[..left.min(bytes.len())]),
            }
        });
        let cut = active.append(b"one\ntwo\nthree\n", &full_after_eight);
        let cut = cut.expect_err("no room for all");
        assert_eq!(cut.written, 8);
        let cut = active.append(b"x\n", &full_after_eight).expect_err("full");
        assert_eq!(cut.written, 0);
        assert_eq!(fs::read(&path).expect("readable"), b"one\ntwo\n");

        fs::write(&path, "one\n").expect("written");
        active.look(&path);
        active
            .append(b"three\nfour\n", &full_after_eight)
            .expect_err("full");
        assert_eq!(fs::read(&path).expect("readable"), b"one\n");
    }
}
