//! Log files: reading them back beside xzcat, jq and grep, and what callers feel of a rotation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::history::{History, LAST_TEN_MINUTES};
use super::machine;
use super::measure::{self, Sample, median};
use crate::step::say;
use crate::tools;

const DEFAULT_ROUNDS: usize = 5;
const EXAMPLE: &str = "rotation_stall";

/// A command line that finds the same as the others of its question.
struct Contestant {
    question: &'static str,
    name: &'static str,
    script: String,
}

/// What a round of the rotation benchmark tells, in nanoseconds.
struct Stall {
    p50: f64,
    p999: f64,
}

/// Builds the release daemon and prints two Markdown tables.
pub(super) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let rounds = match args {
        [] => DEFAULT_ROUNDS,
        [option, number] if option == "--rounds" => {
            number.parse().context("--rounds takes a number")?
        }
        _ => bail!("bench files [--rounds N]"),
    };
    ensure!(rounds > 0, "without a round there is nothing to tell");
    cmd!(shell, "cargo build --release --quiet --package sync-daemon")
        .quiet()
        .run()?;
    cmd!(
        shell,
        "cargo build --release --quiet --package telemetry-file --example {EXAMPLE}"
    )
    .quiet()
    .run()?;
    tools::fetch(shell)?;
    let target = tools::target(shell)?;
    let daemon = target.join("release/sync-daemon");
    let history = History::prepare(&target.join("bench/files"), &daemon)?;
    let contestants = contestants(shell, &daemon, &history)?;
    same_lines(&contestants)?;

    let load_before = machine::load();
    let samples = read_back(&contestants, rounds)?;
    let stalls = stalls(&target.join("release/examples").join(EXAMPLE), rounds)?;
    say(&format!("\n{}", machine::describe(shell)?));
    say(&format!(
        "medians of {rounds} interleaved rounds, warm cache; load {load_before} before, {} after\n",
        machine::load()
    ));
    print_reading(&contestants, &samples);
    print_stalls(&stalls);
    Ok(())
}

fn contestants(shell: &Shell, daemon: &Path, history: &History) -> Result<Vec<Contestant>> {
    let tool = |name: &str| -> Result<PathBuf> {
        let path = tools::path(shell, name)?;
        path.with_context(|| format!("the benchmark needs {name}: run `cargo xtask tools`"))
    };
    let (xz, jq) = (tool("xz")?, tool("jq")?);
    let log = history.log();
    let archives: Vec<String> = history
        .archives()
        .iter()
        .map(|path| format!("{path:?}"))
        .collect();
    let unpacked = format!("{xz:?} -dc {}", archives.join(" "));
    let ours = format!("{daemon:?} logs {log:?} --output json");
    let until = "--until 2026-01-01T23:00:00Z";
    let (since, errors) = ("last 10 minutes", "all errors");
    Ok(vec![
        Contestant {
            question: since,
            name: "sync-daemon",
            script: format!("{ours} {until} --since {LAST_TEN_MINUTES}"),
        },
        Contestant {
            question: since,
            name: "xzcat, jq",
            script: format!(
                "{unpacked} | {jq:?} -c 'select(.timestamp >= \"{LAST_TEN_MINUTES}\")'"
            ),
        },
        Contestant {
            question: errors,
            name: "sync-daemon",
            script: format!("{ours} {until} --level error"),
        },
        Contestant {
            question: errors,
            name: "xzcat, jq",
            script: format!("{unpacked} | {jq:?} -c 'select(.level==\"ERROR\")'"),
        },
        Contestant {
            question: errors,
            name: "xzcat, grep",
            script: format!("{unpacked} | grep '\"level\":\"ERROR\"'"),
        },
    ])
}

/// Speed is worth nothing if the answers differ.
fn same_lines(contestants: &[Contestant]) -> Result<()> {
    let mut found: Vec<(&str, Vec<u8>)> = Vec::new();
    for contestant in contestants {
        let output = shell_command(&contestant.script).output()?;
        ensure!(output.status.success(), "{} failed", contestant.script);
        ensure!(
            !output.stdout.is_empty(),
            "{} found nothing",
            contestant.script
        );
        let first = found
            .iter()
            .find(|(question, _)| *question == contestant.question);
        match first {
            None => found.push((contestant.question, output.stdout)),
            Some((_, expected)) => ensure!(
                *expected == output.stdout,
                "{} finds something else for: {}",
                contestant.name,
                contestant.question
            ),
        }
    }
    Ok(())
}

