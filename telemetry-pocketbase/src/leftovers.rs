//! What has not been uploaded, and what cannot be: the spool and the dead
//! letters of a directory, for people.
//!
//! Looking at the spool, and changing the dead letters, needs the spool for
//! oneself: while an uploader uses it, everything here but
//! [`dead_letters`](Leftovers::dead_letters) fails with
//! [`SpoolError::InUse`].

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use telemetry_core::LEVELS;

use crate::delivery::{
    DeadLetters, DiskSpool, Fit, Fresh, Holdings, Letter, Spool, SpoolError, Stored,
};
use crate::error::PocketBaseError;
use crate::id::RecordId;
use crate::sink::{DEAD_LETTERS_FILE, SPOOL_FILE};

/// Bytes of records that are read at once.
const PAGE_BYTES: usize = 1024 * 1024;

/// The spool and the dead letters in one directory.
#[derive(Debug, Clone)]
pub struct Leftovers {
    spool: PathBuf,
    dead_letters: PathBuf,
}

/// What a spool holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolStat {
    /// Its file.
    pub path: PathBuf,
    /// Size of the file.
    pub file_bytes: u64,
    /// Records by level, and bytes of their lines.
    pub holdings: Holdings,
    /// Whether the uploader had stopped asking the server.
    pub breaker_was_open: bool,
    /// Timestamp of the oldest record.
    pub oldest: Option<String>,
}

/// What became of dead letters that were to be replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// They are in the spool again.
    pub replayed: u64,
    /// They are no records and stay: they could never be sent.
    pub impossible: u64,
}

impl Leftovers {
    /// Those in the directory of an uploader.
    pub fn of(dir: &Path) -> Self {
        Self {
            spool: dir.join(SPOOL_FILE),
            dead_letters: dir.join(DEAD_LETTERS_FILE),
        }
    }

    /// What the spool holds; `None` if there is no spool.
    ///
    /// # Errors
    /// [`PocketBaseError::Spool`] if it is in use or cannot be read.
    pub fn stat(&self) -> Result<Option<SpoolStat>, PocketBaseError> {
        let Some(spool) = self.look()? else {
            return Ok(None);
        };
        let (first, _) = spool.page(0, 1).map_err(|error| self.spool_error(error))?;
        Ok(Some(SpoolStat {
            path: self.spool.clone(),
            file_bytes: spool.file_bytes(),
            holdings: spool.holdings(),
            breaker_was_open: spool.breaker_was_open(),
            oldest: first.first().and_then(|record| timestamp_of(&record.line)),
        }))
    }

    /// Reads every page and every record of the spool: how many records make
    /// sense, and how many do not. `None` if there is no spool.
    ///
    /// # Errors
    /// [`PocketBaseError::Spool`] if it is in use, or a page is damaged.
    pub fn verify(&self) -> Result<Option<(u64, u64)>, PocketBaseError> {
        let Some(mut spool) = self.look()? else {
            return Ok(None);
        };
        spool
            .check_pages()
            .map_err(|error| self.spool_error(error))?;
        let (mut good, mut bad) = (0, 0);
        bad += self.each(&spool, |record| {
            let is_line = serde_json::from_str::<serde_json::Value>(&record.line).is_ok();
            if is_line {
                good += 1;
            }
            Ok(is_line)
        })?;
        Ok(Some((good, bad)))
    }

    /// Writes the records of the spool to `out`, one line each, oldest first;
    /// returns how many. They stay in the spool.
    ///
    /// # Errors
    /// [`PocketBaseError::Spool`], and [`PocketBaseError::Io`] with the path of
    /// the spool if `out` fails.
    pub fn export(&self, out: &mut dyn io::Write) -> Result<u64, PocketBaseError> {
        let Some(spool) = self.look()? else {
            return Ok(0);
        };
        let mut count = 0;
        self.each(&spool, |record| {
            writeln!(out, "{}", record.line)?;
            count += 1;
            Ok(true)
        })?;
        out.flush()
            .map_err(|error| self.io_error(&self.spool, error))?;
        Ok(count)
    }

    /// The dead letters, oldest first, and how many lines of the file are none.
    ///
    /// # Errors
    /// [`PocketBaseError::Io`] if the file cannot be read.
    pub fn dead_letters(&self) -> Result<(Vec<Letter>, u64), PocketBaseError> {
        DeadLetters::read(&self.dead_letters)
            .map_err(|error| self.io_error(&self.dead_letters, error))
    }

