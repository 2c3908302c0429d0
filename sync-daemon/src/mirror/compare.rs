//! Whether a destination entry is what the source entry asks for.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::metadata::{Kind, Metadata, Preserved};
use super::observer::Cancel;
use super::options::Comparison;

/// So little at once that the allocator serves it again and again from the same place.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a destination entry lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    None,
    /// Only mode, owner or time.
    Attributes,
    /// Content, or everything.
    Content,
}

/// One name in a source directory and in a destination directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) source_directory: BorrowedFd<'a>,
    pub(super) destination_directory: BorrowedFd<'a>,
    pub(super) name: &'a OsStr,
    pub(super) source: &'a Metadata,
    pub(super) destination: &'a Metadata,
}

impl Pair<'_> {
    /// Compares two regular files.
    pub(super) fn compare_files(
        &self,
        comparison: Comparison,
        preserved: &Preserved,
        cancel: &Cancel,
    ) -> Difference {
        if self.destination.kind != Kind::File || self.source.size != self.destination.size {
            return Difference::Content;
        }
        let same_content = match comparison {
            Comparison::SizeMtime if preserved.timestamps => {
                self.source.mtime == self.destination.mtime
            }
            Comparison::SizeMtime => self.source.mtime <= self.destination.mtime,
            // What cannot be read is not the same; copying it will tell why.
            Comparison::Checksum => self.same_bytes(cancel).unwrap_or(false),
        };
        if !same_content {
            return Difference::Content;
        }
        let same_attributes = preserved.same_permissions(self.source, self.destination)
            && preserved.same_time(self.source, self.destination);
        if same_attributes {
            Difference::None
        } else if self.destination.has_other_links {
            // The other names, of a snapshot perhaps, must keep their attributes: a new file.
            Difference::Content
        } else {
            Difference::Attributes
        }
    }

    /// Compares two symbolic links.
    pub(super) fn compare_links(&self, preserved: &Preserved) -> Difference {
        if self.destination.kind != Kind::Symlink || !self.same_target() {
            return Difference::Content;
        }
        let same_attributes = preserved.same_owner(self.source, self.destination)
            && preserved.same_time(self.source, self.destination);
        if same_attributes {
            Difference::None
        } else if self.destination.has_other_links {
            Difference::Content
        } else {
            Difference::Attributes
        }
    }

    fn same_target(&self) -> bool {
        let source = rustix::fs::readlinkat(self.source_directory, self.name, Vec::new());
        let destination = rustix::fs::readlinkat(self.destination_directory, self.name, Vec::new());
        matches!((source, destination), (Ok(source), Ok(destination)) if source == destination)
    }

    /// Both files are at hand, so that comparing every byte is as cheap as two checksums, and
    /// cannot be fooled.
    fn same_bytes(&self, cancel: &Cancel) -> std::io::Result<bool> {
        let mut source = open(self.source_directory, self.name)?;
        let mut destination = open(self.destination_directory, self.name)?;
        let room = usize::try_from(self.source.size).unwrap_or(BUFFER_BYTES);
        let room = room.clamp(1, BUFFER_BYTES);
        let mut ours = vec![0; room];
        let mut theirs = vec![0; room];
        while !cancel.is_cancelled() {
            let length = source.read(&mut ours)?;
            if length == 0 {
                return Ok(destination.read(&mut theirs[..1])? == 0);
            }
            match destination.read_exact(&mut theirs[..length]) {
                Ok(()) if ours[..length] == theirs[..length] => {}
                Ok(()) => return Ok(false),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

fn open(directory: BorrowedFd<'_>, name: &OsStr) -> std::io::Result<std::fs::File> {
    // NONBLOCK: if it has become a FIFO meanwhile, opening must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let handle: OwnedFd = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    Ok(std::fs::File::from(handle))
}
