//! What telemetry costs a daemon that mirrors all the time: the same daemon with `telemetry.enabled` on and off.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::machine;
use super::measure::{cpu_of, median};
use crate::step::say;
use crate::tools;

const DEFAULT_ROUNDS: usize = 7;
/// Runs of the job in a round: long enough for the 10 ms in which `/proc` counts.
const RUNS: usize = 60;
const DIRECTORIES: usize = 200;
const FILES_IN_EACH: usize = 100;
/// Files that differ at each run.
const CHANGED: usize = 200;
const SCRAPES: usize = 50;
/// Longest wait for a daemon to start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Builds the release daemon, mirrors with and without telemetry in turn, and prints a Markdown table.
pub(super) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let rounds = match args {
        [] => DEFAULT_ROUNDS,
        [option, number] if option == "--rounds" => {
            number.parse().context("--rounds takes a number")?
        }
        _ => bail!("bench overhead [--rounds N]"),
    };
    ensure!(rounds > 0, "without a round there is nothing to tell");
    cmd!(shell, "cargo build --release --quiet --package sync-daemon")
        .quiet()
        .run()?;
    let target = tools::target(shell)?;
    let program = target.join("release/sync-daemon");
    let place = target.join("bench/overhead");
    plant(&place)?;
    let load_before = machine::load();
    let mut daemons = [
        Subject::start(&program, &place, "off", false)?,
        Subject::start(&program, &place, "on", true)?,
    ];
    for round in 0..rounds {
        say(&format!("round {} of {rounds}", round + 1));
        for turn in 0..daemons.len() {
            // Neither always goes first.
            let turn = (turn + round) % daemons.len();
            daemons[turn].round(&place)?;
        }
    }
    let [off, on] = &daemons;
    let scrape = on.scrape_secs()?;
    say(&format!("\n{}", machine::describe(shell)?));
    say(&format!(
        "{rounds} interleaved rounds of {RUNS} runs over {} files, {CHANGED} of them changed; load {load_before} before, {} after\n",
        DIRECTORIES * FILES_IN_EACH,
        machine::load()
    ));
    say("| telemetry | CPU of a run, ms (median) | least |");
    say("|---|---:|---:|");
    for daemon in &daemons {
        say(&daemon.line());
    }
    let overhead = |of: fn(&Subject) -> f64| (of(on) / of(off) - 1.0) * 100.0;
    say(&format!(
        "\noverhead: {:+.2} % by the medians, {:+.2} % by the least; a scrape of {} bytes takes {:.2} ms (median of {SCRAPES})",
        overhead(Subject::median_ms),
        overhead(Subject::least_ms),
        scrape.bytes,
        scrape.secs * 1000.0
    ));
    Ok(())
}

/// A tree of small files, made once.
fn plant(place: &Path) -> Result<()> {
    let source = place.join("source");
    if source.join("complete").exists() {
        return Ok(());
    }
    for directory in 0..DIRECTORIES {
        let directory = source.join(format!("d{directory:03}"));
        fs::create_dir_all(&directory)?;
        for file in 0..FILES_IN_EACH {
            fs::write(directory.join(format!("f{file:03}")), vec![b'x'; 1024])?;
        }
    }
    fs::write(source.join("complete"), "")?;
    Ok(())
}

/// Gives files new content of the same size.
fn change(place: &Path, number: usize) -> Result<()> {
    for changed in 0..CHANGED {
        let (directory, file) = (changed % DIRECTORIES, number % FILES_IN_EACH);
        let path = place.join(format!("source/d{directory:03}/f{file:03}"));
        fs::write(path, format!("{number:>1024}"))?;
    }
    Ok(())
}

/// A daemon, and what its runs cost.
struct Subject {
    name: &'static str,
    program: PathBuf,
    config: PathBuf,
    process: Child,
    changes: usize,
    /// Seconds of processor time a run, by round.
    costs: Vec<f64>,
}

impl Subject {
    fn start(program: &Path, place: &Path, name: &'static str, telemetry: bool) -> Result<Self> {
        let home = place.join(name);
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home)?;
        let config = home.join("sync-daemon.toml");
        let configuration = format!(
            r#"
[daemon]
state_dir = {state:?}
[telemetry]
enabled = {telemetry}
log_file_path = {log:?}
[telemetry.metrics]
port = 0
[telemetry.metrics.rate_limit]
requests_per_second = 1000
burst = 1000
[[sync_jobs]]
id = "tree"
source_path = {source:?}
destination_path = {copy:?}
"#,
            state = home.join("state"),
            log = home.join("daemon.log"),
            source = place.join("source"),
            copy = home.join("copy"),
        );
        fs::write(&config, configuration)?;
        let process = Command::new(program)
            .arg("start")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.join("console"))?)
            .spawn()?;
        let subject = Self {
            name,
            program: program.to_owned(),
            config,
            process,
            changes: 0,
            costs: Vec::new(),
        };
        subject.wait_until_it_answers()?;
        subject.trigger()?;
        Ok(subject)
    }

    fn command(&self, args: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new(&self.program)
            .arg("--config")
            .arg(&self.config)
            .args(args)
            .output()?;
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

    fn trigger(&self) -> Result<()> {
        self.command(&["trigger", "tree", "--wait"]).map(drop)
    }

    /// Mirrors `RUNS` changes, with a scrape, which is more often than Prometheus asks.
    fn round(&mut self, place: &Path) -> Result<()> {
        let before = cpu_of(self.process.id())?;
        for _ in 0..RUNS {
            self.changes += 1;
            change(place, self.changes)?;
            self.trigger()?;
        }
        if let Some(address) = self.metrics_address()? {
            scrape(&address)?;
        }
        let spent = cpu_of(self.process.id())? - before;
        self.costs.push(spent / RUNS as f64);
        Ok(())
    }

    fn metrics_address(&self) -> Result<Option<String>> {
        let status: Value = serde_json::from_slice(&self.command(&["status", "--json"])?)?;
        let url = status["metrics"].as_str();
        let address = url.and_then(|url| url.strip_prefix("http://")?.split('/').next());
        Ok(address.map(str::to_owned))
    }

    fn scrape_secs(&self) -> Result<Scrape> {
        let address = self.metrics_address()?.context("no endpoint")?;
        let scrapes: Result<Vec<Scrape>> = (0..SCRAPES).map(|_| scrape(&address)).collect();
        let scrapes = scrapes?;
        Ok(Scrape {
            secs: median(scrapes.iter().map(|scrape| scrape.secs)),
            bytes: scrapes[0].bytes,
        })
    }

    fn median_ms(&self) -> f64 {
        median(self.costs.iter().copied()) * 1000.0
    }

    fn least_ms(&self) -> f64 {
        self.costs.iter().copied().fold(f64::INFINITY, f64::min) * 1000.0
    }

    fn line(&self) -> String {
        format!(
            "| {} | {:.2} | {:.2} |",
            self.name,
            self.median_ms(),
            self.least_ms()
        )
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Scrape {
    secs: f64,
    bytes: usize,
}

fn scrape(address: &str) -> Result<Scrape> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "the scrape failed");
    Ok(Scrape {
        secs: begun.elapsed().as_secs_f64(),
        bytes: answer.len(),
    })
}
