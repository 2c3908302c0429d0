//! What the page shows, as JSON.

use serde_json::{Value, json};
use telemetry_metrics::Figures;

use super::history::Hour;
use crate::control::{SinkReport, StatusReport};
use crate::mirror::Status;

/// Failed paths of a run that the page names.
const SHOWN_ERRORS: usize = 3;

/// What a view is made of.
pub(super) struct Source<'a> {
    pub(super) status: &'a StatusReport,
    /// As Prometheus would get them.
    pub(super) metrics: &'a str,
    pub(super) hour: &'a Hour,
    /// Records, the newest first.
    pub(super) warnings: &'a [Value],
}

/// Puts together what the page's script reads. `clean` redacts what has not been through the pipeline: all but figures and
/// warnings.
pub(super) fn view(source: &Source<'_>, clean: &dyn Fn(&str) -> String) -> Value {
    let status = source.status;
    let figures = Figures::of(source.metrics);
    let minutes = &source.hour.minutes;
    let cleaned = |text: &Option<String>| text.as_deref().map(clean);
    let sinks: Vec<SinkReport> = status
        .sinks
        .iter()
        .map(|sink| SinkReport {
            reason: cleaned(&sink.reason),
            ..sink.clone()
        })
        .collect();
    json!({
        "version": status.version,
        "pid": status.pid,
        "state": status.state,
        "uptime_secs": status.uptime_secs,
        "notes": status.notes.iter().map(|note| clean(note)).collect::<Vec<_>>(),
        "memory_bytes": figures.sum("daemon_memory_usage_bytes", &[]),
        "cpu_percent": figures.sum("daemon_cpu_usage_percent", &[]),
        "jobs": status.jobs.iter().map(|of| job(of, &figures, clean)).collect::<Vec<_>>(),
        "queue": status.queue,
        "watchers": status.watchers.iter().map(|of| cleaned_all(of, clean)).collect::<Vec<_>>(),
        "hour": {
            "files": minutes.iter().map(|minute| minute.files).collect::<Vec<_>>(),
            "bytes": minutes.iter().map(|minute| minute.bytes).collect::<Vec<_>>(),
        },
        "upload": upload(&sinks, &figures),
        "sinks": sinks,
        "warnings": source.warnings.iter().map(warning).collect::<Vec<_>>(),
    })
}

/// A run may have a thousand errors; people look at the first ones.
fn job(job: &Value, figures: &Figures<'_>, clean: &dyn Fn(&str) -> String) -> Value {
    let mut job = job.clone();
    if let Some(Value::Array(errors)) = job.pointer_mut("/last_run/report/errors") {
        errors.truncate(SHOWN_ERRORS);
    }
    // The id too: as it stands in the labels of its metrics.
    let mut job = cleaned_all(&job, clean);
    let id = job["id"].as_str().unwrap_or_default();
    let runs = Status::ALL.map(Status::as_str).map(|status| {
        let labels = [("job_id", id), ("status", status)];
        let count = figures.sum("sync_operations_total", &labels);
        (status.to_owned(), Value::from(count))
    });
    job["runs"] = Value::Object(runs.into_iter().collect());
    job
}

/// A copy in which every text is redacted, however deep it lies.
fn cleaned_all(of: &Value, clean: &dyn Fn(&str) -> String) -> Value {
    match of {
        Value::String(text) => clean(text).into(),
        Value::Array(items) => items.iter().map(|item| cleaned_all(item, clean)).collect(),
        Value::Object(members) => {
            let cleaned =
                |(key, value): (&String, &Value)| (key.clone(), cleaned_all(value, clean));
            Value::Object(members.iter().map(cleaned).collect())
        }
        other => other.clone(),
    }
}

fn upload(sinks: &[SinkReport], figures: &Figures<'_>) -> Value {
    let Some(sink) = sinks.iter().find(|sink| sink.sink == "pocketbase") else {
        return Value::Null;
    };
    // The values of `pocketbase_circuit_breaker_state`.
    let breaker = match figures.sum("pocketbase_circuit_breaker_state", &[]) {
        0.0 => "closed",
        1.0 => "half-open",
        _ => "open",
    };
    json!({
        "health": sink.health,
        "reason": sink.reason,
        "breaker": breaker,
        "delivered": sink.delivered,
        "waiting": figures.sum("log_buffer_size", &[]),
        "spool_bytes": figures.sum("log_spool_bytes", &[]),
        "dead_letters": figures.sum("log_dead_letters", &[]),
        "failed_requests": figures.sum("log_upload_errors_total", &[]),
        "connection_errors": figures.sum("pocketbase_connection_errors_total", &[]),
    })
}

