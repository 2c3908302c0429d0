//! One contestant of `cargo xtask bench upload`; prints what it measured as JSON.
//!
//! - `prepare URL ADMIN DIR`: makes a server ready; the hook file goes into DIR;
//! - `sink URL COLLECTION COUNT BATCH`: the sink, from an event to the stored record;
//! - `bulk|batch|post URL COLLECTION COUNT BATCH`: a bare client, with bodies of the same records;
//! - `fill DIR COUNT`: records into a spool, without a server;
//! - `open DIR`: opens that spool;
//! - `drain URL COLLECTION DIR`: delivers it.
//!
//! The password of the account is in `PB_PASSWORD`, that of the superuser in
//! `PB_ADMIN_PASSWORD`. Signing in is not measured: everybody does it once.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use telemetry_core::{Capture, Identity, Numbered, Sink};
use telemetry_pocketbase::setup::{
    AdminLogin, FilesFor, HOOK_FILE, MIGRATION_FILE, prepare, write_files,
};
use telemetry_pocketbase::{PasswordSource, PocketBaseConfig, PocketBaseSink, RecordId};
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

const IDENTITY: &str = "daemon@example.com";
const ACCOUNTS: &str = "telemetry_clients";
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match arguments[..] {
        ["prepare", url, admin, dir] => ready(url, admin, Path::new(dir))?,
        ["sink", url, collection, count, batch] => {
            sink(url, collection, count.parse()?, batch.parse()?)?
        }
        ["fill", dir, count] => fill(Path::new(dir), count.parse()?)?,
        ["open", dir] => open(Path::new(dir))?,
        ["drain", url, collection, dir] => drain(url, collection, Path::new(dir))?,
        [way, url, collection, count, batch] => {
            bare(way, url, collection, count.parse()?, batch.parse()?)?
        }
        _ => return Err("wrong arguments; see the source".into()),
    };
    writeln!(std::io::stdout(), "{measured}")?;
    Ok(())
}

/// Collections for the bulk route and, where no hook serves them, for batches.
fn ready(url: &str, admin: &str, dir: &Path) -> Result<Value, Box<dyn Error>> {
    let admin = AdminLogin {
        email: admin.to_owned(),
        password: PasswordSource::Env("PB_ADMIN_PASSWORD".to_owned()).find()?,
    };
    let password = PasswordSource::Env("PB_PASSWORD".to_owned()).find()?;
    for collection in ["daemon_logs", "plain_logs"] {
        let mut config = config(url, dir);
        config.collection = collection.to_owned();
        prepare(&config, &admin, &password)?;
    }
    let files = FilesFor {
        collection: "daemon_logs",
        auth_collection: ACCOUNTS,
        retention_days: 0,
    };
    write_files(dir, files)?;
    // The collections are there already.
    std::fs::remove_file(dir.join(MIGRATION_FILE))?;
    Ok(json!({ "hook": HOOK_FILE }))
}

fn config(url: &str, dir: &Path) -> PocketBaseConfig {
    let password = PasswordSource::Env("PB_PASSWORD".to_owned());
    let mut config = PocketBaseConfig::new(url, IDENTITY, password, dir);
    config.flush_interval = Duration::from_millis(200);
    config
}

/// What a run has taken since it began.
struct Meter {
    begun: Instant,
    cpu: f64,
}

impl Meter {
    fn start() -> Self {
        Self {
            begun: Instant::now(),
            cpu: cpu_secs(),
        }
    }

    fn read(&self, records: u64) -> Value {
        let secs = self.begun.elapsed().as_secs_f64();
        let cpu_secs = cpu_secs() - self.cpu;
        json!({
            "records": records,
            "secs": secs,
            "records_per_second": records as f64 / secs,
            "client_cpu_micros": cpu_secs * 1e6 / records as f64,
            "peak_mb": peak_mb(),
        })
    }
}

/// Processor time of all threads.
fn cpu_secs() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    kilobytes.and_then(|k| k.parse().ok()).unwrap_or(0.0) / 1024.0
}

/// One record as a daemon writes it: about 450 bytes as a line.
fn log_one(number: u64) {
    tracing::info!(
        target: "sync_daemon::daemon",
        job_name = "documents_sync",
        duration_ms = number % 5_000,
        files_processed = 42,
        bytes_transferred = 1_048_576,
        success_rate = 100.0,
        "Sync job completed successfully"
    );
}

fn log(sink: &Arc<PocketBaseSink>, count: u64) {
    let identity = Identity::new(Uuid::new_v4());
    let capture = Capture::new(identity, Numbered::new(sink.clone()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), || {
        let _span = tracing::info_span!("job", job = "documents", run = 7).entered();
        for number in 0..count {
            log_one(number);
        }
    });
    sink.batch_end();
}

