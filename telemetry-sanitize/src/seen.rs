//! Texts that were looked at before.
//!
//! Most programs write the same few messages, names and paths again and again, and
//! to know a text again takes a fraction of what it takes to search it. Of a text
//! without a finding the text is kept. Of one with findings only what was made of
//! it, and a hash under a key that no other process has: so no secret stays in
//! memory here, and should another text have the same hash, what stands in its
//! place has no secret in it either. Of each little is kept.

use std::hash::{BuildHasher, RandomState};

/// What is known of texts, the newest in the place of each.
#[derive(Default)]
pub(crate) struct Seen {
    /// Empty until there is a text to keep.
    clean: Vec<Clean>,
    /// Empty until there is a text to keep.
    changed: Vec<Changed>,
    /// In each place a few bits of the text that was changed last: only one that
    /// comes again is kept, since most with a secret are seen once.
    met: Vec<u8>,
    key: RandomState,
}

/// Longer texts without a finding are not kept: they are seldom seen again.
const LONGEST: usize = 62;
/// Nor are longer texts that something is made of.
const LONGEST_CHANGED: usize = 256;
const BITS: u32 = 7;
const PLACES: usize = 1 << BITS;

#[derive(Clone, Copy)]
struct Clean {
    text: [u8; LONGEST],
    length: u8,
}

/// A text with findings.
#[derive(Clone, Default)]
pub(crate) struct Changed {
    /// 0: none is kept here.
    length: usize,
    hash: u64,
    /// What was made of it.
    pub(crate) text: String,
    /// The rule of each finding, to be counted again.
    pub(crate) rules: Vec<usize>,
}

impl Seen {
    /// The text is known to have nothing in it. An empty one has not.
    #[inline]
    pub(crate) fn contains(&self, text: &str) -> bool {
        let Some(place) = self.clean.get(place_of(text.as_bytes())) else {
            return false;
        };
        place.text.get(..usize::from(place.length)) == Some(text.as_bytes())
    }

    /// Keeps a text with nothing in it, in the place of another.
    pub(crate) fn insert(&mut self, text: &str) {
        if text.len() > LONGEST {
            return;
        }
        if self.clean.is_empty() {
            let nothing = Clean {
                text: [0; LONGEST],
                length: 0,
            };
            self.clean = vec![nothing; PLACES];
        }
        let place = &mut self.clean[place_of(text.as_bytes())];
        place.text[..text.len()].copy_from_slice(text.as_bytes());
        place.length = text.len() as u8;
    }
}

impl Seen {
    /// Where a text is kept of which something was made.
    #[inline]
    pub(crate) fn changed_place(&self, text: &str) -> Option<usize> {
        let place = place_of(text.as_bytes());
        let kept = self.changed.get(place)?;
        if self.met[place] != bits_of(text) {
            return None;
        }
        let is_same = kept.length == text.len() && kept.hash == self.key.hash_one(text);
        (is_same && kept.length > 0).then_some(place)
    }

    /// What is kept there.
    pub(crate) fn changed(&self, place: usize) -> &Changed {
        &self.changed[place]
    }

    /// Keeps what was made of a text, in the place of another.
    pub(crate) fn insert_changed(&mut self, of: &str, text: &str, rules: &[usize]) {
        if of.len() > LONGEST_CHANGED || text.len() > 2 * LONGEST_CHANGED {
            return;
        }
        if self.changed.is_empty() {
            self.changed = vec![Changed::default(); PLACES];
            self.met = vec![0; PLACES];
        }
        let (place, bits) = (place_of(of.as_bytes()), bits_of(of));
        if std::mem::replace(&mut self.met[place], bits) != bits {
            return;
        }
        let hash = self.key.hash_one(of);
        let kept = &mut self.changed[place];
        (kept.length, kept.hash) = (of.len(), hash);
        kept.text.clear();
        kept.text.push_str(text);
        kept.rules.clear();
        kept.rules.extend_from_slice(rules);
    }
}

/// A few bits of a text, too few to tell what it was; never 0.
fn bits_of(text: &str) -> u8 {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let add = |sum: u64, word: u64| {
        (sum ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23)
    };
    let sum = words.iter().fold(text.len() as u64, |sum, word| {
        add(sum, u64::from_le_bytes(*word))
    });
    let sum = rest
        .iter()
        .fold(sum, |sum, &byte| add(sum, u64::from(byte)));
    (sum >> 32) as u8 | 1
}

/// By the first and the last bytes: names and messages of a program differ there.
#[inline]
fn place_of(text: &[u8]) -> usize {
    let (first, last) = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => {
            let ends = (text.first().copied(), text.last().copied());
            let end = |byte: Option<u8>| u64::from(byte.unwrap_or_default());
            (end(ends.0), end(ends.1) << 8 | text.len() as u64)
        }
    };
    let mixed = (first ^ last.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_kept_is_known() {
        let mut seen = Seen::default();
        assert!(!seen.contains("Backup job completed"));
        for text in ["Backup job completed", "bob", "", "x", "12345678"] {
            seen.insert(text);
            assert!(seen.contains(text), "{text}");
        }
        for text in [
            "Backup job completes",
            "Backup job  completed",
            "bab",
            "12345687",
        ] {
            assert!(!seen.contains(text), "{text}");
        }
    }

    #[test]
    fn any_number_of_texts_takes_the_same_room_and_long_ones_none() {
        let mut seen = Seen::default();
        seen.insert(&"x".repeat(LONGEST + 1));
        assert!(seen.clean.is_empty());
        for number in 0..10_000 {
            seen.insert(&format!("number {number}"));
        }
        assert_eq!(seen.clean.len(), PLACES);
        assert!(seen.contains("number 9999"));
    }

    #[test]
    fn of_a_text_with_a_secret_only_what_was_made_of_it_is_kept() {
        let mut seen = Seen::default();
        let (text, made) = ("password=hunter22", "password=[REDACTED:password]");
        assert_eq!(seen.changed_place(text), None);
        seen.insert_changed(text, made, &[3]);
        assert_eq!(seen.changed_place(text), None, "it may never come again");
        seen.insert_changed(text, made, &[3]);
        let kept = seen.changed(seen.changed_place(text).unwrap());
        assert_eq!(
            (kept.text.as_str(), kept.rules.as_slice()),
            (made, &[3][..])
        );
        assert_eq!(seen.changed_place("password=hunter23"), None);
        assert_eq!(seen.changed_place("password=hunter2"), None);
        assert_eq!(seen.changed_place(""), None);
        let all = seen.changed.iter().map(|kept| kept.text.as_str());
        assert!(!all.collect::<String>().contains("hunter22"));
        for number in 0..10_000 {
            seen.insert_changed(&format!("password={number}"), made, &[3]);
        }
        assert_eq!(seen.changed.len(), PLACES);
    }
}
