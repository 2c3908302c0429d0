//! Whole runs on real directories.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};

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

fn is_special(entry: &Entry) -> bool {
    !matches!(entry.mode & 0o170_000, 0o100_000 | 0o040_000 | 0o120_000)
}

/// What has to be in the destination afterwards: the source, but for special files, and where
/// these are, what the destination had.
fn expected(source: &Snapshot, before: &Snapshot) -> Snapshot {
    let special: Vec<_> = source
        .iter()
        .filter(|(_, entry)| is_special(entry))
        .collect();
    let mut expected = source.clone();
    for (path, _) in special {
        expected.remove(path);
        let kept = before.iter().filter(|(other, _)| other.starts_with(path));
        expected.extend(kept.map(|(path, entry)| (path.clone(), entry.clone())));
    }
    expected
}

/// Grows random trees of few names, so that two of them clash in every way.
struct Gardener {
    random: fastrand::Rng,
    names: Vec<Vec<u8>>,
}

impl Gardener {
    fn new(seed: u64) -> Self {
        let names: [&[u8]; 9] = [
            b"a",
            b"-rf",
            b"\xff\xfe\x80",
            b"new\nline",
            b" ",
            b".hidden",
            b"x.tmp",
            b".a.AbC123",
            "\u{202e}gpj".as_bytes(),
        ];
        let mut names: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
        names.push(vec![b'n'; 255]);
        Self {
            random: fastrand::Rng::with_seed(seed),
            names,
        }
    }

    fn grow(&mut self, directory: &Path, depth: u32) {
        for name in self.names.clone() {
            if self.random.u8(..10) < 6 {
                self.plant(&directory.join(OsStr::from_bytes(&name)), depth);
            }
        }
        set_mode(directory, self.pick(&[0o755, 0o700, 0o555, 0o2750]));
        self.age(directory);
    }

    fn plant(&mut self, path: &Path, depth: u32) {
        match self.random.u8(..10) {
            0..4 => {
                // Equal size and time mean equal content, or nobody could tell files apart.
                let size = self.pick(&[0, 1, 5000]);
                fs::write(path, vec![b'x'; size]).expect("write");
                set_mode(path, self.pick(&[0o644, 0o400, 0o4755, 0o600]));
                self.age(path);
            }
            4..6 => {
                let target = self.pick(&["/", "nowhere", "a", "../.."]);
                symlink(target, path).expect("symlink");
                self.age(path);
            }
            6 => rustix::fs::mkfifoat(CWD, path, Mode::RUSR).expect("mkfifo"),
            _ => {
                fs::create_dir(path).expect("mkdir");
                let depth = depth.saturating_sub(1);
                if depth > 0 {
                    self.grow(path, depth);
                }
            }
        }
    }

    fn age(&mut self, path: &Path) {
        let secs = self.pick(&[-1, 0, 1_700_000_000, 4_294_967_297]);
        let nanos = self.pick(&[0, 1, 999_999_999]);
        set_mtime(path, secs, nanos);
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.usize(..choices.len())]
    }
}

#[test]
fn random_trees_become_equal_and_a_second_run_does_nothing() {
    for seed in 0..25 {
        let fixture = Fixture::new();
        let mut gardener = Gardener::new(seed);
        gardener.grow(&fixture.source, 4);
        gardener.grow(&fixture.destination, 4);
        let source = snapshot(&fixture.source);
        let before = snapshot(&fixture.destination);
        let wanted = expected(&source, &before);
        let options = Options {
            allow_empty_source: true,
            ..deleting()
        };

        let planned = fixture.run(&Options {
            dry_run: true,
            ..options.clone()
        });
        let untouched = snapshot(&fixture.destination);
        assert_eq!(untouched, before, "seed {seed}: a dry run touches nothing");

        let report = fixture.run(&options);
        assert_eq!(report.status, Status::Success, "seed {seed}: {report:?}");
        let after = snapshot(&fixture.destination);
        assert_eq!(after, wanted, "seed {seed}");
        assert_eq!(
            snapshot(&fixture.source),
            source,
            "seed {seed}: the source stays"
        );
        let counts = |report: &Report| {
            let Report {
                created,
                updated,
                deleted,
                unchanged,
                ..
            } = *report;
            (created, updated, deleted, unchanged)
        };
        assert_eq!(counts(&planned), counts(&report), "seed {seed}: as planned");
        let mirrored = source.values().filter(|entry| !is_special(entry)).count() as u64 - 1;
        let counted = report.created + report.updated + report.unchanged;
        assert_eq!(counted, mirrored, "seed {seed}: each is counted once");

        let again = fixture.run(&options);
        assert_eq!(again.files_processed(), 0, "seed {seed}: {again:?}");
        assert_eq!(again.unchanged, mirrored, "seed {seed}");
        assert_eq!(
            snapshot(&fixture.destination),
            wanted,
            "seed {seed}: second run"
        );
        make_removable(&fixture);
    }
}

