//! Reading the configuration anew: validated first, all or nothing.

use std::sync::Arc;

use super::shared::Shared;
use crate::config::{Config, Environment, LoadOptions, Loaded, exposed_secrets};
use crate::control::ReloadReport;
use crate::error_type::ErrorType;
use crate::systemd;

/// What takes effect without a restart. Everything else is part of the pipeline
/// of log records, of the endpoint or of the state directory, which are built
/// once.
const RELOADABLE: [&str; 5] = [
    "sync_jobs[",
    "file_watchers[",
    "concurrency.",
    "telemetry.log_level",
    "daemon.shutdown_timeout_secs",
];

impl Shared {
    /// Opens the log file anew and takes over the configuration on disk. Runs
    /// that are under way end under the old one.
    ///
    /// # Errors
    /// Everything that is wrong with the new configuration; the old one stays in
    /// force as a whole.
    pub(super) async fn reload(self: &Arc<Self>) -> Result<ReloadReport, String> {
        let _one_at_a_time = self.reloading.lock().await;
        systemd::notify_reloading();
        self.accounts.reopen();
        tracing::info!(target: "sync_daemon::daemon", "log file reopened");
        let files = self.config_files.clone();
        let loading = tokio::task::spawn_blocking(move || {
            Config::load(&LoadOptions::new(files, Environment::of_process()))
        });
        let reloaded = match loading.await {
            Ok(Ok(loaded)) => Ok(self.take_over(loaded)),
            Ok(Err(errors)) => Err(errors.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &reloaded {
            tracing::error!(
                target: "sync_daemon::daemon",
                error_type = ErrorType::Config.as_str(),
                error,
                "the configuration is wrong; the old one stays in force"
            );
            let note = "the configuration on disk is wrong, so the old one is in force; `sync-daemon config check` says why";
            self.set_reload_notes(vec![note.to_owned()]);
        }
        systemd::notify_ready();
        reloaded
    }

    fn take_over(&self, loaded: Loaded) -> ReloadReport {
        let new = Arc::new(loaded.config.clone());
        let report = report(&self.started_with, &self.config(), &new);
        if let Some(levels) = &self.levels {
            levels.set_configured(new.telemetry.log_level);
        }
        if let Some(scheduler) = self.scheduler.get() {
            scheduler.reconfigure(&new);
        }
        if let Some(watchers) = self.watchers.get() {
            watchers.reconfigure(&new);
        }
        self.set_config(new);
        let mut notes = exposed_secrets(&loaded);
        for note in &notes {
            tracing::warn!(target: "sync_daemon::daemon", "{note}");
        }
        if !report.needs_restart.is_empty() {
            let keys = report.needs_restart.join(", ");
            tracing::warn!(target: "sync_daemon::daemon", keys, "some changes need a restart");
            notes.push(format!(
                "changed, but not in force without a restart: {keys}"
            ));
        }
        self.set_reload_notes(notes);
        tracing::info!(
            target: "sync_daemon::daemon",
            changed = report.changed.join(", "),
            "configuration reloaded"
        );
        report
    }
}

/// What changes now, and what differs from the start but needs a restart.
fn report(started_with: &Config, old: &Config, new: &Config) -> ReloadReport {
    let is_reloadable = |key: &String| {
        RELOADABLE
            .iter()
            .any(|reloadable| key.starts_with(reloadable))
    };
    let mut changed = old.differing_keys(new);
    changed.retain(is_reloadable);
    let mut needs_restart = started_with.differing_keys(new);
    needs_restart.retain(|key| !is_reloadable(key));
    ReloadReport {
        changed,
        needs_restart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SyncJob;

    #[test]
    fn jobs_and_levels_change_at_once_and_the_pipeline_needs_a_restart() {
        let old = Config::default();
        let mut new = old.clone();
        new.sync_jobs.push(SyncJob {
            id: "a".to_owned(),
            ..SyncJob::default()
        });
        new.concurrency.max_concurrent_syncs += 1;
        new.telemetry.metrics.port += 1;
        let told = report(&old, &old, &new);
        assert_eq!(
            told.changed,
            ["concurrency.max_concurrent_syncs", "sync_jobs[a]"]
        );
        assert_eq!(told.needs_restart, ["telemetry.metrics.port"]);
        // A second reload of the same: nothing changes, and the restart is still needed.
        let again = report(&old, &new, &new);
        assert!(again.changed.is_empty());
        assert_eq!(again.needs_restart, ["telemetry.metrics.port"]);
        // Taking it back is no change at all.
        let back = report(&old, &new, &old);
        assert!(back.needs_restart.is_empty());
    }
}
