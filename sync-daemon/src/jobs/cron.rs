//! The times of a cron expression in a time zone.
//!
//! Where the clocks go forward, a time in the gap runs at the first moment after
//! it. Where they go back, a fixed time runs once, at its first occurrence; a
//! wildcard or a step in the minutes or hours runs through both.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

/// A cron expression and the zone that it is meant in.
#[derive(Debug, Clone)]
pub struct CronTimes {
    cron: Cron,
    zone: TimeZone,
}

impl CronTimes {
    /// Understands five fields, or six with seconds, in a zone by its IANA name.
    ///
    /// # Errors
    /// What is wrong, for people: no such expression, no such zone, or a time
    /// that never comes, such as 30 February.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, String> {
        let zone = match zone {
            // A small system has no database of zones, and needs none for UTC.
            "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|error| error.to_string())?,
        };
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(expression).map_err(|error| {
            format!(
                "not a cron expression: {}",
                fault(&parser, expression, &error)
            )
        })?;
        let times = Self { cron, zone };
        match times.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(times),
            None => Err("a cron expression whose time never comes".to_owned()),
        }
    }

    /// The first time after `moment`; `None` when there is none in all the years
    /// that a calendar has.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let from = Local(moment.to_zoned_datetime(self.zone.clone()));
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(next.0.timestamp())
    }
}

/// The fields of an expression with seconds.
const FIELDS: [&str; 6] = [
    "second",
    "minute",
    "hour",
    "day of the month",
    "month",
    "day of the week",
];

/// What is wrong with an expression, and in which of its fields: each is tried by itself.
fn fault(parser: &CronParser, expression: &str, error: &CronError) -> String {
    let values: Vec<_> = expression.split_whitespace().collect();
    let is_nickname = expression.trim_start().starts_with('@');
    if !is_nickname && !matches!(values.len(), 5 | 6) {
        return format!(
            "it has {} fields; there are five (minute, hour, day, month, day of the week), \
             or six with seconds first",
            values.len()
        );
    }
    let names = &FIELDS[FIELDS.len() - values.len().min(FIELDS.len())..];
    for (place, (name, value)) in names.iter().zip(&values).enumerate() {
        let mut alone = vec!["*"; values.len()];
        alone[place] = value;
        if let Err(error) = parser.parse(&alone.join(" ")) {
            return format!("`{value}` cannot be the {name}: {}", reason(&error));
        }
    }
    reason(error)
}

