//! PocketBase as a [`Destination`](crate::delivery::Destination).
//!
//! - `client`: one request, one reply; `names`: where the server is;
//! - `session`: the token, and getting a new one;
//! - `row`, `rows`: a log line, and a batch of them, as records of the collection;
//! - `limits`: values that fit into foreign collections;
//! - `ways`, `bulk`: which ways to upload a server offers, and our own one;
//! - `answers`: the table of what the server's answers mean;
//! - `upload`: the destination itself.

pub(crate) mod answers;
pub(crate) mod bulk;
pub(crate) mod client;
mod limits;
mod names;
mod row;
pub(crate) mod rows;
pub(crate) mod session;
pub(crate) mod upload;
mod ways;

pub(crate) use upload::PocketBase;
