//! Mirrors directories and tells about it: in a log file, in PocketBase, in
//! metrics.
//!
//! The daemon composes the telemetry crates and owns what they know nothing of:
//! the mirror engine, jobs, the command line. Everything is in this library, so
//! that tests can start a daemon in-process; the binary is one line.
//!
//! In reading order: [`cli`] (the commands), [`daemon`] (from start to end),
//! [`telemetry`] (the pipeline), [`jobs`] (what runs when), [`watchers`] (changes
//! that start a job), [`mirror`] (how a tree becomes a mirror), [`config`] (every
//! key), `page` (what the metrics endpoint shows to people).
//!
//! # Features
//! `file`, `pocketbase`, `metrics` and `sanitize` make a part available (all are
//! on by default); the configuration turns it on. `tls` is HTTPS towards
//! PocketBase. Without any of them the log goes to the console.

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod error_type;
pub mod jobs;
pub mod mirror;
#[cfg(feature = "metrics")]
pub mod page;
pub mod signals;
pub mod state_dir;
pub mod systemd;
pub mod telemetry;
pub mod version;
pub mod watchers;
