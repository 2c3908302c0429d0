//! One file of a log: what form it has, and which pieces of it can hold what is
//! looked for.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::archive_name::{ArchiveName, SortKey};
use crate::directory::Archive;
use crate::error::FileError;
use crate::line;
use crate::platform;
use crate::xz::{self, BLOCK_BYTES, ORDER_TOLERANCE_NANOS};
use crate::xz_index::{self, Block, Index};

/// A plain file is read in pieces of this size.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;

/// Longer lines are cut, so that a file without line ends does not fill the
/// memory. No record is as long.
pub(crate) const MAX_LINE_BYTES: usize = 4 << 20;

/// Blocks beyond this size are not ours, and not read each by itself.
const MAX_BLOCK_BYTES: u64 = 2 * BLOCK_BYTES as u64;

/// Enough packed bytes to tell the first timestamp of a block.
const BEGINNING_BYTES: usize = 1024;

const XZ_MAGIC: &[u8] = b"\xFD7zXZ\0";
const NANOS: i128 = 1_000_000_000;

/// A file of a log that has not been looked into.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// Taken apart, if it is that of an archive.
    name: Option<ArchiveName>,
    /// Opened before, since the name may come to stand for another file.
    opened: Option<(Arc<File>, u64)>,
}

impl Source {
    /// The file at a path, whatever it is.
    pub(crate) fn at(path: PathBuf) -> Self {
        let name = path.file_name().and_then(|name| name.to_str());
        Self {
            name: name.and_then(ArchiveName::parse_any),
            path,
            opened: None,
        }
    }

    /// A file that is open, up to so many bytes.
    pub(crate) fn opened(path: &Path, file: Arc<File>, bytes: u64) -> Self {
        Self {
            path: path.to_owned(),
            name: None,
            opened: Some((file, bytes)),
        }
    }

    pub(crate) fn of(archive: Archive) -> Self {
        Self {
            path: archive.path,
            name: Some(archive.name),
            opened: None,
        }
    }

    /// The same archive after it has been compressed; `None` if it is none, or
    /// has been.
    pub(crate) fn packed(&self) -> Option<Self> {
        let name = self.name.as_ref().filter(|name| !name.packed)?;
        let path = self.path.with_file_name(name.packed().to_string());
        Some(Self::at(path))
    }

    /// Reads the same file again when it is opened again: a plain archive may
    /// be compressed meanwhile, and has other pieces then.
    pub(crate) fn hold(&mut self, open: &OpenSource) {
        if let Form::Plain { bytes } = open.form {
            self.opened = Some((Arc::clone(&open.file), bytes));
        }
    }

    /// True for an open file that has lost its name.
    pub(crate) fn is_deleted(&self) -> bool {
        let file = self.opened.as_ref().map(|(file, _)| file);
        let metadata = file.and_then(|file| file.metadata().ok());
        metadata.is_some_and(|metadata| platform::is_deleted(&metadata))
    }

    /// Sorts the files of a log: archives in the order of time, then the rest.
    pub(crate) fn place_in_log(&self) -> (bool, Option<SortKey>, &Path) {
        let key = self.name.as_ref().map(ArchiveName::sort_key);
        (key.is_none(), key, &self.path)
    }

    /// Opens it, and tells which of its pieces may hold a record of these
    /// times. `None` when it has been removed since it was listed.
    pub(crate) fn open(&self, times: Option<(u64, u64)>) -> Result<Option<OpenSource>, FileError> {
        self.try_open(times)
            .map_err(|error| FileError::unreadable(&self.path, &error))
    }

    fn try_open(&self, times: Option<(u64, u64)>) -> io::Result<Option<OpenSource>> {
        if self.is_all_after(times) {
            return Ok(None);
        }
        if let Some((file, bytes)) = &self.opened {
            let form = match Form::of(file, &file.metadata()?)? {
                // Not what has been written since.
                Form::Plain { .. } => Form::Plain { bytes: *bytes },
                other => other,
            };
            return Ok(Some(OpenSource::new(Arc::clone(file), form, times)?));
        }
        let Some(file) = self.open_file()? else {
            return Ok(None);
        };
        let metadata = file.metadata()?;
        let file = Arc::new(file);
        let is_before = |file: &File| -> io::Result<bool> {
            self.is_all_before(file, metadata.modified()?, times)
        };
        if metadata.is_file() && is_before(&file)? {
            return Ok(None);
        }
        let form = Form::of(&file, &metadata)?;
        Ok(Some(OpenSource::new(file, form, times)?))
    }

