//! Walks both trees side by side, directory by directory, and notes what differs.
//!
//! A few threads take directories from one stack. For each they list source and destination, go
//! through both listings in the order of names, and keep only what needs work. What is equal is
//! counted and forgotten, so that memory follows the differences, not the trees.

use std::ffi::OsStr;
use std::iter::Peekable;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::compare::{Difference, Pair};
use super::dirs::{self, Listing};
use super::escape_path;
use super::failure::Failure;
use super::metadata::{Kind, Metadata};
use super::plan::{Action, Change, Directory, Side, Step};
use super::run::Run;
use super::temporary;
use super::workers;
use crate::error_type::ErrorType;

/// How many parents may keep their handles open for children that are still to be scanned.
/// Children of others are found again from the root, so that handles never run out.
const MAX_WAITING_PARENTS: usize = 128;

/// What a scan found.
pub(super) struct Scanned {
    /// Every directory that was visited, parents before children.
    pub(super) directories: Vec<Directory>,
    /// How many entries the destination has, as far as it was looked at.
    pub(super) destination_entries: u64,
}

/// Scans both trees with `threads` threads.
pub(super) fn scan(run: &Run<'_>, threads: usize) -> Scanned {
    let walk = Walk {
        run,
        state: Mutex::new(State::begin(run)),
        changed: Condvar::new(),
        waiting_parents: Arc::default(),
        destination_entries: AtomicU64::new(0),
        // Asked once: it would cost more than looking at a file does.
        is_traced: tracing::enabled!(tracing::Level::TRACE),
    };
    workers::run("mirror-scan", threads, || walk.work(), || ());
    let state = walk
        .state
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Scanned {
        directories: state.directories,
        destination_entries: walk.destination_entries.into_inner(),
    }
}

/// The shared state of the scanning threads.
struct Walk<'a> {
    run: &'a Run<'a>,
    state: Mutex<State>,
    changed: Condvar,
    waiting_parents: Arc<AtomicUsize>,
    destination_entries: AtomicU64,
    is_traced: bool,
}

struct State {
    directories: Vec<Directory>,
    /// Last in, first out: depth first, so that few parents wait.
    to_visit: Vec<Visit>,
    /// Directories that are being visited, and may still add to `to_visit`.
    in_work: usize,
}

/// A directory to be scanned.
struct Visit {
    number: u32,
    path: PathBuf,
    side: Side,
    /// What happens to the directory, as far as its parent can tell.
    change: Change,
    /// What the source has here; `None` for [`Side::DestinationOnly`].
    source: Option<Metadata>,
    /// `None` for the root, and beyond [`MAX_WAITING_PARENTS`].
    parent: Option<Arc<Parent>>,
}

/// The handles of a directory, kept for its children.
struct Parent {
    handles: Handles,
    waiting: Arc<AtomicUsize>,
}

/// The handles of one directory, as far as it is there.
struct Handles {
    source: Option<OwnedFd>,
    destination: Option<OwnedFd>,
}

/// What a visit found.
struct Found {
    change: Change,
    existing_mode: Option<u32>,
    time_differs: bool,
    keeps_something: bool,
    steps: Vec<Step>,
    children: Vec<Child>,
}

/// A directory in a directory.
struct Child {
    name: Box<OsStr>,
    side: Side,
    change: Change,
    source: Option<Metadata>,
}

