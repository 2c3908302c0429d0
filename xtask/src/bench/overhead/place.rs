//! The tree that all daemons mirror.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

const DIRECTORIES: usize = 200;
const FILES_IN_EACH: usize = 100;
/// How many files there are.
pub(super) const FILES: usize = DIRECTORIES * FILES_IN_EACH;
/// Files that differ at each run.
pub(super) const CHANGED: usize = 200;

/// A tree of small files, made once and used again, with room for daemons beside it.
pub(super) struct Place {
    root: PathBuf,
    changes: usize,
}

impl Place {
    pub(super) fn plant(root: &Path) -> Result<Self> {
        let place = Self {
            root: root.to_owned(),
            changes: 0,
        };
        let source = place.source();
        if source.join("complete").exists() {
            return Ok(place);
        }
        for directory in 0..DIRECTORIES {
            let directory = source.join(format!("d{directory:03}"));
            fs::create_dir_all(&directory)?;
            for file in 0..FILES_IN_EACH {
                fs::write(directory.join(format!("f{file:03}")), vec![b'x'; 1024])?;
            }
        }
        fs::write(source.join("complete"), "")?;
        Ok(place)
    }

    pub(super) fn source(&self) -> PathBuf {
        self.root.join("source")
    }

    /// An empty directory for a daemon.
    pub(super) fn home(&self, name: &str) -> Result<PathBuf> {
        let home = self.root.join(name);
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home)?;
        Ok(home)
    }

    /// Gives [`CHANGED`] files new content of the same size.
    pub(super) fn change(&mut self) -> Result<()> {
        self.changes += 1;
        let number = self.changes;
        for changed in 0..CHANGED {
            let (directory, file) = (changed % DIRECTORIES, number % FILES_IN_EACH);
            let path = self.source().join(format!("d{directory:03}/f{file:03}"));
            fs::write(path, format!("{number:>1024}"))?;
        }
        Ok(())
    }
}
