//! Prometheus metrics for a daemon: a recorder, the collectors that fill it, and
//! an HTTP endpoint that can be left running.
//!
//! - Every series that can be known is there at 0 from the first scrape
//!   ([`Preset`]), every histogram has buckets, every name stands in one place
//!   ([`Family`], [`Metric`]).
//! - Memory stays bounded without scrapes, and label values are capped
//!   ([`CountingSink`]) and cleaned where the program wants it ([`CleanLabel`]). A scrape of a thousand series takes a tenth of a
//!   millisecond.
//! - A collector that fails keeps its last values, is counted, and recovers
//!   ([`Collector`]).
//! - The endpoint listens on localhost, and limits clients, scrapes at once,
//!   connections and times ([`ServerConfig`]). It asks for a token or a password
//!   ([`Auth`]), and refuses an address that other machines can reach without
//!   one unless told otherwise.
//!
//! It speaks no TLS: a reverse proxy does. It pushes to nobody.
//!
//! # Example
//!
//! Anything that counts with the `metrics` facade:
//!
//! ```
//! use telemetry_metrics::{
//!     Endpoints, Family, Kind, MetricsServer, Preset, Recorder, RecorderConfig, ServerConfig,
//! };
//!
//! const PAGES: Family = Family {
//!     name: "printer_pages_total",
//!     kind: Kind::Counter,
//!     help: "Pages printed, by tray.",
//!     labels: &["tray"],
//! };
//!
//! // Before anything makes handles: those made earlier are dead for ever.
//! let recorder = Recorder::install(RecorderConfig {
//!     presets: vec![Preset::of(PAGES).each("tray", ["upper", "lower"])],
//!     ..RecorderConfig::default()
//! })?;
//! let handle = recorder.handle();
//!
//! let endpoints = Endpoints::new(move || handle.render()).title("printer");
//! let config = ServerConfig { port: 0, ..ServerConfig::default() };
//! let server = MetricsServer::spawn(config, endpoints)?;
//! println!("http://{}/metrics", server.local_addr());
//!
//! metrics::counter!("printer_pages_total", "tray" => "upper").increment(3);
//! let text = recorder.handle().render();
//! assert!(text.contains("printer_pages_total{tray=\"upper\"} 3"));
//! assert!(text.contains("printer_pages_total{tray=\"lower\"} 0"));
//! # Ok::<(), telemetry_metrics::MetricsError>(())
//! ```
//!
//! # For other machines
//!
//! With credentials it may listen on any address; a file with the token, or with
//! a hash of the password, may be replaced while it runs:
//!
//! ```no_run
//! # use telemetry_metrics::{Auth, Endpoints, Handle, MetricsServer, ServerConfig};
//! # let handle = Handle::build(&[])?;
//! let config = ServerConfig {
//!     bind_address: "0.0.0.0".parse().expect("an address"),
//!     allowed_hosts: vec!["printer.example.com".to_owned()],
//!     auth: Some(Auth::Basic {
//!         username: "prom".to_owned(),
//!         // `htpasswd -nB prom > /etc/printer/metrics-password`
//!         password_hash_file: "/etc/printer/metrics-password".into(),
//!     }),
//!     ..ServerConfig::default()
//! };
//! let server = MetricsServer::spawn(config, Endpoints::new(move || handle.render()))?;
//! # Ok::<(), telemetry_metrics::MetricsError>(())
//! ```
//!
//! # With a log pipeline
//!
//! [`CountingSink`] is a sink that counts records, [`SinkAccounts`] exports what
//! became of the records of every sink. The sinks themselves know nothing of
//! this crate: they count with the facade, under the names of [`Metric`].

mod family;
mod metric;

mod collector;
mod combined;
mod exposition;
mod figures;
mod recorder;
mod table;
mod upkeep;

mod accounts;
mod counting;
mod process;

mod server;

pub mod buckets;

mod error;

pub use accounts::SinkAccounts;
pub use collector::{CollectError, Collector};
pub use counting::{CountingSink, DEFAULT_MAX_TARGETS, OTHER};
pub use error::MetricsError;
pub use exposition::CONTENT_TYPE;
pub use family::{Family, Kind, Preset};
pub use figures::Figures;
pub use metric::{Metric, log_presets, redaction_presets, upload_presets};
pub use process::{CpuSample, ProcessCollector, cpu_percent};
pub use recorder::{
    CleanLabel, DEFAULT_COLLECTION_INTERVAL, DEFAULT_UPKEEP_INTERVAL, Handle, Recorder,
    RecorderConfig,
};
pub use server::{
    Auth, DEFAULT_BIND_ADDRESS, DEFAULT_BURST, DEFAULT_CONNECTION_TIMEOUT, DEFAULT_HEADER_TIMEOUT,
    DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_SCRAPES, DEFAULT_PORT, DEFAULT_REQUEST_TIMEOUT,
    DEFAULT_REQUESTS_PER_SECOND, DEFAULT_SHUTDOWN_TIMEOUT, Endpoints, MetricsServer, RateLimit,
    Readiness, ServerConfig, ServerThread,
};
