//! The pipeline of log records and the metrics behind the endpoint, composed
//! from the telemetry crates by features and configuration.
//!
//! ```text
//! tracing event ─▶ Capture ─▶ Queue ─▶ Sanitized ─▶ Tee ─┬▶ Console (behind a queue of its own)
//!                                                        ├▶ File
//!                                                        ├▶ Counter
//!                                                        └▶ PocketBase
//! ```

use std::io::IsTerminal as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use telemetry_core::{
    Capture, Console, Filtered, Format, Identity, Queue, QueueConfig, RepeatLimit, Sink, SinkError,
    SinkStats, Tee, WhenFull,
};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::config;

mod levels;

#[cfg(feature = "file")]
mod file;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "pocketbase")]
pub mod pocketbase;
#[cfg(feature = "sanitize")]
mod sanitize;

pub use levels::{AtRunTime, LevelControl, Levels, LevelsError, Setting};
#[cfg(feature = "metrics")]
pub use metrics::{Metrics, serve as serve_metrics};
#[cfg(feature = "sanitize")]
pub use sanitize::{keyed_sanitizer, rules, sanitizer_of_secrets};

/// Records that wait for the console; a stopped terminal holds no more.
const CONSOLE_CAPACITY: usize = 1024;
const CONSOLE_MAX_BYTES: usize = 2 << 20;

/// What the pipeline is made of.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The checked configuration.
    pub settings: &'a config::Telemetry,
    /// `RUST_LOG` and the command line.
    pub levels: &'a Levels,
    /// Colours on the console, where it is for people.
    pub color: bool,
    /// Who the records come from.
    pub identity: Identity,
    /// Where the records go.
    pub outputs: Outputs,
    /// Where the spool is.
    pub state_dir: &'a Path,
    /// The jobs whose metrics are there from the start.
    pub job_ids: &'a [String],
}

impl Setup<'_> {
    fn uploads(&self) -> bool {
        self.outputs == Outputs::All && self.settings.pocketbase_logging.enabled
    }
}

/// Where records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// Wherever the configuration says.
    All,
    /// To the console, and nowhere else.
    Console,
}

