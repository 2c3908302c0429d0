//! The laws, and whether a world keeps them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use telemetry_core::{Health, LEVELS, LossReason};

use super::faults::DISK_RECOVERS_WITHIN;
use super::truth::Entry;
use super::watched::lock;
use super::world::World;
use crate::delivery::{BreakerState, Letter, MAX_LINE};

/// What has arrived must be in the spool after this long.
const DURABLE_WITHIN: Duration = Duration::from_millis(201);

/// A process that was told to stop may need this much longer than its limit: it
/// notices at the next moment that something happens.
const ENDS_WITHIN: Duration = Duration::from_millis(1);

/// No letter is longer.
const LONGEST_LETTER: u64 = 8_192;

/// A record in memory takes this much besides its line.
const OVERHEAD: u64 = 96;

impl World {
    /// The laws that hold after every step.
    ///
    /// # Errors
    /// The law that is broken.
    pub(super) fn check(&mut self) -> Result<(), String> {
        self.check_rows()?;
        if let Some(broken) = self.network.lock().broken.take() {
            return Err(broken);
        }
        if let Some(broken) = lock(&self.shared).0.broken.take() {
            return Err(broken);
        }
        self.check_bounds()?;
        self.check_accounts()?;
        self.note_breaker();
        self.check_age()?;
        self.check_durability()?;
        self.check_end()
    }

    /// Nothing is stored twice or altered, and order is kept.
    fn check_rows(&mut self) -> Result<(), String> {
        let network = self.network.lock();
        let model = &network.model;
        let mut shared = lock(&self.shared);
        let (shadow, truth) = &mut *shared;
        for row in &model.rows[self.checked..] {
            let entry = truth.stored(row, model.setup.max_message)?;
            let before = self.sessions.entry(row.session_id.clone()).or_default();
            // A record under suspicion lets witnesses pass.
            let newer = before.range(row.seq..).count();
            let is_excused = shadow.is_rotten || entry.is_evicted;
            if newer > self.witnesses && !is_excused {
                return Err(format!(
                    "{} ({:?}, number {}) is stored behind {newer} newer ones",
                    row.id, entry.kind, row.seq
                ));
            }
            if !before.insert(row.seq) {
                return Err(format!("number {} is stored twice: {}", row.seq, row.id));
            }
        }
        self.checked = model.rows.len();
        Ok(())
    }

    /// Channel, spool and dead letters stay within their bounds.
    fn check_bounds(&self) -> Result<(), String> {
        let largest = self.disk.largest();
        if largest > self.plan.spool_bytes {
            return Err(format!("the spool's file has {largest} bytes"));
        }
        let Some(process) = &self.process else {
            return Ok(());
        };
        let uploader = &process.pilot.uploader;
        let letters = uploader.dead_letter_bytes();
        if letters > self.plan.dead_letter_bytes {
            return Err(format!("the dead letters have {letters} bytes"));
        }
        let queued = process.ledger.queued();
        if queued > self.plan.capacity as u64 {
            let capacity = self.plan.capacity;
            return Err(format!("{queued} records in a channel of {capacity}"));
        }
        let in_work = uploader.in_work();
        let in_line = self.plan.policy.batch_records * (1 + MAX_LINE);
        if in_work > in_line.max(WITNESSED) {
            return Err(format!("{in_work} records in work at once"));
        }
        let holdings = uploader.spool_holdings();
        // A disk that lies tells any number.
        let held = holdings.total().saturating_mul(OVERHEAD);
        let held = held.saturating_add(holdings.bytes);
        // What is in work may not be given up: one batch on its way, and up to two
        // in line, since the last one in line is added to less than a batch.
        let bound = self.plan.spool_bytes + 3 * self.plan.policy.batch_bytes as u64;
        if self.plan.in_memory && held > bound {
            return Err(format!("{held} bytes in a spool in memory"));
        }
        Ok(())
    }

    /// The accounts are true.
    fn check_accounts(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let stats = process.ledger.stats("simulated");
        let sum = stats.delivered + stats.dropped + stats.rejected + stats.pending;
        if stats.accepted != sum {
            return Err(format!("the accounts do not add up: {stats:?}"));
        }
        if matches!(&stats.health, Health::Degraded(why) if why.starts_with("the dead-letter file is full"))
        {
            self.sights.note("dead letters full");
        }
        if !process.pilot.uploader.has_spool() {
            self.disk_trouble_until = self.now + DISK_RECOVERS_WITHIN;
            return Ok(());
        }
        let shadow = &lock(&self.shared).0;
        let of = |level| stats.lost.of(LossReason::SpoolFull, level);
        let evicted: u64 = LEVELS.into_iter().map(of).sum();
        if (stats.delivered + stats.rejected, evicted) != (shadow.removed, shadow.evicted) {
            let (removed, evicted) = (shadow.removed, shadow.evicted);
            return Err(format!(
                "{removed} records were taken out and {evicted} given up, not as in {stats:?}"
            ));
        }
        let counted = process.pilot.uploader.count_pending() + process.intake.gathered();
        if counted != stats.pending {
            let pending = stats.pending;
            return Err(format!("{counted} records are pending, not {pending}"));
        }
        Ok(())
    }

    fn note_breaker(&mut self) {
        use BreakerState::{Closed, HalfOpen, Open};
        let Some(process) = &mut self.process else {
            return;
        };
        let now = process.pilot.uploader.breaker();
        let before = std::mem::replace(&mut process.breaker, now);
        match (before, now) {
            (Closed, Open { .. }) => self.sights.note("breaker opened"),
            (Open { .. }, HalfOpen) => self.sights.note("breaker half-open"),
            (HalfOpen, Open { .. }) => self.sights.note("probe failed"),
            (Open { until }, Open { until: later }) if until != later => {
                self.sights.note("probe failed");
            }
            (HalfOpen | Open { .. }, Closed) => self.sights.note("breaker closed by a probe"),
            _ => {}
        }
    }

