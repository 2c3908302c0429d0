//! The kinds of values: what TOML they accept, what they refuse, and how they are written back.
//!
//! Each kind borrows the field of the configuration that it fills.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use toml::Spanned;
use toml::de::DeValue;

use super::section::Slot;
use super::suggest::nearest;

/// Bytes in a megabyte of the configuration: 2^20.
pub(crate) const MIB: u64 = 1 << 20;
/// Bytes in a kilobyte of the configuration: 2^10.
pub(crate) const KIB: u64 = 1 << 10;
const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// What is wrong with a value, and where in the source it stands.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<(Range<usize>, String)>);

impl Faults {
    fn push(&mut self, at: &Spanned<DeValue<'_>>, message: impl Into<String>) {
        self.0.push((at.span(), message.into()));
    }

    fn wrong_type(&mut self, expected: &str, found: &Spanned<DeValue<'_>>) {
        self.push(
            found,
            format!("expected {expected}, found {}", kind_of(found.get_ref())),
        );
    }
}

/// How messages call the type of a value.
pub(crate) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// `true` or `false`.
pub(crate) fn switch(target: &mut bool) -> Switch<'_> {
    Switch(target)
}

/// See [`switch`].
pub(crate) struct Switch<'a>(&'a mut bool);

impl Slot for Switch<'_> {
    fn read(&mut self, value: &Spanned<DeValue<'_>>, faults: &mut Faults) {
        match value.get_ref() {
            DeValue::Boolean(on) => *self.0 = *on,
            _ => faults.wrong_type("true or false", value),
        }
    }

    fn value(&self) -> toml::Value {
        toml::Value::Boolean(*self.0)
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "boolean" })
    }
}

/// A whole number in a range, stored as it is or in another unit.
pub(crate) struct Number<'a, T> {
    target: &'a mut T,
    allowed: RangeInclusive<u64>,
    unit: Unit<T>,
}

/// How the number in the file becomes the value in memory, and back.
struct Unit<T> {
    store: fn(u64) -> T,
    load: fn(&T) -> u64,
}

/// A count.
pub(crate) fn count(target: &mut usize, allowed: RangeInclusive<u64>) -> Number<'_, usize> {
    let unit = Unit {
        store: |n| usize::try_from(n).unwrap_or(usize::MAX),
        load: |n| *n as u64,
    };
    Number {
        target,
        allowed,
        unit,
    }
}

/// A small number; the range must lie within `u32`.
pub(crate) fn small(target: &mut u32, allowed: RangeInclusive<u64>) -> Number<'_, u32> {
    let unit = Unit {
        store: |n| u32::try_from(n).unwrap_or(u32::MAX),
        load: |n| u64::from(*n),
    };
    Number {
        target,
        allowed,
        unit,
    }
}

/// A port number; 0 is any free port.
pub(crate) fn port(target: &mut u16) -> Number<'_, u16> {
    let unit = Unit {
        store: |n| u16::try_from(n).unwrap_or(u16::MAX),
        load: |n| u64::from(*n),
    };
    Number {
        target,
        allowed: 0..=u64::from(u16::MAX),
        unit,
    }
}

/// Seconds.
pub(crate) fn seconds(target: &mut Duration, allowed: RangeInclusive<u64>) -> Number<'_, Duration> {
    let unit = Unit {
        store: Duration::from_secs,
        load: Duration::as_secs,
    };
    Number {
        target,
        allowed,
        unit,
    }
}

/// Milliseconds.
pub(crate) fn milliseconds(
    target: &mut Duration,
    allowed: RangeInclusive<u64>,
) -> Number<'_, Duration> {
    let unit = Unit {
        store: Duration::from_millis,
        load: |d| d.as_millis() as u64,
    };
    Number {
        target,
        allowed,
        unit,
    }
}

/// Megabytes, stored as bytes.
pub(crate) fn megabytes(target: &mut u64, allowed: RangeInclusive<u64>) -> Number<'_, u64> {
    let unit = Unit {
        store: |n| n * MIB,
        load: |bytes| bytes / MIB,
    };
    Number {
        target,
        allowed,
        unit,
    }
}

