//! The whole sink against a server on loopback.

mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use telemetry_core::{Capture, Health, Identity, LossReason, Numbered, Sink, SinkError, SinkStats};
use telemetry_pocketbase::{
    DEAD_LETTERS_FILE, PasswordSource, PocketBaseConfig, PocketBaseSink, RecordId, Secret,
};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

use server::{Mode, Server, wait_until};

const LIMIT: Duration = Duration::from_secs(10);

fn config(url: String, dir: &Path) -> PocketBaseConfig {
    let password = Secret::new(["any", "word"].join(" "));
    let mut config = PocketBaseConfig::new(
        url,
        "daemon@example.com",
        PasswordSource::Given(password),
        dir,
    );
    config.flush_interval = Duration::from_millis(20);
    // Failures in these tests are short: the breaker stays closed.
    config.max_retries = 30;
    config
}

fn start(config: PocketBaseConfig) -> Arc<PocketBaseSink> {
    Arc::new(PocketBaseSink::start(config).unwrap())
}

/// Runs `work` with the sink as the only destination.
fn log_to(sink: &Arc<PocketBaseSink>, work: impl FnOnce()) -> Identity {
    let identity = Identity::new(Uuid::new_v4());
    let capture = Capture::new(identity, Numbered::new(sink.clone()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), work);
    sink.batch_end();
    identity
}

fn log_numbers(sink: &Arc<PocketBaseSink>, count: u64) -> Identity {
    log_to(sink, || {
        for number in 0..count {
            tracing::info!(number, "counted");
        }
    })
}

fn assert_law(stats: &SinkStats) {
    let sum = stats.delivered + stats.dropped + stats.rejected + stats.pending;
    assert_eq!(stats.accepted, sum, "{stats:?}");
    assert_eq!(stats.lost.total(), stats.dropped + stats.rejected);
}

/// The ids of records 1 to `count` of a session.
fn ids(identity: Identity, count: u64) -> Vec<String> {
    (1..=count)
        .map(|seq| RecordId::of(identity.session_id(), seq).to_string())
        .collect()
}

#[test]
fn records_arrive_in_batches_in_order_with_their_ids() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let sink = start(config(server.url(), dir.path()));
    let identity = log_to(&sink, || {
        let _span = tracing::info_span!("outer", job = "documents").entered();
        for number in 0..250_u64 {
            tracing::warn!(number, big = u64::MAX, "counted");
        }
    });
    sink.close(LIMIT).unwrap();

    let state = server.state.lock().unwrap();
    assert_eq!(state.order, ids(identity, 250));
    let record = &state.records[&state.order[7]];
    assert_eq!(record["message"], "counted");
    assert_eq!(record["level"], "WARN");
    assert_eq!(record["fields"]["number"], 7);
    assert_eq!(record["fields"]["big"], u64::MAX.to_string());
    let span = json!([{"name": "outer", "fields": {"job": "documents"}}]);
    assert_eq!(record["spans"], span);
    assert_eq!(record["seq"], 8);
    assert_eq!(record["session_id"], identity.session_id().to_string());
    assert_eq!(record["timestamp"], record["timestamp_exact"]);
    let batches = state
        .requests
        .iter()
        .filter(|p| p.starts_with("/api/batch"));
    assert!(batches.count() <= 10, "{:?}", state.requests);

    let stats = sink.snapshot();
    assert_law(&stats);
    assert_eq!((stats.accepted, stats.delivered), (250, 250));
    assert_eq!(stats.health, Health::Good);
}

#[test]
fn server_that_comes_back_gets_everything() {
    let dir = tempfile::tempdir().unwrap();
    let address = Server::free_address();
    let sink = start(config(format!("http://{address}"), dir.path()));
    log_numbers(&sink, 300);
    sink.flush(LIMIT).unwrap();
    assert_eq!(sink.snapshot().pending, 300);

    let server = Server::on(address);
    wait_until("all arrive", || server.count() == 300);
    wait_until("all are counted", || sink.snapshot().delivered == 300);
    sink.close(LIMIT).unwrap();
    assert_law(&sink.snapshot());
}

