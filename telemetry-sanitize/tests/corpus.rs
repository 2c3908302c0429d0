//! Recall and precision on a corpus of our own: each template of `corpus/*.txt`
//! filled with made-up values from many seeds.
//!
//! In a template `«…»` is what must vanish, `{alnum:20}` and the like are made up,
//! `{K}` is a secret name and `{pw}` a password as people choose them; `⏎` is a line
//! break. `SANITIZE_SEEDS` sets how many seeds are tried, `SANITIZE_REPORT` prints
//! every line that is not as it should be.

mod made_up;

use std::borrow::Cow;
use std::io::Write as _;

use made_up::MadeUp;
use telemetry_sanitize::{SanitizeConfig, Sanitizer};

const SECRETS: &str = include_str!("corpus/secrets.txt");
const PATHS: &str = include_str!("corpus/paths.txt");
const HARMLESS: &str = include_str!("corpus/harmless.txt");

const SEEDS: u64 = 12;

/// A filled template.
struct Case {
    text: String,
    secrets: Vec<String>,
    around: Vec<String>,
}

fn cases(templates: &'static str) -> impl Iterator<Item = Case> {
    let seeds = std::env::var("SANITIZE_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let lines = templates.lines().enumerate();
    lines.flat_map(move |(number, template)| {
        (0..seeds).map(move |seed| case(template, seed * 7919 + number as u64))
    })
}

fn case(template: &str, seed: u64) -> Case {
    let mut made = MadeUp::new(seed);
    let filled = made.fill(template);
    let (mut secrets, mut around) = (Vec::new(), Vec::new());
    for (index, part) in filled.split(['«', '»']).enumerate() {
        let kept = if index % 2 == 0 {
            &mut around
        } else {
            &mut secrets
        };
        kept.push(part.to_owned());
    }
    Case {
        text: filled.replace(['«', '»'], ""),
        secrets,
        around,
    }
}

fn sanitizer() -> Sanitizer {
    Sanitizer::new(SanitizeConfig::default()).unwrap()
}

/// A piece of half the secret's length is still there, and not a part of the text
/// around it by chance.
fn leaks(case: &Case, found: &str) -> bool {
    let around = case.around.concat();
    case.secrets.iter().any(|secret| {
        let chars: Vec<char> = secret.chars().collect();
        let half = chars.len().div_ceil(2).max(3);
        chars.windows(half).any(|piece| {
            let piece: String = piece.iter().collect();
            found.contains(&piece) && !around.contains(&piece) && !piece.trim().is_empty()
        })
    })
}

/// Bytes of the words around the secrets that are not there any more.
fn lost(case: &Case, found: &str) -> usize {
    let mut rest = found;
    let mut lost = 0;
    for word in case.around.iter().flat_map(|part| part.split_whitespace()) {
        match rest.find(word) {
            Some(at) => rest = &rest[at + word.len()..],
            None => lost += word.len(),
        }
    }
    lost
}

fn report(what: &str, case: &Case, found: &str) {
    if std::env::var_os("SANITIZE_REPORT").is_some() {
        say(format_args!("{what}\n  {:?}\n  {found:?}", case.text));
    }
}

fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[test]
fn secrets_vanish_and_the_text_around_them_stays() {
    let sanitizer = sanitizer();
    let (mut all, mut leaked, mut bytes, mut lost_bytes) = (0, 0, 0, 0);
    for case in cases(SECRETS) {
        let found = sanitizer.text(&case.text);
        all += 1;
        bytes += case.around.iter().map(String::len).sum::<usize>();
        if leaks(&case, &found) {
            leaked += 1;
            report("LEAKED", &case, &found);
            continue;
        }
        let gone = lost(&case, &found);
        lost_bytes += gone;
        if gone > 0 {
            report("LOST", &case, &found);
        }
    }
    say(format_args!(
        "{leaked} of {all} leaked, {lost_bytes} of {bytes} bytes around lost"
    ));
    // Less than one template with all its seeds, besides those known.
    assert!(leaked * 1000 <= all, "{leaked} of {all} leaked");
    assert!(lost_bytes * 200 <= bytes, "{lost_bytes} of {bytes} lost");
}

#[test]
fn paths_lose_their_users() {
    let sanitizer = sanitizer();
    for case in cases(PATHS) {
        let found = sanitizer.text(&case.text);
        assert!(!leaks(&case, &found), "{:?} -> {found:?}", case.text);
    }
}

#[test]
fn harmless_lines_stay() {
    let sanitizer = sanitizer();
    let mut changed = 0;
    let mut all = 0;
    for case in cases(HARMLESS) {
        all += 1;
        if let Cow::Owned(found) = sanitizer.text(&case.text) {
            changed += 1;
            report("CHANGED", &case, &found);
        }
    }
    say(format_args!("{changed} of {all} changed"));
    // Less than one template with all its seeds.
    assert!(changed * 2000 <= all, "{changed} of {all} changed");
}

#[test]
fn sanitizing_the_corpus_twice_is_the_same_as_once() {
    let sanitizer = sanitizer();
    for case in [SECRETS, PATHS, HARMLESS].into_iter().flat_map(cases) {
        let once = sanitizer.text(&case.text).into_owned();
        assert_eq!(sanitizer.text(&once), once, "{:?}", case.text);
    }
}
