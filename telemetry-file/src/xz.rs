//! The xz format of archives: the only module that knows the library.
//!
//! An archive is one xz stream of independent blocks. Each block holds whole
//! lines, about [`BLOCK_BYTES`] of them, and the index at the end of the stream
//! says where the blocks are: a reader can begin at any of them, look at its
//! first timestamp, and leave out the rest. Nothing beyond the block is in the
//! dictionary, so a dictionary of the same size is enough for any level, which
//! keeps the memory of both sides small.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use xz2::read::XzDecoder;
use xz2::stream::{Action, Check, Filters, LzmaOptions, Status, Stream};

/// Uncompressed size at which a block ends with its line.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;

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
    packer.process(&[], Action::Finish)?;
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

struct Packer<W> {
    stream: Stream,
    target: W,
    output: Vec<u8>,
    in_block: usize,
}

impl<W: Write> Packer<W> {
    fn new(target: W, level: u32) -> io::Result<Self> {
        let mut options = LzmaOptions::new_preset(level)?;
        options.dict_size(BLOCK_BYTES as u32);
        let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc64)?;
        Ok(Self {
            stream,
            target,
            output: vec![0; CHUNK_BYTES],
            in_block: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while let Some(end) = self.block_end(rest) {
            let (last, next) = rest.split_at(end);
            self.process(last, Action::Run)?;
            self.process(&[], Action::FullFlush)?;
            self.in_block = 0;
            rest = next;
        }
        self.in_block += rest.len();
        self.process(rest, Action::Run)
    }

    /// Behind the first line end that fills the block.
    fn block_end(&self, bytes: &[u8]) -> Option<usize> {
        let from = BLOCK_BYTES.saturating_sub(self.in_block + 1);
        let line_end = bytes.get(from..)?.iter().position(|&byte| byte == b'\n')?;
        Some(from + line_end + 1)
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

fn is_damage(error: &io::Error) -> bool {
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

    /// The number of blocks, from the backward size and index of the stream.
    fn block_count(archive: &[u8]) -> u64 {
        let footer = &archive[archive.len() - 12..];
        let stored = u32::from_le_bytes(footer[4..8].try_into().expect("four bytes"));
        let index = archive.len() - 12 - (stored as usize + 1) * 4;
        assert_eq!(archive[index], 0, "the index begins with a zero");
        let mut count = 0;
        for (place, byte) in archive[index + 1..].iter().enumerate() {
            count |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        count
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
    fn blocks_end_with_a_line() {
        let packer = Packer::new(io::sink(), 0).map(|packer| Packer {
            in_block: BLOCK_BYTES - 3,
            ..packer
        });
        let packer = packer.expect("a packer");
        assert_eq!(packer.block_end(b"\n"), None, "not full yet");
        assert_eq!(packer.block_end(b"a\n\n"), Some(3));
        assert_eq!(packer.block_end(b"abcd\nef\n"), Some(5));
        assert_eq!(packer.block_end(b"abcd"), None);
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
