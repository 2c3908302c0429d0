//! What callers hold.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use telemetry_core::{Record, Sink, SinkError, SinkStats};

use crate::clock::SystemClock;
use crate::config::PocketBaseConfig;
use crate::delivery::{
    DeadLetters, DiskSpool, Fit, Intake, Ledger, MemorySpool, Message, OpenSpool, Opening, Parts,
    Spool, Turned, start,
};
use crate::error::PocketBaseError;
use crate::id::RecordId;
use crate::instruments::{Instruments, gauges};
use crate::pocketbase::PocketBase;
use crate::pocketbase::client::Client;

/// Name of the sink in accounts and metrics.
const NAME: &str = "pocketbase";

/// File of the spool in [`PocketBaseConfig::dir`].
pub const SPOOL_FILE: &str = "spool.redb";

/// File of the dead letters in [`PocketBaseConfig::dir`].
pub const DEAD_LETTERS_FILE: &str = "dead-letters.jsonl";

/// What a spool in memory holds at most.
const MEMORY_SPOOL_BYTES: usize = 32 * 1024 * 1024;

/// How long a sink that is dropped without [`close`](Sink::close) delivers.
const DROP_LIMIT: Duration = Duration::from_secs(2);

/// Targets whose records never enter the uploader: its own and those of what
/// works for it. See the [crate](crate) on why.
const OWN_TARGETS: [&str; 5] = [
    "telemetry_pocketbase",
    "ureq",
    "ureq_proto",
    "rustls",
    "redb",
];

/// Uploads records to a collection of a PocketBase server.
///
/// `write` copies the record's JSON line and returns: it never waits, neither
/// for the disk nor for the network. A full channel drops the record and counts
/// it. What is left in a spool on disk at the end is delivered by the next
/// process that uses the same directory; one at a time can.
#[must_use = "records are delivered as long as the sink lives"]
pub struct PocketBaseSink {
    ledger: Arc<Ledger>,
    intake: Arc<Intake>,
    is_closed: AtomicBool,
    url: String,
}

impl PocketBaseSink {
    /// Opens the spool and starts the threads `pocketbase-uploader` and
    /// `pocketbase-sender`. Does not wait for the server.
    ///
    /// # Errors
    /// [`PocketBaseError::Config`] for impossible values,
    /// [`PocketBaseError::Spool`] if another process has the spool or a newer
    /// program wrote it, [`PocketBaseError::Io`] if the dead letters or the CA
    /// file cannot be read, [`PocketBaseError::Thread`] if there is no thread
    /// to be had. A spool that cannot be opened otherwise (a full disk, no
    /// rights) is no error: it is tried again every two seconds, and
    /// [`stats`](Sink::stats) tells.
    pub fn start(config: PocketBaseConfig) -> Result<Self, PocketBaseError> {
        config.validate()?;
        let instruments = Arc::new(Instruments::new());
        let client = Client::new(&config, Some(instruments))?;
        let ledger = Arc::new(Ledger::new(config.queue_capacity));
        let (intake, inbox) = Intake::new(ledger.clone(), config.queue_capacity);
        let intake = Arc::new(intake);
        let spool_path = config.dir.join(SPOOL_FILE);
        let parts = Parts {
            ledger: ledger.clone(),
            intake: intake.clone(),
            open_spool: spool_opener(&config, spool_path.clone()),
            dead_letters: dead_letters(&config)?,
            gauges: gauges(),
            policy: config.policy(),
            jitter: Box::new(fastrand::f64),
        };
        let url = client.base().to_owned();
        let destination = PocketBase::new(&config, client, Arc::new(SystemClock::new()));
        start(parts, inbox, destination, &spool_path)?;
        Ok(Self {
            ledger,
            intake,
            is_closed: AtomicBool::new(false),
            url,
        })
    }

    /// The accounts and the state, for callers that hold this sink by itself.
    pub fn snapshot(&self) -> SinkStats {
        self.ledger.stats(NAME)
    }

    fn timeout(&self, limit: Duration) -> SinkError {
        SinkError::Timeout {
            sink: NAME,
            limit,
            pending: self.ledger.pending(),
        }
    }

