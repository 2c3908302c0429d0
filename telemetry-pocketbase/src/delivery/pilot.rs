//! What a thread around the [`Uploader`] does each time it wakes, without the
//! thread: the simulator does the same with a clock of its own.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::destination::{Answer, Outgoing};
use super::intake::{Intake, Message};
use super::machine::Time;
use super::uploader::Uploader;

/// Most messages that are taken in before something else is looked at.
const MESSAGES_AT_ONCE: usize = 1024;

/// The uploader and its way in.
pub(crate) struct Pilot {
    pub(crate) uploader: Uploader,
    intake: Arc<Intake>,
    inbox: Receiver<Message>,
    /// Those who wait for the end.
    done: Vec<Sender<()>>,
}

impl Pilot {
    pub(crate) fn new(uploader: Uploader, intake: Arc<Intake>, inbox: Receiver<Message>) -> Self {
        Self {
            uploader,
            intake,
            inbox,
            done: Vec::new(),
        }
    }

    /// Takes in what has arrived and does what is due; returns a batch to
    /// upload. Call again until there is none.
    pub(crate) fn turn(&mut self, now: Time) -> Option<Outgoing> {
        self.take_messages(now);
        if self.uploader.is_commit_due(now) {
            self.intake.send_gathered();
            self.take_messages(now);
        }
        self.uploader.turn(now)
    }

    /// When to call [`turn`](Self::turn) again, if no message comes before.
    /// `None`: not before one does.
    pub(crate) fn wake_at(&mut self, now: Time) -> Option<Time> {
        if !self.intake.call_me() {
            self.uploader.expect_records(now);
        }
        self.uploader.wake_at()
    }

    /// The messages, for a thread to wait for.
    pub(crate) fn inbox(&self) -> &Receiver<Message> {
        &self.inbox
    }

    /// Takes in what became of the batch that was given out, and perhaps
    /// something that somebody should know.
    pub(crate) fn answered(&mut self, now: Time, answer: Answer, note: Option<String>) {
        if let Some(note) = note {
            self.uploader.take_note(note);
        }
        self.uploader.answered(now, answer);
    }

    /// Takes in a message.
    pub(crate) fn take(&mut self, now: Time, message: Message) {
        match message {
            Message::Wake => self.uploader.expect_records(now),
            Message::Chunk(chunk) => self.uploader.receive(now, chunk),
            Message::Flush(done) => self.uploader.flush(now, done),
            Message::Close { limit, done } => {
                self.done.push(done);
                self.uploader.drain(now, now + limit);
            }
        }
    }

    /// Turns records away from now on, and tells those who wait for the end.
    pub(crate) fn end(&self) {
        self.intake.close();
        for done in &self.done {
            // Whoever gave up waiting needs no answer.
            let _ = done.try_send(());
        }
    }

    fn take_messages(&mut self, now: Time) {
        for _ in 0..MESSAGES_AT_ONCE {
            match self.inbox.try_recv() {
                Ok(message) => self.take(now, message),
                Err(_) => return,
            }
        }
    }
}
