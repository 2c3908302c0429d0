//! Measures what the step costs: nanoseconds a record, for the record of the
//! logging benchmark (five fields inside a span, nothing to find) and for some
//! with secrets; beside it a plain list of regular expressions. Figures move with
//! the machine; compare within one run.
//!
//! `nanos RECORD ROUNDS [peer]` only sends one of the records through, so often, for those
//! who count instructions; `nanos list` names them.

use std::borrow::Cow;
use std::hint::black_box;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use regex::{Regex, RegexSet};
use telemetry_core::{Capture, Identity, Numbered, Record, Sink, SinkError, SinkStats, Value};
use telemetry_sanitize::{SanitizeConfig, Sanitized, Sanitizer};
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

/// Rounds for each record, unless the first argument says otherwise.
const ROUNDS: u32 = 200_000;

/// What many programs do by hand: one set to know which expressions match, and a
/// replacement for each that does.
struct List {
    set: RegexSet,
    regexes: Vec<Regex>,
}

const EXPRESSIONS: [&str; 12] = [
    r"(?i)\b(password|passwd|pwd|secret|token|api[_-]?key)\s*[=:]\s*\S+",
    r#"(?i)"[a-z_]*(password|secret|token|key)"\s*:\s*"[^"]+""#,
    r"(?i)bearer\s+[a-z0-9._~+/-]+=*",
    r"(?i)basic\s+[a-z0-9+/]+=*",
    r"[a-z][a-z0-9+.-]*://[^\s:/@]+:[^\s@]+@",
    r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    r"\bxox[abpr]-[A-Za-z0-9-]+",
    r"\b(?:[0-9]{4}[ -]?){3}[0-9]{4}\b",
    r"/home/[^/\s]+",
    r"/Users/[^/\s]+",
];

impl List {
    fn new() -> Result<Self, regex::Error> {
        let regexes = EXPRESSIONS.iter().map(|expression| Regex::new(expression));
        Ok(Self {
            set: RegexSet::new(EXPRESSIONS)?,
            regexes: regexes.collect::<Result<_, _>>()?,
        })
    }

    fn redact(&self, text: &str) {
        let mut text = Cow::Borrowed(text);
        for index in self.set.matches(&text) {
            let replaced = self.regexes[index].replace_all(&text, "[REDACTED]");
            text = Cow::Owned(replaced.into_owned());
        }
        black_box(text);
    }

    fn redact_record(&self, record: &Record<'_>) {
        let texts = |value: Value<'_>| {
            if let Value::Text(text) = value {
                self.redact(text);
            }
        };
        record.values().for_each(|(_, value)| texts(value));
        if let Some(span) = record.span() {
            span.fields().for_each(|(_, value)| texts(value));
        }
    }
}

/// Takes records and does nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        black_box(record.text());
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

/// What is to be done with a record.
#[derive(Clone, Copy)]
enum Task {
    /// Tell how long it takes.
    Measure,
    /// Send it through once, or give it to the peer, and add up the time. Not one after the
    /// other: each would find the caches as the other left them.
    Time { peer: bool },
    /// Send it through so often, or give it to the peer.
    Repeat { rounds: u32, peer: bool },
}

struct Repeating {
    sanitized: Sanitized<Nowhere>,
    peer: List,
    task: Task,
    /// Of all records.
    time: Total,
}

type Total = Arc<Mutex<Duration>>;

impl Repeating {
    fn repeat(&self, record: &Record<'_>, rounds: u32, peer: bool) -> Result<(), SinkError> {
        for _ in 0..rounds {
            match peer {
                true => self.peer.redact_record(black_box(record)),
                false => self.sanitized.write(black_box(record))?,
            }
        }
        Ok(())
    }

    fn nanos(&self, record: &Record<'_>, peer: bool) -> Result<u128, SinkError> {
        self.repeat(record, 1, peer)?;
        let start = Instant::now();
        self.repeat(record, ROUNDS, peer)?;
        Ok(start.elapsed().as_nanos() / u128::from(ROUNDS))
    }
}

