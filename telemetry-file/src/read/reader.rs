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

/// The log may be rotated and compressed while it is opened.
const OPEN_ATTEMPTS: usize = 8;

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
    /// How many pieces come next. The first batches are small, for whoever
    /// wants to see the first lines.
    wave: usize,
    max_wave: usize,
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
            false => sources_of_log(path)?,
        };
        Ok(Self::over(sources, query))
    }

    /// As [`open`](Self::open), and a follower that goes on where this reader
    /// ends. A line without its end counts as not yet written.
    ///
    /// # Errors
    /// As `open`, except that a log without any file may still come.
    pub fn open_to_follow(path: &Path, query: &Query) -> Result<(Self, Follower), FileError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let follower = Follower::open(path, query)?;
            let sources = match list_sources(path, follower.begun()) {
                Err(FileError::NoLog { .. }) => Vec::new(),
                other => other?,
            };
            if attempts == OPEN_ATTEMPTS || !is_stale(&sources) {
                return Ok((Self::over(sources, query), follower));
            }
        }
    }

    /// Opens a log of these files, which may be archives and the active file
    /// of it, in any order. Each is read once, and the active file brings its
    /// archives.
    pub(crate) fn open_files(paths: &[PathBuf], query: &Query) -> Result<Self, FileError> {
        let mut sources = Vec::new();
        for path in paths {
            match is_single(path) {
                true => sources.push(existing_source(path)?),
                false => sources.extend(sources_of_log(path)?),
            }
        }
        sources.sort_by(|one, other| one.place_in_log().cmp(&other.place_in_log()));
        sources.dedup_by(|next, before| next.path == before.path);
        Ok(Self::over(without_doubles(sources), query))
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
            max_wave: PIECES_PER_THREAD * threads::count(),
            left_out: 0,
            errors: Vec::new(),
        }
    }

    /// From now on holds only its share of memory, as one of so many readers.
    pub(crate) fn share(&mut self, readers: usize) {
        self.max_wave = (self.max_wave / readers.max(1)).max(1);
        self.wave = self.wave.min(self.max_wave);
    }

    /// How many pieces are held at once.
    #[cfg(test)]
    pub(crate) fn max_pieces(&self) -> usize {
        self.max_wave
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
        self.wave = self.max_wave;
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
            let Some(mut source) = self.sources.pop_back() else {
                break;
            };
            match source.open(self.filter.times()) {
                // It cannot be read again.
                Ok(Some(open)) if open.is_pipe() => {
                    found += self.keep_last_of_pipe(&source.path, open, last - found);
                    continue;
                }
                Ok(Some(open)) => {
                    source.hold(&open);
                    first_piece = self.count_back(open, last - found, &mut found);
                }
                // Told when it is read.
                Ok(None) | Err(_) => {}
            }
            later.push_front(source);
        }
        self.sources = later;
        self.counted = found.min(last);
        self.skip = found - self.counted;
        for lines in &mut self.ready {
            self.skip -= lines.skip(self.skip);
        }
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
        loop {
            match source.next_text() {
                Ok(Some(text)) => count += Lines::select(&text, &self.filter).len() as u64,
                Ok(None) => return count,
                // It ends the stream, but there is a rest; told when it is read
                // again.
                Err(_) => {}
            }
        }
    }

    /// Reads a pipe to its end and keeps what may hold its last lines; returns
    /// how many lines that are.
    fn keep_last_of_pipe(&mut self, path: &Path, mut source: OpenSource, last: u64) -> u64 {
        let mut kept = VecDeque::new();
        let mut count = 0;
        loop {
            let text = match source.next_text() {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(error) => {
                    self.errors.push(FileError::unreadable(path, &error));
                    continue;
                }
            };
            let lines = Lines::select(&text, &self.filter);
            self.left_out += lines.left_out();
            count += lines.len() as u64;
            kept.push_back(lines);
            let first = |kept: &VecDeque<Lines>| kept.front().map_or(0, |lines| lines.len() as u64);
            while count - first(&kept) >= last && kept.len() > 1 {
                count -= first(&kept);
                kept.pop_front();
            }
        }
        kept.append(&mut self.ready);
        self.ready = kept;
        count
    }
}

