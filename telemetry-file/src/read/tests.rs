//! Reading compared with looking at every line, on logs that a sink has written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;
use tracing::Level;

use super::*;
use crate::config::{Compression, Frequency};
use crate::line::time_of;
use crate::stories::{World, close, read_archive, until};

/// 2026-11-23T12:00:00Z.
const NOON: u64 = 1_795_435_200;

fn time(seconds: u64) -> Timestamp {
    Timestamp::from_second(seconds as i64).expect("in range")
}

fn record(seconds: u64, level: &str, message: &str) -> String {
    let time = time(seconds);
    format!(
        "{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"target\":\"app::job\",\"message\":\"{message}\",\"fields\":{{\"n\":{seconds}}}}}"
    )
}

/// A directory with files that are written by hand.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn active(&self) -> PathBuf {
        self.path("d.log")
    }

    fn put(&self, name: &str, lines: &[String]) {
        let mut text = lines.join("\n");
        text.push('\n');
        self.put_bytes(name, text.as_bytes());
    }

    fn put_bytes(&self, name: &str, bytes: &[u8]) {
        let bytes = match name.ends_with(".xz") {
            true => packed(bytes),
            false => bytes.to_vec(),
        };
        fs::write(self.path(name), bytes).expect("written");
    }

    fn append(&self, name: &str, lines: &[String]) {
        let before = fs::read_to_string(self.path(name)).unwrap_or_default();
        let mut file = fs::File::options()
            .append(true)
            .create(true)
            .open(self.path(name))
            .expect("opened");
        assert!(before.is_empty() || before.ends_with('\n'));
        for line in lines {
            std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).expect("written");
        }
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut target = Vec::new();
    crate::xz::pack(bytes, &mut target, 0, &AtomicBool::new(false)).expect("packed");
    target
}

fn all(mut reader: LogReader) -> Vec<String> {
    let lines: Vec<String> = reader.by_ref().flat_map(|lines| texts(&lines)).collect();
    let errors = reader.take_errors();
    assert!(errors.is_empty(), "{errors:?}");
    lines
}

fn texts(lines: &Lines) -> Vec<String> {
    lines
        .iter()
        .map(|line| String::from_utf8(line.text.to_vec()).expect("text"))
        .collect()
}

fn read(path: &Path, query: &Query) -> Vec<String> {
    all(LogReader::open(path, query).expect("a log"))
}

fn last(count: u64) -> Query {
    Query {
        last: Some(count),
        ..Query::default()
    }
}

fn merged(paths: &[PathBuf], query: &Query) -> Vec<String> {
    let mut merged = Merged::open(paths, query).expect("logs");
    let mut lines = Vec::new();
    while let Some(line) = merged.next_line() {
        lines.push(String::from_utf8(line.text.to_vec()).expect("text"));
    }
    assert!(merged.take_errors().is_empty());
    lines
}

#[test]
fn archives_come_before_the_active_file_in_the_order_of_time() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..8).map(|n| record(NOON + n, "INFO", "m")).collect();
    folder.put("d-2026-11-21.0.log.xz", &lines[..2]);
    folder.put("d-2026-11-22.9.log.xz", &lines[2..4]);
    folder.put("d-2026-11-22.10.log", &lines[4..6]);
    folder.put("d.log", &lines[6..]);
    folder.put("d-2026-11-21.0.log.xz.tmp", &["half".to_owned()]);
    folder.put("other-2026-11-21.0.log", &["theirs".to_owned()]);
    assert_eq!(read(&folder.active(), &Query::default()), lines);
    for count in 0..10 {
        let expected = &lines[8usize.saturating_sub(count as usize)..];
        assert_eq!(read(&folder.active(), &last(count)), expected, "{count}");
    }
    fs::remove_file(folder.active()).expect("removed");
    assert_eq!(read(&folder.active(), &Query::default()), lines[..6]);
    let archive = folder.path("d-2026-11-22.10.log");
    assert_eq!(read(&archive, &Query::default()), lines[4..6]);
}