/// The sentence of croner as a part of one of ours.
fn reason(error: &CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// A time of ours in the terms of croner.
#[derive(Debug, Clone)]
struct Local(ZonedDateTime);

impl CronDateTime for Local {
    fn to_civil(&self) -> CivilDateTime {
        let time = self.0.datetime();
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(
                i32::from(time.year()),
                u32::from(time.month().unsigned_abs()),
                u32::from(time.day().unsigned_abs()),
            ),
            CivilTime::from_parts_unchecked(
                u32::from(time.hour().unsigned_abs()),
                u32::from(time.minute().unsigned_abs()),
                u32::from(time.second().unsigned_abs()),
            ),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        let days = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::from(days.unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let zone = self.0.time_zone();
        let ambiguous = zone.to_ambiguous_zoned_datetime(datetime(civil)?);
        let local = |zoned: Result<ZonedDateTime, jiff::Error>| {
            zoned.map(Self).map_err(|_| CronError::InvalidTime)
        };
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                Resolution::Single(local(ambiguous.unambiguous())?)
            }
            AmbiguousOffset::Fold { .. } => {
                let earlier = local(ambiguous.clone().earlier())?;
                Resolution::Ambiguous(earlier, local(ambiguous.later())?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let span = SignedDuration::from_secs(seconds);
        self.0.checked_add(span).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

fn datetime(civil: CivilDateTime) -> Result<DateTime, CronError> {
    let part = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidDate);
    let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
    DateTime::new(
        year,
        part(civil.month())?,
        part(civil.day())?,
        part(civil.hour())?,
        part(civil.minute())?,
        part(civil.second())?,
        0,
    )
    .map_err(|_| CronError::InvalidDate)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    /// The starts after `from` until `count` of them are there, as local times with their offset.
    fn starts(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let times = CronTimes::parse(expression, zone).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let mut moment: Timestamp = from.parse().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            moment = times.after(moment).unwrap();
            let local = moment.to_zoned_datetime(zone.clone());
            found.push(local.strftime("%m-%d %H:%M:%S%:z").to_string());
        }
        found
    }

    /// A case: expression, zone, where the search begins (UTC), and the local times that follow.
    type Case = (
        &'static str,
        &'static str,
        &'static str,
        &'static [&'static str],
    );

    const CASES: &[Case] = &[
        // Without any change of the clocks.
        (
            "0 */15 * * * *",
            "UTC",
            "2026-01-01T00:00:00Z",
            &[
                "01-01 00:15:00+00:00",
                "01-01 00:30:00+00:00",
                "01-01 00:45:00+00:00",
                "01-01 01:00:00+00:00",
            ],
        ),
        (
            "30 2 * * *",
            "UTC",
            "2026-03-28T12:00:00Z",
            &["03-29 02:30:00+00:00", "03-30 02:30:00+00:00"],
        ),
        (
            "0 0 29 2 *",
            "UTC",
            "2026-01-01T00:00:00Z",
            &["02-29 00:00:00+00:00"],
        ),
        (
            "0 9 * * MON-FRI",
            "UTC",
            "2026-11-20T10:00:00Z",
            &["11-23 09:00:00+00:00"],
        ),
        // Berlin, 29 March 2026: 02:00 becomes 03:00.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["03-29 03:00:00+02:00", "03-30 02:30:00+02:00"],
        ),
        (
            "30 1 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["03-29 01:30:00+01:00", "03-30 01:30:00+02:00"],
        ),
        (
            "0 3 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["03-29 03:00:00+02:00", "03-30 03:00:00+02:00"],
        ),
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            &["03-29 03:00:00+02:00", "03-29 04:00:00+02:00"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:15:00Z",
            &[
                "03-29 01:30:00+01:00",
                "03-29 03:00:00+02:00",
                "03-29 03:30:00+02:00",
            ],
        ),
        // Berlin, 25 October 2026: 03:00 becomes 02:00.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["10-25 02:30:00+02:00", "10-26 02:30:00+01:00"],
        ),
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:30:00Z",
            &[
                "10-25 02:00:00+02:00",
                "10-25 02:00:00+01:00",
                "10-25 03:00:00+01:00",
            ],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:15:00Z",
            &[
                "10-25 02:30:00+02:00",
                "10-25 02:00:00+01:00",
                "10-25 02:30:00+01:00",
                "10-25 03:00:00+01:00",
            ],
        ),
        // New York, 8 March and 1 November 2026.
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00:00Z",
            &["03-08 03:00:00-04:00", "03-09 02:30:00-04:00"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            &["11-01 01:30:00-04:00", "11-02 01:30:00-05:00"],
        ),
        // Lord Howe Island moves by half an hour: 02:00 becomes 02:30 on 4 October 2026, and back on 5 April.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T12:00:00Z",
            &["10-04 02:30:00+11:00", "10-05 02:15:00+11:00"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T12:00:00Z",
            &["04-05 01:45:00+11:00", "04-06 01:45:00+10:30"],
        ),
        // Santiago goes forward at midnight: that day has no 00:30.
        (
            "30 0 * * *",
            "America/Santiago",
            "2026-09-05T12:00:00Z",
            &["09-06 01:00:00-03:00", "09-07 00:30:00-03:00"],
        ),
        // Kathmandu has odd offsets and no change.
        (
            "0 0 * * *",
            "Asia/Kathmandu",
            "2026-03-28T12:00:00Z",
            &["03-29 00:00:00+05:45", "03-30 00:00:00+05:45"],
        ),
    ];

    #[test]
    fn clocks_that_change_lose_no_run_and_double_no_fixed_time() {
        let zones = "Europe/Berlin";
        if TimeZone::get(zones).is_err() {
            panic!("this machine has no database of time zones, which the test needs");
        }
        for (expression, zone, from, expected) in CASES {
            let found = starts(expression, zone, from, expected.len());
            assert_eq!(found, *expected, "{expression} in {zone} from {from}");
        }
    }

    #[test]
    fn every_start_comes_after_the_one_before_through_a_whole_year() {
        for expression in ["*/7 * * * *", "30 2 * * *", "0 0 3 * * *", "5,35 1-3 * * *"] {
            for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
                let times = CronTimes::parse(expression, zone).unwrap();
                let mut moment: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
                let end = moment.checked_add(8_784.hours()).unwrap();
                while moment < end {
                    let next = times.after(moment).unwrap();
                    assert!(next > moment, "{expression} in {zone} at {moment}");
                    moment = next;
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        let refused = |expression: &str| CronTimes::parse(expression, "UTC").unwrap_err();
        assert!(refused("61 * * * *").contains("not a cron expression"));
        assert!(refused("* * * * * * 2030").contains("not a cron expression"));
        assert!(refused("0 0 30 2 *").contains("never comes"));
        assert!(CronTimes::parse("* * * * *", "Mars/Olympus").is_err());
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let refused = |expression: &str| CronTimes::parse(expression, "UTC").unwrap_err();
        let cases = [
            ("0 99 * * *", "`99` cannot be the hour: "),
            ("99 * * * * *", "`99` cannot be the second: "),
            ("* * * Foo *", "`Foo` cannot be the month: "),
            ("0 0 * *", "it has 4 fields"),
            ("", "it has 0 fields"),
            ("@fortnightly", "not a cron expression: "),
        ];
        for (expression, message) in cases {
            let found = refused(expression);
            assert!(found.contains(message), "{expression}: {found}");
            let is_a_part_of_a_sentence = !found.ends_with('.') && !found.contains("error:");
            assert!(is_a_part_of_a_sentence, "{expression}: {found}");
        }
    }
}
