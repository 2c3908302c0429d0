//! What belongs to a whole process: the global subscriber, the log bridge, the
//! panic hook. Each test runs itself again in a process of its own.

use std::cell::Cell;
use std::fmt;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use telemetry_core::{
    Capture, Console, Format, Identity, MemorySink, Numbered, Queue, QueueConfig, Record, Sink,
    SinkError, SinkStats,
};
use tracing_subscriber::layer::SubscriberExt as _;

const PATIENCE: Duration = Duration::from_secs(10);
/// Set in the process in which a test runs its scenario.
const IN_CHILD: &str = "TELEMETRY_CORE_TEST_CHILD";

/// Runs `scenario` of the named test in a process of its own. In that process it
/// returns `None`, in the test proper what the process said.
fn in_own_process(test: &str, scenario: impl FnOnce()) -> Option<Output> {
    if std::env::var_os(IN_CHILD).is_some() {
        std::thread::spawn(|| {
            std::thread::park_timeout(PATIENCE * 2);
            // A deadlock fails the test instead of stopping it.
            std::process::abort();
        });
        scenario();
        return None;
    }
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", test, "--nocapture"])
        .env(IN_CHILD, "1")
        .env_remove("RUST_LOG")
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("this binary runs");
    Some(output)
}

/// The same for a scenario that asserts everything itself.
#[track_caller]
fn passes_in_own_process(test: &str, scenario: impl FnOnce()) {
    if let Some(output) = in_own_process(test, scenario) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        // A name that matches no test would pass, too.
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains("1 passed"), "{stdout}");
    }
}

fn install(sink: impl Sink + 'static) {
    let capture = Capture::new(Identity::new(uuid::Uuid::new_v4()), sink);
    let subscriber = tracing_subscriber::registry().with(capture);
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("valid JSON"))
        .collect()
}

#[test]
fn records_of_the_log_crate_keep_target_file_and_line() {
    passes_in_own_process("records_of_the_log_crate_keep_target_file_and_line", || {
        let memory = MemorySink::new();
        install(Numbered::new(memory.clone()));
        telemetry_core::install_log_bridge().expect("the first logger");
        telemetry_core::install_log_bridge().expect_err("there is one already");

        log::warn!("plain {}", 1);
        let here = line!() - 1;
        log::info!(target: "somebody::else", "named");
        log::debug!(target: "ureq::run", "head");
        log::trace!(target: "hyper", "head");
        log::error!(target: "rustls", "kept: not below INFO");
        tracing::info!(log.target = "not a log record", "native");

        let lines = parsed(&memory.lines());
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["message"], "plain 1");
        assert_eq!(lines[0]["target"], module_path!());
        assert_eq!(lines[0]["module_path"], module_path!());
        assert_eq!(lines[0]["file"], file!());
        assert_eq!(lines[0]["line"], here);
        assert_eq!(lines[0]["fields"], serde_json::json!({}));
        assert_eq!(lines[1]["target"], "somebody::else");
        assert_eq!(lines[2]["target"], "rustls");
        assert_eq!(lines[3]["fields"]["log.target"], "not a log record");
        assert_eq!(lines[3]["target"], module_path!());
    });
}

#[test]
fn the_target_of_a_log_record_cannot_take_over_the_terminal() {
    passes_in_own_process(
        "the_target_of_a_log_record_cannot_take_over_the_terminal",
        || {
            let (sender, receiver) = std::sync::mpsc::channel();
            let format = Format::Pretty { color: false };
            install(Console::to(format, Box::new(Chunks(sender))));
            telemetry_core::install_log_bridge().expect("the first logger");
            log::info!(target: "evil\x1b[2J\n", "text");
            let shown = receiver.recv_timeout(PATIENCE).expect("a line");
            assert!(
                shown.ends_with("  INFO evil\\u{1b}[2J\\n: text\n"),
                "{shown:?}"
            );
        },
    );
}

/// A stream that sends what is written to it.
struct Chunks(std::sync::mpsc::Sender<String>);