#[test]
fn an_archive_in_both_forms_is_read_once() {
    let folder = Folder::new();
    let lines = [record(NOON, "INFO", "once")];
    folder.put("d-2026-11-21.0.log", &lines);
    folder.put("d-2026-11-21.0.log.xz", &lines);
    assert_eq!(read(&folder.active(), &Query::default()), lines);
    // Nobody knows which one is right.
    folder.put(
        "d-2026-11-21.0.log.xz",
        &[record(NOON, "INFO", "other one")],
    );
    assert_eq!(read(&folder.active(), &Query::default()).len(), 2);
}

#[test]
fn a_log_that_is_not_there_is_an_error() {
    let folder = Folder::new();
    let error = LogReader::open(&folder.active(), &Query::default()).err();
    let error = error.expect("no log").to_string();
    assert!(error.contains("d.log\" and no archive"), "{error}");
    let missing = folder.path("d-2026-11-21.0.log.xz");
    assert!(LogReader::open(&missing, &Query::default()).is_err());
    assert!(LogReader::open(folder.0.path(), &Query::default()).is_err());
}

#[test]
fn damaged_archives_are_told_and_the_rest_is_read() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..30_000).map(|n| record(NOON + n, "INFO", "m")).collect();
    let text = lines.join("\n") + "\n";
    let mut bytes = packed(text.as_bytes());
    let damaged = bytes.len() * 3 / 4;
    bytes[damaged] ^= 0x10;
    fs::write(folder.path("d-2026-11-21.0.log.xz"), &bytes).expect("written");
    // Cut, so that it has no index.
    let cut = &bytes[..bytes.len() / 2];
    fs::write(folder.path("d-2026-11-22.0.log.xz"), cut).expect("written");
    fs::write(folder.path("d-2026-11-23.0.log.xz"), "no xz\n").expect("written");
    folder.put("d.log", &[record(NOON, "INFO", "last")]);

    let mut reader = LogReader::open(&folder.active(), &Query::default()).expect("a log");
    let found: Vec<String> = reader.by_ref().flat_map(|lines| texts(&lines)).collect();
    assert!(found.len() > lines.len(), "most of both: {}", found.len());
    assert!(found[..1000] == lines[..1000]);
    assert_eq!(found[found.len() - 2], "no xz");
    assert!(found[found.len() - 1].contains("last"));
    let errors = reader.take_errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
}

#[test]
fn the_last_lines_of_a_cut_archive_are_as_many_as_were_asked_for() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..30_000).map(|n| record(NOON + n, "INFO", "m")).collect();
    let bytes = packed((lines.join("\n") + "\n").as_bytes());
    let path = folder.path("d-2026-11-21.0.log.xz");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let found = |query: &Query| -> Vec<String> {
        let mut reader = LogReader::open(&path, query).expect("a log");
        let found = reader.by_ref().flat_map(|lines| texts(&lines)).collect();
        let errors = reader.take_errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].to_string().contains("cut or damaged"),
            "{errors:?}"
        );
        found
    };
    let all = found(&Query::default());
    assert!(all.len() > 5000);
    assert!(found(&last(3)) == all[all.len() - 3..]);
}

#[cfg(unix)]
#[test]
fn the_last_lines_of_a_pipe_are_kept_from_the_only_reading_of_it() {
    let folder = Folder::new();
    let fifo = folder.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo").success());
    let lines: Vec<String> = (0..30_000).map(|n| record(NOON + n, "INFO", "m")).collect();
    for count in [0, 3, 20_000, 40_000] {
        let (lines, writer) = (&lines, &fifo);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // Whoever reads no line closes it before all are written.
                let _ = fs::write(writer, lines.join("\n") + "\n");
            });
            let expected = &lines[lines.len().saturating_sub(count)..];
            assert!(read(&fifo, &last(count as u64)) == expected, "{count}");
        });
    }
}

