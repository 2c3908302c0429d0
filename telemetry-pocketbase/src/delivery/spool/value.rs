//! A record as a value of a table: a checksum, the id, the line.
//!
//! `redb` checks its pages only when it repairs a file. So a disk that gives
//! back other bytes than were written would alter a record without anybody
//! noticing; with the checksum such a record makes no sense.

use crate::id::{ID_LENGTH, RecordId};
use crate::planted;

/// Bytes of the checksum.
const SUM_LENGTH: usize = size_of::<u32>();

/// Bytes before the line.
pub(super) const HEAD_LENGTH: usize = SUM_LENGTH + ID_LENGTH;

/// Puts a record together.
pub(super) fn encode(key: u64, id: RecordId, line: &str) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD_LENGTH + line.len());
    value.extend_from_slice(&[0; SUM_LENGTH]);
    value.extend_from_slice(id.as_str().as_bytes());
    value.extend_from_slice(line.as_bytes());
    let sum = checksum(key, &value[SUM_LENGTH..]);
    value[..SUM_LENGTH].copy_from_slice(&sum.to_le_bytes());
    value
}

/// Takes it apart; `None` if it is not as it was put together.
pub(super) fn decode(key: u64, value: &[u8]) -> Option<(RecordId, &str)> {
    let (sum, rest) = value.split_first_chunk()?;
    let is_sound = u32::from_le_bytes(*sum) == checksum(key, rest);
    if !is_sound && !planted!(SkipsChecksums) {
        return None;
    }
    let (id, line) = rest.split_at_checked(ID_LENGTH)?;
    Some((RecordId::parse(id)?, std::str::from_utf8(line).ok()?))
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

    #[test]
    fn record_comes_back_as_it_was() {
        let id = RecordId::of(Uuid::nil(), 7);
        for line in ["", "{}", "a line of some length, with ümlauts"] {
            let value = encode(3, id, line);
            assert_eq!(value.len(), HEAD_LENGTH + line.len());
            assert_eq!(decode(3, &value), Some((id, line)));
        }
    }

    #[test]
    fn flipped_bit_wrong_place_and_missing_end_are_noticed() {
        let id = RecordId::of(Uuid::nil(), 7);
        let value = encode(3, id, r#"{"message":"counted"}"#);
        for place in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            assert_eq!(decode(3, &flipped), None, "bit {place}");
        }
        assert_eq!(decode(4, &value), None);
        for length in 0..value.len() {
            assert_eq!(decode(3, &value[..length]), None, "{length} bytes");
        }
    }
}
