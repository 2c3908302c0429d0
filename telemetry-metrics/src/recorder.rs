//! The recorder: where all metrics of the process come together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::buckets;
use crate::collector::{Collector, Watched};
use crate::combined::Combined;
use crate::error::MetricsError;
use crate::family::{Family, Kind, Preset};
use crate::metric::{Metric, own_presets};
use crate::process::ProcessCollector;
use crate::table::Table;
use crate::upkeep::Upkeep;

/// Time between two collections where the configuration names none.
pub const DEFAULT_COLLECTION_INTERVAL: Duration = Duration::from_secs(15);

/// Time between two upkeeps where the configuration names none.
pub const DEFAULT_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Returns the value of a label without what nobody may see; the same one where
/// there is nothing of that.
pub type CleanLabel = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What the recorder knows from the start, and its timer.
#[derive(Clone)]
pub struct RecorderConfig {
    /// The families of the program and their first series. What this crate
    /// fills itself (process figures, accounts of sinks, the endpoint) comes in
    /// addition.
    pub presets: Vec<Preset>,
    /// How often collectors run: [`DEFAULT_COLLECTION_INTERVAL`]. Scrapes show
    /// the figures of the last run. At least 1 ms.
    pub collection_interval: Duration,
    /// How often samples of histograms that nobody described are folded into
    /// buckets: [`DEFAULT_UPKEEP_INTERVAL`]. Between two times every sample takes
    /// memory; those of described families ([`Preset`]) never do. At least 1 ms.
    pub upkeep_interval: Duration,
    /// What the value of each label goes through before its series is made,
    /// whoever makes it: none where this is `None`. It must not make series
    /// itself. Series that become the same count together.
    pub clean_label: Option<CleanLabel>,
}

impl std::fmt::Debug for RecorderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecorderConfig")
            .field("presets", &self.presets)
            .field("collection_interval", &self.collection_interval)
            .field("upkeep_interval", &self.upkeep_interval)
            .field("clean_label", &self.clean_label.is_some())
            .finish()
    }
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            presets: Vec::new(),
            collection_interval: DEFAULT_COLLECTION_INTERVAL,
            upkeep_interval: DEFAULT_UPKEEP_INTERVAL,
            clean_label: None,
        }
    }
}

/// The installed recorder and its thread, named `metrics-upkeep`.
///
/// Keep it until the process ends: dropping it ends the thread (within a
/// second), and then nobody folds histograms or collects figures any more.
#[must_use = "dropping it stops the upkeep of histograms and the collectors"]
#[derive(Debug)]
pub struct Recorder {
    handle: Handle,
    _upkeep: Upkeep,
}

impl Recorder {
    /// Makes a recorder, makes it the global one of the `metrics` facade, and
    /// starts its thread.
    ///
    /// Call it before anything else makes handles: those made earlier are dead
    /// for ever.
    ///
    /// # Errors
    /// [`MetricsError::AlreadyInstalled`], [`MetricsError::Thread`], and those
    /// of [`Handle::build`].
    pub fn install(config: RecorderConfig) -> Result<Self, MetricsError> {
        let handle = Handle::build_with(&config.presets, config.clean_label)?;
        metrics::set_global_recorder(Arc::clone(&handle.inner.recorder))
            .map_err(|_| MetricsError::AlreadyInstalled)?;
        handle.collect_at_intervals(ProcessCollector::new(&handle));
        let upkeep = Upkeep::start(
            handle.clone(),
            config.upkeep_interval,
            config.collection_interval,
        )?;
        Ok(Self {
            handle,
            _upkeep: upkeep,
        })
    }

    /// A handle, for all who render or register.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

/// Renders all metrics and makes handles of single series. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    recorder: Arc<Combined>,
    started: Instant,
    uptime: Gauge,
    at_scrapes: Mutex<Vec<Watched>>,
    at_intervals: Mutex<Vec<Watched>>,
}

impl Handle {
    /// A recorder that is not installed and has no thread: for tests, and for
    /// programs that combine recorders ([`recorder`](Self::recorder)) and call
    /// [`upkeep`](Self::upkeep) and [`collect`](Self::collect) themselves.
    ///
    /// # Errors
    /// Those of the definition of a family or preset:
    /// [`MetricsError::InvalidName`], [`MetricsError::Conflict`],
    /// [`MetricsError::Buckets`], [`MetricsError::MissingLabel`],
    /// [`MetricsError::UnknownLabel`].
    pub fn build(presets: &[Preset]) -> Result<Self, MetricsError> {
        Self::build_with(presets, None)
    }