impl std::io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        self.0.send(text).expect("the test listens");
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Logs itself while it is being formatted.
struct Chatty;

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!(inner = ?Chatty, "from inside");
        f.write_str("chatty")
    }
}

#[test]
fn an_event_emitted_while_formatting_does_not_recurse_without_end() {
    passes_in_own_process(
        "an_event_emitted_while_formatting_does_not_recurse_without_end",
        || {
            let memory = MemorySink::new();
            let queue = Arc::new(Queue::start(QueueConfig::default(), memory.clone()));
            install(Arc::clone(&queue));
            tracing::info!(outer = ?Chatty, "outermost");
            tracing::info_span!("span", chatty = ?Chatty).in_scope(|| tracing::info!("in span"));
            queue.close(PATIENCE).expect("closed");

            let messages: Vec<_> = parsed(&memory.lines())
                .iter()
                .map(|line| line["message"].clone())
                .collect();
            let inside = "from inside";
            let expected = [
                // Innermost first: each is complete only after those inside it.
                inside,
                inside,
                inside,
                "outermost",
                inside,
                inside,
                inside,
                "in span",
            ];
            assert_eq!(messages, expected);
            assert_eq!(telemetry_core::suppressed_events(), 2);
        },
    );
}

/// Creates a span of itself while it is being formatted.
struct SpanInSpan;

impl fmt::Debug for SpanInSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = tracing::info_span!("nested", again = ?SpanInSpan);
        let _inside = span.enter();
        f.write_str("spans")
    }
}

#[test]
fn a_span_created_while_formatting_a_span_does_not_recurse_without_end() {
    passes_in_own_process(
        "a_span_created_while_formatting_a_span_does_not_recurse_without_end",
        || {
            let memory = MemorySink::new();
            install(Numbered::new(memory.clone()));
            let span = tracing::info_span!("span", value = ?SpanInSpan);
            span.in_scope(|| tracing::info!("alive"));
            let line = &parsed(&memory.lines())[0];
            assert_eq!(line["spans"][0]["fields"]["value"], "spans");
        },
    );
}

/// Logs whatever it is asked to do, and hands on.
struct Talkative(MemorySink, AtomicU64);

impl Sink for Talkative {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        tracing::error!("emitted by a sink");
        self.0.write(record)
    }
    fn batch_end(&self) {
        tracing::error!("emitted by a sink");
    }
    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        tracing::error!("emitted by a sink");
        Ok(())
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        tracing::error!("emitted by a sink");
        Ok(())
    }
    fn stats(&self, _: &mut Vec<SinkStats>) {}
}

#[test]
fn an_event_emitted_by_a_sink_on_the_queues_thread_is_not_captured() {
    passes_in_own_process(
        "an_event_emitted_by_a_sink_on_the_queues_thread_is_not_captured",
        || {
            let memory = MemorySink::new();
            let sink = Talkative(memory.clone(), AtomicU64::new(0));
            let queue = Arc::new(Queue::start(QueueConfig::default(), sink));
            install(Arc::clone(&queue));
            (0..3).for_each(|n| tracing::info!(n));
            queue.flush(PATIENCE).expect("flushed");
            queue.close(PATIENCE).expect("closed");
            assert_eq!(memory.lines().len(), 3);
            assert!(telemetry_core::suppressed_events() >= 3);
        },
    );
}

#[test]
fn an_event_emitted_by_a_sink_on_the_callers_thread_is_not_captured() {
    passes_in_own_process(
        "an_event_emitted_by_a_sink_on_the_callers_thread_is_not_captured",
        || {
            let memory = MemorySink::new();
            install(Numbered::new(Talkative(memory.clone(), AtomicU64::new(0))));
            (0..3).for_each(|n| tracing::info!(n));
            assert_eq!(memory.lines().len(), 3);
            // In `write` and in `batch_end`, for each record.
            assert_eq!(telemetry_core::suppressed_events(), 6);
        },
    );
}

