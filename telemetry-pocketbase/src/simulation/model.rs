//! A model of PocketBase, as far as an uploader sees it: requests in, answers
//! out. It follows what was measured on PocketBase 0.40; a suite that runs the same against both is still to come.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::pocketbase::bulk::{HOOK_PATH, HOOK_VERSION, bulk_path};
use crate::pocketbase::client::Reply;

/// The collection of the records.
pub(super) const COLLECTION: &str = "daemon_logs";
/// The collection of the account.
pub(super) const ACCOUNTS: &str = "telemetry_clients";
/// What the account signs in with.
pub(super) const PASSWORD: &str = "simulated";

/// How the server is set up and how it feels.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// The hook file is there.
    pub(super) hook: bool,
    /// `/api/batch` takes so many requests; `None`: switched off.
    pub(super) batch: Option<usize>,
    /// PocketBase 0.22: other errors, no batch.
    pub(super) is_old: bool,
    /// The collection is there.
    pub(super) collection: bool,
    /// The rule of the collection lets the account in.
    pub(super) allows: bool,
    /// Its disk is full.
    pub(super) disk_full: bool,
    /// Creates in five seconds.
    pub(super) rate_limit: Option<u32>,
    /// Characters that a message may have.
    pub(super) max_message: usize,
    /// Bytes that a body may have.
    pub(super) max_body: usize,
    /// Seconds for which a token lives.
    pub(super) token_life: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            hook: false,
            batch: Some(500),
            is_old: false,
            collection: true,
            allows: true,
            disk_full: false,
            rate_limit: None,
            max_message: 65_600,
            max_body: 32 * 1024 * 1024,
            token_life: 604_800,
        }
    }
}

/// A server with its data.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) setup: Setup,
    /// Records by id.
    pub(super) rows: BTreeMap<String, Value>,
    /// Ids in the order in which they were stored.
    pub(super) order: Vec<String>,
    /// Tokens of earlier generations are dead.
    pub(super) generation: u64,
    /// How often something happened, for the "sometimes" assertions.
    pub(super) seen: BTreeMap<&'static str, u64>,
    window: (u64, u32),
    places: HashMap<String, String>,
    /// A record that is stored under a second id.
    pub(super) stored_twice: Option<String>,
}

/// Why a record is not created: status and data.
type Refusal = (u16, Value);

