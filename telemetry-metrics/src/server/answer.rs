//! The answers of the endpoint.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::exposition;
use crate::server::encoding::Encoding;
use crate::server::page::Page;
use crate::server::router::ALLOWED_METHODS;

/// An answer, held in memory as a whole.
pub(crate) type Answer = Response<Full<Bytes>>;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// Why a request gets no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoSuchPage,
    WrongMethod,
    /// No host, or several.
    BadHost,
    /// A host of somebody else.
    ForeignHost,
    /// Past the client's rate.
    TooOften {
        wait: Duration,
    },
    /// No credentials, or wrong ones.
    Unauthorized {
        challenge: &'static str,
    },
    /// The right credentials are not known, so nobody gets in.
    NobodyGetsIn,
    /// Checking the credentials took too long.
    TooSlow,
    /// Too many credentials are being checked.
    TooBusy,
}

pub(crate) fn metrics(text: String, encoding: Encoding) -> Answer {
    packed(exposition::CONTENT_TYPE, text, encoding)
}

pub(crate) fn page(page: &Page, encoding: Encoding) -> Answer {
    let answer = packed(HTML, page.html.to_string(), encoding);
    match HeaderValue::from_str(&page.policy) {
        Ok(policy) => with(answer, CONTENT_SECURITY_POLICY, policy),
        // It is made of ASCII; but a page without its policy must not go out.
        Err(_) => broken("the page has no policy"),
    }
}

pub(crate) fn page_data(value: &serde_json::Value, encoding: Encoding) -> Answer {
    packed(JSON, format!("{value}\n"), encoding)
}

pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    answer(status, JSON, format!("{value}\n").into_bytes())
}

pub(crate) fn alive() -> Answer {
    answer(StatusCode::OK, PLAIN, b"alive\n".to_vec())
}

/// The answer to a request that no page was asked about.
pub(crate) fn refused(refusal: Refusal) -> Answer {
    let (status, reason) = match refusal {
        Refusal::NoSuchPage => (
            StatusCode::NOT_FOUND,
            "no such page; there are /metrics, /healthz, /readyz and /",
        ),
        Refusal::WrongMethod => (
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD are answered",
        ),
        Refusal::BadHost => (StatusCode::BAD_REQUEST, "exactly one Host header is needed"),
        Refusal::ForeignHost => (
            StatusCode::MISDIRECTED_REQUEST,
            "this endpoint is not known under that Host; it can be added to `allowed_hosts`",
        ),
        Refusal::TooOften { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests of this client",
        ),
        Refusal::Unauthorized { .. } => (
            StatusCode::UNAUTHORIZED,
            "this needs credentials; a token, or a name and password",
        ),
        Refusal::NobodyGetsIn => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "credentials cannot be checked; the log says more",
        ),
        Refusal::TooSlow => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the credentials were not checked in time",
        ),
        Refusal::TooBusy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many credentials are being checked",
        ),
    };
    let answer = failure(status, reason);
    match refusal {
        Refusal::WrongMethod => with(answer, ALLOW, HeaderValue::from_static(ALLOWED_METHODS)),
        Refusal::TooOften { wait } => retry_after(answer, wait),
        Refusal::TooSlow | Refusal::TooBusy => retry_after(answer, Duration::from_secs(1)),
        Refusal::Unauthorized { challenge } => {
            let challenge = HeaderValue::from_static(challenge);
            with(answer, WWW_AUTHENTICATE, challenge)
        }
        _ => answer,
    }
}

pub(crate) fn too_busy(reason: &str) -> Answer {
    let answer = failure(StatusCode::SERVICE_UNAVAILABLE, reason);
    retry_after(answer, Duration::from_secs(1))
}

pub(crate) fn broken(reason: &str) -> Answer {
    failure(StatusCode::INTERNAL_SERVER_ERROR, reason)
}

fn failure(status: StatusCode, reason: &str) -> Answer {
    answer(status, PLAIN, format!("{reason}\n").into_bytes())
}

/// An answer in the encoding that suits it. Takes CPU time.
fn packed(content_type: &'static str, text: String, encoding: Encoding) -> Answer {
    let (encoding, body) = encoding.encode(text);
    let answer = answer(StatusCode::OK, content_type, body);
    let answer = with(answer, VARY, HeaderValue::from_static("accept-encoding"));
    match encoding {
        Encoding::Plain => answer,
        Encoding::Gzip => with(answer, CONTENT_ENCODING, HeaderValue::from_static("gzip")),
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn with(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}

/// In whole seconds, rounded up: who comes earlier is refused again.
fn retry_after(answer: Answer, wait: Duration) -> Answer {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    with(answer, RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        for (millis, header) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")] {
            let wait = Duration::from_millis(millis);
            let answer = refused(Refusal::TooOften { wait });
            assert_eq!(answer.headers()[RETRY_AFTER], header, "{millis} ms");
        }
    }
}
