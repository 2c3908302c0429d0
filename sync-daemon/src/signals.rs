//! Signals of the operating system.

use std::io;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// What somebody wants of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: end in order.
    Stop,
    /// SIGHUP: the terminal is gone, or somebody has rotated the log.
    Hangup,
}

/// Calls `act` for each signal, on a thread of its own named `signals`, until it
/// returns false.
///
/// From then on the signals do nothing: their default, ending the process, does
/// not come back.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn watch(mut act: impl FnMut(Signal) -> bool + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    // Installed here, so that no signal is missed once this has returned.
    let (mut term, mut int, mut hup) = {
        let _runtime = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        )
    };
    let watching = async move {
        loop {
            let signal = tokio::select! {
                Some(()) = term.recv() => Signal::Stop,
                Some(()) = int.recv() => Signal::Stop,
                Some(()) = hup.recv() => Signal::Hangup,
                else => return,
            };
            if !act(signal) {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(watching))?;
    Ok(())
}
