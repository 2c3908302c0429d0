//! The thread of one watcher.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use metrics::{Gauge, gauge};
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::own::{Ignored, OwnFiles};
use super::quiet::Quiet;
use super::signals::Signals;
use super::{POLL_INTERVAL, SAFETY_INTERVAL, StartJob, Started, WatcherState, WatcherStatus};
use crate::config::FileWatcher;

/// How often the directory is looked for.
const TICK: Duration = Duration::from_secs(1);
/// How long a storm of changes is left alone before its end is looked for.
const STORM_PAUSE: Duration = Duration::from_millis(100);
/// How often a tree that could not be watched is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(300);
/// A directory that vanishes while the tree is being watched is no reason to
/// give up: so often is it tried at once.
const ATTEMPTS: u32 = 5;
/// Reading the tree makes events, too, and could make the queue overflow again:
/// overflows that follow each other are answered with growing pauses.
const FIRST_OVERFLOW_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_OVERFLOW_PAUSE: Duration = Duration::from_secs(60);
const OVERFLOWS_ARE_APART: Duration = Duration::from_secs(300);

/// What to watch, and what to overlook.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) watcher: FileWatcher,
    pub(super) own: OwnFiles,
}

/// A watcher; dropping it ends its thread, which is not waited for.
pub(super) struct Watcher {
    plan: Plan,
    shared: Arc<Shared>,
}

struct Shared {
    signals: Signals,
    board: Mutex<Board>,
}

/// What the thread tells about itself.
struct Board {
    state: WatcherState,
    reason: Option<String>,
    starts: u64,
    last_step: Instant,
}

