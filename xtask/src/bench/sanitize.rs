//! What redaction costs a record, beside a plain list of regular expressions over the same values.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::logging::instructions_in;
use super::machine;
use super::measure::median;
use crate::step::say;

const DEFAULT_ROUNDS: usize = 5;
const PROGRAM: &str = "target/release/examples/nanos";
/// Records of two runs: their difference leaves out what begins and ends a run.
const FEW_RECORDS: u32 = 200;
const MANY_RECORDS: u32 = 2_200;

/// One line of the measuring program: `171 ns  1250 ns  message`, or `1.3 ms  1 MB of …`.
struct Line {
    what: String,
    figures: Vec<f64>,
    unit: &'static str,
}

/// Runs the measuring program several times and prints a Markdown table of medians.
pub(super) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let rounds = match args {
        [] => DEFAULT_ROUNDS,
        [option, number] if option == "--rounds" => {
            number.parse().context("--rounds takes a number")?
        }
        _ => bail!("bench sanitize [--rounds N]"),
    };
    ensure!(rounds > 0, "without a round there is nothing to tell");
    cmd!(
        shell,
        "cargo build --release --quiet --package telemetry-sanitize --example nanos"
    )
    .run()?;
    say(&format!(
        "{}; load {}",
        machine::describe(shell)?,
        machine::load()
    ));
    let mut all = Vec::new();
    for _ in 0..rounds {
        let output = cmd!(shell, "{PROGRAM}").quiet().read()?;
        all.push(output.lines().map(parse).collect::<Result<Vec<_>>>()?);
    }
    print(&all, &instructions(shell)?)
}

/// Instructions of each record, in the order of the lines: ours and the peer's.
/// None without valgrind.
fn instructions(shell: &Shell) -> Result<Vec<[f64; 2]>> {
    if cmd!(shell, "valgrind --version").quiet().read().is_err() {
        say("valgrind is missing: instructions are not counted");
        return Ok(Vec::new());
    }
    let records = cmd!(shell, "{PROGRAM} list").quiet().read()?;
    let count = |record: &str| {
        let own = instructions_of(shell, record, None)?;
        Ok([own, instructions_of(shell, record, Some("peer"))?])
    };
    records.lines().map(count).collect()
}

fn instructions_of(shell: &Shell, record: &str, peer: Option<&str>) -> Result<f64> {
    let in_run = |records: u32| -> Result<f64> {
        let directory = shell.create_temp_dir()?;
        let out = directory.path().join("callgrind");
        let records = records.to_string();
        cmd!(
            shell,
            "valgrind --tool=callgrind --callgrind-out-file={out} {PROGRAM} {record} {records} {peer...}"
        )
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .with_context(|| format!("valgrind fails with {record}"))?;
        Ok(instructions_in(&fs::read_to_string(out)?))
    };
    let counted = in_run(MANY_RECORDS)? - in_run(FEW_RECORDS)?;
    ensure!(counted > 0.0, "valgrind has counted nothing");
    Ok(counted / f64::from(MANY_RECORDS - FEW_RECORDS))
}

fn parse(line: &str) -> Result<Line> {
    let mut figures = Vec::new();
    let mut unit = "";
    let mut rest = line.trim_start();
    for known in ["ns", "ms"] {
        while let Some((figure, after)) = rest.split_once(&format!(" {known}  ")) {
            let Ok(figure) = figure.trim().parse() else {
                break;
            };
            figures.push(figure);
            unit = known;
            rest = after;
        }
    }
    ensure!(!figures.is_empty(), "no figure in the line `{line}`");
    Ok(Line {
        what: rest.to_owned(),
        figures,
        unit,
    })
}

fn print(rounds: &[Vec<Line>], instructions: &[[f64; 2]]) -> Result<()> {
    say(
        "| text | telemetry-sanitize | list of expressions | ratio | instructions | of the list |\n\
         |---|---:|---:|---:|---:|---:|",
    );
    let first = rounds.first().context("no round")?;
    for (row, line) in first.iter().enumerate() {
        let column = |place: usize| -> Option<f64> {
            line.figures.get(place)?;
            let values = rounds.iter().map(|round| round[row].figures[place]);
            Some(median(values))
        };
        let shown = |figure: Option<f64>| {
            figure.map_or_else(String::new, |figure| format!("{figure} {}", line.unit))
        };
        let ratio = match (column(0), column(1)) {
            (Some(own), Some(peer)) => format!("{:.2}", own / peer),
            _ => String::new(),
        };
        let what = line.what.replace('|', "\\|");
        let [own, peer] = match instructions.get(row) {
            Some(counted) => counted.map(|count| format!("{count:.0}")),
            None => Default::default(),
        };
        say(&format!(
            "| `{what}` | {} | {} | {ratio} | {own} | {peer} |",
            shown(column(0)),
            shown(column(1))
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_text_of_a_line_are_told_apart() {
        let line = parse("   171 ns    1250 ns  backup took 3 ns  or so").unwrap();
        assert_eq!(line.figures, [171.0, 1250.0]);
        assert_eq!(line.what, "backup took 3 ns  or so");
        assert_eq!(parse("   1.3 ms  1 MB of x").unwrap().figures, [1.3]);
        assert!(parse("nothing").is_err());
    }
}
