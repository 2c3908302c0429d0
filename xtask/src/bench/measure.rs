//! One run of a program: how long it took, what it cost, how much memory it held.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Often enough to meet the peak of a run of a second, and rarely enough not to disturb it.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
/// What `/proc` counts processor time in, on every Linux of today.
const TICKS_PER_SEC: f64 = 100.0;

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) wall_secs: f64,
    /// User and system time of the program and all that it started, to 10 ms.
    pub(super) cpu_secs: f64,
    /// Proportional set size of the whole process tree at its highest.
    pub(super) peak_mib: f64,
}

/// Runs a command to its end, with its output thrown away.
///
/// # Errors
/// If it cannot be started or fails.
pub(super) fn run(command: &mut Command) -> Result<Sample> {
    let before = cpu_of_children()?;
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let id = child.id();
    let (end, has_ended) = channel::<()>();
    let sampler = std::thread::Builder::new()
        .name("memory".to_owned())
        .spawn(move || {
            let mut peak = 0;
            while has_ended.recv_timeout(SAMPLE_EVERY) == Err(RecvTimeoutError::Timeout) {
                peak = peak.max(memory_of_tree(id));
            }
            peak
        })?;
    let status = child.wait()?;
    let wall_secs = begun.elapsed().as_secs_f64();
    drop(end);
    let peak_kib = sampler.join().unwrap_or(0);
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Sample {
        wall_secs,
        cpu_secs: cpu_of_children()? - before,
        peak_mib: peak_kib as f64 / 1024.0,
    })
}

/// The value in the middle; of an even number, the mean of the two. NaN of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// The processor time that a running process has used so far, in seconds, to 10 ms.
pub(super) fn cpu_of(process: u32) -> Result<f64> {
    ticks(&format!("/proc/{process}/stat"), [11, 12])
}

/// The processor time of all children that have ended, and of theirs.
fn cpu_of_children() -> Result<f64> {
    ticks("/proc/self/stat", [13, 14])
}

/// The sum of two fields, counted behind the name in parentheses, which may hold anything; in seconds.
fn ticks(stat: &str, fields: [usize; 2]) -> Result<f64> {
    let text = fs::read_to_string(stat)?;
    let (_, behind) = text
        .rsplit_once(')')
        .with_context(|| format!("no name in {stat}"))?;
    let values: Vec<&str> = behind.split_whitespace().collect();
    let mut sum = 0.0;
    for index in fields {
        let value = values
            .get(index)
            .with_context(|| format!("too few fields in {stat}"))?;
        sum += value.parse::<f64>()?;
    }
    Ok(sum / TICKS_PER_SEC)
}

/// In KiB. What has ended meanwhile counts nothing.
fn memory_of_tree(root: u32) -> u64 {
    let mut sum = 0;
    let mut processes = vec![root.to_string()];
    while let Some(process) = processes.pop() {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"));
        sum += proportional_kib(&rollup.unwrap_or_default());
        let threads = fs::read_dir(format!("/proc/{process}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children"));
            let children = children.unwrap_or_default();
            processes.extend(children.split_whitespace().map(str::to_owned));
        }
    }
    sum
}

fn proportional_kib(rollup: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_cost_of_a_run_are_told_apart() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"]);
        let busy = run(&mut busy).expect("a loop");
        assert!(busy.cpu_secs > 0.0, "{busy:?}");
        let mut idle = Command::new("sleep");
        idle.arg("0.2");
        let idle = run(&mut idle).expect("a nap");
        assert!(idle.wall_secs >= 0.2 && idle.cpu_secs < 0.1, "{idle:?}");
        assert!(idle.peak_mib > 0.0, "{idle:?}");
    }

    #[test]
    fn proportional_size_is_found_in_a_rollup() {
        let rollup = "00400000-7ffd [rollup]\nRss:  99 kB\nPss:   1234 kB\nPss_Dirty: 7 kB\n";
        assert_eq!(proportional_kib(rollup), 1234);
    }

    #[test]
    fn failed_contestant_is_an_error() {
        assert!(run(&mut Command::new("false")).is_err());
    }
}
