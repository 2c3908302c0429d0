//! When jobs run.
//!
//! Each job has one task, which runs it on a blocking thread: so a job never
//! overlaps with itself. A trigger goes into the job's mailbox. All that wait
//! there when a run begins are answered by that one run; what comes during a run
//! causes one more.
//!
//! An interval counts from the start of a run to the start of the next. A run
//! that takes longer than the interval is followed by a pause until the next
//! multiple: missed runs are not made up for, since one mirror pass does it all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::job::{Job, Trigger};
use super::run::{RunSummary, run};
use crate::config::{Schedule, ScheduleKind};
use crate::mirror::{Cancel, Unobserved};

/// Runs jobs when they are due, until it is stopped.
pub struct Scheduler {
    jobs: BTreeMap<String, Handle>,
    tasks: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
    cancel: Cancel,
}

/// How long cancelled runs may take to end.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

struct Handle {
    mailbox: mpsc::Sender<Request>,
    status: Arc<Mutex<JobStatus>>,
}

struct Request {
    trigger: Trigger,
    reply: oneshot::Sender<RunSummary>,
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
    /// When its schedule starts it next.
    pub next_run: Option<Timestamp>,
    /// Its last run since the daemon started.
    pub last_run: Option<RunSummary>,
}

/// What a job is doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nothing.
    Idle,
    /// Waits for one of the `max_concurrent_syncs` places.
    Waiting,
    /// Mirrors.
    Running,
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
    /// Too many wait for this job already.
    #[error("too many are waiting for the job `{id}` already (see `concurrency.sync_queue_size`)")]
    Busy {
        /// The job.
        id: String,
    },
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    Stopping,
}

impl Scheduler {
    /// Starts a task for each job, on the runtime that this is called on.
    pub fn start(
        jobs: impl IntoIterator<Item = (Job, Schedule, bool)>,
        max_concurrent: usize,
        mailbox_size: usize,
    ) -> Self {
        let places = Arc::new(Semaphore::new(max_concurrent));
        let cancel = Cancel::new();
        let (stopping, stop) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut handles = BTreeMap::new();
        for (job, schedule, enabled) in jobs {
            let (mailbox, requests) = mpsc::channel(mailbox_size);
            let status = Arc::new(Mutex::new(JobStatus {
                id: job.id.clone(),
                name: job.name.clone(),
                enabled,
                state: JobState::Idle,
                next_run: None,
                last_run: None,
            }));
            let id = job.id.clone();
            let task = JobTask {
                job: Arc::new(job),
                requests,
                status: Arc::clone(&status),
                places: Arc::clone(&places),
                stop: stop.clone(),
                cancel: cancel.clone(),
            };
            let timetable = enabled.then(|| Timetable::new(&schedule)).flatten();
            tasks.spawn(task.run(timetable));
            handles.insert(id, Handle { mailbox, status });
        }
        Self {
            jobs: handles,
            tasks: Mutex::new(tasks),
            stopping,
            cancel,
        }
    }

    /// Asks for a run of a job. The receiver gets the summary of the run that
    /// answers it; it may be dropped.
    ///
    /// # Errors
    /// If there is no such job, or it cannot take more requests.
    pub fn trigger(
        &self,
        id: &str,
        trigger: Trigger,
    ) -> Result<oneshot::Receiver<RunSummary>, TriggerError> {
        let handle = self.jobs.get(id).ok_or_else(|| TriggerError::UnknownJob {
            id: id.to_owned(),
            known: self.jobs.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        let (reply, answer) = oneshot::channel();
        let request = Request { trigger, reply };
        match handle.mailbox.try_send(request) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(TriggerError::Busy { id: id.to_owned() })
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(TriggerError::Stopping),
        }
    }

    /// What every job is doing, by id.
    pub fn status(&self) -> Vec<JobStatus> {
        self.jobs
            .values()
            .map(|handle| lock(&handle.status).clone())
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
        self.cancel.cancel();
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        timeout(CANCEL_LIMIT, all_ended).await.is_ok()
    }
}

/// When a schedule starts its job.
struct Timetable {
    interval: Option<Duration>,
    jitter: Duration,
    next: Instant,
    /// What the next start is called.
    trigger: Trigger,
}

impl Timetable {
    /// `None` for a job that only people start.
    fn new(schedule: &Schedule) -> Option<Self> {
        let interval = match schedule.kind {
            ScheduleKind::Interval => Some(schedule.interval),
            ScheduleKind::Manual | ScheduleKind::Cron => None,
        };
        let now = Instant::now();
        let (next, trigger) = match interval {
            _ if schedule.run_at_start => (now, Trigger::Startup),
            Some(interval) => (now + interval, Trigger::Schedule),
            None => return None,
        };
        Some(Self {
            interval,
            jitter: schedule.jitter,
            next,
            trigger,
        })
    }

