//! Getting records to a destination, whatever happens to it.
//!
//! Nothing here knows PocketBase: a second destination would implement
//! [`Destination`] and use the rest as it is. In reading order:
//!
//! - [`Fresh`] and [`Stored`]: a record before the spool and in it;
//! - [`Spool`]: where records wait, in a file ([`DiskSpool`]) or in memory
//!   ([`MemorySpool`]);
//! - [`Destination`]: uploads one [`Batch`] and [`Answer`]s what became of it;
//! - [`Breaker`]: when to stop asking;
//! - [`Machine`]: what to do next, as pure steps without clock or I/O;
//! - [`DeadLetters`]: the file for what a destination will never take;
//! - `ledger`: the accounts; `intake`: the way in; `uploader`: carries out what
//!   the machine decides; `pilot`, `driver`: the threads and the real clock.

mod backoff;
mod breaker;
mod dead_letters;
mod destination;
mod driver;
mod intake;
mod ledger;
mod machine;
mod pilot;
mod record;
mod spool;
mod uploader;

pub use breaker::{Breaker, BreakerPolicy, BreakerState};
pub use dead_letters::{DeadLetters, Letter};
pub use destination::{Answer, Batch, Destination, Doubt, Rest, Verdict};
pub use machine::{Action, Event, Item, Machine, Notice, Policy, Time};
pub use record::{Fresh, Stored};
pub use spool::{DiskSpool, Evicted, Fit, Holdings, Loaded, MemorySpool, Spool, SpoolError};

#[cfg(feature = "simulation")]
pub(crate) use destination::{Outgoing, Sequence};
pub(crate) use driver::start;
pub(crate) use intake::{Intake, Message, Turned};
pub(crate) use ledger::Ledger;
#[cfg(feature = "simulation")]
pub(crate) use machine::MAX_LINE;
#[cfg(feature = "simulation")]
pub(crate) use pilot::Pilot;
#[cfg(feature = "simulation")]
pub(crate) use uploader::Uploader;
pub(crate) use uploader::{Gauges, OpenSpool, Opening, Parts};
