//! The series of described families.
//!
//! Not those of `metrics-exporter-prometheus`, because a histogram of it loses
//! samples: it keeps each one until somebody folds them, and forgets those that
//! come while it folds (0.1 to 4 % of four busy threads' samples, see
//! `BENCHMARKS.md`). A scrape from it takes 1.1 ms too, since it copies every key,
//! label by label, into hash tables. Where name, kind, labels and buckets are known
//! beforehand, both are avoidable: a sample is counted in its bucket at once, and
//! the text of a series is made once and stays in order.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key};

use crate::family::{Family, Kind};

/// All described families, by name.
pub(crate) struct Table {
    families: BTreeMap<&'static str, Entry>,
}

struct Entry {
    family: Family,
    /// The comments before the series.
    head: String,
    /// By their labels, as they are written.
    series: RwLock<BTreeMap<String, Series>>,
}

#[derive(Clone)]
enum Series {
    Counter(Arc<AtomicU64>),
    /// The bits of a float.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

impl Table {
    /// Each name at most once.
    pub(crate) fn of(families: impl IntoIterator<Item = Family>) -> Self {
        let entries = families
            .into_iter()
            .map(|family| (family.name, Entry::new(family)));
        Self {
            families: entries.collect(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.families.contains_key(name)
    }

    /// The counter with this key, made at 0 where it is new; a dead one, and a
    /// warning, if the key does not fit its family. `None` without such a family.
    pub(crate) fn counter(&self, key: &Key) -> Option<Counter> {
        Some(match self.families.get(key.name())?.find(key) {
            Some(Series::Counter(value)) => Counter::from_arc(value),
            other => {
                misfit(key, other.is_some());
                Counter::noop()
            }
        })
    }

    /// As [`counter`](Self::counter).
    pub(crate) fn gauge(&self, key: &Key) -> Option<Gauge> {
        Some(match self.families.get(key.name())?.find(key) {
            Some(Series::Gauge(value)) => Gauge::from_arc(value),
            other => {
                misfit(key, other.is_some());
                Gauge::noop()
            }
        })
    }

    /// As [`counter`](Self::counter).
    pub(crate) fn histogram(&self, key: &Key) -> Option<Histogram> {
        Some(match self.families.get(key.name())?.find(key) {
            Some(Series::Histogram(buckets)) => Histogram::from_arc(buckets),
            other => {
                misfit(key, other.is_some());
                Histogram::noop()
            }
        })
    }

    /// Appends the families that have series, in the text format of Prometheus.
    pub(crate) fn render(&self, out: &mut String) {
        for entry in self.families.values() {
            let series = entry.series.read().unwrap_or_else(PoisonError::into_inner);
            if series.is_empty() {
                continue;
            }
            out.push_str(&entry.head);
            for (labels, series) in &*series {
                series.write(out, entry.family.name, labels);
            }
        }
    }
}

/// Two crates do not agree about a metric. The mistake is the program's, and no
/// reason to end it.
fn misfit(key: &Key, labels_fit: bool) {
    let what = if labels_fit { "kind" } else { "labels" };
    tracing::warn!(
        metric = key.name(),
        what,
        "a metric is not what it was described as, and counts nothing"
    );
}

impl Entry {
    fn new(family: Family) -> Self {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let (name, help) = (family.name, escaped_help(family.help));
        Self {
            family,
            head: format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
            series: RwLock::default(),
        }
    }

    /// The series with the labels of the key, which may come in any order;
    /// `None` if they are not those of the family.
    fn find(&self, key: &Key) -> Option<Series> {
        let labels = self.labels(key)?;
        let mut series = self.write();
        let found = series
            .entry(labels)
            .or_insert_with(|| Series::new(self.family.kind));
        Some(found.clone())
    }

    fn labels(&self, key: &Key) -> Option<String> {
        if key.labels().len() != self.family.labels.len() {
            return None;
        }
        let mut written = String::new();
        for name in self.family.labels {
            let label = key.labels().find(|label| label.key() == *name)?;
            let comma = if written.is_empty() { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(
                written,
                "{comma}{name}=\"{}\"",
                escaped_value(label.value())
            );
        }
        Some(written)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Series>> {
        self.series.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Series {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Arc::default()),
            Kind::Gauge => Self::Gauge(Arc::default()),
            Kind::Histogram(bounds) => Self::Histogram(Arc::new(Buckets::new(bounds))),
        }
    }

    /// Its lines. `labels` are without braces, and may be empty.
    fn write(&self, out: &mut String, name: &str, labels: &str) {
        match self {
            Self::Counter(value) => {
                let value = value.load(Ordering::Relaxed);
                line(out, &[name], labels, format_args!("{value}"));
            }
            Self::Gauge(bits) => {
                let value = f64::from_bits(bits.load(Ordering::Relaxed));
                line(out, &[name], labels, format_args!("{value}"));
            }
            Self::Histogram(buckets) => buckets.write(out, name, labels),
        }
    }
}

/// One line; `name` in parts.
fn line(out: &mut String, name: &[&str], labels: &str, value: std::fmt::Arguments<'_>) {
    name.iter().for_each(|part| out.push_str(part));
    if !labels.is_empty() {
        out.push('{');
        out.push_str(labels);
        out.push('}');
    }
    // Writing to a string cannot fail.
    let _ = writeln!(out, " {value}");
}

/// A histogram: counts by bucket, so that its size never changes.
struct Buckets {
    bounds: &'static [f64],
    /// By bound, not added up; the last one is for what is above all bounds.
    counts: Box<[AtomicU64]>,
    /// The bits of a float.
    sum: AtomicU64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::default()).collect(),
            sum: AtomicU64::default(),
        }
    }

