//! The queue while all is well, and while it is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use telemetry_core::{Health, LossReason, MemorySink, Queue, QueueConfig, Sink, Tee, WhenFull};
use tracing::{Dispatch, Level};

use crate::support::{Gate, PATIENCE, assert_law, dispatch_to, parse, stats_of, wait_until};

fn small(capacity: usize) -> QueueConfig {
    QueueConfig {
        capacity,
        ..QueueConfig::default()
    }
}

/// A queue in front of a sink that hangs in its first record, with its
/// subscriber: what comes now stays in the queue.
fn stuck(config: QueueConfig) -> (Arc<Queue>, Gate, Dispatch) {
    let gate = Gate::closed();
    let queue = Arc::new(Queue::start(config, gate.clone()));
    let dispatch = dispatch_to(Arc::clone(&queue));
    within(&dispatch, || tracing::info!("first"));
    gate.wait_until_entered(1);
    (queue, gate, dispatch)
}

fn within(dispatch: &Dispatch, emit: impl FnOnce()) {
    tracing::dispatcher::with_default(dispatch, emit);
}

#[test]
fn records_arrive_in_order_with_their_numbers() {
    let memory = MemorySink::new();
    let queue = Arc::new(Queue::start(QueueConfig::default(), memory.clone()));
    within(&dispatch_to(Arc::clone(&queue)), || {
        (1..=1_000).for_each(|n| tracing::info!(n, "text {n}"));
    });
    queue.flush(PATIENCE).expect("flushed");
    let lines = memory.lines();
    assert_eq!(lines.len(), 1_000);
    for (line, n) in lines.iter().zip(1..) {
        let line = parse(line);
        assert_eq!(line["seq"], n);
        assert_eq!(line["fields"]["n"], n);
        assert_eq!(line["message"], format!("text {n}"));
    }
    let stats = stats_of(&queue);
    assert_eq!(
        (stats.accepted, stats.delivered, stats.pending),
        (1_000, 1_000, 0)
    );
    assert_eq!(stats.health, Health::Good);
}

#[test]
fn full_queue_drops_newest_and_counts_it() {
    let (queue, gate, dispatch) = stuck(small(32));
    within(&dispatch, || {
        (0..40).for_each(|n| tracing::info!(n));
        (40..44).for_each(|n| tracing::warn!(n));
        tracing::error!("too late");
    });
    let stats = stats_of(&queue);
    assert_law(&stats);
    assert_eq!((stats.accepted, stats.pending), (46, 32), "the bound holds");
    // A sixteenth of 32 is kept for WARN and ERROR.
    assert_eq!(stats.lost.of(LossReason::QueueFull, Level::INFO), 11);
    assert_eq!(stats.lost.of(LossReason::QueueFull, Level::WARN), 2);
    assert_eq!(stats.lost.of(LossReason::QueueFull, Level::ERROR), 1);
    assert!(matches!(stats.health, Health::Failing(_)));

    gate.open();
    queue.flush(PATIENCE).expect("flushed");
    let lines = gate.lines();
    let kept: Vec<_> = lines[1..32]
        .iter()
        .map(|line| line["fields"]["n"].clone())
        .collect();
    let expected: Vec<_> = (0..29).chain(40..42).collect();
    assert_eq!(json!(kept), json!(expected), "the oldest are kept");

    let gap = &lines[32];
    assert_eq!(gap["level"], "ERROR");
    assert_eq!(gap["message"], "14 records lost, from 31 to 46");
    assert_eq!(gap["seq"], 47, "it has a number of its own");
    let expected = json!({
        "error_type": "log_write", "lost": 14, "from_seq": 31, "to_seq": 46,
        "error": 1, "warn": 2, "info": 11, "debug": 0, "trace": 0,
    });
    assert_eq!(gap["fields"], expected);
    assert_eq!(lines.len(), 33);
    let stats = stats_of(&queue);
    assert_law(&stats);
    assert_eq!(
        (stats.accepted, stats.delivered, stats.pending),
        (47, 33, 0)
    );
    assert_eq!(
        stats.health,
        Health::Good,
        "there is room again, and it was told"
    );
}