impl Model {
    /// An empty server.
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            setup,
            ..Self::default()
        }
    }

    /// Answers a request at `now`, the server's own time.
    pub(super) fn handle(
        &mut self,
        now: Duration,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> Reply {
        let (status, value) = self.route(now, path, token, body);
        Reply {
            status,
            retry_after: None,
            body: value.to_string(),
        }
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn route(
        &mut self,
        now: Duration,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> (u16, Value) {
        let path = path.split('?').next().unwrap_or_default();
        let Some(body) = body else {
            return match path == HOOK_PATH && self.setup.hook && !self.setup.is_old {
                true => (200, hook_description()),
                false => self.error(404, "The requested resource wasn't found.", json!({})),
            };
        };
        if body.len() > self.setup.max_body {
            self.note("body too large");
            return self.error(413, "Request entity too large.", json!({}));
        }
        let is_in = token.is_some_and(|token| self.is_alive(token, now));
        if path == format!("/api/collections/{ACCOUNTS}/auth-with-password") {
            return self.sign_in(now, body);
        }
        if path == format!("/api/collections/{ACCOUNTS}/auth-refresh") {
            return match is_in {
                true => (200, json!({"token": self.token(now)})),
                false => self.unauthorized(),
            };
        }
        if path == bulk_path(COLLECTION) && self.setup.hook && !self.setup.is_old {
            return self.bulk(now, is_in, body);
        }
        if path == "/api/batch" && !self.setup.is_old {
            return self.batch(now, is_in, body);
        }
        if path == format!("/api/collections/{COLLECTION}/records") {
            return self.single(now, is_in, body);
        }
        self.error(404, "The requested resource wasn't found.", json!({}))
    }

    fn error(&self, status: u16, message: &str, data: Value) -> (u16, Value) {
        let key = if self.setup.is_old { "code" } else { "status" };
        let mut body = Map::new();
        body.insert(key.to_owned(), json!(status));
        body.insert("message".to_owned(), json!(message));
        body.insert("data".to_owned(), data);
        (status, Value::Object(body))
    }

    fn unauthorized(&mut self) -> (u16, Value) {
        self.note("dead token noticed");
        let message = "The request requires valid record authorization token.";
        self.error(401, message, json!({}))
    }

    fn token(&self, now: Duration) -> String {
        let expiry = now.as_secs() + self.setup.token_life;
        let claims = base64url(json!({"exp": expiry}).to_string().as_bytes());
        format!("head.{claims}.{}-{expiry}", self.generation)
    }

    fn is_alive(&self, token: &str, now: Duration) -> bool {
        let signature = token.rsplit('.').next().unwrap_or_default();
        let Some((generation, expiry)) = signature.split_once('-') else {
            return false;
        };
        generation.parse() == Ok(self.generation)
            && expiry.parse().is_ok_and(|at: u64| now.as_secs() < at)
    }

    fn sign_in(&self, now: Duration, body: &[u8]) -> (u16, Value) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if body["password"] == PASSWORD {
            return (200, json!({"token": self.token(now)}));
        }
        self.error(400, "Failed to authenticate.", json!({}))
    }

    /// Whether one more create is within the rate limit.
    fn is_within_rate(&mut self, now: Duration) -> bool {
        let Some(limit) = self.setup.rate_limit else {
            return true;
        };
        let window = now.as_secs() / 5;
        if self.window.0 != window {
            self.window = (window, 0);
        }
        self.window.1 += 1;
        self.window.1 <= limit
    }

    /// What a create of the server's own kind is refused with.
    fn refusal(&self, is_in: bool, row: &Value) -> Option<Refusal> {
        if !self.setup.collection {
            return Some((404, json!({})));
        }
        if !is_in || !self.setup.allows || self.setup.disk_full {
            return Some((400, json!({})));
        }
        if let Some((field, code, params)) = self.invalid(row) {
            let error = json!({"code": code, "message": "It is wrong.", "params": params});
            return Some((400, json!({field: error})));
        }
        if row["message"]
            .as_str()
            .is_some_and(|m| m.starts_with("mystery"))
        {
            return Some((400, json!({})));
        }
        if self
            .rows
            .contains_key(row["id"].as_str().unwrap_or_default())
        {
            return Some(self.not_unique());
        }
        None
    }

    fn not_unique(&self) -> Refusal {
        let code = if self.setup.is_old {
            "validation_invalid_id"
        } else {
            "validation_not_unique"
        };
        let error = json!({"code": code, "message": "Value must be unique."});
        (400, json!({"id": error}))
    }

    /// The first field that does not pass, with code and parameters.
    fn invalid(&self, row: &Value) -> Option<(&'static str, &'static str, Value)> {
        let message = row["message"].as_str().unwrap_or_default();
        if message.is_empty() || message.starts_with("poison") {
            return Some(("message", "validation_required", json!({})));
        }
        if message.chars().count() > self.setup.max_message {
            let params = json!({"max": self.setup.max_message});
            return Some(("message", "validation_max_text_constraint", params));
        }
        None
    }

    fn single(&mut self, now: Duration, is_in: bool, body: &[u8]) -> (u16, Value) {
        let Some(row) = readable(body) else {
            let message = "Something went wrong while processing your request.";
            return self.error(400, message, json!({}));
        };
        if !self.is_within_rate(now) {
            self.note("rate limit met");
            return self.error(429, "Too Many Requests.", json!({}));
        }
        if let Some((status, data)) = self.refusal(is_in, &row) {
            if data.get("id").is_some() {
                self.note("resend recognised");
            }
            let message = match status {
                404 => "Missing or invalid collection context.",
                _ => "Failed to create record.",
            };
            return self.error(status, message, data);
        }
        self.note("stored singly");
        let id = row["id"].clone();
        self.store(row);
        (200, json!({"id": id}))
    }

    fn batch(&mut self, now: Duration, is_in: bool, body: &[u8]) -> (u16, Value) {
        let Some(most) = self.setup.batch else {
            return self.error(403, "Batch requests are not allowed.", json!({}));
        };
        let Some(body) = readable(body) else {
            self.note("batch not readable");
            return self.error(400, "Failed to read the submitted batch data.", json!({}));
        };
        let requests = body["requests"].as_array().cloned().unwrap_or_default();
        if requests.len() > most {
            self.note("batch too long");
            let error = json!({
                "code": "validation_length_too_long",
                "message": format!("The length must be no more than {most}."),
                "params": {"max": most, "min": 0},
            });
            return self.error(
                400,
                "Invalid batch request data.",
                json!({"requests": error}),
            );
        }
        let rows: Vec<Value> = requests.into_iter().map(|mut r| r["body"].take()).collect();
        let mut fresh = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let id = row["id"].as_str().unwrap_or_default().to_owned();
            let refusal = if self.is_within_rate(now) {
                let refusal = self.refusal(is_in, row);
                let is_double = refusal.is_none() && fresh.contains(&id);
                refusal.or_else(|| is_double.then(|| self.not_unique()))
            } else {
                self.note("rate limit met inside a batch");
                Some((429, json!({})))
            };
            if let Some((status, data)) = refusal {
                if data.get("id").is_some() {
                    self.note("resend recognised");
                }
                return self.failed_item(index, status, data);
            }
            fresh.push(id);
        }
        self.note("stored in a batch");
        let answer = rows.iter().map(|_| json!({"status": 200})).collect();
        for row in rows {
            self.store(row);
        }
        (200, answer)
    }

    fn failed_item(&self, index: usize, status: u16, data: Value) -> (u16, Value) {
        let (_, response) = self.error(status, "Failed to create record.", data);
        let item = json!({
            "code": "batch_request_failed", "message": "Batch request failed.", "response": response,
        });
        let data = json!({"requests": {index.to_string(): item}});
        self.error(400, "Batch transaction failed.", data)
    }

    fn bulk(&mut self, now: Duration, is_in: bool, body: &[u8]) -> (u16, Value) {
        if !self.is_within_rate(now) {
            self.note("rate limit met");
            return self.error(429, "Too Many Requests.", json!({}));
        }
        if !is_in {
            return self.unauthorized();
        }
        let Some(Value::Array(rows)) = readable(body) else {
            return self.error(400, "Failed to read the records.", json!({}));
        };
        let mystery = |row: &Value| {
            row["message"]
                .as_str()
                .is_some_and(|m| m.starts_with("mystery"))
        };
        if self.setup.disk_full || !self.setup.collection || rows.iter().any(mystery) {
            let message = "Something went wrong while processing your request.";
            return self.error(400, message, json!({}));
        }
        let (count, mut stored, mut known) = (rows.len(), 0, 0);
        let mut refused = Vec::new();
        for (position, row) in rows.into_iter().enumerate() {
            let id = row["id"].as_str().unwrap_or_default();
            // The hook has limits of its own, those of our collection.
            let invalid = self.invalid(&row);
            let invalid = invalid.filter(|(_, code, _)| *code == "validation_required");
            if let Some((field, code, _)) = invalid {
                refused.push(json!({"position": position, "reason": format!("{field}: {code}")}));
            } else if self.rows.contains_key(id) {
                known += 1;
            } else {
                stored += 1;
                self.store(row);
            }
        }
        self.note("stored in bulk");
        if known > 0 {
            self.note("resend recognised");
        }
        let version = HOOK_VERSION;
        (
            200,
            json!({"version": version, "count": count, "stored": stored, "known": known, "refused": refused}),
        )
    }

    fn store(&mut self, row: Value) {
        let id = row["id"].as_str().unwrap_or_default().to_owned();
        let place = format!("{}/{}", row["session_id"], row["seq"]);
        if let Some(before) = self.places.insert(place, id.clone())
            && before != id
        {
            self.stored_twice = Some(format!("{before} and {id}"));
        }
        self.order.push(id.clone());
        self.rows.insert(id, row);
    }
}

/// Bodies with the word `unreadable` in them are what json/v2 refuses to read.
fn readable(body: &[u8]) -> Option<Value> {
    const MARK: &[u8] = b"unreadable";
    if body.windows(MARK.len()).any(|window| window == MARK) {
        return None;
    }
    serde_json::from_slice(body).ok()
}

fn hook_description() -> Value {
    json!({
        "hook": "sync-daemon", "version": HOOK_VERSION, "accepts": [HOOK_VERSION],
        "collection": COLLECTION, "retentionDays": 0,
    })
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, &byte| (bits << 8) | u32::from(byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let letter = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}
