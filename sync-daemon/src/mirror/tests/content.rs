//! One file: when it is copied, and how.

use super::*;

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
fn change_right_after_the_copy_is_seen_even_without_preserve_timestamps() {
    let fixture = Fixture::new();
    let file = fixture.source.join("f");
    let options = Options {
        preserve_timestamps: false,
        ..deleting()
    };
    write(&file, "0");
    fixture.run(&options);
    for round in 1..20 {
        write(&file, &(round % 10).to_string());
        let report = fixture.run(&options);
        assert_eq!(report.updated, 1, "round {round}");
        assert_eq!(fixture.run(&options).updated, 0, "round {round}");
    }
}

#[test]
fn time_in_the_future_is_no_reason_to_copy_again_without_preserve_timestamps() {
    let fixture = Fixture::new();
    write(&fixture.source.join("f"), "1");
    set_mtime(&fixture.source.join("f"), 1 << 33, 0);
    let options = Options {
        preserve_timestamps: false,
        ..deleting()
    };
    assert_eq!(fixture.run(&options).created, 1);
    assert_eq!(fixture.run(&options).updated, 0);
}
