//! What the daemon itself writes. A watcher that took that for a change would
//! start its job for ever, for each run is logged, and mirrors into somewhere.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::{Config, FileWatcher};

/// The places that the daemon writes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct OwnFiles {
    /// The state directory, and the destination of the job.
    trees: Vec<PathBuf>,
    /// The log file; its archives have names that begin alike.
    log: PathBuf,
}

/// The same as the watcher sees it: below the directory that it watches.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    trees: Vec<PathBuf>,
    logs: Option<(PathBuf, OsString)>,
}

impl OwnFiles {
    pub(super) fn new(config: &Config, watcher: &FileWatcher) -> Self {
        let mut jobs = config.sync_jobs.iter();
        let job = jobs.find(|job| job.id == watcher.sync_job_id);
        let destination = job.map(|job| job.destination_path.clone());
        let trees = destination
            .into_iter()
            .chain([config.daemon.state_dir.clone()]);
        Self {
            trees: trees.collect(),
            log: config.telemetry.log_file_path.clone(),
        }
    }

    /// What of it lies below `watched`. Blocks on the file system.
    pub(super) fn below(&self, watched: &Path) -> Ignored {
        let Ok(root) = watched.canonicalize() else {
            return Ignored::default();
        };
        let seen = |path: &Path| {
            let path = resolve(path)?;
            Some(watched.join(path.strip_prefix(&root).ok()?))
        };
        let log_directory = self.log.parent().and_then(seen);
        Ignored {
            trees: self.trees.iter().filter_map(|tree| seen(tree)).collect(),
            logs: log_directory.zip(self.log.file_stem().map(OsStr::to_owned)),
        }
    }
}

impl Ignored {
    /// Whether a change of `path` is the daemon's own.
    pub(super) fn has(&self, path: &Path) -> bool {
        let in_tree = self.trees.iter().any(|tree| path.starts_with(tree));
        in_tree || self.is_log(path)
    }

    fn is_log(&self, path: &Path) -> bool {
        let (Some((directory, stem)), Some(name)) = (&self.logs, path.file_name()) else {
            return false;
        };
        let begins_alike = name.as_encoded_bytes().starts_with(stem.as_encoded_bytes());
        begins_alike && path.parent() == Some(directory)
    }
}

/// As the file system knows it; what is missing is looked for by its parent.
fn resolve(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    if let Ok(resolved) = path.canonicalize() {
        return Some(resolved);
    }
    Some(resolve(path.parent()?)?.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SyncJob;

    #[test]
    fn logs_state_and_destination_are_no_changes_and_their_neighbours_are() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().join("real");
        std::fs::create_dir(&real).unwrap();
        let watched = place.path().join("link");
        std::os::unix::fs::symlink(&real, &watched).unwrap();

        let mut config = Config::default();
        config.daemon.state_dir = real.join("state");
        config.telemetry.log_file_path = real.join("logs/daemon.log");
        config.sync_jobs = vec![SyncJob {
            id: "a".to_owned(),
            destination_path: watched.join("out"),
            ..SyncJob::default()
        }];
        let watcher = FileWatcher {
            sync_job_id: "a".to_owned(),
            ..FileWatcher::default()
        };
        let ignored = OwnFiles::new(&config, &watcher).below(&watched);
        for own in [
            "state/spool.redb",
            "logs/daemon.log",
            "logs/daemon.2026-01-01.log.xz",
            "out/deep/file",
        ] {
            assert!(ignored.has(&watched.join(own)), "{own}");
        }
        for other in [
            "state2",
            "logs/other.log",
            "logs",
            "in/daemon.log",
            "outside",
        ] {
            assert!(!ignored.has(&watched.join(other)), "{other}");
        }
        let elsewhere = OwnFiles::new(&config, &watcher).below(place.path().join("none").as_path());
        assert!(!elsewhere.has(&real.join("state/x")));
    }
}