impl State {
    fn begin(run: &Run<'_>) -> Self {
        let (side, change) = match run.roots.destination {
            Some(_) => (Side::Both, Change::None),
            None => (Side::SourceOnly, Change::Create),
        };
        let source = run.roots.source_metadata;
        Self {
            directories: vec![new_directory(0, OsStr::new("").into(), side, source)],
            to_visit: vec![Visit {
                number: 0,
                path: PathBuf::new(),
                side,
                change,
                source: Some(source),
                parent: None,
            }],
            in_work: 0,
        }
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn new_directory(parent: u32, name: Box<OsStr>, side: Side, source: Metadata) -> Directory {
    Directory {
        parent,
        name,
        side,
        change: Change::None,
        source,
        existing_mode: None,
        time_differs: false,
        keeps_something: false,
        steps: Vec::new(),
    }
}

impl Walk<'_> {
    /// Visits directories until none is left and nobody can add one.
    fn work(&self) {
        while let Some(visit) = self.next() {
            let finished = Finished(self);
            if !self.run.should_stop() {
                self.visit(visit);
            }
            drop(finished);
        }
    }

    fn next(&self) -> Option<Visit> {
        let mut state = self.lock();
        loop {
            if let Some(visit) = state.to_visit.pop() {
                state.in_work += 1;
                return Some(visit);
            }
            if state.in_work == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn visit(&self, visit: Visit) {
        let mut found = Found {
            change: visit.change,
            existing_mode: None,
            time_differs: false,
            keeps_something: false,
            steps: Vec::new(),
            children: Vec::new(),
        };
        let handles = self.open(&visit, &mut found).and_then(|handles| {
            let listed = self.merge(&visit, &handles, &mut found);
            listed.then_some(handles)
        });
        if handles.is_some() {
            self.settle_own_change(&visit, &mut found);
        }
        self.keep(&visit, found, handles);
    }

    /// Opens both sides of a directory. `None`: that was reported, and nothing in it is touched.
    fn open(&self, visit: &Visit, found: &mut Found) -> Option<Handles> {
        // The destination first: its own attributes are mirrored even if the source is unreadable.
        let destination = match visit.side {
            Side::SourceOnly => None,
            Side::Both | Side::DestinationOnly { .. } => Some(self.open_destination(visit, found)?),
        };
        let source = match visit.source {
            Some(_) => Some(self.open_source(visit, found)?),
            None => None,
        };
        Some(Handles {
            source,
            destination,
        })
    }

    fn open_source(&self, visit: &Visit, found: &mut Found) -> Option<OwnedFd> {
        let errno = match open_side(visit, &self.run.roots.source, |handles| &handles.source) {
            Ok(handle) => return Some(handle),
            Err(errno) => errno,
        };
        if errno == Errno::NOENT {
            found.change = Change::None;
            self.run.tally.vanished(&visit.path);
            return None;
        }
        if found.change == Change::Replace {
            // What is in the destination is better than an empty directory.
            found.change = Change::None;
        }
        self.fail_unreadable(&visit.path, errno);
        None
    }

    fn open_destination(&self, visit: &Visit, found: &mut Found) -> Option<OwnedFd> {
        let root = self.run.roots.destination.as_ref()?;
        let opened = open_side(visit, root, |handles| &handles.destination)
            .and_then(|handle| dirs::stat_open(&handle).map(|metadata| (handle, metadata)));
        let (handle, metadata) = match opened {
            Ok(opened) => opened,
            Err(errno) => {
                found.keeps_something = true;
                let failure = Failure::writing("open the directory in the destination", errno);
                self.run.tally.failed(&visit.path, failure);
                return None;
            }
        };
        if metadata.identity == self.run.roots.source_metadata.identity {
            found.keeps_something = true;
            self.fail_overlap(
                &visit.path,
                "this directory of the destination is the source",
            );
            return None;
        }
        found.existing_mode = Some(metadata.mode);
        if let Some(source) = &visit.source {
            found.time_differs = !self.run.preserved.same_time(source, &metadata);
            if !self.run.preserved.same_permissions(source, &metadata) {
                found.change = Change::Attributes;
            }
        }
        Some(handle)
    }

    /// Lists both sides and goes through them. `false`: one could not be listed whole; that was
    /// reported, and nothing in it is touched.
    fn merge(&self, visit: &Visit, handles: &Handles, found: &mut Found) -> bool {
        let source = handles.source.as_ref().map(Listing::read).transpose();
        let source = match source {
            Ok(listing) => listing,
            Err(errno) => {
                self.fail_unreadable(&visit.path, errno);
                return false;
            }
        };
        let destination = handles.destination.as_ref().map(Listing::read).transpose();
        let destination = match destination {
            Ok(listing) => listing.unwrap_or_default(),
            Err(errno) => {
                found.keeps_something = true;
                let failure = Failure::writing("list the directory in the destination", errno);
                self.run.tally.failed(&visit.path, failure);
                return false;
            }
        };
        let entries = destination.len() as u64;
        self.destination_entries
            .fetch_add(entries, Ordering::Relaxed);
        let looked_at = source.as_ref().map_or(0, Listing::len);
        let mut merge = Merge {
            walk: self,
            visit,
            handles,
            found,
            unchanged: 0,
        };
        merge.run(&source.unwrap_or_default(), &destination);
        self.run.tally.unchanged(merge.unchanged);
        self.run.observer.scanned(looked_at as u64);
        true
    }

    /// A directory whose only difference is its time counts as updated if nothing in it changes,
    /// and is only touched up otherwise.
    fn settle_own_change(&self, visit: &Visit, found: &mut Found) {
        if visit.side != Side::Both {
            return;
        }
        let is_new_or_gone = |child: &Child| child.side != Side::Both;
        let entries_change = !found.steps.is_empty() || found.children.iter().any(is_new_or_gone);
        if found.change == Change::None && found.time_differs && !entries_change {
            found.change = Change::Attributes;
        }
        if found.change == Change::None && visit.number != 0 {
            self.run.tally.unchanged(1);
        }
    }

    /// Stores what was found in a directory, and queues its children.
    fn keep(&self, visit: &Visit, mut found: Found, handles: Option<Handles>) {
        let parent = handles
            .filter(|_| !found.children.is_empty())
            .and_then(|handles| self.share(handles));
        found.steps.shrink_to_fit();
        let mut state = self.lock();
        let directory = &mut state.directories[visit.number as usize];
        directory.change = found.change;
        directory.existing_mode = found.existing_mode;
        directory.time_differs = found.time_differs;
        directory.keeps_something = found.keeps_something;
        directory.steps = found.steps;
        for child in found.children {
            let number = state.directories.len() as u32;
            // Without a source there is nothing to carry over, and this is never looked at.
            let source = child.source.unwrap_or(self.run.roots.source_metadata);
            let path = visit.path.join(&*child.name);
            let directory = new_directory(visit.number, child.name, child.side, source);
            state.directories.push(directory);
            state.to_visit.push(Visit {
                number,
                path,
                side: child.side,
                change: child.change,
                source: child.source,
                parent: parent.clone(),
            });
        }
    }

    fn share(&self, handles: Handles) -> Option<Arc<Parent>> {
        let before = self.waiting_parents.fetch_add(1, Ordering::Relaxed);
        let parent = Parent {
            handles,
            waiting: Arc::clone(&self.waiting_parents),
        };
        (before < MAX_WAITING_PARENTS).then(|| Arc::new(parent))
    }

    fn fail_unreadable(&self, path: &Path, errno: Errno) {
        let message = format!("cannot list the directory in the source: {errno}");
        let failure = Failure::new(ErrorType::SourceUnreadable, message);
        self.run.tally.failed(path, failure);
    }

    fn fail_overlap(&self, path: &Path, message: &str) {
        let failure = Failure::new(ErrorType::Overlap, message);
        self.run.tally.failed(path, failure);
    }
}

/// Opens one side of a directory, from its parent if that is still open.
fn open_side(
    visit: &Visit,
    root: &OwnedFd,
    side: impl Fn(&Handles) -> &Option<OwnedFd>,
) -> rustix::io::Result<OwnedFd> {
    let parent = visit.parent.as_ref().map(|parent| side(&parent.handles));
    match (parent, visit.path.file_name()) {
        (Some(Some(parent)), Some(name)) => dirs::open_directory(parent, name),
        _ => dirs::open_below(root, &visit.path),
    }
}

/// Tells the others that a visit is over, also when it panicked.
struct Finished<'w, 'a>(&'w Walk<'a>);

impl Drop for Finished<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().in_work -= 1;
        self.0.changed.notify_all();
    }
}

/// One pass through the two listings of a directory.
struct Merge<'m> {
    walk: &'m Walk<'m>,
    visit: &'m Visit,
    handles: &'m Handles,
    found: &'m mut Found,
    unchanged: u64,
}

