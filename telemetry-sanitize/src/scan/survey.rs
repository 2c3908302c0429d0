//! What bytes a text has, told in one pass before the rules that need them look.

use crate::text::word_at;

/// Bytes that are looked at together.
const TOGETHER: usize = 16;
/// So many counts fit into a byte.
const COUNTED: usize = u8::MAX as usize - 1;

const CAPITAL: u8 = 1;
const TILDE: u8 = 2;
const BRACKET: u8 = 4;

/// What is in a text. Without it the rule that needs it finds nothing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Survey {
    /// How many digits there are, or some more: the last bytes count twice.
    pub(super) digits: usize,
    pub(super) has_capital: bool,
    pub(super) has_tilde: bool,
    /// `[`, as a replacement starts with.
    pub(super) has_bracket: bool,
}

impl Survey {
    #[inline]
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut blocks, _) = bytes.as_chunks::<TOGETHER>();
        let last = match bytes.last_chunk() {
            Some(last) => *last,
            None => start_of(bytes),
        };
        let mut lanes = Lanes::default();
        let mut digits = 0;
        lanes.add(&last);
        loop {
            let (now, later) = blocks.split_at(blocks.len().min(COUNTED));
            now.iter().for_each(|block| lanes.add(block));
            digits += lanes.take_digits();
            if later.is_empty() {
                break;
            }
            blocks = later;
        }
        let marks = u128::from_le_bytes(lanes.marks);
        let marks = marks as u64 | (marks >> 64) as u64;
        let has = |mark: u8| marks & (ONES * u64::from(mark)) != 0;
        Self {
            digits,
            has_capital: has(CAPITAL),
            has_tilde: has(TILDE),
            has_bracket: has(BRACKET),
        }
    }
}

/// A one in each byte.
const ONES: u64 = u64::MAX / 255;

/// What was found at each place of the blocks.
#[derive(Default)]
struct Lanes {
    digits: [u8; TOGETHER],
    marks: [u8; TOGETHER],
}

impl Lanes {
    #[inline]
    fn add(&mut self, block: &[u8; TOGETHER]) {
        for (place, &byte) in block.iter().enumerate() {
            self.digits[place] += u8::from(byte.is_ascii_digit());
            let capital = if byte.is_ascii_uppercase() {
                CAPITAL
            } else {
                0
            };
            let tilde = if byte == b'~' { TILDE } else { 0 };
            let bracket = if byte == b'[' { BRACKET } else { 0 };
            self.marks[place] |= capital | tilde | bracket;
        }
    }

    /// Counts all digits, and starts anew.
    #[inline]
    fn take_digits(&mut self) -> usize {
        const EVEN: u64 = u64::MAX / 0xffff * 0xff;
        const ONE_EACH: u64 = u64::MAX / 0xffff;
        let counts = u128::from_le_bytes(std::mem::take(&mut self.digits));
        let in_word = |word: u64| (word & EVEN) + (word >> 8 & EVEN);
        let sums = in_word(counts as u64) + in_word((counts >> 64) as u64);
        (sums.wrapping_mul(ONE_EACH) >> 48) as usize
    }
}

/// A short text, with zeros behind it.
fn start_of(bytes: &[u8]) -> [u8; TOGETHER] {
    let words = u128::from(word_at(bytes, 0)) | u128::from(word_at(bytes, 8)) << 64;
    words.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_place_is_seen_in_texts_of_any_length() {
        for length in 1..70 {
            for place in 0..length {
                for (byte, is_seen) in [
                    (b'7', (|survey| survey.digits > 0) as fn(Survey) -> bool),
                    (b'A', |survey| survey.has_capital),
                    (b'Z', |survey| survey.has_capital),
                    (b'~', |survey| survey.has_tilde),
                    (b'[', |survey| survey.has_bracket),
                ] {
                    let mut text = vec![b'x'; length];
                    assert!(!is_seen(Survey::of(str::from_utf8(&text).unwrap())));
                    text[place] = byte;
                    assert!(is_seen(Survey::of(str::from_utf8(&text).unwrap())));
                }
            }
        }
    }

    #[test]
    fn more_digits_than_a_byte_counts_are_counted() {
        for length in [4_000, 4_080, 4_096, 20_000] {
            let survey = Survey::of(&"1".repeat(length));
            assert!((length..=length + TOGETHER).contains(&survey.digits));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_missed_and_nothing_made_up(text in "[0-9A-Za-z~\\[\\]é ]{0,80}") {
            let survey = Survey::of(&text);
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            prop_assert!((digits..=2 * digits).contains(&survey.digits));
            prop_assert_eq!(survey.has_capital, text.bytes().any(|b| b.is_ascii_uppercase()));
            prop_assert_eq!(survey.has_tilde, text.contains('~'));
            prop_assert_eq!(survey.has_bracket, text.contains('['));
        }
    }
}
