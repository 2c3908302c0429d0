//! `cargo xtask check`: the steps, cheap ones first.
//!
//! All steps run even if one fails, so that one round tells everything. What they build is shared as far as cargo allows:
//! clippy stands in for `cargo check` everywhere (the same artifacts for dependencies, and dead code in a rare combination
//! of features is found too), and the examples are built by `cargo test`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::step::{Step, quiet, say};
use crate::{deny, features, tools};

/// The environment variable that tells the tests to take many rounds.
const LONG_VARIABLE: &str = "SYNC_DAEMON_LONG";

/// What was asked for on the command line.
pub(crate) struct Options {
    long: bool,
    /// Empty: all steps.
    only: Vec<String>,
}

impl Options {
    /// Reads what follows `check`.
    ///
    /// # Errors
    /// If an option is unknown. The names of steps are checked when they are looked up.
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let (options, only): (Vec<_>, Vec<_>) =
            args.iter().cloned().partition(|arg| arg.starts_with('-'));
        if let Some(unknown) = options.iter().find(|option| *option != "--long") {
            bail!("unknown option {unknown}; `check` knows only --long");
        }
        let long = !options.is_empty();
        Ok(Self { long, only })
    }
}

/// Runs the steps and tells whether all passed.
pub(crate) fn run(shell: &Shell, options: &Options) -> ExitCode {
    let steps = steps(shell, options.long);
    let known: Vec<_> = steps.iter().map(|step| step.name).collect();
    if let Some(stranger) = options
        .only
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        say(&format!(
            "there is no step `{stranger}`; steps: {}",
            known.join(", ")
        ));
        return ExitCode::from(2);
    }
    if options.long {
        say(&format!(
            "long: the tests run with {LONG_VARIABLE}=1; those that loop take many more rounds. Nothing else is added yet."
        ));
    }

    let chosen = |step: &&Step<'_>| {
        options.only.is_empty() || options.only.iter().any(|name| name == step.name)
    };
    let chosen: Vec<_> = steps.iter().filter(chosen).collect();
    let failed: Vec<_> = chosen
        .iter()
        .filter(|step| !step.passes())
        .map(|step| step.name)
        .collect();
    if failed.is_empty() {
        say(&format!("check: all {} steps passed", chosen.len()));
        ExitCode::SUCCESS
    } else {
        say(&format!("check: FAILED: {}", failed.join(", ")));
        ExitCode::FAILURE
    }
}

fn steps(shell: &Shell, long: bool) -> Vec<Step<'_>> {
    vec![
        Step {
            name: "format",
            covers: "rustfmt",
            advice: "run `cargo fmt --all`",
            run: Box::new(|| silent(quiet(cmd!(shell, "cargo fmt --all --check -- --files-with-diff")))),
        },
        Step {
            name: "deny",
            covers: "Cargo.lock, licences, sources, duplicate versions",
            advice: "choose another crate or version, or add an entry with its reason to deny.toml",
            run: Box::new(|| deny::check(shell)),
        },
        Step {
            name: "tools",
            covers: "the real programs that the tests run",
            advice: "see the message above; `cargo xtask tools` repeats this step",
            run: Box::new(|| tools::fetch(shell)),
        },
        Step {
            name: "clippy",
            covers: "all targets with all features, warnings denied",
            advice: "mend the code; an exception needs #[expect(…, reason = \"…\")]",
            run: Box::new(|| {
                silent(quiet(cmd!(
                    shell,
                    "cargo clippy --workspace --all-targets --all-features -- -D warnings"
                )))
            }),
        },
        Step {
            name: "test",
            covers: "unit tests, stories, doc tests; examples are built",
            advice: "the names of the failed tests stand above; one of them again: `cargo test -p CRATE NAME`",
            run: Box::new(move || test(shell, long)),
        },
        Step {
            name: "doc",
            covers: "all public items, warnings denied",
            advice: "mend the documentation; `cargo doc --workspace --no-deps --all-features` shows it",
            run: Box::new(|| {
                let _deny = shell.push_env("RUSTDOCFLAGS", "-D warnings");
                silent(quiet(cmd!(
                    shell,
                    "cargo doc --workspace --no-deps --all-features"
                )))
            }),
        },
        Step {
            name: "features",
            covers: "sync-daemon with every combination of its features",
            advice: "what a feature brings in has to stand behind its `#[cfg(feature = …)]`",
            run: Box::new(|| feature_combinations(shell)),
        },
        Step {
            name: "alone",
            covers: "each library crate by itself",
            advice: "the crate uses a feature of a dependency that only another crate switches on: name it in its own manifest",
            run: Box::new(|| each_crate_alone(shell)),
        },
    ]
}

fn silent(outcome: Result<()>) -> Result<String> {
    outcome.map(|()| String::new())
}

/// Prints what cargo prints: its closing lines are the proof that tests ran.
fn test(shell: &Shell, long: bool) -> Result<String> {
    say("");
    let command = cmd!(
        shell,
        "cargo test --workspace --all-features --no-fail-fast --quiet"
    );
    let command = match long {
        true => command.env(LONG_VARIABLE, "1"),
        false => command,
    };
    command.quiet().run().context("some tests failed")?;
    Ok(String::new())
}

fn feature_combinations(shell: &Shell) -> Result<String> {
    let combinations = features::combinations();
    let mut failed = Vec::new();
    for features in &combinations {
        let command = cmd!(
            shell,
            "cargo clippy --package sync-daemon --no-default-features --features {features} -- -D warnings"
        );
        if let Err(error) = quiet(command) {
            failed.push((features, error));
        }
    }
    // One mistake often breaks many combinations: the first output is enough, the other names tell the rest.
    if let Some((_, first)) = failed.first() {
        let names: Vec<_> = failed
            .iter()
            .map(|(features, _)| format!("[{features}]"))
            .collect();
        bail!("{first:#}\nfailed combinations: {}", names.join(" "));
    }
    Ok(format!("{} combinations", combinations.len()))
}

fn each_crate_alone(shell: &Shell) -> Result<String> {
    let libraries = library_crates(shell)?;
    for library in &libraries {
        quiet(cmd!(
            shell,
            "cargo clippy --package {library} -- -D warnings"
        ))?;
    }
    Ok(libraries.join(", "))
}

/// The members that other projects can use: those named `telemetry-…`, without the tests.
fn library_crates(shell: &Shell) -> Result<Vec<String>> {
    let json = cmd!(shell, "cargo metadata --format-version 1 --no-deps")
        .quiet()
        .read()?;
    let metadata: Value = serde_json::from_str(&json)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let libraries: Vec<_> = packages
        .iter()
        .filter(|package| package["publish"].is_null())
        .filter_map(|package| package["name"].as_str())
        .filter(|name| name.starts_with("telemetry-"))
        .map(str::to_owned)
        .collect();
    ensure!(
        !libraries.is_empty(),
        "no library crate was found in the workspace"
    );
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn steps_and_long_are_told_apart_and_a_typo_is_refused() {
        let options = Options::parse(&["--long".to_owned(), "doc".to_owned()]).expect("valid");
        assert!(options.long);
        assert_eq!(options.only, ["doc"]);
        assert!(Options::parse(&["--lang".to_owned()]).is_err());
    }
}