impl Sink for Repeating {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        match self.task {
            Task::Repeat { rounds, peer } => self.repeat(record, rounds, peer),
            Task::Time { peer } => {
                let start = Instant::now();
                self.repeat(record, 1, peer)?;
                let time = start.elapsed();
                *self.time.lock().unwrap_or_else(PoisonError::into_inner) += time;
                Ok(())
            }
            Task::Measure => {
                let (own, peer) = (self.nanos(record, false)?, self.nanos(record, true)?);
                let message = record.message();
                let _ = writeln!(io::stdout(), "{own:6} ns  {peer:6} ns  {message}");
                Ok(())
            }
        }
    }
    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn stats(&self, _: &mut Vec<SinkStats>) {}
}

/// The records by name, each with what logs it.
const RECORDS: [(&str, fn()); 6] = [
    ("benign", log_benign),
    ("harmless-url", log_harmless_url),
    ("secret-name", log_secret_name),
    ("one-secret", log_one_secret),
    ("two-secrets", log_two_secrets),
    ("mixed", log_mixed),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => {
            for (name, _) in RECORDS {
                writeln!(io::stdout(), "{name}")?;
            }
            writeln!(io::stdout(), "{NEW_RECORDS}")?;
            writeln!(io::stdout(), "{NEW_TEXTS}")?;
            Ok(())
        }
        [name, rounds] => repeat(name, rounds.parse()?, false),
        [name, rounds, "peer"] => repeat(name, rounds.parse()?, true),
        _ => {
            with_task(Task::Measure, &Total::default(), || {
                RECORDS.iter().for_each(|(_, log)| log());
            })?;
            measure_new_records()?;
            measure_new_texts()?;
            measure_long_lines()
        }
    }
}

fn repeat(name: &str, rounds: u32, peer: bool) -> Result<(), Box<dyn std::error::Error>> {
    if name == NEW_RECORDS {
        let once = Task::Repeat { rounds: 1, peer };
        return with_task(once, &Total::default(), || log_new_records(rounds));
    }
    if name == NEW_TEXTS {
        let (texts, sanitizer, list) = (new_texts(), with_defaults()?, List::new()?);
        look_at(&texts, rounds, &sanitizer, peer.then_some(&list));
        return Ok(());
    }
    let record = RECORDS.iter().find(|(known, _)| *known == name);
    let (_, log) = record.ok_or("there is no such record")?;
    with_task(Task::Repeat { rounds, peer }, &Total::default(), log)
}

fn with_task(
    task: Task,
    time: &Total,
    log: impl FnOnce(),
) -> Result<(), Box<dyn std::error::Error>> {
    let sanitizer = Sanitizer::new(SanitizeConfig::default())?;
    let sink = Numbered::new(Repeating {
        sanitized: Sanitized::new(sanitizer, Nowhere),
        peer: List::new()?,
        task,
        time: Arc::clone(time),
    });
    let capture = Capture::new(Identity::new(Uuid::nil()), sink);
    let subscriber = tracing_subscriber::registry().with(capture);
    tracing::subscriber::with_default(subscriber, log);
    Ok(())
}

fn log_benign() {
    let span = tracing::info_span!("job", job_id = 7, run_id = "nightly");
    let _entered = span.enter();
    tracing::info!(
        job_name = "documents-nightly",
        duration_ms = 1250_u64,
        files_processed = 42_u64,
        bytes_transferred = 1_048_576_u64,
        success_rate = 0.97,
        "Backup job completed"
    );
}

fn log_harmless_url() {
    tracing::info!(
        path = "/var/lib/app/data/2024-01-01/file.bin",
        "GET https://example.com/api/v1/items?page=2 took 12:30"
    );
}

fn log_secret_name() {
    tracing::info!(user = "bob", password = "hunter22", "secret under a name");
}

/// Made up here, so that it stands nowhere in one piece.
fn token() -> String {
    "a1B2c3D4".repeat(4)
}

fn log_one_secret() {
    let token = token();
    tracing::info!("one secret: Authorization: Bearer {token}");
}

fn log_two_secrets() {
    let token = token();
    tracing::info!("two secrets: postgres://bob:{token}@db/app password={token} in /home/bob/x");
}

