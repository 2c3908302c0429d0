//! `sync-daemon sync SRC DST`.
use std::process::ExitCode;
/// Arguments.
#[derive(Debug, clap::Args)]
pub struct SyncArgs {}
/// Runs.
pub fn run(_: &SyncArgs, _: &super::Global) -> ExitCode { ExitCode::SUCCESS }
