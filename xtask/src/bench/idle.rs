//! What a daemon costs that has nothing to do: how soon it is there, its memory, its processor time.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::machine;
use super::measure::{cpu_of, median};
use super::workload::{Scenario, Workload};
use crate::step::say;
use crate::tools;

const STARTS: usize = 9;
const DEFAULT_IDLE: Duration = Duration::from_secs(30);
/// Longest wait for a daemon to start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// After so long the threads of a run have ended.
const SETTLED: Duration = Duration::from_secs(5);

/// Builds the release daemon, lets it mirror 100,000 files and do nothing, and prints a Markdown table.
pub(super) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let idle = match args {
        [] => DEFAULT_IDLE,
        [option, seconds] if option == "--seconds" => {
            Duration::from_secs(seconds.parse().context("--seconds takes a number")?)
        }
        _ => bail!("bench idle [--seconds N]"),
    };
    cmd!(shell, "cargo build --release --quiet --package sync-daemon")
        .quiet()
        .run()?;
    let target = tools::target(shell)?;
    let program = target.join("release/sync-daemon");
    let workload = Workload::prepare(shell, &target.join("bench/mirror"), &[Scenario::Noop])?;
    let place = target.join("bench/idle");
    shell.remove_path(&place)?;
    fs::create_dir_all(&place)?;
    let config = configure(&place, &workload.source(Scenario::Noop))?;
    let socket = place.join("state/control.sock");
    let load_before = machine::load();

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(
            Daemon::start(&program, &config, &socket)?
                .took
                .as_secs_f64(),
        );
    }
    let daemon = Daemon::start(&program, &config, &socket)?;
    thread::sleep(SETTLED);
    let fresh = daemon.figures()?;
    let trigger = || -> Result<()> {
        let status = Command::new(&program)
            .arg("--config")
            .arg(&config)
            .args(["trigger", "many", "--wait"])
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "the run ended with {status}");
        thread::sleep(SETTLED);
        Ok(())
    };
    trigger()?;
    let after_copy = daemon.figures()?;
    trigger()?;
    let before = cpu_of(daemon.process.id())?;
    thread::sleep(idle);
    let spent = cpu_of(daemon.process.id())? - before;
    let at_rest = daemon.figures()?;
    drop(daemon);
    shell.remove_path(&place)?;

    say(&format!("\n{}", machine::describe(shell)?));
    say(&format!(
        "load {load_before} before, {} after\n",
        machine::load()
    ));
    say("| what | figure |");
    say("|---|---:|");
    say(&format!(
        "| from the start of the process until it answers, median of {STARTS} | {:.0} ms |",
        median(starts.into_iter()) * 1000.0
    ));
    say(&format!("| memory after the start | {fresh} |"));
    say(&format!(
        "| memory after a first copy of 100,000 files | {after_copy} |"
    ));
    say(&format!(
        "| memory after a second run, with a watcher on 2,020 directories | {at_rest} |"
    ));
    say(&format!(
        "| processor time over {} s of that | {:.2} % of a core |",
        idle.as_secs(),
        spent / idle.as_secs_f64() * 100.0
    ));
    Ok(())
}

/// Writes the configuration of a usual daemon: log file, metrics, a job and its watcher.
fn configure(place: &Path, source: &Path) -> Result<PathBuf> {
    let config = place.join("sync-daemon.toml");
    let text = format!(
        r#"
[daemon]
state_dir = {state:?}
[telemetry]
log_file_path = {log:?}
console_logging = false
[telemetry.metrics]
port = 0
[[sync_jobs]]
id = "many"
source_path = {source:?}
destination_path = {copy:?}
[sync_jobs.schedule]
type = "manual"
[[file_watchers]]
id = "many"
watch_path = {source:?}
sync_job_id = "many"
"#,
        state = place.join("state"),
        log = place.join("logs/daemon.log"),
        copy = place.join("copy"),
    );
    fs::write(&config, text)?;
    Ok(config)
}

struct Daemon {
    process: Child,
    /// From the start of the process until somebody could talk to it.
    took: Duration,
}

impl Daemon {
    fn start(program: &Path, config: &Path, socket: &Path) -> Result<Self> {
        let begun = Instant::now();
        let process = Command::new(program)
            .arg("start")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut daemon = Self {
            process,
            took: Duration::ZERO,
        };
        while UnixStream::connect(socket).is_err() {
            ensure!(begun.elapsed() < START_LIMIT, "the daemon does not start");
            thread::sleep(Duration::from_millis(1));
        }
        daemon.took = begun.elapsed();
        Ok(daemon)
    }

    /// What it holds now, and held at most.
    fn figures(&self) -> Result<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let mib = |name: &str| -> Result<f64> {
            let kib = figure(&status, name).with_context(|| format!("no {name}"))?;
            Ok(kib as f64 / 1024.0)
        };
        Ok(format!(
            "{:.1} MiB ({:.1} of it its own, {:.1} at most)",
            mib("VmRSS")?,
            mib("RssAnon")?,
            mib("VmHWM")?
        ))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A line of `/proc/PID/status` in KiB.
fn figure(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.strip_prefix(':')?.split_whitespace().next()?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn figures_are_found_by_their_whole_name() {
        let status = "VmPeak:\t 9 kB\nVmRSS:\t   16048 kB\nVmRSSx:\t 1 kB\n";
        assert_eq!(figure(status, "VmRSS"), Some(16048));
        assert_eq!(figure(status, "VmHWM"), None);
    }
}
