//! The destination: a batch becomes one request, or one for each record.

use std::sync::Arc;
use std::time::Duration;

use super::answers::{Class, Route, Seen, classify};
use super::bulk::{bulk_path, verdicts};
use super::client::{NoReply, Transport};
use super::limits::Limits;
use super::rows::{Rows, records_path};
use super::session::{Pass, Session, SignInError, Verdict as TokenVerdict};
use super::ways::Ways;
use crate::clock::Clock;
use crate::config::PocketBaseConfig;
use crate::delivery::{Answer, Batch, Destination, Doubt, Rest, Verdict};
use crate::planted;

/// A missing password is looked for again after this long.
const PASSWORD_INTERVAL: Duration = Duration::from_secs(2);

/// Without a word from the server, a rate limit lasts this long. The windows
/// that it presets for uploads are 1 and 5 s.
const LIMITED_FOR: Duration = Duration::from_secs(5);

/// A batch is sent anew this often because a limit was learnt from its refusal:
/// more than a collection of logs has fields.
const MAX_LESSONS: u32 = 32;

/// Uploads to a collection of a PocketBase server, the best way that it has: by
/// the bulk route of our hook, by `/api/batch`, or record by record.
pub(crate) struct PocketBase<T> {
    client: T,
    session: Session,
    clock: Arc<dyn Clock>,
    collection: String,
    records_path: String,
    ways: Ways,
    limits: Limits,
}

/// What came of sending a batch one way.
enum Sent {
    /// The server has answered.
    Done(Answer),
    /// The server does not offer this way: try the next.
    NoSuchWay,
    /// The server has told a limit of the collection: cut, and send again.
    Learnt,
}

impl<T: Transport> Destination for PocketBase<T> {
    fn upload(&mut self, batch: &Batch) -> Answer {
        let pass = match self.session.pass(&self.client) {
            Ok(pass) => pass,
            Err(error) => return Answer::undecided(without_token(error)),
        };
        for _ in 0..MAX_LESSONS {
            let rows = match Rows::of(batch, &self.limits) {
                Ok(rows) => rows,
                Err(refused) => {
                    return Answer {
                        settled: refused,
                        rest: Rest::Resend,
                    };
                }
            };
            match self.send(batch, &rows, &pass) {
                Sent::Done(answer) => return answer,
                Sent::NoSuchWay | Sent::Learnt => {}
            }
        }
        let reason = "the server names ever new limits".to_owned();
        Answer::undecided(retry(reason, None))
    }

    fn interrupter(&self) -> Box<dyn FnOnce() + Send> {
        let client = self.client.clone();
        Box::new(move || client.interrupt())
    }

    fn take_note(&mut self) -> Option<String> {
        self.ways.take_note()
    }
}

