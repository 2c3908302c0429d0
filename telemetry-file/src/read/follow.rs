//! What is written to a log from now on, across rotations.
//!
//! The file is read through one handle, so that it may be renamed or removed
//! meanwhile. When the path stands for another file the old one is read to its
//! end; not before there is something in the new one, since a writer that was
//! not told of the rename goes on in the old one for a moment. What was rotated
//! twice between two looks lies in archives that were not there at the last
//! one, and those are read whole.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive_name::ArchiveName;
use crate::directory::Archive;
use crate::error::FileError;
use crate::platform::{self, FileId};
use crate::read::lines::Lines;
use crate::read::query::{Filter, Query};
use crate::read::reader::{LogReader, archives_of, is_single, unpacked_bytes};
use crate::read::source::{MAX_LINE_BYTES, PIECE_BYTES, read_full_at};

/// The path may come to stand for another file while it is opened.
const OPEN_ATTEMPTS: usize = 8;

/// Yields the lines that are written to a log from now on, in order.
///
/// Never waits: call [`poll`](Self::poll) as often as lines should appear.
/// Made by [`LogReader::open_to_follow`].
pub struct Follower {
    path: PathBuf,
    filter: Arc<Filter>,
    current: Option<Current>,
    /// Archives that need not be read; all in their plain form.
    known: HashSet<String>,
    /// Archives between the file that was followed and the current one.
    between: Option<LogReader>,
}

/// The file that is being read.
struct Current {
    file: Arc<File>,
    id: Option<FileId>,
    /// Everything before has been read.
    at: u64,
    /// The beginning of a line whose end has not been read.
    carry: Vec<u8>,
}

impl Follower {
    pub(crate) fn open(path: &Path, query: &Query) -> Result<Self, FileError> {
        if is_single(path) {
            return Err(FileError::Unreadable {
                path: path.to_owned(),
                reason: "an archive does not grow, so that it cannot be followed".to_owned(),
            });
        }
        let mut follower = Self {
            path: path.to_owned(),
            filter: Arc::new(Filter::new(query)),
            current: None,
            known: HashSet::new(),
            between: None,
        };
        for _ in 0..OPEN_ATTEMPTS {
            follower.current = follower.open_path()?;
            if let Some(current) = &mut follower.current {
                current
                    .go_to_last_line_end()
                    .map_err(|error| follower_error(path, &error))?;
            }
            follower.known = plain_names(&archives_of(path)?);
            if follower.is_current() {
                return Ok(follower);
            }
        }
        Err(FileError::Unreadable {
            path: path.to_owned(),
            reason: "somebody keeps moving it while it is opened".to_owned(),
        })
    }

    /// The file that is followed, and how much of it was there at first.
    pub(crate) fn begun(&self) -> Option<(Arc<File>, u64)> {
        let current = self.current.as_ref()?;
        Some((Arc::clone(&current.file), current.at))
    }

    /// The lines that were asked for and came since the last call; none if
    /// there is nothing new. Reads about a mebibyte at most: call it again at
    /// once until it is [`None`], then wait a little.
    ///
    /// # Errors
    /// When the log cannot be read. The next call tries again.
    pub fn poll(&mut self) -> Result<Option<Lines>, FileError> {
        if let Some(lines) = self.poll_between()? {
            return Ok(Some(lines));
        }
        if let Some(lines) = self.poll_current()? {
            return Ok(Some(lines));
        }
        if self.is_current() {
            return Ok(None);
        }
        let Some(next) = self.open_path()?.filter(Current::has_content) else {
            return Ok(None);
        };
        // Whoever wrote to the old file writes to the new one now.
        if let Some(lines) = self.poll_current()? {
            return Ok(Some(lines));
        }
        self.move_on(next)
    }