    /// As [`build`](Self::build); values of labels go through `clean_label`
    /// ([`RecorderConfig::clean_label`]).
    ///
    /// # Errors
    /// Those of [`build`](Self::build).
    pub fn build_with(
        presets: &[Preset],
        clean_label: Option<CleanLabel>,
    ) -> Result<Self, MetricsError> {
        let own = own_presets();
        let presets: Vec<&Preset> = own.iter().chain(presets).collect();
        let described = Table::of(families(&presets)?);
        let recorder = Combined::new(described, exporter_for_others()?, clean_label);
        let handle = Self::around(Arc::new(recorder));
        for preset in presets {
            handle.register(preset)?;
        }
        Ok(handle)
    }

    /// The recorder behind it, to be installed or combined with others.
    pub fn recorder(&self) -> Arc<dyn metrics::Recorder + Send + Sync> {
        Arc::clone(&self.inner.recorder) as _
    }

    /// The counter with these label values; made at 0 where it is new.
    ///
    /// Making a handle costs a lookup and allocations, using one costs an
    /// atomic addition: make handles once and keep them.
    ///
    /// # Panics
    /// If the family is no counter, or has another number of labels.
    pub fn counter(&self, family: impl Into<Family>, values: &[&str]) -> Counter {
        let family = family.into();
        assert_kind(&family, family.kind == Kind::Counter, "counter");
        let key = family.key(values);
        self.inner.recorder.register_counter(&key, &METADATA)
    }

    /// The gauge with these label values; made at 0 where it is new.
    ///
    /// # Panics
    /// As [`counter`](Self::counter).
    pub fn gauge(&self, family: impl Into<Family>, values: &[&str]) -> Gauge {
        let family = family.into();
        assert_kind(&family, family.kind == Kind::Gauge, "gauge");
        let key = family.key(values);
        self.inner.recorder.register_gauge(&key, &METADATA)
    }

    /// The histogram with these label values; made empty where it is new.
    ///
    /// # Panics
    /// As [`counter`](Self::counter).
    pub fn histogram(&self, family: impl Into<Family>, values: &[&str]) -> Histogram {
        let family = family.into();
        let is_histogram = matches!(family.kind, Kind::Histogram(_));
        assert_kind(&family, is_histogram, "histogram");
        let key = family.key(values);
        self.inner.recorder.register_histogram(&key, &METADATA)
    }

    /// Runs a collector now and at each [`collect`](Self::collect).
    pub fn collect_at_intervals(&self, collector: impl Collector + 'static) {
        self.adopt(&self.inner.at_intervals, collector);
    }

    /// Runs a collector now and before each rendering: for figures that are
    /// cheap and must belong together.
    pub fn collect_at_scrapes(&self, collector: impl Collector + 'static) {
        self.adopt(&self.inner.at_scrapes, collector);
    }

    /// Everything in the text format of Prometheus, version 0.0.4, in a stable
    /// order.
    ///
    /// Takes CPU time in proportion to the series: not for an async thread.
    /// Renderings wait for each other, so that figures of one collection stand
    /// together in one answer.
    pub fn render(&self) -> String {
        let mut collectors = lock(&self.inner.at_scrapes);
        for collector in collectors.iter_mut() {
            collector.run(self);
        }
        self.inner.uptime.set(self.inner.started.elapsed());
        self.inner.recorder.render()
    }

    /// As [`render`](Self::render), but with the figures as they are: for a
    /// [`Collector`], which must not call that one.
    pub fn render_uncollected(&self) -> String {
        self.inner.recorder.render()
    }

    /// Runs the collectors of [`collect_at_intervals`](Self::collect_at_intervals).
    /// [`Recorder`] does it on its thread.
    pub fn collect(&self) {
        for collector in lock(&self.inner.at_intervals).iter_mut() {
            collector.run(self);
        }
    }

    /// Folds the samples of histograms that nobody described. [`Recorder`] does
    /// it on its thread.
    pub fn upkeep(&self) {
        self.inner.recorder.upkeep();
    }

