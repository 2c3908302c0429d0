//! Globs over field names.

/// A glob over a whole name: `*` is any run of characters, `?` is one. Case
/// does not matter, and `-` and `_` are the same.
#[derive(Debug, Clone)]
pub(crate) struct Glob(Vec<u8>);

impl Glob {
    pub(crate) fn new(glob: &str) -> Self {
        Self(glob.bytes().map(fold).collect())
    }

    /// Linear in the name for each star: a star is retried from where it
    /// stood, never from the ones before it.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let (mut in_glob, mut in_name) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            match self.0.get(in_glob) {
                Some(b'*') => {
                    star = Some((in_glob, in_name));
                    in_glob += 1;
                }
                Some(&want) if want == b'?' || want == fold(name[in_name]) => {
                    in_glob += 1;
                    in_name += 1;
                }
                _ => {
                    let Some((at_star, covered)) = star else {
                        return false;
                    };
                    star = Some((at_star, covered + 1));
                    in_glob = at_star + 1;
                    in_name = covered + 1;
                }
            }
        }
        self.0[in_glob..].iter().all(|&byte| byte == b'*')
    }

    /// The longest piece without a wildcard or a separator, which every
    /// matching name contains; `None` when there is none.
    pub(crate) fn literal(&self) -> Option<&str> {
        self.0
            .split(|byte| matches!(byte, b'*' | b'?' | b'_'))
            .filter_map(|piece| std::str::from_utf8(piece).ok())
            .max_by_key(|piece| piece.len())
            .filter(|piece| piece.len() > 1)
    }
}

fn fold(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, name: &str) -> bool {
        Glob::new(glob).matches(name.as_bytes())
    }

    #[test]
    fn a_star_is_any_run_and_a_question_mark_is_one_character() {
        assert!(matches("*_ssn", "user_ssn"));
        assert!(matches("*_ssn", "a_ssn_ssn"));
        assert!(!matches("*_ssn", "ssn"));
        assert!(matches("x?z", "xyz"));
        assert!(!matches("x?z", "xz"));
        assert!(matches("*", ""));
        assert!(!matches("", "a"));
    }

    #[test]
    fn case_and_kind_of_separator_do_not_matter() {
        assert!(matches("employee_id", "Employee-ID"));
        assert!(matches("Employee-Id", "employee_id"));
    }

    #[test]
    fn the_literal_is_part_of_every_matching_name() {
        assert_eq!(Glob::new("*_ssn").literal(), Some("ssn"));
        assert_eq!(Glob::new("employee_id").literal(), Some("employee"));
        assert_eq!(Glob::new("*").literal(), None);
        assert_eq!(Glob::new("a*").literal(), None);
    }
}
