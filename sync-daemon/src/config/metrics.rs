//! `[telemetry.metrics]`: the Prometheus endpoint.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::section::{Example, Keys, Section};
use super::slot::{
    ip_address, optional_file_path, path, port, seconds, small, switch, text, texts,
};

/// Default of [`Metrics::enabled`], in a build that has the endpoint.
pub const DEFAULT_METRICS_ENABLED: bool = true;
/// Default of [`Metrics::bind_address`]: this machine only.
pub const DEFAULT_BIND_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Default of [`Metrics::port`].
pub const DEFAULT_METRICS_PORT: u16 = 9090;
/// Default of [`Metrics::collection_interval`]: 15 seconds.
pub const DEFAULT_COLLECTION_INTERVAL: Duration = Duration::from_secs(15);
/// Default of [`Metrics::allow_remote_without_auth`].
pub const DEFAULT_ALLOW_REMOTE_WITHOUT_AUTH: bool = false;
/// Default of [`RateLimit::requests_per_second`].
pub const DEFAULT_REQUESTS_PER_SECOND: u32 = 10;
/// Default of [`RateLimit::burst`].
pub const DEFAULT_BURST: u32 = 20;

/// `[telemetry.metrics]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Whether the endpoint exists. Default: [`DEFAULT_METRICS_ENABLED`].
    pub enabled: bool,
    /// The address to listen on. Default: [`DEFAULT_BIND_ADDRESS`].
    pub bind_address: IpAddr,
    /// The port to listen on; 0 is any free one. Default: [`DEFAULT_METRICS_PORT`].
    pub port: u16,
    /// How often process values (memory, CPU) are read; not zero. Default: [`DEFAULT_COLLECTION_INTERVAL`].
    pub collection_interval: Duration,
    /// Whether other machines may read without credentials. Default: [`DEFAULT_ALLOW_REMOTE_WITHOUT_AUTH`].
    pub allow_remote_without_auth: bool,
    /// Values of the `Host` header that are answered besides localhost and the bind address. Default: none.
    pub allowed_hosts: Vec<String>,
    /// `[telemetry.metrics.auth]`; `None` (the default) asks for no credentials.
    pub auth: Option<MetricsAuth>,
    /// `[telemetry.metrics.rate_limit]`.
    pub rate_limit: RateLimit,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: DEFAULT_METRICS_ENABLED,
            bind_address: DEFAULT_BIND_ADDRESS,
            port: DEFAULT_METRICS_PORT,
            collection_interval: DEFAULT_COLLECTION_INTERVAL,
            allow_remote_without_auth: DEFAULT_ALLOW_REMOTE_WITHOUT_AUTH,
            allowed_hosts: Vec::new(),
            auth: None,
            rate_limit: RateLimit::default(),
        }
    }
}

impl Section for Metrics {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "enabled",
            switch(&mut self.enabled),
            "Serve http://bind_address:port/metrics",
        );
        keys.key(
            "bind_address",
            ip_address(&mut self.bind_address),
            "127.0.0.1 is this machine only",
        );
        keys.key("port", port(&mut self.port), "0: any free port");
        keys.key(
            "collection_interval_secs",
            seconds(&mut self.collection_interval, 1..=86_400),
            "How often memory and CPU are read",
        );
        keys.key(
            "allow_remote_without_auth",
            switch(&mut self.allow_remote_without_auth),
            "Let other machines read without credentials",
        );
        keys.key(
            "allowed_hosts",
            texts(&mut self.allowed_hosts, host_name),
            "Host headers that are answered besides localhost and bind_address",
        );
        keys.optional(
            "auth",
            &mut self.auth,
            "Credentials for the endpoint; without this table it asks for none",
        );
        keys.table(
            "rate_limit",
            &mut self.rate_limit,
            "How often each client address may ask",
        );
    }
}

fn host_name(written: &str) -> Result<(), String> {
    let wrong = |c: char| c.is_whitespace() || c.is_control() || c == '/' || c == '@';
    if written.is_empty() || written.contains(wrong) {
        return Err(format!("`{written}` is not the name of a host"));
    }
    Ok(())
}

/// `[telemetry.metrics.auth]`: exactly one of the two is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricsAuth {
    /// The file with the token that clients send as `Authorization: Bearer …`; read for each request.
    pub bearer_token_file: Option<PathBuf>,
    /// Name and password.
    pub basic: Option<BasicAuth>,
}

impl Section for MetricsAuth {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "bearer_token_file",
            optional_file_path(&mut self.bearer_token_file),
            "File with the token that clients send",
        );
        keys.optional("basic", &mut self.basic, "Or: name and password");
    }
}

impl Example for MetricsAuth {
    fn example() -> Self {
        let bearer_token_file = Some(PathBuf::from("/etc/sync-daemon/metrics-token"));
        Self {
            bearer_token_file,
            basic: None,
        }
    }
}

/// `basic` of `[telemetry.metrics.auth]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BasicAuth {
    /// The name that clients send.
    pub username: String,
    /// The file with the bcrypt or argon2 hash of the password; read for each request.
    pub password_hash_file: PathBuf,
}

impl Section for BasicAuth {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "username",
            text(&mut self.username, "a name", user_name),
            "The name that clients send",
        );
        keys.key(
            "password_hash_file",
            path(&mut self.password_hash_file),
            "File with the bcrypt or argon2 hash of the password",
        );
    }
}

/// RFC 7617: a colon would end the name.
fn user_name(written: &str) -> Result<String, String> {
    if written.is_empty() || written.contains(|c: char| c == ':' || c.is_control()) {
        return Err("a user name cannot be empty, and holds no colon".to_owned());
    }
    Ok(written.to_owned())
}

impl Example for BasicAuth {
    fn example() -> Self {
        Self {
            username: "prom".to_owned(),
            password_hash_file: PathBuf::from("/etc/sync-daemon/metrics-password-hash"),
        }
    }
}

/// `[telemetry.metrics.rate_limit]`, for each client address.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// Requests a second in the long run; at least 1. Default: [`DEFAULT_REQUESTS_PER_SECOND`].
    pub requests_per_second: u32,
    /// Requests at once after a pause; at least 1. Default: [`DEFAULT_BURST`].
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

impl Section for RateLimit {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "requests_per_second",
            small(&mut self.requests_per_second, 1..=1_000_000),
            "Requests in the long run; more are answered with 429",
        );
        keys.key(
            "burst",
            small(&mut self.burst, 1..=1_000_000),
            "Requests at once after a pause",
        );
    }
}
