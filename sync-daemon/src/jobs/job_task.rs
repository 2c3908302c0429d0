//! The task of one job, and the slot through which others talk to it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep};

use super::job::Trigger;
use super::run::RunSummary;
use super::run_queue::{Full, RunQueue, Ticket, resolve};
use super::scheduler::{Context, JobSetup, JobState, JobStatus, lock};
use super::timetable::{Moment, Timetable};
use crate::config::{Schedule, ScheduleKind, SyncJob};
use crate::mirror::{Cancel, Observer, Plan, Status};

/// What is asked of a job, and what it says of itself.
#[derive(Default)]
pub(super) struct JobSlot {
    state: Mutex<SlotState>,
    /// Somebody has asked for a run, or has taken that back.
    changed: Notify,
}

#[derive(Default)]
struct SlotState {
    pending: Option<Pending>,
    running: Option<Running>,
    next_run: Option<Timestamp>,
    last_run: Option<RunSummary>,
    missed: u64,
}

/// A run that is asked for.
pub(super) struct Pending {
    /// What asked first.
    trigger: Trigger,
    replies: Vec<oneshot::Sender<RunSummary>>,
    ticket: Ticket,
}

struct Running {
    cancel: Cancel,
    progress: Arc<Progress>,
}

impl JobSlot {
    /// Asks for a run; one that is asked for already answers this, too.
    pub(super) fn ask(
        &self,
        trigger: Trigger,
        reply: Option<oneshot::Sender<RunSummary>>,
        queue: &RunQueue,
    ) -> Result<(), Full> {
        let mut state = lock(&self.state);
        if let Some(pending) = &mut state.pending {
            pending.replies.extend(reply);
            return Ok(());
        }
        let ticket = queue.enter().inspect_err(|_| state.missed += 1)?;
        state.pending = Some(Pending {
            trigger,
            replies: reply.into_iter().collect(),
            ticket,
        });
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes back what is asked for, and stops what runs; returns what there was.
    pub(super) fn cancel(&self) -> JobState {
        let mut state = lock(&self.state);
        let before = state.job_state();
        if let Some(running) = &state.running {
            running.cancel.cancel();
        }
        let pending = state.pending.take();
        drop(state);
        // Its ticket wakes others: not under the lock.
        drop(pending);
        self.changed.notify_one();
        before
    }

    pub(super) fn status(&self, config: &SyncJob) -> JobStatus {
        let state = lock(&self.state);
        JobStatus {
            id: config.id.clone(),
            name: config.name.clone(),
            enabled: config.enabled,
            state: state.job_state(),
            schedule: in_words(&config.schedule),
            next_run: state.next_run,
            last_run: state.last_run.clone(),
            missed: state.missed,
        }
    }

    /// How the last run ended.
    pub(super) fn last_end(&self) -> Option<Status> {
        let state = lock(&self.state);
        state.last_run.as_ref().map(|run| run.report.status)
    }

    /// When the run that is under way last took a step.
    pub(super) fn last_step(&self) -> Option<std::time::Instant> {
        let state = lock(&self.state);
        state
            .running
            .as_ref()
            .map(|running| running.progress.last())
    }

    fn pending_ticket(&self) -> Option<u64> {
        let state = lock(&self.state);
        state
            .pending
            .as_ref()
            .map(|pending| pending.ticket.number())
    }

    /// The pending run becomes the running one, if it is still wanted.
    fn begin(&self, number: u64, running: Running) -> Option<Pending> {
        let mut state = lock(&self.state);
        let pending = state
            .pending
            .take_if(|pending| pending.ticket.number() == number)?;
        state.running = Some(running);
        Some(pending)
    }
}

impl SlotState {
    fn job_state(&self) -> JobState {
        match (&self.running, &self.pending) {
            (Some(_), _) => JobState::Running,
            (None, Some(_)) => JobState::Waiting,
            (None, None) => JobState::Idle,
        }
    }
}

/// The task of one job.
pub(super) struct JobTask {
    pub(super) slot: Arc<JobSlot>,
    pub(super) setup: watch::Receiver<Option<Arc<JobSetup>>>,
    pub(super) queue: RunQueue,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) context: Context,
}