    /// An archive may be compressed at any moment.
    fn open_file(&self) -> io::Result<Option<File>> {
        match File::open(&self.path) {
            Err(error) if platform::is_absence(&error) => {}
            other => return other.map(Some),
        }
        let Some(packed) = self.packed() else {
            return Ok(None);
        };
        match File::open(packed.path) {
            Err(error) if platform::is_absence(&error) => Ok(None),
            other => other.map(Some),
        }
    }

    /// True when the name alone tells that every record is too late.
    fn is_all_after(&self, times: Option<(u64, u64)>) -> bool {
        let (Some((_, until)), Some(name)) = (times, &self.name) else {
            return false;
        };
        i128::from(until) < i128::from(name.label.bounds().0) * NANOS
    }

    /// True when name, first record and last write together tell that every
    /// record is too early.
    fn is_all_before(
        &self,
        file: &File,
        modified: SystemTime,
        times: Option<(u64, u64)>,
    ) -> io::Result<bool> {
        let (Some((since, _)), Some(name)) = (times, &self.name) else {
            return Ok(false);
        };
        let end = i128::from(name.label.bounds().1) * NANOS;
        let written = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let tolerance = i128::from(ORDER_TOLERANCE_NANOS);
        let latest = end.max(written.as_nanos() as i128) + tolerance;
        if latest >= i128::from(since) {
            return Ok(false);
        }
        // Named after a period that its first record is beyond: the clock was
        // set back while the file was written.
        let first = beginning(file)?;
        let first = line::time_of(&first);
        Ok(first.is_some_and(|first| i128::from(first) < end))
    }
}

/// The first bytes of the text, unpacked.
fn beginning(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; xz::HEADER_BYTES + BEGINNING_BYTES];
    let length = read_full_at(file, &mut bytes, 0)?;
    bytes.truncate(length);
    match bytes.split_first_chunk() {
        Some((header, block)) if header.starts_with(XZ_MAGIC) => beginning_of_block(header, block),
        _ => Ok(bytes),
    }
}

/// Nothing of a block that is damaged: reading it tells that.
fn beginning_of_block(header: &[u8; xz::HEADER_BYTES], block: &[u8]) -> io::Result<Vec<u8>> {
    match xz::unpack_beginning(header, block, line::TIME_BYTES) {
        Err(error) if xz::is_damage(&error) => Ok(Vec::new()),
        other => other,
    }
}

/// How the text of a file can be had.
enum Form {
    /// From any place.
    Plain { bytes: u64 },
    /// From the beginning of any block.
    Blocks(Index),
    /// Only from its beginning: an archive that is not ours, or a pipe, which
    /// can be read only once.
    Stream {
        reader: Box<dyn Read + Send>,
        is_pipe: bool,
    },
}

impl Form {
    fn pipe(file: &Arc<File>) -> Self {
        Self::Stream {
            reader: Box::new(Arc::clone(file)),
            is_pipe: true,
        }
    }

    fn of(file: &Arc<File>, metadata: &std::fs::Metadata) -> io::Result<Self> {
        if !metadata.is_file() {
            return Ok(Self::pipe(file));
        }
        let bytes = metadata.len();
        let mut magic = [0; XZ_MAGIC.len()];
        let length = read_full_at(file, &mut magic, 0)?;
        if magic[..length] != *XZ_MAGIC {
            return match foreign_compression(&magic) {
                None => Ok(Self::Plain { bytes }),
                Some(name) => Err(io::Error::other(format!(
                    "compressed by {name}, which is not read here; unpack it into a pipe"
                ))),
            };
        }
        let index = xz_index::read(bytes, |at, bytes| read_exact_at(file, bytes, at))?;
        let is_ours = |block: &Block| {
            let is_sane = block.packed_bytes <= MAX_BLOCK_BYTES;
            is_sane && block.bytes <= MAX_BLOCK_BYTES
        };
        match index {
            Some(index) if index.blocks.iter().all(is_ours) => Ok(Self::Blocks(index)),
            _ => {
                let file = At {
                    file: Arc::clone(file),
                    at: 0,
                };
                Ok(Self::Stream {
                    reader: Box::new(xz::reader(file)?),
                    is_pipe: false,
                })
            }
        }
    }
}