/// Why there is no pipeline. Each is a mistake of the configuration, but for
/// [`AlreadyInstalled`](Self::AlreadyInstalled).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// `RUST_LOG` is malformed.
    #[error(transparent)]
    Levels(#[from] LevelsError),
    /// The log file cannot be what the configuration says.
    #[cfg(feature = "file")]
    #[error("`telemetry.log_file_path`: {0}")]
    File(#[from] telemetry_file::FileError),
    /// The uploader cannot start.
    #[cfg(feature = "pocketbase")]
    #[error("`telemetry.pocketbase_logging`: {0}")]
    PocketBase(#[from] telemetry_pocketbase::PocketBaseError),
    /// A rule of the sanitizer is wrong.
    #[cfg(feature = "sanitize")]
    #[error("`telemetry.sanitize`: {0}")]
    Sanitize(#[from] telemetry_sanitize::SanitizeError),
    /// The key of the tags in replacements cannot be read or made.
    #[cfg(feature = "sanitize")]
    #[error("`telemetry.sanitize.keyed_hash`: the key {path}: {source}")]
    HashKey {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The recorder cannot be installed.
    #[cfg(feature = "metrics")]
    #[error("`telemetry.metrics`: {0}")]
    Metrics(#[from] telemetry_metrics::MetricsError),
    /// Records would leave this machine unsanitized.
    #[error(
        "`telemetry.pocketbase_logging` would upload unsanitized records: {why}; or accept that with `allow_unsanitized = true`"
    )]
    Unsanitized {
        /// What to change.
        why: &'static str,
    },
    /// Another pipeline was installed in this process before.
    #[error("this process has a tracing subscriber already")]
    AlreadyInstalled,
}

/// The telemetry of this process, until it is closed.
#[must_use = "close it, or the last records are lost"]
pub struct Telemetry {
    pipeline: Option<Arc<Queue>>,
    #[cfg(feature = "metrics")]
    metrics: Option<Metrics>,
    levels: Option<Arc<LevelControl>>,
    repeats: Option<(RepeatLimit, Identity)>,
    notes: Vec<String>,
    clean: Clean,
}

/// Redacts a text. For what reaches people past the pipeline: errors in answers and on the page.
pub type Clean = Arc<dyn Fn(&str) -> String + Send + Sync>;

impl Telemetry {
    /// Builds the pipeline of the configuration and installs it for the whole
    /// process: subscriber, bridge for the `log` crate, panic hook, recorder, and
    /// the redaction of what is told past it.
    ///
    /// # Errors
    /// If the configuration asks for what cannot be.
    pub fn start(setup: &Setup<'_>) -> Result<Self, TelemetryError> {
        let settings = setup.settings;
        let clean = clean(settings)?;
        let told = Arc::clone(&clean);
        telemetry_core::redact_told(move |line| told(line));
        if !settings.enabled {
            return Ok(Self::none(clean));
        }
        let notes = sanitizing_notes(setup)?;
        // Handles made before the recorder are dead for ever: it comes first.
        #[cfg(feature = "metrics")]
        let metrics = Metrics::install(setup, &clean)?;

        let console = console(settings, setup.color);
        let file = file_sink(setup)?;
        #[cfg(feature = "metrics")]
        let counter = metrics.as_ref().map(Metrics::sinks);
        #[cfg(not(feature = "metrics"))]
        let counter = None;
        let pocketbase = pocketbase_sink(setup)?;

        // Closed in this order: the uploader last, with the time that is left.
        let sinks = [console, file, counter, pocketbase];
        let pipeline = Arc::new(Queue::start(
            queue_config(settings),
            sanitized(setup, Tee::of(sinks.into_iter().flatten()))?,
        ));

        #[cfg(feature = "metrics")]
        if let Some(metrics) = &metrics {
            metrics.show_accounts(Arc::clone(&pipeline));
        }
        let repeats = repeat_limit(settings);
        let levels = install(setup, Arc::clone(&pipeline), repeats.as_ref())?;
        tracing::debug!(
            sinks = names(&*pipeline).join(", "),
            queue_capacity = settings.queue_capacity,
            "telemetry pipeline started"
        );
        for note in &notes {
            tracing::warn!("{note}");
        }
        Ok(Self {
            pipeline: Some(pipeline),
            #[cfg(feature = "metrics")]
            metrics,
            levels: Some(Arc::new(levels)),
            repeats: repeats.map(|limit| (limit, setup.identity)),
            notes,
            clean,
        })
    }

    /// None at all, as `telemetry.enabled = false` asks for.
    fn none(clean: Clean) -> Self {
        Self {
            pipeline: None,
            #[cfg(feature = "metrics")]
            metrics: None,
            levels: None,
            repeats: None,
            notes: vec!["telemetry is off (telemetry.enabled = false)".to_owned()],
            clean,
        }
    }

    /// Redacts with the rules of the pipeline what does not go through it.
    pub fn clean(&self) -> Clean {
        Arc::clone(&self.clean)
    }

    /// What somebody should know about this build and configuration.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the endpoint shows, if metrics are on.
    #[cfg(feature = "metrics")]
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// Changes the levels; `None` where telemetry is off.
    pub fn levels(&self) -> Option<Arc<LevelControl>> {
        self.levels.clone()
    }

    /// A handle on the accounts of all sinks, in the order of the pipeline.
    pub fn accounts(&self) -> Accounts {
        Accounts(self.pipeline.clone())
    }

    /// Opens the log file anew, after a rotation from outside.
    pub fn reopen(&self) {
        self.accounts().reopen();
    }

    /// Writes out and uploads what is pending, and ends the pipeline; blocks for
    /// `limit` at most. Later events are lost.
    ///
    /// # Errors
    /// [`SinkError::Timeout`] if something is left: in the spool for the next
    /// start, or lost and counted.
    pub fn close(&self, limit: Duration) -> Result<(), SinkError> {
        let Some(pipeline) = &self.pipeline else {
            return Ok(());
        };
        if let Some((repeats, identity)) = &self.repeats {
            repeats.tell_rest(*identity, &**pipeline);
        }
        pipeline.close(limit)
    }
}

/// Reads the accounts of the pipeline, while somebody else holds it.
#[derive(Clone)]
pub struct Accounts(Option<Arc<Queue>>);

impl Accounts {
    /// Opens the log file anew, after a rotation from outside.
    pub fn reopen(&self) {
        if let Some(pipeline) = &self.0 {
            pipeline.reopen();
        }
    }

    /// One snapshot of every sink.
    pub fn snapshot(&self) -> Vec<SinkStats> {
        let mut stats = Vec::new();
        if let Some(pipeline) = &self.0 {
            pipeline.stats(&mut stats);
        }
        stats
    }
}

/// The sinks of a pipeline by name, in its order.
fn names(pipeline: &dyn Sink) -> Vec<String> {
    let mut stats = Vec::new();
    pipeline.stats(&mut stats);
    let names = stats.into_iter().map(|stats| stats.name.into_owned());
    names.collect()
}

fn install(
    setup: &Setup<'_>,
    pipeline: Arc<Queue>,
    repeats: Option<&RepeatLimit>,
) -> Result<LevelControl, TelemetryError> {
    let (control, filter) = LevelControl::new(setup.levels, setup.settings.log_level)?;
    let capture = Capture::new(setup.identity, Arc::clone(&pipeline))
        .with_span_events(setup.settings.span_events)
        .with_repeat_limit(repeats.cloned());
    let subscriber = tracing_subscriber::registry().with(filter).with(capture);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| TelemetryError::AlreadyInstalled)?;
    telemetry_core::install_log_bridge().map_err(|_| TelemetryError::AlreadyInstalled)?;
    telemetry_core::install_panic_hook(move |limit| {
        // The panic is on its way; a pipeline that cannot flush has said so.
        let _ = pipeline.flush(limit);
    });
    Ok(control)
}

/// `None`: floods are not thinned.
fn repeat_limit(settings: &config::Telemetry) -> Option<RepeatLimit> {
    let limit = NonZeroU32::new(settings.repeat_limit_per_sec)?;
    let suppressed = ::metrics::counter!("log_records_suppressed_total");
    Some(RepeatLimit::counting(limit, move || {
        suppressed.increment(1)
    }))
}

fn queue_config(settings: &config::Telemetry) -> QueueConfig {
    QueueConfig {
        capacity: settings.queue_capacity,
        max_bytes: settings.queue_max_bytes as usize,
        when_full: match settings.when_full {
            config::WhenFull::Drop => WhenFull::DropNewest,
            config::WhenFull::Block => WhenFull::Block(settings.block_timeout),
        },
        ..QueueConfig::default()
    }
}

fn console(settings: &config::Telemetry, color: bool) -> Option<Box<dyn Sink>> {
    if !settings.console_logging {
        return None;
    }
    let pretty = match settings.console_format {
        config::ConsoleFormat::Auto => std::io::stderr().is_terminal(),
        config::ConsoleFormat::Pretty => true,
        config::ConsoleFormat::Json => false,
    };
    let format = if pretty {
        Format::Pretty { color }
    } else {
        Format::Json
    };
    let queue = QueueConfig {
        name: "console_queue",
        capacity: CONSOLE_CAPACITY,
        max_bytes: CONSOLE_MAX_BYTES,
        ..QueueConfig::default()
    };
    let console = Console::new(format).with_priorities(telemetry_core::stderr_is_journal());
    let console = Queue::start(queue, console);
    Some(Box::new(Filtered::new(settings.console_min_level, console)))
}

/// `None` where files are not part of this build, or not wanted.
fn file_sink(setup: &Setup<'_>) -> Result<Option<Box<dyn Sink>>, TelemetryError> {
    #[cfg(feature = "file")]
    if setup.outputs == Outputs::All {
        return Ok(Some(file::open(setup.settings)?));
    }
    let _ = setup;
    Ok(None)
}

/// `None` where uploads are off, or not part of this build (which the
/// configuration has checked), or not wanted.
fn pocketbase_sink(setup: &Setup<'_>) -> Result<Option<Box<dyn Sink>>, TelemetryError> {
    #[cfg(feature = "pocketbase")]
    if setup.uploads() {
        let settings = &setup.settings.pocketbase_logging;
        return Ok(Some(pocketbase::start(settings, setup.state_dir)?));
    }
    let _ = setup;
    Ok(None)
}

#[cfg(feature = "sanitize")]
fn sanitized(
    setup: &Setup<'_>,
    next: impl Sink + 'static,
) -> Result<Box<dyn Sink>, TelemetryError> {
    sanitize::before(&setup.settings.sanitize, setup.state_dir, next)
}

#[cfg(not(feature = "sanitize"))]
fn sanitized(_: &Setup<'_>, next: impl Sink + 'static) -> Result<Box<dyn Sink>, TelemetryError> {
    Ok(Box::new(next))
}

#[cfg(feature = "sanitize")]
fn clean(settings: &config::Telemetry) -> Result<Clean, TelemetryError> {
    let sanitizer = sanitize::sanitizer(&settings.sanitize)?;
    Ok(Arc::new(move |text| sanitizer.text(text).into_owned()))
}

#[cfg(not(feature = "sanitize"))]
fn clean(_: &config::Telemetry) -> Result<Clean, TelemetryError> {
    Ok(Arc::new(str::to_owned))
}

/// Says loudly that nothing is redacted, and refuses to upload that.
fn sanitizing_notes(setup: &Setup<'_>) -> Result<Vec<String>, TelemetryError> {
    let why = if !cfg!(feature = "sanitize") {
        "build with the feature `sanitize`"
    } else if !setup.settings.sanitize.enabled {
        "set `telemetry.sanitize.enabled = true`"
    } else {
        return Ok(Vec::new());
    };
    if setup.uploads() && !setup.settings.pocketbase_logging.allow_unsanitized {
        return Err(TelemetryError::Unsanitized { why });
    }
    Ok(vec![format!(
        "nothing is redacted: secrets and home directories reach the log as they are; {why}"
    )])
}
