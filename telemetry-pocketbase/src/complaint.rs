//! One line on stderr about a trouble; the simulator's troubles are no news.

/// Tells a person, unless the simulator runs on this thread.
pub(crate) fn complain(text: &str) {
    #[cfg(feature = "simulation")]
    if crate::simulation::is_running() {
        return;
    }
    telemetry_core::complain(text);
}
