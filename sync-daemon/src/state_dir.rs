//! The directory that a daemon keeps across restarts.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Only the daemon's user may look inside: the spool holds log records.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A state directory that this process holds the lock of, until it is dropped.
///
/// The lock is on the file `lock`, which names the pid of its holder; the
/// operating system releases it even after `kill -9`.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    daemon_id: Uuid,
    _lock: File,
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// A file or directory in it cannot be made, read or written.
    #[error("cannot {what} {path}: {source}; see `daemon.state_dir` in the configuration")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another daemon runs on it.
    #[error(
        "another sync-daemon ({holder}) uses the state directory {path}; stop it, or give this one its own `daemon.state_dir`"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// `pid 123`, if the lock file says so.
        holder: String,
    },
    /// The identity file is damaged.
    #[error(
        "{path} holds no UUID; write the daemon's old id back into it, or remove it to begin a new identity"
    )]
    Identity {
        /// The file.
        path: PathBuf,
    },
}

impl StateDir {
    /// Makes the directory if it is missing, locks it, and reads (or makes) the
    /// daemon's id.
    ///
    /// # Errors
    /// [`StateDirError::Locked`] while another process holds it.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(path)
            .map_err(|source| io_error("create", path, source))?;
        let lock = lock(path)?;
        let daemon_id = match read_daemon_id(path)? {
            Some(id) => id,
            None => write_daemon_id(path)?,
        };
        Ok(Self {
            path: path.to_owned(),
            daemon_id,
            _lock: lock,
        })
    }

    /// The id of this daemon: the same after each restart.
    pub fn daemon_id(&self) -> Uuid {
        self.daemon_id
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where the control socket of the daemon with this state directory is.
pub fn control_socket(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// The id that a daemon keeps in this directory, if there is one; for commands
/// that work beside a running daemon.
///
/// # Errors
/// If the file cannot be read, or holds no id.
pub fn read_daemon_id(state_dir: &Path) -> Result<Option<Uuid>, StateDirError> {
    let path = state_dir.join("daemon_id");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_error("read", &path, source)),
    };
    match text.trim().parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(StateDirError::Identity { path }),
    }
}

/// Writes a new id under another name first, so that a crash leaves no half id.
fn write_daemon_id(state_dir: &Path) -> Result<Uuid, StateDirError> {
    let id = Uuid::new_v4();
    let (fresh, path) = (state_dir.join("daemon_id.new"), state_dir.join("daemon_id"));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(&fresh)
        .and_then(|mut file| {
            writeln!(file, "{id}")?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&fresh, &path));
    written.map_err(|source| io_error("write", &path, source))?;
    Ok(id)
}

fn lock(state_dir: &Path) -> Result<File, StateDirError> {
    let path = state_dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(|source| io_error("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StateDirError::Locked {
                path: state_dir.to_owned(),
                holder: holder_of(&mut file),
            });
        }
        Err(TryLockError::Error(source)) => return Err(io_error("lock", &path, source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|source| io_error("write", &path, source))?;
    Ok(file)
}

fn holder_of(lock: &mut File) -> String {
    let mut text = String::new();
    // Between taking the lock and writing the pid the file is empty.
    match lock.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("pid {}", text.trim()),
        _ => "of unknown pid".to_owned(),
    }
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> StateDirError {
    StateDirError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_id_survives_and_the_directory_is_private() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        let first = StateDir::open(&path).unwrap().daemon_id();
        let second = StateDir::open(&path).unwrap().daemon_id();
        assert_eq!(first, second);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, DIR_MODE);
    }

    #[test]
    fn a_second_holder_is_refused_and_told_the_pid() {
        let place = tempfile::tempdir().unwrap();
        let _first = StateDir::open(place.path()).unwrap();
        let error = StateDir::open(place.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("pid {}", std::process::id())),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_id_is_an_error_and_is_kept() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("daemon_id"), "no id").unwrap();
        assert!(matches!(
            StateDir::open(place.path()),
            Err(StateDirError::Identity { .. })
        ));
        let kept = fs::read_to_string(place.path().join("daemon_id")).unwrap();
        assert_eq!(kept, "no id");
    }
}
