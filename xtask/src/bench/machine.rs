//! The machine and the programs that a benchmark ran on.

use std::fs;
use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

/// One line about the machine.
pub(super) fn describe(shell: &Shell) -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism()?;
    let kernel = cmd!(shell, "uname -sr").quiet().read()?;
    let date = cmd!(shell, "date --utc --iso-8601").quiet().read()?;
    Ok(format!("{date}, {cores} cores of {model}, {kernel}"))
}

/// How many processes wanted to run during the last minute.
pub(super) fn load() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The first line that a program says about its version.
pub(super) fn version(shell: &Shell, program: &Path) -> Result<String> {
    let answer = cmd!(shell, "{program} --version").quiet().read()?;
    Ok(answer
        .lines()
        .next()
        .unwrap_or("unknown version")
        .to_owned())
}
