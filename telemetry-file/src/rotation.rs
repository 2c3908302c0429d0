//! When the active file becomes an archive: pure decisions, without a file.
//!
//! A file belongs to a [`Period`]: the day or hour of its first record. Time
//! is that of the records, not that of the clock on the wall, so that a record
//! which waited in a queue over midnight still counts for its own day.
//!
//! Clocks go back. A record that is a little older than the period (two
//! threads at midnight, a correction by NTP, up to the length of a period)
//! simply goes into the file. One that is older by more shows that the clock
//! had run ahead before: the file is then taken to belong to the period of
//! that record, without rotation, since otherwise a clock that once showed
//! 2038 would stop rotation until 2038. Names are never taken twice, whatever
//! the clock does: the number in them goes on.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::archive_name::Label;
use crate::config::Frequency;

const NANOS: u64 = 1_000_000_000;
const HOUR_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

/// Why the log moved on to another file: the `reason` of
/// `log_rotations_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A new day.
    Day,
    /// A new hour.
    Hour,
    /// The next record would have made it too large.
    Size,
    /// Somebody else moved, removed or truncated the file.
    External,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Size => "size",
            Self::External => "external",
        }
    }
}

/// What to do before a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It belongs into the file.
    Keep,
    /// It belongs into the file, which is of the record's period from now on.
    Adopt,
    /// It belongs into a new file.
    Rotate(Reason),
}

/// The day or hour that a file covers, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) label: Label,
    start: u64,
    /// The first moment after it.
    end: u64,
}

impl Period {
    /// False for a moment so much earlier that the clock must have been wrong
    /// when the period began.
    fn tolerates(&self, at: u64) -> bool {
        let length = match self.label.hour {
            Some(_) => HOUR_SECONDS,
            None => DAY_SECONDS,
        };
        at >= self.start.saturating_sub(length as u64 * NANOS)
    }
}

/// When files are set aside.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) frequency: Frequency,
    /// `None`: UTC.
    pub(crate) zone: Option<TimeZone>,
    /// 0: any size.
    pub(crate) max_size: u64,
}

impl Rules {
    /// What to do before a record of `length` bytes from the moment `at` is
    /// written to a file of `size` bytes, which covers `period` (`None`: not
    /// known yet).
    pub(crate) fn step(&self, period: Option<&Period>, size: u64, at: u64, length: u64) -> Step {
        let Some(period) = period else {
            return Step::Adopt;
        };
        if at >= period.end {
            let is_empty = size == 0;
            return if is_empty {
                Step::Adopt
            } else {
                Step::Rotate(self.reason())
            };
        }
        if !period.tolerates(at) {
            return Step::Adopt;
        }
        if self.max_size > 0 && size > 0 && size + length > self.max_size {
            return Step::Rotate(Reason::Size);
        }
        Step::Keep
    }

    /// The period of the file that begins with a record from the moment `at`,
    /// after one that covered `before`: never an earlier one.
    pub(crate) fn following(&self, before: Option<Period>, at: u64) -> Period {
        match before {
            Some(before) if at < before.start => before,
            _ => self.period(at),
        }
    }

    /// The period that contains the moment `at`.
    pub(crate) fn period(&self, at: u64) -> Period {
        let local = self.zone.as_ref().and_then(|zone| match self.frequency {
            Frequency::Hourly => Some(local_hour(zone, at)),
            Frequency::Daily | Frequency::Never => local_day(zone, at),
        });
        // Where the zone cannot tell the day, UTC is a sane answer all the same.
        let mut period = local.unwrap_or_else(|| self.utc_period(at));
        if self.frequency == Frequency::Never {
            period.end = u64::MAX;
        }
        period
    }

    fn utc_period(&self, at: u64) -> Period {
        let length = match self.frequency {
            Frequency::Hourly => HOUR_SECONDS,
            Frequency::Daily | Frequency::Never => DAY_SECONDS,
        };
        let second = unix_second(at);
        let start = second - second.rem_euclid(length);
        Period {
            label: Label {
                offset: None,
                ..label(start, Offset::UTC, self.frequency)
            },
            start: nanos(start),
            end: nanos(start + length),
        }
    }

    fn reason(&self) -> Reason {
        match self.frequency {
            Frequency::Hourly => Reason::Hour,
            Frequency::Daily | Frequency::Never => Reason::Day,
        }
    }
}

/// An hour on the wall, with one offset: in the night when the clock goes back
/// the same hour is two periods.
fn local_hour(zone: &TimeZone, at: u64) -> Period {
    let moment = timestamp(at);
    let offset = zone.to_offset(moment);
    let wall = unix_second(at) + i64::from(offset.seconds());
    let start = wall - wall.rem_euclid(HOUR_SECONDS) - i64::from(offset.seconds());
    // Some zones change their offset in the middle of an hour.
    let change = zone
        .following(moment)
        .next()
        .map(|change| change.timestamp().as_second());
    let end = start + HOUR_SECONDS;
    Period {
        label: label(start, offset, Frequency::Hourly),
        start: nanos(start),
        end: nanos(change.map_or(end, |change| change.min(end))),
    }
}

