//! What this build can do: cargo features as values, so that tests can take one away.

use super::Config;
use super::document::Findings;

/// The cargo features that the configuration can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// The log file.
    pub file: bool,
    /// The Prometheus endpoint.
    pub metrics: bool,
    /// The upload to PocketBase.
    pub pocketbase: bool,
    /// Redaction.
    pub sanitize: bool,
    /// `https://` towards PocketBase.
    pub tls: bool,
}

impl Features {
    /// What was compiled in.
    pub const COMPILED: Self = Self {
        file: cfg!(feature = "file"),
        metrics: cfg!(feature = "metrics"),
        pocketbase: cfg!(feature = "pocketbase"),
        sanitize: cfg!(feature = "sanitize"),
        tls: cfg!(feature = "tls"),
    };

    /// Turns off what is missing, silently where nobody asked for it by name. `enabled = true` that somebody wrote is a fault.
    pub(super) fn apply(self, config: &mut Config, findings: &mut Findings) {
        let telemetry = &mut config.telemetry;
        let switches = [
            (
                self.file,
                "file",
                "telemetry.log_rotation.enabled",
                &mut telemetry.log_rotation.enabled,
            ),
            (
                self.metrics,
                "metrics",
                "telemetry.metrics.enabled",
                &mut telemetry.metrics.enabled,
            ),
            (
                self.sanitize,
                "sanitize",
                "telemetry.sanitize.enabled",
                &mut telemetry.sanitize.enabled,
            ),
            (
                self.pocketbase,
                "pocketbase",
                "telemetry.pocketbase_logging.enabled",
                &mut telemetry.pocketbase_logging.enabled,
            ),
        ];
        for (is_compiled, feature, path, enabled) in switches {
            if is_compiled || !*enabled {
                continue;
            }
            *enabled = false;
            if findings.place(path).is_some() {
                findings.fault_at(path, missing(feature));
            }
        }
        let upload = &config.telemetry.pocketbase_logging;
        if upload.enabled && !self.tls && upload.url.starts_with("https://") {
            findings.fault_at("telemetry.pocketbase_logging.url", missing("tls"));
        }
    }
}

fn missing(feature: &str) -> String {
    format!("this needs the cargo feature `{feature}`, which this build does not have")
}
