//! Flush, close and drop; sinks that hang, panic and fail at the end.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use telemetry_core::{
    LossReason, MemorySink, Queue, QueueConfig, Record, Sink, SinkError, SinkStats,
};
use tracing::Level;

use crate::support::{
    Gate, PATIENCE, assert_law, captured_by, dispatch_to, lock, stats_of, wait_until,
};

/// A limit that a test wants to see exceeded.
const SHORT: Duration = Duration::from_millis(20);

fn emit(queue: &Arc<Queue>, count: u32) {
    captured_by(Arc::clone(queue), || {
        (0..count).for_each(|n| tracing::info!(n))
    });
}

#[test]
fn close_drains_and_refuses_what_comes_later() {
    let memory = MemorySink::new();
    let queue = Arc::new(Queue::start(QueueConfig::default(), memory.clone()));
    emit(&queue, 500);
    queue.close(PATIENCE).expect("closed");
    assert_eq!(memory.lines().len(), 500);

    emit(&queue, 2);
    let stats = stats_of(&queue);
    assert_law(&stats);
    assert_eq!(memory.lines().len(), 500);
    assert_eq!(stats.lost.of(LossReason::Shutdown, Level::INFO), 2);

    queue.close(PATIENCE).expect("closing twice is harmless");
    queue
        .flush(PATIENCE)
        .expect("everything is written already");
}

#[test]
fn dropping_the_queue_closes_it() {
    let memory = MemorySink::new();
    captured_by(Queue::start(QueueConfig::default(), memory.clone()), || {
        (0..500).for_each(|n| tracing::info!(n));
    });
    assert_eq!(memory.lines().len(), 500);
}

#[test]
fn limits_that_no_clock_can_hold_are_no_trouble() {
    let queue = Arc::new(Queue::start(QueueConfig::default(), MemorySink::new()));
    emit(&queue, 1);
    queue.flush(Duration::MAX).expect("flushed");
    queue.close(Duration::MAX).expect("closed");
}

#[test]
fn a_hung_sink_makes_flush_and_close_time_out() {
    let gate = Gate::closed();
    let queue = Arc::new(Queue::start(QueueConfig::default(), gate.clone()));
    emit(&queue, 3);
    gate.wait_until_entered(1);
    emit(&queue, 4);
    let started = Instant::now();
    for result in [queue.flush(SHORT), queue.close(SHORT), queue.close(SHORT)] {
        let Err(SinkError::Timeout {
            limit,
            pending,
            sink,
        }) = result
        else {
            panic!("not a timeout: {result:?}");
        };
        assert_eq!((limit, pending, sink), (SHORT, 7, "queue"));
    }
    assert!(started.elapsed() < PATIENCE / 2, "every wait has a bound");

    // What the writer had taken is written when the sink wakes up; what was
    // still waiting is lost, since the time was over.
    gate.open();
    wait_until("nothing is pending", || stats_of(&queue).pending == 0);
    let stats = stats_of(&queue);
    assert_law(&stats);
    let lost = stats.lost.of(LossReason::Shutdown, Level::INFO);
    assert_eq!(stats.delivered + lost, 7);
    assert!(lost > 0, "{stats:?}");
    let Err(SinkError::Timeout { pending, .. }) = queue.close(PATIENCE) else {
        panic!("a close that has lost records says so");
    };
    assert_eq!(pending, lost);
}

/// Hangs in `flush` until told, and says what limits it was given.
struct SlowFlush {
    limits: Mutex<Sender<Duration>>,
    go: Mutex<Receiver<()>>,
}

impl Sink for SlowFlush {
    fn write(&self, _: &Record<'_>) -> Result<(), SinkError> {
        Ok(())
    }
    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        let _ = lock(&self.limits).send(limit);
        let _ = lock(&self.go).recv_timeout(PATIENCE);
        Ok(())
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn stats(&self, _: &mut Vec<SinkStats>) {}
}

