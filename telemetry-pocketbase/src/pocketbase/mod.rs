//! PocketBase as a [`Destination`](crate::delivery::Destination).
//!
//! - `client`: one request, one reply;
//! - `session`: the token, and getting a new one;
//! - `row`: a log line as a record of the collection;
//! - `answers`: the table of what the server's answers mean;
//! - `upload`: the destination itself.

pub(crate) mod answers;
pub(crate) mod client;
pub(crate) mod row;
pub(crate) mod session;
pub(crate) mod upload;

pub(crate) use upload::PocketBase;
