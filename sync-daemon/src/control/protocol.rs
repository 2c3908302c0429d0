//! What is said over the control socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
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
    /// Stop the run of a job, or take it out of the line.
    Cancel {
        /// The job's id.
        job: String,
    },
    /// Read the configuration anew.
    Reload,
    /// Set the level of every target.
    LogLevel {
        /// `off`, `error`, `warn`, `info`, `debug` or `trace`; `None` takes back what was set.
        level: Option<String>,
        /// Take it back after so many seconds.
        #[serde(default)]
        for_secs: Option<u64>,
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
    /// The job was stopped: `running` or `waiting` is what it did.
    Cancelled(String),
    /// The configuration on disk is in force.
    Reloaded(ReloadReport),
    /// The levels in force, as directives like those of `RUST_LOG`.
    LogLevel(String),
}

/// What a reload has changed: paths of keys, such as `sync_jobs[documents].filters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// In force now.
    pub changed: Vec<String>,
    /// Other than at the start of the daemon, and not in force without a restart.
    pub needs_restart: Vec<String>,
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
    /// The levels of the log in force, as directives like those of `RUST_LOG`.
    #[serde(default)]
    pub log_level: Option<String>,
    /// What `log-level` has set, as long as it holds.
    #[serde(default)]
    pub log_level_set: Option<LevelSet>,
    /// What somebody should know, in words.
    pub notes: Vec<String>,
    /// The jobs with their last and next run.
    pub jobs: Vec<Value>,
    /// How full the line of jobs is.
    #[serde(default)]
    pub queue: Value,
    /// The file watchers.
    #[serde(default)]
    pub watchers: Vec<Value>,
    /// The upload to PocketBase, if it is on.
    #[serde(default)]
    pub upload: Option<UploadReport>,
    /// The accounts of the sinks, in the order of the pipeline.
    pub sinks: Vec<SinkReport>,
}

/// A level that was set at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelSet {
    /// The level of every target.
    pub level: String,
    /// When it is taken back; `None`: not by itself.
    pub until: Option<Timestamp>,
}

/// How the upload to PocketBase is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadReport {
    /// `closed` (records are sent), `half_open` (one is tried) or `open` (none is sent).
    pub breaker: String,
    /// Records in the channel and in the spool.
    pub buffered: u64,
    /// The size of the spool on disk.
    pub spool_bytes: u64,
    /// Records that the server refused for good.
    pub dead_letters: u64,
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