    /// The timetable after a start: the first multiple of the interval that is
    /// still to come. `None` when there is none.
    fn advance(mut self, now: Instant) -> Option<Self> {
        let interval = self.interval?;
        self.trigger = Trigger::Schedule;
        self.next += interval;
        if self.next <= now {
            let missed = (now - self.next).as_nanos() / interval.as_nanos() + 1;
            self.next += interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
        }
        Some(self)
    }

    /// The next start with its share of the jitter.
    fn next_start(&self) -> Instant {
        self.next + self.jitter.mul_f64(fastrand::f64())
    }
}

/// The task of one job.
struct JobTask {
    job: Arc<Job>,
    requests: mpsc::Receiver<Request>,
    status: Arc<Mutex<JobStatus>>,
    places: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    cancel: Cancel,
}

impl JobTask {
    async fn run(mut self, mut timetable: Option<Timetable>) {
        loop {
            let start = timetable.as_ref().map(Timetable::next_start);
            lock(&self.status).next_run = start.and_then(wall_clock);
            let due = async {
                match start {
                    Some(start) => sleep_until(start).await,
                    None => std::future::pending().await,
                }
            };
            let (trigger, replies) = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return,
                request = self.requests.recv() => match request {
                    Some(request) => (request.trigger, vec![request.reply]),
                    None => return,
                },
                () = due => {
                    let trigger = timetable.as_ref().map_or(Trigger::Schedule, |t| t.trigger);
                    timetable = timetable.and_then(|t| t.advance(Instant::now()));
                    (trigger, Vec::new())
                }
            };
            if !self.run_once(trigger, replies).await {
                return;
            }
            timetable = match timetable {
                // The run took longer than the interval: skip what was missed.
                Some(late) if late.next <= Instant::now() => late.advance(Instant::now()),
                other => other,
            };
        }
    }

    /// Runs the job for everybody who waits; false when the daemon is stopping.
    async fn run_once(
        &mut self,
        trigger: Trigger,
        mut replies: Vec<oneshot::Sender<RunSummary>>,
    ) -> bool {
        lock(&self.status).state = JobState::Waiting;
        let places = Arc::clone(&self.places);
        let place = tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => return false,
            place = places.acquire_owned() => place,
        };
        while let Ok(request) = self.requests.try_recv() {
            replies.push(request.reply);
        }
        lock(&self.status).state = JobState::Running;
        let (job, cancel) = (Arc::clone(&self.job), self.cancel.clone());
        let running = tokio::task::spawn_blocking(move || run(&job, trigger, &Unobserved, &cancel));
        let summary = running.await;
        drop(place);
        let mut status = lock(&self.status);
        status.state = JobState::Idle;
        // `run` catches the panics of the engine; what is left is a shutdown of the runtime.
        let Ok(summary) = summary else { return false };
        status.last_run = Some(summary.clone());
        drop(status);
        for reply in replies {
            // Whoever asked may have gone.
            let _ = reply.send(summary.clone());
        }
        true
    }
}