/// What else people compress logs with, and how such files begin.
fn foreign_compression(beginning: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], _); 3] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
    ];
    let found = known.iter().find(|(magic, _)| beginning.starts_with(magic));
    found.map(|(_, name)| *name)
}

/// A file of a log that is being read.
pub(crate) struct OpenSource {
    file: Arc<File>,
    form: Form,
    /// Numbers of the pieces that may hold what is looked for, of those that
    /// have not been taken. Unused for a stream.
    pub(crate) pieces: VecDeque<u64>,
    /// Of a stream: the beginning of a line whose end has not been read.
    carry: Vec<u8>,
}

impl OpenSource {
    fn new(file: Arc<File>, form: Form, times: Option<(u64, u64)>) -> io::Result<Self> {
        let pieces = match (&form, times) {
            (Form::Plain { bytes }, _) => (0..bytes.div_ceil(PIECE_BYTES)).collect(),
            (Form::Blocks(index), None) => (0..index.blocks.len() as u64).collect(),
            (Form::Blocks(index), Some(times)) => {
                BlockTimes { file: &file, index }.within(times)?
            }
            (Form::Stream { .. }, _) => VecDeque::new(),
        };
        Ok(Self {
            file,
            form,
            pieces,
            carry: Vec::new(),
        })
    }

    /// True when it has no pieces, but only [`next_text`](Self::next_text).
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.form, Form::Stream { .. })
    }

    /// True when what has been read cannot be read again.
    pub(crate) fn is_pipe(&self) -> bool {
        matches!(self.form, Form::Stream { is_pipe: true, .. })
    }

    /// What it takes to get the text of a piece.
    pub(crate) fn piece(&self, number: u64) -> Piece {
        let file = Arc::clone(&self.file);
        match &self.form {
            Form::Plain { bytes } => Piece::Range {
                file,
                from: number * PIECE_BYTES,
                to: ((number + 1) * PIECE_BYTES).min(*bytes),
                file_bytes: *bytes,
            },
            Form::Blocks(index) => Piece::Block {
                file,
                header: index.header,
                block: index.blocks[number as usize],
            },
            Form::Stream { .. } => Piece::Text(Vec::new()),
        }
    }

    /// The next whole lines of a stream; `None` at its end.
    ///
    /// # Errors
    /// When it is damaged; what was read of the last line comes after that.
    pub(crate) fn next_text(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Form::Stream { reader, .. } = &mut self.form else {
            return Ok(None);
        };
        loop {
            let known = self.carry.len();
            let read = reader.take(PIECE_BYTES).read_to_end(&mut self.carry);
            if let Err(error) = read {
                *reader = Box::new(io::empty());
                return Err(error);
            }
            let is_end = self.carry.len() == known;
            if is_end || self.carry.len() > MAX_LINE_BYTES {
                let text = std::mem::take(&mut self.carry);
                return Ok((!text.is_empty()).then_some(text));
            }
            if let Some(last) = memchr::memrchr(b'\n', &self.carry) {
                let rest = self.carry.split_off(last + 1);
                return Ok(Some(std::mem::replace(&mut self.carry, rest)));
            }
        }
    }
}

/// A piece of a file, which any thread can read by itself.
pub(crate) enum Piece {
    /// The lines that begin in this range of a plain file.
    Range {
        file: Arc<File>,
        from: u64,
        to: u64,
        file_bytes: u64,
    },
    /// A block of an archive.
    Block {
        file: Arc<File>,
        header: [u8; xz::HEADER_BYTES],
        block: Block,
    },
    /// Lines that have been read already.
    Text(Vec<u8>),
}

impl Piece {
    /// Its lines.
    pub(crate) fn text(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Range {
                file,
                from,
                to,
                file_bytes,
            } => lines_within(&file, from, to, file_bytes),
            Self::Block {
                file,
                header,
                block,
            } => {
                let mut packed = vec![0; block.packed_bytes as usize];
                read_exact_at(&file, &mut packed, block.at)?;
                xz::unpack_block(&header, &packed, block.bytes as usize)
            }
        }
    }
}

