//! The search: one pass for triggers, a closer look around each.
//!
//! The sieve finds every literal that could stand near a secret: pieces of
//! secret names, prefixes of tokens, `://`, `/home/`. A text without any is
//! done. At each trigger the module that it belongs to looks at what stands
//! around it. A look either takes what it saw (and the search goes on behind
//! it), or is short, or remembers how far it saw, so the whole is linear. Should a
//! text be made so that looks go far again and again, there is a budget of steps
//! for each byte; past it all of the text goes.
//!
//! A name goes through `pair`: behind it stand what closes it (`closer`) and its delimiter
//! (`delimiter`; `sentence` in running text), then the `value`, in quotes (`string`), in
//! brackets (`group`) or without (`bare`). Where there is none say `place` (by where the
//! name stands), `code` and `open` (by what follows), and `doubt` (by a bare value itself).

mod bare;
mod call;
mod card;
mod closer;
mod code;
mod command;
mod delimiter;
mod doubt;
mod encoded;
mod group;
mod header;
mod jwk;
mod markup;
mod member;
mod open;
mod pair;
mod path;
mod pem;
mod phrase;
mod place;
mod sentence;
mod shape;
mod spoken;
mod sql;
mod string;
mod survey;
mod table;
mod token;
mod told;
mod triggers;
mod url;
mod value;

use std::ops::Range;

use crate::names::{Names, SecretName};
use crate::rules::Kind;
use crate::sieve::Hit;
use crate::text::Text;
use crate::vendors::looks_random;

use survey::Survey;

pub(crate) use triggers::{Trigger, Triggers};

/// So much of a text is searched for triggers at once, since they are sorted.
/// Even, as the search wants it.
const STRETCH: usize = 4096;

/// Steps that may be taken for each byte of a text, and some for a short one. What
/// programs write takes less than a tenth of it.
pub(crate) const BUDGET: usize = 128;
pub(crate) const LEAST_BUDGET: usize = 1 << 18;

/// No secret can hide in base64: no run of it is long enough.
#[cfg(test)]
pub(crate) fn may_skip_encoded(text: &str) -> bool {
    !Survey::of(text).has_capital || encoded::is_impossible(text)
}

/// The word says how the credentials of a header are written or a cookie is kept, and is
/// none.
pub(crate) fn is_open_word(word: &[u8]) -> bool {
    header::is_open_word(word)
}

/// Whether the whole value of a field with a secret name is a secret.
pub(crate) fn is_secret_text(secret: SecretName, value: &[u8]) -> bool {
    value::is_secret_text(secret, value)
}

/// A piece of a text to replace, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) range: Range<usize>,
    pub(crate) what: What,
}

/// Finds what was found once wherever else it stands in the text, if it is no word:
/// `api_key = 'x' args=('x', 19)`. Of the first findings of a short text only: who calls it
/// sees to that, since each finding takes a pass over the text.
pub(crate) fn find_again(text: &str, findings: &mut Vec<Finding>) {
    const MOST: usize = 32;
    const SHORTEST: usize = 8;
    const LONGEST: usize = 128;
    let bytes = text.as_bytes();
    for index in 0..findings.len().min(MOST) {
        let Finding { range, what } = findings[index].clone();
        let is_path = matches!(what, What::Home | What::Root(_));
        if is_path || !(SHORTEST..=LONGEST).contains(&range.len()) {
            continue;
        }
        let secret = &bytes[range.clone()];
        let is_there = |start: &usize| *start != range.start && bytes[*start..].starts_with(secret);
        let mut places = memchr::memchr_iter(secret[0], bytes)
            .filter(is_there)
            .peekable();
        if places.peek().is_none() || !shape::is_chosen(secret) && !looks_random(secret) {
            continue;
        }
        for start in places {
            let end = start + secret.len();
            let is_apart = |at: Option<&u8>| !at.is_some_and(u8::is_ascii_alphanumeric);
            let before = start.checked_sub(1).map(|at| &bytes[at]);
            let is_known = |found: &Finding| found.range.start < end && start < found.range.end;
            if is_apart(before) && is_apart(bytes.get(end)) && !findings.iter().any(is_known) {
                let range = start..end;
                findings.push(Finding { range, what });
            }
        }
    }
}

/// What to write in the place of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// `[REDACTED:name]` of a built-in rule.
    Builtin(Kind),
    /// The same, of the vendor with this index.
    Vendor(u8),
    /// The same, of the user's pattern with this index.
    Pattern(u16),
    /// `~`.
    Home,
    /// What the root with this index is replaced with.
    Root(u16),
}

/// What a search has seen, for the next one in the same text with replacements.
#[derive(Default)]
pub(crate) struct Sight {
    /// The triggers in the order of their ends; not all, if the text is long.
    hits: Vec<Hit>,
    /// What is here is that of the text to search next.
    is_of_next: bool,
    /// Of the first text; replacements add nothing that a look is worth at.
    survey: Survey,
    has_digits: bool,
    has_encoded: bool,
    /// While the text is replaced: hits that were looked at, and that stay.
    done: usize,
    kept: usize,
}

impl Sight {
    /// The next text has nothing to do with the one before.
    pub(crate) fn forget(&mut self) {
        self.is_of_next = false;
    }

    /// The text that was searched gets replacements.
    pub(crate) fn start_replacing(&mut self, text: &str) {
        self.is_of_next = text.len() <= STRETCH;
        self.done = 0;
        self.kept = 0;
    }

