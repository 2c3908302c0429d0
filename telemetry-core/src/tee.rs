//! One pipeline, several destinations.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::complain::complain;
use crate::record::Record;
use crate::sink::{LossReason, Losses, Records, Sink, SinkError, SinkStats, Take};
use crate::{deadline_after, lock};

/// Gives each record to several sinks, in order.
///
/// A sink that fails, refuses or panics does not hurt the others. A panic is
/// reported once on stderr, counted as a loss of that sink, and the sink is
/// tried again with the next record. [`flush`](Sink::flush) and
/// [`close`](Sink::close) go through the sinks in order and share one limit:
/// each has an equal part of what those before have left, so that one that hangs
/// does not use up the time of the others. Put last what should be closed last.
pub struct Tee {
    branches: Vec<Branch>,
}

struct Branch {
    sink: Box<dyn Sink>,
    panics: Mutex<Losses>,
}

impl Tee {
    /// A tee of these sinks.
    pub fn of(sinks: impl IntoIterator<Item = Box<dyn Sink>>) -> Self {
        let branches = sinks
            .into_iter()
            .map(|sink| Branch {
                sink,
                panics: Mutex::default(),
            })
            .collect();
        Self { branches }
    }

    /// Does the same with every sink under one limit; returns the first error.
    fn in_order(
        &self,
        limit: Duration,
        mut act: impl FnMut(&dyn Sink, Duration) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let deadline = deadline_after(limit);
        let mut first_error = None;
        for (place, branch) in self.branches.iter().enumerate() {
            let rest = deadline.saturating_duration_since(Instant::now());
            let part = rest / (self.branches.len() - place) as u32;
            let result = catch_unwind(AssertUnwindSafe(|| act(&*branch.sink, part)));
            first_error = first_error.or(result.unwrap_or_else(|_| Err(panicked())).err());
        }
        first_error.map_or(Ok(()), Err)
    }
}

impl Branch {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        catch_unwind(AssertUnwindSafe(|| self.sink.write(record))).unwrap_or_else(|_| {
            self.lose(record);
            Ok(())
        })
    }

    /// Counts a record on which the sink panicked.
    #[cold]
    fn lose(&self, record: &Record<'_>) {
        let mut panics = lock(&self.panics);
        if panics.total() == 0 {
            complain(
                "a sink panicked; the record is lost and counted, and the sink is tried again",
            );
        }
        panics.add(LossReason::SinkPanicked, record.level(), 1);
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        let first = into.len();
        self.sink.stats(into);
        let panics = lock(&self.panics);
        if let Some(own) = into.get_mut(first) {
            // The sink could not count what it panicked on.
            own.accepted += panics.total();
            own.dropped += panics.total();
            for (reason, level, count) in panics.iter() {
                own.lost.add(reason, level, count);
            }
        }
    }
}

/// Writes records to these branches, and gives each to `others` before: the
/// branches are entered one inside the other, so that each record is lent once
/// and all share its JSON.
fn write_all(branches: &[Branch], others: &mut Take<'_>, records: &mut Records<'_>) {
    let Some((branch, rest)) = branches.split_first() else {
        return records.for_each(others);
    };
    let mut is_entered = false;
    // A panic over a record is caught below, and one after all of them has lost none.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        branch.sink.write_all(&mut Records::new(&mut |take| {
            is_entered = true;
            let mut both = |record: &Record<'_>| {
                others(record);
                if catch_unwind(AssertUnwindSafe(|| take(record))).is_err() {
                    branch.lose(record);
                }
            };
            write_all(rest, &mut both, records);
        }));
    }));
    if !is_entered {
        let mut both = |record: &Record<'_>| {
            others(record);
            branch.lose(record);
        };
        write_all(rest, &mut both, records);
    }
}

impl Sink for Tee {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        let mut first_error = None;
        for branch in &self.branches {
            if let Err(error) = branch.write(record) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn write_all(&self, records: &mut Records<'_>) {
        write_all(&self.branches, &mut |_| {}, records);
    }

    fn batch_end(&self) {
        for branch in &self.branches {
            // What it could not write it counts when it is asked again.
            let _ = catch_unwind(AssertUnwindSafe(|| branch.sink.batch_end()));
        }
    }

    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        self.in_order(limit, |sink, rest| sink.flush(rest))
    }

    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        self.in_order(limit, |sink, rest| sink.close(rest))
    }

    fn reopen(&self) {
        for branch in &self.branches {
            // The panic was reported by the hook; the next write shows the damage.
            let _ = catch_unwind(AssertUnwindSafe(|| branch.sink.reopen()));
        }
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        self.branches.iter().for_each(|branch| branch.stats(into));
    }
}

fn panicked() -> SinkError {
    SinkError::Failed {
        sink: "tee",
        source: "one of its sinks panicked".into(),
    }
}
