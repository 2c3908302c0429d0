//! The world of one seed: processes, server, disk and time, step by step.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use fastrand::Rng;
use uuid::Uuid;

use super::disk::SimDisk;
use super::model::{ACCOUNTS, COLLECTION, Model, PASSWORD, Setup};
use super::network::{Network, Weather};
use super::plan::{Fault, Plan};
use super::truth::{Kind, Truth};
use super::watched::{Shadow, Shared, Watched, lock};
use crate::config::{PasswordSource, PocketBaseConfig, Secret};
use crate::delivery::{
    Answer, BreakerState, DeadLetters, Destination, DiskSpool, Fit, Intake, Ledger, Letter,
    Message, Opening, Parts, Pilot, Spool, SpoolError, Time, Uploader,
};
use crate::id::RecordId;
use crate::pocketbase::PocketBase;

/// What has arrived must be durable after this long.
const DURABLE_WITHIN: Duration = Duration::from_millis(201);

/// A spool that failed may take this long to be whole again.
const DISK_RECOVERS_WITHIN: Duration = Duration::from_secs(15);

/// After the last fault everything must be delivered within this time.
const SETTLES_WITHIN: Duration = Duration::from_secs(3 * 3600);

/// So many of the last things that happened are kept.
const STORY: usize = 60;

/// More steps than any run needs.
const MAX_STEPS: u64 = 200_000;

/// What a run came upon: how often each interesting thing happened.
pub type Seen = BTreeMap<&'static str, u64>;

/// The world.
pub(super) struct World {
    rng: Rng,
    plan: Plan,
    now: Time,
    network: Network,
    disk: SimDisk,
    shared: Shared,
    dead_letters: PathBuf,
    process: Option<Process>,
    processes: u64,
    restart_at: Option<Time>,
    next_write: Time,
    next_fault: Time,
    /// Faults end then.
    mends: Vec<(Time, Fault)>,
    disk_trouble_until: Time,
    stored: Stored,
    /// Records that were sent before older ones.
    witnesses: usize,
    /// This seed has faults, or records that cause them.
    is_troubled: bool,
    /// The last things that happened, for whoever looks for the reason.
    pub(super) story: VecDeque<String>,
    pub(super) seen: Seen,
    pub(super) steps: u64,
}

/// A process with an uploader in it.
struct Process {
    pilot: Pilot,
    ledger: Arc<Ledger>,
    intake: Arc<Intake>,
    destination: PocketBase<Network>,
    started_at: Time,
    session: Uuid,
    answer: Option<(Time, Answer, Option<String>)>,
    /// Admitted, and not known to be durable.
    waiting: VecDeque<(RecordId, Time)>,
    flushes: Vec<(Receiver<()>, Vec<RecordId>)>,
    was_open: bool,
}

/// What was looked at of what the server has stored.
#[derive(Default)]
struct Stored {
    checked: usize,
    sessions: HashMap<String, BTreeSet<u64>>,
}

