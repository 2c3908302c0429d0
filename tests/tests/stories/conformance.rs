//! The simulator's model of PocketBase and the real one, asked the same: it must not drift.

use std::path::PathBuf;

use serde_json::{Value, json};
use telemetry_pocketbase::simulation::{Condition, ModelServer, Way};
use telemetry_tests::{PocketBase, request_bytes};

use crate::bulk::server_with_hook;

const COLLECTION: &str = "/api/collections/daemon_logs";
const ACCOUNTS: &str = "/api/collections/telemetry_clients";
const SIGN_IN: &str = "/api/collections/telemetry_clients/auth-with-password";
const REFRESH: &str = "/api/collections/telemetry_clients/auth-refresh";
const HOOK: &str = "/api/sync-daemon/hook";

/// A server that can be asked and changed.
trait Server {
    fn account(&self) -> (String, String);
    fn set(&mut self, condition: Condition);
    /// Without a body it is a GET.
    fn request(&mut self, path: &str, token: Option<&str>, body: Option<&[u8]>) -> (u16, String);
    fn ids(&mut self) -> Vec<String>;
}

impl Server for ModelServer {
    fn account(&self) -> (String, String) {
        let (identity, password) = Self::account(self);
        (identity.to_owned(), password.to_owned())
    }

    fn set(&mut self, condition: Condition) {
        Self::set(self, condition);
    }

    fn request(&mut self, path: &str, token: Option<&str>, body: Option<&[u8]>) -> (u16, String) {
        Self::request(self, path, token, body)
    }

    fn ids(&mut self) -> Vec<String> {
        Self::ids(self)
    }
}

/// A real server with our collections, account and hook file.
struct Real {
    server: PocketBase,
    password: String,
    hook: PathBuf,
    hook_text: String,
    rule: Value,
}

impl Real {
    fn new(place: &std::path::Path) -> Option<Self> {
        let (server, _) = server_with_hook(place, "", "")?;
        let password = std::fs::read_to_string(place.join("password")).unwrap();
        let hook = server.hooks_dir().join("sync_daemon.pb.js");
        let rule = server.get(COLLECTION).expect_status(200).json()["createRule"].take();
        Some(Self {
            hook_text: std::fs::read_to_string(&hook).unwrap(),
            hook,
            password: password.trim().to_owned(),
            rule,
            server,
        })
    }

    fn patch(&self, path: &str, change: Value) {
        self.server.patch(path, &change).expect_status(200);
    }

    fn set_message_length(&self, most: usize) {
        let mut collection = self.server.get(COLLECTION).expect_status(200).json();
        let fields = collection["fields"].as_array_mut().unwrap();
        let message = fields.iter_mut().find(|field| field["name"] == "message");
        message.unwrap()["max"] = json!(most);
        self.patch(COLLECTION, json!({"fields": collection["fields"]}));
    }
}

impl Server for Real {
    fn account(&self) -> (String, String) {
        ("daemon@example.com".to_owned(), self.password.clone())
    }

    fn set(&mut self, condition: Condition) {
        const SETTINGS: &str = "/api/settings";
        match condition {
            Condition::Hook(is_there) => {
                self.server.kill();
                match is_there {
                    true => std::fs::write(&self.hook, &self.hook_text).unwrap(),
                    false => std::fs::remove_file(&self.hook).unwrap(),
                }
                self.server.serve();
            }
            Condition::Batch(None) => self.patch(SETTINGS, json!({"batch": {"enabled": false}})),
            Condition::Batch(Some(most)) => {
                let batch = json!({"enabled": true, "maxRequests": most, "timeout": 10});
                self.patch(SETTINGS, json!({"batch": batch}));
            }
            Condition::BatchBytes(most) => {
                self.patch(SETTINGS, json!({"batch": {"maxBodySize": most}}));
            }
            Condition::Collection(true) => {
                let away = "/api/collections/daemon_logs_away";
                self.patch(away, json!({"name": "daemon_logs"}));
            }
            Condition::Collection(false) => {
                self.patch(COLLECTION, json!({"name": "daemon_logs_away"}));
            }
            Condition::Allowed(true) => self.patch(COLLECTION, json!({"createRule": self.rule})),
            Condition::Allowed(false) => {
                let nobody = r#"@request.auth.id = "nobody""#;
                self.patch(COLLECTION, json!({"createRule": nobody}));
            }
            Condition::Creates(None) => {
                self.patch(SETTINGS, json!({"rateLimits": {"enabled": false}}));
            }
            Condition::Creates(Some(most)) => {
                let rule = json!({"label": "*:create", "maxRequests": most, "duration": 5});
                let limits = json!({"enabled": true, "rules": [rule]});
                self.patch(SETTINGS, json!({"rateLimits": limits}));
            }
            Condition::MessageLength(most) => self.set_message_length(most),
            Condition::DeadTokens => {
                let secret: String = std::iter::repeat_with(fastrand::alphanumeric)
                    .take(50)
                    .collect();
                self.patch(
                    ACCOUNTS,
                    json!({"authToken": {"secret": secret, "duration": 604_800}}),
                );
            }
        }
    }

