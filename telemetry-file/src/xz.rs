//! The xz format of archives: the only module that knows the library.
//!
//! An archive is one xz stream of independent blocks. Each block holds whole
//! lines, about [`BLOCK_BYTES`] of them, and the index at the end of the stream
//! says where the blocks are: a reader can begin at any of them, look at its
//! first timestamp, and leave out the rest. The dictionary is a quarter of that
//! at any level: what repeats in a log does so soon, so a larger one makes
//! archives 0.3 % smaller, but an encoder of 9 MB where 3 MB do, of which the
//! allocator keeps most for the life of the process.
//!
//! # What the size of a block tells
//! The format has no room for the times that a block covers, and its first
//! timestamp tells them only if the clock was never set back. So a block that
//! holds a *step back* (a line that is more than [`ORDER_TOLERANCE_NANOS`] older
//! than one before it in the archive) is ended early: a block of [`BLOCK_BYTES`]
//! or more is in order, and so is its beginning with the block before it. A
//! smaller one may hold anything. [`crate::read`] says what follows from that.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use xz2::read::XzDecoder;
use xz2::stream::{Action, Check, Filters, LzmaOptions, Status, Stream};

use crate::line;

/// Uncompressed size at which a block ends with its line.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;

/// The same for a block that is not in order. Not smaller, so that times all
/// in disorder do not undo the compression; far enough from [`BLOCK_BYTES`],
/// so that a line of any record fits in between.
const MIXED_BLOCK_BYTES: usize = 128 << 10;

/// How far back the encoder looks for what repeats.
const DICTIONARY_BYTES: u32 = 256 << 10;

/// How much older a line may be than one before it and still be in order:
/// threads that log at the same moment are not queued by their clocks.
pub(crate) const ORDER_TOLERANCE_NANOS: u64 = 1_000_000_000;

/// Size of the header of a stream.
pub(crate) const HEADER_BYTES: usize = 12;

/// Enough for an archive of `xz -9`; with more, reading is refused.
const MEMORY_LIMIT: u64 = 72 << 20;

const CHUNK_BYTES: usize = 64 << 10;

/// How a compression ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packed {
    /// All of the source is in the target.
    Whole,
    /// Asked to stop; what was written is of no use.
    Stopped,
}

/// Compresses `source` into `target`, until done or told to stop.
pub(crate) fn pack(
    mut source: impl Read,
    target: impl Write,
    level: u32,
    stop: &AtomicBool,
) -> io::Result<Packed> {
    let mut packer = Packer::new(target, level)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(Packed::Stopped);
        }
        match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => packer.write(&chunk[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    packer.finish()?;
    Ok(Packed::Whole)
}

/// True when the archive holds exactly what the source holds.
pub(crate) fn holds(archive: impl Read, mut source: impl Read) -> io::Result<bool> {
    let mut archive = XzDecoder::new_multi_decoder(archive);
    let (mut unpacked, mut plain) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    loop {
        let length = match read_full(&mut archive, &mut unpacked) {
            Ok(length) => length,
            // Not xz, or damaged.
            Err(error) if is_damage(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let expected = read_full(&mut source, &mut plain)?;
        if unpacked[..length] != plain[..expected] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
    }
}

/// Reads an archive from its beginning, whatever its blocks look like.
pub(crate) fn reader<R: Read>(archive: R) -> io::Result<impl Read + use<R>> {
    let flags = xz2::stream::CONCATENATED;
    let stream = Stream::new_stream_decoder(MEMORY_LIMIT, flags)?;
    Ok(XzDecoder::new_stream(archive, stream))
}

/// Unpacks one block, given the header of its stream: to a decoder that is all
/// there is of the stream so far.
///
/// # Errors
/// When it does not hold exactly `length` bytes with the right checksum.
pub(crate) fn unpack_block(
    header: &[u8; HEADER_BYTES],
    block: &[u8],
    length: usize,
) -> io::Result<Vec<u8>> {
    // With room for one byte more: a block that has more is not taken for one
    // that has not.
    let (unpacked, rest) = unpack(header, block, length + 1)?;
    if unpacked.len() != length || !rest.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a block does not have the size that the index tells",
        ));
    }
    Ok(unpacked)
}

/// Unpacks the first bytes of a block from its beginning; fewer than `length`
/// if the beginning does not hold more.
pub(crate) fn unpack_beginning(
    header: &[u8; HEADER_BYTES],
    beginning: &[u8],
    length: usize,
) -> io::Result<Vec<u8>> {
    unpack(header, beginning, length).map(|(unpacked, _)| unpacked)
}

/// Unpacks until there is nothing more to read or no room; returns what of
/// the block was not read, too.
fn unpack<'a>(
    header: &[u8; HEADER_BYTES],
    block: &'a [u8],
    room: usize,
) -> io::Result<(Vec<u8>, &'a [u8])> {
    let mut stream = Stream::new_stream_decoder(MEMORY_LIMIT, 0)?;
    stream.process(header, &mut [], Action::Run)?;
    let mut unpacked = Vec::with_capacity(room);
    let mut rest = block;
    loop {
        let before = (stream.total_in(), stream.total_out());
        let status = stream.process_vec(rest, &mut unpacked, Action::Run)?;
        rest = &rest[(stream.total_in() - before.0) as usize..];
        let is_stuck = before == (stream.total_in(), stream.total_out());
        if status == Status::StreamEnd || is_stuck || unpacked.len() >= room {
            return Ok((unpacked, rest));
        }
    }
}