fn warning(record: &Value) -> Value {
    json!({
        "timestamp": record["timestamp"],
        "level": record["level"],
        "target": record["target"],
        "message": record["message"],
        "fields": record["fields"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(sinks: &[&str]) -> StatusReport {
        let sink = |name: &&str| {
            json!({ "sink": name, "health": "good", "reason": null, "accepted": 7, "delivered": 5,
                    "dropped": 0, "rejected": 0, "pending": 2 })
        };
        let errors: Vec<Value> = (0..9).map(|n| json!({ "path": n.to_string() })).collect();
        let status = json!({
            "version": "1", "pid": 1, "state": "running", "uptime_secs": 5, "daemon_id": "d",
            "session_id": "s", "config_files": [], "metrics": null, "notes": ["a note"],
            "jobs": [{ "id": "a", "last_run": { "report": { "status": "failed", "errors": errors } } }],
            "sinks": sinks.iter().map(sink).collect::<Vec<_>>(),
        });
        serde_json::from_value(status).unwrap()
    }

    fn viewed(status: &StatusReport, metrics: &str, warnings: &[Value]) -> Value {
        let source = Source {
            status,
            metrics,
            hour: &Hour::default(),
            warnings,
        };
        view(&source, &|text| text.replace("secret", "***"))
    }

    #[test]
    fn upload_is_told_where_there_is_one() {
        let metrics =
            "pocketbase_circuit_breaker_state 2\nlog_spool_bytes 4096\nlog_buffer_size 2\n";
        let seen = viewed(&status(&["queue", "pocketbase"]), metrics, &[]);
        assert_eq!(seen["upload"]["breaker"], "open");
        assert_eq!(seen["upload"]["spool_bytes"], 4096.0);
        assert_eq!(seen["upload"]["waiting"], 2.0);
        assert_eq!(seen["upload"]["delivered"], 5);
        let without = viewed(&status(&["queue"]), metrics, &[]);
        assert!(without["upload"].is_null());
    }

    #[test]
    fn runs_of_a_job_are_told_by_how_they_ended() {
        let metrics = "sync_operations_total{job_id=\"a\",status=\"success\",trigger_source=\"manual\"} 3\n\
             sync_operations_total{job_id=\"a\",status=\"success\",trigger_source=\"watcher\"} 4\n\
             sync_operations_total{job_id=\"a\",status=\"failed\",trigger_source=\"manual\"} 1\n\
             sync_operations_total{job_id=\"b\",status=\"failed\",trigger_source=\"manual\"} 9\n";
        let seen = viewed(&status(&[]), metrics, &[]);
        let expected = json!({ "success": 7.0, "partial": 0.0, "failed": 1.0, "cancelled": 0.0 });
        assert_eq!(seen["jobs"][0]["runs"], expected);
    }

    #[test]
    fn only_the_first_errors_of_a_run_are_shown() {
        let seen = viewed(&status(&[]), "", &[]);
        let errors = &seen["jobs"][0]["last_run"]["report"]["errors"];
        assert_eq!(
            errors,
            &json!([{ "path": "0" }, { "path": "1" }, { "path": "2" }])
        );
    }

    #[test]
    fn what_did_not_come_through_the_pipeline_is_redacted() {
        let mut status = status(&["pocketbase"]);
        status.notes = vec!["a secret note".to_owned()];
        status.sinks[0].reason = Some("a secret reason".to_owned());
        status.watchers =
            vec![json!({ "id": "secret", "path": "/secret", "reason": "a secret reason" })];
        status.jobs = vec![
            json!({ "id": "secret", "name": "secret", "last_run": { "report": { "errors": [
            { "path": "/secret", "message": "secret", "error_type": "read" }] } } }),
        ];
        let metrics = "sync_operations_total{job_id=\"***\",status=\"failed\"} 2\n";
        let seen = viewed(&status, metrics, &[]);
        assert_eq!(seen["jobs"][0]["runs"]["failed"], 2.0, "by its clean id");
        let seen = seen.to_string();
        assert!(!seen.contains("secret"), "{seen}");
        assert!(
            seen.contains("a *** reason") && seen.contains("/***"),
            "{seen}"
        );
    }

    #[test]
    fn warnings_lose_what_the_page_does_not_show() {
        let record = json!({ "timestamp": "t", "level": "WARN", "target": "a", "message": "m",
                             "fields": { "b": 1 }, "daemon_id": "d", "line": 7 });
        let seen = viewed(&status(&[]), "", &[record]);
        let shown = &seen["warnings"][0];
        assert_eq!(shown["fields"]["b"], 1);
        assert!(shown["daemon_id"].is_null() && shown["line"].is_null());
    }
}