#[test]
fn what_others_have_compressed_otherwise_is_refused_by_name() {
    let folder = Folder::new();
    fs::write(folder.path("d.log.1.gz"), b"\x1f\x8b\x08\0\0").expect("written");
    let mut reader =
        LogReader::open(&folder.path("d.log.1.gz"), &Query::default()).expect("a file");
    assert!(reader.next().is_none());
    let errors = reader.take_errors();
    assert!(errors[0].to_string().contains("gzip"), "{errors:?}");
}

#[test]
fn an_archive_that_was_compressed_after_it_was_named_is_read_once() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..4).map(|n| record(NOON + n, "INFO", "m")).collect();
    folder.put("d-2026-11-21.0.log.xz", &lines[..2]);
    folder.put("d.log", &lines[2..]);
    let plain = folder.path("d-2026-11-21.0.log");
    let named = [plain.clone(), folder.active()];
    assert_eq!(merged(&named, &Query::default()), lines);
    assert_eq!(read(&plain, &Query::default()), lines[..2]);
    // Both forms named, as `d*` does while a killed compression waits.
    folder.put("d-2026-11-21.0.log", &lines[..2]);
    let named = [plain.clone(), folder.path("d-2026-11-21.0.log.xz")];
    assert_eq!(merged(&named, &Query::default()), lines[..2]);
}

#[test]
fn an_archive_cannot_be_followed() {
    let folder = Folder::new();
    folder.put("d-2026-11-21.0.log.xz", &[record(NOON, "INFO", "m")]);
    let path = folder.path("d-2026-11-21.0.log.xz");
    assert!(LogReader::open_to_follow(&path, &Query::default()).is_err());
}

#[test]
fn many_logs_share_the_memory_of_one() {
    let folder = Folder::new();
    let text = vec![record(NOON, "INFO", &"x".repeat(1000)); 3000];
    let paths: Vec<PathBuf> = (0..12).map(|n| folder.path(&format!("{n}.log"))).collect();
    for path in &paths {
        fs::write(path, text.join("\n") + "\n").expect("written");
    }
    let mut merged = Merged::open(&paths, &Query::default()).expect("logs");
    assert!(merged.next_line().is_some());
    // A log alone holds several pieces.
    let alone = Merged::open(&paths[..1], &Query::default()).expect("a log");
    assert!(merged.max_pieces() <= alone.max_pieces().max(paths.len()));
}

#[test]
fn archives_of_other_tools_are_read_from_their_beginning() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..60_000).map(|n| record(NOON + n, "INFO", "m")).collect();
    let text = lines.join("\n") + "\n";
    // Two streams, the second of one large block that is cut inside a line.
    let (first, second) = text.as_bytes().split_at(text.len() / 3);
    let mut bytes = packed(first);
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 0);
    std::io::Write::write_all(&mut encoder, second).expect("packed");
    bytes.extend(encoder.finish().expect("packed"));
    fs::write(folder.path("d-2026-11-21.0.log.xz"), bytes).expect("written");
    folder.put("d.log", &[record(NOON, "INFO", "last")]);
    let found = read(&folder.active(), &Query::default());
    assert!(found[..60_000] == lines[..]);
    assert_eq!(found.len(), 60_001);
    let ten = read(&folder.active(), &last(10));
    assert!(ten == found[found.len() - 10..]);
}

