//! What the uploader is told: where to, as whom, and within which bounds.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::delivery::{BreakerPolicy, Policy};
use crate::error::PocketBaseError;

/// Default of [`PocketBaseConfig::queue_capacity`].
pub const DEFAULT_QUEUE_CAPACITY: usize = 10_000;
/// Default of [`PocketBaseConfig::batch_size`].
pub const DEFAULT_BATCH_SIZE: usize = 100;
/// Default of [`PocketBaseConfig::batch_max_bytes`]: 1 MiB.
pub const DEFAULT_BATCH_MAX_BYTES: usize = 1024 * 1024;
/// Default of [`PocketBaseConfig::spool_max_bytes`]: 256 MiB.
pub const DEFAULT_SPOOL_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Smallest [`PocketBaseConfig::spool_max_bytes`] besides 0: 8 MiB.
pub const MIN_SPOOL_MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Default of [`PocketBaseConfig::dead_letter_max_bytes`]: 16 MiB.
pub const DEFAULT_DEAD_LETTER_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Everything [`PocketBaseSink::start`](crate::PocketBaseSink::start) needs.
///
/// [`new`](Self::new) fills in the defaults; change the fields that differ. Its
/// `Debug` shows no secret.
#[derive(Clone)]
pub struct PocketBaseConfig {
    /// Where the server is: `http://host:port` or, with feature `tls`,
    /// `https://…`. A path prefix is allowed, a user or password is not. What the
    /// name resolves to is used for 30 s, or until a request fails.
    pub url: String,
    /// The collection that takes the records. Default `daemon_logs`.
    pub collection: String,
    /// The collection in which the account lives. Default `telemetry_clients`.
    pub auth_collection: String,
    /// The account: its e-mail address. Empty is like a missing password: there
    /// is no account yet, and records stay in the spool.
    pub identity: String,
    /// Where its password is. While there is none, records stay in the spool
    /// and it is looked for again every two seconds.
    pub password: PasswordSource,
    /// Records between `write` and the spool; more are dropped and counted.
    /// Default 10,000. They may hold 16 MiB at most, whatever their number.
    pub queue_capacity: usize,
    /// Most records of one upload. Default 100.
    pub batch_size: usize,
    /// Most bytes of records in one upload. Default 1 MiB.
    pub batch_max_bytes: usize,
    /// A record waits no longer for its batch to fill. Default 30 s.
    pub flush_interval: Duration,
    /// Resends of a batch before the round counts as failed. Default 3.
    pub max_retries: u32,
    /// Directory of `spool.redb` and `dead-letters.jsonl`; made when missing.
    pub dir: PathBuf,
    /// Bound on the size of the spool's file. Default 256 MiB, at least 8 MiB;
    /// 0 keeps at most 32 MiB in memory instead, which a crash or an end of
    /// the process with the server away loses.
    pub spool_max_bytes: u64,
    /// Bound on the size of the dead-letter file. Default 16 MiB; 0 writes
    /// none. Records refused beyond it are counted, but not kept.
    pub dead_letter_max_bytes: u64,
    /// Longest wait for one answer of the server. Default 30 s: longer than
    /// the server itself waits for its batch timeout and its locked database.
    pub request_timeout: Duration,
    /// When to stop asking a server that does not work.
    pub breaker: BreakerPolicy,
    /// PEM file with the certificates to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Proxy to go through, as a URL; it may hold a password. The `*_PROXY`
    /// variables of the environment are not read.
    pub proxy: Option<Secret>,
}

