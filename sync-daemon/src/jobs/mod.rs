//! Jobs: what is mirrored where, when it runs, and how a run is told about.
//!
//! - [`Job`]: a configured mirror, ready to run;
//! - [`run`]: one run, with its span, its metrics and its closing event;
//! - [`Scheduler`]: when jobs run, one at a time each;
//! - [`CronTimes`]: the times of a cron expression.

mod cron; // expressions, zones, clocks that change
mod job; // what to mirror
mod job_metrics; // counting it
mod job_task; // one job, from trigger to trigger
mod run; // one run
mod run_queue; // who may run now
mod scheduler; // all jobs
mod timetable; // when the next start is due

pub use cron::CronTimes;
pub use job::{Job, Trigger};
pub use job_metrics::JobMetrics;
#[cfg(feature = "metrics")]
pub use job_metrics::presets;
pub use run::{RunSummary, run};
pub use scheduler::{JobState, JobStatus, QueueStatus, Scheduler, TriggerError};
