//! What fills metrics from outside: figures of the process, accounts of sinks.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use metrics::Counter;

use crate::metric::Metric;
use crate::recorder::Handle;

/// Why a collector got no figures.
pub type CollectError = Box<dyn std::error::Error + Send + Sync>;

/// Fills metrics when asked: at intervals, or before each scrape.
///
/// If it fails or panics, what it set before stays, and the failure is counted
/// in `telemetry_collection_errors_total{collector}`; it is asked again the next
/// time. It must not call [`Handle::render`], [`Handle::collect`] or register
/// another collector: it would wait for itself.
pub trait Collector: Send {
    /// Its name in metrics and logs.
    fn name(&self) -> &'static str;

    /// Sets its metrics. `recorder` makes handles of series that are new.
    ///
    /// # Errors
    /// Whatever kept it from knowing all of its figures.
    fn collect(&mut self, recorder: &Handle) -> Result<(), CollectError>;
}

/// A collector whose failures are counted, and told once for each trouble.
pub(crate) struct Watched {
    collector: Box<dyn Collector>,
    errors: Counter,
    failing: bool,
}

impl Watched {
    pub(crate) fn new(recorder: &Handle, collector: Box<dyn Collector>) -> Self {
        Self {
            errors: recorder.counter(Metric::CollectionErrors, &[collector.name()]),
            collector,
            failing: false,
        }
    }

    pub(crate) fn run(&mut self, recorder: &Handle) {
        let name = self.collector.name();
        match self.attempt(recorder) {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!(collector = name, "metrics are collected again");
            }
            Ok(()) => {}
            Err(error) => {
                self.errors.increment(1);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        collector = name,
                        error,
                        "cannot collect metrics, the last values stay"
                    );
                }
            }
        }
    }

    fn attempt(&mut self, recorder: &Handle) -> Result<(), String> {
        // A collector only sets metrics, which are whole at any time.
        let collect = AssertUnwindSafe(|| self.collector.collect(recorder));
        match catch_unwind(collect) {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(panic) => Err(format!("panicked: {}", panic_text(&*panic))),
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::{Family, Kind};

    const LEVEL: Family = Family {
        name: "tank_level_meters",
        kind: Kind::Gauge,
        help: "Level of the tank.",
        labels: &[],
    };

    /// Answers, fails, panics, answers.
    struct Tank(u32);

    impl Collector for Tank {
        fn name(&self) -> &'static str {
            "tank"
        }

        fn collect(&mut self, recorder: &Handle) -> Result<(), CollectError> {
            self.0 += 1;
            match self.0 {
                2 => Err("the sensor is away".into()),
                3 => panic!("the sensor is mad"),
                reading => {
                    recorder.gauge(LEVEL, &[]).set(f64::from(reading));
                    Ok(())
                }
            }
        }
    }

    fn shows(handle: &Handle, level: u32, errors: u32) {
        let text = handle.render();
        let level = format!("tank_level_meters {level}\n");
        let errors = format!("telemetry_collection_errors_total{{collector=\"tank\"}} {errors}\n");
        assert!(text.contains(&level), "{text}");
        assert!(text.contains(&errors), "{text}");
    }

    #[test]
    fn failing_collector_keeps_its_last_value_counts_and_recovers() {
        let handle = Handle::build(&[]).unwrap();
        handle.collect_at_intervals(Tank(0));
        shows(&handle, 1, 0);
        handle.collect();
        shows(&handle, 1, 1);
        handle.collect();
        shows(&handle, 1, 2);
        handle.collect();
        shows(&handle, 4, 2);
    }

    #[test]
    fn interval_collector_is_not_run_by_scrapes() {
        let handle = Handle::build(&[]).unwrap();
        handle.collect_at_intervals(Tank(3));
        shows(&handle, 4, 0);
        shows(&handle, 4, 0);
    }

    #[test]
    fn scrape_collector_is_run_by_each_scrape() {
        let handle = Handle::build(&[]).unwrap();
        handle.collect_at_scrapes(Tank(3));
        shows(&handle, 5, 0);
        shows(&handle, 6, 0);
    }
}