impl PocketBaseConfig {
    /// The defaults for this server and account, with the spool in `dir`.
    pub fn new(
        url: impl Into<String>,
        identity: impl Into<String>,
        password: PasswordSource,
        dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            url: url.into(),
            collection: "daemon_logs".to_owned(),
            auth_collection: "telemetry_clients".to_owned(),
            identity: identity.into(),
            password,
            queue_capacity: DEFAULT_QUEUE_CAPACITY,
            batch_size: DEFAULT_BATCH_SIZE,
            batch_max_bytes: DEFAULT_BATCH_MAX_BYTES,
            flush_interval: Duration::from_secs(30),
            max_retries: 3,
            dir: dir.into(),
            spool_max_bytes: DEFAULT_SPOOL_MAX_BYTES,
            dead_letter_max_bytes: DEFAULT_DEAD_LETTER_MAX_BYTES,
            request_timeout: Duration::from_secs(30),
            breaker: BreakerPolicy::default(),
            ca_file: None,
            proxy: None,
        }
    }

    /// Checks what can be checked without a server.
    ///
    /// # Errors
    /// [`PocketBaseError::Config`] naming the first field that is wrong.
    pub fn validate(&self) -> Result<(), PocketBaseError> {
        check_url(&self.url)?;
        check_name("collection", &self.collection)?;
        check_name("auth_collection", &self.auth_collection)?;
        require(
            self.queue_capacity > 0,
            "queue_capacity",
            "must be at least 1",
        )?;
        require(self.batch_size > 0, "batch_size", "must be at least 1")?;
        require(
            self.batch_max_bytes >= 1024,
            "batch_max_bytes",
            "must be at least 1024",
        )?;
        require(
            self.spool_max_bytes == 0 || self.spool_max_bytes >= MIN_SPOOL_MAX_BYTES,
            "spool_max_bytes",
            "must be 0 (in memory) or at least 8 MiB",
        )?;
        require(
            !self.request_timeout.is_zero(),
            "request_timeout",
            "must be more than 0",
        )?;
        require(
            self.breaker.failures > 0,
            "breaker.failures",
            "must be at least 1",
        )?;
        require(
            !self.breaker.open_for.is_zero() && self.breaker.open_for <= self.breaker.max_open_for,
            "breaker.open_for",
            "must be more than 0 and at most breaker.max_open_for",
        )
    }

    /// As [`validate`](Self::validate), for what makes no sense without an account.
    pub(crate) fn validate_with_account(&self) -> Result<(), PocketBaseError> {
        self.validate()?;
        require(!self.identity.is_empty(), "identity", "must not be empty")
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            batch_records: self.batch_size,
            batch_bytes: self.batch_max_bytes,
            flush_interval: self.flush_interval,
            max_retries: self.max_retries,
            breaker: self.breaker,
            ..Policy::default()
        }
    }
}

impl fmt::Debug for PocketBaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PocketBaseConfig")
            .field("url", &without_userinfo(&self.url))
            .field("collection", &self.collection)
            .field("auth_collection", &self.auth_collection)
            .field("identity", &self.identity)
            .field("password", &self.password)
            .field("queue_capacity", &self.queue_capacity)
            .field("batch_size", &self.batch_size)
            .field("batch_max_bytes", &self.batch_max_bytes)
            .field("flush_interval", &self.flush_interval)
            .field("max_retries", &self.max_retries)
            .field("dir", &self.dir)
            .field("spool_max_bytes", &self.spool_max_bytes)
            .field("dead_letter_max_bytes", &self.dead_letter_max_bytes)
            .field("request_timeout", &self.request_timeout)
            .field("breaker", &self.breaker)
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy)
            .finish()
    }
}

/// A text that must not be shown: its `Debug` prints `[REDACTED]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Where the password of the account is.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// The content of a file, without the line end.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
    /// The password itself.
    Given(Secret),
    /// The first of these that has one.
    FirstOf(Vec<PasswordSource>),
}

impl PasswordSource {
    /// Looks for the password, each time anew.
    ///
    /// # Errors
    /// Why there is none, in words that name the place but never its content.
    pub fn find(&self) -> Result<Secret, String> {
        match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                not_empty(text.trim_end_matches(['\r', '\n']), || {
                    format!("{} is empty", path.display())
                })
            }
            Self::Env(name) => {
                let value = std::env::var(name).map_err(|_| format!("{name} is not set"))?;
                not_empty(&value, || format!("{name} is empty"))
            }
            Self::Given(secret) => not_empty(secret.expose(), || "it is empty".to_owned()),
            Self::FirstOf(sources) => first_of(sources),
        }
    }
}

