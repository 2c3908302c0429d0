//! Finds out whether a server takes records, with the account's own rights.

use std::time::Instant;

use serde_json::{Value, json};
use uuid::Uuid;

use super::hook::HOOK_FILE;
use super::report::{Outcome, Report};
use super::schema;
use crate::config::{PocketBaseConfig, Secret};
use crate::delivery::Verdict;
use crate::error::PocketBaseError;
use crate::id::RecordId;
use crate::pocketbase::answers::{Class, Route, Seen, classify};
use crate::pocketbase::bulk::{Hook, bulk_path, look_for_hook, verdicts};
use crate::pocketbase::client::{Client, Transport};
use crate::pocketbase::rows::{Rows, records_path};
use crate::pocketbase::session::{SignInError, sign_in};

/// The target of the records that a check leaves in the collection.
pub const PROBE_TARGET: &str = "telemetry_pocketbase::probe";

/// Records of the batch that is sent, and of the upload in bulk.
const BATCH_PROBES: u64 = 20;

/// Looks whether the server of `config` is there, lets the account in, has the
/// collection with all fields, recognises a record that is sent again, and
/// takes batches, and has our hook; and how long each way takes.
///
/// Leaves up to 41 records with target [`PROBE_TARGET`] in the collection: the
/// account may neither read nor delete.
///
/// # Errors
/// [`PocketBaseError::Config`] and [`PocketBaseError::Io`] for a configuration
/// that cannot be; everything else is in the report.
pub fn check(config: &PocketBaseConfig) -> Result<Report, PocketBaseError> {
    config.validate_with_account()?;
    let client = Client::new(config, None)?;
    let mut report = Report::default();
    // The first thing that is wrong hides what comes after it.
    let _ = Check {
        config,
        client,
        session: Uuid::new_v4(),
        report: &mut report,
    }
    .run();
    Ok(report)
}

/// A check in progress. `None` from a step: the next ones make no sense.
struct Check<'a> {
    config: &'a PocketBaseConfig,
    client: Client,
    session: Uuid,
    report: &'a mut Report,
}