/// An ordinary user cannot remove what is in read-only directories.
fn make_removable(fixture: &Fixture) {
    for root in [&fixture.source, &fixture.destination] {
        for (path, entry) in snapshot(root) {
            if entry.mode & 0o170_000 == 0o040_000 {
                set_mode(&root.join(path), 0o755);
            }
        }
    }
}

#[test]
fn missing_destination_is_created_with_the_attributes_of_the_source() {
    let fixture = Fixture::new();
    fs::remove_dir(&fixture.destination).expect("rmdir");
    write(&fixture.source.join("f"), "1");
    set_mode(&fixture.source, 0o711);
    set_mtime(&fixture.source, 1000, 5);
    let dry = fixture.run(&Options {
        dry_run: true,
        ..deleting()
    });
    assert_eq!((dry.status, dry.created), (Status::Success, 1));
    assert!(!fixture.destination.exists());
    assert_eq!(fixture.run(&deleting()).status, Status::Success);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn missing_source_is_refused() {
    let fixture = Fixture::new();
    write(&fixture.destination.join("keep"), "");
    fs::remove_dir(&fixture.source).expect("rmdir");
    assert_eq!(fixture.refusal(&deleting()), ErrorType::SourceMissing);
    assert!(fixture.destination.join("keep").exists());
}

#[test]
fn source_that_is_a_file_is_refused() {
    let fixture = Fixture::new();
    fs::remove_dir(&fixture.source).expect("rmdir");
    write(&fixture.source, "");
    assert_eq!(fixture.refusal(&deleting()), ErrorType::SourceUnreadable);
}

#[test]
fn empty_source_is_refused_unless_allowed_or_the_destination_is_empty_too() {
    let fixture = Fixture::new();
    assert_eq!(fixture.run(&deleting()).status, Status::Success);
    write(&fixture.destination.join("keep"), "");
    assert_eq!(fixture.refusal(&deleting()), ErrorType::SourceEmpty);
    assert_eq!(fixture.refusal(&Options::default()), ErrorType::SourceEmpty);
    assert!(fixture.destination.join("keep").exists());
    let allowed = Options {
        allow_empty_source: true,
        ..deleting()
    };
    assert_eq!(fixture.run(&allowed).deleted, 1);
}

#[test]
fn overlap_is_refused_in_both_directions_and_through_links() {
    let fixture = Fixture::new();
    write(&fixture.source.join("f"), "1");
    let link = fixture.source.with_file_name("link");
    symlink(&fixture.source, &link).expect("symlink");
    fs::create_dir(fixture.source.join("sub")).expect("mkdir");
    for destination in [
        fixture.source.clone(),
        fixture.source.join("sub"),
        fixture.source.join("sub/new"),
        link.join("sub"),
        link,
        fixture.source.parent().expect("parent").to_owned(),
    ] {
        let before = snapshot(&fixture.source);
        let report = mirror(
            &fixture.source,
            &destination,
            &deleting(),
            &Unobserved,
            &Cancel::new(),
        );
        assert_eq!(report.status, Status::Failed, "{destination:?}");
        assert_eq!(report.error_type(), Some(ErrorType::Overlap), "{report:?}");
        assert_eq!(snapshot(&fixture.source), before);
    }
}

#[test]
fn destination_without_a_parent_is_refused() {
    let mut fixture = Fixture::new();
    write(&fixture.source.join("f"), "1");
    fixture.destination = fixture.destination.join("no/where");
    let refusal = fixture.refusal(&deleting());
    assert_eq!(refusal, ErrorType::DestinationUnavailable);
}

#[test]
fn second_run_on_one_destination_is_refused_while_the_first_has_the_lock() {
    let fixture = Fixture::new();
    write(&fixture.source.join("f"), "1");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let other = rustix::fs::open(&fixture.destination, flags, Mode::empty()).expect("open");
    rustix::fs::flock(&other, FlockOperation::LockExclusive).expect("flock");
    assert_eq!(fixture.refusal(&deleting()), ErrorType::Locked);
    drop(other);
    assert_eq!(fixture.run(&deleting()).status, Status::Success);
}

#[test]
fn too_many_deletions_are_withheld_and_copies_proceed() {
    let fixture = Fixture::new();
    write(&fixture.source.join("new"), "1");
    for number in 0..3 {
        write(&fixture.destination.join(format!("old{number}")), "");
    }
    let options = Options {
        max_delete: 2,
        ..deleting()
    };
    let report = fixture.run(&options);
    assert_eq!(report.status, Status::Partial);
    assert_eq!(report.error_type(), Some(ErrorType::DeleteLimit));
    assert_eq!((report.created, report.deleted), (1, 0));
    assert_eq!(report.deletions_withheld, 3);
    assert_eq!(snapshot(&fixture.destination).len(), 5);
    let enough = Options {
        max_delete: 3,
        ..deleting()
    };
    assert_eq!(fixture.run(&enough).deleted, 3);
}

#[test]
fn excluded_names_are_protected_unless_delete_excluded() {
    let fixture = Fixture::new();
    let (source, destination) = (&fixture.source, &fixture.destination);
    write(&source.join("kept.txt"), "1");
    write(&source.join("no.log"), "1");
    fs::create_dir_all(destination.join("gone/cache")).expect("mkdir");
    write(&destination.join("gone/cache/precious"), "1");
    write(&destination.join("gone/file"), "1");
    write(&destination.join("old.log"), "1");
    let options = Options {
        filter: Filter::parse(["*.log", "cache/"]).expect("valid"),
        ..deleting()
    };
    let report = fixture.run(&options);
    assert_eq!(report.status, Status::Success, "{report:?}");
    assert_eq!((report.created, report.deleted), (1, 1));
    assert!(!destination.join("no.log").exists());
    assert!(destination.join("old.log").exists());
    assert!(destination.join("gone/cache/precious").exists());
    let all = Options {
        delete_excluded: true,
        ..options
    };
    assert_eq!(fixture.run(&all).deleted, 4);
    assert!(!destination.join("gone").exists());
    assert!(!destination.join("old.log").exists());
}

#[test]
fn hidden_names_are_left_alone_on_both_sides() {
    let fixture = Fixture::new();
    write(&fixture.source.join("seen"), "1");
    write(&fixture.source.join(".git"), "1");
    write(&fixture.destination.join(".cache"), "1");
    let options = Options {
        ignore_hidden: true,
        ..deleting()
    };
    let report = fixture.run(&options);
    assert_eq!((report.created, report.deleted), (1, 0));
    assert!(fixture.destination.join(".cache").exists());
    assert!(!fixture.destination.join(".git").exists());
}

#[test]
fn nothing_is_deleted_without_delete_and_a_full_directory_is_not_replaced() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.destination.join("full/inner")).expect("mkdir");
    fs::create_dir(fixture.destination.join("empty")).expect("mkdir");
    write(&fixture.destination.join("extra"), "1");
    write(&fixture.source.join("full"), "file");
    write(&fixture.source.join("empty"), "file");
    let report = fixture.run(&Options::default());
    assert_eq!(report.status, Status::Partial);
    assert_eq!((report.updated, report.failed), (1, 1));
    assert_eq!(report.errors[0].path, "full");
    assert!(fixture.destination.join("full/inner").is_dir());
    assert!(fixture.destination.join("extra").exists());
    assert_eq!(read(&fixture.destination.join("empty")), "file");
    let names = fs::read_dir(&fixture.destination).expect("list").count();
    assert_eq!(names, 3, "the temporary file of the failed copy is gone");
}

