//! Panics as records.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeSet;
use std::panic::PanicHookInfo;
use std::sync::Mutex;
use std::time::Duration;

use crate::capture::is_suppressed;
use crate::complain::complain;
use crate::json::without_build_directory;
use crate::lock;

/// How long a panicking thread waits for its record to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Replaces the panic hook by one that emits the panic as an ERROR event
/// (target `telemetry_core::panic`, `error_type` = `panic`, with thread and
/// place, and the backtrace if `RUST_BACKTRACE` asks for one), and then calls
/// `flush`, which should be [`Sink::flush`](crate::Sink::flush) of the pipeline.
///
/// The hook of the standard library is not called: it would print the text of
/// the panic past the sanitizer. A panic on a thread that works for a sink
/// cannot go through the pipeline, and cannot wait for it either: only its place
/// is said on stderr, the first time that it happens there.
pub fn install_panic_hook(flush: impl Fn(Duration) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let place = without_build_directory(&place);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        if is_suppressed() {
            // No flush: the sink that panicked may hold its lock, or be what the
            // flush would wait for.
            complain_once(thread, place);
        } else {
            emit(info, thread, place);
            flush(FLUSH_LIMIT);
        }
    }));
}

/// A sink may panic on every record: say it once for each place.
fn complain_once(thread: &str, place: &str) {
    static PLACES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if lock(&PLACES).insert(place.to_owned()) {
        complain(&format!("thread `{thread}` panicked at {place}"));
    }
}

fn emit(info: &PanicHookInfo<'_>, thread: &str, place: &str) {
    let text = info.payload_as_str().unwrap_or("a value that is no text");
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        target: "telemetry_core::panic",
        error_type = "panic",
        thread,
        place,
        backtrace,
        "thread panicked: {text}"
    );
}
