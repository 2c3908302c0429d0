//! The daemon: jobs on schedule, a control socket, a metrics endpoint, and an
//! orderly end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use telemetry_core::{Health, Identity, SinkError};
use tokio::sync::mpsc;

use crate::config::{Config, Loaded};
use crate::control::{Control, Handler, Reply, Request, Response, SinkReport, StatusReport};
use crate::error_type::ErrorType;
use crate::jobs::{Job, Scheduler, Trigger};
use crate::signals::Signal;
use crate::state_dir::{StateDir, StateDirError, control_socket};
use crate::systemd;
use crate::telemetry::{Accounts, Levels, Outputs, Setup, Telemetry, TelemetryError};
use crate::version;

/// What a daemon is started with.
#[derive(Debug)]
pub struct Options {
    /// The checked configuration and its files.
    pub loaded: Loaded,
    /// `RUST_LOG` and the command line.
    pub levels: Levels,
    /// Colours on the console.
    pub color: bool,
}

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// Its state directory cannot be used, or another daemon uses it.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The configuration of the telemetry is wrong.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The runtime cannot start.
    #[error("cannot start the threads of the daemon: {0}")]
    Runtime(#[source] std::io::Error),
    /// Nobody could talk to it.
    #[error("cannot listen on the control socket {path}: {source}; see `daemon.state_dir`")]
    Control {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a daemon left behind.
#[derive(Debug)]
pub struct Ending {
    /// Why telemetry was not done in time, if it was not.
    pub telemetry: Result<(), SinkError>,
    /// True if every run of a job had ended.
    pub jobs_ended: bool,
    /// Records that wait in the spool for the next start.
    pub spooled: u64,
}

/// Runs a daemon until `signals` says [`Signal::Stop`], or nobody is left to say it.
///
/// Blocks. Installs the telemetry of this process, which can be done once. The
/// whole end takes `daemon.shutdown_timeout_secs` at most: half of it for the
/// runs that are under way (then they are cancelled), the rest for the records.
///
/// # Errors
/// If it cannot start; nothing was mirrored then.
pub fn run(options: Options, signals: mpsc::Receiver<Signal>) -> Result<Ending, DaemonError> {
    let config = &options.loaded.config;
    let state_dir = StateDir::open(&config.daemon.state_dir)?;
    let identity = Identity::new(state_dir.daemon_id());
    let job_ids: Vec<String> = config.sync_jobs.iter().map(|job| job.id.clone()).collect();
    let telemetry = Telemetry::start(&Setup {
        settings: &config.telemetry,
        levels: &options.levels,
        color: options.color,
        identity,
        outputs: Outputs::All,
        state_dir: state_dir.path(),
        job_ids: &job_ids,
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("sync-daemon")
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?;
    let shared = Arc::new(Shared::new(&options.loaded, identity, &telemetry));
    #[cfg(feature = "metrics")]
    let _endpoint = serve_metrics(config, &telemetry, &shared);
    let served = runtime.block_on(serve(config, &telemetry, &shared, signals));
    let (jobs_ended, deadline) = match served {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(error_type = ErrorType::Internal.as_str(), %error, "sync daemon cannot start");
            // It has not started: what the pipeline cannot take now is on the console.
            let _ = telemetry.close(config.daemon.shutdown_timeout);
            return Err(error);
        }
    };
    runtime.shutdown_timeout(Duration::ZERO);
    let rest = deadline.saturating_duration_since(Instant::now());
    let closed = telemetry.close(rest);
    Ok(Ending {
        telemetry: closed,
        jobs_ended,
        spooled: pending_in(&telemetry.accounts(), "pocketbase"),
    })
}

/// Serves until the signal to stop; returns whether all runs ended, and when
/// the process must have ended.
async fn serve(
    config: &Config,
    telemetry: &Telemetry,
    shared: &Arc<Shared>,
    mut signals: mpsc::Receiver<Signal>,
) -> Result<(bool, Instant), DaemonError> {
    let jobs = config.sync_jobs.iter().map(|job| {
        let runnable = Job::new(job, &config.concurrency);
        (runnable, job.schedule.clone(), job.enabled)
    });
    let scheduler = shared.scheduler.get_or_init(|| {
        let limits = &config.concurrency;
        Scheduler::start(jobs, limits.max_concurrent_syncs, limits.sync_queue_size)
    });
    let socket = control_socket(&config.daemon.state_dir);
    let control = Control::listen(&socket, Answers(Arc::clone(shared))).map_err(|source| {
        DaemonError::Control {
            path: socket,
            source,
        }
    })?;
    shared.set_phase(Phase::Running);
    tracing::info!(
        target: "sync_daemon::daemon",
        version = version::VERSION,
        revision = version::REVISION,
        jobs = config.sync_jobs.len(),
        "sync daemon started"
    );
    systemd::notify_ready();
    while let Some(Signal::Hangup) = signals.recv().await {
        telemetry.reopen();
        tracing::info!(target: "sync_daemon::daemon", "log file reopened");
    }
    let deadline = Instant::now() + config.daemon.shutdown_timeout;
    shared.set_phase(Phase::Draining);
    systemd::notify_stopping();
    tracing::info!(target: "sync_daemon::daemon", "sync daemon is stopping");
    let jobs_ended = scheduler.stop(config.daemon.shutdown_timeout / 2).await;
    drop(control);
    tracing::info!(target: "sync_daemon::daemon", jobs_ended, "sync daemon stopped");
    Ok((jobs_ended, deadline))
}

/// Serves the metrics; a daemon goes on mirroring without them.
#[cfg(feature = "metrics")]
fn serve_metrics(
    config: &Config,
    telemetry: &Telemetry,
    shared: &Arc<Shared>,
) -> Option<telemetry_metrics::ServerThread> {
    let recorder = telemetry.recorder()?;
    let readiness = Arc::clone(shared);
    let settings = &config.telemetry.metrics;
    let served = crate::telemetry::serve_metrics(recorder, settings, move || readiness.readiness());
    match served {
        Ok(server) => {
            let address = format!("http://{}/metrics", server.local_addr());
            tracing::info!(target: "sync_daemon::daemon", address, "serving metrics");
            // Nobody else sets it.
            let _ = shared.metrics.set(address);
            Some(server)
        }
        Err(error) => {
            let advice = "change `telemetry.metrics.port` or `bind_address`, or set `telemetry.metrics.enabled = false`";
            tracing::error!(
                target: "sync_daemon::daemon",
                error_type = ErrorType::Metrics.as_str(),
                %error,
                advice,
                "no metrics endpoint; everything else goes on"
            );
            shared.add_note(format!("no metrics endpoint: {error}; {advice}"));
            None
        }
    }
}

fn pending_in(accounts: &Accounts, sink: &str) -> u64 {
    let snapshot = accounts.snapshot();
    let sink = snapshot.iter().find(|stats| stats.name == sink);
    sink.map_or(0, |stats| stats.pending)
}

/// Where the daemon is between start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Draining,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Starting, Self::Running, Self::Draining];

    fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
        }
    }
}

