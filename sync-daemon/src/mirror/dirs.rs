//! Directory handles: the only way in which a run reaches a file.
//!
//! A path can change its meaning between two system calls, a handle cannot. Every step goes from
//! the handle of a directory to one name in it, and never follows a symbolic link. This also
//! reaches paths that are longer than the kernel accepts in one piece.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, RawDir};
use rustix::io::{self, Errno};

use super::metadata::{Kind, Metadata};
use super::temporary;

const LISTING_BUFFER_BYTES: usize = 64 * 1024;
/// Enough for some names; whether a directory is empty is known after a few.
const GLANCE_BUFFER_BYTES: usize = 4 * 1024;

/// Takes what the kernel tells of a directory.
///
/// For the stack of a thread: that goes back to the system when the thread ends, while freed memory
/// would stay with the process.
pub(super) type ListingBuffer = [MaybeUninit<u8>; LISTING_BUFFER_BYTES];

/// An empty buffer.
pub(super) fn listing_buffer() -> ListingBuffer {
    [MaybeUninit::uninit(); LISTING_BUFFER_BYTES]
}

/// Opens the directory `name` in `parent`.
///
/// # Errors
/// `NOTDIR` or `LOOP` if it is something else, also a symbolic link to a directory.
pub(super) fn open_directory(parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Opens a directory below `root` step by step.
pub(super) fn open_below(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let mut handle = open_again(root)?;
    for component in path.components() {
        let Component::Normal(name) = component else {
            return Err(Errno::INVAL);
        };
        handle = open_directory(&handle, name)?;
    }
    Ok(handle)
}

/// Opens the same directory again, with a reading position of its own.
pub(super) fn open_again(directory: impl AsFd) -> io::Result<OwnedFd> {
    open_directory(directory, OsStr::new("."))
}

/// Looks at one name without following it.
pub(super) fn stat(directory: impl AsFd, name: &OsStr) -> io::Result<Metadata> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Metadata::from(&stat))
}

/// Looks at what is open.
pub(super) fn stat_open(handle: impl AsFd) -> io::Result<Metadata> {
    Ok(Metadata::from(&rustix::fs::fstat(handle)?))
}

/// Whether a directory has no entries, besides temporaries that a run left behind.
pub(super) fn is_empty(directory: impl AsFd) -> io::Result<bool> {
    is_without(directory, |name| !temporary::is_ours(name))
}

/// Whether a directory has no entries at all.
pub(super) fn is_wholly_empty(directory: impl AsFd) -> io::Result<bool> {
    is_without(directory, |_| true)
}

fn is_without(directory: impl AsFd, counts: impl Fn(&OsStr) -> bool) -> io::Result<bool> {
    let directory = open_again(directory)?;
    let mut buffer = [MaybeUninit::uninit(); GLANCE_BUFFER_BYTES];
    let mut reader = RawDir::new(directory.as_fd(), &mut buffer);
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let is_itself_or_parent = name == b"." || name == b"..";
        if !is_itself_or_parent && counts(OsStr::from_bytes(name)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The names in one directory, sorted by their bytes.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// All names, one after the other.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    length: u16,
    kind: Kind,
}

impl Listing {
    /// Takes over all names of a directory that was just opened, in the place of what it had.
    ///
    /// # Errors
    /// Any error means that the directory was not listed whole; then the listing is empty.
    pub(super) fn read(
        &mut self,
        directory: impl AsFd,
        buffer: &mut ListingBuffer,
    ) -> io::Result<()> {
        self.clear();
        let read = self.read_all(directory, buffer);
        if read.is_err() {
            self.clear();
        }
        read
    }

    /// Forgets all names; the memory stays for the next ones.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    fn read_all(&mut self, directory: impl AsFd, buffer: &mut ListingBuffer) -> io::Result<()> {
        let mut reader = RawDir::new(directory.as_fd(), buffer);
        while let Some(entry) = reader.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            // No sane file system has such names; one that does must not lead us elsewhere.
            if name.is_empty() || name.contains(&b'/') {
                return Err(Errno::BADMSG);
            }
            let kind = match Kind::of(entry.file_type()) {
                Some(kind) => kind,
                None => match stat(directory.as_fd(), OsStr::from_bytes(name)) {
                    Ok(metadata) => metadata.kind,
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(errno),
                },
            };
            self.push(name, kind)?;
        }
        self.sort();
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&OsStr, Kind)> {
        self.entries
            .iter()
            .map(|entry| (OsStr::from_bytes(name_in(&self.bytes, *entry)), entry.kind))
    }

    fn push(&mut self, name: &[u8], kind: Kind) -> io::Result<()> {
        let entry = Entry {
            start: self.bytes.len(),
            length: u16::try_from(name.len()).map_err(|_| Errno::NAMETOOLONG)?,
            kind,
        };
        self.bytes.extend_from_slice(name);
        self.entries.push(entry);
        Ok(())
    }

    /// A directory that changes while it is read may tell a name twice.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.entries
            .sort_unstable_by(|a, b| name_in(bytes, *a).cmp(name_in(bytes, *b)));
        self.entries
            .dedup_by(|a, b| name_in(bytes, *a) == name_in(bytes, *b));
    }
}

fn name_in(bytes: &[u8], entry: Entry) -> &[u8] {
    &bytes[entry.start..entry.start + usize::from(entry.length)]
}

