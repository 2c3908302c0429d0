//! `[telemetry.pocketbase_logging]`: the upload of the log to a PocketBase collection.

use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::section::{Keys, Section};
use super::slot::{
    KIB, MIB, choice, count, kilobytes, megabytes, optional_file_path, optional_text, seconds,
    small, switch, text,
};

/// Default of [`PocketbaseLogging::enabled`] where the table is not written; where it is, the default is true.
pub const DEFAULT_POCKETBASE_ENABLED: bool = false;
/// Default of [`PocketbaseLogging::collection`].
pub const DEFAULT_COLLECTION: &str = "daemon_logs";
/// Default of [`PocketbaseLogging::batch_size`].
pub const DEFAULT_BATCH_SIZE: usize = 100;
/// Default of [`PocketbaseLogging::flush_interval`]: 30 seconds.
pub const DEFAULT_FLUSH_INTERVAL: Duration = Duration::from_secs(30);
/// Default of [`PocketbaseLogging::max_retries`].
pub const DEFAULT_MAX_RETRIES: u32 = 3;
/// Default of [`PocketbaseLogging::url`].
pub const DEFAULT_POCKETBASE_URL: &str = "http://127.0.0.1:8090";
/// Default of [`PocketbaseLogging::auth_collection`].
pub const DEFAULT_AUTH_COLLECTION: &str = "telemetry_clients";
/// Default of [`PocketbaseLogging::min_level`].
pub const DEFAULT_POCKETBASE_MIN_LEVEL: LevelFilter = LevelFilter::INFO;
/// Default of [`PocketbaseLogging::queue_capacity`], in records.
pub const DEFAULT_CHANNEL_CAPACITY: usize = 10_000;
/// Default of [`PocketbaseLogging::batch_max_bytes`]: 1 MB.
pub const DEFAULT_BATCH_MAX_BYTES: u64 = 1024 * KIB;
/// Default of [`PocketbaseLogging::spool_max_bytes`]: 256 MB.
pub const DEFAULT_SPOOL_MAX_BYTES: u64 = 256 * MIB;
/// Default of [`PocketbaseLogging::dead_letter_max_bytes`]: 16 MB.
pub const DEFAULT_DEAD_LETTER_MAX_BYTES: u64 = 16 * MIB;
/// Default of [`PocketbaseLogging::request_timeout`]: 30 seconds.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of [`PocketbaseLogging::retention_days`]: for ever.
pub const DEFAULT_RETENTION_DAYS: u32 = 0;
/// Default of [`PocketbaseLogging::allow_unsanitized`].
pub const DEFAULT_ALLOW_UNSANITIZED: bool = false;
/// Default of [`Breaker::failures`].
pub const DEFAULT_BREAKER_FAILURES: u32 = 3;
/// Default of [`Breaker::open`]: 30 seconds.
pub const DEFAULT_BREAKER_OPEN: Duration = Duration::from_secs(30);
/// Default of [`Breaker::max_open`]: ten minutes.
pub const DEFAULT_BREAKER_MAX_OPEN: Duration = Duration::from_secs(600);

/// An hour and a day, as upper ends of ranges.
const HOUR_SECS: u64 = 60 * 60;
const DAY_SECS: u64 = 24 * HOUR_SECS;

/// `[telemetry.pocketbase_logging]`. The password is never here: see [`password_file`](Self::password_file).
#[derive(Debug, Clone, PartialEq)]
pub struct PocketbaseLogging {
    /// Whether records are uploaded. Default: [`DEFAULT_POCKETBASE_ENABLED`].
    pub enabled: bool,
    /// The collection of the records. Default: [`DEFAULT_COLLECTION`].
    pub collection: String,
    /// Records in one upload at most; at least 1. Default: [`DEFAULT_BATCH_SIZE`].
    pub batch_size: usize,
    /// The longest that a record waits for its batch to fill; not zero. Default: [`DEFAULT_FLUSH_INTERVAL`].
    pub flush_interval: Duration,
    /// Resends of a failed batch in one round. Default: [`DEFAULT_MAX_RETRIES`].
    pub max_retries: u32,
    /// The server, `http://` or `https://`, without a trailing slash. Default: [`DEFAULT_POCKETBASE_URL`].
    pub url: String,
    /// The account that writes the records; `None` (the default) when no account is set up yet.
    pub identity: Option<String>,
    /// The file with the account's password; `None` (the default) leaves it to `SYNC_DAEMON_POCKETBASE_PASSWORD` or the systemd
    /// credential `pocketbase-password`.
    pub password_file: Option<PathBuf>,
    /// The collection of the account. Default: [`DEFAULT_AUTH_COLLECTION`].
    pub auth_collection: String,
    /// The least severe level that is uploaded. Default: [`DEFAULT_POCKETBASE_MIN_LEVEL`].
    pub min_level: LevelFilter,
    /// Records in the bounded channel to the uploader. Default: [`DEFAULT_CHANNEL_CAPACITY`].
    pub queue_capacity: usize,
    /// Bytes of one upload at most. Default: [`DEFAULT_BATCH_MAX_BYTES`].
    pub batch_max_bytes: u64,
    /// Bytes of the spool file on disk; 0 keeps pending records in memory only. Default: [`DEFAULT_SPOOL_MAX_BYTES`].
    pub spool_max_bytes: u64,
    /// Bytes of the dead-letter file. Default: [`DEFAULT_DEAD_LETTER_MAX_BYTES`].
    pub dead_letter_max_bytes: u64,
    /// The longest that one request takes. Default: [`DEFAULT_REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// Days after which the server deletes a record, with the hook file; 0 is never. Default: [`DEFAULT_RETENTION_DAYS`].
    pub retention_days: u32,
    /// Whether records may be uploaded although nothing sanitizes them. Default: [`DEFAULT_ALLOW_UNSANITIZED`].
    pub allow_unsanitized: bool,
    /// Certificates to trust instead of the built-in ones, PEM; `None` is the default.
    pub ca_file: Option<PathBuf>,
    /// An HTTP or SOCKS proxy, as a URL without a password; `None` is the default.
    pub proxy: Option<String>,
    /// `[telemetry.pocketbase_logging.breaker]`.
    pub breaker: Breaker,
}

