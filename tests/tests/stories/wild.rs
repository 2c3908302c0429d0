//! Trees as they are found in the wild, only worse: few names, so that two trees clash in every way, and hostile ones.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// What the engine's unfinished files begin with.
const UNFINISHED: &str = ".sync-daemon.tmp.";

/// Names that have broken mirrors before.
const NAMES: [&[u8]; 12] = [
    b"a",
    b"b",
    b"c",
    b"-rf",
    b" ",
    b"new\nline",
    b"\xff\xfe\x80",
    b".hidden",
    b".a.AbC123",
    b"x.tmp",
    b"*?[",
    b"back\\slash",
];

/// The modes that a tree's files and directories get.
#[derive(Clone, Copy)]
pub(super) struct Modes {
    pub(super) files: &'static [u32],
    pub(super) directories: &'static [u32],
}

/// Modes that let an owner read everything, and tidy it up.
pub(super) const READABLE: Modes = Modes {
    files: &[0o644, 0o400, 0o600, 0o755],
    directories: &[0o755, 0o700, 0o750],
};

/// Grows a tree of at most `depth` levels in an existing directory.
pub(super) fn grow(random: &mut Rng, directory: &Path, depth: u32, modes: Modes) {
    let mut long = vec![b'n'; 255];
    long[200] = b'\t';
    for name in NAMES.iter().copied().chain([long.as_slice()]) {
        if random.u8(..10) < 6 {
            plant(
                random,
                &directory.join(OsStr::from_bytes(name)),
                depth,
                modes,
            );
        }
    }
    set_mode(directory, pick(random, modes.directories));
    age(random, directory);
}

/// Changes about a fifth of a tree: content, kind, mode, name, existence. It does not become empty.
pub(super) fn mutate(random: &mut Rng, root: &Path) {
    let paths: Vec<PathBuf> = snapshot(root).into_keys().collect();
    for path in paths {
        let full = root.join(path);
        if random.u8(..5) > 0 || fs::symlink_metadata(&full).is_err() {
            continue;
        }
        match random.u8(..6) {
            0 => remove(&full),
            1 => {
                let to = full.with_file_name(format!("moved{}", random.u8(..20)));
                if fs::symlink_metadata(&to).is_err() {
                    fs::rename(&full, &to).expect("a free name");
                }
            }
            2 if !fs::symlink_metadata(&full)
                .expect("it is there")
                .is_symlink() =>
            {
                let is_directory = full.is_dir();
                set_mode(&full, if is_directory { 0o711 } else { 0o640 });
            }
            _ => {
                remove(&full);
                plant(random, &full, 2, READABLE);
            }
        }
    }
    let always = root.join("never empty");
    if fs::symlink_metadata(&always).is_ok() {
        remove(&always);
    }
    fs::write(&always, vec![b'x'; random.usize(..100)]).expect("room for a file");
}

fn plant(random: &mut Rng, path: &Path, depth: u32, modes: Modes) {
    match random.u8(..10) {
        0..6 => {
            let size = pick(random, &[0, 1, 700, 5000, 70_000, 300_000]);
            fs::write(path, vec![random.u8(..); size]).expect("room for a file");
            set_mode(path, pick(random, modes.files));
            age(random, path);
        }
        6..7 => {
            symlink(pick(random, &["/", "nowhere", "a", "../.."]), path).expect("a free name");
            age(random, path);
        }
        _ => {
            fs::create_dir(path).expect("a free name");
            if depth > 1 {
                grow(random, path, depth - 1, modes);
            } else {
                age(random, path);
            }
        }
    }
}

fn remove(path: &Path) {
    let is_directory = fs::symlink_metadata(path).expect("it is there").is_dir();
    let removed = if is_directory {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.expect("removable");
}

/// Hardly ever twice the same second, which is all that rsync looks at.
fn age(random: &mut Rng, path: &Path) {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        last_modification: Timespec {
            tv_sec: pick(random, &[-1_000_000, 1_700_000_000, 4_294_967_297])
                + random.i64(0..1_000_000),
            tv_nsec: random.i64(0..1_000_000_000),
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("a time");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own file");
}

fn pick<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

/// Gives a whole tree to a user.
pub(super) fn give_to(user: u32, root: &Path) {
    lchown(root, Some(user), Some(user)).expect("only root gives away");
    for path in snapshot(root).into_keys() {
        lchown(root.join(path), Some(user), Some(user)).expect("only root gives away");
    }
}

/// Everything below a root by its path.
pub(super) type Snapshot = BTreeMap<PathBuf, Entry>;

/// What makes an entry the old or the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) is_directory: bool,
    mode: u32,
    modified: (i64, i64),
    content: Vec<u8>,
}

pub(super) fn snapshot(root: &Path) -> Snapshot {
    let mut entries = Snapshot::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory)).expect("a directory") {
            let path = directory.join(entry.expect("an entry").file_name());
            let full = root.join(&path);
            let metadata = fs::symlink_metadata(&full).expect("nobody else works here");
            let content = if metadata.is_symlink() {
                let target = fs::read_link(&full).expect("a link");
                target.as_os_str().as_bytes().to_vec()
            } else if metadata.is_file() {
                fs::read(&full).expect("readable for root, or for us")
            } else {
                Vec::new()
            };
            let entry = Entry {
                is_directory: metadata.is_dir(),
                mode: metadata.mode(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                content,
            };
            if entry.is_directory {
                directories.push(path.clone());
            }
            entries.insert(path, entry);
        }
    }
    entries
}

/// The names of unfinished files in a snapshot.
pub(super) fn litter(snapshot: &Snapshot) -> Vec<&Path> {
    let paths = snapshot.keys().map(PathBuf::as_path);
    paths.filter(|path| is_unfinished(path)).collect()
}

pub(super) fn is_unfinished(path: &Path) -> bool {
    let names = path.components().map(|name| name.as_os_str().as_bytes());
    names
        .into_iter()
        .any(|name| name.starts_with(UNFINISHED.as_bytes()))
}
