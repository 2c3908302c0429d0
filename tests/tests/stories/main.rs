//! End-to-end stories: real programs, real servers, a user's point of view. One module a theme, one binary for all.

mod answers;
mod bad_input;
mod bulk;
mod capture;
mod conformance;
mod control;
mod crash;
mod daemon;
mod deploy;
mod endpoint;
mod every_way;
mod faults;
mod hostile;
mod killing;
mod leftovers;
mod legacy;
mod log_faults;
mod log_files;
mod logs;
mod metrics;
mod mirroring;
mod page;
mod reading;
mod real_parts;
mod redaction;
mod schedule;
mod series;
mod shipping;
mod transport;
mod uploading;
mod watching;
mod wild;

use std::path::Path;
use std::time::Duration;

/// Longer than anything takes on a busy machine, so that a failure means "never".
const SOON: Duration = Duration::from_secs(30);

/// The blocks of the specification as they stand, but for the port, which stories that run side by side cannot share.
const SPECIFICATION: &str = r#"
[telemetry]
log_level = "info"
json_logging = true
console_logging = true
log_file_path = "logs/daemon.log"

[telemetry.log_rotation]
enabled = true
frequency = "daily"  # or "hourly"
keep_files = 7
max_size_mb = 100

[telemetry.metrics]
enabled = true
bind_address = "127.0.0.1"
port = PORT
collection_interval_secs = 15
"#;

/// The specification's configuration with these jobs.
fn with_jobs(port: u16, jobs: &str) -> String {
    let specification = SPECIFICATION.replace("PORT", &port.to_string());
    format!("{specification}\n{jobs}")
}

/// A job from `source` to `copy` in `place`.
fn job(id: &str, place: &Path, schedule: &str) -> String {
    let place = place.display();
    format!(
        r#"
[[sync_jobs]]
id = "{id}"
name = "{id}_sync"
source_path = "{place}/source"
destination_path = "{place}/{id}"
[sync_jobs.schedule]
{schedule}
"#
    )
}

const MANUAL: &str = r#"type = "manual""#;
const OFTEN: &str = "type = \"interval\"\ninterval = \"200ms\"";
