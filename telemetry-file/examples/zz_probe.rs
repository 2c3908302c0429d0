//! temporary
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry_core::{Capture, Identity, Numbered, Sink};
use telemetry_file::*;
use tracing_subscriber::layer::SubscriberExt as _;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let sync = match a[3].as_str() {
        "never" => FileSync::Never,
        "interval" => FileSync::Interval,
        "error" => FileSync::Error,
        _ => FileSync::Always,
    };
    let n: u64 = a[2].parse().unwrap();
    let pause: u64 = a[4].parse().unwrap();
    let sink = Arc::new(
        FileSink::open(FileConfig {
            path: a[1].clone().into(),
            sync,
            rotation: RotationConfig {
                max_size_bytes: a[5].parse().unwrap(),
                min_free_bytes: 0,
                ..RotationConfig::default()
            },
            ..FileConfig::default()
        })
        .unwrap(),
    );
    let capture = Capture::new(
        Identity::new(uuid::Uuid::nil()),
        Numbered::new(Arc::clone(&sink)),
    );
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        let _s = tracing::info_span!("job", name = "documents").entered();
        let mut times = Vec::new();
        for number in 0..n {
            let t = Instant::now();
            tracing::info!(
                number,
                a = 1,
                b = "text text text",
                c = 1.5,
                d = true,
                "written"
            );
            times.push(t.elapsed());
            if pause > 0 {
                std::thread::sleep(Duration::from_millis(pause));
            }
        }
        times.sort();
        let q = |f: f64| times[((times.len() - 1) as f64 * f) as usize];
        eprintln!(
            "p50 {:?} p99 {:?} p99.9 {:?} max {:?}",
            q(0.5),
            q(0.99),
            q(0.999),
            q(1.0)
        );
    });
    eprintln!("flush {:?}", sink.flush(Duration::from_secs(5)));
    let mut s = Vec::new();
    sink.stats(&mut s);
    eprintln!(
        "{} {} {} {:?}",
        s[0].accepted, s[0].delivered, s[0].dropped, s[0].health
    );
    std::thread::sleep(Duration::from_millis(pause * 30));
    eprintln!("close {:?}", sink.close(Duration::from_secs(5)));
}