/// What there is to do.
enum Wake {
    Stop,
    Reconfigured,
    Asked,
    Due,
}

/// Whether the task goes on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl JobTask {
    /// Runs the job again and again until the scheduler stops.
    pub(super) async fn run(mut self, run_now: bool) {
        self.run_until_stopped(run_now).await;
        // Whoever still waits is told that there will be no run.
        self.slot.cancel();
    }

    async fn run_until_stopped(&mut self, run_now: bool) {
        let mut setup = self.setup.borrow_and_update().clone();
        let mut timetable = self.timetable(setup.as_deref());
        if run_now && setup.as_ref().is_some_and(|setup| setup.config.enabled) {
            timetable = timetable.at_start(self.now());
        }
        loop {
            self.show_next_run(&timetable);
            match self.wake(timetable.sleep(self.now())).await {
                Wake::Stop => return,
                Wake::Asked => {}
                Wake::Reconfigured => {
                    let new = self.setup.borrow_and_update().clone();
                    if schedule_differs(setup.as_deref(), new.as_deref()) {
                        timetable = self.timetable(new.as_deref());
                    }
                    setup = new;
                }
                Wake::Due => {
                    if let Some(trigger) = timetable.start(self.now()) {
                        self.ask_on_schedule(trigger, setup.as_deref());
                    }
                }
            }
            if self.slot.pending_ticket().is_some() {
                if self.run_pending().await == Next::Stop {
                    return;
                }
                timetable.skip_missed(self.now());
            }
        }
    }

    /// Sleeps until there is something to do.
    async fn wake(&mut self, sleep: Option<Duration>) -> Wake {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => Wake::Stop,
            changed = self.setup.changed() => match changed {
                Ok(()) => Wake::Reconfigured,
                Err(_) => Wake::Stop,
            },
            () = self.slot.changed.notified() => Wake::Asked,
            () = sleep_for(sleep) => Wake::Due,
        }
    }

    fn timetable(&self, setup: Option<&JobSetup>) -> Timetable {
        match setup.filter(|setup| setup.config.enabled) {
            Some(setup) => {
                let schedule = &setup.config.schedule;
                Timetable::new(schedule, self.now(), self.context.random)
            }
            None => Timetable::empty(),
        }
    }

    fn now(&self) -> Moment {
        Moment {
            instant: Instant::now(),
            wall: (self.context.wall)(),
        }
    }

    fn show_next_run(&self, timetable: &Timetable) {
        lock(&self.slot.state).next_run = timetable.next_run(self.now());
    }

    fn ask_on_schedule(&self, trigger: Trigger, setup: Option<&JobSetup>) {
        let Some(setup) = setup else { return };
        if self.slot.ask(trigger, None, &self.queue).is_err() {
            setup.job.metrics.missed();
            tracing::warn!(
                target: "sync_daemon::daemon",
                job_id = setup.job.id,
                trigger = trigger.as_str(),
                "a start was left out: the line is full (concurrency.sync_queue_size)"
            );
        }
    }

    /// Waits in line and runs the job for everybody who waits.
    async fn run_pending(&mut self) -> Next {
        loop {
            // Looked at anew each time: whoever waits runs under the configuration of then.
            let Some(setup) = self.setup.borrow().clone() else {
                // The configuration does not have the job any more.
                self.slot.cancel();
                return Next::GoOn;
            };
            let Some(number) = self.slot.pending_ticket() else {
                return Next::GoOn;
            };
            let turn = wait_in_line(&self.queue, number, &setup);
            let is_its_turn = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return Next::Stop,
                () = differs_from(&self.setup, &setup) => false,
                () = self.slot.changed.notified() => false,
                () = turn => true,
            };
            if is_its_turn {
                return self.run_now(number, setup).await;
            }
        }
    }

    async fn run_now(&self, number: u64, setup: Arc<JobSetup>) -> Next {
        let cancel = Cancel::new();
        let progress = Arc::new(Progress::new());
        let running = Running {
            cancel: cancel.clone(),
            progress: Arc::clone(&progress),
        };
        let Some(pending) = self.slot.begin(number, running) else {
            return Next::GoOn;
        };
        let Pending {
            trigger,
            replies,
            ticket,
        } = pending;
        let run = Arc::clone(&self.context.run);
        let running =
            tokio::task::spawn_blocking(move || run(&setup.job, trigger, &*progress, &cancel));
        let summary = running.await;
        drop(ticket);
        let mut state = lock(&self.slot.state);
        state.running = None;
        // `run` catches the panics of the engine; what is left is a shutdown of the runtime.
        let Ok(summary) = summary else {
            return Next::Stop;
        };
        state.last_run = Some(summary.clone());
        drop(state);
        for reply in replies {
            // Whoever asked may have gone.
            let _ = reply.send(summary.clone());
        }
        Next::GoOn
    }
}

