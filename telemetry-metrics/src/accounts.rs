//! The accounts of the sinks as metrics.

use std::collections::HashMap;

use metrics::{Counter, Gauge};
use telemetry_core::{LEVELS, LossReason, Sink, SinkStats};

use crate::collector::{CollectError, Collector};
use crate::metric::{Metric, OUTCOMES};
use crate::recorder::Handle;

/// Exports what became of the records of every sink:
/// `telemetry_records_total{sink,outcome}`, `telemetry_records_pending{sink}`
/// and `telemetry_records_lost_total{sink,reason,level}`.
///
/// All figures of a sink in one scrape come from one snapshot, so that
/// `accepted = delivered + dropped + rejected + pending` holds in what
/// Prometheus stores. Give it to [`Handle::collect_at_scrapes`]; every sink is
/// then there at 0.
///
/// ```
/// use std::sync::Arc;
/// use telemetry_core::{MemorySink, Sink};
/// use telemetry_metrics::{Handle, SinkAccounts};
///
/// let pipeline: Arc<dyn Sink> = Arc::new(MemorySink::new());
/// let handle = Handle::build(&[])?;
/// handle.collect_at_scrapes(SinkAccounts::of(Arc::clone(&pipeline)));
/// let text = handle.render();
/// assert!(text.contains(r#"telemetry_records_total{sink="memory",outcome="accepted"} 0"#));
/// # Ok::<(), telemetry_metrics::MetricsError>(())
/// ```
pub struct SinkAccounts {
    read: ReadStats,
    /// Reused, so that a scrape allocates less.
    stats: Vec<SinkStats>,
    rows: HashMap<String, Row>,
}

/// Appends the accounts of all sinks.
type ReadStats = Box<dyn FnMut(&mut Vec<SinkStats>) + Send>;

impl SinkAccounts {
    /// The accounts of a sink and of those that it holds.
    pub fn of(sink: impl Sink + 'static) -> Self {
        Self::reading(move |into| sink.stats(into))
    }

    /// The accounts that `read` appends; for sinks in several pipelines. Each
    /// entry must be a consistent snapshot, and names must differ: of two
    /// entries with the same name the first counts, and the scrape counts a
    /// collection error.
    pub fn reading(read: impl FnMut(&mut Vec<SinkStats>) + Send + 'static) -> Self {
        Self {
            read: Box::new(read),
            stats: Vec::new(),
            rows: HashMap::new(),
        }
    }
}

impl Collector for SinkAccounts {
    fn name(&self) -> &'static str {
        "sinks"
    }

    fn collect(&mut self, recorder: &Handle) -> Result<(), CollectError> {
        self.stats.clear();
        (self.read)(&mut self.stats);
        let mut twice = None;
        for (place, stats) in self.stats.iter().enumerate() {
            let same_name = |other: &SinkStats| other.name == stats.name;
            if self.stats[..place].iter().any(same_name) {
                twice = Some(stats.name.to_string());
                continue;
            }
            if !self.rows.contains_key(&*stats.name) {
                let row = Row::new(recorder, &stats.name);
                self.rows.insert(stats.name.to_string(), row);
            }
            self.rows[&*stats.name].set(stats);
        }
        match twice {
            None => Ok(()),
            Some(name) => Err(format!("two sinks have the name `{name}`").into()),
        }
    }
}

/// The series of one sink.
struct Row {
    /// In the order of [`OUTCOMES`].
    outcomes: [Counter; OUTCOMES.len()],
    pending: Gauge,
    /// In the order of [`LossReason::ALL`] and [`LEVELS`].
    lost: [[Counter; LEVELS.len()]; LossReason::ALL.len()],
}

impl Row {
    fn new(recorder: &Handle, sink: &str) -> Self {
        Self {
            outcomes: OUTCOMES.map(|outcome| recorder.counter(Metric::Records, &[sink, outcome])),
            pending: recorder.gauge(Metric::RecordsPending, &[sink]),
            lost: LossReason::ALL.map(|reason| {
                LEVELS.map(|level| {
                    let labels = [sink, reason.as_str(), level.as_str()];
                    recorder.counter(Metric::RecordsLost, &labels)
                })
            }),
        }
    }

