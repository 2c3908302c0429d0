//! File watchers: changes in a directory start a job.
//!
//! An event of the operating system is a hint and nothing more: once a directory
//! has been quiet for `debounce_ms`, or `max_delay_ms` after the first change,
//! the job runs and looks at everything itself. So it does no harm that events
//! name no file, come twice, or are lost:
//! - when the kernel's queue overflows, directories may have appeared unseen: the
//!   tree is watched anew, then the job runs;
//! - when there are no watches left, or the tree cannot be watched for another
//!   reason, the job runs every [`POLL_INTERVAL`] instead; the log, `status` and
//!   `file_watchers_active` say so, and watching is tried again;
//! - when the directory goes away (unmounted, renamed, deleted), the watcher
//!   waits for it to come back, within a second;
//! - and in any case the job runs every [`SAFETY_INTERVAL`].
//!
//! What changed while no daemon ran is for the schedule's `run_at_start`.
//! What the daemon itself writes (its log, its state, the job's destination) is
//! no change, wherever it lies.
//!
//! Each watcher is a thread, named `watch ID`, that sleeps: a directory on a
//! server that hangs holds up nobody else.

mod own; // what is no change
mod quiet; // when a change has settled
mod signals; // what the operating system told
mod watcher; // one watcher's thread

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::{Config, FileWatcher};
use own::OwnFiles;
use watcher::{Plan, Watcher};

/// How often a job runs whose watcher cannot watch.
pub const POLL_INTERVAL: Duration = Duration::from_secs(60);
/// How often a watched job runs although nothing seems to have changed.
pub const SAFETY_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// The watchers of a configuration, until they are dropped.
pub struct Watchers {
    watchers: Mutex<BTreeMap<String, Watcher>>,
    start_job: Arc<StartJob>,
}

/// Starts a job by its id.
pub(crate) type StartJob = dyn Fn(&str) -> Started + Send + Sync;

/// Whether a job was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs, or waits for its turn.
    Yes,
    /// There was no room in the line: ask again soon.
    AskAgain,
    /// There is no such job, or the daemon is shutting down.
    Never,
}

/// How a watcher is, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WatcherStatus {
    /// Its name.
    pub id: String,
    /// The directory.
    pub path: PathBuf,
    /// The job that it starts.
    pub job_id: String,
    /// What it is doing.
    pub state: WatcherState,
    /// Why it is not watching.
    pub reason: Option<String>,
    /// How often it has started its job.
    pub starts: u64,
}

/// What a watcher is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatcherState {
    /// It begins to watch.
    Starting,
    /// Changes start the job.
    Watching,
    /// The tree cannot be watched: a timer starts the job.
    Polling,
    /// The directory is not there; the job starts when it comes back.
    Missing,
}

impl WatcherState {
    /// The name in `status` and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Watching => "watching",
            Self::Polling => "polling",
            Self::Missing => "missing",
        }
    }
}

impl Watchers {
    /// Starts the enabled watchers of enabled jobs; `start_job` is called on
    /// their threads.
    pub fn start(
        config: &Config,
        start_job: impl Fn(&str) -> Started + Send + Sync + 'static,
    ) -> Self {
        let watchers = Self {
            watchers: Mutex::default(),
            start_job: Arc::new(start_job),
        };
        watchers.reconfigure(config);
        watchers
    }

    /// Takes over a changed configuration. Watchers that have not changed go on
    /// undisturbed.
    pub fn reconfigure(&self, config: &Config) {
        let wanted = wanted(config);
        let mut watchers = self.lock();
        watchers.retain(|id, watcher| wanted.get(id) == Some(watcher.plan()));
        for (id, plan) in wanted {
            if watchers.contains_key(&id) {
                continue;
            }
            match Watcher::start(plan, Arc::clone(&self.start_job)) {
                Ok(watcher) => {
                    watchers.insert(id, watcher);
                }
                Err(error) => tracing::error!(
                    target: "sync_daemon::daemon",
                    error_type = crate::error_type::ErrorType::Internal.as_str(),
                    watcher_id = id,
                    %error,
                    "a file watcher has no thread; its job runs on schedule only"
                ),
            }
        }
    }

    /// How every watcher is, by id.
    pub fn status(&self) -> Vec<WatcherStatus> {
        self.lock().values().map(Watcher::status).collect()
    }

    /// The watchers, and when each last came by.
    pub fn last_steps(&self) -> Vec<(String, Instant)> {
        let watchers = self.lock();
        watchers
            .iter()
            .map(|(id, watcher)| (id.clone(), watcher.last_step()))
            .collect()
    }

    /// Ends them all; the threads end within moments.
    pub fn stop(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Watcher>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wanted(config: &Config) -> BTreeMap<String, Plan> {
    let job_is_enabled = |watcher: &&FileWatcher| {
        let mut jobs = config.sync_jobs.iter();
        jobs.any(|job| job.id == watcher.sync_job_id && job.enabled)
    };
    let plan = |watcher: &FileWatcher| Plan {
        watcher: watcher.clone(),
        own: OwnFiles::new(config, watcher),
    };
    let watchers = config.file_watchers.iter();
    watchers
        .filter(|watcher| watcher.enabled)
        .filter(job_is_enabled)
        .map(|watcher| (watcher.id.clone(), plan(watcher)))
        .collect()
}