/// Kilobytes, stored as bytes.
pub(crate) fn kilobytes(target: &mut u64, allowed: RangeInclusive<u64>) -> Number<'_, u64> {
    let unit = Unit {
        store: |n| n * KIB,
        load: |bytes| bytes / KIB,
    };
    Number {
        target,
        allowed,
        unit,
    }
}

/// Megabytes, stored as bytes; 0 is no limit.
pub(crate) fn megabytes_or_none(target: &mut Option<u64>) -> Number<'_, Option<u64>> {
    let unit = Unit {
        store: |n| (n > 0).then_some(n * MIB),
        load: |bytes| bytes.unwrap_or(0) / MIB,
    };
    Number {
        target,
        allowed: 0..=u64::from(u32::MAX),
        unit,
    }
}

/// Days; 0 is no limit.
pub(crate) fn days_or_none(target: &mut Option<Duration>) -> Number<'_, Option<Duration>> {
    let unit = Unit {
        store: |n| (n > 0).then_some(Duration::from_secs(n * SECONDS_A_DAY)),
        load: |age| age.map_or(0, |age| age.as_secs() / SECONDS_A_DAY),
    };
    Number {
        target,
        allowed: 0..=100_000,
        unit,
    }
}

impl<T> Slot for Number<'_, T> {
    fn read(&mut self, value: &Spanned<DeValue<'_>>, faults: &mut Faults) {
        let DeValue::Integer(written) = value.get_ref() else {
            return faults.wrong_type("a whole number", value);
        };
        match u64::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) if self.allowed.contains(&number) => {
                *self.target = (self.unit.store)(number)
            }
            _ => {
                let (least, most) = (self.allowed.start(), self.allowed.end());
                faults.push(
                    value,
                    format!("{written} is not between {least} and {most}"),
                );
            }
        }
    }

    fn value(&self) -> toml::Value {
        toml::Value::Integer(i64::try_from((self.unit.load)(self.target)).unwrap_or(i64::MAX))
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "integer", "minimum": self.allowed.start(), "maximum": self.allowed.end() })
    }
}

/// One of a closed list of words.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every word with its meaning, in the order of the documentation.
    const ALL: &'static [(&'static str, Self)];
}

/// A [`Choice`]; upper and lower case are the same.
pub(crate) fn choice<T: Choice>(target: &mut T) -> OneOf<'_, T> {
    OneOf(target)
}

/// See [`choice`].
pub(crate) struct OneOf<'a, T>(&'a mut T);

impl<T: Choice> OneOf<'_, T> {
    fn words() -> Vec<&'static str> {
        T::ALL.iter().map(|(word, _)| *word).collect()
    }
}

impl<T: Choice> Slot for OneOf<'_, T> {
    fn read(&mut self, value: &Spanned<DeValue<'_>>, faults: &mut Faults) {
        let DeValue::String(written) = value.get_ref() else {
            let expected = format!("one of {}", quoted(&Self::words()));
            return faults.wrong_type(&expected, value);
        };
        match T::ALL
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(written))
        {
            Some((_, meaning)) => *self.0 = *meaning,
            None => {
                let words = Self::words();
                let guess = nearest(written, words.iter().copied());
                let guess = guess.map_or(String::new(), |word| format!("; did you mean `{word}`?"));
                faults.push(
                    value,
                    format!("`{written}` is not one of {}{guess}", quoted(&words)),
                );
            }
        }
    }

    fn value(&self) -> toml::Value {
        let word = T::ALL
            .iter()
            .find(|(_, meaning)| meaning == self.0)
            .map_or("", |(word, _)| word);
        toml::Value::String(word.to_owned())
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "enum": Self::words() })
    }

    fn is_text(&self) -> bool {
        true
    }
}

fn quoted(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A value that is written as a string.
pub(crate) struct Text<'a, T> {
    target: &'a mut T,
    expected: &'static str,
    parse: fn(&str) -> Result<T, String>,
    print: fn(&T) -> String,
}

/// A string that `check` accepts.
pub(crate) fn text<'a>(
    target: &'a mut String,
    expected: &'static str,
    check: fn(&str) -> Result<String, String>,
) -> Text<'a, String> {
    Text {
        target,
        expected,
        parse: check,
        print: String::clone,
    }
}

