//! What the parts of a running daemon share: where it stands, its
//! configuration, and what it tells about itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use telemetry_core::{Health, Identity};
use tracing::level_filters::LevelFilter;

use super::watchdog::Progress;
use crate::config::{Config, Loaded, exposed_secrets};
use crate::control::{LevelSet, SinkReport, StatusReport, UploadReport};
use crate::jobs::Scheduler;
use crate::mirror::Status;
use crate::telemetry::{Accounts, AtRunTime, Clean, LevelControl, Telemetry};
use crate::version;
use crate::watchers::{WatcherState, WatcherStatus, Watchers};

/// Where the daemon is between start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Running,
    Draining,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Starting, Self::Running, Self::Draining];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
        }
    }
}

/// What the control socket, the endpoint and systemd are told of the daemon.
pub(super) struct Shared {
    phase: AtomicU8,
    started: Instant,
    identity: Identity,
    pub(super) config_files: Vec<PathBuf>,
    /// The pipeline and the endpoint are built from this, and not again.
    pub(super) started_with: Config,
    config: Mutex<Arc<Config>>,
    pub(super) reloading: tokio::sync::Mutex<()>,
    pub(super) metrics: OnceLock<String>,
    /// Of the start.
    notes: Mutex<Vec<String>>,
    /// Of the last reload.
    reload_notes: Mutex<Vec<String>>,
    pub(super) accounts: Accounts,
    /// Redacts what is told past the pipeline.
    pub(super) clean: Clean,
    pub(super) levels: Option<Arc<LevelControl>>,
    #[cfg(feature = "metrics")]
    recorder: Option<telemetry_metrics::Handle>,
    pub(super) scheduler: OnceLock<Scheduler>,
    pub(super) watchers: OnceLock<Watchers>,
}

