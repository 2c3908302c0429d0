//! One HTTP request, one answer.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};
use ureq::{Agent, Body};

/// A server on loopback that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// What a server answered, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; what is not UTF-8 in it is replaced.
    pub body: String,
}

impl Answer {
    /// The body as JSON; `null` if it is empty.
    ///
    /// # Panics
    /// If it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        match serde_json::from_str(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("no JSON: {error}\n{}", self.body),
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the answer if it has this status.
    ///
    /// # Panics
    /// Otherwise, with the body.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

/// Sends a GET request without headers.
///
/// # Errors
/// If there is no answer. An answer with an error status is an answer.
pub fn get(url: &str) -> Result<Answer, ureq::Error> {
    request("GET", url, &[], None)
}

/// Sends a request on a connection of its own; `body` is sent as JSON text. Follows no redirects.
///
/// # Errors
/// If there is no answer. An answer with an error status is an answer.
pub fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
) -> Result<Answer, ureq::Error> {
    request_bytes(method, url, headers, body.map(String::into_bytes))
}

/// As [`request`], with a body that need not be text.
///
/// # Errors
/// If there is no answer.
pub fn request_bytes(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Result<Answer, ureq::Error> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = match body {
        Some(bytes) => {
            let request = request.header("content-type", "application/json");
            agent().run(request.body(bytes)?)?
        }
        None => agent().run(request.body(())?)?,
    };
    let (parts, mut body): (_, Body) = response.into_parts();
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body.read_to_vec()?).into_owned(),
    })
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(LIMIT))
        .build()
        .into()
}