/// A string that `check` accepts, or an empty one, which means that there is none.
pub(crate) fn optional_text<'a>(
    target: &'a mut Option<String>,
    expected: &'static str,
    check: fn(&str) -> Result<Option<String>, String>,
) -> Text<'a, Option<String>> {
    Text {
        target,
        expected,
        parse: check,
        print: |value| value.clone().unwrap_or_default(),
    }
}

/// The path of a directory or file, not empty.
pub(crate) fn path(target: &mut PathBuf) -> Text<'_, PathBuf> {
    Text {
        target,
        expected: "a path",
        parse: parse_path,
        print: |path| path.display().to_string(),
    }
}

/// The path of a file: like [`path`], but it must end in a file's name.
pub(crate) fn file_path(target: &mut PathBuf) -> Text<'_, PathBuf> {
    Text {
        target,
        expected: "the path of a file",
        parse: parse_file_path,
        print: |path| path.display().to_string(),
    }
}

/// The path of a file, or an empty string, which means that there is none.
pub(crate) fn optional_file_path(target: &mut Option<PathBuf>) -> Text<'_, Option<PathBuf>> {
    Text {
        target,
        expected: "the path of a file",
        parse: |written| match written {
            "" => Ok(None),
            _ => parse_file_path(written).map(Some),
        },
        print: |path| {
            path.as_deref()
                .map_or(String::new(), |path| path.display().to_string())
        },
    }
}

fn parse_path(written: &str) -> Result<PathBuf, String> {
    if written.trim().is_empty() {
        return Err("a path cannot be empty".to_owned());
    }
    if written.contains('\0') {
        return Err("a path cannot contain a zero byte".to_owned());
    }
    if written == "~" || written.starts_with("~/") {
        return Err("`~` is not expanded here; write the whole path".to_owned());
    }
    Ok(PathBuf::from(written))
}

fn parse_file_path(written: &str) -> Result<PathBuf, String> {
    let path = parse_path(written)?;
    if written.ends_with('/') || path.file_name().is_none() {
        return Err("this names a directory; a file's name is missing".to_owned());
    }
    Ok(path)
}

/// An IP address to listen on.
pub(crate) fn ip_address(target: &mut IpAddr) -> Text<'_, IpAddr> {
    Text {
        target,
        expected: "an IP address",
        parse: |written| {
            written
                .parse()
                .map_err(|_| format!("`{written}` is not an IP address like `127.0.0.1` or `::1`"))
        },
        print: IpAddr::to_string,
    }
}

/// A duration with units, `90s` or `1h 30m`.
pub(crate) fn duration(target: &mut Duration) -> Text<'_, Duration> {
    Text {
        target,
        expected: "a duration like \"5m\"",
        parse: parse_duration,
        print: |duration| humantime::format_duration(*duration).to_string(),
    }
}

/// Like [`duration`], but not zero.
pub(crate) fn positive_duration(target: &mut Duration) -> Text<'_, Duration> {
    let mut slot = duration(target);
    slot.parse = |written| match parse_duration(written)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        duration => Ok(duration),
    };
    slot
}

/// No timer needs more, and adding it to a point in time cannot overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(10 * 366 * SECONDS_A_DAY);

fn parse_duration(written: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(written).map_err(|error| {
        format!("`{written}` is not a duration like `90s`, `5m` or `1h 30m`: {error}")
    })?;
    if duration > LONGEST_DURATION {
        return Err(format!("`{written}` is longer than ten years"));
    }
    Ok(duration)
}

/// Permission bits as an octal string; `needed` are bits without which the daemon locks itself out.
pub(crate) fn file_mode(target: &mut u32) -> Text<'_, u32> {
    Text {
        target,
        expected: "an octal mode like \"0640\"",
        parse: |written| parse_mode(written, 0o600),
        print: print_mode,
    }
}

/// Like [`file_mode`], for a directory.
pub(crate) fn dir_mode(target: &mut u32) -> Text<'_, u32> {
    Text {
        target,
        expected: "an octal mode like \"0750\"",
        parse: |written| parse_mode(written, 0o700),
        print: print_mode,
    }
}

