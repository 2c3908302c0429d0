//! The sources of a configuration: files, and environment variables, each of which is read like a file with one key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::error::{ConfigError, ConfigErrors, Excerpt};
use super::origin::{Origin, Origins};

/// Environment variables with this prefix are keys; two underscores separate tables and keys.
pub const VARIABLE_PREFIX: &str = "SYNC_DAEMON__";
const SEPARATOR: &str = "__";
/// Whatever is larger is not a configuration file.
const LARGEST_FILE: u64 = 16 << 20;
/// The parser limits nesting in files; this limits it in the names of variables.
const DEEPEST_TABLE: usize = 16;
/// One missing quote can make an error of every line below it.
const SYNTAX_ERRORS_SHOWN: usize = 10;

/// A file or an environment variable.
pub(super) struct Document {
    source: Source,
    text: String,
}

enum Source {
    File(PathBuf),
    Variable { name: String, path: String },
}

impl Document {
    /// Reads a file, or says why it cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |reason: String| ConfigError {
            origin: Origin::Default,
            message: format!("cannot read {}: {reason}", path.display()),
            excerpt: None,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        file.take(LARGEST_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(failed("larger than 16 MB".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
            failed(format!("line {line} is not UTF-8"))
        })?;
        Ok(Self {
            source: Source::File(path.to_owned()),
            text,
        })
    }

    /// The environment variables that are keys, in the order of their names.
    pub(super) fn of_environment(environment: &Environment) -> (Vec<Self>, Vec<ConfigError>) {
        let mut documents = Vec::new();
        let mut errors = Vec::new();
        for (name, value) in environment.iter() {
            let name = name.to_string_lossy();
            let Some(path) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            let path = path.to_lowercase().replace(SEPARATOR, ".");
            let mut refuse = |message: &str| {
                errors.push(ConfigError {
                    origin: Origin::Variable(name.to_string()),
                    message: message.to_owned(),
                    excerpt: None,
                });
            };
            match value.to_str() {
                _ if path.matches('.').count() > DEEPEST_TABLE => {
                    refuse("no key is nested so deeply")
                }
                None => refuse("the value is not UTF-8"),
                Some(text) => documents.push(Self {
                    source: Source::Variable {
                        name: name.to_string(),
                        path,
                    },
                    text: text.trim().to_owned(),
                }),
            }
        }
        (documents, errors)
    }

    /// The tree of the document, and its syntax errors. With errors the tree is a guess.
    pub(super) fn parse(&self) -> (DeTable<'_>, Vec<(Range<usize>, String)>) {
        let Source::Variable { path, .. } = &self.source else {
            let (table, errors) = DeTable::parse_recoverable(&self.text);
            let place = |error: toml::de::Error| {
                let span = error.span().unwrap_or(self.text.len()..self.text.len());
                let found = self.text.get(span.clone()).unwrap_or_default();
                let message = in_plain_words(error.message(), found);
                (span, message)
            };
            let errors = errors
                .into_iter()
                .take(SYNTAX_ERRORS_SHOWN)
                .map(place)
                .collect();
            return (table.into_inner(), errors);
        };
        let value = DeValue::parse(&self.text).unwrap_or_else(|_| self.as_string());
        (nested(path, value), Vec::new())
    }

    /// The text of the variable that stands for the key at `path`, as a string: `123` may be the name of a collection.
    pub(super) fn variable_text(&self, path: &str) -> Option<Spanned<DeValue<'_>>> {
        match &self.source {
            Source::Variable { path: own, .. } if own == path => Some(self.as_string()),
            _ => None,
        }
    }

    /// The name of the variable, if the document is one.
    pub(super) fn variable_name(&self) -> Option<&str> {
        match &self.source {
            Source::Variable { name, .. } => Some(name),
            Source::File(_) => None,
        }
    }

    fn as_string(&self) -> Spanned<DeValue<'_>> {
        Spanned::new(
            0..self.text.len(),
            DeValue::String(Cow::Borrowed(&self.text)),
        )
    }

    fn origin(&self, offset: usize) -> Origin {
        match &self.source {
            Source::Variable { name, .. } => Origin::Variable(name.clone()),
            Source::File(path) => {
                let (line, column) = self.position(offset);
                Origin::File {
                    path: path.clone(),
                    line,
                    column,
                }
            }
        }
    }

    fn excerpt(&self, span: &Range<usize>) -> Option<Excerpt> {
        let Source::File(_) = self.source else {
            return None;
        };
        let (line_number, column) = self.position(span.start);
        let line = self
            .text
            .split('\n')
            .nth(line_number - 1)
            .unwrap_or_default();
        let marked = self
            .text
            .get(span.clone())
            .and_then(|text| text.lines().next());
        let mark_len = marked.map_or(1, |text| text.chars().count());
        Some(Excerpt::new(line_number, line, column, mark_len))
    }

    /// Line and column, both from 1.
    fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.matches('\n').count();
        (line, 1 + before[line_start..].chars().count())
    }
}

