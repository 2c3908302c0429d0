//! Mirroring where it is hard: wild trees beside rsync, without rights, with hardly any handles.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use telemetry_tests::{Finished, Tmpfs, assert_same_tree, differences, rounds, run, tool};

use super::wild::{self, Modes};

/// An ordinary user, if the stories run as root. `nobody` on most systems.
const ORDINARY_USER: u32 = 65534;
/// Directories that their owner may not list, enter or change.
const CLOSED: Modes = Modes {
    files: &[0o000, 0o200, 0o444, 0o4755],
    directories: &[0o000, 0o100, 0o300, 0o400, 0o500, 0o755],
};

/// Directories that their owner may only read, as a source has them.
const READ_ONLY: Modes = Modes {
    files: &[0o444, 0o644, 0o755],
    directories: &[0o555, 0o500, 0o755],
};

/// A place that everybody may enter, with a source and a copy that resemble each other in nothing.
fn place(seed: u64, source: Modes, copy: Modes) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let trees = [("source", source), ("copy", copy)];
    for (name, modes) in trees {
        let root = place.path().join(name);
        fs::create_dir(&root).unwrap();
        wild::grow(&mut random, &root, 3, modes);
        // An unreadable root is refused, by rsync too.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    place
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes the trees an ordinary user's, unless whoever runs the stories is one.
fn give_away(place: &Path) {
    if is_root() {
        for name in ["source", "copy"] {
            wild::give_to(ORDINARY_USER, &place.join(name));
        }
    }
}

fn sync(place: &Path, copy: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-daemon-under-test"));
    command
        .args(["sync", "source", copy])
        .args(["--delete", "--max-delete", "0", "--quiet"])
        .current_dir(place);
    command
}

fn as_ordinary_user(mut command: Command) -> Finished {
    if is_root() {
        command.uid(ORDINARY_USER).gid(ORDINARY_USER);
    }
    run(command, "")
}

#[test]
fn wild_trees_end_as_rsync_leaves_them() {
    let Some(rsync) = tool("rsync") else { return };
    for seed in 0..u64::from(rounds(4, 200)) {
        let place = place(seed, wild::READABLE, wild::READABLE);
        let rsync = |args: &[&str]| {
            let mut command = Command::new(&rsync);
            command.args(args).current_dir(place.path());
            run(command, "").expect_success();
        };
        rsync(&["-a", "copy/", "theirs/"]);
        rsync(&["-a", "--delete", "source/", "theirs/"]);
        run(sync(place.path(), "copy"), "").expect_success();
        let found = differences(&place.path().join("theirs"), &place.path().join("copy"));
        assert_eq!(found, Vec::<String>::new(), "seed {seed}");
        assert_same_tree(&place.path().join("source"), &place.path().join("copy"));
    }
}

#[test]
fn an_ordinary_user_mirrors_into_directories_that_are_closed_to_their_owner() {
    for seed in 100..100 + u64::from(rounds(4, 200)) {
        let place = place(seed, READ_ONLY, CLOSED);
        give_away(place.path());
        as_ordinary_user(sync(place.path(), "copy")).expect_success();
        let found = differences(&place.path().join("source"), &place.path().join("copy"));
        assert_eq!(found, Vec::<String>::new(), "seed {seed}");
        // What is read-only could not be removed.
        let mut open = Command::new("chmod");
        open.args(["-R", "u+rwX", "."]).current_dir(place.path());
        run(open, "").expect_success();
    }
}

#[test]
fn a_closed_directory_that_stays_is_as_closed_as_before() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["source", "copy", "copy/closed"] {
        fs::create_dir(place.path().join(name)).unwrap();
    }
    fs::write(place.path().join("source/file"), "text").unwrap();
    fs::write(place.path().join("copy/closed/kept.log"), "text").unwrap();
    fs::write(place.path().join("copy/closed/extra"), "text").unwrap();
    let closed = place.path().join("copy/closed");
    give_away(place.path());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o300)).unwrap();
    let mut command = sync(place.path(), "copy");
    command.args(["--exclude", "*.log"]);
    as_ordinary_user(command).expect_success();
    let mode = fs::metadata(&closed).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o300);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(closed.join("kept.log").exists());
    assert!(!closed.join("extra").exists());
}

#[test]
fn a_dry_run_says_of_a_closed_directory_that_it_does_not_look_into_it() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["source/closed", "copy/closed"] {
        fs::create_dir_all(place.path().join(name)).unwrap();
    }
    fs::write(place.path().join("source/closed/file"), "text").unwrap();
    let closed = place.path().join("copy/closed");
    give_away(place.path());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = sync(place.path(), "copy");
    command.arg("--dry-run");
    let told = as_ordinary_user(command);
    let mode = fs::metadata(&closed).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0);
    assert_eq!(told.code(), Some(3), "{}", told.stderr);
    assert!(
        told.stderr.contains("closed: ") && told.stderr.contains("the run itself opens it up"),
        "{}",
        told.stderr
    );
    as_ordinary_user(sync(place.path(), "copy")).expect_success();
    assert!(closed.join("file").exists());
}

