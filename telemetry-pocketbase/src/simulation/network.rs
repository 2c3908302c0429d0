//! The network between the uploader and the model: it loses, delays, garbles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;

use super::model::Model;
use super::sights::{Sights, answer_lost};
use crate::clock::Clock;
use crate::pocketbase::answers::Route;
use crate::pocketbase::client::{NoReply, Reply, Transport};

/// What can befall a request, in percent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// It never arrives.
    pub(super) lost: u8,
    /// It does its work; the answer is lost.
    pub(super) answer_lost: u8,
    /// It does its work long after the client has given up.
    pub(super) late: u8,
    /// Something in between answers.
    pub(super) proxy: u8,
    /// Something in between asks to come back later.
    pub(super) throttled: u8,
}

/// The network and the server behind it. Clones are the same.
#[derive(Clone)]
pub(super) struct Network(Arc<Mutex<State>>);

pub(super) struct State {
    pub(super) model: Model,
    pub(super) weather: Weather,
    pub(super) is_up: bool,
    /// The world's time.
    pub(super) now: Duration,
    /// How wrong the client's calendar is, in seconds.
    pub(super) calendar_error: i64,
    /// How long the requests of the upload in progress have taken.
    pub(super) taken: Duration,
    /// Requests that will still do their work.
    pub(super) late: Vec<Late>,
    /// Nothing may be uploaded before, the server has said.
    not_before: Duration,
    /// A law that a request has broken.
    pub(super) broken: Option<String>,
    /// So many requests go through before the client's process dies.
    pub(super) dies_in: Option<u32>,
    /// So many requests with records in them are answered before this happens
    /// to the server.
    pub(super) surprise_in: Option<(u32, Surprise)>,
    /// Requests with records in them, in the upload in progress.
    pub(super) requests: u32,
    pub(super) sights: Sights,
    rng: Rng,
}

/// What may happen to the server between two requests of one upload.
#[derive(Debug, Clone, Copy)]
pub(super) enum Surprise {
    /// All tokens die.
    TokensDie,
    /// It is set up anew: with the hook or not, with `/api/batch` or not.
    Ways { hook: bool, batch: Option<usize> },
}

/// A request that is still under way when its client has given up.
#[derive(Clone)]
pub(super) struct Late {
    pub(super) at: Duration,
    path: String,
    token: Option<String>,
    body: Vec<u8>,
}

