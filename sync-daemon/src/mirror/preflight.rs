//! What is checked before anything is touched.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::dirs;
use super::escape_path;
use super::failure::Failure;
use super::metadata::{Identity, Metadata, mode_of};
use super::options::{Durability, Options};
use super::report::Report;
use crate::error_type::ErrorType;

/// No file system is nested deeper; it only keeps a broken one from holding us for ever.
const MAX_ANCESTORS: usize = 65_536;

/// The two trees, open, checked, and the destination locked.
pub(super) struct Roots {
    pub(super) source: OwnedFd,
    pub(super) source_metadata: Metadata,
    /// `None` only in a dry run, when the destination does not exist yet. The lock is held as long
    /// as this handle lives; a crash releases it, and it leaves no file behind.
    pub(super) destination: Option<OwnedFd>,
    pub(super) destination_identity: Option<Identity>,
}

/// A run that must not begin.
#[derive(Debug)]
pub(super) struct Refusal {
    path: PathBuf,
    failure: Failure,
}

impl Refusal {
    pub(super) fn into_report(self) -> Report {
        let path = escape_path(&self.path);
        Report::refused(path, self.failure.error_type, self.failure.message)
    }
}

/// Opens both roots, and refuses what could do harm.
pub(super) fn open(
    source_path: &Path,
    destination_path: &Path,
    options: &Options,
) -> Result<Roots, Refusal> {
    let refuse_source = |failure| Refusal {
        path: source_path.to_owned(),
        failure,
    };
    let refuse_destination = |failure| Refusal {
        path: destination_path.to_owned(),
        failure,
    };
    let source = open_source(source_path).map_err(refuse_source)?;
    let source_metadata = dirs::stat_open(&source)
        .map_err(|errno| refuse_source(Failure::reading("look at the source", errno)))?;
    let existing = open_existing(destination_path).map_err(refuse_destination)?;

    refuse_overlap_of_paths(source_path, destination_path, existing.is_some())
        .map_err(refuse_destination)?;
    let place = match &existing {
        Some(destination) => dirs::open_again(destination),
        None => open_root(parent_of(destination_path)),
    };
    let place = place
        .map_err(|errno| refuse_destination(Failure::writing("open the destination", errno)))?;
    refuse_overlap_of_directories(&source, &place, existing.is_some())
        .map_err(refuse_destination)?;

    if !options.allow_empty_source {
        refuse_empty_source(&source, existing.as_ref()).map_err(refuse_source)?;
    }
    let destination = match existing {
        None if options.dry_run => None,
        None => Some(create(destination_path, &source_metadata, options)),
        Some(handle) => Some(Ok(handle)),
    };
    let destination = destination.transpose().map_err(refuse_destination)?;
    if let Some(handle) = destination.as_ref().filter(|_| !options.dry_run) {
        lock(handle).map_err(refuse_destination)?;
    }
    let destination_identity = destination
        .as_ref()
        .and_then(|handle| dirs::stat_open(handle).ok())
        .map(|metadata| metadata.identity);
    Ok(Roots {
        source,
        source_metadata,
        destination,
        destination_identity,
    })
}