#[test]
fn a_flush_that_comes_during_another_has_its_own_limit() {
    let (limits, limit) = channel();
    let (go, gone) = channel();
    let sink = SlowFlush {
        limits: Mutex::new(limits),
        go: Mutex::new(gone),
    };
    let queue = Queue::start(QueueConfig::default(), sink);
    thread::scope(|scope| {
        let first = scope.spawn(|| queue.flush(PATIENCE));
        limit
            .recv_timeout(PATIENCE)
            .expect("the first is being done");
        let second = scope.spawn(|| queue.flush(PATIENCE));
        go.send(()).expect("the sink waits");
        let second_limit = limit
            .recv_timeout(PATIENCE)
            .expect("the second is being done");
        assert!(second_limit > PATIENCE / 2, "{second_limit:?}");
        go.send(()).expect("the sink waits");
        first.join().expect("joined").expect("flushed");
        second.join().expect("joined").expect("flushed");
    });
}

/// Panics in everything but `write`.
#[derive(Default)]
struct Fragile(AtomicU64);

impl Sink for Fragile {
    fn write(&self, _: &Record<'_>) -> Result<(), SinkError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn batch_end(&self) {
        panic!("on purpose");
    }
    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        panic!("on purpose");
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        panic!("on purpose");
    }
    fn stats(&self, _: &mut Vec<SinkStats>) {}
}

#[test]
fn a_sink_that_panics_at_the_end_of_a_batch_still_gets_the_next() {
    let sink = Arc::new(Fragile::default());
    let queue = Arc::new(Queue::start(QueueConfig::default(), Arc::clone(&sink)));
    for round in 1..=3 {
        emit(&queue, 1);
        let result = queue.flush(PATIENCE);
        assert!(
            matches!(result, Err(SinkError::Failed { .. })),
            "{result:?}"
        );
        assert_eq!(sink.0.load(Ordering::SeqCst), round);
    }
    let result = queue.close(PATIENCE);
    assert!(
        matches!(result, Err(SinkError::Failed { .. })),
        "{result:?}"
    );
}

#[test]
fn a_flush_that_fails_says_why() {
    struct Failing;
    impl Sink for Failing {
        fn write(&self, _: &Record<'_>) -> Result<(), SinkError> {
            Ok(())
        }
        fn flush(&self, _: Duration) -> Result<(), SinkError> {
            Err(SinkError::Failed {
                sink: "failing",
                source: "no space left on device".into(),
            })
        }
        fn close(&self, _: Duration) -> Result<(), SinkError> {
            Ok(())
        }
        fn stats(&self, _: &mut Vec<SinkStats>) {}
    }
    let queue = Queue::start(QueueConfig::default(), Failing);
    let error = queue.flush(PATIENCE).expect_err("it failed");
    assert_eq!(error.to_string(), "sink `failing` failed");
    queue.close(PATIENCE).expect("closed");
}

#[test]
fn a_record_is_written_without_a_flush() {
    let memory = MemorySink::new();
    let queue = Arc::new(Queue::start(QueueConfig::default(), memory.clone()));
    // Again and again, so that it finds the writer asleep, lingering and busy.
    for round in 1..=20 {
        captured_by(Arc::clone(&queue), || tracing::info!(round));
        assert_eq!(memory.wait_for(round, PATIENCE).len(), round);
    }
}

#[test]
fn a_subscriber_outlives_the_close() {
    let queue = Arc::new(Queue::start(QueueConfig::default(), MemorySink::new()));
    let dispatch = dispatch_to(Arc::clone(&queue));
    queue.close(PATIENCE).expect("closed");
    tracing::dispatcher::with_default(&dispatch, || tracing::error!("into the void"));
    let stats = stats_of(&queue);
    assert_law(&stats);
    assert_eq!(stats.lost.of(LossReason::Shutdown, Level::ERROR), 1);
}
