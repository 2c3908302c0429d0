//! The destination: a batch becomes one request, or one for each record.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::answers::{Class, Route, Seen, classify};
use super::client::{Client, NoReply};
use super::row::write_row;
use super::session::{Pass, Session, SignInError, Verdict as TokenVerdict};
use crate::config::PocketBaseConfig;
use crate::delivery::{Answer, Batch, Destination, Doubt, Rest, Verdict};
use crate::id::RecordId;

/// A missing password is looked for again after this long.
const PASSWORD_INTERVAL: Duration = Duration::from_secs(2);

/// Without a word from the server, a rate limit lasts this long. The windows
/// that it presets for uploads are 1 and 5 s.
const LIMITED_FOR: Duration = Duration::from_secs(5);

/// A server without batch route is asked for it again after this long.
const BATCH_PROBE_INTERVAL: Duration = Duration::from_secs(600);

/// Uploads to a collection of a PocketBase server.
///
/// By `/api/batch` if the server has it, else record by record.
pub(crate) struct PocketBase {
    client: Client,
    session: Session,
    records_path: String,
    batch_missing_since: Option<Instant>,
}

impl Destination for PocketBase {
    fn upload(&mut self, batch: &Batch) -> Answer {
        let pass = match self.session.pass(&self.client) {
            Ok(pass) => pass,
            Err(error) => return Answer::undecided(without_token(error)),
        };
        let rows = match Rows::of(batch) {
            Ok(rows) => rows,
            Err(refused) => {
                return Answer {
                    settled: refused,
                    rest: Rest::Resend,
                };
            }
        };
        if self.may_batch()
            && let Some(answer) = self.send_batch(batch, &rows, &pass)
        {
            return answer;
        }
        self.send_singly(&rows, &pass)
    }

    fn interrupter(&self) -> Box<dyn FnOnce() + Send> {
        let client = self.client.clone();
        Box::new(move || client.interrupt())
    }
}

impl PocketBase {
    pub(crate) fn new(config: &PocketBaseConfig, client: Client) -> Self {
        Self {
            client,
            session: Session::new(
                &config.auth_collection,
                &config.identity,
                config.password.clone(),
            ),
            records_path: records_path(&config.collection),
            batch_missing_since: None,
        }
    }

    fn may_batch(&self) -> bool {
        self.batch_missing_since
            .is_none_or(|since| since.elapsed() >= BATCH_PROBE_INTERVAL)
    }

    /// Sends all in one request; `None` if the server has no such route.
    fn send_batch(&mut self, batch: &Batch, rows: &Rows, pass: &Pass) -> Option<Answer> {
        let body = rows.batch_body(&self.records_path);
        let token = Some(pass.token.expose());
        let reply = self.client.post("/api/batch?fields=status", token, &body);
        let count = rows.len();
        let (row, class, seen) = match reply {
            Ok(reply) => {
                let seen = Seen::new(Route::Batch, count, &reply);
                let (row, class) = classify(&seen);
                (row, class, seen)
            }
            Err(error) => {
                self.client.count_upload_error();
                return Some(Answer::undecided(no_answer(&error, count, Route::Batch)));
            }
        };
        if class != Class::Stored {
            self.client.count_upload_error();
        }
        if class == Class::NoBatchRoute {
            self.batch_missing_since = Some(Instant::now());
            return None;
        }
        self.batch_missing_since = None;
        Some(match class {
            Class::Stored => all(count, &Verdict::Stored),
            // All or nothing: what holds for the first record of a batch that
            // was sent before as it is holds for all of it.
            Class::AlreadyStored { index: 0 } if batch.resent => {
                all(count, &Verdict::AlreadyStored)
            }
            Class::AlreadyStored { index } => one(index, Verdict::AlreadyStored),
            Class::Refused { index, reason } => one(index, Verdict::Refused(reason)),
            Class::TooLarge | Class::Unreadable if count == 1 => {
                one(0, Verdict::Refused(seen.describe(row)))
            }
            Class::TooLarge | Class::Unreadable => Answer::undecided(Rest::Split { at_most: None }),
            Class::TooMany { at_most } => Answer::undecided(Rest::Split { at_most }),
            class => Answer::undecided(self.failure(&class, &seen, row, pass)),
        })
    }

    /// Sends record by record, until one fails for a reason of its own.
    fn send_singly(&mut self, rows: &Rows, pass: &Pass) -> Answer {
        let path = format!("{}?fields=id", self.records_path);
        let mut settled = Vec::with_capacity(rows.len());
        for index in 0..rows.len() {
            let token = Some(pass.token.expose());
            let reply = match self.client.post(&path, token, rows.row(index)) {
                Ok(reply) => reply,
                Err(error) => {
                    self.client.count_upload_error();
                    let rest = no_answer(&error, 1, Route::Single);
                    return Answer { settled, rest };
                }
            };
            let seen = Seen::new(Route::Single, 1, &reply);
            let (row, class) = classify(&seen);
            if class != Class::Stored {
                self.client.count_upload_error();
            }
            let verdict = match class {
                Class::Stored => Verdict::Stored,
                Class::AlreadyStored { .. } => Verdict::AlreadyStored,
                Class::Refused { reason, .. } => Verdict::Refused(reason),
                Class::TooLarge | Class::Unreadable => Verdict::Refused(seen.describe(row)),
                class => {
                    let rest = self.failure(&class, &seen, row, pass);
                    return Answer { settled, rest };
                }
            };
            settled.push((index, verdict));
        }
        Answer {
            settled,
            rest: Rest::Resend,
        }
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
        if pass.is_new {
            return TokenVerdict::Alive;
        }
        self.session.verify(&self.client)
    }
}

/// The path of the records of a collection.
pub(crate) fn records_path(collection: &str) -> String {
    format!("/api/collections/{collection}/records")
}

/// The records of a batch as rows of the collection.
#[derive(Default)]
pub(crate) struct Rows {
    json: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Rows {
    /// Those that are no log lines are refused.
    fn of(batch: &Batch) -> Result<Self, Vec<(usize, Verdict)>> {
        let mut rows = Self::default();
        let mut refused = Vec::new();
        for (index, record) in batch.records.iter().enumerate() {
            if let Err(reason) = rows.push(record.id, &record.line) {
                refused.push((index, Verdict::Refused(reason)));
            }
        }
        if refused.is_empty() {
            Ok(rows)
        } else {
            Err(refused)
        }
    }

    /// Adds one record; the reason if it is no log line.
    pub(crate) fn push(&mut self, id: RecordId, line: &str) -> Result<(), String> {
        let start = self.json.len();
        write_row(&mut self.json, id, line)?;
        self.places.push(start..self.json.len());
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    fn row(&self, index: usize) -> &[u8] {
        &self.json[self.places[index].clone()]
    }

    /// The body of a request to `/api/batch`.
    pub(crate) fn batch_body(&self, records_path: &str) -> Vec<u8> {
        let head = format!(r#"{{"method":"POST","url":"{records_path}","body":"#);
        let mut body = Vec::with_capacity(self.json.len() + self.len() * (head.len() + 2) + 16);
        body.extend_from_slice(b"{\"requests\":[");
        for index in 0..self.len() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(self.row(index));
            body.push(b'}');
        }
        body.extend_from_slice(b"]}");
        body
    }
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
        (_, Route::Single) => Doubt::Any,
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
