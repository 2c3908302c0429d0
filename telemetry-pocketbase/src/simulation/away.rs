//! A server that is away for long, while records come fast: memory and disk
//! stay within their bounds, and what is left arrives in the end.
//!
//! Time is simulated, the file of the spool is a real one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use telemetry_core::{LEVELS, LossReason};
use tracing::Level;
use uuid::Uuid;

use super::bugs;
use super::model::{Model, Setup};
use super::network::Network;
use super::process::config;
use crate::delivery::{
    DeadLetters, Destination, DiskSpool, Fit, Intake, Ledger, MAX_LINE, OpenSpool, Opening, Parts,
    Pilot, Policy, Sequence, Spool, Time, Uploader,
};
use crate::id::RecordId;
use crate::pocketbase::PocketBase;

/// Records in a second.
const RATE: u64 = 10_000;

/// The uploader is looked after this often, like the thread that a full chunk
/// wakes.
const TICK: Duration = Duration::from_millis(10);

/// Room in the channel, as the configuration presets it.
const CAPACITY: usize = 10_000;

/// When the server is there again, everything must have arrived after this.
const ARRIVES_WITHIN: Duration = Duration::from_secs(3600);

/// For how long the server is away, and how large the spool may grow.
#[derive(Debug, Clone, Copy)]
pub struct Absence {
    /// The time, simulated.
    pub lasts: Duration,
    /// The bound on the file.
    pub spool_bytes: u64,
}

/// What an absence took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Endured {
    /// Records that were written.
    pub records: u64,
    /// Of these, those that a full spool gave up.
    pub evicted: u64,
    /// Those that arrived when the server was there again.
    pub delivered: u64,
    /// The greatest size of the spool's file.
    pub file_bytes: u64,
    /// By how much the memory of this process grew at most, where the system
    /// tells.
    pub memory_bytes: u64,
}

/// Writes to an uploader while its server is away, and lets the server come back.
/// `dir` is for the spool and the dead letters.
///
/// # Errors
/// The law that was broken.
pub fn endure(absence: Absence, dir: &Path) -> Result<Endured, String> {
    bugs::with_planted(0, None, || {
        let mut world = Away::new(absence, dir)?;
        world.write_for(absence.lasts)?;
        world.come_back()?;
        Ok(world.endured)
    })
}

struct Away {
    absence: Absence,
    spool: std::path::PathBuf,
    network: Network,
    pilot: Pilot,
    ledger: Arc<Ledger>,
    intake: Arc<Intake>,
    destination: PocketBase<Network>,
    sequence: Sequence,
    rng: Rng,
    session: Uuid,
    now: Time,
    memory_before: u64,
    endured: Endured,
}

impl Away {
    fn new(absence: Absence, dir: &Path) -> Result<Self, String> {
        let spool = dir.join("spool.redb");
        let network = Network::new(Model::new(Setup::default()), Rng::with_seed(1));
        network.lock().is_up = false;
        let ledger = Arc::new(Ledger::new(CAPACITY));
        let (intake, inbox) = Intake::new(ledger.clone(), CAPACITY);
        let intake = Arc::new(intake);
        let mut jitter = Rng::with_seed(2);
        let letters = dir.join("dead-letters.jsonl");
        let parts = Parts {
            ledger: ledger.clone(),
            intake: intake.clone(),
            open_spool: opener(&spool, absence.spool_bytes),
            dead_letters: DeadLetters::open(&letters, 0).map_err(|error| error.to_string())?,
            gauges: crate::instruments::gauges(),
            policy: Policy::default(),
            jitter: Box::new(move || jitter.f64()),
        };
        let uploader = Uploader::start(parts).map_err(|error| error.to_string())?;
        Ok(Self {
            absence,
            spool,
            pilot: Pilot::new(uploader, intake.clone(), inbox),
            ledger,
            intake,
            sequence: Sequence::default(),
            destination: PocketBase::new(
                &config(&letters),
                network.clone(),
                Arc::new(network.clone()),
            ),
            network,
            rng: Rng::with_seed(3),
            session: Uuid::from_u128(7),
            now: Time::ZERO,
            memory_before: memory("VmRSS:"),
            endured: Endured::default(),
        })
    }

