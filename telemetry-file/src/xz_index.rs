//! The index at the end of an xz stream, which says where its blocks are.
//!
//! The library can decode a stream from its beginning, but does not tell where
//! blocks begin. The format is simple enough to read here (see "The .xz File
//! Format", sections 2.1.2 and 4): a footer of twelve bytes holds the size of
//! the index, which holds two numbers for each block. Checksums of the index are
//! not compared: its sizes have to add up to the size of the file, and each block
//! that is decoded has a checksum of its own.

use std::io;

use crate::xz::HEADER_BYTES;

const HEADER_MAGIC: &[u8] = b"\xFD7zXZ\0";
const FOOTER_MAGIC: &[u8] = b"YZ";
const FOOTER_BYTES: usize = 12;

/// Of an archive of a terabyte. A larger one is read from its beginning.
const MAX_INDEX_BYTES: u64 = 8 << 20;

/// Where a block is and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where it begins in the file.
    pub(crate) at: u64,
    /// Its size in the file, padding included.
    pub(crate) packed_bytes: u64,
    /// How many bytes it unpacks to.
    pub(crate) bytes: u64,
}

/// What a reader needs to begin anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    /// The first bytes of the file.
    pub(crate) header: [u8; HEADER_BYTES],
    pub(crate) blocks: Vec<Block>,
}

impl Index {
    /// How many bytes the whole archive unpacks to.
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = self.blocks.iter().map(|block| block.bytes);
        sizes.fold(0, u64::saturating_add)
    }
}

/// Reads the index of a file of so many bytes, with a function that fills a
/// buffer from a place in it. `None` when it is not exactly one stream: cut,
/// several streams after each other, or no xz at all.
pub(crate) fn read(
    file_bytes: u64,
    mut read_at: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<Option<Index>> {
    let around = (HEADER_BYTES + FOOTER_BYTES) as u64;
    let Some(inside) = file_bytes.checked_sub(around) else {
        return Ok(None);
    };
    let mut header = [0; HEADER_BYTES];
    read_at(0, &mut header)?;
    let mut footer = [0; FOOTER_BYTES];
    let footer_at = file_bytes - FOOTER_BYTES as u64;
    read_at(footer_at, &mut footer)?;
    if !header.starts_with(HEADER_MAGIC) || !footer.ends_with(FOOTER_MAGIC) {
        return Ok(None);
    }
    let [_, _, _, _, a, b, c, d, ..] = footer;
    let index_bytes = (u64::from(u32::from_le_bytes([a, b, c, d])) + 1) * 4;
    if index_bytes > inside || index_bytes > MAX_INDEX_BYTES {
        return Ok(None);
    }
    let mut index = vec![0; index_bytes as usize];
    read_at(footer_at - index_bytes, &mut index)?;
    let blocks = blocks(&index).filter(|blocks| {
        let end = blocks.last().map_or(HEADER_BYTES as u64, end_of);
        end == footer_at - index_bytes
    });
    Ok(blocks.map(|blocks| Index { header, blocks }))
}

fn end_of(block: &Block) -> u64 {
    block.at + block.packed_bytes
}

fn blocks(index: &[u8]) -> Option<Vec<Block>> {
    let mut rest = index.strip_prefix(&[0])?;
    let count = number(&mut rest)?;
    let mut at = HEADER_BYTES as u64;
    let mut blocks = Vec::new();
    for _ in 0..count {
        let packed_bytes = number(&mut rest)?.checked_next_multiple_of(4)?;
        let bytes = number(&mut rest)?;
        blocks.push(Block {
            at,
            packed_bytes,
            bytes,
        });
        at = at.checked_add(packed_bytes)?;
    }
    Some(blocks)
}

/// A number of the format: seven bits a byte, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    const MAX_BYTES: usize = 9;
    let mut number = 0;
    for place in 0..MAX_BYTES {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicBool;

    fn index_of(file: &[u8]) -> Option<Index> {
        read(file.len() as u64, |at, bytes| {
            bytes.copy_from_slice(&file[at as usize..][..bytes.len()]);
            Ok(())
        })
        .expect("readable")
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut target = Vec::new();
        crate::xz::pack(text, &mut target, 0, &AtomicBool::new(false)).expect("packed");
        target
    }

    #[test]
    fn the_sizes_of_an_archive_are_told() {
        let index = index_of(&packed(b"text\n")).expect("an index");
        assert_eq!(index.bytes(), 5);
        assert_eq!(index.blocks.len(), 1);
        assert_eq!(index.blocks[0].at, 12);
        assert_eq!(index_of(&packed(b"")).expect("an index").blocks, []);
    }

    #[test]
    fn what_is_not_one_whole_stream_has_no_index() {
        let whole = packed(b"text\n");
        for end in 0..whole.len() {
            assert_eq!(index_of(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(index_of(&[whole.clone(), whole.clone()].concat()), None);
        assert_eq!(index_of(&[whole, vec![0; 4]].concat()), None);
    }

    #[test]
    fn numbers_have_at_most_nine_bytes() {
        assert_eq!(number(&mut &[0x05][..]), Some(5));
        assert_eq!(number(&mut &[0x80, 0x01][..]), Some(128));
        assert_eq!(number(&mut &[0xff; 9][..]), None);
        assert_eq!(number(&mut &[0x80][..]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            mut file in proptest::collection::vec(any::<u8>(), 24..200),
            stored in 0u32..40,
        ) {
            let footer = file.len() - 12;
            file[..6].copy_from_slice(HEADER_MAGIC);
            file[footer + 4..footer + 8].copy_from_slice(&stored.to_le_bytes());
            file[footer + 10..].copy_from_slice(FOOTER_MAGIC);
            let _ = index_of(&file);
        }
    }
}
