//! Logging: the pipeline beside its peers, in the program of `benches/logging`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::machine;
use crate::step::say;
use crate::tools;

const MANIFEST: &str = "benches/logging/Cargo.toml";
const DEFAULT_ROUNDS: usize = 5;
/// The one that the others are compared to.
const REFERENCE: &str = "tracing-appender";
/// What is measured in each round.
const MEASUREMENTS: [&str; 5] = [
    "latency-1",
    "latency-4",
    "throughput-1",
    "throughput-4",
    "disabled",
];
/// Events of two runs: their difference leaves out what begins and ends a run.
const FEW_EVENTS: u32 = 2_000;
const MANY_EVENTS: u32 = 12_000;

struct Options {
    rounds: usize,
    contestants: Vec<String>,
}

impl Options {
    fn parse(args: &[String], known: &[String]) -> Result<Self> {
        let mut options = Self {
            rounds: DEFAULT_ROUNDS,
            contestants: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            let value = args
                .next()
                .with_context(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--rounds" => options.rounds = value.parse().context("--rounds takes a number")?,
                "--contestant" => options.contestants.push(value.clone()),
                _ => bail!("unknown option {option}"),
            }
        }
        let is_known = |name: &&String| !known.contains(*name);
        if let Some(stranger) = options.contestants.iter().find(is_known) {
            bail!(
                "there is no contestant `{stranger}`; there are {}",
                known.join(", ")
            );
        }
        ensure!(
            options.rounds > 0,
            "without a round there is nothing to tell"
        );
        if options.contestants.is_empty() {
            options.contestants = known.to_vec();
        }
        Ok(options)
    }
}

/// Builds the program, runs everybody in turn, and prints a table for
/// `BENCHMARKS.md`.
///
/// # Errors
/// If the options are wrong, the program cannot be built, or a contestant fails
/// or loses a line.
pub(super) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let program = build(shell)?;
    let known = cmd!(shell, "{program} list").quiet().read()?;
    let known: Vec<String> = serde_json::from_str(&known)?;
    let options = Options::parse(args, &known)?;
    let mut figures = Figures::default();
    for round in 0..options.rounds {
        say(&format!(
            "round {} of {}, load {}",
            round + 1,
            options.rounds,
            machine::load()
        ));
        for measurement in MEASUREMENTS {
            // Not always the same neighbours.
            for place in 0..options.contestants.len() {
                let turn = (place + round) % options.contestants.len();
                let contestant = &options.contestants[turn];
                let result = cmd!(shell, "{program} {contestant} {measurement}");
                let result: Value = serde_json::from_str(&result.quiet().read()?)?;
                figures.keep(contestant, measurement, &result);
            }
        }
    }
    let instructions = if cmd!(shell, "valgrind --version").quiet().read().is_ok() {
        let counted = options.contestants.iter().map(|contestant| {
            let count = Instructions::of(shell, &program, contestant)?;
            Ok((contestant.clone(), count))
        });
        counted.collect::<Result<BTreeMap<_, _>>>()?
    } else {
        say("valgrind is missing: instructions are not counted");
        BTreeMap::new()
    };
    say(&format!(
        "\n{}, medians of {} rounds, load at the end {}\n",
        machine::describe(shell)?,
        options.rounds,
        machine::load()
    ));
    say(&table(&options.contestants, &figures, &instructions));
    Ok(())
}

fn build(shell: &Shell) -> Result<PathBuf> {
    let target = tools::target(shell)?;
    cmd!(
        shell,
        "cargo build --quiet --release --manifest-path {MANIFEST} --target-dir {target}"
    )
    .quiet()
    .run()
    .context("the contestants cannot be built")?;
    Ok(target.join("release/logging-benchmark"))
}

/// What was measured, by contestant, measurement and figure, in the order of
/// the rounds.
#[derive(Default)]
struct Figures(BTreeMap<(String, String), Vec<f64>>);

impl Figures {
    fn keep(&mut self, contestant: &str, measurement: &str, result: &Value) {
        for (figure, value) in result.as_object().into_iter().flatten() {
            let key = (contestant.to_owned(), format!("{measurement} {figure}"));
            self.0.entry(key).or_default().extend(value.as_f64());
        }
    }

    fn of(&self, contestant: &str, figure: &str) -> Option<&Vec<f64>> {
        self.0.get(&(contestant.to_owned(), figure.to_owned()))
    }

    fn median(&self, contestant: &str, figure: &str) -> Option<f64> {
        median(self.of(contestant, figure)?)
    }

    /// The median of the ratios to the reference in the same round.
    fn ratio(&self, contestant: &str, figure: &str) -> Option<f64> {
        let own = self.of(contestant, figure)?.iter();
        let pairs = own.zip(self.of(REFERENCE, figure)?);
        median(&pairs.map(|(own, other)| own / other).collect::<Vec<_>>())
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        even if even % 2 == 0 => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        _ => Some(sorted[middle]),
    }
}

/// Instructions of one event.
struct Instructions {
    caller: f64,
    all: f64,
}

