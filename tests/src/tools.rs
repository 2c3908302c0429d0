//! The programs that `cargo xtask tools` fetched.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Finished, run};

/// The path of a fetched program.
///
/// `None`, after [`missing_tool`] has said so, if it is not there.
///
/// # Panics
/// If it is not there and `CI` is set.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = bin_directory().join(name);
    if path.exists() {
        return Some(path);
    }
    missing_tool(name);
    None
}

/// Runs `promtool` with `stdin` as its input.
///
/// `None` if promtool is not there, as for [`tool`].
pub fn promtool(args: &[&str], stdin: &str) -> Option<Finished> {
    let mut command = Command::new(tool("promtool")?);
    command.args(args);
    Some(run(command, stdin))
}

/// Runs `jq` with `stdin` as its input.
///
/// `None` if jq is not there, as for [`tool`].
pub fn jq(args: &[&str], stdin: &str) -> Option<Finished> {
    let mut command = Command::new(tool("jq")?);
    command.args(args);
    Some(run(command, stdin))
}

/// Runs a shell script in `directory`, the fetched programs first on its `PATH`: for command lines that the documentation shows.
/// `needs` names the fetched programs in it.
///
/// `None` if one of them is not there, as for [`tool`].
pub fn shell(directory: &Path, needs: &[&str], script: &str) -> Option<Finished> {
    for name in needs {
        tool(name)?;
    }
    let mut path = OsString::from(bin_directory());
    if let Some(inherited) = std::env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    let mut command = Command::new("sh");
    command
        .args(["-euc", script])
        .current_dir(directory)
        .env("PATH", path);
    Some(run(command, ""))
}

/// Says loudly that a story cannot run for want of a program.
///
/// # Panics
/// If `CI` is set.
pub fn missing_tool(name: &str) {
    skip(&format!(
        "{name} is not in target/tools; `cargo xtask tools` fetches it"
    ));
}

/// Says loudly that a story cannot run, past the test runner's capturing.
///
/// # Panics
/// If `CI` is set: there, nothing is skipped.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let story = thread.name().unwrap_or("a story");
    assert!(
        std::env::var_os("CI").is_none(),
        "{story} cannot run: {reason}"
    );
    let _ = writeln!(std::io::stderr(), "SKIPPED {story}: {reason}");
}

/// `target/tools/bin`, seen from the test's executable in `target/PROFILE/deps`.
fn bin_directory() -> PathBuf {
    let executable = std::env::current_exe().expect("the test's own path");
    let target = executable.ancestors().nth(3);
    target
        .expect("a test runs from cargo's target directory")
        .join("tools/bin")
}
