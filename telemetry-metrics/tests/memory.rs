//! Memory stays bounded although nobody scrapes. A process of its own: other
//! tests would use memory as well.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use telemetry_metrics::{Family, Kind, Preset, Recorder, RecorderConfig, buckets};

const SECONDS: Family = Family {
    name: "work_duration_seconds",
    kind: Kind::Histogram(buckets::REQUEST_SECONDS),
    help: "Time of a piece of work.",
    labels: &[],
};

/// Samples between two looks at the memory: 8 MB, as the exporter keeps them.
const BATCH: u32 = 500_000;
const BATCHES: u32 = 12;
const BATCH_KB: u64 = 8 * 1024;

#[test]
fn samples_of_histograms_do_not_pile_up_without_scrapes() {
    let recorder = Recorder::install(RecorderConfig {
        presets: vec![Preset::of(SECONDS)],
        upkeep_interval: Duration::from_millis(1),
        ..RecorderConfig::default()
    })
    .unwrap();
    let described = recorder.handle().histogram(SECONDS, &[]);
    let foreign = metrics::histogram!("foreign_duration_seconds");
    let before = resident_kb();
    for batch in 0..BATCHES {
        for sample in 0..BATCH {
            let seconds = f64::from(sample % 100) / 1000.0;
            described.record(seconds);
            foreign.record(seconds);
        }
        // The thread may have been kept waiting by others; what counts is that
        // the memory of this batch is there again for the next.
        let deadline = Instant::now() + Duration::from_secs(20);
        while resident_kb() > before + 3 * BATCH_KB {
            let kept = resident_kb() - before;
            assert!(
                Instant::now() < deadline,
                "{kept} kB are kept after {} batches",
                batch + 1
            );
            std::thread::yield_now();
        }
    }
    let text = recorder.handle().render();
    let count = format!("work_duration_seconds_count {}\n", BATCH * BATCHES);
    assert!(text.contains(&count), "{text}");
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse().unwrap()
}
