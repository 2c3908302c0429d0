//! Who runs, who waits, and for what.
//!
//! A job that is asked for takes a place in line. It may run when fewer than
//! `max_running` jobs run, and when nobody works on its destination, on a
//! directory above it or on one below it. So two jobs on one destination wait
//! for each other, in the order in which they were asked for; a job that waits
//! for its destination holds up nobody else.
//!
//! One vector in the order of arrival, looked through as a whole: there are as
//! many entries as jobs, a few thousand at most.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// How many may run and wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Runs at once.
    pub(super) max_running: usize,
    /// Jobs that wait although every place to run is taken.
    pub(super) max_waiting: usize,
}

/// The line is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The line; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct RunQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Line>,
    changed: Notify,
}

/// A place in line; dropping it leaves the line, or ends the run.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    queue: RunQueue,
}

impl RunQueue {
    pub(super) fn new(limits: Limits) -> Self {
        let line = Line {
            limits,
            entries: Vec::new(),
            next_number: 0,
        };
        Self {
            shared: Arc::new(Shared {
                line: Mutex::new(line),
                changed: Notify::new(),
            }),
        }
    }

    /// Other limits from now on; runs that are under way go on.
    pub(super) fn set_limits(&self, limits: Limits) {
        self.line().limits = limits;
        self.shared.changed.notify_waiters();
    }

    /// Takes the last place in line.
    pub(super) fn enter(&self) -> Result<Ticket, Full> {
        let number = self.line().enter()?;
        Ok(Ticket {
            number,
            queue: self.clone(),
        })
    }

    /// Says what the holder of a place wants to work on; before, it cannot run.
    pub(super) fn set_destination(&self, number: u64, destination: PathBuf) {
        let mut line = self.line();
        if let Some(entry) = line.entries.iter_mut().find(|entry| entry.number == number) {
            entry.destination = Some(destination);
        }
        drop(line);
        self.shared.changed.notify_waiters();
    }

    /// Waits until the holder of a place may run, or has left the line.
    pub(super) async fn admitted(&self, number: u64) {
        loop {
            let changed = self.shared.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.line().admit(number) {
                return;
            }
            changed.await;
        }
    }

    /// How many run and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let line = self.line();
        let running = line.running();
        (running, line.entries.len() - running)
    }

    /// The limits in force.
    pub(super) fn limits(&self) -> Limits {
        self.line().limits
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Line> {
        let line = self.shared.line.lock();
        line.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The number of the place.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut line = self.queue.line();
        line.entries.retain(|entry| entry.number != self.number);
        drop(line);
        self.queue.shared.changed.notify_waiters();
    }
}

#[derive(Debug)]
struct Line {
    limits: Limits,
    /// In the order of arrival.
    entries: Vec<Entry>,
    next_number: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// Resolved; `None` as long as nobody has looked.
    destination: Option<PathBuf>,
    is_running: bool,
}

impl Line {
    fn running(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_running).count()
    }

    fn enter(&mut self) -> Result<u64, Full> {
        let waiting = self.entries.len() - self.running();
        let free = self.limits.max_running.saturating_sub(self.running());
        if waiting >= self.limits.max_waiting + free {
            return Err(Full);
        }
        let number = self.next_number;
        self.next_number += 1;
        self.entries.push(Entry {
            number,
            destination: None,
            is_running: false,
        });
        Ok(number)
    }

    /// Lets the holder of a place run if it is its turn; true also if there is
    /// no such place any more.
    fn admit(&mut self, number: u64) -> bool {
        let Some(index) = self.entries.iter().position(|entry| entry.number == number) else {
            return true;
        };
        let mut free = self.limits.max_running.saturating_sub(self.running());
        for earlier in 0..=index {
            if free == 0 {
                return false;
            }
            if self.may_run(earlier) {
                if earlier == index {
                    self.entries[index].is_running = true;
                    return true;
                }
                free -= 1;
            }
        }
        false
    }

    /// Whether an entry waits for nothing but a place to run.
    fn may_run(&self, index: usize) -> bool {
        let entry = &self.entries[index];
        let Some(destination) = &entry.destination else {
            return false;
        };
        let in_the_way = |(place, other): (usize, &Entry)| {
            (other.is_running || place < index)
                && place != index
                && overlaps(other.destination.as_deref(), destination)
        };
        !entry.is_running && !self.entries.iter().enumerate().any(in_the_way)
    }
}

