//! A pack: several records of one level as one value of a table.
//!
//! `redb` takes some microseconds for each value that it inserts, reads and
//! removes, and a record is worth less than that. So the records of a
//! transaction are packed, and a pack fills a page. It stands under the key of
//! its first record; one that has lost some of its records is written anew.
//!
//! # Layout
//! Numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | checksum of the pack's key and the rest of the head |
//! | 1 | [`FORM`] |
//! | 4 | how many records |
//! | 12 for each record | its key less that of the pack, the length of its line, the checksum of its key, id and line |
//! | the rest | for each record its id and its line |
//!
//! In the first version of the spool a value was one record: its checksum, its
//! id, its line. Those can still be read: the fifth byte of theirs is the
//! beginning of an id, and [`FORM`] is none.
//!
//! # Checksums
//! `redb` checks its pages only when it repairs a file. So a disk that gives
//! back other bytes than were written would alter a record without anybody
//! noticing; with a checksum such a record makes no sense. Each record has one of
//! its own: what happens to it should not cost its neighbours.

use std::ops::Range;

use crate::id::{ID_LENGTH, RecordId};
use crate::planted;

/// Bytes of a number.
const NUMBER: usize = size_of::<u32>();

/// What tells a pack from a record of the first version.
const FORM: u8 = 2;

/// Bytes before the records of the head.
const HEAD: usize = NUMBER + 1 + NUMBER;

/// Bytes of the head for each record.
const ENTRY: usize = 3 * NUMBER;

/// Bytes of an empty pack.
pub(super) const EMPTY_BYTES: usize = HEAD;

/// Bytes of a record in a pack.
pub(super) fn packed_bytes(line: usize) -> usize {
    ENTRY + ID_LENGTH + line
}

/// A record in a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: u64,
    sum: u32,
    /// Where its id and its line are in the pack.
    place: Range<usize>,
}

impl Entry {
    /// Bytes of its line.
    pub(super) fn line_bytes(&self) -> usize {
        self.place.len() - ID_LENGTH
    }

    /// Its id and line; `None` if they are not as they were put in.
    pub(super) fn read<'p>(&self, pack: &'p [u8]) -> Option<(RecordId, &'p str)> {
        let body = pack.get(self.place.clone())?;
        if self.sum != checksum(self.key, body) && !planted!(SkipsChecksums) {
            return None;
        }
        let (id, line) = body.split_at_checked(ID_LENGTH)?;
        Some((RecordId::parse(id)?, std::str::from_utf8(line).ok()?))
    }
}

