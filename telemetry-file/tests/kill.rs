//! A process that is killed (SIGKILL) again and again while it writes, rotates
//! and compresses loses no line that it had written, and doubles none.
//!
//! Without an argument this is the parent: it starts itself as the child, kills
//! it, and looks at the files. The child says on stdout which number it has
//! written.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use telemetry_core::{Capture, Identity, Numbered};
use telemetry_file::{FileConfig, FileSink, RotationConfig};
use tracing_subscriber::layer::SubscriberExt as _;

const CHILD: &str = "--write-until-killed";
const NAME: &str = "no_written_line_is_lost_or_doubled_by_kills";
/// Long: on a machine that is busy otherwise, an archiver of low priority waits.
const DEADLINE: Duration = Duration::from_secs(120);

const KILLS: u64 = 36;
/// With `SYNC_DAEMON_LONG=1`, as `cargo xtask check --long` sets it.
const LONG_KILLS: u64 = 300;
const LONG_VARIABLE: &str = "SYNC_DAEMON_LONG";

/// When a process is killed; in turn.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// From before the first record to several rotations later.
    Any { millis: u64 },
    /// As soon as an archive is being compressed.
    Compressing,
    /// As soon as there is an archive more.
    Rotating,
}

impl Moment {
    fn of_round(round: u64) -> Self {
        match round % 3 {
            0 => Self::Any {
                millis: round * 37 % 150,
            },
            1 => Self::Compressing,
            _ => Self::Rotating,
        }
    }

    /// Returns when it has come.
    fn wait(self, folder: &Path) {
        // Not what the process before has left.
        let dated = |file: PathBuf| {
            (
                fs::metadata(&file).and_then(|told| told.modified()).ok(),
                file,
            )
        };
        let known: BTreeSet<_> = files(folder).into_iter().map(dated).collect();
        let known_names: BTreeSet<&PathBuf> = known.iter().map(|(_, file)| file).collect();
        let has_come = || {
            let mut files = files(folder).into_iter();
            match self {
                Self::Any { .. } => true,
                Self::Compressing => {
                    files.any(|file| is_half(&file) && !known.contains(&dated(file)))
                }
                Self::Rotating => files.any(|file| {
                    let is_plain = file.extension().is_some_and(|ending| ending == "log");
                    is_plain && !known_names.contains(&file)
                }),
            }
        };
        if let Self::Any { millis } = self {
            thread::sleep(Duration::from_millis(millis));
        }
        let begun = Instant::now();
        while !has_come() {
            assert!(begun.elapsed() < DEADLINE, "{self:?} does not come");
            thread::yield_now();
        }
    }
}

/// In what the processes were interrupted, as the files show it.
#[derive(Debug, Default)]
struct Interrupted {
    /// A compression was half done.
    compressing: u64,
    /// The archive was complete and its source still there.
    before_the_source_went: u64,
    /// The file had been set aside, and the next one was not there yet.
    between_two_files: u64,
    /// The last line had no end.
    in_a_line: u64,
}

impl Interrupted {
    fn look(&mut self, folder: &Path, active: &Path) {
        let files = files(folder);
        let is_double = |file: &PathBuf| {
            let packed = PathBuf::from(format!("{}.xz", file.display()));
            files.contains(&packed)
        };
        let torn =
            fs::read(active).is_ok_and(|text| text.last().is_some_and(|last| *last != b'\n'));
        self.compressing += u64::from(files.iter().any(|file| is_half(file)));
        self.before_the_source_went += u64::from(files.iter().any(is_double));
        self.between_two_files += u64::from(!active.exists() && files.len() > 1);
        self.in_a_line += u64::from(torn);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, path, from] if mode == CHILD => {
            write_until_killed(Path::new(path), from.parse().expect("a number"));
        }
        _ => answer_test_runner(&arguments),
    }
}

/// Lists or runs the one test, as runners expect of a test binary.
fn answer_test_runner(arguments: &[String]) {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let mut filters = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .peekable();
    let is_meant = filters.peek().is_none() || filters.any(|filter| NAME.contains(filter.as_str()));
    if has("--ignored") || !is_meant {
        return;
    }
    match has("--list") {
        true => writeln!(io::stdout(), "{NAME}: test").expect("the runner reads"),
        false => no_written_line_is_lost_or_doubled_by_kills(),
    }
}

fn open(path: &Path) -> FileSink {
    FileSink::open(FileConfig {
        path: path.to_owned(),
        rotation: RotationConfig {
            max_size_bytes: 200_000,
            keep_files: 0,
            min_free_bytes: 0,
            compression_level: 0,
            ..RotationConfig::default()
        },
        ..FileConfig::default()
    })
    .expect("opened")
}

