//! The search for literals, in any case of letters.
//!
//! An automaton takes its steps one after the other, each waiting for the one
//! before. The sieve asks of every second place by itself whether four bytes of a
//! literal may stand there; a processor does many of these at once. Where they
//! may, the literals that have these bytes are compared. So a text is read once,
//! at some four instructions a byte, and no state is carried along: a search can
//! begin anywhere.
//!
//! Each literal has two pieces of four bytes, one byte apart, of which one stands
//! at an even place wherever the literal does. A piece of a literal that is too
//! short for both has bytes before or behind the literal: these may be any.

use std::ops::Range;

use crate::text::word_at;

/// The bits of a byte that tell it apart: both cases of a letter have the same,
/// but not a letter and a digit.
const CLASS: u8 = 0x5f;

/// With some 500 literals, one window of text in 50 is worth a comparison.
const BITS: u32 = 14;
const CELLS: usize = 1 << BITS;

/// Windows that are looked at together, and the bytes they lie in.
const TOGETHER: usize = 4;
const STEP: usize = 2 * TOGETHER;
const BLOCK: usize = STEP + 2;

/// So much is compared at once.
const WORD: usize = 8;

/// A set of literals to look for.
pub(crate) struct Sieve {
    /// By the classes of the last three bytes of a window: what the last five
    /// bits of its first byte may be, a bit for each.
    cells: Box<[u32; CELLS]>,
    /// The pieces of each cell, one cell after the other.
    pieces: Box<[Piece]>,
    /// Where those of each cell start, and where the last ones end.
    starts: Box<[u32; CELLS + 1]>,
    literals: Vec<Literal>,
    /// Nothing that is shorter is looked for.
    shortest: usize,
}

/// A literal in words of eight bytes, to be compared in any case of letters.
struct Literal {
    length: usize,
    words: Box<[Word]>,
}

/// Eight bytes, with the bits that matter: not that which tells capitals from
/// small letters, and none where any byte may stand.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    bytes: u64,
    care: u64,
}

impl Word {
    fn new(of: [Option<u8>; WORD]) -> Self {
        let care = of.map(|byte| match byte {
            Some(byte) if byte.is_ascii_alphabetic() => !0x20,
            Some(_) => !0,
            None => 0,
        });
        let care = u64::from_le_bytes(care);
        let bytes = u64::from_le_bytes(of.map(Option::unwrap_or_default)) & care;
        Self { bytes, care }
    }

    #[inline]
    fn is(&self, found: u64) -> bool {
        found & self.care == self.bytes
    }
}

impl Literal {
    fn new(literal: &[u8]) -> Self {
        let word = |bytes: &[u8]| Word::new(std::array::from_fn(|at| bytes.get(at).copied()));
        Self {
            length: literal.len(),
            words: literal.chunks(WORD).map(word).collect(),
        }
    }

    /// The text, which is long enough, has it at `start`.
    #[inline]
    fn is_at(&self, text: &[u8], start: usize) -> bool {
        let mut at = start;
        self.words.iter().all(|word| {
            let is_same = word.is(word_at(text, at));
            at += WORD;
            is_same
        })
    }
}

/// What stands from a window on that holds four bytes of a literal: as much of
/// it as is compared at once, so that few literals but the right one remain.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    word: Word,
    literal: u16,
    /// One more than the place of the window in the literal: it may begin one
    /// byte before it.
    place: u8,
}

/// A literal in the text. In the order of a search: by their ends, and the
/// longest first of those that end together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    pub(crate) end: usize,
    pub(crate) start: usize,
    /// Its place among the literals.
    pub(crate) literal: u16,
}

impl Sieve {
    /// Looks for these; an empty one is nowhere.
    pub(crate) fn new(literals: &[String]) -> Self {
        let mut sieve = Self {
            cells: Box::new([0; CELLS]),
            pieces: Box::default(),
            starts: Box::new([0; CELLS + 1]),
            literals: literals
                .iter()
                .map(|l| Literal::new(l.as_bytes()))
                .collect(),
            shortest: literals.iter().map(String::len).min().unwrap_or(0),
        };
        // Counted first and then put in their places, not collected and sorted: the allocator of the
        // C library keeps back as much memory as the largest block that it was ever given back.
        for_each_piece(literals, |cell, _, firsts| {
            sieve.cells[cell] |= firsts;
            sieve.starts[cell + 1] += 1;
        });
        for cell in 0..CELLS {
            sieve.starts[cell + 1] += sieve.starts[cell];
        }
        sieve.pieces = vec![Piece::default(); sieve.starts[CELLS] as usize].into_boxed_slice();
        let mut next = [0_u16; CELLS];
        for_each_piece(literals, |cell, piece, _| {
            let place = sieve.starts[cell] as usize + usize::from(next[cell]);
            sieve.pieces[place] = piece;
            next[cell] += 1;
        });
        sieve
    }

