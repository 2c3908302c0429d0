//! The lines of a log from its oldest archive to its active file.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive_name::{self, ArchiveName};
use crate::directory::{Archive, Directory};
use crate::error::FileError;
use crate::platform;
use crate::read::follow::Follower;
use crate::read::lines::Lines;
use crate::read::query::{Filter, Query};
use crate::read::source::{OpenSource, Piece, Source, read_full_at};
use crate::read::threads;
use crate::xz_index;

/// How many pieces each thread gets at a time. Less, and threads wait for each
/// other; more, and memory grows.
const PIECES_PER_THREAD: usize = 4;

/// Reads the lines of one log that a query asks for, oldest first.
///
/// An iterator over batches of lines; each call reads as much as it takes to
/// have some, on a few threads that end with the call. Only what was written
/// before the reader was opened is read. It takes no lock, and disturbs no
/// writer.
///
/// A file that cannot be read to its end does not keep the others from being
/// read: see [`take_errors`](Self::take_errors).
pub struct LogReader {
    sources: VecDeque<Source>,
    open: Option<(PathBuf, OpenSource)>,
    filter: Arc<Filter>,
    /// Batches that wait to be handed out.
    ready: VecDeque<Lines>,
    /// The number of lines, if only the last ones are asked for.
    counted: u64,
    /// Lines to leave out before the first of those.
    skip: u64,
    /// The first batches are small, for whoever wants to see the first lines.
    wave: usize,
    left_out: u64,
    errors: Vec<FileError>,
}

impl LogReader {
    /// Opens the log whose active file is at `path`, with all its archives. A
    /// path with the name of an archive stands for that archive alone, and so
    /// does one that ends in `.xz`.
    ///
    /// With [`Query::last`] this reads the log from its end.
    ///
    /// # Errors
    /// When there is no such file and no archive of it, or the active file or
    /// the directory cannot be read.
    pub fn open(path: &Path, query: &Query) -> Result<Self, FileError> {
        let sources = match is_single(path) {
            true => vec![existing_source(path)?],
            false => sources_of_log(path, None)?,
        };
        Ok(Self::over(sources, query))
    }

    /// As [`open`](Self::open), and a follower that goes on where this reader
    /// ends. A line without its end counts as not yet written.
    ///
    /// # Errors
    /// As `open`, except that a log without any file may still come.
    pub fn open_to_follow(path: &Path, query: &Query) -> Result<(Self, Follower), FileError> {
        let follower = Follower::open(path, query)?;
        let sources = match sources_of_log(path, Some(&follower)) {
            Err(FileError::NoLog { .. }) => Vec::new(),
            other => other?,
        };
        Ok((Self::over(sources, query), follower))
    }

    /// Opens a log of these files, which may be archives and the active file
    /// of it, in any order. Each is read once, and the active file brings its
    /// archives.
    pub(crate) fn open_files(paths: &[PathBuf], query: &Query) -> Result<Self, FileError> {
        let mut sources = Vec::new();
        for path in paths {
            match is_single(path) {
                true => sources.push(existing_source(path)?),
                false => sources.extend(sources_of_log(path, None)?),
            }
        }
        sources.sort_by(|one, other| one.place_in_log().cmp(&other.place_in_log()));
        sources.dedup_by(|next, before| next.path == before.path);
        Ok(Self::over(sources, query))
    }

    /// Archives of one log, as they were listed.
    pub(crate) fn of_archives(archives: Vec<Archive>, filter: &Arc<Filter>) -> Self {
        let sources = archives.into_iter().map(Source::of);
        Self::with(sources.collect(), Arc::clone(filter))
    }

    fn over(sources: Vec<Source>, query: &Query) -> Self {
        let mut reader = Self::with(sources.into(), Arc::new(Filter::new(query)));
        if let Some(last) = query.last {
            reader.go_to_last(last);
        }
        reader
    }

    fn with(sources: VecDeque<Source>, filter: Arc<Filter>) -> Self {
        Self {
            sources,
            open: None,
            filter,
            ready: VecDeque::new(),
            counted: 0,
            skip: 0,
            wave: threads::count(),
            left_out: 0,
            errors: Vec::new(),
        }
    }

