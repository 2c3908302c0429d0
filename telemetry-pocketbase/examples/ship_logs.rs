//! Ships the logs of a `tracing` program to PocketBase, without any daemon.
//!
//! ```sh
//! export PB_PASSWORD=…
//! cargo run -p telemetry-pocketbase --example ship_logs -- http://127.0.0.1:8090 1000
//! ```

use std::time::Duration;

use telemetry_core::{Capture, Identity, Numbered, Sink};
use telemetry_pocketbase::{PasswordSource, PocketBaseConfig, PocketBaseSink};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use uuid::Uuid;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or("http://127.0.0.1:8090".to_owned());
    let count: u32 = arguments.next().as_deref().unwrap_or("10").parse()?;

    let password = PasswordSource::Env("PB_PASSWORD".to_owned());
    let dir = std::env::temp_dir().join("ship-logs-spool");
    let config = PocketBaseConfig::new(url, "daemon@example.com", password, dir);
    let sink = std::sync::Arc::new(PocketBaseSink::start(config)?);
    let identity = Identity::new(Uuid::new_v4());
    tracing_subscriber::registry()
        .with(Capture::new(identity, Numbered::new(sink.clone())))
        .init();

    for number in 0..count {
        let _span = tracing::info_span!("work", number).entered();
        tracing::info!(square = u64::from(number).pow(2), "counted");
    }
    sink.close(Duration::from_secs(30))?;
    Ok(())
}
