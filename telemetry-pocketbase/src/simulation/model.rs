//! A model of PocketBase, as far as an uploader sees it: requests in, answers
//! out. It follows PocketBase 0.40; the stories of this workspace ask it and a
//! real server the same and compare the answers.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::sights::{Sights, way_change};
use crate::pocketbase::answers::Route;
use crate::pocketbase::bulk::{HOOK_PATH, HOOK_VERSION, bulk_path};
use crate::pocketbase::client::Reply;

/// The collection of the records.
pub(super) const COLLECTION: &str = "daemon_logs";
/// The collection of the account.
pub(super) const ACCOUNTS: &str = "telemetry_clients";
/// Who the account belongs to.
pub(super) const IDENTITY: &str = "d@example.com";
/// What the account signs in with.
pub(super) const PASSWORD: &str = "simulated";

/// Seconds for which the server counts requests.
const RATE_WINDOW: u64 = 5;

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

/// A record that is stored.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) level: String,
    pub(super) target: String,
    pub(super) message: String,
    /// As JSON.
    pub(super) fields: String,
    pub(super) session_id: String,
    pub(super) seq: u64,
}

/// A record as it comes in.
#[derive(Debug, Deserialize)]
struct Incoming<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    level: Cow<'a, str>,
    #[serde(borrow, default)]
    target: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    fields: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session_id: Cow<'a, str>,
    #[serde(default)]
    seq: u64,
}

#[derive(Deserialize)]
struct IncomingBatch<'a> {
    #[serde(borrow, default)]
    requests: Vec<IncomingRequest<'a>>,
}

#[derive(Deserialize)]
struct IncomingRequest<'a> {
    #[serde(borrow)]
    body: Incoming<'a>,
}

impl Incoming<'_> {
    fn stored(self) -> Row {
        Row {
            id: self.id.into_owned(),
            level: self.level.into_owned(),
            target: self.target.into_owned(),
            message: self.message.into_owned(),
            fields: self
                .fields
                .map(|json| json.get().to_owned())
                .unwrap_or_default(),
            session_id: self.session_id.into_owned(),
            seq: self.seq,
        }
    }

    /// What the server refuses without giving a reason.
    fn is_mysterious(&self) -> bool {
        self.message.starts_with("mystery")
    }
}

/// A server with its data.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) setup: Setup,
    /// Records in the order in which they were stored.
    pub(super) rows: Vec<Row>,
    ids: HashSet<String>,
    /// Tokens of earlier generations are dead.
    pub(super) generation: u64,
    pub(super) sights: Sights,
    /// The window of the rate limit and the requests in it: those inside of
    /// batches are counted for themselves.
    windows: HashMap<Route, (u64, u32)>,
    last_way: Option<Route>,
}

/// Why a record is not created: status, message and data.
struct Refusal {
    status: u16,
    message: &'static str,
    data: Value,
}

const NOT_FOUND: &str = "The requested resource wasn't found.";
const NOT_CREATED: &str = "Failed to create record.";
const WRONG: &str = "Something went wrong while processing your request.";
const TOO_MANY: &str = "Too Many Requests.";