#[test]
fn lost_answer_stores_nothing_twice() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    server.set_mode(Mode::LosesOneAnswer);
    let sink = start(config(server.url(), dir.path()));
    let identity = log_numbers(&sink, 100);
    wait_until("all are counted", || sink.snapshot().delivered == 100);
    assert_eq!(server.state.lock().unwrap().order, ids(identity, 100));
    assert_eq!(
        server.requests("/api/batch"),
        2,
        "the resent batch is recognised as a whole"
    );
    sink.close(LIMIT).unwrap();
    assert_law(&sink.snapshot());
}

#[test]
fn answer_lost_before_a_restart_stores_nothing_twice() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    server.set_mode(Mode::LosesOneAnswer);
    let mut slow = config(server.url(), dir.path());
    slow.max_retries = 0;
    let sink = start(slow);
    let identity = log_numbers(&sink, 30);
    let error = sink.close(LIMIT).unwrap_err();
    assert!(
        matches!(error, SinkError::Timeout { pending: 30, .. }),
        "{error}"
    );
    assert_eq!(server.count(), 30);

    let sink = start(config(server.url(), dir.path()));
    let stats = sink.snapshot();
    assert_law(&stats);
    assert_eq!(stats.accepted, 30, "what is found in the spool is accepted");
    let second = log_numbers(&sink, 30);
    sink.close(LIMIT).unwrap();
    let expected: Vec<String> = [ids(identity, 30), ids(second, 30)].concat();
    assert_eq!(server.state.lock().unwrap().order, expected);
    assert_eq!(sink.snapshot().delivered, 60);
}

#[test]
fn server_that_hangs_holds_up_neither_writers_nor_the_spool() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    server.set_mode(Mode::Hangs);
    let mut short = config(server.url(), dir.path());
    short.request_timeout = Duration::from_millis(300);
    let sink = start(short);
    log_numbers(&sink, 100);
    wait_until("a request hangs", || server.requests("/api/batch") > 0);

    let begin = Instant::now();
    log_numbers(&sink, 100);
    assert!(begin.elapsed() < Duration::from_millis(200));
    sink.flush(LIMIT).unwrap();
    assert_law(&sink.snapshot());

    wait_until("it times out", || server.requests("/api/batch") > 1);
    server.set_mode(Mode::Works);
    wait_until("all arrive", || sink.snapshot().delivered == 200);
    sink.close(LIMIT).unwrap();
}

#[test]
fn close_keeps_to_its_limit_and_leaves_the_rest_in_the_spool() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    server.set_mode(Mode::Hangs);
    let sink = start(config(server.url(), dir.path()));
    log_numbers(&sink, 50);
    wait_until("a request hangs", || server.requests("/api/batch") > 0);
    let begin = Instant::now();
    let error = sink.close(Duration::from_millis(500)).unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(
        matches!(error, SinkError::Timeout { pending: 50, .. }),
        "{error}"
    );
    assert_law(&sink.snapshot());

    server.set_mode(Mode::Works);
    let sink = start(config(server.url(), dir.path()));
    sink.close(LIMIT).unwrap();
    assert_eq!(server.count(), 50);
}

#[test]
fn spool_in_memory_counts_what_it_loses_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("http://{}", Server::free_address());
    let mut memory = config(url, dir.path());
    memory.spool_max_bytes = 0;
    memory.max_retries = 0;
    let sink = start(memory);
    log_numbers(&sink, 50);
    let flushed = sink.flush(Duration::from_millis(300));
    assert!(
        matches!(flushed, Err(SinkError::Timeout { .. })),
        "not delivered"
    );
    assert!(sink.close(LIMIT).is_err());
    let stats = sink.snapshot();
    assert_law(&stats);
    assert_eq!(stats.lost.of(LossReason::Shutdown, Level::INFO), 50);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn flush_of_a_spool_in_memory_waits_for_delivery() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let mut memory = config(server.url(), dir.path());
    memory.spool_max_bytes = 0;
    memory.flush_interval = Duration::from_secs(3600);
    let sink = start(memory);
    log_numbers(&sink, 50);
    sink.flush(LIMIT).unwrap();
    assert_eq!(server.count(), 50);
}

