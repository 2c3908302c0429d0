//! Names of archives: `STEM-YYYY-MM-DD[THH][±ZZZZ].N.log[.xz]`.
//!
//! Strict on purpose: whatever does not read back to exactly the same text is
//! not ours, and is neither compressed nor removed.

use std::fmt;

use jiff::civil::Date;

/// The ending of the file while it is compressed.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// The stem of a log file name: `daemon` of `daemon.log`.
pub(crate) fn stem(file_name: &str) -> &str {
    match file_name.strip_suffix(".log") {
        Some(stem) if !stem.is_empty() => stem,
        _ => file_name,
    }
}

/// The day or hour whose records an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) date: Date,
    /// Only in archives of an hour.
    pub(crate) hour: Option<u8>,
    /// Minutes east of UTC; only with local time.
    pub(crate) offset: Option<i16>,
}

impl Label {
    /// Every record of a file that was named after the period of its first
    /// record, in seconds since 1970, from and before: the time of the period,
    /// and one length of it earlier, since clocks that are set back by less do
    /// not change the name. Later records only if a rotation failed.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        const HOUR: i64 = 3600;
        // Days have up to 25 hours.
        let length = match self.hour {
            Some(_) => HOUR,
            None => 25 * HOUR,
        };
        let start = self.unix_seconds();
        (start - length, start + length)
    }

    /// When the period began, in seconds since 1970: what archives are sorted
    /// by, since an hour that comes twice sorts wrong as text.
    fn unix_seconds(&self) -> i64 {
        let days = jiff::civil::date(1970, 1, 1)
            .until(self.date)
            .map_or(0, |span| i64::from(span.get_days()));
        let hours = days * 24 + i64::from(self.hour.unwrap_or(0));
        hours * 3600 - i64::from(self.offset.unwrap_or(0)) * 60
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, hour, offset } = self;
        write!(
            f,
            "{:04}-{:02}-{:02}",
            date.year(),
            date.month(),
            date.day()
        )?;
        if let Some(hour) = hour {
            write!(f, "T{hour:02}")?;
        }
        if let Some(offset) = offset {
            let sign = if *offset < 0 { '-' } else { '+' };
            let minutes = offset.unsigned_abs();
            write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)?;
        }
        Ok(())
    }
}

/// The name of an archive, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchiveName {
    pub(crate) stem: String,
    pub(crate) label: Label,
    /// Tells apart the archives of one period, from 0 in the order of time.
    pub(crate) number: u32,
    /// True for `.log.xz`.
    pub(crate) packed: bool,
}

impl ArchiveName {
    /// Reads the name of an archive of the log file with this stem; `None` for
    /// everything else.
    pub(crate) fn parse(stem: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(stem)?.strip_prefix('-')?;
        let (rest, packed) = match rest.strip_suffix(".xz") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (label, number) = rest.strip_suffix(".log")?.rsplit_once('.')?;
        let parsed = Self {
            stem: stem.to_owned(),
            label: parse_label(label)?,
            number: number.parse().ok()?,
            packed,
        };
        (parsed.to_string() == name).then_some(parsed)
    }

    /// Reads the name of an archive of any log file.
    pub(crate) fn parse_any(name: &str) -> Option<Self> {
        let hyphens = name.match_indices('-');
        let mut stems = hyphens.map(|(at, _)| &name[..at]);
        stems.find_map(|stem| Self::parse(stem, name))
    }

    /// The compressed form of the same archive.
    pub(crate) fn packed(&self) -> Self {
        Self {
            packed: true,
            ..self.clone()
        }
    }

    /// Archives in the order of time.
    pub(crate) fn sort_key(&self) -> SortKey {
        SortKey {
            period_start: self.label.unix_seconds(),
            is_hour: self.label.hour.is_some(),
            number: self.number,
            packed: self.packed,
        }
    }
}

/// Orders archives by time; the fields count from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SortKey {
    period_start: i64,
    is_hour: bool,
    number: u32,
    packed: bool,
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stem,
            label,
            number,
            packed,
        } = self;
        let ending = if *packed { ".xz" } else { "" };
        write!(f, "{stem}-{label}.{number}.log{ending}")
    }
}

/// `YYYY-MM-DD[THH][±ZZZZ]`; the caller checks that it reads back the same.
fn parse_label(text: &str) -> Option<Label> {
    let (date, rest) = text.split_at_checked(10)?;
    let (hour, rest) = match rest.strip_prefix('T') {
        Some(rest) => {
            let (hour, rest) = rest.split_at_checked(2)?;
            (Some(hour.parse().ok().filter(|hour| *hour < 24)?), rest)
        }
        None => (None, rest),
    };
    Some(Label {
        date: parse_date(date)?,
        hour,
        offset: if rest.is_empty() {
            None
        } else {
            Some(parse_offset(rest)?)
        },
    })
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = parts.next()?.parse().ok()?;
    let month = parts.next()?.parse().ok()?;
    let day = parts.next()?.parse().ok()?;
    Date::new(year, month, day).ok()
}

