//! The uploader by itself, without a daemon, in front of a real PocketBase: what the stories about its answers and about faults
//! share.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use telemetry_core::{Capture, Health, Identity, Numbered, Sink, SinkStats};
use telemetry_pocketbase::setup::{AdminLogin, FilesFor, prepare, write_files};
use telemetry_pocketbase::{
    BreakerPolicy, DEAD_LETTERS_FILE, PasswordSource, PocketBaseConfig, PocketBaseSink, RecordId,
    Secret,
};
use telemetry_tests::{FaultProxy, PocketBase, wait_for, wait_until};
use tempfile::TempDir;
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

use crate::SOON;

pub(crate) const COLLECTION: &str = "daemon_logs";
const COLLECTION_PATH: &str = "/api/collections/daemon_logs";
const ACCOUNTS: &str = "telemetry_clients";

/// A way to upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Bulk,
    Batch,
    Single,
}

impl Way {
    /// What the paths of its requests contain.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Bulk => "/api/sync-daemon/v1/",
            Self::Batch => "/api/batch",
            Self::Single => "/daemon_logs/records",
        }
    }
}

/// A server that is ready to take logs, and a proxy in front of it.
pub(crate) struct Site {
    pub(crate) server: PocketBase,
    pub(crate) proxy: FaultProxy,
    place: TempDir,
}

impl Site {
    /// A server that takes batches.
    pub(crate) fn with_batches() -> Option<Self> {
        let server = PocketBase::start()?;
        Some(Self::ready(server, tempfile::tempdir().unwrap()))
    }

    /// A server for which uploads in this way are the best that it has.
    pub(crate) fn with(way: Way) -> Option<Self> {
        let server = PocketBase::prepare()?;
        Some(Self::of(server, tempfile::tempdir().unwrap(), way))
    }

    /// Starts a server for which uploads in this way are the best that it has.
    pub(crate) fn of(server: PocketBase, place: TempDir, way: Way) -> Self {
        if way == Way::Bulk {
            add_hook(&server, place.path());
        }
        server.serve();
        let site = Self::ready(server, place);
        if way == Way::Single {
            site.set(json!({"batch": {"enabled": false}}));
        }
        site
    }

    /// Makes a server that runs ready.
    pub(crate) fn ready(server: PocketBase, place: TempDir) -> Self {
        let site = Self {
            proxy: FaultProxy::before(&server.url()),
            server,
            place,
        };
        let password = format!("{:016x}", fastrand::u64(..));
        std::fs::write(site.password_file(), &password).unwrap();
        let admin = AdminLogin {
            email: site.server.superuser().to_owned(),
            password: Secret::new(site.server.password()),
        };
        let config = site.config(&site.server.url());
        prepare(&config, &admin, &Secret::new(password)).unwrap();
        site
    }

    /// A configuration for which every failure is a failed round, and the breaker soon tries again.
    pub(crate) fn config(&self, url: &str) -> PocketBaseConfig {
        let password = PasswordSource::File(self.password_file());
        let dir = self.place.path().join("spool");
        let mut config = PocketBaseConfig::new(url, "daemon@example.com", password, dir);
        config.flush_interval = Duration::from_millis(20);
        config.max_retries = 0;
        config.breaker = BreakerPolicy {
            failures: 1,
            open_for: Duration::from_millis(100),
            max_open_for: Duration::from_millis(400),
        };
        config
    }

    /// An uploader through the proxy.
    pub(crate) fn ship(&self) -> Shipper {
        Shipper::start(self.config(&self.proxy.url()))
    }

    /// Changes settings of the server.
    #[track_caller]
    pub(crate) fn set(&self, settings: Value) {
        self.server
            .patch("/api/settings", &settings)
            .expect_status(200);
    }

    /// Changes the collection of the logs.
    #[track_caller]
    pub(crate) fn change(&self, change: Value) {
        self.server
            .patch(COLLECTION_PATH, &change)
            .expect_status(200);
    }

    /// The collection of the logs as the server describes it.
    #[track_caller]
    pub(crate) fn collection(&self) -> Value {
        self.server.get(COLLECTION_PATH).expect_status(200).json()
    }

    /// Changes options of one field of the logs.
    #[track_caller]
    pub(crate) fn change_field(&self, name: &str, options: Value) {
        let mut fields = self.collection()["fields"].take();
        let all = fields.as_array_mut().unwrap();
        let field = all.iter_mut().find(|field| field["name"] == name).unwrap();
        for (option, value) in options.as_object().unwrap() {
            field[option] = value.clone();
        }
        self.change(json!({ "fields": fields }));
    }

    /// Gives the account another password, which ends all of its tokens, and tells the uploader's file.
    #[track_caller]
    pub(crate) fn change_password(&self) {
        let password = format!("{:016x}", fastrand::u64(..));
        let account = self.server.records(ACCOUNTS, "").remove(0);
        let id = account["id"].as_str().unwrap();
        let change = json!({"password": password, "passwordConfirm": password});
        let path = format!("/api/collections/{ACCOUNTS}/records/{id}");
        self.server.patch(&path, &change).expect_status(200);
        std::fs::write(self.password_file(), password).unwrap();
    }