#[test]
fn full_channel_drops_the_newest_and_counts_them_by_level() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let mut narrow = config(server.url(), dir.path());
    narrow.queue_capacity = 10;
    let sink = start(narrow);
    let identity = log_to(&sink, || {
        for number in 0..5_000_u64 {
            tracing::warn!(number, "counted");
        }
    });
    sink.close(LIMIT).unwrap_or_default();
    let stats = sink.snapshot();
    assert_law(&stats);
    assert_eq!(stats.accepted, 5_000);
    assert!(stats.dropped > 0, "{stats:?}");
    assert_eq!(
        stats.lost.of(LossReason::ChannelFull, Level::WARN),
        stats.dropped
    );
    assert_eq!(server.count() as u64, stats.delivered);
    let first = ids(identity, 10);
    assert_eq!(server.state.lock().unwrap().order[..10], first);
}

#[test]
fn law_holds_in_every_snapshot() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let mut narrow = config(server.url(), dir.path());
    narrow.queue_capacity = 200;
    let sink = start(narrow);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| log_numbers(&sink, 5_000));
        while !writer.is_finished() || sink.snapshot().pending > 0 {
            assert_law(&sink.snapshot());
        }
    });
    sink.close(LIMIT).unwrap();
    assert_law(&sink.snapshot());
}

#[test]
fn missing_password_is_waited_for() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let path = dir.path().join("password");
    let mut config = config(server.url(), dir.path());
    config.password = PasswordSource::File(path.clone());
    let sink = start(config);
    log_numbers(&sink, 20);
    wait_until(
        "it tells",
        || matches!(sink.snapshot().health, Health::Degraded(reason) if reason.contains("password")),
    );
    assert_eq!(sink.snapshot().pending, 20);
    std::fs::write(&path, "word").unwrap();
    wait_until("all arrive", || server.count() == 20);
    wait_until("it is well", || sink.snapshot().health == Health::Good);
}

#[test]
fn records_of_the_uploader_itself_never_enter_it() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let sink = start(config(server.url(), dir.path()));
    log_to(&sink, || {
        tracing::warn!(target: "telemetry_pocketbase::delivery::uploader", "paused");
        tracing::warn!(target: "telemetry_pocketbase", "paused");
        tracing::debug!(target: "ureq::run", "header");
        tracing::debug!(target: "rustls", "hello");
        tracing::info!(target: "rustls_user", "this is somebody else");
    });
    sink.close(LIMIT).unwrap();
    assert_eq!(sink.snapshot().accepted, 1);
    assert_eq!(server.count(), 1);
}

#[test]
fn refused_record_goes_to_the_dead_letters_and_the_rest_arrives() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    server.state.lock().unwrap().poison = Some("poison".to_owned());
    let sink = start(config(server.url(), dir.path()));
    log_to(&sink, || {
        tracing::info!("first");
        tracing::error!("poison");
        tracing::info!("last");
    });
    sink.close(LIMIT).unwrap_or_default();
    let stats = sink.snapshot();
    assert_law(&stats);
    assert_eq!((stats.delivered, stats.rejected), (2, 1));
    assert_eq!(stats.lost.of(LossReason::Refused, Level::ERROR), 1);
    let letters = std::fs::read_to_string(dir.path().join(DEAD_LETTERS_FILE)).unwrap();
    let letter: serde_json::Value = serde_json::from_str(letters.trim_end()).unwrap();
    assert_eq!(letter["record"]["message"], "poison");
    assert!(letter["reason"].as_str().unwrap().contains("Too long."));
}

#[test]
fn server_without_batches_gets_single_creates() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    server.set_mode(Mode::NoBatch);
    let sink = start(config(server.url(), dir.path()));
    let identity = log_numbers(&sink, 150);
    sink.close(LIMIT).unwrap();
    assert_eq!(server.state.lock().unwrap().order, ids(identity, 150));
    assert_eq!(
        server.requests("/api/batch"),
        1,
        "asked once, not each time"
    );
}

#[test]
fn answer_of_a_single_create_that_is_lost_stores_nothing_twice() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    server.set_mode(Mode::NoBatch);
    let sink = start(config(server.url(), dir.path()));
    let first = log_numbers(&sink, 1);
    wait_until("the first arrives", || sink.snapshot().delivered == 1);
    server.set_mode(Mode::LosesOneAnswer);
    let second = log_numbers(&sink, 20);
    wait_until("the second arrive", || sink.snapshot().delivered == 21);
    let expected = [ids(first, 1), ids(second, 20)].concat();
    assert_eq!(server.state.lock().unwrap().order, expected);
}

