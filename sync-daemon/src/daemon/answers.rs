//! What the control socket answers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::shared::Shared;
use crate::control::{Handler, Reply, Request, Response};
use crate::jobs::{JobState, Scheduler, Trigger, TriggerError};

/// Answers on the control socket.
pub(super) struct Answers(pub(super) Arc<Shared>);

impl Handler for Answers {
    async fn handle(&self, request: Request) -> Response {
        let reply = match request {
            Request::Status => self.status().await,
            Request::Trigger { job, wait } => self.trigger(&job, wait).await,
            Request::Cancel { job } => self.cancel(&job),
            Request::Reload => self.0.reload().await.map(Reply::Reloaded),
            Request::LogLevel { level, for_secs } => self.log_level(level.as_deref(), for_secs),
        };
        match reply {
            Ok(reply) => Response::Ok(self.cleaned(reply)),
            Err(why) => Response::Error((self.0.clean)(&why)),
        }
    }
}

impl Answers {
    async fn status(&self) -> Result<Reply, String> {
        let shared = Arc::clone(&self.0);
        let status = tokio::task::spawn_blocking(move || shared.status()).await;
        status
            .map(|status| Reply::Status(Box::new(status)))
            .map_err(|error| error.to_string())
    }

    /// The answer without secrets in its error texts, which have not been through the pipeline. What
    /// the configuration says stays as it was written.
    fn cleaned(&self, reply: Reply) -> Reply {
        let clean = &*self.0.clean;
        match reply {
            Reply::Status(mut status) => {
                let reasons = status
                    .sinks
                    .iter_mut()
                    .filter_map(|sink| sink.reason.as_mut());
                for text in status.notes.iter_mut().chain(reasons) {
                    *text = clean(text);
                }
                for job in &mut status.jobs {
                    if let Some(run) = job.get_mut("last_run") {
                        clean_errors(run, clean);
                    }
                }
                for watcher in &mut status.watchers {
                    clean_text(watcher, "reason", clean);
                }
                Reply::Status(status)
            }
            Reply::Finished(mut summary) => {
                clean_errors(&mut summary, clean);
                Reply::Finished(summary)
            }
            other => other,
        }
    }

    async fn trigger(&self, job: &str, wait: bool) -> Result<Reply, String> {
        let answer = self
            .scheduler()?
            .trigger(job, Trigger::Manual)
            .map_err(in_words)?;
        if !wait {
            return Ok(Reply::Triggered);
        }
        let summary = answer
            .await
            .map_err(|_| format!("`{job}` did not run: it was cancelled, or the daemon stopped"))?;
        serde_json::to_value(summary)
            .map(Reply::Finished)
            .map_err(|error| error.to_string())
    }

    fn cancel(&self, job: &str) -> Result<Reply, String> {
        let was = self.scheduler()?.cancel(job).map_err(in_words)?;
        let was = match was {
            JobState::Running => "running",
            JobState::Waiting | JobState::Idle => "waiting",
        };
        tracing::info!(target: "sync_daemon::daemon", job_id = job, was, "sync job cancelled by hand");
        Ok(Reply::Cancelled(was.to_owned()))
    }

    fn log_level(&self, level: Option<&str>, for_secs: Option<u64>) -> Result<Reply, String> {
        let level = match level {
            Some(name) => Some(name.parse::<LevelFilter>().map_err(|_| {
                format!("`{name}` is no level; use off, error, warn, info, debug or trace")
            })?),
            None => None,
        };
        let limit = for_secs.map(Duration::from_secs);
        self.0.set_level(level, limit).map(Reply::LogLevel)
    }

    fn scheduler(&self) -> Result<&Scheduler, String> {
        let scheduler = self.0.scheduler.get();
        scheduler.ok_or_else(|| "the daemon is still starting".to_owned())
    }
}

/// Of the summary of a run.
fn clean_errors(run: &mut Value, clean: &dyn Fn(&str) -> String) {
    if let Some(Value::Array(errors)) = run.pointer_mut("/report/errors") {
        for error in errors {
            clean_text(error, "path", clean);
            clean_text(error, "message", clean);
        }
    }
}

fn clean_text(of: &mut Value, key: &str, clean: &dyn Fn(&str) -> String) {
    if let Some(Value::String(text)) = of.get_mut(key) {
        *text = clean(text);
    }
}

fn in_words(error: TriggerError) -> String {
    error.to_string()
}