    fn request(&mut self, path: &str, token: Option<&str>, body: Option<&[u8]>) -> (u16, String) {
        let url = self.server.url() + path;
        let headers: Vec<_> = token
            .map(|token| ("authorization", token))
            .into_iter()
            .collect();
        let (method, body) = match body {
            Some(body) => ("POST", Some(body.to_vec())),
            None => ("GET", None),
        };
        let answer = request_bytes(method, &url, &headers, body).unwrap();
        (answer.status, answer.body)
    }

    fn ids(&mut self) -> Vec<String> {
        let records = self.server.records("daemon_logs", "");
        let id = |record: &Value| record["id"].as_str().unwrap().to_owned();
        records.iter().map(id).collect()
    }
}

/// What a server answered, request by request.
struct Asked<'a> {
    server: &'a mut dyn Server,
    token: String,
    answers: Vec<(String, Value)>,
}

impl Asked<'_> {
    fn note(&mut self, what: &str, (status, body): &(u16, String)) {
        let essence = json!({"status": status, "body": essence(body)});
        self.answers.push((what.to_owned(), essence));
    }

    fn ask(
        &mut self,
        what: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> (u16, String) {
        let answer = self.server.request(path, token, body.map(str::as_bytes));
        self.note(what, &answer);
        answer
    }

    fn sign_in(&mut self, what: &str) {
        let (identity, password) = self.server.account();
        let body = json!({"identity": identity, "password": password}).to_string();
        let (_, body) = self.ask(what, SIGN_IN, None, Some(&body));
        let body: Value = serde_json::from_str(&body).unwrap();
        self.token = body["token"].as_str().unwrap().to_owned();
    }

    /// Sends a body one way; `count` records are in it.
    fn send(&mut self, what: &str, way: Way, count: usize, body: &[u8]) {
        let token = self.token.clone();
        let answer = self.server.request(&way.path(), Some(&token), Some(body));
        self.note(&format!("{what}: {way:?}"), &answer);
        let understood = way.understands(count, answer.0, &answer.1);
        let what = format!("{what}: {way:?}, as understood");
        self.answers.push((what, json!(understood)));
    }

    /// Uploads records as the uploader does.
    fn upload(&mut self, what: &str, way: Way, records: &[Value]) {
        match way {
            Way::Bulk => {
                let body = json!(records).to_string();
                self.send(what, way, records.len(), body.as_bytes());
            }
            Way::Batch => {
                let url = "/api/collections/daemon_logs/records";
                let item = |record: &Value| json!({"method": "POST", "url": url, "body": record});
                let requests: Vec<_> = records.iter().map(item).collect();
                let body = json!({"requests": requests}).to_string();
                self.send(what, way, records.len(), body.as_bytes());
            }
            Way::Single => {
                for record in records {
                    self.send(what, way, 1, record.to_string().as_bytes());
                }
            }
        }
    }
}

/// The body without what differs from one sign-in to the next.
fn essence(body: &str) -> Value {
    let Ok(mut value) = serde_json::from_str::<Value>(body) else {
        return json!(body);
    };
    if let Some(token) = value.get("token").and_then(Value::as_str) {
        let parts = token.split('.').count();
        return json!({"token": format!("of {parts} parts")});
    }
    // The uploader does not ask for the lower bound of anything.
    forget_minimum(&mut value);
    value
}

fn forget_minimum(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.remove("min");
            entries.values_mut().for_each(forget_minimum);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_minimum),
        _ => {}
    }
}

fn record(number: u64, message: &str) -> Value {
    json!({
        "id": format!("{number:015}"), "timestamp": "2026-01-02T03:04:05.678901Z",
        "timestamp_exact": "2026-01-02T03:04:05.678901Z", "level": "INFO",
        "target": "a::b", "message": message, "fields": {"a": 1}, "line": 7,
        "daemon_id": "d", "session_id": "s", "seq": number,
    })
}

fn good(numbers: std::ops::Range<u64>) -> Vec<Value> {
    numbers.map(|number| record(number, "counted")).collect()
}

