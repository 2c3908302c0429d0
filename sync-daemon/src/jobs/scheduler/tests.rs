//! The scheduler on a clock that stands until everybody sleeps, with runs that
//! the test begins and ends.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::time::{Instant as TokioInstant, sleep};

use super::*;
use crate::config::{ScheduleKind, SyncJob};
use crate::error_type::ErrorType;
use crate::mirror::Report;

/// Longer than anything takes; only a run that never comes needs it.
const SOON: Duration = Duration::from_secs(20);

/// One run as the test saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    job: String,
    trigger: Trigger,
    after: Duration,
    source: String,
}

/// A scheduler whose runs do nothing but note themselves.
struct Stage {
    scheduler: Scheduler,
    seen: Arc<Mutex<Vec<Seen>>>,
    most_at_once: Arc<AtomicUsize>,
    /// Lets one held run end; dropped: all of them.
    release: Option<mpsc::Sender<()>>,
}

impl Stage {
    fn new(config: &Config, holds_runs: bool) -> Self {
        let begun = TokioInstant::now();
        let start: Timestamp = "2026-03-29T00:00:00Z".parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (at_once, most_at_once) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let (release, gate) = mpsc::channel();
        let gate = Mutex::new(gate);
        let run = {
            let (seen, most) = (Arc::clone(&seen), Arc::clone(&most_at_once));
            move |job: &Job, trigger: Trigger, _: &dyn Observer, cancel: &Cancel| {
                lock(&seen).push(Seen {
                    job: job.id.clone(),
                    trigger,
                    after: begun.elapsed(),
                    source: job.source.display().to_string(),
                });
                let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
                AtomicUsize::fetch_max(&most, now, Ordering::SeqCst);
                let deadline = Instant::now() + SOON;
                while holds_runs && !cancel.is_cancelled() {
                    let limit = Duration::from_millis(1);
                    match lock(&gate).recv_timeout(limit) {
                        Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                        _ => break,
                    }
                }
                at_once.fetch_sub(1, Ordering::SeqCst);
                let why = ErrorType::SourceMissing;
                RunSummary {
                    started_at: start,
                    trigger,
                    report: Report::refused(String::new(), why, String::new()),
                }
            }
        };
        let context = Context {
            wall: Arc::new(move || start + begun.elapsed()),
            random: || 0.0,
            run: Arc::new(run),
        };
        Self {
            scheduler: Scheduler::start_with(config, context),
            seen,
            most_at_once,
            release: Some(release),
        }
    }

    fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    fn state(&self, id: &str) -> JobState {
        let status = self.scheduler.status();
        status.iter().find(|job| job.id == id).unwrap().state
    }

    /// Lets tasks and threads work until `fits`; the clock of the tasks stands.
    async fn until(&self, fits: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON;
        while !fits(self) {
            assert!(Instant::now() < deadline, "never: {:?}", self.seen());
            tokio::task::yield_now().await;
        }
    }

    fn end_one_run(&self) {
        self.release.as_ref().unwrap().send(()).unwrap();
    }

    async fn stop(mut self) {
        self.release = None;
        assert!(self.scheduler.stop(SOON).await);
    }
}

fn job(id: &str, destination: &Path) -> SyncJob {
    SyncJob {
        id: id.to_owned(),
        name: format!("{id}_sync"),
        source_path: "/source".into(),
        destination_path: destination.to_owned(),
        ..SyncJob::default()
    }
}

fn every(secs: u64, job: SyncJob) -> SyncJob {
    let mut job = job;
    job.schedule.kind = ScheduleKind::Interval;
    job.schedule.interval = Duration::from_secs(secs);
    job
}

fn config(jobs: &[SyncJob]) -> Config {
    Config {
        sync_jobs: jobs.to_vec(),
        ..Config::default()
    }
}

fn apart(id: &str) -> SyncJob {
    job(id, Path::new(&format!("/destination/{id}")))
}

