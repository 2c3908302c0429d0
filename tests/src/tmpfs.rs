//! A small disk that a story can fill.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::skip;

/// A mounted tmpfs of a given size. Dropping unmounts it.
pub struct Tmpfs {
    directory: TempDir,
}

impl Tmpfs {
    /// Mounts a file system of `bytes` bytes; the system rounds up to whole pages.
    ///
    /// `None`, after [`skip`] has said so, without the right to mount.
    ///
    /// # Panics
    /// If it cannot be mounted and `CI` is set.
    pub fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let size = format!("size={bytes},mode=0755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .output();
        match refusal(mounted) {
            None => Some(Self { directory }),
            Some(reason) => {
                skip(&format!(
                    "a tmpfs cannot be mounted, that takes root: {reason}"
                ));
                None
            }
        }
    }

    /// Lets nobody write to it any more, or everybody again. False while somebody has a file open for writing.
    pub fn set_read_only(&self, read_only: bool) -> bool {
        let options = match read_only {
            true => "remount,ro",
            false => "remount,rw",
        };
        let remounted = Command::new("mount")
            .args(["-o", options])
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .output();
        refusal(remounted).is_none()
    }

    /// The root of the file system.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a program of the story may not have closed its files yet.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.directory.path())
            .output();
        if let Some(reason) = refusal(unmounted) {
            skip(&format!("the tmpfs stays mounted: {reason}"));
        }
    }
}

fn refusal(outcome: io::Result<std::process::Output>) -> Option<String> {
    match outcome {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::Tmpfs;

    #[test]
    fn a_small_disk_is_full_soon_and_gone_afterwards() {
        let Some(disk) = Tmpfs::mount(64 * 1024) else {
            return;
        };
        let path = disk.path().to_owned();
        std::fs::write(path.join("fits"), [1; 1024]).expect("room for a small file");
        let full = std::fs::write(path.join("too-large"), [1; 256 * 1024]);
        assert_eq!(
            full.expect_err("a full disk").kind(),
            ErrorKind::StorageFull
        );
        assert!(disk.set_read_only(true));
        let refused = std::fs::write(path.join("fits"), [1]).expect_err("read-only");
        assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
        assert!(disk.set_read_only(false));
        std::fs::write(path.join("fits"), [1]).expect("room again");
        drop(disk);
        assert!(!path.exists());
    }
}
