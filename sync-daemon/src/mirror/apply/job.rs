//! Pieces of a plan that are handed to workers.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::mirror::options::Durability;
use crate::mirror::plan::{Action, Step};

/// Some steps in one directory.
pub(super) struct Job {
    pub(super) directory: u32,
    pub(super) steps: Range<usize>,
    pub(super) task: Task,
    /// Only for copies.
    pub(super) source: Option<Arc<OwnedFd>>,
    pub(super) destination: Arc<OwnedFd>,
}

/// Which of the steps are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Sweep,
    /// Files and links for which there is no directory in the way.
    Copy,
    /// The others, and those for which there was no room, after the deletions.
    CopyLate,
    Remove,
}

impl Task {
    pub(super) fn includes(self, step: &Step) -> bool {
        match step.action {
            Action::Sweep => self == Self::Sweep,
            Action::Delete => self == Self::Remove,
            _ if step.waits_for_deletions => self == Self::CopyLate,
            _ => matches!(self, Self::Copy | Self::CopyLate),
        }
    }
}

/// How much one job takes: so much that workers seldom meet in one directory, where they would wait
/// for each other, and so little that a few large files are still spread over them.
#[derive(Debug, Clone, Copy)]
struct JobSize {
    steps: usize,
    bytes: u64,
}

impl JobSize {
    fn of(durability: Durability) -> Self {
        match durability {
            Durability::Batch => BATCH_SIZE,
            Durability::None | Durability::File => JOB_SIZE,
        }
    }
}

const JOB_SIZE: JobSize = JobSize {
    steps: 128,
    bytes: 8 * 1024 * 1024,
};
/// With [`Durability::Batch`] each job is a batch, and flushing is dear.
const BATCH_SIZE: JobSize = JobSize {
    steps: 1024,
    bytes: 256 * 1024 * 1024,
};

/// Cuts steps into ranges of the size of a job. Each step is in exactly one, whether it belongs to
/// the task or not.
pub(super) fn split(steps: &[Step], task: Task, durability: Durability) -> Vec<Range<usize>> {
    let size = JobSize::of(durability);
    let mut ranges = Vec::new();
    let (mut start, mut count, mut bytes) = (0, 0, 0);
    for (index, step) in steps.iter().enumerate() {
        if !task.includes(step) {
            continue;
        }
        count += 1;
        bytes += step.bytes;
        if count >= size.steps || bytes >= size.bytes {
            ranges.push(start..index + 1);
            (start, count, bytes) = (index + 1, 0, 0);
        }
    }
    if count > 0 {
        ranges.push(start..steps.len());
    }
    ranges
}
