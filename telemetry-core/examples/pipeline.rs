//! A whole program: console and a sink of its own behind one queue, the `log`
//! crate and panics as records, and the accounts at the end.
//!
//! ```text
//! cargo run -p telemetry-core --example pipeline
//! RUST_LOG=trace NO_COLOR=1 cargo run -p telemetry-core --example pipeline
//! ```

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetry_core::{
    Capture, Console, Format, Identity, Queue, QueueConfig, Record, Sink, SinkError, SinkStats,
    Tee, install_log_bridge, install_panic_hook,
};
use tracing::field::Empty;

/// How long the end of the program may wait for what is still on its way.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// A destination of our own: counts records by target.
#[derive(Default)]
struct Targets(Mutex<BTreeMap<String, u64>>);

impl Sink for Targets {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let mut counts = self.0.lock().expect("nobody panics while counting");
        *counts.entry(record.target().to_owned()).or_default() += 1;
        Ok(())
    }
    fn flush(&self, _limit: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn close(&self, _limit: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        let counts = self.0.lock().expect("nobody panics while counting");
        let count = counts.values().sum();
        into.push(SinkStats {
            name: "targets".into(),
            accepted: count,
            delivered: count,
            ..SinkStats::default()
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A terminal can be stopped; its own queue keeps that from the other sinks.
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let console_queue = QueueConfig {
        name: "console-queue",
        capacity: 1_024,
        ..QueueConfig::default()
    };
    let console = Queue::start(console_queue, Console::new(Format::Pretty { color }));
    let targets = Arc::new(Targets::default());
    let sinks: [Box<dyn Sink>; 2] = [Box::new(console), Box::new(Arc::clone(&targets))];
    let pipeline = Arc::new(Queue::start(QueueConfig::default(), Tee::of(sinks)));

    let identity = Identity::new(uuid::Uuid::new_v4());
    Capture::new(identity, Arc::clone(&pipeline)).init()?;
    install_log_bridge()?;
    let flushed = Arc::clone(&pipeline);
    install_panic_hook(move |limit| {
        // What is left after the limit cannot be reported any better.
        let _ = flushed.flush(limit);
    });

    work();

    pipeline.close(SHUTDOWN_LIMIT)?;
    report(&*pipeline)?;
    Ok(())
}

/// What the program does: events, in spans, from several places.
fn work() {
    let job = tracing::info_span!("job", name = "documents", files = Empty);
    let inside = job.enter();
    tracing::info!(dry_run = false, "mirroring");
    tracing::debug!("seen with RUST_LOG=debug only");
    log::warn!("a library that uses the log crate is heard as well");
    job.record("files", 42);
    tracing::info!(bytes = 1_048_576, ratio = 0.97, "mirrored");
    drop(inside);

    let worker = std::thread::Builder::new().name("worker".into());
    let panicked = worker
        .spawn(|| panic!("a panic is a record, too"))
        .map(|handle| handle.join());
    tracing::error!(panicked = panicked.is_ok(), "the worker is gone");
}

/// Nothing is lost unseen: every sink gives an account of its records.
fn report(pipeline: &dyn Sink) -> io::Result<()> {
    let mut accounts = Vec::new();
    pipeline.stats(&mut accounts);
    let mut out = io::stdout().lock();
    for sink in accounts {
        let (name, accepted, delivered) = (&sink.name, sink.accepted, sink.delivered);
        writeln!(out, "{name}: {accepted} accepted, {delivered} delivered")?;
        for (reason, level, count) in sink.lost.iter() {
            writeln!(out, "  {count} {level} lost: {}", reason.as_str())?;
        }
    }
    Ok(())
}