    fn around(recorder: Arc<Combined>) -> Self {
        let uptime = recorder.register_gauge(&Metric::DaemonUptime.family().key(&[]), &METADATA);
        Self {
            inner: Arc::new(Inner {
                recorder,
                started: Instant::now(),
                uptime,
                at_scrapes: Mutex::default(),
                at_intervals: Mutex::default(),
            }),
        }
    }

    fn register(&self, preset: &Preset) -> Result<(), MetricsError> {
        for values in preset.series()? {
            match preset.family.kind {
                Kind::Counter => drop(self.counter(preset.family, &values)),
                Kind::Gauge => drop(self.gauge(preset.family, &values)),
                Kind::Histogram(_) => drop(self.histogram(preset.family, &values)),
            }
        }
        Ok(())
    }

    fn adopt(&self, list: &Mutex<Vec<Watched>>, collector: impl Collector + 'static) {
        let mut collector = Watched::new(self, Box::new(collector));
        collector.run(self);
        lock(list).push(collector);
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// The facade wants to know who registers; the exporter does not care.
static METADATA: Metadata<'static> = Metadata::new("telemetry_metrics", metrics::Level::INFO, None);

/// A collector that panics is stopped where it runs, so a lock that says
/// "poisoned" guards a list that is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn assert_kind(family: &Family, matches: bool, wanted: &str) {
    assert!(
        matches,
        "`{}` is a {:?}, not a {wanted}",
        family.name, family.kind
    );
}

/// The families of the presets, each once.
fn families(presets: &[&Preset]) -> Result<Vec<Family>, MetricsError> {
    let mut by_name: HashMap<&'static str, Family> = HashMap::new();
    for family in presets.iter().map(|preset| preset.family) {
        family.check()?;
        let first = *by_name.entry(family.name).or_insert(family);
        if first != family {
            return Err(MetricsError::Conflict {
                family: family.name,
            });
        }
    }
    // All metrics of the telemetry crates are described, whether preset or not:
    // a sink of theirs may register a series later.
    for family in Metric::ALL.map(Metric::family) {
        by_name.entry(family.name).or_insert(family);
    }
    Ok(by_name.into_values().collect())
}

/// For metrics that nobody described. Without buckets it would render quantiles
/// of their histograms, which cannot be added up.
fn exporter_for_others() -> Result<PrometheusRecorder, MetricsError> {
    let builder = PrometheusBuilder::new().set_buckets(buckets::REQUEST_SECONDS);
    let builder = builder.map_err(|_| MetricsError::Buckets { family: "fallback" })?;
    Ok(builder.build_recorder())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: Family = Family {
        name: "jobs_total",
        kind: Kind::Counter,
        help: "Jobs done.",
        labels: &["status"],
    };
    const TIME: Family = Family {
        name: "job_duration_seconds",
        kind: Kind::Histogram(&[0.5, 2.0]),
        help: "Time of a job.",
        labels: &[],
    };

    #[test]
    fn preset_series_are_rendered_at_zero_with_help() {
        let jobs = Preset::of(JOBS).each("status", ["good", "bad"]);
        let text = Handle::build(&[jobs]).unwrap().render();
        assert!(text.contains("# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\n"));
        assert!(text.contains("jobs_total{status=\"good\"} 0\n"));
        assert!(text.contains("jobs_total{status=\"bad\"} 0\n"));
    }

    #[test]
    fn preset_histogram_is_rendered_with_its_buckets_at_zero() {
        let text = Handle::build(&[Preset::of(TIME)]).unwrap().render();
        let block = [
            "# TYPE job_duration_seconds histogram",
            "job_duration_seconds_bucket{le=\"0.5\"} 0",
            "job_duration_seconds_bucket{le=\"2\"} 0",
            "job_duration_seconds_bucket{le=\"+Inf\"} 0",
            "job_duration_seconds_sum 0",
            "job_duration_seconds_count 0",
        ]
        .join("\n");
        assert!(text.contains(&block), "{text}");
    }

    #[test]
    fn samples_fall_into_their_buckets() {
        let handle = Handle::build(&[Preset::of(TIME)]).unwrap();
        let histogram = handle.histogram(TIME, &[]);
        for seconds in [0.25, 1.0, 1.5, 60.0] {
            histogram.record(seconds);
        }
        handle.upkeep();
        let text = handle.render();
        assert!(text.contains("job_duration_seconds_bucket{le=\"0.5\"} 1\n"));
        assert!(text.contains("job_duration_seconds_bucket{le=\"2\"} 3\n"));
        assert!(text.contains("job_duration_seconds_bucket{le=\"+Inf\"} 4\n"));
        assert!(text.contains("job_duration_seconds_sum 62.75\n"));
    }

    #[test]
    fn undescribed_metrics_follow_with_buckets() {
        let handle = Handle::build(&[]).unwrap();
        metrics::with_local_recorder(&*handle.recorder(), || {
            metrics::histogram!("foreign_seconds").record(0.3);
            metrics::describe_counter!("a_foreign_total", "Of somebody else.");
            metrics::counter!("a_foreign_total", "colour" => "red").increment(2);
        });
        let text = handle.render();
        assert!(text.contains("\n# HELP a_foreign_total Of somebody else.\n"));
        assert!(text.contains("\na_foreign_total{colour=\"red\"} 2\n"));
        assert!(text.contains("foreign_seconds_bucket{le=\"0.5\"} 1\n"));
        assert!(!text.contains("quantile"));
    }

    #[test]
    fn two_handles_of_a_series_count_together() {
        let handle = Handle::build(&[]).unwrap();
        handle.counter(JOBS, &["good"]).increment(2);
        handle.counter(JOBS, &["good"]).increment(3);
        assert!(handle.render().contains("jobs_total{status=\"good\"} 5\n"));
    }

    #[test]
    fn every_way_to_a_series_goes_through_the_cleaning_of_labels() {
        let secret = "s3cr3t";
        let clean: CleanLabel = Arc::new(|text| text.replace("s3cr3t", "***"));
        let jobs = Preset::of(JOBS).each("status", ["good", secret]);
        let handle = Handle::build_with(&[jobs], Some(clean)).unwrap();
        handle.counter(JOBS, &[secret]).increment(1);
        metrics::with_local_recorder(&*handle.recorder(), || {
            metrics::counter!("jobs_total", "status" => secret).increment(1);
            metrics::counter!("foreign_total", "a" => secret, "b" => "good").increment(3);
            metrics::gauge!("foreign_level", "a" => secret).set(4.0);
            metrics::histogram!("foreign_seconds", "a" => secret).record(0.3);
        });
        handle.upkeep();
        let text = handle.render();
        assert!(!text.contains(secret), "{text}");
        for line in [
            "jobs_total{status=\"***\"} 2\n",
            "jobs_total{status=\"good\"} 0\n",
            "foreign_total{a=\"***\",b=\"good\"} 3\n",
            "foreign_level{a=\"***\"} 4\n",
            "foreign_seconds_count{a=\"***\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn facade_may_give_labels_in_another_order() {
        let handle = Handle::build(&crate::metric::upload_presets()).unwrap();
        metrics::with_local_recorder(&*handle.recorder(), || {
            metrics::counter!("pocketbase_requests_total", "status" => "200", "method" => "POST")
                .increment(1);
        });
        let text = handle.render();
        let of_200: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("pocketbase_requests_total{") && line.contains("200"))
            .collect();
        assert_eq!(
            of_200,
            ["pocketbase_requests_total{method=\"POST\",status=\"200\"} 1"]
        );
    }

    #[test]
    fn family_defined_twice_in_different_ways_is_refused() {
        let other = Family {
            help: "Something else.",
            ..JOBS
        };
        let presets = [JOBS, other].map(|family| Preset::of(family).each("status", ["good"]));
        assert!(matches!(
            Handle::build(&presets).unwrap_err(),
            MetricsError::Conflict {
                family: "jobs_total"
            }
        ));
    }

    #[test]
    #[should_panic(expected = "not a gauge")]
    fn wrong_kind_panics() {
        let handle = Handle::build(&[]).unwrap();
        drop(handle.gauge(JOBS, &["good"]));
    }

    #[test]
    fn uptime_grows_from_scrape_to_scrape() {
        let handle = Handle::build(&[]).unwrap();
        let uptime = || -> f64 {
            let text = handle.render();
            let line = text
                .lines()
                .find(|line| line.starts_with("daemon_uptime_seconds "));
            line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
        };
        let first = uptime();
        assert!(first > 0.0);
        assert!(uptime() > first);
    }
}
