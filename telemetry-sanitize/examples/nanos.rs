//! Measures what the step costs: nanoseconds a record, for the record of the
//! logging benchmark (five fields inside a span, nothing to find) and for some
//! with secrets; beside it a plain list of regular expressions. With a number of rounds as argument, only the first (or, with
//! `mixed` behind it, the others), to count instructions under callgrind. Figures move with the machine; compare within one run.

use std::borrow::Cow;
use std::hint::black_box;
use std::io::{self, Write};
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

/// Writes each record many times and tells how long one took.
struct Repeating {
    sanitized: Sanitized<Nowhere>,
    peer: Option<List>,
    rounds: u32,
}

impl Sink for Repeating {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        self.sanitized.write(record)?;
        let start = Instant::now();
        for _ in 0..self.rounds {
            self.sanitized.write(black_box(record))?;
        }
        let nanos = start.elapsed().as_nanos() / u128::from(self.rounds);
        let Some(peer) = &self.peer else {
            return Ok(());
        };
        let start = Instant::now();
        for _ in 0..self.rounds {
            peer.redact_record(black_box(record));
        }
        let peer = start.elapsed().as_nanos() / u128::from(self.rounds);
        let message = record.message();
        let _ = writeln!(io::stdout(), "{nanos:6} ns  {peer:6} ns  {message}");
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sanitizer = Sanitizer::new(SanitizeConfig::default())?;
    let argument = std::env::args().nth(1);
    let only_one = argument.is_some();
    let is_mixed = std::env::args()
        .nth(2)
        .is_some_and(|which| which == "mixed");
    let rounds = argument.map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let peer = if only_one { None } else { Some(List::new()?) };
    let sanitized = Sanitized::new(sanitizer, Nowhere);
    let sink = Numbered::new(Repeating {
        sanitized,
        peer,
        rounds,
    });
    let capture = Capture::new(Identity::new(Uuid::nil()), sink);
    let subscriber = tracing_subscriber::registry().with(capture);
    if only_one {
        let log = if is_mixed { log_others } else { log_benign };
        tracing::subscriber::with_default(subscriber, log);
        return Ok(());
    }
    tracing::subscriber::with_default(subscriber, || {
        log_benign();
        log_others();
    });
    measure_long_lines()
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

fn log_others() {
    tracing::info!(
        path = "/var/lib/app/data/2024-01-01/file.bin",
        "GET https://example.com/api/v1/items?page=2 took 12:30"
    );
    tracing::info!(user = "bob", password = "hunter22", "secret under a name");
    let token = "a1B2c3D4".repeat(4);
    tracing::info!("one secret: Authorization: Bearer {token}");
    tracing::info!("two secrets: postgres://bob:{token}@db/app password={token} in /home/bob/x");
}

fn measure_long_lines() -> Result<(), Box<dyn std::error::Error>> {
    let sanitizer = Sanitizer::new(SanitizeConfig::default())?;
    for piece in [
        "nothing to see here ",
        "password=\"",
        "key token /home/a ",
        "QUJD",
    ] {
        let line = piece.repeat((1 << 20) / piece.len());
        let start = Instant::now();
        black_box(sanitizer.sanitize_text(black_box(&line)));
        let millis = start.elapsed().as_micros() as f64 / 1000.0;
        writeln!(io::stdout(), "{millis:6.1} ms  1 MB of {piece:?}")?;
    }
    Ok(())
}
