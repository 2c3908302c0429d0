//! The values of metrics, for a program that shows some of them itself.

use crate::table::escaped_value;

/// The series of one rendering and their values.
///
/// ```
/// use telemetry_metrics::Figures;
///
/// let figures = Figures::of("# TYPE pages_total counter\n\
///     pages_total{tray=\"upper\",size=\"A4\"} 3\n\
///     pages_total{tray=\"lower\",size=\"A4\"} 4\n");
/// assert_eq!(figures.sum("pages_total", &[("size", "A4")]), 7.0);
/// assert_eq!(figures.sum("pages_total", &[("tray", "upper")]), 3.0);
/// assert_eq!(figures.sum("pages_total", &[("tray", "none")]), 0.0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Figures<'a> {
    text: &'a str,
}

impl<'a> Figures<'a> {
    /// Reads what [`Handle::render`](crate::Handle::render) wrote. Values are
    /// looked for when they are asked for.
    pub fn of(text: &'a str) -> Self {
        Self { text }
    }

    /// The sum over all series of this name that have these labels, among others;
    /// 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let series = self.text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (written, value) = rest.rsplit_once(' ')?;
            let is_meant = match written.strip_prefix('{') {
                Some(written) => labels.iter().all(|label| has(written, label)),
                None => written.is_empty() && labels.is_empty(),
            };
            is_meant.then(|| value.parse::<f64>().ok())?
        });
        series.sum()
    }
}

/// Whether `name="value"` stands in the labels. A value with a quote in it is
/// written with a backslash before it, so a label cannot be faked inside of
/// another's value.
fn has(labels: &str, (name, value): &(&str, &str)) -> bool {
    let wanted = format!("{name}=\"{}\"", escaped_value(value));
    labels.match_indices(&wanted).any(|(place, _)| {
        let before = labels[..place].chars().next_back();
        matches!(before, None | Some(','))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_total With a_total in it 9\n# TYPE a_total counter\n\
                        a_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4\n\
                        a_total_more 100\na 0.5\nb{x=\"say \\\"y\\\"\"} 7\nb{ax=\"1\"} 1\n";

    #[test]
    fn series_are_added_up_by_name_and_labels() {
        let figures = Figures::of(TEXT);
        assert_eq!(figures.sum("a_total", &[]), 7.0);
        assert_eq!(figures.sum("a_total", &[("y", "3"), ("x", "1")]), 4.0);
        assert_eq!(figures.sum("a", &[]), 0.5);
        assert_eq!(figures.sum("a_total_more", &[("x", "1")]), 0.0);
        assert_eq!(figures.sum("nothing", &[]), 0.0);
    }

    #[test]
    fn quotes_in_values_and_ends_of_other_labels_do_not_mislead() {
        let figures = Figures::of(TEXT);
        assert_eq!(figures.sum("b", &[("x", "say \"y\"")]), 7.0);
        assert_eq!(figures.sum("b", &[("x", "1")]), 0.0);
    }
}