#[test]
fn each_loss_is_told_once() {
    let (queue, gate, dispatch) = stuck(small(2));
    within(&dispatch, || (0..5).for_each(|n| tracing::info!(n)));
    gate.open();
    queue.flush(PATIENCE).expect("flushed");
    within(&dispatch, || tracing::info!("fine again"));
    queue.flush(PATIENCE).expect("flushed");
    let messages: Vec<_> = gate
        .lines()
        .iter()
        .map(|line| line["message"].clone())
        .collect();
    assert_eq!(
        json!(messages),
        json!(["first", "5 records lost, from 2 to 6", "fine again"])
    );
}

#[test]
fn the_smallest_queue_still_passes_a_record() {
    let (queue, gate, dispatch) = stuck(QueueConfig {
        capacity: 0,
        max_bytes: 0,
        ..QueueConfig::default()
    });
    gate.open();
    queue.flush(PATIENCE).expect("flushed");
    for n in 0..5 {
        within(&dispatch, || tracing::info!(n));
        queue.flush(PATIENCE).expect("flushed");
    }
    assert_eq!(gate.lines().len(), 6);
}

#[test]
fn the_bound_in_bytes_holds() {
    const MAX_BYTES: usize = 64 << 10;
    let (queue, gate, dispatch) = stuck(QueueConfig {
        max_bytes: MAX_BYTES,
        ..QueueConfig::default()
    });
    let text = "x".repeat(1 << 10);
    within(&dispatch, || {
        (0..200).for_each(|_| tracing::info!("{text}"))
    });
    let stats = stats_of(&queue);
    assert_law(&stats);
    let room = MAX_BYTES as u64 / 1024;
    assert!((room / 2..room).contains(&stats.pending), "{stats:?}");
    within(&dispatch, || tracing::warn!("{text}"));
    assert_eq!(
        stats_of(&queue).pending,
        stats.pending + 1,
        "the reserve counts in bytes too"
    );
    gate.open();
    queue.flush(PATIENCE).expect("flushed");
    assert_eq!(gate.lines().len() as u64, stats.pending + 2, "and the gap");
}

#[test]
fn room_comes_back_while_the_writer_is_in_the_middle_of_a_batch() {
    let (queue, gate, dispatch) = stuck(small(320));
    within(&dispatch, || (0..300).for_each(|n| tracing::info!(n)));
    assert_eq!(
        stats_of(&queue).dropped,
        1,
        "300 places, one of them in use"
    );
    gate.admit(1 + 200);
    gate.wait_until_entered(1 + 200 + 1);
    let stats = stats_of(&queue);
    assert_law(&stats);
    assert_eq!(stats.delivered, 1 + 128, "progress is booked in steps");
    within(&dispatch, || (0..128).for_each(|n| tracing::info!(n)));
    assert_eq!(stats_of(&queue).dropped, 1);
    gate.open();
    queue.flush(PATIENCE).expect("flushed");
    assert_eq!(gate.lines().len(), 1 + 299 + 1 + 128, "and the gap");
}

#[test]
fn block_waits_for_room() {
    let (queue, gate, dispatch) = stuck(QueueConfig {
        when_full: WhenFull::Block(PATIENCE),
        ..small(2)
    });
    let is_through = AtomicBool::new(false);
    within(&dispatch, || tracing::info!(n = 1));
    thread::scope(|scope| {
        scope.spawn(|| {
            within(&dispatch, || (2..50).for_each(|n| tracing::info!(n)));
            is_through.store(true, Ordering::SeqCst);
        });
        assert!(!is_through.load(Ordering::SeqCst), "there is room for two");
        assert_eq!(stats_of(&queue).pending, 2);
        gate.open();
    });
    queue.flush(PATIENCE).expect("flushed");
    let numbers: Vec<_> = gate.lines()[1..]
        .iter()
        .map(|line| line["fields"]["n"].clone())
        .collect();
    assert_eq!(json!(numbers), json!((1..50).collect::<Vec<_>>()));
    assert_eq!(stats_of(&queue).dropped, 0);
}

