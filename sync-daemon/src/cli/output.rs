//! What commands write: data to stdout, everything else to stderr.
//!
//! Data is as it is, since scripts act on it. What is said on stderr ends up in
//! journals and bug reports: secrets are redacted, by the rules of the
//! configuration once one is loaded. Home directories stay, unlike in the log:
//! who reads of a path there has to find it.

use std::io::{self, Write as _};

use super::{Color, EXIT_FAILED, EXIT_OK, Global};
use crate::config;

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

/// Tells a person, without secrets. Without stderr there is nobody to tell.
pub fn say(text: &str) {
    say_parts(&[text]);
}

/// As [`say`], for parts that stand one after the other and are looked at one by
/// one: no secret follows on the name of a place (`etc/password: cannot open it`).
pub fn say_parts(parts: &[&str]) {
    let parts: Vec<String> = parts.iter().map(|part| redacted(part)).collect();
    let _ = writeln!(io::stderr(), "{}", parts.concat());
}

/// From now on a panic is told as [`say`] tells, not by the standard library, which would
/// print its text as it is. A command that logs replaces this by the hook of its log.
pub fn say_panics() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("a value that is no text");
        let line = panic_line(thread.name().unwrap_or("unnamed"), &place, text);
        let _ = writeln!(io::stderr(), "{line}");
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            let _ = writeln!(io::stderr(), "{backtrace}");
        }
    }));
}

/// Without the text where the rules are in use: it was they that panicked, and to wait for
/// them would be for ever.
fn panic_line(thread: &str, place: &str, text: &str) -> String {
    let text = try_redacted(text);
    let text = text.as_deref().unwrap_or("(its text is not told)");
    format!("thread `{thread}` panicked at {place}: {text}")
}

/// As [`redacted`], unless the rules are in use.
#[cfg(feature = "sanitize")]
fn try_redacted(text: &str) -> Option<String> {
    Some(rules::try_current()?.text(text).into_owned())
}

/// As it is: nothing is redacted in this build.
#[cfg(not(feature = "sanitize"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "with the feature there may be none"
)]
fn try_redacted(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The text without secrets.
#[cfg(feature = "sanitize")]
pub fn redacted(text: &str) -> String {
    rules::current().text(text).into_owned()
}

/// Redacts from now on as the configuration says.
#[cfg(feature = "sanitize")]
pub fn redact_as(settings: &config::Sanitize) {
    rules::set(settings);
}

/// As it is: nothing is redacted in this build.
#[cfg(not(feature = "sanitize"))]
pub fn redacted(text: &str) -> String {
    text.to_owned()
}

/// Does nothing: nothing is redacted in this build.
#[cfg(not(feature = "sanitize"))]
pub fn redact_as(_: &config::Sanitize) {}

/// The rules for stderr, built when something is said: most commands say nothing.
#[cfg(feature = "sanitize")]
mod rules {
    use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, TryLockError};

    use telemetry_sanitize::Sanitizer;

    use crate::config;
    use crate::telemetry;

    static RULES: LazyLock<Mutex<Rules>> = LazyLock::new(Mutex::default);

    #[derive(Default)]
    struct Rules {
        settings: config::Sanitize,
        built: Option<Arc<Sanitizer>>,
    }

    pub(super) fn set(settings: &config::Sanitize) {
        *lock() = Rules {
            settings: settings.clone(),
            built: None,
        };
    }

    pub(super) fn current() -> Arc<Sanitizer> {
        lock().current()
    }

    /// `None` while another has them.
    pub(super) fn try_current() -> Option<Arc<Sanitizer>> {
        match RULES.try_lock() {
            Ok(mut rules) => Some(rules.current()),
            Err(TryLockError::Poisoned(rules)) => Some(rules.into_inner().current()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    impl Rules {
        fn current(&mut self) -> Arc<Sanitizer> {
            let build = || Arc::new(telemetry::sanitizer_of_secrets(&self.settings));
            Arc::clone(self.built.get_or_insert_with(build))
        }
    }

    fn lock() -> MutexGuard<'static, Rules> {
        RULES.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

#[cfg(all(test, feature = "sanitize"))]
mod tests {
    use super::*;

    #[test]
    fn panic_is_told_without_its_secret() {
        let line = panic_line(
            "main",
            "src/a.rs:7:1",
            "no server at postgres://bob:Hunter2x9@db",
        );
        assert_eq!(
            line,
            "thread `main` panicked at src/a.rs:7:1: no server at postgres://bob:[REDACTED:url_password]@db"
        );
    }
}
