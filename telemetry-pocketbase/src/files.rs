//! Files that only the owner may read.

use std::fs::OpenOptions;

/// What is made with these options is readable by its owner only: records and
/// passwords are nobody else's business.
#[cfg(unix)]
pub(crate) fn private_files(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

/// Elsewhere the permissions of the directory decide.
#[cfg(not(unix))]
pub(crate) fn private_files(_options: &mut OpenOptions) {}
