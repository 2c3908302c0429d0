//! The `sync-daemon` command once more, so that cargo builds it for the stories: tests of one package cannot ask for the binary of
//! another, and building it from within a test would take other features and a second build.

fn main() -> std::process::ExitCode {
    sync_daemon::cli::main()
}
