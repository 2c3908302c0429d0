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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    use super::*;

    /// Keeps what is counted under each rule.
    #[derive(Default)]
    struct Kept(Mutex<Vec<(String, Arc<Total>)>>);

    #[derive(Default)]
    struct Total(AtomicU64);

    impl CounterFn for Total {
        fn increment(&self, value: u64) {
            self.0.fetch_add(value, Ordering::Relaxed);
        }
        fn absolute(&self, value: u64) {
            self.0.store(value, Ordering::Relaxed);
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            assert_eq!(key.name(), "log_redactions_total");
            let rule = key.labels().next().unwrap().value().to_owned();
            let total = Arc::<Total>::default();
            self.0.lock().unwrap().push((rule, Arc::clone(&total)));
            Counter::from_arc(total)
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn each_rule_has_a_metric_from_the_start_and_counting_reaches_it() {
        let recorder = Kept::default();
        let rules = vec!["password".to_owned(), "jwt".to_owned()];
        let counts = metrics::with_local_recorder(&recorder, || Counts::new(rules));
        counts.add(0, 2);
        let kept = recorder.0.lock().unwrap();
        let totals: Vec<_> = kept
            .iter()
            .map(|(rule, total)| (rule.as_str(), total.0.load(Ordering::Relaxed)))
            .collect();
        assert_eq!(totals, [("password", 2), ("jwt", 0)]);
        assert_eq!(counts.all(), [("password", 2), ("jwt", 0)]);
    }
}
