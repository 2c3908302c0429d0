//! Stories about a whole sink on a real directory, with a clock and a disk that
//! the test commands.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use telemetry_core::{Health, LossReason, Sink, SinkError, SinkStats};
use tempfile::TempDir;
use tracing::Level;

use crate::active::ActiveFile;
use crate::clock::Clock;
use crate::config::{Compression, FileConfig, FileSync, Frequency, RotationConfig, Timezone};
use crate::directory::Directory;
use crate::error::FileError;
use crate::platform;
use crate::sink::FileSink;
use crate::surroundings::Surroundings;

const DEADLINE: Duration = Duration::from_secs(10);
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// 2026-11-23T12:00:00Z.
const NOON: u64 = 1_795_435_200;

/// Two clocks that only move when told to.
#[derive(Default)]
pub(crate) struct HandClock {
    pub(crate) seconds: AtomicU64,
    monotonic_millis: AtomicU64,
}

impl Clock for Arc<HandClock> {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_millis.load(Ordering::Relaxed))
    }
}

/// A directory, a clock and a disk that can fail.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) disk_full: Arc<AtomicBool>,
    /// Forcing a file to the disk fails.
    sync_fails: Arc<AtomicBool>,
    /// How often a file was forced to the disk, the directory not counted.
    syncs: Arc<AtomicUsize>,
    appends: Arc<AtomicUsize>,
    /// How often opening fails from now on.
    pub(crate) failing_opens: Arc<AtomicUsize>,
    free_bytes: Arc<AtomicU64>,
    /// What would be said on stderr.
    complaints: Arc<Mutex<Vec<String>>>,
    pub(crate) config: FileConfig,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(HandClock::default());
        clock.seconds.store(NOON, Ordering::Relaxed);
        Self {
            config: FileConfig {
                path: folder.path().join("logs").join("d.log"),
                rotation: RotationConfig {
                    keep_files: 0,
                    compression: Compression::None,
                    min_free_bytes: 0,
                    ..RotationConfig::default()
                },
                ..FileConfig::default()
            },
            folder,
            clock,
            disk_full: Arc::default(),
            sync_fails: Arc::default(),
            syncs: Arc::default(),
            appends: Arc::default(),
            failing_opens: Arc::default(),
            free_bytes: Arc::new(AtomicU64::new(u64::MAX)),
            complaints: Arc::default(),
        }
    }

    pub(crate) fn open(&self) -> FileSink {
        self.try_open().expect("a usable configuration")
    }

    fn try_open(&self) -> Result<FileSink, FileError> {
        FileSink::open_in(self.config.clone(), self.surroundings())
    }

    fn surroundings(&self) -> Surroundings {
        let (disk_full, appends) = (Arc::clone(&self.disk_full), Arc::clone(&self.appends));
        let no_room = Arc::clone(&self.disk_full);
        let failing_opens = Arc::clone(&self.failing_opens);
        let free_bytes = Arc::clone(&self.free_bytes);
        let complaints = Arc::clone(&self.complaints);
        let (sync_fails, syncs) = (Arc::clone(&self.sync_fails), Arc::clone(&self.syncs));
        Surroundings {
            clock: Arc::new(Arc::clone(&self.clock)),
            free_space: Arc::new(move |_| Ok(free_bytes.load(Ordering::Relaxed))),
            append: Arc::new(move |mut file, bytes| {
                appends.fetch_add(1, Ordering::Relaxed);
                match disk_full.load(Ordering::Relaxed) {
                    true => Err(io::ErrorKind::StorageFull.into()),
                    false => file.write(bytes),
                }
            }),
            reserve: Arc::new(move |_, _| match no_room.load(Ordering::Relaxed) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(true),
            }),
            force: Arc::new(move |file| {
                syncs.fetch_add(usize::from(file.metadata()?.is_file()), Ordering::Relaxed);
                match sync_fails.load(Ordering::Relaxed) {
                    true => Err(io::Error::other("the disk does not answer")),
                    false => file.sync_data(),
                }
            }),
            open: Arc::new(move |config| {
                let failing =
                    failing_opens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    });
                match failing {
                    Ok(_) => Err(FileError::Unwritable {
                        path: config.path.clone(),
                        reason: "no more files".to_owned(),
                    }),
                    Err(_) => ActiveFile::open(config),
                }
            }),
            complain: Arc::new(move |line| {
                complaints.lock().expect("no panic").push(line.to_owned());
            }),
            local_zone: TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").ok(),
        }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.seconds.fetch_add(seconds, Ordering::Relaxed);
        let millis = seconds * 1000;
        self.clock
            .monotonic_millis
            .fetch_add(millis, Ordering::Relaxed);
    }

    /// Writes a line now, as `Capture` without a queue does.
    pub(crate) fn write(&self, sink: &FileSink, text: &str) -> Result<(), SinkError> {
        let seconds = self.clock.seconds.load(Ordering::Relaxed);
        self.write_from(sink, seconds, text)
    }

    /// Writes a line that was captured at that second.
    fn write_from(&self, sink: &FileSink, seconds: u64, text: &str) -> Result<(), SinkError> {
        let written = sink.write_line(&line(seconds, text), seconds * 1_000_000_000, Level::INFO);
        sink.batch_end();
        written
    }

    pub(crate) fn path(&self) -> &Path {
        &self.config.path
    }

    pub(crate) fn directory(&self) -> Directory {
        Directory::new(platform::directory_of(self.path()), "d")
    }

    pub(crate) fn archive_names(&self) -> Vec<String> {
        let archives = self.directory().archives().expect("readable");
        archives
            .iter()
            .map(|archive| archive.name.to_string())
            .collect()
    }

    fn active_lines(&self) -> Vec<String> {
        split(&fs::read_to_string(self.path()).expect("readable"))
    }

    /// What was said on stderr since this was asked before.
    fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut *self.complaints.lock().expect("no panic"))
    }

    /// The lines of all archives and of the active file, in order.
    fn all_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for archive in self.directory().archives().expect("readable") {
            lines.extend(split(&read_archive(&archive.path)));
        }
        lines.extend(self.active_lines());
        lines
    }
}

