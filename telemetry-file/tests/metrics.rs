//! What the sink tells a metrics recorder.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use telemetry_core::{Capture, Identity, Numbered, Sink};
use telemetry_file::{Compression, FileConfig, FileSink, RotationConfig};
use tracing_subscriber::layer::SubscriberExt as _;

/// Keeps counters by name and labels.
#[derive(Default)]
struct Counters(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Counters {
    fn all(&self) -> Vec<(String, u64)> {
        let counters = self.0.lock().expect("no panic");
        counters
            .iter()
            .map(|(key, count)| (key.clone(), count.load(Ordering::Relaxed)))
            .collect()
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut counters = self.0.lock().expect("no panic");
        Counter::from_arc(Arc::clone(counters.entry(name).or_default()))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn rotations_are_counted_by_reason_from_zero() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("d.log");
    fs::write(&path, "{\"timestamp\":\"2020-01-01T00:00:00Z\"}\n").expect("written");
    let counters = Counters::default();
    let sink = metrics::with_local_recorder(&counters, || {
        FileSink::open(FileConfig {
            path: path.clone(),
            rotation: RotationConfig {
                max_size_bytes: 10,
                compression: Compression::None,
                ..RotationConfig::default()
            },
            ..FileConfig::default()
        })
        .expect("opened")
    });
    let named = |counts: [u64; 4]| -> Vec<(String, u64)> {
        ["day", "external", "hour", "size"]
            .map(|reason| format!("log_rotations_total{{reason={reason}}}"))
            .into_iter()
            .zip(counts)
            .collect()
    };
    assert_eq!(counters.all(), named([0, 0, 0, 0]));

    let sink = Arc::new(sink);
    let identity = Identity::new(uuid::Uuid::new_v4());
    let capture = Capture::new(identity, Numbered::new(Arc::clone(&sink)));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        tracing::info!("a new day");
        tracing::info!("too large");
        tracing::info!("too large");
        fs::remove_file(&path).expect("removed");
        sink.reopen();
    });
    assert_eq!(counters.all(), named([1, 1, 0, 2]));
}
