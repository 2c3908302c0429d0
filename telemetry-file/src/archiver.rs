//! Compresses and removes archives on a thread of its own, one at a time.
//!
//! # A killed process loses nothing
//! An archive is compressed under a temporary name, forced to the disk, given
//! its own name, and only then does the source go. So at any moment either the
//! source is whole or the compressed archive is. At the next start:
//!
//! | found | means | done |
//! |---|---|---|
//! | `X.log.xz.tmp` | killed while compressing | removed; `X.log` is still there |
//! | `X.log` | not compressed yet | compressed |
//! | `X.log` and `X.log.xz` | killed before the source went | compared; equal: `X.log` goes, else it gets another number |
//!
//! A compression that would take the last of the disk is given up: the records
//! that are being written need it more, and the plain archive stays.
//!
//! A source that is locked belongs to somebody else: a writer that is just
//! setting it aside or taking it back, or the archiver of a process that is
//! ending. It is tried again soon.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::accounts::{Accounts, Trouble};
use crate::archive_name::TEMPORARY_SUFFIX;
use crate::directory::{Archive, Directory};
use crate::error::FileError;
use crate::platform;
use crate::retention::{self, Limits};
use crate::surroundings::Surroundings;
use crate::xz::{self, Packed};

const THREAD_NAME: &str = "log-archiver";

/// How often age and free space are looked at between rotations.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// Pause before the next run when one has left something that did not fail.
const SOON: Duration = Duration::from_millis(200);

/// What a compression leaves on the disk for the records that are written
/// meanwhile.
const ROOM_FOR_RECORDS: u64 = 1 << 20;

/// Pause before trying again what failed, doubled with each failure, so that
/// what lasts a moment is over in a moment.
const FIRST_FAILED_PAUSE: Duration = Duration::from_secs(2);

/// No longer than this. Long, since compressing until the disk is full again
/// takes its time.
const FAILED_PAUSE: Duration = Duration::from_secs(600);

/// The thread that keeps archives in order.
pub(crate) struct Archiver {
    desk: Arc<Desk>,
}

impl Archiver {
    /// Starts the thread, which begins with what was left by the last process.
    pub(crate) fn start(keeper: Keeper) -> Result<Self, FileError> {
        let desk = Arc::clone(&keeper.desk);
        desk.state().new_archive = true;
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || keeper.work())
            .map_err(|source| FileError::Thread {
                name: THREAD_NAME,
                source,
            })?;
        Ok(Self { desk })
    }

    /// There is a new archive.
    pub(crate) fn take_archive(&self) {
        self.desk.state().new_archive = true;
        self.desk.changed.notify_all();
    }

    /// The disk is full. Removes what the limits allow, and compresses nothing:
    /// this is called again and again until there is room.
    pub(crate) fn make_room(&self) {
        self.desk.state().no_room = true;
        self.desk.changed.notify_all();
    }

    /// Ends the thread; a compression is given up, and done at the next start.
    /// False when it is still busy after `limit`, and ends by itself later.
    pub(crate) fn stop(&self, limit: Duration) -> bool {
        self.desk.stop.store(true, Ordering::Relaxed);
        let state = self.desk.state();
        self.desk.changed.notify_all();
        let (state, _) = self
            .desk
            .changed
            .wait_timeout_while(state, limit, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.ended
    }
}

impl Drop for Archiver {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// What is left for the thread to do.
#[derive(Default)]
pub(crate) struct Desk {
    stop: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    new_archive: bool,
    no_room: bool,
    ended: bool,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits for a call, but no longer than `pause`.
    fn wait(&self, pause: Duration) -> Call {
        let state = self.state();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, pause, |state| {
                !state.new_archive && !state.no_room && !self.is_stopped()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let State {
            new_archive,
            no_room,
            ..
        } = &mut *state;
        match (std::mem::take(new_archive), std::mem::take(no_room)) {
            (true, _) => Call::NewArchive,
            (false, true) => Call::NoRoom,
            (false, false) => Call::Time,
        }
    }
}

/// Why the thread wakes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    NewArchive,
    NoRoom,
    /// Nobody called, and the pause is over.
    Time,
}

/// What the last run left undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Somebody else had an archive locked, or one got another name.
    Soon,
    /// Something failed, which may be over later.
    Failed,
}

