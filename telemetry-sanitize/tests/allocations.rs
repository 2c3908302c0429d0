//! Looking allocates nothing: not for a record without secrets, and in the long
//! run not for one with some.

#![allow(
    unsafe_code,
    reason = "an allocator can only be watched by being one; it hands on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

use telemetry_core::{Capture, Identity, Numbered, Record, Sink, SinkError, SinkStats};
use telemetry_sanitize::{SanitizeConfig, Sanitized, Sanitizer};
use tracing_subscriber::layer::SubscriberExt;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

// SAFETY: every call is handed on unchanged to the system's allocator; the
// counter is a plain cell of the thread and does not allocate.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn sanitizer() -> Sanitizer {
    Sanitizer::new(SanitizeConfig::default()).unwrap()
}

/// Counts the marks in the records that reach it, and allocates nothing.
struct Counting;

impl Sink for Counting {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        SEEN.set(SEEN.get() + record.text().matches("[REDACTED:").count() as u64);
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

/// Allocations of 1,000 records in a span after the first few, and the marks in all.
fn allocations_of(span: impl FnOnce() -> tracing::Span, log: impl Fn()) -> (u64, u64) {
    let sink = Numbered::new(Sanitized::new(sanitizer(), Counting));
    let capture = Capture::new(Identity::new(uuid::Uuid::nil()), sink);
    let subscriber = tracing_subscriber::registry().with(capture);
    tracing::subscriber::with_default(subscriber, || {
        let span = span();
        let _entered = span.enter();
        (0..3).for_each(|_| log());
        SEEN.set(0);
        let before = ALLOCATIONS.get();
        (0..1000).for_each(|_| log());
        (ALLOCATIONS.get() - before, SEEN.get())
    })
}

#[test]
fn a_benign_record_with_its_span_is_looked_at_without_allocation() {
    let next = Cell::new(0_u64);
    let names = ["documents-nightly", "photos-weekly", "tokenizer=bert-base"];
    let span = || tracing::info_span!("job", job_id = 7, run_id = "nightly");
    let counted = allocations_of(span, || {
        next.set(next.get() + 1);
        tracing::info!(
            job_name = names[next.get() as usize % names.len()],
            duration_ms = next.get(),
            success_rate = 0.97,
            // Not twice the same, so that it is looked at each time.
            "Backup job completed: run {}, see https://example.com/runs",
            next.get(),
        );
    });
    assert_eq!(counted, (0, 0));
}

#[test]
fn a_record_with_secrets_is_changed_without_allocation() {
    let password = "hunter".repeat(2);
    let span = || tracing::info_span!("job", password = "hunter22");
    let counted = allocations_of(span, || {
        tracing::info!(
            source = "/home/alice/documents",
            target = format_args!("sftp://bob:{password}@backup.example.com/srv"),
            token = password,
            files_processed = 42_u64,
            "login of user=bob with password={password} accepted"
        );
    });
    assert_eq!(counted, (0, 3000));
}

#[test]
fn a_text_without_secrets_comes_back_without_allocation() {
    let sanitizer = sanitizer();
    let texts = [
        "Backup job completed: 42 files, documents-nightly",
        "password changed for user bob",
        "GET https://example.com/api/v1/items?page=2 took 12:30 with max_tokens=4096",
    ];
    let look = || {
        for text in texts {
            assert!(matches!(sanitizer.text(text), Cow::Borrowed(_)));
        }
    };
    look();
    let before = ALLOCATIONS.get();
    look();
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