impl Check<'_> {
    fn run(&mut self) -> Option<()> {
        self.server()?;
        let token = self.sign_in()?;
        self.single(&token)?;
        self.resend(&token)?;
        self.batch(&token)?;
        self.bulk(&token)
    }

    fn server(&mut self) -> Option<()> {
        let what = format!("server {}", self.client.base());
        let outcome = match self.client.get("/api/health", None) {
            Ok(reply) if reply.status == 200 && reply.body.contains("API is healthy") => {
                Outcome::Good
            }
            Ok(reply) => Outcome::Wrong(format!(
                "it answers, but not as PocketBase does (HTTP {})",
                reply.status
            )),
            Err(error) => Outcome::Wrong(format!("it does not answer: {}", error.reason())),
        };
        self.add(what, outcome)
    }

    fn sign_in(&mut self) -> Option<Secret> {
        let what = format!("account {}", self.config.identity);
        let password = match self.config.password.find() {
            Ok(password) => password,
            Err(reason) => {
                let why = format!("there is no password: {reason}");
                self.add(what, Outcome::Wrong(why))?;
                return None;
            }
        };
        let (collection, identity) = (&self.config.auth_collection, &self.config.identity);
        match sign_in(&self.client, collection, identity, &password) {
            Ok(token) => {
                self.add(what, Outcome::Good)?;
                Some(token)
            }
            Err(error) => {
                let why = self.why_not(error);
                self.add(what, Outcome::Wrong(why))?;
                None
            }
        }
    }

    fn why_not(&self, error: SignInError) -> String {
        match error {
            SignInError::Refused(why) if self.is_old() => {
                format!("{why}; the server is PocketBase 0.22 or older")
            }
            SignInError::Refused(why) => format!("{why}; the setup creates or corrects it"),
            SignInError::NoPassword(why) => format!("there is no password: {why}"),
            SignInError::Away { reason, .. } => reason,
        }
    }

    /// Up to 0.22 superusers were no collection.
    fn is_old(&self) -> bool {
        let path = "/api/admins/auth-with-password";
        self.client
            .post(path, None, b"{}")
            .is_ok_and(|reply| reply.status == 400)
    }

    fn single(&mut self, token: &Secret) -> Option<()> {
        let start = Instant::now();
        let (class, why, stored) = self.send_probe(token, 1)?;
        let took = start.elapsed();
        let what = format!("collection {}", self.config.collection);
        if class != Class::Stored {
            return self.add(what, Outcome::Wrong(format!("it takes no record: {why}")));
        }
        let missing = missing_fields(&stored);
        let outcome = if missing.is_empty() {
            Outcome::Good
        } else {
            let names = missing.join(", ");
            Outcome::Wrong(format!("fields are missing: {names}; the setup adds them"))
        };
        self.report.add(what, outcome);
        let note = format!("{:.1} ms a record", took.as_secs_f64() * 1000.0);
        self.add("single creates", Outcome::Note(note))
    }

    fn resend(&mut self, token: &Secret) -> Option<()> {
        let (class, why, _) = self.send_probe(token, 1)?;
        let outcome = match class {
            Class::AlreadyStored { .. } => Outcome::Good,
            _ => Outcome::Wrong(format!("records would be stored twice: {why}")),
        };
        self.add("a record sent again is recognised", outcome)
    }

    fn batch(&mut self, token: &Secret) -> Option<()> {
        let mut rows = Rows::default();
        for seq in 2..2 + BATCH_PROBES {
            let (id, line) = self.probe(seq);
            if let Err(why) = rows.push(id, &line) {
                return self.add("batch requests", Outcome::Wrong(why));
            }
        }
        let body = rows.batch_body(&records_path(&self.config.collection));
        let start = Instant::now();
        let path = "/api/batch?fields=status";
        let reply = self.client.post(path, Some(token.expose()), &body);
        let per_record = start.elapsed().as_secs_f64() * 1000.0 / BATCH_PROBES as f64;
        let outcome = match reply {
            Err(error) => Outcome::Wrong(error.reason().to_owned()),
            Ok(reply) => {
                let seen = Seen::new(Route::Batch, rows.len(), &reply);
                match classify(&seen) {
                    (_, Class::Stored) => Outcome::Note(format!("{per_record:.1} ms a record")),
                    (_, Class::NoSuchRoute) if self.is_old() => Outcome::Note(
                        "PocketBase has them from 0.23 on; records go one by one".to_owned(),
                    ),
                    (_, Class::NoSuchRoute) => Outcome::Wrong(
                        "they are switched off, so records go one by one; the setup switches them on"
                            .to_owned(),
                    ),
                    (row, _) => Outcome::Wrong(seen.describe(row)),
                }
            }
        };
        self.add("batch requests", outcome)
    }

    /// The hook is optional, but a wrong one is not as somebody wanted it.
    fn bulk(&mut self, token: &Secret) -> Option<()> {
        let what = "uploads in bulk";
        let outcome = match look_for_hook(&self.client, &self.config.collection) {
            Hook::Missing if self.is_old() => {
                Outcome::Note("the hook file needs PocketBase 0.23 or later".to_owned())
            }
            Hook::Missing => Outcome::Note(format!(
                "the server has no hook file; `pocketbase files` writes {HOOK_FILE}, which makes uploads many times faster"
            )),
            Hook::Unusable(why) | Hook::Unknown(why) => Outcome::Wrong(why),
            Hook::Usable { retention_days } => self.bulk_probes(token, retention_days),
        };
        self.add(what, outcome)
    }

    fn bulk_probes(&self, token: &Secret, retention_days: u32) -> Outcome {
        let mut rows = Rows::default();
        for seq in 2 + BATCH_PROBES..2 + 2 * BATCH_PROBES {
            let (id, line) = self.probe(seq);
            if let Err(why) = rows.push(id, &line) {
                return Outcome::Wrong(why);
            }
        }
        let path = bulk_path(&self.config.collection);
        let start = Instant::now();
        let reply = self
            .client
            .post(&path, Some(token.expose()), &rows.bulk_body());
        let per_record = start.elapsed().as_secs_f64() * 1000.0 / BATCH_PROBES as f64;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return Outcome::Wrong(error.reason().to_owned()),
        };
        let is_stored = |(_, verdict): &(usize, Verdict)| *verdict == Verdict::Stored;
        match verdicts(&reply, rows.len()) {
            Some(verdicts) if verdicts.iter().all(is_stored) => {
                let kept = match retention_days {
                    0 => "for ever".to_owned(),
                    days => format!("for {days} days"),
                };
                Outcome::Note(format!("{per_record:.2} ms a record; kept {kept}"))
            }
            Some(_) => Outcome::Wrong("the hook refuses what it should take".to_owned()),
            None => {
                let seen = Seen::new(Route::Bulk, rows.len(), &reply);
                let (row, _) = classify(&seen);
                Outcome::Wrong(seen.describe(row))
            }
        }
    }

    /// Sends one probe: what the answer means, in words, and its body.
    fn send_probe(&mut self, token: &Secret, seq: u64) -> Option<(Class, String, Value)> {
        let (id, line) = self.probe(seq);
        let mut rows = Rows::default();
        let written = rows.push(id, &line);
        let path = records_path(&self.config.collection);
        let reply = written.and_then(|()| {
            let reply = self.client.post(&path, Some(token.expose()), rows.row(0));
            reply.map_err(|error| error.reason().to_owned())
        });
        match reply {
            Ok(reply) => {
                let seen = Seen::new(Route::Single, 1, &reply);
                let (row, class) = classify(&seen);
                let body = serde_json::from_str(&reply.body).unwrap_or_default();
                Some((class, seen.describe(row), body))
            }
            Err(why) => {
                self.add("a probe", Outcome::Wrong(why))?;
                None
            }
        }
    }

    fn probe(&self, seq: u64) -> (RecordId, String) {
        let line = json!({
            "timestamp": jiff::Timestamp::now().to_string(),
            "level": "INFO",
            "target": PROBE_TARGET,
            "message": "a check of the upload",
            "fields": {"probe": true},
            "spans": [{"name": "probe", "fields": {}}],
            "module_path": PROBE_TARGET, "file": file!(), "line": line!(),
            "daemon_id": Uuid::nil().to_string(),
            "session_id": self.session.to_string(),
            "seq": seq,
        });
        (RecordId::of(self.session, seq), line.to_string())
    }

    /// Notes a step; `None` if it went wrong.
    fn add(&mut self, what: impl Into<String>, outcome: Outcome) -> Option<()> {
        let is_wrong = matches!(outcome, Outcome::Wrong(_));
        self.report.add(what, outcome);
        (!is_wrong).then_some(())
    }
}

/// The server shows the author of a record all of it, so what it does not show
/// is not there.
fn missing_fields(stored: &Value) -> Vec<String> {
    schema::fields()
        .iter()
        .filter_map(|field| field["name"].as_str())
        .filter(|name| stored.get(name).is_none())
        .map(str::to_owned)
        .collect()
}
