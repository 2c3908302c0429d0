//! The rules at work on one text.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write as _;
use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use regex::{Regex, RegexSet};
use telemetry_core::Value;

use crate::builder::SanitizerBuilder;
use crate::config::{Pattern, SanitizeConfig, SanitizeError};
use crate::counts::Counts;
use crate::names::{self, Names, Trust, Verdict};
use crate::pii;
use crate::rules::{Kind, RULES, Rule};
use crate::scan::{self, Finding, Scan, Sight, Triggers, What};
use crate::tag::HashKey;
use crate::vendors::VENDORS;

mod values;

use values::pem_body;

/// A sanitized text is searched again, because a replacement changes what
/// stands around other text. Nearly always the second round finds nothing; after
/// so many rounds all of the text goes.
const MAX_ROUNDS: usize = 16;

/// In a text no longer than this a secret is looked for again where nothing tells of it.
const LONGEST_TWICE: usize = 4096;

/// How each replacement starts, but those of paths.
const MARK_START: &str = "[REDACTED:";

/// Finds secrets and home directories in texts and replaces them.
///
/// Shared by reference between threads; no call blocks. Building one takes some
/// milliseconds: build it once.
pub struct Sanitizer {
    enabled: bool,
    names: Names,
    triggers: Triggers,
    patterns: Patterns,
    marks: Vec<String>,
    roots: Vec<String>,
    counts: Counts,
    hash_key: Option<HashKey>,
    search: Search,
}

type Search = fn(&Sanitizer, &str, &mut Space) -> usize;

/// Space for the search in a text and for the changed text, to be used again.
#[derive(Default)]
pub(crate) struct Space {
    sight: Sight,
    findings: Vec<Finding>,
    pieces: Vec<Finding>,
    masks: Vec<Range<usize>>,
    text: String,
    /// The text of the round before.
    before: String,
    /// The rules of what was replaced in all rounds.
    rules: Vec<usize>,
}

thread_local! {
    /// For calls that have no space of their own; taken out while it is in use.
    static SPACE: Cell<Space> = Cell::default();
}

impl Space {
    /// A text longer than this leaves nothing behind on its thread.
    const KEPT: usize = 1 << 16;

    /// The text that was changed last.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The rules of what was replaced in it; `None` when it was replaced as a whole.
    pub(crate) fn rules(&self) -> Option<&[usize]> {
        (!self.rules.is_empty()).then_some(&self.rules)
    }

    /// Keeps the space for the next call on this thread.
    fn keep(self) {
        if self.text.capacity().max(self.before.capacity()) <= Self::KEPT {
            SPACE.set(self);
        }
    }
}

impl Sanitizer {
    /// What to set up, one thing at a time.
    pub fn builder() -> SanitizerBuilder {
        SanitizerBuilder::default()
    }

    /// Builds the rules. The metrics recorder must be installed before: the
    /// counters `log_redactions_total{rule}` are registered here, at 0.
    ///
    /// # Errors
    /// See [`SanitizeError`]; nothing is wrong with the default configuration.
    pub fn new(config: SanitizeConfig) -> Result<Self, SanitizeError> {
        Self::with_home(config, std::env::home_dir())
    }

    /// As [`new`](Self::new), for a process whose own home directory is given.
    pub(crate) fn with_home(
        config: SanitizeConfig,
        home: Option<std::path::PathBuf>,
    ) -> Result<Self, SanitizeError> {
        check_globs("deny_fields", &config.deny_fields)?;
        check_globs("allow_fields", &config.allow_fields)?;
        let personal = config.pii.then(pii::patterns).into_iter().flatten();
        let wanted: Vec<Pattern> = personal.chain(config.patterns.iter().cloned()).collect();
        let patterns = Patterns::new(&wanted)?;
        let names = Names::new(&config.deny_fields, &config.allow_fields);
        let own_home = home.filter(|_| config.normalize_paths);
        let (directories, roots) = directories(&config, own_home.as_deref())?;
        let triggers = Triggers::new(&names, config.normalize_paths, directories);
        let rules = rule_names(&patterns);
        let sanitizer = Self {
            enabled: config.enabled,
            names,
            triggers,
            patterns,
            marks: rules
                .iter()
                .map(|rule| format!("{MARK_START}{rule}]"))
                .collect(),
            roots,
            counts: Counts::new(rules),
            hash_key: config.hash_key.clone(),
            search: Self::search_all,
        };
        sanitizer.check_replacements(&config)?;
        Ok(sanitizer)
    }

