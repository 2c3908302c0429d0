//! A model test: whatever is done to a sink and its files, in any order, the
//! files hold exactly the records that it says it has delivered.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use telemetry_core::Sink;

use crate::config::{Compression, Frequency, Timezone};
use crate::sink::FileSink;
use crate::stories::{World, assert_law, close, read_archive, stats, until};

/// What a crash leaves of a line.
const TORN: &str = "{\"timestamp\":\"20";

#[derive(Debug, Clone)]
enum Act {
    Write { lines: usize, length: usize },
    Pass { seconds: u64 },
    ClockBack { seconds: u64 },
    Restart,
    CrashInALine,
    CrashInCompression { has_renamed: bool },
    RenameOutside,
    DeleteOutside,
    TruncateAfterCopy,
    Reopen,
    DiskFull(bool),
    OpenFails,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1usize..20, 1usize..300).prop_map(|(lines, length)| Act::Write { lines, length }),
        3 => (0u64..5000).prop_map(|seconds| Act::Pass { seconds }),
        1 => (50_000u64..200_000).prop_map(|seconds| Act::Pass { seconds }),
        1 => (0u64..200_000).prop_map(|seconds| Act::ClockBack { seconds }),
        1 => Just(Act::Restart),
        1 => Just(Act::CrashInALine),
        1 => any::<bool>().prop_map(|has_renamed| Act::CrashInCompression { has_renamed }),
        1 => Just(Act::RenameOutside),
        1 => Just(Act::DeleteOutside),
        1 => Just(Act::TruncateAfterCopy),
        1 => Just(Act::Reopen),
        2 => any::<bool>().prop_map(Act::DiskFull),
        1 => Just(Act::OpenFails),
    ]
}

/// The sink under test and what it ought to have kept.
struct Model {
    world: World,
    sink: FileSink,
    written: usize,
    delivered: Vec<String>,
    moved: Vec<PathBuf>,
}

impl Model {
    fn new(frequency: Frequency, timezone: Timezone) -> Self {
        let mut world = World::new();
        let rotation = &mut world.config.rotation;
        rotation.frequency = frequency;
        rotation.timezone = timezone;
        rotation.max_size_bytes = 3000;
        rotation.compression = Compression::Xz;
        rotation.compression_level = 0;
        Self {
            sink: world.open(),
            world,
            written: 0,
            delivered: Vec::new(),
            moved: Vec::new(),
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Write { lines, length } => (0..*lines).for_each(|_| self.write(*length)),
            Act::Pass { seconds } => self.world.pass(*seconds),
            Act::ClockBack { seconds } => {
                self.world
                    .clock
                    .seconds
                    .fetch_sub(*seconds, Ordering::Relaxed);
            }
            Act::Restart => self.restart(),
            Act::CrashInALine => self.crash_in_a_line(),
            Act::CrashInCompression { has_renamed } => self.crash_in_compression(*has_renamed),
            Act::RenameOutside => self.rename_outside(),
            Act::DeleteOutside => self.delete_outside(),
            Act::TruncateAfterCopy => self.truncate_after_copy(),
            Act::Reopen => self.sink.reopen(),
            Act::DiskFull(full) => self.world.disk_full.store(*full, Ordering::Relaxed),
            Act::OpenFails => self.world.failing_opens.store(1, Ordering::Relaxed),
        }
        assert_law(&stats(&self.sink));
    }

    fn write(&mut self, length: usize) {
        self.written += 1;
        let text = format!("{} {}", self.written, "x".repeat(length));
        let before = stats(&self.sink).delivered;
        // Whether it was delivered is asked of the accounts.
        let _ = self.world.write(&self.sink, &text);
        if stats(&self.sink).delivered > before {
            self.delivered.push(text);
        }
    }

    fn restart(&mut self) {
        let _ = self.sink.close(std::time::Duration::from_secs(10));
        self.sink = self.world.open();
    }