    /// Puts the letters that `chosen` picks back into the spool, from where they
    /// are sent again, and takes them out of the file. A spool of `max_bytes` is
    /// made where there is none.
    ///
    /// # Errors
    /// [`PocketBaseError::Spool`] and [`PocketBaseError::Io`]. What was put into
    /// the spool before stays in the file too, and is recognised by its id.
    pub fn replay(
        &self,
        max_bytes: u64,
        chosen: impl Fn(&Letter) -> bool,
    ) -> Result<Replayed, PocketBaseError> {
        let (letters, _) = self.dead_letters()?;
        let (mut spool, _) = DiskSpool::open(&self.spool, Fit::within(max_bytes))
            .map_err(|error| self.spool_error(error))?;
        let (mut kept, mut replayed) = (Vec::new(), Replayed::default());
        for letter in letters {
            if !chosen(&letter) {
                kept.push(letter);
                continue;
            }
            let Some(record) = record_of(&letter) else {
                replayed.impossible += 1;
                kept.push(letter);
                continue;
            };
            let evicted = spool
                .append(&[record], None)
                .map_err(|error| self.spool_error(error))?;
            if evicted.iter().any(|&count| count > 0) {
                return Err(self.spool_error(SpoolError::NoRoom { may_grow: false }));
            }
            replayed.replayed += 1;
        }
        self.replace_dead_letters(&kept)?;
        Ok(replayed)
    }

    /// Drops the letters that `chosen` picks for ever; how many those are.
    ///
    /// # Errors
    /// [`PocketBaseError::Spool`] while an uploader is at work,
    /// [`PocketBaseError::Io`].
    pub fn drop_dead_letters(
        &self,
        chosen: impl Fn(&Letter) -> bool,
    ) -> Result<u64, PocketBaseError> {
        let _alone = self.look()?;
        let (letters, _) = self.dead_letters()?;
        let before = letters.len();
        let kept: Vec<Letter> = letters
            .into_iter()
            .filter(|letter| !chosen(letter))
            .collect();
        if kept.len() < before {
            self.replace_dead_letters(&kept)?;
        }
        Ok((before - kept.len()) as u64)
    }

    fn look(&self) -> Result<Option<DiskSpool>, PocketBaseError> {
        if !self.spool.exists() {
            return Ok(None);
        }
        DiskSpool::look(&self.spool)
            .map(Some)
            .map_err(|error| self.spool_error(error))
    }

    /// Gives every record of a spool to `take`; how many make no sense, also by
    /// its word.
    fn each(
        &self,
        spool: &DiskSpool,
        mut take: impl FnMut(&Stored) -> io::Result<bool>,
    ) -> Result<u64, PocketBaseError> {
        let (mut first, mut senseless) = (0, 0);
        loop {
            let page = spool.page(first, PAGE_BYTES);
            let (records, bad) = page.map_err(|error| self.spool_error(error))?;
            senseless += bad;
            let Some(last) = records.last() else {
                return Ok(senseless);
            };
            first = last.key + 1;
            for record in &records {
                let makes_sense =
                    take(record).map_err(|error| self.io_error(&self.spool, error))?;
                senseless += u64::from(!makes_sense);
            }
        }
    }

    fn replace_dead_letters(&self, letters: &[Letter]) -> Result<(), PocketBaseError> {
        DeadLetters::replace(&self.dead_letters, letters)
            .map_err(|error| self.io_error(&self.dead_letters, error))
    }

    fn spool_error(&self, source: SpoolError) -> PocketBaseError {
        PocketBaseError::Spool {
            path: self.spool.clone(),
            source,
        }
    }