    /// Notes every literal that is found from a window in the range; it may end
    /// behind it. All that end within the range are found in it and in what was
    /// searched before. The range starts at an even place.
    #[inline]
    pub(crate) fn find(&self, text: &[u8], range: Range<usize>, hits: &mut Vec<Hit>) {
        let mut at = range.start;
        while at < range.end {
            let windows = match text.get(at..).and_then(|rest| rest.first_chunk()) {
                Some(block) => windows(block),
                None if text.len() - at < self.shortest => return,
                None => last_windows(text, at),
            };
            let [first, second, third, fourth] = windows.map(|window| self.holds(window));
            if (first | second | third | fourth) & 1 == 1 {
                let mut places = first & 1 | second << 1 & 2 | third << 2 & 4 | fourth << 3 & 8;
                while places != 0 {
                    let start = at + 2 * places.trailing_zeros() as usize;
                    places &= places - 1;
                    if start < range.end {
                        self.compare(text, start, hits);
                    }
                }
            }
            at += STEP;
        }
    }

    /// The lowest bit tells whether the window may be a piece.
    #[inline]
    fn holds(&self, window: u32) -> u32 {
        self.cells[cell(window)] >> (window & 31)
    }

    /// Notes the literals of which the window at `at` is a piece.
    #[inline]
    fn compare(&self, text: &[u8], at: usize, hits: &mut Vec<Hit>) {
        let word = word_at(text, at);
        let cell = cell(word as u32);
        let pieces = self.starts[cell] as usize..self.starts[cell + 1] as usize;
        for piece in &self.pieces[pieces] {
            if piece.word.is(word) {
                self.note(text, at, piece, hits);
            }
        }
    }

    /// Notes the literal of which this piece is at `at`, if all of it is there.
    #[inline(never)]
    fn note(&self, text: &[u8], at: usize, piece: &Piece, hits: &mut Vec<Hit>) {
        let literal = &self.literals[usize::from(piece.literal)];
        let Some(start) = (at + 1).checked_sub(usize::from(piece.place)) else {
            return;
        };
        let end = start + literal.length;
        if end <= text.len() && literal.is_at(text, start) {
            let literal = piece.literal;
            hits.push(Hit {
                end,
                start,
                literal,
            });
        }
    }
}

/// Calls with each cell in which a piece may be found, the piece, and the bits of the bytes that may
/// stand before the three that make the cell.
fn for_each_piece(literals: &[String], mut note: impl FnMut(usize, Piece, u32)) {
    let mut cells = Vec::new();
    for (index, literal) in literals.iter().enumerate() {
        let literal = literal.as_bytes();
        let Some(place) = rarest_place(literal) else {
            continue;
        };
        for place in [place, place + 1] {
            let bytes: [_; WORD] = std::array::from_fn(|at| piece_byte(literal, place, at));
            let piece = Piece {
                word: Word::new(bytes),
                literal: index as u16,
                place,
            };
            let [first, second, third, fourth, ..] = bytes;
            let firsts = first.map_or(u32::MAX, |byte| 1 << (byte & 31));
            cells.clear();
            for second in classes(second) {
                for third in classes(third) {
                    for fourth in classes(fourth) {
                        cells.push(cell(u32::from_le_bytes([0, second, third, fourth])));
                    }
                }
            }
            cells.sort_unstable();
            cells.dedup();
            cells.iter().for_each(|&cell| note(cell, piece, firsts));
        }
    }
}

/// The class of a byte; all of them where any byte may stand.
fn classes(byte: Option<u8>) -> impl Iterator<Item = u8> {
    let all = (0..=CLASS).filter(|class| class & !CLASS == 0);
    all.filter(move |class| byte.is_none_or(|byte| byte & CLASS == *class))
}

/// The byte of a literal at a place of its piece.
fn piece_byte(literal: &[u8], place: u8, at: usize) -> Option<u8> {
    let in_literal = (usize::from(place) + at).checked_sub(1)?;
    literal.get(in_literal).copied()
}

/// The four bytes at each even place of a block.
#[inline]
fn windows(block: &[u8; BLOCK]) -> [u32; TOGETHER] {
    let (Some(start), Some(last)) = (block.first_chunk(), block.last_chunk()) else {
        unreachable!("a block has eight bytes, and two more");
    };
    let start = u64::from_le_bytes(*start);
    let last = u32::from_le_bytes(*last);
    [
        start as u32,
        (start >> 16) as u32,
        (start >> 32) as u32,
        last,
    ]
}