fn shell_command(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// The samples of each contestant.
fn read_back(contestants: &[Contestant], rounds: usize) -> Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); contestants.len()];
    for round in 0..rounds {
        say(&format!("reading, round {} of {rounds}", round + 1));
        for place in 0..contestants.len() {
            // Each round begins with another one.
            let place = (place + round) % contestants.len();
            let sample = measure::run(&mut shell_command(&contestants[place].script))?;
            samples[place].push(sample);
        }
    }
    Ok(samples)
}

fn print_reading(contestants: &[Contestant], samples: &[Vec<Sample>]) {
    say("| question | by | wall s | CPU s | peak PSS MiB | times faster |");
    say("|---|---|---:|---:|---:|---:|");
    let wall = |samples: &[Sample]| median(samples.iter().map(|sample| sample.wall_secs));
    let mut ours = f64::NAN;
    for (contestant, samples) in contestants.iter().zip(samples) {
        if contestant.name == "sync-daemon" {
            ours = wall(samples);
        }
        let peak = samples.iter().map(|sample| sample.peak_mib);
        say(&format!(
            "| {} | {} | {:.3} | {:.2} | {:.0} | {:.1} |",
            contestant.question,
            contestant.name,
            wall(samples),
            median(samples.iter().map(|sample| sample.cpu_secs)),
            peak.fold(0.0, f64::max),
            wall(samples) / ours,
        ));
    }
}

/// Rounds with rotations, and without.
fn stalls(program: &Path, rounds: usize) -> Result<[Vec<Stall>; 2]> {
    let mut stalls = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        say(&format!("rotating, round {} of {rounds}", round + 1));
        for turn in 0..2 {
            let which = (turn + round) % 2;
            let mode = ["rotating", "still"][which];
            let output = Command::new(program).arg(mode).output()?;
            ensure!(output.status.success(), "{EXAMPLE} {mode} failed");
            stalls[which].push(stall(&output.stdout, mode)?);
        }
    }
    Ok(stalls)
}

fn stall(json: &[u8], mode: &str) -> Result<Stall> {
    let told: Value = serde_json::from_slice(json)?;
    let number = |key: &str| {
        told[key]
            .as_f64()
            .with_context(|| format!("{EXAMPLE}: no {key}"))
    };
    ensure!(number("lost")? == 0.0, "{EXAMPLE} {mode} lost records");
    let has_rotated = number("files")? > 1.0;
    ensure!(
        has_rotated == (mode == "rotating"),
        "{EXAMPLE} {mode} rotated, or did not"
    );
    Ok(Stall {
        p50: number("p50")?,
        p999: number("p999")?,
    })
}

fn print_stalls([rotating, still]: &[Vec<Stall>; 2]) {
    say("\n| file behind the queue | caller p50 ns | p99.9 ns |");
    say("|---|---:|---:|");
    let p999 = |stalls: &[Stall]| median(stalls.iter().map(|stall| stall.p999));
    for (name, stalls) in [("rotating and compressing", rotating), ("growing", still)] {
        let p50 = median(stalls.iter().map(|stall| stall.p50));
        say(&format!("| {name} | {p50:.0} | {:.0} |", p999(stalls)));
    }
    say(&format!(
        "\np99.9 with rotations: {:.2} times that without",
        p999(rotating) / p999(still)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contestants_that_find_something_else_are_refused() {
        let contestant = |question, script: &str| Contestant {
            question,
            name: "x",
            script: script.to_owned(),
        };
        let same = [
            contestant("a", "echo 1"),
            contestant("a", "echo 1"),
            contestant("b", "echo 2"),
        ];
        assert!(same_lines(&same).is_ok());
        let other = [contestant("a", "echo 1"), contestant("a", "echo 2")];
        assert!(same_lines(&other).is_err());
        assert!(same_lines(&[contestant("a", "true")]).is_err());
    }

    #[test]
    fn a_round_that_lost_records_or_did_not_rotate_does_not_count() {
        let told = |lost, files| {
            format!(r#"{{"p50":1,"p999":2,"lost":{lost},"files":{files}}}"#).into_bytes()
        };
        assert!(stall(&told(0, 3), "rotating").is_ok());
        assert!(stall(&told(1, 3), "rotating").is_err());
        assert!(stall(&told(0, 1), "rotating").is_err());
        assert!(stall(&told(0, 2), "still").is_err());
    }
}