    fn io_error(&self, path: &Path, source: io::Error) -> PocketBaseError {
        PocketBaseError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

fn timestamp_of(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        timestamp: String,
    }
    let line: Line = serde_json::from_str(line).ok()?;
    Some(line.timestamp)
}

/// The record of a letter, if it ever was one.
fn record_of(letter: &Letter) -> Option<Fresh<'_>> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
    }
    let line: Line = serde_json::from_str(letter.record.get()).ok()?;
    let level = LEVELS
        .into_iter()
        .find(|level| level.as_str() == line.level)?;
    Some(Fresh {
        level,
        id: RecordId::parse(letter.id.as_bytes())?,
        line: letter.record.get(),
    })
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use uuid::Uuid;

    use super::*;

    const MAX_BYTES: u64 = 8 * 1024 * 1024;

    fn line(number: u64) -> String {
        format!(r#"{{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","seq":{number}}}"#)
    }

    fn spool_with(dir: &Path, count: u64) {
        let path = dir.join(SPOOL_FILE);
        let (mut spool, _) = DiskSpool::open(&path, Fit::within(MAX_BYTES)).unwrap();
        for number in 0..count {
            let line = line(number);
            let record = Fresh {
                level: Level::WARN,
                id: RecordId::of(Uuid::nil(), number),
                line: &line,
            };
            spool.append(&[record], None).unwrap();
        }
    }

    fn bury(dir: &Path, number: u64, line: &str) {
        let path = dir.join(DEAD_LETTERS_FILE);
        let record = Stored {
            key: number,
            level: Level::WARN,
            id: RecordId::of(Uuid::nil(), number),
            line: line.to_owned(),
        };
        let mut letters = DeadLetters::open(&path, MAX_BYTES).unwrap();
        assert!(letters.add(&record, "because").unwrap());
    }

    #[test]
    fn spool_is_counted_verified_and_exported_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let leftovers = Leftovers::of(dir.path());
        assert_eq!(leftovers.stat().unwrap(), None);
        assert_eq!(leftovers.verify().unwrap(), None);
        spool_with(dir.path(), 25);
        let stat = leftovers.stat().unwrap().unwrap();
        assert_eq!(stat.holdings.records, [0, 25, 0, 0, 0]);
        assert_eq!(stat.oldest.as_deref(), Some("2026-01-02T03:04:05Z"));
        assert!(stat.file_bytes > 0 && !stat.breaker_was_open);
        assert_eq!(leftovers.verify().unwrap(), Some((25, 0)));
        let mut out = Vec::new();
        assert_eq!(leftovers.export(&mut out).unwrap(), 25);
        let expected: String = (0..25).map(|number| line(number) + "\n").collect();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn damaged_page_is_found() {
        let dir = tempfile::tempdir().unwrap();
        spool_with(dir.path(), 200);
        let path = dir.path().join(SPOOL_FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = bytes.windows(4).position(|w| w == b"WARN").unwrap();
        bytes[place] = b'X';
        std::fs::write(&path, bytes).unwrap();
        assert!(Leftovers::of(dir.path()).verify().is_err());
        assert!(path.exists(), "a look changes nothing");
    }

    #[test]
    fn dead_letters_are_replayed_into_the_spool_and_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let leftovers = Leftovers::of(dir.path());
        for number in 0..4 {
            bury(dir.path(), number, &line(number));
        }
        bury(dir.path(), 4, "no record");
        let (letters, others) = leftovers.dead_letters().unwrap();
        assert_eq!((letters.len(), others), (5, 0));

        let second = letters[1].id.clone();
        let dropped = leftovers.drop_dead_letters(|letter| letter.id == second);
        assert_eq!(dropped.unwrap(), 1);
        let replayed = leftovers.replay(MAX_BYTES, |_| true).unwrap();
        let expected = Replayed {
            replayed: 3,
            impossible: 1,
        };
        assert_eq!(replayed, expected);
        assert_eq!(leftovers.dead_letters().unwrap().0.len(), 1);
        let mut out = Vec::new();
        leftovers.export(&mut out).unwrap();
        let expected: String = [0, 2, 3].map(|number| line(number) + "\n").concat();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn spool_in_use_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        spool_with(dir.path(), 1);
        let path = dir.path().join(SPOOL_FILE);
        let (_held, _) = DiskSpool::open(&path, Fit::within(MAX_BYTES)).unwrap();
        let leftovers = Leftovers::of(dir.path());
        for error in [
            leftovers.stat().unwrap_err(),
            leftovers.drop_dead_letters(|_| true).unwrap_err(),
            leftovers.replay(MAX_BYTES, |_| true).unwrap_err(),
        ] {
            let PocketBaseError::Spool { source, .. } = error else {
                panic!("{error}");
            };
            assert!(matches!(source, SpoolError::InUse), "{source}");
        }
    }
}
