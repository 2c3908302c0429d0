//! Carries out what the machine decides: spool, dead letters, accounts.
//!
//! Has neither thread nor clock: it is told the time, takes in chunks and
//! answers, and gives out batches. The thread around it is the
//! [`driver`](super::driver); a simulator would be another one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use telemetry_core::{Health, LossReason, level_index};

use super::breaker::BreakerState;
use super::dead_letters::DeadLetters;
use super::destination::{Answer, Batch, Outgoing};
use super::intake::{Chunk, Intake};
use super::ledger::Ledger;
use super::machine::{Action, Event, Item, Machine, Notice, Policy, Time};
use super::record::{Fresh, Stored};
use super::spool::{ByLevel, Holdings, Loaded, Spool, SpoolError};
use crate::complaint::complain;
use crate::planted;

/// What has arrived is committed after this long, so that it is durable within the
/// promised 200 ms, the writing included.
pub(crate) const COMMIT_INTERVAL: Duration = Duration::from_millis(150);

/// What was delivered is out of the spool's file after this long: with the next
/// records as a rule, which costs nothing, or by a transaction of its own. After
/// a crash before that it is sent again, and recognised. What went to the dead
/// letters would be there twice, so it has only [`COMMIT_INTERVAL`].
const REMOVAL_INTERVAL: Duration = Duration::from_secs(1);

/// A spool without room is opened anew at once so many times; then its bound is
/// too small for anything, and it is tried again like one that failed.
const MAX_NO_ROOM_IN_A_ROW: u32 = 20;

fn commit_interval() -> Duration {
    if planted!(CommitsLate) {
        return 20 * COMMIT_INTERVAL;
    }
    COMMIT_INTERVAL
}

/// A spool that failed is opened anew after this long.
const REOPEN_INTERVAL: Duration = Duration::from_secs(2);

/// Opens the spool as it is told; returns beside it why an old file had to be
/// set aside.
pub(crate) type OpenSpool =
    Box<dyn FnMut(&Opening) -> Result<(Box<dyn Spool>, Option<String>), SpoolError> + Send>;

/// What was learnt when the spool was open before.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// It was refused to grow: give it its full size.
    pub(crate) at_full_size: bool,
    /// How often it had no room at its full size: it must hold less.
    pub(crate) tightness: u32,
    /// It made no sense, and why: set it aside.
    pub(crate) corrupt: Option<String>,
}

/// What the uploader shows to the outside, besides the accounts.
#[derive(Clone)]
pub(crate) struct Gauges {
    /// Records in channel and spool.
    pub(crate) buffered: metrics::Gauge,
    /// Size of the spool's file.
    pub(crate) spool_bytes: metrics::Gauge,
    /// 0 closed, 1 half-open, 2 open.
    pub(crate) breaker: metrics::Gauge,
    /// Records in the dead-letter file.
    pub(crate) dead_letters: metrics::Gauge,
}

/// What an uploader is made of.
pub(crate) struct Parts {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) open_spool: OpenSpool,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) gauges: Gauges,
    pub(crate) policy: Policy,
    pub(crate) jitter: Box<dyn FnMut() -> f64 + Send>,
}

/// See the [module](self).
pub(crate) struct Uploader {
    ledger: Arc<Ledger>,
    intake: Arc<Intake>,
    open_spool: OpenSpool,
    opening: Opening,
    spool: Option<Box<dyn Spool>>,
    /// Why there is no spool.
    spool_trouble: Option<String>,
    reopen_at: Time,
    /// How often the spool had no room since it took something.
    no_room_in_a_row: u32,
    /// Something that somebody should look at, whatever happens next.
    note: Option<String>,
    machine: Machine,
    dead_letters: DeadLetters,
    gauges: Gauges,
    /// Arrived, but not in the spool.
    staged: Vec<Chunk>,
    /// A transaction with what is staged has failed, and may have been carried
    /// out all the same.
    is_repeating: bool,
    /// Bytes of their lines.
    staged_bytes: usize,
    commit_at: Option<Time>,
    sync_at: Option<Time>,
    /// The records that the machine works on, in the order of their keys.
    batch: Vec<Arc<Stored>>,
    outgoing: VecDeque<Outgoing>,
    /// Answered when everything that had arrived is in the spool.
    flushes: Vec<Sender<()>>,
    /// Answered when the spool holds nothing up to the key any more.
    deliveries: Vec<(u64, Sender<()>)>,
    is_finished: bool,
}

