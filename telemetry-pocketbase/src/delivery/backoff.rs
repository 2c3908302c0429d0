//! How long to wait before trying again.

use std::time::Duration;

/// Exponential backoff with full jitter: anything between nothing and
/// `base · 2^attempt`, capped, so that many clients of one server spread out.
///
/// `jitter` is a random number of `[0, 1)`.
pub(crate) fn full_jitter(base: Duration, cap: Duration, attempt: u32, jitter: f64) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.min(31));
    base.saturating_mul(factor)
        .min(cap)
        .mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(1);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn doubles_up_to_the_cap() {
        let longest: Vec<u64> = (0..7)
            .map(|attempt| full_jitter(BASE, CAP, attempt, 1.0).as_secs())
            .collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(full_jitter(BASE, CAP, u32::MAX, 1.0), CAP);
    }

    #[test]
    fn jitter_spreads_over_the_whole_interval() {
        assert_eq!(full_jitter(BASE, CAP, 3, 0.0), Duration::ZERO);
        assert_eq!(full_jitter(BASE, CAP, 3, 0.5), Duration::from_secs(4));
    }
}