impl Iterator for LogReader {
    type Item = Lines;

    fn next(&mut self) -> Option<Lines> {
        loop {
            if let Some(lines) = self.ready.pop_front() {
                if lines.is_empty() {
                    continue;
                }
                return Some(lines);
            }
            if !self.advance() {
                return None;
            }
        }
    }
}

/// True for a path that stands for one file, not for a log with its archives.
pub(crate) fn is_single(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_archive = name.and_then(ArchiveName::parse_any).is_some();
    let is_packed = path.extension().is_some_and(|ending| ending == "xz");
    is_archive || is_packed
}

fn existing_source(path: &Path) -> Result<Source, FileError> {
    let source = Source::at(path.to_owned());
    // It may have been compressed since somebody listed its name.
    let packed = source.packed();
    for source in [Some(source), packed].into_iter().flatten() {
        match source.path.try_exists() {
            Ok(true) => return Ok(source),
            Ok(false) => {}
            Err(error) => return Err(FileError::unreadable(&source.path, &error)),
        }
    }
    Err(FileError::NoLog {
        path: path.to_owned(),
    })
}

/// The archives of a log and its active file, oldest first. The active file is
/// opened before the archives are listed: if it is set aside in between it is
/// there twice, which can be seen, and not missing.
fn sources_of_log(path: &Path) -> Result<Vec<Source>, FileError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let active = open_active(path).map_err(|error| FileError::unreadable(path, &error))?;
        let sources = list_sources(path, active)?;
        if attempts == OPEN_ATTEMPTS || !is_stale(&sources) {
            return Ok(sources);
        }
    }
}

/// The archives, and behind them the active file, of so many bytes.
fn list_sources(path: &Path, active: Option<(Arc<File>, u64)>) -> Result<Vec<Source>, FileError> {
    let mut archives = archives_of(path)?;
    let mut sources = Vec::new();
    if let Some((file, bytes)) = active {
        let metadata = file
            .metadata()
            .map_err(|error| FileError::unreadable(path, &error))?;
        if !metadata.is_file() {
            // Not opened again: whoever writes to it would see it closed.
            return Ok(vec![Source::opened(path, file, bytes)]);
        }
        let id = platform::file_id(&metadata);
        archives.retain(|archive| !is_same_file(&archive.path, id));
        sources.push(Source::opened(path, file, bytes));
    } else if archives.is_empty() {
        return Err(FileError::NoLog {
            path: path.to_owned(),
        });
    }
    let archives = archives.into_iter().map(Source::of).collect();
    Ok(without_doubles(archives)
        .into_iter()
        .chain(sources)
        .collect())
}

/// True when the active file has been set aside and compressed since it was
/// opened: it stands among the archives, or will.
fn is_stale(sources: &[Source]) -> bool {
    sources.iter().any(Source::is_deleted)
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
fn without_doubles(sources: Vec<Source>) -> Vec<Source> {
    let mut kept: Vec<Source> = Vec::new();
    for source in sources {
        if !kept.last().is_some_and(|plain| is_double(plain, &source)) {
            kept.push(source);
        }
    }
    kept
}

fn is_double(plain: &Source, packed: &Source) -> bool {
    let is_same = plain.packed().is_some_and(|same| same.path == packed.path);
    let plain_bytes = || plain.path.metadata().ok().map(|metadata| metadata.len());
    is_same && plain_bytes().is_some_and(|bytes| unpacked_bytes(&packed.path) == Some(bytes))
}

/// How large a packed archive was before; `None` if that cannot be told.
pub(crate) fn unpacked_bytes(path: &Path) -> Option<u64> {
    let file = File::open(path).ok()?;
    let packed_bytes = file.metadata().ok()?.len();
    let index = xz_index::read(packed_bytes, |at, bytes| {
        match read_full_at(&file, bytes, at)? == bytes.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    });
    index.ok()?.map(|index| index.bytes())
}
