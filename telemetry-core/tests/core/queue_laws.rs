//! The queue under four threads, a bound that is too small and a bad sink.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;
use telemetry_core::{LossReason, MemorySink, Queue, QueueConfig, Sink, SinkStats, Tee, WhenFull};
use tracing::Dispatch;

use crate::support::{
    Gate, Moody, PATIENCE, all_stats_of, assert_law, dispatch_to, lost_for, stats_of, wait_until,
};

const THREADS: u64 = 4;
const EACH: u64 = 3_000;
const CAPACITY: usize = 64;

/// Every thread emits its records, of all levels, as fast as it can.
fn emit_from_all_threads(dispatch: &Dispatch) {
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || emit_from(thread));
            });
        }
    });
}

fn emit_from(thread: u64) {
    for n in 1..=EACH {
        match n % 4 {
            0 => tracing::error!(thread, n),
            1 => tracing::warn!(thread, n),
            2 => tracing::debug!(thread, n),
            _ => tracing::info!(thread, n),
        }
    }
}

fn small(when_full: WhenFull) -> QueueConfig {
    QueueConfig {
        capacity: CAPACITY,
        when_full,
        ..QueueConfig::default()
    }
}

fn number(line: &Value, field: &str) -> u64 {
    line["fields"][field].as_u64().expect("a number")
}

#[test]
fn numbers_rise_and_their_gaps_are_the_losses() {
    let gate = Gate::closed();
    let queue = Arc::new(Queue::start(small(WhenFull::DropNewest), gate.clone()));
    let dispatch = dispatch_to(Arc::clone(&queue));
    thread::scope(|scope| {
        scope.spawn(|| emit_from_all_threads(&dispatch));
        wait_until("records are dropped", || stats_of(&queue).dropped > 100);
        gate.open();
    });
    queue.close(PATIENCE).expect("closed");

    let lines = gate.lines();
    let stats = stats_of(&queue);
    assert_law(&stats);
    assert_eq!(stats.delivered, lines.len() as u64);

    let seqs: Vec<u64> = lines
        .iter()
        .map(|line| line["seq"].as_u64().expect("seq"))
        .collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "seq rises in the sink");
    let (gaps, records): (Vec<_>, Vec<_>) = lines
        .iter()
        .partition(|line| line["target"] == "telemetry_core::queue");
    assert_eq!(stats.accepted, THREADS * EACH + gaps.len() as u64);

    let there: BTreeSet<u64> = seqs.iter().copied().collect();
    let missing: Vec<u64> = (1..=stats.accepted)
        .filter(|seq| !there.contains(seq))
        .collect();
    assert_eq!(
        missing.len() as u64,
        stats.dropped,
        "each loss is a gap in the numbers"
    );
    let told: u64 = gaps.iter().map(|gap| number(gap, "lost")).sum();
    assert_eq!(told, stats.dropped, "and is told of");
    for gap in &gaps {
        let range = number(gap, "from_seq")..=number(gap, "to_seq");
        let inside = missing.iter().filter(|seq| range.contains(seq)).count();
        assert_eq!(inside as u64, number(gap, "lost"), "exactly there: {gap}");
    }
    for thread in 0..THREADS {
        let mine = records
            .iter()
            .filter(|line| number(line, "thread") == thread);
        let numbers: Vec<u64> = mine.map(|line| number(line, "n")).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "FIFO per thread");
    }
}

#[test]
fn blocking_loses_nothing() {
    let memory = MemorySink::new();
    let queue = Queue::start(small(WhenFull::Block(PATIENCE)), memory.clone());
    let queue = Arc::new(queue);
    emit_from_all_threads(&dispatch_to(Arc::clone(&queue)));
    queue.close(PATIENCE).expect("closed");
    assert_eq!(memory.lines().len() as u64, THREADS * EACH);
    let stats = stats_of(&queue);
    assert_law(&stats);
    assert_eq!(stats.dropped, 0);
}

/// Looks at the accounts of everything until `is_over`; returns how often.
fn watch(sink: &dyn Sink, is_over: &AtomicBool, mut check: impl FnMut(&[SinkStats])) -> u64 {
    let mut looks = 0;
    while !is_over.load(Ordering::SeqCst) {
        check(&all_stats_of(sink));
        looks += 1;
        thread::yield_now();
    }
    looks
}

#[test]
fn the_law_holds_in_every_snapshot_of_a_full_queue_with_a_bad_sink() {
    let memory = MemorySink::new();
    let sinks: [Box<dyn Sink>; 2] = [Box::new(Moody::default()), Box::new(memory.clone())];
    let queue = Queue::start(small(WhenFull::DropNewest), Tee::of(sinks));
    let queue = Arc::new(queue);
    let dispatch = dispatch_to(Arc::clone(&queue));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            watch(&queue, &is_over, |stats| {
                stats.iter().for_each(assert_law);
                // One more for the record that tells of a gap.
                assert!(stats[0].pending <= CAPACITY as u64 + 1, "{:?}", stats[0]);
            })
        });
        emit_from_all_threads(&dispatch);
        queue.close(PATIENCE).expect("closed");
        is_over.store(true, Ordering::SeqCst);
        assert!(watcher.join().expect("the law holds") > 0);
    });

    let stats = all_stats_of(&queue);
    stats.iter().for_each(assert_law);
    let [of_queue, of_moody, of_memory] = &stats[..] else {
        panic!("three sinks: {stats:?}");
    };
    assert_eq!(of_queue.pending, 0);
    assert_eq!(of_moody.accepted, of_queue.delivered, "panics included");
    assert_eq!(
        of_memory.delivered, of_queue.delivered,
        "the other is not hurt"
    );
    assert_eq!(of_memory.delivered, memory.lines().len() as u64);
    let panics = lost_for(&of_moody.lost, LossReason::SinkPanicked);
    assert_eq!(panics, of_queue.delivered / 7);
}

#[test]
fn panics_straight_behind_the_queue_are_its_losses() {
    let queue = Arc::new(Queue::start(QueueConfig::default(), Moody::default()));
    tracing::dispatcher::with_default(&dispatch_to(Arc::clone(&queue)), || {
        (0..700).for_each(|n| tracing::info!(n));
    });
    queue.flush(PATIENCE).expect("flushed");
    let stats = all_stats_of(&queue);
    stats.iter().for_each(assert_law);
    assert_eq!(lost_for(&stats[0].lost, LossReason::SinkPanicked), 100);
    assert_eq!(stats[0].delivered, 600);
    assert_eq!(
        stats[1].accepted, 600,
        "what it panicked on it did not count"
    );
}

#[test]
fn flush_passes_everything_that_its_thread_emitted_before() {
    let memory = MemorySink::new();
    let queue = Arc::new(Queue::start(QueueConfig::default(), memory.clone()));
    let dispatch = dispatch_to(Arc::clone(&queue));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (queue, memory, dispatch) = (&queue, &memory, &dispatch);
            scope.spawn(move || {
                for round in 0..20 {
                    let mark = format!("thread {thread} round {round}");
                    tracing::dispatcher::with_default(dispatch, || tracing::info!("{mark}"));
                    queue.flush(PATIENCE).expect("flushed");
                    assert!(memory.lines().iter().any(|line| line.contains(&mark)));
                }
            });
        }
    });
    let stats = stats_of(&queue);
    assert_eq!((stats.pending, stats.delivered), (0, THREADS * 20));
}