    fn poll_between(&mut self) -> Result<Option<Lines>, FileError> {
        let Some(between) = &mut self.between else {
            return Ok(None);
        };
        let lines = between.next();
        let errors = between.take_errors();
        if lines.is_none() {
            self.between = None;
        }
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(lines),
        }
    }

    fn poll_current(&mut self) -> Result<Option<Lines>, FileError> {
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        let text = current
            .read()
            .map_err(|error| follower_error(&self.path, &error))?;
        Ok(text.map(|text| Lines::select(&text, &self.filter)))
    }

    /// Goes on with another file, and what was rotated away in between.
    fn move_on(&mut self, next: Current) -> Result<Option<Lines>, FileError> {
        let archives = archives_of(&self.path)?;
        let old = self.current.take();
        let known = std::mem::replace(&mut self.known, plain_names(&archives));
        self.current = Some(next);
        if !self.is_current() {
            // It was rotated away just now, and stands among the archives.
            self.current = old;
            self.known = known;
            return Ok(None);
        }
        let is_new = |archive: &Archive| {
            let is_old = old.as_ref().is_some_and(|old| old.is(archive));
            !known.contains(&plain_name(archive)) && !is_old
        };
        let new: Vec<Archive> = archives.into_iter().filter(is_new).collect();
        if !new.is_empty() {
            self.between = Some(LogReader::of_archives(new, &self.filter));
        }
        let rest = old.map(|old| old.carry).filter(|rest| !rest.is_empty());
        Ok(Some(match rest {
            Some(torn) => Lines::select(&torn, &self.filter),
            None => Lines::default(),
        }))
    }

    /// `None` when there is no file at the path.
    fn open_path(&self) -> Result<Option<Current>, FileError> {
        let opened = match File::open(&self.path) {
            Ok(file) => Current::begin(file).map(Some),
            Err(error) if platform::is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        };
        opened.map_err(|error| follower_error(&self.path, &error))
    }

    /// True when the path stands for the file that is read, or both are
    /// missing.
    fn is_current(&self) -> bool {
        let found = self.path.metadata().ok();
        let found = found.map(|metadata| platform::file_id(&metadata));
        found == self.current.as_ref().map(|current| current.id)
    }
}

impl Current {
    fn begin(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Err(io::Error::other("only a regular file can be followed"));
        }
        Ok(Self {
            file: Arc::new(file),
            id: platform::file_id(&metadata),
            at: 0,
            carry: Vec::new(),
        })
    }

    fn has_content(&self) -> bool {
        self.bytes().is_ok_and(|bytes| bytes > 0)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn go_to_last_line_end(&mut self) -> io::Result<()> {
        let mut end = self.bytes()?;
        while end > 0 {
            let begin = end.saturating_sub(PIECE_BYTES);
            let mut text = vec![0; (end - begin) as usize];
            let length = read_full_at(&self.file, &mut text, begin)?;
            if let Some(last) = memchr::memrchr(b'\n', &text[..length]) {
                self.at = begin + last as u64 + 1;
                return Ok(());
            }
            end = begin;
        }
        Ok(())
    }

    /// The next whole lines; `None` when there is nothing new.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.bytes()?;
        if bytes < self.at {
            // Truncated: what comes now begins at the beginning.
            self.at = 0;
            self.carry.clear();
        }
        let mut text = vec![0; (bytes - self.at).min(PIECE_BYTES) as usize];
        let length = read_full_at(&self.file, &mut text, self.at)?;
        if length == 0 {
            return Ok(None);
        }
        self.at += length as u64;
        self.carry.extend_from_slice(&text[..length]);
        let end = match memchr::memrchr(b'\n', &self.carry) {
            Some(last) => last + 1,
            None if self.carry.len() > MAX_LINE_BYTES => self.carry.len(),
            None => 0,
        };
        let rest = self.carry.split_off(end);
        Ok(Some(std::mem::replace(&mut self.carry, rest)))
    }

    /// True when the archive is this file, in either form.
    fn is(&self, archive: &Archive) -> bool {
        if archive.name.packed {
            return unpacked_bytes(&archive.path) == Some(self.at);
        }
        let found = archive.path.symlink_metadata().ok();
        found.and_then(|metadata| platform::file_id(&metadata)) == self.id
    }
}

fn plain_names(archives: &[Archive]) -> HashSet<String> {
    archives.iter().map(plain_name).collect()
}

fn plain_name(archive: &Archive) -> String {
    let name = ArchiveName {
        packed: false,
        ..archive.name.clone()
    };
    name.to_string()
}

fn follower_error(path: &Path, error: &io::Error) -> FileError {
    FileError::unreadable(path, error)
}