#[test]
fn dead_token_is_noticed_and_replaced() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let sink = start(config(server.url(), dir.path()));
    log_numbers(&sink, 10);
    wait_until("the first arrive", || sink.snapshot().delivered == 10);
    server.state.lock().unwrap().token = 2;
    log_numbers(&sink, 10);
    wait_until("the second arrive", || sink.snapshot().delivered == 20);
    assert_eq!(server.requests("auth-refresh"), 1);
    assert_eq!(server.requests("auth-with-password"), 2);
    assert_eq!(sink.snapshot().health, Health::Good);
}

#[test]
fn closed_sink_turns_records_away_and_counts_them() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let sink = start(config(server.url(), dir.path()));
    sink.close(LIMIT).unwrap();
    sink.close(LIMIT).unwrap();
    log_numbers(&sink, 3);
    let stats = sink.snapshot();
    assert_law(&stats);
    assert_eq!(stats.lost.of(LossReason::Shutdown, Level::INFO), 3);
    assert!(matches!(sink.flush(LIMIT), Err(SinkError::Closed { .. })));
}

#[test]
fn two_sinks_cannot_share_a_spool() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let _first = start(config(server.url(), dir.path()));
    let error = PocketBaseSink::start(config(server.url(), dir.path())).unwrap_err();
    assert!(error.to_string().contains("spool.redb"), "{error}");
}

#[test]
fn spool_that_cannot_be_opened_is_tried_again() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    // A directory where the file should be.
    let path = dir.path().join("spool.redb");
    std::fs::create_dir(&path).unwrap();
    let sink = start(config(server.url(), dir.path()));
    log_numbers(&sink, 10);
    assert!(matches!(sink.snapshot().health, Health::Failing(_)));
    std::fs::remove_dir(&path).unwrap();
    wait_until("all arrive", || server.count() == 10);
    wait_until("it is well", || sink.snapshot().health == Health::Good);
    assert_law(&sink.snapshot());
}

#[test]
fn metrics_are_there_from_the_start_and_count() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let sink = metrics::with_local_recorder(&recorder, || {
        let mut slow = config(server.url(), dir.path());
        slow.flush_interval = Duration::from_secs(3600);
        start(slow)
    });
    let before = page.render();
    for status in ["200", "400", "429", "error"] {
        let sample = format!(r#"pocketbase_requests_total{{method="POST",status="{status}"}} 0"#);
        assert!(before.contains(&sample), "{sample} in {before}");
    }
    for sample in [
        "pocketbase_connection_errors_total 0",
        "log_upload_errors_total 0",
        "log_buffer_size 0",
        "pocketbase_circuit_breaker_state 0",
        "log_dead_letters 0",
    ] {
        assert!(before.contains(sample), "{sample} in {before}");
    }
    log_numbers(&sink, 20);
    wait_until("the buffer shows", || {
        page.render().contains("log_buffer_size 20")
    });
    sink.close(LIMIT).unwrap();
    let after = page.render();
    // One to sign in, one to upload.
    let sample = r#"pocketbase_requests_total{method="POST",status="200"} 2"#;
    assert!(after.contains(sample), "{after}");
    assert!(after.contains("log_buffer_size 0"), "{after}");
}

#[test]
fn record_of_the_spool_that_makes_no_sense_is_taken_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("http://{}", Server::free_address());
    let sink = start(config(url.clone(), dir.path()));
    log_numbers(&sink, 100);
    sink.close(Duration::from_millis(500)).unwrap_err();
    let path = dir.path().join("spool.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(7).position(|w| w == b"counted").unwrap();
    // Not UTF-8 any more; the file as such is in order.
    bytes[place..place + 7].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();

    let sink = start(config(url, dir.path()));
    wait_until("the loss is counted", || sink.snapshot().dropped > 0);
    let stats = sink.snapshot();
    assert_law(&stats);
    assert_eq!(stats.lost.of(LossReason::IoError, Level::INFO), 1);
    assert_eq!(stats.pending, 99, "the others stay");
    assert!(!dir.path().join("spool.redb.corrupt").exists());
}
