//! Fixtures for the end-to-end stories: real servers, real programs, the real daemon, on loopback and in temporary directories.
//!
//! Promise: whatever a fixture starts or mounts is gone when it is dropped, also when the test panics. Every wait polls a
//! condition and has a deadline; a failure says what was waited for and shows what the program had written.
//!
//! Non-promise: a program that `cargo xtask tools` could not fetch is not there. The fixture then returns `None` after a loud
//! note on stderr, and the story ends early; where `CI` is set it panics instead, so that nothing is skipped unseen.
//!
//! Fixtures panic instead of returning errors: to a story, a server that does not start is a failure like any other.
//!
//! # Example
//! ```no_run
//! use serde_json::json;
//! use telemetry_tests::PocketBase;
//!
//! # fn story() {
//! let Some(server) = PocketBase::start() else { return };
//! server.post("/api/collections", &json!({
//!     "name": "notes", "type": "base", "fields": [{ "name": "text", "type": "text" }],
//! })).expect_status(200);
//! server.kill();
//! server.serve();
//! assert_eq!(server.count("notes", ""), 0);
//! # }
//! ```
//!
//! # In reading order
//! - `wait`: [`wait_until`], [`wait_for`], [`rounds`]
//! - `tools`: [`tool`], [`promtool`], [`jq`], [`shell`], [`missing_tool`], [`skip`]
//! - `process`: [`Process`], [`run`], [`Finished`]
//! - `http`: [`get`], [`request`], [`Answer`]
//! - `daemon`: [`Invocation`], [`Daemon`]
//! - `pocketbase`: [`PocketBase`]
//! - `fault_proxy`: [`FaultProxy`], [`Fault`], [`Exchange`]
//! - `prometheus`: [`Prometheus`]
//! - `ports`: [`free_port`]
//! - `tree`: [`plant`], [`set_modified`], [`assert_same_tree`], [`differences`]
//! - `tmpfs`: [`Tmpfs`]

mod daemon; // the program under test
mod fault_proxy; // what networks do to requests
mod http; // one request, one answer
mod pocketbase; // a real server with a superuser
mod ports; // loopback ports that nobody else takes
mod process; // a started program, its output, its end
mod prometheus; // a real server that scrapes
mod tmpfs; // a disk that is full soon
mod tools; // what `cargo xtask tools` fetched
mod tree; // directory trees, planted and compared
mod wait; // conditions with deadlines

pub use daemon::{Daemon, Invocation};
pub use fault_proxy::{Exchange, Fault, FaultProxy};
pub use http::{Answer, get, request, request_bytes};
pub use pocketbase::PocketBase;
pub use ports::free_port;
pub use process::{Finished, Process, run};
pub use prometheus::Prometheus;
pub use rustix::process::Signal;
pub use tmpfs::Tmpfs;
pub use tools::{jq, missing_tool, promtool, shell, skip, tool};
pub use tree::{assert_same_tree, differences, plant, set_modified};
pub use wait::{rounds, wait_for, wait_until};
