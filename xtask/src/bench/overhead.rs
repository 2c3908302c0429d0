//! What telemetry costs a daemon that mirrors all the time: the same daemon with `telemetry.enabled` on and off.
//!
//! Three figures, since each by itself misleads:
//!
//! - The CPU time of the whole process, compared within a round. It holds everything, and the noise of the disk as well.
//! - The CPU time of the threads that do nothing but telemetry, to the nanosecond. What the mirroring threads spend on
//!   telemetry is not in it: an event and a few additions a run.
//! - The instructions of the whole process under callgrind, which has no noise of the disk, and no kernel, and those of
//!   them that are telemetry's, on the mirroring threads too. Valgrind is some fifty times slower, so what happens at
//!   intervals would count fifty times too often: it is switched off there, and stands in the second figure.

mod calls; // which instructions are those of telemetry
mod contestant; // what is compared
mod instructions; // counted by callgrind
mod place; // what is mirrored
mod scrape; // asking for the metrics
mod subject; // a daemon that is measured
mod threads; // those of telemetry

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::machine;
use super::measure::median;
use crate::step::say;
use crate::tools;
use contestant::Contestant;
use instructions::Instructions;
use place::{CHANGED, FILES, Place};
use scrape::scrape;
use subject::Subject;

const DEFAULT_ROUNDS: usize = 7;
/// Runs of the job in a round: long enough for the 10 ms in which `/proc` counts the whole process.
const RUNS: usize = 60;
const SCRAPES: usize = 200;

struct Options {
    rounds: usize,
    /// Where the trees are.
    directory: PathBuf,
}

impl Options {
    fn parse(shell: &Shell, args: &[String]) -> Result<Self> {
        let mut options = Self {
            rounds: DEFAULT_ROUNDS,
            directory: tools::target(shell)?.join("bench/overhead"),
        };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            let value = args
                .next()
                .with_context(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--rounds" => options.rounds = value.parse().context("--rounds takes a number")?,
                "--directory" => options.directory = PathBuf::from(value),
                _ => bail!("unknown option {option}"),
            }
        }
        ensure!(
            options.rounds > 0,
            "without a round there is nothing to tell"
        );
        Ok(options)
    }
}

/// Builds the release daemon, mirrors with and without telemetry in turn, and prints a Markdown table.
///
/// # Errors
/// If the options are wrong, the daemon cannot be built, or a run fails.
pub(super) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let options = Options::parse(shell, args)?;
    cmd!(shell, "cargo build --release --quiet --package sync-daemon")
        .quiet()
        .run()?;
    let program = tools::target(shell)?.join("release/sync-daemon");
    let mut place = Place::plant(&options.directory)?;
    let load_before = machine::load();

    let start = |contestant| Subject::start(&program, &place, contestant, &[]);
    let mut daemons: Vec<Subject> = Contestant::ALL
        .into_iter()
        .map(start)
        .collect::<Result<_>>()?;
    for round in 0..options.rounds {
        say(&format!(
            "round {} of {}, load {}",
            round + 1,
            options.rounds,
            machine::load()
        ));
        for turn in 0..daemons.len() {
            // Nobody always goes first.
            let turn = (turn + round) % daemons.len();
            daemons[turn].round(&mut place, RUNS)?;
        }
    }
    let scrapes = Scrapes::of(&daemons[Contestant::On as usize])?;
    let rounds: Vec<Rounds> = daemons.iter().map(Rounds::of).collect();
    // They would only disturb what comes next.
    drop(daemons);
    let load_after = machine::load();
    let counted = Instructions::count(shell, &program, &mut place)?;

    say(&format!("\n{}", machine::describe(shell)?));
    say(&format!(
        "{} interleaved rounds of {RUNS} runs over {FILES} files, {CHANGED} of them changed; load {load_before} before, {load_after} after\n",
        options.rounds,
    ));
    say(&table(&rounds, counted.as_ref()));
    say(&scrapes.line(counted.as_ref()));
    Ok(())
}

/// What the rounds of one daemon cost, in seconds of CPU time a run.
struct Rounds {
    contestant: Contestant,
    process: Vec<f64>,
    telemetry_threads: Vec<f64>,
}

impl Rounds {
    fn of(subject: &Subject) -> Self {
        let costs = subject.costs();
        Self {
            contestant: subject.contestant(),
            process: costs.iter().map(|cost| cost.process).collect(),
            telemetry_threads: costs.iter().map(|cost| cost.telemetry_threads).collect(),
        }
    }

    /// What the telemetry's own threads took of it, in percent.
    fn share(&self) -> f64 {
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        100.0 * sum(&self.telemetry_threads) / sum(&self.process)
    }

