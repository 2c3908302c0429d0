//! What users rely on: the specification's snippets, precedence, and the text of every kind of error.

use std::fs;
use std::net::SocketAddr;

use proptest::prelude::*;
use tracing::level_filters::LevelFilter;

use super::*;

const ALL_FEATURES: Features = Features {
    file: true,
    metrics: true,
    pocketbase: true,
    sanitize: true,
    tls: true,
};

/// Loads files with the given texts, named `1.toml`, `2.toml`, …, in a build with these features.
fn load_with(
    features: Features,
    files: &[&[u8]],
    variables: &[(&str, &str)],
) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let write = |(index, text): (usize, &&[u8])| {
        let path = directory.path().join(format!("{}.toml", index + 1));
        fs::write(&path, text).unwrap();
        path
    };
    let files = files.iter().enumerate().map(write).collect();
    let environment = variables.iter().copied().collect();
    let prefix = format!("{}/", directory.path().display());
    Config::load(&LoadOptions {
        files,
        environment,
        features,
    })
    .map_err(|errors| errors.to_string().replace(&prefix, ""))
}

fn load(files: &[&str], variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let files: Vec<&[u8]> = files.iter().map(|text| text.as_bytes()).collect();
    load_with(ALL_FEATURES, &files, variables)
}

fn config(files: &[&str]) -> Config {
    load(files, &[]).unwrap().config
}

/// The first line of each error.
fn messages(text: &str) -> Vec<String> {
    let errors = load(&[text], &[]).unwrap_err();
    errors
        .lines()
        .filter(|line| line.starts_with("1.toml:"))
        .map(str::to_owned)
        .collect()
}

fn defaults() -> Config {
    config(&[])
}

/// A job that is complete, for tests about something else.
const JOB: &str = "[[sync_jobs]]\nid = \"a\"\nsource_path = \"/s\"\ndestination_path = \"/d\"\n";

// The specification's snippets, as they stand.

const BASIC: &str = include_str!("testdata/basic.toml");
const LOG_ROTATION: &str = include_str!("testdata/log_rotation.toml");
const POCKETBASE: &str = include_str!("testdata/pocketbase_logging.toml");
const METRICS: &str = include_str!("testdata/metrics.toml");
const HIGH_LOG_VOLUME: &str = include_str!("testdata/high_log_volume.toml");
const CONNECTION_ISSUES: &str = include_str!("testdata/pocketbase_connection_issues.toml");
const METRICS_PERFORMANCE: &str = include_str!("testdata/metrics_performance.toml");
const CONTRACT: &str = include_str!("testdata/contract.toml");

#[test]
fn the_specifications_values_are_the_defaults() {
    for snippet in [BASIC, LOG_ROTATION, METRICS] {
        assert_eq!(config(&[snippet]), defaults());
    }
    let mut expected = defaults();
    expected.telemetry.pocketbase_logging.enabled = true;
    assert_eq!(config(&[POCKETBASE]), expected);
}

#[test]
fn the_defaults_are_the_specifications_values() {
    let telemetry = defaults().telemetry;
    assert_eq!(telemetry.log_level, LevelFilter::INFO);
    assert_eq!(telemetry.log_file_path.to_str(), Some("logs/daemon.log"));
    assert!(telemetry.json_logging && telemetry.console_logging && telemetry.log_rotation.enabled);
    assert_eq!(telemetry.log_rotation.keep_files, 7);
    assert_eq!(telemetry.log_rotation.max_size_bytes, Some(104_857_600));
    assert!(!telemetry.pocketbase_logging.enabled);
    assert_eq!(telemetry.pocketbase_logging.flush_interval.as_secs(), 30);
    let endpoint = SocketAddr::new(telemetry.metrics.bind_address, telemetry.metrics.port);
    assert_eq!(endpoint.to_string(), "127.0.0.1:9090");
}

