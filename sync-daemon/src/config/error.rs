//! What is wrong with a configuration: everything at once, each with its line.

use std::fmt::{self, Write as _};

use super::origin::Origin;

/// All that is wrong with a configuration, in the order of files and lines, then of environment variables.
///
/// `Display` renders every error with its line and a caret, without a newline at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// The errors; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) origin: Origin,
    pub(super) message: String,
    pub(super) excerpt: Option<Excerpt>,
}

impl ConfigError {
    /// The value that is wrong; [`Origin::Default`] where something is missing, or a file cannot be read.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is wrong with it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What `Display` writes, in parts that tell nothing of each other.
    pub fn parts(&self) -> Vec<String> {
        let place = match &self.origin {
            Origin::Default => "configuration".to_owned(),
            origin => printable(&origin.to_string()),
        };
        let mut parts = vec![place, ": ".to_owned(), printable(&self.message)];
        if let Some(excerpt) = &self.excerpt {
            parts.extend(["\n".to_owned(), excerpt.to_string()]);
        }
        parts
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().iter().try_for_each(|part| f.write_str(part))
    }
}

/// A line of a file with a mark below a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    line_number: usize,
    line: String,
    /// In characters, from 0.
    mark_start: usize,
    mark_len: usize,
}

/// Lines of this many characters are cut for display.
const WIDEST_LINE: usize = 160;

impl Excerpt {
    /// Marks `mark_len` characters of a line from character `column`, which counts from 1.
    pub(super) fn new(line_number: usize, line: &str, column: usize, mark_len: usize) -> Self {
        let mark_start = column - 1;
        let line = without_secret(line.trim_end_matches('\r'));
        let room = line.chars().count().saturating_sub(mark_start);
        let mark_len = mark_len.min(room).max(1);
        Self {
            line_number,
            line: line.into_owned(),
            mark_start,
            mark_len,
        }
    }

    /// The part of the line that is shown, and where the mark starts in it: long lines are cut around the mark.
    fn shown(&self) -> (String, usize) {
        let skipped = self.mark_start.saturating_sub(WIDEST_LINE / 2);
        let skipped = if self.line.chars().count() > WIDEST_LINE {
            skipped
        } else {
            0
        };
        let line: String = self.line.chars().skip(skipped).take(WIDEST_LINE).collect();
        (line, self.mark_start - skipped)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line_number.to_string();
        let gutter = " ".repeat(number.len());
        let (line, mark_start) = self.shown();
        // Tabs stay tabs, so that the mark stands below its text however wide they are.
        let is_tab = |index: usize| line.chars().nth(index) == Some('\t');
        let indent: String = (0..mark_start)
            .map(|i| if is_tab(i) { '\t' } else { ' ' })
            .collect();
        let mark = "^".repeat(self.mark_len.min(WIDEST_LINE));
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", printable(&line))?;
        write!(f, "{gutter} | {indent}{mark}")
    }
}

/// Words in a line that may be followed by a secret which somebody put there by mistake.
const SECRET_WORDS: [&str; 7] = ["pass", "pwd", "secret", "token", "credential", "key", "://"];

/// The line, cut where a secret may begin: errors end up in journals and bug reports.
fn without_secret(line: &str) -> std::borrow::Cow<'_, str> {
    let lower = line.to_ascii_lowercase();
    let Some(word) = SECRET_WORDS
        .iter()
        .filter_map(|word| lower.find(word))
        .min()
    else {
        return line.into();
    };
    let value = line[word..]
        .find(['=', '/', '"'])
        .map_or(line.len(), |offset| word + offset + 1);
    match line[value..].trim() {
        "" => line.into(),
        _ => format!("{} …", &line[..value]).into(),
    }
}

/// Without control characters, which could do anything to a terminal.
pub(super) fn printable(text: &str) -> String {
    let harmless = |c: char| c == '\t' || !c.is_control();
    text.chars()
        .map(|c| {
            if harmless(c) {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_below_its_text() {
        let excerpt = Excerpt::new(12, "\tport = 70000", 9, 5);
        assert_eq!(
            excerpt.to_string(),
            "   |\n12 | \tport = 70000\n   | \t       ^^^^^"
        );
    }

    #[test]
    fn a_line_without_end_is_cut_around_the_mark() {
        let line = "x".repeat(1_000) + "=!" + &"y".repeat(1_000);
        let text = Excerpt::new(1, &line, 1_002, 1).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].len() < 200);
        assert_eq!(lines[1].find('!'), lines[2].find('^'));
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let secret = ["hun", "ter2"].concat();
        for line in [
            "password = ",
            "basic = { passwd = ",
            "url = \"http://root:",
            "\"token\" = ",
            "api_key = ",
        ] {
            let text = Excerpt::new(1, &format!("{line}{secret}"), 1, 1).to_string();
            assert!(!text.contains(&secret), "{text}");
        }
        assert!(
            Excerpt::new(1, "port = 5", 1, 1)
                .to_string()
                .contains("port = 5")
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = Excerpt::new(1, "x = \u{1b}[2J", 1, 1).to_string();
        assert!(!text.contains('\u{1b}'));
    }
}
