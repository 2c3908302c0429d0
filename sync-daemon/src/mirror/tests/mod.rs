//! Whole runs on real directories.

mod content; // one file
mod filters; // what is left out
mod gardener; // random trees
mod log; // what is told
mod model; // the plan, worked out naively
mod refusals; // what must not begin
mod safety; // what must not be harmed
mod swept; // what a crash leaves behind
mod trees; // everything together

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{AtFlags, CWD};

use super::*;
use crate::error_type::ErrorType;

/// A source and a destination in a temporary directory.
struct Fixture {
    _root: tempfile::TempDir,
    source: PathBuf,
    destination: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("tempdir");
        let (source, destination) = (root.path().join("source"), root.path().join("mirror"));
        fs::create_dir(&source).expect("source");
        fs::create_dir(&destination).expect("destination");
        Self {
            _root: root,
            source,
            destination,
        }
    }

    fn run(&self, options: &Options) -> Report {
        self.run_observed(options, &Unobserved)
    }

    fn run_observed(&self, options: &Options, observer: &dyn Observer) -> Report {
        mirror(
            &self.source,
            &self.destination,
            options,
            observer,
            &Cancel::new(),
        )
    }

    fn refusal(&self, options: &Options) -> ErrorType {
        let report = self.run(options);
        assert_eq!(report.status, Status::Failed, "{report:?}");
        assert_eq!(report.errors.len(), 1);
        report.errors[0].error_type
    }
}

fn deleting() -> Options {
    Options {
        delete: true,
        max_delete: 0,
        max_delete_percent: 0,
        ..Options::default()
    }
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).expect("write");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("read")
}

fn set_mtime(path: &Path, secs: i64, nanos: u32) {
    let times = metadata::Mtime { secs, nanos }.to_timestamps();
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("utimensat");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

/// Everything about a tree that a mirror has to carry over.
type Snapshot = BTreeMap<PathBuf, Entry>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    mode: u32,
    mtime: (i64, i64),
    content: Vec<u8>,
}

fn snapshot(root: &Path) -> Snapshot {
    let mut snapshot = Snapshot::new();
    let mut to_visit = vec![PathBuf::new()];
    while let Some(path) = to_visit.pop() {
        let full = root.join(&path);
        let metadata = fs::symlink_metadata(&full).expect("stat");
        let mut content = Vec::new();
        if metadata.is_dir() {
            for entry in fs::read_dir(&full).expect("list") {
                to_visit.push(path.join(entry.expect("entry").file_name()));
            }
        } else if metadata.is_symlink() {
            let target = fs::read_link(&full).expect("readlink");
            content = target.as_os_str().as_bytes().to_vec();
        } else if metadata.is_file() {
            content = fs::read(&full).expect("read");
        }
        let entry = Entry {
            mode: metadata.mode(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            content,
        };
        snapshot.insert(path, entry);
    }
    snapshot
}

/// Does something between the plan and its execution.
struct AtPlan<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> AtPlan<F> {
    fn new(action: F) -> Self {
        Self(Mutex::new(Some(action)))
    }
}

impl<F: FnOnce() + Send> Observer for AtPlan<F> {
    fn planned(&self, _: &Plan) {
        if let Some(action) = self.0.lock().expect("lock").take() {
            action();
        }
    }
}
