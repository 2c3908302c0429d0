//! A line of a log file: whose it is, and when, how severe and from where its
//! record was, without parsing all of it.
//!
//! The sink writes keys in one order, so that the beginning of a line tells all
//! that most queries ask for. A line that begins in another way may still be a
//! record, of another program or through another tool: that takes a parser.

use jiff::Timestamp;
use tracing::Level;

const BEFORE_TIME: &[u8] = b"{\"timestamp\":\"";
const BEFORE_LEVEL: &[u8] = b"\",\"level\":\"";
const BEFORE_TARGET: &[u8] = b"\",\"target\":\"";

const NANOS: u64 = 1_000_000_000;

/// Long enough for the time of a line in either format.
pub(crate) const TIME_BYTES: usize = 64;

/// What the beginning of a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
    pub(crate) level: Level,
    pub(crate) target: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads a JSON line as the sink writes it; `None` for every other one.
    pub(crate) fn of_json(line: &'a [u8]) -> Option<Self> {
        let (time, rest) = until(line.strip_prefix(BEFORE_TIME)?, b'"')?;
        let (level, rest) = until(rest.strip_prefix(BEFORE_LEVEL)?, b'"')?;
        let (target, _) = until(rest.strip_prefix(BEFORE_TARGET)?, b'"')?;
        // Escapes take a parser.
        if target.contains(&b'\\') {
            return None;
        }
        Some(Self {
            at: nanos_of(time)?,
            level: level_of(level)?,
            target,
        })
    }

    /// Reads a line for people, as `Pretty` writes it without colours.
    pub(crate) fn of_words(line: &'a [u8]) -> Option<Self> {
        let (time, rest) = until(line, b' ')?;
        let (level, rest) = until(rest.trim_ascii_start(), b' ')?;
        let end = memchr::memmem::find(rest, b": ")?;
        Some(Self {
            at: nanos_of(time)?,
            level: level_of(level)?,
            target: &rest[..end],
        })
    }
}

/// When the record was captured whose line begins like this, in nanoseconds
/// since 1970; `None` for lines that are not ours.
pub(crate) fn time_of(line: &[u8]) -> Option<u64> {
    let (text, end) = match line.strip_prefix(BEFORE_TIME) {
        Some(rest) => (rest, b'"'),
        None => (line, b' '),
    };
    nanos_of(until(text, end)?.0)
}

/// A level by its name as records have it.
pub(crate) fn level_of(name: &[u8]) -> Option<Level> {
    Some(match name {
        b"TRACE" => Level::TRACE,
        b"DEBUG" => Level::DEBUG,
        b"INFO" => Level::INFO,
        b"WARN" => Level::WARN,
        b"ERROR" => Level::ERROR,
        _ => return None,
    })
}

/// Nanoseconds since 1970 of a time in RFC 3339.
pub(crate) fn nanos_of(text: &[u8]) -> Option<u64> {
    if let Some(nanos) = utc_nanos(text) {
        return Some(nanos);
    }
    let time: Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

/// The same for `YYYY-MM-DDTHH:MM:SS[.fraction]Z`, which is what the sink
/// writes. Every line of every archive comes through here: jiff takes ten times
/// as long, since it knows much more.
fn utc_nanos(text: &[u8]) -> Option<u64> {
    let (time, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| time[at] != byte) {
        return None;
    }
    let [year, month, day] = [&time[..4], &time[5..7], &time[8..10]].map(number);
    let [hour, minute, second] = [&time[11..13], &time[14..16], &time[17..]].map(number);
    let (hour, minute, second) = (hour?, minute?, second?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year?, month?, day?)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * NANOS + fraction_nanos(fraction)?)
}

/// Of `.123`, or nothing.
fn fraction_nanos(text: &[u8]) -> Option<u64> {
    let Some(digits) = text.strip_prefix(b".") else {
        return text.is_empty().then_some(0);
    };
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    Some(number(digits)? * 10u64.pow(9 - digits.len() as u32))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })
}

/// Days of the Gregorian calendar, counted in years that begin in March, so
/// that the leap day is the last one.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const DAYS: [u64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *DAYS.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    let is_century = year.is_multiple_of(100) && !year.is_multiple_of(400);
    let is_leap = year.is_multiple_of(4) && !is_century;
    let is_past_the_end = month == 2 && day == 29 && !is_leap;
    if year < 1970 || day == 0 || day > length || is_past_the_end {
        return None;
    }
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // Of the first of March of the year 0 to the first of January 1970.
    const BEFORE_1970: u64 = 719_468;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - BEFORE_1970)
}

fn until(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(end, text)?;
    let after = if end == b'"' { at } else { at + 1 };
    Some((&text[..at], &text[after..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = r#"{"timestamp":"1970-01-01T00:00:01.5Z","level":"WARN","target":"a::b","message":"m","fields":{}}"#;

    #[test]
    fn the_beginning_of_a_line_tells_time_level_and_target() {
        let head = Head::of_json(LINE.as_bytes()).expect("ours");
        assert_eq!(head.at, 1_500_000_000);
        assert_eq!(head.level, Level::WARN);
        assert_eq!(head.target, b"a::b");
    }

    #[test]
    fn a_line_for_people_tells_the_same() {
        let line = "1970-01-01T00:00:01.500000Z  WARN a::b: m x=1 in job{id=7}";
        let head = Head::of_words(line.as_bytes()).expect("ours");
        assert_eq!(Some(head), Head::of_json(LINE.as_bytes()));
        assert_eq!(time_of(line.as_bytes()), Some(1_500_000_000));
    }

    #[test]
    fn other_lines_take_a_parser_or_are_not_ours() {
        for line in [
            "",
            "plain text: really",
            "{\"timestamp\":\"2026",
            "{\"timestamp\":\"x\",\"level\":\"WARN\",\"target\":\"a\"}",
            "{\"level\":\"WARN\"}",
            &LINE.replace("WARN", "LOUD"),
            &LINE.replace("a::b", "a\\\"b"),
            &LINE.replace(',', ", "),
            &LINE[..50],
        ] {
            assert_eq!(Head::of_json(line.as_bytes()), None, "{line}");
            assert_eq!(Head::of_words(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_first_timestamp_is_read_alone() {
        assert_eq!(time_of(LINE.as_bytes()), Some(1_500_000_000));
        for line in [
            "",
            "plain text",
            "{\"timestamp\":\"2026",
            "{\"timestamp\":\"x\"}",
        ] {
            assert_eq!(time_of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_no_times() {
        for text in [
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01 00:00",
        ] {
            assert_eq!(nanos_of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn offsets_are_understood() {
        let same = ["2026-11-23T12:00:00+01:00", "2026-11-23T11:00:00Z"];
        let [first, second] = same.map(|text| nanos_of(text.as_bytes()));
        assert!(first.is_some());
        assert_eq!(first, second);
    }

    proptest! {
        #[test]
        fn times_are_those_of_jiff(nanos in 0u64..=16_000_000_000_000_000_000) {
            let time = Timestamp::from_nanosecond(i128::from(nanos)).expect("in range");
            prop_assert_eq!(utc_nanos(time.to_string().as_bytes()), Some(nanos));
        }
    }
}