impl Network {
    pub(super) fn new(model: Model, rng: Rng) -> Self {
        Self(Arc::new(Mutex::new(State {
            model,
            weather: Weather::default(),
            is_up: true,
            now: Duration::ZERO,
            calendar_error: 0,
            taken: Duration::ZERO,
            late: Vec::new(),
            not_before: Duration::ZERO,
            broken: None,
            dies_in: None,
            surprise_in: None,
            requests: 0,
            sights: Sights::default(),
            rng,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Requests from before the client's restart that are due do their work.
    pub(super) fn deliver_late(&mut self) {
        let (due, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.at <= self.now);
        self.late = later;
        let due: Vec<Late> = due;
        for late in due {
            if self.is_up {
                self.sights.note("late request arrived");
                let token = late.token.as_deref();
                self.model
                    .handle(self.now, &late.path, token, Some(&late.body));
            }
        }
    }

    /// A new process knows nothing of what the server said to the old one.
    pub(super) fn client_restarts(&mut self) {
        self.not_before = Duration::ZERO;
        self.dies_in = None;
    }

    fn request(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> Result<Reply, NoReply> {
        let at = self.now + self.taken;
        self.taken += Duration::from_micros(self.rng.u64(200..30_000));
        if self.dies_in == Some(0) {
            return Err(NoReply::Lost("the process dies".to_owned()));
        }
        if let Some(left) = &mut self.dies_in {
            *left -= 1;
        }
        let carries_records = body.is_some() && !path.contains("/auth-");
        if carries_records {
            self.surprise();
        }
        if carries_records && at < self.not_before {
            self.broken = Some(format!(
                "a request at {at:?} although the server asked for none before {:?}",
                self.not_before
            ));
        }
        if !self.is_up {
            return Err(NoReply::NotSent("connection refused".to_owned()));
        }
        if let Some(outcome) = self.befall(at, path, token, body, carries_records) {
            return outcome;
        }
        Ok(self.model.handle(at, path, token, body))
    }

    /// What was planned for this moment happens to the server.
    fn surprise(&mut self) {
        self.requests += 1;
        match &mut self.surprise_in {
            None => return,
            Some((0, _)) => {}
            Some((left, _)) => {
                *left -= 1;
                return;
            }
        }
        let is_between = self.requests > 1;
        match self.surprise_in.take() {
            Some((_, Surprise::TokensDie)) => {
                self.model.generation += 1;
                if is_between {
                    self.sights
                        .note("token died between two requests of an upload");
                }
            }
            Some((_, Surprise::Ways { hook, batch })) => {
                (self.model.setup.hook, self.model.setup.batch) = (hook, batch);
                if is_between {
                    self.sights
                        .note("ways changed between two requests of an upload");
                }
            }
            None => {}
        }
    }

    /// Something else happens than an answer of the server.
    fn befall(
        &mut self,
        at: Duration,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
        carries_records: bool,
    ) -> Option<Result<Reply, NoReply>> {
        let weather = self.weather;
        let mut dice = self.rng.u8(..100);
        let mut happens = |percent: u8| {
            let hit = dice < percent;
            dice = dice.saturating_sub(percent);
            hit
        };
        if happens(weather.lost) {
            return Some(Err(self.give_up()));
        }
        if happens(weather.answer_lost) {
            self.model.handle(at, path, token, body);
            if carries_records {
                self.sights.note(answer_lost(way_of(path)));
            }
            return Some(Err(self.give_up()));
        }
        if happens(weather.late) {
            let (path, token) = (path.to_owned(), token.map(str::to_owned));
            if let Some(body) = body {
                self.late.push(Late {
                    at: at + Duration::from_millis(self.rng.u64(1_000..60_000)),
                    path,
                    token,
                    body: body.to_vec(),
                });
            }
            return Some(Err(self.give_up()));
        }
        if happens(weather.proxy) {
            return Some(Ok(self.proxy_page(at, path, token, body)));
        }
        if carries_records && happens(weather.throttled) {
            let after = Duration::from_secs(self.rng.u64(1..8));
            self.not_before = at + after;
            self.sights.note("asked to come back later");
            return Some(Ok(Reply {
                status: 429,
                retry_after: Some(after),
                body: r#"{"data":{},"message":"Too Many Requests.","status":429}"#.to_owned(),
            }));
        }
        None
    }

    /// The client waits for its timeout.
    fn give_up(&mut self) -> NoReply {
        self.taken += Duration::from_millis(self.rng.u64(10..5_000));
        NoReply::Lost("timeout".to_owned())
    }

    fn proxy_page(
        &mut self,
        at: Duration,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> Reply {
        let status = *self
            .rng
            .choice(&[200_u16, 302, 403, 404, 502, 503, 504])
            .unwrap_or(&502);
        if status == 504 && self.rng.bool() {
            self.model.handle(at, path, token, body);
        }
        Reply {
            status,
            retry_after: None,
            body: "<html>a proxy</html>".to_owned(),
        }
    }
}

fn way_of(path: &str) -> Route {
    if path.starts_with("/api/batch") {
        Route::Batch
    } else if path.starts_with("/api/collections/") {
        Route::Single
    } else {
        Route::Bulk
    }
}

impl Transport for Network {
    fn get(&self, path: &str, token: Option<&str>) -> Result<Reply, NoReply> {
        self.lock().request(path, token, None)
    }

    fn post(&self, path: &str, token: Option<&str>, body: &[u8]) -> Result<Reply, NoReply> {
        self.lock().request(path, token, Some(body))
    }

    fn count_upload_error(&self) {}

    fn interrupt(self) {}
}

impl Clock for Network {
    fn monotonic(&self) -> Duration {
        let state = self.lock();
        state.now + state.taken
    }

    fn calendar(&self) -> SystemTime {
        let state = self.lock();
        let seconds = state
            .now
            .as_secs()
            .saturating_add_signed(state.calendar_error);
        UNIX_EPOCH + Duration::from_secs(seconds)
    }
}
