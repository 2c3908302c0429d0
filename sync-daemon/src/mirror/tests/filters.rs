//! What the filters leave out, and protect.

use super::*;

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

#[test]
fn excluded_directory_in_the_place_of_a_file_stays_even_if_it_is_empty() {
    let fixture = Fixture::new();
    write(&fixture.source.join("a"), "1");
    fs::create_dir(fixture.destination.join("a")).expect("mkdir");
    let options = Options {
        filter: Filter::parse(["a/"]).expect("valid"),
        ..deleting()
    };
    let report = fixture.run(&options);
    assert_eq!((report.status, report.failed), (Status::Partial, 1));
    assert!(fixture.destination.join("a").is_dir());
}
