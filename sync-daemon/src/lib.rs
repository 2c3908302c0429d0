//! Mirrors directories and tells about it.

pub mod cli;
pub mod config;
pub mod error_type;
pub mod mirror;
