//! Mirroring: the daemon's `sync` beside rsync, rclone and cp.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::machine;
use super::measure::{self, Sample};
use super::workload::{Scenario, Workload};
use crate::step::say;
use crate::tools;

const DEFAULT_ROUNDS: usize = 5;
/// The one that the others are compared to.
const REFERENCE: &str = "rsync";

/// The telemetry of a usual daemon, but for the endpoint: a command never listens.
const CONFIGURATION: &str = "\
[telemetry]
log_level = \"info\"
json_logging = true
console_logging = true
";

struct Options {
    rounds: usize,
    scenarios: Vec<Scenario>,
    /// Where the trees are; a disk with 10 GB to spare.
    directory: PathBuf,
}

impl Options {
    fn parse(shell: &Shell, args: &[String]) -> Result<Self> {
        let mut options = Self {
            rounds: DEFAULT_ROUNDS,
            scenarios: Vec::new(),
            directory: tools::target(shell)?.join("bench/mirror"),
        };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            let value = args
                .next()
                .with_context(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--rounds" => options.rounds = value.parse().context("--rounds takes a number")?,
                "--scenario" => options.scenarios.push(scenario(value)?),
                "--directory" => options.directory = PathBuf::from(value),
                _ => bail!("unknown option {option}"),
            }
        }
        ensure!(
            options.rounds > 0,
            "without a round there is nothing to tell"
        );
        if options.scenarios.is_empty() {
            options.scenarios = Scenario::ALL.to_vec();
        }
        Ok(options)
    }
}

fn scenario(name: &str) -> Result<Scenario> {
    let known = Scenario::ALL.map(Scenario::name).join(", ");
    let found = Scenario::ALL
        .into_iter()
        .find(|scenario| scenario.name() == name);
    found.with_context(|| format!("there is no scenario `{name}`; there are {known}"))
}

/// A program that mirrors.
struct Contestant {
    name: &'static str,
    program: PathBuf,
    arguments: Arguments,
}

#[derive(Clone, Copy)]
enum Arguments {
    Ours,
    Rsync,
    Rclone,
    Cp,
}

impl Contestant {
    /// `cp` cannot delete.
    fn takes_part_in(&self, scenario: Scenario) -> bool {
        !matches!(self.arguments, Arguments::Cp) || scenario != Scenario::Deleted
    }

    fn command(&self, scenario: Scenario, workload: &Workload<'_>) -> Command {
        let (source, destination) = (workload.source(scenario), workload.destination(scenario));
        let within = |path: &Path, suffix: &str| {
            let mut path = OsString::from(path);
            path.push(suffix);
            path
        };
        let mut command = Command::new(&self.program);
        match self.arguments {
            Arguments::Ours => command
                .arg("--config")
                .arg(configuration(workload))
                .args(["sync", "--delete", "--max-delete", "0"])
                .args([source, destination]),
            Arguments::Rsync => command
                .args(["-a", "--delete"])
                .args([within(&source, "/"), within(&destination, "/")]),
            Arguments::Rclone => command.args(["sync", "-q"]).args([source, destination]),
            Arguments::Cp => command
                .arg(if scenario.is_first_copy() {
                    "-a"
                } else {
                    "-au"
                })
                .args([within(&source, "/."), within(&destination, "/.")]),
        };
        command
    }
}

fn configuration(workload: &Workload<'_>) -> PathBuf {
    workload.beside("sync-daemon.toml")
}

/// One contestant's samples in one scenario.
struct Row {
    scenario: Scenario,
    contestant: &'static str,
    samples: Vec<Sample>,
}

impl Row {
    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        measure::median(self.samples.iter().map(of))
    }

    fn wall(&self) -> f64 {
        self.median(|sample| sample.wall_secs)
    }

    fn cpu(&self) -> f64 {
        self.median(|sample| sample.cpu_secs)
    }

    fn peak(&self) -> f64 {
        let peaks = self.samples.iter().map(|sample| sample.peak_mib);
        peaks.fold(0.0, f64::max)
    }

    /// As a line of the table, beside the reference in the same scenario. The ratios are medians of
    /// the ratios within a round, in which everybody meets the same machine.
    fn line(&self, reference: Option<&Self>) -> String {
        let ratio = |of: fn(&Sample) -> f64| {
            let Some(reference) = reference else {
                return "-".to_owned();
            };
            let rounds = self.samples.iter().zip(&reference.samples);
            let ratios = rounds.map(|(ours, theirs)| of(ours) / of(theirs));
            format!("{:.2}", measure::median(ratios))
        };
        format!(
            "| {} | {} | {:.2} | {:.2} | {:.0} | {} | {} |",
            self.scenario.description(),
            self.contestant,
            self.wall(),
            self.cpu(),
            self.peak(),
            ratio(|sample| sample.wall_secs),
            ratio(|sample| sample.cpu_secs),
        )
    }
}

