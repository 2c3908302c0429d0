//! How many file handles a run may hold open at once.

use rustix::process::{Resource, getrlimit};

/// What Linux gives a process that asks for nothing, and a bound for those that have more.
const USUAL_LIMIT: u64 = 1024;

/// Shares of the process's limit, so small that four runs at once and the rest of the daemon fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handles {
    /// Parents that keep both of their handles for children that are still to be scanned. Children
    /// of others are found again from the root.
    pub(super) waiting_parents: usize,
    /// Handles of a deep path that stay open; the ones above are opened again when needed.
    pub(super) way: usize,
    /// Jobs that wait with both handles of their directory.
    pub(super) waiting_jobs: usize,
    /// Jobs in work, which need two more for the files.
    pub(super) workers: usize,
}

impl Handles {
    /// Asks for the limit of this process.
    pub(super) fn of_process() -> Self {
        Self::of_limit(getrlimit(Resource::Nofile).current)
    }

    fn of_limit(limit: Option<u64>) -> Self {
        let limit = limit.map_or(USUAL_LIMIT, |limit| limit.min(USUAL_LIMIT)) as usize;
        Self {
            waiting_parents: (limit / 32).max(1),
            way: (limit / 32).max(1),
            waiting_jobs: (limit / 16).max(1),
            workers: (limit / 16).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_may_hold_is_less_than_half_of_the_limit() {
        for limit in [64, 256, 1024] {
            let handles = Handles::of_limit(Some(limit as u64));
            let while_scanning = 2 * handles.waiting_parents;
            // The way to a directory in both trees, and jobs; few of those are in the same.
            let while_copying = 2 * handles.way + 2 * handles.waiting_jobs + 4 * handles.workers;
            assert!(while_scanning <= limit / 8, "{limit}");
            assert!(while_copying <= limit / 2, "{limit}");
        }
    }

    #[test]
    fn unlimited_is_not_unbounded() {
        assert_eq!(Handles::of_limit(None), Handles::of_limit(Some(1 << 20)));
    }
}