struct Packer<W> {
    stream: Stream,
    target: W,
    output: Vec<u8>,
    /// Of a line that has not come to its end.
    line: Vec<u8>,
    /// The line goes on from a part of it that has been packed.
    in_line: bool,
    order: Order,
    in_block: usize,
    /// The block is not in order.
    mixed: bool,
}

impl<W: Write> Packer<W> {
    fn new(target: W, level: u32) -> io::Result<Self> {
        let mut options = LzmaOptions::new_preset(level)?;
        options.dict_size(DICTIONARY_BYTES);
        let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc64)?;
        Ok(Self {
            stream,
            target,
            output: vec![0; CHUNK_BYTES],
            line: Vec::new(),
            in_line: false,
            order: Order::default(),
            in_block: 0,
            mixed: false,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (part, next) = rest.split_at(end);
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.line.len() >= CHUNK_BYTES {
                self.pack_line()?;
            }
            rest = next;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.pack_line()?;
        self.process(&[], Action::Finish)
    }

    /// Packs what there is of a line.
    fn pack_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        if !self.in_line && self.order.is_step_back(&line) {
            if self.in_block >= MIXED_BLOCK_BYTES {
                self.end_block()?;
            }
            self.mixed = true;
        }
        self.process(&line, Action::Run)?;
        self.in_block += line.len();
        self.in_line = !line.ends_with(b"\n");
        let full = match self.mixed {
            true => MIXED_BLOCK_BYTES,
            false => BLOCK_BYTES,
        };
        if self.in_block >= full && !self.in_line {
            self.end_block()?;
        }
        // Its memory again.
        self.line = line;
        self.line.clear();
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.in_block = 0;
        self.mixed = false;
        self.process(&[], Action::FullFlush)
    }

    fn process(&mut self, input: &[u8], action: Action) -> io::Result<()> {
        let mut rest = input;
        loop {
            if rest.is_empty() && matches!(action, Action::Run) {
                return Ok(());
            }
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.process(rest, &mut self.output, action)?;
            rest = &rest[(self.stream.total_in() - read) as usize..];
            let length = (self.stream.total_out() - written) as usize;
            self.target.write_all(&self.output[..length])?;
            if status == Status::StreamEnd {
                return Ok(());
            }
        }
    }
}

/// Watches the times of lines.
#[derive(Default)]
struct Order {
    /// The latest so far, or since the last step back.
    latest: u64,
}

impl Order {
    /// A line without a time of its own is never one.
    fn is_step_back(&mut self, line: &[u8]) -> bool {
        let beginning = &line[..line.len().min(line::TIME_BYTES)];
        let Some(at) = line::time_of(beginning) else {
            return false;
        };
        let is_step_back = at < self.latest.saturating_sub(ORDER_TOLERANCE_NANOS);
        self.latest = if is_step_back {
            at
        } else {
            self.latest.max(at)
        };
        is_step_back
    }
}

/// Damaged content, rather than a disk that cannot be read.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
    )
}

fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(source: &[u8], level: u32) -> Vec<u8> {
        let mut target = Vec::new();
        let ending = pack(source, &mut target, level, &AtomicBool::new(false)).expect("packed");
        assert_eq!(ending, Packed::Whole);
        target
    }

    fn unpacked(archive: &[u8]) -> Vec<u8> {
        let mut target = Vec::new();
        XzDecoder::new(archive)
            .read_to_end(&mut target)
            .expect("valid xz");
        target
    }

    fn lines(count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|index| format!("{{\"message\":\"line {index}\"}}\n").into_bytes())
            .collect()
    }

    /// The blocks as the index tells them.
    fn blocks(archive: &[u8]) -> Vec<crate::xz_index::Block> {
        let length = archive.len() as u64;
        let read = |at: u64, bytes: &mut [u8]| {
            bytes.copy_from_slice(&archive[at as usize..][..bytes.len()]);
            Ok(())
        };
        let index = crate::xz_index::read(length, read).expect("readable");
        index.expect("an index").blocks
    }

    fn block_count(archive: &[u8]) -> u64 {
        blocks(archive).len() as u64
    }

    fn timed(seconds: u64, length: usize) -> Vec<u8> {
        let moment = jiff::Timestamp::from_second(seconds as i64).expect("in range");
        let text = "x".repeat(length);
        format!("{{\"timestamp\":\"{moment}\",\"message\":\"{text}\"}}\n").into_bytes()
    }

    #[test]
    fn what_is_packed_can_be_read_back_at_every_level() {
        let source = lines(1000);
        for level in 0..=9 {
            assert_eq!(unpacked(&packed(&source, level)), source, "level {level}");
        }
    }

    #[test]
    fn an_archive_consists_of_independent_blocks_of_a_mebibyte() {
        let source = lines(150_000);
        let blocks = source.len() as u64 / BLOCK_BYTES as u64 + 1;
        assert!(blocks > 3);
        let archive = packed(&source, 0);
        assert_eq!(block_count(&archive), blocks);
        assert_eq!(unpacked(&archive), source);
    }

    #[test]
    fn blocks_end_with_a_line_and_can_be_read_alone() {
        let source = lines(150_000);
        let archive = packed(&source, 0);
        let header = archive[..HEADER_BYTES].try_into().expect("a header");
        let mut unpacked = Vec::new();
        for block in blocks(&archive) {
            let packed = &archive[block.at as usize..][..block.packed_bytes as usize];
            let text = unpack_block(header, packed, block.bytes as usize).expect("valid");
            assert!(text.ends_with(b"\n"));
            let beginning = &packed[..200];
            let beginning = unpack_beginning(header, beginning, 20).expect("valid");
            assert_eq!(beginning, &text[..20]);
            unpacked.extend(text);
            for wrong in [block.bytes - 1, block.bytes + 1] {
                unpack_block(header, packed, wrong as usize).expect_err("wrong size");
            }
        }
        assert_eq!(unpacked, source);
    }

    #[test]
    fn a_damaged_block_is_an_error() {
        let archive = packed(&lines(20_000), 0);
        let header = archive[..HEADER_BYTES].try_into().expect("a header");
        let block = blocks(&archive)[0];
        let mut packed = archive[block.at as usize..][..block.packed_bytes as usize].to_vec();
        let middle = packed.len() / 2;
        packed[middle] ^= 1;
        let length = block.bytes as usize;
        unpack_block(header, &packed, length).expect_err("damaged");
        unpack_block(header, &packed[..middle], length).expect_err("cut");
    }

    #[test]
    fn a_clock_that_is_set_back_ends_blocks_early() {
        let in_order: Vec<u8> = (0..3000).flat_map(|at| timed(at, 1000)).collect();
        let sizes = |source: &[u8]| -> Vec<usize> {
            let archive = packed(source, 0);
            assert_eq!(unpacked(&archive), source);
            blocks(&archive)
                .iter()
                .map(|block| block.bytes as usize)
                .collect()
        };
        let is_full = |size: &&usize| **size >= BLOCK_BYTES;
        assert_eq!(sizes(&in_order).iter().filter(is_full).count(), 3);

        // In the middle of the second block.
        let mut moments: Vec<u64> = (3600..5100).chain(0..3000).collect();
        let source: Vec<u8> = moments.iter().flat_map(|&at| timed(at, 1000)).collect();
        let stepped = sizes(&source);
        assert!(stepped[0] >= BLOCK_BYTES, "{stepped:?}");
        assert!(stepped[1] < BLOCK_BYTES, "cut before the step: {stepped:?}");
        assert!(stepped[2] < BLOCK_BYTES, "holds the step: {stepped:?}");
        assert!(stepped[3] >= BLOCK_BYTES, "in order again: {stepped:?}");

        // No order at all: no block is full, but they are not tiny either.
        moments.iter_mut().for_each(|at| *at = *at * 7919 % 3600);
        let source: Vec<u8> = moments.iter().flat_map(|&at| timed(at, 1000)).collect();
        let mixed = sizes(&source);
        assert_eq!(mixed.iter().filter(is_full).count(), 0);
        assert!(mixed[0] >= MIXED_BLOCK_BYTES, "{mixed:?}");
    }

    #[test]
    fn a_little_disorder_is_order() {
        let mut order = Order::default();
        let mut is_step_back = |seconds| order.is_step_back(&timed(seconds, 1));
        assert!(!is_step_back(100));
        assert!(!is_step_back(99));
        assert!(!is_step_back(101));
        assert!(is_step_back(99));
        assert!(!is_step_back(100), "since the step the clock goes on");
        assert!(!order.is_step_back(b"plain text\n"));
    }

    #[test]
    fn an_empty_file_makes_an_archive_without_blocks() {
        let archive = packed(b"", 2);
        assert_eq!(block_count(&archive), 0);
        assert_eq!(unpacked(&archive), b"");
    }

    #[test]
    fn stopping_is_told_apart_from_being_done() {
        let ending = pack(&b"x\n"[..], io::sink(), 2, &AtomicBool::new(true)).expect("no error");
        assert_eq!(ending, Packed::Stopped);
    }

    #[test]
    fn an_archive_holds_its_source_and_nothing_else() {
        let source = lines(5000);
        let archive = packed(&source, 1);
        assert!(holds(&archive[..], &source[..]).expect("readable"));
        assert!(!holds(&archive[..], &source[1..]).expect("readable"));
        assert!(!holds(&archive[..], &lines(4999)[..]).expect("readable"));
        assert!(!holds(&archive[..archive.len() / 2], &source[..]).expect("readable"));
        assert!(!holds(&b"not xz at all"[..], &source[..]).expect("readable"));
        assert!(!holds(&b""[..], &source[..]).expect("readable"));
    }

    proptest! {
        #[test]
        fn any_bytes_survive(source in proptest::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert_eq!(unpacked(&packed(&source, 0)), source);
        }
    }
}