impl Uploader {
    /// Opens the spool. Without one the uploader goes on and tries again: a
    /// full disk at the start must not cost what comes after it.
    ///
    /// # Errors
    /// [`SpoolError::InUse`] and [`SpoolError::Version`]: no waiting helps.
    pub(crate) fn start(parts: Parts) -> Result<Self, SpoolError> {
        let machine = Machine::new(parts.policy, parts.jitter);
        let mut uploader = Self {
            ledger: parts.ledger,
            intake: parts.intake,
            open_spool: parts.open_spool,
            opening: Opening::default(),
            spool: None,
            spool_trouble: None,
            reopen_at: Time::ZERO,
            no_room_in_a_row: 0,
            note: None,
            machine,
            dead_letters: parts.dead_letters,
            gauges: parts.gauges,
            staged: Vec::new(),
            is_repeating: false,
            staged_bytes: 0,
            commit_at: None,
            sync_at: None,
            batch: Vec::new(),
            outgoing: VecDeque::new(),
            flushes: Vec::new(),
            deliveries: Vec::new(),
            is_finished: false,
        };
        match uploader.try_open(Time::ZERO) {
            Err(error @ (SpoolError::InUse | SpoolError::Version { .. })) => return Err(error),
            Err(error) => uploader.spool_failed(Time::ZERO, error),
            Ok(()) => {}
        }
        uploader.show();
        Ok(uploader)
    }

    /// Records are waiting to be collected: they must be durable in time.
    pub(crate) fn expect_records(&mut self, now: Time) {
        self.commit_at.get_or_insert(now + commit_interval());
    }

    /// Whether [`turn`](Self::turn) would commit what has arrived.
    pub(crate) fn is_commit_due(&self, now: Time) -> bool {
        self.commit_at.is_some_and(|at| at <= now)
    }

    /// Something that somebody should know about the destination.
    pub(crate) fn take_note(&mut self, note: String) {
        if self.note.as_ref() != Some(&note) {
            tracing::warn!("{note}");
            self.note = Some(note);
        }
    }

    /// What is on its way to the spool and in it, counted one by one.
    #[cfg(feature = "simulation")]
    pub(crate) fn count_pending(&self) -> u64 {
        let staged: u64 = self.staged.iter().flat_map(Chunk::by_level).sum();
        staged + self.holdings().total()
    }

    /// What the spool holds.
    #[cfg(feature = "simulation")]
    pub(crate) fn spool_holdings(&self) -> Holdings {
        self.holdings()
    }

    /// Records that were loaded and are kept in memory.
    #[cfg(feature = "simulation")]
    pub(crate) fn in_work(&self) -> usize {
        self.batch.len()
    }

    /// Size of the dead-letter file.
    #[cfg(feature = "simulation")]
    pub(crate) fn dead_letter_bytes(&self) -> u64 {
        self.dead_letters.bytes()
    }

    /// Whether the spool is open.
    #[cfg(feature = "simulation")]
    pub(crate) fn has_spool(&self) -> bool {
        self.spool.is_some()
    }

    /// Records that were sent before older ones.
    #[cfg(feature = "simulation")]
    pub(crate) fn witnesses(&self) -> u64 {
        self.machine.witnesses()
    }

    /// The state of the breaker.
    #[cfg(feature = "simulation")]
    pub(crate) fn breaker(&self) -> BreakerState {
        self.machine.breaker()
    }

