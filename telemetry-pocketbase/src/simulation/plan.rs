//! What one seed decides: bounds, server, workload, and which faults happen.

use std::time::Duration;

use fastrand::Rng;
use tracing::Level;

use super::model::Setup;
use super::truth::Kind;
use crate::delivery::{BreakerPolicy, Policy};

/// Everything that is fixed for one run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) policy: Policy,
    pub(super) capacity: usize,
    /// The spool is lost with the process.
    pub(super) in_memory: bool,
    pub(super) spool_bytes: u64,
    pub(super) dead_letter_bytes: u64,
    pub(super) setup: Setup,
    /// Trouble comes until then; afterwards everything heals.
    pub(super) horizon: Duration,
    /// Longest time between two bursts of records, in milliseconds.
    pub(super) pause: u64,
    pub(super) burst: u64,
    pub(super) size: usize,
    /// In a thousand records, how many are odd.
    pub(super) odd: u32,
    /// Longest time between two faults, in milliseconds.
    pub(super) fault_pause: u64,
    /// Longest time that a fault lasts, in milliseconds.
    pub(super) fault_lasts: u64,
    /// Faults of this run.
    pub(super) faults: Vec<Fault>,
}

/// Something that goes wrong, or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    ServerDies,
    ServerHangs,
    Weather,
    AnswersLost,
    ServerDiskFull,
    ServerChanges,
    ServerChangesAtWork,
    RuleRefuses,
    CollectionGone,
    RateLimit,
    TokensDie,
    TokensDieAtWork,
    DiskFull,
    DiskFails,
    DiskRots,
    Killed,
    KilledAtWork,
    KilledInWrite,
    PowerFails,
    PowerFailsInWrite,
    Stopped,
    ClockJumps,
}

const FAULTS: [Fault; 22] = [
    Fault::ServerDies,
    Fault::ServerHangs,
    Fault::Weather,
    Fault::AnswersLost,
    Fault::ServerDiskFull,
    Fault::ServerChanges,
    Fault::ServerChangesAtWork,
    Fault::RuleRefuses,
    Fault::CollectionGone,
    Fault::RateLimit,
    Fault::TokensDie,
    Fault::TokensDieAtWork,
    Fault::DiskFull,
    Fault::DiskFails,
    Fault::DiskRots,
    Fault::Killed,
    Fault::KilledAtWork,
    Fault::KilledInWrite,
    Fault::PowerFails,
    Fault::PowerFailsInWrite,
    Fault::Stopped,
    Fault::ClockJumps,
];

/// How large a world is. Most are small: many small ones meet more of what can
/// go wrong than few large ones, in the same time.
struct Scale {
    horizon: u64,
    bursts: u64,
    burst: u64,
    sizes: [usize; 3],
    /// Choices for the odd ones in a thousand records. Each that is refused
    /// without a reason takes minutes of simulated time.
    odd: [u32; 5],
}

const SMALL: Scale = Scale {
    horizon: 8_000,
    bursts: 12,
    burst: 12,
    sizes: [10, 10, 300],
    odd: [0, 0, 5, 50, 300],
};

/// Enough to fill a spool.
const HEAVY: Scale = Scale {
    horizon: 15_000,
    bursts: 20,
    burst: 30,
    sizes: [1_000, 2_000, 4_000],
    odd: [0, 0, 5, 5, 50],
};

const LARGE: Scale = Scale {
    horizon: 60_000,
    bursts: 100,
    burst: 60,
    sizes: [10, 200, 3_000],
    odd: [0, 0, 5, 5, 20],
};

impl Plan {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let scale = match rng.u8(..64) {
            0 => LARGE,
            1..=5 => HEAVY,
            _ => SMALL,
        };
        // A few kinds of fault in a run: all at once would hide each other.
        let mut faults = FAULTS.to_vec();
        rng.shuffle(&mut faults);
        faults.truncate(*rng.choice(&[0, 1, 2, 2, 2, 3, 3, 4, 6]).unwrap_or(&2));
        let horizon = rng.u64(1_000..scale.horizon);
        let pause = (2 * horizon / rng.u64(3..=scale.bursts)).max(20);
        Self {
            policy: policy(rng),
            capacity: rng.usize(10..600),
            in_memory: rng.u8(..8) == 0,
            spool_bytes: *rng
                .choice(&[384 << 10, 384 << 10, 512 << 10, 1 << 20])
                .unwrap_or(&(1 << 20)),
            dead_letter_bytes: *rng.choice(&[64 << 10, 64 << 10, 2 << 10, 0]).unwrap_or(&0),
            setup: setup(rng),
            horizon: Duration::from_millis(horizon),
            pause,
            burst: rng.u64(1..=scale.burst),
            size: *rng.choice(&scale.sizes).unwrap_or(&10),
            odd: *rng.choice(&scale.odd).unwrap_or(&0),
            fault_pause: rng.u64(horizon / 20..=horizon / 2),
            fault_lasts: horizon / 2,
            faults,
        }
    }

    /// The next record: its kind, level and size.
    pub(super) fn record(&self, rng: &mut Rng) -> (Kind, Level, usize) {
        let level = match rng.u8(..10) {
            0 => Level::ERROR,
            1 => Level::WARN,
            2..=5 => Level::INFO,
            6..=7 => Level::DEBUG,
            _ => Level::TRACE,
        };
        let kind = if rng.u32(..1000) < self.odd {
            let odd = [
                Kind::Poison,
                Kind::Mystery,
                Kind::Unreadable,
                Kind::Long,
                Kind::Senseless,
            ];
            *rng.choice(&odd).unwrap_or(&Kind::Poison)
        } else if rng.u8(..20) == 0 {
            Kind::Awkward
        } else {
            Kind::Plain
        };
        (kind, level, rng.usize(..=self.size))
    }
}

fn policy(rng: &mut Rng) -> Policy {
    let open_for = Duration::from_millis(rng.u64(200..5_000));
    Policy {
        batch_records: rng.usize(1..60),
        batch_bytes: *rng.choice(&[2_000, 20_000, 1 << 20]).unwrap_or(&20_000),
        flush_interval: Duration::from_millis(rng.u64(50..5_000)),
        max_retries: rng.u32(..4),
        backoff_base: Duration::from_millis(rng.u64(10..1_000)),
        backoff_cap: Duration::from_millis(rng.u64(1_000..10_000)),
        breaker: BreakerPolicy {
            failures: rng.u32(1..4),
            open_for,
            max_open_for: open_for * 8,
        },
    }
}

fn setup(rng: &mut Rng) -> Setup {
    let is_old = rng.u8(..10) == 0;
    Setup {
        hook: rng.u8(..10) < 4,
        batch: (rng.u8(..10) < 7).then(|| rng.usize(1..100)),
        is_old,
        max_message: *rng.choice(&[200, 65_600]).unwrap_or(&200),
        max_body: *rng.choice(&[20_000, 32 << 20]).unwrap_or(&20_000),
        token_life: *rng.choice(&[5, 60, 604_800]).unwrap_or(&60),
        ..Setup::default()
    }
}
