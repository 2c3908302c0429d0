//! Tables: names of secrets in the first line, the secrets in the lines below.
//!
//! ```text
//! user,password,role          USER   PASSWORD   ROLE
//! bob,x,admin                 bob    x          admin
//! ```
//!
//! Each line is looked at once: the first name in it takes the whole table.

use std::ops::Range;

use super::delimiter::Delimiter;
use super::pair::Name;
use super::sentence::random_word_at;
use super::{Scan, shape};
use crate::mask::{is_harmless, is_status};
use crate::names::{SecretName, Trust, Verdict};
use crate::rules::Kind;
use crate::text::{Text, is_blank, is_quote};
use crate::vendors::looks_random;

/// A first line that is longer is no list of names.
const LONGEST_HEAD: usize = 512;
/// So much of a table is looked at.
const REACH: usize = 16 << 10;
const MOST_COLUMNS: usize = 64;

/// How the cells of a line are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cells {
    /// By this byte.
    Mark(u8),
    /// By the place in the line.
    Aligned,
}

/// The columns under names of secrets.
struct Columns {
    cells: Cells,
    /// All there are.
    count: usize,
    /// Of each its place in the line, its number and its name.
    secret: Vec<(usize, usize, SecretName)>,
}

/// Takes the cells below the name in the line that it stands in, if that is the
/// first of a table; false where it is none.
pub(super) fn take_columns(scan: &mut Scan<'_, '_>, name: &Name, after: usize) -> bool {
    let text = &scan.text;
    if name.range.start < scan.heads_done {
        return false;
    }
    let Some(cells) = cells_around(text, name, after) else {
        return false;
    };
    let floor = name.range.start.saturating_sub(LONGEST_HEAD);
    let start = text.run_back(name.range.start, floor, |byte| byte != b'\n');
    let end = text.line_end(name.range.start);
    scan.heads_done = end;
    let is_head = end - start <= LONGEST_HEAD && (start == 0 || text.before(start) == b'\n');
    if !is_head || end >= text.len() {
        return false;
    }
    let start = past_remark(text, start, name.range.start, cells);
    let Some(columns) = columns(scan, cells, start..end) else {
        return false;
    };
    take_rows(scan, &columns, end)
}

/// What stands beside the name is what tells cells apart.
fn cells_around(text: &Text<'_>, name: &Name, after: usize) -> Option<Cells> {
    let start = name.range.start;
    let before = start - usize::from(is_quote(text.before(start)));
    for mark in [b',', b'\t', b';', b'|'] {
        let (left, right) = match mark {
            b'\t' => (before, after),
            _ => {
                let left = text.run_back(before, before.saturating_sub(64), |byte| byte == b' ');
                (left, text.run(after, after + 64, |byte| byte == b' '))
            }
        };
        if text.before(left) == mark || text.at(right) == mark {
            return Some(Cells::Mark(mark));
        }
    }
    let is_aligned = text.has(after, "  ") || text.ends_with(start, "  ");
    is_aligned.then_some(Cells::Aligned)
}

fn columns(scan: &Scan<'_, '_>, cells: Cells, head: Range<usize>) -> Option<Columns> {
    let text = &scan.text;
    let mut columns = Columns {
        cells,
        count: 0,
        secret: Vec::new(),
    };
    let mut at = head.start;
    while at <= head.end && columns.count < MOST_COLUMNS {
        let cell = match cells {
            Cells::Mark(mark) => at..text.run(at, head.end, |byte| byte != mark),
            Cells::Aligned => aligned(text, at, head.end),
        };
        let name = trimmed(text, cell.clone());
        let word = text.slice(name.clone());
        let is_name = word.len() <= 48
            && word
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || b"_-. #/()".contains(&byte));
        if !is_name {
            return None;
        }
        if let Verdict::Secret(secret) = scan.names.judge(word) {
            columns
                .secret
                .push((name.start - head.start, columns.count, secret));
        }
        columns.count += 1;
        at = match cells {
            Cells::Mark(_) => cell.end + 1,
            Cells::Aligned if cell.end < head.end => cell.end,
            Cells::Aligned => break,
        };
    }
    (columns.count > 1 && !columns.secret.is_empty()).then_some(columns)
}