fn line(seconds: u64, text: &str) -> String {
    let moment = jiff::Timestamp::from_second(seconds as i64).expect("in range");
    format!("{{\"timestamp\":\"{moment}\",\"message\":\"{text}\"}}")
}

fn split(text: &str) -> Vec<String> {
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "no torn line: {text:?}"
    );
    text.lines().map(message).collect()
}

/// The message of a line, which is thereby shown to be valid JSON.
fn message(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
    value["message"].as_str().expect("a message").to_owned()
}

pub(crate) fn read_archive(path: &Path) -> String {
    let bytes = fs::read(path).expect("readable");
    let mut text = String::new();
    if path.extension().is_some_and(|ending| ending == "xz") {
        let mut decoder = xz2::read::XzDecoder::new(&bytes[..]);
        decoder.read_to_string(&mut text).expect("valid xz");
    } else {
        text = String::from_utf8(bytes).expect("text");
    }
    text
}

pub(crate) fn stats(sink: &FileSink) -> SinkStats {
    let mut all = Vec::new();
    sink.stats(&mut all);
    all.remove(0)
}

pub(crate) fn assert_law(stats: &SinkStats) {
    let accounted = stats.delivered + stats.dropped + stats.rejected + stats.pending;
    assert_eq!(stats.accepted, accounted, "{stats:?}");
    assert_eq!(
        stats.lost.total(),
        stats.dropped + stats.rejected,
        "{stats:?}"
    );
}

pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not in time: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn is_failing(sink: &FileSink) -> bool {
    matches!(stats(sink).health, Health::Failing(_))
}

fn is_degraded(sink: &FileSink) -> bool {
    matches!(stats(sink).health, Health::Degraded(_))
}

pub(crate) fn close(sink: &FileSink) {
    sink.close(DEADLINE).expect("closed in time");
}

#[test]
fn every_line_is_there_once_and_in_order_over_many_rotations() {
    let mut world = World::new();
    world.config.rotation.frequency = Frequency::Hourly;
    world.config.rotation.max_size_bytes = 2000;
    world.config.rotation.compression = Compression::Xz;
    let mut expected = Vec::new();
    let sink = world.open();
    for number in 0..2000 {
        let text = format!("line {number}");
        // Sometimes a batch of several, and a rotation inside of it.
        let seconds = world.clock.seconds.load(Ordering::Relaxed);
        sink.write_line(&line(seconds, &text), seconds * 1_000_000_000, Level::INFO)
            .expect("written");
        if number % 3 == 0 {
            sink.batch_end();
        }
        expected.push(text);
        world.pass(90);
    }
    sink.flush(DEADLINE).expect("flushed");
    until("all archives are compressed", || {
        world
            .archive_names()
            .iter()
            .all(|name| name.ends_with(".xz"))
    });
    assert_eq!(world.all_lines(), expected);
    let archives = world.directory().archives().expect("readable");
    assert!(
        archives.len() > 70,
        "by hour and by size: {}",
        archives.len()
    );
    for archive in &archives {
        let text = read_archive(&archive.path);
        assert!(text.len() <= 2000, "{} has {}", archive.name, text.len());
        let hour = format!("\"timestamp\":\"{}", archive.name.label);
        assert!(
            text.lines().all(|line| line.contains(&hour)),
            "{}",
            archive.name
        );
        assert_xz_agrees(&archive.path);
    }
    assert!(
        archives.iter().any(|archive| archive.name.number == 1),
        "by size"
    );
    assert_law(&stats(&sink));
    assert_eq!(stats(&sink).delivered, 2000);
}

/// Asks the real tool, where there is one.
fn assert_xz_agrees(path: &Path) {
    match Command::new("xz").arg("-t").arg(path).status() {
        Ok(status) => assert!(status.success(), "xz -t {path:?}"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}"),
    }
}

#[test]
fn without_compression_archives_are_the_file_as_it_was() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 150;
    let sink = world.open();
    for text in ["a", "b", "c", "d", "e"] {
        world.write(&sink, text).expect("written");
    }
    assert_eq!(
        world.archive_names(),
        ["d-2026-11-23.0.log", "d-2026-11-23.1.log"]
    );
    assert_eq!(world.all_lines(), ["a", "b", "c", "d", "e"]);
    assert_eq!(world.active_lines(), ["e"]);
}

#[test]
fn a_record_larger_than_the_limit_is_alone_in_its_file() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 150;
    let sink = world.open();
    let huge = "x".repeat(200_000);
    for text in ["a", &huge, "b"] {
        world.write(&sink, text).expect("written");
    }
    assert_eq!(world.archive_names().len(), 2);
    assert_eq!(world.all_lines(), ["a", &huge, "b"]);
}

#[test]
fn a_start_rotates_only_when_the_period_is_over() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "first").expect("written");
    close(&sink);
    world.pass(HOUR);
    let sink = world.open();
    world.write(&sink, "same day").expect("written");
    close(&sink);
    assert!(world.archive_names().is_empty());
    world.pass(DAY);
    let sink = world.open();
    assert!(world.archive_names().is_empty(), "nothing to write yet");
    world.write(&sink, "next day").expect("written");
    assert_eq!(world.archive_names(), ["d-2026-11-23.0.log"]);
    assert_eq!(world.active_lines(), ["next day"]);
    assert_eq!(world.all_lines(), ["first", "same day", "next day"]);
}