#[test]
fn lines_that_are_not_ours_are_shown_or_counted() {
    let folder = Folder::new();
    let ours = record(NOON, "ERROR", "ours");
    let text = format!(
        "plain text\n{ours}\n{{\"timestamp\":\"20\n\n\u{1}\u{2}\n{}",
        &ours[..60]
    );
    folder.put_bytes("d.log", &[text.as_bytes(), b"\xff\xfe\n"].concat());
    let mut reader = LogReader::open(&folder.active(), &Query::default()).expect("a log");
    let lines = reader.next().expect("lines");
    let kinds: Vec<bool> = lines.iter().map(|line| line.is_record).collect();
    assert_eq!(kinds, [false, true, false, false, false]);

    let errors = Query {
        level: Some(Level::ERROR),
        ..Query::default()
    };
    let mut reader = LogReader::open(&folder.active(), &errors).expect("a log");
    let lines = reader.next().expect("lines");
    assert_eq!(texts(&lines), [ours]);
    assert!(reader.next().is_none());
    assert_eq!(reader.left_out(), 4);
}

#[test]
fn a_line_longer_than_a_piece_is_one_line() {
    let folder = Folder::new();
    let lines = [
        record(NOON, "INFO", "before"),
        record(NOON, "INFO", &"x".repeat(2_500_000)),
        record(NOON, "INFO", &"y".repeat(1_048_576)),
        record(NOON, "INFO", "after"),
    ];
    folder.put("d.log", &lines);
    assert!(read(&folder.active(), &Query::default()) == lines);
    folder.put("d-2026-11-21.0.log.xz", &lines);
    assert!(read(&folder.active(), &Query::default()) == [&lines[..], &lines[..]].concat());
    assert!(read(&folder.active(), &last(2)) == lines[2..]);
}

#[test]
fn a_file_without_line_ends_does_not_fill_the_memory() {
    let folder = Folder::new();
    folder.put_bytes("d.log", &vec![b'x'; 20 << 20]);
    let mut reader = LogReader::open(&folder.active(), &Query::default()).expect("a log");
    let lines = reader.next().expect("a cut line");
    assert_eq!(lines.len(), 1);
    assert!(lines.at(0).expect("a line").text.len() < 6 << 20);
    assert!(reader.next().is_none());
}

#[test]
fn logs_are_merged_by_their_times() {
    let folder = Folder::new();
    let even: Vec<String> = (0..6)
        .map(|n| record(NOON + 2 * n, "INFO", "even"))
        .collect();
    let odd: Vec<String> = (0..6)
        .map(|n| record(NOON + 2 * n + 1, "INFO", "odd"))
        .collect();
    folder.put("d-2026-11-22.0.log.xz", &even[..3]);
    let with_text = [&even[3..5], &["text".to_owned()], &even[5..]].concat();
    folder.put("d.log", &with_text);
    folder.put("e.log", &odd);
    let both = [folder.active(), folder.path("e.log")];
    let found = merged(&both, &Query::default());
    let mut expected: Vec<String> = even
        .iter()
        .zip(&odd)
        .flat_map(|(e, o)| [e.clone(), o.clone()])
        .collect();
    expected.insert(9, "text".to_owned());
    assert_eq!(found, expected);
    assert_eq!(merged(&both, &last(4)), expected[9..]);
    assert_eq!(merged(&both, &last(100)), expected);

    // What a shell makes of `d*` is the same log once.
    let glob = [folder.path("d-2026-11-22.0.log.xz"), folder.active()];
    assert_eq!(
        merged(&glob, &Query::default()),
        read(&folder.active(), &Query::default())
    );
}

