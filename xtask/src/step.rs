//! One step of the checks: its line, its time, its output when it fails.

use std::io::Write;
use std::time::Instant;

use anyhow::{Result, bail};
use xshell::Cmd;

/// A named check and what to do when it fails.
pub(crate) struct Step<'a> {
    /// What is typed after `cargo xtask check` to run this one alone.
    pub(crate) name: &'static str,
    /// What it covers, for the line that is printed.
    pub(crate) covers: &'static str,
    /// What to do about a failure.
    pub(crate) advice: &'static str,
    /// Runs it; the text of a success is printed behind the time.
    pub(crate) run: Box<dyn Fn() -> Result<String> + 'a>,
}

impl Step<'_> {
    /// Runs the step, prints its line, and tells whether it passed.
    pub(crate) fn passes(&self) -> bool {
        start_line(&format!("{:<9} {} … ", self.name, self.covers));
        let started = Instant::now();
        let outcome = (self.run)();
        let seconds = started.elapsed().as_secs_f64();
        match &outcome {
            Ok(note) if note.is_empty() => say(&format!("ok, {seconds:.1} s")),
            Ok(note) => say(&format!("ok, {seconds:.1} s, {note}")),
            Err(error) => {
                say(&format!("FAILED after {seconds:.1} s"));
                say(&format!("{error:#}"));
                say(&format!("What to do: {}\n", self.advice));
            }
        }
        outcome.is_ok()
    }
}

/// Runs a command silently.
///
/// # Errors
/// The command's whole output, if it fails.
pub(crate) fn quiet(command: Cmd<'_>) -> Result<()> {
    let shown = command.to_string();
    let output = command.quiet().ignore_status().output()?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "`{shown}` failed with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
}

/// Prints a line on stdout; a closed stdout is no reason to stop checking.
pub(crate) fn say(line: &str) {
    start_line(&format!("{line}\n"));
}

/// Prints the beginning of a line at once, so that a watcher sees what is running.
fn start_line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
