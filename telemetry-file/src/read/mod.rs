//! Reading a log back: the active file and its archives, as one sequence.
//!
//! [`LogReader`] yields the lines that a [`Query`] asks for, oldest first, in
//! batches of [`Lines`]; [`Follower`] yields what is written from then on.
//! [`Merged`] puts several logs together by their times.
//!
//! # What is not read
//! The order is that of writing. It is the order of time as long as nobody sets
//! the clock back, and where somebody did, nothing is sorted and nothing
//! is missing: every record that a time range asks for is found. What is passed
//! over without being unpacked is only what cannot hold one:
//!
//! - *An archive*, when it ends before the range or begins behind it. It begins
//!   at most one period before the one that it is named after. It ends with its
//!   period, or with its last write where a rotation had failed, whichever is
//!   later; unless its first record lies beyond the period, which shows that the
//!   clock was set back, and then it is read. (What is given up: records from a
//!   clock that ran ahead of the file's last write within a file that had
//!   outlived its period.)
//! - *A block of an archive*, by the first timestamp of it and of the next one:
//!   unpacking those 64 bytes takes about as long as reading them. The archiver
//!   ends a block early when it is out of order, so the size of a block tells
//!   whether its first timestamp can be trusted (`xz`). Blocks below the usual
//!   size, which the last one of each archive is, too, are always read.
//!
//! Archives that somebody else has compressed have other blocks, and are read
//! from their beginning. So are pipes. A plain file is read as a whole, since its
//! order is unknown and looking at a timestamp is nearly all of the work.
//!
//! # How it is fast, and bounded
//! Pieces of about a mebibyte (blocks of an archive, ranges of a plain file) are
//! read, unpacked and filtered on a few threads, a few pieces ahead, and handed
//! out in order. Of a record that is not wanted only the beginning of its line
//! is looked at. Memory is a handful of pieces, whatever the size of the log.
//! To find the last lines, pieces are counted from the end first and read again.
//!
//! # Lines that are not ours
//! A line that is not a JSON object (plain text, a line cut by a crash) is
//! handed out as it is, unless the query asks for something that only a record
//! has: then it is left out and counted in [`Lines::left_out`].

mod follow;
mod lines;
mod merged;
mod query;
mod reader;
mod source;
mod threads;

#[cfg(test)]
mod tests;

pub use follow::Follower;
pub use lines::{Line, Lines};
pub use merged::Merged;
pub use query::Query;
pub use reader::LogReader;
