//! `[daemon]` and `[concurrency]`: the process itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::Environment;
use super::section::{Keys, Section};
use super::slot::{count, path, seconds};

/// Default of [`Daemon::state_dir`] when root runs the daemon; others use [`default_state_dir`].
pub const DEFAULT_STATE_DIR: &str = "/var/lib/sync-daemon";
/// Default of [`Daemon::shutdown_timeout`]: 30 seconds.
pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of [`Concurrency::max_concurrent_syncs`].
pub const DEFAULT_MAX_CONCURRENT_SYNCS: usize = 4;
/// Default of [`Concurrency::max_file_operations`].
pub const DEFAULT_MAX_FILE_OPERATIONS: usize = 8;
/// Default of [`Concurrency::sync_queue_size`].
pub const DEFAULT_SYNC_QUEUE_SIZE: usize = 1_000;

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Daemon {
    /// The directory of the daemon's identity, spool, dead letters, lock and control socket. Default: [`default_state_dir`].
    pub state_dir: PathBuf,
    /// The longest that a shutdown takes; not zero. Default: [`DEFAULT_SHUTDOWN_TIMEOUT`].
    pub shutdown_timeout: Duration,
}

impl Daemon {
    /// The defaults for this user and environment.
    pub(crate) fn for_environment(environment: &Environment) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        Self {
            state_dir: default_state_dir(environment, is_root),
            ..Self::for_root()
        }
    }

    /// The defaults for root, which are those of the documentation.
    pub(crate) fn for_root() -> Self {
        Self {
            state_dir: PathBuf::from(DEFAULT_STATE_DIR),
            shutdown_timeout: DEFAULT_SHUTDOWN_TIMEOUT,
        }
    }
}

impl Section for Daemon {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "state_dir",
            path(&mut self.state_dir),
            "Identity, spool, dead letters, lock and control socket; the XDG state directory when not root",
        );
        keys.key(
            "shutdown_timeout_secs",
            seconds(&mut self.shutdown_timeout, 1..=86_400),
            "The longest that a shutdown takes",
        );
    }
}

/// [`DEFAULT_STATE_DIR`] for root, otherwise the user's state directory after the XDG base directory specification; that without a home is
/// [`DEFAULT_STATE_DIR`] too.
pub fn default_state_dir(environment: &Environment, is_root: bool) -> PathBuf {
    let system = PathBuf::from(DEFAULT_STATE_DIR);
    if is_root {
        return system;
    }
    match environment.xdg_directory("XDG_STATE_HOME", Path::new(".local/state")) {
        Some(directory) => directory.join("sync-daemon"),
        None => system,
    }
}

/// `[concurrency]`: how much happens at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Concurrency {
    /// Jobs at once; at least 1. Default: [`DEFAULT_MAX_CONCURRENT_SYNCS`].
    pub max_concurrent_syncs: usize,
    /// Copies at once inside one job; at least 1. Default: [`DEFAULT_MAX_FILE_OPERATIONS`].
    pub max_file_operations: usize,
    /// Jobs that wait for a free place; at least 1. Default: [`DEFAULT_SYNC_QUEUE_SIZE`].
    pub sync_queue_size: usize,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            max_concurrent_syncs: DEFAULT_MAX_CONCURRENT_SYNCS,
            max_file_operations: DEFAULT_MAX_FILE_OPERATIONS,
            sync_queue_size: DEFAULT_SYNC_QUEUE_SIZE,
        }
    }
}

impl Section for Concurrency {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "max_concurrent_syncs",
            count(&mut self.max_concurrent_syncs, 1..=1_024),
            "Jobs at once",
        );
        keys.key(
            "max_file_operations",
            count(&mut self.max_file_operations, 1..=1_024),
            "Copies at once inside one job",
        );
        keys.key(
            "sync_queue_size",
            count(&mut self.sync_queue_size, 1..=1_000_000),
            "Jobs that wait for a free place",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_dir(variables: &[(&str, &str)], is_root: bool) -> PathBuf {
        default_state_dir(&variables.iter().copied().collect(), is_root)
    }

    #[test]
    fn root_keeps_its_state_under_var_and_others_in_their_home() {
        let home = [("HOME", "/home/a")];
        assert_eq!(state_dir(&home, true), Path::new("/var/lib/sync-daemon"));
        assert_eq!(
            state_dir(&home, false),
            Path::new("/home/a/.local/state/sync-daemon")
        );
        let both = [("HOME", "/home/a"), ("XDG_STATE_HOME", "/state")];
        assert_eq!(state_dir(&both, false), Path::new("/state/sync-daemon"));
        let relative = [("HOME", "/home/a"), ("XDG_STATE_HOME", "state")];
        assert_eq!(
            state_dir(&relative, false),
            Path::new("/home/a/.local/state/sync-daemon")
        );
        assert_eq!(state_dir(&[], false), Path::new("/var/lib/sync-daemon"));
    }
}