#[test]
fn the_troubleshooting_snippets_work_alone_and_as_second_files() {
    let everything = [BASIC, LOG_ROTATION, POCKETBASE, METRICS].concat();
    for first in ["", &everything] {
        let volume = config(&[first, HIGH_LOG_VOLUME]).telemetry;
        assert_eq!(volume.log_level, LevelFilter::WARN);
        assert!(volume.pocketbase_logging.enabled);
        assert_eq!(volume.pocketbase_logging.batch_size, 500);
        assert_eq!(volume.pocketbase_logging.flush_interval.as_secs(), 60);

        let issues = config(&[first, CONNECTION_ISSUES])
            .telemetry
            .pocketbase_logging;
        assert!(!issues.enabled);
        assert_eq!(issues.max_retries, 10);

        let performance = config(&[first, METRICS_PERFORMANCE]).telemetry.metrics;
        assert_eq!(performance.collection_interval.as_secs(), 60);
        assert!(performance.enabled);
    }
}

#[test]
fn the_contracts_block_loads_but_for_what_this_version_cannot_do() {
    let errors = load(&[CONTRACT], &[]).unwrap_err();
    let wrong: Vec<&str> = errors
        .lines()
        .filter(|line| line.starts_with("1.toml"))
        .collect();
    assert_eq!(
        wrong,
        ["1.toml:51:1: exactly one of `bearer_token_file` and `basic` is needed",]
    );
}

#[test]
fn the_contracts_values_are_the_defaults_where_they_are_not_examples() {
    let is_example = |line: &&str| {
        [
            "identity",
            "deny_fields",
            "allow_fields",
            "patterns",
            "bearer_token_file",
            "basic",
        ]
        .iter()
        .any(|key| line.starts_with(key))
    };
    let text: Vec<&str> = CONTRACT.lines().filter(|line| !is_example(line)).collect();
    let text = text.join("\n").replace("[telemetry.metrics.auth]", "");
    let text = &text[..text.find("[[file_watchers]]").unwrap()];

    let loaded = config(&[text]);
    let mut expected = defaults();
    expected.daemon.state_dir = PathBuf::from(DEFAULT_STATE_DIR);
    expected.telemetry.pocketbase_logging.enabled = true;
    assert_eq!(loaded.daemon, expected.daemon);
    assert_eq!(loaded.telemetry, expected.telemetry);
    let job = &loaded.sync_jobs[0];
    assert_eq!(
        (job.name.as_str(), job.filters.len()),
        ("documents_sync", 2)
    );
    assert_eq!(job.sync_options, SyncOptions::default());
    assert_eq!(job.schedule.kind, ScheduleKind::Interval);
    assert_eq!(job.schedule.interval.as_secs(), 300);
}

// Layers.

#[test]
fn the_environment_wins_over_later_files_and_later_files_over_earlier_ones() {
    let first =
        "[telemetry]\nlog_level = \"warn\"\njson_logging = false\nconsole_logging = false\n";
    let second = "telemetry = { log_level = \"error\", json_logging = true }";
    let loaded = load(
        &[first, second],
        &[("SYNC_DAEMON__TELEMETRY__LOG_LEVEL", "debug")],
    )
    .unwrap();
    let telemetry = &loaded.config.telemetry;
    assert_eq!(telemetry.log_level, LevelFilter::DEBUG);
    assert!(telemetry.json_logging && !telemetry.console_logging);

    let origin = |key: &str| loaded.origins.of(&format!("telemetry.{key}")).clone();
    assert_eq!(
        origin("log_level"),
        Origin::Variable("SYNC_DAEMON__TELEMETRY__LOG_LEVEL".to_owned())
    );
    assert!(
        matches!(origin("json_logging"), Origin::File { path, line: 1, column: 51 } if path == loaded.files[1])
    );
    assert!(
        matches!(origin("console_logging"), Origin::File { path, line: 4, column: 19 } if path == loaded.files[0])
    );
    assert_eq!(origin("when_full"), Origin::Default);
}

