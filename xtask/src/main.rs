//! Runs every check of this workspace, and fetches the real programs that its tests need.
//!
//! Promise: what `cargo xtask check` accepts is what continuous integration accepts, since that runs nothing else.
//! It installs nothing outside `target/`.
//!
//! In reading order: `check` (the steps), `step` (how one is run, timed and reported), `features` (the combinations),
//! `deny` and `spdx` (licences, sources and duplicate versions), `tools` (PocketBase, Prometheus, …),
//! `bench` (the project beside its peers), `simulate` (the uploader in a simulated world).

mod bench;
mod check;
mod deny;
mod features;
mod simulate;
mod spdx;
mod step;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use xshell::Shell;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check [--long] [STEP]...   run all checks, or only the named steps
                             --long: the tests that loop take many more rounds
  simulate [--seeds N]       the uploader in N simulated worlds; --seed S: that one again; --seconds T: as many as fit;
                             --bugs: plants bugs and finds them; --away T: T simulated seconds without a server
  tools                      fetch PocketBase, Prometheus and what else the tests run, into target/tools
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            step::say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<ExitCode> {
    let shell = workspace_shell()?;
    match args.split_first() {
        Some((command, options)) if command == "check" => {
            Ok(check::run(&shell, &check::Options::parse(options)?))
        }
        Some((command, [])) if command == "tools" => {
            step::say(&tools::fetch(&shell)?);
            Ok(ExitCode::SUCCESS)
        }
        Some((command, options)) if command == "bench" => {
            bench::run(&shell, options)?;
            Ok(ExitCode::SUCCESS)
        }
        Some((command, options)) if command == "simulate" => {
            simulate::run(&shell, options)?;
            Ok(ExitCode::SUCCESS)
        }
        Some((command, [])) if command == "help" || command == "--help" => {
            step::say(&format!("{USAGE}{}", bench::USAGE));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            step::say(&format!("{USAGE}{}", bench::USAGE));
            Ok(ExitCode::from(2))
        }
    }
}

/// A shell in the root of the workspace, wherever `cargo xtask` was called.
fn workspace_shell() -> Result<Shell> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let shell = Shell::new()?;
    shell.change_dir(std::fs::canonicalize(root)?);
    Ok(shell)
}
