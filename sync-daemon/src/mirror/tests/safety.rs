//! Links, changes and ends in the middle of a run.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

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

/// Ends what goes on beside a test, also when that fails.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn name_that_changes_its_kind_stands_for_something_at_every_moment() {
    let fixture = Fixture::new();
    let (ours, theirs) = (fixture.source.join("x"), fixture.destination.join("x"));
    write(&ours, "1");
    fixture.run(&deleting());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                fs::symlink_metadata(&theirs).expect("it is always there");
            }
        });
        let over = EndOnDrop(&is_over);
        for round in 0..100 {
            let removed = match round % 2 {
                0 => fs::remove_file(&ours).and_then(|()| fs::create_dir_all(ours.join("a/b"))),
                _ => fs::remove_dir_all(&ours).and_then(|()| fs::write(&ours, "1")),
            };
            removed.expect("changed");
            let report = fixture.run(&deleting());
            assert_eq!(report.status, Status::Success, "{report:?}");
        }
        drop(over);
        watcher.join().expect("no gap");
    });
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn nothing_of_a_directory_in_the_way_is_deleted_before_everything_is_copied() {
    let fixture = Fixture::new();
    write(&fixture.source.join("was"), "a file now");
    write(&fixture.source.join("moved"), "precious");
    fs::create_dir(fixture.destination.join("was")).expect("mkdir");
    write(&fixture.destination.join("was/moved"), "precious");
    struct Looking<'a>(&'a Path, Mutex<Vec<bool>>);
    impl Observer for Looking<'_> {
        fn bytes_written(&self, _: u64) {
            let exists = self.0.exists();
            self.1.lock().expect("lock").push(exists);
        }
    }
    let old = fixture.destination.join("was/moved");
    let looking = Looking(&old, Mutex::default());
    let report = fixture.run_observed(&deleting(), &looking);
    assert_eq!(report.status, Status::Success, "{report:?}");
    assert_eq!(*looking.1.lock().expect("lock"), [true, false]);
    assert_eq!((report.created, report.updated, report.deleted), (1, 1, 2));
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

/// Swaps a directory for a link that leads outside, and back, until told to end.
fn swap_until(is_over: &AtomicBool, directory: &Path, aside: &Path, outside: &Path) {
    while !is_over.load(Ordering::Relaxed) {
        // The run replaces the link by a directory at times; then there is nothing to swap.
        if fs::rename(directory, aside).is_ok() {
            let _ = symlink(outside, directory);
            std::thread::yield_now();
            let _ = fs::remove_file(directory);
            if fs::rename(aside, directory).is_err() {
                let _ = fs::remove_dir_all(aside);
            }
        }
    }
    let _ = fs::remove_file(directory);
    let _ = fs::remove_dir_all(aside);
}

#[test]
fn links_that_are_swapped_in_all_the_time_lead_nobody_outside() {
    for is_source in [false, true] {
        let fixture = Fixture::new();
        let outside = fixture.source.with_file_name("outside");
        for name in ["dir/inner", "dir/other"] {
            fs::create_dir_all(outside.join(name)).expect("mkdir");
            fs::create_dir_all(fixture.source.join(name)).expect("mkdir");
        }
        for number in 0..20 {
            write(
                &outside.join(format!("dir/inner/secret{number}")),
                "precious",
            );
            write(&outside.join(format!("dir/inner/{number}")), "precious");
            write(&fixture.source.join(format!("dir/inner/{number}")), "new");
        }
        write(&fixture.source.join("f"), "not an empty source");
        fixture.run(&deleting());
        let before = snapshot(&outside);
        let root = if is_source {
            &fixture.source
        } else {
            &fixture.destination
        };
        let aside = fixture.source.with_file_name("aside");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| swap_until(&is_over, &root.join("dir"), &aside, &outside.join("dir")));
            let _over = EndOnDrop(&is_over);
            for round in 0..60 {
                if !is_source {
                    let file = fixture.source.join(format!("dir/inner/{}", round % 20));
                    write(&file, &format!("round {round}"));
                    set_mode(&fixture.source.join("dir/inner"), 0o700 + round % 2);
                }
                let report = fixture.run(&deleting());
                assert_ne!(report.status, Status::Failed, "{report:?}");
                assert_eq!(snapshot(&outside), before, "round {round}");
                // The link itself may be mirrored, what it leads to may not.
                let copy = fixture.destination.join("dir");
                let is_link = fs::symlink_metadata(&copy).is_ok_and(|found| found.is_symlink());
                let is_stolen = is_source && !is_link && copy.join("inner/secret1").exists();
                assert!(!is_stolen, "round {round}");
            }
        });
        let report = fixture.run(&Options {
            allow_empty_source: true,
            ..deleting()
        });
        assert_eq!(report.status, Status::Success, "{report:?}");
        assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
    }
}
