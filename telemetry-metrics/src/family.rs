//! Families of metrics, and the series of a family that exist from the start.

use metrics::{Key, Label};

use crate::error::MetricsError;

/// A metric as Prometheus sees it: one name, one kind, one help text, a fixed
/// list of labels.
///
/// Define one as a constant, so that the name stands in one place only:
///
/// ```
/// use telemetry_metrics::{Family, Kind};
///
/// /// Pages printed, by tray.
/// const PAGES: Family = Family {
///     name: "printer_pages_total",
///     kind: Kind::Counter,
///     help: "Pages printed, by tray.",
///     labels: &["tray"],
/// };
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// The name on the wire, used exactly as given: with base units, and
    /// `_total` on counters, as `promtool check metrics` wants it.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// One sentence for people who see it for the first time.
    pub help: &'static str,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// How the values of a [`Family`] behave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, with these upper bounds of its buckets, ascending. The
    /// bucket `+Inf` comes by itself.
    Histogram(&'static [f64]),
}

impl Family {
    /// The key of one series, for [`metrics::Recorder`].
    ///
    /// # Panics
    /// If there are not as many values as labels: handles are made when a
    /// program starts, so that a mistake shows at once.
    pub fn key(&self, values: &[&str]) -> Key {
        assert_eq!(
            values.len(),
            self.labels.len(),
            "`{}` has the labels {:?}, but got the values {values:?}",
            self.name,
            self.labels,
        );
        let labels: Vec<Label> = self
            .labels
            .iter()
            .zip(values)
            .map(|(&name, &value)| Label::new(name, value.to_owned()))
            .collect();
        Key::from_parts(self.name, labels)
    }

    /// Finds what the exporter would silently change or render wrongly.
    pub(crate) fn check(&self) -> Result<(), MetricsError> {
        let invalid = |name| MetricsError::InvalidName {
            family: self.name,
            name,
        };
        if !is_name(self.name, true) {
            return Err(invalid(self.name));
        }
        if let Some(&label) = self.labels.iter().find(|label| !is_label(label)) {
            return Err(invalid(label));
        }
        match self.kind {
            Kind::Histogram(bounds) if !ascends(bounds) => {
                Err(MetricsError::Buckets { family: self.name })
            }
            _ => Ok(()),
        }
    }
}

/// A family together with the series that are there at 0 from the first scrape.
///
/// Without them `rate()` and `increase()` miss the first event of every series,
/// and an alert on the first error never fires.
///
/// ```
/// # use telemetry_metrics::{Family, Kind, Preset};
/// # const PAGES: Family = Family {
/// #     name: "printer_pages_total", kind: Kind::Counter, help: "Pages printed.",
/// #     labels: &["tray", "side"] };
/// let trays: Vec<String> = vec!["upper".into(), "lower".into()];
/// // Four series: every tray with every side.
/// let preset = Preset::of(PAGES).each("tray", &trays).each("side", ["front", "back"]);
/// ```
#[derive(Debug, Clone)]
pub struct Preset {
    pub(crate) family: Family,
    has_series: bool,
    values: Vec<(&'static str, Vec<String>)>,
}

impl Preset {
    /// The one series of a family without labels, or the start of a list for
    /// one with labels: each label then needs its [`each`](Self::each).
    pub fn of(family: impl Into<Family>) -> Self {
        Self {
            family: family.into(),
            has_series: true,
            values: Vec::new(),
        }
    }

    /// Help text and buckets only, for a family whose series somebody else makes.
    pub fn described(family: impl Into<Family>) -> Self {
        Self {
            has_series: false,
            ..Self::of(family)
        }
    }

    /// The known values of a label; the series are all combinations. An empty
    /// list makes no series.
    #[must_use]
    pub fn each<V: AsRef<str>>(
        mut self,
        label: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(|value| value.as_ref().to_owned());
        self.values.push((label, values.collect()));
        self
    }