fn first_of(sources: &[PasswordSource]) -> Result<Secret, String> {
    let mut reasons = Vec::new();
    for source in sources {
        match source.find() {
            Ok(secret) => return Ok(secret),
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() {
        reasons.push("no place to look for it is configured".to_owned());
    }
    Err(reasons.join("; "))
}

fn not_empty(text: &str, reason: impl FnOnce() -> String) -> Result<Secret, String> {
    if text.is_empty() {
        return Err(reason());
    }
    Ok(Secret::new(text))
}

fn require(holds: bool, field: &'static str, why: &str) -> Result<(), PocketBaseError> {
    if holds {
        return Ok(());
    }
    Err(PocketBaseError::Config {
        field,
        why: why.to_owned(),
    })
}

pub(crate) fn check_url(url: &str) -> Result<(), PocketBaseError> {
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https", rest)) if cfg!(feature = "tls") => rest,
        Some(("https", _)) => {
            return require(false, "url", "needs https, and this build has no `tls`");
        }
        _ => return require(false, "url", "must begin with http:// or https://"),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    require(!authority.is_empty(), "url", "names no host")?;
    require(
        !authority.contains('@'),
        "url",
        "must hold neither user nor password",
    )?;
    require(
        !url.contains(['?', '#', ' ']),
        "url",
        "must have no query and no fragment",
    )
}

/// Names go into paths of URLs: letters, digits and underscores only, as the
/// server itself demands.
fn check_name(field: &'static str, name: &str) -> Result<(), PocketBaseError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    require(
        !name.is_empty() && name.chars().all(allowed),
        field,
        "must be letters, digits and underscores",
    )
}

fn without_userinfo(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://[REDACTED]@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PocketBaseConfig {
        let password = PasswordSource::Given(Secret::new(fake_password()));
        PocketBaseConfig::new("http://127.0.0.1:8090", "a@example.com", password, "dir")
    }

    fn fake_password() -> String {
        ["correct", "horse", "battery"].join("-")
    }

    #[test]
    fn defaults_are_valid() {
        config().validate().unwrap();
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut config = config();
        config.url = format!("http://user:{}@host", fake_password());
        config.proxy = Some(Secret::new(format!("http://u:{}@proxy", fake_password())));
        let shown = format!("{config:?}");
        assert!(!shown.contains(&fake_password()), "{shown}");
        assert!(shown.contains("[REDACTED]"), "{shown}");
    }

    #[test]
    fn wrong_values_are_named() {
        let wrong = |change: fn(&mut PocketBaseConfig)| {
            let mut config = config();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(wrong(|c| c.url = "ftp://host".into()).contains("url"));
        assert!(wrong(|c| c.url = "http://u:p@host".into()).contains("url"));
        assert!(wrong(|c| c.url = "http://".into()).contains("url"));
        assert!(wrong(|c| c.collection = "a/b".into()).contains("collection"));
        assert!(wrong(|c| c.batch_size = 0).contains("batch_size"));
        assert!(wrong(|c| c.spool_max_bytes = 1).contains("spool_max_bytes"));
        assert!(wrong(|c| c.breaker.failures = 0).contains("breaker.failures"));
    }

    #[test]
    fn password_is_the_first_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let source = PasswordSource::FirstOf(vec![
            PasswordSource::Env("TELEMETRY_POCKETBASE_TEST_UNSET".into()),
            PasswordSource::File(path.clone()),
        ]);
        let reason = source.find().unwrap_err();
        assert!(
            reason.contains("TELEMETRY_POCKETBASE_TEST_UNSET"),
            "{reason}"
        );
        std::fs::write(&path, "word\n").unwrap();
        assert_eq!(source.find().unwrap().expose(), "word");
        std::fs::write(&path, "\n").unwrap();
        assert!(source.find().unwrap_err().contains("is empty"));
    }
}
