//! The sanitizer as a step in a pipeline, fed by real events.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use telemetry_core::{Capture, Identity, MemorySink, Numbered, Record, Sink, SinkError, SinkStats};
use telemetry_sanitize::{SanitizeConfig, Sanitized, Sanitizer};
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

fn sanitizer() -> Sanitizer {
    Sanitizer::new(SanitizeConfig::default()).unwrap()
}

fn with_pipeline(sink: impl Sink + 'static, log: impl FnOnce()) {
    let capture = Capture::new(Identity::new(Uuid::nil()), Numbered::new(sink));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), log);
}

/// The JSON lines that arrive behind the sanitizer.
fn lines(log: impl FnOnce()) -> Vec<Json> {
    let memory = MemorySink::new();
    with_pipeline(Sanitized::new(sanitizer(), memory.clone()), log);
    let lines = memory.lines();
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn message_and_fields_lose_their_secrets_and_nothing_else() {
    let secret = format!("hunter{}", 2);
    let lines = lines(|| {
        tracing::info!(
            user = "bob",
            password = %secret,
            url = %format!("postgres://bob:{secret}@db/app"),
            path = "/home/bob/x",
            files = 42,
            "login with password={secret} done"
        );
    });
    assert_eq!(
        lines[0]["message"],
        "login with password=[REDACTED:password] done"
    );
    assert_eq!(
        lines[0]["fields"],
        json!({
            "user": "bob",
            "password": "[REDACTED:password]",
            "url": "postgres://bob:[REDACTED:url_password]@db/app",
            "path": "~/x",
            "files": 42,
        }),
    );
}

#[test]
fn typed_values_under_a_secret_name_go_and_others_keep_their_type() {
    let lines = lines(|| {
        tracing::info!(
            pin = 1234,
            otp = 987_654_u64,
            password = 12_345,
            sms_code = 123_456,
            token = 3,
            cookies = 2,
            auth = "ok",
            has_password = true,
            max_tokens = 4096,
            ratio = 0.5,
            "typed"
        );
    });
    assert_eq!(
        lines[0]["fields"],
        json!({
            "pin": "[REDACTED:pin]",
            "otp": "[REDACTED:pin]",
            "password": "[REDACTED:password]",
            "sms_code": "[REDACTED:pin]",
            "token": 3,
            "cookies": 2,
            "auth": "ok",
            "has_password": true,
            "max_tokens": 4096,
            "ratio": 0.5,
        }),
    );
}

#[test]
fn span_fields_lose_their_secrets_at_every_depth() {
    let lines = lines(|| {
        let outer = tracing::info_span!("outer", api_key = "k1k2k3k4k5k6k7k8", job = "docs");
        let _outer = outer.enter();
        let inner = tracing::info_span!("inner", path = "/home/bob/docs");
        let _inner = inner.enter();
        tracing::info!("plain");
    });
    assert_eq!(
        lines[0]["spans"],
        json!([
            { "name": "outer", "fields": { "api_key": "[REDACTED:api_key]", "job": "docs" } },
            { "name": "inner", "fields": { "path": "~/docs" } },
        ]),
    );
}

#[test]
fn a_secret_in_the_name_of_a_field_goes_and_its_value_stays() {
    // Put together here, so that no scanner of repositories takes them for real ones.
    const FIRST: &str = concat!("AKIA", "2E5DZXQ7", "LMNRT3WV");
    const SECOND: &str = concat!("AKIA", "7QZX5D2E", "VW3TRNML");
    let lines = lines(|| {
        let span = tracing::info_span!("job", { FIRST } = 1, kind = "full");
        let _entered = span.enter();
        for password in ["", "hunter22"] {
            tracing::info!(
                { FIRST } = "used",
                { SECOND } = 2,
                plain = true,
                password,
                "keys"
            );
        }
        span.record(FIRST, 5);
        tracing::info!("later");
    });
    let text = format!("{lines:?}");
    assert!(!text.contains(FIRST) && !text.contains(SECOND), "{text}");
    let fields = |password: &str| {
        json!({
            "[REDACTED:aws_access_key]": "used",
            "[REDACTED:aws_access_key]_2": 2,
            "plain": true,
            "password": password,
        })
    };
    assert_eq!(lines[0]["fields"], fields(""));
    assert_eq!(lines[1]["fields"], fields("[REDACTED:password]"));
    let span = |number: u32| json!({ "[REDACTED:aws_access_key]": number, "kind": "full" });
    assert_eq!(lines[0]["spans"][0]["fields"], span(1));
    assert_eq!(lines[2]["spans"][0]["fields"], span(5));
}

#[test]
fn the_names_of_a_program_stay_whatever_they_say_of_their_values() {
    let lines = lines(|| {
        tracing::info!(
            password = "",
            "http.request.header.authorization" = "none",
            "/home" = 1,
            sha256 = "x",
            token_count = 3,
        );
    });
    assert_eq!(
        lines[0]["fields"],
        json!({
            "password": "",
            "http.request.header.authorization": "none",
            "/home": 1,
            "sha256": "x",
            "token_count": 3,
        }),
    );
}

#[test]
fn a_field_recorded_later_is_sanitized_too() {
    let lines = lines(|| {
        let span = tracing::info_span!("job", token = tracing::field::Empty);
        let _entered = span.enter();
        tracing::info!("before");
        span.record("token", "a1b2c3d4e5f6g7h8");
        tracing::info!("after");
    });
    assert_eq!(lines[0]["spans"][0]["fields"], json!({}));
    assert_eq!(
        lines[1]["spans"][0]["fields"],
        json!({ "token": "[REDACTED:token]" })
    );
}

#[test]
fn values_without_a_secret_stay_under_a_secret_name() {
    let lines = lines(|| {
        tracing::info!(
            password = "",
            token = "None",
            secret = "[REDACTED]",
            api_key = "${API_KEY}",
            "empty"
        );
    });
    assert_eq!(
        lines[0]["fields"],
        json!({ "password": "", "token": "None", "secret": "[REDACTED]", "api_key": "${API_KEY}" }),
    );
}

/// Notes what it is given: text, and where the span lies.
#[derive(Default)]
struct Noting {
    texts: Mutex<Vec<usize>>,
    spans: Mutex<Vec<usize>>,
    jsons: AtomicUsize,
}

impl Sink for Noting {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        self.texts
            .lock()
            .unwrap()
            .push(record.text().as_ptr().addr());
        let span = record.span().map_or(0, |span| Arc::as_ptr(span).addr());
        self.spans.lock().unwrap().push(span);
        self.jsons.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn stats(&self, _: &mut Vec<SinkStats>) {}
}

/// Notes each record before and after the sanitizer.
struct Around {
    before: Arc<Noting>,
    sanitized: Sanitized<Arc<Noting>>,
}

impl Sink for Around {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        self.before.write(record)?;
        self.sanitized.write(record)
    }
    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        self.sanitized.flush(limit)
    }
    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        self.sanitized.close(limit)
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        self.sanitized.stats(into);
    }
}