/// As [`windows`], at the end of a text.
#[inline]
fn last_windows(text: &[u8], at: usize) -> [u32; TOGETHER] {
    let start = word_at(text, at);
    let last = word_at(text, at + STEP - 2) as u32;
    [
        start as u32,
        (start >> 16) as u32,
        (start >> 32) as u32,
        last,
    ]
}

/// The cell of the last three bytes of a window, whatever the case of letters.
#[inline]
fn cell(window: u32) -> usize {
    let classes = window & u32::from_le_bytes([0, CLASS, CLASS, CLASS]);
    (classes.wrapping_mul(0xc2b2_ae35) >> (32 - BITS)) as usize
}

/// The first of the two neighbouring places whose bytes are rarest in running
/// text; what may be any byte is most common.
fn rarest_place(literal: &[u8]) -> Option<u8> {
    let last = literal.len().checked_sub(1)?.min(usize::from(u8::MAX) - 1);
    let commonness = |place: &u8| {
        let of_piece = |place| {
            (0..4)
                .map(move |at| piece_byte(literal, place, at).map_or(8, commonness))
                .sum::<u32>()
        };
        of_piece(*place).max(of_piece(place + 1))
    };
    (0..=last as u8).min_by_key(commonness)
}

/// How often a byte stands in running text, as a logarithm.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' | b' ' => 6,
        b'c' | b'd' | b'h' | b'l' | b'm' | b'p' | b'u' => 5,
        b'b' | b'f' | b'g' | b'v' | b'w' | b'y' => 4,
        b'k' | b'.' | b'-' | b'/' | b'_' | b'0'..=b'9' | b':' | b'=' | b'"' => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use aho_corasick::{AhoCorasick, MatchKind};
    use proptest::prelude::*;

    use super::*;

    fn sieve(literals: &[&str]) -> Sieve {
        Sieve::new(&literals.iter().map(|&l| l.to_owned()).collect::<Vec<_>>())
    }

    fn found(sieve: &Sieve, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        sieve.find(text.as_bytes(), 0..text.len(), &mut hits);
        hits.sort_unstable();
        hits
    }

    /// What an automaton finds, in its order.
    fn expected(literals: &[String], text: &str) -> Vec<Hit> {
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(literals)
            .unwrap();
        let hit = |found: aho_corasick::Match| Hit {
            end: found.end(),
            start: found.start(),
            literal: found.pattern().as_u32() as u16,
        };
        automaton.find_overlapping_iter(text).map(hit).collect()
    }

    #[test]
    fn a_literal_is_found_at_any_place() {
        let sieve = sieve(&["key", "pass", "wachtwoord", "é:"]);
        for before in 0..24 {
            for after in 0..24 {
                for literal in ["KEY", "pAss", "Wachtwoord", "é:"] {
                    let text = format!("{}{literal}{}", "x".repeat(before), "y".repeat(after));
                    let hits = found(&sieve, &text);
                    let places: Vec<_> = hits.iter().map(|hit| (hit.start, hit.end)).collect();
                    assert_eq!(places, [(before, before + literal.len())], "{text}");
                }
            }
        }
    }

    #[test]
    fn a_text_without_a_literal_has_no_hit() {
        let sieve = sieve(&["pass", "key", "://", ""]);
        for text in ["", "a", "ke", "pas", "Backup job completed", "p4ss", "[ey"] {
            assert_eq!(found(&sieve, text), [], "{text}");
        }
    }

    proptest! {
        // Fewer than usual: to build a sieve for short literals takes some milliseconds.
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_automaton_finds_the_same_in_the_same_order(
            literals in prop::collection::vec("[abK=é]{1,9}", 1..20),
            text in "[abkAB=éx]{0,90}",
        ) {
            prop_assert_eq!(found(&Sieve::new(&literals), &text), expected(&literals, &text));
        }

        #[test]
        fn a_search_in_parts_finds_the_same(text in "[abkA]{0,200}", part in 1_usize..20) {
            let sieve = sieve(&["ab", "kab", "aaakk", "bakabb"]);
            let mut hits = Vec::new();
            for start in (0..text.len()).step_by(2 * part) {
                sieve.find(text.as_bytes(), start..(start + 2 * part).min(text.len()), &mut hits);
            }
            hits.sort_unstable();
            prop_assert_eq!(hits, found(&sieve, &text));
        }
    }
}
