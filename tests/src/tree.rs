//! Directory trees, planted and compared.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Creates files with their contents below `root`, and the directories that they need.
///
/// # Panics
/// If one cannot be written.
#[track_caller]
pub fn plant(root: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = root.join(name);
        let parent = path.parent().expect("a file has a parent");
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, content));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Sets the modification time of a file or directory, in nanoseconds since 1970.
///
/// # Panics
/// If it cannot be set.
#[track_caller]
pub fn set_modified(path: &Path, nanos: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
    let times = FileTimes::new().set_modified(time);
    let set = File::open(path).and_then(|file| file.set_times(times));
    set.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Compares two trees: names, kinds, contents, targets of links, modes, and modification times to the nanosecond. Links are not
/// followed, and the two roots themselves are not compared.
///
/// # Panics
/// If they differ, with each difference.
#[track_caller]
pub fn assert_same_tree(left: &Path, right: &Path) {
    let found = differences(left, right);
    let (left, right) = (left.display(), right.display());
    assert!(
        found.is_empty(),
        "{left} and {right} differ:\n{}",
        found.join("\n")
    );
}

/// What [`assert_same_tree`] would complain about, one line each, in the order of the paths.
///
/// # Panics
/// If a tree cannot be read.
#[track_caller]
pub fn differences(left: &Path, right: &Path) -> Vec<String> {
    let (left, right) = (listing(left), listing(right));
    let mut found = Vec::new();
    for (path, entry) in &left {
        match right.get(path) {
            None => found.push(format!("{}: only on the left, {entry:?}", path.display())),
            Some(other) if other != entry => {
                found.push(format!("{}: {entry:?} and {other:?}", path.display()));
            }
            Some(_) => {}
        }
    }
    for (path, entry) in &right {
        if !left.contains_key(path) {
            found.push(format!("{}: only on the right, {entry:?}", path.display()));
        }
    }
    found.sort_unstable();
    found
}

#[derive(Debug, PartialEq)]
struct Entry {
    kind: Kind,
    mode: u32,
    modified: (i64, i64),
}

#[derive(Debug, PartialEq)]
enum Kind {
    Directory,
    File { bytes: u64, content_hash: u64 },
    Link { target: PathBuf },
    Special,
}

impl Entry {
    fn of(path: &Path, metadata: &Metadata) -> std::io::Result<Self> {
        let kind = if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Link {
                target: fs::read_link(path)?,
            }
        } else if metadata.is_file() {
            let mut hasher = DefaultHasher::new();
            fs::read(path)?.hash(&mut hasher);
            Kind::File {
                bytes: metadata.len(),
                content_hash: hasher.finish(),
            }
        } else {
            Kind::Special
        };
        Ok(Self {
            kind,
            mode: metadata.permissions().mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// Every entry below `root` by its path relative to it. What vanishes meanwhile, because a daemon is at work on the tree,
/// is not there.
#[track_caller]
fn listing(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut entries = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        match read_directory(root, &directory, &mut directories, &mut entries) {
            Err(error) if error.kind() == ErrorKind::NotFound && directory != root => {}
            read => read.unwrap_or_else(|error| panic!("{}: {error}", directory.display())),
        }
    }
    entries
}

fn read_directory(
    root: &Path,
    directory: &Path,
    directories: &mut Vec<PathBuf>,
    entries: &mut BTreeMap<PathBuf, Entry>,
) -> std::io::Result<()> {
    for child in fs::read_dir(directory)? {
        let path = child?.path();
        let entry = path.symlink_metadata().and_then(|metadata| {
            let entry = Entry::of(&path, &metadata)?;
            Ok((entry, metadata.is_dir()))
        });
        let (entry, is_directory) = match entry {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entry => entry?,
        };
        let relative = path
            .strip_prefix(root)
            .expect("a child lies below its root");
        entries.insert(relative.to_owned(), entry);
        if is_directory {
            directories.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{assert_same_tree, differences, plant, set_modified};

    /// A tree whose modification times are all the same.
    fn tree(content: &str, link: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary directory");
        plant(root.path(), &[("file", content)]);
        set_modified(&root.path().join("file"), 1_000_000_000);
        if !link.is_empty() {
            symlink(link, root.path().join("link")).expect("a new link");
        }
        root
    }

    #[test]
    fn equal_trees_are_equal() {
        assert_same_tree(tree("same", "").path(), tree("same", "").path());
    }

    #[test]
    fn content_time_and_mode_are_told_apart() {
        let original = tree("text", "");
        let other_content = tree("tixt", "");
        assert_eq!(differences(original.path(), other_content.path()).len(), 1);

        let other_time = tree("text", "");
        set_modified(&other_time.path().join("file"), 1_000_000_001);
        assert_eq!(differences(original.path(), other_time.path()).len(), 1);

        let other_mode = tree("text", "");
        let readable_by_all = Permissions::from_mode(0o604);
        std::fs::set_permissions(other_mode.path().join("file"), readable_by_all)
            .expect("our own file");
        assert_eq!(differences(original.path(), other_mode.path()).len(), 1);
    }

    #[test]
    fn links_and_missing_entries_are_told_apart() {
        let (one, two, none) = (tree("text", "a"), tree("text", "b"), tree("text", ""));
        assert_eq!(differences(one.path(), two.path()).len(), 1);
        let found = differences(none.path(), two.path());
        assert!(found[0].starts_with("link: only on the right"), "{found:?}");
        let found = differences(one.path(), none.path());
        assert!(found[0].starts_with("link: only on the left"), "{found:?}");
    }
}