impl World {
    pub(super) fn new(seed: u64, dead_letters: PathBuf) -> Self {
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
            next_fault: Duration::from_secs(1_001),
            mends: Vec::new(),
            disk_trouble_until: Duration::ZERO,
            stored: Stored::default(),
            witnesses: 0,
            is_troubled: !plan.faults.is_empty() || plan.odd > 0,
            story: VecDeque::new(),
            seen: Seen::new(),
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
        self.judge()
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
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(1..=most))
    }

    fn tell(&mut self, what: String) {
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        self.story.push_back(format!("{:?} {what}", self.now));
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Starts a process.
    fn start(&mut self) -> Result<(), String> {
        self.processes += 1;
        self.tell(format!("process {} starts", self.processes));
        self.network.lock().client_restarts();
        let ledger = Arc::new(Ledger::new(self.plan.capacity));
        let (intake, inbox) = Intake::new(ledger.clone(), self.plan.capacity);
        let intake = Arc::new(intake);
        let letters = DeadLetters::open(&self.dead_letters, self.plan.dead_letter_bytes)
            .map_err(|error| error.to_string())?;
        let mut jitter = Rng::with_seed(self.rng.u64(..));
        let parts = Parts {
            ledger: ledger.clone(),
            intake: intake.clone(),
            open_spool: spool_opener(
                self.disk.clone(),
                self.shared.clone(),
                self.plan.spool_bytes,
            ),
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
        let destination = PocketBase::new(
            &config(&self.dead_letters),
            self.network.clone(),
            Arc::new(self.network.clone()),
        );
        self.process = Some(Process {
            pilot: Pilot::new(uploader, intake.clone(), inbox),
            ledger,
            intake,
            destination,
            started_at: self.now,
            session: Uuid::from_u128(u128::from(self.rng.u64(..))),
            answer: None,
            waiting: VecDeque::new(),
            flushes: Vec::new(),
            was_open: false,
        });
        Ok(())
    }

    /// A burst of records, and perhaps a flush.
    fn write(&mut self) {
        let count = self.rng.u64(1..=self.plan.burst);
        for _ in 0..count {
            let (kind, level, size) = self.plan.record(&mut self.rng);
            self.write_one(kind, level, size);
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
                let before = process.waiting.iter().map(|(id, _)| *id).collect();
                process.flushes.push((answer, before));
            }
        }
    }

    fn write_one(&mut self, kind: Kind, level: tracing::Level, size: usize) {
        let Some(process) = &mut self.process else {
            return;
        };
        let mut shared = lock(&self.shared);
        let number = self.processes;
        let (id, line) = shared
            .1
            .write(process.session, kind, level, size, number, self.now);
        if process.intake.offer(level, id, &line).is_ok() {
            process.waiting.push_back((id, self.now));
        } else {
            shared.1.entries.remove(&id);
        }
    }

    /// Lets the process do what is due.
    fn turn(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let own = self.now - process.started_at;
        if process
            .answer
            .as_ref()
            .is_some_and(|(at, ..)| *at <= self.now)
            && let Some((_, answer, note)) = process.answer.take()
        {
            let told = format!("{} settled, rest: {:?}", answer.settled.len(), answer.rest);
            process.pilot.answered(own, answer, note);
            self.tell(told);
        }
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let mut told = Vec::new();
        let mut witnesses = process.pilot.uploader.witnesses();
        while let Some(batch) = process.pilot.turn(own) {
            let called = process.pilot.uploader.witnesses();
            self.witnesses += (called - witnesses) as usize;
            witnesses = called;
            if process.answer.is_some() {
                return Err("two uploads at once".to_owned());
            }
            if let BreakerState::Open { until } = process.pilot.uploader.breaker()
                && own < until
            {
                return Err("an upload while the breaker is open".to_owned());
            }
            let answer = process.destination.upload(&batch);
            let note = process.destination.take_note();
            let mut network = self.network.lock();
            let taken = std::mem::take(&mut network.taken);
            if network.dies_in == Some(0) {
                drop(network);
                self.note("killed in the middle of an upload");
                self.kill();
                return Ok(());
            }
            drop(network);
            process.answer = Some((self.now + taken, answer, note));
            told.push(format!(
                "upload of {} from {}, resent: {}",
                batch.records.len(),
                batch.records[0].key,
                batch.resent
            ));
        }
        let is_finished = process.pilot.uploader.is_finished();
        for told in told {
            self.tell(told);
        }
        if !is_finished {
            return Ok(());
        }
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        process.pilot.end();
        if process.ledger.stats("simulated").pending > 0 {
            self.note("stopped with records in the spool");
        }
        self.process = None;
        self.tell("the process has stopped".to_owned());
        self.restart_at = Some(self.now + self.millis(2_000));
        Ok(())
    }

    /// The process is gone at once.
    fn kill(&mut self) {
        self.disk.process_dies();
        self.process = None;
        self.tell("the process is killed".to_owned());
        self.restart_at = Some(self.now + self.millis(3_000));
    }

    fn fault(&mut self) {
        let Some(&fault) = self.rng.choice(&self.plan.faults) else {
            return;
        };
        let lasts = self.now + self.millis(15_000);
        self.tell(format!("{fault:?} until {lasts:?}"));
        let percent = |rng: &mut Rng| if rng.bool() { rng.u8(..30) } else { 0 };
        match fault {
            Fault::ServerDies => self.network.lock().is_up = false,
            Fault::ServerHangs => {
                self.network.lock().weather = Weather {
                    late: 100,
                    ..Weather::default()
                };
            }
            Fault::Weather => {
                let weather = Weather {
                    lost: percent(&mut self.rng),
                    answer_lost: percent(&mut self.rng),
                    late: percent(&mut self.rng),
                    proxy: percent(&mut self.rng),
                    throttled: percent(&mut self.rng),
                };
                self.network.lock().weather = weather;
            }
            Fault::ServerDiskFull => self.network.lock().model.setup.disk_full = true,
            Fault::ServerChanges => self.change_server(),
            Fault::RuleRefuses => self.network.lock().model.setup.allows = false,
            Fault::CollectionGone => self.network.lock().model.setup.collection = false,
            Fault::RateLimit => {
                let limit = self.rng.u32(1..30);
                self.network.lock().model.setup.rate_limit = Some(limit);
            }
            Fault::TokensDie => self.network.lock().model.generation += 1,
            Fault::DiskFull => self.disk.set_full(true),
            Fault::DiskFails => self.disk.fail_in(self.rng.u32(..30)),
            Fault::DiskRots => {
                if self.rng.u8(..4) == 0 {
                    lock(&self.shared).0.is_rotten = true;
                    self.kill();
                    self.disk.rots(&mut self.rng);
                }
            }
            Fault::Killed => {
                self.note("killed");
                self.kill();
            }
            Fault::KilledAtWork => {
                let requests = self.rng.u32(..4);
                self.network.lock().dies_in = Some(requests);
            }
            Fault::PowerFails => {
                self.note("power cut");
                self.kill();
                self.disk.power_fails(&mut self.rng);
            }
            Fault::Stopped => self.stop(),
            Fault::ClockJumps => {
                let error = self.rng.i64(-200_000..200_000);
                self.network.lock().calendar_error = error;
            }
        }
        if matches!(
            fault,
            Fault::DiskFull | Fault::DiskFails | Fault::DiskRots | Fault::PowerFails
        ) {
            self.disk_trouble_until = lasts + DISK_RECOVERS_WITHIN;
        }
        self.mends.push((lasts, fault));
    }

    fn change_server(&mut self) {
        let mut network = self.network.lock();
        let setup = &mut network.model.setup;
        setup.hook = self.rng.bool();
        setup.batch = self.rng.bool().then(|| self.rng.usize(1..100));
    }

    fn stop(&mut self) {
        let Some(process) = &self.process else {
            return;
        };
        process.intake.close();
        let (done, _) = bounded(1);
        let limit = Duration::from_millis(self.rng.u64(..10_000));
        process.intake.send_behind(Message::Close { limit, done });
    }

    fn mend(&mut self) {
        let (due, later) = std::mem::take(&mut self.mends)
            .into_iter()
            .partition(|(at, _)| *at <= self.now);
        self.mends = later;
        let due: Vec<(Time, Fault)> = due;
        let plan = self.plan.setup.clone();
        let mut network = self.network.lock();
        for (_, fault) in due {
            let setup = &mut network.model.setup;
            match fault {
                Fault::ServerDies => network.is_up = true,
                Fault::ServerHangs | Fault::Weather => network.weather = Weather::default(),
                Fault::ServerDiskFull => setup.disk_full = false,
                Fault::RuleRefuses => setup.allows = true,
                Fault::CollectionGone => setup.collection = true,
                Fault::RateLimit => setup.rate_limit = plan.rate_limit,
                Fault::DiskFull => self.disk.set_full(false),
                _ => {}
            }
        }
    }

    fn heal(&mut self) {
        self.tell(format!("everything heals; {:?}", self.plan));
        self.mends.clear();
        self.disk.heal();
        let mut network = self.network.lock();
        network.is_up = true;
        network.weather = Weather::default();
        network.dies_in = None;
        network.model.setup = Setup {
            hook: network.model.setup.hook,
            batch: network.model.setup.batch,
            ..self.plan.setup.clone()
        };
    }

    /// Everything pending must be delivered now, and fresh records pass.
    fn settle(&mut self) -> Result<(), String> {
        self.plan.faults.clear();
        self.plan.odd = 0;
        self.plan.burst = 2;
        self.plan.pause = 120_000;
        let end = self.now + SETTLES_WITHIN;
        let fresh_until = self.now + SETTLES_WITHIN / 2;
        while self.now < end {
            self.step(end)?;
            if self.now > fresh_until {
                self.next_write = end;
            }
            let is_settled = self.process.as_ref().is_some_and(|process| {
                process.ledger.pending() == 0 && process.pilot.uploader.has_spool()
            });
            if is_settled && self.next_write == end {
                return Ok(());
            }
            if is_settled && self.rng.u8(..4) == 0 {
                // Enough fresh records have passed.
                self.next_write = end;
            }
        }
        let stats = self.process.as_ref().map(|p| p.ledger.stats("simulated"));
        Err(format!(
            "after all faults something stays pending: {stats:?}"
        ))
    }

    /// The laws that hold after every step.
    fn check(&mut self) -> Result<(), String> {
        self.check_rows()?;
        if let Some(broken) = self.network.lock().broken.take() {
            return Err(broken);
        }
        if let Some(broken) = lock(&self.shared).0.broken.take() {
            return Err(broken);
        }
        if self.disk.largest() > self.plan.spool_bytes {
            return Err(format!(
                "the spool's file has {} bytes",
                self.disk.largest()
            ));
        }
        self.check_accounts()?;
        self.check_age()?;
        self.check_durability()
    }

    fn check_rows(&mut self) -> Result<(), String> {
        let network = self.network.lock();
        let model = &network.model;
        if let Some(ids) = &model.stored_twice {
            return Err(format!("stored twice: {ids}"));
        }
        let shared = lock(&self.shared);
        for id in &model.order[self.stored.checked..] {
            shared.1.check_row(model, id)?;
            let row = &model.rows[id];
            let session = row["session_id"].as_str().unwrap_or_default().to_owned();
            let seq = row["seq"].as_u64().unwrap_or_default();
            let before = self.stored.sessions.entry(session).or_default();
            // A record under suspicion lets witnesses pass.
            let newer = before.range(seq..).count();
            let is_excused = shared.0.is_rotten
                || RecordId::parse(id.as_bytes())
                    .and_then(|id| shared.1.entries.get(&id))
                    .is_some_and(|entry| entry.is_evicted);
            if newer > self.witnesses && !is_excused {
                let kind = RecordId::parse(id.as_bytes())
                    .and_then(|id| shared.1.entries.get(&id))
                    .map(|entry| entry.kind);
                return Err(format!(
                    "{id} ({kind:?}, number {seq}) is stored behind {newer} newer ones"
                ));
            }
            before.insert(seq);
        }
        self.stored.checked = model.order.len();
        Ok(())
    }

    fn check_accounts(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let stats = process.ledger.stats("simulated");
        let sum = stats.delivered + stats.dropped + stats.rejected + stats.pending;
        if stats.accepted != sum {
            return Err(format!("the accounts do not add up: {stats:?}"));
        }
        let is_open = matches!(process.pilot.uploader.breaker(), BreakerState::Open { .. });
        let (opened, closed) = (is_open && !process.was_open, !is_open && process.was_open);
        process.was_open = is_open;
        if process.pilot.uploader.has_spool() {
            let counted = process.pilot.uploader.count_pending() + process.intake.gathered();
            if counted != stats.pending {
                return Err(format!(
                    "{counted} records are pending, not {}",
                    stats.pending
                ));
            }
        } else {
            self.disk_trouble_until = self.now + DISK_RECOVERS_WITHIN;
        }
        let queued = process.ledger.queued();
        if queued > self.plan.capacity as u64 {
            return Err(format!(
                "{queued} records in a channel of {}",
                self.plan.capacity
            ));
        }
        if opened {
            self.note("breaker opened");
        }
        if closed {
            self.note("breaker left open");
        }
        Ok(())
    }

    /// Without any fault nothing waits much longer than it should.
    fn check_age(&self) -> Result<(), String> {
        if self.is_troubled || self.processes > 1 {
            return Ok(());
        }
        let shared = lock(&self.shared);
        if shared.0.live.len() >= self.plan.policy.batch_records {
            // There is more than one batch to do.
            return Ok(());
        }
        let oldest = shared.0.live.values().next();
        let written_at = oldest.and_then(|(_, id)| shared.1.entries.get(id));
        let limit = self.plan.policy.flush_interval + Duration::from_secs(10);
        if written_at.is_some_and(|entry| entry.written_at + limit < self.now) {
            return Err("a record waits far longer than the flush interval".to_owned());
        }
        Ok(())
    }

    fn check_durability(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let shared = lock(&self.shared);
        let is_safe = |id: &RecordId| {
            let entry = shared.1.entries.get(id);
            entry.is_none_or(|entry| entry.is_committed || entry.is_evicted)
        };
        process
            .flushes
            .retain(|(answer, _)| !answer.is_empty() || answer_is_open(answer));
        for (answer, before) in &process.flushes {
            if !answer.is_empty() && !before.iter().all(is_safe) {
                return Err("a flush is answered before everything is durable".to_owned());
            }
        }
        process.flushes.retain(|(answer, _)| answer.is_empty());
        while process.waiting.front().is_some_and(|(id, _)| is_safe(id)) {
            process.waiting.pop_front();
        }
        let oldest = process.waiting.front().map(|(_, at)| *at);
        let is_late = oldest.is_some_and(|at| at + DURABLE_WITHIN < self.now);
        if is_late && self.now > self.disk_trouble_until {
            return Err("a record is not durable in time".to_owned());
        }
        Ok(())
    }

    /// The laws that hold in the end.
    fn judge(&mut self) -> Result<(), String> {
        let letters = read_letters(&self.dead_letters)?;
        let letter_bytes = std::fs::metadata(&self.dead_letters).map_or(0, |file| file.len());
        if letter_bytes > self.plan.dead_letter_bytes {
            return Err(format!("the dead letters have {letter_bytes} bytes"));
        }
        // No letter is longer than this.
        let letters_are_full = letter_bytes + 8_192 > self.plan.dead_letter_bytes;
        let network = self.network.lock();
        let shared = lock(&self.shared);
        for (name, &count) in &network.model.seen {
            *self.seen.entry(name).or_default() += count;
        }
        *self.seen.entry("evicted").or_default() += shared.0.evicted;
        *self.seen.entry("dead letter").or_default() += letters.len() as u64;
        let rotten = u64::from(shared.0.is_rotten);
        *self.seen.entry("rotten disk").or_default() += rotten;
        for (id, entry) in &shared.1.entries {
            let is_stored = network.model.rows.contains_key(id.as_str());
            let is_buried = letters.contains_key(id.as_str());
            let may_be_refused = match entry.kind {
                Kind::Plain | Kind::Awkward | Kind::Long => false,
                Kind::Poison | Kind::Mystery | Kind::Unreadable | Kind::Senseless => true,
            };
            if is_buried && is_stored {
                return Err(format!("{id} is stored and in the dead letters"));
            }
            if is_buried && !may_be_refused && !shared.0.is_rotten {
                return Err(format!(
                    "{id} ({:?}) is in the dead letters without need: {}",
                    entry.kind,
                    letters[id.as_str()]
                ));
            }
            let is_excused = !entry.is_committed
                || entry.is_evicted
                || shared.0.is_rotten
                || (may_be_refused && letters_are_full);
            if !is_stored && !is_buried && !is_excused {
                return Err(format!(
                    "{id} of process {} ({:?}, written at {:?}) is lost",
                    entry.process, entry.kind, entry.written_at
                ));
            }
        }
        Ok(())
    }
}