#[test]
fn variables_are_toml_values_or_plain_text() {
    let variables = [
        ("SYNC_DAEMON__TELEMETRY__METRICS__PORT", "0"),
        ("SYNC_DAEMON__TELEMETRY__METRICS__ENABLED", "false"),
        ("SYNC_DAEMON__TELEMETRY__LOG_FILE_PATH", " a b.log\n"),
        (
            "SYNC_DAEMON__TELEMETRY__POCKETBASE_LOGGING__COLLECTION",
            "2024",
        ),
        (
            "SYNC_DAEMON__TELEMETRY__SANITIZE__DENY_FIELDS",
            "[\"a\", \"*_b\"]",
        ),
        (
            "SYNC_DAEMON__TELEMETRY__SANITIZE__ROOTS",
            "{ \"/srv\" = \"<srv>\" }",
        ),
        ("SYNC_DAEMON__LOG_LEVEL", "\"trace\""),
        (
            "SYNC_DAEMON__SYNC_JOBS",
            "[{ id = \"a\", enabled = false }]",
        ),
        ("SYNC_DAEMON_CONFIG", "none of these"),
        ("PATH", "nor this"),
    ];
    let loaded = load(&[JOB], &variables).unwrap();
    assert_eq!(loaded.variables.len(), 8);
    let job = &loaded.config.sync_jobs[0];
    assert!(!job.enabled);
    assert_eq!(job.source_path.to_str(), Some("/s"));
    let telemetry = loaded.config.telemetry;
    assert_eq!(telemetry.metrics.port, 0);
    assert!(!telemetry.metrics.enabled);
    assert_eq!(telemetry.log_file_path.to_str(), Some("a b.log"));
    assert_eq!(telemetry.pocketbase_logging.collection, "2024");
    assert_eq!(telemetry.sanitize.deny_fields, ["a", "*_b"]);
    assert_eq!(telemetry.sanitize.roots.len(), 1);
    assert_eq!(telemetry.log_level, LevelFilter::TRACE);
}

#[test]
fn a_later_file_changes_jobs_of_the_same_id_and_appends_the_others() {
    let second = "[[sync_jobs]]\nid = \"b\"\nsource_path = \"/s2\"\ndestination_path = \"/d2\"\n\
                  [[sync_jobs]]\nid = \"a\"\nfilters = [\"*.tmp\"]\nschedule.type = \"manual\"\n";
    let first = format!("{JOB}schedule.interval = \"1h\"\nfilters = [\"x\", \"y\"]\n");
    let jobs = config(&[&first, second]).sync_jobs;
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(jobs[0].source_path.to_str(), Some("/s"));
    assert_eq!(jobs[0].filters, ["*.tmp"]);
    assert_eq!(jobs[0].schedule.kind, ScheduleKind::Manual);
    assert_eq!(jobs[0].schedule.interval.as_secs(), 3_600);
}

#[test]
fn a_job_without_schedule_is_manual_and_one_with_a_schedule_runs_on_interval() {
    assert_eq!(
        config(&[JOB]).sync_jobs[0].schedule.kind,
        ScheduleKind::Manual
    );
    let written = format!("{JOB}[sync_jobs.schedule]\nrun_at_start = true\n");
    assert_eq!(
        config(&[&written]).sync_jobs[0].schedule.kind,
        ScheduleKind::Interval
    );
}

#[test]
fn a_job_without_name_is_called_by_its_id() {
    assert_eq!(config(&[JOB]).sync_jobs[0].name, "a");
}

#[test]
fn a_written_table_of_pocketbase_turns_it_on_unless_it_says_otherwise() {
    let table = "[telemetry.pocketbase_logging]\n";
    let enabled = |files: &[&str]| config(files).telemetry.pocketbase_logging.enabled;
    assert!(!enabled(&[]));
    assert!(enabled(&[table]));
    assert!(enabled(&[
        "[telemetry.pocketbase_logging.breaker]\nfailures = 1\n"
    ]));
    let off = "[telemetry.pocketbase_logging]\nenabled = false\n";
    assert!(
        !enabled(&[off, table]),
        "the second file does not say that it should be on"
    );
}

// Errors.

