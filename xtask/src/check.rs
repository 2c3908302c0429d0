//! `cargo xtask check`: the steps, cheap ones first.
//!
//! All steps run even if one fails, so that one round tells everything. What they build is shared as far as cargo allows:
//! clippy stands in for `cargo check` everywhere (the same artifacts for dependencies, and dead code in a rare combination
//! of features is found too), and the examples are built by `cargo test`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Cmd, Shell, cmd};

use crate::step::{Step, quiet, say};
use crate::{deny, features, simulate, tools};

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
        let long = options.iter().any(|option| option == "--long");
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
            "long: the tests run with {LONG_VARIABLE}=1; those that loop take many more rounds. The simulator runs 100,000 seeds, plants every bug, and lets an hour pass."
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
            run: Box::new(|| format(shell)),
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
            run: Box::new(|| clippy(shell)),
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
            run: Box::new(|| doc(shell)),
        },
        Step {
            name: "features",
            covers: "sync-daemon with every combination of its features",
            advice: "if only this step fails: what a feature brings in has to stand behind its `#[cfg(feature = …)]`",
            run: Box::new(|| feature_combinations(shell)),
        },
        Step {
            name: "alone",
            covers: "each library crate by itself, with and without its default features",
            advice: "if only this step fails: the crate uses a feature of a dependency that only another crate switches on: name it in its own manifest",
            run: Box::new(|| each_crate_alone(shell)),
        },
        Step {
            name: "model",
            covers: "the log queue in every order in which its threads could act",
            advice: "a deadlock here is a wake-up that is missing; `telemetry-core/src/queue/model.rs` says how to run one model",
            run: Box::new(|| queue_model(shell)),
        },
        Step {
            name: "simulate",
            covers: "the uploader in simulated worlds, and with its server away",
            advice: "the line `again:` above runs the same world again and tells its story",
            run: Box::new(move || simulate::check(shell, long)),
        },
    ]
}

fn format(shell: &Shell) -> Result<String> {
    quiet(cmd!(shell, "cargo fmt --all --check -- --files-with-diff"))?;
    Ok(String::new())
}

fn clippy(shell: &Shell) -> Result<String> {
    quiet(cmd!(
        shell,
        "cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings"
    ))?;
    Ok(String::new())
}

fn doc(shell: &Shell) -> Result<String> {
    let _deny = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    quiet(cmd!(
        shell,
        "cargo doc --quiet --workspace --no-deps --all-features"
    ))?;
    Ok(String::new())
}

/// Prints what cargo prints: its closing lines are the proof that tests ran.
fn test(shell: &Shell, long: bool) -> Result<String> {
    say("");
    let command = cmd!(
        shell,
        "cargo test --workspace --all-features --no-fail-fast --quiet"
    );
    let command = if long {
        command.env(LONG_VARIABLE, "1")
    } else {
        command
    };
    command.quiet().run().context("some tests failed")?;
    Ok(String::new())
}

fn feature_combinations(shell: &Shell) -> Result<String> {
    let combinations = features::combinations();
    let commands = combinations.iter().map(|features| {
        cmd!(
            shell,
            "cargo clippy --quiet --package sync-daemon --no-default-features --features={features} -- -D warnings"
        )
    });
    all_of(commands)?;
    Ok(format!("{} combinations", combinations.len()))
}

fn each_crate_alone(shell: &Shell) -> Result<String> {
    let libraries = library_crates(shell)?;
    let commands = libraries.iter().flat_map(|library| {
        [None, Some("--no-default-features")].map(|features| {
            cmd!(
                shell,
                "cargo clippy --quiet --package {library} {features...} -- -D warnings"
            )
        })
    });
    all_of(commands)?;
    Ok(libraries.join(", "))
}

fn queue_model(shell: &Shell) -> Result<String> {
    let _model = shell.push_env("RUSTFLAGS", "--cfg queue_model");
    quiet(cmd!(
        shell,
        "cargo test --quiet --package telemetry-core --lib queue::model"
    ))?;
    Ok(String::new())
}

/// Runs all commands, also after one has failed.
///
/// One mistake often breaks many of them: the error holds the output of the first, and the others by name.
fn all_of<'a>(commands: impl Iterator<Item = Cmd<'a>>) -> Result<()> {
    let mut first = None;
    let mut others = Vec::new();
    for command in commands {
        let name = command.to_string();
        match (quiet(command), &first) {
            (Ok(()), _) => {}
            (Err(error), None) => first = Some(error),
            (Err(_), Some(_)) => others.push(name),
        }
    }
    match first {
        None => Ok(()),
        Some(error) if others.is_empty() => Err(error),
        Some(error) => bail!("{error:#}\nFailed too:\n{}", others.join("\n")),
    }
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
    use xshell::{Shell, cmd};

    use super::{Options, all_of};

    #[test]
    fn every_command_runs_and_every_failure_is_named() {
        let shell = Shell::new().expect("a shell");
        let scripts = ["exit 0", "echo first >&2; exit 1", "echo again >&2; exit 2"];
        let outcome = all_of(scripts.iter().map(|script| cmd!(shell, "sh -c {script}")));
        let message = format!("{:#}", outcome.expect_err("two failures"));
        assert!(message.contains("\nfirst\n"), "{message}");
        assert!(message.contains("exit 2"), "{message}");
        assert!(all_of([cmd!(shell, "true")].into_iter()).is_ok());
    }

    #[test]
    fn steps_and_long_are_told_apart_and_a_typo_is_refused() {
        let options = Options::parse(&["--long".to_owned(), "doc".to_owned()]).expect("valid");
        assert!(options.long);
        assert_eq!(options.only, ["doc"]);
        assert!(Options::parse(&["--lang".to_owned()]).is_err());
    }
}
