//! Logs straight into a rotating file: no queue, no runtime, no thread but the
//! one that compresses archives and the one that syncs.
//!
//! `cargo run -p telemetry-file --example straight_into_a_file [DIRECTORY]`

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use telemetry_core::{Capture, Identity, Numbered, Sink};
use telemetry_file::{FileConfig, FileSink, RotationConfig};
use tracing_subscriber::layer::SubscriberExt as _;

const EVENTS: u32 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = match std::env::args_os().nth(1) {
        Some(directory) => PathBuf::from(directory),
        None => tempfile::tempdir()?.keep(),
    };
    let sink = Arc::new(FileSink::open(FileConfig {
        path: directory.join("example.log"),
        rotation: RotationConfig {
            max_size_bytes: 1 << 20,
            keep_files: 20,
            ..RotationConfig::default()
        },
        ..FileConfig::default()
    })?);
    let identity = Identity::new(uuid::Uuid::new_v4());
    let capture = Capture::new(identity, Numbered::new(Arc::clone(&sink)));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        let _job = tracing::info_span!("job", name = "documents").entered();
        for file in 0..EVENTS {
            tracing::info!(file, bytes = u64::from(file) * 4096, "copied");
        }
    });
    sink.flush(Duration::from_secs(5))?;

    let mut stats = Vec::new();
    sink.stats(&mut stats);
    let delivered = stats[0].delivered;
    sink.close(Duration::from_secs(5))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{delivered} of {EVENTS} records are in these files:")?;
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        let bytes = entry.metadata()?.len();
        writeln!(out, "{bytes:>9} {}", entry.path().display())?;
    }
    Ok(())
}