    /// Without any fault nothing waits much longer than it should.
    fn check_age(&mut self) -> Result<(), String> {
        if self.is_troubled || self.processes > 1 {
            return Ok(());
        }
        let shared = lock(&self.shared);
        if shared.0.count() >= self.plan.policy.batch_records {
            // There is more than one batch to do.
            self.backlog_at = self.now;
            return Ok(());
        }
        let oldest = shared.0.oldest();
        let entry = oldest.and_then(|id| shared.1.get(&id));
        let limit = self.plan.policy.flush_interval + Duration::from_secs(10);
        let waits_since = |entry: &Entry| entry.written_at.max(self.backlog_at);
        if entry.is_some_and(|entry| waits_since(entry) + limit < self.now) {
            return Err("a record waits far longer than the flush interval".to_owned());
        }
        Ok(())
    }

    /// What arrives is in the spool in time, and an answered flush means that it
    /// is as durable as it gets.
    fn check_durability(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let shared = lock(&self.shared);
        let entries = &shared.1.entries;
        let is_in_memory = self.plan.in_memory;
        let is_durable = |entry: &Entry| match is_in_memory {
            false => entry.is_committed || entry.is_evicted,
            true => entry.is_stored || entry.is_evicted || entry.kind.may_be_refused(),
        };
        for (answer, before) in &process.flushes {
            if answer.is_empty() {
                continue;
            }
            self.sights.note("flush answered");
            if !before.iter().all(|&place| is_durable(&entries[place])) {
                return Err("a flush is answered before everything is durable".to_owned());
            }
        }
        process
            .flushes
            .retain(|(answer, _)| answer.is_empty() && is_open(answer));
        let is_taken = |entry: &Entry| entry.is_committed || entry.is_evicted;
        while let Some(waiting) = process.waiting.front()
            && is_taken(&entries[waiting.place])
        {
            process.waiting.pop_front();
        }
        let oldest = process.waiting.front().map(|waiting| waiting.since);
        let is_late = oldest.is_some_and(|at| at + DURABLE_WITHIN < self.now);
        if is_late && self.now > self.disk_trouble_until {
            return Err("a record is not durable in time".to_owned());
        }
        Ok(())
    }

    /// A process that was told to stop is gone in time, whatever it waits for.
    fn check_end(&self) -> Result<(), String> {
        let ends_by = self.process.as_ref().and_then(|process| process.ends_by);
        if ends_by.is_some_and(|by| by + ENDS_WITHIN < self.now) {
            return Err("the process does not stop in time".to_owned());
        }
        Ok(())
    }

    /// The laws that hold in the end.
    ///
    /// # Errors
    /// The law that is broken.
    pub(super) fn judge(&mut self) -> Result<(), String> {
        let letters = read_letters(&self.dead_letters)?;
        let letter_bytes = std::fs::metadata(&self.dead_letters).map_or(0, |file| file.len());
        if letter_bytes > self.plan.dead_letter_bytes {
            return Err(format!("the dead letters have {letter_bytes} bytes"));
        }
        let letters_are_full = letter_bytes + LONGEST_LETTER > self.plan.dead_letter_bytes;
        let mut network = self.network.lock();
        let mut shared = lock(&self.shared);
        let (shadow, truth) = &mut *shared;
        self.sights.take(&mut network.sights);
        self.sights.take(&mut network.model.sights);
        self.sights.take(&mut shadow.sights);
        self.sights.take(&mut self.disk.take_sights());
        self.sights.count("dead letter", letters.len() as u64);
        let given_up = letters
            .values()
            .filter(|why| why.ends_with("; it takes others"));
        self.sights
            .count("record given up without a reason", given_up.count() as u64);
        for entry in &truth.entries {
            let reason = letters.get(entry.id.as_str());
            let may_be_refused = entry.kind.may_be_refused();
            if entry.is_stored != network.model.has(entry.id.as_str()) {
                return Err(format!("{} is stored and not stored", entry.id));
            }
            if reason.is_some() && entry.is_stored {
                return Err(format!("{} is stored and in the dead letters", entry.id));
            }
            if let Some(reason) = reason
                && !may_be_refused
                && !shadow.is_rotten
            {
                return Err(format!(
                    "{} ({:?}) is in the dead letters without need: {reason}",
                    entry.id, entry.kind
                ));
            }
            let is_excused = !entry.is_committed
                || entry.is_evicted
                || entry.is_lost
                || shadow.is_rotten
                || (may_be_refused && letters_are_full);
            if !entry.is_stored && reason.is_none() && !is_excused {
                return Err(format!(
                    "{} (number {} of process {}, {:?}, written at {:?}) is lost",
                    entry.id, entry.seq, entry.process, entry.kind, entry.written_at
                ));
            }
        }
        Ok(())
    }
}

/// A suspect and those from whom its witness is chosen.
const WITNESSED: usize = 1 + 1024;

fn is_open(answer: &Receiver<()>) -> bool {
    !matches!(answer.try_recv(), Err(TryRecvError::Disconnected))
}

fn read_letters(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| {
            let letter: Letter = serde_json::from_str(line).map_err(|error| error.to_string())?;
            Ok((letter.id, letter.reason))
        })
        .collect()
}