impl<T: Transport> PocketBase<T> {
    pub(crate) fn new(config: &PocketBaseConfig, client: T, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            session: Session::new(
                &config.auth_collection,
                &config.identity,
                config.password.clone(),
                clock.clone(),
            ),
            clock,
            collection: config.collection.clone(),
            records_path: records_path(&config.collection),
            ways: Ways::default(),
            limits: Limits::default(),
        }
    }

    /// Sends all the best way that there is.
    fn send(&mut self, batch: &Batch, rows: &Rows, pass: &Pass) -> Sent {
        let now = self.clock.monotonic();
        if self.ways.may_bulk(&self.client, &self.collection, now) {
            match self.send_bulk(rows, pass) {
                Sent::NoSuchWay => self.ways.bulk_is_missing(now),
                sent => return sent,
            }
        }
        if self.ways.may_batch(now) {
            match self.send_batch(batch, rows, pass) {
                Sent::NoSuchWay => self.ways.batch_is_missing(now),
                sent => return sent,
            }
        }
        self.send_singly(rows, pass)
    }

    /// Sends all in one statement.
    fn send_bulk(&mut self, rows: &Rows, pass: &Pass) -> Sent {
        let count = rows.len();
        let path = format!("{}?count={count}", bulk_path(&self.collection));
        let token = Some(pass.token.expose());
        let reply = match self.client.post(&path, token, &rows.bulk_body()) {
            Ok(reply) => reply,
            Err(error) => {
                self.client.count_upload_error();
                return undecided(no_answer(&error, count, Route::Bulk));
            }
        };
        if let Some(settled) = verdicts(&reply, count) {
            if planted!(BelievesBulkBlindly) {
                return Sent::Done(all(count, &Verdict::Stored));
            }
            return Sent::Done(Answer {
                settled,
                rest: Rest::Resend,
            });
        }
        self.client.count_upload_error();
        let seen = Seen::new(Route::Bulk, count, &reply);
        let (row, class) = classify(&seen);
        match class {
            Class::NoSuchRoute => Sent::NoSuchWay,
            Class::TooLarge | Class::Unreadable => too_much(count, &seen, row),
            // Perhaps only the hook is broken: the server's own routes decide.
            Class::Doubtful | Class::Forbidden if self.verify(pass) == TokenVerdict::Alive => {
                Sent::NoSuchWay
            }
            class => undecided(self.failure(&class, &seen, row, pass)),
        }
    }

    /// Sends all in one request of the server's own kind.
    fn send_batch(&mut self, batch: &Batch, rows: &Rows, pass: &Pass) -> Sent {
        let body = rows.batch_body(&self.records_path);
        let token = Some(pass.token.expose());
        let reply = self.client.post("/api/batch?fields=status", token, &body);
        let count = rows.len();
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.client.count_upload_error();
                return undecided(no_answer(&error, count, Route::Batch));
            }
        };
        let seen = Seen::new(Route::Batch, count, &reply);
        let (row, class) = classify(&seen);
        if class != Class::Stored {
            self.client.count_upload_error();
        }
        Sent::Done(match class {
            Class::Stored => all(count, &Verdict::Stored),
            Class::NoSuchRoute => return Sent::NoSuchWay,
            // All or nothing: what holds for the first record of a batch that
            // was sent before as it is holds for all of it.
            Class::AlreadyStored { index: 0 } if batch.resent => {
                all(count, &Verdict::AlreadyStored)
            }
            Class::AlreadyStored { index } => one(index, duplicate()),
            Class::Refused { told, .. } if self.learn(told.clone()) => return Sent::Learnt,
            Class::Refused { index, reason, .. } => one(index, Verdict::Refused(reason)),
            Class::TooLarge | Class::Unreadable => return too_much(count, &seen, row),
            Class::TooMany { at_most } => Answer::undecided(Rest::Split { at_most }),
            class => Answer::undecided(self.failure(&class, &seen, row, pass)),
        })
    }

    /// Sends record by record, until one fails for a reason of its own.
    fn send_singly(&mut self, rows: &Rows, pass: &Pass) -> Sent {
        let path = format!("{}?fields=id", self.records_path);
        let mut settled = Vec::with_capacity(rows.len());
        for index in 0..rows.len() {
            let token = Some(pass.token.expose());
            let reply = match self.client.post(&path, token, rows.row(index)) {
                Ok(reply) => reply,
                Err(error) => {
                    self.client.count_upload_error();
                    if planted!(TakesLostForStored) {
                        settled.push((index, Verdict::Stored));
                        continue;
                    }
                    let rest = no_answer(&error, 1, Route::Single);
                    return Sent::Done(Answer { settled, rest });
                }
            };
            let seen = Seen::new(Route::Single, 1, &reply);
            let (row, class) = classify(&seen);
            if class != Class::Stored {
                self.client.count_upload_error();
            }
            let verdict = match class {
                Class::Stored => Verdict::Stored,
                Class::AlreadyStored { .. } => duplicate(),
                // What is settled so far is told first; the rest comes again.
                Class::Refused { told, .. } if self.learn(told.clone()) => {
                    if settled.is_empty() {
                        return Sent::Learnt;
                    }
                    break;
                }
                Class::Refused { reason, .. } => Verdict::Refused(reason),
                Class::TooLarge | Class::Unreadable => Verdict::Refused(seen.describe(row)),
                class => {
                    let rest = self.failure(&class, &seen, row, pass);
                    return Sent::Done(Answer { settled, rest });
                }
            };
            settled.push((index, verdict));
        }
        Sent::Done(Answer {
            settled,
            rest: Rest::Resend,
        })
    }

    /// Takes over the limits of a collection; whether any of them is new.
    fn learn(&mut self, told: Vec<super::limits::Told>) -> bool {
        let mut is_new = false;
        for told in told {
            is_new |= self.limits.learn(told);
        }
        is_new
    }

    /// What to do about a failure of the whole request.
    fn failure(&mut self, class: &Class, seen: &Seen, row: &str, pass: &Pass) -> Rest {
        let reason = seen.describe(row);
        match class {
            Class::DeadToken => {
                self.session.forget();
                Rest::Resend
            }
            Class::Doubtful | Class::Forbidden => match self.verify(pass) {
                TokenVerdict::Dead => {
                    self.session.forget();
                    Rest::Resend
                }
                TokenVerdict::Unknown(reason) => retry(reason, None),
                TokenVerdict::Alive if *class == Class::Forbidden => Rest::Trip { reason },
                TokenVerdict::Alive => Rest::Retry {
                    reason,
                    after: seen.retry_after,
                    halve: true,
                    doubt: Doubt::Nothing,
                },
            },
            // Fewer records in a request would make more requests.
            Class::Limited | Class::LimitedInside => Rest::Retry {
                reason,
                after: Some(seen.retry_after.unwrap_or(LIMITED_FOR)),
                halve: *class == Class::LimitedInside,
                doubt: Doubt::Nothing,
            },
            Class::Misconfigured => Rest::Trip { reason },
            // A proxy may have given up on a server that went on.
            _ => Rest::Retry {
                reason,
                after: seen.retry_after,
                halve: false,
                doubt: seen.doubt(),
            },
        }
    }

    fn verify(&mut self, pass: &Pass) -> TokenVerdict {
        if pass.is_new || planted!(NeverVerifiesTokens) {
            return TokenVerdict::Alive;
        }
        self.session.verify(&self.client)
    }
}

