//! Copies one file or link so that its name stands for the old or the new one, never for a mixture.
//!
//! Content goes into a temporary file beside the target, then mode and time, and only then it takes
//! the name. The time that is stored was read before the first byte of content: whatever is written
//! to the source later gives it another time, and the next run sees it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, SeekFrom, Uid};
use rustix::io::Errno;

use super::dirs;
use super::failure::Failure;
use super::metadata::{Kind, Metadata, Mtime, Preserved, mode_of};
use super::options::Durability;
use super::run::Run;
use super::temporary;
use crate::error_type::ErrorType;

/// So much is copied between two looks at the request to stop.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;
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
    pub(super) fn publish(mut self, name: &OsStr) -> Result<(), Failure> {
        let directory = self.temporary.directory;
        let rename = || rustix::fs::renameat(directory, &*self.temporary.name, directory, name);
        match rename() {
            Ok(()) => {}
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                remove_empty_directory(directory, name)?;
                rename().map_err(|errno| Failure::writing("rename the finished copy", errno))?;
            }
            Err(errno) => return Err(Failure::writing("rename the finished copy", errno)),
        }
        self.temporary.is_renamed = true;
        Ok(())
    }
}

fn remove_empty_directory(directory: BorrowedFd<'_>, name: &OsStr) -> Result<(), Failure> {
    match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Err(Failure::new(
            ErrorType::Write,
            "a directory that is not empty stands in its place; \
             only a run that may delete removes it",
        )),
        Err(errno) => Err(Failure::writing("remove the directory in its place", errno)),
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
pub(super) struct Copier<'r> {
    run: &'r Run<'r>,
    buffer: Vec<u8>,
}

impl<'r> Copier<'r> {
    pub(super) fn new(run: &'r Run<'r>) -> Self {
        let buffer = Vec::new();
        Self { run, buffer }
    }

