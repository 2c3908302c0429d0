//! Metrics: the configuration in the terms of `telemetry-metrics`, and the
//! endpoint of the daemon.

use telemetry_core::Sink;
use telemetry_metrics::{
    CountingSink, Endpoints, MetricsError, MetricsServer, Readiness, Recorder, RecorderConfig,
    ServerConfig, ServerThread, SinkAccounts,
};

use super::{Outputs, Setup};
use crate::config;
use crate::jobs;

/// The target whose series of `log_entries_total` are there from the start.
const TARGET: &str = "sync_daemon";

/// Installs the recorder with every series of the contract at 0; `None` when
/// metrics are off.
pub(super) fn install(setup: &Setup<'_>) -> Result<Option<Recorder>, MetricsError> {
    let settings = &setup.settings.metrics;
    if !settings.enabled || setup.outputs != Outputs::All {
        return Ok(None);
    }
    let mut presets = jobs::presets(setup.job_ids);
    presets.extend(telemetry_metrics::log_presets(TARGET));
    presets.extend(telemetry_metrics::upload_presets());
    presets.push(crate::version::build_info());
    let recorder = Recorder::install(RecorderConfig {
        presets,
        collection_interval: settings.collection_interval,
        ..RecorderConfig::default()
    })?;
    crate::version::count_build();
    Ok(Some(recorder))
}

/// The sink behind `log_entries_total`.
pub(super) fn counter(recorder: &Recorder) -> Box<dyn Sink> {
    Box::new(CountingSink::new(&recorder.handle()))
}

/// Shows the accounts of the pipeline at each scrape.
pub(super) fn show_accounts(recorder: &Recorder, pipeline: impl Sink + 'static) {
    recorder
        .handle()
        .collect_at_scrapes(SinkAccounts::of(pipeline));
}

/// Serves the metrics on a thread of its own until the answer is dropped.
///
/// # Errors
/// If the port is taken, or the address is one that others could reach.
pub fn serve(
    recorder: &Recorder,
    settings: &config::Metrics,
    readiness: impl Fn() -> Readiness + Send + Sync + 'static,
) -> Result<ServerThread, MetricsError> {
    let handle = recorder.handle();
    let endpoints = Endpoints::new(move || handle.render())
        .readiness(readiness)
        .title("sync-daemon");
    MetricsServer::spawn(server_config(settings), endpoints)
}

fn server_config(settings: &config::Metrics) -> ServerConfig {
    ServerConfig {
        bind_address: settings.bind_address,
        port: settings.port,
        allow_remote_without_auth: settings.allow_remote_without_auth,
        allowed_hosts: settings.allowed_hosts.clone(),
        rate_limit: telemetry_metrics::RateLimit {
            requests_per_second: settings.rate_limit.requests_per_second,
            burst: settings.rate_limit.burst,
        },
        ..ServerConfig::default()
    }
}