    /// The label values of every series, in the order of the family's labels.
    pub(crate) fn series(&self) -> Result<Vec<Vec<&str>>, MetricsError> {
        self.refuse_unknown_labels()?;
        if !self.has_series {
            return Ok(Vec::new());
        }
        let mut series: Vec<Vec<&str>> = vec![Vec::new()];
        for label in self.family.labels {
            let values = self.values_of(label)?;
            series = series
                .iter()
                .flat_map(|start| values.iter().map(move |value| with(start, value)))
                .collect();
        }
        Ok(series)
    }

    fn values_of(&self, label: &'static str) -> Result<&[String], MetricsError> {
        self.values
            .iter()
            .find(|(name, _)| *name == label)
            .map(|(_, values)| values.as_slice())
            .ok_or(MetricsError::MissingLabel {
                family: self.family.name,
                label,
            })
    }

    fn refuse_unknown_labels(&self) -> Result<(), MetricsError> {
        match self
            .values
            .iter()
            .find(|(name, _)| !self.family.labels.contains(name))
        {
            None => Ok(()),
            Some(&(label, _)) => Err(MetricsError::UnknownLabel {
                family: self.family.name,
                label,
            }),
        }
    }
}

fn with<'a>(start: &[&'a str], value: &'a str) -> Vec<&'a str> {
    let mut longer = start.to_vec();
    longer.push(value);
    longer
}

fn is_name(name: &str, colon: bool) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colon && c == ':');
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// `le` belongs to buckets and `quantile` to summaries.
fn is_label(name: &str) -> bool {
    is_name(name, false) && name != "le" && name != "quantile"
}

fn ascends(bounds: &[f64]) -> bool {
    !bounds.is_empty() && bounds.windows(2).all(|pair| pair[0] < pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Family = Family {
        name: "two_total",
        kind: Kind::Counter,
        help: "For tests.",
        labels: &["a", "b"],
    };

    #[test]
    fn series_are_all_combinations_in_the_order_of_the_labels() {
        let preset = Preset::of(TWO).each("b", ["x", "y"]).each("a", ["1", "2"]);
        let series = preset.series().unwrap();
        assert_eq!(
            series,
            [["1", "x"], ["1", "y"], ["2", "x"], ["2", "y"]].map(|pair| pair.to_vec())
        );
    }

    #[test]
    fn label_without_values_is_refused() {
        let error = Preset::of(TWO).each("a", ["1"]).series().unwrap_err();
        assert!(matches!(
            error,
            MetricsError::MissingLabel { label: "b", .. }
        ));
    }

    #[test]
    fn label_that_the_family_lacks_is_refused() {
        let preset = Preset::of(TWO).each("a", ["1"]).each("c", ["2"]);
        assert!(matches!(
            preset.series().unwrap_err(),
            MetricsError::UnknownLabel { label: "c", .. }
        ));
    }

    #[test]
    fn empty_list_of_values_makes_no_series() {
        let preset = Preset::of(TWO)
            .each("a", ["1"])
            .each("b", Vec::<String>::new());
        assert!(preset.series().unwrap().is_empty());
    }

    #[test]
    fn described_family_has_no_series_and_needs_no_values() {
        assert!(Preset::described(TWO).series().unwrap().is_empty());
    }

    #[test]
    #[should_panic(expected = "has the labels")]
    fn wrong_number_of_values_panics() {
        TWO.key(&["1"]);
    }

    #[test]
    fn names_that_prometheus_refuses_are_refused() {
        for name in ["", "2fast", "with-dash", "ünicode", "with space"] {
            assert!(Family { name, ..TWO }.check().is_err(), "{name}");
        }
        for labels in [&["le"], &["quantile"], &["a:b"], &["a.b"]] {
            assert!(Family { labels, ..TWO }.check().is_err(), "{labels:?}");
        }
        TWO.check().unwrap();
    }

    #[test]
    fn buckets_that_do_not_ascend_are_refused() {
        for bounds in [&[][..], &[1.0, 1.0], &[2.0, 1.0], &[1.0, f64::NAN]] {
            let kind = Kind::Histogram(bounds);
            assert!(Family { kind, ..TWO }.check().is_err(), "{bounds:?}");
        }
    }
}