#[test]
fn an_event_in_the_destructor_of_a_thread_local_is_captured() {
    passes_in_own_process(
        "an_event_in_the_destructor_of_a_thread_local_is_captured",
        || {
            struct LastWords;
            impl Drop for LastWords {
                fn drop(&mut self) {
                    tracing::info!("last words");
                }
            }
            thread_local!(static LAST: Cell<Option<LastWords>> = const { Cell::new(None) });
            let memory = MemorySink::new();
            install(Numbered::new(memory.clone()));
            let thread = std::thread::spawn(|| {
                // Before the first event, so that it outlives what capturing keeps.
                LAST.set(Some(LastWords));
                tracing::info!("first words");
            });
            thread.join().expect("the thread ends well");
            let lines = parsed(&memory.lines());
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert_eq!(lines[1]["message"], "last words");
        },
    );
}

#[test]
fn a_panic_is_a_record_that_is_flushed_at_once() {
    let test = "a_panic_is_a_record_that_is_flushed_at_once";
    let output = in_own_process(test, || {
        let queue = Arc::new(Queue::start(
            QueueConfig::default(),
            Console::new(Format::Json),
        ));
        install(Arc::clone(&queue));
        let flushed = Arc::clone(&queue);
        telemetry_core::install_panic_hook(move |limit| {
            let result = flushed.flush(limit);
            telemetry_core::complain(&format!("flushed: {}", result.is_ok()));
        });
        tracing::info!("before");
        let worker = std::thread::Builder::new().name("worker".into());
        let worker = worker.spawn(|| panic!("out of {}", "luck"));
        let worker = worker.expect("a thread");
        worker.join().expect_err("it panicked");
        // Not closed and not dropped: the hook alone must have brought it out.
        std::process::abort();
    });
    let Some(output) = output else { return };
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    let mut lines: Vec<String> = stderr.lines().map(str::to_owned).collect();
    let last = lines.pop();
    assert_eq!(
        last.as_deref(),
        Some("telemetry: flushed: true"),
        "{stderr}"
    );
    let lines = parsed(&lines);
    assert_eq!(lines.len(), 2, "the default hook is silent: {stderr}");
    assert_eq!(lines[0]["message"], "before");
    let panic = &lines[1];
    assert_eq!(panic["level"], "ERROR");
    assert_eq!(panic["target"], "telemetry_core::panic");
    assert_eq!(panic["message"], "thread panicked: out of luck");
    let fields = &panic["fields"];
    assert_eq!(fields["error_type"], "panic");
    assert_eq!(fields["thread"], "worker");
    let place = fields["place"].as_str().expect("text");
    assert!(place.starts_with(&format!("{}:", file!())), "{place}");
    let backtrace = fields["backtrace"]
        .as_str()
        .expect("RUST_BACKTRACE asks for it");
    assert!(backtrace.contains("process"), "{backtrace}");
}

/// The numbers of the records that a process left behind on stderr.
fn numbers_in(output: Output) -> Vec<Value> {
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    let lines: Vec<String> = stderr.lines().map(str::to_owned).collect();
    let lines = parsed(&lines).into_iter();
    lines.map(|line| line["fields"]["n"].clone()).collect()
}

const MANY: u64 = 5_000;

#[test]
fn process_exit_after_the_close_loses_nothing() {
    let test = "process_exit_after_the_close_loses_nothing";
    let output = in_own_process(test, || {
        let console = Console::new(Format::Json);
        let queue = Arc::new(Queue::start(QueueConfig::default(), console));
        install(Arc::clone(&queue));
        (0..MANY).for_each(|n| tracing::info!(n));
        queue.close(PATIENCE).expect("closed");
        std::process::exit(0);
    });
    let Some(output) = output else { return };
    assert!(output.status.success());
    let expected: Vec<Value> = (0..MANY).map(Value::from).collect();
    assert_eq!(numbers_in(output), expected);
}

