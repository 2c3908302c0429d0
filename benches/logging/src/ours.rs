//! This project's pipeline, composed as the daemon composes it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use telemetry_core::{Capture, Identity, Queue, QueueConfig, Sink, Tee, WhenFull};
use telemetry_file::{FileConfig, FileSink};
use telemetry_metrics::{CountingSink, Handle, log_presets};
use telemetry_sanitize::{SanitizeConfig, Sanitized, Sanitizer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::contestant::{CAPACITY, Contestant, through_tracing};

const PATIENCE: Duration = Duration::from_secs(60);

/// Queue, sanitizer, file and counter. `SANITIZE`: with the sanitizer at work.
pub struct Pipeline<const SANITIZE: bool> {
    queue: Arc<Queue>,
}

impl<const SANITIZE: bool> Contestant for Pipeline<SANITIZE> {
    through_tracing!();

    fn open(directory: &Path) -> Self {
        // Not installed, and so without the thread that reads /proc: valgrind
        // does not survive that.
        let recorder = Handle::build(&log_presets("sync_daemon")).expect("a recorder");
        let file = FileSink::open(FileConfig {
            path: directory.join("log.json"),
            ..FileConfig::default()
        });
        let sinks: [Box<dyn Sink>; 2] = [
            Box::new(file.expect("a log file")),
            Box::new(CountingSink::new(&recorder)),
        ];
        let sanitizer = Sanitizer::new(SanitizeConfig {
            enabled: SANITIZE,
            ..SanitizeConfig::default()
        });
        let config = QueueConfig {
            capacity: CAPACITY,
            when_full: WhenFull::Block(PATIENCE),
            ..QueueConfig::default()
        };
        let chain = Sanitized::new(sanitizer.expect("the built-in rules"), Tee::of(sinks));
        let queue = Arc::new(Queue::start(config, chain));
        let identity = Identity::new(uuid::Uuid::new_v4());
        let subscriber = tracing_subscriber::registry()
            .with(EnvFilter::new("info"))
            .with(Capture::new(identity, Arc::clone(&queue)));
        tracing::subscriber::set_global_default(subscriber).expect("the first subscriber");
        Self { queue }
    }

    fn close(self) {
        self.queue.close(PATIENCE).expect("everything is written");
        let mut accounts = Vec::new();
        self.queue.stats(&mut accounts);
        for sink in accounts {
            assert_eq!(sink.accepted, sink.delivered, "{sink:?}");
        }
    }
}
