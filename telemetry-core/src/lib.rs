//! Captures `tracing` events as [`Record`]s and moves them to [`Sink`]s.
//!
//! - The thread that logs formats nothing under a lock, allocates nothing in the
//!   steady state and never waits for a disk or a network (with a [`Queue`] that
//!   [drops](WhenFull::DropNewest) when it is full).
//! - What is lost is counted by reason and level ([`SinkStats`]), and the log
//!   itself says where records are missing.
//! - A sink that is slow, fails or panics does not hurt another one ([`Tee`]).
//! - Floods can be thinned ([`RepeatLimit`]), and spans timed
//!   ([`Capture::with_span_events`]).
//!
//! It does not write files, talk to servers or hide secrets: the crates around
//! it do, each behind the [`Sink`] trait. It opens no file and no socket, and
//! its only thread is the one inside [`Queue`].
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use telemetry_core::{Capture, Format, Identity, Console, Queue, QueueConfig, Sink, Tee, MemorySink};
//! use tracing_subscriber::layer::SubscriberExt;
//! use std::sync::Arc;
//!
//! let memory = MemorySink::new();
//! let console = Console::new(Format::Pretty { color: false });
//! let sinks: [Box<dyn Sink>; 2] = [Box::new(console), Box::new(memory.clone())];
//! let pipeline = Arc::new(Queue::start(QueueConfig::default(), Tee::of(sinks)));
//!
//! let daemon_id = uuid::Uuid::new_v4();
//! let capture = Capture::new(Identity::new(daemon_id), Arc::clone(&pipeline));
//! let subscriber = tracing_subscriber::registry().with(capture);
//! tracing::subscriber::with_default(subscriber, || {
//!     tracing::info!(files = 42, "mirrored");
//! });
//!
//! pipeline.close(Duration::from_secs(5)).expect("everything is written");
//! assert!(memory.lines()[0].contains(r#""message":"mirrored","fields":{"files":42}"#));
//! ```
//!
//! For a program that needs no other layer, [`Capture::init`] is all:
//!
//! ```
//! # use telemetry_core::{Capture, Console, Format, Identity, Numbered};
//! let identity = Identity::new(uuid::Uuid::new_v4());
//! let console = Console::new(Format::Json);
//! Capture::new(identity, Numbered::new(console)).init().expect("no other subscriber");
//! ```
//!
//! `cargo run -p telemetry-core --example pipeline` shows a whole program, with
//! a sink of its own, the panic hook and the accounts.
//!
//! # The shape of a pipeline
//!
//! [`Capture`] is a layer of tracing-subscriber; what it writes to is a sink,
//! and so is every step behind it. With a file or a server straight behind
//! `Capture` there is no thread at all: the caller writes.

mod capture;
mod entered;
mod identity;
mod record;
mod span;
mod visit;

mod closing;
mod notice;
mod repeats;
mod stopwatch;

mod books;
mod sink;

mod filtered;
mod gap;
mod numbered;
mod queue;
mod tee;

mod console;
mod journal;
mod json;
mod memory;
mod pretty;

mod bridge;
mod complain;
mod panic;

pub use books::Books;
pub use bridge::install_log_bridge;
pub use capture::{Capture, suppress_events_of_this_thread, suppressed_events};
pub use complain::{complain, redact_told, tell};
pub use console::{Console, Format};
pub use filtered::Filtered;
pub use identity::Identity;
pub use journal::stderr_is_journal;
pub use memory::MemorySink;
pub use numbered::Numbered;
pub use panic::install_panic_hook;
pub use pretty::{Pretty, PrettyLine};
pub use queue::{
    DEFAULT_BLOCK_TIMEOUT, DEFAULT_CAPACITY, DEFAULT_MAX_BYTES, Queue, QueueConfig, WhenFull,
};
pub use record::{Field, Record, Rewrite, Value};
pub use repeats::RepeatLimit;
pub use sink::{
    Health, LEVELS, LossReason, Losses, Records, Sink, SinkError, SinkStats, Take, level_index,
};
pub use span::Span;
pub use tee::Tee;
pub use visit::{MAX_TEXT_BYTES, MAX_VALUE_BYTES};

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Locks; a panic of another holder does not spread. What it left behind is at
/// worst a count that is off by one, and a log that ends is worse.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a limit that starts now is over. A limit that the clock cannot hold,
/// such as [`Duration::MAX`], ends after a century.
fn deadline_after(limit: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Instant::now() + limit.min(CENTURY)
}
