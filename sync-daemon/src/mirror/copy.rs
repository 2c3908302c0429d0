//! Copies one file or link so that its name stands for the old or the new one, never for a mixture.
//!
//! Content goes into a temporary file beside the target, then mode and time, and only then it takes
//! the name. The time that is stored was read before the first byte of content: whatever is written
//! to the source later gives it another time, and the next run sees it.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime};

use rustix::fs::{Gid, Mode, OFlags, SeekFrom, Uid};
use rustix::io::Errno;

use super::dirs;
use super::failure::Failure;
use super::metadata::{Kind, Metadata, Mtime, Preserved, mode_of};
use super::options::Durability;
use super::pinned::Pinned;
use super::run::Run;
use super::temporary::Temporary;
use crate::error_type::ErrorType;

/// So much is copied between two looks at the request to stop.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;
/// A buffer for what the kernel does not copy by itself.
pub(super) const BUFFER_BYTES: usize = 128 * 1024;
/// Files up to this size are read and written: for them that is cheaper than `copy_file_range`.
const SMALL_FILE_BYTES: u64 = 64 * 1024;
/// The kernel's clock for file times may stand still for so long. A file that was changed more
/// recently could change again without getting another time.
const CLOCK_TICK: Duration = Duration::from_millis(20);

/// Why there is no copy.
#[derive(Debug)]
pub(super) enum NotCopied {
    /// The source is gone.
    Vanished,
    /// The run shall stop.
    Cancelled,
    Failed(Failure),
}

impl From<Failure> for NotCopied {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A finished copy that has not taken its name yet. Dropped, it disappears.
#[derive(Debug)]
pub(super) struct Prepared<'d> {
    temporary: Temporary<'d>,
    /// Bytes of content that were written.
    pub(super) bytes: u64,
    /// The source changed while it was read, twice: the copy is a mixture, with a time that makes
    /// the next run repeat it.
    pub(super) is_torn: bool,
}

impl Prepared<'_> {
    /// Takes the name, replacing whatever has it. A directory is replaced only if it is empty.
    pub(super) fn publish(self, name: &OsStr) -> Result<(), Failure> {
        self.temporary.take_name(name)
    }
}

/// Where one entry comes from and goes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'d> {
    pub(super) source: BorrowedFd<'d>,
    pub(super) destination: BorrowedFd<'d>,
    pub(super) name: &'d OsStr,
}

/// Copies entries on one thread, with a buffer of its own.
pub(super) struct Copier<'r, 'b> {
    run: &'r Run<'r>,
    buffer: &'b mut [u8],
}

impl<'r, 'b> Copier<'r, 'b> {
    pub(super) fn new(run: &'r Run<'r>, buffer: &'b mut [u8]) -> Self {
        Self { run, buffer }
    }

