//! Walks both trees side by side, directory by directory, and notes what differs.
//!
//! A few threads take directories from one stack. For each they list source and destination, go
//! through both listings in the order of names, and keep only what needs work. What is equal is
//! counted and forgotten, so that memory follows the differences, not the trees.

mod merge; // one directory

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::{self, Errno};

use super::dirs::{self, Listing, ListingBuffer};
use super::failure::Failure;
use super::metadata::Metadata;
use super::pinned::{self, OpenedUp};
use super::plan::{Change, Directory, Side, Steps};
use super::run::Run;
use super::temporary;
use super::workers;
use crate::error_type::ErrorType;
use merge::Merge;

/// What a scan found.
pub(super) struct Scanned {
    /// Every directory that was visited, parents before children.
    pub(super) directories: Vec<Directory>,
    /// What is to be done in them.
    pub(super) steps: Steps,
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
        sweeps_everywhere: AtomicBool::new(false),
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
        steps: state.steps,
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
    /// A run that was killed has left its mark in the root, so that unfinished files may be
    /// anywhere, also in directories that this run would not enter.
    sweeps_everywhere: AtomicBool,
    is_traced: bool,
}

struct State {
    directories: Vec<Directory>,
    steps: Steps,
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
    /// What the source has here; `None` if only the destination has it.
    source: Option<Metadata>,
    /// `None` for the root, and if too many parents wait already.
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

/// What one scanning thread uses again for each directory.
struct Desk {
    buffer: ListingBuffer,
    /// Empty without a source.
    source: Listing,
    /// Empty without a destination.
    destination: Listing,
    /// Empty between two visits.
    steps: Steps,
}

/// What a visit found.
struct Found {
    change: Change,
    relaxed_from: Option<u32>,
    time_differs: bool,
    keeps_something: bool,
    steps: Steps,
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
            steps: Steps::default(),
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
        relaxed_from: None,
        time_differs: false,
        keeps_something: false,
        steps: 0..0,
    }
}

