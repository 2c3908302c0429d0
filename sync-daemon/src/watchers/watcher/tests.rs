//! Watchers on real directories; the job only counts how often it was started.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Longer than anything takes, so that a failure means "never".
const SOON: Duration = Duration::from_secs(30);

struct Watched {
    place: tempfile::TempDir,
    watcher: Watcher,
    starts: Arc<AtomicU64>,
}

impl Watched {
    fn new(change: impl FnOnce(&mut FileWatcher)) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut config = FileWatcher {
            id: "w".to_owned(),
            sync_job_id: "job".to_owned(),
            watch_path: place.path().join("root"),
            debounce: Duration::from_millis(20),
            max_delay: Duration::from_millis(500),
            ..FileWatcher::default()
        };
        fs::create_dir(&config.watch_path).unwrap();
        change(&mut config);
        let starts = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&starts);
        let start_job = move |job: &str| {
            assert_eq!(job, "job");
            count.fetch_add(1, Ordering::SeqCst);
            Started::Yes
        };
        let plan = Plan {
            watcher: config,
            own: OwnFiles::default(),
        };
        let watcher = Watcher::start(plan, Arc::new(start_job)).unwrap();
        let watched = Self {
            place,
            watcher,
            starts,
        };
        watched.until("it has begun", || {
            watched.watcher.status().state != WatcherState::Starting
        });
        watched
    }

    fn root(&self) -> std::path::PathBuf {
        self.place.path().join("root")
    }

    fn state(&self) -> WatcherState {
        self.watcher.status().state
    }

    fn until(&self, what: &str, mut fits: impl FnMut() -> bool) {
        let deadline = Instant::now() + SOON;
        while !fits() {
            assert!(Instant::now() < deadline, "never: {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Does something and waits for the job to be started because of it.
    fn starts_after(&self, what: &str, act: impl FnOnce()) {
        let before = self.starts.load(Ordering::SeqCst);
        act();
        self.until(what, || self.starts.load(Ordering::SeqCst) > before);
        // What the act has caused besides shall not be taken for the next one's.
        let settled = || self.watcher.shared.signals.is_empty();
        self.until("quiet", settled);
    }
}

#[test]
fn changes_of_every_kind_start_the_job_also_in_new_and_renamed_directories() {
    let watched = Watched::new(|_| {});
    let root = watched.root();
    watched.starts_after("a file", || fs::write(root.join("file"), "1").unwrap());
    watched.starts_after("a rename", || {
        fs::rename(root.join("file"), root.join("other")).unwrap();
    });
    watched.starts_after("a mode", || {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(root.join("other"), fs::Permissions::from_mode(0o600)).unwrap();
    });
    watched.starts_after("a removal", || fs::remove_file(root.join("other")).unwrap());
    watched.starts_after("directories", || {
        fs::create_dir_all(root.join("a/b")).unwrap()
    });
    watched.starts_after("a file in a new directory", || {
        fs::write(root.join("a/b/file"), "1").unwrap();
    });
    watched.starts_after("a renamed directory", || {
        fs::rename(root.join("a"), root.join("c")).unwrap();
    });
    watched.starts_after("a file in a renamed directory", || {
        fs::write(root.join("c/b/file"), "2").unwrap();
    });
}

#[test]
fn reading_starts_nothing() {
    let watched = Watched::new(|_| {});
    let root = watched.root();
    watched.starts_after("a file", || fs::write(root.join("file"), "1").unwrap());
    let before = watched.starts.load(Ordering::SeqCst);
    for _ in 0..100 {
        fs::read(root.join("file")).unwrap();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    }
    // The events are in order: a change that comes after the reading is the next start.
    watched.starts_after("a change", || fs::write(root.join("file"), "2").unwrap());
    let starts = watched.starts.load(Ordering::SeqCst);
    assert_eq!(starts, before + 1);
}

#[test]
fn a_directory_that_goes_and_comes_back_is_watched_again() {
    let watched = Watched::new(|_| {});
    let root = watched.root();
    fs::remove_dir(&root).unwrap();
    watched.until("it is missed", || watched.state() == WatcherState::Missing);
    watched.starts_after("the new one", || fs::create_dir(&root).unwrap());
    assert_eq!(watched.state(), WatcherState::Watching);
    watched.starts_after("a file", || fs::write(root.join("file"), "1").unwrap());

    // Another directory under the same name, as after a mount.
    let other = watched.place.path().join("other");
    fs::create_dir(&other).unwrap();
    watched.starts_after("the exchange", || {
        fs::rename(&root, watched.place.path().join("old")).unwrap();
        fs::rename(&other, &root).unwrap();
    });
    watched.starts_after("a file in the other", || {
        fs::write(root.join("file"), "1").unwrap();
    });
}

#[test]
fn a_missing_directory_is_waited_for_from_the_start() {
    let watched = Watched::new(|config| config.watch_path.push("later"));
    assert_eq!(watched.state(), WatcherState::Missing);
    let status = watched.watcher.status();
    assert!(status.reason.unwrap().contains("not there"));
    watched.starts_after("its coming", || {
        fs::create_dir(watched.root().join("later")).unwrap();
    });
}

#[test]
fn what_lies_deeper_is_no_matter_unless_it_is_recursive() {
    let watched = Watched::new(|config| {
        fs::create_dir(config.watch_path.join("deep")).unwrap();
        config.recursive = false;
    });
    let root = watched.root();
    fs::write(root.join("deep/file"), "1").unwrap();
    watched.starts_after("a file above", || {
        fs::write(root.join("file"), "1").unwrap()
    });
    assert_eq!(watched.starts.load(Ordering::SeqCst), 1);
}

#[test]
fn lost_events_make_it_watch_anew_and_start_the_job() {
    let watched = Watched::new(|_| {});
    let rescan = || {
        let event = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        hear(
            &watched.watcher.shared.signals,
            &Ignored::default(),
            Ok(event),
        );
    };
    watched.starts_after("an overflow", rescan);
    watched.starts_after("a file", || {
        fs::write(watched.root().join("file"), "1").unwrap()
    });
    watched.starts_after("a second overflow", rescan);
}

#[test]
fn without_watches_a_timer_starts_the_job_and_watching_is_tried_again() {
    let watched = Watched::new(|_| {});
    watched.starts_after("the first run of the timer", || {
        let exhausted = notify::Error::new(ErrorKind::MaxFilesWatch);
        hear(
            &watched.watcher.shared.signals,
            &Ignored::default(),
            Err(exhausted),
        );
    });
    let status = watched.watcher.status();
    assert_eq!(status.state, WatcherState::Polling);
    assert!(status.reason.unwrap().contains("max_user_watches"));
}

#[test]
fn overflows_in_a_row_are_answered_with_growing_pauses() {
    let second = Duration::from_secs(1);
    let debounce = Duration::from_millis(100);
    let mut overflow = Overflow::default();
    let mut now = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..10 {
        overflow.happened(now, debounce);
        let due = overflow.due().unwrap();
        waits.push(due.duration_since(now));
        assert!(!overflow.take(now));
        now = due;
        assert!(overflow.take(now));
    }
    assert_eq!(waits[..2], [debounce, debounce]);
    assert!(waits.is_sorted(), "{waits:?}");
    assert_eq!(waits[9], 60 * second);
    now += OVERFLOWS_ARE_APART * 2;
    overflow.happened(now, debounce);
    assert_eq!(overflow.due(), Some(now + debounce));
}