/// What a careless program logs: some of it secret, most of it not.
fn log_mixed() {
    let span = tracing::info_span!("job", job_id = 7, run_id = "nightly");
    let _entered = span.enter();
    log_mixed_with("hunter22", "alice");
}

fn log_mixed_with(password: &str, user: &str) {
    tracing::info!(
        job_name = "documents-nightly",
        source = format!("/home/{user}/documents"),
        target = format!("sftp://bob:{password}@backup.example.com/srv/documents"),
        duration_ms = 1250_u64,
        files_processed = 42_u64,
        success_rate = 0.97,
        "login of user=bob with password={password} accepted, backup started"
    );
}

/// The record above has the same texts each time, which the step remembers. These
/// are its message with another user and password each time.
const NEW_TEXTS: &str = "new-texts";

fn new_texts() -> Vec<String> {
    let text = |number: u32| {
        let secret = number.wrapping_mul(0x9e37_79b1);
        format!("login of user=bob{number} with password=hunter{secret} accepted, backup started")
    };
    (0..1024).map(text).collect()
}

const NEW_RECORDS: &str = "new-records";

/// The mixed record, with another password, user and URL each time.
fn log_new_records(rounds: u32) {
    let span = tracing::info_span!("job", job_id = 7, run_id = "nightly");
    let _entered = span.enter();
    for number in 0..rounds {
        let secret = number.wrapping_mul(0x9e37_79b1);
        log_mixed_with(&format!("hunter{secret}"), &format!("alice{number}"));
    }
}

fn measure_new_records() -> Result<(), Box<dyn std::error::Error>> {
    let mut figures = [0; 2];
    for (figure, peer) in figures.iter_mut().zip([false, true]) {
        let time = Total::default();
        with_task(Task::Time { peer }, &time, || log_new_records(ROUNDS))?;
        let time = time.lock().unwrap_or_else(PoisonError::into_inner);
        *figure = time.as_nanos() / u128::from(ROUNDS);
    }
    let [own, peer] = figures;
    writeln!(
        io::stdout(),
        "{own:6} ns  {peer:6} ns  the mixed record with new values each time"
    )?;
    Ok(())
}

fn with_defaults() -> Result<Sanitizer, Box<dyn std::error::Error>> {
    Ok(Sanitizer::new(SanitizeConfig::default())?)
}

fn look_at(texts: &[String], rounds: u32, sanitizer: &Sanitizer, peer: Option<&List>) {
    for text in texts.iter().cycle().take(rounds as usize) {
        match peer {
            Some(list) => list.redact(black_box(text)),
            None => drop(black_box(sanitizer.text(black_box(text)))),
        }
    }
}

fn measure_new_texts() -> Result<(), Box<dyn std::error::Error>> {
    let (texts, sanitizer, list) = (new_texts(), with_defaults()?, List::new()?);
    let mut figures = [0; 2];
    for (figure, peer) in figures.iter_mut().zip([None, Some(&list)]) {
        let start = Instant::now();
        look_at(&texts, ROUNDS, &sanitizer, peer);
        *figure = start.elapsed().as_nanos() / u128::from(ROUNDS);
    }
    let [own, peer] = figures;
    writeln!(
        io::stdout(),
        "{own:6} ns  {peer:6} ns  a message with another password each time"
    )?;
    Ok(())
}

fn measure_long_lines() -> Result<(), Box<dyn std::error::Error>> {
    let sanitizer = Sanitizer::new(SanitizeConfig::default())?;
    for piece in [
        "nothing to see here ",
        "password=\"",
        "key token /home/a ",
        "key=",
        "session=",
        "curl -u ",
        "kty\"",
        "QUJD",
        "eyJhbGciOiJI.",
        "-----BEGIN PRIVATE KEY-----",
        "[{\"a\":",
        "\\\"",
        "://a:b",
    ] {
        let line = piece.repeat((1 << 20) / piece.len());
        let start = Instant::now();
        black_box(sanitizer.text(black_box(&line)));
        let millis = start.elapsed().as_micros() as f64 / 1000.0;
        writeln!(io::stdout(), "{millis:6.1} ms  1 MB of {piece:?}")?;
    }
    Ok(())
}
