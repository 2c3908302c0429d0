//! A text under search, and the steps that were taken over it.

use std::cell::Cell;
use std::ops::Range;

/// The text under search. Every loop over its bytes goes through
/// [`run`](Text::run) and [`run_back`](Text::run_back), or over a
/// [`slice`](Text::slice), so that [`steps`](Text::steps) shows whether a search
/// is linear.
pub(crate) struct Text<'t> {
    text: &'t str,
    steps: Cell<usize>,
    /// Of each sort the stretch that was run over last, and its end.
    far: [Cell<(usize, usize)>; Far::ALL],
}

/// Runs that may go to the end of the text from each of many places, and so are
/// remembered: many looks at one long stretch take one pass over it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Far {
    /// A line.
    Line,
    /// Credentials behind a scheme.
    Credentials,
    /// A value in SQL.
    SqlValue,
    /// A part of a JSON web token.
    JwtPart,
    /// A bare value, outside of a query and in one.
    Bare,
    BareInQuery,
}

impl Far {
    const ALL: usize = Self::BareInQuery as usize + 1;
}

/// A slice that is longer counts as steps: who asks for it looks at its bytes.
const LONG_SLICE: usize = 128;

impl<'t> Text<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            steps: Cell::new(0),
            far: [const { Cell::new((0, 0)) }; Far::ALL],
        }
    }

    pub(crate) fn as_str(&self) -> &'t str {
        self.text
    }

    pub(crate) fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The byte at `at`, or 0 outside of the text.
    pub(crate) fn at(&self, at: usize) -> u8 {
        self.bytes().get(at).copied().unwrap_or(0)
    }

    /// The byte before `at`, or 0 at the start.
    pub(crate) fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |at| self.at(at))
    }

    /// The bytes of the range, as far as the text goes.
    pub(crate) fn slice(&self, range: Range<usize>) -> &'t [u8] {
        let end = range.end.min(self.len());
        let slice = &self.bytes()[range.start.min(end)..end];
        if slice.len() > LONG_SLICE {
            self.count(slice.len());
        }
        slice
    }

    /// The rest of the text starts with `word` there, in any case of letters.
    #[inline]
    pub(crate) fn has(&self, at: usize, word: &str) -> bool {
        // Most often the first byte differs.
        let Some(first) = word.as_bytes().first() else {
            return true;
        };
        (self.at(at) ^ first) & !0x20 == 0 && self.has_all(at, word.as_bytes())
    }

    fn has_all(&self, at: usize, word: &[u8]) -> bool {
        self.bytes()
            .get(at..at + word.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(word))
    }

    /// The text before `at` ends with `word`, in any case of letters.
    pub(crate) fn ends_with(&self, at: usize, word: &str) -> bool {
        at >= word.len() && self.has(at - word.len(), word)
    }

    /// A word may start at `at`: no letter or digit stands before it, besides
    /// those of an escape (`\n`, `%22`, `\u0022`, a terminal's `[31m`).
    pub(crate) fn starts_word(&self, at: usize) -> bool {
        !self.before(at).is_ascii_alphanumeric() || self.escape_before(at) > 0
    }

    /// How many bytes the escape has that ends before `at`; 0 for none.
    pub(crate) fn escape_before(&self, at: usize) -> usize {
        const FORMS: [(&[u8], usize); 4] = [(b"%25", 2), (b"%", 2), (b"\\u", 4), (b"\\x", 2)];
        let before = self.before(at);
        if matches!(before, b'n' | b'r' | b't') && self.before(at - 1) == b'\\' {
            return 2;
        }
        if before == b'm' {
            let code = self.run_back(at - 1, at.saturating_sub(12), |byte| {
                byte.is_ascii_digit() || byte == b';'
            });
            let is_color = self.before(code) == b'[' && code + 1 < at;
            return if is_color { at - code + 1 } else { 0 };
        }
        let form = FORMS.iter().find(|(start, digits)| {
            let length = start.len() + digits;
            at >= length
                && self.slice(at - length..at - digits) == *start
                && self
                    .slice(at - digits..at)
                    .iter()
                    .all(u8::is_ascii_hexdigit)
        });
        form.map_or(0, |(start, digits)| start.len() + digits)
    }

    /// How many backslashes stand before `at`.
    pub(crate) fn escapes_before(&self, at: usize) -> usize {
        at - self.run_back(at, at.saturating_sub(16), |byte| byte == b'\\')
    }

    /// Where the run of bytes that `belongs` accepts ends, starting at `from`
    /// and going no further than `limit`.
    pub(crate) fn run(&self, from: usize, limit: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let limit = limit.min(self.len());
        if from >= limit {
            return from;
        }
        let length = self.bytes()[from..limit]
            .iter()
            .position(|&byte| !belongs(byte))
            .unwrap_or(limit - from);
        self.count(length);
        from + length
    }

    /// As [`run`](Self::run), of the bytes in a set; faster.
    pub(crate) fn run_in(&self, from: usize, limit: usize, set: &Bytes) -> usize {
        let limit = limit.min(self.len());
        if from >= limit {
            return from;
        }
        let length = set.run(&self.bytes()[from..limit]);
        self.count(length);
        from + length
    }

    /// Where the run of bytes that ends at `to` starts, going no further back
    /// than `floor`.
    pub(crate) fn run_back(&self, to: usize, floor: usize, belongs: impl Fn(u8) -> bool) -> usize {
        if floor >= to {
            return to;
        }
        let length = self.bytes()[floor..to]
            .iter()
            .rev()
            .position(|&byte| !belongs(byte))
            .unwrap_or(to - floor);
        self.count(length);
        to - length
    }

    /// The end of the line that `from` lies in.
    pub(crate) fn line_end(&self, from: usize) -> usize {
        self.remember(Far::Line, from, || {
            let rest = self.bytes().get(from..).unwrap_or_default();
            let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            self.count(length);
            from + length
        })
    }

    /// As [`run`](Self::run) to the end of the text, and remembered. For one sort
    /// the same bytes belong each time.
    pub(crate) fn run_far(&self, sort: Far, from: usize, belongs: impl Fn(u8) -> bool) -> usize {
        self.remember(sort, from, || self.run(from, self.len(), belongs))
    }

    /// Where a stretch from `from` on ends. `find` finds the same end from each
    /// place in the stretch.
    pub(crate) fn remember(&self, sort: Far, from: usize, find: impl FnOnce() -> usize) -> usize {
        let (start, end) = self.far[sort as usize].get();
        if start <= from && from < end {
            return end;
        }
        let end = find();
        self.far[sort as usize].set((from, end));
        end
    }

    /// Past the blanks (spaces and tabs) at `from`, at most `most` of them.
    pub(crate) fn skip_blanks(&self, from: usize, most: usize) -> usize {
        self.run(from, from.saturating_add(most), is_blank)
    }

    /// How many bytes the search has looked at so far, besides the one pass
    /// for triggers.
    pub(crate) fn steps(&self) -> usize {
        self.steps.get()
    }

    fn count(&self, length: usize) {
        self.steps.set(self.steps.get() + length + 1);
    }
}