#[test]
fn block_drops_after_its_time_and_counts_it() {
    let (queue, gate, dispatch) = stuck(QueueConfig {
        when_full: WhenFull::Block(Duration::from_millis(10)),
        ..small(2)
    });
    within(&dispatch, || (0..2).for_each(|n| tracing::info!(n)));
    let stats = stats_of(&queue);
    assert_law(&stats);
    assert_eq!((stats.pending, stats.dropped), (2, 1));
    assert_eq!(stats.lost.of(LossReason::QueueFull, Level::INFO), 1);
    gate.open();
    queue.flush(PATIENCE).expect("flushed");
    assert_eq!(gate.lines()[2]["message"], "1 records lost, from 3 to 3");
}

#[test]
fn a_queue_behind_a_queue_keeps_the_numbers() {
    let (file, console) = (MemorySink::new(), MemorySink::new());
    let inner = QueueConfig {
        name: "console-queue",
        ..QueueConfig::default()
    };
    let inner = Queue::start(inner, console.clone());
    let sinks: [Box<dyn Sink>; 2] = [Box::new(inner), Box::new(file.clone())];
    let queue = Arc::new(Queue::start(QueueConfig::default(), Tee::of(sinks)));
    within(&dispatch_to(Arc::clone(&queue)), || {
        (0..100).for_each(|n| tracing::info!(n));
    });
    queue.flush(PATIENCE).expect("a flush goes through both");
    assert_eq!(console.lines(), file.lines());
    assert_eq!(parse(&console.lines()[99])["seq"], 100);
}

#[test]
fn a_full_queue_behind_a_queue_tells_its_own_loss() {
    let (gate, file) = (Gate::closed(), MemorySink::new());
    let inner = Queue::start(
        QueueConfig {
            name: "inner",
            ..small(4)
        },
        gate.clone(),
    );
    let sinks: [Box<dyn Sink>; 2] = [Box::new(inner), Box::new(file.clone())];
    let queue = Arc::new(Queue::start(QueueConfig::default(), Tee::of(sinks)));
    let dispatch = dispatch_to(Arc::clone(&queue));
    within(&dispatch, || tracing::info!("first"));
    gate.wait_until_entered(1);
    within(&dispatch, || (0..9).for_each(|n| tracing::info!(n)));
    wait_until("the file has all", || file.lines().len() == 10);
    gate.open();
    queue.flush(PATIENCE).expect("flushed");
    let seqs: Vec<_> = gate
        .lines()
        .iter()
        .map(|line| line["seq"].clone())
        .collect();
    assert_eq!(
        json!(seqs),
        json!([1, 2, 3, 10]),
        "the gap stands for the last one lost"
    );
    assert_eq!(gate.lines()[3]["message"], "7 records lost, from 4 to 10");
    assert_eq!(file.lines().len(), 10, "the file has lost nothing");
}

#[test]
fn spans_travel_with_their_records() {
    let memory = MemorySink::new();
    let queue = Arc::new(Queue::start(QueueConfig::default(), memory.clone()));
    within(&dispatch_to(Arc::clone(&queue)), || {
        let span = tracing::info_span!("job", state = tracing::field::Empty);
        let _inside = span.enter();
        tracing::info!("before");
        span.record("state", "done");
        tracing::info!("after");
    });
    queue.flush(PATIENCE).expect("flushed");
    let spans: Vec<Value> = memory
        .lines()
        .iter()
        .map(|line| parse(line)["spans"].take())
        .collect();
    let expected = json!([
        [{"name": "job", "fields": {}}],
        [{"name": "job", "fields": {"state": "done"}}],
    ]);
    assert_eq!(json!(spans), expected);
}
