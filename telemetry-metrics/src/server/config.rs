//! Settings of the endpoint.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::error::MetricsError;
use crate::server::auth::Auth;

/// Where the endpoint listens when nothing else is said: this machine only.
pub const DEFAULT_BIND_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The port when nothing else is said. Prometheus itself has the same default.
pub const DEFAULT_PORT: u16 = 9090;
/// Time for the head of a request.
pub const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for making an answer.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Age at which a connection takes no more requests.
pub const DEFAULT_CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections at once.
pub const DEFAULT_MAX_CONNECTIONS: usize = 64;
/// Scrapes at once.
pub const DEFAULT_MAX_SCRAPES: usize = 8;
/// Requests a second of one client.
pub const DEFAULT_REQUESTS_PER_SECOND: u32 = 10;
/// Requests of one client at a stroke.
pub const DEFAULT_BURST: u32 = 20;
/// Time for the last answers at the end.
pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of a [`MetricsServer`](super::MetricsServer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// [`DEFAULT_BIND_ADDRESS`].
    pub bind_address: IpAddr,
    /// [`DEFAULT_PORT`]; 0 takes a free one, which
    /// [`local_addr`](super::MetricsServer::local_addr) tells.
    pub port: u16,
    /// What clients must send: nothing.
    pub auth: Option<Auth>,
    /// Allows a `bind_address` that other machines can reach without `auth`:
    /// false.
    pub allow_remote_without_auth: bool,
    /// Names under which clients may reach it (`Host` header), besides
    /// localhost and the address that they connected to: none. Web pages could
    /// otherwise read it through a browser, by a name of theirs that resolves to
    /// this machine.
    pub allowed_hosts: Vec<String>,
    /// Time for the head of a request to arrive, counted from the connection or
    /// the answer before; so an idle connection is closed after it, too:
    /// [`DEFAULT_HEADER_TIMEOUT`].
    pub header_timeout: Duration,
    /// Time for making an answer; then it is 503: [`DEFAULT_REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// Age at which a connection takes no more requests; one that is not done
    /// `request_timeout` later is cut: [`DEFAULT_CONNECTION_TIMEOUT`].
    pub connection_timeout: Duration,
    /// Connections at once: [`DEFAULT_MAX_CONNECTIONS`]. For a further one, the
    /// connection that has waited longest for its client is closed; if all are
    /// being answered, the new one gets 503.
    pub max_connections: usize,
    /// Answers with metrics being made at once; further requests get 503:
    /// [`DEFAULT_MAX_SCRAPES`].
    pub max_scrapes: usize,
    /// How often one client may ask for `/metrics` and `/`.
    pub rate_limit: RateLimit,
    /// Time for the last answers after the stop signal:
    /// [`DEFAULT_SHUTDOWN_TIMEOUT`].
    pub shutdown_timeout: Duration,
}

/// How often one client address may ask; past it the answer is 429.
///
/// An IPv6 client is its /64 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// On average: [`DEFAULT_REQUESTS_PER_SECOND`]; 0 is no limit.
    pub requests_per_second: u32,
    /// At a stroke, after a pause: [`DEFAULT_BURST`]; at least 1.
    pub burst: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            requests_per_second: DEFAULT_REQUESTS_PER_SECOND,
            burst: DEFAULT_BURST,
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            bind_address: DEFAULT_BIND_ADDRESS,
            port: DEFAULT_PORT,
            auth: None,
            allow_remote_without_auth: false,
            allowed_hosts: Vec::new(),
            header_timeout: DEFAULT_HEADER_TIMEOUT,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            connection_timeout: DEFAULT_CONNECTION_TIMEOUT,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_scrapes: DEFAULT_MAX_SCRAPES,
            rate_limit: RateLimit::default(),
            shutdown_timeout: DEFAULT_SHUTDOWN_TIMEOUT,
        }
    }
}

impl ServerConfig {
    /// Address and port together.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.port)
    }

    /// Refuses what could not work or would be exposed by accident.
    pub(crate) fn check(&self) -> Result<(), MetricsError> {
        let counts = [
            ("max_connections", self.max_connections),
            ("max_scrapes", self.max_scrapes),
            ("rate_limit.burst", self.rate_limit.burst as usize),
        ];
        if let Some(&(setting, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(MetricsError::TooSmall {
                setting,
                minimum: 1,
            });
        }
        let is_local = self.bind_address.to_canonical().is_loopback();
        if !is_local && self.auth.is_none() && !self.allow_remote_without_auth {
            return Err(MetricsError::NotLocal {
                address: self.address(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound_to(address: &str) -> ServerConfig {
        ServerConfig {
            bind_address: address.parse().unwrap(),
            ..ServerConfig::default()
        }
    }

    #[test]
    fn only_loopback_addresses_may_be_open_to_all() {
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            bound_to(address).check().unwrap();
        }
        for address in ["0.0.0.0", "::", "192.168.1.5", "2001:db8::1"] {
            let config = bound_to(address);
            let error = config.check().unwrap_err();
            assert!(matches!(error, MetricsError::NotLocal { .. }), "{address}");
            let open = ServerConfig {
                allow_remote_without_auth: true,
                ..config.clone()
            };
            open.check().unwrap();
            let guarded = ServerConfig {
                auth: Some(Auth::Bearer {
                    token_file: "token".into(),
                }),
                ..config
            };
            guarded.check().unwrap();
        }
    }

    #[test]
    fn limits_of_zero_are_refused_by_name() {
        let config = ServerConfig {
            max_scrapes: 0,
            ..ServerConfig::default()
        };
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "`max_scrapes` of the metrics endpoint must be at least 1"
        );
    }
}
