//! What the configuration can say and this version cannot do yet. Delete a line here when it can.

use super::Config;
use super::document::Findings;
use super::jobs::ScheduleKind;

/// An option that is refused where it asks for something.
struct Unsupported {
    /// The key or table as a header says it, without identities.
    key: &'static str,
    /// How it is written in the message.
    setting: &'static str,
    /// The paths where it is used.
    uses: fn(&Config) -> Vec<String>,
}

const LIST: &[Unsupported] = &[
    Unsupported {
        key: "telemetry.span_events",
        setting: "`span_events = true`",
        uses: |config| only_if(config.telemetry.span_events, "telemetry.span_events"),
    },
    Unsupported {
        key: "telemetry.repeat_limit_per_sec",
        setting: "a `repeat_limit_per_sec`",
        uses: |config| {
            only_if(
                config.telemetry.repeat_limit_per_sec > 0,
                "telemetry.repeat_limit_per_sec",
            )
        },
    },
    Unsupported {
        key: "telemetry.sanitize.keyed_hash",
        setting: "`keyed_hash = true`",
        uses: |config| {
            only_if(
                config.telemetry.sanitize.keyed_hash,
                "telemetry.sanitize.keyed_hash",
            )
        },
    },
    Unsupported {
        key: "telemetry.sanitize.pii",
        setting: "`pii = true`",
        uses: |config| only_if(config.telemetry.sanitize.pii, "telemetry.sanitize.pii"),
    },
    Unsupported {
        key: "telemetry.metrics.auth",
        setting: "`[telemetry.metrics.auth]`",
        uses: |config| {
            only_if(
                config.telemetry.metrics.auth.is_some(),
                "telemetry.metrics.auth",
            )
        },
    },
    Unsupported {
        key: "telemetry.pocketbase_logging.retention_days",
        setting: "a `retention_days`",
        uses: |config| {
            let is_set = config.telemetry.pocketbase_logging.retention_days > 0;
            only_if(is_set, "telemetry.pocketbase_logging.retention_days")
        },
    },
    Unsupported {
        key: "sync_jobs.schedule.expression",
        setting: "`type = \"cron\"`",
        uses: |config| {
            let cron = config
                .sync_jobs
                .iter()
                .filter(|job| job.schedule.kind == ScheduleKind::Cron);
            cron.map(|job| format!("sync_jobs[{}].schedule.type", job.id))
                .collect()
        },
    },
    Unsupported {
        key: "file_watchers",
        setting: "a file watcher with `enabled = true`",
        uses: |config| {
            let enabled = config
                .file_watchers
                .iter()
                .filter(|watcher| watcher.enabled);
            enabled
                .map(|watcher| format!("file_watchers[{}].enabled", watcher.id))
                .collect()
        },
    },
];

fn only_if(used: bool, path: &str) -> Vec<String> {
    if used {
        vec![path.to_owned()]
    } else {
        Vec::new()
    }
}

/// Whether the key or table is on the list.
pub(super) fn is_listed(key: &str) -> bool {
    LIST.iter().any(|entry| entry.key == key)
}

/// Refuses every use of what is on the list.
pub(super) fn refuse(config: &Config, findings: &mut Findings) {
    for entry in LIST {
        for path in (entry.uses)(config) {
            findings.fault_at(
                &path,
                format!("{} is not supported by this version yet", entry.setting),
            );
        }
    }
}
