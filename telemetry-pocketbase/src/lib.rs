//! Uploads log records to a PocketBase collection from one background thread.

mod config;
pub mod delivery;
mod error;
mod files;
mod id;
mod instruments;
mod pocketbase;
pub mod setup;
mod sink;

pub use config::{
    DEFAULT_BATCH_MAX_BYTES, DEFAULT_BATCH_SIZE, DEFAULT_DEAD_LETTER_MAX_BYTES,
    DEFAULT_QUEUE_CAPACITY, DEFAULT_SPOOL_MAX_BYTES, MIN_SPOOL_MAX_BYTES, PasswordSource,
    PocketBaseConfig, Secret,
};
pub use delivery::BreakerPolicy;
pub use error::PocketBaseError;
pub use id::{ID_LENGTH, RecordId};
pub use sink::{DEAD_LETTERS_FILE, PocketBaseSink, SPOOL_FILE};
