//! Which names take part in a run.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Patterns in gitignore syntax: a matching path is excluded, `!pattern` takes it in again, and
/// the last pattern that matches decides.
///
/// A pattern with a slash at its start or in its middle is bound to the root of the tree, others
/// match at any depth; one that ends in a slash matches directories only. Nothing below an
/// excluded directory can be taken in again.
#[derive(Debug, Clone)]
pub struct Filter {
    matcher: Gitignore,
}

/// A pattern that is not gitignore syntax.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is not a valid pattern: {reason}")]
pub struct FilterError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            matcher: Gitignore::empty(),
        }
    }
}

impl Filter {
    /// Reads the patterns in their order.
    ///
    /// # Errors
    /// The first pattern that is not valid.
    pub fn parse<I>(patterns: I) -> Result<Self, FilterError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        // The root is empty because paths are matched relative to the tree.
        let mut builder = GitignoreBuilder::new("");
        builder.allow_unclosed_class(false);
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let invalid = |reason: ignore::Error| FilterError {
                pattern: pattern.to_owned(),
                reason: reason.to_string(),
            };
            builder.add_line(None, pattern).map_err(invalid)?;
        }
        let matcher = builder.build().map_err(|reason| FilterError {
            pattern: "(all patterns together)".to_owned(),
            reason: reason.to_string(),
        })?;
        Ok(Self { matcher })
    }

    /// Whether there is any pattern at all; without one, no path needs to be put together.
    pub fn is_empty(&self) -> bool {
        self.matcher.is_empty()
    }

    /// Whether `path`, relative to the root of the tree, is excluded.
    ///
    /// Its parents are taken as included: a walk does not enter what is excluded.
    pub fn excludes(&self, path: &Path, is_directory: bool) -> bool {
        self.matcher.matched(path, is_directory).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_matching_pattern_decides() {
        let filter = Filter::parse(["*.log", "!keep.log", "/top", "cache/"]).expect("valid");
        assert!(filter.excludes(Path::new("a/b.log"), false));
        assert!(!filter.excludes(Path::new("a/keep.log"), false));
        assert!(filter.excludes(Path::new("top"), false));
        assert!(!filter.excludes(Path::new("a/top"), false));
        assert!(filter.excludes(Path::new("a/cache"), true));
        assert!(!filter.excludes(Path::new("a/cache"), false));
    }

    #[test]
    fn names_that_are_not_utf8_match() {
        use std::os::unix::ffi::OsStrExt;
        let filter = Filter::parse(["*.tmp"]).expect("valid");
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe.tmp");
        assert!(filter.excludes(Path::new(name), false));
    }

    #[test]
    fn bad_pattern_is_named() {
        let error = Filter::parse(["ok", "a[b"]).expect_err("unclosed class");
        assert_eq!(error.pattern, "a[b");
    }
}
