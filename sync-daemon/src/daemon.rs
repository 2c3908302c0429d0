//! The daemon: jobs on schedule, a control socket, a metrics endpoint, and an
//! orderly end.

mod answers; // on the control socket
mod reload; // another configuration
mod shared; // where it stands, and what it tells
mod watchdog; // whether everybody makes progress

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use telemetry_core::{Identity, SinkError};
use tokio::sync::mpsc;

use crate::config::{Config, Loaded};
use crate::control::Control;
use crate::error_type::ErrorType;
use crate::jobs::{Scheduler, Trigger, TriggerError};
use crate::signals::Signal;
use crate::state_dir::{StateDir, StateDirError, control_socket};
use crate::systemd;
use crate::telemetry::{Accounts, Levels, Outputs, Setup, Telemetry, TelemetryError};
use crate::version;
use crate::watchers::{Started, Watchers};
use answers::Answers;
use shared::{Phase, Shared};

/// The runtime waits for timers and sockets; everything that works or blocks has
/// a thread of its own. A second one answers while the first is busy.
const RUNTIME_THREADS: usize = 2;
/// How long the thread of a run stays for the next one; it holds memory.
const RUN_THREAD_KEEP_ALIVE: Duration = Duration::from_secs(1);

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
        .worker_threads(RUNTIME_THREADS)
        .thread_keep_alive(RUN_THREAD_KEEP_ALIVE)
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?;
    let shared = Arc::new(Shared::new(&options.loaded, identity, &telemetry));
    #[cfg(feature = "metrics")]
    let _endpoint = serve_metrics(config, &telemetry, &shared);
    let served = runtime.block_on(serve(config, &shared, signals));
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
    shared: &Arc<Shared>,
    mut signals: mpsc::Receiver<Signal>,
) -> Result<(bool, Instant), DaemonError> {
    let scheduler = shared.scheduler.get_or_init(|| Scheduler::start(config));
    let socket = control_socket(&config.daemon.state_dir);
    let control = Control::listen(&socket, Answers(Arc::clone(shared))).map_err(|source| {
        DaemonError::Control {
            path: socket,
            source,
        }
    })?;
    let watchers = shared.watchers.get_or_init(|| watch(config, shared));
    shared.set_phase(Phase::Running);
    tracing::info!(
        target: "sync_daemon::daemon",
        version = version::VERSION,
        revision = version::REVISION,
        jobs = config.sync_jobs.len(),
        watchers = config.file_watchers.len(),
        "sync daemon started"
    );
    systemd::notify_ready();
    tokio::spawn(watchdog::feed(Arc::clone(shared)));
    while let Some(Signal::Hangup) = signals.recv().await {
        // It has told the log what is wrong; a signal has nobody else to be told.
        let _ = shared.reload().await;
    }
    let limit = shared.config().daemon.shutdown_timeout;
    let deadline = Instant::now() + limit;
    shared.set_phase(Phase::Draining);
    systemd::notify_stopping();
    tracing::info!(target: "sync_daemon::daemon", "sync daemon is stopping");
    watchers.stop();
    let jobs_ended = scheduler.stop(limit / 2).await;
    drop(control);
    tracing::info!(target: "sync_daemon::daemon", jobs_ended, "sync daemon stopped");
    Ok((jobs_ended, deadline))
}

/// Starts the file watchers; each starts its job through the scheduler.
fn watch(config: &Config, shared: &Arc<Shared>) -> Watchers {
    // Weak, for `shared` holds the watchers.
    let shared = Arc::downgrade(shared);
    Watchers::start(config, move |job| {
        let Some(shared) = shared.upgrade() else {
            return Started::Never;
        };
        let scheduler = shared.scheduler.get();
        match scheduler.map(|scheduler| scheduler.trigger(job, Trigger::Watcher)) {
            Some(Ok(_)) => Started::Yes,
            Some(Err(TriggerError::Busy { .. })) | None => Started::AskAgain,
            Some(Err(_)) => Started::Never,
        }
    })
}

/// Serves the metrics; a daemon goes on mirroring without them.
#[cfg(feature = "metrics")]
fn serve_metrics(
    config: &Config,
    telemetry: &Telemetry,
    shared: &Arc<Shared>,
) -> Option<telemetry_metrics::ServerThread> {
    use telemetry_metrics::MetricsError;

    let metrics = telemetry.metrics()?;
    let (readiness, status) = (Arc::clone(shared), Arc::clone(shared));
    let settings = &config.telemetry.metrics;
    let served = crate::telemetry::serve_metrics(
        metrics,
        settings,
        move || readiness.readiness(),
        move || status.status(),
    );
    match served {
        Ok(server) => {
            let address = format!("http://{}/metrics", server.local_addr());
            tracing::info!(target: "sync_daemon::daemon", address, "serving metrics");
            // Nobody else sets it.
            let _ = shared.metrics.set(address);
            Some(server)
        }
        Err(error) => {
            let advice = match error {
                MetricsError::Bind { .. } => {
                    "change `telemetry.metrics.port` or `bind_address`, or set `telemetry.metrics.enabled = false`"
                }
                _ => "see `[telemetry.metrics]`, or set `telemetry.metrics.enabled = false`",
            };
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
