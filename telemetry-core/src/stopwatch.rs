//! Busy and idle time of a span.

use std::time::{Duration, Instant};

/// Runs from the creation of a span to its end. Busy is the time while at least
/// one thread was inside, idle is the rest.
#[derive(Debug, Clone)]
pub(crate) struct Stopwatch {
    since: Instant,
    /// How many times it was entered and not left yet.
    inside: u32,
    busy: Duration,
    idle: Duration,
}

impl Stopwatch {
    pub(crate) fn start(now: Instant) -> Self {
        Self {
            since: now,
            inside: 0,
            busy: Duration::ZERO,
            idle: Duration::ZERO,
        }
    }

    pub(crate) fn enter(&mut self, now: Instant) {
        self.book(now);
        self.inside += 1;
    }

    pub(crate) fn exit(&mut self, now: Instant) {
        self.book(now);
        self.inside = self.inside.saturating_sub(1);
    }

    /// Busy and idle time until now.
    pub(crate) fn stop(mut self, now: Instant) -> (Duration, Duration) {
        self.book(now);
        (self.busy, self.idle)
    }

    fn book(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        self.since = now;
        if self.inside > 0 {
            self.busy += passed;
        } else {
            self.idle += passed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Busy and idle milliseconds after these steps, each a millisecond later
    /// than the one before: `+` enters, `-` exits.
    fn times(steps: &str) -> (u128, u128) {
        let mut now = Instant::now();
        let mut watch = Stopwatch::start(now);
        for step in steps.chars() {
            now += Duration::from_millis(1);
            match step {
                '+' => watch.enter(now),
                _ => watch.exit(now),
            }
        }
        let (busy, idle) = watch.stop(now + Duration::from_millis(1));
        (busy.as_millis(), idle.as_millis())
    }

    #[test]
    fn a_span_that_nobody_enters_is_idle() {
        assert_eq!(times(""), (0, 1));
    }

    #[test]
    fn busy_is_while_somebody_is_inside() {
        assert_eq!(times("+-"), (1, 2));
        assert_eq!(times("+-+-"), (2, 3));
    }

    #[test]
    fn two_who_are_inside_at_once_count_once() {
        assert_eq!(times("++--"), (3, 2));
    }

    #[test]
    fn one_who_never_leaves_is_busy_until_the_end() {
        assert_eq!(times("+"), (1, 1));
    }

    #[test]
    fn leaving_too_often_is_harmless() {
        assert_eq!(times("--+-"), (1, 4));
    }
}