    /// How many lines there will be, with [`Query::last`].
    pub(crate) fn counted(&self) -> u64 {
        self.counted
    }

    /// How many lines were left out so far because they are no records, so that
    /// it cannot be told whether they were asked for.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What could not be read so far, with the reason; the rest was.
    pub fn take_errors(&mut self) -> Vec<FileError> {
        std::mem::take(&mut self.errors)
    }

    /// Reads until something is ready; false at the end.
    fn advance(&mut self) -> bool {
        let mut pieces = Vec::new();
        while pieces.len() < self.wave {
            match self.next_piece() {
                Some(piece) => pieces.push(piece),
                None => break,
            }
        }
        let found = !pieces.is_empty();
        self.wave = PIECES_PER_THREAD * threads::count();
        for (path, lines) in self.read(pieces) {
            match lines {
                Ok(lines) => self.take(lines),
                Err(error) => self.errors.push(FileError::unreadable(&path, &error)),
            }
        }
        found
    }

    fn take(&mut self, mut lines: Lines) {
        self.left_out += lines.left_out();
        self.skip -= lines.skip(self.skip);
        if !lines.is_empty() {
            self.ready.push_back(lines);
        }
    }

    fn read(&self, pieces: Vec<(PathBuf, Piece)>) -> Vec<(PathBuf, io::Result<Lines>)> {
        let filter = &*self.filter;
        threads::map(pieces, |(path, piece)| {
            let text = piece.text();
            (path, text.map(|text| Lines::select(&text, filter)))
        })
    }

    fn next_piece(&mut self) -> Option<(PathBuf, Piece)> {
        loop {
            let Some((path, source)) = &mut self.open else {
                let source = self.sources.pop_front()?;
                self.open = self.open_source(&source);
                continue;
            };
            if let Some(number) = source.pieces.pop_front() {
                return Some((path.clone(), source.piece(number)));
            }
            match source.next_text() {
                Ok(Some(text)) => return Some((path.clone(), Piece::Text(text))),
                Ok(None) => self.open = None,
                Err(error) => self.errors.push(FileError::unreadable(path, &error)),
            }
        }
    }