#[test]
fn a_file_that_grew_too_large_is_set_aside_by_its_first_record_after_a_start() {
    let mut world = World::new();
    let sink = world.open();
    world.write(&sink, &"x".repeat(500)).expect("written");
    close(&sink);
    world.config.rotation.max_size_bytes = 300;
    let sink = world.open();
    world.write(&sink, "next").expect("written");
    assert_eq!(world.active_lines(), ["next"]);
    assert_eq!(world.archive_names().len(), 1);
}

#[test]
fn a_record_counts_for_the_day_on_which_it_was_captured() {
    let world = World::new();
    let sink = world.open();
    let midnight = NOON + DAY / 2;
    world.pass(DAY);
    world
        .write_from(&sink, midnight - 2, "before")
        .expect("written");
    world
        .write_from(&sink, midnight - 1, "before too")
        .expect("written");
    world.write_from(&sink, midnight, "after").expect("written");
    assert_eq!(world.archive_names(), ["d-2026-11-23.0.log"]);
    assert_eq!(world.active_lines(), ["after"]);
}

#[test]
fn a_clock_that_goes_back_neither_rotates_nor_takes_a_name_twice() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 150;
    let sink = world.open();
    let midnight = NOON + DAY / 2;
    let moments = [
        midnight - 1,
        midnight,
        midnight - 5,
        midnight - 4,
        midnight - 3,
        midnight + 1,
    ];
    for (number, moment) in moments.into_iter().enumerate() {
        world
            .write_from(&sink, moment, &number.to_string())
            .expect("written");
    }
    let names = world.archive_names();
    assert_eq!(
        names,
        [
            "d-2026-11-23.0.log",
            "d-2026-11-24.0.log",
            "d-2026-11-24.1.log"
        ],
        "by size only, and never back to the day before"
    );
    assert_eq!(world.all_lines(), ["0", "1", "2", "3", "4", "5"]);

    // Even when somebody takes the archives away.
    for name in names {
        fs::remove_file(world.directory().path().join(name)).expect("removed");
    }
    for text in ["6", "7", "8"] {
        world.write_from(&sink, midnight, text).expect("written");
    }
    assert_eq!(world.archive_names(), ["d-2026-11-24.2.log"]);
}

#[test]
fn a_clock_that_ran_ahead_for_years_does_not_stop_rotation() {
    let world = World::new();
    let sink = world.open();
    world
        .write_from(&sink, NOON + 4000 * DAY, "ahead")
        .expect("written");
    world.write_from(&sink, NOON, "corrected").expect("written");
    assert!(world.archive_names().is_empty());
    world
        .write_from(&sink, NOON + DAY, "next day")
        .expect("written");
    assert_eq!(world.archive_names(), ["d-2026-11-23.0.log"]);
}

#[test]
fn local_archives_carry_their_offset_and_sort_over_the_hour_that_comes_twice() {
    let mut world = World::new();
    world.config.rotation.frequency = Frequency::Hourly;
    world.config.rotation.timezone = Timezone::Local;
    let sink = world.open();
    // 2026-10-25T00:00:00Z is 02:00 summer time, an hour before the change.
    let start = 1_792_886_400;
    for hour in 0..4 {
        world
            .write_from(&sink, start + hour * HOUR, &hour.to_string())
            .expect("written");
    }
    assert_eq!(
        world.archive_names(),
        [
            "d-2026-10-25T02+0200.0.log",
            "d-2026-10-25T02+0100.0.log",
            "d-2026-10-25T03+0100.0.log"
        ]
    );
    assert_eq!(world.all_lines(), ["0", "1", "2", "3"]);
}

#[test]
fn without_rotation_the_file_grows_and_no_archive_is_touched() {
    let mut world = World::new();
    world.config.rotation.enabled = false;
    world.config.rotation.max_size_bytes = 10;
    world.config.rotation.keep_files = 1;
    let sink = world.open();
    let logs = world.directory().path().to_owned();
    for day in ["01", "02"] {
        fs::write(logs.join(format!("d-2026-01-{day}.0.log")), "").expect("written");
    }
    for text in ["a", "b"] {
        world.write(&sink, text).expect("written");
        world.pass(2 * DAY);
    }
    close(&sink);
    assert_eq!(world.archive_names().len(), 2);
    assert_eq!(world.active_lines(), ["a", "b"]);
}

#[test]
fn a_torn_last_line_is_closed_before_the_first_record() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "whole").expect("written");
    close(&sink);
    let mut file = fs::File::options()
        .append(true)
        .open(world.path())
        .expect("opened");
    file.write_all(b"{\"timestamp\":\"20").expect("written");
    let sink = world.open();
    world.write(&sink, "next").expect("written");
    let text = fs::read_to_string(world.path()).expect("readable");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1], "{\"timestamp\":\"20");
    assert_eq!(message(lines[2]), "next");
}

#[test]
fn a_torn_last_line_is_closed_also_in_an_archive() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "whole").expect("written");
    close(&sink);
    let mut file = fs::File::options()
        .append(true)
        .open(world.path())
        .expect("opened");
    file.write_all(b"{\"timestamp\":\"20").expect("written");
    world.pass(DAY);
    let sink = world.open();
    world.write(&sink, "next day").expect("written");
    let archive = &world.directory().archives().expect("readable")[0];
    assert!(read_archive(&archive.path).ends_with("{\"timestamp\":\"20\n"));
    assert_eq!(world.active_lines(), ["next day"]);
}

