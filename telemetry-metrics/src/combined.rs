//! The recorder that the facade sees.

use std::borrow::Cow;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};

use crate::exposition;
use crate::recorder::CleanLabel;
use crate::table::Table;

/// Described families in a [`Table`]; the exporter takes those that nobody
/// described, whatever their names and labels are.
pub(crate) struct Combined {
    described: Table,
    others: PrometheusRecorder,
    of_others: PrometheusHandle,
    clean_label: Option<CleanLabel>,
}

impl Combined {
    pub(crate) fn new(
        described: Table,
        others: PrometheusRecorder,
        clean_label: Option<CleanLabel>,
    ) -> Self {
        Self {
            described,
            of_others: others.handle(),
            others,
            clean_label,
        }
    }

    /// Everything in the text format of Prometheus: first what was described,
    /// then the rest, each in a stable order.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        self.described.render(&mut text);
        let others = self.of_others.render();
        if !others.is_empty() {
            text.push_str(&exposition::sorted(&others));
        }
        text
    }

    /// Folds the samples of histograms that nobody described.
    pub(crate) fn upkeep(&self) {
        self.of_others.run_upkeep();
    }

    /// The key with clean values of labels. A series is made once and its handle
    /// kept, so that this costs nothing where something is counted.
    fn cleaned<'k>(&self, key: &'k Key) -> Cow<'k, Key> {
        let Some(clean) = &self.clean_label else {
            return Cow::Borrowed(key);
        };
        let mut is_changed = false;
        let cleaned = |label: &Label| {
            let value = clean(label.value());
            if value == label.value() {
                return label.clone();
            }
            is_changed = true;
            Label::new(label.key().to_owned(), value)
        };
        let labels: Vec<Label> = key.labels().map(cleaned).collect();
        match is_changed {
            true => Cow::Owned(Key::from_parts(key.name().to_owned(), labels)),
            false => Cow::Borrowed(key),
        }
    }
}

/// A family that was described has its help text already.
impl Recorder for Combined {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        if !self.described.has(name.as_str()) {
            self.others.describe_counter(name, unit, help);
        }
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        if !self.described.has(name.as_str()) {
            self.others.describe_gauge(name, unit, help);
        }
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        if !self.described.has(name.as_str()) {
            self.others.describe_histogram(name, unit, help);
        }
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let key = self.cleaned(key);
        let described = self.described.counter(&key);
        described.unwrap_or_else(|| self.others.register_counter(&key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let key = self.cleaned(key);
        let described = self.described.gauge(&key);
        described.unwrap_or_else(|| self.others.register_gauge(&key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let key = self.cleaned(key);
        let described = self.described.histogram(&key);
        described.unwrap_or_else(|| self.others.register_histogram(&key, metadata))
    }
}
