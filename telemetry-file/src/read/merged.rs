//! Several logs as one, by the times of their lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::archive_name::ArchiveName;
use crate::error::FileError;
use crate::platform;
use crate::read::lines::{Line, Lines};
use crate::read::query::Query;
use crate::read::reader::LogReader;

/// Reads one or more logs, oldest line first.
///
/// Lines of one log stay in their order; between logs their times decide. A line
/// without a time comes right after the one before it.
pub struct Merged {
    logs: Vec<Log>,
    /// Lines to leave out before the first of the last ones.
    skip: u64,
}

struct Log {
    reader: LogReader,
    lines: Lines,
    /// Of the next line.
    place: usize,
    /// Time of the next line, or of the last one that had one.
    time: u64,
    ended: bool,
}

impl Merged {
    /// Opens the logs that these files belong to. An active file brings its
    /// archives, and no file is read twice, so that `daemon*` is the same as
    /// `daemon.log`.
    ///
    /// # Errors
    /// When one of them is not there or cannot be read.
    pub fn open(paths: &[PathBuf], query: &Query) -> Result<Self, FileError> {
        let mut logs: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for path in paths {
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            logs.entry(log_of(&path)).or_default().push(path);
        }
        let readers = logs
            .values()
            .map(|paths| LogReader::open_files(paths, query));
        Ok(Self::of(readers.collect::<Result<_, _>>()?, query))
    }

    /// Logs that were opened with the same query.
    pub fn of(mut readers: Vec<LogReader>, query: &Query) -> Self {
        let count = readers.len();
        for reader in &mut readers {
            reader.share(count);
        }
        let counted: u64 = readers.iter().map(LogReader::counted).sum();
        let log = |reader| Log {
            reader,
            lines: Lines::default(),
            place: 0,
            time: 0,
            ended: false,
        };
        Self {
            logs: readers.into_iter().map(log).collect(),
            skip: query.last.map_or(0, |last| counted.saturating_sub(last)),
        }
    }

    /// The next line; `None` at the end.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        while self.skip > 0 {
            self.skip -= 1;
            self.step()?;
        }
        let (log, place) = self.step()?;
        self.logs[log].lines.at(place)
    }

    /// How many lines were left out so far because they are no records, so that
    /// it cannot be told whether they were asked for.
    pub fn left_out(&self) -> u64 {
        self.logs.iter().map(|log| log.reader.left_out()).sum()
    }

    /// What could not be read so far, with the reason; the rest was.
    pub fn take_errors(&mut self) -> Vec<FileError> {
        let errors = self.logs.iter_mut().map(|log| log.reader.take_errors());
        errors.flatten().collect()
    }

    /// How many pieces all the logs hold at once.
    #[cfg(test)]
    pub(crate) fn max_pieces(&self) -> usize {
        self.logs.iter().map(|log| log.reader.max_pieces()).sum()
    }

    /// Takes the next line, and tells where it stands.
    fn step(&mut self) -> Option<(usize, usize)> {
        for log in &mut self.logs {
            log.look();
        }
        let waiting = self.logs.iter().enumerate().filter(|(_, log)| !log.ended);
        let (first, _) = waiting.min_by_key(|(_, log)| log.time)?;
        let log = &mut self.logs[first];
        log.place += 1;
        Some((first, log.place - 1))
    }
}

impl Log {
    /// Makes sure that the next line is there, if there is one.
    fn look(&mut self) {
        while !self.ended && self.place >= self.lines.len() {
            self.place = 0;
            match self.reader.next() {
                Some(lines) => self.lines = lines,
                None => self.ended = true,
            }
        }
        if let Some(time) = self.lines.at(self.place).and_then(|line| line.unix_nanos) {
            self.time = time;
        }
    }
}

/// The active file of the log that a file belongs to, which is that file if
/// it is no archive.
fn log_of(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(archive) = name.and_then(ArchiveName::parse_any) else {
        return path.to_owned();
    };
    let folder = platform::directory_of(path);
    // The stem of `d.log` is `d`, but that of `d.txt` is `d.txt`.
    let as_it_is = folder.join(&archive.stem);
    if as_it_is.is_file() {
        return as_it_is;
    }
    folder.join(format!("{}.log", archive.stem))
}
