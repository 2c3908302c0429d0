//! Real events through the real `Capture`, as another project would use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use telemetry_core::{
    Capture, Identity, Numbered, Queue, QueueConfig, Record, Records, Sink, SinkError, SinkStats,
};
use telemetry_file::{Compression, FileConfig, FileSink, RotationConfig};
use tracing_subscriber::layer::SubscriberExt as _;

const LIMIT: Duration = Duration::from_secs(10);

fn config(folder: &Path) -> FileConfig {
    FileConfig {
        path: folder.join("daemon.log"),
        rotation: RotationConfig {
            compression: Compression::None,
            keep_files: 0,
            ..RotationConfig::default()
        },
        ..FileConfig::default()
    }
}

fn identity() -> Identity {
    Identity::new(uuid::Uuid::new_v4())
}

/// The value of a key in every line of the file.
fn column(path: &Path, key: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("readable");
    text.lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
            line[key].clone()
        })
        .collect()
}

fn stats(sink: &impl Sink, name: &str) -> SinkStats {
    let mut all = Vec::new();
    sink.stats(&mut all);
    all.into_iter()
        .find(|stats| stats.name == name)
        .expect("the sink")
}

#[test]
fn an_event_without_a_queue_is_in_the_file_when_the_macro_returns() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("daemon.log");
    let sink = FileSink::open(config(folder.path())).expect("opened");
    let capture = Capture::new(identity(), Numbered::new(sink));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        for number in 1..=3 {
            tracing::info!(number, "hello");
            assert_eq!(column(&path, "seq").len(), number);
        }
    });
    assert_eq!(column(&path, "message"), ["hello", "hello", "hello"]);
}

#[test]
fn the_period_of_a_file_is_read_from_the_lines_that_capture_writes() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("daemon.log");
    fs::write(
        &path,
        "{\"timestamp\":\"2020-02-29T23:59:59.5Z\",\"seq\":0}\n",
    )
    .expect("written");
    let sink = FileSink::open(config(folder.path())).expect("opened");
    let capture = Capture::new(identity(), Numbered::new(sink));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        tracing::info!("today");
    });
    assert!(folder.path().join("daemon-2020-02-29.0.log").exists());
    assert_eq!(column(&path, "message"), ["today"]);

    // What was just written is understood by the next start: no rotation.
    let sink = FileSink::open(config(folder.path())).expect("opened");
    let capture = Capture::new(identity(), Numbered::new(sink));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        tracing::info!("still today");
    });
    let archives = fs::read_dir(folder.path()).expect("readable").count() - 1;
    let today = column(&path, "message");
    // Unless midnight passed in between.
    assert!(
        today == ["today", "still today"] || archives == 2,
        "{today:?}"
    );
}

#[test]
fn a_queue_in_front_delivers_everything_in_order() {
    const THREADS: usize = 4;
    const EVENTS: usize = 500;
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("daemon.log");
    let sink = FileSink::open(config(folder.path())).expect("opened");
    let queue = Arc::new(Queue::start(QueueConfig::default(), sink));
    let capture = Capture::new(identity(), Arc::clone(&queue));
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(capture));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let dispatch = &dispatch;
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    for number in 0..EVENTS {
                        tracing::info!(thread, number, "event");
                    }
                });
            });
        }
    });
    queue.flush(LIMIT).expect("flushed");
    let expected: Vec<_> = (1..=(THREADS * EVENTS) as u64).collect();
    assert_eq!(column(&path, "seq"), expected);
    let file = stats(&queue, "file");
    assert_eq!(file.delivered as usize, THREADS * EVENTS);
    assert_eq!((file.pending, file.dropped), (0, 0));
    queue.close(LIMIT).expect("closed");
}

/// Moves the file away while records are being written, as a rotation from outside
/// does, and says so.
struct Moving {
    file: FileSink,
    from: PathBuf,
    to: PathBuf,
}

impl Sink for Moving {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        self.file.write(record)
    }
    fn write_all(&self, records: &mut Records<'_>) {
        self.file.write_all(&mut Records::new(&mut |take| {
            records.for_each(&mut |record| {
                take(record);
                if !self.to.exists() {
                    fs::rename(&self.from, &self.to).expect("renamed");
                    self.file.reopen();
                }
            });
        }));
    }
    fn batch_end(&self) {
        self.file.batch_end();
    }
    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        self.file.flush(limit)
    }
    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        self.file.close(limit)
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        self.file.stats(into);
    }
}

#[test]
fn who_says_that_the_file_was_moved_does_not_wait_for_the_thread_that_writes() {
    let folder = tempfile::tempdir().expect("a directory");
    let (from, to) = (
        folder.path().join("daemon.log"),
        folder.path().join("moved"),
    );
    let sink = Moving {
        file: FileSink::open(config(folder.path())).expect("opened"),
        from: from.clone(),
        to: to.clone(),
    };
    let queue = Arc::new(Queue::start(QueueConfig::default(), sink));
    let capture = Capture::new(identity(), Arc::clone(&queue));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        (0..200).for_each(|number| tracing::info!(number));
    });
    queue.close(LIMIT).expect("it does not hang");
    assert!(to.exists());
    assert_eq!(column(&from, "seq").len() + column(&to, "seq").len(), 200);
    assert!(!column(&from, "seq").is_empty(), "the file was opened anew");
}
