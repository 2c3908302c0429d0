//! When changes have settled.

use std::time::{Duration, Instant};

/// Waits for `debounce` without a change, but not longer than `max_delay` after
/// the first one.
#[derive(Debug)]
pub(super) struct Quiet {
    debounce: Duration,
    max_delay: Duration,
    changes: Option<Changes>,
}

#[derive(Debug)]
struct Changes {
    first: Instant,
    last: Instant,
}

impl Quiet {
    pub(super) fn new(debounce: Duration, max_delay: Duration) -> Self {
        Self {
            debounce,
            max_delay,
            changes: None,
        }
    }

    /// Something changed; `at` may be in the past, but not before the last call.
    pub(super) fn change(&mut self, at: Instant) {
        match &mut self.changes {
            Some(changes) => changes.last = at,
            None => {
                self.changes = Some(Changes {
                    first: at,
                    last: at,
                });
            }
        }
    }

    /// When to act, if anything changed.
    pub(super) fn due(&self) -> Option<Instant> {
        let changes = self.changes.as_ref()?;
        let settled = changes.last + self.debounce;
        Some(settled.min(changes.first + self.max_delay))
    }

    /// Whether to act now; then it begins anew.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            self.changes = None;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_a_change_nothing_is_due() {
        let mut quiet = Quiet::new(SECOND, 10 * SECOND);
        assert_eq!(quiet.due(), None);
        assert!(!quiet.take(Instant::now() + 100 * SECOND));
    }

    #[test]
    fn each_change_begins_the_quiet_period_anew() {
        let begin = Instant::now();
        let mut quiet = Quiet::new(SECOND, 10 * SECOND);
        quiet.change(begin);
        quiet.change(begin + SECOND / 2);
        assert!(!quiet.take(begin + SECOND));
        assert!(quiet.take(begin + SECOND * 3 / 2));
        assert_eq!(quiet.due(), None, "one change is told once");
    }

    #[test]
    fn changes_without_an_end_are_told_after_the_longest_delay() {
        let begin = Instant::now();
        let mut quiet = Quiet::new(SECOND, 3 * SECOND);
        let mut told = 0;
        for tenth in 0..100 {
            let now = begin + SECOND / 10 * tenth;
            quiet.change(now);
            told += u32::from(quiet.take(now));
        }
        assert_eq!(told, 3, "in ten seconds");
    }

    #[test]
    fn no_debounce_tells_at_once() {
        let begin = Instant::now();
        let mut quiet = Quiet::new(Duration::ZERO, Duration::ZERO);
        quiet.change(begin);
        assert!(quiet.take(begin));
    }
}
