//! The uploader with a spool that fails and a server that is only answers.

use std::sync::Mutex;

use crossbeam_channel::Receiver;
use telemetry_core::SinkStats;
use tracing::Level;
use uuid::Uuid;

use super::super::destination::{Doubt, Rest, Verdict};
use super::super::intake::Message;
use super::super::spool::{Evicted, MemorySpool};
use super::*;
use crate::id::RecordId;

const SECOND: Time = Duration::from_secs(1);

/// A spool whose content outlives it, as that of a disk does.
struct FlakySpool {
    disk: Arc<Mutex<Disk>>,
}

struct Disk {
    content: MemorySpool,
    /// What the next operation fails with.
    failure: Option<SpoolError>,
    openings: Vec<(bool, bool)>,
}

impl Disk {
    fn fail(&mut self) -> Result<(), SpoolError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl Spool for FlakySpool {
    fn append(&mut self, records: &[Fresh<'_>], up_to: Option<u64>) -> Result<Evicted, SpoolError> {
        let mut disk = self.disk.lock().unwrap();
        disk.fail()?;
        disk.content.append(records, up_to)
    }
    fn append_limit(&self) -> usize {
        1000
    }
    fn load(
        &mut self,
        after: Option<u64>,
        records: usize,
        bytes: usize,
    ) -> Result<Loaded, SpoolError> {
        let mut disk = self.disk.lock().unwrap();
        disk.fail()?;
        disk.content.load(after, records, bytes)
    }
    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError> {
        let mut disk = self.disk.lock().unwrap();
        disk.fail()?;
        disk.content.remove(records)
    }
    fn sync(&mut self) -> Result<(), SpoolError> {
        self.disk.lock().unwrap().fail()
    }
    fn holdings(&self) -> Holdings {
        self.disk.lock().unwrap().content.holdings()
    }
    fn file_bytes(&self) -> u64 {
        0
    }
    fn is_durable(&self) -> bool {
        true
    }
    fn breaker_was_open(&self) -> bool {
        false
    }
    fn remember_breaker(&mut self, _open: bool) -> Result<(), SpoolError> {
        self.disk.lock().unwrap().fail()
    }
}

struct World {
    uploader: Uploader,
    ledger: Arc<Ledger>,
    intake: Arc<Intake>,
    inbox: Receiver<Message>,
    disk: Arc<Mutex<Disk>>,
    now: Time,
    next_seq: u64,
    /// Ids in the order of delivery.
    delivered: Vec<RecordId>,
}

impl World {
    fn new() -> Self {
        let ledger = Arc::new(Ledger::new(10_000));
        let (intake, inbox) = Intake::new(ledger.clone(), 10_000);
        let intake = Arc::new(intake);
        let disk = Arc::new(Mutex::new(Disk {
            content: MemorySpool::new(1 << 20),
            failure: None,
            openings: Vec::new(),
        }));
        let opened = disk.clone();
        let uploader = Uploader::start(Parts {
            ledger: ledger.clone(),
            intake: intake.clone(),
            open_spool: Box::new(move |opening| {
                let mut disk = opened.lock().unwrap();
                disk.openings
                    .push((opening.at_full_size, opening.corrupt.is_some()));
                let disk = opened.clone();
                Ok((Box::new(FlakySpool { disk }), None))
            }),
            dead_letters: DeadLetters::open("unused".as_ref(), 0).unwrap(),
            gauges: crate::instruments::gauges(),
            policy: Policy::default(),
            jitter: Box::new(|| 1.0),
        });
        Self {
            uploader: uploader.unwrap(),
            ledger,
            intake,
            inbox,
            disk,
            now: SECOND,
            next_seq: 1,
            delivered: Vec::new(),
        }
    }

    fn write(&mut self, count: u64) {
        for _ in 0..count {
            let id = RecordId::of(Uuid::nil(), self.next_seq);
            self.intake.offer(Level::INFO, id, r#"{"a":1}"#).unwrap();
            self.next_seq += 1;
        }
        self.intake.send_gathered();
        while let Ok(Message::Chunk(chunk)) = self.inbox.try_recv() {
            self.uploader.receive(self.now, chunk);
        }
    }

    fn fail_next(&self, failure: SpoolError) {
        self.disk.lock().unwrap().failure = Some(failure);
    }

    /// Lets time pass to the next thing that is due; answers what is sent.
    fn go_on(&mut self) {
        let wake = self.uploader.wake_at().unwrap_or(self.now);
        self.now = self.now.max(wake);
        while let Some(outgoing) = self.uploader.turn(self.now) {
            let batch = outgoing.batch;
            self.delivered.extend(batch.records.iter().map(|r| r.id));
            let answer = Answer::delivered(batch.records.len());
            self.uploader.answered(self.now, answer);
        }
        self.stats();
    }

    fn stats(&self) -> SinkStats {
        let stats = self.ledger.stats("test");
        let sum = stats.delivered + stats.dropped + stats.rejected + stats.pending;
        assert_eq!(stats.accepted, sum, "{stats:?}");
        stats
    }

    fn expected(&self) -> Vec<RecordId> {
        (1..self.next_seq)
            .map(|seq| RecordId::of(Uuid::nil(), seq))
            .collect()
    }
}

fn broken() -> SpoolError {
    SpoolError::Disk("no space left".to_owned())
}

#[test]
fn what_arrives_is_committed_within_the_interval() {
    let mut world = World::new();
    world.write(10);
    assert_eq!(world.uploader.wake_at(), Some(world.now + COMMIT_INTERVAL));
    world.go_on();
    assert_eq!(world.disk.lock().unwrap().content.holdings().total(), 10);
}

#[test]
fn what_fills_a_transaction_is_committed_at_once() {
    let mut world = World::new();
    world.write(200);
    assert_eq!(world.uploader.wake_at(), Some(world.now));
    world.go_on();
    assert_eq!(world.delivered, world.expected());
}

#[test]
fn spool_that_fails_to_take_records_loses_none() {
    let mut world = World::new();
    world.write(250);
    world.fail_next(broken());
    world.go_on();
    let stats = world.stats();
    assert_eq!((stats.pending, stats.dropped), (250, 0));
    assert!(matches!(stats.health, Health::Failing(reason) if reason.contains("no space left")));
    for _ in 0..6 {
        world.go_on();
    }
    assert_eq!(world.delivered, world.expected());
    assert_eq!(world.stats().health, Health::Good);
}

#[test]
fn spool_that_has_no_room_is_opened_at_full_size_at_once() {
    let mut world = World::new();
    world.write(100);
    world.fail_next(SpoolError::NoRoom { may_grow: true });
    let before = world.now;
    world.go_on();
    world.go_on();
    assert_eq!(world.now, before + COMMIT_INTERVAL);
    assert_eq!(
        world.disk.lock().unwrap().openings,
        [(false, false), (true, false)]
    );
    assert_eq!(world.delivered, world.expected());
}

#[test]
fn spool_that_makes_no_sense_is_set_aside() {
    let mut world = World::new();
    world.write(100);
    world.uploader.commit(world.now);
    world.disk.lock().unwrap().openings.clear();
    world.write(100);
    world.fail_next(SpoolError::Corrupt("a page".to_owned()));
    for _ in 0..6 {
        world.go_on();
    }
    assert_eq!(world.disk.lock().unwrap().openings, [(false, true)]);
}

#[test]
fn what_was_delivered_may_stay_in_the_file_longer_than_what_is_a_dead_letter() {
    let due_after = |refused: usize| {
        let mut world = World::new();
        world.write(100);
        world.uploader.commit(world.now);
        let count = world.uploader.turn(world.now).unwrap().batch.records.len();
        let mut answer = Answer::delivered(count);
        for (_, verdict) in &mut answer.settled[..refused] {
            *verdict = Verdict::Refused("no".to_owned());
        }
        world.uploader.answered(world.now, answer);
        world.uploader.wake_at().map(|due| due - world.now)
    };
    assert_eq!(due_after(0), Some(REMOVAL_INTERVAL));
    assert_eq!(due_after(1), Some(COMMIT_INTERVAL));
}

#[test]
fn records_whose_removal_failed_are_sent_again_and_counted_once() {
    let mut world = World::new();
    world.write(100);
    world.uploader.commit(world.now);
    let batch = world.uploader.turn(world.now).unwrap().batch;
    world.fail_next(broken());
    world
        .uploader
        .answered(world.now, Answer::delivered(batch.records.len()));
    assert_eq!(world.stats().delivered, 0);
    for _ in 0..3 {
        world.go_on();
    }
    let stats = world.stats();
    assert_eq!((stats.delivered, stats.pending), (100, 0));
}

#[test]
fn answer_that_comes_while_the_spool_is_away_is_not_mixed_up() {
    let mut world = World::new();
    world.write(100);
    world.uploader.commit(world.now);
    let batch = world.uploader.turn(world.now).unwrap().batch;
    world.write(10);
    world.fail_next(broken());
    world.uploader.commit(world.now);
    world.now += 60 * SECOND;
    assert!(world.uploader.turn(world.now).is_none());
    assert_eq!(
        world.disk.lock().unwrap().openings.len(),
        1,
        "it is not opened while a request is on its way"
    );
    let lost = Rest::Retry {
        reason: "lost".to_owned(),
        after: None,
        halve: false,
        doubt: Doubt::AllOrNothing,
    };
    world.uploader.answered(world.now, Answer::undecided(lost));
    for _ in 0..6 {
        world.go_on();
    }
    world.now += 60 * SECOND;
    world.go_on();
    assert_eq!(world.delivered, world.expected());
    assert_eq!(batch.records.len(), 100);
}

#[test]
fn end_without_a_spool_counts_what_it_loses() {
    let mut world = World::new();
    world.write(10);
    world.fail_next(broken());
    world.uploader.drain(world.now, world.now + SECOND);
    assert!(world.uploader.is_finished());
    let stats = world.stats();
    assert_eq!(stats.lost.of(LossReason::IoError, Level::INFO), 10);
    assert_eq!(stats.pending, 0);
}
