//! The threads of a daemon that do nothing but telemetry.

use std::fs;

use anyhow::Result;

/// How their names begin; the kernel cuts names at 15 bytes. Those that make answers of the endpoint end after a while,
/// and their time with them: an answer is measured by itself.
const NAMES: [&str; 8] = [
    "queue",
    "console_queue",
    "log-sync",
    "log-archiver",
    "metrics-http",
    "metrics-render",
    "metrics-upkeep",
    "pocketbase-",
];

const NANOS_PER_SEC: f64 = 1e9;

/// The CPU time that they have used so far, in seconds, to the nanosecond.
pub(super) fn cpu_of_telemetry(process: u32) -> Result<f64> {
    let mut nanos = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?.path();
        let read = |file: &str| fs::read_to_string(thread.join(file));
        // One that has ended meanwhile counts nothing.
        let (Ok(name), Ok(times)) = (read("comm"), read("schedstat")) else {
            continue;
        };
        if is_telemetry(name.trim_end()) {
            nanos += on_cpu(&times);
        }
    }
    Ok(nanos / NANOS_PER_SEC)
}

fn is_telemetry(thread: &str) -> bool {
    NAMES.iter().any(|name| thread.starts_with(name))
}

/// The first of three numbers: on the processor, waiting for it, and how often.
fn on_cpu(schedstat: &str) -> f64 {
    let first = schedstat.split_whitespace().next();
    first.and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_telemetry_are_told_from_those_that_mirror() {
        for name in ["queue", "console_queue", "metrics-http", "pocketbase-uplo"] {
            assert!(is_telemetry(name), "{name}");
        }
        for name in ["sync-daemon", "mirror-copy-0", "signals", ""] {
            assert!(!is_telemetry(name), "{name}");
        }
    }

    #[test]
    fn time_on_the_processor_is_the_first_number() {
        assert_eq!(on_cpu("156251 134165 3\n"), 156_251.0);
        assert_eq!(on_cpu(""), 0.0);
    }
}