fn wait_until(what: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    while !what() {
        if begun.elapsed() > LIMIT {
            return Err("it takes for ever".into());
        }
        // Rarely, since this thread's time counts.
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn sink(url: &str, collection: &str, count: u64, batch: usize) -> Result<Value, Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("upload-benchmark-{}", std::process::id()));
    let mut config = config(url, &dir);
    config.collection = collection.to_owned();
    config.batch_size = batch;
    config.queue_capacity = count as usize + 1;
    let sink = Arc::new(PocketBaseSink::start(config)?);
    log(&sink, 1);
    wait_until(|| sink.snapshot().delivered == 1)?;
    let meter = Meter::start();
    // In portions: the channel holds 16 MiB, and this is no test of it.
    let mut logged = 0;
    while logged < count {
        let portion = (count - logged).min(2_000);
        log(&sink, portion);
        logged += portion;
        wait_until(|| sink.snapshot().pending < 20_000)?;
    }
    wait_until(|| sink.snapshot().delivered == count + 1)?;
    let measured = meter.read(count);
    sink.close(LIMIT)?;
    std::fs::remove_dir_all(dir)?;
    Ok(measured)
}

/// Signs in and sends bodies that are ready, one after the other, on one connection.
fn bare(
    way: &str,
    url: &str,
    collection: &str,
    count: u64,
    batch: u64,
) -> Result<Value, Box<dyn Error>> {
    let agent = ureq::Agent::new_with_defaults();
    let password = std::env::var("PB_PASSWORD")?;
    let login = json!({"identity": IDENTITY, "password": password}).to_string();
    let answer = agent
        .post(format!(
            "{url}/api/collections/{ACCOUNTS}/auth-with-password"
        ))
        .header("Content-Type", "application/json")
        .send(login)?
        .body_mut()
        .read_to_string()?;
    let answer: Value = serde_json::from_str(&answer)?;
    let token = answer["token"].as_str().ok_or("no token")?;
    let records = format!("/api/collections/{collection}/records");
    let (path, batch) = match way {
        "bulk" => (
            format!("/api/sync-daemon/v1/{collection}?count={batch}"),
            batch,
        ),
        "batch" => ("/api/batch?fields=status".to_owned(), batch),
        "post" => (format!("{records}?fields=id"), 1),
        _ => return Err(format!("there is no way {way}").into()),
    };
    let session = Uuid::new_v4();
    let meter = Meter::start();
    let mut sent = 0;
    while sent < count {
        let rows = (sent..sent + batch).map(|number| row(session, number));
        let body = match way {
            "bulk" => format!("[{}]", rows.collect::<Vec<_>>().join(",")),
            "batch" => {
                let requests = rows
                    .map(|row| format!(r#"{{"method":"POST","url":"{records}","body":{row}}}"#));
                let requests: Vec<_> = requests.collect();
                format!(r#"{{"requests":[{}]}}"#, requests.join(","))
            }
            _ => rows.collect(),
        };
        let mut response = agent
            .post(format!("{url}{path}"))
            .header("Content-Type", "application/json")
            .header("Authorization", token)
            .send(body)?;
        response.body_mut().read_to_vec()?;
        sent += batch;
    }
    Ok(meter.read(sent))
}

/// The same record as [`log_one`]'s, as the uploader sends it.
fn row(session: Uuid, number: u64) -> String {
    let id = RecordId::of(session, number);
    let time = format!("2026-01-02T03:04:05.{:06}Z", number % 1_000_000);
    let duration = number % 5_000;
    format!(
        r#"{{"id":"{id}","timestamp":"{time}","timestamp_exact":"{time}","level":"INFO","target":"sync_daemon::daemon","message":"Sync job completed successfully","fields":{{"job_name":"documents_sync","duration_ms":{duration},"files_processed":42,"bytes_transferred":1048576,"success_rate":100.0}},"spans":[{{"name":"job","fields":{{"job":"documents","run":7}}}}],"module_path":"upload_benchmark","file":"telemetry-pocketbase/examples/upload_benchmark.rs","line":123,"daemon_id":"550e8400-e29b-41d4-a716-446655440000","session_id":"{session}","seq":{number}}}"#
    )
}

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

fn roomy(url: &str, dir: &Path) -> PocketBaseConfig {
    let mut config = config(url, dir);
    config.spool_max_bytes = 4 << 30;
    config.queue_capacity = 100_000;
    config
}

fn fill(dir: &Path, count: u64) -> Result<Value, Box<dyn Error>> {
    let sink = Arc::new(PocketBaseSink::start(roomy(NOWHERE, dir))?);
    let meter = Meter::start();
    let mut logged = 0;
    while logged < count {
        let portion = (count - logged).min(10_000);
        log(&sink, portion);
        logged += portion;
        sink.flush(LIMIT)?;
    }
    let measured = meter.read(count);
    let stats = sink.snapshot();
    if stats.pending != count {
        return Err(format!("not all are in the spool: {stats:?}").into());
    }
    // Like a kill: nothing is tidied up.
    writeln!(std::io::stdout(), "{measured}")?;
    std::process::abort();
}

fn open(dir: &Path) -> Result<Value, Box<dyn Error>> {
    let meter = Meter::start();
    let sink = PocketBaseSink::start(roomy(NOWHERE, dir))?;
    let measured = meter.read(sink.snapshot().pending);
    writeln!(std::io::stdout(), "{measured}")?;
    std::process::abort();
}

fn drain(url: &str, collection: &str, dir: &Path) -> Result<Value, Box<dyn Error>> {
    let mut config = roomy(url, dir);
    config.collection = collection.to_owned();
    let meter = Meter::start();
    let sink = PocketBaseSink::start(config)?;
    let count = sink.snapshot().pending;
    wait_until(|| sink.snapshot().pending == 0)?;
    let measured = meter.read(count);
    sink.close(LIMIT)?;
    Ok(measured)
}
