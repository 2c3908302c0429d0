//! Names of files that are still being written.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What the name of every temporary file begins with.
const PREFIX: &str = ".sync-daemon.tmp.";
const RANDOM_DIGITS: usize = 16;

/// A name for a temporary file beside its target.
///
/// It does not contain the target's name, so that it fits however long that is.
pub(super) fn random_name() -> OsString {
    OsString::from(format!("{PREFIX}{:016x}", fastrand::u64(..)))
}

/// Whether a run made this name; only such names are swept.
pub(super) fn is_ours(name: &OsStr) -> bool {
    let Some(random) = name.as_bytes().strip_prefix(PREFIX.as_bytes()) else {
        return false;
    };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    random.len() == RANDOM_DIGITS && random.iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_recognised() {
        for _ in 0..100 {
            assert!(is_ours(&random_name()));
        }
    }

    #[test]
    fn names_of_users_are_not() {
        for name in [
            "x.tmp",
            ".file.AbC123",
            ".sync-daemon.tmp.",
            ".sync-daemon.tmp.notes",
            ".sync-daemon.tmp.0123456789abcdeg",
            ".sync-daemon.tmp.0123456789abcdef0",
        ] {
            assert!(!is_ours(OsStr::new(name)), "{name}");
        }
    }
}