/// Opens a root. Unlike everything below it, it may be reached over symbolic links: the user
/// named it.
fn open_root(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

fn open_source(path: &Path) -> Result<OwnedFd, Failure> {
    open_root(path).map_err(|errno| match errno {
        Errno::NOENT => Failure::new(
            ErrorType::SourceMissing,
            "the source does not exist; is a disk not mounted?",
        ),
        Errno::NOTDIR => Failure::new(
            ErrorType::SourceUnreadable,
            "the source is not a directory; name the directory that contains it",
        ),
        _ => Failure::new(
            ErrorType::SourceUnreadable,
            format!("cannot open the source: {errno}"),
        ),
    })
}

/// The destination, or `None` if it can be created.
fn open_existing(path: &Path) -> Result<Option<OwnedFd>, Failure> {
    let errno = match open_root(path) {
        Ok(handle) => return Ok(Some(handle)),
        Err(errno) => errno,
    };
    let message = match errno {
        Errno::NOENT if is_dangling_link(path) => {
            "the destination is a symbolic link to nowhere; is a disk not mounted?".to_owned()
        }
        Errno::NOENT if parent_of(path).is_dir() => return Ok(None),
        Errno::NOENT => "the directory that is to contain the destination does not exist; \
                         create it, or mount the disk it is on"
            .to_owned(),
        Errno::NOTDIR => {
            "the destination, or something on the way to it, is not a directory".to_owned()
        }
        _ => format!("cannot open the destination: {errno}"),
    };
    Err(Failure::new(ErrorType::DestinationUnavailable, message))
}

fn is_dangling_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn overlap(message: &str) -> Failure {
    Failure::new(ErrorType::Overlap, message)
}

/// By name, as far as symbolic links and `..` can be resolved.
fn refuse_overlap_of_paths(source: &Path, destination: &Path, exists: bool) -> Result<(), Failure> {
    let resolve = |path: &Path| {
        let resolved = path.canonicalize();
        resolved.map_err(|error| overlap(&format!("cannot resolve {}: {error}", path.display())))
    };
    let source = resolve(source)?;
    let destination = match (exists, destination.file_name()) {
        (true, _) => resolve(destination)?,
        (false, Some(name)) => resolve(parent_of(destination))?.join(name),
        (false, None) => {
            let message = "the destination does not exist, and its path has no name to create";
            return Err(Failure::new(ErrorType::DestinationUnavailable, message));
        }
    };
    if source == destination {
        Err(overlap("source and destination are the same directory"))
    } else if destination.starts_with(&source) {
        Err(overlap("the destination lies in the source"))
    } else if source.starts_with(&destination) {
        Err(overlap("the source lies in the destination"))
    } else {
        Ok(())
    }
}

/// By device and inode of every directory up to the root, which sees through bind mounts.
///
/// `place` is the destination, or the directory in which it will be created.
fn refuse_overlap_of_directories(
    source: &OwnedFd,
    place: &OwnedFd,
    exists: bool,
) -> Result<(), Failure> {
    let cannot_tell = |errno| overlap(&format!("cannot tell whether they overlap: {errno}"));
    let above_source = ancestors(source).map_err(cannot_tell)?;
    let above_place = ancestors(place).map_err(cannot_tell)?;
    let contains = |above: &[Identity], root: &[Identity]| {
        root.first()
            .is_some_and(|identity| above.contains(identity))
    };
    if contains(&above_place, &above_source) {
        Err(overlap("the destination is, or lies in, the source"))
    } else if exists && contains(&above_source, &above_place) {
        Err(overlap("the source lies in the destination"))
    } else {
        Ok(())
    }
}

/// The directory itself and all directories above it.
fn ancestors(directory: &OwnedFd) -> rustix::io::Result<Vec<Identity>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut found = vec![dirs::stat_open(directory)?.identity];
    let mut at = dirs::open_again(directory)?;
    while found.len() < MAX_ANCESTORS {
        at = match rustix::fs::openat(&at, "..", flags, Mode::empty()) {
            Ok(parent) => parent,
            // A directory that we may not search; the comparison of paths has to do.
            Err(Errno::ACCESS) => break,
            Err(errno) => return Err(errno),
        };
        let identity = dirs::stat_open(&at)?.identity;
        if found.last() == Some(&identity) {
            break;
        }
        found.push(identity);
    }
    Ok(found)
}

fn refuse_empty_source(source: &OwnedFd, destination: Option<&OwnedFd>) -> Result<(), Failure> {
    let source_is_empty = dirs::is_empty(source).map_err(|errno| {
        let message = format!("cannot list the source: {errno}");
        Failure::new(ErrorType::SourceUnreadable, message)
    })?;
    let Some(destination) = destination.filter(|_| source_is_empty) else {
        return Ok(());
    };
    let destination_is_empty = dirs::is_empty(destination).map_err(|errno| {
        let message = format!("cannot list the destination: {errno}");
        Failure::new(ErrorType::DestinationUnavailable, message)
    })?;
    if destination_is_empty {
        return Ok(());
    }
    Err(Failure::new(
        ErrorType::SourceEmpty,
        "the source is empty and the destination is not; mount the disk, \
         or allow an empty source if this is meant",
    ))
}

fn create(path: &Path, source: &Metadata, options: &Options) -> Result<OwnedFd, Failure> {
    // Nobody else looks into it before it has its own mode.
    let mode = if options.preserve_permissions {
        Mode::RWXU
    } else {
        mode_of(source.mode & 0o777)
    };
    let unavailable = |errno: Errno| {
        let message = format!("cannot create the destination: {errno}");
        Failure::new(ErrorType::DestinationUnavailable, message)
    };
    let parent = open_root(parent_of(path)).map_err(unavailable)?;
    let name = path.file_name().unwrap_or(OsStr::new("."));
    rustix::fs::mkdirat(&parent, name, mode).map_err(unavailable)?;
    if options.durability != Durability::None {
        rustix::fs::fsync(&parent).map_err(unavailable)?;
    }
    dirs::open_directory(&parent, name).map_err(unavailable)
}

/// Takes the one lock of a destination, for every process and job on this machine.
fn lock(destination: impl AsFd) -> Result<(), Failure> {
    match rustix::fs::flock(destination, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(Failure::new(
            ErrorType::Locked,
            "another run works on this destination; try again when it is done",
        )),
        Err(errno) => {
            // Some network file systems cannot lock directories; a mirror is useful there too.
            tracing::warn!(error = %errno, "the destination cannot be locked; going on without");
            Ok(())
        }
    }
}
