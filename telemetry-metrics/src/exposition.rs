//! The text format of Prometheus, put in order.

/// The version of the text format that [`Handle::render`](crate::Handle::render)
/// writes, as a content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The same exposition with families and series in a stable order.
///
/// The exporter walks hash tables: the order is another one at each scrape,
/// which people who read it with `curl` find hard, and compression as well.
/// Newlines inside of values are escaped in this format, so lines may be moved.
pub(crate) fn sorted(text: &str) -> String {
    let mut families: Vec<Block<'_>> = text.split("\n\n").filter_map(Block::parse).collect();
    families.sort_by_key(|family| family.name);
    let mut out = String::with_capacity(text.len());
    for family in families {
        family.write(&mut out);
    }
    out
}

/// One family: its comments and its series.
struct Block<'a> {
    name: &'a str,
    comments: Vec<&'a str>,
    series: Vec<&'a str>,
}

impl<'a> Block<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (comments, mut series): (Vec<&str>, Vec<&str>) = text
            .lines()
            .filter(|line| !line.is_empty())
            .partition(|line| line.starts_with('#'));
        // "# TYPE name kind"
        let type_line = comments.last()?;
        let name = type_line.split(' ').nth(2)?;
        if type_line.ends_with(" histogram") {
            // The order within one series has a meaning: ascending buckets, then
            // sum and count. A stable sort by what is common to them keeps it.
            series.sort_by_cached_key(|line| labels_without_bound(line));
        } else {
            series.sort_unstable();
        }
        Some(Self {
            name,
            comments,
            series,
        })
    }

    fn write(&self, out: &mut String) {
        for line in self.comments.iter().chain(&self.series) {
            out.push_str(line);
            out.push('\n');
        }
    }
}

/// The labels of a line of a histogram, without `le`, which the exporter writes
/// last.
fn labels_without_bound(line: &str) -> &str {
    let Some(start) = line.find('{') else {
        return "";
    };
    let labels = &line[start + 1..];
    let end = labels
        .rfind("le=\"")
        .filter(|_| line[..start].ends_with("_bucket"))
        .or_else(|| labels.rfind('}'))
        .unwrap_or(labels.len());
    labels[..end].trim_end_matches(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_series_are_sorted() {
        let text = "# HELP b Second.\n# TYPE b gauge\nb{x=\"2\"} 1\nb{x=\"1\"} 0\n\n\
                    # TYPE a_total counter\na_total 4\n\n";
        assert_eq!(
            sorted(text),
            "# TYPE a_total counter\na_total 4\n\
             # HELP b Second.\n# TYPE b gauge\nb{x=\"1\"} 0\nb{x=\"2\"} 1\n"
        );
    }

    #[test]
    fn buckets_keep_their_order() {
        let text = "# TYPE h histogram\n\
                    h_bucket{x=\"2\",le=\"0.5\"} 0\nh_bucket{x=\"2\",le=\"10\"} 0\n\
                    h_bucket{x=\"2\",le=\"+Inf\"} 0\nh_sum{x=\"2\"} 0\nh_count{x=\"2\"} 0\n\
                    h_bucket{x=\"1\",le=\"0.5\"} 0\nh_bucket{x=\"1\",le=\"10\"} 0\n\
                    h_bucket{x=\"1\",le=\"+Inf\"} 0\nh_sum{x=\"1\"} 0\nh_count{x=\"1\"} 0\n\n";
        let series: Vec<String> = sorted(text).lines().skip(1).map(str::to_owned).collect();
        let expected: Vec<String> = ["1", "2"]
            .into_iter()
            .flat_map(|x| {
                [
                    format!("h_bucket{{x=\"{x}\",le=\"0.5\"}} 0"),
                    format!("h_bucket{{x=\"{x}\",le=\"10\"}} 0"),
                    format!("h_bucket{{x=\"{x}\",le=\"+Inf\"}} 0"),
                    format!("h_sum{{x=\"{x}\"}} 0"),
                    format!("h_count{{x=\"{x}\"}} 0"),
                ]
            })
            .collect();
        assert_eq!(series, expected);
    }

    #[test]
    fn no_line_is_lost() {
        let text =
            "# HELP a A \\n b.\n# TYPE a gauge\na{x=\"# not a comment\"} 1\na{x=\"}\"} 2\n\n";
        assert_eq!(sorted(text).lines().count(), 4);
    }
}