#[test]
fn a_file_renamed_from_outside_is_followed_within_a_second() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "old").expect("written");
    let moved = world.path().with_file_name("d.log.1");
    fs::rename(world.path(), &moved).expect("renamed");
    world.pass(1);
    world.write(&sink, "new").expect("written");
    assert_eq!(
        split(&fs::read_to_string(moved).expect("readable")),
        ["old"]
    );
    assert_eq!(world.active_lines(), ["new"]);
    assert!(world.archive_names().is_empty());
}

#[test]
fn reopen_follows_at_once() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "old").expect("written");
    let moved = world.path().with_file_name("d.log.1");
    fs::rename(world.path(), &moved).expect("renamed");
    sink.reopen();
    world.write(&sink, "new").expect("written");
    assert_eq!(
        split(&fs::read_to_string(moved).expect("readable")),
        ["old"]
    );
    assert_eq!(world.active_lines(), ["new"]);
}

#[test]
fn a_file_that_took_its_place_is_continued_and_one_of_yesterday_set_aside() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "old").expect("written");
    fs::remove_file(world.path()).expect("removed");
    fs::write(world.path(), line(NOON - DAY, "restored") + "\n").expect("written");
    sink.reopen();
    world.write(&sink, "new").expect("written");
    assert_eq!(world.archive_names(), ["d-2026-11-22.0.log"]);
    assert_eq!(world.all_lines(), ["restored", "new"]);
}

#[test]
fn a_deleted_directory_is_made_again() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "old").expect("written");
    fs::remove_dir_all(world.directory().path()).expect("removed");
    world.pass(1);
    world.write(&sink, "new").expect("written");
    assert_eq!(world.active_lines(), ["new"]);
    assert_eq!(stats(&sink).health, Health::Good);
}

#[test]
fn a_deleted_file_is_left_with_the_next_write() {
    let world = World::new();
    let sink = world.open();
    world
        .write(&sink, "deleted with its file")
        .expect("written");
    fs::remove_file(world.path()).expect("removed");
    world.write(&sink, "no second later").expect("written");
    assert_eq!(world.active_lines(), ["no second later"]);
    assert_eq!(stats(&sink).health, Health::Good);
}

#[test]
fn a_file_that_somebody_cut_in_a_line_or_wrote_to_stays_line_by_line() {
    let world = World::new();
    let sink = world.open();
    for text in ["one", "two"] {
        world.write(&sink, text).expect("written");
    }
    let size = fs::metadata(world.path()).expect("there").len();
    let theirs = fs::File::options().append(true).open(world.path());
    let mut theirs = theirs.expect("opened");
    theirs.set_len(size - 10).expect("cut");
    world.write(&sink, "three").expect("written");
    theirs.write_all(b"theirs").expect("written");
    world.write(&sink, "four").expect("written");
    let text = fs::read_to_string(world.path()).expect("readable");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(line(NOON, "two").starts_with(lines[1]), "{text}");
    assert_eq!(lines[3], "theirs");
    assert_eq!([lines[2], lines[4]].map(message), ["three", "four"]);
}

#[test]
fn copytruncate_leaves_no_hole_and_the_size_begins_anew() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 150;
    let sink = world.open();
    world.write(&sink, "one").expect("written");
    world.write(&sink, "two").expect("written");
    let copy = world.path().with_file_name("d.log.1");
    fs::copy(world.path(), &copy).expect("copied");
    let file = fs::File::options()
        .write(true)
        .open(world.path())
        .expect("opened");
    file.set_len(0).expect("truncated");
    world.pass(1);
    world.write(&sink, "three").expect("written");
    world.write(&sink, "four").expect("written");
    assert_eq!(
        split(&fs::read_to_string(copy).expect("readable")),
        ["one", "two"]
    );
    // The third was pending when the cut was noticed; the rotation before it
    // looks at the file, too.
    assert_eq!(world.all_lines(), ["three", "four"]);
    assert!(world.archive_names().is_empty());
}

#[test]
fn a_path_that_cannot_be_is_counted_said_and_healed() {
    let world = World::new();
    let parent = world.directory().path().to_owned();
    fs::write(&parent, "a file where the directory should be").expect("written");
    let sink = world.open();
    assert!(is_failing(&sink));
    let lost = world.write(&sink, "lost");
    assert!(matches!(lost, Err(SinkError::Failed { .. })), "{lost:?}");
    assert!(sink.flush(DEADLINE).is_err());

    fs::remove_file(&parent).expect("removed");
    world
        .write(&sink, "too early")
        .expect_err("one attempt a second");
    world.pass(1);
    world.write(&sink, "arrives").expect("healed");
    let stats = stats(&sink);
    assert_eq!(stats.health, Health::Good);
    assert_eq!((stats.accepted, stats.delivered, stats.dropped), (3, 1, 2));
    assert_eq!(stats.lost.of(LossReason::IoError, Level::INFO), 2);
    assert_law(&stats);
    assert_eq!(world.active_lines(), ["arrives"]);
}

#[test]
fn a_full_disk_loses_counts_and_heals_with_one_attempt_a_second() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "before").expect("written");
    world.disk_full.store(true, Ordering::Relaxed);
    let attempts = world.appends.load(Ordering::Relaxed);
    for number in 0..100 {
        let _ = world.write(&sink, &format!("lost {number}"));
    }
    assert!(is_failing(&sink));
    assert_eq!(world.appends.load(Ordering::Relaxed), attempts + 1);
    world.pass(1);
    let _ = world.write(&sink, "lost as well");
    assert_eq!(world.appends.load(Ordering::Relaxed), attempts + 2);
    assert_law(&stats(&sink));
    let said = world.complaints();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("cannot write log file"), "{said:?}");

    world.disk_full.store(false, Ordering::Relaxed);
    world.pass(1);
    world.write(&sink, "after").expect("healed");
    let stats = stats(&sink);
    assert_eq!(stats.health, Health::Good);
    assert_eq!((stats.delivered, stats.dropped, stats.pending), (2, 101, 0));
    let said = world.complaints();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].ends_with("written again; 101 records were lost meanwhile"),
        "{said:?}"
    );
    assert_law(&stats);
    assert_eq!(world.active_lines(), ["before", "after"]);
}