impl Watcher {
    pub(super) fn start(plan: Plan, start_job: Arc<StartJob>) -> io::Result<Self> {
        let config = &plan.watcher;
        let shared = Arc::new(Shared {
            signals: Signals::default(),
            board: Mutex::new(Board {
                state: WatcherState::Starting,
                reason: None,
                starts: 0,
                last_step: Instant::now(),
            }),
        });
        let task = WatchTask {
            quiet: Quiet::new(config.debounce, config.max_delay),
            config: config.clone(),
            own: plan.own.clone(),
            shared: Arc::clone(&shared),
            start_job,
            active: gauge!("file_watchers_active"),
            watch: None,
            overflow: Overflow::default(),
            limits: None,
            retry_at: Instant::now(),
            run_at: Instant::now() + SAFETY_INTERVAL,
        };
        thread::Builder::new()
            .name(format!("watch {}", config.id))
            .spawn(move || task.run())?;
        Ok(Self { plan, shared })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn status(&self) -> WatcherStatus {
        let (board, config) = (self.shared.board(), &self.plan.watcher);
        WatcherStatus {
            id: config.id.clone(),
            path: config.watch_path.clone(),
            job_id: config.sync_job_id.clone(),
            state: board.state,
            reason: board.reason.clone(),
            starts: board.starts,
        }
    }

    pub(super) fn last_step(&self) -> Instant {
        self.shared.board().last_step
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.signals.stop();
    }
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which directory it is, whatever its name: device and inode.
type Identity = (u64, u64);

struct WatchTask {
    config: FileWatcher,
    own: OwnFiles,
    shared: Arc<Shared>,
    start_job: Arc<StartJob>,
    active: Gauge,
    quiet: Quiet,
    watch: Option<Watch>,
    overflow: Overflow,
    /// What the operating system allowed when it refused a watch.
    limits: Option<String>,
    /// When to try to watch again.
    retry_at: Instant,
    /// When to start the job although no change was seen.
    run_at: Instant,
}

/// A directory that is being watched.
struct Watch {
    identity: Identity,
    _watcher: RecommendedWatcher,
}

/// Why a directory is not being watched.
enum NoWatch {
    Missing,
    Refused(String),
}

impl WatchTask {
    fn run(mut self) {
        self.begin();
        loop {
            let told = self.shared.signals.wait(self.sleep());
            let now = Instant::now();
            self.shared.board().last_step = now;
            if told.stop {
                break;
            }
            if let Some(at) = told.changed {
                self.quiet.change(at);
            }
            if told.overflowed {
                self.overflow.happened(now, self.config.debounce);
            }
            if let Some(reason) = told.trouble {
                self.fall_back(reason);
            }
            self.look_for_root();
            self.act(now);
            if self.quiet.due().is_some() {
                // In a storm, each wait would end at once.
                self.shared.signals.rest(self.pause(now));
            }
        }
        self.set_state(WatcherState::Missing, None);
    }

    /// How long nothing has to be done unless something comes.
    fn sleep(&self) -> Duration {
        let next = [Some(self.run_at), self.quiet.due(), self.overflow.due()];
        let next = next.into_iter().flatten().min();
        let until = next.map(|next| next.saturating_duration_since(Instant::now()));
        until.map_or(TICK, |until| until.min(TICK))
    }

    fn pause(&self, now: Instant) -> Duration {
        let due = self.quiet.due().unwrap_or(now);
        due.saturating_duration_since(now).min(STORM_PAUSE)
    }

    /// Starts the job if it is time.
    fn act(&mut self, now: Instant) {
        if self.overflow.take(now) {
            tracing::info!(
                target: "sync_daemon::daemon",
                watcher_id = self.config.id,
                "changes came faster than they could be read; the directory is watched anew"
            );
            self.watch = None;
            self.begin();
            self.start_job();
        }
        if self.quiet.take(now) || self.run_at <= now {
            self.start_job();
        }
    }

    fn start_job(&mut self) {
        let now = Instant::now();
        match (self.start_job)(&self.config.sync_job_id) {
            Started::Yes => {
                self.shared.board().starts += 1;
                let polls = self.shared.board().state == WatcherState::Polling;
                self.run_at = now
                    + if polls {
                        POLL_INTERVAL
                    } else {
                        SAFETY_INTERVAL
                    };
            }
            Started::AskAgain => self.run_at = now + TICK,
            Started::Never => self.run_at = now + SAFETY_INTERVAL,
        }
    }

    /// Notices a directory that went, came, or is another one, and tries again
    /// what was refused.
    fn look_for_root(&mut self) {
        let now = Instant::now();
        let identity = identity(&self.config.watch_path);
        match (&self.watch, identity) {
            (Some(watch), Some(identity)) if watch.identity == identity => return,
            (Some(_), _) => {}
            (None, None) if self.shared.board().state == WatcherState::Missing => return,
            (None, _) if self.shared.board().state != WatcherState::Polling => {}
            (None, _) if now >= self.retry_at || self.limits != limits() => {}
            (None, _) => return,
        }
        self.watch = None;
        if self.begin() {
            // Nobody knows what happened meanwhile.
            self.quiet.change(now);
        }
    }

    /// Watches the directory, or says why not; true if it is being watched.
    fn begin(&mut self) -> bool {
        match self.try_to_watch() {
            Ok(watch) => {
                self.watch = Some(watch);
                self.set_state(WatcherState::Watching, None);
                true
            }
            Err(NoWatch::Missing) => {
                let reason = "the directory is not there".to_owned();
                self.set_state(WatcherState::Missing, Some(reason));
                false
            }
            Err(NoWatch::Refused(reason)) => {
                self.fall_back(reason);
                false
            }
        }
    }

    fn try_to_watch(&self) -> Result<Watch, NoWatch> {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let identity = identity(&self.config.watch_path).ok_or(NoWatch::Missing)?;
            match self.watch_once() {
                Ok(watcher) => {
                    return Ok(Watch {
                        identity,
                        _watcher: watcher,
                    });
                }
                Err(error) => {
                    last = in_words(&error);
                    if !matches!(error.kind, ErrorKind::PathNotFound) {
                        break;
                    }
                }
            }
        }
        Err(NoWatch::Refused(last))
    }

    fn watch_once(&self) -> notify::Result<RecommendedWatcher> {
        let shared = Arc::clone(&self.shared);
        // Events have absolute paths.
        let root = std::path::absolute(&self.config.watch_path)?;
        let ignored = self.own.below(&root);
        let handle = move |event| hear(&shared.signals, &ignored, event);
        let config = notify::Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(handle, config)?;
        let mode = match self.config.recursive {
            true => RecursiveMode::Recursive,
            false => RecursiveMode::NonRecursive,
        };
        watcher.watch(&root, mode)?;
        Ok(watcher)
    }

    /// A timer instead of the watch. What is watched of the tree is given back,
    /// for others need watches, too.
    fn fall_back(&mut self, reason: String) {
        self.watch = None;
        let now = Instant::now();
        self.limits = limits();
        self.retry_at = now + RETRY_INTERVAL;
        if self.shared.board().state != WatcherState::Polling {
            // Nobody knows what was missed: run now, then on the timer.
            self.run_at = now;
        }
        self.set_state(WatcherState::Polling, Some(reason));
    }

    /// Tells about a change of state: in the log, in `status` and in the metric.
    fn set_state(&self, state: WatcherState, reason: Option<String>) {
        let mut board = self.shared.board();
        let before = std::mem::replace(&mut board.state, state);
        board.reason.clone_from(&reason);
        drop(board);
        if before == state {
            return;
        }
        if state == WatcherState::Watching {
            self.active.increment(1.0);
        }
        if before == WatcherState::Watching {
            self.active.decrement(1.0);
        }
        let watcher_id = self.config.id.as_str();
        let job_id = self.config.sync_job_id.as_str();
        let path = self.config.watch_path.display();
        match (state, reason) {
            (WatcherState::Watching, _) => {
                tracing::info!(target: "sync_daemon::daemon", watcher_id, job_id, %path, "watching a directory");
            }
            (WatcherState::Polling, Some(reason)) => tracing::warn!(
                target: "sync_daemon::daemon",
                watcher_id,
                job_id,
                %path,
                reason,
                interval_secs = POLL_INTERVAL.as_secs(),
                "a directory cannot be watched; its job runs at an interval instead"
            ),
            (WatcherState::Missing, Some(reason)) => tracing::warn!(
                target: "sync_daemon::daemon",
                watcher_id,
                job_id,
                %path,
                reason,
                "a directory cannot be watched; waiting for it"
            ),
            _ => {}
        }
    }
}

/// When to answer an overflow.
#[derive(Debug, Default)]
struct Overflow {
    due: Option<Instant>,
    answered: Option<Instant>,
    pause: Duration,
}

impl Overflow {
    fn happened(&mut self, now: Instant, debounce: Duration) {
        let after_the_last = self.answered.map(|answered| answered + self.pause);
        let due = (now + debounce).max(after_the_last.unwrap_or(now));
        self.due.get_or_insert(due);
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        let follows = self
            .answered
            .is_some_and(|answered| now.duration_since(answered) < OVERFLOWS_ARE_APART);
        self.pause = match follows {
            true => (self.pause * 2).clamp(FIRST_OVERFLOW_PAUSE, LONGEST_OVERFLOW_PAUSE),
            false => Duration::ZERO,
        };
        self.due = None;
        self.answered = Some(now);
        true
    }
}

/// Takes an event of the operating system; called on its thread.
fn hear(signals: &Signals, ignored: &Ignored, event: notify::Result<notify::Event>) {
    match event {
        Ok(event) if event.need_rescan() => signals.tell(|told| told.overflowed = true),
        Ok(event) if is_change(&event, ignored) => {
            signals.tell(|told| told.changed = Some(Instant::now()));
        }
        Ok(_) => {}
        Err(error) => signals.tell(|told| told.trouble = Some(in_words(&error))),
    }
}

/// Reading is no change: the job itself reads. A file that was written through a
/// mapping changes without an event, but closing it is one.
fn is_change(event: &notify::Event, ignored: &Ignored) -> bool {
    let is_reading = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    };
    !is_reading && !event.paths.iter().all(|path| ignored.has(path))
}

fn in_words(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "no inotify watches are left; raise fs.inotify.max_user_watches with sysctl".to_owned()
        }
        ErrorKind::Io(io) if io.raw_os_error() == Some(EMFILE) => {
            "no inotify instances are left; raise fs.inotify.max_user_instances with sysctl"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// "Too many open files", which also means that there are too many instances.
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();

fn identity(path: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// What the operating system allows, to notice when somebody allows more.
fn limits() -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok();
    Some(read("max_user_watches")? + &read("max_user_instances")?)
}

#[cfg(test)]
mod tests;