fn overlaps(one: Option<&Path>, other: &Path) -> bool {
    one.is_some_and(|one| one.starts_with(other) || other.starts_with(one))
}

/// The destination as the file system knows it, so that two names of one
/// directory are recognised. Blocks on the file system.
pub(super) fn resolve(destination: &Path) -> PathBuf {
    if let Ok(resolved) = destination.canonicalize() {
        return resolved;
    }
    // It may be missing: then its parent decides.
    let parent = destination
        .parent()
        .filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    match (parent.canonicalize(), destination.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => std::path::absolute(destination).unwrap_or_else(|_| destination.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(max_running: usize, max_waiting: usize) -> Line {
        let limits = Limits {
            max_running,
            max_waiting,
        };
        Line {
            limits,
            entries: Vec::new(),
            next_number: 0,
        }
    }

    fn enter(line: &mut Line, destination: &str) -> u64 {
        let number = line.enter().unwrap();
        let entry = line.entries.last_mut().unwrap();
        entry.destination = Some(destination.into());
        number
    }

    fn leave(line: &mut Line, number: u64) {
        line.entries.retain(|entry| entry.number != number);
    }

    #[test]
    fn no_more_run_than_may_and_the_first_comes_first() {
        let mut line = line(1, 10);
        let (first, second, third) = (
            enter(&mut line, "/a"),
            enter(&mut line, "/b"),
            enter(&mut line, "/c"),
        );
        assert!(!line.admit(second), "the first is before it");
        assert!(line.admit(first));
        assert!(!line.admit(second));
        leave(&mut line, first);
        assert!(!line.admit(third));
        assert!(line.admit(second));
    }

    #[test]
    fn one_destination_is_for_one_run_and_others_pass() {
        let mut line = line(4, 10);
        let first = enter(&mut line, "/backup/a");
        let same = enter(&mut line, "/backup/a");
        let inside = enter(&mut line, "/backup/a/deep");
        let above = enter(&mut line, "/backup");
        let other = enter(&mut line, "/backup2");
        assert!(line.admit(first));
        for waits in [same, inside, above] {
            assert!(!line.admit(waits));
        }
        assert!(line.admit(other), "nobody is in its way");
        leave(&mut line, first);
        assert!(!line.admit(above), "the same one came before it");
        assert!(line.admit(same));
        leave(&mut line, same);
        assert!(line.admit(inside));
        leave(&mut line, inside);
        assert!(line.admit(above));
    }

    #[test]
    fn who_has_not_said_its_destination_holds_up_nobody_and_cannot_run() {
        let mut line = line(1, 10);
        let unknown = line.enter().unwrap();
        let known = enter(&mut line, "/a");
        assert!(!line.admit(unknown));
        assert!(line.admit(known));
        line.entries[0].destination = Some("/a".into());
        line.limits.max_running = 2;
        assert!(!line.admit(unknown), "the later one runs on it already");
    }

    #[test]
    fn a_full_line_refuses_and_places_to_run_are_no_waiting() {
        let mut line = line(2, 1);
        let first = enter(&mut line, "/a");
        enter(&mut line, "/b");
        enter(&mut line, "/c");
        assert_eq!(line.enter(), Err(Full), "two can run, one may wait");
        assert!(line.admit(first));
        assert_eq!(line.enter(), Err(Full));
        leave(&mut line, first);
        assert!(line.enter().is_ok());
    }

    #[test]
    fn two_names_of_one_directory_are_one_destination() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(resolve(&link), resolve(&real));
        assert_eq!(resolve(&link.join("new")), resolve(&real).join("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_is_woken_when_the_place_is_free() {
        let limits = Limits {
            max_running: 1,
            max_waiting: 1,
        };
        let queue = RunQueue::new(limits);
        let first = queue.enter().unwrap();
        queue.set_destination(first.number(), "/a".into());
        queue.admitted(first.number()).await;
        let second = queue.enter().unwrap();
        queue.set_destination(second.number(), "/b".into());
        assert_eq!(queue.counts(), (1, 1));
        let number = second.number();
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.admitted(number).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
        assert_eq!(queue.counts(), (1, 0));
    }
}