/// Waits until the configuration of a job is another one. The task itself sees
/// the change later, since this looks with eyes of its own.
async fn differs_from(setup: &watch::Receiver<Option<Arc<JobSetup>>>, known: &Arc<JobSetup>) {
    let is_another =
        |now: &Option<Arc<JobSetup>>| now.as_ref().is_none_or(|now| !Arc::ptr_eq(now, known));
    // An error is the end of the scheduler, which its other signal tells about.
    if setup.clone().wait_for(is_another).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn wait_in_line(queue: &RunQueue, number: u64, setup: &Arc<JobSetup>) {
    let destination = setup.job.destination.clone();
    // A destination on a server that hangs holds up this job alone.
    let resolved = tokio::task::spawn_blocking(move || resolve(&destination)).await;
    let destination = resolved.unwrap_or_else(|_| setup.job.destination.clone());
    queue.set_destination(number, destination);
    queue.admitted(number).await;
}

async fn sleep_for(duration: Option<Duration>) {
    match duration {
        Some(duration) => sleep(duration).await,
        None => std::future::pending().await,
    }
}

fn schedule_differs(old: Option<&JobSetup>, new: Option<&JobSetup>) -> bool {
    let part = |setup: Option<&JobSetup>| {
        setup.map(|setup| (setup.config.enabled, setup.config.schedule.clone()))
    };
    part(old) != part(new)
}

/// What starts a job by itself, for `status`.
fn in_words(schedule: &Schedule) -> String {
    let mut words = match (schedule.kind, &schedule.expression) {
        (ScheduleKind::Interval, _) => {
            format!("every {}", humantime::format_duration(schedule.interval))
        }
        (ScheduleKind::Cron, Some(expression)) => format!("{expression} {}", schedule.timezone),
        (ScheduleKind::Cron, None) | (ScheduleKind::Manual, _) => "by hand".to_owned(),
    };
    if schedule.kind != ScheduleKind::Manual && !schedule.jitter.is_zero() {
        let jitter = humantime::format_duration(schedule.jitter);
        words.push_str(&format!(" and up to {jitter}"));
    }
    if schedule.run_at_start {
        words.push_str(", at start");
    }
    words
}

/// Notes that a run takes steps, so that one that hangs can be told from one
/// that is slow.
struct Progress {
    begun: std::time::Instant,
    /// Milliseconds after `begun`.
    last_step: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self {
            begun: std::time::Instant::now(),
            last_step: AtomicU64::new(0),
        }
    }

    fn step(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_step.store(millis, Ordering::Relaxed);
    }

    fn last(&self) -> std::time::Instant {
        self.begun + Duration::from_millis(self.last_step.load(Ordering::Relaxed))
    }
}

impl Observer for Progress {
    fn scanned(&self, _: u64) {
        self.step();
    }

    fn planned(&self, _: &Plan) {
        self.step();
    }

    fn step_done(&self) {
        self.step();
    }

    fn bytes_written(&self, _: u64) {
        self.step();
    }
}
