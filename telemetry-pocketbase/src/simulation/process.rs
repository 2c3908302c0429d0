//! A process with an uploader in it: how it starts, works and ends.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use fastrand::Rng;
use uuid::Uuid;

use super::disk::SimDisk;
use super::model::{ACCOUNTS, COLLECTION, IDENTITY, PASSWORD};
use super::network::Network;
use super::plan::Plan;
use super::watched::{Shared, Watched, lock};
use super::world::World;
use crate::config::{PasswordSource, PocketBaseConfig, Secret};
use crate::delivery::{
    Answer, Batch, BreakerState, DeadLetters, Destination, DiskSpool, Fit, Intake, Ledger,
    MemorySpool, Message, OpenSpool, Opening, Outgoing, Parts, Pilot, Sequence, Spool, SpoolError,
    Time, Uploader,
};
use crate::pocketbase::PocketBase;

/// A process with an uploader in it.
pub(super) struct Process {
    pub(super) pilot: Pilot,
    pub(super) ledger: Arc<Ledger>,
    pub(super) intake: Arc<Intake>,
    destination: PocketBase<Network>,
    pub(super) started_at: Time,
    /// What an upload will have brought, then.
    pub(super) answer: Option<(Time, Answer, Option<String>)>,
    /// Records in the batch that is on its way.
    sending: usize,
    /// Batches that stand in line behind it.
    line: VecDeque<Outgoing>,
    sequence: Sequence,
    /// Admitted, and not known to be in the spool.
    pub(super) waiting: VecDeque<Waiting>,
    /// Those who wait for a flush, and the places of what must be durable then.
    pub(super) flushes: Vec<(Receiver<()>, Vec<usize>)>,
    /// Records that it has sent before older ones.
    witnesses: u64,
    pub(super) breaker: BreakerState,
    /// It must be gone then, if it was told to stop.
    pub(super) ends_by: Option<Time>,
}

/// A record that is on its way to the spool.
pub(super) struct Waiting {
    /// Its place in the truth.
    pub(super) place: usize,
    pub(super) since: Time,
}

impl World {
    /// Starts a process.
    pub(super) fn start(&mut self) -> Result<(), String> {
        self.processes += 1;
        self.tell(|world| format!("process {} starts", world.processes));
        self.network.lock().client_restarts();
        let session = Uuid::from_u128(u128::from(self.rng.u64(..)));
        {
            let mut shared = lock(&self.shared);
            shared.1.begin_session(session);
            (shared.0.removed, shared.0.evicted) = (0, 0);
        }
        let ledger = Arc::new(Ledger::new(self.plan.capacity));
        let (intake, inbox) = Intake::new(ledger.clone(), self.plan.capacity);
        let intake = Arc::new(intake);
        let letters = DeadLetters::open(&self.dead_letters, self.plan.dead_letter_bytes)
            .map_err(|error| error.to_string())?;
        let mut jitter = Rng::with_seed(self.rng.u64(..));
        let parts = Parts {
            ledger: ledger.clone(),
            intake: intake.clone(),
            open_spool: spool_opener(self.disk.clone(), self.shared.clone(), &self.plan),
            dead_letters: letters,
            gauges: crate::instruments::gauges(),
            policy: self.plan.policy,
            jitter: Box::new(move || jitter.f64()),
        };
        let uploader = match Uploader::start(parts) {
            Ok(uploader) => uploader,
            Err(error) if lock(&self.shared).0.is_rotten => {
                // Somebody looks at the message and removes the file.
                drop(error);
                self.disk.begin_anew();
                self.restart_at = Some(self.now + Duration::from_secs(1));
                return Ok(());
            }
            Err(error) => return Err(format!("the spool is refused: {error}")),
        };
        let breaker = uploader.breaker();
        let is_half_open = breaker == BreakerState::HalfOpen;
        if is_half_open {
            self.sights.note("started half-open");
        }
        let was_open = lock(&self.shared).0.breaker_was_open;
        if uploader.has_spool() && was_open.is_some_and(|open| open != is_half_open) {
            return Err(format!("the breaker is {breaker:?} after a restart"));
        }
        self.process = Some(Process {
            pilot: Pilot::new(uploader, intake.clone(), inbox),
            ledger,
            intake,
            destination: PocketBase::new(
                &config(&self.dead_letters),
                self.network.clone(),
                Arc::new(self.network.clone()),
            ),
            started_at: self.now,
            answer: None,
            sending: 0,
            line: VecDeque::new(),
            sequence: Sequence::default(),
            waiting: VecDeque::new(),
            flushes: Vec::new(),
            witnesses: 0,
            breaker,
            ends_by: None,
        });
        Ok(())
    }

