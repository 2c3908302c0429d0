//! The queue under loom: every order in which its threads could act, up to a
//! number of preemptions. A wake-up that is missing is a deadlock here, since no
//! limit and no heartbeat ends a wait.
//!
//! ```text
//! RUSTFLAGS="--cfg queue_model" cargo test -p telemetry-core --lib --release queue::model
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::Level;

use super::{Queue, QueueConfig, WhenFull};
use crate::identity::Identity;
use crate::json::Line;
use crate::notice::{Notice, NoticeMeta, callsite_about};
use crate::record::Record;
use crate::sink::{Sink, SinkError, SinkStats};

/// Never over in a model.
const LIMIT: Duration = Duration::from_secs(3_600);
const PREEMPTIONS: usize = 2;

/// Counts what arrives. Its own synchronisation is not looked at.
#[derive(Clone, Default)]
struct Arrivals(Arc<AtomicU64>);

impl Arrivals {
    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Sink for Arrivals {
    fn write(&self, _: &Record<'_>) -> Result<(), SinkError> {
        self.0.fetch_add(1, Ordering::SeqCst);
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

/// Everything that does not change from one order to the next.
#[derive(Clone, Copy)]
struct Fixture {
    identity: Identity,
    info: NoticeMeta,
    error: NoticeMeta,
}

impl Fixture {
    fn new() -> Self {
        let callsite = |level| {
            let of = tracing::Metadata::new(
                "model",
                "model",
                level,
                None,
                None,
                None,
                tracing::field::FieldSet::new(&["message"], crate::gap::metadata().callsite()),
                tracing_core::metadata::Kind::EVENT,
            );
            callsite_about(&of, "model", &["message"])
        };
        Self {
            identity: Identity::new(uuid::Uuid::nil()),
            info: callsite(Level::INFO),
            error: callsite(Level::ERROR),
        }
    }

    fn write(self, queue: &Queue, meta: NoticeMeta) -> Result<(), SinkError> {
        let line = Line::default();
        Notice::new(meta, "text").lend(self.identity, 0, None, &line, |record| queue.write(record))
    }
}

/// Runs `scenario` in every order, each time with a new queue.
fn in_every_order(
    config: &QueueConfig,
    scenario: impl Fn(Fixture, Arc<Queue>, Arrivals) + Send + Sync + 'static,
) {
    let (config, fixture) = (config.clone(), Fixture::new());
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(move || {
        let arrivals = Arrivals::default();
        let queue = Queue::start(config.clone(), arrivals.clone());
        scenario(fixture, Arc::new(queue), arrivals);
    });
}

fn blocking(capacity: usize) -> QueueConfig {
    QueueConfig {
        capacity,
        when_full: WhenFull::Block(LIMIT),
        ..QueueConfig::default()
    }
}

#[test]
fn a_writer_that_fell_asleep_is_woken_by_the_next_record() {
    in_every_order(&blocking(4), |fixture, queue, arrivals| {
        fixture.write(&queue, fixture.info).expect("room");
        fixture.write(&queue, fixture.error).expect("room");
        // No flush and no close wakes it: only the records themselves.
        while arrivals.count() < 2 {
            loom::thread::yield_now();
        }
        queue.close(LIMIT).expect("closed");
    });
}

#[test]
fn whoever_waits_for_room_gets_it() {
    in_every_order(&blocking(1), |fixture, queue, arrivals| {
        let other = {
            let queue = Arc::clone(&queue);
            loom::thread::spawn(move || fixture.write(&queue, fixture.info).expect("room"))
        };
        fixture.write(&queue, fixture.info).expect("room");
        fixture.write(&queue, fixture.info).expect("room");
        other.join().expect("joined");
        queue.close(LIMIT).expect("closed");
        assert_eq!(arrivals.count(), 3);
    });
}

#[test]
fn whoever_waits_behind_another_gets_room_too() {
    in_every_order(&blocking(1), |fixture, queue, arrivals| {
        let others = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            loom::thread::spawn(move || fixture.write(&queue, fixture.info).expect("room"))
        });
        fixture.write(&queue, fixture.info).expect("room");
        others.map(|other| other.join().expect("joined"));
        queue.close(LIMIT).expect("closed");
        assert_eq!(arrivals.count(), 3);
    });
}

#[test]
fn a_flush_covers_every_record_before_it() {
    in_every_order(&blocking(4), |fixture, queue, arrivals| {
        let other = {
            let queue = Arc::clone(&queue);
            loom::thread::spawn(move || {
                fixture.write(&queue, fixture.info).expect("room");
                queue.flush(LIMIT).expect("flushed");
            })
        };
        fixture.write(&queue, fixture.info).expect("room");
        queue.flush(LIMIT).expect("flushed");
        assert!(arrivals.count() >= 1);
        other.join().expect("joined");
        assert_eq!(arrivals.count(), 2);
        queue.close(LIMIT).expect("closed");
    });
}

#[test]
fn close_and_flush_end_together_and_close_wakes_who_waits() {
    in_every_order(&blocking(1), |fixture, queue, arrivals| {
        let writes = {
            let queue = Arc::clone(&queue);
            loom::thread::spawn(move || {
                let first = fixture.write(&queue, fixture.info);
                let second = fixture.write(&queue, fixture.info);
                u64::from(first.is_ok()) + u64::from(second.is_ok())
            })
        };
        let flushes = {
            let queue = Arc::clone(&queue);
            loom::thread::spawn(move || queue.flush(LIMIT))
        };
        queue.close(LIMIT).expect("closed");
        let accepted = writes.join().expect("joined");
        flushes.join().expect("joined").expect("flushed or closed");
        assert_eq!(arrivals.count(), accepted, "what was accepted arrives");
    });
}