    /// Copies a regular file.
    pub(super) fn prepare_file<'d>(&mut self, place: Place<'d>) -> Result<Prepared<'d>, NotCopied> {
        let source = open_source(place)?;
        let mut begun = Begun::with(regular_file(&source)?);
        let create_mode = mode_of(self.run.preserved.create_mode(&begun.source));
        let (temporary, copy) = Temporary::file(place.destination, create_mode)
            .map_err(|errno| Failure::writing("create a file in the destination", errno))?;
        let mut bytes = self.copy_content(&source, &copy, &begun.source)?;
        let mut after = regular_file(&source)?;
        let mut is_torn = begun.is_changed(&after);
        if is_torn {
            begun = Begun::with(after);
            rustix::fs::ftruncate(&copy, 0)
                .map_err(|errno| Failure::writing("empty the copy", errno))?;
            bytes = self.copy_content(&source, &copy, &begun.source)?;
            after = regular_file(&source)?;
            is_torn = begun.is_changed(&after);
        }
        self.finish_file(place, &copy, &begun, is_torn)?;
        Ok(Prepared {
            temporary,
            bytes,
            is_torn,
        })
    }

    /// Copies a symbolic link.
    pub(super) fn prepare_link<'d>(&self, place: Place<'d>) -> Result<Prepared<'d>, NotCopied> {
        let metadata = match dirs::stat(place.source, place.name) {
            Ok(metadata) => metadata,
            Err(Errno::NOENT) => return Err(NotCopied::Vanished),
            Err(errno) => return Err(Failure::reading("look at the link", errno).into()),
        };
        let target = match rustix::fs::readlinkat(place.source, place.name, Vec::new()) {
            Ok(target) => target,
            Err(Errno::NOENT) => return Err(NotCopied::Vanished),
            Err(Errno::INVAL) => return Err(changed_kind().into()),
            Err(errno) => return Err(Failure::reading("read the link", errno).into()),
        };
        let target = OsStr::from_bytes(target.to_bytes());
        let temporary = Temporary::link(place.destination, target)
            .map_err(|errno| Failure::writing("create the link", errno))?;
        let pinned = Pinned::open(place.destination, temporary.name())
            .map_err(|errno| Failure::writing("look at the link", errno))?;
        if pinned.metadata().kind != Kind::Symlink || pinned.metadata().has_other_links {
            let message = "somebody else works in the destination and changed the unfinished link";
            return Err(Failure::new(ErrorType::Write, message).into());
        }
        self.set_attributes(&pinned, &metadata)?;
        Ok(Prepared {
            temporary,
            bytes: 0,
            is_torn: false,
        })
    }

    /// Gives a file or link of the destination the source's owner, mode and time, as far as they are
    /// not right already, and leaves its content.
    pub(super) fn set_attributes(&self, pinned: &Pinned, source: &Metadata) -> Result<(), Failure> {
        let preserved = &self.run.preserved;
        let before = pinned.metadata();
        // Owner first: changing it clears setuid and setgid. Time last, as it says: all is done.
        let same_owner = preserved.same_owner(source, before);
        if !same_owner {
            pinned
                .set_owner(preserved.owner(source), preserved.group(source))
                .map_err(|errno| Failure::writing("change the owner", errno))?;
        }
        // Not the same mode again: the kernel would take setgid away from whom is not in the group.
        let same_mode = same_owner && before.mode == source.mode;
        if preserved.permissions && source.kind == Kind::File && !same_mode {
            pinned
                .set_mode(source.mode)
                .map_err(|errno| Failure::writing("change the mode", errno))?;
        }
        if !preserved.same_time(source, before) {
            pinned
                .set_time(source.mtime)
                .map_err(|errno| Failure::writing("change the time", errno))?;
        }
        Ok(())
    }

    fn finish_file(
        &self,
        place: Place<'_>,
        copy: &OwnedFd,
        begun: &Begun,
        is_torn: bool,
    ) -> Result<(), Failure> {
        let preserved = &self.run.preserved;
        if preserved.permissions {
            set_permissions(preserved, copy, &begun.source)?;
        } else if let Ok(replaced) = dirs::stat(place.destination, place.name)
            && replaced.kind == Kind::File
        {
            change_open_mode(copy, replaced.mode)?;
        }
        let mtime = if preserved.timestamps || is_torn {
            begun.source.mtime
        } else {
            begun.time_of_its_own()
        };
        rustix::fs::futimens(copy, &mtime.to_timestamps())
            .map_err(|errno| Failure::writing("change the time", errno))?;
        if self.run.options.durability == Durability::File {
            rustix::fs::fsync(copy)
                .map_err(|errno| Failure::writing("flush the file to disk", errno))?;
        }
        Ok(())
    }

    /// Copies the content that the file had when it was looked at. Returns the bytes written,
    /// which are fewer than its size if it has holes.
    fn copy_content(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        source: &Metadata,
    ) -> Result<u64, NotCopied> {
        if source.is_sparse {
            return self.copy_around_holes(from, to, source.size);
        }
        self.copy_range(from, to, 0, source.size)
    }

    fn copy_around_holes(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        size: u64,
    ) -> Result<u64, NotCopied> {
        let seek = |to| rustix::fs::seek(from, to);
        let mut written = 0;
        let mut at = 0;
        while at < size {
            let data = match seek(SeekFrom::Data(at)) {
                Ok(data) => data.min(size),
                // Nothing but a hole up to the end.
                Err(Errno::NXIO) => break,
                Err(errno) => return Err(Failure::reading("look for holes", errno).into()),
            };
            let hole = seek(SeekFrom::Hole(data))
                .or_else(|errno| match errno {
                    Errno::NXIO => Ok(size),
                    _ => Err(Failure::reading("look for holes", errno)),
                })?
                .min(size);
            written += self.copy_range(from, to, data, hole - data)?;
            at = hole.max(data + u64::from(hole == data));
        }
        rustix::fs::ftruncate(to, size)
            .map_err(|errno| Failure::writing("set the size of the copy", errno))?;
        Ok(written)
    }

    /// Copies a range; less than asked for if the file ends early.
    fn copy_range(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        start: u64,
        length: u64,
    ) -> Result<u64, NotCopied> {
        let mut in_kernel = length > SMALL_FILE_BYTES;
        let mut done = 0;
        while done < length {
            if self.run.should_stop() {
                return Err(NotCopied::Cancelled);
            }
            let at = start + done;
            let wanted = (length - done).min(CHUNK_BYTES);
            let copied = if in_kernel {
                copy_in_kernel(from, to, at, wanted)?
            } else {
                Some(self.copy_through_buffer(from, to, at, wanted)?)
            };
            match copied {
                // Not supported here, or nothing came although the file is longer: read it.
                None | Some(0) if in_kernel => in_kernel = false,
                None | Some(0) => break,
                Some(copied) => {
                    done += copied;
                    self.run.observer.bytes_written(copied);
                }
            }
        }
        Ok(done)
    }

    /// Reads and writes once.
    fn copy_through_buffer(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        at: u64,
        wanted: u64,
    ) -> Result<u64, NotCopied> {
        let room = self.buffer.len();
        let room = usize::try_from(wanted).map_or(room, |wanted| wanted.min(room));
        let length = loop {
            match rustix::io::pread(from, &mut self.buffer[..room], at) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::reading("read the file", errno).into()),
                Ok(length) => break length,
            }
        };
        let mut written = 0;
        while written < length {
            match rustix::io::pwrite(to, &self.buffer[written..length], at + written as u64) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::writing("write the copy", errno).into()),
                Ok(0) => return Err(Failure::writing("write the copy", Errno::IO).into()),
                Ok(count) => written += count,
            }
        }
        Ok(length as u64)
    }
}

