//! The world of one seed: processes, server, disk and time, step by step.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::bounded;
use fastrand::Rng;
use tracing::Level;

use super::disk::SimDisk;
use super::model::Model;
use super::network::Network;
use super::plan::{Fault, Plan};
use super::process::{Process, Waiting};
use super::sights::Sights;
use super::truth::{Kind, Truth};
use super::watched::{Shadow, Shared, lock};
use crate::delivery::{Message, Time, Turned};

/// After the last fault everything must be delivered within this time.
const SETTLES_WITHIN: Duration = Duration::from_secs(3 * 3600);

/// So many of the last things that happened are kept.
const STORY: usize = 60;

/// More steps than any run needs.
const MAX_STEPS: u64 = 200_000;

/// The world.
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) now: Time,
    pub(super) network: Network,
    pub(super) disk: SimDisk,
    pub(super) shared: Shared,
    pub(super) dead_letters: PathBuf,
    pub(super) process: Option<Process>,
    pub(super) processes: u64,
    pub(super) restart_at: Option<Time>,
    next_write: Time,
    next_fault: Time,
    /// Faults end then.
    pub(super) mends: Vec<(Time, Fault)>,
    pub(super) disk_trouble_until: Time,
    /// When there was more than one batch to do last.
    pub(super) backlog_at: Time,
    /// What was looked at of what the server has stored: how many rows, and the
    /// numbers of each session.
    pub(super) checked: usize,
    pub(super) sessions: HashMap<String, BTreeSet<u64>>,
    /// Records that were sent before older ones.
    pub(super) witnesses: usize,
    /// This seed has faults, or records that cause them.
    pub(super) is_troubled: bool,
    /// Whether the story is told: that takes time.
    is_telling: bool,
    /// The last things that happened, for whoever looks for the reason.
    pub(super) story: VecDeque<String>,
    pub(super) sights: Sights,
    pub(super) steps: u64,
}

impl World {
    pub(super) fn new(seed: u64, dead_letters: PathBuf, is_telling: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Plan::new(&mut rng);
        let model = Model::new(plan.setup.clone());
        let network = Network::new(model, Rng::with_seed(rng.u64(..)));
        Self {
            network,
            now: Duration::from_secs(1_000),
            disk: SimDisk::new(),
            shared: Arc::new(Mutex::new((Shadow::default(), Truth::default()))),
            dead_letters,
            process: None,
            processes: 0,
            restart_at: Some(Duration::from_secs(1_000)),
            next_write: Duration::from_secs(1_000),
            next_fault: Duration::from_millis(1_000_500),
            mends: Vec::new(),
            disk_trouble_until: Duration::ZERO,
            backlog_at: Duration::ZERO,
            checked: 0,
            sessions: HashMap::new(),
            witnesses: 0,
            is_troubled: !plan.faults.is_empty() || plan.odd > 0,
            is_telling,
            story: VecDeque::new(),
            sights: Sights::default(),
            steps: 0,
            rng,
            plan,
        }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The law that was broken.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let end = self.now + self.plan.horizon;
        while self.now < end {
            self.step(end)?;
        }
        self.heal();
        self.settle()?;
        self.judge()?;
        // Closing the spool takes as long as opening it, and nobody would look.
        self.disk.process_dies();
        Ok(())
    }

    /// When something happens next, and does it.
    fn step(&mut self, end: Time) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err("it never comes to rest".to_owned());
        }
        self.now = self.next_event().clamp(self.now, end);
        self.sync_clock();
        self.network.lock().deliver_late();
        self.mend();
        if self.restart_at.is_some_and(|at| at <= self.now) {
            self.restart_at = None;
            self.start()?;
        }
        if self.next_write <= self.now {
            self.write();
            self.next_write = self.now + self.millis(self.plan.pause);
        }
        if self.next_fault <= self.now {
            self.next_fault = self.now + self.millis(self.plan.fault_pause);
            self.fault();
        }
        self.turn()?;
        self.check()
    }

    fn next_event(&mut self) -> Time {
        let mut next = self.next_write.min(self.next_fault);
        next = self.mends.iter().map(|(at, _)| *at).fold(next, Time::min);
        next = self.restart_at.unwrap_or(next).min(next);
        let late = self.network.lock().late.iter().map(|late| late.at).min();
        next = late.unwrap_or(next).min(next);
        if let Some(process) = &mut self.process {
            let own = self.now - process.started_at;
            if let Some(wake) = process.pilot.wake_at(own) {
                next = next.min(process.started_at + wake);
            }
            if let Some((at, ..)) = process.answer {
                next = next.min(at);
            }
        }
        next
    }

    fn sync_clock(&mut self) {
        let mut network = self.network.lock();
        network.now = self.now;
        network.taken = Duration::ZERO;
        network.requests = 0;
    }

    pub(super) fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(1..=most.max(1)))
    }

    /// Adds to the story, if anybody wants to read it.
    pub(super) fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        if !self.is_telling {
            return;
        }
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        let line = format!("{:?} {}", self.now, what(self));
        self.story.push_back(line);
    }

    /// A burst of records, and perhaps a flush.
    fn write(&mut self) {
        let count = self.rng.u64(1..=self.plan.burst);
        for _ in 0..count {
            let record = self.plan.record(&mut self.rng);
            self.write_one(record);
        }
        let Some(process) = &mut self.process else {
            return;
        };
        if self.rng.bool() {
            process.intake.send_gathered();
        }
        if self.rng.u8(..10) == 0 {
            let (done, answer) = bounded(1);
            if process.intake.send_behind(Message::Flush(done)) {
                let before = process.waiting.iter().map(|waiting| waiting.place);
                process.flushes.push((answer, before.collect()));
            }
        }
    }

    fn write_one(&mut self, record: (Kind, Level, usize)) {
        let Some(process) = &mut self.process else {
            return;
        };
        let truth = &mut lock(&self.shared).1;
        let place = truth.write(record, self.processes, self.now);
        let entry = &truth.entries[place];
        match process.intake.offer(entry.level, entry.id, &entry.line) {
            Ok(()) => process.waiting.push_back(Waiting {
                place,
                since: self.now,
            }),
            Err(turned) => {
                truth.take_back();
                self.sights.note(match turned {
                    Turned::Full => "channel full",
                    Turned::Closed => "turned away after the end",
                });
            }
        }
    }

    /// Everything must come to rest now: what is pending is delivered, and fresh
    /// records pass.
    fn settle(&mut self) -> Result<(), String> {
        self.plan.faults.clear();
        self.plan.odd = 0;
        self.plan.burst = 2;
        self.plan.pause = 120_000;
        self.next_fault = Time::MAX;
        let end = self.now + SETTLES_WITHIN;
        let fresh_until = self.now + SETTLES_WITHIN / 2;
        let written = lock(&self.shared).1.entries.len();
        while self.now < end {
            self.step(end)?;
            let is_settled = self.process.as_ref().is_some_and(|process| {
                process.ledger.pending() == 0 && process.pilot.uploader.has_spool()
            });
            let has_fresh = lock(&self.shared).1.entries.len() > written;
            if is_settled && has_fresh && self.rng.bool() {
                return Ok(());
            }
            if self.now > fresh_until {
                self.next_write = Time::MAX;
            }
        }
        let stats = self.process.as_ref().map(|p| p.ledger.stats("simulated"));
        Err(format!(
            "after all faults something stays pending: {stats:?}"
        ))
    }
}
