//! The last resort of a sink that is in trouble.

use std::io::Write as _;

/// Says something on stderr, on one line, for what cannot go into the log.
///
/// An error of stderr itself is ignored: nobody is left to be told. The text is
/// not sanitized: keep values out of it. Call it once for each trouble, not
/// once for each record.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "telemetry: {text}");
}
