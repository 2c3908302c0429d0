//! What a panic tells passes the sanitizer: its message, its place and its backtrace.

use std::panic::catch_unwind;

use telemetry_core::{Capture, Identity, MemorySink, Numbered};
use telemetry_sanitize::{SanitizeConfig, Sanitized, Sanitizer};
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

#[test]
fn the_record_of_a_panic_has_neither_a_secret_nor_a_home_directory() {
    let memory = MemorySink::new();
    let sanitizer = Sanitizer::new(SanitizeConfig::default()).unwrap();
    let sink = Numbered::new(Sanitized::new(sanitizer, memory.clone()));
    let subscriber =
        tracing_subscriber::registry().with(Capture::new(Identity::new(Uuid::nil()), sink));
    telemetry_core::install_panic_hook(|_| {});
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("job", password = "hunter22");
        let panicked = span.in_scope(|| {
            catch_unwind(|| panic!("no login with password=hunter22 from /home/alice/x"))
        });
        assert!(panicked.is_err());
    });
    // From here on a panic is that of an assertion.
    drop(std::panic::take_hook());
    let lines = memory.lines();
    let [line] = lines.as_slice() else {
        panic!("one record is expected: {lines:?}");
    };
    assert!(
        line.contains("thread panicked: no login with password=[REDACTED:password] from ~/x"),
        "{line}"
    );
    for secret in ["hunter22", "alice"] {
        assert!(!line.contains(secret), "{secret}: {line}");
    }
}