#[test]
fn links_in_the_destination_that_lead_outside_are_replaced_not_followed() {
    let fixture = Fixture::new();
    let outside = fixture.source.with_file_name("outside");
    fs::create_dir(&outside).expect("mkdir");
    write(&outside.join("f"), "precious");
    write(&outside.join("other"), "precious");
    set_mode(&outside.join("f"), 0o600);
    let before = snapshot(&outside);
    fs::create_dir(fixture.source.join("dir")).expect("mkdir");
    write(&fixture.source.join("dir/f"), "new");
    write(&fixture.source.join("file"), "new");
    symlink(&outside, fixture.destination.join("dir")).expect("symlink");
    symlink(outside.join("f"), fixture.destination.join("file")).expect("symlink");
    let report = fixture.run(&deleting());
    assert_eq!(report.status, Status::Success, "{report:?}");
    assert_eq!(snapshot(&outside), before);
    assert_eq!(snapshot(&fixture.destination), snapshot(&fixture.source));
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

#[test]
fn link_swapped_in_during_the_run_is_not_followed() {
    let fixture = Fixture::new();
    let outside = fixture.source.with_file_name("outside");
    fs::create_dir(&outside).expect("mkdir");
    write(&outside.join("extra"), "precious");
    let before = snapshot(&outside);
    for root in [&fixture.source, &fixture.destination] {
        fs::create_dir(root.join("dir")).expect("mkdir");
    }
    write(&fixture.source.join("dir/new"), "1");
    write(&fixture.destination.join("dir/extra"), "1");
    let target = fixture.destination.join("dir");
    let moved = fixture.destination.with_file_name("moved");
    let swap = AtPlan::new(|| {
        fs::rename(&target, &moved).expect("rename");
        symlink(&outside, &target).expect("symlink");
    });
    let report = fixture.run_observed(&deleting(), &swap);
    assert_eq!(report.status, Status::Partial, "{report:?}");
    assert_eq!(snapshot(&outside), before);
}

#[test]
fn vanished_entries_are_counted_and_are_no_error() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.source.join("dir")).expect("mkdir");
    for name in ["a", "b", "dir/c"] {
        write(&fixture.source.join(name), "1");
    }
    let vanish = AtPlan::new(|| {
        fs::remove_file(fixture.source.join("a")).expect("rm");
        fs::remove_dir_all(fixture.source.join("dir")).expect("rm");
    });
    let report = fixture.run_observed(&deleting(), &vanish);
    assert_eq!(report.status, Status::Success, "{report:?}");
    assert_eq!((report.vanished, report.created), (2, 2));
}

