//! The directory of a log file: its archives, oldest first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::archive_name::{ArchiveName, Label, TEMPORARY_SUFFIX};

/// An archive as it lies in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    pub(crate) name: ArchiveName,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// When its last record was written.
    pub(crate) modified: SystemTime,
}

/// The directory that holds a log file and its archives.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    path: PathBuf,
    stem: String,
}

impl Directory {
    /// That of the log file with this stem, in `path`.
    pub(crate) fn new(path: &Path, stem: &str) -> Self {
        Self {
            path: path.to_owned(),
            stem: stem.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &ArchiveName) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// The archives, oldest first. Links and directories are not ours, whatever
    /// they are called.
    ///
    /// # Errors
    /// When the directory cannot be read. Archives that vanish meanwhile are
    /// left out.
    pub(crate) fn archives(&self) -> io::Result<Vec<Archive>> {
        let mut archives = Vec::new();
        for (name, path) in self.names(|name| ArchiveName::parse(&self.stem, name))? {
            let metadata = match path.symlink_metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file() {
                archives.push(Archive {
                    name,
                    path,
                    bytes: metadata.len(),
                    modified: metadata.modified()?,
                });
            }
        }
        archives.sort_by_key(|archive| archive.name.sort_key());
        Ok(archives)
    }

    /// Files that a compression left behind when it was killed.
    pub(crate) fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        let found = self.names(|name| {
            let name = name.strip_suffix(TEMPORARY_SUFFIX)?;
            ArchiveName::parse(&self.stem, name).filter(|name| name.packed)
        })?;
        Ok(found.into_iter().map(|(_, path)| path).collect())
    }

    /// The lowest number that is larger than every one of this period.
    pub(crate) fn next_number(&self, label: Label) -> io::Result<u32> {
        let taken = self.names(|name| {
            let name = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name);
            ArchiveName::parse(&self.stem, name).filter(|name| name.label == label)
        })?;
        let last = taken.iter().map(|(name, _)| name.number).max();
        Ok(last.map_or(0, |last| last.saturating_add(1)))
    }

    pub(crate) fn name(&self, label: Label, number: u32) -> ArchiveName {
        ArchiveName {
            stem: self.stem.clone(),
            label,
            number,
            packed: false,
        }
    }

    fn names(
        &self,
        parse: impl Fn(&str) -> Option<ArchiveName>,
    ) -> io::Result<Vec<(ArchiveName, PathBuf)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str().and_then(&parse) {
                names.push((name, entry.path()));
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_with_our_names_are_archives() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path();
        for name in [
            "d-2026-01-02.10.log",
            "d-2026-01-02.9.log.xz",
            "d-2026-01-01.0.log",
            "d.log",
            "d-2026-01-03.0.log.xz.tmp",
            "notes.txt",
        ] {
            fs::write(path.join(name), "x").expect("written");
        }
        fs::create_dir(path.join("d-2026-01-04.0.log")).expect("created");
        let directory = Directory::new(path, "d");
        let archives = directory.archives().expect("readable");
        let names: Vec<_> = archives.iter().map(|a| a.name.to_string()).collect();
        assert_eq!(
            names,
            [
                "d-2026-01-01.0.log",
                "d-2026-01-02.9.log.xz",
                "d-2026-01-02.10.log"
            ]
        );
        let leftovers = directory.leftovers().expect("readable");
        assert_eq!(leftovers, [path.join("d-2026-01-03.0.log.xz.tmp")]);
    }

    #[test]
    fn numbers_go_on_after_every_form_of_a_name() {
        let folder = tempfile::tempdir().expect("a directory");
        let directory = Directory::new(folder.path(), "d");
        let name = ArchiveName::parse("d", "d-2026-01-02.0.log").expect("ours");
        assert_eq!(directory.next_number(name.label).expect("readable"), 0);
        fs::write(folder.path().join("d-2026-01-02.4.log.xz"), "").expect("written");
        assert_eq!(directory.next_number(name.label).expect("readable"), 5);
        fs::write(folder.path().join("d-2026-01-02.6.log.xz.tmp"), "").expect("written");
        assert_eq!(directory.next_number(name.label).expect("readable"), 7);
    }
}
