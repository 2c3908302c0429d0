//! Locks, waits and threads of the queue: those of the standard library, or in
//! the model (`--cfg queue_model`) those of loom, which runs every order in
//! which the threads could act.
//!
//! In the model no time passes: no limit and no heartbeat ends a wait, so that a
//! wake-up that is missing shows as a deadlock.

#[cfg(queue_model)]
pub(super) use model::*;
#[cfg(not(queue_model))]
pub(super) use real::*;

#[cfg(not(queue_model))]
mod real {
    pub(in crate::queue) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(in crate::queue) use std::thread::{JoinHandle, Thread, current};

    use std::io;
    use std::sync::PoisonError;
    use std::thread;
    use std::time::Duration;

    pub(in crate::queue) use crate::lock;

    /// Starts a thread of this name.
    pub(in crate::queue) fn spawn(
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<(Thread, JoinHandle<()>)> {
        let handle = thread::Builder::new().name(name.into()).spawn(run)?;
        Ok((handle.thread().clone(), handle))
    }

    /// Waits while the condition holds, for `limit` at most.
    pub(in crate::queue) fn wait_while<'a, T>(
        condvar: &Condvar,
        guard: MutexGuard<'a, T>,
        limit: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        let waited = condvar.wait_timeout_while(guard, limit, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sleeps until it is woken, for `limit` at most.
    pub(in crate::queue) fn sleep(limit: Duration) {
        thread::park_timeout(limit);
    }

    /// Lets the others go on, for `limit` at most.
    pub(in crate::queue) fn linger(limit: Duration) {
        thread::park_timeout(limit);
    }
}

#[cfg(queue_model)]
mod model {
    pub(in crate::queue) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(in crate::queue) use loom::thread::{JoinHandle, current};

    use std::cell::RefCell;
    use std::io;
    use std::sync::{Arc, PoisonError};
    use std::time::Duration;

    /// A thread that can be woken. That of loom 0.7 is not used: its `unpark`
    /// also wakes a thread that waits for a lock, which then has it unasked.
    #[derive(Clone)]
    pub(in crate::queue) struct Thread {
        thread: loom::thread::Thread,
        bed: Arc<Bed>,
    }

    #[derive(Default)]
    struct Bed {
        is_woken: Mutex<bool>,
        changed: Condvar,
    }

    loom::thread_local! {
        static OWN_BED: RefCell<Option<Arc<Bed>>> = RefCell::new(None);
    }

    impl Thread {
        pub(in crate::queue) fn id(&self) -> loom::thread::ThreadId {
            self.thread.id()
        }

        pub(in crate::queue) fn unpark(&self) {
            *lock(&self.bed.is_woken) = true;
            self.bed.changed.notify_one();
        }
    }

    pub(in crate::queue) fn spawn(
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<(Thread, JoinHandle<()>)> {
        let bed = Arc::<Bed>::default();
        let own = Arc::clone(&bed);
        let builder = loom::thread::Builder::new().name(name.into());
        let handle = builder.spawn(move || {
            OWN_BED.with(|place| place.replace(Some(own)));
            run();
        })?;
        let thread = handle.thread().clone();
        Ok((Thread { thread, bed }, handle))
    }

    pub(in crate::queue) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::queue) fn wait_while<'a, T>(
        condvar: &Condvar,
        mut guard: MutexGuard<'a, T>,
        _: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        guard
    }

    pub(in crate::queue) fn sleep(limit: Duration) {
        let bed = OWN_BED.with(|place| place.borrow().clone());
        let bed = bed.expect("only threads that were spawned here sleep");
        let is_woken = lock(&bed.is_woken);
        *wait_while(&bed.changed, is_woken, limit, |is_woken| !*is_woken) = false;
    }

    /// May be over at any time.
    pub(in crate::queue) fn linger(_: Duration) {
        loom::thread::yield_now();
    }
}
