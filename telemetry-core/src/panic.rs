//! Panics as records.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::time::Duration;

/// How long a panicking thread waits for its record to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Replaces the panic hook by one that emits the panic as an ERROR event
/// (target `telemetry_core::panic`, `error_type` = `panic`, with thread and
/// place, and the backtrace if `RUST_BACKTRACE` asks for one), and then calls
/// `flush`, which should be [`Sink::flush`](crate::Sink::flush) of the pipeline.
///
/// The hook of the standard library is not called: it would print the text of
/// the panic past the sanitizer. A panic on a thread that works for a sink
/// cannot go through the pipeline: only its place is said on stderr.
pub fn install_panic_hook(flush: impl Fn(Duration) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |info| {
        emit(info);
        flush(FLUSH_LIMIT);
    }));
}

fn emit(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if crate::capture::is_suppressed() {
        crate::complain(&format!("thread `{thread}` panicked at {place}"));
        return;
    }
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