#[test]
fn a_follower_goes_on_where_the_reader_ends_and_over_rotations() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..20).map(|n| record(NOON + n, "INFO", "m")).collect();
    let active = folder.active();
    folder.append("d.log", &lines[..2]);
    let (reader, mut follower) =
        LogReader::open_to_follow(&active, &Query::default()).expect("a log");
    folder.append("d.log", &lines[2..4]);
    assert_eq!(all(reader), lines[..2]);
    let mut poll = || -> Vec<String> {
        let mut found = Vec::new();
        while let Some(lines) = follower.poll().expect("readable") {
            found.extend(texts(&lines));
        }
        found
    };
    assert_eq!(poll(), lines[2..4]);
    assert!(poll().is_empty());

    // Our own rotation, twice between two looks, and compressed already.
    folder.append("d.log", &lines[4..5]);
    fs::rename(&active, folder.path("d-2026-11-23.0.log")).expect("renamed");
    folder.put("d-2026-11-23.1.log.xz", &lines[5..7]);
    assert_eq!(poll(), lines[4..5], "nothing is at the path yet");
    folder.append("d.log", &lines[7..8]);
    assert_eq!(poll(), lines[5..8]);

    // Compressed before it was looked at: it is recognised by its size.
    let text = fs::read(&active).expect("readable");
    folder.put_bytes("d-2026-11-23.2.log.xz", &text);
    fs::remove_file(&active).expect("removed");
    folder.append("d.log", &lines[8..9]);
    assert_eq!(poll(), lines[8..9]);

    // Somebody else's rotation: the writer goes on in the old file.
    fs::rename(&active, folder.path("d.log.1")).expect("renamed");
    folder.append("d.log", &[]);
    folder.append("d.log.1", &lines[9..10]);
    assert_eq!(poll(), lines[9..10]);
    folder.append("d.log.1", &lines[10..11]);
    folder.append("d.log", &lines[11..12]);
    assert_eq!(poll(), lines[10..12]);

    // copytruncate.
    fs::copy(&active, folder.path("d.log.2")).expect("copied");
    fs::File::options()
        .write(true)
        .open(&active)
        .and_then(|file| file.set_len(0))
        .expect("truncated");
    assert!(poll().is_empty());
    folder.append("d.log", &lines[12..13]);
    assert_eq!(poll(), lines[12..13]);
}

#[test]
fn a_follower_waits_for_the_end_of_a_line_and_for_a_file() {
    let folder = Folder::new();
    let line = record(NOON, "INFO", "m");
    let (reader, mut follower) =
        LogReader::open_to_follow(&folder.active(), &Query::default()).expect("may come");
    assert!(all(reader).is_empty());
    assert!(follower.poll().expect("nothing").is_none());
    let (begin, end) = line.split_at(30);
    fs::write(folder.active(), begin).expect("written");
    let mut lines = Vec::new();
    let mut poll = |lines: &mut Vec<String>| {
        while let Some(found) = follower.poll().expect("readable") {
            lines.extend(texts(&found));
        }
    };
    poll(&mut lines);
    assert!(lines.is_empty());
    fs::write(folder.active(), format!("{begin}{end}\n")).expect("written");
    poll(&mut lines);
    assert_eq!(lines, [line]);
}

#[test]
fn what_is_out_of_the_time_range_is_not_unpacked() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..5000)
        .map(|n| record(NOON + n, "INFO", &"x".repeat(1000)))
        .collect();
    let mut bytes = packed((lines.join("\n") + "\n").as_bytes());
    // Damage in the first of five blocks cannot hurt who does not look at it.
    let place = bytes.len() / 10;
    bytes[place] ^= 0xff;
    fs::write(folder.path("d-2026-11-23.0.log.xz"), bytes).expect("written");
    // Whole archives by name, first line and last write.
    let old = folder.path("d-2026-11-20.0.log.xz");
    let damaged = [
        packed(record(NOON - 260_000, "INFO", "old").as_bytes()),
        vec![1; 64],
    ]
    .concat();
    fs::write(&old, damaged).expect("written");
    let file = fs::File::options().write(true).open(&old).expect("opened");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(NOON - 200_000))
        .expect("set");
    fs::write(folder.path("d-2026-11-26.0.log.xz"), "later").expect("written");

    let query = Query {
        since: Some(time(NOON + 4000)),
        until: Some(time(NOON + 4999)),
        ..Query::default()
    };
    assert!(read(&folder.active(), &query) == lines[4000..]);
    let query = Query {
        since: Some(time(NOON + 2000)),
        until: Some(time(NOON + 2010)),
        ..Query::default()
    };
    assert!(read(&folder.active(), &query) == lines[2000..=2010]);
}

