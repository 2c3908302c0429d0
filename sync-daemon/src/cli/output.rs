//! What commands write: data to stdout, everything else to stderr.

use std::io::{self, Write as _};

use super::{Color, EXIT_FAILED, EXIT_OK, Global};

/// Prints data; returns the exit code. A reader that has read enough is no failure.
pub fn print(text: &str) -> u8 {
    let mut stdout = io::stdout().lock();
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match printed {
        Ok(()) => EXIT_OK,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => EXIT_OK,
        Err(error) => {
            say(&format!("cannot write to standard output: {error}"));
            EXIT_FAILED
        }
    }
}

/// Tells a person. Without stderr there is nobody to tell.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether stderr gets colours: `--color`, then `NO_COLOR`, then whether it is a
/// terminal.
pub fn colors_stderr(global: &Global) -> bool {
    colors(global, &io::stderr())
}

/// The same for stdout.
pub fn colors_stdout(global: &Global) -> bool {
    colors(global, &io::stdout())
}

fn colors(global: &Global, stream: &impl io::IsTerminal) -> bool {
    match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !refused && stream.is_terminal()
        }
    }
}
