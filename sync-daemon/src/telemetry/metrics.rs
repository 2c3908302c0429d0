//! Metrics: the configuration in the terms of `telemetry-metrics`, and the
//! endpoint of the daemon.

use std::sync::Arc;

use telemetry_core::{Filtered, Sink, Tee};
use telemetry_metrics::{
    Auth, CountingSink, Endpoints, Handle, MetricsError, MetricsServer, Readiness, Recorder,
    RecorderConfig, ServerConfig, ServerThread, SinkAccounts,
};
use tracing::level_filters::LevelFilter;

use super::{Clean, Outputs, Setup, TelemetryError};
use crate::config;
use crate::control::StatusReport;
use crate::jobs;
use crate::page::{self, Page};

/// The target whose series of `log_entries_total` are there from the start.
const TARGET: &str = "sync_daemon";

/// The recorder of this process, and what the page remembers beside it.
pub struct Metrics {
    recorder: Recorder,
    page: Page,
    clean: Clean,
}

impl Metrics {
    /// Installs the recorder with every series of the contract at 0; `None` when metrics are off.
    pub(super) fn install(
        setup: &Setup<'_>,
        clean: &Clean,
    ) -> Result<Option<Self>, TelemetryError> {
        let settings = &setup.settings.metrics;
        if !settings.enabled || setup.outputs != Outputs::All {
            return Ok(None);
        }
        let clean = Arc::clone(clean);
        let mut presets = jobs::presets(setup.job_ids);
        presets.extend(telemetry_metrics::log_presets(TARGET));
        presets.extend(telemetry_metrics::upload_presets());
        presets.push(crate::version::build_info());
        let recorder = Recorder::install(RecorderConfig {
            presets,
            collection_interval: settings.collection_interval,
            // The id of a job is any text, and so is a target of the `log` crate.
            clean_label: Some(Arc::clone(&clean)),
            ..RecorderConfig::default()
        })?;
        crate::version::count_build();
        let page = Page::start(recorder.handle(), Arc::clone(&clean));
        Ok(Some(Self {
            recorder,
            page,
            clean,
        }))
    }

    /// The sinks behind `log_entries_total` and the warnings on the page.
    pub(super) fn sinks(&self) -> Box<dyn Sink> {
        let counter: Box<dyn Sink> = Box::new(CountingSink::new(&self.recorder.handle()));
        let warnings = Filtered::new(LevelFilter::WARN, self.page.warnings());
        Box::new(Tee::of([counter, Box::new(warnings)]))
    }

    /// Renders the metrics, as a scrape does.
    pub fn handle(&self) -> Handle {
        self.recorder.handle()
    }

    /// Shows the accounts of the pipeline at each scrape.
    pub(super) fn show_accounts(&self, pipeline: impl Sink + 'static) {
        let accounts = SinkAccounts::of(pipeline);
        self.recorder.handle().collect_at_scrapes(accounts);
    }
}

/// Serves the metrics on a thread of its own until the answer is dropped.
///
/// # Errors
/// If the port is taken, the credentials cannot be read, or the address is one that others could reach.
pub fn serve(
    metrics: &Metrics,
    settings: &config::Metrics,
    readiness: impl Fn() -> Readiness + Send + Sync + 'static,
    status: impl Fn() -> StatusReport + Send + Sync + 'static,
) -> Result<ServerThread, MetricsError> {
    let handle = metrics.recorder.handle();
    let page = metrics.page.clone();
    let clean = Arc::clone(&metrics.clean);
    let endpoints = Endpoints::new(move || handle.render())
        .readiness(move || cleaned(readiness(), &clean))
        .page(page::HTML, move || page.data(&status()));
    MetricsServer::spawn(server_config(settings), endpoints)
}

fn cleaned(readiness: Readiness, clean: &Clean) -> Readiness {
    let all = |texts: Vec<String>| texts.iter().map(|text| clean(text)).collect();
    Readiness {
        reasons: all(readiness.reasons),
        notes: all(readiness.notes),
    }
}

fn server_config(settings: &config::Metrics) -> ServerConfig {
    ServerConfig {
        bind_address: settings.bind_address,
        port: settings.port,
        auth: settings.auth.as_ref().map(auth),
        allow_remote_without_auth: settings.allow_remote_without_auth,
        allowed_hosts: settings.allowed_hosts.clone(),
        rate_limit: telemetry_metrics::RateLimit {
            requests_per_second: settings.rate_limit.requests_per_second,
            burst: settings.rate_limit.burst,
        },
        ..ServerConfig::default()
    }
}

/// The configuration has checked that there is exactly one of the two.
fn auth(settings: &config::MetricsAuth) -> Auth {
    match &settings.basic {
        Some(basic) => Auth::Basic {
            username: basic.username.clone(),
            password_hash_file: basic.password_hash_file.clone(),
        },
        None => Auth::Bearer {
            token_file: settings.bearer_token_file.clone().unwrap_or_default(),
        },
    }
}
