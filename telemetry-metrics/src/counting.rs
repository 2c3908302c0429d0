//! The sink that counts records by level and target.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Counter;
use telemetry_core::{Books, LEVELS, Record, Sink, SinkError, SinkStats, level_index};
use tracing::Metadata;

use crate::metric::Metric;
use crate::recorder::Handle;

/// Targets with series of their own where [`CountingSink::with_max_targets`]
/// says nothing else.
pub const DEFAULT_MAX_TARGETS: usize = 100;

/// The target under which all others are counted once there are too many.
pub const OTHER: &str = "other";

/// Counts records in `log_entries_total{level,target}`.
///
/// The first record of a target makes its series for all levels, so that
/// `increase()` sees the first error of a module that was heard of before.
/// Targets past the cap are counted as [`OTHER`], and
/// `telemetry_labels_folded_total` says how often that happened. The handle of a
/// callsite is kept: a later record of it costs one lookup by address, none in a
/// run of the same callsite, and allocates nothing. A run is added to the counter
/// at its end, and at the end of the batch.
///
/// Levels are written as in the log: `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE`.
pub struct CountingSink {
    state: Mutex<State>,
}

struct State {
    recorder: Handle,
    max_targets: usize,
    /// What the callsites count with.
    series: Vec<Series>,
    /// The place of a callsite in `series`.
    callsites: HashMap<Callsite, usize>,
    /// The callsite counted last, and its place: events come in runs.
    last: Option<(Callsite, usize)>,
    /// Records of the last callsite that its counter does not know of yet.
    run: u64,
    targets: HashMap<String, [Counter; LEVELS.len()]>,
    other: [Counter; LEVELS.len()],
    folded: Counter,
    books: Books,
}

/// The address of static metadata: level and target never change there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Callsite(usize);

/// What one callsite counts with.
struct Series {
    records: Counter,
    is_folded: bool,
}

impl CountingSink {
    /// A sink that counts in the metrics behind `recorder`.
    pub fn new(recorder: &Handle) -> Self {
        Self::with_max_targets(recorder, DEFAULT_MAX_TARGETS)
    }

