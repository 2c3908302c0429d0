//! Making a server ready, and finding out what it lacks.
//!
//! - [`prepare`] creates or corrects collections, rules, indexes, the account
//!   and the settings, as a superuser;
//! - [`check`] looks at the server with the account's own rights, by sending
//!   probes;
//! - [`write_files`] writes a migration for those who prefer files.
//!
//! All of them wait for the network or the disk, do no more than they report,
//! and may be run again and again.

mod check;
mod corrections;
mod files;
mod prepare;
mod report;
mod schema;

pub use check::{PROBE_TARGET, check};
pub use files::{MIGRATION_FILE, write_files};
pub use prepare::{AdminLogin, prepare};
pub use report::{Outcome, Report, Step};