    /// How much more than the other one, in percent: the mean over the rounds, and how far it may be off (95 %).
    fn more_than(&self, other: &Self) -> (f64, f64) {
        let pairs = self.process.iter().zip(&other.process);
        let differences: Vec<f64> = pairs
            .map(|(own, others)| 100.0 * (own / others - 1.0))
            .collect();
        mean_and_error(&differences)
    }
}

/// The mean, and twice the standard error; infinite of one value.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    // Rounds are few: the conversion is exact.
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, f64::INFINITY);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, 2.0 * (squares / (count - 1.0) / count).sqrt())
}

fn table(rounds: &[Rounds], counted: Option<&Instructions>) -> String {
    let mut text = String::from(
        "| telemetry | CPU of a run, ms: median | least | more than off | telemetry's own threads | k instructions of a run | more than off | of them telemetry's |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let off = &rounds[Contestant::Off as usize];
    for of in rounds {
        let (more, error) = of.more_than(off);
        let compared = of.contestant != Contestant::Off;
        let when_compared = |text: String| if compared { text } else { String::new() };
        let instructions = counted.map(|counted| counted.of_run(of.contestant));
        let [thousands, more_instructions, telemetry] = match (instructions, counted) {
            (Some(own), Some(counted)) => {
                let others = counted.of_run(Contestant::Off);
                [
                    format!("{:.0}", own.all / 1e3),
                    when_compared(format!("{:+.2} %", 100.0 * (own.all / others.all - 1.0))),
                    format!("{:.2} %", 100.0 * own.telemetry / own.all),
                ]
            }
            _ => ["-"; 3].map(str::to_owned),
        };
        let cells = [
            of.contestant.name().to_owned(),
            format!("{:.2}", 1e3 * median(of.process.iter().copied())),
            format!(
                "{:.2}",
                1e3 * of.process.iter().copied().fold(f64::INFINITY, f64::min)
            ),
            when_compared(format!("{more:+.1} % ± {error:.1}")),
            when_compared(format!("{:.2} %", of.share())),
            thousands,
            more_instructions,
            telemetry,
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// How long a scrape takes, connecting included.
struct Scrapes {
    secs: Vec<f64>,
    bytes: usize,
}

impl Scrapes {
    fn of(subject: &Subject) -> Result<Self> {
        let address = subject.metrics_address()?.context("no endpoint")?;
        let answers: Vec<_> = (0..SCRAPES)
            .map(|_| scrape(&address))
            .collect::<Result<_>>()?;
        Ok(Self {
            bytes: answers[0].bytes,
            secs: answers.into_iter().map(|answer| answer.secs).collect(),
        })
    }

    fn line(&self, counted: Option<&Instructions>) -> String {
        let median = median(self.secs.iter().copied());
        let least = self.secs.iter().copied().fold(f64::INFINITY, f64::min);
        let instructions = counted.map_or(String::new(), |counted| {
            format!(", {:.0} k instructions", counted.of_scrape() / 1e3)
        });
        format!(
            "\na scrape of {} bytes takes {:.2} ms (median of {SCRAPES}; the least {:.2}){instructions}",
            self.bytes,
            1e3 * median,
            1e3 * least
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(contestant: Contestant, process: &[f64]) -> Rounds {
        Rounds {
            contestant,
            process: process.to_vec(),
            telemetry_threads: process.iter().map(|secs| secs / 100.0).collect(),
        }
    }

    #[test]
    fn differences_are_those_within_a_round() {
        let off = rounds(Contestant::Off, &[1.0, 2.0, 4.0]);
        let on = rounds(Contestant::On, &[1.1, 2.2, 4.4]);
        let (mean, error) = on.more_than(&off);
        assert!((mean - 10.0).abs() < 1e-9, "{mean}");
        assert!(error < 1e-9, "{error}");
        assert!((on.share() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_round_says_nothing_about_its_error() {
        assert_eq!(mean_and_error(&[3.0]), (3.0, f64::INFINITY));
        assert_eq!(mean_and_error(&[1.0, 3.0]), (2.0, 2.0));
    }

    #[test]
    fn table_compares_with_off_and_does_without_valgrind() {
        let all = [
            rounds(Contestant::Off, &[0.05, 0.07]),
            rounds(Contestant::On, &[0.05, 0.07]),
            rounds(Contestant::Debug, &[0.1, 0.14]),
        ];
        let text = table(&all, None);
        assert!(
            text.contains("| off | 60.00 | 50.00 |  |  | - | - | - |"),
            "{text}"
        );
        assert!(text.contains("| +100.0 % ± 0.0 | 1.00 % |"), "{text}");
    }
}