    /// As [`new`](Self::new), with another cap of targets. Each target is five
    /// series.
    pub fn with_max_targets(recorder: &Handle, max_targets: usize) -> Self {
        Self {
            state: Mutex::new(State {
                max_targets,
                series: Vec::new(),
                callsites: HashMap::new(),
                last: None,
                run: 0,
                targets: HashMap::new(),
                other: series(recorder, OTHER),
                folded: recorder.counter(Metric::LabelsFolded, &[Metric::LogEntries.name()]),
                recorder: recorder.clone(),
                books: Books::new("counter"),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for CountingSink {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let mut state = self.state();
        state.books.accept(record)?;
        state.count(record);
        Ok(())
    }

    fn batch_end(&self) {
        self.state().end_run();
    }

    fn flush(&self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(&self, _: Duration) -> Result<(), SinkError> {
        let mut state = self.state();
        state.end_run();
        state.books.close();
        Ok(())
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        into.push(self.state().books.stats());
    }
}

impl State {
    fn count(&mut self, record: &Record<'_>) {
        let metadata = record.metadata();
        let callsite = Callsite(std::ptr::from_ref::<Metadata<'_>>(metadata).addr());
        if self.last.is_some_and(|(last, _)| last == callsite) {
            self.run += 1;
            return;
        }
        self.end_run();
        let (target, level) = (record.target(), level_index(record.level()));
        // Records of the `log` crate share the metadata of a stand-in and bring
        // their target along: nothing may be cached by callsite for them.
        if !std::ptr::eq(target, metadata.target()) {
            return self.find(target, level).count(1, &self.folded);
        }
        let place = match self.callsites.get(&callsite) {
            Some(&place) => place,
            None => {
                let series = self.find(target, level);
                self.series.push(series);
                self.callsites.insert(callsite, self.series.len() - 1);
                self.series.len() - 1
            }
        };
        self.last = Some((callsite, place));
        self.run = 1;
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if let Some((_, place)) = self.last.filter(|_| run > 0) {
            self.series[place].count(run, &self.folded);
        }
    }

    fn find(&mut self, target: &str, level: usize) -> Series {
        if let Some(known) = self.targets.get(target) {
            return Series::own(&known[level]);
        }
        if self.targets.len() >= self.max_targets {
            return Series {
                records: self.other[level].clone(),
                is_folded: true,
            };
        }
        let new = series(&self.recorder, target);
        let found = Series::own(&new[level]);
        self.targets.insert(target.to_owned(), new);
        found
    }
}

impl Series {
    fn own(records: &Counter) -> Self {
        Self {
            records: records.clone(),
            is_folded: false,
        }
    }

    fn count(&self, records: u64, folded: &Counter) {
        self.records.increment(records);
        if self.is_folded {
            folded.increment(records);
        }
    }
}

/// The counters of a target, in the order of [`LEVELS`].
fn series(recorder: &Handle, target: &str) -> [Counter; LEVELS.len()] {
    LEVELS.map(|level| recorder.counter(Metric::LogEntries, &[level.as_str(), target]))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use telemetry_core::{Capture, Identity, LossReason, Numbered};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn logging(sink: &Arc<CountingSink>, log: impl FnOnce()) {
        let identity = Identity::new(uuid::Uuid::nil());
        let capture = Capture::new(identity, Numbered::new(Arc::clone(sink)));
        let subscriber = tracing_subscriber::registry().with(capture);
        tracing::subscriber::with_default(subscriber, log);
    }

    fn shows(handle: &Handle, level: &str, target: &str, count: u64) {
        let line = format!("log_entries_total{{level=\"{level}\",target=\"{target}\"}} {count}");
        let text = handle.render();
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }

    fn folded(handle: &Handle, count: u64) {
        let line = format!("telemetry_labels_folded_total{{metric=\"log_entries_total\"}} {count}");
        let text = handle.render();
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }

    #[test]
    fn records_are_counted_by_level_and_target() {
        let handle = Handle::build(&[]).unwrap();
        let sink = Arc::new(CountingSink::new(&handle));
        logging(&sink, || {
            for _ in 0..3 {
                tracing::info!(target: "app::job", "done");
            }
            tracing::error!(target: "app::job", "failed");
            tracing::info!(target: "app::disk", "full");
        });
        shows(&handle, "INFO", "app::job", 3);
        shows(&handle, "ERROR", "app::job", 1);
        shows(&handle, "INFO", "app::disk", 1);
        folded(&handle, 0);
    }

    #[test]
    fn first_record_of_a_target_makes_all_its_levels() {
        let handle = Handle::build(&[]).unwrap();
        let sink = Arc::new(CountingSink::new(&handle));
        logging(&sink, || tracing::debug!(target: "app", "hello"));
        shows(&handle, "ERROR", "app", 0);
    }

    #[test]
    fn targets_past_the_cap_are_counted_as_other() {
        let handle = Handle::build(&[]).unwrap();
        let sink = Arc::new(CountingSink::with_max_targets(&handle, 1));
        logging(&sink, || {
            tracing::info!(target: "first", "hello");
            for _ in 0..2 {
                tracing::info!(target: "second", "hello");
            }
            tracing::warn!(target: "third", "hello");
            tracing::warn!(target: "first", "hello");
        });
        shows(&handle, "INFO", "first", 1);
        shows(&handle, "WARN", "first", 1);
        shows(&handle, "INFO", "other", 2);
        shows(&handle, "WARN", "other", 1);
        folded(&handle, 3);
        assert!(!handle.render().contains("target=\"second\""));
    }

    #[test]
    fn records_of_the_log_crate_are_counted_under_their_own_targets() {
        let handle = Handle::build(&[]).unwrap();
        let sink = Arc::new(CountingSink::with_max_targets(&handle, 2));
        logging(&sink, || {
            for target in ["lib::a", "lib::b", "lib::c", "lib::a"] {
                let record = log::Record::builder()
                    .level(log::Level::Warn)
                    .target(target)
                    .args(format_args!("careful"))
                    .build();
                tracing_log::format_trace(&record).unwrap();
            }
        });
        shows(&handle, "WARN", "lib::a", 2);
        shows(&handle, "WARN", "lib::b", 1);
        shows(&handle, "WARN", "other", 1);
        folded(&handle, 1);
    }

    #[test]
    fn closed_sink_drops_and_its_accounts_add_up() {
        let handle = Handle::build(&[]).unwrap();
        let sink = Arc::new(CountingSink::new(&handle));
        logging(&sink, || {
            tracing::info!("counted");
            sink.close(Duration::ZERO).unwrap();
            tracing::error!("too late");
        });
        let mut stats = Vec::new();
        sink.stats(&mut stats);
        let [stats] = &stats[..] else { panic!() };
        assert_eq!((stats.accepted, stats.delivered, stats.dropped), (2, 1, 1));
        let lost = stats.lost.of(LossReason::Shutdown, tracing::Level::ERROR);
        assert_eq!(lost, 1);
    }
}