#[test]
fn an_abort_loses_at_most_what_the_queue_held() {
    let test = "an_abort_loses_at_most_what_the_queue_held";
    let output = in_own_process(test, || {
        let console = Console::new(Format::Json);
        let queue = Arc::new(Queue::start(QueueConfig::default(), console));
        install(Arc::clone(&queue));
        (0..MANY).for_each(|n| tracing::info!(n));
        queue.flush(PATIENCE).expect("flushed");
        tracing::info!(n = MANY);
        std::process::abort();
    });
    let Some(output) = output else { return };
    assert!(!output.status.success());
    let numbers = numbers_in(output);
    assert!(numbers.len() as u64 >= MANY, "{} lines", numbers.len());
    assert!((0..MANY).zip(&numbers).all(|(n, there)| *there == n));
}

#[cfg(unix)]
#[test]
fn stderr_is_the_journal_when_systemd_says_so() {
    use std::os::unix::fs::MetadataExt as _;

    let test = "stderr_is_the_journal_when_systemd_says_so";
    if std::env::var_os(IN_CHILD).is_some() {
        assert!(telemetry_core::stderr_is_journal());
        return;
    }
    let stderr = tempfile::tempfile().expect("a temporary file");
    let stream = stderr.metadata().expect("its metadata");
    let runs_with = |journal: &str| {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args(["--exact", test, "--nocapture"])
            .env(IN_CHILD, "1")
            .env("JOURNAL_STREAM", journal)
            .stdout(std::process::Stdio::null())
            .stderr(stderr.try_clone().expect("another handle"));
        command.status().expect("this binary runs").success()
    };
    assert!(runs_with(&format!("{}:{}", stream.dev(), stream.ino())));
    assert!(!runs_with("1:2"), "it was redirected");
    assert!(!telemetry_core::stderr_is_journal());
}

#[test]
fn a_panic_in_a_sink_is_said_once_and_waits_for_nobody() {
    let test = "a_panic_in_a_sink_is_said_once_and_waits_for_nobody";
    struct Panicking;
    impl Sink for Panicking {
        fn write(&self, _: &Record<'_>) -> Result<(), SinkError> {
            panic!("the text of a panic may hold anything")
        }
        fn flush(&self, _: Duration) -> Result<(), SinkError> {
            Ok(())
        }
        fn close(&self, _: Duration) -> Result<(), SinkError> {
            Ok(())
        }
        fn stats(&self, _: &mut Vec<SinkStats>) {}
    }
    let output = in_own_process(test, || {
        // Behind two queues: a flush from the inner thread would wait for itself.
        let inner = QueueConfig {
            name: "inner",
            ..QueueConfig::default()
        };
        let inner = Queue::start(inner, Panicking);
        let queue = Arc::new(Queue::start(QueueConfig::default(), inner));
        install(Arc::clone(&queue));
        let flushed = Arc::clone(&queue);
        telemetry_core::install_panic_hook(move |limit| {
            let _ = flushed.flush(limit);
        });
        let begin = std::time::Instant::now();
        (0..50).for_each(|n| tracing::info!(n));
        queue.close(PATIENCE).expect("closed");
        assert!(begin.elapsed() < PATIENCE / 5, "the hook has waited");
        std::process::exit(0);
    });
    let Some(output) = output else { return };
    assert!(output.status.success());
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    let said: Vec<_> = stderr.lines().collect();
    assert_eq!(said.len(), 2, "the hook once, the queue once: {stderr}");
    assert!(said[0].starts_with("telemetry: thread `inner` panicked at "));
    assert!(!stderr.contains("anything"), "the text is not sanitized");
}

#[test]
fn init_installs_the_subscriber_at_info() {
    passes_in_own_process("init_installs_the_subscriber_at_info", || {
        let memory = MemorySink::new();
        let identity = Identity::new(uuid::Uuid::new_v4());
        let capture = || Capture::new(identity, Numbered::new(memory.clone()));
        capture().init().expect("the first one");
        capture().init().expect_err("there is one already");
        tracing::debug!("too quiet");
        tracing::info!("heard");
        assert_eq!(memory.lines().len(), 1);
    });
}
