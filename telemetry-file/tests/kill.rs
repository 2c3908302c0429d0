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
const DEADLINE: Duration = Duration::from_secs(20);

const KILLS: u64 = 15;
/// With `SYNC_DAEMON_LONG=1`, as `cargo xtask check --long` sets it.
const LONG_KILLS: u64 = 250;
const LONG_VARIABLE: &str = "SYNC_DAEMON_LONG";

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
    let mut in_compression = 0;
    for round in 0..kills {
        let mut child = start_child(&path, written + 1);
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let reader = thread::spawn(move || last_number(output));
        // From before the first record to several rotations later.
        thread::sleep(Duration::from_millis(round * 37 % 150));
        child.kill().expect("killed");
        child.wait().expect("waited for");
        written = reader.join().expect("no panic").unwrap_or(written);
        in_compression += u64::from(files(folder.path()).iter().any(|file| is_half(file)));
    }
    let sink = open(&path);
    wait_until_finished(folder.path(), &path);
    drop(sink);
    let found = numbers(folder.path());
    let missing = (1..=written).filter(|number| !found.contains(number));
    assert_eq!(missing.count(), 0, "of {written} written lines");
    let archives = files(folder.path()).len() - 1;
    assert!(archives > 0, "there was no rotation to be killed in");
    if kills == LONG_KILLS {
        assert!(in_compression > 0, "no kill hit a compression");
    }
    let _ = writeln!(
        io::stderr(),
        "{kills} kills ({in_compression} while compressing), {written} lines, {archives} archives: nothing lost or doubled"
    );
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