/// The records of a pack, in the order of their keys, the first of which is its
/// own; `None` if the head is not as it was written.
pub(super) fn entries(key: u64, pack: &[u8]) -> Option<Vec<Entry>> {
    let (sum, rest) = pack.split_first_chunk()?;
    let sum = u32::from_le_bytes(*sum);
    if *rest.first()? != FORM {
        // One record of the first version.
        let place = NUMBER..pack.len();
        return (place.len() >= ID_LENGTH).then(|| vec![Entry { key, sum, place }]);
    }
    let count = number(pack, NUMBER + 1)? as usize;
    let start = count.checked_mul(ENTRY)?.checked_add(HEAD)?;
    let head = pack.get(NUMBER..start)?;
    if sum != checksum(key, head) && !planted!(SkipsChecksums) {
        return None;
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(count);
    let mut end = start;
    for at in (HEAD..start).step_by(ENTRY) {
        let place = end..end.checked_add(ID_LENGTH + number(pack, at + NUMBER)? as usize)?;
        end = place.end;
        let entry = Entry {
            key: key.checked_add(u64::from(number(pack, at)?))?,
            sum: number(pack, at + 2 * NUMBER)?,
            place,
        };
        let is_behind = match entries.last() {
            Some(last) => last.key < entry.key,
            None => entry.key == key,
        };
        if !is_behind {
            return None;
        }
        entries.push(entry);
    }
    (count > 0 && end == pack.len()).then_some(entries)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Puts a pack together.
#[derive(Debug, Default)]
pub(super) struct Packer {
    key: u64,
    count: u32,
    heads: Vec<u8>,
    bodies: Vec<u8>,
}

impl Packer {
    /// Adds a record, whose key is greater than those before.
    pub(super) fn push(&mut self, key: u64, id: RecordId, line: &str) {
        let start = self.bodies.len();
        self.bodies.extend_from_slice(id.as_str().as_bytes());
        self.bodies.extend_from_slice(line.as_bytes());
        let sum = checksum(key, &self.bodies[start..]);
        self.push_head(key, line.len(), sum);
    }

    /// Adds a record of another pack as it is, sound or not.
    pub(super) fn keep(&mut self, entry: &Entry, pack: &[u8]) {
        self.bodies.extend_from_slice(&pack[entry.place.clone()]);
        self.push_head(entry.key, entry.line_bytes(), entry.sum);
    }

    fn push_head(&mut self, key: u64, line_bytes: usize, sum: u32) {
        if self.count == 0 {
            self.key = key;
        }
        self.count += 1;
        // No transaction brings so many records or so long a line.
        for number in [(key - self.key) as u32, line_bytes as u32, sum] {
            self.heads.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// The pack and its key, unless it is empty. Begins the next one.
    pub(super) fn finish(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.count == 0 {
            return None;
        }
        let mut pack = Vec::with_capacity(HEAD + self.heads.len() + self.bodies.len());
        pack.extend_from_slice(&[0; NUMBER]);
        pack.push(FORM);
        pack.extend_from_slice(&self.count.to_le_bytes());
        pack.extend_from_slice(&self.heads);
        let sum = checksum(self.key, &pack[NUMBER..]);
        pack[..NUMBER].copy_from_slice(&sum.to_le_bytes());
        pack.extend_from_slice(&self.bodies);
        self.count = 0;
        self.heads.clear();
        self.bodies.clear();
        Some((self.key, pack))
    }
}

/// Eight bytes at a time: it runs for every record, twice. Every step is a
/// bijection of the state, so what differs in one place never meets again.
fn checksum(key: u64, bytes: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |state: u64, word: u64| (state ^ word).wrapping_mul(ODD).rotate_left(29);
    let mut state = step(key, bytes.len() as u64);
    let (words, rest) = bytes.as_chunks();
    for word in words {
        state = step(state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    state = step(step(state, u64::from_le_bytes(last)), 0);
    (state ^ (state >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: u64) -> RecordId {
        RecordId::of(Uuid::nil(), number)
    }

    const LINES: [&str; 4] = ["", "{}", r#"{"message":"counted"}"#, "with ümlauts"];

    fn pack() -> (u64, Vec<u8>) {
        let mut packer = Packer::default();
        for (number, line) in (0..).zip(LINES) {
            packer.push(7 + 3 * number, id(number), line);
        }
        packer.finish().unwrap()
    }

    /// As the first version of the spool wrote a record.
    fn old_value(key: u64, id: RecordId, line: &str) -> Vec<u8> {
        let body = [id.as_str().as_bytes(), line.as_bytes()].concat();
        [&checksum(key, &body).to_le_bytes()[..], &body].concat()
    }

    fn read(key: u64, pack: &[u8]) -> Option<Vec<(u64, RecordId, String)>> {
        let read = |entry: Entry| {
            let (id, line) = entry.read(pack)?;
            assert_eq!(line.len(), entry.line_bytes());
            Some((entry.key, id, line.to_owned()))
        };
        entries(key, pack)?.into_iter().map(read).collect()
    }

    #[test]
    fn records_come_back_as_they_were() {
        let (key, pack) = pack();
        assert_eq!(key, 7);
        let lines = LINES.iter().map(|line| packed_bytes(line.len()));
        assert_eq!(pack.len(), EMPTY_BYTES + lines.sum::<usize>());
        let expected: Vec<_> = (0..)
            .zip(LINES)
            .map(|(number, line)| (7 + 3 * number, id(number), line.to_owned()))
            .collect();
        assert_eq!(read(key, &pack), Some(expected));
    }

    #[test]
    fn record_of_the_first_version_can_be_read() {
        for line in LINES {
            let old = old_value(3, id(7), line);
            assert_eq!(read(3, &old), Some(vec![(3, id(7), line.to_owned())]));
            assert_eq!(read(4, &old), None);
        }
    }

    #[test]
    fn what_is_left_of_a_pack_is_a_pack() {
        let (key, pack) = pack();
        let all = entries(key, &pack).unwrap();
        let mut packer = Packer::default();
        packer.keep(&all[1], &pack);
        packer.keep(&all[3], &pack);
        let (key, rest) = packer.finish().unwrap();
        assert_eq!(key, 10);
        let left = [(10, 1, LINES[1]), (16, 3, LINES[3])];
        let expected = left.map(|(key, number, line)| (key, id(number), line.to_owned()));
        assert_eq!(read(key, &rest), Some(expected.to_vec()));
        assert_eq!(packer.finish(), None);
    }

    #[test]
    fn flipped_bit_costs_one_record_or_is_noticed_in_the_head() {
        let (key, pack) = pack();
        let bodies = HEAD + LINES.len() * ENTRY;
        for place in 0..pack.len() * 8 {
            let mut flipped = pack.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            let Some(found) = entries(key, &flipped) else {
                assert!(place / 8 < bodies, "bit {place}");
                continue;
            };
            let sound = found.iter().filter(|entry| entry.read(&flipped).is_some());
            let expected = if place / 8 < bodies { 0 } else { 3 };
            assert_eq!(sound.count(), expected, "bit {place}");
        }
    }

    #[test]
    fn wrong_place_and_missing_end_are_noticed() {
        let (key, pack) = pack();
        assert_eq!(entries(key + 1, &pack), None);
        for length in 0..pack.len() {
            assert_eq!(read(key, &pack[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn garbage_is_no_pack() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut bytes: Vec<u8> = (0..random.usize(..60)).map(|_| random.u8(..4)).collect();
            if let Some(form) = bytes.get_mut(NUMBER) {
                *form = FORM;
            }
            assert_eq!(read(7, &bytes), None, "{bytes:?}");
        }
    }
}