    /// The built-in rules with their examples, except those for vendors'
    /// tokens; for documentation and tests.
    pub fn rules() -> &'static [Rule] {
        &RULES
    }

    /// The text without secrets and home directories: borrowed, and nothing
    /// allocated, when there are none.
    ///
    /// Takes time linear in the text. Never panics: should a rule fail, or a text
    /// take more steps than it has budget, the whole text becomes
    /// `[REDACTED:error]`. The result sanitized again is the
    /// same. It is at most `len × (longest replacement)` bytes long, and in
    /// practice close to the text.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.enabled {
            return Cow::Borrowed(text);
        }
        let mut space = SPACE.take();
        let sanitized = match self.change_text(text, &mut space) {
            true => Cow::Owned(mem::take(&mut space.text)),
            false => Cow::Borrowed(text),
        };
        space.keep();
        sanitized
    }

    /// What the name of a field says about its value.
    pub fn verdict(&self, name: &str) -> Verdict {
        if !self.enabled {
            return Verdict::Plain;
        }
        self.names.judge(name.as_bytes())
    }

    /// What to write in the place of a field's value; `None` when the value may
    /// stay as it is.
    pub fn value(&self, name: &str, value: Value<'_>) -> Option<String> {
        self.value_judged(self.verdict(name), value)
    }

    /// As [`value`](Self::value), with the verdict that was
    /// made on the name before.
    pub fn value_judged(&self, verdict: Verdict, value: Value<'_>) -> Option<String> {
        let mut space = SPACE.take();
        let changed = self.change(verdict, value, &mut space).map(str::to_owned);
        space.keep();
        changed
    }

    /// How often each rule has replaced something, for reports.
    pub fn redactions(&self) -> Vec<(&str, u64)> {
        self.counts.all()
    }

    /// False when it was configured to do nothing.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// As [`value_judged`](Self::value_judged), in a space that is used
    /// again: allocates nothing in the long run.
    #[inline]
    pub(crate) fn change<'s>(
        &self,
        verdict: Verdict,
        value: Value<'_>,
        space: &'s mut Space,
    ) -> Option<&'s str> {
        let is_changed = match (verdict, value) {
            (Verdict::Secret(_), Value::Text(text)) if let Some(body) = pem_body(text) => {
                self.replace_body(body, text, space)
            }
            (Verdict::Secret(secret), _) if self.is_secret(secret, value, space) => {
                self.replace_value(secret, value, space)
            }
            (Verdict::Secret(secret), Value::Text(text)) => {
                let is_changed = self.change_text(text, space);
                // A message in the place of a secret: one that holds a secret goes too.
                if is_changed && matches!(secret.trust, Trust::Strong | Trust::Shaped) {
                    self.put_whole(secret.rule, text, space);
                }
                is_changed
            }
            (_, Value::Text(text)) => self.change_text(text, space),
            _ => false,
        };
        is_changed.then_some(space.text.as_str())
    }

    /// Writes the text without secrets into the space; false when there are none.
    fn change_text(&self, text: &str, space: &mut Space) -> bool {
        space.sight.forget();
        space.rules.clear();
        let rounds = || self.rounds(text, space);
        // A rule that panics has seen the text half: close, do not open.
        if let Ok(is_changed) = catch_unwind(AssertUnwindSafe(rounds)) {
            return is_changed;
        }
        *space = Space::default();
        self.put_whole(Kind::Error, text, space);
        true
    }

    /// Counts replacements that were made before, and are made again.
    pub(crate) fn count_again(&self, rules: &[usize]) {
        rules.iter().for_each(|&rule| self.counts.add(rule, 1));
    }

    /// The verdict on a member of a group: its own, or that of the group around
    /// it, where the name says nothing (`"secret": {"value": …}`).
    pub(crate) fn member_verdict(&self, outer: Verdict, name: &str) -> Verdict {
        match (self.verdict(name), outer) {
            (Verdict::Plain, Verdict::Secret(_)) if !names::is_description(name) => outer,
            (Verdict::Secret(own), Verdict::Secret(_)) if own.trust == Trust::Scrambled => outer,
            (own, _) => own,
        }
    }

    /// What to write in the place of a whole text.
    pub(crate) fn replace_whole(&self, rule: Kind, secret: &str) -> String {
        let mut space = Space::default();
        self.put_whole(rule, secret, &mut space);
        space.text
    }

    fn put_whole(&self, rule: Kind, secret: &str, space: &mut Space) {
        space.rules.clear();
        self.counts.add(rule as usize, 1);
        space.text.clear();
        self.push_replacement(&mut space.text, What::Builtin(rule), secret);
    }

    /// Searches until nothing is found any more.
    fn rounds(&self, text: &str, space: &mut Space) -> bool {
        if !self.round(text, space) {
            return false;
        }
        if space.sight.is_quiet() && self.patterns.regexes.is_empty() {
            return true;
        }
        for _ in 1..MAX_ROUNDS {
            mem::swap(&mut space.text, &mut space.before);
            let before = mem::take(&mut space.before);
            let is_changed = self.round(&before, space);
            space.before = before;
            if !is_changed {
                mem::swap(&mut space.text, &mut space.before);
                return true;
            }
        }
        self.put_whole(Kind::Error, text, space);
        true
    }

    /// Writes the text without what one search finds into the space; false when
    /// it finds nothing.
    fn round(&self, text: &str, space: &mut Space) -> bool {
        space.findings.clear();
        (self.search)(self, text, space);
        if space.findings.is_empty() {
            return false;
        }
        if text.len() <= LONGEST_TWICE {
            scan::find_again(text, &mut space.findings);
        }
        space.masks.clear();
        if space.sight.may_hold_masks() {
            self.find_masks(text, &mut space.masks);
        }
        self.write_without(text, space)
    }

    /// Writes the text without the findings into the space; false when there are none
    /// besides what was replaced before.
    fn write_without(&self, text: &str, space: &mut Space) -> bool {
        self.settle(text, space);
        if space.findings.is_empty() {
            return false;
        }
        self.rebuild(text, space);
        true
    }

    /// Finds everything; returns the steps it took.
    fn search_all(&self, text: &str, space: &mut Space) -> usize {
        let mut scan = Scan::new(text, &self.names, &self.triggers, &mut space.findings);
        scan.run(&mut space.sight);
        scan.run_encoded(&mut space.sight);
        let steps = scan.text.steps();
        self.patterns.find(text, &mut space.findings);
        steps
    }

    /// Brings findings into order, cuts out the masks, joins what overlaps, and
    /// aligns them to characters.
    fn settle(&self, text: &str, space: &mut Space) {
        if !space.masks.is_empty() {
            cut_masks(&space.findings, &space.masks, &mut space.pieces);
            mem::swap(&mut space.findings, &mut space.pieces);
        }
        let findings = &mut space.findings;
        for found in findings.iter_mut() {
            while !text.is_char_boundary(found.range.start) {
                found.range.start -= 1;
            }
            while !text.is_char_boundary(found.range.end) {
                found.range.end += 1;
            }
        }
        findings.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
        findings.dedup_by(|next, last| {
            let overlap = next.range.start < last.range.end;
            if overlap {
                last.range.end = last.range.end.max(next.range.end);
            }
            overlap
        });
    }

    /// Where replacements of ours stand already. Only those of known rules: a
    /// secret cannot hide in `[REDACTED:…]`.
    fn find_masks(&self, text: &str, masks: &mut Vec<Range<usize>>) {
        masks.clear();
        for start in memchr::memchr_iter(b'[', text.as_bytes()) {
            let rest = &text.as_bytes()[start..];
            if !rest.starts_with(MARK_START.as_bytes()) {
                continue;
            }
            let Some(end) = rest.iter().take(64).position(|&byte| byte == b']') else {
                continue;
            };
            let found = &rest[..=end];
            if self
                .marks
                .iter()
                .any(|mark| is_mark_of(mark.as_bytes(), found))
            {
                masks.push(start..start + found.len());
            }
        }
    }

    /// Writes the text with replacements for the findings into the space.
    fn rebuild(&self, text: &str, space: &mut Space) {
        let (sight, out) = (&mut space.sight, &mut space.text);
        out.clear();
        out.reserve(text.len() + 32 * space.findings.len());
        sight.start_replacing(text);
        let mut done = 0;
        for found in &space.findings {
            sight.move_piece(done..found.range.start, out.len());
            out.push_str(&text[done..found.range.start]);
            let before = out.as_bytes().last().copied().unwrap_or_default();
            let after = text.as_bytes().get(found.range.end).copied();
            let around = [before, after.unwrap_or_default()];
            sight.replace(&self.triggers, around, found.what);
            self.push_replacement(out, found.what, &text[found.range.clone()]);
            self.counts.add(rule_index(found.what), 1);
            space.rules.push(rule_index(found.what));
            done = found.range.end;
        }
        sight.move_piece(done..text.len(), out.len());
        sight.end_replacing();
        out.push_str(&text[done..]);
    }

    fn push_replacement(&self, out: &mut String, what: What, secret: &str) {
        let mark = match what {
            What::Home => return out.push('~'),
            What::Root(index) => return out.push_str(&self.roots[usize::from(index)]),
            _ => &self.marks[rule_index(what)],
        };
        match &self.hash_key {
            None => out.push_str(mark),
            Some(key) => {
                let tag = key.tag(secret);
                let inner = &mark[..mark.len() - 1];
                // Writing into a string cannot fail.
                let _ = write!(out, "{inner}:{tag:04x}]");
            }
        }
    }

    /// A replacement in which a rule finds something would be replaced again.
    fn check_replacements(&self, config: &SanitizeConfig) -> Result<(), SanitizeError> {
        for (root, with) in &config.roots {
            let mut space = Space::default();
            self.search_all(&format!("{with}/x"), &mut space);
            if !space.findings.is_empty() {
                let (root, with) = (root.clone(), with.clone());
                return Err(SanitizeError::BadReplacement { root, with });
            }
        }
        Ok(())
    }

    /// A sanitizer whose search panics.
    #[cfg(test)]
    pub(crate) fn that_fails() -> Self {
        let mut sanitizer = Self::new(SanitizeConfig::default()).unwrap();
        sanitizer.search = |_, _, _| panic!("a rule that fails");
        sanitizer
    }

    /// How many bytes the search looks at besides the pass for triggers.
    #[cfg(test)]
    pub(crate) fn steps(&self, text: &str) -> usize {
        self.search_all(text, &mut Space::default())
    }

    /// What the search looks closer at.
    #[cfg(test)]
    pub(crate) fn literals(&self) -> &[String] {
        self.triggers.literals()
    }
}