#[test]
fn an_idle_sink_heals_by_itself() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "before").expect("written");
    world.disk_full.store(true, Ordering::Relaxed);
    world.write(&sink, "lost").expect("in the buffer");
    assert!(is_failing(&sink));
    for _ in 0..3 {
        world.pass(1);
        sink.batch_end();
    }
    assert!(is_failing(&sink), "there is no room yet");
    assert_eq!(world.complaints().len(), 1, "and nothing new to say");
    world.disk_full.store(false, Ordering::Relaxed);
    sink.batch_end();
    assert!(is_failing(&sink), "one attempt a second");
    world.pass(1);
    sink.batch_end();
    assert_eq!(stats(&sink).health, Health::Good);
    assert_eq!(
        world.active_lines(),
        ["before"],
        "the attempt wrote nothing"
    );
    world.write(&sink, "after").expect("written");
    assert_eq!(world.active_lines(), ["before", "after"]);

    // The same for a file that cannot be opened.
    fs::remove_file(world.path()).expect("removed");
    world.failing_opens.store(1, Ordering::Relaxed);
    world.pass(1);
    sink.batch_end();
    assert!(is_failing(&sink), "noticed without a record");
    world.pass(1);
    sink.batch_end();
    assert_eq!(stats(&sink).health, Health::Good);
    assert!(world.path().exists());
    close(&sink);
    sink.batch_end();
}

#[test]
fn an_idle_file_of_yesterday_stays_until_there_is_a_record() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "yesterday").expect("written");
    world.pass(2 * DAY);
    sink.batch_end();
    assert!(world.archive_names().is_empty());
    world.write(&sink, "today").expect("written");
    assert_eq!(world.archive_names(), ["d-2026-11-23.0.log"]);
}

#[test]
fn the_room_that_an_attempt_reserves_does_not_show() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("d.log");
    fs::write(&path, "line\n").expect("written");
    let file = fs::File::options()
        .append(true)
        .open(&path)
        .expect("opened");
    platform::reserve(&file, 1 << 16).expect("room");
    assert_eq!(fs::read(&path).expect("readable"), b"line\n");
}

#[test]
fn a_rotation_that_fails_keeps_the_file_and_the_records() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 150;
    let sink = world.open();
    world.write(&sink, "a").expect("written");
    world.write(&sink, "b").expect("written");
    world.failing_opens.store(1, Ordering::Relaxed);
    world.write(&sink, "c").expect("written to the same file");
    world.write(&sink, "d").expect("no attempt within a second");
    assert!(is_degraded(&sink));
    assert_eq!(world.complaints().len(), 1);
    assert!(world.archive_names().is_empty(), "the name was given back");
    assert_eq!(world.active_lines(), ["a", "b", "c", "d"]);
    world.pass(1);
    world.write(&sink, "e").expect("written");
    assert_eq!(stats(&sink).health, Health::Good);
    assert_eq!(world.active_lines(), ["e"]);
    assert_eq!(world.all_lines(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_rotation_that_failed_is_made_up_for_without_a_record() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 100;
    let sink = world.open();
    world.write(&sink, "1").expect("written");
    world.failing_opens.store(1, Ordering::Relaxed);
    world.write(&sink, "2").expect("written");
    assert!(is_degraded(&sink));
    sink.batch_end();
    assert!(is_degraded(&sink), "no attempt before a second has passed");
    world.pass(1);
    sink.batch_end();
    assert_eq!(stats(&sink).health, Health::Good);
    assert_eq!(world.archive_names(), ["d-2026-11-23.0.log"]);
    assert_eq!(world.all_lines(), ["1", "2"]);
}

#[test]
fn a_failed_rotation_that_somebody_else_made_up_for_is_no_trouble_any_more() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 100;
    let sink = world.open();
    world.write(&sink, "1").expect("written");
    world.failing_opens.store(1, Ordering::Relaxed);
    world.write(&sink, "2").expect("written");
    assert!(is_degraded(&sink));
    let moved = world.path().with_extension("log.1");
    fs::rename(world.path(), &moved).expect("renamed");
    sink.reopen();
    world.write(&sink, "3").expect("written");
    assert_eq!(stats(&sink).health, Health::Good);
    assert_eq!(world.active_lines(), ["3"]);
    assert!(world.archive_names().is_empty());
    let ends = world.complaints();
    assert!(
        ends.last().expect("said").contains("rotates again"),
        "{ends:?}"
    );
}

#[test]
fn the_last_number_of_all_is_the_end_of_rotation_but_not_of_the_sink() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 100;
    let logs = world.directory().path().to_owned();
    fs::create_dir(&logs).expect("created");
    let name = format!("d-2026-11-23.{}.log", u32::MAX);
    fs::write(logs.join(name), line(NOON, "theirs") + "\n").expect("written");
    let sink = world.open();
    for text in ["1", "2", "3"] {
        world.write(&sink, text).expect("written");
    }
    assert!(is_degraded(&sink));
    assert_eq!(world.active_lines(), ["1", "2", "3"]);
}

#[test]
fn a_second_sink_on_the_file_is_refused_also_after_a_rotation() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 150;
    let sink = world.open();
    let refused = |world: &World| matches!(world.try_open(), Err(FileError::Locked { .. }));
    assert!(refused(&world));
    for text in ["a", "b", "c"] {
        world.write(&sink, text).expect("written");
    }
    assert_eq!(world.archive_names().len(), 1);
    assert!(refused(&world));
    close(&sink);
    assert!(!refused(&world), "free after closing");
}