fn parse_offset(text: &str) -> Option<i16> {
    let (sign, digits) = text.split_at_checked(1)?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let hours: i16 = hours.parse().ok()?;
    let minutes: i16 = minutes.parse().ok().filter(|minutes| *minutes < 60)?;
    let offset = hours * 60 + minutes;
    match sign {
        "+" => Some(offset),
        "-" => Some(-offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(name: &str) -> Option<ArchiveName> {
        ArchiveName::parse("daemon", name)
    }

    #[test]
    fn names_of_the_contract_are_read() {
        for name in [
            "daemon-2026-11-23.0.log",
            "daemon-2026-11-23.12.log.xz",
            "daemon-2026-11-23T07.0.log.xz",
            "daemon-2026-11-23+0530.3.log",
            "daemon-2026-11-23T23-0800.0.log.xz",
        ] {
            let parsed = parse(name).unwrap_or_else(|| panic!("{name} is ours"));
            assert_eq!(parsed.to_string(), name);
        }
    }

    #[test]
    fn names_that_are_not_ours_are_left_alone() {
        for name in [
            "daemon.log",
            "daemon.log.1",
            "daemon-2026-11-23.log",
            "daemon-2026-11-23.00.log",
            "daemon-2026-11-23.+1.log",
            "daemon-2026-02-30.0.log",
            "daemon-2026-11-23T24.0.log",
            "daemon-2026-11-23T7.0.log",
            "daemon-2026-11-23-0000.0.log",
            "daemon-2026-11-23+0560.0.log",
            "daemon-2026-11-23.0.log.gz",
            "daemon-2026-11-23.0.log.xz.tmp",
            "daemon-web-2026-11-23.0.log",
            "other-2026-11-23.0.log",
            "daemon-2026-11-23é.0.log",
            "daemon-",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_is_recognised_whatever_the_stem() {
        for (name, stem) in [
            ("daemon-2026-11-23.0.log", "daemon"),
            ("my-app-2026-11-23T07.0.log.xz", "my-app"),
            ("a-2026-01-01.0.log-2026-11-23.1.log", "a-2026-01-01.0.log"),
        ] {
            let parsed = ArchiveName::parse_any(name).expect("an archive");
            assert_eq!(parsed.stem, stem);
        }
        for name in ["daemon.log", "-", "my-app.log", "2026-11-23.0.log"] {
            assert_eq!(ArchiveName::parse_any(name), None, "{name}");
        }
    }

    #[test]
    fn an_hour_that_comes_twice_sorts_by_time() {
        let summer = parse("daemon-2026-10-25T02+0200.0.log").expect("ours");
        let winter = parse("daemon-2026-10-25T02+0100.0.log").expect("ours");
        assert!(summer.sort_key() < winter.sort_key());
        assert!(
            summer.to_string() > winter.to_string(),
            "as text they sort wrong"
        );
    }

    #[test]
    fn the_tenth_archive_sorts_after_the_second() {
        let second = parse("daemon-2026-10-25.2.log").expect("ours");
        let tenth = parse("daemon-2026-10-25.10.log").expect("ours");
        assert!(second.sort_key() < tenth.sort_key());
    }

    #[test]
    fn only_a_log_ending_is_taken_off_the_stem() {
        assert_eq!(stem("daemon.log"), "daemon");
        assert_eq!(stem("daemon.txt"), "daemon.txt");
        assert_eq!(stem(".log"), ".log");
    }

    prop_compose! {
        fn any_name()(
            stem in "[a-z.-]{1,8}",
            days in 0i32..30_000,
            hour in proptest::option::of(0u8..24),
            offset in proptest::option::of(-720i16..840),
            number in any::<u32>(),
            packed in any::<bool>(),
        ) -> ArchiveName {
            let epoch = jiff::civil::date(1970, 1, 1);
            let date = epoch.checked_add(jiff::Span::new().days(days)).expect("in range");
            ArchiveName { stem, label: Label { date, hour, offset }, number, packed }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(name in any_name()) {
            let text = name.to_string();
            prop_assert_eq!(ArchiveName::parse(&name.stem, &text), Some(name));
        }

        #[test]
        fn what_reads_is_what_would_be_written(text in "daemon-[0-9T+.a-z-]{0,24}(\\.log)?(\\.xz)?") {
            if let Some(name) = parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }

        #[test]
        fn any_text_is_survived(text in ".{0,40}") {
            let _ = ArchiveName::parse("d", &text);
        }
    }
}