#[test]
fn what_is_written_after_the_scan_is_copied_as_it_is_then() {
    let fixture = Fixture::new();
    write(&fixture.source.join("f"), "old");
    let change = AtPlan::new(|| write(&fixture.source.join("f"), "changed"));
    fixture.run_observed(&deleting(), &change);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn attributes_are_not_given_to_content_that_changed_since_the_scan() {
    let fixture = Fixture::new();
    write(&fixture.source.join("f"), "old");
    fixture.run(&deleting());
    set_mode(&fixture.source.join("f"), 0o600);
    let change = AtPlan::new(|| write(&fixture.source.join("f"), "new"));
    fixture.run_observed(&deleting(), &change);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn change_of_mode_alone_rewrites_no_data() {
    let fixture = Fixture::new();
    write(&fixture.source.join("f"), "1");
    fixture.run(&deleting());
    let inode = fs::metadata(fixture.destination.join("f"))
        .expect("stat")
        .ino();
    set_mode(&fixture.source.join("f"), 0o4711);
    let report = fixture.run(&deleting());
    assert_eq!((report.updated, report.bytes_transferred), (1, 0));
    let metadata = fs::metadata(fixture.destination.join("f")).expect("stat");
    assert_eq!(metadata.ino(), inode);
    assert_eq!(metadata.mode() & 0o7777, 0o4711);
}

#[test]
fn hard_link_in_the_destination_is_broken_and_its_other_name_keeps_everything() {
    let fixture = Fixture::new();
    let snapshot_name = fixture.source.with_file_name("snapshot");
    write(&fixture.source.join("f"), "1");
    fixture.run(&deleting());
    fs::hard_link(fixture.destination.join("f"), &snapshot_name).expect("link");
    let before = fs::metadata(&snapshot_name).expect("stat").mode();
    set_mode(&fixture.source.join("f"), 0o600);
    fixture.run(&deleting());
    write(&fixture.source.join("f"), "2");
    fixture.run(&deleting());
    assert_eq!(read(&snapshot_name), "1");
    assert_eq!(fs::metadata(&snapshot_name).expect("stat").mode(), before);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn change_within_one_second_is_seen() {
    let fixture = Fixture::new();
    let file = fixture.source.join("f");
    write(&file, "1");
    set_mtime(&file, 1000, 1);
    fixture.run(&deleting());
    write(&file, "2");
    set_mtime(&file, 1000, 2);
    assert_eq!(fixture.run(&deleting()).updated, 1);
    assert_eq!(read(&fixture.destination.join("f")), "2");
}

#[test]
fn checksum_finds_a_change_that_kept_size_and_time() {
    let fixture = Fixture::new();
    let file = fixture.source.join("f");
    write(&file, "1");
    set_mtime(&file, 1000, 1);
    fixture.run(&deleting());
    write(&file, "2");
    set_mtime(&file, 1000, 1);
    assert_eq!(fixture.run(&deleting()).updated, 0);
    let checksum = Options {
        comparison: Comparison::Checksum,
        ..deleting()
    };
    assert_eq!(fixture.run(&checksum).updated, 1);
    set_mtime(&file, 2000, 0);
    let touched = fixture.run(&checksum);
    assert_eq!((touched.updated, touched.bytes_transferred), (1, 0));
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn without_preserve_timestamps_a_newer_destination_is_unchanged() {
    let fixture = Fixture::new();
    write(&fixture.source.join("f"), "1");
    set_mtime(&fixture.source.join("f"), 1000, 0);
    let options = Options {
        preserve_timestamps: false,
        preserve_permissions: false,
        ..deleting()
    };
    assert_eq!(fixture.run(&options).created, 1);
    let mtime = fs::metadata(fixture.destination.join("f"))
        .expect("stat")
        .mtime();
    assert!(mtime > 1000);
    assert_eq!(fixture.run(&options).files_processed(), 0);
}

#[test]
fn holes_stay_holes() {
    let fixture = Fixture::new();
    let file = fs::File::create(fixture.source.join("sparse")).expect("create");
    file.set_len(64 << 20).expect("truncate");
    std::os::unix::fs::FileExt::write_all_at(&file, b"data", 32 << 20).expect("write");
    let report = fixture.run(&deleting());
    assert_eq!(report.status, Status::Success, "{report:?}");
    let copy = fs::metadata(fixture.destination.join("sparse")).expect("stat");
    assert_eq!(copy.len(), 64 << 20);
    assert!(copy.blocks() * 512 < 1 << 20, "{} blocks", copy.blocks());
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn large_files_are_copied_whole() {
    let fixture = Fixture::new();
    for size in [65_535, 65_536, 65_537, (9 << 20) + 1] {
        let content: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        fs::write(fixture.source.join(size.to_string()), content).expect("write");
    }
    let report = fixture.run(&deleting());
    let total = 3 * 65_536 + (9 << 20) + 1;
    assert_eq!(report.bytes_transferred, total);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn what_a_crash_left_behind_is_swept_and_never_mirrored() {
    let fixture = Fixture::new();
    let ours = temporary::random_name();
    write(&fixture.source.join("f"), "1");
    write(&fixture.source.join(&ours), "half");
    write(&fixture.destination.join(&ours), "half");
    write(&fixture.destination.join(".sync-daemon.tmp.mine"), "1");
    let report = fixture.run(&Options::default());
    assert_eq!((report.created, report.deleted), (1, 0));
    assert!(!fixture.destination.join(&ours).exists());
    assert!(fixture.destination.join(".sync-daemon.tmp.mine").exists());
}

#[test]
fn paths_longer_than_the_kernel_takes_are_mirrored() {
    let fixture = Fixture::new();
    let name = "d".repeat(200);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let open = |path: &Path| rustix::fs::open(path, flags, Mode::empty()).expect("open");
    let mut at = open(&fixture.source);
    for _ in 0..30 {
        rustix::fs::mkdirat(&at, &*name, Mode::RWXU).expect("mkdir");
        at = rustix::fs::openat(&at, &*name, flags, Mode::empty()).expect("open");
    }
    rustix::fs::symlinkat("target", &at, "link").expect("symlink");
    let report = fixture.run(&deleting());
    assert_eq!((report.status, report.created), (Status::Success, 31));
    assert_eq!(fixture.run(&deleting()).unchanged, 31);
    // This deletes the chain too, which no path could reach.
    let empty = Fixture::new();
    let allowed = Options {
        allow_empty_source: true,
        ..deleting()
    };
    for root in [&fixture.source, &fixture.destination] {
        let report = mirror(&empty.source, root, &allowed, &Unobserved, &Cancel::new());
        assert_eq!(report.deleted, 31);
    }
}

#[test]
fn directory_that_is_only_touched_up_is_not_an_update() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.source.join("dir")).expect("mkdir");
    write(&fixture.source.join("dir/a"), "1");
    fixture.run(&deleting());
    write(&fixture.source.join("dir/b"), "1");
    let report = fixture.run(&deleting());
    assert_eq!(
        (report.created, report.updated, report.unchanged),
        (1, 0, 2)
    );
    set_mtime(&fixture.source.join("dir"), 5, 5);
    assert_eq!(fixture.run(&deleting()).updated, 1);
    set_mode(&fixture.source.join("dir"), 0o700);
    assert_eq!(fixture.run(&deleting()).updated, 1);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn cancelled_run_says_so_and_leaves_no_litter() {
    let fixture = Fixture::new();
    for number in 0..100 {
        write(&fixture.source.join(number.to_string()), "1");
    }
    let cancel = Cancel::new();
    let stop = AtPlan::new(|| cancel.cancel());
    let report = mirror(
        &fixture.source,
        &fixture.destination,
        &deleting(),
        &stop,
        &cancel,
    );
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(report.created, 0);
    assert_eq!(snapshot(&fixture.destination).len(), 1);
}

#[test]
fn every_durability_leaves_the_same() {
    for durability in [Durability::None, Durability::File, Durability::Batch] {
        let fixture = Fixture::new();
        Gardener::new(7).grow(&fixture.source, 3);
        let options = Options {
            durability,
            ..deleting()
        };
        let report = fixture.run(&options);
        assert_eq!(report.status, Status::Success, "{report:?}");
        let wanted = expected(&snapshot(&fixture.source), &Snapshot::new());
        assert_eq!(snapshot(&fixture.destination), wanted, "{durability:?}");
        make_removable(&fixture);
    }
}

#[test]
fn first_error_ends_the_run_when_it_must_not_go_on() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.destination.join("a/full")).expect("mkdir");
    write(&fixture.destination.join("extra"), "1");
    write(&fixture.source.join("a"), "1");
    // Not deleting what is in the way makes copying `a` fail.
    let options = Options {
        continue_on_error: false,
        filter: Filter::parse(["a/"]).expect("valid"),
        ..deleting()
    };
    let report = fixture.run(&options);
    assert_eq!((report.status, report.failed), (Status::Failed, 1));
    assert!(fixture.destination.join("extra").exists());
}

#[test]
fn special_files_are_skipped_and_counted() {
    let fixture = Fixture::new();
    rustix::fs::mkfifoat(CWD, fixture.source.join("fifo"), Mode::RUSR).expect("mkfifo");
    let report = fixture.run(&deleting());
    assert_eq!((report.status, report.skipped), (Status::Success, 1));
    assert!(!fixture.destination.join("fifo").exists());
}

#[test]
fn excluded_file_in_the_place_of_a_directory_stays_and_is_reported() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.source.join("a")).expect("mkdir");
    write(&fixture.destination.join("a"), "precious");
    let options = Options {
        filter: Filter::parse(["a", "!a/"]).expect("valid"),
        ..deleting()
    };
    let report = fixture.run(&options);
    assert_eq!((report.status, report.failed), (Status::Partial, 1));
    assert_eq!(read(&fixture.destination.join("a")), "precious");
}

/// Appends to a file while it is copied, so many times.
struct Appending<'a> {
    file: &'a Path,
    times: Mutex<u32>,
}