#[test]
fn an_unknown_key_is_shown_with_its_line_and_the_nearest_key() {
    let text = "[telemetry.log_rotation]\n    max_sise_mb = 5\n";
    assert_eq!(
        load(&[text], &[]).unwrap_err(),
        "1.toml:2:5: unknown key `max_sise_mb`; did you mean `max_size_mb`?\n  \
         |\n\
         2 |     max_sise_mb = 5\n  \
         |     ^^^^^^^^^^^"
    );
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    assert_eq!(
        messages("[telemetry.metrics]\nlog_file_path = \"x\"\n"),
        ["1.toml:2:1: unknown key `log_file_path`; it belongs into `[telemetry]`"]
    );
    assert_eq!(
        messages("[telemetry.log_rotation]\nconcurrency = 1\n"),
        ["1.toml:2:1: unknown key `concurrency`; it stands above the first table"]
    );
}

#[test]
fn a_password_in_the_file_is_refused_and_not_shown() {
    let secret = ["hun", "ter2"].concat();
    let text = format!(
        "[telemetry.pocketbase_logging]\npassword = \"{secret}\"\nurl = \"http://me:{secret}@h\"\n"
    );
    let errors = load(&[&text], &[]).unwrap_err();
    assert!(!errors.contains(&secret), "{errors}");
    assert!(
        errors.contains("unknown key `password`; did you mean `password_file`?"),
        "{errors}"
    );
    assert!(
        errors.contains("1.toml:3:7: name and password do not belong into a URL"),
        "{errors}"
    );
}

#[test]
fn every_kind_of_mistake_has_its_message() {
    let cases = [
        (
            "telemetry.json_logging = 1",
            "1.toml:1:26: expected true or false, found a whole number",
        ),
        (
            "telemetry.queue_capacity = \"5\"",
            "1.toml:1:28: expected a whole number, found a string",
        ),
        (
            "telemetry.queue_capacity = 1.5",
            "1.toml:1:28: expected a whole number, found a number with a fraction",
        ),
        (
            "telemetry.log_file_path = 5",
            "1.toml:1:27: expected the path of a file, found a whole number",
        ),
        (
            "telemetry.log_file_path = \"\"",
            "1.toml:1:27: a path cannot be empty",
        ),
        (
            "telemetry.log_file_path = \"logs/\"",
            "1.toml:1:27: this names a directory; a file's name is missing",
        ),
        (
            "telemetry.log_level = \"warning\"",
            "1.toml:1:23: `warning` is not one of `trace`, `debug`, `info`, `warn`, `error`, `off`",
        ),
        (
            "telemetry.when_full = \"blok\"",
            "1.toml:1:23: `blok` is not one of `drop`, `block`; did you mean `block`?",
        ),
        (
            "telemetry.file_mode = \"0999\"",
            "1.toml:1:23: `0999` is not an octal mode between `0000` and `0777`",
        ),
        (
            "telemetry.file_mode = \"0040\"",
            "1.toml:1:23: `0040` would lock the daemon itself out; it needs at least `0600`",
        ),
        (
            "telemetry = 5",
            "1.toml:1:13: expected a table, `[telemetry]`, found a whole number",
        ),
        (
            "telemetry.log_rotation.keep_files = -1",
            "1.toml:1:37: -1 is not between 0 and 1000000",
        ),
        (
            "telemetry.log_rotation.compression_level = 0x10",
            "1.toml:1:44: 0x10 is not between 0 and 9",
        ),
        (
            "telemetry.pocketbase_logging.batch_size = 0",
            "1.toml:1:43: 0 is not between 1 and 100000",
        ),
        (
            "telemetry.pocketbase_logging.flush_interval_secs = 0",
            "1.toml:1:52: 0 is not between 1 and 86400",
        ),
        (
            "telemetry.pocketbase_logging.collection = \"a b\"",
            "1.toml:1:43: `a b` is not a collection's name: letters, digits and `_`",
        ),
        (
            "telemetry.metrics.port = 65536",
            "1.toml:1:26: 65536 is not between 0 and 65535",
        ),
        (
            "telemetry.metrics.bind_address = \"here\"",
            "1.toml:1:34: `here` is not an IP address like `127.0.0.1` or `::1`",
        ),
        (
            "telemetry.sanitize.deny_fields = [\"a\", 5]",
            "1.toml:1:40: expected a string, found a whole number",
        ),
        (
            "telemetry.sanitize.deny_fields = \"a\"",
            "1.toml:1:34: expected an array of strings, found a string",
        ),
        (
            "telemetry.sanitize.patterns = [{ name = \"x\", regex = \"a*\" }]",
            "1.toml:1:54: this matches the empty string, so it would redact everywhere",
        ),
        (
            "telemetry.sanitize.patterns = [{ name = \"x\", regex = \"(\" }]",
            "1.toml:1:54: not a regular expression: unclosed group",
        ),
        (
            "telemetry.sanitize.patterns = [{ name = \"x\" }]",
            "1.toml:1:32: `regex` is missing",
        ),
        (
            "telemetry.sanitize.roots = { srv = \"x\" }",
            "1.toml:1:30: `srv` is not an absolute path",
        ),
        (
            "sync_jobs = 5",
            "1.toml:1:13: expected an array of tables, `[[sync_jobs]]`, found a whole number",
        ),
        (
            "sync_jobs = [5]",
            "1.toml:1:14: expected a table, `[[sync_jobs]]`, found a whole number",
        ),
        (
            "sync_jobs = [{}]",
            "1.toml:1:14: this entry of `sync_jobs` lacks its `id`",
        ),
        (
            "sync_jobs = [{ id = \"none\" }]",
            "1.toml:1:21: `none` cannot be an id: metrics use it where there is no job",
        ),
        (
            "concurrency.max_concurrent_syncs = 0",
            "1.toml:1:36: 0 is not between 1 and 1024",
        ),
        (
            "daemon.state_dir = \"~/x\"",
            "1.toml:1:20: `~` is not expanded here; write the whole path",
        ),
        (
            "telemetry.pocketbase_logging.breaker = { open_secs = 9, max_open_secs = 8 }",
            "1.toml:1:73: `max_open_secs` is shorter than `open_secs`",
        ),
        (
            "telemetry.metrics.bind_address = \"0.0.0.0\"",
            "1.toml:1:34: metrics on 0.0.0.0 would be open to other machines; use `127.0.0.1`, ask for credentials in `[telemetry.metrics.auth]`, or set `allow_remote_without_auth = true`",
        ),
    ];
    for (text, message) in cases {
        let found = messages(text);
        assert!(
            found.iter().any(|line| line == message),
            "{text}\nexpected {message}\nfound {found:#?}"
        );
    }
}

