//! Watching a run from outside, and stopping it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::plan::Plan;

/// Watches a run. Every method may be called from several threads at once, often; it must be
/// cheap and must not block. The defaults do nothing.
pub trait Observer: Sync {
    /// So many more entries of the source have been looked at.
    fn scanned(&self, entries: u64) {
        let _ = entries;
    }

    /// The plan is ready, and nothing has been touched yet.
    fn planned(&self, plan: &Plan) {
        let _ = plan;
    }

    /// One step of the plan has been taken, whether it succeeded or not.
    fn step_done(&self) {}

    /// So many more bytes of file content have been written.
    fn bytes_written(&self, bytes: u64) {
        let _ = bytes;
    }
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// Stops a run from another thread. Clones stop the same run.
///
/// The run looks at it between files and between the chunks of a large file, removes what it had
/// begun, and reports [`Status::Cancelled`](super::Status::Cancelled).
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    requested: Arc<AtomicBool>,
}

impl Cancel {
    /// A token on which nobody has called [`cancel`](Self::cancel) yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop. It cannot be taken back.
    pub fn cancel(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether the run was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }
}
