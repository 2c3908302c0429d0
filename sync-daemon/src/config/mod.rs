//! The configuration: every key with its type, its default and its check, read from files and the environment.
//!
//! [`Config::load`] reads the layers in order: defaults, then files (later ones over earlier ones), then environment variables such as
//! `SYNC_DAEMON__TELEMETRY__LOG_LEVEL=debug`. Tables merge key by key. Arrays of strings are replaced. Arrays of tables (`[[sync_jobs]]`,
//! `[[file_watchers]]`, `patterns`) merge by their `id` or `name`: an entry of a known id overrides the keys that it writes, and one of a
//! new id is appended.
//!
//! `log_level` at the root is `telemetry.log_level`. An absent `[telemetry.pocketbase_logging]` is off; once any layer writes a key of it,
//! it is on unless a layer says `enabled = false`.
//!
//! What is loaded is checked, and the rest of the daemon trusts it. What is wrong is told all at once ([`ConfigErrors`]), with line and
//! caret. No secret is ever part of a configuration; it names the files that hold them.
//!
//! How a key comes about: each table is a plain struct with a `Section` that describes it (`section`); the kinds of values are in `slot`.
//! Reading (`read`), writing (`print`), the JSON schema and the guesses for misspelt keys are visitors of that description.
//!
//! ```
//! use sync_daemon::config::{Config, Environment, LoadOptions};
//!
//! let environment = Environment::from_iter([("SYNC_DAEMON__TELEMETRY__METRICS__PORT", "0")]);
//! let loaded = Config::load(&LoadOptions::new(vec![], environment))?;
//! assert_eq!(loaded.config.telemetry.metrics.port, 0);
//! # Ok::<(), sync_daemon::config::ConfigErrors>(())
//! ```