/// The cell that starts at `at`: two blanks end it.
fn aligned(text: &Text<'_>, at: usize, limit: usize) -> Range<usize> {
    let start = text.run(at, limit, is_blank);
    let mut end = start;
    while end < limit {
        end = text.run(end, limit, |byte| !is_blank(byte));
        if end >= limit || is_blank(text.at(end + 1)) {
            break;
        }
        end += 1;
    }
    start..text.run(end, limit, is_blank).max(end)
}

/// Past what a program says before the first name: `dump: user,password`, `[7] INFO user`.
fn past_remark(text: &Text<'_>, line: usize, name: usize, cells: Cells) -> usize {
    const MARKS: [&str; 4] = ["] ", ": ", " - ", "| "];
    let marks = match cells {
        Cells::Mark(b'|') => &MARKS[..3],
        _ => &MARKS[..],
    };
    let is_end = |at: &usize| marks.iter().any(|mark| text.ends_with(*at, mark));
    let limit = match cells {
        Cells::Mark(mark) => first_mark(text, line, name, mark),
        Cells::Aligned => name,
    };
    (line..limit.max(line)).rev().find(is_end).unwrap_or(line)
}

/// Where the first cell ends; the comma of a time (`20:53:56,228 `) ends none.
fn first_mark(text: &Text<'_>, line: usize, limit: usize, mark: u8) -> usize {
    let end = text.run(line, limit, |byte| byte != mark);
    let digits = text.run(end + 1, end + 4, |byte| byte.is_ascii_digit());
    let is_time = digits == end + 4 && text.before(end).is_ascii_digit() && text.at(digits) == b' ';
    if is_time {
        text.run(digits, limit, |byte| byte != mark)
    } else {
        end
    }
}

/// Without the blanks and quotes around.
fn trimmed(text: &Text<'_>, cell: Range<usize>) -> Range<usize> {
    let is_around = |byte: u8| is_blank(byte) || is_quote(byte) || byte == b'\r';
    let start = text.run(cell.start, cell.end, is_around);
    start..text.run_back(cell.end, start, is_around)
}

fn take_rows(scan: &mut Scan<'_, '_>, columns: &Columns, head_end: usize) -> bool {
    let limit = scan.text.len().min(head_end + REACH);
    let mut found = false;
    let mut end = head_end;
    while end < limit {
        let start = end + usize::from(scan.text.has(end, "\r\n")) + 1;
        end = scan
            .text
            .run(start, limit, |byte| byte != b'\n' && byte != b'\r');
        let line = scan.text.slice(start.min(end)..end);
        let is_rule = line.iter().all(|byte| b"-+|=: ".contains(byte));
        if is_rule && !line.is_empty() {
            continue;
        }
        match columns.cells {
            Cells::Mark(mark) => {
                let marks = line.iter().filter(|&&byte| byte == mark).count();
                if marks + 1 != columns.count {
                    break;
                }
                found |= take_cells(scan, columns, mark, start..end);
            }
            Cells::Aligned => {
                if line.is_empty() {
                    break;
                }
                if let Some(words) = numbered(&scan.text, columns, start..end) {
                    for (word, secret) in words {
                        found |= take_cell(scan, secret, word);
                    }
                    continue;
                }
                for &(place, _, secret) in &columns.secret {
                    let at = start + place;
                    let is_cell = at < end
                        && (place == 0 || is_blank(scan.text.before(at)))
                        && !is_blank(scan.text.at(at));
                    if is_cell {
                        let word = at..scan.text.run(at, end, |byte| !is_blank(byte));
                        found |= take_cell(scan, secret, word);
                    }
                }
            }
        }
    }
    scan.heads_done = scan.heads_done.max(end);
    found
}