    /// All lines agree about the count, whatever is recorded meanwhile; the sum
    /// may be a sample ahead or behind.
    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0;
        for (place, count) in self.counts.iter().enumerate() {
            below += count.load(Ordering::Relaxed);
            out.push_str(name);
            // Writing to a string cannot fail.
            let _ = match self.bounds.get(place) {
                Some(bound) => writeln!(out, "_bucket{{{labels}{comma}le=\"{bound}\"}} {below}"),
                None => writeln!(out, "_bucket{{{labels}{comma}le=\"+Inf\"}} {below}"),
            };
        }
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        line(out, &[name, "_sum"], labels, format_args!("{sum}"));
        line(out, &[name, "_count"], labels, format_args!("{below}"));
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        // What is no number is below no bound.
        let place = self.bounds.iter().position(|bound| value <= *bound);
        self.counts[place.unwrap_or(self.bounds.len())].fetch_add(1, Ordering::Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // It always has a new value, so it never fails.
        let _ = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

fn escaped_help(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', "\\n")
}

/// As the value of a label is written.
pub(crate) fn escaped_value(text: &str) -> String {
    escaped_help(text).replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use metrics::Label;

    use super::*;

    const JOBS: Family = Family {
        name: "jobs_total",
        kind: Kind::Counter,
        help: "Jobs \\ done.",
        labels: &["status", "place"],
    };
    const TIME: Family = Family {
        name: "job_duration_seconds",
        kind: Kind::Histogram(&[0.5, 2.0]),
        help: "Time of a job.",
        labels: &[],
    };
    const LEVEL: Family = Family {
        name: "tank_level_meters",
        kind: Kind::Gauge,
        help: "Level of the tank.",
        labels: &[],
    };

    fn table() -> Table {
        Table::of([TIME, JOBS, LEVEL])
    }

    fn rendered(table: &Table) -> String {
        let mut out = String::new();
        table.render(&mut out);
        out
    }

    #[test]
    fn families_and_series_are_written_in_order() {
        let table = table();
        let jobs = |status| table.counter(&JOBS.key(&[status, "here"])).unwrap();
        jobs("good").increment(3);
        jobs("bad").increment(1);
        table.gauge(&LEVEL.key(&[])).unwrap().set(1.5);
        let expected = [
            "# HELP jobs_total Jobs \\\\ done.",
            "# TYPE jobs_total counter",
            "jobs_total{status=\"bad\",place=\"here\"} 1",
            "jobs_total{status=\"good\",place=\"here\"} 3",
            "# HELP tank_level_meters Level of the tank.",
            "# TYPE tank_level_meters gauge",
            "tank_level_meters 1.5",
            "",
        ];
        assert_eq!(rendered(&table), expected.join("\n"));
    }

    #[test]
    fn values_on_a_bound_are_in_its_bucket() {
        let table = table();
        let time = table.histogram(&TIME.key(&[])).unwrap();
        for seconds in [0.25, 0.5, 0.75, 2.0, 60.0] {
            time.record(seconds);
        }
        let text = rendered(&table);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "job_duration_seconds_bucket{le=\"0.5\"} 2",
                "job_duration_seconds_bucket{le=\"2\"} 4",
                "job_duration_seconds_bucket{le=\"+Inf\"} 5",
                "job_duration_seconds_sum 63.5",
                "job_duration_seconds_count 5",
            ]
        );
    }

