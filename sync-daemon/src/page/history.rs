//! Files and bytes by the minute, for the last hour.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use telemetry_metrics::Figures;

/// How far the page looks back.
const MINUTES: usize = 60;

/// The operations that changed something.
const CHANGES: [&str; 3] = ["created", "updated", "deleted"];

/// What was mirrored in the last hour.
pub(super) struct History {
    started: Instant,
    hour: Mutex<Hour>,
}

/// The minutes of the last hour, the oldest first; fewer when the daemon is younger.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Hour {
    pub(super) minutes: VecDeque<Totals>,
    /// The minute of the last element, counted from the start.
    minute: u64,
    /// The counters as they were the last time.
    before: Totals,
}

/// Entries changed and bytes written.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) files: f64,
    pub(super) bytes: f64,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            hour: Mutex::default(),
        }
    }

    /// Takes down what the counters of the jobs have grown by since the last time.
    pub(super) fn sample(&self, metrics: &str) {
        let figures = Figures::of(metrics);
        let changed =
            |operation| figures.sum("sync_files_processed_total", &[("operation", operation)]);
        let totals = Totals {
            files: CHANGES.into_iter().map(changed).sum(),
            bytes: figures.sum("sync_bytes_transferred_total", &[]),
        };
        let minute = self.started.elapsed().as_secs() / 60;
        self.lock().add(minute, totals);
    }

    pub(super) fn hour(&self) -> Hour {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Hour> {
        self.hour.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hour {
    /// Two threads may come with samples in the wrong order: the older one adds nothing.
    fn add(&mut self, minute: u64, totals: Totals) {
        let missing = if self.minutes.is_empty() {
            1
        } else {
            minute.saturating_sub(self.minute)
        };
        for _ in 0..missing.min(MINUTES as u64) {
            self.minutes.push_back(Totals::default());
        }
        while self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
        self.minute = self.minute.max(minute);
        if let Some(now) = self.minutes.back_mut() {
            now.files += (totals.files - self.before.files).max(0.0);
            now.bytes += (totals.bytes - self.before.bytes).max(0.0);
        }
        self.before.files = self.before.files.max(totals.files);
        self.before.bytes = self.before.bytes.max(totals.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(hour: &Hour) -> Vec<f64> {
        hour.minutes.iter().map(|minute| minute.files).collect()
    }

    fn totals(files: f64) -> Totals {
        Totals { files, bytes: 0.0 }
    }

    #[test]
    fn growth_is_taken_down_in_its_minute() {
        let mut hour = Hour::default();
        for (minute, total) in [(0, 2.0), (0, 5.0), (1, 5.0), (3, 9.0)] {
            hour.add(minute, totals(total));
        }
        assert_eq!(files(&hour), [5.0, 0.0, 0.0, 4.0]);
    }

    #[test]
    fn only_the_last_hour_is_kept() {
        let mut hour = Hour::default();
        for minute in 0..100_u32 {
            hour.add(u64::from(minute), totals(f64::from(minute + 1)));
        }
        assert_eq!(files(&hour), [1.0; 60]);
        hour.add(1000, totals(107.0));
        assert_eq!(hour.minutes.len(), 60);
        assert_eq!(files(&hour).iter().sum::<f64>(), 7.0);
    }

    #[test]
    fn sample_that_comes_too_late_adds_nothing() {
        let mut hour = Hour::default();
        hour.add(1, totals(10.0));
        hour.add(0, totals(8.0));
        hour.add(1, totals(11.0));
        assert_eq!(files(&hour), [11.0]);
    }

    #[test]
    fn only_changes_are_counted_of_all_jobs() {
        let history = History::new();
        history.sample(
            "sync_files_processed_total{job_id=\"a\",operation=\"created\"} 3\n\
             sync_files_processed_total{job_id=\"b\",operation=\"deleted\"} 4\n\
             sync_files_processed_total{job_id=\"a\",operation=\"unchanged\"} 500\n\
             sync_bytes_transferred_total{job_id=\"a\"} 70\n\
             sync_bytes_transferred_total{job_id=\"b\"} 7\n",
        );
        let expected = Totals {
            files: 7.0,
            bytes: 77.0,
        };
        assert_eq!(history.hour().minutes, [expected]);
    }
}
