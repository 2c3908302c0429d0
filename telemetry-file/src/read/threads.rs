//! A few threads for work that is handed out in order.

use std::sync::{Mutex, PoisonError};
use std::thread;

const THREAD_NAME: &str = "log-reader";

/// More would wait for memory and disk.
const MAX_THREADS: usize = 4;

/// How many threads there are, the caller's included.
pub(crate) fn count() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS))
}

/// Does each job, on the caller's thread and a few others; the results are in
/// the order of the jobs.
pub(crate) fn map<J: Send, R: Send>(jobs: Vec<J>, work: impl Fn(J) -> R + Sync) -> Vec<R> {
    let threads = count().min(jobs.len());
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let results = Mutex::new(Vec::new());
    let work_all = || {
        // A job is taken under the lock and done without it.
        while let Some((place, job)) = next(&queue) {
            let result = work(job);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            let thread = thread::Builder::new().name(THREAD_NAME.to_owned());
            // Without it the others do its work.
            let _ = thread.spawn_scoped(scope, work_all);
        }
        work_all();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_jobs() {
        let squares = map((0u64..100).collect(), |number| number * number);
        let expected: Vec<u64> = (0..100).map(|number| number * number).collect();
        assert_eq!(squares, expected);
        assert!(map(Vec::<u64>::new(), |number| number).is_empty());
    }
}