    /// A piece of the text stays, and starts at `to`.
    pub(crate) fn move_piece(&mut self, piece: Range<usize>, to: usize) {
        while let Some(&hit) = self.hits.get(self.done)
            && hit.end <= piece.end
        {
            if hit.start >= piece.start {
                self.hits[self.kept] = Hit {
                    start: hit.start - piece.start + to,
                    end: hit.end - piece.start + to,
                    ..hit
                };
                self.kept += 1;
            }
            self.done += 1;
        }
    }

    /// A finding between these two bytes is replaced.
    pub(crate) fn replace(&mut self, triggers: &Triggers, around: [u8; 2], what: What) {
        self.is_of_next &= triggers.stay_when_replaced(around, what);
    }

    pub(crate) fn end_replacing(&mut self) {
        self.hits.truncate(self.kept);
    }

    /// A replacement of ours may stand in the text that was searched.
    pub(crate) fn may_hold_masks(&self) -> bool {
        self.is_of_next || self.survey.has_bracket
    }

    /// There is nothing in the text to search next that the built-in rules look at.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_of_next && self.hits.is_empty() && !self.has_digits && !self.has_encoded
    }
}

/// One search over one text.
pub(crate) struct Scan<'t, 'f> {
    pub(crate) text: Text<'t>,
    names: &'f Names,
    triggers: &'f Triggers,
    findings: &'f mut Vec<Finding>,
    /// Names that end before this place were judged.
    names_done: usize,
    /// Lines that end before this place were looked at as heads of tables.
    heads_done: usize,
    /// Everything before this place belongs to a finding or is done with.
    taken: usize,
}

impl<'t, 'f> Scan<'t, 'f> {
    pub(crate) fn new(
        text: &'t str,
        names: &'f Names,
        triggers: &'f Triggers,
        findings: &'f mut Vec<Finding>,
    ) -> Self {
        Self {
            text: Text::new(text),
            names,
            triggers,
            findings,
            names_done: 0,
            heads_done: 0,
            taken: 0,
        }
    }

    /// Finds everything the built-in rules find, besides what hides in base64.
    pub(crate) fn run(&mut self, sight: &mut Sight) {
        if sight.is_of_next {
            self.look_at_hits(&sight.hits);
        } else {
            sight.survey = Survey::of(self.text.as_str());
            sight.has_digits = sight.survey.digits >= card::SHORTEST;
            sight.has_encoded = sight.survey.has_capital;
            self.run_in_stretches(sight);
            if self.triggers.homes && sight.survey.has_tilde {
                path::look_tildes(self);
            }
        }
        if sight.has_digits {
            card::look(self);
        }
    }

    fn run_in_stretches(&mut self, sight: &mut Sight) {
        let text = self.text.as_str();
        let hits = &mut sight.hits;
        hits.clear();
        let mut at = 0;
        while at < text.len() {
            let end = text.len().min(at + STRETCH);
            self.triggers.find(text, at..end, hits);
            if !hits.is_empty() {
                hits.sort_unstable();
                let complete = hits.partition_point(|hit| hit.end <= end);
                self.look_at_hits(&hits[..complete]);
                if text.len() > STRETCH {
                    hits.drain(..complete);
                }
            }
            // A trigger is found from the place before it on.
            at = end.max(self.taken.saturating_sub(1) & !1);
        }
    }

    fn look_at_hits(&mut self, hits: &[Hit]) {
        let most_steps = self.text.len() * BUDGET + LEAST_BUDGET;
        for &hit in hits {
            for &trigger in self.triggers.of(hit) {
                if hit.start < self.taken {
                    break;
                }
                self.look(trigger, hit.start..hit.end);
            }
            if self.text.steps() > most_steps {
                return self.redact(0..self.text.len(), Kind::Error);
            }
        }
    }

    /// Finds what hides in base64; only where `run` is not already inside of one.
    pub(crate) fn run_encoded(&mut self, sight: &mut Sight) {
        sight.has_encoded = sight.has_encoded && encoded::look(self);
    }

    /// Finds the secret parts of a text that is the value of a header.
    pub(crate) fn run_credentials(&mut self, rule: Kind) {
        let all = 0..self.text.len();
        match rule {
            Kind::Authorization => header::take_credentials(self, all, true),
            Kind::Cookie => header::take_cookies(self, false, all),
            _ => {}
        }
    }

    fn look(&mut self, trigger: Trigger, at: Range<usize>) {
        match trigger {
            Trigger::Name => pair::look(self, at),
            Trigger::Delimiter => pair::look_back(self, at.start),
            Trigger::Scheme => header::look(self, at),
            Trigger::Url => url::look(self, at),
            Trigger::Oracle => url::look_oracle(self, at),
            Trigger::Vendor(index, prefix) => token::look(self, index, prefix, at),
            Trigger::Jwt => token::look_jwt(self, at),
            Trigger::Pem => pem::look(self, at),
            Trigger::Identified => sql::look(self, at),
            Trigger::Values => sql::look_values(self, at),
            Trigger::Cipher => sql::look_cipher(self, at),
            Trigger::Spoken(place) => spoken::look(self, place, at),
            Trigger::Jwk => jwk::look(self, at),
            Trigger::PemEnd => pem::look_end(self, at),
            Trigger::Putty => pem::look_putty(self, at),
            Trigger::Program(program) => command::look(self, program, at),
            Trigger::Home => path::look(self, at),
            Trigger::Root(index) => path::look_root(self, index, at),
        }
    }

    /// Notes a finding; empty ones are none.
    fn take(&mut self, range: Range<usize>, what: What) {
        if range.is_empty() {
            return;
        }
        self.taken = self.taken.max(range.end);
        self.findings.push(Finding { range, what });
    }

    fn redact(&mut self, range: Range<usize>, kind: Kind) {
        self.take(range, What::Builtin(kind));
    }
}
