//! Texts that were looked at before and have nothing in them.
//!
//! Most programs write the same few messages and names again and again, and to
//! compare a text takes a fraction of what it takes to search it. Only what may
//! leave the process as it is is kept, and little of it.

/// Texts without a finding, the newest in the place of each.
#[derive(Default)]
pub(crate) struct Seen {
    /// Empty until there is a text to keep.
    places: Vec<Place>,
}

/// Longer texts are not kept: they are seldom seen again.
const LONGEST: usize = 62;
const BITS: u32 = 7;
const PLACES: usize = 1 << BITS;

#[derive(Clone, Copy)]
struct Place {
    text: [u8; LONGEST],
    length: u8,
}

impl Seen {
    /// The text is known to have nothing in it. An empty one has not.
    #[inline]
    pub(crate) fn contains(&self, text: &str) -> bool {
        let Some(place) = self.places.get(place_of(text.as_bytes())) else {
            return false;
        };
        place.text.get(..usize::from(place.length)) == Some(text.as_bytes())
    }

    /// Keeps a text with nothing in it, in the place of another.
    pub(crate) fn insert(&mut self, text: &str) {
        if text.len() > LONGEST {
            return;
        }
        if self.places.is_empty() {
            let nothing = Place {
                text: [0; LONGEST],
                length: 0,
            };
            self.places = vec![nothing; PLACES];
        }
        let place = &mut self.places[place_of(text.as_bytes())];
        place.text[..text.len()].copy_from_slice(text.as_bytes());
        place.length = text.len() as u8;
    }
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
        assert!(seen.places.is_empty());
        for number in 0..10_000 {
            seen.insert(&format!("number {number}"));
        }
        assert_eq!(seen.places.len(), PLACES);
        assert!(seen.contains("number 9999"));
    }
}
