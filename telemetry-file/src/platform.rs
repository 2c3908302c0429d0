//! What differs between systems: permissions, identities, links, priorities.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Which file a name or a handle stands for.
pub(crate) type FileId = (u64, u64);

#[cfg(unix)]
mod system {
    use super::*;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};

    pub(crate) fn file_id(metadata: &Metadata) -> Option<FileId> {
        Some((metadata.dev(), metadata.ino()))
    }

    /// True for an open file that no name stands for any more.
    pub(crate) fn is_deleted(metadata: &Metadata) -> bool {
        metadata.nlink() == 0
    }

    /// Makes opening fail when the last part of the path is a link.
    pub(crate) fn refuse_links(options: &mut OpenOptions) -> &mut OpenOptions {
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
    }

    pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
        file.set_permissions(fs::Permissions::from_mode(mode))
    }

    pub(crate) fn create_directory(path: &Path, mode: u32) -> io::Result<()> {
        fs::create_dir(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    pub(crate) fn free_space(path: &Path) -> io::Result<u64> {
        let space = rustix::fs::statvfs(path)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    /// A directory to be synced, so that the names in it last.
    pub(crate) fn open_directory(path: &Path) -> io::Result<Option<File>> {
        File::open(path).map(Some)
    }

    /// Reads from a place in the file, for several threads at once.
    pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(file, bytes, at)
    }
}

#[cfg(not(unix))]
mod system {
    use super::*;

    pub(crate) fn file_id(_: &Metadata) -> Option<FileId> {
        None
    }

    /// Unknown here.
    pub(crate) fn is_deleted(_: &Metadata) -> bool {
        false
    }

    pub(crate) fn refuse_links(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(crate) fn set_mode(_: &File, _: u32) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn create_directory(path: &Path, _: u32) -> io::Result<()> {
        fs::create_dir(path)
    }

    /// Unknown here: there is no floor.
    pub(crate) fn free_space(_: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    /// Directories cannot be opened here; the file system journals names.
    pub(crate) fn open_directory(_: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    /// Reads from a place in the file, for several threads at once.
    pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(file, bytes, at)
    }
}

pub(crate) use system::{
    create_directory, file_id, free_space, is_deleted, open_directory, read_at, refuse_links,
    set_mode,
};

/// True when an error means that there is nothing behind a path.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The directory that a path lies in, in a form that can be opened.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Makes the names in a directory last.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    match open_directory(path)? {
        Some(directory) => directory.sync_all(),
        None => Ok(()),
    }
}

/// Creates a directory and those above it that are missing.
pub(crate) fn create_directories(path: &Path, mode: u32) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directories(parent, mode)?;
    }
    match create_directory(path, mode) {
        // Somebody else was faster.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(io::ErrorKind::NotADirectory.into())
        }
        other => other,
    }
}

/// Renames a file, but never over another one.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system knows the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            other => return other.map_err(io::Error::from),
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Makes room for so many bytes at the end of a file, which stays as large as
/// it is. False where the system or the file system cannot tell.
///
/// # Errors
/// When there is no room, or the file cannot be written.
pub(crate) fn reserve(file: &File, bytes: u64) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        let end = file.metadata()?.len();
        match fallocate(file, FallocateFlags::KEEP_SIZE, end, bytes) {
            Ok(()) => Ok(true),
            Err(Errno::NOTSUP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, bytes);
        Ok(false)
    }
}

/// Gives the processor to everybody else first, where a thread can do so for
/// itself alone; elsewhere it would slow the whole process.
pub(crate) fn lower_priority_of_this_thread() {
    // Refused or not, the work is the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
}
