//! What redaction costs a record, beside a plain list of regular expressions over the same values.

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::machine;
use super::measure::median;
use crate::step::say;

const DEFAULT_ROUNDS: usize = 5;

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
        let output = cmd!(shell, "target/release/examples/nanos")
            .quiet()
            .read()?;
        all.push(output.lines().map(parse).collect::<Result<Vec<_>>>()?);
    }
    print(&all)
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

fn print(rounds: &[Vec<Line>]) -> Result<()> {
    say("| text | telemetry-sanitize | list of expressions | ratio |\n|---|---:|---:|---:|");
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
        say(&format!(
            "| `{what}` | {} | {} | {ratio} |",
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