#[test]
fn impossible_configurations_are_refused() {
    let mut world = World::new();
    fs::create_dir_all(world.path()).expect("created");
    assert!(matches!(
        world.try_open(),
        Err(FileError::IsDirectory { .. })
    ));
    fs::remove_dir(world.path()).expect("removed");
    world.config.rotation.compression_level = 10;
    assert!(matches!(
        world.try_open(),
        Err(FileError::CompressionLevel { level: 10 })
    ));
    world.config.path = PathBuf::from("/");
    assert!(matches!(
        world.try_open(),
        Err(FileError::NoFileName { .. })
    ));
}

#[cfg(unix)]
mod on_unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path)
            .expect("there")
            .permissions()
            .mode()
            & 0o7777
    }

    #[test]
    fn a_link_at_the_path_is_not_followed() {
        let world = World::new();
        let victim = world.folder.path().join("victim");
        fs::write(&victim, "theirs\n").expect("written");
        fs::create_dir(world.directory().path()).expect("created");
        symlink(&victim, world.path()).expect("linked");
        assert!(matches!(world.try_open(), Err(FileError::IsSymlink { .. })));
        fs::remove_file(&victim).expect("removed");
        assert!(matches!(world.try_open(), Err(FileError::IsSymlink { .. })));
        assert!(!victim.exists(), "nothing was created through the link");
    }

    #[test]
    fn a_link_that_takes_the_place_of_the_file_is_not_followed() {
        let world = World::new();
        let sink = world.open();
        world.write(&sink, "mine").expect("written");
        let victim = world.folder.path().join("victim");
        fs::write(&victim, "theirs\n").expect("written");
        fs::remove_file(world.path()).expect("removed");
        symlink(&victim, world.path()).expect("linked");
        world.pass(1);
        let _ = world.write(&sink, "lost");
        assert!(is_failing(&sink));
        assert_eq!(stats(&sink).dropped, 1);
        assert_eq!(fs::read(&victim).expect("readable"), b"theirs\n");
    }

    #[test]
    fn a_device_is_not_a_log_file() {
        let mut world = World::new();
        world.config.path = PathBuf::from("/dev/null");
        assert!(matches!(
            world.try_open(),
            Err(FileError::NotRegular { .. })
        ));
    }

    #[test]
    fn permissions_are_those_of_the_configuration() {
        let mut world = World::new();
        world.config.rotation.max_size_bytes = 100;
        world.config.rotation.compression = Compression::Xz;
        let sink = world.open();
        for text in ["a", "b"] {
            world.write(&sink, text).expect("written");
        }
        until("the archive is compressed", || {
            world.archive_names() == ["d-2026-11-23.0.log.xz"]
        });
        assert_eq!(mode(world.directory().path()), 0o750);
        assert_eq!(mode(world.path()), 0o640);
        let archive = world.directory().path().join("d-2026-11-23.0.log.xz");
        assert_eq!(mode(&archive), 0o640);
        let links = fs::metadata(&archive).expect("there").nlink();
        assert_eq!(links, 1);
    }
}

#[test]
fn what_a_killed_compression_left_is_finished_at_the_next_start() {
    let mut world = World::new();
    world.config.rotation.compression = Compression::Xz;
    let logs = world.directory().path().to_owned();
    fs::create_dir(&logs).expect("created");
    let packed = |text: &str| {
        let mut target = Vec::new();
        crate::xz::pack(text.as_bytes(), &mut target, 1, &AtomicBool::new(false)).expect("packed");
        target
    };
    let content = |text: &str| line(NOON, text) + "\n";
    // Killed while compressing.
    fs::write(logs.join("d-2026-11-20.0.log"), content("1")).expect("written");
    fs::write(logs.join("d-2026-11-20.0.log.xz.tmp"), "half").expect("written");
    // Killed before the source went.
    fs::write(logs.join("d-2026-11-21.0.log"), content("2")).expect("written");
    fs::write(logs.join("d-2026-11-21.0.log.xz"), packed(&content("2"))).expect("written");
    // Both are there, and differ: nobody knows which one is right.
    fs::write(logs.join("d-2026-11-22.0.log"), content("4")).expect("written");
    fs::write(logs.join("d-2026-11-22.0.log.xz"), packed(&content("3"))).expect("written");
    // Not ours.
    fs::write(logs.join("d-2026-11-22.0.log.bak"), "theirs").expect("written");

    let sink = world.open();
    let expected = [
        "d-2026-11-20.0.log.xz",
        "d-2026-11-21.0.log.xz",
        "d-2026-11-22.0.log.xz",
        "d-2026-11-22.1.log.xz",
    ];
    until("everything is compressed once", || {
        world.archive_names() == expected
    });
    close(&sink);
    assert_eq!(world.all_lines(), ["1", "2", "3", "4"]);
    assert!(!logs.join("d-2026-11-20.0.log.xz.tmp").exists());
    assert!(logs.join("d-2026-11-22.0.log.bak").exists());
}

#[test]
fn an_archive_that_cannot_be_compressed_stays_and_is_tried_again() {
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 100;
    world.config.rotation.compression = Compression::Xz;
    let sink = world.open();
    // A directory where the temporary file should be.
    let obstacle = world.directory().path().join("d-2026-11-23.0.log.xz.tmp");
    let mut active = 0;
    world.write(&sink, &active.to_string()).expect("written");
    fs::create_dir(&obstacle).expect("created");
    // The obstacle takes up the number: what comes next is number 1. Give the
    // archive the name in question by hand.
    let plain = world.directory().path().join("d-2026-11-23.0.log");
    fs::write(&plain, line(NOON, "by hand") + "\n").expect("written");
    active += 1;
    world.write(&sink, &active.to_string()).expect("written");
    until("the trouble is visible", || is_degraded(&sink));
    assert!(plain.exists());

    fs::remove_dir(&obstacle).expect("removed");
    active += 1;
    world.write(&sink, &active.to_string()).expect("written");
    until("it is compressed and the trouble is over", || {
        stats(&sink).health == Health::Good
            && world
                .archive_names()
                .iter()
                .all(|name| name.ends_with(".xz"))
    });
    assert_eq!(world.all_lines(), ["by hand", "0", "1", "2"]);
}

