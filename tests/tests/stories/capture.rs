//! What was captured is in the file, however the daemon ends and however much there is of it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use telemetry_tests::{Daemon, Signal, free_port, get, plant};

use crate::{SOON, job, with_jobs};

const FILES: usize = 1_500;
const AT_START: &str = "type = \"manual\"\nrun_at_start = true";

/// A daemon that mirrors many files at once and logs each of them.
fn busy_daemon(place: &Path, telemetry: &str) -> Daemon {
    let names: Vec<String> = (0..FILES)
        .map(|number| format!("{}/{number}", number % 20))
        .collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "text")).collect();
    plant(&place.join("source"), &files);
    let config = with_jobs(free_port(), &job("busy", place, AT_START));
    let mut debug = "log_level = \"debug\"\n".to_owned();
    debug.write_str(telemetry).unwrap();
    Daemon::start(
        place,
        &config.replace("log_level = \"info\"", debug.trim_end()),
    )
}

fn files_in(log: &[Value]) -> usize {
    log.iter().filter(|record| is_file(record)).count()
}

fn is_file(record: &Value) -> bool {
    record["level"] == "DEBUG" && record["fields"]["operation"].is_string()
}

/// The numbers of a log without a loss.
fn assert_no_gap(log: &[Value]) {
    for (place, record) in log.iter().enumerate() {
        assert_eq!(record["seq"], place as u64 + 1, "no gap: {record}");
    }
}

#[test]
fn sigterm_under_load_leaves_every_line_in_the_file() {
    let place = tempfile::tempdir().unwrap();
    let daemon = busy_daemon(place.path(), "");
    daemon.wait_until(SOON, "the first files", || files_in(&daemon.log()) > 0);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success(), "{}", daemon.stderr());

    let log = daemon.log();
    assert_no_gap(&log);
    let last = log.last().expect("a log");
    assert_eq!(last["message"], "sync daemon stopped", "{last}");
    // The job has counted its files itself, and each was an event.
    let closing = log
        .iter()
        .find(|record| record["fields"]["job_name"].is_string());
    let closing = closing.expect("the end of the job");
    assert_eq!(
        closing["fields"]["files_processed"],
        files_in(&log) as u64,
        "{closing}"
    );
    // What the console was given before is in the file, too.
    let shown = daemon.stderr();
    let shown = shown
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let numbers = shown.filter_map(|line: Value| line["seq"].as_u64());
    assert!(numbers.max().expect("a console") <= log.len() as u64);
}

#[test]
fn a_flood_is_thinned_counted_and_told_of() {
    let place = tempfile::tempdir().unwrap();
    let daemon = busy_daemon(place.path(), "repeat_limit_per_sec = 10\n");
    let closing = daemon.wait_for_record(SOON, "the end of the job", |record| {
        record["fields"]["job_name"] == "busy_sync"
    });
    let files = closing["fields"]["files_processed"].as_u64().unwrap();
    let serving = daemon.wait_for_record(SOON, "the endpoint", |record| {
        record["message"] == "serving metrics"
    });
    let scrape = get(serving["fields"]["address"].as_str().unwrap()).unwrap();
    let scrape = scrape.expect_status(200).body;
    let suppressed = scrape
        .lines()
        .find_map(|line| line.strip_prefix("log_records_suppressed_total "))
        .and_then(|count| count.parse::<u64>().ok())
        .expect("the counter");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit(SOON).success(), "{}", daemon.stderr());

    let log = daemon.log();
    assert_no_gap(&log);
    let is_about_files = |record: &&Value| {
        record["fields"]["suppressed"].is_u64() && record["target"] == "sync_daemon::mirror::tally"
    };
    let told = log.iter().filter(is_about_files);
    let told: u64 = told
        .map(|record| record["fields"]["suppressed"].as_u64().unwrap())
        .sum();
    assert!(told > 0, "{files} files in one flood");
    assert_eq!(files_in(&log) as u64 + told, files, "kept and told of");
    assert!(suppressed >= told, "{suppressed} counted, {told} told");
}

#[test]
fn span_events_tell_how_long_a_job_took() {
    let place = tempfile::tempdir().unwrap();
    let daemon = busy_daemon(place.path(), "span_events = true\n");
    let closed = daemon.wait_for_record(SOON, "the end of the job's span", |record| {
        record["message"] == "span closed" && record["spans"][0]["name"] == "job"
    });
    assert!(
        closed["fields"]["busy_us"].as_u64().unwrap() > 0,
        "{closed}"
    );
    assert!(closed["fields"]["idle_us"].is_u64(), "{closed}");
    assert!(
        closed["fields"]["job_name"].is_null(),
        "jq counts operations by it"
    );
}
