//! Talking to the running daemon.

use super::output::say;
use super::{EXIT_FAILED, Global, settings};
use crate::control::{self, Reply, Request};
use crate::state_dir::control_socket;

/// Asks the daemon of the configuration.
///
/// # Errors
/// Says on stderr what is wrong, and returns the exit code: no daemon runs, or
/// it refuses.
pub(super) fn ask(request: &Request, global: &Global) -> Result<Reply, u8> {
    let config = settings::load(global)?.loaded.config;
    let socket = control_socket(&config.daemon.state_dir);
    control::ask(&socket, request).map_err(|error| {
        say(&format!("sync-daemon: {error}"));
        EXIT_FAILED
    })
}

/// Says that the daemon is of another version; returns the exit code.
pub(super) fn unexpected(reply: &Reply) -> u8 {
    say(&format!(
        "sync-daemon: the daemon gave an unexpected answer: {reply:?}"
    ));
    EXIT_FAILED
}