fn around(log: impl FnOnce()) -> (Arc<Noting>, Arc<Noting>) {
    let (before, after) = (Arc::new(Noting::default()), Arc::new(Noting::default()));
    let sanitized = Sanitized::new(sanitizer(), Arc::clone(&after));
    with_pipeline(
        Around {
            before: Arc::clone(&before),
            sanitized,
        },
        log,
    );
    (before, after)
}

#[test]
fn a_record_without_secrets_is_handed_on_without_a_copy() {
    let (before, after) = around(|| {
        tracing::info!(job = "documents-nightly", files = 3, "Backup job completed");
        tracing::info!(monkey = "keyboard", "the token was refreshed");
    });
    assert_eq!(*before.texts.lock().unwrap(), *after.texts.lock().unwrap());
}

#[test]
fn a_span_is_rewritten_once_and_a_clean_one_not_at_all() {
    let (before, after) = around(|| {
        let secret = tracing::info_span!("job", password = "hunter22");
        secret.in_scope(|| (0..3).for_each(|_| tracing::info!("working")));
        let clean = tracing::info_span!("job", name = "docs");
        clean.in_scope(|| tracing::info!("working"));
    });
    let (before, after) = (before.spans.lock().unwrap(), after.spans.lock().unwrap());
    assert_ne!(before[0], after[0]);
    assert_eq!(after[0], after[1]);
    assert_eq!(after[0], after[2]);
    assert_eq!(before[3], after[3]);
}

#[test]
fn a_disabled_sanitizer_hands_everything_on() {
    let memory = MemorySink::new();
    let config = SanitizeConfig {
        enabled: false,
        ..SanitizeConfig::default()
    };
    let sanitizer = Sanitizer::new(config).unwrap();
    with_pipeline(Sanitized::new(sanitizer, memory.clone()), || {
        tracing::info!(password = "hunter22", "home is /home/bob");
    });
    assert!(memory.lines()[0].contains("hunter22"));
    assert!(memory.lines()[0].contains("/home/bob"));
}

#[test]
fn replacements_are_counted_by_rule() {
    let memory = MemorySink::new();
    let sanitizer = Arc::new(sanitizer());
    with_pipeline(Sanitized::new(Arc::clone(&sanitizer), memory), || {
        tracing::info!(password = "hunter22", "password=hunter23 in /home/bob/x");
        tracing::info!("nothing here");
    });
    let count = |rule| {
        let all = sanitizer.redactions();
        all.iter()
            .find(|(name, _)| *name == rule)
            .map(|(_, count)| *count)
    };
    assert_eq!(count("password"), Some(2));
    assert_eq!(count("home_path"), Some(1));
    assert_eq!(count("jwt"), Some(0));
    assert_eq!(count("error"), Some(0));
}

#[test]
fn records_of_the_log_crate_are_sanitized() {
    tracing_log::LogTracer::init().unwrap();
    let lines = lines(|| log::warn!(target: "old", "password=hunter22 in /home/bob/x"));
    assert_eq!(lines[0]["message"], "password=[REDACTED:password] in ~/x");
    assert_eq!(lines[0]["target"], "old");
}
