//! What a flood leaves behind. Alone in its process, whose memory it looks at.
#![cfg(target_os = "linux")]

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use telemetry_core::{Capture, Identity, Queue, QueueConfig, Record, Sink, SinkError, SinkStats};
use tracing_subscriber::layer::SubscriberExt as _;

const PATIENCE: Duration = Duration::from_secs(30);
const RECORDS: usize = 14_000;

/// Waits in `write` while the gate is shut.
struct Gated(Arc<Mutex<()>>);

impl Sink for Gated {
    fn write(&self, _: &Record<'_>) -> Result<(), SinkError> {
        drop(self.0.lock());
        Ok(())
    }
    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn stats(&self, _: &mut Vec<SinkStats>) {}
}

/// Memory of this process that no file backs, in KiB.
fn own_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse().ok()).expect("a number")
}

#[test]
fn memory_that_a_flood_took_is_given_back() {
    let gate = Arc::new(Mutex::new(()));
    let queue = Arc::new(Queue::start(
        QueueConfig::default(),
        Gated(Arc::clone(&gate)),
    ));
    let capture = Capture::new(Identity::new(uuid::Uuid::new_v4()), Arc::clone(&queue));
    let subscriber = tracing_subscriber::registry().with(capture);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(number = 0, "the first of them");
        queue.flush(PATIENCE).expect("written");
        let before = own_memory();
        let mut most = before;
        // Twice: the batches change places.
        for _ in 0..2 {
            let shut = gate.lock();
            (0..RECORDS).for_each(|number| {
                let path = "/srv/data/a/directory/with/a/file/in/it";
                tracing::info!(number, path, bytes = 7, "one of very many files");
            });
            most = most.max(own_memory());
            drop(shut);
            queue.flush(PATIENCE).expect("written");
        }
        assert!(
            most - before > 1_024,
            "{before} KiB became {most}: no flood"
        );
        let begun = Instant::now();
        while own_memory() > before + (most - before) / 8 {
            assert!(
                begun.elapsed() < PATIENCE,
                "{before} KiB became {most}, and {} stay",
                own_memory()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        tracing::info!("more comes through");
    });
    queue.close(PATIENCE).expect("closed");
}