mod check; // what concerns several keys
mod daemon; // [daemon], [concurrency]
mod difference; // what a reload changes
mod document; // files and variables, and places in them
mod environment; // where files are looked for
mod error; // what users see of mistakes
mod exposure; // secrets that all can read
mod features; // what this build can do
mod jobs; // [[sync_jobs]], [[file_watchers]]
mod json_schema;
mod metrics; // [telemetry.metrics]
mod origin; // where values come from
mod pocketbase; // [telemetry.pocketbase_logging]
mod print; // `config init` and `config show`
mod read; // a document into the structs
mod sanitize; // [telemetry.sanitize]
mod section; // the description of a table
mod slot; // the kinds of values
mod suggest; // what may have been meant
mod telemetry; // [telemetry], [telemetry.log_rotation]

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use daemon::{
    Concurrency, DEFAULT_MAX_CONCURRENT_SYNCS, DEFAULT_MAX_FILE_OPERATIONS,
    DEFAULT_SHUTDOWN_TIMEOUT, DEFAULT_STATE_DIR, DEFAULT_SYNC_QUEUE_SIZE, Daemon,
    default_state_dir,
};
pub use document::VARIABLE_PREFIX;
pub use environment::{
    CONFIG_VARIABLE, Environment, LOCAL_CONFIG_FILE, SYSTEM_CONFIG_FILE, Search,
};
pub use error::{ConfigError, ConfigErrors};
pub use exposure::exposed_secrets;
pub use features::Features;
pub use jobs::{
    ComparisonMethod, DEFAULT_COMPARISON_METHOD, DEFAULT_DEBOUNCE, DEFAULT_DURABILITY,
    DEFAULT_ENTRY_ENABLED, DEFAULT_MAX_DELAY, DEFAULT_MAX_DELETE, DEFAULT_MAX_DELETE_PERCENT,
    DEFAULT_RUN_AT_START, DEFAULT_SCHEDULE_INTERVAL, DEFAULT_SCHEDULE_JITTER,
    DEFAULT_SCHEDULE_KIND, DEFAULT_SCHEDULE_TIMEZONE, DEFAULT_WRITTEN_SCHEDULE_KIND, Durability,
    FileWatcher, Schedule, ScheduleKind, SyncJob, SyncOptions,
};
pub use metrics::{
    BasicAuth, DEFAULT_ALLOW_REMOTE_WITHOUT_AUTH, DEFAULT_BIND_ADDRESS, DEFAULT_BURST,
    DEFAULT_COLLECTION_INTERVAL, DEFAULT_METRICS_ENABLED, DEFAULT_METRICS_PORT,
    DEFAULT_REQUESTS_PER_SECOND, Metrics, MetricsAuth, RateLimit,
};
pub use origin::{Origin, Origins};
pub use pocketbase::{
    Breaker, DEFAULT_ALLOW_UNSANITIZED, DEFAULT_AUTH_COLLECTION, DEFAULT_BATCH_MAX_BYTES,
    DEFAULT_BATCH_SIZE, DEFAULT_BREAKER_FAILURES, DEFAULT_BREAKER_MAX_OPEN, DEFAULT_BREAKER_OPEN,
    DEFAULT_CHANNEL_CAPACITY, DEFAULT_COLLECTION, DEFAULT_DEAD_LETTER_MAX_BYTES,
    DEFAULT_FLUSH_INTERVAL, DEFAULT_MAX_RETRIES, DEFAULT_POCKETBASE_ENABLED,
    DEFAULT_POCKETBASE_MIN_LEVEL, DEFAULT_POCKETBASE_URL, DEFAULT_REQUEST_TIMEOUT,
    DEFAULT_RETENTION_DAYS, DEFAULT_SPOOL_MAX_BYTES, PocketbaseLogging,
};
pub use sanitize::{
    DEFAULT_KEYED_HASH, DEFAULT_NORMALIZE_PATHS, DEFAULT_PII, DEFAULT_SANITIZE_ENABLED, Pattern,
    Sanitize,
};
pub use telemetry::{
    Compression, ConsoleFormat, DEFAULT_BLOCK_TIMEOUT, DEFAULT_COMPRESSION,
    DEFAULT_COMPRESSION_LEVEL, DEFAULT_CONSOLE_FORMAT, DEFAULT_CONSOLE_LOGGING, DEFAULT_DIR_MODE,
    DEFAULT_FILE_MODE, DEFAULT_FILE_SYNC, DEFAULT_JSON_LOGGING, DEFAULT_KEEP_FILES,
    DEFAULT_LOG_FILE_PATH, DEFAULT_LOG_LEVEL, DEFAULT_MAX_SIZE_BYTES, DEFAULT_MIN_FREE_BYTES,
    DEFAULT_QUEUE_CAPACITY, DEFAULT_QUEUE_MAX_BYTES, DEFAULT_REPEAT_LIMIT_PER_SEC,
    DEFAULT_ROTATION_ENABLED, DEFAULT_ROTATION_FREQUENCY, DEFAULT_ROTATION_TIMEZONE,
    DEFAULT_SINK_MIN_LEVEL, DEFAULT_SPAN_EVENTS, DEFAULT_TELEMETRY_ENABLED, DEFAULT_WHEN_FULL,
    FileSync, LogRotation, RotationFrequency, RotationTimezone, Telemetry, WhenFull,
};

