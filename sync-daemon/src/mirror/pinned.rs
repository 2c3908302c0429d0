//! One thing of the destination whose attributes are changed in place.
//!
//! A name can be given to something else between two system calls, to a hard link of a file outside
//! for example. A pin stays with what was looked at, so that nothing else changes its mode or owner.
//! It needs no right to read the thing, and opening it does nothing to a device or a FIFO.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::{self, Errno};

use super::dirs;
use super::metadata::{Kind, Metadata, Mtime, mode_of};

/// A directory that its owner may list, change and enter.
const OWNER_ALL: u32 = 0o700;
/// What it takes to look at everything in a directory.
const OWNER_LOOKS: u32 = 0o500;

/// A file, link or directory that stays the same whatever happens to its name.
#[derive(Debug)]
pub(super) struct Pinned {
    handle: OwnedFd,
    metadata: Metadata,
}

impl Pinned {
    /// Takes hold of what has this name now, without following it.
    pub(super) fn open(directory: impl AsFd, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(directory, name, flags, Mode::empty())?;
        let metadata = dirs::stat_open(&handle)?;
        Ok(Self { handle, metadata })
    }

    /// What it was when it was opened.
    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(super) fn set_owner(&self, owner: Option<u32>, group: Option<u32>) -> io::Result<()> {
        if owner.is_none() && group.is_none() {
            return Ok(());
        }
        let (owner, group) = (owner.map(Uid::from_raw), group.map(Gid::from_raw));
        rustix::fs::chownat(&self.handle, "", owner, group, AtFlags::EMPTY_PATH)
    }

    /// Not for symbolic links, which have no mode.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        rustix::fs::chmod(self.path(), mode_of(mode))
    }

    pub(super) fn set_time(&self, mtime: Mtime) -> io::Result<()> {
        let times = mtime.to_timestamps();
        rustix::fs::utimensat(CWD, self.path(), &times, AtFlags::empty())
    }

    /// `fchmod` and `futimens` do not take such a handle, but its name here leads to exactly what
    /// it holds, even to a symbolic link itself.
    fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.handle.as_raw_fd())
    }
}

/// A directory of the destination, open for looking at everything in it.
#[derive(Debug)]
pub(super) struct OpenedUp {
    pub(super) handle: OwnedFd,
    /// What it was before.
    pub(super) metadata: Metadata,
    /// Its mode kept its owner out and was changed; this is what it was.
    pub(super) relaxed_from: Option<u32>,
}

impl OpenedUp {
    /// A directory that is open, and not to be changed.
    pub(super) fn as_it_is(handle: OwnedFd) -> io::Result<Self> {
        let metadata = dirs::stat_open(&handle)?;
        Ok(Self {
            handle,
            metadata,
            relaxed_from: None,
        })
    }
}

/// Opens a directory of the destination. If we own it, and its mode keeps us from looking into it,
/// the mode is relaxed; the caller has to give it back in the end.
///
/// # Errors
/// `ACCESS` if it is not ours, and what [`dirs::open_directory`] says.
pub(super) fn open_up(parent: impl AsFd, name: &OsStr) -> io::Result<OpenedUp> {
    let parent = parent.as_fd();
    match dirs::open_directory(parent, name) {
        Ok(handle) => open_up_handle(handle),
        Err(Errno::ACCESS) => {
            let pinned = Pinned::open(parent, name)?;
            let metadata = *pinned.metadata();
            if metadata.kind != Kind::Directory || metadata.mode & OWNER_LOOKS == OWNER_LOOKS {
                return Err(Errno::ACCESS);
            }
            let relax = pinned.set_mode(metadata.mode | OWNER_ALL);
            relax.map_err(|_| Errno::ACCESS)?;
            Ok(OpenedUp {
                handle: dirs::open_again(&pinned.handle)?,
                metadata,
                relaxed_from: Some(metadata.mode),
            })
        }
        Err(errno) => Err(errno),
    }
}

/// It can be listed, but perhaps not entered.
fn open_up_handle(handle: OwnedFd) -> io::Result<OpenedUp> {
    let mut opened = OpenedUp::as_it_is(handle)?;
    let mode = opened.metadata.mode;
    let may_enter = || dirs::stat(&opened.handle, OsStr::new(".")).is_ok();
    if mode & OWNER_LOOKS != OWNER_LOOKS && !may_enter() {
        opened.relaxed_from = relax(&opened.handle, mode)?;
    }
    Ok(opened)
}

/// Lets the owner do everything in a directory. Returns its mode if that had to be changed.
///
/// A directory of somebody else is left alone; what we may do in it is not the owner's bits.
pub(super) fn relax(directory: impl AsFd, mode: u32) -> io::Result<Option<u32>> {
    if mode & OWNER_ALL == OWNER_ALL {
        return Ok(None);
    }
    match rustix::fs::fchmod(directory, mode_of(mode | OWNER_ALL)) {
        Ok(()) => Ok(Some(mode)),
        Err(Errno::PERM) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn open_path(path: &std::path::Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("open")
    }

    #[test]
    fn pin_stays_with_what_it_was_opened_on() {
        let place = tempfile::tempdir().expect("tempdir");
        let (file, moved) = (place.path().join("f"), place.path().join("moved"));
        std::fs::write(&file, "1").expect("write");
        let pinned = Pinned::open(open_path(place.path()), OsStr::new("f")).expect("open");
        std::fs::rename(&file, &moved).expect("rename");
        std::fs::write(&file, "other").expect("write");
        let before = std::fs::metadata(&file).expect("stat");
        pinned.set_mode(0o4711).expect("chmod");
        pinned
            .set_time(Mtime { secs: 5, nanos: 6 })
            .expect("utimens");
        let after = std::fs::metadata(&file).expect("stat");
        assert_eq!(
            (after.mode(), after.mtime()),
            (before.mode(), before.mtime())
        );
        let moved = std::fs::metadata(&moved).expect("stat");
        let pinned = (moved.mode() & 0o7777, moved.mtime(), moved.mtime_nsec());
        assert_eq!(pinned, (0o4711, 5, 6));
    }

    #[test]
    fn time_of_a_link_is_its_own() {
        let place = tempfile::tempdir().expect("tempdir");
        let file = place.path().join("f");
        std::fs::write(&file, "1").expect("write");
        std::os::unix::fs::symlink("f", place.path().join("link")).expect("symlink");
        let before = std::fs::metadata(&file).expect("stat").mtime();
        let pinned = Pinned::open(open_path(place.path()), OsStr::new("link")).expect("open");
        pinned.set_owner(None, None).expect("nothing to do");
        pinned
            .set_time(Mtime { secs: -5, nanos: 6 })
            .expect("utimens");
        let link = std::fs::symlink_metadata(place.path().join("link")).expect("stat");
        assert_eq!((link.mtime(), link.mtime_nsec()), (-5, 6));
        assert_eq!(std::fs::metadata(&file).expect("stat").mtime(), before);
    }
}