impl Shared {
    pub(super) fn new(loaded: &Loaded, identity: Identity, telemetry: &Telemetry) -> Self {
        let exposed = exposed_secrets(loaded);
        for note in &exposed {
            tracing::warn!(target: "sync_daemon::daemon", "{note}");
        }
        let mut notes = telemetry.notes().to_vec();
        notes.extend(exposed);
        Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            started: Instant::now(),
            identity,
            config_files: loaded.files.clone(),
            started_with: loaded.config.clone(),
            config: Mutex::new(Arc::new(loaded.config.clone())),
            reloading: tokio::sync::Mutex::default(),
            metrics: OnceLock::new(),
            notes: Mutex::new(notes),
            reload_notes: Mutex::default(),
            accounts: telemetry.accounts(),
            clean: telemetry.clean(),
            levels: telemetry.levels(),
            #[cfg(feature = "metrics")]
            recorder: telemetry.metrics().map(|metrics| metrics.handle()),
            scheduler: OnceLock::new(),
            watchers: OnceLock::new(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire))]
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.config))
    }

    pub(super) fn set_config(&self, config: Arc<Config>) {
        *lock(&self.config) = config;
    }

    /// Only the endpoint adds notes of its own.
    #[cfg(feature = "metrics")]
    pub(super) fn add_note(&self, note: String) {
        lock(&self.notes).push(note);
    }

    /// Replaces what the last reload had to say.
    pub(super) fn set_reload_notes(&self, notes: Vec<String>) {
        *lock(&self.reload_notes) = notes;
    }

    /// Sets the level of every target, for a while or until it is taken back;
    /// `None` takes it back now. Returns the levels in force.
    ///
    /// # Errors
    /// If telemetry is off.
    pub(super) fn set_level(
        &self,
        level: Option<LevelFilter>,
        limit: Option<Duration>,
    ) -> Result<String, String> {
        let Some(levels) = &self.levels else {
            return Err("telemetry is off (telemetry.enabled = false)".to_owned());
        };
        // A limit beyond the end of the calendar holds for ever.
        let until = limit.and_then(|limit| Timestamp::now().checked_add(limit).ok());
        let setting = levels.set_at_run_time(level.map(|level| AtRunTime { level, until }));
        if let (Some(limit), Some(_)) = (limit, level) {
            let levels = Arc::clone(levels);
            tokio::spawn(async move {
                tokio::time::sleep(limit).await;
                if levels.end(setting) {
                    tell_level(&levels);
                }
            });
        }
        tell_level(levels);
        Ok(levels.in_force())
    }

    /// The notes of the start and of the last reload, and what watchers and
    /// sinks have to say.
    fn notes(&self) -> Vec<String> {
        let mut notes = lock(&self.notes).clone();
        notes.extend(lock(&self.reload_notes).iter().cloned());
        for watcher in self.watcher_status() {
            if let (Some(reason), false) =
                (&watcher.reason, watcher.state == WatcherState::Watching)
            {
                let (id, state) = (&watcher.id, watcher.state.as_str());
                notes.push(format!("watcher {id} is {state}: {reason}"));
            }
        }
        for stats in self.accounts.snapshot() {
            match stats.health {
                Health::Good => {}
                Health::Degraded(why) | Health::Failing(why) => {
                    notes.push(format!("{}: {why}", stats.name));
                }
            }
        }
        notes
    }

    #[cfg(feature = "metrics")]
    pub(super) fn readiness(&self) -> telemetry_metrics::Readiness {
        let mut reasons = Vec::new();
        if self.phase() != Phase::Running {
            reasons.push(format!("the daemon is {}", self.phase().as_str()));
        }
        for stats in self.accounts.snapshot() {
            if let ("file", Health::Failing(why)) = (stats.name.as_ref(), &stats.health) {
                reasons.push(format!("the log file cannot be written: {why}"));
            }
        }
        telemetry_metrics::Readiness {
            reasons,
            notes: self.notes(),
        }
    }

    /// How everything is. Renders all metrics where uploads are on: not for an
    /// async thread.
    pub(super) fn status(&self) -> StatusReport {
        let scheduler = self.scheduler.get();
        StatusReport {
            version: version::VERSION.to_owned(),
            pid: std::process::id(),
            state: self.phase().as_str().to_owned(),
            uptime_secs: self.started.elapsed().as_secs(),
            daemon_id: self.identity.daemon_id().to_string(),
            session_id: self.identity.session_id().to_string(),
            config_files: self.config_files.clone(),
            metrics: self.metrics.get().cloned(),
            log_level: self.levels.as_ref().map(|levels| levels.in_force()),
            log_level_set: self.level_set(),
            notes: self.notes(),
            jobs: scheduler.map_or_else(Vec::new, |scheduler| values(scheduler.status())),
            queue: scheduler.map_or(Value::Null, |scheduler| value(scheduler.queue())),
            watchers: values(self.watcher_status()),
            upload: self.upload(),
            sinks: self
                .accounts
                .snapshot()
                .into_iter()
                .map(SinkReport::from)
                .collect(),
        }
    }

    /// The figures of the uploader are metrics, and nowhere else.
    fn upload(&self) -> Option<UploadReport> {
        #[cfg(feature = "metrics")]
        if self.started_with.telemetry.pocketbase_logging.enabled {
            let metrics = self.recorder.as_ref()?.render();
            // Counts and bytes are far below 2^53, where the conversion is exact.
            let figure = |name: &str| figure(&metrics, name).map(|figure| figure as u64);
            let breaker = match figure("pocketbase_circuit_breaker_state")? {
                0 => "closed",
                1 => "half_open",
                _ => "open",
            };
            return Some(UploadReport {
                breaker: breaker.to_owned(),
                buffered: figure("log_buffer_size")?,
                spool_bytes: figure("log_spool_bytes")?,
                dead_letters: figure("log_dead_letters")?,
            });
        }
        None
    }

    fn level_set(&self) -> Option<LevelSet> {
        let set = self.levels.as_ref()?.at_run_time()?;
        Some(LevelSet {
            level: set.level.to_string(),
            until: set.until,
        })
    }

    fn watcher_status(&self) -> Vec<WatcherStatus> {
        self.watchers.get().map_or_else(Vec::new, Watchers::status)
    }

    /// How far every worker is, for the watchdog.
    pub(super) fn progress(&self) -> Progress {
        let queue = self.accounts.snapshot().into_iter();
        let queue = queue.into_iter().find(|stats| stats.name == "queue");
        Progress {
            pipeline: queue.map(|stats| {
                let done = stats.delivered + stats.dropped + stats.rejected;
                (done, stats.pending)
            }),
            runs: self
                .scheduler
                .get()
                .map_or_else(Vec::new, Scheduler::last_steps),
            watchers: self
                .watchers
                .get()
                .map_or_else(Vec::new, Watchers::last_steps),
        }
    }

    /// For `systemctl status`, which others than the daemon's user may read.
    pub(super) fn in_one_line(&self) -> String {
        let phase = self.phase().as_str();
        let Some(scheduler) = self.scheduler.get() else {
            return phase.to_owned();
        };
        let (jobs, queue) = (scheduler.last_ends(), scheduler.queue());
        let watchers = self.watcher_status();
        let watching = |watcher: &&WatcherStatus| watcher.state == WatcherState::Watching;
        let mut line = format!(
            "{phase}: {} jobs, {} running, {} waiting; {} of {} watchers active",
            jobs.len(),
            queue.running,
            queue.waiting,
            watchers.iter().filter(watching).count(),
            watchers.len(),
        );
        let is_bad = |end: &Option<Status>| end.is_some_and(|end| end != Status::Success);
        let bad = jobs.iter().filter(|(_, end)| is_bad(end));
        let bad: Vec<&str> = bad.map(|(id, _)| id.as_str()).collect();
        if !bad.is_empty() {
            line.push_str("; last run not successful: ");
            line.push_str(&(self.clean)(&bad.join(", ")));
        }
        line
    }
}

fn tell_level(levels: &LevelControl) {
    let level = levels.in_force();
    tracing::info!(target: "sync_daemon::daemon", level, "log level set");
}

/// The value of a series without labels in the text of Prometheus.
#[cfg(feature = "metrics")]
fn figure(metrics: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    metrics.lines().find_map(value)
}

fn values(items: Vec<impl Serialize>) -> Vec<Value> {
    items.into_iter().map(value).collect()
}

/// What is plain data is always JSON.
fn value(item: impl Serialize) -> Value {
    serde_json::to_value(item).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::figure;

    #[test]
    fn figures_are_found_by_their_whole_name() {
        let text = "# TYPE a gauge\na_b 3\na{x=\"y\"} 4\na 2.5\n";
        assert_eq!(figure(text, "a"), Some(2.5));
        assert_eq!(figure(text, "b"), None);
    }
}