/// The lines that begin in a range; the last one may end beyond it.
fn lines_within(file: &File, from: u64, to: u64, file_bytes: u64) -> io::Result<Vec<u8>> {
    // With the byte before: if that is a line end, the first line begins here.
    let begin = from.saturating_sub(1);
    let mut text = vec![0; (to - begin) as usize];
    let length = read_full_at(file, &mut text, begin)?;
    text.truncate(length);
    if from > 0 {
        match memchr::memchr(b'\n', &text) {
            Some(end) => drop(text.drain(..=end)),
            None => return Ok(Vec::new()),
        }
    }
    let mut at = begin + length as u64;
    const MORE_BYTES: u64 = 16 << 10;
    let is_open = |text: &[u8]| !text.is_empty() && !text.ends_with(b"\n");
    while is_open(&text) && at < file_bytes && text.len() < MAX_LINE_BYTES {
        let mut more = vec![0; MORE_BYTES.min(file_bytes - at) as usize];
        let length = read_full_at(file, &mut more, at)?;
        if length == 0 {
            break;
        }
        more.truncate(length);
        let end = memchr::memchr(b'\n', &more).map_or(length, |end| end + 1);
        text.extend_from_slice(&more[..end]);
        at += length as u64;
    }
    Ok(text)
}

/// What the beginnings of blocks tell about their times.
///
/// See the module for why the sizes count.
struct BlockTimes<'a> {
    file: &'a File,
    index: &'a Index,
}

impl BlockTimes<'_> {
    /// The numbers of the blocks that may hold a record of these times.
    fn within(&self, (since, until): (u64, u64)) -> io::Result<VecDeque<u64>> {
        let blocks = &self.index.blocks;
        let is_full = |number: usize| blocks[number].bytes >= BLOCK_BYTES as u64;
        let mut wanted = VecDeque::new();
        let mut begin = 0;
        while begin < blocks.len() {
            if !is_full(begin) {
                wanted.push_back(begin as u64);
                begin += 1;
                continue;
            }
            let run = (begin..blocks.len()).take_while(|&number| is_full(number));
            let end = begin + run.count();
            // A block whose first time is unknown is neither.
            let is_too_early = |first: Option<u64>| {
                first.is_some_and(|first| first.saturating_add(ORDER_TOLERANCE_NANOS) < since)
            };
            let is_too_late = |first: Option<u64>| {
                first.is_some_and(|first| first.saturating_sub(ORDER_TOLERANCE_NANOS) > until)
            };
            // All before the last one that begins too early end before it.
            let from = self.first_not(begin, end, is_too_early)?;
            let from = from.saturating_sub(1).max(begin);
            let to = self.first_not(from, end, |first| !is_too_late(first))?;
            wanted.extend(from as u64..to as u64);
            begin = end;
        }
        Ok(wanted)
    }

    /// The first block of a run in order for whose first time `holds` does not
    /// hold. For the block found that is so, and for the one before it `holds`.
    fn first_not(
        &self,
        begin: usize,
        end: usize,
        holds: impl Fn(Option<u64>) -> bool,
    ) -> io::Result<usize> {
        let (mut low, mut high) = (begin, end);
        while low < high {
            let middle = low + (high - low) / 2;
            match holds(self.first_time(middle)?) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(low)
    }

    /// When the first line of a block was captured, if it is one of ours.
    fn first_time(&self, number: usize) -> io::Result<Option<u64>> {
        let block = self.index.blocks[number];
        let length = (block.packed_bytes as usize).min(BEGINNING_BYTES);
        let mut packed = vec![0; length];
        read_exact_at(self.file, &mut packed, block.at)?;
        let text = beginning_of_block(&self.index.header, &packed)?;
        Ok(line::time_of(&text))
    }
}

/// Reads a file from its beginning, whatever others do with the handle.
struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = platform::read_at(&self.file, bytes, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

/// Fills the buffer as far as the file goes.
pub(crate) fn read_full_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match platform::read_at(file, &mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    match read_full_at(file, bytes, at)? == bytes.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
