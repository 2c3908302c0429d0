//! Floods are thinned, and say so.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use telemetry_core::{Capture, Identity, MemorySink, Numbered, RepeatLimit};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::parse;

const LIMIT: u32 = 3;

/// What came through, what was counted, and the last words of the limit.
struct Thinned {
    lines: Vec<Value>,
    counted: u64,
    suppressed: u64,
}

fn thinned(emit: impl FnOnce()) -> Thinned {
    let counted = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&counted);
    let limit = RepeatLimit::counting(NonZeroU32::new(LIMIT).expect("not 0"), move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let memory = MemorySink::new();
    let sink = Arc::new(Numbered::new(memory.clone()));
    let identity = Identity::new(uuid::Uuid::new_v4());
    let capture = Capture::new(identity, Arc::clone(&sink)).with_repeat_limit(Some(limit.clone()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), emit);
    limit.tell_rest(identity, &*sink);
    Thinned {
        lines: memory.lines().iter().map(|line| parse(line)).collect(),
        counted: counted.load(Ordering::SeqCst),
        suppressed: limit.suppressed(),
    }
}

/// Sums up what the notices say was suppressed.
fn told(lines: &[Value]) -> u64 {
    let told = lines
        .iter()
        .map(|line| line["fields"]["suppressed"].as_u64());
    told.flatten().sum()
}

#[test]
fn a_callsite_that_floods_is_thinned_and_every_suppressed_record_is_told() {
    const EVENTS: u64 = 10_000;
    let thinned = thinned(|| (0..EVENTS).for_each(|n| tracing::info!(n, "again")));
    let is_notice = |line: &&Value| !line["fields"]["suppressed"].is_null();
    let (notices, records): (Vec<_>, Vec<_>) = thinned.lines.iter().partition(is_notice);
    // A second may end while it runs.
    assert!(records.len() as u64 >= u64::from(LIMIT));
    assert!(thinned.suppressed > EVENTS / 2, "{}", thinned.suppressed);
    assert_eq!(records.len() as u64 + thinned.suppressed, EVENTS);
    assert_eq!(thinned.counted, thinned.suppressed);
    assert_eq!(told(&thinned.lines), thinned.suppressed);
    let seqs: Vec<_> = thinned
        .lines
        .iter()
        .map(|line| line["seq"].as_u64())
        .collect();
    let expected: Vec<_> = (1..=seqs.len() as u64).map(Some).collect();
    assert_eq!(seqs, expected, "what is suppressed uses no number");

    let notice = notices[0];
    assert_eq!(notice["level"], "INFO");
    assert_eq!(notice["target"], module_path!());
    assert_eq!(notice["file"], file!());
    assert_eq!(notice["line"], records[0]["line"], "the place of the flood");
    assert_eq!(notice["fields"]["limit_per_sec"], LIMIT);
}

#[test]
fn warnings_errors_and_other_callsites_are_not_touched() {
    let thinned = thinned(|| {
        (0..100).for_each(|n| tracing::info!(n, "flood"));
        (0..100).for_each(|n| tracing::warn!(n, "kept"));
        (0..100).for_each(|n| tracing::error!(n, "kept"));
        tracing::info!("quiet");
    });
    let count = |message: &str| {
        let lines = thinned.lines.iter();
        lines.filter(|line| line["message"] == message).count()
    };
    assert_eq!((count("kept"), count("quiet")), (200, 1));
    assert!(count("flood") < 100);
}

#[test]
fn records_of_the_log_crate_are_told_apart_by_their_place() {
    let emit = |target: &str, line: u32| {
        let mut record = log::Record::builder();
        record
            .level(log::Level::Info)
            .target(target)
            .file(Some("lib.rs"))
            .line(Some(line))
            .args(format_args!("text"));
        tracing_log::format_trace(&record.build()).expect("a record");
    };
    let thinned = thinned(|| {
        (0..50).for_each(|_| emit("noisy", 1));
        emit("noisy", 2);
        emit("quiet", 1);
    });
    let targets = |target: &str| {
        let lines = thinned.lines.iter();
        lines.filter(|line| line["target"] == target).count()
    };
    assert_eq!(targets("quiet"), 1);
    let notice = thinned.lines.last().expect("the last words");
    assert_eq!(notice["target"], "noisy");
    assert_eq!(notice["file"], "lib.rs");
    assert_eq!(told(&thinned.lines), thinned.suppressed);
}

#[test]
fn four_threads_together_stay_within_the_limit() {
    const EACH: u64 = 2_000;
    let thinned = thinned(|| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    tracing::dispatcher::with_default(&dispatch, || {
                        (0..EACH).for_each(|n| tracing::debug!(n, "again"));
                    });
                });
            }
        });
    });
    let records = thinned
        .lines
        .iter()
        .filter(|line| line["message"] == "again");
    assert_eq!(records.count() as u64 + thinned.suppressed, 4 * EACH);
    assert_eq!(told(&thinned.lines), thinned.suppressed);
}