impl Left {
    /// How long until the next run, if nobody calls, after so many that failed
    /// before this one.
    fn pause(self, failures: u32) -> Duration {
        match self {
            Self::Nothing => PRUNE_INTERVAL,
            Self::Soon => SOON,
            Self::Failed => FAILED_PAUSE.min(FIRST_FAILED_PAUSE * (1 << failures.min(16))),
        }
    }
}

/// Keeps the archives of one log file.
pub(crate) struct Keeper {
    pub(crate) directory: Directory,
    /// The level of xz; `None`: archives stay as they are.
    pub(crate) level: Option<u32>,
    pub(crate) limits: Limits,
    pub(crate) surroundings: Surroundings,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) desk: Arc<Desk>,
}

impl Keeper {
    fn work(self) {
        platform::lower_priority_of_this_thread();
        let mut left = self.note(self.sweep().map(|()| Left::Nothing));
        let mut failures = 0;
        while !self.desk.is_stopped() {
            let call = self.desk.wait(left.pause(failures));
            if self.desk.is_stopped() {
                break;
            }
            let removing_is_enough = match call {
                Call::NewArchive => false,
                Call::NoRoom => true,
                Call::Time => left == Left::Nothing,
            };
            if removing_is_enough {
                left = self.prune_between_rotations(left);
                continue;
            }
            let before = std::mem::replace(&mut left, self.note(self.tidy()));
            let again = before == Left::Failed && left == Left::Failed;
            failures = if again { failures.saturating_add(1) } else { 0 };
        }
        self.desk.state().ended = true;
        self.desk.changed.notify_all();
    }

    /// Tells what came of a run, and returns what is left to do.
    fn note(&self, done: Result<Left, String>) -> Left {
        match done {
            Ok(left) => {
                // Half the work does not end a trouble.
                if !self.desk.is_stopped() {
                    self.accounts.end(Trouble::Archive);
                }
                left
            }
            Err(reason) => {
                self.accounts.begin(Trouble::Archive, &reason);
                Left::Failed
            }
        }
    }

    /// May begin a trouble, but does not end one: that takes a whole run.
    fn prune_between_rotations(&self, left: Left) -> Left {
        match self.prune(&self.limits) {
            Ok(()) => left,
            Err(reason) => {
                self.accounts.begin(Trouble::Archive, &reason);
                Left::Failed
            }
        }
    }

    /// Everything once: what is too much by number or age goes first, so that
    /// it need not be compressed; sizes count after compressing.
    fn tidy(&self) -> Result<Left, String> {
        let pruned = self.prune(&self.limits.without_sizes());
        let compressed = self.compress_all();
        // Whatever failed: room may be what is missing.
        let pruned_again = self.prune(&self.limits);
        pruned.and(pruned_again).and(compressed)
    }

    /// Removes what a killed compression left.
    fn sweep(&self) -> Result<(), String> {
        let Some(leftovers) = existing(self.directory.leftovers())
            .map_err(|error| self.describe(self.directory.path(), &error))?
        else {
            return Ok(());
        };
        for path in leftovers {
            self.remove(&path)?;
        }
        Ok(())
    }

    fn archives(&self) -> Result<Vec<Archive>, String> {
        existing(self.directory.archives())
            .map(Option::unwrap_or_default)
            .map_err(|error| self.describe(self.directory.path(), &error))
    }

    fn prune(&self, limits: &Limits) -> Result<(), String> {
        let archives = self.archives()?;
        let free = match limits.min_free_bytes {
            0 => u64::MAX,
            _ if archives.is_empty() => u64::MAX,
            _ => (self.surroundings.free_space)(self.directory.path())
                .map_err(|error| self.describe(self.directory.path(), &error))?,
        };
        let now = self.surroundings.clock.now();
        for archive in retention::surplus(&archives, limits, now, free) {
            self.remove(&archive.path)?;
        }
        Ok(())
    }