    /// Lets the process do what is due.
    ///
    /// # Errors
    /// The law that it broke.
    pub(super) fn turn(&mut self) -> Result<(), String> {
        self.take_answer()?;
        while let Some(process) = &mut self.process {
            let outgoing = process.pilot.turn(self.now - process.started_at);
            if self.disk.has_died() {
                self.die_in_write();
                return Ok(());
            }
            let Some(outgoing) = outgoing else {
                return self.end_if_finished();
            };
            self.receive(outgoing)?;
        }
        Ok(())
    }

    /// Tells the process to stop within some time.
    pub(super) fn stop(&mut self) {
        let limit = Duration::from_millis(self.rng.u64(..10_000));
        let Some(process) = &mut self.process else {
            return;
        };
        if process.ends_by.is_some() {
            return;
        }
        process.intake.close();
        let (done, _) = bounded(1);
        if process.intake.send_behind(Message::Close { limit, done }) {
            process.ends_by = Some(self.now + limit);
        }
    }

    /// The process is gone at once.
    pub(super) fn kill(&mut self) {
        self.disk.process_dies();
        self.note_end();
        self.process = None;
        self.tell(|_| "the process is killed".to_owned());
        self.restart_at = Some(self.now + self.millis(3_000));
    }

    fn take_answer(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let now = self.now;
        let Some((_, answer, note)) = process.answer.take_if(|(at, ..)| *at <= now) else {
            return Ok(());
        };
        let told = answer.clone();
        process.sequence.answered(process.sending, &answer);
        process
            .pilot
            .answered(now - process.started_at, answer, note);
        self.tell(|_| format!("{} settled, rest: {:?}", told.settled.len(), told.rest));
        self.send_from_line()
    }

