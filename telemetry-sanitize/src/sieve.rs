//! A first look that is cheaper than the automaton.
//!
//! The automaton takes its steps one after the other, each waiting for the one
//! before. The sieve asks of each place by itself whether the rarest piece of a
//! literal stands there; a processor does many of these at once. It lets a few
//! texts pass for nothing (their bytes fall into the cell of another piece), and
//! stops none that holds a literal.

/// A cell for the first three bytes of a piece; in it, a bit for the fourth.
pub(crate) struct Sieve {
    cells: Box<[u8; CELLS]>,
    /// A literal is too short for the sieve: everything passes.
    is_open: bool,
}

/// With some 500 literals, one window of text in 1,000 passes for nothing.
const BITS: u32 = 16;
const CELLS: usize = 1 << BITS;

impl Sieve {
    pub(crate) fn new<'l>(literals: impl Iterator<Item = &'l str>) -> Self {
        let mut sieve = Self {
            cells: Box::new([0; CELLS]),
            is_open: false,
        };
        for literal in literals {
            match rarest_piece(literal.as_bytes()) {
                [a, b, c, d] => sieve.cells[cell([*a, *b, *c, 0])] |= 1 << (d & 7),
                [a, b, c] => sieve.cells[cell([*a, *b, *c, 0])] = u8::MAX,
                _ => sieve.is_open = true,
            }
        }
        sieve
    }

    /// False when no literal is in the text, in any case of letters.
    pub(crate) fn passes(&self, text: &str) -> bool {
        if self.is_open {
            return true;
        }
        let bytes = text.as_bytes();
        let mut found = 0;
        for four in bytes.windows(4) {
            let (a, b, c, d) = (four[0], four[1], four[2], four[3]);
            found |= self.cells[cell([a, b, c, 0])] >> (d & 7);
        }
        found & 1 != 0 || self.passes_end(bytes)
    }

    /// The last three bytes, behind which there is no fourth.
    fn passes_end(&self, bytes: &[u8]) -> bool {
        let Some(&[a, b, c]) = bytes.last_chunk() else {
            return false;
        };
        self.cells[cell([a, b, c, 0])] == u8::MAX
    }
}

/// The cell of three bytes, whatever the case of letters.
fn cell(bytes: [u8; 4]) -> usize {
    let folded = u32::from_le_bytes(bytes) | 0x0020_2020;
    (folded.wrapping_mul(0x85eb_ca6b) >> (32 - BITS)) as usize
}

/// The four bytes of a literal that are rarest in running text.
fn rarest_piece(literal: &[u8]) -> &[u8] {
    let rarity = |piece: &&[u8]| piece.iter().map(|byte| rarity(*byte)).sum::<u32>();
    literal.windows(4).max_by_key(rarity).unwrap_or(literal)
}

fn rarity(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b'a'..=b'i' | b'l'..=b'p' | b'r'..=b'u' => 0,
        b'j' | b'k' | b'q' | b'v'..=b'z' => 2,
        b' ' | b'.' | b'-' | b'/' => 1,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_with_a_literal_passes() {
        let sieve = Sieve::new(["pass", "key", "://"].into_iter());
        for text in [
            "key",
            "a key",
            "monKEY",
            "xPassword",
            "pass",
            "a://",
            "key\u{0}",
            "ékey",
        ] {
            assert!(sieve.passes(text), "{text}");
        }
    }

    #[test]
    fn a_text_without_a_literal_is_stopped() {
        let sieve = Sieve::new(["pass", "key", "://"].into_iter());
        for text in [
            "",
            "a",
            "ke",
            "pas",
            "Backup job completed",
            "documents-nightly",
        ] {
            assert!(!sieve.passes(text), "{text}");
        }
    }

    #[test]
    fn a_short_literal_lets_everything_pass() {
        assert!(Sieve::new(["="].into_iter()).passes("a"));
    }
}
