//! The threads and the real clock around the [`Uploader`].
//!
//! Two threads: the *uploader* keeps the spool and decides, the *sender* waits
//! for the network. One thread for both could not do what is promised: while it
//! waited 30 s for a server that does not answer, nothing would become durable
//! and the channel would overflow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select, unbounded};
use telemetry_core::{Health, LossReason, suppress_events_of_this_thread};

use super::destination::{Answer, Destination, Doubt, Outgoing, Rest, Sequence};
use super::intake::{Intake, Message};
use super::ledger::Ledger;
use super::machine::Time;
use super::pilot::Pilot;
use super::uploader::{Parts, Uploader};
use crate::error::PocketBaseError;

/// Name of the thread that keeps the spool.
const UPLOADER_THREAD: &str = "pocketbase-uploader";

/// Name of the thread that waits for the network; the system shows 15 letters.
const SENDER_THREAD: &str = "pocketbase-sender";

/// How long an upload may take to end after it was interrupted.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(1);

/// Nothing waits longer than this, whatever is due.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Opens the spool and starts the threads. They end with [`Message::Close`].
///
/// # Errors
/// [`PocketBaseError::Spool`] if the spool belongs to somebody else,
/// [`PocketBaseError::Thread`] if the system gives none.
pub(crate) fn start(
    parts: Parts,
    inbox: Receiver<Message>,
    destination: impl Destination,
    spool_path: &std::path::Path,
) -> Result<(), PocketBaseError> {
    let witness = Witness {
        ledger: parts.ledger.clone(),
        intake: parts.intake.clone(),
    };
    let intake = parts.intake.clone();
    let uploader = Uploader::start(parts).map_err(|source| PocketBaseError::Spool {
        path: spool_path.to_owned(),
        source,
    })?;
    let sender = Sending::start(destination)?;
    let run = move || {
        let driver = Driver {
            clock: Instant::now(),
            pilot: Pilot::new(uploader, intake, inbox),
            sender,
            _witness: witness,
        };
        driver.run();
    };
    spawn(UPLOADER_THREAD, run)?;
    Ok(())
}

fn spawn(
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, PocketBaseError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| PocketBaseError::Thread { name, source })
}

/// The loop of the uploader's thread.
struct Driver {
    clock: Instant,
    pilot: Pilot,
    sender: Sending,
    _witness: Witness,
}

impl Driver {
    fn run(mut self) {
        loop {
            while let Some(outgoing) = self.pilot.turn(self.now()) {
                if !self.sender.send(outgoing) {
                    self.pilot.answered(self.now(), lost_sender(), None);
                }
            }
            if self.pilot.uploader.is_finished() {
                break;
            }
            self.wait();
        }
        // The spool is closed already.
        self.pilot.end();
        self.sender.stop();
    }

    fn now(&self) -> Time {
        self.clock.elapsed()
    }

    /// Waits for a message, an answer, or until something is due.
    fn wait(&mut self) {
        let now = self.now();
        let due = self.pilot.wake_at(now).map_or(LONGEST_SLEEP, |due| {
            due.saturating_sub(now).min(LONGEST_SLEEP)
        });
        let answers = match self.pilot.uploader.is_sending() {
            true => self.sender.answers.clone(),
            false => crossbeam_channel::never(),
        };
        select! {
            recv(self.pilot.inbox()) -> message => {
                if let Ok(message) = message {
                    self.pilot.take(self.now(), message);
                }
            }
            recv(answers) -> answered => {
                let Answered { answer, note } = answered.unwrap_or_else(|_| Answered {
                    answer: lost_sender(),
                    note: None,
                });
                self.pilot.answered(self.now(), answer, note);
            }
            default(due) => {}
        }
    }
}

/// What the other thread says after an upload.
struct Answered {
    answer: Answer,
    note: Option<String>,
}

/// The thread that waits for the network.
struct Sending {
    batches: Sender<Outgoing>,
    answers: Receiver<Answered>,
    interrupt: Box<dyn FnOnce() + Send>,
    thread: JoinHandle<()>,
}

impl Sending {
    fn start(destination: impl Destination) -> Result<Self, PocketBaseError> {
        // The machine bounds what is given out.
        let (batches, batches_out) = unbounded();
        let (answers_in, answers) = unbounded();
        let interrupt = destination.interrupter();
        let thread = spawn(SENDER_THREAD, move || {
            upload_all(destination, &batches_out, &answers_in);
        })?;
        Ok(Self {
            batches,
            answers,
            interrupt,
            thread,
        })
    }

    /// Hands over a batch. False if the thread is gone.
    fn send(&self, outgoing: Outgoing) -> bool {
        self.batches.send(outgoing).is_ok()
    }

    /// Ends the thread. One that hangs in the system's name lookup is left to
    /// itself: it ends when the lookup does.
    fn stop(self) {
        drop(self.batches);
        if !self.thread.is_finished() {
            (self.interrupt)();
        }
        let deadline = Instant::now() + INTERRUPT_LIMIT;
        while self.answers.recv_deadline(deadline).is_ok() {}
    }
}

fn upload_all(
    mut destination: impl Destination,
    batches: &Receiver<Outgoing>,
    to: &Sender<Answered>,
) {
    // What the HTTP client logs must not enter the pipeline that it serves.
    suppress_events_of_this_thread();
    let mut sequence = Sequence::default();
    for outgoing in batches {
        if !sequence.admits(&outgoing) {
            continue;
        }
        let batch = outgoing.batch;
        let upload = AssertUnwindSafe(|| destination.upload(&batch));
        let answer = catch_unwind(upload).unwrap_or_else(|_| panicked());
        sequence.answered(batch.records.len(), &answer);
        let note = destination.take_note();
        if to.send(Answered { answer, note }).is_err() {
            return;
        }
    }
}

fn panicked() -> Answer {
    failed("the upload panicked")
}

fn lost_sender() -> Answer {
    failed("the thread that uploads is gone")
}

fn failed(reason: &str) -> Answer {
    Answer::undecided(Rest::Retry {
        reason: reason.to_owned(),
        after: None,
        halve: false,
        doubt: Doubt::Any,
    })
}

/// Keeps the accounts true if the uploader panics.
struct Witness {
    ledger: Arc<Ledger>,
    intake: Arc<Intake>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if thread::panicking() {
            self.intake.close();
            self.ledger.lose_queued(LossReason::SinkPanicked, false);
            let reason = "the uploader panicked; what it has spooled waits for the next start";
            self.ledger.set_health(Health::Failing(reason.to_owned()));
        }
    }
}