impl std::fmt::Debug for Sanitizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sanitizer")
            .field("enabled", &self.enabled)
            .field("rules", &self.marks.len())
            .finish_non_exhaustive()
    }
}

/// The replacement `found` is the mark of a rule, with or without a tag.
fn is_mark_of(mark: &[u8], found: &[u8]) -> bool {
    let inner = &mark[..mark.len() - 1];
    match found.strip_prefix(inner) {
        Some(b"]") => true,
        Some([b':', tag @ .., b']']) => tag.len() == 4 && tag.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

/// Cuts the masks out of the findings.
fn cut_masks(findings: &[Finding], masks: &[Range<usize>], pieces: &mut Vec<Finding>) {
    pieces.clear();
    for found in findings {
        let first = masks.partition_point(|mask| mask.end <= found.range.start);
        let mut start = found.range.start;
        for mask in &masks[first..] {
            if mask.start >= found.range.end {
                break;
            }
            push_piece(pieces, start..mask.start, found.what);
            start = mask.end;
        }
        push_piece(pieces, start..found.range.end, found.what);
    }
}

fn push_piece(pieces: &mut Vec<Finding>, range: Range<usize>, what: What) {
    if range.start < range.end {
        pieces.push(Finding { range, what });
    }
}

/// Place of a rule among built-in rules, vendors and patterns.
fn rule_index(what: What) -> usize {
    match what {
        What::Builtin(kind) => kind as usize,
        What::Home => Kind::HomePath as usize,
        What::Root(_) => Kind::RootPath as usize,
        What::Vendor(index) => RULES.len() + usize::from(index),
        What::Pattern(index) => RULES.len() + VENDORS.len() + usize::from(index),
    }
}

fn rule_names(patterns: &Patterns) -> Vec<String> {
    let built_in = RULES.iter().map(|rule| rule.name);
    let vendors = VENDORS.iter().map(|vendor| vendor.rule);
    let own = patterns.names.iter().map(String::as_str);
    built_in
        .chain(vendors)
        .chain(own)
        .map(str::to_owned)
        .collect()
}

fn check_globs(key: &'static str, globs: &[String]) -> Result<(), SanitizeError> {
    match globs.iter().any(|glob| glob.trim().is_empty()) {
        true => Err(SanitizeError::EmptyGlob { key }),
        false => Ok(()),
    }
}

/// Directories to look for, with what replaces them; and the replacements.
type Directories = (Vec<(String, What)>, Vec<String>);

fn directories(
    config: &SanitizeConfig,
    home: Option<&std::path::Path>,
) -> Result<Directories, SanitizeError> {
    let mut found = Vec::new();
    let mut replacements = Vec::new();
    for (root, with) in &config.roots {
        let trimmed = root.trim_end_matches(['/', '\\']);
        let is_absolute = trimmed.starts_with(['/', '\\']) || trimmed.get(1..2) == Some(":");
        if trimmed.len() < 2 || !is_absolute {
            return Err(SanitizeError::BadRoot { root: root.clone() });
        }
        found.push((trimmed.to_owned(), What::Root(replacements.len() as u16)));
        replacements.push(with.clone());
    }
    // A home of `/` or `/nonexistent` names nobody.
    let home = home.and_then(std::path::Path::to_str).unwrap_or_default();
    let home = home.trim_end_matches(['/', '\\']);
    if home.matches(['/', '\\']).count() > 1 {
        found.push((home.to_owned(), What::Home));
    }
    Ok((found, replacements))
}

/// The user's patterns.
struct Patterns {
    names: Vec<String>,
    regexes: Vec<Regex>,
    /// All of them, to know in one pass which match.
    set: RegexSet,
}

impl Patterns {
    fn new(patterns: &[Pattern]) -> Result<Self, SanitizeError> {
        let mut names: Vec<String> = Vec::new();
        let mut regexes = Vec::new();
        for pattern in patterns {
            let name = pattern.name.clone();
            check_name(&name, &names)?;
            let regex = Regex::new(&pattern.regex).map_err(|source| SanitizeError::BadRegex {
                name: name.clone(),
                source: Box::new(source),
            })?;
            if matches_empty(&regex) {
                return Err(SanitizeError::MatchesEmpty { name });
            }
            names.push(name);
            regexes.push(regex);
        }
        let set = RegexSet::new(regexes.iter().map(Regex::as_str))
            .map_err(|error| SanitizeError::TooLarge(Box::new(error)))?;
        Ok(Self {
            names,
            regexes,
            set,
        })
    }

    fn find(&self, text: &str, findings: &mut Vec<Finding>) {
        if self.regexes.is_empty() {
            return;
        }
        for index in self.set.matches(text) {
            let matches = self.regexes[index].find_iter(text);
            findings.extend(
                matches
                    .filter(|found| !found.is_empty())
                    .map(|found| Finding {
                        range: found.range(),
                        what: What::Pattern(index as u16),
                    }),
            );
        }
    }
}

/// Whether it matches nothing somewhere: in an empty text, or at the edges that
/// `\b` and `$` stand for.
fn matches_empty(regex: &Regex) -> bool {
    ["", "a", " a ", "\n"]
        .iter()
        .any(|text| regex.find_iter(text).any(|found| found.is_empty()))
}

fn check_name(name: &str, taken: &[String]) -> Result<(), SanitizeError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 32 || !name.bytes().all(allowed) {
        return Err(SanitizeError::BadName { name: name.into() });
    }
    let built_in = RULES.iter().map(|rule| rule.name);
    let vendors = VENDORS.iter().map(|vendor| vendor.rule);
    let mut all = built_in
        .chain(vendors)
        .chain(taken.iter().map(String::as_str));
    if all.any(|other| other == name) {
        return Err(SanitizeError::NameTaken { name: name.into() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn with(config: SanitizeConfig) -> Result<Sanitizer, SanitizeError> {
        Sanitizer::with_home(config, None)
    }

    fn sanitizer() -> Sanitizer {
        with(SanitizeConfig::default()).unwrap()
    }

    fn pattern(name: &str, regex: &str) -> SanitizeConfig {
        let (name, regex) = (name.to_owned(), regex.to_owned());
        SanitizeConfig {
            patterns: vec![Pattern { name, regex }],
            ..SanitizeConfig::default()
        }
    }

    #[test]
    fn a_users_pattern_is_a_rule_of_its_own() {
        let sanitizer = with(pattern("ticket", "TCK-[0-9]{8}")).unwrap();
        let found = sanitizer.text("see TCK-12345678 please");
        assert_eq!(found, "see [REDACTED:ticket] please");
        assert_eq!(sanitizer.redactions().last(), Some(&("ticket", 1)));
    }

    #[test]
    fn a_pattern_that_finds_its_own_replacement_is_applied_once() {
        let sanitizer = with(pattern("shout", "[A-Z]{4,}")).unwrap();
        assert_eq!(sanitizer.text("say HELLO"), "say [REDACTED:shout]");
    }

    #[test]
    fn unusable_patterns_are_refused() {
        let refused = |name: &str, regex: &str| with(pattern(name, regex)).unwrap_err();
        assert!(matches!(
            refused("x", "(?=a)"),
            SanitizeError::BadRegex { .. }
        ));
        assert!(matches!(
            refused("x", r"(a)\1"),
            SanitizeError::BadRegex { .. }
        ));
        assert!(matches!(
            refused("x", "a*"),
            SanitizeError::MatchesEmpty { .. }
        ));
        assert!(matches!(
            refused("x", r"\b"),
            SanitizeError::MatchesEmpty { .. }
        ));
        assert!(matches!(refused("A b", "a"), SanitizeError::BadName { .. }));
        assert!(matches!(refused("", "a"), SanitizeError::BadName { .. }));
        assert!(matches!(
            refused("password", "a"),
            SanitizeError::NameTaken { .. }
        ));
        assert!(matches!(
            refused("github_token", "a"),
            SanitizeError::NameTaken { .. }
        ));
    }

    #[test]
    fn unusable_globs_and_roots_are_refused() {
        let deny = SanitizeConfig {
            deny_fields: vec![" ".into()],
            ..SanitizeConfig::default()
        };
        assert!(matches!(with(deny), Err(SanitizeError::EmptyGlob { .. })));
        for root in ["", "/", "srv/data"] {
            assert!(matches!(
                with(roots(root, "<data>")),
                Err(SanitizeError::BadRoot { .. })
            ));
        }
        assert!(matches!(
            with(roots("/srv/data", "/home/bob")),
            Err(SanitizeError::BadReplacement { .. })
        ));
    }

    fn roots(root: &str, with: &str) -> SanitizeConfig {
        SanitizeConfig {
            roots: [(root.to_owned(), with.to_owned())].into(),
            ..SanitizeConfig::default()
        }
    }

    #[test]
    fn roots_are_replaced_where_a_path_starts_with_them() {
        let sanitizer = with(roots("/srv/data/", "<data>")).unwrap();
        let found = sanitizer.text("in /srv/data/x and /srv/database and /a/srv/data/x");
        assert_eq!(found, "in <data>/x and /srv/database and /a/srv/data/x");
    }

    #[test]
    fn the_home_of_the_process_is_replaced_wherever_it_lies() {
        let home = Some(PathBuf::from("/srv/people/bob"));
        let sanitizer = Sanitizer::with_home(SanitizeConfig::default(), home).unwrap();
        assert_eq!(sanitizer.text("open /srv/people/bob/x"), "open ~/x");
        let sanitizer =
            Sanitizer::with_home(SanitizeConfig::default(), Some(PathBuf::from("/"))).unwrap();
        assert_eq!(sanitizer.text("open /srv/x"), "open /srv/x");
    }

    #[test]
    fn a_secret_that_was_found_goes_wherever_it_stands() {
        let secret = "a1B2c3D4e5F6".repeat(2);
        let text = format!("set api_key='{secret}' args=('{secret}', 19), {secret}x stays");
        let expected = format!(
            "set api_key='[REDACTED:api_key]' args=('[REDACTED:api_key]', 19), {secret}x stays"
        );
        assert_eq!(sanitizer().text(&text), expected);
        let word = "the password='sunshine' and the sunshine";
        assert!(sanitizer().text(word).ends_with("and the sunshine"));
    }

    #[test]
    fn paths_stay_when_they_are_not_to_be_normalized() {
        let config = SanitizeConfig {
            normalize_paths: false,
            ..SanitizeConfig::default()
        };
        assert_eq!(with(config).unwrap().text("/home/bob/x"), "/home/bob/x");
    }

    #[test]
    fn denied_names_are_found_in_text_and_allowed_ones_stay() {
        let config = SanitizeConfig {
            deny_fields: vec!["employee_id".into(), "*_ssn".into(), "x?".into()],
            allow_fields: vec!["session_token".into()],
            ..SanitizeConfig::default()
        };
        let found = with(config).unwrap();
        let found = found.text("employee_id=7 user_ssn: 12 xy=3 session_token=abc123 z=1");
        assert_eq!(
            found,
            "employee_id=[REDACTED:denied_field] user_ssn: [REDACTED:denied_field] \
             xy=[REDACTED:denied_field] session_token=abc123 z=1"
        );
    }

    #[test]
    fn a_rule_that_fails_closes_and_is_counted() {
        let sanitizer = Sanitizer::that_fails();
        assert_eq!(sanitizer.text("password=hunter22"), "[REDACTED:error]");
        assert!(sanitizer.redactions().contains(&("error", 1)));
    }

    /// As [`Sanitizer::text`], with nothing taken over from one search
    /// to the next.
    fn sanitized_in_full_rounds(sanitizer: &Sanitizer, text: &str) -> String {
        let mut text = text.to_owned();
        let mut space = Space::default();
        while sanitizer.round(&text, &mut space) {
            text = space.text.clone();
            space = Space::default();
        }
        text
    }

    #[test]
    fn what_is_taken_over_from_a_search_to_the_next_changes_nothing() {
        let config = SanitizeConfig {
            roots: [("/srv/[x]".to_owned(), "<data>".to_owned())].into(),
            ..SanitizeConfig::default()
        };
        let denied = SanitizeConfig {
            deny_fields: vec!["*".into()],
            ..SanitizeConfig::default()
        };
        let sanitizers = [sanitizer(), with(config).unwrap(), with(denied).unwrap()];
        let examples = RULES
            .iter()
            .flat_map(|rule| rule.vanish.iter().chain(rule.survive));
        let examples: Vec<_> = examples.map(|text| text.replace(['«', '»'], "")).collect();
        for (first, second) in examples.iter().zip(examples.iter().cycle().skip(7)) {
            for text in [
                format!("{first} {second}"),
                format!("{first}{second}8q/home/bob/x"),
            ] {
                for sanitizer in &sanitizers {
                    let expected = sanitized_in_full_rounds(sanitizer, &text);
                    assert_eq!(sanitizer.text(&text), expected, "{text}");
                }
            }
        }
    }

    #[test]
    fn every_rule_is_counted_from_zero() {
        let counts = sanitizer();
        let counts = counts.redactions();
        assert_eq!(counts.len(), RULES.len() + VENDORS.len());
        assert!(counts.iter().all(|(_, count)| *count == 0));
    }
}