#[tokio::test(start_paused = true)]
async fn an_interval_runs_again_and_again() {
    let stage = Stage::new(&config(&[every(60, apart("a"))]), false);
    sleep(Duration::from_secs(185)).await;
    let seen = stage.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    for (index, run) in seen.iter().enumerate() {
        assert_eq!(run.after.as_secs(), 60 * (index as u64 + 1), "{seen:?}");
        assert_eq!(run.trigger, Trigger::Schedule);
    }
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn cron_runs_by_the_clock_of_its_zone() {
    let mut nightly = apart("a");
    nightly.schedule.kind = ScheduleKind::Cron;
    nightly.schedule.expression = Some("30 2 * * *".to_owned());
    nightly.schedule.timezone = "Europe/Berlin".to_owned();
    let stage = Stage::new(&config(&[nightly]), false);
    // The clocks go forward at 01:00 UTC, over 02:30; the next is at 00:30 UTC.
    sleep(Duration::from_secs(25 * 3600)).await;
    let hours: Vec<u64> = stage.seen().iter().map(|run| run.after.as_secs()).collect();
    assert_eq!(hours, [3600, 24 * 3600 + 1800]);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_at_start_is_called_so_and_a_disabled_job_runs_by_hand_only() {
    let mut at_start = apart("a");
    at_start.schedule.run_at_start = true;
    let mut disabled = every(60, apart("b"));
    disabled.schedule.run_at_start = true;
    disabled.enabled = false;
    let stage = Stage::new(&config(&[at_start, disabled]), false);
    sleep(Duration::from_secs(300)).await;
    let seen = stage.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].trigger, Trigger::Startup);
    let by_hand = stage.scheduler.trigger("b", Trigger::Manual).unwrap();
    assert_eq!(by_hand.await.unwrap().trigger, Trigger::Manual);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn triggers_of_a_waiting_job_merge_and_one_during_a_run_causes_one_more() {
    let stage = Stage::new(&config(&[apart("a")]), true);
    let first = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    stage.until(|stage| stage.seen().len() == 1).await;
    let second = stage.scheduler.trigger("a", Trigger::Watcher).unwrap();
    let third = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    stage.end_one_run();
    first.await.unwrap();
    stage.end_one_run();
    assert_eq!(second.await.unwrap().trigger, Trigger::Watcher);
    assert_eq!(third.await.unwrap().trigger, Trigger::Watcher);
    assert_eq!(stage.seen().len(), 2);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_jobs_on_one_destination_wait_for_each_other_and_both_run() {
    let place = tempfile::tempdir().unwrap();
    let stage = Stage::new(
        &config(&[job("a", place.path()), job("b", place.path()), apart("c")]),
        true,
    );
    let a = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    stage
        .until(|stage| stage.state("a") == JobState::Running)
        .await;
    let b = stage.scheduler.trigger("b", Trigger::Manual).unwrap();
    let c = stage.scheduler.trigger("c", Trigger::Manual).unwrap();
    stage
        .until(|stage| stage.state("c") == JobState::Running)
        .await;
    assert_eq!(stage.state("b"), JobState::Waiting);
    let queue = stage.scheduler.queue();
    assert_eq!((queue.running, queue.waiting), (2, 1));
    let both_are_there = |stage: &Stage| stage.most_at_once.load(Ordering::SeqCst) == 2;
    stage.until(both_are_there).await;
    for _ in 0..3 {
        stage.end_one_run();
    }
    for answer in [a, b, c] {
        answer.await.unwrap();
    }
    assert_eq!(stage.most_at_once.load(Ordering::SeqCst), 2);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_a_trigger_and_counts_a_start_left_out() {
    let mut config = config(&[apart("a"), apart("b"), every(60, apart("c"))]);
    config.concurrency.max_concurrent_syncs = 1;
    config.concurrency.sync_queue_size = 1;
    let stage = Stage::new(&config, true);
    let _a = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    stage
        .until(|stage| stage.state("a") == JobState::Running)
        .await;
    let _b = stage.scheduler.trigger("b", Trigger::Manual).unwrap();
    let refused = stage.scheduler.trigger("c", Trigger::Manual);
    assert!(matches!(refused, Err(TriggerError::Busy { .. })));
    assert_eq!(stage.scheduler.status()[2].missed, 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    stage
        .until(|stage| stage.scheduler.status()[2].missed == 1)
        .await;
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_a_run_and_takes_a_waiting_job_out_of_the_line() {
    let place = tempfile::tempdir().unwrap();
    let stage = Stage::new(
        &config(&[job("a", place.path()), job("b", place.path())]),
        true,
    );
    let a = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    stage
        .until(|stage| stage.state("a") == JobState::Running)
        .await;
    let b = stage.scheduler.trigger("b", Trigger::Manual).unwrap();
    assert_eq!(stage.scheduler.cancel("b").unwrap(), JobState::Waiting);
    assert!(b.await.is_err());
    assert_eq!(stage.state("b"), JobState::Idle);
    assert_eq!(stage.scheduler.cancel("a").unwrap(), JobState::Running);
    a.await.unwrap();
    stage
        .until(|stage| stage.state("a") == JobState::Idle)
        .await;
    let idle = stage.scheduler.cancel("a");
    assert!(matches!(idle, Err(TriggerError::Idle { .. })));
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_under_the_old_configuration_and_the_next_is_under_the_new() {
    let stage = Stage::new(&config(&[apart("a"), apart("gone")]), true);
    let old = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    stage
        .until(|stage| stage.state("a") == JobState::Running)
        .await;
    let mut changed = apart("a");
    changed.source_path = "/elsewhere".into();
    let new = every(3600, apart("new"));
    stage.scheduler.reconfigure(&config(&[changed, new]));
    assert_eq!(stage.state("a"), JobState::Running, "it is not disturbed");
    stage.end_one_run();
    old.await.unwrap();
    stage.end_one_run();
    let next = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    next.await.unwrap();
    let sources: Vec<String> = stage.seen().into_iter().map(|run| run.source).collect();
    assert_eq!(sources, ["/source", "/elsewhere"]);
    let unknown = stage.scheduler.trigger("gone", Trigger::Manual);
    let error = unknown.unwrap_err().to_string();
    assert_eq!(error, "no job has the id `gone`; there are: a, new");
    stage
        .until(|stage| stage.scheduler.status()[1].next_run.is_some())
        .await;
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_schedule_keeps_its_next_start_over_a_reload() {
    let before = every(60, apart("a"));
    let stage = Stage::new(&config(std::slice::from_ref(&before)), false);
    sleep(Duration::from_secs(50)).await;
    let mut after = before;
    after.filters = vec!["*.tmp".to_owned()];
    stage.scheduler.reconfigure(&config(&[after.clone()]));
    sleep(Duration::from_secs(11)).await;
    assert_eq!(stage.seen().len(), 1);
    after.schedule.interval = Duration::from_secs(30);
    stage.scheduler.reconfigure(&config(&[after]));
    sleep(Duration::from_secs(31)).await;
    assert_eq!(stage.seen().len(), 2);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_then_cancels_and_refuses_what_comes_later() {
    let stage = Stage::new(&config(&[apart("a")]), true);
    let running = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    stage
        .until(|stage| stage.state("a") == JobState::Running)
        .await;
    let step = stage.scheduler.last_steps();
    assert_eq!(step[0].0, "a");
    let waiting = stage.scheduler.trigger("a", Trigger::Manual).unwrap();
    // Nobody ends the run: it is cancelled when the time is over.
    let mut stopping = std::pin::pin!(stage.scheduler.stop(Duration::from_secs(5)));
    tokio::select! {
        biased;
        _ = &mut stopping => panic!("it did not wait"),
        () = tokio::task::yield_now() => {}
    }
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(stopping.await);
    running.await.unwrap();
    assert!(waiting.await.is_err(), "there will be no run for it");
    let late = stage.scheduler.trigger("a", Trigger::Manual);
    assert!(matches!(late, Err(TriggerError::Stopping)));
}