    /// Copies a regular file.
    pub(super) fn prepare_file<'d>(&mut self, place: Place<'d>) -> Result<Prepared<'d>, NotCopied> {
        let source = open_source(place)?;
        let first = regular_file(&source)?;
        wait_until_settled(first.mtime);
        let create_mode = mode_of(self.run.preserved.create_mode(&first));
        let (temporary, handle) = Temporary::file(place.destination, create_mode)?;
        let mut bytes = self.copy_content(&source, &handle, &first)?;
        let mut before = first;
        let mut after = regular_file(&source)?;
        let mut is_torn = false;
        if changed_between(&before, &after) {
            before = after;
            wait_until_settled(before.mtime);
            rustix::fs::ftruncate(&handle, 0)
                .map_err(|errno| Failure::writing("empty the copy", errno))?;
            bytes = self.copy_content(&source, &handle, &before)?;
            after = regular_file(&source)?;
            is_torn = changed_between(&before, &after);
        }
        self.finish_file(place, &handle, &before, is_torn)?;
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
        let name = temporary::random_name();
        rustix::fs::symlinkat(target.as_c_str(), place.destination, &*name)
            .map_err(|errno| Failure::writing("create the link", errno))?;
        let temporary = Temporary {
            directory: place.destination,
            name,
            is_renamed: false,
        };
        self.set_owner_and_time(place.destination, &temporary.name, &metadata)?;
        Ok(Prepared {
            temporary,
            bytes: 0,
            is_torn: false,
        })
    }

    /// Gives a destination file the source's mode, owner and time, and leaves its content.
    pub(super) fn set_file_attributes(
        &self,
        place: Place<'_>,
        source: &Metadata,
    ) -> Result<(), Failure> {
        // Owner first: changing it clears setuid and setgid. Time last, as it says: all is done.
        self.set_owner(place.destination, place.name, source)?;
        if self.run.preserved.permissions {
            change_mode(place.destination, place.name, source.mode)
                .map_err(|errno| Failure::writing("change the mode", errno))?;
        }
        self.set_time(place.destination, place.name, source.mtime)
    }

    /// Gives a destination link the source's owner and time.
    pub(super) fn set_owner_and_time(
        &self,
        directory: BorrowedFd<'_>,
        name: &OsStr,
        source: &Metadata,
    ) -> Result<(), Failure> {
        self.set_owner(directory, name, source)?;
        self.set_time(directory, name, source.mtime)
    }

    fn set_owner(
        &self,
        directory: BorrowedFd<'_>,
        name: &OsStr,
        source: &Metadata,
    ) -> Result<(), Failure> {
        let owner = self.run.preserved.owner(source).map(Uid::from_raw);
        let group = self.run.preserved.group(source).map(Gid::from_raw);
        if owner.is_none() && group.is_none() {
            return Ok(());
        }
        rustix::fs::chownat(directory, name, owner, group, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| Failure::writing("change the owner", errno))
    }

    fn set_time(
        &self,
        directory: BorrowedFd<'_>,
        name: &OsStr,
        mtime: Mtime,
    ) -> Result<(), Failure> {
        if !self.run.preserved.timestamps {
            return Ok(());
        }
        let times = mtime.to_timestamps();
        rustix::fs::utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| Failure::writing("change the time", errno))
    }

    fn finish_file(
        &self,
        place: Place<'_>,
        copy: &OwnedFd,
        source: &Metadata,
        is_torn: bool,
    ) -> Result<(), Failure> {
        let preserved = &self.run.preserved;
        if preserved.permissions {
            set_permissions(preserved, copy, source)?;
        } else if let Ok(replaced) = dirs::stat(place.destination, place.name)
            && replaced.kind == Kind::File
        {
            change_open_mode(copy, replaced.mode)?;
        }
        if preserved.timestamps || is_torn {
            rustix::fs::futimens(copy, &source.mtime.to_timestamps())
                .map_err(|errno| Failure::writing("change the time", errno))?;
        }
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
        self.buffer.resize(BUFFER_BYTES, 0);
        let room = usize::try_from(wanted).map_or(BUFFER_BYTES, |wanted| wanted.min(BUFFER_BYTES));
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

fn changed_between(before: &Metadata, after: &Metadata) -> bool {
    before.size != after.size || before.mtime != after.mtime
}

/// Waits until a change of the file would give it another time, which is at most [`CLOCK_TICK`].
fn wait_until_settled(mtime: Mtime) {
    let (Ok(now), Ok(secs)) = (
        SystemTime::now().duration_since(UNIX_EPOCH),
        u64::try_from(mtime.secs),
    ) else {
        return;
    };
    let changed = Duration::new(secs, mtime.nanos);
    // A time in the future says nothing about when the file was changed.
    if let Some(age) = now.checked_sub(changed)
        && age < CLOCK_TICK
    {
        std::thread::sleep(CLOCK_TICK - age);
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

/// Changes the mode of a regular file, never that of what a link leads to.
fn change_mode(directory: BorrowedFd<'_>, name: &OsStr, mode: u32) -> rustix::io::Result<()> {
    let open = |how: OFlags| {
        let flags = how | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(directory, name, flags, Mode::empty())
    };
    match open(OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(handle) => rustix::fs::fchmod(&handle, mode_of(mode)),
        // Not readable for its owner. `fchmod` does not take an O_PATH handle, but its name in
        // /proc leads to exactly this file.
        Err(Errno::ACCESS) => {
            use std::os::fd::AsRawFd;
            let handle = open(OFlags::PATH)?;
            if dirs::stat_open(&handle)?.kind != Kind::File {
                return Err(Errno::LOOP);
            }
            let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
            rustix::fs::chmod(path, mode_of(mode))
        }
        Err(errno) => Err(errno),
    }
}

/// A file or link beside its target that disappears unless it was renamed.
#[derive(Debug)]
struct Temporary<'d> {
    directory: BorrowedFd<'d>,
    name: OsString,
    is_renamed: bool,
}

impl<'d> Temporary<'d> {
    fn file(directory: BorrowedFd<'d>, mode: Mode) -> Result<(Self, OwnedFd), Failure> {
        let name = temporary::random_name();
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(directory, &*name, flags, mode)
            .map_err(|errno| Failure::writing("create a file in the destination", errno))?;
        let temporary = Self {
            directory,
            name,
            is_renamed: false,
        };
        Ok((temporary, handle))
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_renamed
            && let Err(errno) = rustix::fs::unlinkat(self.directory, &*self.name, AtFlags::empty())
        {
            tracing::warn!(
                name = %self.name.display(),
                error = %errno,
                "a temporary file could not be removed; the next run will sweep it"
            );
        }
    }
}