    /// Compresses each plain archive; one that cannot be does not keep the
    /// others from it.
    fn compress_all(&self) -> Result<Left, String> {
        let Some(level) = self.level else {
            return Ok(Left::Nothing);
        };
        let mut result = Ok(Left::Nothing);
        for archive in self.archives()? {
            if archive.name.packed || self.desk.is_stopped() {
                continue;
            }
            match self.compress(&archive, level) {
                Ok(Left::Nothing) => {}
                Ok(left) => result = result.map(|_| left),
                Err(error) => result = Err(self.describe(&archive.path, &error)),
            }
        }
        result
    }

    fn compress(&self, archive: &Archive, level: u32) -> io::Result<Left> {
        let Some(source) = existing(open_to_read(&archive.path))? else {
            return Ok(Left::Nothing);
        };
        if let Err(TryLockError::WouldBlock) = source.try_lock() {
            return Ok(Left::Soon);
        }
        let compressed = self.compress_locked(archive, &source, level);
        // Not left to the end of the handle: a process that is being started at
        // this moment has a copy of it for a while. Where there are no locks
        // there is nothing to give back.
        let _ = source.unlock();
        compressed
    }

    fn compress_locked(&self, archive: &Archive, source: &File, level: u32) -> io::Result<Left> {
        let target = self.directory.join(&archive.name.packed());
        if let Some(packed) = existing(open_to_read(&target))? {
            return self.finish(archive, source, packed);
        }
        let temporary = PathBuf::from(format!("{}{TEMPORARY_SUFFIX}", target.display()));
        let packed = self.write_packed(source, &temporary, level);
        if !matches!(packed, Ok(Packed::Whole)) {
            // A failed removal is made up for by the sweep of the next start.
            let _ = fs::remove_file(&temporary);
            return packed.map(|_| Left::Nothing);
        }
        platform::rename_new(&temporary, &target)?;
        platform::sync_directory(self.directory.path())?;
        remove_existing(&archive.path)?;
        Ok(Left::Nothing)
    }

    fn write_packed(&self, source: &File, temporary: &Path, level: u32) -> io::Result<Packed> {
        let metadata = source.metadata()?;
        // A new file, whatever somebody has put there: not even a second name of
        // another file is written to.
        remove_existing(temporary)?;
        let target = File::create_new(temporary)?;
        // Like its source: who could not read one cannot read the other.
        target.set_permissions(metadata.permissions())?;
        let with_room = WithRoom {
            keeper: self,
            target: &target,
        };
        let packed = xz::pack(source, with_room, level, &self.desk.stop)?;
        if packed == Packed::Whole {
            target.set_modified(metadata.modified()?)?;
            target.sync_all()?;
        }
        Ok(packed)
    }

    /// Both forms are there: a process was killed before the source went.
    fn finish(&self, archive: &Archive, source: &File, packed: File) -> io::Result<Left> {
        if xz::holds(packed, source)? {
            remove_existing(&archive.path)?;
            return Ok(Left::Nothing);
        }
        // Not ours to decide which one is right: keep both.
        let label = archive.name.label;
        let number = self.directory.next_number(label)?;
        let other = self.directory.join(&self.directory.name(label, number));
        platform::rename_new(&archive.path, &other)?;
        Ok(Left::Soon)
    }

    fn remove(&self, path: &Path) -> Result<(), String> {
        remove_existing(path).map_err(|error| self.describe(path, &error))
    }

    fn describe(&self, path: &Path, error: &io::Error) -> String {
        format!("{path:?}: {error}")
    }
}

/// Writes to a file as long as that leaves the active file its room.
struct WithRoom<'a> {
    keeper: &'a Keeper,
    target: &'a File,
}

impl Write for WithRoom<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let free = (self.keeper.surroundings.free_space)(self.keeper.directory.path())?;
        if free < ROOM_FOR_RECORDS {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.target.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    platform::refuse_links(options.read(true)).open(path)
}

fn remove_existing(path: &Path) -> io::Result<()> {
    existing(fs::remove_file(path)).map(|_| ())
}

/// `None` for what is not there (any more).
fn existing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if platform::is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
