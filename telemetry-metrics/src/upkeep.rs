//! The thread that runs the collectors, and folds histograms that nobody described.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::MetricsError;
use crate::recorder::Handle;

const THREAD: &str = "metrics-upkeep";

/// How long dropping waits for a collector at work.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shorter intervals would only keep a core busy.
const SHORTEST: Duration = Duration::from_millis(1);

/// The running thread; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Upkeep {
    stop: Option<Sender<()>>,
    /// In a mutex only so that a static can hold the guard.
    ended: Mutex<Receiver<()>>,
}

impl Upkeep {
    pub(crate) fn start(
        handle: Handle,
        upkeep_interval: Duration,
        collection_interval: Duration,
    ) -> Result<Self, MetricsError> {
        let (stop, stopped) = channel();
        let (end, ended) = channel();
        let upkeep = Timer::new(upkeep_interval, Instant::now());
        let collection = Timer::new(collection_interval, Instant::now());
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || {
                run(&handle, &stopped, upkeep, collection);
                drop(end);
            })
            .map_err(|source| MetricsError::Thread {
                name: THREAD,
                source,
            })?;
        Ok(Self {
            stop: Some(stop),
            ended: Mutex::new(ended),
        })
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop.take();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a metrics collector hangs; its thread is left behind");
        }
    }
}

fn run(handle: &Handle, stopped: &Receiver<()>, mut upkeep: Timer, mut collection: Timer) {
    loop {
        let next = upkeep.next.min(collection.next);
        let wait = next.saturating_duration_since(Instant::now());
        if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let now = Instant::now();
        if upkeep.is_due(now) {
            handle.upkeep();
        }
        if collection.is_due(now) {
            handle.collect();
        }
    }
}

/// Says when something is due that happens at intervals.
struct Timer {
    interval: Duration,
    next: Instant,
}

impl Timer {
    fn new(interval: Duration, now: Instant) -> Self {
        let interval = interval.max(SHORTEST);
        Self {
            interval,
            next: now + interval,
        }
    }

    /// True once for each interval. Times that were missed, by a machine asleep
    /// or a slow collector, are not made up for.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.interval;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::collector::{CollectError, Collector};

    struct Counting(Arc<AtomicU32>);

    impl Collector for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn collect(&mut self, _: &Handle) -> Result<(), CollectError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn collectors_run_at_their_interval_until_the_guard_is_dropped() {
        let handle = Handle::build(&[]).unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        handle.collect_at_intervals(Counting(Arc::clone(&runs)));
        let hour = Duration::from_secs(3600);
        let upkeep = Upkeep::start(handle.clone(), hour, Duration::from_millis(1)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while runs.load(Ordering::Relaxed) < 5 {
            assert!(Instant::now() < deadline, "the collector does not run");
            thread::yield_now();
        }
        drop(upkeep);
        // The thread has given its handle back: nobody is left to collect.
        let after = runs.load(Ordering::Relaxed);
        handle.collect();
        assert_eq!(runs.load(Ordering::Relaxed), after + 1);
    }

    #[test]
    fn missed_times_are_not_made_up_for() {
        let start = Instant::now();
        let mut timer = Timer::new(Duration::from_secs(5), start);
        assert!(!timer.is_due(start + Duration::from_secs(4)));
        assert!(timer.is_due(start + Duration::from_secs(100)));
        assert!(!timer.is_due(start + Duration::from_secs(104)));
        assert!(timer.is_due(start + Duration::from_secs(105)));
    }

    #[test]
    fn interval_of_zero_does_not_spin() {
        let start = Instant::now();
        let mut timer = Timer::new(Duration::ZERO, start);
        assert!(!timer.is_due(start));
    }
}