    /// Takes in records.
    pub(crate) fn receive(&mut self, now: Time, chunk: Chunk) {
        self.staged_bytes += chunk.bytes();
        self.staged.push(chunk);
        self.expect_records(now);
        // A whole transaction has nothing to wait for. After a failure it has:
        // then the time stands further off.
        let is_whole = self.staged_bytes >= self.append_limit();
        if is_whole && self.commit_at <= Some(now + commit_interval()) {
            self.commit_at = Some(now);
        }
    }

    fn append_limit(&self) -> usize {
        let spool = self.spool.as_ref();
        spool.map_or(usize::MAX, |spool| spool.append_limit())
    }

    /// Answers `done` when everything received is durable: in a file, or
    /// delivered when the spool is in memory.
    pub(crate) fn flush(&mut self, now: Time, done: Sender<()>) {
        self.flushes.push(done);
        if planted!(AnswersFlushesEarly) {
            self.answer_flushes();
        }
        self.commit(now);
        if self.spool.as_ref().is_some_and(|spool| !spool.is_durable()) {
            self.step(now, Event::Flush);
        }
    }

    /// Whether a batch that was given out waits for its answer.
    pub(crate) fn is_sending(&self) -> bool {
        self.machine.is_sending()
    }

    /// Takes in what became of the batch that [`turn`](Self::turn) gave out.
    pub(crate) fn answered(&mut self, now: Time, answer: Answer) {
        self.step(now, Event::Answered(answer));
    }

    /// Begins to deliver what can be delivered until then.
    pub(crate) fn drain(&mut self, now: Time, until: Time) {
        self.commit(now);
        self.step(now, Event::Drain { until });
    }

    /// Does what is due; returns a batch to upload. Call again until there is
    /// none.
    pub(crate) fn turn(&mut self, now: Time) -> Option<Outgoing> {
        if self.is_finished {
            return None;
        }
        if self.spool.is_none() && now >= self.reopen_at && !self.machine.is_sending() {
            self.reopen(now);
        }
        if self.spool.is_some() && self.commit_at.is_some_and(|at| at <= now) {
            self.commit(now);
        }
        if self.sync_at.is_some_and(|at| at <= now) {
            self.sync(now);
        }
        if self.machine.wake_at().is_some_and(|at| at <= now) {
            self.step(now, Event::Tick);
        }
        self.show();
        self.outgoing.pop_front()
    }

    /// When to call [`turn`](Self::turn) again at the latest.
    pub(crate) fn wake_at(&self) -> Option<Time> {
        let spool = match self.spool {
            Some(_) => self.commit_at.into_iter().chain(self.sync_at).min(),
            None if self.machine.is_sending() => None,
            None => Some(self.reopen_at),
        };
        [self.machine.wake_at(), spool].into_iter().flatten().min()
    }