/// Lets the kernel copy, which may share blocks. `None`: it cannot do so between these two files.
fn copy_in_kernel(
    from: &OwnedFd,
    to: &OwnedFd,
    at: u64,
    wanted: u64,
) -> Result<Option<u64>, NotCopied> {
    let (mut read_at, mut write_at) = (at, at);
    let length = usize::try_from(wanted).unwrap_or(usize::MAX);
    loop {
        let copied =
            rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), length);
        return match copied {
            Ok(copied) => Ok(Some(copied as u64)),
            Err(Errno::INTR) => continue,
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {
                Err(Failure::writing("write the copy", Errno::NOSPC).into())
            }
            // XDEV, INVAL, NOSYS, OPNOTSUPP, and whatever else a file system invents: if it is a
            // real error, reading and writing will tell it better.
            Err(_) => Ok(None),
        };
    }
}

fn open_source(place: Place<'_>) -> Result<OwnedFd, NotCopied> {
    // NONBLOCK: if it has become a FIFO meanwhile, opening must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(place.source, place.name, flags, Mode::empty()) {
        Ok(handle) => Ok(handle),
        Err(Errno::NOENT) => Err(NotCopied::Vanished),
        Err(Errno::LOOP | Errno::NXIO) => Err(changed_kind().into()),
        Err(errno) => Err(Failure::reading("open the file in the source", errno).into()),
    }
}

fn regular_file(handle: &OwnedFd) -> Result<Metadata, Failure> {
    let metadata = dirs::stat_open(handle)
        .map_err(|errno| Failure::reading("look at the file in the source", errno))?;
    if metadata.kind == Kind::File {
        Ok(metadata)
    } else {
        Err(changed_kind())
    }
}

fn changed_kind() -> Failure {
    Failure::new(
        ErrorType::Changed,
        "it became something else while it was looked at; the next run will take it",
    )
}

/// A file of the source as it was right before its content was read.
struct Begun {
    source: Metadata,
    at: SystemTime,
}

impl Begun {
    /// Waits, at most [`CLOCK_TICK`], until any further change would give the file another time.
    fn with(source: Metadata) -> Self {
        let now = SystemTime::now();
        // A time in the future says nothing about when the file was changed.
        let age = source.mtime.age_at(now);
        if let Some(rest) = age.and_then(|age| CLOCK_TICK.checked_sub(age)) {
            std::thread::sleep(rest);
        }
        Self {
            source,
            at: SystemTime::now(),
        }
    }

    fn is_changed(&self, after: &Metadata) -> bool {
        self.source.size != after.size || self.source.mtime != after.mtime
    }

    /// The time of a copy that does not get the source's: not older than the source was, and older
    /// than whatever is written to the source from now on.
    fn time_of_its_own(&self) -> Mtime {
        let before = self.at.checked_sub(CLOCK_TICK).and_then(Mtime::at);
        before.map_or(self.source.mtime, |before| before.max(self.source.mtime))
    }
}

/// Gives an open copy its owner and mode, as far as they are not right already: looking costs much
/// less than writing the same again.
fn set_permissions(
    preserved: &Preserved,
    copy: &OwnedFd,
    source: &Metadata,
) -> Result<(), Failure> {
    let created =
        dirs::stat_open(copy).map_err(|errno| Failure::writing("look at the copy", errno))?;
    let same_owner = preserved.same_owner(source, &created);
    if !same_owner {
        let owner = preserved.owner(source).map(Uid::from_raw);
        let group = preserved.group(source).map(Gid::from_raw);
        rustix::fs::fchown(copy, owner, group)
            .map_err(|errno| Failure::writing("change the owner", errno))?;
    }
    // Changing the owner may clear bits of the mode.
    if !same_owner || created.mode != source.mode {
        change_open_mode(copy, source.mode)?;
    }
    Ok(())
}

fn change_open_mode(handle: &OwnedFd, mode: u32) -> Result<(), Failure> {
    rustix::fs::fchmod(handle, mode_of(mode))
        .map_err(|errno| Failure::writing("change the mode", errno))
}
