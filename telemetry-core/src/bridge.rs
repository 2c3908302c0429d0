//! Records of the `log` crate.

/// Sends what other crates log through `log` into the `tracing` subscriber,
/// with their own target, file and line.
///
/// The crates that dump request heads are shut out by
/// [`Capture`](crate::Capture). Use it with
/// [`tracing::subscriber::set_global_default`]; the `init` of
/// tracing-subscriber would install a bridge of its own.
///
/// # Errors
/// If another logger was installed before.
pub fn install_log_bridge() -> Result<(), tracing_log::log_tracer::SetLoggerError> {
    tracing_log::LogTracer::init()
}
