//! The last resort of a sink that is in trouble.
//!
//! Stderr may be a pipe that nobody reads, or a stopped terminal: writing to it
//! can take for ever, and whoever complains may hold locks or be the thread that
//! writes all records. So a thread of its own writes, which may hang: it starts
//! with a complaint and ends when all is said. The caller waits a moment for it,
//! so that what is said right before the end of the process is not lost; once
//! that was in vain, nobody waits until stderr takes something again. (Asking
//! the system first whether there is room would not do: another writer may take
//! it, or hold the lock of stderr.)

use std::io::Write as _;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use crate::lock;

const THREAD_NAME: &str = "complaints";

/// How long the caller waits for its line.
const PATIENCE: Duration = Duration::from_millis(100);

/// So many lines wait while stderr takes none; more are counted only.
const MOST_WAITING: usize = 64;

/// Says something on stderr, on one line, for what cannot go into the log; see
/// [`tell`]. Call it once for each trouble, not once for each record.
pub fn complain(text: &str) {
    tell(&format!("telemetry: {text}"));
}

/// Writes a line to stderr, which may be a pipe that nobody reads.
///
/// Waits until it is written, but no longer than a tenth of a second, and not at
/// all while stderr takes nothing: then it is said later, or counted if too much
/// waits. An error of stderr itself is ignored: nobody is left to be told. The
/// line goes through what [`redact_told`] was given, and is as it is without:
/// keep values out of it.
pub fn tell(line: &str) {
    static STDERR: LazyLock<Arc<Herald>> = LazyLock::new(|| {
        Arc::new(Herald::new(|line| {
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }))
    });
    let redact = REDACT
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    match redact {
        Some(redact) => STDERR.say(&redact(line)),
        None => STDERR.say(line),
    }
}

/// What each later line of [`tell`] and [`complain`] goes through, on the thread
/// that says it: it must not log and not wait. The last one counts, for the
/// whole process.
pub fn redact_told(redact: impl Fn(&str) -> String + Send + Sync + 'static) {
    *REDACT.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(redact));
}

static REDACT: RwLock<Option<Redact>> = RwLock::new(None);

type Redact = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Says lines on a thread that nobody has to wait for.
struct Herald {
    state: Mutex<State>,
    said: Condvar,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

#[derive(Default)]
struct State {
    waiting: Vec<String>,
    /// Complaints for which there was no room.
    left_out: u64,
    /// Lines that were ever taken on, and those of them that are written.
    taken_on: u64,
    written: u64,
    /// There is a thread that writes.
    is_writing: bool,
    /// Somebody waited in vain, and nothing was written since.
    is_stuck: bool,
}

impl Herald {
    fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::default(),
            said: Condvar::new(),
            write: Box::new(write),
        }
    }

    fn say(self: &Arc<Self>, line: &str) {
        let mut state = lock(&self.state);
        if state.waiting.len() >= MOST_WAITING {
            state.left_out += 1;
            return;
        }
        state.waiting.push(line.to_owned());
        state.taken_on += 1;
        if !state.is_writing && !self.start(&mut state) {
            return;
        }
        if !state.is_stuck {
            self.wait(state);
        }
    }

    /// False: there is no thread. The line waits for the next complaint, since
    /// writing it here might never end.
    fn start(self: &Arc<Self>, state: &mut State) -> bool {
        let herald = Arc::clone(self);
        let started = thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || herald.write_all());
        state.is_writing = started.is_ok();
        state.is_writing
    }

    fn wait(&self, state: MutexGuard<'_, State>) {
        let line = state.taken_on;
        let (mut state, waited) = self
            .said
            .wait_timeout_while(state, PATIENCE, |state| state.written < line)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_stuck |= waited.timed_out();
    }

    /// Writes until nothing waits.
    fn write_all(&self) {
        loop {
            let (lines, left_out) = {
                let mut state = lock(&self.state);
                if state.waiting.is_empty() {
                    state.is_writing = false;
                    return;
                }
                let lines = std::mem::take(&mut state.waiting);
                (lines, std::mem::take(&mut state.left_out))
            };
            for line in &lines {
                (self.write)(line);
                let mut state = lock(&self.state);
                state.written += 1;
                state.is_stuck = false;
                self.said.notify_all();
            }
            if left_out > 0 {
                let line = format!("telemetry: {left_out} more complaints had no room");
                (self.write)(&line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Instant;

    use super::*;

    /// A herald whose stream takes a line only when it is let to.
    fn blocked() -> (Arc<Herald>, Sender<()>, Receiver<String>) {
        let (allow, allowed) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let allowed = Mutex::new(allowed);
        let herald = Herald::new(move |line| {
            let _ = lock(&allowed).recv();
            let _ = tell.send(line.to_owned());
        });
        (Arc::new(herald), allow, told)
    }

    fn next(told: &Receiver<String>) -> String {
        told.recv_timeout(Duration::from_secs(10)).expect("a line")
    }

    #[test]
    fn what_is_said_is_written_when_the_call_returns() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let herald = Arc::new(Herald::new(move |line| {
            lock(&written).push(line.to_owned());
        }));
        for text in ["one", "two"] {
            herald.say(text);
            let last = lock(&lines).last().cloned();
            assert_eq!(last.as_deref(), Some(text));
        }
    }

    #[test]
    fn stream_that_takes_nothing_holds_nobody_up() {
        let (herald, allow, told) = blocked();
        let begun = Instant::now();
        for number in 0..1000 {
            herald.say(&number.to_string());
        }
        // One wait in vain, not a thousand.
        assert!(begun.elapsed() < PATIENCE * 20, "{:?}", begun.elapsed());
        assert!(told.try_recv().is_err());
        drop(allow);
        // The first was already with the thread when the others came.
        for number in 0..=MOST_WAITING {
            assert_eq!(next(&told), number.to_string());
        }
        let left_out = 1000 - 1 - MOST_WAITING;
        assert_eq!(
            next(&told),
            format!("telemetry: {left_out} more complaints had no room")
        );
    }

    #[test]
    fn stream_that_takes_again_is_waited_for_again() {
        let (herald, allow, told) = blocked();
        herald.say("first");
        assert!(lock(&herald.state).is_stuck);
        drop(allow);
        assert_eq!(next(&told), "first");
        let begun = Instant::now();
        while lock(&herald.state).is_stuck && begun.elapsed() < Duration::from_secs(10) {
            thread::yield_now();
        }
        herald.say("second");
        assert_eq!(told.try_recv().as_deref(), Ok("second"));
    }
}
