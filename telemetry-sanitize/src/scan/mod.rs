//! The search: one pass for triggers, a closer look around each.
//!
//! The sieve finds every literal that could stand near a secret: pieces of
//! secret names, prefixes of tokens, `://`, `/home/`. A text without any is
//! done. At each trigger the module that it belongs to looks at what stands
//! around it. A look either takes what it saw (and the search goes on behind
//! it) or is short, so the whole is linear.

mod card;
mod command;
mod encoded;
mod header;
mod jwk;
mod pair;
mod path;
mod pem;
mod shape;
mod spoken;
mod sql;
mod token;
mod triggers;
mod url;
mod value;

use std::ops::Range;

use crate::names::{Names, SecretName};
use crate::rules::Kind;
use crate::sieve::Hit;
use crate::text::Text;

pub(crate) use triggers::{Trigger, Triggers};

/// So much of a text is searched for triggers at once, since they are sorted.
/// Even, as the search wants it.
const STRETCH: usize = 4096;

/// No secret can hide in base64: no run of it is long enough.
#[cfg(test)]
pub(crate) fn may_skip_encoded(text: &str) -> bool {
    encoded::is_impossible(text)
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

/// One search over one text.
pub(crate) struct Scan<'t, 'f> {
    pub(crate) text: Text<'t>,
    names: &'f Names,
    triggers: &'f Triggers,
    findings: &'f mut Vec<Finding>,
    /// Names that end before this place were judged.
    names_done: usize,
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
            taken: 0,
        }
    }

    /// Finds everything the built-in rules find. `hits` is space for triggers.
    pub(crate) fn run(&mut self, hits: &mut Vec<Hit>) {
        let text = self.text.as_str();
        hits.clear();
        let mut at = 0;
        while at < text.len() {
            let end = text.len().min(at + STRETCH);
            self.triggers.find(text, at..end, hits);
            if !hits.is_empty() {
                self.look_at_hits(hits, end);
            }
            // A trigger is found from the place before it on.
            at = end.max(self.taken.saturating_sub(1) & !1);
        }
        card::look(self);
    }

    /// Looks at the triggers that end before `end`, and keeps the others.
    fn look_at_hits(&mut self, hits: &mut Vec<Hit>, end: usize) {
        hits.sort_unstable();
        let complete = hits.partition_point(|hit| hit.end <= end);
        for &hit in &hits[..complete] {
            if hit.start >= self.taken {
                self.look(self.triggers.of(hit), hit.start..hit.end);
            }
        }
        hits.drain(..complete);
    }

    /// Finds what hides in base64; only where `run` is not already inside of one.
    pub(crate) fn run_encoded(&mut self) {
        encoded::look(self);
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
