//! Threads that live as long as one part of a run.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `work` on `threads` named threads, and `lead` on this one, until all of them return.
///
/// The threads log to where this one does, inside the same span. A panic in one of them is passed
/// on when all have ended.
pub(super) fn run<R>(
    name: &str,
    threads: usize,
    work: impl Fn() + Sync,
    lead: impl FnOnce() -> R,
) -> R {
    let span = tracing::Span::current();
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let in_context = || {
        tracing::dispatcher::with_default(&dispatch, || span.in_scope(&work));
    };
    thread::scope(|scope| {
        let mut started = 0;
        for number in 0..threads.max(1) {
            let thread = thread::Builder::new().name(format!("{name}-{number}"));
            if thread.spawn_scoped(scope, in_context).is_ok() {
                started += 1;
            }
        }
        assert!(started > 0, "the system allows no more threads");
        lead()
    })
}

/// How often a thread that leads looks up while it waits for the workers.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);

/// A bounded queue of jobs between one thread that leads and several that work.
pub(super) struct Jobs<'a, T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
    look_up: Box<dyn Fn() + Sync + 'a>,
}

struct State<T> {
    waiting: VecDeque<T>,
    in_work: usize,
    is_closed: bool,
    /// A worker panicked: waiting for the others to finish could last for ever.
    is_broken: bool,
    /// When the thread that leads looked up last.
    looked_up: Instant,
}

impl<'a, T> Jobs<'a, T> {
    /// A queue for `capacity` jobs. While the thread that leads waits, it calls `look_up` now and
    /// then.
    pub(super) fn new(capacity: usize, look_up: impl Fn() + Sync + 'a) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::with_capacity(capacity),
                in_work: 0,
                is_closed: false,
                is_broken: false,
                looked_up: Instant::now(),
            }),
            changed: Condvar::new(),
            capacity,
            look_up: Box::new(look_up),
        }
    }

    /// Adds a job, when there is room for it.
    pub(super) fn push(&self, job: T) {
        let mut state = self.lock();
        while state.waiting.len() >= self.capacity && !state.is_broken {
            state = self.wait_looking_up(state);
        }
        state.waiting.push_back(job);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until every job that was added is done.
    pub(super) fn wait_until_idle(&self) {
        let mut state = self.lock();
        while (!state.waiting.is_empty() || state.in_work > 0) && !state.is_broken {
            state = self.wait_looking_up(state);
        }
    }

    /// No job will be added any more: workers leave when the queue is empty.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Does jobs until the queue is closed and empty.
    pub(super) fn work(&self, mut job: impl FnMut(T)) {
        while let Some(next) = self.next() {
            let finished = Finished(self);
            job(next);
            drop(finished);
        }
    }

    fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.in_work += 1;
                drop(state);
                // Room for the thread that leads.
                self.changed.notify_all();
                return Some(job);
            }
            if state.is_closed || state.is_broken {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_looking_up<'s>(&'s self, state: MutexGuard<'s, State<T>>) -> MutexGuard<'s, State<T>> {
        let (mut state, _) = self
            .changed
            .wait_timeout(state, LOOK_UP_EVERY)
            .unwrap_or_else(PoisonError::into_inner);
        // Not only when nothing happened: one file may be slow while others come and go.
        if state.looked_up.elapsed() < LOOK_UP_EVERY {
            return state;
        }
        state.looked_up = Instant::now();
        drop(state);
        (self.look_up)();
        self.lock()
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State<T>>) -> MutexGuard<'s, State<T>> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the queue when the thread that leads is done, or panics.
pub(super) struct CloseOnDrop<'q, 'a, T>(pub(super) &'q Jobs<'a, T>);

impl<T> Drop for CloseOnDrop<'_, '_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Tells that a job is done, also when it panicked.
struct Finished<'q, 'a, T>(&'q Jobs<'a, T>);

impl<T> Drop for Finished<'_, '_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_work -= 1;
        state.is_broken |= thread::panicking();
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_job_is_done_before_the_queue_is_idle() {
        let jobs = Jobs::new(2, || ());
        let sum = AtomicUsize::new(0);
        let add = |number| {
            sum.fetch_add(number, Ordering::SeqCst);
        };
        run(
            "test",
            3,
            || jobs.work(add),
            || {
                let _close = CloseOnDrop(&jobs);
                (1..=100).for_each(|number| jobs.push(number));
                jobs.wait_until_idle();
                assert_eq!(sum.load(Ordering::SeqCst), 5050);
            },
        );
    }

    #[test]
    fn panic_of_a_worker_reaches_the_caller_and_blocks_nobody() {
        let outcome = std::panic::catch_unwind(|| {
            let jobs = Jobs::new(1, || ());
            run(
                "test",
                1,
                || jobs.work(|()| panic!("on purpose")),
                || {
                    let _close = CloseOnDrop(&jobs);
                    (0..10).for_each(|_| jobs.push(()));
                    jobs.wait_until_idle();
                },
            );
        });
        assert!(outcome.is_err());
    }
}
