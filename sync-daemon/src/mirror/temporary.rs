//! Unfinished things beside their target, and how they take its name.

use std::ffi::{OsStr, OsString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{self, Errno};

use super::dirs;
use super::failure::Failure;
use crate::error_type::ErrorType;

/// What the name of every temporary file begins with.
const PREFIX: &str = ".sync-daemon.tmp.";
const RANDOM_DIGITS: usize = 16;

/// A file, link or empty directory beside its target. Dropped, it disappears, unless it has taken
/// its name.
#[derive(Debug)]
pub(super) struct Temporary<'d> {
    directory: BorrowedFd<'d>,
    name: OsString,
    is_directory: bool,
    is_gone: bool,
}

impl<'d> Temporary<'d> {
    /// A new empty file, open for writing.
    pub(super) fn file(directory: BorrowedFd<'d>, mode: Mode) -> io::Result<(Self, OwnedFd)> {
        let temporary = Self::new(directory, false);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(directory, &*temporary.name, flags, mode) {
            Ok(handle) => Ok((temporary, handle)),
            Err(errno) => temporary.was_not_made(errno),
        }
    }

    /// A new symbolic link.
    pub(super) fn link(directory: BorrowedFd<'d>, target: &OsStr) -> io::Result<Self> {
        let temporary = Self::new(directory, false);
        match rustix::fs::symlinkat(target, directory, &*temporary.name) {
            Ok(()) => Ok(temporary),
            Err(errno) => temporary.was_not_made(errno),
        }
    }

    /// A new empty directory.
    pub(super) fn directory(directory: BorrowedFd<'d>, mode: Mode) -> io::Result<Self> {
        let temporary = Self::new(directory, true);
        match rustix::fs::mkdirat(directory, &*temporary.name, mode) {
            Ok(()) => Ok(temporary),
            Err(errno) => temporary.was_not_made(errno),
        }
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Takes the name, whatever has it now; only a directory that is not empty keeps it. There is
    /// no moment in which the name stands for nothing.
    pub(super) fn take_name(mut self, name: &OsStr) -> Result<(), Failure> {
        match self.rename(name, RenameFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                self.refuse_full_directory(name)?;
                self.replace(name, AtFlags::REMOVEDIR)?;
            }
            Err(Errno::NOTDIR) => self.replace(name, AtFlags::empty())?,
            Err(errno) => return Err(Failure::writing("rename the finished copy", errno)),
        }
        self.is_gone = true;
        Ok(())
    }

    fn new(directory: BorrowedFd<'d>, is_directory: bool) -> Self {
        Self {
            directory,
            name: random_name(),
            is_directory,
            is_gone: false,
        }
    }

    fn was_not_made<T>(mut self, errno: Errno) -> io::Result<T> {
        self.is_gone = true;
        Err(errno)
    }

    fn rename(&self, name: &OsStr, flags: RenameFlags) -> io::Result<()> {
        let directory = self.directory;
        rustix::fs::renameat_with(directory, &*self.name, directory, name, flags)
    }

    fn refuse_full_directory(&self, name: &OsStr) -> Result<(), Failure> {
        let handle = dirs::open_directory(self.directory, name);
        match handle.and_then(dirs::is_wholly_empty) {
            Ok(false) => Err(Failure::new(
                ErrorType::Write,
                "a directory that is not empty stands in its place; \
                 only a run that may delete removes it, and not with excluded files in it",
            )),
            // It is gone, or no directory any more.
            Ok(true) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(errno) => Err(Failure::writing("look into what is in its place", errno)),
        }
    }

    /// Changes places with something of another kind, and removes that.
    fn replace(&self, name: &OsStr, how_to_remove: AtFlags) -> Result<(), Failure> {
        let remove = |name: &OsStr| rustix::fs::unlinkat(self.directory, name, how_to_remove);
        let cannot_remove = |errno| Failure::writing("remove what is in its place", errno);
        match self.rename(name, RenameFlags::EXCHANGE) {
            Ok(()) => remove(&self.name).map_err(|errno| {
                if let Err(errno) = self.rename(name, RenameFlags::EXCHANGE) {
                    return Failure::writing("put back what was in its place", errno);
                }
                cannot_remove(errno)
            }),
            // Not every file system can do that; then there is a moment in between.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                remove(name).map_err(cannot_remove)?;
                self.rename(name, RenameFlags::empty())
                    .map_err(|errno| Failure::writing("rename the finished copy", errno))
            }
            Err(errno) => Err(Failure::writing("rename the finished copy", errno)),
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.is_gone {
            return;
        }
        let how = if self.is_directory {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        if let Err(errno) = rustix::fs::unlinkat(self.directory, &*self.name, how) {
            tracing::warn!(
                name = %self.name.display(),
                error = %errno,
                "a temporary file could not be removed; the next run will sweep it"
            );
        }
    }
}

/// A name for something unfinished.
///
/// It does not contain the target's name, so that it fits however long that is.
pub(super) fn random_name() -> OsString {
    OsString::from(format!("{PREFIX}{:016x}", fastrand::u64(..)))
}

/// Whether a run made this name; only such names are swept.
pub(super) fn is_ours(name: &OsStr) -> bool {
    let Some(random) = name.as_bytes().strip_prefix(PREFIX.as_bytes()) else {
        return false;
    };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    random.len() == RANDOM_DIGITS && random.iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::path::Path;

    fn open_path(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("open")
    }

    fn names(path: &Path) -> Vec<OsString> {
        let entries = std::fs::read_dir(path).expect("list");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn own_names_are_recognised() {
        for _ in 0..100 {
            assert!(is_ours(&random_name()));
        }
    }

    #[test]
    fn names_of_users_are_not() {
        for name in [
            "x.tmp",
            ".file.AbC123",
            ".sync-daemon.tmp.",
            ".sync-daemon.tmp.notes",
            ".sync-daemon.tmp.0123456789abcdeg",
            ".sync-daemon.tmp.0123456789abcdef0",
        ] {
            assert!(!is_ours(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn name_is_taken_from_every_kind_and_nothing_else_stays() {
        let place = tempfile::tempdir().expect("tempdir");
        let root = open_path(place.path());
        let target = place.path().join("x");
        for is_directory in [false, true, false, false] {
            let temporary = if is_directory {
                Temporary::directory(root.as_fd(), Mode::RWXU).expect("directory")
            } else {
                Temporary::file(root.as_fd(), Mode::RUSR).expect("file").0
            };
            temporary.take_name(OsStr::new("x")).expect("renamed");
            assert_eq!(names(place.path()), ["x"]);
        }
        assert!(target.is_file());
    }

    #[test]
    fn full_directory_keeps_its_name_and_its_entries() {
        let place = tempfile::tempdir().expect("tempdir");
        let root = open_path(place.path());
        std::fs::create_dir_all(place.path().join("x/inner")).expect("mkdir");
        let (file, _) = Temporary::file(root.as_fd(), Mode::RUSR).expect("file");
        assert!(file.take_name(OsStr::new("x")).is_err());
        assert_eq!(names(place.path()), ["x"]);
        assert_eq!(names(&place.path().join("x")), ["inner"]);
    }

    #[test]
    fn dropped_it_disappears() {
        let place = tempfile::tempdir().expect("tempdir");
        let root = open_path(place.path());
        drop(Temporary::file(root.as_fd(), Mode::RUSR).expect("file"));
        drop(Temporary::link(root.as_fd(), OsStr::new("/")).expect("link"));
        drop(Temporary::directory(root.as_fd(), Mode::RWXU).expect("directory"));
        assert_eq!(names(place.path()), Vec::<OsString>::new());
    }
}
