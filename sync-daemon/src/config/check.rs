//! Checks that concern more than one key, after all documents are read.

use super::Config;
use super::document::Findings;
use super::jobs::ScheduleKind;

/// Checks everything, and fills in the names of jobs that have none.
pub(super) fn check(config: &mut Config, findings: &mut Findings) {
    check_jobs(config, findings);
    check_watchers(config, findings);
    check_patterns(config, findings);
    check_metrics(config, findings);
    check_upload(config, findings);
}

fn check_jobs(config: &mut Config, findings: &mut Findings) {
    for job in &mut config.sync_jobs {
        let path = format!("sync_jobs[{}]", job.id);
        require(findings, &path, &["source_path", "destination_path"]);
        if job.name.is_empty() {
            job.name.clone_from(&job.id);
        }
        let schedule = &job.schedule;
        let expression = format!("{path}.schedule.expression");
        let lacks_expression = schedule.expression.is_none() && !findings.is_faulty(&expression);
        if schedule.kind == ScheduleKind::Cron && lacks_expression {
            findings.fault_at(
                &format!("{path}.schedule.type"),
                "`type = \"cron\"` needs an `expression`".to_owned(),
            );
        }
        if schedule.kind == ScheduleKind::Interval && schedule.expression.is_some() {
            let message = "an `expression` needs `type = \"cron\"`".to_owned();
            findings.fault_at(&expression, message);
        }
    }
}

fn check_watchers(config: &Config, findings: &mut Findings) {
    for watcher in &config.file_watchers {
        let path = format!("file_watchers[{}]", watcher.id);
        require(findings, &path, &["watch_path", "sync_job_id"]);
        let names_a_job = config
            .sync_jobs
            .iter()
            .any(|job| job.id == watcher.sync_job_id);
        if !watcher.sync_job_id.is_empty() && !names_a_job {
            let message = format!("no sync job has the id `{}`", watcher.sync_job_id);
            findings.fault_at(&format!("{path}.sync_job_id"), message);
        }
        if watcher.max_delay < watcher.debounce {
            let message = "`max_delay_ms` is shorter than `debounce_ms`".to_owned();
            findings.fault_at(&format!("{path}.max_delay_ms"), message);
        }
    }
}

fn check_patterns(config: &Config, findings: &mut Findings) {
    for pattern in &config.telemetry.sanitize.patterns {
        require(
            findings,
            &format!("telemetry.sanitize.patterns[{}]", pattern.name),
            &["regex"],
        );
    }
}

fn check_metrics(config: &Config, findings: &mut Findings) {
    let metrics = &config.telemetry.metrics;
    let is_remote = !metrics.bind_address.to_canonical().is_loopback();
    if metrics.enabled && is_remote && metrics.auth.is_none() && !metrics.allow_remote_without_auth
    {
        let message = format!(
            "metrics on {} would be open to other machines; use `127.0.0.1`, ask for credentials in `[telemetry.metrics.auth]`, or set `allow_remote_without_auth = true`",
            metrics.bind_address
        );
        findings.fault_at("telemetry.metrics.bind_address", message);
    }
    let Some(auth) = &metrics.auth else { return };
    if auth.bearer_token_file.is_some() == auth.basic.is_some() {
        let message = "exactly one of `bearer_token_file` and `basic` is needed".to_owned();
        findings.fault_at("telemetry.metrics.auth", message);
    }
    if auth.basic.is_some() {
        require(
            findings,
            "telemetry.metrics.auth.basic",
            &["username", "password_hash_file"],
        );
    }
}

fn check_upload(config: &Config, findings: &mut Findings) {
    let upload = &config.telemetry.pocketbase_logging;
    if upload.breaker.max_open < upload.breaker.open {
        let message = "`max_open_secs` is shorter than `open_secs`".to_owned();
        findings.fault_at(
            "telemetry.pocketbase_logging.breaker.max_open_secs",
            message,
        );
    }
    if upload.enabled && !config.telemetry.sanitize.enabled && !upload.allow_unsanitized {
        let message = "nothing is sanitized before this upload; enable `[telemetry.sanitize]` (cargo feature `sanitize`), \
                       or set `allow_unsanitized = true` here"
            .to_owned();
        findings.fault_at("telemetry.pocketbase_logging.enabled", message);
    }
}

/// A key without which the table at `path` means nothing.
fn require(findings: &mut Findings, path: &str, keys: &[&str]) {
    // An entry whose identity was refused has no place; its fault is told already.
    if findings.place(path).is_none() {
        return;
    }
    for key in keys {
        if findings.place(&format!("{path}.{key}")).is_none() {
            findings.fault_at(path, format!("`{key}` is missing"));
        }
    }
}
