//! File watchers: a change starts a job.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;
use telemetry_tests::{Daemon, assert_same_tree, free_port, get, plant, skip};

use crate::{MANUAL, SOON, job, with_jobs};

/// The limits of inotify are those of the whole machine: whoever lowers them is alone.
static INOTIFY: Mutex<()> = Mutex::new(());

const DEBOUNCE: Duration = Duration::from_millis(200);

fn watched(place: &Path, port: u16) -> String {
    let watcher = format!(
        "[[file_watchers]]\nid = \"eye\"\nwatch_path = \"{}/source\"\nsync_job_id = \"docs\"\ndebounce_ms = {}\nmax_delay_ms = 2000\n",
        place.display(),
        DEBOUNCE.as_millis()
    );
    let deleting =
        "[sync_jobs.sync_options]\ndelete_destination_files = true\nallow_empty_source = true\n";
    with_jobs(port, &(job("docs", place, MANUAL) + deleting + &watcher))
}

struct Story {
    place: tempfile::TempDir,
    daemon: Daemon,
    port: u16,
}

impl Story {
    fn begin() -> Self {
        let place = tempfile::tempdir().unwrap();
        plant(&place.path().join("source"), &[("a", "text")]);
        let port = free_port();
        let daemon = Daemon::start(place.path(), &watched(place.path(), port));
        let story = Self {
            place,
            daemon,
            port,
        };
        story.until_state("watching");
        story
    }

    fn source(&self) -> PathBuf {
        self.place.path().join("source")
    }

    fn copy(&self) -> PathBuf {
        self.place.path().join("docs")
    }

    fn watcher(&self) -> Value {
        let status = self.daemon.beside().args(["status", "--json"]).run();
        let status: Value = serde_json::from_str(&status.stdout).unwrap_or_default();
        status["watchers"][0].clone()
    }

    fn until_state(&self, state: &str) {
        self.daemon
            .wait_until(SOON, state, || self.watcher()["state"] == state);
    }

    fn until_copied(&self, path: &str, text: &str) {
        self.daemon.wait_until(SOON, path, || {
            fs::read_to_string(self.copy().join(path)).is_ok_and(|found| found == text)
        });
    }

    fn active_watchers(&self) -> String {
        let scrape = get(&format!("http://127.0.0.1:{}/metrics", self.port)).unwrap();
        let text = scrape.expect_status(200).body;
        let line = text
            .lines()
            .find(|line| line.starts_with("file_watchers_active "));
        line.unwrap().to_owned()
    }
}

#[test]
fn a_change_is_mirrored_within_the_debounce_and_two_seconds() {
    let _alone = INOTIFY.lock();
    let story = Story::begin();
    assert_eq!(story.active_watchers(), "file_watchers_active 1");
    let changed = Instant::now();
    plant(&story.source(), &[("deep/new/b", "more")]);
    story.until_copied("deep/new/b", "more");
    let took = changed.elapsed();
    assert!(took < DEBOUNCE + Duration::from_secs(2), "{took:?}");
    // In the directory that was new, and in one that gets another name.
    plant(&story.source(), &[("deep/new/c", "again")]);
    story.until_copied("deep/new/c", "again");
    fs::rename(story.source().join("deep"), story.source().join("moved")).unwrap();
    story.until_copied("moved/new/c", "again");
    plant(&story.source(), &[("moved/new/c", "once more")]);
    story.until_copied("moved/new/c", "once more");
    let run = story
        .daemon
        .wait_for_record(SOON, "the event of a run", |record| {
            record["fields"]["job_name"] == "docs_sync"
        });
    assert_eq!(run["fields"]["trigger"], "watcher", "{run}");
    let metrics = get(&format!("http://127.0.0.1:{}/metrics", story.port))
        .unwrap()
        .body;
    let counted = metrics.lines().find(|line| {
        line.starts_with("sync_operations_total")
            && line.contains("success\",trigger_source=\"watcher\"")
    });
    assert!(!counted.unwrap().ends_with(" 0"), "{counted:?}");
}

#[test]
fn what_the_daemon_itself_writes_starts_nothing() {
    let _alone = INOTIFY.lock();
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    // Log, state and copy lie in what is watched.
    let config = watched(place.path(), free_port()).replace(
        &format!("watch_path = \"{}/source\"", place.path().display()),
        "watch_path = \".\"",
    );
    let daemon = Daemon::start(place.path(), &config);
    let runs = || {
        let log = daemon.log();
        let is_run = |record: &&Value| record["fields"]["job_name"] == "docs_sync";
        log.iter().filter(is_run).count()
    };
    daemon.wait_for_record(SOON, "the watcher", |record| {
        record["message"] == "watching a directory"
    });
    for round in 1..=3 {
        plant(&place.path().join("source"), &[("a", &round.to_string())]);
        // A run that follows from the one before would be one too many.
        daemon.wait_until(SOON, "a run", || runs() == round);
    }
    assert_eq!(runs(), 3);
}