impl Default for PocketbaseLogging {
    fn default() -> Self {
        Self {
            enabled: DEFAULT_POCKETBASE_ENABLED,
            collection: DEFAULT_COLLECTION.to_owned(),
            batch_size: DEFAULT_BATCH_SIZE,
            flush_interval: DEFAULT_FLUSH_INTERVAL,
            max_retries: DEFAULT_MAX_RETRIES,
            url: DEFAULT_POCKETBASE_URL.to_owned(),
            identity: None,
            password_file: None,
            auth_collection: DEFAULT_AUTH_COLLECTION.to_owned(),
            min_level: DEFAULT_POCKETBASE_MIN_LEVEL,
            queue_capacity: DEFAULT_CHANNEL_CAPACITY,
            batch_max_bytes: DEFAULT_BATCH_MAX_BYTES,
            spool_max_bytes: DEFAULT_SPOOL_MAX_BYTES,
            dead_letter_max_bytes: DEFAULT_DEAD_LETTER_MAX_BYTES,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            retention_days: DEFAULT_RETENTION_DAYS,
            allow_unsanitized: DEFAULT_ALLOW_UNSANITIZED,
            ca_file: None,
            proxy: None,
            breaker: Breaker::default(),
        }
    }
}

impl Section for PocketbaseLogging {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "enabled",
            switch(&mut self.enabled),
            "Upload the log; true is the default once this table is written",
        );
        keys.key(
            "collection",
            text(
                &mut self.collection,
                "the name of a collection",
                collection_name,
            ),
            "The collection of the records",
        );
        keys.key(
            "batch_size",
            count(&mut self.batch_size, 1..=100_000),
            "Records in one upload at most",
        );
        keys.key(
            "flush_interval_secs",
            seconds(&mut self.flush_interval, 1..=DAY_SECS),
            "The longest that a record waits for its batch to fill",
        );
        keys.key(
            "max_retries",
            small(&mut self.max_retries, 0..=1_000),
            "Resends of a failed batch before it waits for the next round",
        );
        keys.key(
            "url",
            text(&mut self.url, "a URL", server_url),
            "The server",
        );
        keys.key(
            "identity",
            optional_text(&mut self.identity, "the name of an account", account_name),
            "The account that writes the records, like \"daemon@example.com\"",
        );
        keys.key(
            "password_file",
            optional_file_path(&mut self.password_file),
            "Its password; or SYNC_DAEMON_POCKETBASE_PASSWORD, or a systemd credential",
        );
        keys.key(
            "auth_collection",
            text(
                &mut self.auth_collection,
                "the name of a collection",
                collection_name,
            ),
            "The collection of that account; \"_superusers\" is possible",
        );
        keys.key(
            "min_level",
            choice(&mut self.min_level),
            "What is less severe is not uploaded",
        );
        keys.key(
            "queue_capacity",
            count(&mut self.queue_capacity, 1..=16_777_216),
            "Records in the channel to the uploader",
        );
        keys.key(
            "batch_max_kb",
            kilobytes(&mut self.batch_max_bytes, 16..=1_048_576),
            "Size of one upload at most",
        );
        keys.key(
            "spool_max_mb",
            megabytes(&mut self.spool_max_bytes, 0..=1_048_576),
            "Size on disk of what waits for upload; 0: in memory only",
        );
        keys.key(
            "dead_letter_max_mb",
            megabytes(&mut self.dead_letter_max_bytes, 1..=1_048_576),
            "Size on disk of what the server refused",
        );
        keys.key(
            "request_timeout_secs",
            seconds(&mut self.request_timeout, 1..=HOUR_SECS),
            "The longest that one request takes",
        );
        keys.key(
            "retention_days",
            small(&mut self.retention_days, 0..=100_000),
            "With the hook file: the server deletes older records; 0: never",
        );
        keys.key(
            "allow_unsanitized",
            switch(&mut self.allow_unsanitized),
            "Upload even when nothing is redacted",
        );
        keys.key(
            "ca_file",
            optional_file_path(&mut self.ca_file),
            "Certificates to trust, PEM; empty: the built-in ones",
        );
        keys.key(
            "proxy",
            optional_text(&mut self.proxy, "a URL", proxy_url),
            "Proxy for the upload, as a URL; empty: none, and the environment is not asked",
        );
        keys.table(
            "breaker",
            &mut self.breaker,
            "When to leave a failing server alone",
        );
    }

    /// Whoever writes the table wants the upload, as the specification's defaults say.
    fn written(&mut self) {
        self.enabled = true;
    }
}