fn undecided(rest: Rest) -> Sent {
    Sent::Done(Answer::undecided(rest))
}

/// More than the server can read at once, or one record that it cannot read.
fn too_much(count: usize, seen: &Seen, row: &str) -> Sent {
    if count == 1 {
        return Sent::Done(one(0, Verdict::Refused(seen.describe(row))));
    }
    undecided(Rest::Split { at_most: None })
}

fn duplicate() -> Verdict {
    if planted!(RefusesDuplicates) {
        return Verdict::Refused("id: validation_not_unique".to_owned());
    }
    Verdict::AlreadyStored
}

fn all(count: usize, verdict: &Verdict) -> Answer {
    Answer {
        settled: (0..count).map(|index| (index, verdict.clone())).collect(),
        rest: Rest::Resend,
    }
}

fn one(index: usize, verdict: Verdict) -> Answer {
    Answer {
        settled: vec![(index, verdict)],
        rest: Rest::Resend,
    }
}

fn retry(reason: String, after: Option<Duration>) -> Rest {
    Rest::Retry {
        reason,
        after,
        halve: false,
        doubt: Doubt::Nothing,
    }
}

fn no_answer(error: &NoReply, count: usize, route: Route) -> Rest {
    let doubt = match (error, route) {
        (NoReply::NotSent(_), _) => Doubt::Nothing,
        (_, Route::Batch) => Doubt::AllOrNothing,
        // The bulk route leaves out what it refuses.
        (_, Route::Bulk | Route::Single) => Doubt::Any,
    };
    Rest::Retry {
        reason: error.reason().to_owned(),
        after: None,
        // The server closes early on a body that is far too large.
        halve: *error == NoReply::BrokenPipe && count > 1,
        doubt,
    }
}

fn without_token(error: SignInError) -> Rest {
    match error {
        SignInError::NoPassword(reason) => Rest::Wait {
            reason: format!("there is no password: {reason}"),
            again_in: PASSWORD_INTERVAL,
        },
        SignInError::Refused(reason) => Rest::Trip { reason },
        SignInError::Away { reason, after } => retry(reason, after),
    }
}
