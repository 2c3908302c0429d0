//! What is said over the control socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use telemetry_core::{Health, SinkStats};

/// Longest line that either side reads.
pub const MAX_LINE_BYTES: u64 = 4 << 20;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How the daemon is.
    Status,
    /// Run a job now.
    Trigger {
        /// The job's id.
        job: String,
        /// Answer when the run has ended, not when it is asked for.
        #[serde(default)]
        wait: bool,
    },
}

/// What the daemon answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Done.
    Ok(Reply),
    /// Not done: why, for people.
    Error(String),
}

/// The content of a successful answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Answer to [`Request::Status`].
    Status(Box<StatusReport>),
    /// The job will run.
    Triggered,
    /// The job has run: its summary.
    Finished(Value),
}

/// How the daemon is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusReport {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// `starting`, `running` or `draining`.
    pub state: String,
    /// Seconds since the start.
    pub uptime_secs: u64,
    /// Survives restarts.
    pub daemon_id: String,
    /// New for each process.
    pub session_id: String,
    /// The files that the configuration came from.
    pub config_files: Vec<PathBuf>,
    /// Where the metrics are, if they are.
    pub metrics: Option<String>,
    /// What somebody should know, in words.
    pub notes: Vec<String>,
    /// The jobs with their last and next run.
    pub jobs: Vec<Value>,
    /// The accounts of the sinks, in the order of the pipeline.
    pub sinks: Vec<SinkReport>,
}

/// The accounts of one sink.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SinkReport {
    /// Its name, as in the metrics.
    pub sink: String,
    /// `good`, `degraded` or `failing`.
    pub health: String,
    /// Why it is not good.
    pub reason: Option<String>,
    /// Records offered to it.
    pub accepted: u64,
    /// Records that reached the destination.
    pub delivered: u64,
    /// Records lost on the way.
    pub dropped: u64,
    /// Records that the destination refused.
    pub rejected: u64,
    /// Records on their way.
    pub pending: u64,
    /// What was lost, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub lost: BTreeMap<String, u64>,
}

impl From<SinkStats> for SinkReport {
    fn from(stats: SinkStats) -> Self {
        let (health, reason) = match stats.health {
            Health::Good => ("good", None),
            Health::Degraded(reason) => ("degraded", Some(reason)),
            Health::Failing(reason) => ("failing", Some(reason)),
        };
        let mut lost = BTreeMap::new();
        for (reason, _, count) in stats.lost.iter() {
            *lost.entry(reason.as_str().to_owned()).or_default() += count;
        }
        Self {
            sink: stats.name.into_owned(),
            health: health.to_owned(),
            reason,
            accepted: stats.accepted,
            delivered: stats.delivered,
            dropped: stats.dropped,
            rejected: stats.rejected,
            pending: stats.pending,
            lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_plain_json() {
        let line = r#"{"command":"trigger","job":"documents","wait":true}"#;
        let request = Request::Trigger {
            job: "documents".to_owned(),
            wait: true,
        };
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        assert_eq!(serde_json::to_string(&request).unwrap(), line);
        assert!(serde_json::from_str::<Request>(r#"{"command":"reboot"}"#).is_err());
    }
}