    fn write_for(&mut self, time: Duration) -> Result<(), String> {
        let per_tick = RATE * TICK.as_millis() as u64 / 1000;
        let ticks_a_second = 1000 / TICK.as_millis() as u64;
        let ticks = time.as_millis() as u64 / TICK.as_millis() as u64;
        let mut line = String::new();
        for tick in 0..ticks {
            for _ in 0..per_tick {
                self.write(&mut line)?;
            }
            self.pass(TICK);
            if tick % ticks_a_second == 0 {
                self.check()?;
            }
        }
        self.check()?;
        self.endured.memory_bytes = memory("VmHWM:").saturating_sub(self.memory_before);
        Ok(())
    }

    /// One record of 450 bytes, like those of a daemon.
    fn write(&mut self, line: &mut String) -> Result<(), String> {
        use std::fmt::Write as _;
        self.endured.records += 1;
        let (session, seq) = (self.session, self.endured.records);
        let level = match self.rng.u8(..20) {
            0 => Level::ERROR,
            1 => Level::WARN,
            2..=13 => Level::INFO,
            _ => Level::DEBUG,
        };
        line.clear();
        let _ = write!(
            line,
            r#"{{"timestamp":"2026-01-02T03:04:05.678901Z","level":"{level}","target":"daemon::engine","message":"file copied","fields":{{"path":"/data/documents/{seq:0>100}","bytes":{seq}}},"module_path":"daemon::engine","file":"src/engine.rs","line":7,"daemon_id":"{session}","session_id":"{session}","seq":{seq}}}"#
        );
        let id = RecordId::of(session, seq);
        self.intake
            .offer(level, id, line)
            .map_err(|turned| format!("record {seq} was turned away: {turned:?}"))
    }

    /// Time passes, and the uploader does what is due.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        {
            let mut network = self.network.lock();
            network.now = self.now;
            network.taken = Duration::ZERO;
        }
        while let Some(outgoing) = self.pilot.turn(self.now) {
            if !self.sequence.admits(&outgoing) {
                continue;
            }
            let answer = self.destination.upload(&outgoing.batch);
            self.sequence
                .answered(outgoing.batch.records.len(), &answer);
            self.pilot.answered(self.now, answer, None);
        }
    }

    fn check(&mut self) -> Result<(), String> {
        let stats = self.ledger.stats("away");
        let sum = stats.delivered + stats.dropped + stats.rejected + stats.pending;
        if stats.accepted != sum || stats.accepted != self.endured.records {
            return Err(format!("the accounts do not add up: {stats:?}"));
        }
        let of = |level| stats.lost.of(LossReason::SpoolFull, level);
        let evicted: u64 = LEVELS.into_iter().map(of).sum();
        if evicted != stats.dropped {
            return Err(format!("something else is lost than evictions: {stats:?}"));
        }
        self.endured.evicted = evicted;
        let file_bytes = std::fs::metadata(&self.spool).map_or(0, |file| file.len());
        if file_bytes > self.absence.spool_bytes {
            return Err(format!("the spool's file has {file_bytes} bytes"));
        }
        self.endured.file_bytes = self.endured.file_bytes.max(file_bytes);
        let in_work = self.pilot.uploader.in_work();
        if in_work > Policy::default().batch_records * (1 + MAX_LINE) {
            return Err(format!("{in_work} records in work at once"));
        }
        Ok(())
    }

    fn come_back(&mut self) -> Result<(), String> {
        self.network.lock().is_up = true;
        let end = self.now + ARRIVES_WITHIN;
        while self.ledger.pending() > 0 {
            if self.now > end {
                return Err(format!("{} stay pending", self.ledger.pending()));
            }
            self.pass(TICK);
        }
        self.check()?;
        let stored = self.network.lock().model.rows.len() as u64;
        self.endured.delivered = stored;
        let Endured {
            records, evicted, ..
        } = self.endured;
        if stored + evicted != records {
            return Err(format!(
                "{stored} of {records} records are stored, {evicted} were given up"
            ));
        }
        Ok(())
    }
}

fn opener(path: &Path, max_bytes: u64) -> OpenSpool {
    let path = path.to_owned();
    Box::new(move |opening: &Opening| {
        let fit = Fit {
            max_bytes,
            at_full_size: opening.at_full_size,
            tightness: opening.tightness,
        };
        let (spool, reason) = DiskSpool::open(&path, fit)?;
        Ok((Box::new(spool) as Box<dyn Spool>, reason))
    })
}

/// What Linux says about the memory of this process, in bytes.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0) * 1024
}