/// A day on the wall, of 23, 24 or 25 hours, named by its offset at its start.
/// `None` where it does not contain the moment: some clocks were set back a
/// minute after midnight, so that the day before went on after the next one had
/// begun.
fn local_day(zone: &TimeZone, at: u64) -> Option<Period> {
    let moment = timestamp(at).to_zoned_datetime(zone.clone());
    let start = moment.start_of_day().ok()?;
    let end = moment.tomorrow().ok()?.start_of_day().ok()?;
    let period = Period {
        label: label(
            start.timestamp().as_second(),
            start.offset(),
            Frequency::Daily,
        ),
        start: nanos(start.timestamp().as_second()),
        end: nanos(end.timestamp().as_second()),
    };
    (period.start..period.end).contains(&at).then_some(period)
}

fn label(second: i64, offset: Offset, frequency: Frequency) -> Label {
    let moment =
        offset.to_datetime(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH));
    let hour = (frequency == Frequency::Hourly).then_some(moment.hour().unsigned_abs());
    Label {
        date: moment.date(),
        hour,
        offset: i16::try_from(offset.seconds() / 60).ok(),
    }
}

fn timestamp(at: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(at)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn unix_second(at: u64) -> i64 {
    (at / NANOS) as i64
}

fn nanos(second: i64) -> u64 {
    u64::try_from(second).unwrap_or(0).saturating_mul(NANOS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central Europe, as rules: the tests need no zone database.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    /// Lord Howe Island moves its clocks by half an hour.
    const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";

    fn at(text: &str) -> u64 {
        let moment: Timestamp = text.parse().expect("a timestamp");
        u64::try_from(moment.as_nanosecond()).expect("after 1970")
    }

    fn utc(frequency: Frequency, max_size: u64) -> Rules {
        Rules {
            frequency,
            zone: None,
            max_size,
        }
    }

    fn local(frequency: Frequency, zone: &str) -> Rules {
        Rules {
            zone: Some(TimeZone::posix(zone).expect("a zone")),
            ..utc(frequency, 0)
        }
    }

    fn label_of(rules: &Rules, moment: &str) -> String {
        rules.period(at(moment)).label.to_string()
    }

    #[test]
    fn the_table_of_steps() {
        use Frequency::{Daily, Hourly, Never};
        use Step::{Adopt, Keep, Rotate};
        let noon = "2026-11-23T12:30:00Z";
        let rows = [
            // frequency, max size, began, size, record at, length, expected
            (Daily, 0, noon, 10, "2026-11-23T23:59:59.999999Z", 10, Keep),
            (
                Daily,
                0,
                noon,
                10,
                "2026-11-24T00:00:00Z",
                10,
                Rotate(Reason::Day),
            ),
            (
                Daily,
                0,
                noon,
                10,
                "2027-03-01T00:00:00Z",
                10,
                Rotate(Reason::Day),
            ),
            (Daily, 0, noon, 0, "2026-11-24T00:00:00Z", 10, Adopt),
            (Hourly, 0, noon, 10, "2026-11-23T12:59:59Z", 10, Keep),
            (
                Hourly,
                0,
                noon,
                10,
                "2026-11-23T13:00:00Z",
                10,
                Rotate(Reason::Hour),
            ),
            (Never, 0, noon, 10, "2030-01-01T00:00:00Z", 10, Keep),
            (Never, 100, noon, 90, noon, 10, Keep),
            (Never, 100, noon, 91, noon, 10, Rotate(Reason::Size)),
            // One record larger than the limit: alone in its file.
            (Never, 100, noon, 0, noon, 1000, Keep),
            (Never, 100, noon, 1000, noon, 1, Rotate(Reason::Size)),
            // Both are due: the time tells more than the size.
            (
                Daily,
                100,
                noon,
                95,
                "2026-11-24T00:00:00Z",
                10,
                Rotate(Reason::Day),
            ),
            (
                Hourly,
                100,
                noon,
                95,
                "2026-11-23T12:31:00Z",
                10,
                Rotate(Reason::Size),
            ),
            // The clock goes back: a little, at the limit, and much.
            (Daily, 0, noon, 10, "2026-11-22T23:59:59Z", 10, Keep),
            (Daily, 0, noon, 10, "2026-11-22T00:00:00Z", 10, Keep),
            (Daily, 0, noon, 10, "2026-11-21T23:59:59Z", 10, Adopt),
            (Hourly, 0, noon, 10, "2026-11-23T11:00:00Z", 10, Keep),
            (Hourly, 0, noon, 10, "2026-11-23T10:59:59Z", 10, Adopt),
            (
                Daily,
                100,
                noon,
                95,
                "2026-11-22T23:59:59Z",
                10,
                Rotate(Reason::Size),
            ),
        ];
        for (frequency, max_size, began, size, moment, length, expected) in rows {
            let rules = utc(frequency, max_size);
            let period = rules.period(at(began));
            let step = rules.step(Some(&period), size, at(moment), length);
            assert_eq!(step, expected, "{frequency:?} {max_size} {size} {moment}");
        }
    }

    #[test]
    fn a_file_without_a_period_takes_that_of_its_first_record() {
        let rules = utc(Frequency::Daily, 0);
        assert_eq!(
            rules.step(None, 0, at("2026-11-23T12:00:00Z"), 1),
            Step::Adopt
        );
    }

    #[test]
    fn the_next_file_never_belongs_to_an_earlier_period() {
        let rules = utc(Frequency::Daily, 0);
        let today = rules.period(at("2026-11-23T12:00:00Z"));
        let back = rules.following(Some(today), at("2026-11-22T23:00:00Z"));
        assert_eq!(back, today);
        let tomorrow = rules.following(Some(today), at("2026-11-24T01:00:00Z"));
        assert_eq!(tomorrow.label.to_string(), "2026-11-24");
    }

    #[test]
    fn utc_labels_carry_no_offset() {
        let moment = "2026-11-23T12:30:00Z";
        assert_eq!(label_of(&utc(Frequency::Daily, 0), moment), "2026-11-23");
        assert_eq!(
            label_of(&utc(Frequency::Hourly, 0), moment),
            "2026-11-23T12"
        );
        assert_eq!(label_of(&utc(Frequency::Never, 0), moment), "2026-11-23");
    }

    #[test]
    fn local_days_have_23_and_25_hours() {
        let rules = local(Frequency::Daily, BERLIN);
        let spring = rules.period(at("2026-03-29T10:00:00Z"));
        assert_eq!(spring.label.to_string(), "2026-03-29+0100");
        assert_eq!(spring.start, at("2026-03-28T23:00:00Z"));
        assert_eq!(spring.end - spring.start, 23 * 3600 * NANOS);
        let autumn = rules.period(at("2026-10-25T10:00:00Z"));
        assert_eq!(autumn.label.to_string(), "2026-10-25+0200");
        assert_eq!(autumn.end, at("2026-10-25T23:00:00Z"));
        assert_eq!(autumn.end - autumn.start, 25 * 3600 * NANOS);
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_periods() {
        let rules = local(Frequency::Hourly, BERLIN);
        assert_eq!(
            label_of(&rules, "2026-10-25T00:30:00Z"),
            "2026-10-25T02+0200"
        );
        assert_eq!(
            label_of(&rules, "2026-10-25T01:30:00Z"),
            "2026-10-25T02+0100"
        );
        let first = rules.period(at("2026-10-25T00:30:00Z"));
        let step = rules.step(Some(&first), 10, at("2026-10-25T01:00:00Z"), 10);
        assert_eq!(step, Step::Rotate(Reason::Hour));
    }

    #[test]
    fn the_hour_that_is_left_out_has_no_period() {
        let rules = local(Frequency::Hourly, BERLIN);
        assert_eq!(
            label_of(&rules, "2026-03-29T00:59:59Z"),
            "2026-03-29T01+0100"
        );
        assert_eq!(
            label_of(&rules, "2026-03-29T01:00:00Z"),
            "2026-03-29T03+0200"
        );
    }

    #[test]
    fn a_change_by_half_an_hour_ends_the_hour_early() {
        let rules = local(Frequency::Hourly, LORD_HOWE);
        // At 02:00 +1100 the clock goes back to 01:30 +1030.
        let before = rules.period(at("2026-04-04T14:30:00Z"));
        assert_eq!(before.label.to_string(), "2026-04-05T01+1100");
        assert_eq!(before.end, at("2026-04-04T15:00:00Z"));
        let after = rules.period(at("2026-04-04T15:10:00Z"));
        assert_eq!(after.label.to_string(), "2026-04-05T01+1030");
        assert_eq!(after.end, at("2026-04-04T15:30:00Z"));
    }

    #[test]
    fn every_period_contains_its_moment_also_where_yesterday_goes_on_after_midnight() {
        // Newfoundland until 2011: a minute after midnight it is 23:01 again.
        let rules = local(Frequency::Daily, "NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01");
        let midnight = at("2010-11-07T02:30:00Z");
        for minute in 0..300 {
            let moment = midnight - 3600 * NANOS + minute * 60 * NANOS;
            let period = rules.period(moment);
            assert!((period.start..period.end).contains(&moment), "{period:?}");
        }
    }

    #[test]
    fn periods_follow_each_other_without_gap_over_two_years() {
        for zone in [BERLIN, LORD_HOWE] {
            for frequency in [Frequency::Hourly, Frequency::Daily] {
                let rules = local(frequency, zone);
                let mut period = rules.period(at("2026-01-01T00:00:00Z"));
                while period.end < at("2028-01-01T00:00:00Z") {
                    let next = rules.period(period.end);
                    assert_ne!(next.label, period.label);
                    assert_eq!(rules.period(next.end - 1), next);
                    period = next;
                }
            }
        }
    }
}