/// Asks everything that an uploader may ask.
fn ask_everything(server: &mut dyn Server) -> Vec<(String, Value)> {
    use Condition::{
        Allowed, Batch, BatchBytes, Collection, Creates, DeadTokens, Hook, MessageLength,
    };
    const WAYS: [Way; 3] = [Way::Bulk, Way::Batch, Way::Single];
    let mut asked = Asked {
        server,
        token: String::new(),
        answers: Vec::new(),
    };
    asked.server.set(Batch(Some(10)));
    asked.ask("health", "/api/health", None, None);
    asked.ask("hook", HOOK, None, None);
    asked.ask("no token", REFRESH, None, Some("{}"));
    asked.ask("garbage as token", REFRESH, Some("a.b.c"), Some("{}"));
    let (identity, _) = asked.server.account();
    let wrong = json!({"identity": identity, "password": "wrong"}).to_string();
    asked.ask("wrong password", SIGN_IN, None, Some(&wrong));
    asked.sign_in("sign in");
    let token = asked.token.clone();
    asked.ask("refresh", REFRESH, Some(&token), Some("{}"));

    for (way, from) in WAYS.into_iter().zip([100, 200, 300]) {
        let some = good(from..from + 3);
        asked.upload("new", way, &some);
        asked.upload("all known", way, &some);
        asked.upload("known first", way, &good(from + 2..from + 5));
        let mut mixed = good(from + 10..from + 12);
        mixed.extend(good(from..from + 1));
        asked.upload("known last", way, &mixed);
        let mut poisoned = good(from + 20..from + 23);
        poisoned[1]["message"] = json!("");
        asked.upload("poison in the middle", way, &poisoned);
        asked.upload("one alone", way, &good(from + 30..from + 31));
        asked.send("no JSON", way, 1, b"{\"id\":");
        if way != Way::Bulk {
            asked.send("bytes that are no text", way, 1, b"{\"id\":\"\xff\"}");
        }
    }
    let twice = record(400, "counted")
        .to_string()
        .replacen("\"seq\"", "\"seq\":1,\"seq\"", 1);
    asked.send("a key twice", Way::Single, 1, twice.as_bytes());
    let url = "/api/collections/daemon_logs/records";
    let twice = format!(r#"{{"requests":[{{"method":"POST","url":"{url}","body":{twice}}}]}}"#);
    asked.send("a key twice", Way::Batch, 1, twice.as_bytes());
    let same = [record(410, "counted"), record(410, "counted")];
    asked.upload("the same record twice", Way::Batch, &same);
    asked.upload("the same record twice", Way::Bulk, &same);
    asked.upload("more than a batch may have", Way::Batch, &good(420..431));
    asked.upload("none", Way::Batch, &[]);

    asked.server.set(MessageLength(200));
    let long = "ä".repeat(201);
    for (way, number) in [(Way::Batch, 500), (Way::Single, 502)] {
        let records = [record(number, "counted"), record(number + 1, &long)];
        asked.upload("too long", way, &records);
        asked.upload(
            "just as long as it may be",
            way,
            &[record(number + 1, &long[2..])],
        );
    }
    asked.server.set(MessageLength(65_600));

    asked.server.set(BatchBytes(4_000));
    asked.upload(
        "too many bytes",
        Way::Batch,
        &[record(510, &"x".repeat(5_000))],
    );
    asked.server.set(BatchBytes(1 << 25));

    asked.server.set(Batch(None));
    asked.upload("switched off", Way::Batch, &good(520..522));
    asked.server.set(Batch(Some(10)));

    asked.server.set(Allowed(false));
    for (way, from) in [(Way::Batch, 530), (Way::Single, 532)] {
        asked.upload("refused by the rule", way, &good(from..from + 2));
    }
    asked.server.set(Allowed(true));

    asked.server.set(Collection(false));
    for (way, from) in WAYS.into_iter().zip([540, 542, 544]) {
        asked.upload("no collection", way, &good(from..from + 2));
    }
    asked.server.set(Collection(true));

    asked.server.set(DeadTokens);
    for (way, from) in WAYS.into_iter().zip([550, 552, 554]) {
        asked.upload("dead token", way, &good(from..from + 2));
    }
    let token = asked.token.clone();
    asked.ask("refresh of a dead token", REFRESH, Some(&token), Some("{}"));
    asked.sign_in("sign in anew");

    asked.server.set(Creates(Some(3)));
    asked.upload("too fast inside", Way::Batch, &good(560..564));
    asked.upload("too fast", Way::Single, &good(564..568));
    asked.server.set(Creates(None));

    asked.server.set(Hook(false));
    asked.ask("no hook", HOOK, None, None);
    asked.upload("no hook", Way::Bulk, &good(570..572));
    asked.server.set(Hook(true));
    asked.upload("hook again", Way::Bulk, &good(570..572));
    let stored = asked.server.ids();
    asked.answers.push(("stored".to_owned(), json!(stored)));
    asked.answers
}

#[test]
fn model_of_the_simulator_answers_as_the_real_server() {
    let place = tempfile::tempdir().unwrap();
    let Some(mut real) = Real::new(place.path()) else {
        return;
    };
    let mut model = ModelServer::default();
    model.set(Condition::Hook(true));
    let (real, model) = (ask_everything(&mut real), ask_everything(&mut model));
    assert_eq!(real.len(), model.len());
    let differ = real
        .iter()
        .zip(&model)
        .filter(|(real, model)| real != model);
    let differences: Vec<String> = differ
        .map(|((what, real), (_, model))| format!("{what}\n  real:  {real}\n  model: {model}"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(real.len() > 100, "only {} answers", real.len());
}
