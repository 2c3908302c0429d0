//! What systemd wants to know. Does nothing where it did not start the daemon,
//! and on other systems.

use std::time::Duration;

/// Whether systemd listens.
pub fn is_listening() -> bool {
    cfg!(target_os = "linux") && std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How long systemd waits for [`feed_watchdog`] before it ends the daemon, if it
/// does (`WatchdogSec=`).
pub fn watchdog_limit() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
    #[cfg(not(target_os = "linux"))]
    None
}

/// The daemon works.
pub fn notify_ready() {
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Ready]);
}

/// The daemon reads its configuration anew; [`notify_ready`] ends that.
pub fn notify_reloading() {
    #[cfg(target_os = "linux")]
    match sd_notify::NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[sd_notify::NotifyState::Reloading, now]),
        // systemd would end a daemon that reloads without a time.
        Err(error) => tracing::warn!(%error, "systemd was not told about the reload"),
    }
}

/// The daemon is on its way out.
pub fn notify_stopping() {
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub fn notify_status(line: &str) {
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Status(line)]);
    #[cfg(not(target_os = "linux"))]
    let _ = line;
}

/// Everybody makes progress.
pub fn feed_watchdog() {
    #[cfg(target_os = "linux")]
    notify(&[sd_notify::NotifyState::Watchdog]);
}

#[cfg(target_os = "linux")]
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd was not notified");
    }
}