impl Model {
    /// An empty server.
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            setup,
            ..Self::default()
        }
    }

    /// Whether there is a record of this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Answers a request at `now`, the server's own time; without a body it is
    /// a GET.
    pub(super) fn handle(
        &mut self,
        now: Duration,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> Reply {
        let (status, body) = self.route(now, path, token, body);
        Reply {
            status,
            retry_after: None,
            body,
        }
    }

    /// Whether it would take this token.
    pub(super) fn is_alive(&self, token: &str, now: Duration) -> bool {
        let signature = token.rsplit('.').next().unwrap_or_default();
        let Some((generation, expiry)) = signature.split_once('-') else {
            return false;
        };
        generation.parse() == Ok(self.generation)
            && expiry.parse().is_ok_and(|at: u64| now.as_secs() < at)
    }

    fn route(
        &mut self,
        now: Duration,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> (u16, String) {
        let path = path.split('?').next().unwrap_or_default();
        let has_hook = self.setup.hook && !self.setup.is_old;
        let Some(body) = body else {
            return match path {
                HOOK_PATH if has_hook => (200, hook_description().to_string()),
                "/api/health" => {
                    let healthy = json!({"message": "API is healthy.", "code": 200, "data": {}});
                    (200, healthy.to_string())
                }
                _ => self.error(404, "File not found.", json!({})),
            };
        };
        if body.len() > self.setup.max_body {
            self.sights.note("body too large");
            return self.error(413, "Request entity too large.", json!({}));
        }
        let is_in = token.is_some_and(|token| self.is_alive(token, now));
        if let Some(action) = account_action(path) {
            return self.authenticate(action, now, is_in, body);
        }
        if has_hook && path == bulk_path(COLLECTION) {
            return self.bulk(now, is_in, body);
        }
        if path == "/api/batch" && !self.setup.is_old {
            return self.batch(now, is_in, body);
        }
        if is_records_path(path) {
            return self.single(now, is_in, body);
        }
        self.error(404, NOT_FOUND, json!({}))
    }

    fn error(&self, status: u16, message: &str, data: Value) -> (u16, String) {
        (status, self.error_body(status, message, data).to_string())
    }

    fn error_body(&self, status: u16, message: &str, data: Value) -> Value {
        let key = if self.setup.is_old { "code" } else { "status" };
        let mut body = Map::new();
        body.insert(key.to_owned(), json!(status));
        body.insert("message".to_owned(), json!(message));
        body.insert("data".to_owned(), data);
        Value::Object(body)
    }

    fn authenticate(
        &mut self,
        action: &str,
        now: Duration,
        is_in: bool,
        body: &[u8],
    ) -> (u16, String) {
        match action {
            "auth-with-password" => {
                let body: Value = serde_json::from_slice(body).unwrap_or_default();
                if body["identity"] == IDENTITY && body["password"] == PASSWORD {
                    return (200, json!({"token": self.token(now)}).to_string());
                }
                self.error(400, "Failed to authenticate.", json!({}))
            }
            "auth-refresh" if is_in => (200, json!({"token": self.token(now)}).to_string()),
            "auth-refresh" => self.unauthorized(),
            _ => self.error(404, NOT_FOUND, json!({})),
        }
    }

    fn unauthorized(&mut self) -> (u16, String) {
        self.sights.note("dead token noticed");
        let message = "The request requires valid record authorization token.";
        self.error(401, message, json!({}))
    }

    fn token(&self, now: Duration) -> String {
        let expiry = now.as_secs() + self.setup.token_life;
        let claims = base64url(format!(r#"{{"exp":{expiry}}}"#).as_bytes());
        format!("head.{claims}.{}-{expiry}", self.generation)
    }

    /// Whether one more request of this kind is within the rate limit.
    fn is_within_rate(&mut self, route: Route, now: Duration) -> bool {
        let Some(limit) = self.setup.rate_limit else {
            return true;
        };
        let window = now.as_secs() / RATE_WINDOW;
        let (of, count) = self.windows.entry(route).or_default();
        if *of != window {
            (*of, *count) = (window, 0);
        }
        *count += 1;
        *count <= limit
    }

    /// What a create of the server's own kind is refused with.
    fn refusal(&mut self, is_in: bool, row: &Incoming<'_>, in_batch: bool) -> Option<Refusal> {
        let without_reason = Refusal {
            status: 400,
            message: NOT_CREATED,
            data: json!({}),
        };
        if !self.setup.collection {
            self.sights.note("collection missed");
            let message = if in_batch {
                "Missing collection context."
            } else {
                "Missing or invalid collection context."
            };
            return Some(Refusal {
                status: 404,
                message,
                data: json!({}),
            });
        }
        if !is_in {
            self.sights.note("dead token used");
            return Some(without_reason);
        }
        if !self.setup.allows {
            self.sights.note("rule refused");
            return Some(without_reason);
        }
        if self.setup.disk_full {
            self.sights.note("disk of the server full");
            return Some(without_reason);
        }
        if let Some(data) = self.invalid(row) {
            return Some(Refusal {
                data,
                ..without_reason
            });
        }
        if row.is_mysterious() {
            return Some(without_reason);
        }
        if self.ids.contains(row.id.as_ref()) {
            self.sights.note("resend recognised");
            return Some(Refusal {
                data: self.not_unique(),
                ..without_reason
            });
        }
        None
    }

    fn not_unique(&self) -> Value {
        let code = if self.setup.is_old {
            "validation_invalid_id"
        } else {
            "validation_not_unique"
        };
        json!({"id": {"code": code, "message": "Value must be unique."}})
    }

    /// The first field that does not pass.
    fn invalid(&mut self, row: &Incoming<'_>) -> Option<Value> {
        if row.message.is_empty() || row.message.starts_with("poison") {
            let error = json!({"code": "validation_required", "message": "Cannot be blank."});
            return Some(json!({"message": error}));
        }
        let max = self.setup.max_message;
        if row.message.len() > max && row.message.chars().count() > max {
            self.sights.note("limit of a field told");
            let error = json!({
                "code": "validation_max_text_constraint",
                "message": format!("Must be no more than {max} character(s)."),
                "params": {"max": max},
            });
            return Some(json!({"message": error}));
        }
        None
    }

    fn single(&mut self, now: Duration, is_in: bool, body: &[u8]) -> (u16, String) {
        if !self.is_within_rate(Route::Single, now) {
            self.sights.note("rate limit met");
            return self.error(429, TOO_MANY, json!({}));
        }
        let Some(row) = readable::<Incoming<'_>>(body) else {
            self.sights.note("single create not readable");
            return self.error(400, WRONG, json!({}));
        };
        if let Some(refusal) = self.refusal(is_in, &row, false) {
            return self.error(refusal.status, refusal.message, refusal.data);
        }
        let answer = format!(r#"{{"id":"{}"}}"#, row.id);
        self.stores(Route::Single, "stored singly");
        self.store(row.stored());
        (200, answer)
    }

    fn batch(&mut self, now: Duration, is_in: bool, body: &[u8]) -> (u16, String) {
        let Some(most) = self.setup.batch else {
            return self.error(403, "Batch requests are not allowed.", json!({}));
        };
        let Some(batch) = readable::<IncomingBatch<'_>>(body) else {
            self.sights.note("batch not readable");
            return self.error(400, "Failed to read the submitted batch data.", json!({}));
        };
        let requests = batch.requests;
        if requests.is_empty() || requests.len() > most {
            return self.wrong_length(requests.len(), most);
        }
        let mut fresh: HashSet<&str> = HashSet::new();
        for (index, request) in requests.iter().enumerate() {
            let refusal = if self.is_within_rate(Route::Batch, now) {
                let refusal = self.refusal(is_in, &request.body, true);
                refusal.or_else(|| {
                    let is_double = !fresh.insert(request.body.id.as_ref());
                    is_double.then(|| Refusal {
                        status: 400,
                        message: NOT_CREATED,
                        data: self.not_unique(),
                    })
                })
            } else {
                self.sights.note("rate limit met inside a batch");
                Some(Refusal {
                    status: 429,
                    message: TOO_MANY,
                    data: json!({}),
                })
            };
            if let Some(refusal) = refusal {
                return self.failed_item(index, refusal);
            }
        }
        self.stores(Route::Batch, "stored in a batch");
        let answer = vec![r#"{"status":200}"#; requests.len()].join(",");
        for request in requests {
            self.store(request.body.stored());
        }
        (200, format!("[{answer}]"))
    }

    fn wrong_length(&mut self, length: usize, most: usize) -> (u16, String) {
        let error = if length == 0 {
            json!({"code": "validation_required", "message": "Cannot be blank."})
        } else {
            self.sights.note("batch too long");
            json!({
                "code": "validation_length_too_long",
                "message": format!("The length must be no more than {most}."),
                "params": {"max": most, "min": 0},
            })
        };
        let data = json!({"requests": error});
        self.error(400, "Invalid batch request data.", data)
    }

    fn failed_item(&self, index: usize, refusal: Refusal) -> (u16, String) {
        let response = self.error_body(refusal.status, refusal.message, refusal.data);
        let item = json!({
            "code": "batch_request_failed", "message": "Batch request failed.", "response": response,
        });
        let data = json!({"requests": {index.to_string(): item}});
        self.error(400, "Batch transaction failed.", data)
    }

    fn bulk(&mut self, now: Duration, is_in: bool, body: &[u8]) -> (u16, String) {
        if !self.is_within_rate(Route::Bulk, now) {
            self.sights.note("rate limit met");
            return self.error(429, TOO_MANY, json!({}));
        }
        if !is_in {
            return self.unauthorized();
        }
        let Some(rows) = readable::<Vec<Incoming<'_>>>(body) else {
            self.sights.note("bulk not readable");
            return self.error(400, "Failed to read the records.", json!({}));
        };
        if !self.setup.collection {
            self.sights.note("collection missed");
        }
        if self.setup.disk_full
            || !self.setup.collection
            || rows.iter().any(Incoming::is_mysterious)
        {
            return self.error(400, WRONG, json!({}));
        }
        let (count, mut stored, mut known) = (rows.len(), 0, 0);
        let mut refused = Vec::new();
        for (position, row) in rows.into_iter().enumerate() {
            // The hook has limits of its own, those of our collection.
            if row.message.is_empty() || row.message.starts_with("poison") {
                let reason = "message: validation_required: it is empty";
                refused.push(json!({"position": position, "reason": reason}));
            } else if self.ids.contains(row.id.as_ref()) {
                known += 1;
            } else {
                stored += 1;
                self.store(row.stored());
            }
        }
        self.stores(Route::Bulk, "stored in bulk");
        if known > 0 {
            self.sights.note("resend recognised");
        }
        let outcome = json!({
            "version": HOOK_VERSION, "count": count, "stored": stored, "known": known,
            "refused": refused,
        });
        (200, outcome.to_string())
    }

    fn stores(&mut self, way: Route, what: &'static str) {
        self.sights.note(what);
        if let Some(before) = self.last_way.replace(way)
            && before != way
        {
            self.sights.note(way_change(before, way));
        }
    }

    fn store(&mut self, row: Row) {
        self.ids.insert(row.id.clone());
        self.rows.push(row);
    }
}

/// What is asked of the accounts.
fn account_action(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/api/collections/")?;
    path.strip_prefix(ACCOUNTS)?.strip_prefix('/')
}

fn is_records_path(path: &str) -> bool {
    let path = path.strip_prefix("/api/collections/");
    path.and_then(|path| path.strip_prefix(COLLECTION)) == Some("/records")
}

/// Reads a body as strictly as the server does. Those with the word
/// `unreadable` in them stand for whatever else it may dislike.
fn readable<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    let body = std::str::from_utf8(body).ok()?;
    if body.contains("unreadable") {
        return None;
    }
    serde_json::from_str(body).ok()
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