    fn set(&self, stats: &SinkStats) {
        let values = [
            stats.accepted,
            stats.delivered,
            stats.dropped,
            stats.rejected,
        ];
        for (counter, value) in self.outcomes.iter().zip(values) {
            counter.absolute(value);
        }
        self.pending.set(stats.pending as f64);
        for (levels, reason) in self.lost.iter().zip(LossReason::ALL) {
            for (counter, level) in levels.iter().zip(LEVELS) {
                counter.absolute(stats.lost.of(reason, level));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use telemetry_core::Losses;
    use tracing::Level;

    use super::*;

    fn shows(text: &str, line: &str) {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }

    fn stats(name: &'static str) -> SinkStats {
        SinkStats {
            name: name.into(),
            ..SinkStats::default()
        }
    }

    #[test]
    fn every_sink_has_every_row_at_zero() {
        let handle = Handle::build(&[]).unwrap();
        let sinks = ["queue", "file"];
        handle.collect_at_scrapes(SinkAccounts::reading(move |into| {
            into.extend(sinks.map(stats));
        }));
        let text = handle.render();
        for sink in sinks {
            for outcome in OUTCOMES {
                let labels = format!("sink=\"{sink}\",outcome=\"{outcome}\"");
                shows(&text, &format!("telemetry_records_total{{{labels}}} 0"));
            }
            shows(
                &text,
                &format!("telemetry_records_pending{{sink=\"{sink}\"}} 0"),
            );
            for reason in LossReason::ALL {
                for level in LEVELS {
                    let reason = reason.as_str();
                    let labels = format!("sink=\"{sink}\",reason=\"{reason}\",level=\"{level}\"");
                    shows(
                        &text,
                        &format!("telemetry_records_lost_total{{{labels}}} 0"),
                    );
                }
            }
        }
    }

    #[test]
    fn each_scrape_shows_one_snapshot() {
        let handle = Handle::build(&[]).unwrap();
        let current = Arc::new(Mutex::new(stats("queue")));
        let read = Arc::clone(&current);
        handle.collect_at_scrapes(SinkAccounts::reading(move |into| {
            into.push(read.lock().unwrap().clone());
        }));
        let mut lost = Losses::default();
        lost.add(LossReason::QueueFull, Level::DEBUG, 3);
        lost.add(LossReason::Refused, Level::WARN, 1);
        *current.lock().unwrap() = SinkStats {
            accepted: 20,
            delivered: 9,
            dropped: 3,
            rejected: 1,
            pending: 7,
            lost,
            ..stats("queue")
        };
        let text = handle.render();
        for line in [
            "telemetry_records_total{sink=\"queue\",outcome=\"accepted\"} 20",
            "telemetry_records_total{sink=\"queue\",outcome=\"delivered\"} 9",
            "telemetry_records_total{sink=\"queue\",outcome=\"dropped\"} 3",
            "telemetry_records_total{sink=\"queue\",outcome=\"rejected\"} 1",
            "telemetry_records_pending{sink=\"queue\"} 7",
            "telemetry_records_lost_total{sink=\"queue\",reason=\"queue_full\",level=\"DEBUG\"} 3",
            "telemetry_records_lost_total{sink=\"queue\",reason=\"refused\",level=\"WARN\"} 1",
        ] {
            shows(&text, line);
        }
    }

    #[test]
    fn two_sinks_with_one_name_are_a_collection_error() {
        let handle = Handle::build(&[]).unwrap();
        handle.collect_at_scrapes(SinkAccounts::reading(|into| {
            into.push(SinkStats {
                accepted: 1,
                ..stats("file")
            });
            into.push(SinkStats {
                accepted: 2,
                ..stats("file")
            });
        }));
        let text = handle.render();
        shows(
            &text,
            "telemetry_records_total{sink=\"file\",outcome=\"accepted\"} 1",
        );
        shows(
            &text,
            "telemetry_collection_errors_total{collector=\"sinks\"} 2",
        );
    }
}
