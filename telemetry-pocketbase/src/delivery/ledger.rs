//! The accounts: what became of every record that was offered.
//!
//! One lock, so that every snapshot keeps the law
//! `accepted = delivered + dropped + rejected + pending`. The number in the
//! spool is what the spool itself counts; nothing is derived from the law.

use std::sync::{Mutex, MutexGuard, PoisonError};

use telemetry_core::{Health, LEVELS, LossReason, Losses, SinkStats, level_index};
use tracing::Level;

use super::spool::{ByLevel, Holdings};
use crate::planted;

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
        let capacity = if planted!(ForgetsCapacity) {
            u64::MAX
        } else {
            self.capacity
        };
        if records >= capacity || books.queued_bytes + bytes > MAX_QUEUED_BYTES {
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

    /// The spool was opened, or counted anew. What it holds more than was known
    /// counts as accepted, what it lacks as lost.
    pub(crate) fn spool_counted(&self, holdings: &Holdings) {
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
        if !planted!(ForgetsEvictions) {
            books.lose(LossReason::SpoolFull, evicted);
        }
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

    /// Records between `write` and the spool.
    #[cfg(feature = "simulation")]
    pub(crate) fn queued(&self) -> u64 {
        self.lock().queued.iter().sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn holdings(infos: u64) -> Holdings {
        Holdings {
            records: [0, 0, infos, 0, 0],
            ..Holdings::default()
        }
    }

    fn infos(count: u64) -> ByLevel {
        [0, 0, count, 0, 0]
    }

    /// Accepted, delivered, dropped, rejected, pending; the law is checked.
    fn accounts(ledger: &Ledger) -> [u64; 5] {
        let s = ledger.stats("test");
        assert_eq!(
            s.accepted,
            s.delivered + s.dropped + s.rejected + s.pending,
            "{s:?}"
        );
        [s.accepted, s.delivered, s.dropped, s.rejected, s.pending]
    }

    #[test]
    fn every_way_of_a_record_keeps_the_law() {
        let ledger = Ledger::new(5);
        ledger.spool_counted(&holdings(3));
        assert_eq!(accounts(&ledger), [3, 0, 0, 0, 3]);
        for _ in 0..7 {
            ledger.admit(Level::INFO, 10);
        }
        assert_eq!(accounts(&ledger), [10, 0, 2, 0, 8]);
        ledger.spooled(&infos(5), 50, &infos(1), &holdings(7));
        assert_eq!(accounts(&ledger), [10, 0, 3, 0, 7]);
        ledger.settled(4, &infos(0), &holdings(3));
        ledger.settled(0, &infos(1), &holdings(2));
        assert_eq!(accounts(&ledger), [10, 4, 3, 1, 2]);
        ledger.refuse(Level::ERROR);
        assert_eq!(accounts(&ledger), [11, 4, 4, 1, 2]);
        ledger.lose_queued(LossReason::Shutdown, true);
        assert_eq!(accounts(&ledger), [11, 4, 6, 1, 0]);
    }

    #[test]
    fn spool_that_comes_back_different_is_accounted_for() {
        let ledger = Ledger::new(5);
        ledger.spool_counted(&holdings(10));
        ledger.settled(4, &infos(0), &holdings(6));
        // The removal was not durable: four are there again.
        ledger.spool_counted(&holdings(10));
        assert_eq!(accounts(&ledger), [14, 4, 0, 0, 10]);
        ledger.spool_counted(&holdings(0));
        assert_eq!(accounts(&ledger), [14, 4, 10, 0, 0]);
    }

    #[test]
    fn channel_is_bounded_in_bytes_too() {
        let ledger = Ledger::new(1000);
        assert!(ledger.admit(Level::INFO, MAX_QUEUED_BYTES));
        assert!(!ledger.admit(Level::INFO, 1));
        assert!(matches!(ledger.stats("test").health, Health::Failing(_)));
        ledger.spooled(&infos(1), MAX_QUEUED_BYTES, &infos(0), &holdings(1));
        assert_eq!(ledger.stats("test").health, Health::Good);
    }
}
