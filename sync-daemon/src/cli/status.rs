//! `sync-daemon status`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{BinaryBytes, HumanCount};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::ask::{ask, unexpected};
use super::output::{print, say};
use super::table::{Align, Table};
use super::{EXIT_FAILED, Global};
use crate::control::{Reply, Request, SinkReport, StatusReport, UploadReport};

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Shows jobs with their last and next run, watchers, the queue, and for each \
destination of log records how many it accepted, delivered, dropped, rejected and still holds: \
accepted = delivered + dropped + rejected + pending.\n\n\
Exit codes: 0 told, 1 no daemon runs."
)]
pub struct StatusArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Asks the running daemon how it is.
pub fn run(args: &StatusArgs, global: &Global) -> ExitCode {
    let code = match ask(&Request::Status, global) {
        Ok(Reply::Status(status)) => show(&status, args.json),
        Ok(other) => unexpected(&other),
        Err(code) => code,
    };
    ExitCode::from(code)
}

fn show(status: &StatusReport, json: bool) -> u8 {
    if !json {
        return print(&for_people(status, Timestamp::now()));
    }
    match serde_json::to_string_pretty(status) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => {
            say(&format!("sync-daemon: the status is no JSON: {error}"));
            EXIT_FAILED
        }
    }
}

/// The parts in the order in which somebody in trouble reads them.
fn for_people(status: &StatusReport, now: Timestamp) -> String {
    let parts = [
        overview(status, now),
        jobs(&status.jobs, now),
        watchers(&status.watchers),
        sinks(&status.sinks),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn overview(status: &StatusReport, now: Timestamp) -> String {
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_secs));
    let mut lines = vec![
        (
            "metrics",
            status.metrics.as_deref().unwrap_or("off").to_owned(),
        ),
        ("log level", level_line(status, now)),
    ];
    if let Some(upload) = &status.upload {
        lines.push(("upload", upload_line(upload)));
    }
    if !status.queue.is_null() {
        lines.push(("queue", queue_line(&status.queue)));
    }
    let files = status
        .config_files
        .iter()
        .map(|path| path.display().to_string());
    lines.push(("config", files.collect::<Vec<_>>().join(", ")));
    lines.push(("daemon", status.daemon_id.clone()));
    lines.push(("session", status.session_id.clone()));
    lines.extend(status.notes.iter().map(|note| ("note", note.clone())));
    let lines = lines
        .into_iter()
        .map(|(name, value)| format!("  {name:<10}{value}\n"));
    format!(
        "sync-daemon {} is {}, pid {}, up {uptime}\n{}",
        status.version,
        status.state,
        status.pid,
        lines.collect::<String>()
    )
}

fn level_line(status: &StatusReport, now: Timestamp) -> String {
    let in_force = status.log_level.as_deref().unwrap_or("off");
    let Some(set) = &status.log_level_set else {
        return in_force.to_owned();
    };
    let back = set.until.map_or_else(
        || "until `log-level default`".to_owned(),
        |until| {
            format!(
                "for {} more, until {until:.0}",
                span(until.duration_since(now))
            )
        },
    );
    format!("{in_force}, set by `log-level` {back}")
}

fn upload_line(upload: &UploadReport) -> String {
    let breaker = match upload.breaker.as_str() {
        "closed" => "the server takes records",
        "half_open" => "the server is being tried",
        _ => "the server is away, nothing is sent",
    };
    format!(
        "{breaker} (breaker {}); {} records wait, spool {}, {} dead letters",
        upload.breaker,
        HumanCount(upload.buffered),
        BinaryBytes(upload.spool_bytes),
        HumanCount(upload.dead_letters)
    )
}

fn queue_line(queue: &Value) -> String {
    format!(
        "{} of {} running, {} of {} waiting",
        queue["running"], queue["max_running"], queue["waiting"], queue["max_waiting"]
    )
}

fn jobs(jobs: &[Value], now: Timestamp) -> String {
    let mut table = Table::new(&[
        ("JOB", Align::Left),
        ("STATE", Align::Left),
        ("SCHEDULE", Align::Left),
        ("LAST RUN", Align::Left),
        ("TOOK", Align::Right),
        ("CREATED", Align::Right),
        ("UPDATED", Align::Right),
        ("DELETED", Align::Right),
        ("FAILED", Align::Right),
        ("NEXT RUN", Align::Left),
    ]);
    for job in jobs {
        let last = &job["last_run"];
        let report = &last["report"];
        let count = |name: &str| count(&report[name]);
        let state = match job["enabled"] == Value::Bool(false) {
            true => format!("{} (disabled)", text(&job["state"])),
            false => text(&job["state"]),
        };
        table.row(vec![
            text(&job["id"]),
            state,
            text(&job["schedule"]),
            last_run(last, now),
            took(&report["duration_ms"]),
            count("created"),
            count("updated"),
            count("deleted"),
            count("failed"),
            next_run(&job["next_run"], now),
        ]);
    }
    table.render()
}

fn last_run(last: &Value, now: Timestamp) -> String {
    if last.is_null() {
        return "never".to_owned();
    }
    let status = text(&last["report"]["status"]);
    let error = last["report"]["errors"][0]["error_type"].as_str();
    let why = error.map_or(String::new(), |error| format!(" ({error})"));
    let ago = time(&last["started_at"]).map(|begun| span(now.duration_since(begun)));
    format!("{status}{why}, {} ago", ago.unwrap_or_default())
}

fn next_run(next: &Value, now: Timestamp) -> String {
    time(next).map_or("-".to_owned(), |next| {
        format!("in {}", span(next.duration_since(now)))
    })
}