    /// Draining is over: what is left is in the spool, or counted as lost.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished
    }

    fn try_open(&mut self, now: Time) -> Result<(), SpoolError> {
        let (spool, set_aside) = (self.open_spool)(&self.opening)?;
        self.opening.corrupt = None;
        if let Some(reason) = set_aside {
            let note = format!("the spool was corrupt and a new one begun: {reason}");
            tracing::error!(error_type = "upload", "{note}");
            complain(&note);
            self.note = Some(note);
        }
        let holdings = spool.holdings();
        let was_open = spool.breaker_was_open();
        self.ledger.spool_counted(&holdings);
        self.spool_trouble = None;
        self.spool = Some(spool);
        self.batch.clear();
        self.step(now, Event::Reopened { holdings, was_open });
        Ok(())
    }

    fn reopen(&mut self, now: Time) {
        match self.try_open(now) {
            Ok(()) => {
                tracing::info!("the spool works again");
            }
            Err(error) => self.spool_failed(now, error),
        }
    }

    /// Without a spool nothing is taken in and nothing is sent, until it can be
    /// opened anew. What is staged waits.
    fn spool_failed(&mut self, now: Time, error: SpoolError) {
        self.spool = None;
        self.sync_at = None;
        match &error {
            SpoolError::NoRoom { may_grow: true } if !self.opening.at_full_size => {
                self.opening.at_full_size = true;
                self.reopen_at = now;
                return;
            }
            SpoolError::NoRoom { may_grow } => {
                // With room to grow the file was only made smaller meanwhile.
                self.opening.tightness += u32::from(!may_grow);
                self.no_room_in_a_row += 1;
                if self.no_room_in_a_row <= MAX_NO_ROOM_IN_A_ROW {
                    self.reopen_at = now;
                    return;
                }
            }
            SpoolError::Corrupt(reason) => self.opening.corrupt = Some(reason.clone()),
            _ => {}
        }
        self.reopen_at = now + REOPEN_INTERVAL;
        let reason = format!("the spool does not work: {}", with_causes(&error));
        if self.spool_trouble.as_ref() != Some(&reason) {
            tracing::error!(error_type = "upload", "{reason}");
            complain(&reason);
        }
        self.spool_trouble = Some(reason);
    }

    /// Moves what is staged into the spool.
    fn commit(&mut self, now: Time) {
        if self.spool.is_none() {
            return;
        }
        self.staged_bytes = 0;
        let mut staged = std::mem::take(&mut self.staged).into_iter().peekable();
        while staged.peek().is_some() {
            let part = self.next_part(&mut staged);
            if let Err(error) = self.append(&part) {
                if !planted!(LosesWhatTheSpoolRefuses) {
                    self.staged = part;
                }
                self.staged.extend(staged);
                self.is_repeating = true;
                self.staged_bytes = self.staged.iter().map(Chunk::bytes).sum();
                self.spool_failed(now, error);
                // Not at once: what the spool holds may be delivered before,
                // and that makes room on a full disk.
                self.commit_at = Some(self.reopen_at + self.reopen_at.saturating_sub(now));
                self.step(now, Event::Spooled(Holdings::default()));
                return;
            }
            for chunk in part {
                self.intake.give_back(chunk);
            }
        }
        self.no_room_in_a_row = 0;
        self.commit_at = None;
        self.sync_at = None;
        self.answer_flushes();
        let holdings = self.holdings();
        let event = match std::mem::take(&mut self.is_repeating) {
            true => Event::SpooledAgain(holdings),
            false => Event::Spooled(holdings),
        };
        self.step(now, event);
    }

    /// Chunks for one transaction: at least one, at most what the spool wants.
    fn next_part(&self, staged: &mut std::iter::Peekable<std::vec::IntoIter<Chunk>>) -> Vec<Chunk> {
        let limit = self.append_limit();
        let mut part: Vec<Chunk> = staged.next().into_iter().collect();
        let mut bytes: usize = part.iter().map(Chunk::bytes).sum();
        while let Some(chunk) = staged.next_if(|chunk| bytes + chunk.bytes() <= limit) {
            bytes += chunk.bytes();
            part.push(chunk);
        }
        part
    }

    fn append(&mut self, part: &[Chunk]) -> Result<(), SpoolError> {
        let Some(spool) = &mut self.spool else {
            return Ok(());
        };
        let records: Vec<Fresh<'_>> = part.iter().flat_map(Chunk::records).collect();
        let evicted = spool.append(&records, self.machine.in_work_up_to())?;
        let bytes = part.iter().map(Chunk::bytes).sum();
        let mut counts = ByLevel::default();
        for chunk in part {
            for (sum, count) in counts.iter_mut().zip(chunk.by_level()) {
                *sum += count;
            }
        }
        self.ledger
            .spooled(&counts, bytes, &evicted, &spool.holdings());
        Ok(())
    }

    fn answer_flushes(&mut self) {
        let Some(spool) = &self.spool else { return };
        let newest = spool.holdings().last_key;
        for done in std::mem::take(&mut self.flushes) {
            match newest {
                Some(key) if !spool.is_durable() => self.deliveries.push((key, done)),
                // Nobody waiting any more is no error.
                _ => {
                    let _ = done.try_send(());
                }
            }
        }
    }

    fn answer_deliveries(&mut self) {
        let first = self.holdings().first_key;
        self.deliveries.retain(|(key, done)| {
            let still_there = first.is_some_and(|first| first <= *key);
            if !still_there {
                let _ = done.try_send(());
            }
            still_there
        });
    }

    fn sync(&mut self, now: Time) {
        self.sync_at = None;
        if let Some(spool) = &mut self.spool
            && let Err(error) = spool.sync()
        {
            self.spool_failed(now, error);
            self.step(now, Event::Spooled(Holdings::default()));
        }
    }

    fn holdings(&self) -> Holdings {
        self.spool
            .as_ref()
            .map(|spool| spool.holdings())
            .unwrap_or_default()
    }

    /// Tells the machine, does what it says, tells it what came of that.
    fn step(&mut self, now: Time, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.machine.step(now, event) {
                match self.carry_out(now, action) {
                    Ok(more) => events.extend(more),
                    Err(error) => {
                        self.spool_failed(now, error);
                        events.push_back(Event::Loaded(Vec::new()));
                        events.push_back(Event::Spooled(Holdings::default()));
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, now: Time, action: Action) -> Result<Vec<Event>, SpoolError> {
        match action {
            Action::Load {
                after,
                records,
                bytes,
            } => return self.load(after, records, bytes),
            Action::Send { keys, resent } => self.give_out(&keys, resent, false),
            Action::LineUp { keys } => self.give_out(&keys, false, true),
            Action::Remove(keys) => return self.remove(now, &keys, None),
            Action::Bury { key, reason } => return self.remove(now, &[key], Some(&reason)),
            Action::RememberBreaker(open) => {
                if let Some(spool) = &mut self.spool {
                    spool.remember_breaker(open)?;
                }
            }
            Action::Announce(notice) => announce(&notice),
            Action::Finish => self.finish(now),
        }
        Ok(Vec::new())
    }

    fn load(
        &mut self,
        after: Option<u64>,
        records: usize,
        bytes: usize,
    ) -> Result<Vec<Event>, SpoolError> {
        let loaded = match &mut self.spool {
            Some(spool) => spool.load(after, records, bytes)?,
            None => Loaded::default(),
        };
        let has_changed = loaded.is_counted_anew;
        if has_changed {
            self.report_senseless(&loaded.senseless);
        }
        let loaded = loaded.records;
        let item = |record: &Stored| Item {
            key: record.key,
            bytes: record.line.len(),
        };
        let items = loaded.iter().map(item).collect();
        self.batch.retain(|record| Some(record.key) <= after);
        self.batch.extend(loaded.into_iter().map(Arc::new));
        let mut events = vec![Event::Loaded(items)];
        events.extend(has_changed.then(|| Event::Spooled(self.holdings())));
        Ok(events)
    }

    /// Accounts for what the spool took out, or had counted wrongly.
    fn report_senseless(&mut self, senseless: &ByLevel) {
        self.ledger.spool_counted(&self.holdings());
        let count: u64 = senseless.iter().sum();
        if count == 0 {
            return;
        }
        let note = format!("{count} records of the spool made no sense and were taken out");
        tracing::error!(error_type = "upload", "{note}");
        complain(&note);
        self.note = Some(note);
    }

    fn find(&self, key: u64) -> Option<&Arc<Stored>> {
        let place = self.batch.binary_search_by_key(&key, |record| record.key);
        place.ok().map(|index| &self.batch[index])
    }

    /// Where in the batch those from the first to the last of these keys are.
    fn place_of(&self, keys: &[u64]) -> std::ops::Range<usize> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
            return 0..0;
        };
        let start = self.batch.partition_point(|record| record.key < *first);
        let end = self.batch.partition_point(|record| record.key <= *last);
        start..end.max(start)
    }

    fn give_out(&mut self, keys: &[u64], resent: bool, is_in_line: bool) {
        let records: Vec<Arc<Stored>> = keys
            .iter()
            .filter_map(|&key| self.find(key).cloned())
            .collect();
        debug_assert_eq!(records.len(), keys.len(), "only what was loaded is sent");
        let batch = Batch { records, resent };
        self.outgoing.push_back(Outgoing { batch, is_in_line });
    }

    /// Takes records out of the spool: delivered ones, or refused ones that go
    /// to the dead letters before.
    fn remove(
        &mut self,
        now: Time,
        keys: &[u64],
        refused: Option<&str>,
    ) -> Result<Vec<Event>, SpoolError> {
        let place = self.place_of(keys);
        let (records, kept): (Vec<_>, Vec<_>) = self.batch[place.clone()]
            .iter()
            .cloned()
            .partition(|record| keys.binary_search(&record.key).is_ok());
        let Some(spool) = &mut self.spool else {
            // They are sent again once the spool works, and recognised.
            return Ok(Vec::new());
        };
        if let Some(reason) = refused {
            for record in records.iter().filter(|_| !planted!(BuriesNothing)) {
                bury(&mut self.dead_letters, record, reason, &mut self.note);
            }
        }
        let borrowed: Vec<&Stored> = records.iter().map(Arc::as_ref).collect();
        let removed = spool.remove(&borrowed)?;
        let holdings = spool.holdings();
        match refused {
            None => {
                let delivered = if planted!(CountsDeliveriesTwice) {
                    removed + removed.min(1)
                } else {
                    removed
                };
                let refused = ByLevel::default();
                self.ledger.settled(delivered, &refused, &holdings);
            }
            Some(_) => {
                let mut by_level = ByLevel::default();
                for record in &records {
                    by_level[level_index(record.level)] += 1;
                }
                self.ledger.settled(0, &by_level, &holdings);
            }
        }
        self.batch.splice(place, kept);
        let due = now
            + match refused {
                None => REMOVAL_INTERVAL,
                Some(_) => commit_interval(),
            };
        self.sync_at = Some(self.sync_at.map_or(due, |at| at.min(due)));
        self.answer_deliveries();
        Ok(vec![Event::Spooled(holdings)])
    }

    /// The end of draining.
    fn finish(&mut self, now: Time) {
        self.commit(now);
        let reason = match self.spool {
            Some(_) => LossReason::Shutdown,
            None => LossReason::IoError,
        };
        self.sync(now);
        let is_durable = self.spool.as_ref().is_none_or(|spool| spool.is_durable());
        self.ledger.lose_queued(reason, !is_durable);
        self.show();
        self.spool = None;
        self.outgoing.clear();
        self.is_finished = true;
    }

    /// Shows health and gauges.
    fn show(&self) {
        self.ledger.set_health(self.health());
        self.gauges.buffered.set(self.ledger.pending() as f64);
        self.gauges
            .dead_letters
            .set(self.dead_letters.count() as f64);
        if let Some(spool) = &self.spool {
            self.gauges.spool_bytes.set(spool.file_bytes() as f64);
        }
        self.gauges.breaker.set(match self.machine.breaker() {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open { .. } => 2.0,
        });
    }

    fn health(&self) -> Health {
        if let Some(reason) = &self.spool_trouble {
            return Health::Failing(reason.clone());
        }
        match self.machine.trouble().or(self.note.as_deref()) {
            Some(reason) => Health::Degraded(reason.to_owned()),
            None => Health::Good,
        }
    }
}

/// An error and what it came from, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Writes a dead letter. A record that cannot be kept is counted all the same.
fn bury(letters: &mut DeadLetters, record: &Stored, reason: &str, note: &mut Option<String>) {
    let trouble = match letters.add(record, reason) {
        Ok(true) => return,
        Ok(false) => "the dead-letter file is full; refused records are only counted".to_owned(),
        Err(error) => format!("cannot write the dead letters: {error}"),
    };
    if note.as_ref() != Some(&trouble) {
        complain(&trouble);
        *note = Some(trouble);
    }
}

/// Tells about a change through `tracing`; the sink keeps these out of itself.
fn announce(notice: &Notice) {
    match notice {
        Notice::Recovered => tracing::info!("{notice}"),
        Notice::RoundFailed(_) | Notice::BreakerOpened { .. } | Notice::Waiting(_) => {
            tracing::warn!("{notice}");
        }
    }
}

#[cfg(test)]
mod tests;
