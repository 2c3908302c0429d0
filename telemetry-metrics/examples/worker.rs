//! A program with metrics of its own and an endpoint to read them.
//!
//! ```sh
//! cargo run --example worker -- 9100 &
//! curl -s http://127.0.0.1:9100/metrics | grep worker_
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to people")]

use std::time::{Duration, Instant};

use telemetry_metrics::{
    Endpoints, Family, Kind, MetricsServer, Preset, Recorder, RecorderConfig, ServerConfig, buckets,
};

/// Rounds done, by result.
const ROUNDS: Family = Family {
    name: "worker_rounds_total",
    kind: Kind::Counter,
    help: "Rounds done, by result.",
    labels: &["result"],
};

/// Time of a round.
const ROUND_SECONDS: Family = Family {
    name: "worker_round_duration_seconds",
    kind: Kind::Histogram(buckets::JOB_SECONDS),
    help: "Time of a round, in seconds.",
    labels: &[],
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;

    let recorder = Recorder::install(RecorderConfig {
        presets: vec![
            Preset::of(ROUNDS).each("result", ["good", "bad"]),
            Preset::of(ROUND_SECONDS),
        ],
        ..RecorderConfig::default()
    })?;
    let handle = recorder.handle();

    let render = {
        let handle = handle.clone();
        move || handle.render()
    };
    let config = ServerConfig {
        port,
        ..ServerConfig::default()
    };
    let server = MetricsServer::spawn(config, Endpoints::new(render).title("worker"))?;
    println!("http://{}/ for one minute", server.local_addr());

    let good = handle.counter(ROUNDS, &["good"]);
    let time = handle.histogram(ROUND_SECONDS, &[]);
    for round in 0..600_u64 {
        let start = Instant::now();
        std::thread::sleep(Duration::from_millis(50 + 100 * (round % 2)));
        time.record(start.elapsed());
        good.increment(1);
    }
    server.shutdown();
    Ok(())
}