impl Observer for Appending<'_> {
    fn bytes_written(&self, _: u64) {
        let mut times = self.times.lock().expect("lock");
        if *times > 0 {
            *times -= 1;
            let mut file = fs::File::options()
                .append(true)
                .open(self.file)
                .expect("open");
            std::io::Write::write_all(&mut file, b"more").expect("append");
        }
    }
}

#[test]
fn file_that_changes_once_while_it_is_copied_is_copied_again() {
    let fixture = Fixture::new();
    let file = fixture.source.join("log");
    write(&file, &"x".repeat(1 << 20));
    let times = Mutex::new(1);
    let append = Appending { file: &file, times };
    let report = fixture.run_observed(&deleting(), &append);
    assert_eq!((report.status, report.created), (Status::Success, 1));
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn file_that_keeps_changing_is_reported_and_repaired_by_the_next_run() {
    let fixture = Fixture::new();
    let file = fixture.source.join("log");
    write(&file, &"x".repeat(1 << 20));
    let times = Mutex::new(u32::MAX);
    let append = Appending { file: &file, times };
    let report = fixture.run_observed(&deleting(), &append);
    assert_eq!((report.status, report.failed), (Status::Partial, 1));
    assert_eq!(report.error_type(), Some(ErrorType::Changed));
    let mtime = |path: &Path| fs::metadata(path).expect("stat").modified().expect("mtime");
    assert!(mtime(&fixture.destination.join("log")) < mtime(&file));
    assert_eq!(fixture.run(&deleting()).updated, 1);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn nothing_is_deleted_below_a_source_directory_that_cannot_be_listed() {
    if rustix::process::geteuid().is_root() {
        // Root can list every directory.
        return;
    }
    let fixture = Fixture::new();
    for root in [&fixture.source, &fixture.destination] {
        fs::create_dir(root.join("closed")).expect("mkdir");
    }
    write(&fixture.destination.join("closed/keep"), "1");
    write(&fixture.destination.join("extra"), "1");
    set_mode(&fixture.source.join("closed"), 0o300);
    let report = fixture.run(&deleting());
    assert_eq!((report.status, report.deleted), (Status::Partial, 1));
    assert_eq!(report.error_type(), Some(ErrorType::SourceUnreadable));
    set_mode(&fixture.source.join("closed"), 0o700);
    set_mode(&fixture.destination.join("closed"), 0o700);
    assert!(fixture.destination.join("closed/keep").exists());
}

/// Collects events as `span: message path operation`.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<Mutex<Vec<String>>>);

impl<S> tracing_subscriber::Layer<S> for Log
where
    S: tracing::Subscriber + for<'l> tracing_subscriber::registry::LookupSpan<'l>,
{
    fn on_event(
        &self,
        event: &tracing::Event<'_>,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context.event_scope(event).into_iter().flatten();
        let names: Vec<_> = spans.map(|span| span.name()).collect();
        let line = format!(
            "{} {} {}",
            names.join("<"),
            event.metadata().level(),
            fields.0
        );
        self.0.lock().expect("lock").push(line);
    }
}

#[derive(Default)]
struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?};", field.name()));
    }
}

