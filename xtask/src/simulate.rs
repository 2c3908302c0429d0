//! The simulator of the uploader: an example of its crate, built for speed.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Runs the simulator with these arguments; it explains them itself.
///
/// # Errors
/// If it does not compile, a law was broken, or a planted bug not found. What happened is printed.
pub(crate) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    cmd!(
        shell,
        "cargo run --quiet --release --package telemetry-pocketbase --features simulation --example simulate -- {args...}"
    )
    .quiet()
    .run()
    .context("the simulator is not content")
}
