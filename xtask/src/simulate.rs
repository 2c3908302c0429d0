//! The simulator of the uploader: an example of its crate, built for speed.

use anyhow::{Context, Result};
use xshell::{Cmd, Shell, cmd};

use crate::step::{quiet, say};

/// Runs the simulator with these arguments; it explains them itself.
///
/// # Errors
/// If it does not compile, a law was broken, or a planted bug not found. What happened is printed.
pub(crate) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    command(shell, args)
        .quiet()
        .run()
        .context("the simulator is not content")
}

/// As many worlds as fit a minute; with `long` 100,000, every planted bug, and an hour without the server.
///
/// # Errors
/// As [`run`].
pub(crate) fn check(shell: &Shell, long: bool) -> Result<String> {
    // Compiles; the seconds count from there.
    quiet(command(shell, &arguments("--seeds 1")))?;
    say("");
    let tasks: &[&str] = if long {
        &["--seeds 100000", "--bugs", "--away 3600"]
    } else {
        &["--seconds 60", "--away 60"]
    };
    for task in tasks {
        run(shell, &arguments(task))?;
    }
    Ok(String::new())
}

fn arguments(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn command<'a>(shell: &'a Shell, args: &[String]) -> Cmd<'a> {
    cmd!(
        shell,
        "cargo run --quiet --profile simulate --package telemetry-pocketbase --no-default-features --features simulation --example simulate -- {args...}"
    )
}
