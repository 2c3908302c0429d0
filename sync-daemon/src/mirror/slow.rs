//! Names the files that hold a run up.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::escape_path;

/// A file may take this long, however small it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// And besides so long as its bytes take at this rate, which a slow disk reaches.
const PATIENT_BYTES_PER_SEC: u64 = 16 * 1024 * 1024;

/// What the workers of a run are busy with. `S` tells which file it is.
#[derive(Debug)]
pub(super) struct InWork<S> {
    desks: Mutex<Vec<Desk<S>>>,
}

/// One worker's entry. It is its own lock, so that workers do not wait for each other.
pub(super) type Desk<S> = Arc<Mutex<Option<Task<S>>>>;

/// A file in work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task<S> {
    subject: S,
    bytes: u64,
    since: Instant,
    is_named: bool,
}

impl<S> Default for InWork<S> {
    fn default() -> Self {
        Self {
            desks: Mutex::default(),
        }
    }
}

impl<S: Copy> InWork<S> {
    /// A desk for one more worker.
    pub(super) fn desk(&self) -> Desk<S> {
        let desk = Desk::default();
        lock(&self.desks).push(Arc::clone(&desk));
        desk
    }

    /// The files that take longer than they may; each is returned once.
    pub(super) fn slow_ones(&self, now: Instant) -> Vec<Task<S>> {
        let mut slow = Vec::new();
        for desk in lock(&self.desks).iter() {
            if let Some(task) = &mut *lock(desk)
                && !task.is_named
                && task.elapsed(now) > patience(task.bytes)
            {
                task.is_named = true;
                slow.push(*task);
            }
        }
        slow
    }
}

impl<S: Copy> Task<S> {
    pub(super) fn subject(&self) -> S {
        self.subject
    }

    /// Tells that a file is slow, while it is.
    pub(super) fn warn(&self, path: &Path, now: Instant) {
        tracing::warn!(
            path = %escape_path(path),
            bytes = self.bytes,
            elapsed_ms = self.elapsed(now).as_millis() as u64,
            "this file takes long"
        );
    }

    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// Notes that a worker begins with a file.
pub(super) fn begin<S>(desk: &Desk<S>, subject: S, bytes: u64) {
    *lock(desk) = Some(Task {
        subject,
        bytes,
        since: Instant::now(),
        is_named: false,
    });
}

/// Notes that a worker is done with its file, and tells so if it had been named.
pub(super) fn end<S: Copy>(desk: &Desk<S>, path: impl FnOnce() -> std::path::PathBuf) {
    let task = lock(desk).take();
    if let Some(task) = task.filter(|task| task.is_named) {
        tracing::info!(
            path = %escape_path(&path()),
            bytes = task.bytes,
            elapsed_ms = task.elapsed(Instant::now()).as_millis() as u64,
            "the file that took long is done"
        );
    }
}

fn patience(bytes: u64) -> Duration {
    PATIENCE + Duration::from_secs(bytes / PATIENT_BYTES_PER_SEC)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_file_is_named_once_and_a_fast_one_never() {
        let in_work = InWork::default();
        let (small, large, idle) = (in_work.desk(), in_work.desk(), in_work.desk());
        begin(&small, "small", 1);
        begin(&large, "large", 1 << 30);
        begin(&idle, "done", 1);
        end(&idle, || "done".into());
        let names = |after_secs| -> Vec<&str> {
            let now = Instant::now() + Duration::from_secs(after_secs);
            let slow = in_work.slow_ones(now);
            slow.iter().map(Task::subject).collect()
        };
        assert_eq!(names(4), Vec::<&str>::new());
        assert_eq!(names(6), ["small"]);
        assert_eq!(names(60), Vec::<&str>::new());
        assert_eq!(names(70), ["large"]);
        assert_eq!(names(700), Vec::<&str>::new());
    }
}
