//! Making a server ready, and finding out what it lacks.
//!
//! - [`prepare`] creates or corrects collections, rules, indexes, the account
//!   and the settings, as a superuser;
//! - [`check`] looks at the server with the account's own rights, by sending
//!   probes;
//! - [`write_files`] writes a migration for those who prefer files, and the hook
//!   file that makes a server take uploads in bulk.
//!
//! All of them wait for the network or the disk, do no more than they report,
//! and may be run again and again.

mod check;
mod corrections;
mod files;
mod hook;
mod prepare;
mod report;
mod schema;

pub use check::{PROBE_TARGET, check};
pub use files::{FilesFor, MIGRATION_FILE, write_files, write_legacy_files};
pub use hook::HOOK_FILE;
pub use prepare::{AdminLogin, prepare};
pub use report::{Outcome, Report, Step};