fn answer_is_open(answer: &Receiver<()>) -> bool {
    !matches!(
        answer.try_recv(),
        Err(crossbeam_channel::TryRecvError::Disconnected)
    )
}

fn config(dir: &std::path::Path) -> PocketBaseConfig {
    let password = PasswordSource::Given(Secret::new(PASSWORD));
    let mut config = PocketBaseConfig::new("http://simulated", "d@example.com", password, dir);
    config.collection = COLLECTION.to_owned();
    config.auth_collection = ACCOUNTS.to_owned();
    config
}

fn spool_opener(disk: SimDisk, shared: Shared, max_bytes: u64) -> crate::delivery::OpenSpool {
    Box::new(move |opening: &Opening| {
        let fit = Fit {
            max_bytes,
            at_full_size: opening.at_full_size,
            tightness: opening.tightness,
        };
        let opened = match &opening.corrupt {
            None => DiskSpool::on(disk.open(), fit),
            Some(reason) => Err(SpoolError::Corrupt(reason.clone())),
        };
        let (spool, reason) = match opened {
            Err(SpoolError::Corrupt(reason)) => {
                disk.begin_anew();
                (DiskSpool::on(disk.open(), fit)?, Some(reason))
            }
            other => (other?, None),
        };
        let watched = Watched::new(spool, shared.clone(), fit, reason.is_some())?;
        Ok((Box::new(watched) as Box<dyn Spool>, reason))
    })
}

fn read_letters(path: &std::path::Path) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| {
            let letter: Letter = serde_json::from_str(line).map_err(|error| error.to_string())?;
            Ok((letter.id, letter.reason))
        })
        .collect()
}