#[test]
fn an_archive_that_could_not_be_compressed_for_a_moment_is_without_a_rotation() {
    let mut world = World::new();
    world.config.rotation.compression = Compression::Xz;
    let logs = world.directory().path().to_owned();
    fs::create_dir(&logs).expect("created");
    fs::write(logs.join("d-2026-11-20.0.log"), line(NOON, "1") + "\n").expect("written");
    let obstacle = logs.join("d-2026-11-20.0.log.xz.tmp");
    fs::create_dir(&obstacle).expect("created");
    let sink = world.open();
    until("the trouble is visible", || is_degraded(&sink));
    fs::remove_dir(&obstacle).expect("removed");
    until("it is over", || stats(&sink).health == Health::Good);
    assert_eq!(world.archive_names(), ["d-2026-11-20.0.log.xz"]);
}

#[cfg(unix)]
#[test]
fn a_compression_does_not_write_through_a_second_name_of_another_file() {
    let mut world = World::new();
    world.config.rotation.compression = Compression::Xz;
    let sink = world.open();
    world.write(&sink, "1").expect("written");
    let victim = world.path().with_extension("victim");
    fs::write(&victim, "theirs").expect("written");
    let logs = world.directory().path().to_owned();
    fs::hard_link(&victim, logs.join("d-2026-11-20.0.log.xz.tmp")).expect("linked");
    let plain = logs.join("d-2026-11-20.0.log");
    fs::write(&plain, line(NOON, "0") + "\n").expect("written");
    world.pass(DAY);
    world.write(&sink, "2").expect("written");
    until("both are compressed", || {
        let names = world.archive_names();
        names.len() == 2 && names.iter().all(|name| name.ends_with(".xz"))
    });
    assert_eq!(fs::read_to_string(&victim).expect("readable"), "theirs");
}

#[test]
fn an_archive_that_somebody_has_locked_is_compressed_when_it_is_free() {
    let mut world = World::new();
    world.config.rotation.compression = Compression::Xz;
    let logs = world.directory().path().to_owned();
    fs::create_dir(&logs).expect("created");
    let locked = logs.join("d-2026-11-21.0.log");
    let free = logs.join("d-2026-11-22.0.log");
    for path in [&locked, &free] {
        fs::write(path, line(NOON - DAY, "old") + "\n").expect("written");
    }
    let theirs = fs::File::open(&locked).expect("opened");
    theirs.lock().expect("locked");
    let sink = world.open();
    until("the other one is compressed", || !free.exists());
    assert!(locked.exists());
    theirs.unlock().expect("unlocked");
    until("it is compressed, without a rotation", || !locked.exists());
    assert_eq!(stats(&sink).health, Health::Good);
    assert!(
        world
            .archive_names()
            .iter()
            .all(|name| name.ends_with(".xz"))
    );
}

#[test]
fn archives_go_oldest_first_and_never_what_is_not_ours() {
    let mut world = World::new();
    world.config.rotation.keep_files = 2;
    world.config.rotation.frequency = Frequency::Daily;
    let sink = world.open();
    let theirs = world.directory().path().join("d-2026-01-01.log");
    fs::write(&theirs, "theirs").expect("written");
    for day in 0..5 {
        world.write(&sink, &day.to_string()).expect("written");
        world.pass(DAY);
    }
    until("two are left", || {
        world.archive_names() == ["d-2026-11-25.0.log", "d-2026-11-26.0.log"]
    });
    assert!(theirs.exists());
    assert_eq!(world.active_lines(), ["4"]);
}

#[test]
fn a_disk_with_too_little_room_loses_old_archives_but_not_the_active_file() {
    let mut world = World::new();
    world.config.rotation.min_free_bytes = 1000;
    let sink = world.open();
    for day in 0..3 {
        world.write(&sink, &day.to_string()).expect("written");
        world.pass(DAY);
    }
    assert_eq!(world.archive_names().len(), 2);
    // A line has 58 bytes: both archives do not make up for it.
    world.free_bytes.store(500, Ordering::Relaxed);
    world.disk_full.store(true, Ordering::Relaxed);
    let _ = world.write_from(&sink, NOON + 2 * DAY, "lost");
    until("the full disk has the archives removed", || {
        world.archive_names().is_empty()
    });
    assert_eq!(world.active_lines(), ["2"]);
}

