//! What a destination is asked, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use super::record::Stored;

/// Uploads batches of records. Called on a thread that may wait for it.
pub trait Destination: Send + 'static {
    /// Uploads one batch, once: waiting, resending and splitting are the
    /// caller's. Bounded in time by the destination's own timeouts.
    fn upload(&mut self, batch: &Batch) -> Answer;

    /// Something that somebody should know about the destination, said once;
    /// asked for after each upload.
    fn take_note(&mut self) -> Option<String> {
        None
    }

    /// Something that makes an [`upload`](Self::upload) in progress on another
    /// thread fail soon; called once, at the end.
    fn interrupter(&self) -> Box<dyn FnOnce() + Send>;
}

/// Records to upload together, in the order of their keys.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The records; never empty.
    pub records: Vec<Arc<Stored>>,
    /// This very batch was sent before and its answer was lost, and none of its
    /// records was in any other request without an answer. So if an
    /// all-or-nothing request has stored its first record, it has stored all.
    pub resent: bool,
}

/// A batch that is given out, and when it is to be uploaded.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) batch: Batch,
    /// It stands in line: see [`Sequence`].
    pub(crate) is_in_line: bool,
}

/// Whoever uploads asks this about each batch that is given out. It keeps the
/// rule of the [`Machine`](super::Machine)'s line: a batch that stands in line
/// is uploaded if the one before was settled to the last record, and forgotten
/// otherwise.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    is_broken: bool,
}

impl Sequence {
    /// Whether to upload this one.
    pub(crate) fn admits(&self, outgoing: &Outgoing) -> bool {
        !(outgoing.is_in_line && self.is_broken)
    }

    /// What became of the batch of `count` records that was admitted last.
    pub(crate) fn answered(&mut self, count: usize, answer: &Answer) {
        self.is_broken = !answer.settles_all(count);
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Records whose fate is decided, by their index in the batch, ascending.
    pub settled: Vec<(usize, Verdict)>,
    /// What to do with the others; without meaning when there are none.
    pub rest: Rest,
}

impl Answer {
    /// Every record of a batch of `count` is stored.
    pub fn delivered(count: usize) -> Self {
        Self {
            settled: (0..count).map(|index| (index, Verdict::Stored)).collect(),
            rest: Rest::Resend,
        }
    }

    /// Whether it decides the fate of every record of a batch of `count`.
    pub fn settles_all(&self, count: usize) -> bool {
        let mut open = vec![true; count];
        for (index, _) in &self.settled {
            if let Some(open) = open.get_mut(*index) {
                *open = false;
            }
        }
        !open.contains(&true)
    }

    /// Nothing is decided yet.
    pub fn undecided(rest: Rest) -> Self {
        Self {
            settled: Vec::new(),
            rest,
        }
    }
}

/// The fate of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The destination has it now.
    Stored,
    /// The destination had it before: an earlier answer was lost.
    AlreadyStored,
    /// The destination will never take it: the reason.
    Refused(String),
    /// It cannot even be sent: the reason. Says nothing about the destination.
    Unsendable(String),
}

/// What to do with the records of a batch that are not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Send them at once: something has changed.
    Resend,
    /// Send them in smaller batches at once.
    Split {
        /// Most records that the destination takes, where it has said so.
        at_most: Option<usize>,
    },
    /// Send them later.
    Retry {
        /// What happened.
        reason: String,
        /// When the destination said: not before.
        after: Option<Duration>,
        /// In smaller batches; a record that is alone is under suspicion. The
        /// destination gave no reason, and one record may be to blame.
        halve: bool,
        /// Whether some may be stored although no answer says so.
        doubt: Doubt,
    },
    /// Something is missing on this side; nothing was sent. Look again then.
    Wait {
        /// What is missing.
        reason: String,
        /// When to look again.
        again_in: Duration,
    },
    /// Asking again soon cannot help: open the breaker.
    Trip {
        /// What somebody must mend.
        reason: String,
    },
}

/// What may have been stored by a request that got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing.
    Nothing,
    /// All of the unsettled records or none of them.
    AllOrNothing,
    /// Any of them.
    Any,
}
