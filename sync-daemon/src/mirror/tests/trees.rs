//! Whole trees.

use rustix::fs::{Mode, OFlags};

use super::gardener::Gardener;
use super::*;

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
pub(super) fn make_removable(fixture: &Fixture) {
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
fn special_files_are_skipped_and_counted() {
    let fixture = Fixture::new();
    rustix::fs::mkfifoat(CWD, fixture.source.join("fifo"), Mode::RUSR).expect("mkfifo");
    let report = fixture.run(&deleting());
    assert_eq!((report.status, report.skipped), (Status::Success, 1));
    assert!(!fixture.destination.join("fifo").exists());
}