fn write_until_killed(path: &Path, from: u64) {
    let capture = Capture::new(Identity::new(uuid::Uuid::nil()), Numbered::new(open(path)));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        for number in from.. {
            tracing::info!(number, "written");
            writeln!(io::stdout(), "{number}").expect("the parent reads");
        }
    });
}

fn no_written_line_is_lost_or_doubled_by_kills() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("d.log");
    let kills = match std::env::var_os(LONG_VARIABLE) {
        Some(_) => LONG_KILLS,
        None => KILLS,
    };
    let mut written = 0;
    let mut interrupted = Interrupted::default();
    for round in 0..kills {
        let mut child = start_child(&path, written + 1);
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let reader = thread::spawn(move || last_number(output));
        Moment::of_round(round).wait(folder.path());
        child.kill().expect("killed");
        child.wait().expect("waited for");
        written = reader.join().expect("no panic").unwrap_or(written);
        interrupted.look(folder.path(), &path);
    }
    let sink = open(&path);
    wait_until_finished(folder.path(), &path);
    drop(sink);
    let found = numbers(folder.path());
    let missing = (1..=written).filter(|number| !found.contains(number));
    assert_eq!(missing.count(), 0, "of {written} written lines");
    let archives = files(folder.path()).len() - 1;
    assert!(archives > 0, "there was no rotation to be killed in");
    assert!(interrupted.compressing > 0, "no kill hit a compression");
    xz_agrees(folder.path());
    let _ = writeln!(
        io::stderr(),
        "{kills} kills ({interrupted:?}), {written} lines, {archives} archives: nothing lost or doubled"
    );
}

/// Asks the real tool about each archive: the one that `cargo xtask tools` has
/// fetched, or the system's.
fn xz_agrees(folder: &Path) {
    let fetched = std::env::current_exe().expect("this program");
    let fetched = fetched
        .ancestors()
        .nth(3)
        .expect("cargo's target directory");
    let fetched = fetched.join("tools/bin/xz");
    let xz = match fetched.exists() {
        true => fetched,
        false => PathBuf::from("xz"),
    };
    let archives = files(folder).into_iter();
    let archives = archives.filter(|file| file.extension().is_some_and(|ending| ending == "xz"));
    let tested = Command::new(xz).arg("-t").args(archives).output();
    match tested {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => {
            let may_be_missing = std::env::var_os("CI").is_none();
            assert!(may_be_missing, "xz -t cannot be run: {error}");
            let _ = writeln!(io::stderr(), "SKIPPED xz -t: {error}");
        }
    }
}

/// Waits as long as the archiver gets on: after many kills it has a lot to do.
fn wait_until_finished(folder: &Path, active: &Path) {
    let unfinished = || {
        let files = files(folder);
        files
            .iter()
            .filter(|file| !is_finished(file, active))
            .count()
    };
    let mut left = unfinished();
    let mut since = Instant::now();
    while left > 0 {
        assert!(
            since.elapsed() < DEADLINE,
            "{left} files are not compressed"
        );
        thread::sleep(Duration::from_millis(5));
        let now = unfinished();
        if now < left {
            since = Instant::now();
        }
        left = now;
    }
}

fn start_child(path: &Path, from: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .arg(CHILD)
        .arg(path)
        .arg(from.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

fn last_number(output: impl BufRead) -> Option<u64> {
    let numbers = output.lines().map_while(Result::ok);
    numbers.filter_map(|line| line.parse().ok()).last()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("readable");
    entries
        .map(|entry| entry.expect("readable").path())
        .collect()
}

/// What a compression writes until it is done.
fn is_half(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "tmp")
}

fn is_finished(file: &Path, active: &Path) -> bool {
    file == active || file.extension().is_some_and(|ending| ending == "xz")
}

/// The numbers in all files; panics on one that is there twice.
fn numbers(folder: &Path) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut sessions = BTreeSet::new();
    for path in files(folder) {
        let mut text = String::new();
        let mut file = File::open(&path).expect("readable");
        match path.extension().is_some_and(|ending| ending == "xz") {
            true => xz2::read::XzDecoder::new(file).read_to_string(&mut text),
            false => file.read_to_string(&mut text),
        }
        .expect("valid");
        for line in text.lines() {
            // The line in which the process was killed, closed at the start.
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            let number = line["fields"]["number"].as_u64().expect("a number");
            // The last line of a life may have been written, but not said: the
            // next life writes its number again.
            let session = line["session_id"].as_str().expect("a session").to_owned();
            assert!(
                sessions.insert((session, number)),
                "{number} is there twice"
            );
            found.insert(number);
        }
    }
    found
}