impl Walk<'_> {
    /// Visits directories until none is left and nobody can add one.
    fn work(&self) {
        let mut desk = Desk {
            buffer: dirs::listing_buffer(),
            source: Listing::default(),
            destination: Listing::default(),
            steps: Steps::default(),
        };
        while let Some(visit) = self.next() {
            let finished = Finished(self);
            if !self.run.should_stop() {
                self.visit(visit, &mut desk);
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

    fn visit(&self, visit: Visit, desk: &mut Desk) {
        let mut found = Found {
            change: visit.change,
            relaxed_from: None,
            time_differs: false,
            keeps_something: visit.side == Side::Kept,
            steps: std::mem::take(&mut desk.steps),
            children: Vec::new(),
        };
        let handles = self.open_and_merge(&visit, desk, &mut found);
        desk.steps = self.keep(&visit, found, handles);
    }

    /// `None`: one side could not be opened or listed whole; that was reported, and nothing in the
    /// directory is touched.
    fn open_and_merge(&self, visit: &Visit, desk: &mut Desk, found: &mut Found) -> Option<Handles> {
        // The destination first: its own attributes are mirrored even if the source is unreadable.
        let destination = match visit.side {
            Side::SourceOnly => None,
            Side::Both | Side::Extra | Side::InTheWay | Side::Kept => {
                Some(self.open_destination(visit, found)?)
            }
        };
        desk.source.clear();
        let source = match visit.source.map(|_| self.open_and_list_source(visit, desk)) {
            None => None,
            Some(Ok(handle)) => Some(handle),
            Some(Err(errno)) => {
                self.report_source(visit, errno, found);
                return self.only_sweep(visit, destination?, desk, found);
            }
        };
        let handles = Handles {
            source,
            destination,
        };
        self.merge(visit, &handles, desk, visit.side, found)?;
        self.observe(&desk.source);
        self.settle_own_change(visit, found);
        Some(handles)
    }

    fn open_and_list_source(&self, visit: &Visit, desk: &mut Desk) -> io::Result<OwnedFd> {
        let root = &self.run.roots.source;
        let handle = visit.open(
            root,
            |handles| handles.source.as_ref(),
            |parent, name| dirs::open_directory(parent, name),
        )?;
        desk.source.read(&handle, &mut desk.buffer)?;
        Ok(handle)
    }

    fn report_source(&self, visit: &Visit, errno: Errno, found: &mut Found) {
        if errno == Errno::NOENT {
            found.change = Change::None;
            self.run.tally.vanished(&visit.path);
            return;
        }
        if found.change == Change::Replace {
            // What is in the destination is better than an empty directory.
            found.change = Change::None;
        }
        let message = format!("cannot list the directory in the source: {errno}");
        self.fail(visit, ErrorType::SourceUnreadable, message);
    }

    fn open_destination(&self, visit: &Visit, found: &mut Found) -> Option<OwnedFd> {
        let root = self.run.roots.destination.as_ref()?;
        let may_relax = !self.run.options.dry_run && visit.side != Side::Kept;
        let open = |parent: BorrowedFd<'_>, name: &OsStr| {
            if may_relax {
                return pinned::open_up(parent, name);
            }
            dirs::open_directory(parent, name).and_then(OpenedUp::as_it_is)
        };
        let OpenedUp {
            handle,
            metadata,
            relaxed_from,
        } = match visit.open(root, |handles| handles.destination.as_ref(), open) {
            Ok(opened) => opened,
            Err(errno) => {
                self.report_destination(visit, "open", errno, found);
                return None;
            }
        };
        found.relaxed_from = relaxed_from;
        if metadata.identity == self.run.roots.source_metadata.identity {
            found.keeps_something = true;
            let message = "this directory of the destination is the source";
            self.fail(visit, ErrorType::Overlap, message);
            return None;
        }
        if let Some(source) = &visit.source {
            found.time_differs = !self.run.preserved.same_time(source, &metadata);
            if !self.run.preserved.same_permissions(source, &metadata) {
                found.change = Change::Attributes;
            }
        }
        Some(handle)
    }

    fn report_destination(&self, visit: &Visit, doing: &str, errno: Errno, found: &mut Found) {
        found.keeps_something = true;
        // A directory that stays as it is may be closed to us.
        if visit.side == Side::Kept {
            return;
        }
        let doing = format!("{doing} the directory in the destination");
        let mut failure = Failure::writing(&doing, errno);
        if self.run.options.dry_run && errno == Errno::ACCESS {
            // As `rsync -n` does: what is in it cannot be told without changing its mode.
            failure
                .message
                .push_str("; the run itself opens it up if it is ours, a dry run changes nothing");
        }
        self.run.tally.failed(&visit.path, failure);
    }

    /// Lists the destination, and goes through both listings. `None`: it could not be listed whole;
    /// that was reported.
    fn merge(
        &self,
        visit: &Visit,
        handles: &Handles,
        desk: &mut Desk,
        side: Side,
        found: &mut Found,
    ) -> Option<()> {
        let Desk {
            buffer,
            source,
            destination,
            ..
        } = desk;
        destination.clear();
        let listed = handles.destination.as_ref();
        let listed = listed.map_or(Ok(()), |handle| destination.read(handle, buffer));
        if let Err(errno) = listed {
            self.report_destination(visit, "list", errno, found);
            return None;
        }
        if visit.number == 0 && destination.iter().any(|(name, _)| temporary::is_ours(name)) {
            self.sweeps_everywhere.store(true, Ordering::Relaxed);
        }
        let entries = destination.len() as u64;
        self.destination_entries
            .fetch_add(entries, Ordering::Relaxed);
        let mut merge = Merge {
            walk: self,
            visit,
            side,
            handles,
            found,
            unchanged: 0,
        };
        merge.run(source, destination);
        let unchanged = merge.unchanged;
        self.run.tally.unchanged(unchanged);
        Some(())
    }

    /// The source tells nothing about this directory, so that it stays; only what a run that was
    /// killed has left in it is removed.
    fn only_sweep(
        &self,
        visit: &Visit,
        destination: OwnedFd,
        desk: &mut Desk,
        found: &mut Found,
    ) -> Option<Handles> {
        found.keeps_something = true;
        if !self.sweeps_everywhere.load(Ordering::Relaxed) {
            return None;
        }
        let handles = Handles {
            source: None,
            destination: Some(destination),
        };
        self.merge(visit, &handles, desk, Side::Kept, found)?;
        Some(handles)
    }

    fn observe(&self, source: &Listing) {
        self.run.observer.scanned(source.len() as u64);
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

    /// Stores what was found in a directory, and queues its children; returns the memory of its
    /// steps, empty.
    fn keep(&self, visit: &Visit, mut found: Found, handles: Option<Handles>) -> Steps {
        let parent = handles
            .filter(|_| !found.children.is_empty())
            .and_then(|handles| self.share(handles));
        let mut state = self.lock();
        let steps = state.steps.take_over(&mut found.steps);
        let directory = &mut state.directories[visit.number as usize];
        directory.change = found.change;
        directory.relaxed_from = found.relaxed_from;
        directory.time_differs = found.time_differs;
        directory.keeps_something = found.keeps_something;
        directory.steps = steps;
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
        found.steps
    }

    fn share(&self, handles: Handles) -> Option<Arc<Parent>> {
        let before = self.waiting_parents.fetch_add(1, Ordering::Relaxed);
        let parent = Parent {
            handles,
            waiting: Arc::clone(&self.waiting_parents),
        };
        (before < self.run.handles.waiting_parents).then(|| Arc::new(parent))
    }

    fn fail(&self, visit: &Visit, error_type: ErrorType, message: impl Into<String>) {
        let failure = Failure::new(error_type, message);
        self.run.tally.failed(&visit.path, failure);
    }
}

impl Visit {
    /// Opens one side of the directory, from its parent if that is still open.
    fn open<T>(
        &self,
        root: &OwnedFd,
        side: impl Fn(&Handles) -> Option<&OwnedFd>,
        open: impl Fn(BorrowedFd<'_>, &OsStr) -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(name) = self.path.file_name() else {
            return open(root.as_fd(), OsStr::new("."));
        };
        let parent = self.parent.as_ref().and_then(|kept| side(&kept.handles));
        if let Some(parent) = parent {
            return open(parent.as_fd(), name);
        }
        let above = self.path.parent().unwrap_or(Path::new(""));
        open(dirs::open_below(root, above)?.as_fd(), name)
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