    /// What the sender's thread does when it is given a batch.
    fn receive(&mut self, outgoing: Outgoing) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let is_busy = process.answer.is_some();
        if is_busy && !outgoing.is_in_line {
            return Err("two uploads at once".to_owned());
        }
        process.line.push_back(outgoing);
        if is_busy {
            return Ok(());
        }
        self.send_from_line()
    }

    /// What the sender's thread does with the batches that it was given.
    fn send_from_line(&mut self) -> Result<(), String> {
        while let Some(process) = &mut self.process
            && process.answer.is_none()
            && let Some(outgoing) = process.line.pop_front()
        {
            if process.sequence.admits(&outgoing) {
                if outgoing.is_in_line {
                    self.sights.note("sent out of the line");
                }
                self.upload(&outgoing.batch)?;
            } else {
                self.sights.note("line thrown away");
            }
        }
        Ok(())
    }

    fn upload(&mut self, batch: &Batch) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        if let BreakerState::Open { until } = process.pilot.uploader.breaker()
            && self.now - process.started_at < until
        {
            return Err("an upload while the breaker is open".to_owned());
        }
        let witnesses = process.pilot.uploader.witnesses();
        let called = witnesses - std::mem::replace(&mut process.witnesses, witnesses);
        self.witnesses += called as usize;
        self.sights.count("witness called", called);
        let answer = process.destination.upload(batch);
        let note = process.destination.take_note();
        process.sending = batch.records.len();
        let mut network = self.network.lock();
        let taken = std::mem::take(&mut network.taken);
        network.requests = 0;
        let has_died = network.dies_in == Some(0);
        drop(network);
        if has_died {
            self.sights.note("killed in the middle of an upload");
            self.kill();
            return Ok(());
        }
        process.answer = Some((self.now + taken, answer, note));
        self.tell(|_| {
            let (count, first) = (batch.records.len(), batch.records[0].key);
            format!("upload of {count} from {first}, resent: {}", batch.resent)
        });
        Ok(())
    }

    fn die_in_write(&mut self) {
        self.sights.note("killed in the middle of a write");
        let has_power = self.disk.has_power();
        self.kill();
        if !has_power {
            self.sights.note("power cut in the middle of a write");
            self.disk.power_fails(&mut self.rng);
        }
    }

    fn end_if_finished(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        if !process.pilot.uploader.is_finished() {
            return Ok(());
        }
        process.pilot.end();
        let stats = process.ledger.stats("simulated");
        let sum = stats.delivered + stats.dropped + stats.rejected + stats.pending;
        if stats.accepted != sum {
            return Err(format!("the accounts of the end do not add up: {stats:?}"));
        }
        if self.plan.in_memory && stats.pending > 0 {
            return Err(format!(
                "the end leaves {} pending in memory",
                stats.pending
            ));
        }
        let is_cut_off = process.ends_by.is_some_and(|by| by <= self.now);
        let is_empty = lock(&self.shared).0.count() == 0;
        self.sights.note(match (is_empty, is_cut_off) {
            (true, _) => "drained to the end",
            (false, true) => "drain cut off by its deadline",
            (false, false) => "drain given up before its deadline",
        });
        if stats.pending > 0 {
            self.sights.note("stopped with records in the spool");
        }
        self.note_end();
        self.process = None;
        self.tell(|_| "the process has stopped".to_owned());
        self.restart_at = Some(self.now + self.millis(2_000));
        Ok(())
    }

    fn note_end(&mut self) {
        let Some(process) = &self.process else {
            return;
        };
        self.sights.note(match process.pilot.uploader.breaker() {
            BreakerState::Closed => "ended while the breaker was closed",
            BreakerState::HalfOpen => "ended while the breaker was half-open",
            BreakerState::Open { .. } => "ended while the breaker was open",
        });
        if process.answer.is_some() {
            self.sights.note("ended with a request on its way");
        }
    }
}

pub(super) fn config(dir: &Path) -> PocketBaseConfig {
    let password = PasswordSource::Given(Secret::new(PASSWORD));
    let mut config = PocketBaseConfig::new("http://simulated", IDENTITY, password, dir);
    config.collection = COLLECTION.to_owned();
    config.auth_collection = ACCOUNTS.to_owned();
    config
}

fn spool_opener(disk: SimDisk, shared: Shared, plan: &Plan) -> OpenSpool {
    let (in_memory, max_bytes) = (plan.in_memory, plan.spool_bytes);
    Box::new(move |opening: &Opening| {
        let fit = Fit {
            max_bytes,
            at_full_size: opening.at_full_size,
            tightness: opening.tightness,
        };
        let (spool, reason): (Box<dyn Spool>, _) = if in_memory {
            (Box::new(MemorySpool::new(max_bytes as usize)), None)
        } else {
            let (spool, reason) = open_on(&disk, fit, opening.corrupt.as_ref())?;
            (Box::new(spool), reason)
        };
        let watched = Watched::new(spool, shared.clone(), fit, reason.is_some())?;
        Ok((Box::new(watched) as Box<dyn Spool>, reason))
    })
}

/// A file that makes no sense is set aside, as the real opening does it.
fn open_on(
    disk: &SimDisk,
    fit: Fit,
    corrupt: Option<&String>,
) -> Result<(DiskSpool, Option<String>), SpoolError> {
    let opened = match corrupt {
        None => DiskSpool::on(disk.open(), fit, false),
        Some(reason) => Err(SpoolError::Corrupt(reason.clone())),
    };
    match opened {
        Err(SpoolError::Corrupt(reason)) => {
            disk.begin_anew();
            Ok((DiskSpool::on(disk.open(), fit, false)?, Some(reason)))
        }
        other => Ok((other?, None)),
    }
}