/// The eight bytes at `at`, with zeros behind the end of the text.
#[inline]
pub(crate) fn word_at(text: &[u8], at: usize) -> u64 {
    if let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        return u64::from_le_bytes(*word);
    }
    match text.last_chunk() {
        // Here `at` is less than eight bytes from the end.
        Some(last) if at < text.len() => u64::from_le_bytes(*last) >> (8 * (at + 8 - text.len())),
        Some(_) => 0,
        None => {
            let mut word = [0; 8];
            let rest = text.get(at..).unwrap_or_default();
            word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(word)
        }
    }
}

/// A space or a tab.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A double quote, a single quote or a backtick.
pub(crate) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// A byte of a name such as `db.password`, `api-key` or `API_KEY`.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    NAME_BYTES.has(byte)
}

/// The bytes of names.
pub(crate) static NAME_BYTES: Bytes = Bytes::letters_and_digits().and(b"_-.");

/// A byte of base64 in either alphabet, with padding.
pub(crate) fn is_base64(byte: u8) -> bool {
    static BASE64: Bytes = Bytes::letters_and_digits().and(b"+/-_=");
    BASE64.has(byte)
}

/// A set of bytes: one look tells whether a byte is in it.
pub(crate) struct Bytes([bool; 256]);

impl Bytes {
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        Self([false; 256]).and(bytes)
    }

    pub(crate) const fn letters_and_digits() -> Self {
        Self::of(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    }

    pub(crate) const fn and(mut self, bytes: &[u8]) -> Self {
        let mut at = 0;
        while at < bytes.len() {
            self.0[bytes[at] as usize] = true;
            at += 1;
        }
        self
    }

    /// All but these.
    pub(crate) const fn but(bytes: &[u8]) -> Self {
        let mut set = Self([true; 256]);
        let mut at = 0;
        while at < bytes.len() {
            set.0[bytes[at] as usize] = false;
            at += 1;
        }
        set
    }

    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    /// How many bytes at the start are in the set.
    fn run(&self, bytes: &[u8]) -> usize {
        let (fours, _) = bytes.as_chunks::<4>();
        let is_in = |four: &&[u8; 4]| four.iter().fold(true, |all, byte| all & self.has(*byte));
        let whole = 4 * fours.iter().take_while(is_in).count();
        let rest = &bytes[whole..];
        whole + rest.iter().take_while(|byte| self.has(**byte)).count()
    }
}