/// A tree of directories in which each knows its parent; the root is number 0.
pub(super) trait Tree {
    /// The number of the parent; not asked for the root.
    fn parent(&self, directory: u32) -> u32;
    /// The name in the parent; not asked for the root.
    fn name(&self, directory: u32) -> &OsStr;
}

/// Open handles on the way from a root to the directory that was asked for last.
///
/// Asking in the order of a walk costs one `openat` for each directory. However deep the tree is,
/// the number of open handles is bounded.
pub(super) struct DirStack<'t, T> {
    tree: &'t T,
    root: Arc<OwnedFd>,
    way: Vec<Level>,
    /// How many handles of the way stay open; the ones above are opened again when needed.
    kept: usize,
}

struct Level {
    directory: u32,
    handle: Option<Arc<OwnedFd>>,
}

impl<'t, T: Tree> DirStack<'t, T> {
    /// Keeps at most `kept` handles open besides the root.
    pub(super) fn new(tree: &'t T, root: Arc<OwnedFd>, kept: usize) -> Self {
        Self {
            tree,
            root,
            way: Vec::new(),
            kept,
        }
    }

    /// The handle of a directory.
    ///
    /// # Errors
    /// Whatever `openat` says of the first directory on the way that cannot be opened.
    pub(super) fn open(&mut self, directory: u32) -> io::Result<Arc<OwnedFd>> {
        let wanted = self.way_to(directory);
        let common = self.common_length(&wanted);
        self.way.truncate(common);
        // Handles far above may have been closed: go on from the last one that is open.
        let open = self.way.iter().rposition(|level| level.handle.is_some());
        let start = open.map_or(0, |position| position + 1);
        let mut handle = match open {
            Some(position) => self.handle_at(position),
            None => Arc::clone(&self.root),
        };
        self.way.truncate(start);
        for &directory in &wanted[start..] {
            handle = Arc::new(open_directory(&*handle, self.tree.name(directory))?);
            self.push(directory, Arc::clone(&handle));
        }
        Ok(handle)
    }

    /// Forgets the handles: names on the way may stand for other directories now.
    pub(super) fn forget(&mut self) {
        self.way.clear();
    }

    fn way_to(&self, directory: u32) -> Vec<u32> {
        let mut way = Vec::new();
        let mut at = directory;
        while at != 0 {
            way.push(at);
            at = self.tree.parent(at);
        }
        way.reverse();
        way
    }

    fn common_length(&self, wanted: &[u32]) -> usize {
        self.way
            .iter()
            .zip(wanted)
            .take_while(|(level, wanted)| level.directory == **wanted)
            .count()
    }

    fn handle_at(&self, position: usize) -> Arc<OwnedFd> {
        let handle = self.way[position].handle.as_ref();
        Arc::clone(handle.unwrap_or(&self.root))
    }

    fn push(&mut self, directory: u32, handle: Arc<OwnedFd>) {
        self.way.push(Level {
            directory,
            handle: Some(handle),
        });
        if let Some(far) = self.way.len().checked_sub(self.kept + 1) {
            self.way[far].handle = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of directories that are all called `d`.
    struct Chain;

    impl Tree for Chain {
        fn parent(&self, directory: u32) -> u32 {
            directory - 1
        }
        fn name(&self, _: u32) -> &OsStr {
            OsStr::new("d")
        }
    }

    fn open_path(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("open")
    }

    #[test]
    fn deep_stack_keeps_few_handles_and_finds_its_way_back() {
        const KEPT: usize = 5;
        let temporary = tempfile::tempdir().expect("tempdir");
        let root = Arc::new(open_path(temporary.path()));
        let mut at = Arc::clone(&root);
        for _ in 0..100 {
            rustix::fs::mkdirat(&*at, "d", Mode::RWXU).expect("mkdir");
            at = Arc::new(open_directory(&*at, OsStr::new("d")).expect("open"));
        }
        let mut stack = DirStack::new(&Chain, root, KEPT);
        let deep = stack.open(100).expect("deepest");
        let same = |a: &OwnedFd, b: &OwnedFd| {
            stat_open(a).expect("stat").identity == stat_open(b).expect("stat").identity
        };
        assert!(same(&deep, &at));
        let kept = |stack: &DirStack<'_, Chain>| {
            let open = stack.way.iter().filter(|level| level.handle.is_some());
            open.count()
        };
        assert_eq!(kept(&stack), KEPT);
        let path: std::path::PathBuf = std::iter::repeat_n("d", 3).collect();
        let third = open_path(&temporary.path().join(path));
        assert!(same(&stack.open(3).expect("third"), &third));
        assert!(same(&stack.open(100).expect("deepest again"), &at));
        assert_eq!(kept(&stack), KEPT);
    }

    #[test]
    fn name_that_is_told_twice_is_listed_once() {
        let mut listing = Listing::default();
        for name in ["b", "a", "b"] {
            listing.push(name.as_bytes(), Kind::File).expect("short");
        }
        listing.sort();
        let names: Vec<_> = listing.iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn symbolic_link_to_a_directory_is_not_opened() {
        let temporary = tempfile::tempdir().expect("tempdir");
        std::os::unix::fs::symlink("/", temporary.path().join("link")).expect("symlink");
        let root = open_path(temporary.path());
        assert!(open_directory(&root, OsStr::new("link")).is_err());
        assert!(open_below(&root, Path::new("link/etc")).is_err());
        assert!(open_below(&root, Path::new("../x")).is_err());
    }
}