#[test]
fn a_directory_that_goes_and_comes_back_is_mirrored_again() {
    let _alone = INOTIFY.lock();
    let story = Story::begin();
    let away = story.place.path().join("away");
    fs::rename(story.source(), &away).unwrap();
    story.until_state("missing");
    assert_eq!(story.active_watchers(), "file_watchers_active 0");
    story.daemon.wait_for_record(SOON, "the warning", |record| {
        record["level"] == "WARN" && record["fields"]["watcher_id"] == "eye"
    });
    plant(&away, &[("b", "meanwhile")]);
    fs::rename(&away, story.source()).unwrap();
    story.until_copied("b", "meanwhile");
    plant(&story.source(), &[("c", "afterwards")]);
    story.until_copied("c", "afterwards");
    assert_eq!(story.active_watchers(), "file_watchers_active 1");
}

#[test]
fn a_storm_of_changes_settles_with_everything_mirrored() {
    let _alone = INOTIFY.lock();
    let story = Story::begin();
    for directory in 0..50 {
        for file in 0..40 {
            let path = format!("d{directory}/s/f{file}");
            plant(&story.source(), &[(&path, "x")]);
        }
        if directory % 2 == 1 {
            fs::remove_dir_all(story.source().join(format!("d{}", directory - 1))).unwrap();
        }
    }
    plant(&story.source(), &[("last", "one")]);
    story.until_copied("last", "one");
    story.daemon.wait_until(SOON, "the same tree", || {
        telemetry_tests::differences(&story.source(), &story.copy()).is_empty()
    });
    assert_same_tree(&story.source(), &story.copy());
}

/// A limit of the machine, lowered until it is dropped.
struct Lowered {
    path: &'static str,
    before: String,
}

impl Lowered {
    fn new(path: &'static str, value: &str) -> std::io::Result<Self> {
        let before = fs::read_to_string(path)?;
        fs::write(path, value)?;
        Ok(Self { path, before })
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        fs::write(self.path, &self.before).expect("the limit can be raised again");
    }
}

#[test]
fn without_watches_an_interval_does_it_and_says_so_until_there_are_some_again() {
    let _alone = INOTIFY.lock();
    let story = Story::begin();
    let path = "/proc/sys/fs/inotify/max_user_watches";
    let lowered = match Lowered::new(path, "2") {
        Ok(lowered) => lowered,
        Err(error) => return skip(&format!("{path} cannot be lowered: {error}")),
    };
    // The watches that there are stay; the next one is refused.
    plant(&story.source(), &[("one/two/three/b", "unwatched")]);
    story.until_state("polling");
    assert_eq!(story.active_watchers(), "file_watchers_active 0");
    let warning = story.daemon.wait_for_record(SOON, "the warning", |record| {
        record["level"] == "WARN" && record["fields"]["watcher_id"] == "eye"
    });
    let text = warning.to_string();
    assert!(text.contains("max_user_watches"), "{text}");
    assert!(warning["fields"]["interval_secs"].is_number(), "{text}");
    story.until_copied("one/two/three/b", "unwatched");
    let people = story.daemon.beside().arg("status").run().expect_success();
    assert!(people.contains("watcher eye is polling"), "{people}");

    drop(lowered);
    story.until_state("watching");
    assert_eq!(story.active_watchers(), "file_watchers_active 1");
    plant(&story.source(), &[("one/two/three/c", "watched")]);
    story.until_copied("one/two/three/c", "watched");
}

#[test]
fn a_full_queue_of_the_kernel_loses_nothing() {
    let _alone = INOTIFY.lock();
    let path = "/proc/sys/fs/inotify/max_queued_events";
    let lowered = match Lowered::new(path, "4") {
        Ok(lowered) => lowered,
        Err(error) => return skip(&format!("{path} cannot be lowered: {error}")),
    };
    // The limit is taken over when a watcher begins.
    let story = Story::begin();
    drop(lowered);
    // While the daemon stands still, nobody empties the queue.
    story.daemon.pause();
    for number in 0..100 {
        plant(&story.source(), &[(&format!("d{number}/e/f"), "x")]);
    }
    story.daemon.resume();
    story.until_copied("d99/e/f", "x");
    story
        .daemon
        .wait_for_record(SOON, "the overflow in the log", |record| {
            let message = record["message"].as_str().unwrap_or_default();
            message.contains("watched anew")
        });
    // Directories whose making went unseen are watched all the same.
    plant(&story.source(), &[("d50/e/g", "seen")]);
    story.until_copied("d50/e/g", "seen");
    // The time of a directory is set after its files, at the end of the run.
    let modified = |root: &std::path::Path| std::fs::metadata(root.join("d50/e"))?.modified();
    let deadline = std::time::Instant::now() + SOON;
    while modified(&story.source()).ok() != modified(&story.copy()).ok()
        && std::time::Instant::now() < deadline
    {
        std::thread::yield_now();
    }
    assert_same_tree(&story.source(), &story.copy());
}