    #[test]
    fn what_is_no_number_is_counted_above_all_bounds() {
        let table = table();
        let time = table.histogram(&TIME.key(&[])).unwrap();
        time.record(f64::NAN);
        time.record(f64::INFINITY);
        let text = rendered(&table);
        assert!(text.contains("_bucket{le=\"2\"} 0\n"), "{text}");
        assert!(text.contains("_bucket{le=\"+Inf\"} 2\n"), "{text}");
    }

    #[test]
    fn values_of_labels_are_escaped() {
        let table = table();
        drop(table.counter(&JOBS.key(&["a\"b\\c\nd", "é"])));
        let text = rendered(&table);
        assert!(
            text.contains(r#"{status="a\"b\\c\nd",place="é"} 0"#),
            "{text}"
        );
    }

    #[test]
    fn labels_may_come_in_another_order() {
        let table = table();
        table
            .counter(&JOBS.key(&["good", "here"]))
            .unwrap()
            .increment(1);
        let labels = vec![Label::new("place", "here"), Label::new("status", "good")];
        let key = Key::from_parts("jobs_total", labels);
        table.counter(&key).unwrap().increment(1);
        let text = rendered(&table);
        assert!(
            text.ends_with("\njobs_total{status=\"good\",place=\"here\"} 2\n"),
            "{text}"
        );
    }

    #[test]
    fn what_does_not_fit_its_family_counts_nothing() {
        let table = table();
        let one_label = Key::from_parts("jobs_total", vec![Label::new("status", "good")]);
        let others = vec![Label::new("status", "good"), Label::new("colour", "red")];
        table.counter(&one_label).unwrap().increment(1);
        table
            .counter(&Key::from_parts("jobs_total", others))
            .unwrap()
            .increment(1);
        assert_eq!(rendered(&table), "");
        table.gauge(&JOBS.key(&["good", "here"])).unwrap().set(7.0);
        table.histogram(&LEVEL.key(&[])).unwrap().record(7.0);
        assert!(!rendered(&table).contains('7'));
    }

    #[test]
    fn families_of_others_are_none_of_its_business() {
        let table = table();
        assert!(table.counter(&Key::from_name("foreign_total")).is_none());
        assert!(!table.has("foreign_total") && table.has("jobs_total"));
    }

    #[test]
    fn no_sample_is_lost_between_threads_and_scrapes() {
        let table = Table::of([TIME]);
        let (threads, samples) = (4, 50_000);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let time = table.histogram(&TIME.key(&[])).unwrap();
                    (0..samples).for_each(|_| time.record(1.0));
                });
            }
            scope.spawn(|| (0..100).for_each(|_| drop(rendered(&table))));
        });
        let text = rendered(&table);
        let all = threads * samples;
        assert!(text.contains(&format!("_count {all}\n")), "{text}");
        assert!(text.contains(&format!("_sum {all}\n")), "{text}");
    }
}