impl Instructions {
    fn of(shell: &Shell, program: &Path, contestant: &str) -> Result<Self> {
        let few = Self::in_run(shell, program, contestant, FEW_EVENTS)?;
        let many = Self::in_run(shell, program, contestant, MANY_EVENTS)?;
        let events = f64::from(MANY_EVENTS - FEW_EVENTS);
        Ok(Self {
            caller: (many.caller - few.caller) / events,
            all: (many.all - few.all) / events,
        })
    }

    fn in_run(shell: &Shell, program: &Path, contestant: &str, events: u32) -> Result<Self> {
        let directory = shell.create_temp_dir()?;
        let out = directory.path().join("callgrind");
        let events = events.to_string();
        cmd!(
            shell,
            "valgrind --tool=callgrind --separate-threads=yes --zero-before=*emit_all* --callgrind-out-file={out} {program} {contestant} plain {events}"
        )
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .with_context(|| format!("valgrind fails with {contestant}"))?;
        let mut counted = Self {
            caller: 0.0,
            all: 0.0,
        };
        for file in fs::read_dir(directory.path())? {
            let file = file?;
            // One file a thread, by number; the first is the caller.
            let name = file.file_name().to_string_lossy().into_owned();
            let Some(thread) = name.strip_prefix("callgrind-") else {
                continue;
            };
            let count = instructions_in(&fs::read_to_string(file.path())?);
            counted.all += count;
            if thread == "01" {
                counted.caller = count;
            }
        }
        ensure!(counted.caller > 0.0, "valgrind has counted nothing");
        Ok(counted)
    }
}

/// The total of one thread.
pub(super) fn instructions_in(profile: &str) -> f64 {
    let totals = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    totals
        .and_then(|total| total.trim().parse().ok())
        .unwrap_or(0.0)
}

fn table(
    contestants: &[String],
    figures: &Figures,
    instructions: &BTreeMap<String, Instructions>,
) -> String {
    let mut text = String::from(
        "| | caller p50, ns | p99, ns | of 4 threads p50, p99 | allocations | k events/s, 1 thread | 4 threads | CPU, ns/event, 1 thread | 4 threads | peak MB | disabled, ns | instructions caller / all |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for contestant in contestants {
        let plain = |figure: &str, digits: usize| {
            let median = figures.median(contestant, figure);
            median.map_or("-".to_owned(), |median| format!("{median:.digits$}"))
        };
        let compared = |figure: &str, unit: f64| {
            let median = figures.median(contestant, figure);
            let Some(median) = median else {
                return "-".to_owned();
            };
            let shown = format!("{:.0}", median / unit);
            match figures.ratio(contestant, figure) {
                Some(ratio) => format!("{shown} ({ratio:.2}×)"),
                None => shown,
            }
        };
        let peaks = ["throughput-1", "throughput-4"].map(|measurement| {
            figures.median(contestant, &format!("{measurement} peak_megabytes"))
        });
        let peak = peaks.into_iter().flatten().fold(0.0, f64::max);
        let cells = [
            contestant.clone(),
            compared("latency-1 p50", 1.0),
            compared("latency-1 p99", 1.0),
            format!(
                "{}, {}",
                plain("latency-4 p50", 0),
                plain("latency-4 p99", 0)
            ),
            plain("latency-1 allocations", 2),
            compared("throughput-1 events_per_second", 1e3),
            compared("throughput-4 events_per_second", 1e3),
            compared("throughput-1 cpu_nanos", 1.0),
            compared("throughput-4 cpu_nanos", 1.0),
            format!("{peak:.1}"),
            plain("disabled nanos", 1),
            instructions
                .get(contestant)
                .map_or("-".to_owned(), |count| {
                    format!("{:.0} / {:.0}", count.caller, count.all)
                }),
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn options_name_rounds_and_contestants_and_a_typo_is_refused() {
        let known = names(&["ours", "slog-async"]);
        let parse = |args: &[&str]| Options::parse(&names(args), &known);
        let all = parse(&[]).expect("no options");
        assert_eq!(
            (all.rounds, all.contestants),
            (DEFAULT_ROUNDS, known.clone())
        );
        let one = parse(&["--rounds", "2", "--contestant", "ours"]).expect("valid");
        assert_eq!((one.rounds, one.contestants), (2, names(&["ours"])));
        for wrong in [
            &["--rounds", "0"][..],
            &["--rounds"],
            &["--contestant", "log5j"],
            &["--loud", "1"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn ratios_compare_within_a_round() {
        let mut figures = Figures::default();
        for (own, other) in [(10.0, 100.0), (90.0, 300.0), (20.0, 100.0)] {
            figures.keep("ours", "latency-1", &serde_json::json!({ "p50": own }));
            figures.keep(REFERENCE, "latency-1", &serde_json::json!({ "p50": other }));
        }
        assert_eq!(figures.median("ours", "latency-1 p50"), Some(20.0));
        assert_eq!(figures.ratio("ours", "latency-1 p50"), Some(0.2));
        let table = table(&names(&["ours"]), &figures, &BTreeMap::new());
        assert!(table.contains("| ours | 20 (0.20×) | - |"), "{table}");
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn instructions_are_read_from_a_profile() {
        assert_eq!(instructions_in("events: Ir\ntotals: 4711\n"), 4711.0);
        assert_eq!(instructions_in("version: 1\n"), 0.0);
    }
}
