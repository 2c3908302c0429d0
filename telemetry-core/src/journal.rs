//! The journal of systemd, behind stderr.

use tracing::Level;

/// True when stderr leads straight into the journal of systemd, so that
/// [`Console::with_priorities`](crate::Console::with_priorities) is worth it:
/// `JOURNAL_STREAM` names the stream that stderr is. False on systems without
/// systemd.
pub fn stderr_is_journal() -> bool {
    let Some(journal) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    stderr_stream().is_some_and(|stream| journal == *stream)
}

/// The priority that the journal reads from the beginning of a line (`man 3
/// sd-daemon`).
pub(crate) fn prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// Device and inode of stderr, as systemd writes them.
#[cfg(unix)]
fn stderr_stream() -> Option<String> {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let stderr = std::io::stderr().as_fd().try_clone_to_owned().ok()?;
    let metadata = File::from(stderr).metadata().ok()?;
    Some(format!("{}:{}", metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn stderr_stream() -> Option<String> {
    None
}