fn watchers(watchers: &[Value]) -> String {
    let mut table = Table::new(&[
        ("WATCHER", Align::Left),
        ("STATE", Align::Left),
        ("JOB", Align::Left),
        ("STARTS", Align::Right),
        ("DIRECTORY", Align::Left),
    ]);
    for watcher in watchers {
        table.row(vec![
            text(&watcher["id"]),
            text(&watcher["state"]),
            text(&watcher["job_id"]),
            count(&watcher["starts"]),
            text(&watcher["path"]),
        ]);
    }
    table.render()
}

fn sinks(sinks: &[SinkReport]) -> String {
    let mut table = Table::new(&[
        ("LOG RECORDS IN", Align::Left),
        ("HEALTH", Align::Left),
        ("ACCEPTED", Align::Right),
        ("DELIVERED", Align::Right),
        ("PENDING", Align::Right),
        ("DROPPED", Align::Right),
        ("REJECTED", Align::Right),
        ("LOST BY", Align::Left),
    ]);
    for sink in sinks {
        let lost = sink.lost.iter();
        let lost = lost.map(|(reason, count)| format!("{reason} {}", HumanCount(*count)));
        let mut cells = vec![sink.sink.clone(), sink.health.clone()];
        let counts = [
            sink.accepted,
            sink.delivered,
            sink.pending,
            sink.dropped,
            sink.rejected,
        ];
        cells.extend(counts.map(|count| HumanCount(count).to_string()));
        cells.push(lost.collect::<Vec<_>>().join(", "));
        table.row(cells);
    }
    table.render()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn count(value: &Value) -> String {
    value
        .as_u64()
        .map_or("-".to_owned(), |count| HumanCount(count).to_string())
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn took(millis: &Value) -> String {
    let millis = millis.as_u64().map(Duration::from_millis);
    millis.map_or("-".to_owned(), |took| {
        format!("{:.1} s", took.as_secs_f64())
    })
}

/// A span in its two largest units; what is over, because the clocks of two
/// moments differ, is none.
fn span(span: SignedDuration) -> String {
    let secs = u64::try_from(span.as_secs()).unwrap_or(0);
    let whole = match secs {
        0..3600 => secs,
        3600..86_400 => secs / 60 * 60,
        _ => secs / 3600 * 3600,
    };
    humantime::format_duration(Duration::from_secs(whole)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::LevelSet;
    use serde_json::json;

    fn report() -> StatusReport {
        let status = json!({
            "version": "1.2.3", "pid": 7, "state": "running", "uptime_secs": 3661,
            "daemon_id": "d", "session_id": "s", "config_files": ["/etc/c.toml"],
            "metrics": null, "notes": ["mind the gap"],
            "queue": { "running": 1, "max_running": 4, "waiting": 0, "max_waiting": 1000 },
            "jobs": [
                { "id": "documents", "state": "idle", "enabled": true, "schedule": "every 5m",
                  "next_run": "2026-01-01T00:05:00Z",
                  "last_run": { "started_at": "2025-12-31T23:59:00Z", "report": {
                      "status": "partial", "duration_ms": 1300, "created": 12345, "updated": 0,
                      "deleted": 1, "failed": 2, "errors": [{ "error_type": "no_space" }] } } },
                { "id": "b", "state": "idle", "enabled": false, "schedule": "by hand",
                  "next_run": null, "last_run": null },
            ],
            "watchers": [{ "id": "w", "state": "polling", "job_id": "b", "starts": 3, "path": "/x" }],
            "upload": { "breaker": "open", "buffered": 12, "spool_bytes": 2048, "dead_letters": 0 },
            "sinks": [{ "sink": "file", "health": "good", "reason": null, "accepted": 5,
                        "delivered": 4, "dropped": 1, "rejected": 0, "pending": 0,
                        "lost": { "io_error": 1 } }],
        });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn everything_is_in_the_table() {
        let shown = for_people(&report(), "2026-01-01T00:00:00Z".parse().unwrap());
        for line in [
            "sync-daemon 1.2.3 is running, pid 7, up 1h 1m 1s",
            "  upload    the server is away, nothing is sent (breaker open); 12 records wait, spool 2.00 KiB, 0 dead letters",
            "  queue     1 of 4 running, 0 of 1000 waiting",
            "  note      mind the gap",
            "documents  idle             every 5m  partial (no_space), 1m ago  1.3 s   12,345        0        1       2  in 5m",
            "b          idle (disabled)  by hand   never                           -        -        -        -       -  -",
            "w        polling  b         3  /x",
            "file            good           5          4        0        1         0  io_error 1",
        ] {
            assert!(shown.contains(line), "{line}\n---\n{shown}");
        }
    }

    #[test]
    fn a_level_that_was_set_tells_until_when_it_holds() {
        let now = "2026-01-01T00:00:00.4Z".parse().unwrap();
        let mut status = report();
        status.log_level = Some("debug".to_owned());
        status.log_level_set = Some(LevelSet {
            level: "debug".to_owned(),
            until: Some("2026-01-01T00:09:58.4Z".parse().unwrap()),
        });
        let line =
            "  log level debug, set by `log-level` for 9m 58s more, until 2026-01-01T00:09:58Z\n";
        let shown = for_people(&status, now);
        assert!(shown.contains(line), "{shown}");
        status.log_level_set.as_mut().unwrap().until = None;
        let line = "  log level debug, set by `log-level` until `log-level default`\n";
        assert!(for_people(&status, now).contains(line));
    }

    #[test]
    fn spans_have_two_units() {
        let text = |secs| span(SignedDuration::from_secs(secs));
        assert_eq!(text(-3), "0s");
        assert_eq!(text(61), "1m 1s");
        assert_eq!(text(3_661), "1h 1m");
        assert_eq!(text(90_061), "1day 1h");
    }
}
