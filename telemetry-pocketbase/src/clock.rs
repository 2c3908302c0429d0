//! The time, passed in: the simulator has a clock of its own.

use std::time::{Duration, Instant, SystemTime};

/// Tells the time.
pub(crate) trait Clock: Send + Sync {
    /// Time since some moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// What the calendar says; may jump.
    fn calendar(&self) -> SystemTime;
}

/// The time of the system.
pub(crate) struct SystemClock(Instant);

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn calendar(&self) -> SystemTime {
        SystemTime::now()
    }
}
