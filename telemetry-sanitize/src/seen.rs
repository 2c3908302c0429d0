//! Texts that were looked at before.
//!
//! Most programs write the same few messages, names and paths again and again, and
//! to know a text again takes a fraction of what it takes to search it. Of a text
//! without a finding the text is kept. Of one with findings only what was made of
//! it, and a hash under a key that no other process has: so no secret stays in
//! memory here, and should another text have the same hash, what stands in its
//! place has no secret in it either. Of each little is kept.

use std::hash::{BuildHasher, RandomState};

use crate::text::word_at;

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

/// What is known of a text.
#[derive(Clone, Copy)]
pub(crate) enum Known {
    /// Nothing is in it. Never said of an empty one.
    Clean,
    /// Here is what was made of it.
    Changed(Place),
    /// Nothing; it would be kept here.
    Unknown(Place),
}

/// Where a text is kept, and a few bits of it, too few to tell what it was; never
/// 0.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    index: usize,
    bits: u8,
}

impl Seen {
    /// What is known of this text.
    #[inline]
    pub(crate) fn look(&self, text: &str) -> Known {
        let index = place_of(text.as_bytes());
        if let Some(clean) = self.clean.get(index)
            && clean.text.get(..usize::from(clean.length)) == Some(text.as_bytes())
        {
            return Known::Clean;
        }
        self.look_changed(text, index)
    }

    fn look_changed(&self, text: &str, index: usize) -> Known {
        let bits = bits_of(text.as_bytes());
        let place = Place { index, bits };
        if let Some(kept) = self.changed.get(index)
            && self.met[index] == bits
            && kept.length == text.len()
            && kept.length > 0
            && kept.hash == self.key.hash_one(text)
        {
            return Known::Changed(place);
        }
        Known::Unknown(place)
    }

    /// What is kept there.
    pub(crate) fn changed(&self, at: Place) -> &Changed {
        &self.changed[at.index]
    }

    /// Keeps a text with nothing in it, in the place of another.
    pub(crate) fn insert(&mut self, text: &str, at: Place) {
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
        let place = &mut self.clean[at.index];
        place.text[..text.len()].copy_from_slice(text.as_bytes());
        place.length = text.len() as u8;
    }

    /// Keeps what was made of a text, in the place of another.
    pub(crate) fn insert_changed(&mut self, of: &str, at: Place, text: &str, rules: &[usize]) {
        if of.len() > LONGEST_CHANGED || text.len() > 2 * LONGEST_CHANGED {
            return;
        }
        if self.changed.is_empty() {
            self.changed = vec![Changed::default(); PLACES];
            self.met = vec![0; PLACES];
        }
        if std::mem::replace(&mut self.met[at.index], at.bits) != at.bits {
            return;
        }
        let hash = self.key.hash_one(of);
        let kept = &mut self.changed[at.index];
        (kept.length, kept.hash) = (of.len(), hash);
        kept.text.clear();
        kept.text.push_str(text);
        kept.rules.clear();
        kept.rules.extend_from_slice(rules);
    }
}

/// The bits of a place. The last bytes are taken twice.
fn bits_of(text: &[u8]) -> u8 {
    let (words, _) = text.as_chunks::<8>();
    let add = |sum: u64, word: u64| {
        (sum ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23)
    };
    let last = word_at(text, text.len().saturating_sub(8));
    let sum = words
        .iter()
        .fold(add(text.len() as u64, last), |sum, word| {
            add(sum, u64::from_le_bytes(*word))
        });
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

    fn place(seen: &Seen, text: &str) -> Option<Place> {
        match seen.look(text) {
            Known::Unknown(place) => Some(place),
            Known::Clean | Known::Changed(_) => None,
        }
    }

    fn is_unknown(seen: &Seen, text: &str) -> bool {
        place(seen, text).is_some()
    }

    fn is_clean(seen: &Seen, text: &str) -> bool {
        matches!(seen.look(text), Known::Clean)
    }

    fn insert(seen: &mut Seen, text: &str) {
        if let Some(place) = place(seen, text) {
            seen.insert(text, place);
        }
    }

    fn insert_changed(seen: &mut Seen, of: &str, made: &str) {
        let place = place(seen, of).unwrap();
        seen.insert_changed(of, place, made, &[3]);
    }

    #[test]
    fn only_what_was_kept_is_known() {
        let mut seen = Seen::default();
        assert!(!is_clean(&seen, "Backup job completed"));
        for text in ["Backup job completed", "bob", "", "x", "12345678"] {
            insert(&mut seen, text);
            assert!(is_clean(&seen, text), "{text}");
        }
        for text in [
            "Backup job completes",
            "Backup job  completed",
            "bab",
            "12345687",
        ] {
            assert!(!is_clean(&seen, text), "{text}");
        }
    }

    #[test]
    fn any_number_of_texts_takes_the_same_room_and_long_ones_none() {
        let mut seen = Seen::default();
        insert(&mut seen, &"x".repeat(LONGEST + 1));
        assert!(seen.clean.is_empty());
        for number in 0..10_000 {
            insert(&mut seen, &format!("number {number}"));
        }
        assert_eq!(seen.clean.len(), PLACES);
        assert!(is_clean(&seen, "number 9999"));
    }

    #[test]
    fn of_a_text_with_a_secret_only_what_was_made_of_it_is_kept() {
        let mut seen = Seen::default();
        let (text, made) = ("password=hunter22", "password=[REDACTED:password]");
        assert!(is_unknown(&seen, text));
        insert_changed(&mut seen, text, made);
        assert!(is_unknown(&seen, text), "it may never come again");
        insert_changed(&mut seen, text, made);
        let Known::Changed(place) = seen.look(text) else {
            panic!("it is not kept");
        };
        let kept = seen.changed(place);
        assert_eq!(
            (kept.text.as_str(), kept.rules.as_slice()),
            (made, &[3][..])
        );
        for other in ["password=hunter23", "password=hunter2", ""] {
            assert!(is_unknown(&seen, other), "{other}");
        }
        let all = seen.changed.iter().map(|kept| kept.text.as_str());
        assert!(!all.collect::<String>().contains("hunter22"));
        for number in 0..10_000 {
            insert_changed(&mut seen, &format!("password={number}"), made);
        }
        assert_eq!(seen.changed.len(), PLACES);
    }
}