use document::{Document, Findings};
use read::{Context, read_table};
use section::{Keys, Section};
use suggest::KnownKeys;

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[daemon]`.
    pub daemon: Daemon,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
    /// `[[sync_jobs]]`, in the order of their first appearance; ids are unique.
    pub sync_jobs: Vec<SyncJob>,
    /// `[[file_watchers]]`, in the order of their first appearance; ids are unique, and every job exists.
    pub file_watchers: Vec<FileWatcher>,
    /// `[concurrency]`.
    pub concurrency: Concurrency,
}

/// What [`Config::load`] reads.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Files, later ones over earlier ones; each must be readable.
    pub files: Vec<PathBuf>,
    /// Variables that override files; also decides the default of [`Daemon::state_dir`].
    pub environment: Environment,
    /// What the build can do.
    pub features: Features,
}

impl LoadOptions {
    /// Files and environment, for the features of this build.
    pub fn new(files: Vec<PathBuf>, environment: Environment) -> Self {
        Self {
            files,
            environment,
            features: Features::COMPILED,
        }
    }
}

/// A configuration and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Where each value comes from.
    pub origins: Origins,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// The names of the environment variables that were read over them.
    pub variables: Vec<String>,
}

impl Config {
    /// Reads the files, then the environment, and checks the whole.
    ///
    /// # Errors
    /// Everything that is wrong, at once: files that cannot be read, syntax, unknown keys, wrong types, impossible values, and options
    /// that this build or this version does not have. A file with syntax errors is not looked at further.
    pub fn load(options: &LoadOptions) -> Result<Loaded, ConfigErrors> {
        let mut documents = Vec::new();
        let mut errors = Vec::new();
        for path in &options.files {
            match Document::read(path) {
                Ok(document) => documents.push(document),
                Err(error) => errors.push(error),
            }
        }
        let (variables, unreadable) = Document::of_environment(&options.environment);
        documents.extend(variables);
        errors.extend(unreadable);

        let mut config = Self::specified(&options.environment);
        let mut findings = Findings::default();
        let is_complete = config.read(&documents, &mut findings) && errors.is_empty();
        options.features.apply(&mut config, &mut findings);
        // What seems to be missing may stand in the part that could not be read.
        if is_complete {
            check::check(&mut config, &mut findings);
        }
        let origins = findings.finish(&documents, errors)?;
        let names = documents.iter().filter_map(Document::variable_name);
        Ok(Loaded {
            config,
            origins,
            files: options.files.clone(),
            variables: names.map(str::to_owned).collect(),
        })
    }

    /// The effective values as TOML that loads to an equal configuration.
    pub fn to_toml(&self) -> String {
        print::document(&mut self.clone(), print::Remarks::None)
            .trim_start()
            .to_owned()
    }

    /// Like [`to_toml`](Self::to_toml), with the origin of each value as a comment.
    pub fn to_toml_with_origins(&self, origins: &Origins) -> String {
        print::document(&mut self.clone(), print::Remarks::Origins(origins))
            .trim_start()
            .to_owned()
    }

    /// A file with every key, its default and a sentence; it loads to the defaults. Jobs and other tables without a default are there as
    /// examples in comments.
    pub fn commented_defaults() -> String {
        // The directory of whoever writes the file must not show up in it.
        let mut config = Self {
            daemon: Daemon::for_root(),
            ..Self::default()
        };
        let head = "# Configuration of sync-daemon. Every value below is the default.\n\
                    # Lines that begin with # and no space are examples, or defaults that depend on the user.\n\
                    # `sync-daemon config check` says what is wrong, `sync-daemon config show --origin` what is in effect.\n";
        format!(
            "{head}{}",
            print::document(&mut config, print::Remarks::Help)
        )
    }

    /// The JSON schema of a configuration file.
    pub fn json_schema() -> serde_json::Value {
        let mut config = Self {
            daemon: Daemon::for_root(),
            ..Self::default()
        };
        json_schema::schema(&mut config)
    }

    /// The defaults of the specification, whatever the build can do.
    fn specified(environment: &Environment) -> Self {
        Self {
            daemon: Daemon::for_environment(environment),
            telemetry: Telemetry::default(),
            sync_jobs: Vec::new(),
            file_watchers: Vec::new(),
            concurrency: Concurrency::default(),
        }
    }

    /// Reads all documents; false if one of them has syntax errors.
    fn read(&mut self, documents: &[Document], findings: &mut Findings) -> bool {
        let known_keys = &KnownKeys::of(self);
        let mut is_complete = true;
        for (index, document) in documents.iter().enumerate() {
            let (table, errors) = document.parse();
            if errors.is_empty() {
                read_table(
                    self,
                    &table,
                    "",
                    Context {
                        document,
                        index,
                        known_keys,
                    },
                    findings,
                );
            }
            is_complete &= errors.is_empty();
            for (span, message) in errors {
                findings.fault(
                    document::Place {
                        document: index,
                        span,
                    },
                    message,
                );
            }
        }
        is_complete
    }
}

impl Default for Config {
    /// The defaults for this process and this build, without any file or variable.
    fn default() -> Self {
        let mut config = Self::specified(&Environment::of_process());
        Features::COMPILED.apply(&mut config, &mut Findings::default());
        config
    }
}

impl Section for Config {
    fn describe(&mut self, keys: &mut dyn Keys) {
        keys.table("daemon", &mut self.daemon, "The process itself");
        keys.table(
            "telemetry",
            &mut self.telemetry,
            "What is logged, how finely, and where to",
        );
        keys.list(
            "sync_jobs",
            &mut self.sync_jobs,
            "What is mirrored, and when; repeat this table for more jobs",
        );
        keys.list(
            "file_watchers",
            &mut self.file_watchers,
            "Changes that start a job",
        );
        keys.table(
            "concurrency",
            &mut self.concurrency,
            "How much happens at once",
        );
        keys.alias(
            "log_level",
            "telemetry.log_level",
            &mut slot::choice(&mut self.telemetry.log_level),
        );
    }
}
