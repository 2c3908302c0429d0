//! Runs that are refused, or may not delete.

use std::os::unix::fs::symlink;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::*;

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
