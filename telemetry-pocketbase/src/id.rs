//! The id of a record: a function of its session and its number.
//!
//! # Construction
//! A session is mapped to a number below 36^15 by two rounds of the splitmix64
//! finaliser over its UUID; the record's id is that number plus its sequence
//! number, modulo 36^15, as 15 digits of base 36 (`0-9a-z`).
//!
//! # Why no two records share one
//! Within a session ids are consecutive, so they cannot collide. Two sessions
//! collide only if their intervals overlap: for `n` sessions of `m` records each
//! the chance that any two of them do is at most `n² m / 36^15`, which for a
//! million sessions of a million records is 5 in 1,000,000. Hashing every
//! record by itself would make some collision among those 10^12 records certain
//! to 90 %, and would cost more.
//!
//! The construction must never change: a record resent after an update of the
//! program would be stored twice.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Length of an id: what PocketBase demands by default.
pub const ID_LENGTH: usize = 15;

/// 36^15: how many ids there are.
const ID_COUNT: u128 = 36_u128.pow(ID_LENGTH as u32);

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The id of a record: 15 characters of `[a-z0-9]`, the same for the same
/// session and number, always.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; ID_LENGTH]);

impl RecordId {
    /// The id of record `seq` of a session.
    pub fn of(session: Uuid, seq: u64) -> Self {
        let mut rest = (session_base(session) + u128::from(seq)) % ID_COUNT;
        let mut digits = [b'0'; ID_LENGTH];
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(rest % 36) as usize];
            rest /= 36;
        }
        Self(digits)
    }

    /// The id of a record that nothing has numbered: it gets a number above
    /// all that a queue hands out, unique in this process.
    pub(crate) fn of_unnumbered(session: Uuid) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1 << 63);
        Self::of(session, NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes over an id that was stored before; `None` if it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let digits: [u8; ID_LENGTH] = bytes.try_into().ok()?;
        digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'z'))
            .then_some(Self(digits))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn session_base(session: Uuid) -> u128 {
    let (high, low) = session.as_u64_pair();
    let high = mix(high);
    let low = mix(low ^ high);
    ((u128::from(high) << 64) | u128::from(low)) % ID_COUNT
}

/// The finaliser of splitmix64: a bijection in which every bit of the input
/// moves about half of the bits of the output.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SESSION: Uuid = Uuid::from_u128(0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8);

    #[test]
    fn construction_never_changes() {
        assert_eq!(RecordId::of(SESSION, 1).as_str(), GOLDEN_FIRST);
        assert_eq!(RecordId::of(Uuid::nil(), u64::MAX).as_str(), GOLDEN_LAST);
    }

    // Computed by another program from the description above.
    const GOLDEN_FIRST: &str = "ivkv1bkw4gk1rbk";
    const GOLDEN_LAST: &str = "iovn2qa7f39frla";

    #[test]
    fn ids_are_fifteen_characters_that_the_server_takes() {
        for seq in [0, 1, 35, 36, u64::MAX] {
            let id = RecordId::of(SESSION, seq);
            assert_eq!(RecordId::parse(id.as_str().as_bytes()), Some(id));
        }
        assert_eq!(RecordId::parse(b"ABCDEFGHIJKLMNO"), None);
        assert_eq!(RecordId::parse(b"short"), None);
    }

    #[test]
    fn sessions_and_numbers_do_not_collide() {
        let mut seen = HashSet::new();
        for session in 0..1_000_u128 {
            // Neighbouring UUIDs are the hardest case for a weak hash.
            for seq in 0..100 {
                assert!(seen.insert(RecordId::of(Uuid::from_u128(session), seq)));
            }
        }
    }

    #[test]
    fn unnumbered_records_get_ids_of_their_own() {
        assert_ne!(
            RecordId::of_unnumbered(SESSION),
            RecordId::of_unnumbered(SESSION)
        );
    }
}
