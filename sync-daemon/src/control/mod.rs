//! The control socket: how commands talk to the running daemon.
//!
//! A Unix socket in the state directory, which only the daemon's user may enter.
//! A client sends one [`Request`] as a line of JSON and gets one [`Response`]
//! as a line of JSON; then the connection ends.

mod client;
mod protocol;
mod server;

pub use client::{ControlError, ask};
pub use protocol::{
    LevelSet, MAX_LINE_BYTES, ReloadReport, Reply, Request, Response, SinkReport, StatusReport,
    UploadReport,
};
pub use server::{Control, Handler};