/// What the clock on the wall will show at `instant`.
fn wall_clock(instant: Instant) -> Option<Timestamp> {
    let wait = instant.saturating_duration_since(Instant::now());
    Timestamp::now().checked_add(wait).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Concurrency, SyncJob};
    use std::path::Path;

    fn schedule(kind: ScheduleKind, interval: Duration) -> Schedule {
        Schedule {
            kind,
            interval,
            ..Schedule::default()
        }
    }

    fn job(place: &Path, id: &str) -> Job {
        let source = place.join("source");
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("file"), id).unwrap();
        let config = SyncJob {
            id: id.to_owned(),
            name: id.to_owned(),
            source_path: source,
            destination_path: place.join(id),
            ..SyncJob::default()
        };
        Job::new(&config, &Concurrency::default())
    }

    #[tokio::test]
    async fn an_interval_skips_what_a_long_run_missed() {
        let minute = Duration::from_secs(60);
        let table = Timetable::new(&schedule(ScheduleKind::Interval, minute)).unwrap();
        let first = table.next;
        let table = table.advance(first).unwrap();
        assert_eq!(table.next, first + minute);
        let table = table.advance(first + minute * 5 / 2).unwrap();
        assert_eq!(table.next, first + minute * 3);
    }

    #[tokio::test]
    async fn a_manual_job_has_no_timetable_unless_it_runs_at_start() {
        let mut manual = schedule(ScheduleKind::Manual, Duration::from_secs(1));
        assert!(Timetable::new(&manual).is_none());
        manual.run_at_start = true;
        let table = Timetable::new(&manual).unwrap();
        assert_eq!(table.trigger, Trigger::Startup);
        assert!(table.advance(Instant::now()).is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_trigger_runs_the_job_and_answers() {
        let place = tempfile::tempdir().unwrap();
        let manual = schedule(ScheduleKind::Manual, Duration::from_secs(1));
        let scheduler = Scheduler::start([(job(place.path(), "one"), manual, true)], 1, 10);
        let answers: Vec<_> = (0..3)
            .map(|_| scheduler.trigger("one", Trigger::Manual).unwrap())
            .collect();
        for answer in answers {
            let summary = timeout(Duration::from_secs(20), answer)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(summary.report.failed, 0);
        }
        assert!(place.path().join("one/file").exists());
        assert!(scheduler.status()[0].last_run.is_some());
        assert!(scheduler.stop(Duration::from_secs(10)).await);
        assert!(matches!(
            scheduler.trigger("one", Trigger::Manual),
            Err(TriggerError::Stopping)
        ));
    }

    #[tokio::test]
    async fn an_unknown_job_is_named_with_those_that_there_are() {
        let place = tempfile::tempdir().unwrap();
        let manual = schedule(ScheduleKind::Manual, Duration::from_secs(1));
        let scheduler = Scheduler::start([(job(place.path(), "one"), manual, true)], 1, 10);
        let error = scheduler.trigger("two", Trigger::Manual).unwrap_err();
        assert_eq!(error.to_string(), "no job has the id `two`; there are: one");
        assert!(scheduler.stop(Duration::from_secs(10)).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_that_is_due_at_start_runs() {
        let place = tempfile::tempdir().unwrap();
        let mut often = schedule(ScheduleKind::Interval, Duration::from_secs(3600));
        often.run_at_start = true;
        let scheduler = Scheduler::start([(job(place.path(), "one"), often, true)], 1, 10);
        let deadline = Instant::now() + Duration::from_secs(20);
        while scheduler.status()[0].last_run.is_none() {
            assert!(Instant::now() < deadline, "the job never ran");
            tokio::task::yield_now().await;
        }
        let status = scheduler.status().remove(0);
        assert_eq!(status.last_run.unwrap().trigger, Trigger::Startup);
        assert!(status.next_run.is_some());
        assert!(scheduler.stop(Duration::from_secs(10)).await);
    }
}
