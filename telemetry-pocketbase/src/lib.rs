//! Uploads log records to a PocketBase collection from a background thread.
//!
//! [`PocketBaseSink`] is a [`Sink`](telemetry_core::Sink): writing a record
//! copies its JSON line into a bounded channel and returns. From there it goes
//! into a spool on disk, and from the spool in batches to the server. A healthy
//! and a broken server take the same path.
//!
//! # Promise
//! - **Nothing blocks the writer.** A full channel drops the record and counts
//!   it; the disk and the network have threads of their own.
//! - **Exactly once.** What the spool has committed is stored once, whatever
//!   happens to the server, the network or this process: a record's
//!   [id](RecordId) is a function of its session and number, so a resend is
//!   recognised. The account needs the right to create, and no other.
//! - **Within bounds.** The channel is bounded in records and bytes, the spool
//!   and the dead letters in the size of their files. A full spool gives up
//!   DEBUG and TRACE first, WARN and ERROR last.
//! - **Every loss is counted,** by reason and level, and
//!   `accepted = delivered + dropped + rejected + pending` in every snapshot.
//! - **A server that does not work is left alone:** exponential backoff with
//!   full jitter, `Retry-After`, and a circuit breaker that survives a restart.
//!
//! # No promise
//! - What was written less than 200 ms before the process was killed may not be
//!   in the spool yet. A [`flush`](telemetry_core::Sink::flush) waits for it.
//! - Records are sent as they are: redact them in a sink before this one.
//! - Order is kept within a session, except around evictions and dead letters.
//! - Records with the target of this crate, of `ureq`, `rustls` or `redb` are
//!   not taken: the uploader tells through `tracing` when it stops and recovers,
//!   and that must reach the file and the console, but never itself. They count
//!   as never offered. The thread that waits for the network has all its events
//!   [suppressed](telemetry_core::suppress_events_of_this_thread).
//! - The metrics (`pocketbase_*`, `log_upload_errors_total`, `log_buffer_size`,
//!   `log_spool_bytes`, `log_dead_letters`) go to the recorder that is installed
//!   when the sink starts.
//!
//! # Example
//! ```no_run
//! use std::time::Duration;
//!
//! use telemetry_core::{Capture, Identity, Queue, QueueConfig, Sink};
//! use telemetry_pocketbase::{PasswordSource, PocketBaseConfig, PocketBaseSink};
//! use tracing_subscriber::layer::SubscriberExt;
//! use tracing_subscriber::util::SubscriberInitExt;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = PocketBaseConfig::new(
//!     "http://127.0.0.1:8090",
//!     "daemon@example.com",
//!     PasswordSource::File("/etc/my-daemon/password".into()),
//!     "/var/lib/my-daemon",
//! );
//! let sink = std::sync::Arc::new(PocketBaseSink::start(config)?);
//! let pipeline = std::sync::Arc::new(Queue::start(QueueConfig::default(), sink));
//! let identity = Identity::new(uuid::Uuid::new_v4());
//! tracing_subscriber::registry()
//!     .with(Capture::new(identity, pipeline.clone()))
//!     .init();
//!
//! tracing::info!(answer = 42, "hello");
//! pipeline.close(Duration::from_secs(10))?;
//! # Ok(())
//! # }
//! ```
//!
//! # The server
//! PocketBase 0.23 or later; [`setup`] makes one ready and checks it. There are
//! three ways to upload, and the best that the server has is found out at first
//! use, and again now and then:
//!
//! 1. the route that our hook file ([`setup::HOOK_FILE`]) adds: one statement for
//!    a whole upload, and a verdict for each record;
//! 2. `/api/batch`, within the limits that the server's answers tell;
//! 3. one create for each record, which PocketBase 0.22 knows too.
//!
//! A record that the server refuses alone and without a reason is put to the
//! test: a later one is sent before it. If that arrives and the first is refused
//! again, three times, it goes to the dead letters instead of holding up all
//! others.
//!
//! In a collection that somebody else has made, values that are too long are cut
//! to the limits that the server names, and end in `…[cut]`.
//!
//! Fields of a record:
//!
//! | field | value |
//! |---|---|
//! | `id` | see [`RecordId`] |
//! | `timestamp` | date; the server keeps milliseconds |
//! | `timestamp_exact` | the same as text, as exact as it was captured |
//! | `message` | one space when empty, since the field is required |
//! | `fields`, `spans` | JSON; integers beyond ±2^53 as text, since the server keeps numbers as floats |
//! | `level`, `target`, `module_path`, `file`, `line`, `daemon_id`, `session_id`, `seq` | as in the line |
//!
//! # Modules
//! - [`PocketBaseConfig`]: what it is told;
//! - [`PocketBaseSink`]: what callers hold;
//! - [`delivery`]: spool, batches, retries, breaker, dead letters: everything
//!   that would be the same for another destination;
//! - `pocketbase`: the destination: HTTP, tokens, and the table of what the
//!   server's answers mean;
//! - [`setup`]: making a server ready, and checking it;
//! - [`leftovers`]: what is in the spool and the dead letters, for people.
//!
//! # Features
//! - `tls` (on by default): `https://` with rustls;
//! - `simulation`: the simulator of the uploader, for the tests of this crate.

mod clock;
mod complaint;
mod config;
pub mod delivery;
mod error;
mod files;
mod id;
mod instruments;
pub mod leftovers;
mod planted;
mod pocketbase;
pub mod setup;
#[cfg(feature = "simulation")]
pub mod simulation;
mod sink;

pub use config::{
    DEFAULT_BATCH_MAX_BYTES, DEFAULT_BATCH_SIZE, DEFAULT_DEAD_LETTER_MAX_BYTES,
    DEFAULT_QUEUE_CAPACITY, DEFAULT_SPOOL_MAX_BYTES, MIN_SPOOL_MAX_BYTES, PasswordSource,
    PocketBaseConfig, Secret,
};
pub use delivery::BreakerPolicy;
pub use error::PocketBaseError;
pub use id::{ID_LENGTH, RecordId};
pub(crate) use planted::planted;
pub use sink::{DEAD_LETTERS_FILE, PocketBaseSink, SPOOL_FILE};