impl Merge<'_> {
    fn run(&mut self, source: &Listing, destination: &Listing) {
        let mut extra = destination.iter().peekable();
        for (name, kind) in source.iter() {
            if self.walk.run.should_stop() {
                // An unfinished plan is never applied.
                return;
            }
            while let Some((name, kind)) = next_before(&mut extra, name) {
                self.only_in_destination(name, kind);
            }
            let counterpart = extra.next_if(|(other, _)| *other == name);
            if temporary::is_ours(name) || self.is_excluded(name, kind) {
                if let Some((name, kind)) = counterpart {
                    self.only_in_destination(name, kind);
                }
            } else {
                self.in_source(name, counterpart.map(|(_, kind)| kind));
            }
        }
        for (name, kind) in extra {
            self.only_in_destination(name, kind);
        }
    }

    fn is_excluded(&self, name: &OsStr, kind: Kind) -> bool {
        let options = self.walk.run.options;
        if options.ignore_hidden && name.as_bytes().starts_with(b".") {
            return true;
        }
        !options.filter.is_empty()
            && options
                .filter
                .excludes(&self.visit.path.join(name), kind == Kind::Directory)
    }

    /// Whether the filters keep an entry of the destination from being removed.
    fn is_protected(&self, name: &OsStr, kind: Kind) -> bool {
        !self.walk.run.options.delete_excluded && self.is_excluded(name, kind)
    }

    /// A name that is not, or not to be, in the source.
    fn only_in_destination(&mut self, name: &OsStr, kind: Kind) {
        let options = self.walk.run.options;
        if temporary::is_ours(name) && matches!(kind, Kind::File | Kind::Symlink) {
            self.step(name, Action::Sweep, 0);
            return;
        }
        if !options.delete || self.is_protected(name, kind) {
            self.found.keeps_something = true;
        } else if kind == Kind::Directory {
            let in_the_way = matches!(self.visit.side, Side::DestinationOnly { in_the_way: true });
            self.child(
                name,
                Side::DestinationOnly { in_the_way },
                Change::None,
                None,
            );
        } else {
            self.step(name, Action::Delete, 0);
        }
    }

    /// A name that is in the source, and perhaps in the destination.
    fn in_source(&mut self, name: &OsStr, destination: Option<Kind>) {
        let Some(directory) = &self.handles.source else {
            return;
        };
        let source = match dirs::stat(directory, name) {
            Ok(metadata) => metadata,
            Err(Errno::NOENT) => {
                self.walk.run.tally.vanished(&self.visit.path.join(name));
                return;
            }
            Err(errno) => {
                let failure = Failure::reading("look at it in the source", errno);
                self.fail(name, failure);
                return;
            }
        };
        if self.walk.is_traced {
            let path = escape_path(&self.visit.path.join(name));
            tracing::trace!(%path, bytes = source.size, "looked at");
        }
        match source.kind {
            Kind::Special => self.walk.run.tally.skipped(&self.visit.path.join(name)),
            Kind::Directory => self.directory(name, source, destination),
            Kind::File | Kind::Symlink => self.file_or_link(name, &source, destination),
        }
    }

    fn directory(&mut self, name: &OsStr, source: Metadata, destination: Option<Kind>) {
        let root = self.walk.run.roots.destination_identity;
        if root == Some(source.identity) {
            let path = self.visit.path.join(name);
            self.walk
                .fail_overlap(&path, "this directory of the source is the destination");
            return;
        }
        let (side, change) = match destination {
            Some(Kind::Directory) => (Side::Both, Change::None),
            Some(kind) if self.is_protected(name, kind) => {
                let message = "a directory is to take the place of an excluded file; \
                               remove the file, or exclude the directory too";
                self.fail(name, Failure::new(ErrorType::Write, message));
                return;
            }
            Some(_) => (Side::SourceOnly, Change::Replace),
            None => (Side::SourceOnly, Change::Create),
        };
        self.child(name, side, change, Some(source));
    }

    fn file_or_link(&mut self, name: &OsStr, source: &Metadata, destination: Option<Kind>) {
        let is_file = source.kind == Kind::File;
        let (create, update, attributes) = if is_file {
            (
                Action::CreateFile,
                Action::UpdateFile,
                Action::FileAttributes,
            )
        } else {
            (
                Action::CreateLink,
                Action::UpdateLink,
                Action::LinkAttributes,
            )
        };
        let bytes = if is_file { source.size } else { 0 };
        let difference = match destination {
            None => {
                self.step(name, create, bytes);
                return;
            }
            Some(Kind::Directory) => {
                self.make_way(name);
                Difference::Content
            }
            Some(_) => self.compare(name, source),
        };
        match difference {
            Difference::None => self.unchanged += 1,
            Difference::Attributes => self.step(name, attributes, 0),
            Difference::Content => self.step(name, update, bytes),
        }
    }

    fn compare(&self, name: &OsStr, source: &Metadata) -> Difference {
        let run = self.walk.run;
        let (Some(ours), Some(theirs)) = (&self.handles.source, &self.handles.destination) else {
            return Difference::Content;
        };
        // If it cannot be looked at, it cannot be trusted: replacing it will tell more.
        let Ok(destination) = dirs::stat(theirs, name) else {
            return Difference::Content;
        };
        let pair = Pair {
            source_directory: ours.as_fd(),
            destination_directory: theirs.as_fd(),
            name,
            source,
            destination: &destination,
        };
        if source.kind == Kind::File {
            pair.compare_files(run.options.comparison, &run.preserved, run.cancel)
        } else {
            pair.compare_links(&run.preserved)
        }
    }

    /// A directory stands where a file or a link is to be. Without `delete` only an empty one is
    /// removed, when the file is ready.
    fn make_way(&mut self, name: &OsStr) {
        if self.walk.run.options.delete && !self.is_protected(name, Kind::Directory) {
            let side = Side::DestinationOnly { in_the_way: true };
            self.child(name, side, Change::None, None);
        }
    }

    fn step(&mut self, name: &OsStr, action: Action, bytes: u64) {
        self.found.steps.push(Step {
            name: name.into(),
            bytes,
            action,
        });
    }

    fn child(&mut self, name: &OsStr, side: Side, change: Change, source: Option<Metadata>) {
        self.found.children.push(Child {
            name: name.into(),
            side,
            change,
            source,
        });
    }

    fn fail(&self, name: &OsStr, failure: Failure) {
        let path = self.visit.path.join(name);
        self.walk.run.tally.failed(&path, failure);
    }
}

/// The next entry, if its name sorts before `name`.
fn next_before<'l>(
    entries: &mut Peekable<impl Iterator<Item = (&'l OsStr, Kind)>>,
    name: &OsStr,
) -> Option<(&'l OsStr, Kind)> {
    entries.next_if(|(other, _)| *other < name)
}