#[test]
fn every_mistake_in_a_job_has_its_message() {
    let cases = [
        ("filters = [\"[a\"]", "not a glob"),
        ("filters = [\"\"]", "a filter cannot be empty"),
        ("schedule.interval = \"0s\"", "must be longer than zero"),
        (
            "schedule.interval = \"soon\"",
            "`soon` is not a duration like `90s`, `5m` or `1h 30m`",
        ),
        (
            "schedule = { expression = \"* * * * *\" }",
            "an `expression` needs `type = \"cron\"`",
        ),
        (
            "schedule = { type = \"cron\" }",
            "`type = \"cron\"` needs an `expression`",
        ),
        (
            "schedule = { type = \"cron\", expression = \"* * *\" }",
            "a cron expression has five fields, or six with seconds; this has 3",
        ),
        (
            "schedule = { type = \"cron\", expression = \"* * * * $\" }",
            "`$` cannot stand in a cron expression",
        ),
        (
            "schedule = { type = \"cron\", expression = \"0 0 30 2 *\" }",
            "a cron expression whose time never comes",
        ),
        (
            "schedule.timezone = \"Nowhere/At_All\"",
            "`Nowhere/At_All` is not a time zone",
        ),
        (
            "sync_options.durability = \"disk\"",
            "`disk` is not one of `none`, `file`, `batch`",
        ),
        (
            "[[sync_jobs]]\nid = \"a\"",
            "another entry of `sync_jobs` has the id `a` too",
        ),
        (
            "[[sync_jobs]]\nid = \"b\"\nsource_path = \"/s\"",
            "`destination_path` is missing",
        ),
        (
            "[[file_watchers]]\nid = \"w\"\nwatch_path = \"/w\"\nsync_job_id = \"b\"",
            "no sync job has the id `b`",
        ),
        (
            "[[file_watchers]]\nid = \"w\"\nsync_job_id = \"a\"",
            "`watch_path` is missing",
        ),
        (
            "[[file_watchers]]\nid = \"w\"\nmax_delay_ms = 1",
            "`max_delay_ms` is shorter than `debounce_ms`",
        ),
    ];
    for (text, message) in cases {
        let found = messages(&format!("{JOB}{text}\n"));
        assert!(
            found.iter().any(|line| line.contains(message)),
            "{text}\nexpected {message}\nfound {found:#?}"
        );
    }
}