fn parse_mode(written: &str, needed: u32) -> Result<u32, String> {
    let digits = !written.is_empty() && written.bytes().all(|digit| digit.is_ascii_digit());
    let mode = u32::from_str_radix(written, 8)
        .ok()
        .filter(|mode| digits && *mode <= 0o777);
    match mode {
        None => Err(format!(
            "`{written}` is not an octal mode between `0000` and `0777`"
        )),
        Some(mode) if mode & needed != needed => Err(format!(
            "`{written}` would lock the daemon itself out; it needs at least `{needed:04o}`"
        )),
        Some(mode) => Ok(mode),
    }
}

fn print_mode(mode: &u32) -> String {
    format!("{mode:04o}")
}

impl<T> Slot for Text<'_, T> {
    fn read(&mut self, value: &Spanned<DeValue<'_>>, faults: &mut Faults) {
        let DeValue::String(written) = value.get_ref() else {
            return faults.wrong_type(self.expected, value);
        };
        match (self.parse)(written) {
            Ok(parsed) => *self.target = parsed,
            Err(message) => faults.push(value, message),
        }
    }

    fn value(&self) -> toml::Value {
        toml::Value::String((self.print)(self.target))
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "string" })
    }

    fn is_text(&self) -> bool {
        true
    }
}

/// An array of strings, each of which `check` accepts. A later layer replaces the whole array.
pub(crate) fn texts<'a>(
    target: &'a mut Vec<String>,
    check: fn(&str) -> Result<(), String>,
) -> Texts<'a> {
    Texts { target, check }
}

/// See [`texts`].
pub(crate) struct Texts<'a> {
    target: &'a mut Vec<String>,
    check: fn(&str) -> Result<(), String>,
}

impl Slot for Texts<'_> {
    fn read(&mut self, value: &Spanned<DeValue<'_>>, faults: &mut Faults) {
        let DeValue::Array(items) = value.get_ref() else {
            return faults.wrong_type("an array of strings", value);
        };
        let faults_before = faults.0.len();
        let mut accepted = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => match (self.check)(text) {
                    Ok(()) => accepted.push(text.clone().into_owned()),
                    Err(message) => faults.push(item, message),
                },
                _ => faults.wrong_type("a string", item),
            }
        }
        if faults.0.len() == faults_before {
            *self.target = accepted;
        }
    }

    fn value(&self) -> toml::Value {
        self.target.clone().into()
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "array", "items": { "type": "string" } })
    }
}

/// A table from absolute paths to the text that replaces them. A later layer replaces the whole table.
pub(crate) fn path_names(target: &mut BTreeMap<PathBuf, String>) -> PathNames<'_> {
    PathNames(target)
}

/// See [`path_names`].
pub(crate) struct PathNames<'a>(&'a mut BTreeMap<PathBuf, String>);

impl Slot for PathNames<'_> {
    fn read(&mut self, value: &Spanned<DeValue<'_>>, faults: &mut Faults) {
        let DeValue::Table(table) = value.get_ref() else {
            return faults.wrong_type("a table like { \"/srv/data\" = \"<data>\" }", value);
        };
        let faults_before = faults.0.len();
        let mut accepted = BTreeMap::new();
        for (path, name) in table.iter() {
            if !Path::new(path.get_ref().as_ref()).is_absolute() {
                faults.0.push((
                    path.span(),
                    format!("`{}` is not an absolute path", path.get_ref()),
                ));
            }
            match name.get_ref() {
                DeValue::String(name) => {
                    accepted.insert(
                        PathBuf::from(path.get_ref().as_ref()),
                        name.clone().into_owned(),
                    );
                }
                _ => faults.wrong_type("a string", name),
            }
        }
        if faults.0.len() == faults_before {
            *self.0 = accepted;
        }
    }

    fn value(&self) -> toml::Value {
        let named = |(path, name): (&PathBuf, &String)| {
            (path.display().to_string(), toml::Value::from(name.clone()))
        };
        toml::Value::Table(self.0.iter().map(named).collect())
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}
