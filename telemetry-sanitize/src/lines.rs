//! Lines one after the other, where a key block goes over several.

use std::borrow::Cow;

use crate::rules::Kind;
use crate::sanitizer::Sanitizer;
use crate::text::is_base64;

/// Sanitizes the lines of a text one by one, each into one line.
///
/// Remembers one thing between lines: that a private key has begun and has not
/// ended yet. Everything else is [`Sanitizer::line`].
#[derive(Debug)]
pub struct Lines<'s> {
    sanitizer: &'s Sanitizer,
    inside_key: bool,
}

impl<'s> Lines<'s> {
    /// Begins a text.
    pub fn new(sanitizer: &'s Sanitizer) -> Self {
        Self {
            sanitizer,
            inside_key: false,
        }
    }

    /// The next line, without its line break.
    pub fn next<'t>(&mut self, line: &'t str) -> Cow<'t, str> {
        if self.inside_key && self.sanitizer.is_enabled() {
            self.inside_key = continues_key(line);
            let is_end = line.trim_start().starts_with("-----END ");
            if (self.inside_key || line.contains("-----END ")) && !is_end {
                return Cow::Owned(self.sanitizer.replace_whole(Kind::PemKey, line));
            }
        }
        self.inside_key = begins_key(line);
        self.sanitizer.line(line)
    }
}

/// The line ends inside of a key block.
fn begins_key(line: &str) -> bool {
    let begin = line.rfind("-----BEGIN ");
    begin.is_some_and(|begin| {
        let block = line[begin..].trim_end();
        block.contains("PRIVATE KEY") && block.ends_with("-----") && !block.contains("-----END ")
    })
}

/// A line of base64, a header such as `Proc-Type: 4,ENCRYPTED`, or an empty one.
fn continues_key(line: &str) -> bool {
    let line = line.trim();
    let is_header = line
        .split_once(": ")
        .is_some_and(|(name, _)| matches!(name, "Proc-Type" | "DEK-Info" | "Version" | "Comment"));
    is_header || line.bytes().all(is_base64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SanitizeConfig;

    #[test]
    fn a_key_over_several_lines_goes_line_for_line() {
        let sanitizer = Sanitizer::new(SanitizeConfig::default()).unwrap();
        let mut lines = Lines::new(&sanitizer);
        let begin = format!("-----BEGIN {}KEY-----", "PRIVATE ");
        let end = format!("-----END {}KEY-----", "PRIVATE ");
        for (line, expected) in [
            ("before", "before"),
            (begin.as_str(), begin.as_str()),
            ("MIIEowIBAAKCAQEAv", "[REDACTED:pem_key]"),
            ("a1b2==", "[REDACTED:pem_key]"),
            (end.as_str(), end.as_str()),
            ("after", "after"),
            (begin.as_str(), begin.as_str()),
            ("cut off there", "cut off there"),
            ("MIIEowIBAAKCAQEAv", "MIIEowIBAAKCAQEAv"),
        ] {
            assert_eq!(lines.next(line), expected);
        }
    }
}