#[test]
fn a_wrong_expression_is_told_once() {
    let text = "schedule = { type = \"cron\", expression = \"61 * * * *\" }";
    let found = messages(&format!("{JOB}{text}\n"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("not a cron expression"), "{found:#?}");
}

#[test]
fn all_mistakes_of_all_layers_are_told_at_once_in_order() {
    let first = "colour = 1\n[telemetry.metrics]\nport = -1\n";
    let second = "[telemetry]\nlog_level = \"loud\"\n";
    let variables = [
        ("SYNC_DAEMON__TELEMETRY__LOG_LEVL", "x"),
        ("SYNC_DAEMON__DAEMON__STATE_DIR", ""),
    ];
    let errors = load(&[first, second], &variables).unwrap_err();
    let is_start = |line: &&str| line.contains(".toml:") || line.starts_with("SYNC");
    let starts: Vec<&str> = errors.lines().filter(is_start).collect();
    assert_eq!(
        starts,
        [
            "1.toml:1:1: unknown key `colour`; known here: daemon, telemetry, sync_jobs, file_watchers, concurrency, log_level",
            "1.toml:3:8: -1 is not between 0 and 65535",
            "2.toml:2:13: `loud` is not one of `trace`, `debug`, `info`, `warn`, `error`, `off`",
            "SYNC_DAEMON__DAEMON__STATE_DIR: a path cannot be empty",
            "SYNC_DAEMON__TELEMETRY__LOG_LEVL: unknown key `log_levl`; did you mean `log_level`?",
        ]
    );
}

#[test]
fn syntax_errors_look_like_the_others() {
    assert_eq!(
        load(&["[telemetry]\nlog_level = debug\n"], &[]).unwrap_err(),
        "1.toml:2:13: text must be in quotes: \"debug\"\n  \
         |\n\
         2 | log_level = debug\n  \
         |             ^^^^^"
    );
}

#[test]
fn a_word_without_quotes_is_told_as_such() {
    let cases = [
        ("info", "text must be in quotes: \"info\""),
        ("none", "text must be in quotes: \"none\""),
        ("/var/log/x", "text must be in quotes: \"/var/log/x\""),
        ("5m", "text must be in quotes: \"5m\""),
        ("", "a value is missing here, or text without quotes"),
        ("007", "unexpected leading zero"),
        ("\"a", "invalid basic string, expected `\"`"),
    ];
    for (value, message) in cases {
        let errors = load(&[&format!("[telemetry]\nlog_level = {value}\n")], &[]).unwrap_err();
        let first = errors.lines().next().unwrap_or_default();
        assert!(first.ends_with(message), "{value}: {first}");
    }
}

#[test]
fn the_same_key_under_both_its_names_is_refused() {
    assert_eq!(
        messages("log_level = \"info\"\ntelemetry.log_level = \"warn\"\n"),
        ["1.toml:1:13: this is the same key as `telemetry.log_level`, which is written too"]
    );
    let later = config(&["log_level = \"info\"", "telemetry.log_level = \"warn\""]);
    assert_eq!(later.telemetry.log_level, LevelFilter::WARN);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.toml");
    let latin = directory.path().join("latin.toml");
    fs::write(&latin, b"# ok\n# \xe4\n").unwrap();
    let options = LoadOptions::new(vec![missing.clone(), latin.clone()], Environment::default());
    let errors = Config::load(&options).unwrap_err().to_string();
    assert!(
        errors.contains(&format!("cannot read {}: No such file", missing.display())),
        "{errors}"
    );
    assert!(
        errors.contains(&format!(
            "cannot read {}: line 2 is not UTF-8",
            latin.display()
        )),
        "{errors}"
    );
}

// Features.

#[test]
fn asking_for_a_feature_that_is_missing_names_it() {
    let none = Features {
        file: false,
        metrics: false,
        pocketbase: false,
        sanitize: false,
        tls: false,
    };
    let sections = [
        ("file", "log_rotation"),
        ("metrics", "metrics"),
        ("pocketbase", "pocketbase_logging"),
        ("sanitize", "sanitize"),
    ];
    for (feature, section) in sections {
        let text = format!("[telemetry.{section}]\nenabled = true\n");
        let errors = load_with(none, &[text.as_bytes()], &[]).unwrap_err();
        let message = format!(
            "1.toml:2:11: this needs the cargo feature `{feature}`, which this build does not have\n"
        );
        assert!(errors.starts_with(&message), "{errors}");
        // The other keys are read, and the defaults become off without a word.
        let text = format!("[telemetry.{section}]\n");
        let loaded = load_with(none, &[text.as_bytes()], &[])
            .unwrap()
            .config
            .telemetry;
        assert!(
            !loaded.metrics.enabled
                && !loaded.sanitize.enabled
                && !loaded.pocketbase_logging.enabled
        );
    }
}

#[test]
fn https_needs_its_feature() {
    let features = Features {
        tls: false,
        ..ALL_FEATURES
    };
    let text = b"[telemetry.pocketbase_logging]\nurl = \"https://h\"\n";
    assert!(
        load_with(features, &[text], &[])
            .unwrap_err()
            .contains("the cargo feature `tls`")
    );
}

#[test]
fn an_upload_that_nothing_sanitizes_must_be_wanted() {
    let features = Features {
        sanitize: false,
        ..ALL_FEATURES
    };
    assert!(
        load_with(features, &[POCKETBASE.as_bytes()], &[])
            .unwrap_err()
            .contains("nothing is sanitized")
    );
    let wanted = format!("{POCKETBASE}allow_unsanitized = true\n");
    assert!(load_with(features, &[wanted.as_bytes()], &[]).is_ok());
}

// Writing.

#[test]
fn the_commented_default_file_is_the_defaults() {
    let text = Config::commented_defaults();
    let loaded = load_with(Features::COMPILED, &[text.as_bytes()], &[]).unwrap();
    let expected = load_with(Features::COMPILED, &[], &[]).unwrap();
    assert_eq!(loaded.config, expected.config);
    assert_eq!(Config::default().telemetry, expected.config.telemetry);
}

#[test]
fn the_example_job_of_the_default_file_is_valid() {
    let text = Config::commented_defaults();
    let start = text.find("#[[sync_jobs]]").unwrap();
    let end = text.find("#[[file_watchers]]").unwrap();
    let uncommented: String = text[start..end]
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let jobs = config(&[&uncommented]).sync_jobs;
    assert_eq!(jobs[0].id, "documents");
    assert_eq!(jobs[0].schedule.kind, ScheduleKind::Interval);
}

/// Values other than the defaults, of every kind.
const VARIED: &str = r#"
log_level = "off"
[daemon]
state_dir = "/état"
[telemetry]
file_mode = "0600"
block_timeout_ms = 7
[telemetry.log_rotation]
max_size_mb = 0
max_age_days = 30
[telemetry.pocketbase_logging]
enabled = false
identity = "a\"b\\c"
[telemetry.sanitize]
deny_fields = ["x", "*_ssn"]
roots = { "/srv/data" = "<data>", "/a b" = "" }
patterns = [{ name = "t", regex = '\d+"' }]
[[sync_jobs]]
id = "a.b c"
name = "line\nbreak"
source_path = "/s"
destination_path = "/d"
filters = ["*.tmp", "!keep"]
schedule = { interval = "1h 30m", jitter = "5ms" }
[[sync_jobs]]
id = "z"
source_path = "s"
destination_path = "d"
[[file_watchers]]
id = "w"
watch_path = "/w"
sync_job_id = "z"
enabled = false
"#;

#[test]
fn what_is_shown_loads_to_the_same() {
    let loaded = load(&[VARIED], &[]).unwrap();
    assert_eq!(config(&[&loaded.config.to_toml()]), loaded.config);
    let with_origins = loaded.config.to_toml_with_origins(&loaded.origins);
    assert_eq!(config(&[&with_origins]), loaded.config);
    assert!(
        with_origins
            .lines()
            .any(|line| line.starts_with("block_timeout_ms = 7 ") && line.ends_with("1.toml:7:20"))
    );
    assert!(
        with_origins
            .lines()
            .any(|line| line.starts_with("port = 9090 ") && line.ends_with("# default"))
    );
}

#[test]
fn the_schema_knows_every_key_and_its_default() {
    let schema = Config::json_schema();
    let port = &schema["properties"]["telemetry"]["properties"]["metrics"]["properties"]["port"];
    assert_eq!(port["default"], 9090);
    assert_eq!(port["maximum"], 65535);
    let jobs = &schema["properties"]["sync_jobs"];
    assert_eq!(jobs["items"]["required"][0], "id");
    assert_eq!(
        jobs["items"]["properties"]["schedule"]["properties"]["type"]["default"],
        "interval"
    );
    assert_eq!(schema["properties"]["log_level"]["enum"][2], "info");
}

// No input may stop the loader by anything but an error.

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let deep = format!("telemetry = {}", "[".repeat(100_000));
    assert!(load(&[&deep], &[]).is_err());
    let tables = format!("[{}a]", "a.".repeat(50_000));
    assert!(load(&[&tables], &[]).is_err());
    let variable = format!("SYNC_DAEMON__{}A", "A__".repeat(50_000));
    assert!(load(&[], &[(&variable, "1")]).is_err());
    assert!(load(&[], &[("SYNC_DAEMON__TELEMETRY", &"[".repeat(100_000))]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_load_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = load_with(ALL_FEATURES, &[&bytes], &[]);
    }

    #[test]
    fn any_part_of_a_valid_file_with_any_text_in_it_loads_or_is_refused(
        start in 0..VARIED.len(), length in 0..VARIED.len(), inserted in "\\PC{0,8}|[\\[\\]{}\"'\n=#.]{0,8}",
    ) {
        let mut text: Vec<char> = VARIED.chars().collect();
        let start = start.min(text.len());
        let end = (start + length / 8).min(text.len());
        text.splice(start..end, inserted.chars());
        let text: String = text.into_iter().collect();
        if let Ok(loaded) = load(&[&text], &[]) {
            prop_assert_eq!(config(&[&loaded.config.to_toml()]), loaded.config);
        }
    }

    #[test]
    fn any_value_of_any_key_loads_or_is_refused(
        key in prop::sample::select(vec!["telemetry.queue_max_mb", "telemetry.metrics.collection_interval_secs", "daemon.state_dir",
            "telemetry.pocketbase_logging.url", "telemetry.pocketbase_logging.proxy", "telemetry.sanitize.deny_fields", "sync_jobs", "log_level"]),
        value in prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            "(http://)?\\PC{0,12}".prop_map(|text| toml::Value::String(text).to_string()),
            "\\[\\{ id = \"\\PC{0,3}\" \\}\\]",
        ],
    ) {
        let variable = format!("SYNC_DAEMON__{}", key.replace('.', "__").to_uppercase());
        let from_file = load(&[&format!("{key} = {value}")], &[]);
        let from_variable = load(&[], &[(&variable, &value)]);
        if let Ok(loaded) = from_file {
            prop_assert_eq!(from_variable.unwrap().config, loaded.config);
        }
    }
}
