//! What a caller feels of rotations: how long events take while the file behind
//! a queue is set aside and compressed several times a second, and while it only
//! grows.
//!
//! `cargo run --release -p telemetry-file --example rotation_stall -- rotating`
//! (or `still`) prints one JSON object with nanoseconds.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use telemetry_core::{Capture, Identity, Queue, QueueConfig, Sink};
use telemetry_file::{FileConfig, FileSink, RotationConfig};
use tracing_subscriber::layer::SubscriberExt as _;

const EVENTS: usize = 300_000;
/// The caller does not log without end, but in bursts that the queue can take.
const BURST: usize = 100;
const PAUSE: Duration = Duration::from_millis(1);
const ROTATING_BYTES: u64 = 5 << 20;
const LIMIT: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let max_size_bytes = match std::env::args().nth(1).as_deref() {
        Some("rotating") => ROTATING_BYTES,
        Some("still") => 0,
        _ => return Err("say `rotating` or `still`".into()),
    };
    let folder = tempfile::tempdir()?;
    let file = FileSink::open(FileConfig {
        path: folder.path().join("stall.log"),
        rotation: RotationConfig {
            max_size_bytes,
            keep_files: 0,
            ..RotationConfig::default()
        },
        ..FileConfig::default()
    })?;
    let queue = Arc::new(Queue::start(QueueConfig::default(), file));
    let capture = Capture::new(Identity::new(uuid::Uuid::nil()), Arc::clone(&queue));
    let subscriber = tracing_subscriber::registry().with(capture);
    let mut nanos = tracing::subscriber::with_default(subscriber, log_in_bursts);
    queue.flush(LIMIT)?;
    let mut stats = Vec::new();
    queue.stats(&mut stats);
    let lost: u64 = stats.iter().map(|stats| stats.lost.total()).sum();
    let files = std::fs::read_dir(folder.path())?.count();
    queue.close(LIMIT)?;

    nanos.sort_unstable();
    let quantile = |share: f64| nanos[((nanos.len() - 1) as f64 * share) as usize];
    writeln!(
        io::stdout(),
        r#"{{"p50":{},"p99":{},"p999":{},"max":{},"events":{},"lost":{lost},"files":{files}}}"#,
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0),
        nanos.len(),
    )?;
    Ok(())
}

/// How long each event took.
fn log_in_bursts() -> Vec<u64> {
    let mut nanos = Vec::with_capacity(EVENTS);
    let _job = tracing::info_span!("job", name = "documents").entered();
    while nanos.len() < EVENTS {
        for _ in 0..BURST {
            let number = nanos.len();
            let begun = Instant::now();
            tracing::info!(number, path = "documents/letter.odt", "copied");
            nanos.push(begun.elapsed().as_nanos() as u64);
        }
        thread::sleep(PAUSE);
    }
    nanos
}