/// Builds the release daemon and prints a Markdown table.
pub(super) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let options = Options::parse(shell, args)?;
    let contestants = contestants(shell)?;
    let mut workload = Workload::prepare(shell, &options.directory, &options.scenarios)?;
    let log = workload.beside("daemon.log");
    let state = workload.beside("state");
    let daemon = format!("[daemon]\nstate_dir = {state:?}\n");
    let configured = format!("{CONFIGURATION}log_file_path = {log:?}\n{daemon}");
    shell.write_file(configuration(&workload), configured)?;
    let load_before = machine::load();

    let mut rows = Vec::new();
    for scenario in &options.scenarios {
        for contestant in &contestants {
            rows.push(Row {
                scenario: *scenario,
                contestant: contestant.name,
                samples: Vec::new(),
            });
        }
    }
    // One scenario after the other: what one does to the file system is not the next one's burden.
    for scenario in &options.scenarios {
        for round in 0..options.rounds {
            let name = scenario.name();
            say(&format!(
                "{name}, round {} of {}",
                round + 1,
                options.rounds
            ));
            // Each round begins with another one, so that nobody always profits from the place.
            for place in 0..contestants.len() {
                let contestant = &contestants[(place + round) % contestants.len()];
                if !contestant.takes_part_in(*scenario) {
                    continue;
                }
                workload.begin(*scenario)?;
                let mut command = contestant.command(*scenario, &workload);
                let sample = measure::run(&mut command)?;
                workload.end(*scenario)?;
                let is_row =
                    |row: &&mut Row| row.scenario == *scenario && row.contestant == contestant.name;
                if let Some(row) = rows.iter_mut().find(is_row) {
                    row.samples.push(sample);
                }
            }
        }
    }
    workload.finish()?;
    rows.retain(|row| !row.samples.is_empty());
    say(&format!("\n{}", machine::describe(shell)?));
    for contestant in &contestants {
        say(&format!(
            "{}: {}",
            contestant.name,
            machine::version(shell, &contestant.program)?
        ));
    }
    let (rounds, load_after) = (options.rounds, machine::load());
    say(&format!(
        "medians of {rounds} interleaved rounds, warm cache; load {load_before} before, {load_after} after\n"
    ));
    print_table(&rows);
    Ok(())
}

fn print_table(rows: &[Row]) {
    say("| workload | program | wall s | CPU s | peak PSS MiB | wall / rsync | CPU / rsync |");
    say("|---|---|---:|---:|---:|---:|---:|");
    for row in rows {
        let is_reference =
            |other: &&Row| other.scenario == row.scenario && other.contestant == REFERENCE;
        say(&row.line(rows.iter().find(is_reference)));
    }
}

/// Who is there; who is not is named.
fn contestants(shell: &Shell) -> Result<Vec<Contestant>> {
    cmd!(shell, "cargo build --release --quiet --package sync-daemon")
        .quiet()
        .run()?;
    tools::fetch(shell)?;
    let mut found = vec![Contestant {
        name: "sync-daemon",
        program: tools::target(shell)?.join("release/sync-daemon"),
        arguments: Arguments::Ours,
    }];
    for (name, arguments) in [("rsync", Arguments::Rsync), ("rclone", Arguments::Rclone)] {
        match tools::path(shell, name)? {
            Some(program) => found.push(Contestant {
                name,
                program,
                arguments,
            }),
            None => say(&format!(
                "MISSING, and SKIPPED: {name}; `cargo xtask tools` fetches it"
            )),
        }
    }
    found.push(Contestant {
        name: "cp",
        program: PathBuf::from("cp"),
        arguments: Arguments::Cp,
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(contestant: &'static str, walls: &[f64]) -> Row {
        let sample = |wall_secs: &f64| Sample {
            wall_secs: *wall_secs,
            cpu_secs: 1.0,
            peak_mib: *wall_secs,
        };
        Row {
            scenario: Scenario::Noop,
            contestant,
            samples: walls.iter().map(sample).collect(),
        }
    }

    #[test]
    fn line_tells_medians_the_highest_peak_and_ratios() {
        let reference = row("rsync", &[4.0, 2.0, 2.0]);
        let line = row("x", &[9.0, 1.0, 1.5]).line(Some(&reference));
        let expected = "| nothing to do, 100,000 files | x | 1.50 | 1.00 | 9 | 0.75 | 1.00 |";
        assert_eq!(line, expected);
    }

    #[test]
    fn without_a_reference_there_is_no_ratio() {
        assert!(row("x", &[1.0]).line(None).ends_with("| - | - |"));
    }

    #[test]
    fn unknown_scenario_is_named_beside_the_known_ones() {
        let error = scenario("nope").expect_err("unknown").to_string();
        assert!(error.contains("nope") && error.contains("noop"), "{error}");
    }
}
