//! Bugs to plant, and whether one is planted now. Panics of a simulated process.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Write as _};
use std::sync::Once;

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A bug that can be planted: each breaks one promise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $name,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

bugs! {
    /// A duplicate at the head of a batch is taken for all of it, whatever other
    /// requests lost their answers.
    ForgetsTaint,
    /// A failed round is given up and counted as delivered.
    GivesUpFailedRounds,
    /// The parts of a batch that is split are sent last part first.
    SplitsBackwards,
    /// Each new record puts off the flush of the oldest one.
    StarvesTrickle,
    /// An open breaker never turns half-open.
    StaysOpen,
    /// Requests go out while the breaker is open.
    SendsWhileOpen,
    /// The server's word on when to come back is ignored.
    IgnoresRetryAfter,
    /// Refused records are not written to the dead letters.
    BuriesNothing,
    /// What has arrived is committed after seconds.
    CommitsLate,
    /// A flush is answered before anything is durable.
    AnswersFlushesEarly,
    /// Records that the spool fails to take are forgotten.
    LosesWhatTheSpoolRefuses,
    /// A full spool gives up records that are being sent.
    EvictsWhatIsInWork,
    /// A full spool gives up errors first.
    EvictsErrorsFirst,
    /// The spool never learns that records have left it.
    ForgetsFreedRoom,
    /// Keys begin anew in every transaction.
    ForgetsNextKey,
    /// With the first record of a pack that is delivered all others go.
    TakesWholePacks,
    /// A pack that is given up counts as one record.
    CountsPacks,
    /// Records come out of the spool cut.
    CutsLongLines,
    /// One record too many is counted as delivered.
    CountsDeliveriesTwice,
    /// Evictions are not counted.
    ForgetsEvictions,
    /// The channel has no bound.
    ForgetsCapacity,
    /// A record that the server has already goes to the dead letters.
    RefusesDuplicates,
    /// A refusal without a reason costs the first record of the batch.
    DropsWhatIsDoubtful,
    /// A dead token is never noticed.
    NeverVerifiesTokens,
    /// Any page with status 200 means that all is stored.
    BelievesAnyPage,
    /// A single create without an answer counts as stored.
    TakesLostForStored,
    /// The verdicts of the bulk route are not read.
    BelievesBulkBlindly,
    /// The id of a record depends on when it is sent.
    ChangesIds,
    /// Nobody looks at the checksums of the spool.
    SkipsChecksums,
    /// A new process knows nothing of the breaker of the one before.
    ForgetsBreaker,
    /// The deadline of a stop is ignored.
    OverrunsDrain,
    /// The dead letters have no bound.
    OverfillsDeadLetters,
    /// New records are committed without waiting for the disk.
    CommitsWithoutSync,
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    /// The seed of the world that runs on this thread.
    static RUNNING: Cell<Option<u64>> = const { Cell::new(None) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Whether this bug is planted on this thread.
pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a simulation runs on this thread.
pub(crate) fn is_running() -> bool {
    RUNNING.get().is_some()
}

/// What a panic of the simulation on this thread said.
pub(super) fn last_panic() -> String {
    PANIC.take().unwrap_or_default()
}

/// A process that dies of a panic is a matter of the world that it is in; and
/// over senseless pages `redb` panics, which the spool expects.
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let Some(seed) = RUNNING.get() else {
                return usual(panic);
            };
            let text = panic.to_string();
            if text.contains("during cleanup") {
                // A second panic while the first one unwinds: the process ends now,
                // and if nobody hears of it, it ends all the same.
                let _ = writeln!(io::stderr(), "seed {seed} ends the process: {text}");
            }
            PANIC.replace(Some(text));
        }));
    });
}

/// Runs `work`, the world of `seed`, with `bug` planted.
pub(super) fn with_planted<T>(seed: u64, bug: Option<Bug>, work: impl FnOnce() -> T) -> T {
    struct Weeded;
    impl Drop for Weeded {
        fn drop(&mut self) {
            PLANTED.set(None);
            RUNNING.set(None);
        }
    }
    keep_panics_quiet();
    let _weeded = Weeded;
    PLANTED.set(bug);
    RUNNING.set(Some(seed));
    work()
}