#[test]
fn archives_that_are_too_large_together_or_too_old_go() {
    let mut world = World::new();
    world.config.rotation.max_age_days = 30;
    // A line has 58 bytes.
    world.config.rotation.max_total_bytes = 150;
    let logs = world.directory().path().to_owned();
    fs::create_dir(&logs).expect("created");
    let old = logs.join("d-2026-10-01.0.log");
    fs::write(&old, "old\n").expect("written");
    let file = fs::File::options().write(true).open(&old).expect("opened");
    let written = UNIX_EPOCH + Duration::from_secs(NOON - 31 * DAY);
    file.set_modified(written).expect("set");
    drop(file);
    let sink = world.open();
    until("the old one is removed", || !old.exists());
    for day in 0..4 {
        world.write(&sink, &day.to_string()).expect("written");
        world.pass(DAY);
    }
    until("two are left", || {
        world.archive_names() == ["d-2026-11-24.0.log", "d-2026-11-25.0.log"]
    });
    assert_eq!(world.active_lines(), ["3"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_archiver_has_the_lowest_priority() {
    const LOWEST: &str = "19";
    let world = World::new();
    let _sink = world.open();
    let priorities = || -> Vec<String> {
        let tasks = fs::read_dir("/proc/self/task").expect("readable");
        let stats =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
        stats
            .filter(|stat| stat.contains("(log-archiver)"))
            .filter_map(|stat| stat.split_whitespace().nth(18).map(str::to_owned))
            .collect()
    };
    until("every archiver is nice", || {
        let priorities = priorities();
        !priorities.is_empty() && priorities.iter().all(|nice| nice == LOWEST)
    });
}

#[test]
fn each_way_of_syncing_flushes_and_ends() {
    for sync in [
        FileSync::Never,
        FileSync::Interval,
        FileSync::Error,
        FileSync::Always,
    ] {
        let mut world = World::new();
        world.config.sync = sync;
        world.config.rotation.max_size_bytes = 100;
        let sink = world.open();
        for text in ["a", "b", "c"] {
            world.write(&sink, text).expect("written");
        }
        sink.write_line(&line(NOON, "bad"), NOON * 1_000_000_000, Level::ERROR)
            .expect("written");
        assert_eq!(stats(&sink).pending, 1);
        sink.flush(DEADLINE).expect("flushed");
        let stats = stats(&sink);
        assert_eq!((stats.delivered, stats.pending), (4, 0), "{sync:?}");
        assert_eq!(stats.health, Health::Good, "{sync:?}");
        close(&sink);
        close(&sink);
    }
}

#[test]
fn records_are_forced_to_the_disk_as_configured() {
    for (sync, after_an_info, after_an_error) in [
        (FileSync::Never, 0, 0),
        (FileSync::Error, 0, 1),
        (FileSync::Always, 1, 2),
    ] {
        let mut world = World::new();
        world.config.sync = sync;
        let sink = world.open();
        let syncs = || world.syncs.load(Ordering::Relaxed);
        world.write(&sink, "fine").expect("written");
        assert_eq!(syncs(), after_an_info, "{sync:?}");
        sink.write_line(&line(NOON, "bad"), NOON * 1_000_000_000, Level::ERROR)
            .expect("written");
        sink.batch_end();
        assert_eq!(syncs(), after_an_error, "{sync:?}");
    }
    let mut world = World::new();
    world.config.sync = FileSync::Interval;
    let sink = world.open();
    world.write(&sink, "fine").expect("written");
    until("the thread does it", || {
        world.syncs.load(Ordering::Relaxed) > 0
    });
}

#[test]
fn a_disk_that_cannot_be_synced_is_told_and_heals() {
    for sync in [FileSync::Always, FileSync::Interval] {
        let mut world = World::new();
        world.config.sync = sync;
        let sink = world.open();
        world.sync_fails.store(true, Ordering::Relaxed);
        world.write(&sink, "1").expect("written, not forced");
        until("the trouble is visible", || is_degraded(&sink));
        world.write(&sink, "2").expect("written");
        world.sync_fails.store(false, Ordering::Relaxed);
        world.pass(1);
        sink.batch_end();
        until("it is over, without a record", || {
            stats(&sink).health == Health::Good
        });
        let said = world.complaints();
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(stats(&sink).delivered, 2);
    }
}

#[test]
fn after_closing_records_are_refused_and_counted() {
    let world = World::new();
    let sink = world.open();
    world.write(&sink, "before").expect("written");
    close(&sink);
    let refused = world.write(&sink, "after");
    assert!(matches!(refused, Err(SinkError::Closed { .. })));
    let stats = stats(&sink);
    assert_eq!(stats.lost.of(LossReason::Shutdown, Level::INFO), 1);
    assert_law(&stats);
    assert_eq!(world.active_lines(), ["before"]);
}

#[test]
fn the_law_holds_under_four_threads_rotations_and_a_failing_disk() {
    const THREADS: usize = 4;
    const LINES: usize = 2000;
    let mut world = World::new();
    world.config.rotation.max_size_bytes = 20_000;
    world.config.rotation.compression = Compression::Xz;
    let sink = world.open();
    let lost = Mutex::new(Vec::new());
    let running = AtomicBool::new(true);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (world, sink, lost) = (&world, &sink, &lost);
                scope.spawn(move || {
                    for number in 0..LINES {
                        if number % 500 == 250 + thread * 10 {
                            world.disk_full.fetch_xor(true, Ordering::Relaxed);
                            world.pass(1);
                        }
                        let text = format!("{thread} {number}");
                        if world.write(sink, &text).is_err() {
                            lost.lock().expect("no panic").push(text);
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                assert_law(&stats(&sink));
                thread::yield_now();
            }
        });
        for writer in writers {
            writer.join().expect("no panic");
        }
        running.store(false, Ordering::Relaxed);
    });
    world.disk_full.store(false, Ordering::Relaxed);
    world.pass(1);
    world.write(&sink, "the end").expect("healed");
    close(&sink);
    let stats = stats(&sink);
    assert_law(&stats);
    assert_eq!(stats.accepted as usize, THREADS * LINES + 1);
    assert_eq!(stats.pending, 0);
    assert!(stats.dropped > 0, "the disk did fail");
    let mut kept = world.all_lines();
    assert_eq!(kept.len() as u64, stats.delivered);
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len() as u64, stats.delivered, "nothing is there twice");
    let lost = lost.into_inner().expect("no panic");
    assert!(
        lost.iter().all(|text| kept.binary_search(text).is_err()),
        "lost means not there"
    );
}
