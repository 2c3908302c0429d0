//! The file for records that a destination will never take.
//!
//! One JSON object a line: `at` (RFC 3339), `id`, `reason`, and `record`, the
//! record itself. The file is bounded: what comes when it is full is counted as
//! rejected but not kept, since the first ones explain the trouble.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::record::Stored;
use crate::files::private_files;
use crate::planted;

/// The dead-letter file. Opened when there is something to write.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    max_bytes: u64,
    bytes: u64,
    count: u64,
    /// The last line was cut off by a crash: the next begins a new one.
    is_torn: bool,
}

/// One line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Letter {
    /// When it was written, RFC 3339.
    pub at: String,
    /// The id of the record.
    pub id: String,
    /// What the destination said.
    pub reason: String,
    /// The record; text if it is not even JSON.
    pub record: Box<RawValue>,
}

impl DeadLetters {
    /// Looks at what is there; makes nothing. With `max_bytes` 0 nothing is
    /// ever written.
    ///
    /// # Errors
    /// An existing file that cannot be read.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let mut letters = Self {
            path: path.to_owned(),
            max_bytes,
            bytes: 0,
            count: 0,
            is_torn: false,
        };
        match File::open(path) {
            Ok(file) => letters.measure(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(letters)
    }

    /// All letters of a file, and how many lines are none; no file is like an
    /// empty one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path) -> io::Result<(Vec<Letter>, u64)> {
        let text = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (mut letters, mut others) = (Vec::new(), 0);
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match serde_json::from_slice(line) {
                Ok(letter) => letters.push(letter),
                Err(_) => others += 1,
            }
        }
        Ok((letters, others))
    }

    /// Puts these letters in place of all that a file holds, at once.
    ///
    /// # Errors
    /// The file is as it was.
    pub fn replace(path: &Path, letters: &[Letter]) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        private_files(&mut options);
        let mut file = options.open(&new)?;
        for letter in letters {
            let mut line = serde_json::to_vec(letter)?;
            line.push(b'\n');
            file.write_all(&line)?;
        }
        file.sync_all()?;
        std::fs::rename(&new, path)
    }

    /// How many it holds.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Size of its file.
    #[cfg(feature = "simulation")]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes one, durably. `Ok(false)` if there is no room for it.
    ///
    /// # Errors
    /// It was not written.
    pub fn add(&mut self, record: &Stored, reason: &str) -> io::Result<bool> {
        let mut line = letter(record, reason)?;
        if self.is_torn {
            line.insert(0, '\n');
        }
        let is_full = self.bytes + line.len() as u64 > self.max_bytes;
        if is_full && !planted!(OverfillsDeadLetters) {
            return Ok(false);
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        private_files(&mut options);
        let mut file = options.open(&self.path)?;
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        self.is_torn = false;
        self.bytes += line.len() as u64;
        self.count += 1;
        Ok(true)
    }

    fn measure(&mut self, file: File) -> io::Result<()> {
        self.bytes = file.metadata()?.len();
        let mut reader = BufReader::new(file);
        loop {
            let length = reader.skip_until(b'\n')?;
            if length == 0 {
                break;
            }
            self.count += 1;
        }
        if self.bytes > 0 {
            let mut last = [0];
            reader.seek(SeekFrom::End(-1))?;
            reader.read_exact(&mut last)?;
            self.is_torn = last != *b"\n";
        }
        Ok(())
    }
}

fn letter(record: &Stored, reason: &str) -> io::Result<String> {
    let raw = match RawValue::from_string(record.line.clone()) {
        Ok(raw) => raw,
        Err(_) => serde_json::value::to_raw_value(&record.line)?,
    };
    let letter = Letter {
        // Always as long: what fits into the file must not depend on the time.
        at: format!("{:.6}", jiff::Timestamp::now()),
        id: record.id.to_string(),
        reason: reason.to_owned(),
        record: raw,
    };
    let mut line = serde_json::to_string(&letter)?;
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use uuid::Uuid;

    use super::*;
    use crate::id::RecordId;

    fn record(line: &str) -> Stored {
        Stored {
            key: 7,
            level: Level::INFO,
            id: RecordId::of(Uuid::nil(), 7),
            line: line.to_owned(),
        }
    }

    #[test]
    fn letters_are_kept_with_their_reason_and_counted_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dead-letters.jsonl");
        let mut letters = DeadLetters::open(&path, 1 << 20).unwrap();
        assert!(letters.add(&record(r#"{"a":1}"#), "too long").unwrap());
        assert!(letters.add(&record("not json"), "no record").unwrap());
        assert_eq!(DeadLetters::open(&path, 1 << 20).unwrap().count(), 2);

        let text = std::fs::read_to_string(&path).unwrap();
        let letters: Vec<Letter> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(letters[0].reason, "too long");
        assert_eq!(letters[0].record.get(), r#"{"a":1}"#);
        assert_eq!(letters[1].record.get(), r#""not json""#);
        letters[0].at.parse::<jiff::Timestamp>().unwrap();
    }

    #[test]
    fn line_that_a_crash_cut_off_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dead-letters.jsonl");
        std::fs::write(&path, "{\"at\":").unwrap();
        let mut letters = DeadLetters::open(&path, 1 << 20).unwrap();
        assert!(letters.add(&record("{}"), "why").unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        let last: Letter = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(last.reason, "why");
    }

    #[test]
    fn file_stays_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dead-letters.jsonl");
        let mut letters = DeadLetters::open(&path, 400).unwrap();
        let kept = (0..10)
            .filter(|_| letters.add(&record(r#"{"a":1}"#), "why").unwrap())
            .count();
        assert!((1..10).contains(&kept), "{kept}");
        assert_eq!(letters.count(), kept as u64);
        assert!(std::fs::metadata(&path).unwrap().len() <= 400);
    }

    #[test]
    fn bound_of_zero_writes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dead-letters.jsonl");
        let mut letters = DeadLetters::open(&path, 0).unwrap();
        assert!(!letters.add(&record("{}"), "why").unwrap());
        assert!(!path.exists());
    }
}
