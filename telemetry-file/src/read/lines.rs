//! Lines that were found, and how they are picked out of a text.

use crate::read::query::{Filter, Verdict};

/// A line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// As it stands in the file, without its end. UTF-8 if it is a record.
    pub text: &'a [u8],
    /// When its record was captured, in nanoseconds since 1970.
    pub unix_nanos: Option<u64>,
    /// True for a JSON object; false for anything else that somebody wrote.
    pub is_record: bool,
}

/// Some of the lines that were asked for, in the order of the log.
#[derive(Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    marks: Vec<Mark>,
    /// How many before the first one that counts.
    skipped: usize,
    left_out: u64,
}

#[derive(Debug)]
struct Mark {
    end: usize,
    unix_nanos: Option<u64>,
    is_record: bool,
}

impl Lines {
    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        (self.skipped..self.marks.len()).filter_map(|place| self.get(place))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.marks.len() - self.skipped
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many lines were left out because they are no records, so that it
    /// cannot be told whether they were asked for.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The lines of a text that a filter wants.
    pub(crate) fn select(text: &[u8], filter: &Filter) -> Self {
        let mut lines = Self::default();
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
            let line = &text[begin..end];
            begin = end + 1;
            match filter.judge(line) {
                Verdict::Record(at) => lines.push(line, at, true),
                Verdict::Text => lines.push(line, crate::line::time_of(line), false),
                Verdict::Unclear => lines.left_out += 1,
                Verdict::No => {}
            }
            if begin > text.len() {
                break;
            }
        }
        lines
    }

    /// Forgets some from the front; returns how many there were.
    pub(crate) fn skip(&mut self, count: u64) -> u64 {
        let skipped = usize::try_from(count).unwrap_or(usize::MAX).min(self.len());
        self.skipped += skipped;
        skipped as u64
    }

    /// The line at this place, from the first that is not skipped.
    pub(crate) fn at(&self, place: usize) -> Option<Line<'_>> {
        self.get(self.skipped + place)
    }

    fn get(&self, place: usize) -> Option<Line<'_>> {
        let mark = self.marks.get(place)?;
        let begin = match place {
            0 => 0,
            _ => self.marks[place - 1].end,
        };
        Some(Line {
            text: &self.text[begin..mark.end],
            unix_nanos: mark.unix_nanos,
            is_record: mark.is_record,
        })
    }

    fn push(&mut self, line: &[u8], unix_nanos: Option<u64>, is_record: bool) {
        self.text.extend_from_slice(line);
        self.marks.push(Mark {
            end: self.text.len(),
            unix_nanos,
            is_record,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Query;

    #[test]
    fn lines_are_those_between_line_ends() {
        let filter = Filter::new(&Query::default());
        let mut lines = Lines::select(b"{\"a\":1}\n\nplain\nlast", &filter);
        let texts = |lines: &Lines| -> Vec<Vec<u8>> {
            lines.iter().map(|line| line.text.to_vec()).collect()
        };
        assert_eq!(texts(&lines), [&b"{\"a\":1}"[..], b"plain", b"last"]);
        assert_eq!(lines.at(0).map(|line| line.is_record), Some(true));
        assert_eq!(lines.skip(1), 1);
        assert_eq!(texts(&lines), [&b"plain"[..], b"last"]);
        assert_eq!(lines.skip(5), 2);
        assert!(lines.is_empty());
        assert_eq!(lines.at(0), None);
    }

    #[test]
    fn what_cannot_be_told_is_counted() {
        let query = Query {
            level: Some(tracing::Level::ERROR),
            ..Query::default()
        };
        let lines = Lines::select(b"plain\ntext\n", &Filter::new(&query));
        assert_eq!((lines.len(), lines.left_out()), (0, 2));
    }
}