    /// The server has stored exactly the records with these ids, each once, and in their order.
    #[track_caller]
    pub(crate) fn assert_stored_once(&self, wanted: &[String]) {
        let stored = self.server.records(COLLECTION, "");
        let ids: Vec<&str> = stored.iter().map(|r| r["id"].as_str().unwrap()).collect();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), ids.len(), "something is stored twice");
        let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        assert_eq!(distinct, wanted);
    }

    /// The dead letters: reasons by message.
    pub(crate) fn dead_letters(&self) -> Vec<(String, String)> {
        let path = self.place.path().join("spool").join(DEAD_LETTERS_FILE);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| {
                let letter: Value = serde_json::from_str(line).unwrap();
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&letter["record"]["message"]), text(&letter["reason"]))
            })
            .collect()
    }

    /// The password of the account.
    pub(crate) fn password(&self) -> String {
        std::fs::read_to_string(self.password_file()).unwrap()
    }

    fn password_file(&self) -> std::path::PathBuf {
        self.place.path().join("password")
    }
}

/// Puts the hook file where a server that does not run yet will look for it.
pub(crate) fn add_hook(server: &PocketBase, place: &Path) {
    let files = FilesFor {
        collection: COLLECTION,
        auth_collection: ACCOUNTS,
        retention_days: 0,
    };
    write_files(place, files).unwrap();
    let hook = place.join(telemetry_pocketbase::setup::HOOK_FILE);
    let name = hook.file_name().unwrap();
    std::fs::copy(&hook, server.hooks_dir().join(name)).unwrap();
}

/// An uploader and what was given to it.
pub(crate) struct Shipper {
    sink: Arc<PocketBaseSink>,
    capture: Arc<Numbered<Arc<PocketBaseSink>>>,
    identity: Identity,
    logged: u64,
}

impl Shipper {
    #[track_caller]
    pub(crate) fn start(config: PocketBaseConfig) -> Self {
        let sink = Arc::new(PocketBaseSink::start(config).unwrap());
        Self {
            capture: Arc::new(Numbered::new(sink.clone())),
            sink,
            identity: Identity::new(Uuid::new_v4()),
            logged: 0,
        }
    }

    /// Logs this message so many times.
    pub(crate) fn log(&mut self, message: &str, count: u64) {
        self.capture(count, || {
            for number in 0..count {
                tracing::info!(number, "{message}");
            }
        });
    }

    /// Logs one record of what servers like to refuse.
    pub(crate) fn log_awkward(&mut self) {
        self.capture(1, || {
            tracing::error!(
                big = u64::MAX,
                small = i64::MIN,
                none = f64::NAN,
                control = "a\0b\u{1b}c",
                quote = "\"\\",
                wide = "🦀\u{2028}",
                ""
            );
        });
    }

    fn capture(&mut self, count: u64, log: impl FnOnce()) {
        let capture = Capture::new(self.identity, self.capture.clone());
        let subscriber = tracing_subscriber::registry().with(capture);
        tracing::subscriber::with_default(subscriber, log);
        self.sink.batch_end();
        self.logged += count;
    }

    /// Waits until everything that was logged is in the spool.
    #[track_caller]
    pub(crate) fn flush(&self) {
        self.sink.flush(SOON).unwrap();
    }

    /// The ids of all that was logged.
    pub(crate) fn ids(&self) -> Vec<String> {
        (1..=self.logged).map(|seq| self.id(seq)).collect()
    }

    /// The id of the record of this number, from 1.
    pub(crate) fn id(&self, seq: u64) -> String {
        RecordId::of(self.identity.session_id(), seq).to_string()
    }

    pub(crate) fn stats(&self) -> SinkStats {
        let stats = self.sink.snapshot();
        let sum = stats.delivered + stats.dropped + stats.rejected + stats.pending;
        assert_eq!(stats.accepted, sum, "{stats:?}");
        stats
    }

    /// Waits until everything that was logged is delivered or in the dead letters, and nothing was lost otherwise.
    #[track_caller]
    pub(crate) fn wait_until_settled(&self) -> SinkStats {
        let deadline = Instant::now() + 2 * SOON;
        while self.stats().pending > 0 {
            assert!(Instant::now() < deadline, "it stays so: {:?}", self.stats());
            std::thread::yield_now();
        }
        let stats = self.stats();
        assert_eq!((stats.accepted, stats.dropped), (self.logged, 0));
        stats
    }

    /// Waits until everything that was logged is delivered.
    #[track_caller]
    pub(crate) fn wait_until_delivered(&self) {
        let stats = self.wait_until_settled();
        assert_eq!(stats.delivered, self.logged, "{stats:?}");
        wait_until(SOON, "it to be well", || {
            self.stats().health == Health::Good
        });
    }

    /// Waits until the uploader says that it is in trouble for a reason that contains this.
    #[track_caller]
    pub(crate) fn wait_for_trouble(&self, part: &str) {
        let mut last = Health::Good;
        let told = |last: &mut Health| {
            *last = self.stats().health;
            match &*last {
                Health::Degraded(reason) | Health::Failing(reason) => reason.contains(part),
                _ => false,
            }
        };
        let deadline = Instant::now() + SOON;
        while !told(&mut last) {
            assert!(
                Instant::now() < deadline,
                "{part}: never told, but {last:?}"
            );
            std::thread::yield_now();
        }
    }
}

/// A record as the server has stored it.
#[track_caller]
pub(crate) fn stored(server: &PocketBase, id: &str) -> Value {
    wait_for(SOON, "the record on the server", || {
        server.records(COLLECTION, &format!("id = '{id}'")).pop()
    })
}
