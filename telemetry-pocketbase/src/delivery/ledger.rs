//! The accounts: what became of every record that was offered.
//!
//! One lock, so that every snapshot keeps the law
//! `accepted = delivered + dropped + rejected + pending`. The number in the
//! spool is what the spool itself counts; nothing is derived from the law.

use std::sync::{Mutex, MutexGuard, PoisonError};

use telemetry_core::{Health, LEVELS, LossReason, Losses, SinkStats, level_index};
use tracing::Level;

use super::spool::{ByLevel, Holdings};

/// Most bytes of lines between `write` and the spool.
const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// The accounts of one sink, shared by those who write and the uploader.
#[derive(Debug)]
pub(crate) struct Ledger {
    capacity: u64,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    accepted: u64,
    delivered: u64,
    losses: Losses,
    /// Between `write` and the spool.
    queued: ByLevel,
    queued_bytes: usize,
    /// In the spool.
    spooled: ByLevel,
    health: Health,
    /// A loss that is not repaired yet: says so in the health.
    losing: Option<String>,
}

impl Ledger {
    /// Accounts with room for `capacity` records before the spool.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity as u64,
            books: Mutex::new(Books::default()),
        }
    }

    /// A record is offered: it is queued, or dropped (and false returned).
    pub(crate) fn admit(&self, level: Level, bytes: usize) -> bool {
        let mut books = self.lock();
        books.accepted += 1;
        let records: u64 = books.queued.iter().sum();
        if records >= self.capacity || books.queued_bytes + bytes > MAX_QUEUED_BYTES {
            books.losses.add(LossReason::ChannelFull, level, 1);
            books.losing = Some("the channel to the uploader is full".to_owned());
            return false;
        }
        books.queued[level_index(level)] += 1;
        books.queued_bytes += bytes;
        true
    }

    /// A record is offered after the end.
    pub(crate) fn refuse(&self, level: Level) {
        let mut books = self.lock();
        books.accepted += 1;
        books.losses.add(LossReason::Shutdown, level, 1);
    }

    /// The spool was opened. What it holds more than was known counts as
    /// accepted, what it lacks as lost.
    pub(crate) fn spool_opened(&self, holdings: &Holdings) {
        let mut books = self.lock();
        for (index, level) in LEVELS.into_iter().enumerate() {
            let (known, found) = (books.spooled[index], holdings.records[index]);
            books.accepted += found.saturating_sub(known);
            let lacking = known.saturating_sub(found);
            books.losses.add(LossReason::IoError, level, lacking);
        }
        books.spooled = holdings.records;
    }

    /// Queued records reached the spool, and some gave way for them.
    pub(crate) fn spooled(
        &self,
        records: &ByLevel,
        bytes: usize,
        evicted: &ByLevel,
        holdings: &Holdings,
    ) {
        let mut books = self.lock();
        books.unqueue(records, bytes);
        books.lose(LossReason::SpoolFull, evicted);
        books.losing = evicted
            .iter()
            .any(|&count| count > 0)
            .then(|| "the spool is full; the least valuable records go".to_owned());
        books.spooled = holdings.records;
    }

    /// Records left the spool: `delivered` of them arrived, the others
    /// (by level) were refused.
    pub(crate) fn settled(&self, delivered: u64, refused: &ByLevel, holdings: &Holdings) {
        let mut books = self.lock();
        books.delivered += delivered;
        books.lose(LossReason::Refused, refused);
        books.spooled = holdings.records;
    }

    /// The end: what is still queued, and what a spool in memory still holds,
    /// is lost.
    pub(crate) fn lose_queued(&self, reason: LossReason, with_spooled: bool) {
        let mut books = self.lock();
        let queued = std::mem::take(&mut books.queued);
        books.queued_bytes = 0;
        books.lose(reason, &queued);
        if with_spooled {
            let spooled = std::mem::take(&mut books.spooled);
            books.lose(reason, &spooled);
        }
    }

    /// How the uploader is.
    pub(crate) fn set_health(&self, health: Health) {
        self.lock().health = health;
    }

    /// Records on their way.
    pub(crate) fn pending(&self) -> u64 {
        self.lock().pending()
    }

    /// One snapshot.
    pub(crate) fn stats(&self, name: &'static str) -> SinkStats {
        let books = self.lock();
        let rejected: u64 = LEVELS
            .into_iter()
            .map(|level| books.losses.of(LossReason::Refused, level))
            .sum();
        SinkStats {
            name: name.into(),
            accepted: books.accepted,
            delivered: books.delivered,
            dropped: books.losses.total() - rejected,
            rejected,
            pending: books.pending(),
            health: books.health(),
            lost: books.losses.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn pending(&self) -> u64 {
        self.queued.iter().chain(&self.spooled).sum()
    }

    fn unqueue(&mut self, records: &ByLevel, bytes: usize) {
        for (queued, gone) in self.queued.iter_mut().zip(records) {
            *queued = queued.saturating_sub(*gone);
        }
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
    }

    fn lose(&mut self, reason: LossReason, records: &ByLevel) {
        for (level, &count) in LEVELS.into_iter().zip(records) {
            self.losses.add(reason, level, count);
        }
    }

    fn health(&self) -> Health {
        match &self.losing {
            Some(reason) => Health::Failing(reason.clone()),
            None => self.health.clone(),
        }
    }
}
