//! Forces written records to the disk, as configured.
//!
//! `FileSync::Error` and `Always` do so on the writing thread, since they
//! promise it before the caller goes on. Everything else is done by a thread of
//! its own, on a second handle, so that no writer waits for a disk: the sync of
//! each interval, of files that were set aside, and those that a flush waits
//! for (which is how the wait can have a limit).

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::accounts::{Accounts, Trouble};
use crate::config::FileSync;
use crate::error::FileError;
use crate::platform;
use crate::surroundings::Force;

/// How old unsynced data gets with [`FileSync::Interval`].
pub(crate) const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How much unsynced data gathers with [`FileSync::Interval`]: a burst is on its
/// way to the disk while it lasts, and does not wait for the end of the second
/// in one piece, with which a flush or a close would have to wait too. One sync
/// runs at a time, so a slow disk gets fewer and larger ones by itself.
const SYNC_BYTES: usize = 1 << 20;

const THREAD_NAME: &str = "log-sync";
/// Bound of a wait that a notification ends.
const IDLE: Duration = Duration::from_secs(60);

/// Knows which files have to be synced, and when.
pub(crate) struct Durability {
    mode: FileSync,
    force: Force,
    accounts: Arc<Accounts>,
    /// `None` with [`FileSync::Never`].
    desk: Option<Arc<Desk>>,
}

impl Durability {
    pub(crate) fn start(
        mode: FileSync,
        force: Force,
        accounts: &Arc<Accounts>,
    ) -> Result<Self, FileError> {
        let mut durability = Self {
            mode,
            force: Arc::clone(&force),
            accounts: Arc::clone(accounts),
            desk: None,
        };
        if mode == FileSync::Never {
            return Ok(durability);
        }
        let desk = Arc::new(Desk {
            interval: (mode == FileSync::Interval).then_some(SYNC_INTERVAL),
            force,
            accounts: Arc::clone(accounts),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        durability.desk = Some(Arc::clone(&desk));
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || desk.work())
            .map_err(|source| FileError::Thread {
                name: THREAD_NAME,
                source,
            })?;
        Ok(durability)
    }

    /// So many bytes of records were written, one of level ERROR among them or
    /// not.
    pub(crate) fn written(&self, file: &Arc<File>, bytes: usize, with_error: bool) {
        let at_once = match self.mode {
            FileSync::Never | FileSync::Interval => false,
            FileSync::Error => with_error,
            FileSync::Always => true,
        };
        if at_once {
            report(&self.accounts, (self.force)(file));
        } else if let Some(desk) = &self.desk {
            desk.put(Arc::clone(file), bytes);
        }
    }

    /// A name was made in this directory.
    pub(crate) fn named(&self, directory: &Path) {
        let Some(desk) = &self.desk else { return };
        match self.mode {
            FileSync::Error | FileSync::Always => {
                report(&self.accounts, platform::sync_directory(directory));
            }
            FileSync::Never | FileSync::Interval => match platform::open_directory(directory) {
                Ok(Some(directory)) => desk.put(Arc::new(directory), 0),
                Ok(None) => {}
                Err(error) => report(&self.accounts, Err(error)),
            },
        }
    }

    /// The files written so far are not written any more: sync them soon, so
    /// that their handles do not pile up.
    pub(crate) fn hurry(&self) {
        if let Some(desk) = &self.desk {
            desk.ask();
        }
    }

    /// Syncs this file soon, written to or not, which shows whether that works.
    pub(crate) fn try_again(&self, file: &Arc<File>) {
        if let Some(desk) = &self.desk {
            desk.put(Arc::clone(file), 0);
            desk.ask();
        }
    }

    /// Waits until everything written before is on the disk; false when that
    /// takes longer than `limit`.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let Some(desk) = &self.desk else { return true };
        let asked = desk.ask();
        desk.wait(limit, |state| state.done >= asked)
    }

    /// Syncs what is left and ends the thread; false when it is still busy
    /// after `limit`, and ends by itself later.
    pub(crate) fn stop(&self, limit: Duration) -> bool {
        let Some(desk) = &self.desk else { return true };
        desk.state().stop = true;
        desk.changed.notify_all();
        desk.wait(limit, |state| state.ended)
    }
}

impl Drop for Durability {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// What writers leave for the thread.
struct Desk {
    interval: Option<Duration>,
    force: Force,
    accounts: Arc<Accounts>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    files: Vec<Arc<File>>,
    /// When the first of them was left.
    since: Option<Instant>,
    /// What was written to them since.
    bytes: usize,
    /// How many syncs were asked for, and how many are done.
    asked: u64,
    done: u64,
    stop: bool,
    ended: bool,
}

impl Desk {
    fn put(&self, file: Arc<File>, bytes: usize) {
        let mut state = self.state();
        if !state.files.iter().any(|known| Arc::ptr_eq(known, &file)) {
            state.files.push(file);
        }
        let was_much = state.is_much();
        state.bytes += bytes;
        let is_first = state.since.is_none();
        if is_first {
            state.since = Some(Instant::now());
        }
        if is_first || (state.is_much() && !was_much) {
            drop(state);
            self.changed.notify_all();
        }
    }

    fn ask(&self) -> u64 {
        let mut state = self.state();
        state.asked += 1;
        let asked = state.asked;
        drop(state);
        self.changed.notify_all();
        asked
    }

    fn wait(&self, limit: Duration, reached: impl Fn(&State) -> bool) -> bool {
        let state = self.state();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |state| !reached(state) && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        reached(&state) || state.ended
    }

    fn work(&self) {
        loop {
            let mut state = self.wait_until_due();
            let files = std::mem::take(&mut state.files);
            let (asked, stop) = (state.asked, state.stop);
            state.since = None;
            state.bytes = 0;
            drop(state);
            for file in files {
                report(&self.accounts, (self.force)(&file));
            }
            let mut state = self.state();
            state.done = asked;
            state.ended = stop;
            drop(state);
            self.changed.notify_all();
            if stop {
                return;
            }
        }
    }

    fn wait_until_due(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        loop {
            let left = self.left(&state);
            if left.is_zero() {
                return state;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How long until the next sync.
    fn left(&self, state: &State) -> Duration {
        if state.stop || state.asked > state.done {
            return Duration::ZERO;
        }
        match (self.interval, state.since) {
            (Some(_), Some(_)) if state.is_much() => Duration::ZERO,
            (Some(interval), Some(since)) => interval.saturating_sub(since.elapsed()),
            _ => IDLE,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_much(&self) -> bool {
        self.bytes >= SYNC_BYTES
    }
}

fn report(accounts: &Accounts, synced: io::Result<()>) {
    match synced {
        Ok(()) => accounts.end(Trouble::Sync),
        Err(error) => accounts.begin(Trouble::Sync, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_after(interval: Option<Duration>, bytes: usize) -> Duration {
        let desk = Desk {
            interval,
            force: Arc::new(File::sync_data),
            accounts: Arc::new(Accounts::new(Path::new("d.log"), Arc::new(|_| {}))),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let file = Arc::new(tempfile::tempfile().expect("a file"));
        desk.put(Arc::clone(&file), 1);
        desk.put(file, bytes - 1);
        desk.left(&desk.state())
    }

    #[test]
    fn a_burst_is_synced_before_its_second_is_over() {
        let interval = Some(Duration::from_secs(3600));
        assert!(left_after(interval, SYNC_BYTES - 1) > Duration::from_secs(3000));
        assert_eq!(left_after(interval, SYNC_BYTES), Duration::ZERO);
        assert_eq!(left_after(None, SYNC_BYTES), IDLE, "only when asked to");
    }
}
