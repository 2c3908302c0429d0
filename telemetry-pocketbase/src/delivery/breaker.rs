//! When to stop asking a destination that does not work.
//!
//! ```text
//!            failures in a row            open time is over
//!  Closed ───────────────────────▶ Open ───────────────────▶ HalfOpen
//!    ▲                              ▲                           │ │
//!    │                              └── the probe fails: ───────┘ │
//!    │                                  twice as long             │
//!    └──────────────── the probe succeeds ────────────────────────┘
//! ```

use std::time::Duration;

use super::machine::Time;

/// How patient the breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failed rounds in a row that open it. Default 3.
    pub failures: u32,
    /// How long it stays open the first time. Default 30 s.
    pub open_for: Duration,
    /// Each failed probe doubles the time, up to this. Default 600 s.
    pub max_open_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 3,
            open_for: Duration::from_secs(30),
            max_open_for: Duration::from_secs(600),
        }
    }
}

/// The usual three states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything is sent.
    Closed,
    /// Nothing is sent until then.
    Open {
        /// When a probe may go through.
        until: Time,
    },
    /// One probe goes through; it decides.
    HalfOpen,
}

/// A circuit breaker that is told the time.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: BreakerState,
    /// Failed rounds in a row while closed.
    failures: u32,
    /// Openings since it was closed last.
    openings: u32,
}

impl Breaker {
    /// A closed one, or a half-open one where it was open before a restart.
    pub fn new(policy: BreakerPolicy, was_open: bool) -> Self {
        Self {
            policy,
            state: if was_open {
                BreakerState::HalfOpen
            } else {
                BreakerState::Closed
            },
            failures: 0,
            openings: 0,
        }
    }

    /// Its state.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// True from the opening until a probe has succeeded.
    pub fn is_tripped(&self) -> bool {
        self.state != BreakerState::Closed
    }

    /// Turns half-open when its time is over; returns whether it did.
    pub fn advance(&mut self, now: Time) -> bool {
        match self.state {
            BreakerState::Open { until } if until <= now => {
                self.state = BreakerState::HalfOpen;
                true
            }
            _ => false,
        }
    }

    /// The destination works. Returns whether that closed the breaker.
    pub fn success(&mut self) -> bool {
        let was_tripped = self.is_tripped();
        self.state = BreakerState::Closed;
        self.failures = 0;
        self.openings = 0;
        was_tripped
    }

    /// A round failed. Returns for how long the breaker is open now, if it is.
    pub fn failure(&mut self, now: Time) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.state == BreakerState::Closed && self.failures < self.policy.failures {
            return None;
        }
        Some(self.trip(now))
    }

    /// Opens at once: asking again soon cannot help.
    pub fn trip(&mut self, now: Time) -> Duration {
        let doubled = 2_u32.saturating_pow(self.openings.min(31));
        let open_for = self
            .policy
            .open_for
            .saturating_mul(doubled)
            .min(self.policy.max_open_for);
        self.openings = self.openings.saturating_add(1);
        self.state = BreakerState::Open {
            until: now + open_for,
        };
        open_for
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut breaker = Breaker::new(BreakerPolicy::default(), false);
        for _ in 0..5 {
            assert_eq!(breaker.failure(SECOND), None);
            assert_eq!(breaker.failure(SECOND), None);
            assert!(!breaker.success());
        }
        breaker.failure(SECOND);
        breaker.failure(SECOND);
        assert_eq!(breaker.failure(SECOND), Some(30 * SECOND));
        assert!(breaker.is_tripped());
    }

    #[test]
    fn open_time_doubles_up_to_the_cap_and_begins_anew_after_a_success() {
        let mut breaker = Breaker::new(BreakerPolicy::default(), true);
        let mut now = SECOND;
        let mut times = Vec::new();
        for _ in 0..7 {
            let open_for = breaker.failure(now).unwrap();
            assert!(!breaker.advance(now + open_for - SECOND));
            now += open_for;
            assert!(breaker.advance(now));
            times.push(open_for.as_secs());
        }
        assert_eq!(times, [30, 60, 120, 240, 480, 600, 600]);
        assert!(breaker.success());
        assert_eq!(breaker.trip(now), 30 * SECOND);
    }

    #[test]
    fn begins_half_open_where_it_was_open_before() {
        let mut breaker = Breaker::new(BreakerPolicy::default(), true);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.success());
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
