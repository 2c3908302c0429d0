//! When jobs run.
//!
//! Each job has one task (`job_task`), so it never overlaps with itself. A
//! trigger makes the job wait in line (`run_queue`) until there is a place to
//! run and its destination is free. A second trigger of a waiting job merges
//! into the first: one run answers both. A trigger during a run causes one more.
//!
//! When the next start is due is said by `timetable`, which also documents what
//! happens to a start that is missed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::job::{Job, Trigger};
use super::job_task::{JobSlot, JobTask};
use super::run::{RunSummary, run};
use super::run_queue::{Limits, RunQueue};
use crate::config::{self, Config};
use crate::mirror::{Cancel, Observer, Status};

/// How long cancelled runs may take to end.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// Runs jobs when they are due, until it is stopped.
pub struct Scheduler {
    jobs: Mutex<BTreeMap<String, Handle>>,
    tasks: Mutex<JoinSet<()>>,
    queue: RunQueue,
    stopping: watch::Sender<bool>,
    context: Context,
}

/// What a scheduler takes from outside, so that tests can give it another.
#[derive(Clone)]
pub(super) struct Context {
    /// Shows the time on the wall.
    pub(super) wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Draws the jitter, from 0 to 1.
    pub(super) random: fn() -> f64,
    /// Runs a job, on a thread that may block.
    pub(super) run: Arc<Run>,
}

type Run = dyn Fn(&Job, Trigger, &dyn Observer, &Cancel) -> RunSummary + Send + Sync;

/// A job as the configuration has it now.
#[derive(Debug)]
pub(super) struct JobSetup {
    pub(super) job: Job,
    pub(super) config: config::SyncJob,
    /// Copies at once, as the job was made with.
    max_file_operations: usize,
}

struct Handle {
    slot: Arc<JobSlot>,
    /// `None` when the configuration does not have the job any more. The task
    /// stays, for the job may come back while its last run is still under way.
    setup: watch::Sender<Option<Arc<JobSetup>>>,
}

/// What a job is doing, for `status`.
#[derive(Debug, Clone, Serialize)]
pub struct JobStatus {
    /// Its name on the command line.
    pub id: String,
    /// Its name in the log.
    pub name: String,
    /// Whether it runs on its schedule.
    pub enabled: bool,
    /// What it is doing now.
    pub state: JobState,
    /// What starts it by itself, in words.
    pub schedule: String,
    /// When its schedule starts it next.
    pub next_run: Option<Timestamp>,
    /// Its last run since the daemon started.
    pub last_run: Option<RunSummary>,
    /// Starts that found the line full and were left out.
    pub missed: u64,
}

/// What a job is doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nothing.
    Idle,
    /// Waits for a place to run, or for its destination.
    Waiting,
    /// Mirrors.
    Running,
}

/// How full the line is, for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueueStatus {
    /// Jobs that mirror now.
    pub running: usize,
    /// `concurrency.max_concurrent_syncs`.
    pub max_running: usize,
    /// Jobs that wait.
    pub waiting: usize,
    /// `concurrency.sync_queue_size`.
    pub max_waiting: usize,
}

/// Why a job was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// No job has this id.
    #[error("no job has the id `{id}`; there are: {known}")]
    UnknownJob {
        /// The id that was asked for.
        id: String,
        /// The ids that there are.
        known: String,
    },
    /// Too many jobs wait already.
    #[error("`{id}` cannot wait: the line is full (see `concurrency.sync_queue_size`)")]
    Busy {
        /// The job.
        id: String,
    },
    /// There is nothing to cancel.
    #[error("`{id}` neither runs nor waits")]
    Idle {
        /// The job.
        id: String,
    },
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    Stopping,
}

impl Scheduler {
    /// Starts a task for each job, on the runtime that this is called on.
    pub fn start(config: &Config) -> Self {
        let context = Context {
            wall: Arc::new(Timestamp::now),
            random: fastrand::f64,
            run: Arc::new(run),
        };
        Self::start_with(config, context)
    }

    pub(super) fn start_with(config: &Config, context: Context) -> Self {
        let scheduler = Self {
            jobs: Mutex::default(),
            tasks: Mutex::default(),
            queue: RunQueue::new(limits(config)),
            stopping: watch::Sender::new(false),
            context,
        };
        for job in &config.sync_jobs {
            let setup = JobSetup::new(job, &config.concurrency);
            scheduler.add(setup, job.schedule.run_at_start);
        }
        scheduler
    }

    /// Takes over a changed configuration. Runs that are under way end under the
    /// old one. A job whose schedule has not changed keeps its next start; none
    /// runs because of `run_at_start`.
    pub fn reconfigure(&self, config: &Config) {
        self.queue.set_limits(limits(config));
        for job in &config.sync_jobs {
            let setup = JobSetup::new(job, &config.concurrency);
            if let Some(handle) = lock(&self.jobs).get(&job.id) {
                handle.take_over(setup);
                continue;
            }
            self.add(setup, false);
        }
        for (id, handle) in &*lock(&self.jobs) {
            if !config.sync_jobs.iter().any(|job| job.id == *id) {
                handle.setup.send_replace(None);
            }
        }
    }