/// What the parser says, without its terms. A word without quotes is the mistake that is made most, and a parser takes
/// `info` and `none` for numbers that begin like `inf` and `nan`.
fn in_plain_words(message: &str, found: &str) -> String {
    let begins_a_word = found.starts_with(|first: char| first.is_alphabetic());
    let takes_it_for_a_number = message.starts_with("invalid float") && begins_a_word;
    let (message, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    if message == "string values must be quoted" || takes_it_for_a_number {
        let is_a_word = |other: char| other.is_alphanumeric() || "_-./~:".contains(other);
        return match !found.is_empty() && found.chars().all(is_a_word) {
            true => format!("text must be in quotes: \"{found}\""),
            false => "a value is missing here, or text without quotes".to_owned(),
        };
    }
    match expected {
        "" | "nothing" => message.to_owned(),
        expected => format!("{message}, expected {expected}"),
    }
}

/// A table that holds `value` at a dotted path.
fn nested<'a>(path: &str, value: Spanned<DeValue<'a>>) -> DeTable<'a> {
    let span = value.span();
    let wrap = |inner: Spanned<DeValue<'a>>, key: &str| {
        let mut table = DeTable::new();
        table.insert(
            Spanned::new(span.clone(), Cow::Owned(key.to_owned())),
            inner,
        );
        table
    };
    let mut segments = path.rsplit('.');
    let innermost = wrap(value, segments.next().unwrap_or_default());
    segments.fold(innermost, |table, key| {
        wrap(Spanned::new(span.clone(), DeValue::Table(table)), key)
    })
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) document: usize,
    pub(super) span: Range<usize>,
}

/// What reading found out besides the values: where they stand, and what is wrong.
#[derive(Default)]
pub(super) struct Findings {
    places: BTreeMap<String, Place>,
    faults: Vec<(Option<Place>, String)>,
}

impl Findings {
    /// Remembers where the key or table at `path` was written last.
    pub(super) fn wrote(&mut self, path: &str, place: Place) {
        self.places.insert(path.to_owned(), place);
    }

    /// Where the key or table at `path` was written last.
    pub(super) fn place(&self, path: &str) -> Option<&Place> {
        self.places.get(path)
    }

    /// Whether something is wrong with what was written at `path`.
    pub(super) fn is_faulty(&self, path: &str) -> bool {
        let place = self.place(path);
        place.is_some() && self.faults.iter().any(|(at, _)| at.as_ref() == place)
    }

    /// Something is wrong at a place.
    pub(super) fn fault(&mut self, place: Place, message: String) {
        self.faults.push((Some(place), message));
    }

    /// Something is wrong with the key at `path`; where it was not written, the table around it is shown.
    pub(super) fn fault_at(&mut self, path: &str, message: String) {
        let mut shown = path;
        while self.place(shown).is_none() {
            match shown.rfind(['.', '[']) {
                Some(end) => shown = &shown[..end],
                None => break,
            }
        }
        self.faults.push((self.place(shown).cloned(), message));
    }

    /// The origins, if nothing is wrong.
    pub(super) fn finish(
        self,
        documents: &[Document],
        mut errors: Vec<ConfigError>,
    ) -> Result<Origins, ConfigErrors> {
        let Self { places, mut faults } = self;
        faults.sort_by_key(|(place, _)| {
            place
                .as_ref()
                .map_or((usize::MAX, 0), |place| (place.document, place.span.start))
        });
        errors.extend(faults.into_iter().map(|(place, message)| {
            let at = place.map(|place| (&documents[place.document], place.span));
            ConfigError {
                origin: at.as_ref().map_or(Origin::Default, |(document, span)| {
                    document.origin(span.start)
                }),
                message,
                excerpt: at.and_then(|(document, span)| document.excerpt(&span)),
            }
        }));
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        let origin = |place: Place| documents[place.document].origin(place.span.start);
        Ok(Origins(
            places
                .into_iter()
                .map(|(path, place)| (path, origin(place)))
                .collect(),
        ))
    }
}
