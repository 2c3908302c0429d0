//! `sync-daemon config`.
use std::process::ExitCode;
/// Arguments.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {}
/// Runs.
pub fn run(_: &ConfigArgs, _: &super::Global) -> ExitCode { ExitCode::SUCCESS }
