//! How often each rule has replaced something.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Counter;

/// One counter a rule: for reports, and as `log_redactions_total{rule}`. The
/// handles are made once, so that counting looks up nothing.
pub(crate) struct Counts {
    rules: Vec<Count>,
}

struct Count {
    rule: String,
    total: AtomicU64,
    metric: Counter,
}

impl Counts {
    /// Registers every rule at 0.
    pub(crate) fn new(rules: Vec<String>) -> Self {
        metrics::describe_counter!(
            "log_redactions_total",
            "Secrets and home directories replaced in log records, by rule."
        );
        let count = |rule: String| {
            let metric = metrics::counter!("log_redactions_total", "rule" => rule.clone());
            metric.increment(0);
            Count {
                rule,
                total: AtomicU64::new(0),
                metric,
            }
        };
        Self {
            rules: rules.into_iter().map(count).collect(),
        }
    }

    pub(crate) fn add(&self, rule: usize, times: u64) {
        let count = &self.rules[rule];
        count.total.fetch_add(times, Ordering::Relaxed);
        count.metric.increment(times);
    }

    pub(crate) fn all(&self) -> Vec<(&str, u64)> {
        let pair = |count: &'_ Count| count.total.load(Ordering::Relaxed);
        self.rules
            .iter()
            .map(|count| (count.rule.as_str(), pair(count)))
            .collect()
    }
}
