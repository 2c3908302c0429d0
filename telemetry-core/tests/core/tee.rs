//! One pipeline, several destinations, none of which hurts another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetry_core::{
    Filtered, LossReason, MemorySink, Numbered, Queue, QueueConfig, Record, Records, Sink,
    SinkError, SinkStats, Tee,
};
use tracing::level_filters::LevelFilter;

use crate::support::{
    Moody, PATIENCE, all_stats_of, assert_law, captured_by, lock, lost_for, parse,
};

/// Panics in everything; remembers the limits that it was given.
#[derive(Default)]
struct Hopeless(Mutex<Vec<Duration>>);

impl Sink for Hopeless {
    fn write(&self, _: &Record<'_>) -> Result<(), SinkError> {
        panic!("on purpose")
    }
    fn batch_end(&self) {
        panic!("on purpose")
    }
    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        lock(&self.0).push(limit);
        panic!("on purpose")
    }
    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        lock(&self.0).push(limit);
        panic!("on purpose")
    }
    fn reopen(&self) {
        panic!("on purpose")
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        into.push(SinkStats::default());
    }
}

#[test]
fn a_sink_that_panics_hurts_only_itself() {
    let (before, after) = (MemorySink::new(), MemorySink::new());
    let sinks: [Box<dyn Sink>; 3] = [
        Box::new(before.clone()),
        Box::new(Hopeless::default()),
        Box::new(after.clone()),
    ];
    let tee = Arc::new(Numbered::new(Tee::of(sinks)));
    captured_by(Arc::clone(&tee), || (0..3).for_each(|n| tracing::info!(n)));
    assert_eq!(before.lines().len(), 3);
    assert_eq!(after.lines(), before.lines());

    tee.reopen();
    let result = tee.flush(PATIENCE);
    assert!(
        matches!(result, Err(SinkError::Failed { .. })),
        "{result:?}"
    );
    tee.close(PATIENCE).expect_err("one of them panicked");
    captured_by(Arc::clone(&tee), || tracing::info!("late"));
    assert_eq!(after.lines().len(), 3, "the close went through");

    let stats = all_stats_of(&tee);
    stats.iter().for_each(assert_law);
    assert_eq!(lost_for(&stats[1].lost, LossReason::SinkPanicked), 4);
    assert_eq!(stats[1].accepted, 4);
}

/// When a sink panics that is given several records at once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Before,
    After,
    /// It takes none, without a panic.
    Never,
}

/// A sink that is given several records at once and makes a mess of it.
struct Sloppy(Moment, MemorySink);

impl Sink for Sloppy {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        self.1.write(record)
    }
    fn write_all(&self, records: &mut Records<'_>) {
        if self.0 == Moment::After {
            self.1.write_all(records);
        }
        assert!(self.0 == Moment::Never, "on purpose");
    }
    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn close(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }
    fn stats(&self, into: &mut Vec<SinkStats>) {
        self.1.stats(into);
    }
}

#[test]
fn a_sink_that_takes_none_of_several_records_hurts_only_itself() {
    for (moment, taken) in [
        (Moment::Before, 0),
        (Moment::After, 300),
        (Moment::Never, 0),
    ] {
        let (before, own, after) = (MemorySink::new(), MemorySink::new(), MemorySink::new());
        let sinks: [Box<dyn Sink>; 3] = [
            Box::new(before.clone()),
            Box::new(Sloppy(moment, own.clone())),
            Box::new(Filtered::new(LevelFilter::INFO, after.clone())),
        ];
        let queue = Arc::new(Queue::start(QueueConfig::default(), Tee::of(sinks)));
        captured_by(Arc::clone(&queue), || {
            (0..300).for_each(|n| tracing::info!(n));
        });
        queue.flush(PATIENCE).expect("flushed");
        assert_eq!(before.lines().len(), 300, "{moment:?}");
        assert_eq!(after.lines(), before.lines(), "{moment:?}");
        assert_eq!(own.lines().len(), taken, "{moment:?}");
        let stats = all_stats_of(&queue);
        stats.iter().for_each(assert_law);
        assert_eq!(stats[0].delivered, 300);
        let lost = lost_for(&stats[2].lost, LossReason::SinkPanicked);
        assert_eq!(lost, 300 - taken as u64, "{moment:?}");
    }
}

#[test]
fn a_sink_that_takes_none_of_several_records_straight_behind_a_queue_loses_them() {
    for (moment, taken) in [
        (Moment::Before, 0),
        (Moment::After, 300),
        (Moment::Never, 0),
    ] {
        let own = MemorySink::new();
        let sink = Sloppy(moment, own.clone());
        let queue = Arc::new(Queue::start(QueueConfig::default(), sink));
        captured_by(Arc::clone(&queue), || {
            (0..300).for_each(|n| tracing::info!(n));
        });
        queue.flush(PATIENCE).expect("flushed");
        assert_eq!(own.lines().len(), taken, "{moment:?}");
        let stats = &all_stats_of(&queue)[0];
        assert_law(stats);
        assert_eq!(stats.delivered, taken as u64, "{moment:?}");
        let lost = lost_for(&stats.lost, LossReason::SinkPanicked);
        assert_eq!(lost, 300 - taken as u64, "{moment:?}");
    }
}

#[test]
fn a_sink_that_fails_hurts_only_itself() {
    let memory = MemorySink::new();
    let sinks: [Box<dyn Sink>; 2] = [Box::new(Moody::default()), Box::new(memory.clone())];
    let tee = Arc::new(Numbered::new(Tee::of(sinks)));
    captured_by(Arc::clone(&tee), || (0..21).for_each(|n| tracing::info!(n)));
    assert_eq!(memory.lines().len(), 21);
    let stats = all_stats_of(&tee);
    stats.iter().for_each(assert_law);
    assert_eq!(
        (stats[0].accepted, stats[0].dropped),
        (21, 9),
        "{:?}",
        stats[0]
    );
}

#[test]
fn a_sink_that_hangs_leaves_time_for_those_behind_it() {
    let sinks: [Arc<Hopeless>; 3] = Default::default();
    let tee = Tee::of(
        sinks
            .iter()
            .map(|sink| Box::new(Arc::clone(sink)) as Box<dyn Sink>),
    );
    tee.close(Duration::from_secs(30)).expect_err("they panic");
    let limits: Vec<_> = sinks
        .iter()
        .map(|sink| lock(&sink.0)[0].as_secs_f64())
        .collect();
    // Nobody took long, so the last has nearly everything.
    for (limit, expected) in limits.iter().zip([10.0, 15.0, 30.0]) {
        assert!((expected - 5.0..=expected).contains(limit), "{limits:?}");
    }
}

#[test]
fn a_minimum_level_leaves_the_others_out_of_the_accounts() {
    let (all, severe) = (MemorySink::new(), MemorySink::new());
    let sinks: [Box<dyn Sink>; 2] = [
        Box::new(all.clone()),
        Box::new(Filtered::new(LevelFilter::WARN, severe.clone())),
    ];
    let tee = Arc::new(Numbered::new(Tee::of(sinks)));
    captured_by(Arc::clone(&tee), || {
        tracing::trace!("1");
        tracing::warn!("2");
        tracing::info!("3");
        tracing::error!("4");
    });
    assert_eq!(all.lines().len(), 4);
    let seqs: Vec<_> = severe
        .lines()
        .iter()
        .map(|line| parse(line)["seq"].as_u64())
        .collect();
    assert_eq!(seqs, [Some(2), Some(4)]);
    assert_eq!(all_stats_of(&tee)[1].accepted, 2);
}