#[test]
fn each_entry_is_one_debug_event_inside_the_span_of_the_job() {
    use tracing_subscriber::layer::SubscriberExt;
    let fixture = Fixture::new();
    write(&fixture.source.join("new\nline"), "12");
    write(&fixture.destination.join("old"), "1");
    let log = Log::default();
    // While there is only one subscriber, tracing asks that of the current thread whether a
    // callsite is of interest; a test beside this one has none, and would switch it off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let subscriber = tracing_subscriber::registry().with(log.clone());
    tracing::subscriber::with_default(subscriber, || {
        let job = tracing::info_span!("job");
        job.in_scope(|| fixture.run(&deleting()));
    });
    let lines = log.0.lock().expect("lock").clone();
    let debug: Vec<_> = lines.iter().filter(|line| line.contains("DEBUG")).collect();
    assert_eq!(debug.len(), 2, "{lines:#?}");
    let created =
        "apply<job DEBUG message=entry synced;path=new\\nline;operation=\"created\";bytes=2;";
    let deleted = "apply<job DEBUG message=entry synced;path=old;operation=\"deleted\";bytes=0;";
    assert_eq!(debug, [created, deleted]);
    let looked_at = lines
        .iter()
        .filter(|line| line.starts_with("scan<job TRACE"));
    assert_eq!(looked_at.count(), 1);
}