    fn crash_in_a_line(&mut self) {
        close(&self.sink);
        let active = fs::File::options().append(true).open(self.world.path());
        // While failing there may be no file.
        if let Ok(mut active) = active {
            active.write_all(TORN.as_bytes()).expect("written");
        }
        self.sink = self.world.open();
    }

    /// Leaves behind what a kill leaves before or after the archive has got its
    /// name.
    fn crash_in_compression(&mut self, has_renamed: bool) {
        close(&self.sink);
        for archive in self.world.directory().archives().expect("readable") {
            let both = match archive.name.packed {
                true => archive.path.with_extension(""),
                false => archive.path.with_added_extension("xz"),
            };
            match (archive.name.packed, has_renamed) {
                // Its source had not gone yet.
                (true, true) => fs::write(both, read_archive(&archive.path)).expect("written"),
                (true, false) => {}
                (false, _) => {
                    let half = both.with_added_extension("tmp");
                    fs::write(half, "\u{fd}7zXZ and so on").expect("written");
                }
            }
        }
        self.sink = self.world.open();
    }

    /// What is in the file goes with it, but nothing that is written later.
    fn delete_outside(&mut self) {
        // Only the file of the sink, and not twice.
        self.sink.reopen();
        if let Ok(text) = fs::read_to_string(self.world.path()) {
            let gone = messages(&text);
            self.delivered.retain(|message| !gone.contains(message));
            fs::remove_file(self.world.path()).expect("removed");
        }
    }

    fn next_moved(&mut self) -> PathBuf {
        let name = format!("d.log.{}", self.moved.len());
        self.world.path().with_file_name(name)
    }

    fn rename_outside(&mut self) {
        let target = self.next_moved();
        if fs::rename(self.world.path(), &target).is_ok() {
            self.moved.push(target);
        }
    }

    fn truncate_after_copy(&mut self) {
        let target = self.next_moved();
        // Only the file of the sink: after a rename the path may be free.
        self.sink.reopen();
        if fs::copy(self.world.path(), &target).is_ok() {
            self.moved.push(target);
            let file = fs::File::options().write(true).open(self.world.path());
            file.and_then(|file| file.set_len(0)).expect("truncated");
        }
    }

    /// All messages in archives, in what others took away, and in the file.
    fn readable(&self) -> Vec<String> {
        let archives = self.world.directory().archives().expect("readable");
        let paths = archives.into_iter().map(|archive| archive.path);
        let active = self.world.path().to_owned();
        paths
            .chain(self.moved.clone())
            .chain([active].into_iter().filter(|path| path.exists()))
            .flat_map(|path| messages(&read_archive(&path)))
            .collect()
    }

    fn check(self) {
        until("everything is compressed", || {
            let names = self.world.archive_names();
            names.iter().all(|name| name.ends_with(".xz"))
        });
        for archive in self.world.directory().archives().expect("readable") {
            assert!(read_archive(&archive.path).ends_with('\n'), "a torn end");
        }
        let mut readable = self.readable();
        let mut delivered = self.delivered;
        readable.sort();
        delivered.sort();
        assert_eq!(readable, delivered);
    }
}

fn messages(text: &str) -> Vec<String> {
    text.lines()
        // Two crashes without a record in between make one line.
        .filter(|line| line.is_empty() || !line.replace(TORN, "").is_empty())
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
            value["message"].as_str().expect("a message").to_owned()
        })
        .collect()
}

/// A quarter of the usual number of cases (256, or `PROPTEST_CASES`): each one
/// writes real files.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases / 4,
        failure_persistence: None,
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_files_hold_what_was_delivered_once(
        acts in proptest::collection::vec(any_act(), 1..40),
        hourly in any::<bool>(),
        local in any::<bool>(),
    ) {
        let frequency = if hourly { Frequency::Hourly } else { Frequency::Daily };
        let timezone = if local { Timezone::Local } else { Timezone::Utc };
        let mut model = Model::new(frequency, timezone);
        for act in &acts {
            model.act(act);
        }
        model.world.disk_full.store(false, Ordering::Relaxed);
        model.world.failing_opens.store(0, Ordering::Relaxed);
        model.restart();
        model.check();
    }
}