/// What the clock does between two lines.
#[derive(Debug, Clone, Copy)]
enum Pass {
    On(u64),
    Back(u64),
    Restart,
}

fn any_pass() -> impl Strategy<Value = Pass> {
    prop_oneof![
        30 => (0u64..40).prop_map(Pass::On),
        2 => (0u64..7200).prop_map(Pass::On),
        1 => (0u64..200_000).prop_map(Pass::On),
        1 => (0u64..20).prop_map(Pass::Back),
        1 => (0u64..10_000).prop_map(Pass::Back),
        1 => (0u64..300_000).prop_map(Pass::Back),
        1 => Just(Pass::Restart),
    ]
}

fn with_log(passes: &[Pass], hourly: bool, check: impl FnOnce(&Path, &[String])) {
    let mut world = World::new();
    world.config.rotation.frequency = match hourly {
        true => Frequency::Hourly,
        false => Frequency::Daily,
    };
    world.config.rotation.compression = Compression::Xz;
    world.config.rotation.compression_level = 0;
    let text = "x".repeat(15_000);
    let mut sink = world.open();
    for pass in passes {
        match *pass {
            Pass::On(seconds) => world.pass(seconds),
            Pass::Back(seconds) => {
                world.clock.seconds.fetch_sub(seconds, Ordering::Relaxed);
            }
            Pass::Restart => {
                close(&sink);
                sink = world.open();
            }
        }
        world.write(&sink, &text).expect("written");
    }
    until("everything is compressed", || {
        world
            .archive_names()
            .iter()
            .all(|name| name.ends_with(".xz"))
    });
    close(&sink);
    let mut lines = Vec::new();
    for archive in world.directory().archives().expect("readable") {
        let text = read_archive(&archive.path);
        lines.extend(text.lines().map(str::to_owned));
        set_modified(&archive.path, lines.last().expect("a line"));
    }
    let active = fs::read_to_string(world.path()).expect("readable");
    lines.extend(active.lines().map(str::to_owned));
    check(world.path(), &lines);
}

/// The time of the last write, by the clock of the test.
fn set_modified(path: &Path, last: &str) {
    let nanos = time_of(last.as_bytes()).expect("a time");
    let file = fs::File::options().write(true).open(path).expect("opened");
    let modified = UNIX_EPOCH + Duration::from_nanos(nanos);
    file.set_modified(modified).expect("set");
}

fn few_cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases / 20,
        failure_persistence: None,
        ..usual
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn every_record_of_a_time_range_is_found_whatever_the_clock_did(
        passes in proptest::collection::vec(any_pass(), 50..300),
        hourly in any::<bool>(),
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 6),
        count in 0u64..400,
    ) {
        with_log(&passes, hourly, |path, lines| {
            assert!(read(path, &Query::default()) == lines, "all");
            let from = lines.len().saturating_sub(count as usize);
            assert!(read(path, &last(count)) == lines[from..], "the last {count}");
            let nanos = |line: &String| time_of(line.as_bytes()).expect("a time");
            for (since, until) in picks {
                let [since, until] = [since, until].map(|pick| nanos(pick.get(lines)));
                let timestamp = |nanos: u64| Timestamp::from_nanosecond(i128::from(nanos)).ok();
                let query = Query { since: timestamp(since), until: timestamp(until), ..Query::default() };
                let is_wanted = |line: &&String| (since..=until).contains(&nanos(line));
                let expected: Vec<String> = lines.iter().filter(is_wanted).cloned().collect();
                assert!(read(path, &query) == expected, "from {since} to {until}");
                let open = Query { until: None, ..query };
                let expected = lines.iter().filter(|line| nanos(line) >= since);
                assert!(read(path, &open).iter().eq(expected), "from {since}");
            }
        });
    }
}
