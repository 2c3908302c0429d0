//! A little PocketBase on loopback: signs in, takes batches and single creates,
//! knows duplicates, and misbehaves as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As it should.
    Works,
    /// Stores, but closes without an answer; once, then it works.
    LosesOneAnswer,
    /// Takes the request and does nothing.
    Hangs,
    /// `/api/batch` is switched off.
    NoBatch,
}

/// What the server knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) mode: Mode,
    /// Records by id.
    pub(crate) records: BTreeMap<String, Value>,
    /// Ids in the order in which they were stored.
    pub(crate) order: Vec<String>,
    /// Requests by path.
    pub(crate) requests: Vec<String>,
    /// Tokens before this number are dead.
    pub(crate) token: u32,
    /// Records with this message are refused.
    pub(crate) poison: Option<String>,
}

/// A running server; it ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// A server on a free port.
    pub(crate) fn start() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap())
    }

    /// A server on this address.
    pub(crate) fn on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let state = State {
            mode: Mode::Works,
            records: BTreeMap::new(),
            order: Vec::new(),
            requests: Vec::new(),
            token: 1,
            poison: None,
        };
        let server = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(state)),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let (state, stop) = (server.state.clone(), server.stop.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let (state, stop) = (state.clone(), stop.clone());
                thread::spawn(move || serve(stream.unwrap(), &state, &stop));
            }
        });
        server
    }

    /// An address where nobody listens at present.
    pub(crate) fn free_address() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().order.len()
    }

    /// How many requests to paths that contain `part` there were.
    pub(crate) fn requests(&self, part: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|p| p.contains(part)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

/// Waits for a condition, at most ten seconds.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

struct Request {
    path: String,
    token: String,
    body: Vec<u8>,
}

fn serve(stream: TcpStream, state: &Mutex<State>, stop: &AtomicBool) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let mode = state.lock().unwrap().mode;
        let is_upload = !request.path.contains("auth-") && !request.path.contains("/hook");
        if mode == Mode::Hangs && is_upload {
            state.lock().unwrap().requests.push(request.path);
            while !stop.load(Ordering::Acquire) && state.lock().unwrap().mode == Mode::Hangs {
                thread::sleep(Duration::from_millis(2));
            }
            return;
        }
        let (status, body) = answer(&mut state.lock().unwrap(), &request);
        if mode == Mode::LosesOneAnswer && is_upload {
            state.lock().unwrap().mode = Mode::Works;
            return;
        }
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all((head + &body).as_bytes()).is_err() || stop.load(Ordering::Acquire) {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut token) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => token = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, token, body })
}

fn answer(state: &mut State, request: &Request) -> (u16, Value) {
    state.requests.push(request.path.clone());
    if request.path.contains("/sync-daemon/") {
        // No hook.
        return error(404, "The requested resource wasn't found.", json!({}));
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let is_alive = request.token == format!("token-{}", state.token);
    if request.path.contains("auth-with-password") {
        return (200, json!({"token": format!("token-{}", state.token)}));
    }
    if request.path.contains("auth-refresh") {
        return match is_alive {
            true => (200, json!({"token": request.token})),
            false => error(
                401,
                "The request requires valid record authorization token.",
                json!({}),
            ),
        };
    }
    if request.path.starts_with("/api/batch") {
        if state.mode == Mode::NoBatch {
            return error(403, "Batch requests are not allowed.", json!({}));
        }
        return create_all(state, body["requests"].as_array().unwrap(), is_alive);
    }
    match refusal(state, &body, is_alive) {
        Some((status, data)) => error(status, "Failed to create record.", data),
        None => (200, json!({"id": store(state, body)})),
    }
}

/// All or nothing; only the first failure is told.
fn create_all(state: &mut State, requests: &[Value], is_alive: bool) -> (u16, Value) {
    for (index, request) in requests.iter().enumerate() {
        if let Some((status, data)) = refusal(state, &request["body"], is_alive) {
            let (_, response) = error(status, "Failed to create record.", data);
            let item = json!({"code": "batch_request_failed", "response": response});
            let data = json!({"requests": {index.to_string(): item}});
            return error(400, "Batch transaction failed.", data);
        }
    }
    for request in requests {
        store(state, request["body"].clone());
    }
    (
        200,
        requests.iter().map(|_| json!({"status": 200})).collect(),
    )
}

fn refusal(state: &State, record: &Value, is_alive: bool) -> Option<(u16, Value)> {
    if !is_alive {
        return Some((400, json!({})));
    }
    if state.records.contains_key(record["id"].as_str().unwrap()) {
        let error = json!({"code": "validation_not_unique", "message": "Value must be unique."});
        return Some((400, json!({"id": error})));
    }
    if state.poison.as_deref() == record["message"].as_str() {
        let error = json!({"code": "validation_max_text_constraint", "message": "Too long."});
        return Some((400, json!({"message": error})));
    }
    None
}

fn store(state: &mut State, record: Value) -> String {
    let id = record["id"].as_str().unwrap().to_owned();
    state.order.push(id.clone());
    assert!(state.records.insert(id.clone(), record).is_none());
    id
}

fn error(status: u16, message: &str, data: Value) -> (u16, Value) {
    (
        status,
        json!({"status": status, "message": message, "data": data}),
    )
}
