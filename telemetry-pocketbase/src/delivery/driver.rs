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

use crossbeam_channel::{Receiver, Sender, bounded, select};
use telemetry_core::{Health, LossReason, suppress_events_of_this_thread};

use super::destination::{Answer, Batch, Destination, Doubt, Rest};
use super::intake::{Intake, Message};
use super::ledger::Ledger;
use super::machine::Time;
use super::uploader::{COMMIT_INTERVAL, Parts, Uploader};
use crate::error::PocketBaseError;

/// Name of the thread that keeps the spool.
const UPLOADER_THREAD: &str = "pocketbase-uploader";

/// Name of the thread that waits for the network; the system shows 15 letters.
const SENDER_THREAD: &str = "pocketbase-sender";

/// How long an upload may take to end after it was interrupted.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(1);

/// Most messages that are taken in before something else is looked at.
const MESSAGES_AT_ONCE: usize = 1024;

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
    let uploader = Uploader::start(parts).map_err(|source| PocketBaseError::Spool {
        path: spool_path.to_owned(),
        source,
    })?;
    let sender = Sending::start(destination)?;
    let run = move || {
        let driver = Driver {
            clock: Instant::now(),
            uploader,
            inbox,
            sender,
            done: Vec::new(),
            witness,
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
    uploader: Uploader,
    inbox: Receiver<Message>,
    sender: Sending,
    /// Those who wait for the end.
    done: Vec<Sender<()>>,
    witness: Witness,
}

impl Driver {
    fn run(mut self) {
        loop {
            self.witness.intake.send_gathered();
            self.take_messages();
            if let Some(batch) = self.uploader.turn(self.now())
                && !self.sender.send(batch)
            {
                self.uploader.answered(self.now(), lost_sender());
            }
            if self.uploader.is_finished() {
                break;
            }
            self.wait();
        }
        self.end();
    }

    fn now(&self) -> Time {
        self.clock.elapsed()
    }

    /// Waits for a message, an answer, or until something is due. Never longer
    /// than the commit interval: it also collects what was gathered.
    fn wait(&mut self) {
        let due = self.uploader.wake_at().unwrap_or(Time::MAX);
        let limit = due.saturating_sub(self.now()).min(COMMIT_INTERVAL);
        let answers = self.sender.expected_answers();
        select! {
            recv(self.inbox) -> message => {
                if let Ok(message) = message {
                    self.take(message);
                }
            }
            recv(answers) -> answer => {
                self.sender.is_busy = false;
                let answer = answer.unwrap_or_else(|_| lost_sender());
                self.uploader.answered(self.now(), answer);
            }
            default(limit) => {}
        }
    }

    fn take_messages(&mut self) {
        for _ in 0..MESSAGES_AT_ONCE {
            match self.inbox.try_recv() {
                Ok(message) => self.take(message),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, message: Message) {
        let now = self.now();
        match message {
            Message::Chunk(chunk) => self.uploader.receive(now, chunk),
            Message::Flush(done) => self.uploader.flush(now, done),
            Message::Close { until, done } => {
                self.done.push(done);
                let left = until.saturating_duration_since(Instant::now());
                self.uploader.drain(now, now + left);
            }
        }
    }

    /// Ends the sender and tells those who wait. The spool is closed already.
    fn end(self) {
        self.witness.intake.close();
        for done in &self.done {
            // Whoever gave up waiting needs no answer.
            let _ = done.try_send(());
        }
        self.sender.stop();
    }
}

/// The thread that waits for the network.
struct Sending {
    batches: Sender<Batch>,
    answers: Receiver<Answer>,
    interrupt: Box<dyn FnOnce() + Send>,
    is_busy: bool,
}

impl Sending {
    fn start(destination: impl Destination) -> Result<Self, PocketBaseError> {
        let (batches, batches_out) = bounded(1);
        let (answers_in, answers) = bounded(1);
        let interrupt = destination.interrupter();
        spawn(SENDER_THREAD, move || {
            upload_all(destination, &batches_out, &answers_in);
        })?;
        Ok(Self {
            batches,
            answers,
            interrupt,
            is_busy: false,
        })
    }

    /// Hands over a batch; the machine has one on its way at a time, so there
    /// is room. False if the thread is gone.
    fn send(&mut self, batch: Batch) -> bool {
        self.is_busy = self.batches.try_send(batch).is_ok();
        self.is_busy
    }

    fn expected_answers(&self) -> Receiver<Answer> {
        if self.is_busy {
            self.answers.clone()
        } else {
            crossbeam_channel::never()
        }
    }

    /// Ends the thread. One that hangs in the system's name lookup is left to
    /// itself: it ends when the lookup does.
    fn stop(self) {
        drop(self.batches);
        if self.is_busy {
            (self.interrupt)();
        }
        let deadline = Instant::now() + INTERRUPT_LIMIT;
        while self.answers.recv_deadline(deadline).is_ok() {}
    }
}

fn upload_all(mut destination: impl Destination, batches: &Receiver<Batch>, to: &Sender<Answer>) {
    // What the HTTP client logs must not enter the pipeline that it serves.
    suppress_events_of_this_thread();
    for batch in batches {
        let upload = AssertUnwindSafe(|| destination.upload(&batch));
        let answer = catch_unwind(upload).unwrap_or_else(|_| panicked());
        if to.send(answer).is_err() {
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
