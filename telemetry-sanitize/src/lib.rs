//! Removes secrets and home directories from log records, and leaves everything
//! else as it is.
//!
//! Finds secrets by the names that stand with them (`password=…`, JSON and debug
//! dumps in strings, headers, command-line options, the columns of a table,
//! `"…", expected a password`), and by their shape (tokens of known vendors, JSON web
//! tokens, key blocks, passwords in URLs). Replaces each with `[REDACTED:rule]`, so
//! that one can see why, and home directories with `~`. One pass over a text decides
//! whether there is anything to look at; a text of any length takes linear time;
//! sanitizing twice is the same as once.
//!
//! What has neither a telling name nor a telling shape is not found. A plain word in
//! a sentence is taken for a password only where it ends the text and tells nothing
//! about one: `the password is sunshine`, not `the password is required`.
//! Hexadecimal digits are a key in `…_KEY=`, in the `key=` of a URL, and 64 of them
//! under `key` and `seed`; elsewhere they may be a hash, and stay. Names of persons are
//! not looked for, their addresses only on request.
//! Sinks before this step get the secrets.
//!
//! # Example
//! ```
//! use telemetry_sanitize::Sanitizer;
//!
//! let sanitizer = Sanitizer::builder().deny_field("employee_id").build()?;
//!
//! let text = "login user=bob password=hunter2 employee_id=7 home=/home/bob/x";
//! assert_eq!(
//!     sanitizer.text(text),
//!     "login user=bob password=[REDACTED:password] \
//!      employee_id=[REDACTED:denied_field] home=~/x",
//! );
//! # Ok::<(), telemetry_sanitize::SanitizeError>(())
//! ```
//!
//! In a pipeline, [`Sanitized`] stands before the sinks that must not see
//! secrets:
//! ```
//! use telemetry_core::MemorySink;
//! use telemetry_sanitize::{Sanitized, Sanitizer};
//!
//! let sanitizer = Sanitizer::builder().build()?;
//! let pipeline = Sanitized::new(sanitizer, MemorySink::new());
//! # drop(pipeline);
//! # Ok::<(), telemetry_sanitize::SanitizeError>(())
//! ```
//!
#![doc = include_str!("../RULES.md")]

mod builder; // settings one by one
mod config; // what a user may set
mod sanitizer; // the rules at work on one text
mod sink; // the step in a pipeline

mod json; // lines of JSON
mod lines; // lines one after the other

mod names; // which names stand before a secret
mod rules; // the rules with their examples
mod vendors; // tokens by prefix

mod scan; // the search

mod callsites; // verdicts kept per callsite
#[cfg(test)]
mod corpus; // secrets in many surroundings, and harmless lines
#[cfg(test)]
mod examples; // templates of secrets for the tests

#[cfg(test)]
mod linear; // that the search is linear

mod counts; // how often each rule replaced something
mod glob; // the user's globs over names
mod mask; // values that are no secrets
mod pii; // personal data, on request
mod seen; // texts that were looked at before
mod sieve; // the search for literals
mod spans; // spans sanitized once
mod tag; // how a secret can be followed
mod text; // a text under search

pub use builder::SanitizerBuilder;
pub use config::{Pattern, SanitizeConfig, SanitizeError};
pub use lines::Lines;
pub use names::{SecretName, Verdict};
pub use rules::Rule;
pub use sanitizer::Sanitizer;
pub use sink::Sanitized;
pub use tag::HashKey;
