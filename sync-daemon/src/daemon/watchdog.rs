//! Tells systemd that the daemon works, as long as every worker makes progress.
//!
//! The workers are the runtime (this task is part of it), the pipeline of log
//! records, the runs that are under way, and the watchers. A worker that is
//! idle makes progress. The limits are long: a daemon that is ended for being
//! slow does its work from the start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::systemd;

/// How often `systemctl status` is brought up to date.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// The watchdog is fed so many times within its limit.
const FEEDS_PER_LIMIT: u32 = 3;

/// How long the pipeline may hold records without handing one on.
const PIPELINE_LIMIT: Duration = Duration::from_secs(60);
/// How long a run may go without a step: comparing one huge file by content is one.
const RUN_LIMIT: Duration = Duration::from_secs(3600);
/// How long a watcher may take to look at its tree.
const WATCHER_LIMIT: Duration = Duration::from_secs(600);

/// Feeds the watchdog and keeps the status up to date, for ever. Ends at once
/// where systemd does not listen.
pub(super) async fn feed(shared: Arc<Shared>) {
    if !systemd::is_listening() {
        return;
    }
    let watchdog = systemd::watchdog_limit();
    let interval = watchdog.map_or(STATUS_INTERVAL, |limit| {
        (limit / FEEDS_PER_LIMIT).min(STATUS_INTERVAL)
    });
    let mut workers = Workers::default();
    let (mut told_status, mut told_trouble) = (String::new(), None);
    loop {
        let status = shared.in_one_line();
        if status != told_status {
            systemd::notify_status(&status);
            told_status = status;
        }
        let trouble = workers.stalled(&shared.progress(), Instant::now());
        if trouble.is_none() && watchdog.is_some() {
            systemd::feed_watchdog();
        }
        if trouble != told_trouble {
            if let Some(worker) = &trouble {
                tracing::warn!(
                    target: "sync_daemon::daemon",
                    worker,
                    "no progress; the watchdog of systemd is not fed any more"
                );
            }
            told_trouble = trouble;
        }
        tokio::time::sleep(interval).await;
    }
}

/// How far every worker is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Records that the pipeline has been done with, and those it still has.
    pub(super) pipeline: Option<(u64, u64)>,
    /// The runs under way, and when each last took a step.
    pub(super) runs: Vec<(String, Instant)>,
    /// The watchers, and when each last came by.
    pub(super) watchers: Vec<(String, Instant)>,
}

/// Remembers how far the pipeline was.
#[derive(Debug, Default)]
struct Workers {
    /// The number of records done with, and when that last changed.
    pipeline: Option<(u64, Instant)>,
}

impl Workers {
    /// The first worker that makes no progress.
    fn stalled(&mut self, progress: &Progress, now: Instant) -> Option<String> {
        if self.pipeline_stalls(progress.pipeline, now) {
            return Some("the pipeline of log records".to_owned());
        }
        let silent = |last: Instant| now.saturating_duration_since(last);
        let run = progress.runs.iter().find(|run| silent(run.1) > RUN_LIMIT);
        if let Some((id, _)) = run {
            return Some(format!("the job {id}"));
        }
        let mut watchers = progress.watchers.iter();
        let watcher = watchers.find(|watcher| silent(watcher.1) > WATCHER_LIMIT);
        watcher.map(|(id, _)| format!("the watcher {id}"))
    }

    fn pipeline_stalls(&mut self, pipeline: Option<(u64, u64)>, now: Instant) -> bool {
        let Some((done, pending)) = pipeline else {
            return false;
        };
        match self.pipeline {
            Some((known, since)) if known == done && pending > 0 => {
                now.saturating_duration_since(since) > PIPELINE_LIMIT
            }
            _ => {
                self.pipeline = Some((done, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_is_idle_makes_progress() {
        let mut workers = Workers::default();
        let begin = Instant::now();
        let idle = Progress {
            pipeline: Some((7, 0)),
            ..Progress::default()
        };
        assert_eq!(workers.stalled(&idle, begin), None);
        assert_eq!(workers.stalled(&idle, begin + PIPELINE_LIMIT * 2), None);
        assert_eq!(workers.stalled(&Progress::default(), begin), None);
    }

    #[test]
    fn a_pipeline_that_keeps_its_records_stalls_until_it_hands_one_on() {
        let mut workers = Workers::default();
        let begin = Instant::now();
        let at = |done| Progress {
            pipeline: Some((done, 3)),
            ..Progress::default()
        };
        assert_eq!(workers.stalled(&at(7), begin), None);
        assert_eq!(workers.stalled(&at(7), begin + PIPELINE_LIMIT), None);
        let late = begin + PIPELINE_LIMIT + SECOND;
        let who = workers.stalled(&at(7), late).unwrap();
        assert!(who.contains("pipeline"), "{who}");
        assert_eq!(workers.stalled(&at(8), late + SECOND), None);
    }

    #[test]
    fn a_run_or_a_watcher_without_a_step_is_named() {
        let mut workers = Workers::default();
        let begin = Instant::now();
        let progress = Progress {
            runs: vec![("documents".to_owned(), begin)],
            ..Progress::default()
        };
        assert_eq!(workers.stalled(&progress, begin + RUN_LIMIT), None);
        let who = workers.stalled(&progress, begin + RUN_LIMIT + SECOND);
        assert_eq!(who.unwrap(), "the job documents");
        let progress = Progress {
            watchers: vec![("w".to_owned(), begin)],
            ..Progress::default()
        };
        let who = workers.stalled(&progress, begin + WATCHER_LIMIT + SECOND);
        assert_eq!(who.unwrap(), "the watcher w");
    }
}
