//! What the operating system told, for the thread of the watcher.
//!
//! No queue of events: a storm of changes sets one field again and again, and
//! wakes the watcher once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A mailbox that holds only the sum of what came.
#[derive(Debug, Default)]
pub(super) struct Signals {
    told: Mutex<Told>,
    woken: Condvar,
}

/// The sum of what came.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The last change.
    pub(super) changed: Option<Instant>,
    /// Events were lost.
    pub(super) overflowed: bool,
    /// New directories can no longer be watched: why.
    pub(super) trouble: Option<String>,
    /// The watcher is no longer wanted.
    pub(super) stop: bool,
}

impl Told {
    fn is_nothing(&self) -> bool {
        self.changed.is_none() && !self.overflowed && self.trouble.is_none() && !self.stop
    }
}

impl Signals {
    /// Adds to what there is; wakes the watcher if there was nothing.
    pub(super) fn tell(&self, add: impl FnOnce(&mut Told)) {
        let mut told = self.lock();
        let was_nothing = told.is_nothing();
        add(&mut told);
        drop(told);
        if was_nothing {
            self.woken.notify_one();
        }
    }

    /// The watcher is no longer wanted; wakes it whatever there is.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.woken.notify_one();
    }

    /// Waits for something to come, for `limit` at most, and takes it.
    pub(super) fn wait(&self, limit: Duration) -> Told {
        let told = self.lock();
        let waited = self
            .woken
            .wait_timeout_while(told, limit, |told| told.is_nothing());
        let (mut told, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *told)
    }

    /// Waits for `limit` while changes come in, unless the watcher is stopped.
    pub(super) fn rest(&self, limit: Duration) {
        let told = self.lock();
        let waited = self
            .woken
            .wait_timeout_while(told, limit, |told| !told.stop);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everything that came has been taken.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_nothing()
    }
}
