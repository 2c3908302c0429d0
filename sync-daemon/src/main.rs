//! The `sync-daemon` command; everything lives in the library, so that tests can start it in-process.

fn main() -> std::process::ExitCode {
    sync_daemon::cli::main()
}