/// The kernel takes setgid away when somebody outside the group sets a mode, even the same one.
#[test]
fn setgid_of_a_foreign_group_stays_where_only_the_time_differs() {
    if !is_root() {
        // Nobody else can make such a tree.
        return;
    }
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["source", "copy"] {
        fs::create_dir_all(place.path().join(name).join("directory")).unwrap();
        fs::write(place.path().join(name).join("file"), "text").unwrap();
    }
    give_away(place.path());
    for (name, is_source) in [("source", true), ("copy", false)] {
        for entry in ["directory", "file"] {
            let path = place.path().join(name).join(entry);
            std::os::unix::fs::chown(&path, Some(ORDINARY_USER), Some(0)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o2755)).unwrap();
            let seconds = if is_source { 1000 } else { 2000 };
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
        }
    }
    let mut command = sync(place.path(), "copy");
    command.arg("--checksum");
    as_ordinary_user(command).expect_success();
    let found = differences(&place.path().join("source"), &place.path().join("copy"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn an_ordinary_user_is_told_what_cannot_be_read_and_nothing_below_it_is_deleted() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["source/closed", "copy/closed", "copy/gone"] {
        fs::create_dir_all(place.path().join(name)).unwrap();
    }
    for name in ["source/secret", "source/open", "copy/closed/kept"] {
        fs::write(place.path().join(name), "text").unwrap();
    }
    give_away(place.path());
    let set_mode = |name: &str, mode: u32| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(place.path().join(name), permissions).unwrap();
    };
    set_mode("source/closed", 0o300);
    set_mode("source/secret", 0o000);
    let mut command = sync(place.path(), "copy");
    command.arg("--json");
    let finished = as_ordinary_user(command);
    assert_eq!(finished.code(), Some(3), "{finished:?}");
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    let errors: Vec<_> = report["errors"].as_array().unwrap().iter().collect();
    let told = |path: &str| {
        let error = errors.iter().find(|error| error["path"] == path);
        error.and_then(|error| error["error_type"].as_str())
    };
    assert_eq!(told("closed"), Some("source_unreadable"), "{report}");
    assert_eq!(told("secret"), Some("permission"), "{report}");
    assert_eq!(report["deleted"], 1, "{report}");
    set_mode("source/closed", 0o700);
    set_mode("copy/closed", 0o700);
    assert!(place.path().join("copy/closed/kept").exists());
    assert!(place.path().join("copy/open").exists());
}

#[test]
fn a_wide_and_deep_tree_is_mirrored_with_hardly_any_handles() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    let mut deep = source.clone();
    for level in 0..150 {
        deep.push("d");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), level.to_string()).unwrap();
        fs::create_dir_all(source.join(format!("wide{level}/{level}"))).unwrap();
        fs::write(source.join(format!("wide{level}/{level}/file")), "text").unwrap();
    }
    let limited = |arguments: &str| {
        let program = env!("CARGO_BIN_EXE_sync-daemon-under-test");
        let script = format!("ulimit -n 64; exec '{program}' sync source copy {arguments}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(place.path());
        run(command, "").expect_success();
    };
    limited("--threads 256 --quiet");
    assert_same_tree(&source, &place.path().join("copy"));
    fs::remove_dir_all(source.join("d")).unwrap();
    limited("--threads 256 --quiet --delete");
    assert_same_tree(&source, &place.path().join("copy"));
}

#[test]
fn on_a_disk_that_is_full_whatever_fits_by_itself_is_copied_and_the_rest_is_named() {
    let Some(disk) = Tmpfs::mount(1 << 20) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    fs::create_dir(&source).unwrap();
    for name in ["one", "other"] {
        fs::write(source.join(name), vec![7; 700_000]).unwrap();
    }
    // Only when it is gone is there room for one of them, and never for both.
    fs::create_dir(disk.path().join("copy")).unwrap();
    fs::write(disk.path().join("copy/old"), vec![7; 600_000]).unwrap();
    let copy = disk.path().join("copy");
    let mut command = sync(place.path(), copy.to_str().unwrap());
    command.arg("--json");
    let finished = run(command, "");
    assert_eq!(finished.code(), Some(3), "{finished:?}");
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(report["created"], 1, "{report}");
    assert_eq!(report["deleted"], 1, "{report}");
    assert_eq!(report["errors"][0]["error_type"], "no_space", "{report}");
    let left: Vec<_> = fs::read_dir(&copy).unwrap().collect();
    assert_eq!(left.len(), 1, "no unfinished file: {left:?}");
    let name = left[0].as_ref().unwrap().file_name();
    assert_eq!(
        fs::read(copy.join(&name)).unwrap(),
        fs::read(source.join(&name)).unwrap()
    );
}
