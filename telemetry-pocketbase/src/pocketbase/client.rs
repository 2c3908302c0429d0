//! One request, one reply: `ureq` with the settings that an uploader needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{HeaderMap, Response};
use ureq::typestate::WithBody;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Body, RequestBuilder};

use super::names::Names;
use crate::config::{PocketBaseConfig, check_url};
use crate::error::PocketBaseError;
use crate::instruments::Instruments;

/// Longest time for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Longest time for a name lookup.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

/// A connection may be idle longer than the flush interval, so that a quiet
/// daemon does not connect anew for each batch.
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// Most of an answer that is read. The server's own are far smaller.
const MAX_REPLY_BYTES: u64 = 4 * 1024 * 1024;

/// What carries requests to a server: [`Client`], or the network of the simulator.
pub(crate) trait Transport: Clone + Send + 'static {
    /// Sends a request without a body.
    fn get(&self, path: &str, token: Option<&str>) -> Result<Reply, NoReply>;

    /// Sends a request with a body in JSON.
    fn post(&self, path: &str, token: Option<&str>, body: &[u8]) -> Result<Reply, NoReply>;

    /// A request with records in it failed.
    fn count_upload_error(&self);

    /// Makes requests in progress on other threads fail. No request is possible
    /// afterwards.
    fn interrupt(self);
}

/// A connection to one server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    names: Names,
    base: String,
    instruments: Option<Arc<Instruments>>,
}

/// An answer of the server, or of something in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: String,
}

/// There was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// The request cannot have reached the server.
    NotSent(String),
    /// The server closed while the request was being written: what it does
    /// with a body that is far too large.
    BrokenPipe,
    /// The request may have done its work.
    Lost(String),
}

impl NoReply {
    /// What happened, in words.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::NotSent(reason) | Self::Lost(reason) => reason,
            Self::BrokenPipe => "the server closed the connection while it was sent to",
        }
    }
}

impl Client {
    /// A client for the server of `config`.
    ///
    /// # Errors
    /// [`PocketBaseError::Config`] for a wrong URL or proxy,
    /// [`PocketBaseError::Io`] if the CA file cannot be read.
    pub(crate) fn new(
        config: &PocketBaseConfig,
        instruments: Option<Arc<Instruments>>,
    ) -> Result<Self, PocketBaseError> {
        check_url(&config.url)?;
        let timeout = config.request_timeout;
        let builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy(config)?)
            .max_idle_age(IDLE_LIMIT)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(CONNECT_LIMIT.min(timeout)))
            .timeout_resolve(Some(RESOLVE_LIMIT.min(timeout)))
            .user_agent(concat!("telemetry-pocketbase/", env!("CARGO_PKG_VERSION")));
        #[cfg(feature = "tls")]
        let builder = builder.tls_config(tls(config)?);
        let names = Names::default();
        let connector = DefaultConnector::default();
        Ok(Self {
            agent: Agent::with_parts(builder.build(), connector, names.clone()),
            names,
            base: config.url.trim_end_matches('/').to_owned(),
            instruments,
        })
    }

    /// The server's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn patch(
        &self,
        path: &str,
        token: Option<&str>,
        body: &[u8],
    ) -> Result<Reply, NoReply> {
        let request = with_body(self.agent.patch(self.url(path)), token);
        self.timed("PATCH", || request.send(body))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn timed(
        &self,
        method: &'static str,
        call: impl FnOnce() -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Reply, NoReply> {
        let start = Instant::now();
        let reply = call().and_then(read).map_err(no_reply);
        if reply.is_err() {
            self.names.forget();
        }
        if let Some(instruments) = &self.instruments {
            let status = reply.as_ref().ok().map(|reply| reply.status);
            instruments.request(method, status, start.elapsed());
        }
        reply
    }
}

impl Transport for Client {
    fn get(&self, path: &str, token: Option<&str>) -> Result<Reply, NoReply> {
        let request = self.agent.get(self.url(path));
        let request = match token {
            Some(token) => request.header("Authorization", token),
            None => request,
        };
        self.timed("GET", || request.call())
    }

    fn post(&self, path: &str, token: Option<&str>, body: &[u8]) -> Result<Reply, NoReply> {
        let request = with_body(self.agent.post(self.url(path)), token);
        self.timed("POST", || request.send(body))
    }

    fn count_upload_error(&self) {
        if let Some(instruments) = &self.instruments {
            instruments.upload_error();
        }
    }

    fn interrupt(self) {
        self.agent.shutdown();
    }
}

fn with_body(request: RequestBuilder<WithBody>, token: Option<&str>) -> RequestBuilder<WithBody> {
    let request = request.header("Content-Type", "application/json");
    match token {
        Some(token) => request.header("Authorization", token),
        None => request,
    }
}

/// Reads to the end, or the connection could not be used again.
fn read(mut response: Response<Body>) -> Result<Reply, ureq::Error> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let body = response
        .body_mut()
        .with_config()
        .limit(MAX_REPLY_BYTES)
        .read_to_vec();
    let body = match body {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // Nothing that is so long can be an answer of the server's own.
        Err(ureq::Error::BodyExceedsLimit(_)) => String::new(),
        Err(error) => return Err(error),
    };
    Ok(Reply {
        status,
        retry_after,
        body,
    })
}

/// The form in seconds; dates are for browsers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const LONGEST: u64 = 3600;
    let seconds: u64 = headers.get("Retry-After")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

fn no_reply(error: ureq::Error) -> NoReply {
    use std::io::ErrorKind;
    let reason = error.to_string();
    match error {
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::BrokenPipe => NoReply::BrokenPipe,
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => NoReply::NotSent(reason),
            _ => NoReply::Lost(reason),
        },
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::Tls(_) => NoReply::NotSent(reason),
        _ => NoReply::Lost(reason),
    }
}

fn proxy(config: &PocketBaseConfig) -> Result<Option<ureq::Proxy>, PocketBaseError> {
    let Some(url) = &config.proxy else {
        return Ok(None);
    };
    let proxy = ureq::Proxy::new(url.expose()).map_err(|_| PocketBaseError::Config {
        field: "proxy",
        why: "must be a URL such as http://host:port".to_owned(),
    })?;
    Ok(Some(proxy))
}

#[cfg(feature = "tls")]
fn tls(config: &PocketBaseConfig) -> Result<ureq::tls::TlsConfig, PocketBaseError> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
    let Some(path) = &config.ca_file else {
        return Ok(TlsConfig::default());
    };
    let pem = std::fs::read(path).map_err(|source| PocketBaseError::Io {
        path: path.clone(),
        source,
    })?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(PocketBaseError::Config {
            field: "ca_file",
            why: format!("{} holds no certificate in PEM", path.display()),
        });
    }
    let roots = RootCerts::Specific(Arc::new(certificates));
    Ok(TlsConfig::builder().root_certs(roots).build())
}
