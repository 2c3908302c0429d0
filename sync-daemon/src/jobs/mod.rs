//! Jobs: what is mirrored where, when it runs, and how a run is told about.
//!
//! - [`Job`]: a configured mirror, ready to run;
//! - [`run`]: one run, with its span, its metrics and its closing event;
//! - [`Scheduler`]: when jobs run, one at a time each.

mod job;
mod job_metrics;
mod run;
mod scheduler;

pub use job::{Job, Trigger};
pub use job_metrics::JobMetrics;
#[cfg(feature = "metrics")]
pub use job_metrics::presets;
pub use run::{RunSummary, run};
pub use scheduler::{JobState, JobStatus, Scheduler, TriggerError};