    fn open_source(&mut self, source: &Source) -> Option<(PathBuf, OpenSource)> {
        match source.open(self.filter.times()) {
            Ok(open) => open.map(|open| (source.path.clone(), open)),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// Leaves out all but the last lines: counts from the end, and forgets
    /// what it has read, since nobody knows how much that is.
    fn go_to_last(&mut self, last: u64) {
        let mut found = 0;
        let mut later = VecDeque::new();
        let mut first_piece = 0;
        while found < last {
            let Some(source) = self.sources.pop_back() else {
                break;
            };
            if let Ok(Some(open)) = source.open(self.filter.times()) {
                first_piece = self.count_back(open, last - found, &mut found);
            }
            later.push_front(source);
        }
        self.sources = later;
        self.counted = found.min(last);
        self.skip = found - self.counted;
        self.open = self
            .sources
            .pop_front()
            .and_then(|first| self.open_source(&first));
        if let Some((_, open)) = &mut self.open {
            open.pieces.retain(|&number| number >= first_piece);
        }
    }

    /// Counts from the last piece on until there are enough; returns the first
    /// piece that was counted. Errors are told when it is read again.
    fn count_back(&self, mut source: OpenSource, enough: u64, found: &mut u64) -> u64 {
        if source.is_stream() {
            *found += self.count_stream(source);
            return 0;
        }
        let numbers: Vec<u64> = source.pieces.drain(..).collect();
        let mut counted = 0;
        for wave in numbers.rchunks(threads::count()) {
            let pieces = wave.iter().map(|&number| source.piece(number)).collect();
            let filter = &*self.filter;
            let counts = threads::map(pieces, |piece: Piece| {
                let text = piece.text().unwrap_or_default();
                Lines::select(&text, filter).len() as u64
            });
            counted += counts.iter().sum::<u64>();
            if counted >= enough {
                *found += counted;
                return wave[0];
            }
        }
        *found += counted;
        0
    }

    fn count_stream(&self, mut source: OpenSource) -> u64 {
        let mut count = 0;
        // An error ends the stream, and is told when it is read again.
        while let Ok(Some(text)) = source.next_text() {
            count += Lines::select(&text, &self.filter).len() as u64;
        }
        count
    }
}

impl Iterator for LogReader {
    type Item = Lines;

    fn next(&mut self) -> Option<Lines> {
        loop {
            if let Some(lines) = self.ready.pop_front() {
                return Some(lines);
            }
            if !self.advance() {
                return None;
            }
        }
    }
}

/// True for a path that stands for one file, not for a log with its archives.
fn is_single(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_archive = name.and_then(ArchiveName::parse_any).is_some();
    let is_packed = path.extension().is_some_and(|ending| ending == "xz");
    is_archive || is_packed
}

fn existing_source(path: &Path) -> Result<Source, FileError> {
    match path.try_exists() {
        Ok(true) => Ok(Source::at(path.to_owned())),
        Ok(false) => Err(FileError::NoLog {
            path: path.to_owned(),
        }),
        Err(error) => Err(FileError::unreadable(path, &error)),
    }
}

/// The archives of a log and its active file, oldest first. The active file is
/// opened before the archives are listed: if it is set aside in between it is
/// there twice, which can be seen, and not missing.
fn sources_of_log(path: &Path, follower: Option<&Follower>) -> Result<Vec<Source>, FileError> {
    let unreadable = |error: io::Error| FileError::unreadable(path, &error);
    let active = match follower {
        Some(follower) => follower.begun(),
        None => open_active(path).map_err(unreadable)?,
    };
    let mut archives = archives_of(path)?;
    let mut sources = Vec::new();
    if let Some((file, bytes)) = active {
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Ok(vec![Source::at(path.to_owned())]);
        }
        let id = platform::file_id(&metadata);
        archives.retain(|archive| !is_same_file(&archive.path, id));
        sources.push(Source::opened(path, file, bytes));
    } else if archives.is_empty() {
        return Err(FileError::NoLog {
            path: path.to_owned(),
        });
    }
    let archives = without_doubles(archives);
    Ok(archives
        .into_iter()
        .map(Source::of)
        .chain(sources)
        .collect())
}

fn open_active(path: &Path) -> io::Result<Option<(Arc<File>, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok(Some((Arc::new(file), metadata.len())))
        }
        Err(error) if platform::is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The archives of the log whose active file is at `path`, oldest first.
pub(crate) fn archives_of(path: &Path) -> Result<Vec<Archive>, FileError> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(FileError::NoFileName {
            path: path.to_owned(),
        });
    };
    let folder = platform::directory_of(path);
    match Directory::new(folder, archive_name::stem(name)).archives() {
        Ok(archives) => Ok(archives),
        Err(error) if platform::is_absence(&error) => Ok(Vec::new()),
        Err(error) => Err(FileError::unreadable(folder, &error)),
    }
}

fn is_same_file(path: &Path, id: Option<platform::FileId>) -> bool {
    let found = path.symlink_metadata().ok();
    let found = found.and_then(|metadata| platform::file_id(&metadata));
    found.is_some() && found == id
}

/// Leaves out the packed form of an archive that is there in both, as it is
/// for a moment, or from a kill until the next start. (If they differ, which the
/// archiver would mend, both are read.)
fn without_doubles(archives: Vec<Archive>) -> Vec<Archive> {
    let mut kept: Vec<Archive> = Vec::new();
    for archive in archives {
        let is_double = kept.last().is_some_and(|plain| {
            plain.name.packed() == archive.name && unpacked_bytes(&archive) == Some(plain.bytes)
        });
        if !is_double {
            kept.push(archive);
        }
    }
    kept
}

/// How large a packed archive was before; `None` if that cannot be told.
pub(crate) fn unpacked_bytes(archive: &Archive) -> Option<u64> {
    let file = File::open(&archive.path).ok()?;
    let index = xz_index::read(archive.bytes, |at, bytes| {
        match read_full_at(&file, bytes, at)? == bytes.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    });
    index.ok()?.map(|index| index.bytes())
}