/// `[telemetry.pocketbase_logging.breaker]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Breaker {
    /// Failed rounds in a row after which nothing is sent for a while. Default: [`DEFAULT_BREAKER_FAILURES`].
    pub failures: u32,
    /// The first pause; it doubles each time. Default: [`DEFAULT_BREAKER_OPEN`].
    pub open: Duration,
    /// The longest pause; not shorter than `open`. Default: [`DEFAULT_BREAKER_MAX_OPEN`].
    pub max_open: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: DEFAULT_BREAKER_FAILURES,
            open: DEFAULT_BREAKER_OPEN,
            max_open: DEFAULT_BREAKER_MAX_OPEN,
        }
    }
}

impl Section for Breaker {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.key(
            "failures",
            small(&mut self.failures, 1..=1_000_000),
            "Failed rounds in a row that open it",
        );
        keys.key(
            "open_secs",
            seconds(&mut self.open, 1..=DAY_SECS),
            "The first pause; it doubles each time",
        );
        keys.key(
            "max_open_secs",
            seconds(&mut self.max_open, 1..=DAY_SECS),
            "The longest pause",
        );
    }
}

/// A collection's name is a part of every URL; the server allows letters, digits and underscores.
fn collection_name(written: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if written.is_empty() || !written.chars().all(allowed) {
        return Err(format!(
            "`{written}` is not a collection's name: letters, digits and `_`"
        ));
    }
    Ok(written.to_owned())
}

fn account_name(written: &str) -> Result<Option<String>, String> {
    Ok((!written.is_empty()).then(|| written.to_owned()))
}

fn server_url(written: &str) -> Result<String, String> {
    check_url(written, &["http", "https"])?;
    Ok(written.trim_end_matches('/').to_owned())
}

fn proxy_url(written: &str) -> Result<Option<String>, String> {
    if written.is_empty() {
        return Ok(None);
    }
    check_url(written, &["http", "https", "socks4", "socks4a", "socks5"])?;
    Ok(Some(written.to_owned()))
}

/// Checks what can be checked without a connection. The messages never repeat the URL: it may hold a password.
fn check_url(written: &str, schemes: &[&str]) -> Result<(), String> {
    let wrong_scheme = || format!("a URL begins with one of {}", schemes.join("://, ") + "://");
    let (scheme, rest) = written.split_once("://").ok_or_else(wrong_scheme)?;
    if !schemes.contains(&scheme) {
        return Err(wrong_scheme());
    }
    if rest.contains('@') {
        return Err(
            "name and password do not belong into a URL; an account is `identity` and `password_file`"
                .to_owned(),
        );
    }
    if rest.contains(['?', '#']) || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("this URL holds a query, a fragment or white space".to_owned());
    }
    check_authority(rest.split('/').next().unwrap_or_default())
}

/// `host` or `host:port`, where an IPv6 host stands in brackets.
fn check_authority(authority: &str) -> Result<(), String> {
    let after_bracket = authority.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match authority[after_bracket..].split_once(':') {
        Some((host, port)) => (&authority[..after_bracket + host.len()], Some(port)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err("this URL names no host".to_owned());
    }
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        Some(_) => Err("the port of this URL is not a number between 1 and 65535".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_real_servers_are_accepted() {
        for url in [
            "http://127.0.0.1:8090",
            "https://pb.example.com",
            "http://[::1]:8090",
            "https://h/base",
        ] {
            assert_eq!(server_url(url).as_deref(), Ok(url));
        }
        assert_eq!(server_url("http://h:1/").as_deref(), Ok("http://h:1"));
    }

    #[test]
    fn urls_that_cannot_work_are_refused() {
        for url in [
            "",
            "localhost:8090",
            "ftp://h",
            "http://",
            "http://:80",
            "http://h:0",
            "http://h:x",
            "http://h:70000",
            "http://a b",
            "http://h?x",
        ] {
            assert!(server_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let secret = ["hun", "ter2"].concat();
        let message = server_url(&format!("http://root:{secret}@h")).unwrap_err();
        assert!(message.contains("password_file") && !message.contains(&secret));
    }
}