    fn add(&self, setup: JobSetup, run_now: bool) {
        let id = setup.config.id.clone();
        let slot = Arc::new(JobSlot::default());
        let setup = watch::Sender::new(Some(Arc::new(setup)));
        let task = JobTask {
            slot: Arc::clone(&slot),
            setup: setup.subscribe(),
            queue: self.queue.clone(),
            stop: self.stopping.subscribe(),
            context: self.context.clone(),
        };
        lock(&self.tasks).spawn(task.run(run_now));
        lock(&self.jobs).insert(id, Handle { slot, setup });
    }

    /// Asks for a run of a job. The receiver gets the summary of the run that
    /// answers it, or an error if the run is cancelled while it waits; it may be
    /// dropped.
    ///
    /// # Errors
    /// If there is no such job, or no room in the line.
    pub fn trigger(
        &self,
        id: &str,
        trigger: Trigger,
    ) -> Result<oneshot::Receiver<RunSummary>, TriggerError> {
        if *self.stopping.borrow() {
            return Err(TriggerError::Stopping);
        }
        let (reply, answer) = oneshot::channel();
        self.with_slot(id, |slot| {
            slot.ask(trigger, Some(reply), &self.queue)
                .map_err(|_| TriggerError::Busy { id: id.to_owned() })
        })?;
        Ok(answer)
    }

    /// Stops the run of a job that is under way, and takes it out of the line if
    /// it waits. Returns what it was doing.
    ///
    /// # Errors
    /// If there is no such job, or it does nothing.
    pub fn cancel(&self, id: &str) -> Result<JobState, TriggerError> {
        self.with_slot(id, |slot| match slot.cancel() {
            JobState::Idle => Err(TriggerError::Idle { id: id.to_owned() }),
            state => Ok(state),
        })
    }

    fn with_slot<T>(
        &self,
        id: &str,
        act: impl FnOnce(&JobSlot) -> Result<T, TriggerError>,
    ) -> Result<T, TriggerError> {
        let jobs = lock(&self.jobs);
        let handle = jobs.get(id).filter(|handle| handle.is_configured());
        match handle {
            Some(handle) => act(&handle.slot),
            None => Err(TriggerError::UnknownJob {
                id: id.to_owned(),
                known: configured(&jobs).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// What every job is doing, by id.
    pub fn status(&self) -> Vec<JobStatus> {
        let jobs = lock(&self.jobs);
        jobs.values().filter_map(Handle::status).collect()
    }

    /// The ids of the jobs, and for each how its last run ended, if it has run.
    pub fn last_ends(&self) -> Vec<(String, Option<Status>)> {
        let jobs = lock(&self.jobs);
        let configured = jobs.iter().filter(|(_, handle)| handle.is_configured());
        configured
            .map(|(id, handle)| (id.clone(), handle.slot.last_end()))
            .collect()
    }

    /// How full the line is.
    pub fn queue(&self) -> QueueStatus {
        let (running, waiting) = self.queue.counts();
        let limits = self.queue.limits();
        QueueStatus {
            running,
            max_running: limits.max_running,
            waiting,
            max_waiting: limits.max_waiting,
        }
    }

    /// The jobs that run, and when each last took a step.
    pub fn last_steps(&self) -> Vec<(String, Instant)> {
        let jobs = lock(&self.jobs);
        jobs.iter()
            .filter_map(|(id, handle)| Some((id.clone(), handle.slot.last_step()?)))
            .collect()
    }

    /// Starts no more runs, and waits for those that are running; after `limit`
    /// it cancels them, which leaves nothing half-written. Returns false if a run
    /// did not end even then.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.stopping.send_replace(true);
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(limit, all_ended).await.is_ok() {
            return true;
        }
        for handle in lock(&self.jobs).values() {
            handle.slot.cancel();
        }
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        timeout(CANCEL_LIMIT, all_ended).await.is_ok()
    }
}

impl Handle {
    fn is_configured(&self) -> bool {
        self.setup.borrow().is_some()
    }

    /// Replaces the setup if it differs.
    fn take_over(&self, new: JobSetup) {
        self.setup.send_if_modified(|setup| {
            let differs = setup.as_ref().is_none_or(|old| **old != new);
            if differs {
                *setup = Some(Arc::new(new));
            }
            differs
        });
    }

    fn status(&self) -> Option<JobStatus> {
        let setup = self.setup.borrow();
        let config = &setup.as_ref()?.config;
        Some(self.slot.status(config))
    }
}

fn configured(jobs: &BTreeMap<String, Handle>) -> impl Iterator<Item = &str> {
    jobs.iter()
        .filter(|(_, handle)| handle.is_configured())
        .map(|(id, _)| id.as_str())
}

impl JobSetup {
    fn new(config: &config::SyncJob, concurrency: &config::Concurrency) -> Self {
        Self {
            job: Job::new(config, concurrency),
            config: config.clone(),
            max_file_operations: concurrency.max_file_operations,
        }
    }
}

impl PartialEq for JobSetup {
    /// The job follows from the configuration.
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.max_file_operations == other.max_file_operations
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_running: config.concurrency.max_concurrent_syncs,
        max_waiting: config.concurrency.sync_queue_size,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