    fn wait_for(&self, answer: &Receiver<()>, limit: Duration) -> Result<(), SinkError> {
        match answer.recv_timeout(limit) {
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(self.timeout(limit)),
            Err(RecvTimeoutError::Disconnected) => Err(SinkError::Closed { sink: NAME }),
        }
    }
}

impl Sink for PocketBaseSink {
    fn write(&self, record: &Record<'_>) -> Result<(), SinkError> {
        if is_own(record.target()) {
            return Ok(());
        }
        let session = record.identity().session_id();
        let id = match record.seq() {
            0 => RecordId::of_unnumbered(session),
            seq => RecordId::of(session, seq),
        };
        self.intake
            .offer(record.level(), id, record.json())
            .map_err(|turned| match turned {
                Turned::Full => SinkError::Full { sink: NAME },
                Turned::Closed => SinkError::Closed { sink: NAME },
            })
    }

    fn batch_end(&self) {
        self.intake.send_gathered();
    }

    /// Waits until everything accepted before is durable in the spool, or
    /// delivered when the spool is in memory.
    fn flush(&self, limit: Duration) -> Result<(), SinkError> {
        let (done, answer) = bounded(1);
        if self.intake.is_closed() || !self.intake.send_behind(Message::Flush(done)) {
            return Err(SinkError::Closed { sink: NAME });
        }
        self.wait_for(&answer, limit)
    }

    /// Delivers what can be delivered within the limit, in one round: a server
    /// that is not there does not hold up the exit longer than its retries do.
    /// What is left stays in the spool and counts as pending (in memory: as
    /// dropped), and the error tells how much.
    fn close(&self, limit: Duration) -> Result<(), SinkError> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.intake.close();
        let before = self.snapshot();
        let (done, answer) = bounded(1);
        let message = Message::Close {
            limit: limit.mul_f64(0.9),
            done,
        };
        if self.intake.send_behind(message) {
            self.wait_for(&answer, limit)?;
        }
        let after = self.snapshot();
        if after.pending > 0 || after.dropped > before.dropped {
            return Err(self.timeout(limit));
        }
        Ok(())
    }

    fn stats(&self, into: &mut Vec<SinkStats>) {
        into.push(self.snapshot());
    }
}

impl Drop for PocketBaseSink {
    fn drop(&mut self) {
        // What is left is in the accounts, and nobody is there to be told.
        let _ = self.close(DROP_LIMIT);
    }
}

impl fmt::Debug for PocketBaseSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PocketBaseSink")
            .field("url", &self.url)
            .field("stats", &self.snapshot())
            .finish_non_exhaustive()
    }
}

/// Whether a target is one of [`OWN_TARGETS`] or below it. The probes of the
/// setup have a target below, and are no records of a pipeline.
fn is_own(target: &str) -> bool {
    OWN_TARGETS.iter().any(|own| {
        target
            .strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn spool_opener(config: &PocketBaseConfig, path: PathBuf) -> OpenSpool {
    let max_bytes = config.spool_max_bytes;
    if max_bytes == 0 {
        return Box::new(|_: &Opening| {
            let spool = MemorySpool::new(MEMORY_SPOOL_BYTES);
            Ok((Box::new(spool) as Box<dyn Spool>, None))
        });
    }
    Box::new(move |opening: &Opening| {
        let fit = Fit {
            max_bytes,
            at_full_size: opening.at_full_size,
            tightness: opening.tightness,
        };
        let (spool, set_aside) = match &opening.corrupt {
            None => DiskSpool::open(&path, fit)?,
            Some(reason) => {
                let (spool, report) = DiskSpool::begin_anew(&path, fit, reason)?;
                (spool, Some(report))
            }
        };
        Ok((Box::new(spool) as Box<dyn Spool>, set_aside))
    })
}

fn dead_letters(config: &PocketBaseConfig) -> Result<DeadLetters, PocketBaseError> {
    let path: &Path = &config.dir.join(DEAD_LETTERS_FILE);
    DeadLetters::open(path, config.dead_letter_max_bytes).map_err(|source| PocketBaseError::Io {
        path: path.to_owned(),
        source,
    })
}