/// What the control socket and the endpoint tell of the daemon.
struct Shared {
    phase: AtomicU8,
    started: Instant,
    identity: Identity,
    config_files: Vec<PathBuf>,
    metrics: OnceLock<String>,
    notes: Mutex<Vec<String>>,
    accounts: Accounts,
    scheduler: OnceLock<Scheduler>,
}

impl Shared {
    fn new(loaded: &Loaded, identity: Identity, telemetry: &Telemetry) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            started: Instant::now(),
            identity,
            config_files: loaded.files.clone(),
            metrics: OnceLock::new(),
            notes: Mutex::new(telemetry.notes().to_vec()),
            accounts: telemetry.accounts(),
            scheduler: OnceLock::new(),
        }
    }

    fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire))]
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn add_note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
    }

    /// The notes of the start, and what the sinks have to say.
    fn notes(&self) -> Vec<String> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes = notes.clone();
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
    fn readiness(&self) -> telemetry_metrics::Readiness {
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

    fn status(&self) -> StatusReport {
        let jobs = self.scheduler.get().map(Scheduler::status);
        let jobs = jobs.unwrap_or_default();
        StatusReport {
            version: version::VERSION.to_owned(),
            pid: std::process::id(),
            state: self.phase().as_str().to_owned(),
            uptime_secs: self.started.elapsed().as_secs(),
            daemon_id: self.identity.daemon_id().to_string(),
            session_id: self.identity.session_id().to_string(),
            config_files: self.config_files.clone(),
            metrics: self.metrics.get().cloned(),
            notes: self.notes(),
            jobs: jobs
                .iter()
                .map(|job| serde_json::to_value(job).unwrap_or_default())
                .collect(),
            sinks: self
                .accounts
                .snapshot()
                .into_iter()
                .map(SinkReport::from)
                .collect(),
        }
    }

    async fn trigger(&self, job: &str, wait: bool) -> Response {
        let Some(scheduler) = self.scheduler.get() else {
            return Response::Error("the daemon is still starting".to_owned());
        };
        let answer = match scheduler.trigger(job, Trigger::Manual) {
            Ok(answer) => answer,
            Err(error) => return Response::Error(error.to_string()),
        };
        if !wait {
            return Response::Ok(Reply::Triggered);
        }
        match answer.await {
            Ok(summary) => match serde_json::to_value(summary) {
                Ok(summary) => Response::Ok(Reply::Finished(summary)),
                Err(error) => Response::Error(error.to_string()),
            },
            Err(_) => Response::Error("the daemon stopped before the job ran".to_owned()),
        }
    }
}

/// Answers on the control socket.
struct Answers(Arc<Shared>);

impl Handler for Answers {
    async fn handle(&self, request: Request) -> Response {
        match request {
            Request::Status => Response::Ok(Reply::Status(Box::new(self.0.status()))),
            Request::Trigger { job, wait } => self.0.trigger(&job, wait).await,
        }
    }
}
