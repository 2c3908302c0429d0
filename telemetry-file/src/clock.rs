//! Where the sink gets its time from.

use std::time::{Duration, Instant, SystemTime};

/// A clock. Periods follow the timestamps of the records; the clock decides
/// the age of archives and when to try again.
pub trait Clock: Send + Sync {
    /// The time of day, which may jump.
    fn now(&self) -> SystemTime;

    /// Time since some moment, which never runs backwards.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the system.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
