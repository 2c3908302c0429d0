//! A daemon that is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::contestant::Contestant;
use super::place::Place;
use super::scrape::scrape;
use super::threads::cpu_of_telemetry;
use crate::bench::measure::cpu_of;

/// Longest wait for a daemon to start, under valgrind too.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Seconds of CPU time a run, over one round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// All of it.
    pub(super) process: f64,
    /// What the threads took that do nothing but telemetry.
    pub(super) telemetry_threads: f64,
}

/// A running daemon with one job by hand; dropping it kills it.
pub(super) struct Subject {
    contestant: Contestant,
    program: PathBuf,
    config: PathBuf,
    process: Child,
    costs: Vec<Cost>,
}

impl Subject {
    /// Starts it, `under` another program if that is not empty, and lets it make its first copy.
    pub(super) fn start(
        program: &Path,
        place: &Place,
        contestant: Contestant,
        under: &[String],
    ) -> Result<Self> {
        let home = place.home(contestant.name())?;
        let config = home.join("sync-daemon.toml");
        let is_counted = !under.is_empty();
        fs::write(&config, configuration(contestant, place, &home, is_counted))?;
        let mut command = match under.split_first() {
            None => Command::new(program),
            Some((over, args)) => {
                let mut command = Command::new(over);
                command.args(args).arg(program);
                command
            }
        };
        let process = command
            .arg("start")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.join("console"))?)
            .spawn()?;
        let subject = Self {
            contestant,
            program: program.to_owned(),
            config,
            process,
            costs: Vec::new(),
        };
        subject.wait_until_it_answers()?;
        subject.trigger()?;
        Ok(subject)
    }

    pub(super) fn contestant(&self) -> Contestant {
        self.contestant
    }

    pub(super) fn costs(&self) -> &[Cost] {
        &self.costs
    }

    /// Mirrors so many changes and notes what it cost, with a scrape, which is more often than Prometheus asks.
    pub(super) fn round(&mut self, place: &mut Place, runs: usize) -> Result<()> {
        let address = self.metrics_address()?;
        let cost = || -> Result<Cost> {
            Ok(Cost {
                process: cpu_of(self.process.id())?,
                telemetry_threads: cpu_of_telemetry(self.process.id())?,
            })
        };
        let before = cost()?;
        for _ in 0..runs {
            place.change()?;
            self.trigger()?;
        }
        if let Some(address) = &address {
            scrape(address)?;
        }
        let after = cost()?;
        // Runs are few: the conversion is exact.
        let of_run = |before: f64, after: f64| (after - before) / runs as f64;
        self.costs.push(Cost {
            process: of_run(before.process, after.process),
            telemetry_threads: of_run(before.telemetry_threads, after.telemetry_threads),
        });
        Ok(())
    }

    /// Mirrors what has changed.
    pub(super) fn trigger(&self) -> Result<()> {
        self.command(&["trigger", "tree", "--wait"]).map(drop)
    }

    /// Host and port of the endpoint; `None` without telemetry.
    pub(super) fn metrics_address(&self) -> Result<Option<String>> {
        let status: Value = serde_json::from_slice(&self.command(&["status", "--json"])?)?;
        let url = status["metrics"].as_str();
        let address = url.and_then(|url| url.strip_prefix("http://")?.split('/').next());
        Ok(address.map(str::to_owned))
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    fn command(&self, args: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new(&self.program)
            .arg("--config")
            .arg(&self.config)
            .args(args)
            .output()
            .with_context(|| format!("{args:?}"))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{args:?}: {stderr}");
        Ok(output.stdout)
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while let Err(error) = self.command(&["status"]) {
            ensure!(Instant::now() < deadline, "no daemon: {error}");
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The specification's, at any free port. Where instructions are counted, nothing happens at intervals.
fn configuration(contestant: Contestant, place: &Place, home: &Path, is_counted: bool) -> String {
    let interval = if is_counted { 86_400 } else { 15 };
    format!(
        r#"
[daemon]
state_dir = {state:?}
[telemetry]
enabled = {enabled}
log_level = "{level}"
log_file_path = {log:?}
[telemetry.metrics]
port = 0
collection_interval_secs = {interval}
[telemetry.metrics.rate_limit]
requests_per_second = 1000
burst = 1000
[[sync_jobs]]
id = "tree"
source_path = {source:?}
destination_path = {copy:?}
"#,
        state = home.join("state"),
        enabled = contestant.is_on(),
        level = contestant.level(),
        log = home.join("daemon.log"),
        source = place.source(),
        copy = home.join("copy"),
    )
}