/// The cells of secret columns in a line that has as many cells as the head.
fn numbered(
    text: &Text<'_>,
    columns: &Columns,
    line: Range<usize>,
) -> Option<Vec<(Range<usize>, SecretName)>> {
    let mut found = Vec::new();
    let mut at = line.start;
    let mut number = 0;
    while at < line.end && number <= MOST_COLUMNS {
        let cell = aligned(text, at, line.end);
        if let Some(&(_, _, secret)) = columns.secret.iter().find(|column| column.1 == number) {
            found.push((trimmed(text, cell.clone()), secret));
        }
        number += 1;
        at = cell.end.max(at + 1);
    }
    (number == columns.count).then_some(found)
}

fn take_cells(scan: &mut Scan<'_, '_>, columns: &Columns, mark: u8, line: Range<usize>) -> bool {
    let mut found = false;
    let mut at = line.start;
    for number in 0..columns.count {
        let end = cell_end(&scan.text, at, line.end, mark);
        if let Some(&(_, _, secret)) = columns.secret.iter().find(|column| column.1 == number) {
            let cell = trimmed(&scan.text, at..end);
            found |= take_cell(scan, secret, cell);
        }
        at = end + 1;
    }
    found
}

/// The end of a cell; in quotes, which are doubled inside, the mark does not end it.
fn cell_end(text: &Text<'_>, at: usize, limit: usize, mark: u8) -> usize {
    let mut end = at;
    if text.at(at) == b'"' {
        loop {
            end = text.run(end + 1, limit, |byte| byte != b'"');
            if end >= limit {
                end = at; // It is not closed.
                break;
            }
            if text.at(end + 1) != b'"' {
                break;
            }
            end += 1;
        }
    }
    text.run(end, limit, |byte| byte != mark)
}

fn take_cell(scan: &mut Scan<'_, '_>, secret: SecretName, cell: Range<usize>) -> bool {
    let value = scan.text.slice(cell.clone());
    let is_random = value.len() >= 16 && looks_random(value);
    let is_secret = match secret.trust {
        Trust::Strong | Trust::Counted => {
            shape::is_chosen(value)
                || is_random
                || shape::is_strange(value)
                || is_quoted_cell(value)
                || is_plain_phrase(value)
                || shape::is_dotted_phrase(value)
        }
        Trust::Shaped => is_random,
        Trust::Digits => shape::is_short_number(value) && value.len() >= 4,
        Trust::Number => shape::is_long_number(value),
        _ => false,
    };
    let is_open = matches!(secret.rule, Kind::Cookie | Kind::Authorization);
    if !is_secret || is_open || is_harmless(value) || is_status(value) {
        return false;
    }
    scan.redact(cell, secret.rule);
    true
}

/// A cell in which a quote is doubled, with more than words in it.
fn is_quoted_cell(value: &[u8]) -> bool {
    value.windows(2).any(|two| two == b"\"\"") && shape::is_no_word(value)
}

/// Some words in small letters, none of which tells something.
fn is_plain_phrase(value: &[u8]) -> bool {
    let value = value
        .strip_suffix(b"!")
        .or_else(|| value.strip_suffix(b"?"))
        .unwrap_or(value);
    let is_joined = value.iter().filter(|&&byte| byte == b'-').count() >= 2;
    let mark = if is_joined { b'-' } else { b' ' };
    let words = || value.split(|&byte| byte == mark);
    let is_plain = |word: &[u8]| word.len() > 2 && word.iter().all(u8::is_ascii_lowercase);
    (3..=8).contains(&words().count()) && words().all(|word| is_plain(word) && !is_status(word))
}

/// The next cell of a table, if it holds something random: a table of columns
/// and their types has the same look.
pub(super) fn cell_at(
    text: &Text<'_>,
    bar: usize,
    secret: SecretName,
) -> Option<(Delimiter, usize)> {
    let value = text.skip_blanks(bar + 1, 64);
    let end = text.run(value, value + 128, |byte| !byte.is_ascii_whitespace());
    let word = text.slice(value..end);
    if word.windows(3).any(|three| three == b"://") {
        return None; // Behind a program's name: `auth-1  | redis://…`.
    }
    let is_cell = random_word_at(text, value, secret) || {
        let is_told = shape::is_passwordish(word) || shape::is_word_and_number(word);
        secret.trust == Trust::Strong && is_told
    };
    is_cell.then_some((Delimiter::Blank, value))
}
