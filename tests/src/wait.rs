//! Waiting for conditions, never for time to pass.

use std::time::{Duration, Instant};

/// Short enough not to be felt, long enough to leave the machine to what is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Polls until `condition` holds.
///
/// # Panics
/// If it does not hold within `deadline`; the message names `what` was waited for.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(deadline, what, || condition().then_some(()));
}

/// Polls until `probe` returns a value, and returns that.
///
/// # Panics
/// If there is none within `deadline`; the message names `what` was waited for.
#[track_caller]
pub fn wait_for<T>(deadline: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> T {
    match poll(deadline, probe) {
        Some(value) => value,
        None => panic!("waited {deadline:?} in vain: {what}"),
    }
}

/// Polls until `probe` returns a value; `None` after `deadline`. Polls at least once.
pub(crate) fn poll<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if started.elapsed() >= deadline {
            return None;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// How many rounds a looping story takes: `short` usually, `long` under `cargo xtask check --long`.
pub fn rounds(short: u32, long: u32) -> u32 {
    match std::env::var_os("SYNC_DAEMON_LONG") {
        Some(_) => long,
        None => short,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{poll, wait_for};

    #[test]
    fn a_condition_that_holds_at_once_needs_no_time() {
        assert_eq!(poll(Duration::ZERO, || Some(1)), Some(1));
    }

    #[test]
    fn polling_goes_on_until_a_value_is_there() {
        let mut tries = 0;
        let value = wait_for(Duration::from_secs(5), "the third try", || {
            tries += 1;
            (tries == 3).then_some(tries)
        });
        assert_eq!(value, 3);
    }

    #[test]
    #[should_panic(expected = "in vain: the impossible")]
    fn a_wait_in_vain_names_what_it_waited_for() {
        wait_for(Duration::from_millis(1), "the impossible", || None::<()>);
    }
}
