//! The endpoint under authentication, alerts of a real Prometheus, and clients that mean no good.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use telemetry_tests::{
    Daemon, Invocation, Prometheus, Signal, free_port, get, plant, request, skip,
};

use crate::{OFTEN, SOON, job, with_jobs};

/// A daemon whose endpoint asks for the token `made`, with one job that runs all the time.
struct Guarded {
    daemon: Daemon,
    port: u16,
    made: String,
}

impl Guarded {
    fn start(place: &Path, jobs: &str, more: &str) -> Self {
        plant(&place.join("source"), &[("a", "text")]);
        // Made up at run time: no secret stands in the source.
        let made: String = std::iter::repeat_with(|| fastrand::char('a'..='z'))
            .take(32)
            .collect();
        std::fs::write(place.join("token"), format!("{made}\n")).unwrap();
        let port = free_port();
        let auth = "\n[telemetry.metrics.auth]\nbearer_token_file = \"token\"\n";
        let config = with_jobs(port, &format!("{jobs}{auth}{more}"));
        let daemon = Daemon::start(place, &config);
        let guarded = Self { daemon, port, made };
        guarded.daemon.wait_until(SOON, "the endpoint", || {
            get(&guarded.url("/readyz")).is_ok_and(|answer| answer.status == 200)
        });
        guarded
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn status_with(&self, token: &str) -> u16 {
        self.try_with(token).expect("an answer")
    }

    /// `None` without an answer.
    fn try_with(&self, token: &str) -> Option<u16> {
        let header = format!("Bearer {token}");
        let headers = [("authorization", header.as_str())];
        let answer = request("GET", &self.url("/metrics"), &headers, None);
        answer.ok().map(|answer| answer.status)
    }

    /// The shipped configuration with authentication, in this place and as fast as a test wants it.
    fn prometheus(&self, place: &Path) -> Option<Prometheus> {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
        let read = |file: &str| std::fs::read_to_string(deploy.join(file)).unwrap();
        for file in [
            "alerts.yml",
            "sync-daemon-alerts.yml",
            "sync-daemon-rules.yml",
        ] {
            let rules: Vec<String> = read(file)
                .lines()
                .map(|line| match line.trim_start().split_once(": ") {
                    // Nobody waits minutes here: fire at once, evaluate all the time.
                    Some(("for", _)) => line.replace(line.trim_start(), "for: 0s"),
                    Some(("interval", _)) => line.replace(line.trim_start(), "interval: 500ms"),
                    _ => line.to_owned(),
                })
                .collect();
            std::fs::write(place.join(file), rules.join("\n")).unwrap();
        }
        let config = read("prometheus-with-auth.yml")
            .replace("15s", "500ms")
            .replace("localhost:9090", &format!("localhost:{}", self.port))
            .replace(
                "/etc/prometheus/sync-daemon-token",
                &place.join("token").display().to_string(),
            )
            .replace(
                "  - sync-daemon-",
                &format!("  - {}/sync-daemon-", place.display()),
            )
            .replace(
                "rule_files:\n",
                &format!("rule_files:\n  - {}/alerts.yml\n", place.display()),
            );
        Prometheus::start(&config)
    }
}

#[test]
fn a_token_opens_the_endpoint_and_can_be_changed_while_it_runs() {
    let place = tempfile::tempdir().unwrap();
    let guarded = Guarded::start(place.path(), "", "");
    assert_eq!(guarded.status_with(&guarded.made), 200);
    assert_eq!(guarded.status_with("guess"), 401);
    let without = get(&guarded.url("/metrics")).unwrap().expect_status(401);
    assert_eq!(
        without.header("www-authenticate"),
        Some("Bearer realm=\"metrics\"")
    );

    std::fs::write(place.path().join("token"), "another-one").unwrap();
    assert_eq!(guarded.status_with(&guarded.made), 401);
    assert_eq!(guarded.status_with("another-one"), 200);

    std::fs::remove_file(place.path().join("token")).unwrap();
    assert_eq!(guarded.status_with("another-one"), 500);
    let told =
        |record: &serde_json::Value| record["message"] == "the metrics endpoint lets nobody in";
    guarded
        .daemon
        .wait_for_record(SOON, "the reason in the log", told);
}

/// Both of "password", made by the programs `htpasswd` and `argon2`.
const HASHES: [&str; 2] = [
    "prom:$2y$04$MEkh/7uITFB4p9FDwfmm1.FNEP9FexCKVxNAKqCcA34TrT/xlTatG",
    "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$cpx6VEQbwTVZvcpxNIxOVUWZ5xnAipUmAe1cg2GMG70",
];

#[test]
fn a_password_opens_the_endpoint_by_either_kind_of_hash() {
    let place = tempfile::tempdir().unwrap();
    let port = free_port();
    let auth = "\n[telemetry.metrics.auth]\n\
                basic = { username = \"prom\", password_hash_file = \"hash\" }\n";
    std::fs::write(place.path().join("hash"), HASHES[0]).unwrap();
    let daemon = Daemon::start(place.path(), &with_jobs(port, auth));
    // `prom:password`, `prom:guess` and `nobody:password` in base64.
    let ask = |encoded: &str| {
        let header = format!("Basic {encoded}");
        let headers = [("authorization", header.as_str())];
        let url = format!("http://127.0.0.1:{port}/metrics");
        request("GET", &url, &headers, None).map(|answer| answer.status)
    };
    daemon.wait_until(SOON, "the endpoint", || ask("").is_ok());
    for hash in HASHES {
        std::fs::write(place.path().join("hash"), hash).unwrap();
        for (encoded, status) in [
            ("cHJvbTpwYXNzd29yZA==", 200),
            ("cHJvbTpndWVzcw==", 401),
            ("bm9ib2R5OnBhc3N3b3Jk", 401),
        ] {
            assert_eq!(ask(encoded).unwrap(), status, "{encoded} with {hash}");
        }
    }
}

#[test]
fn it_listens_on_ipv6_at_a_port_that_the_system_chose_and_tells_where() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skip("this machine has no IPv6");
    }
    let place = tempfile::tempdir().unwrap();
    let config = with_jobs(0, "").replace("127.0.0.1", "::1");
    let daemon = Daemon::start(place.path(), &config);
    let url = daemon.wait_for(SOON, "the address", || {
        let status = daemon.beside().args(["status", "--json"]).run();
        let status: serde_json::Value = serde_json::from_str(&status.stdout).ok()?;
        status["metrics"].as_str().map(str::to_owned)
    });
    assert!(
        url.starts_with("http://[::1]:") && !url.contains(":0/"),
        "{url}"
    );
    let text = get(&url).unwrap().expect_status(200).body;
    assert!(text.contains("\ndaemon_uptime_seconds "), "{text}");
}

#[test]
fn another_machines_address_is_refused_with_every_way_out() {
    let place = tempfile::tempdir().unwrap();
    let config = with_jobs(free_port(), "").replace("127.0.0.1", "0.0.0.0");
    plant(place.path(), &[("sync-daemon.toml", config.as_str())]);
    let checked = Invocation::new(place.path())
        .args(["config", "check"])
        .run();
    assert_eq!(checked.code(), Some(2));
    for way in [
        "127.0.0.1",
        "[telemetry.metrics.auth]",
        "allow_remote_without_auth",
    ] {
        assert!(checked.stderr.contains(way), "{way}: {}", checked.stderr);
    }
}

#[test]
fn without_its_credentials_the_daemon_goes_on_without_an_endpoint() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    let auth = "\n[telemetry.metrics.auth]\nbearer_token_file = \"missing\"\n";
    let jobs = job("documents", place.path(), OFTEN) + auth;
    let daemon = Daemon::start(place.path(), &with_jobs(free_port(), &jobs));
    let record = daemon.wait_for_record(SOON, "the error", |record| record["level"] == "ERROR");
    assert_eq!(record["fields"]["error_type"], "metrics", "{record}");
    let error = record["fields"]["error"].as_str().unwrap();
    assert!(error.contains("cannot read the credentials"), "{record}");
    daemon.wait_for_record(SOON, "a run", |record| {
        record["fields"]["job_name"] == "documents_sync"
    });
}

/// Every metric of the specification, and what the contract adds.
const PROMISED: [&str; 31] = [
    "sync_operations_total",
    "sync_operations_duration_seconds_bucket",
    "sync_files_processed_total",
    "sync_bytes_transferred_total",
    "sync_errors_total",
    "daemon_uptime_seconds",
    "daemon_memory_usage_bytes",
    "daemon_cpu_usage_percent",
    "active_sync_jobs",
    "file_watchers_active",
    "pocketbase_requests_total",
    "pocketbase_request_duration_seconds_count",
    "pocketbase_connection_errors_total",
    "log_entries_total",
    "log_upload_errors_total",
    "log_buffer_size",
    "telemetry_records_total",
    "telemetry_records_pending",
    "telemetry_records_lost_total",
    "log_records_suppressed_total",
    "pocketbase_circuit_breaker_state",
    "log_spool_bytes",
    "log_dead_letters",
    "log_redactions_total",
    "log_rotations_total",
    "sync_last_success_timestamp_seconds",
    "sync_daemon_build_info",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
];

#[test]
fn a_real_prometheus_scrapes_with_the_token_and_answers_for_every_metric() {
    let place = tempfile::tempdir().unwrap();
    let jobs = job("documents", place.path(), OFTEN);
    let guarded = Guarded::start(place.path(), &jobs, "");
    let Some(prometheus) = guarded.prometheus(place.path()) else {
        return;
    };
    let has = |query: &str| {
        let data = prometheus.api(&format!("/api/v1/query?query={query}"));
        !data["result"].as_array().unwrap().is_empty()
    };
    guarded
        .daemon
        .wait_until(SOON, "a scrape", || has("daemon_uptime_seconds"));
    for metric in PROMISED {
        assert!(has(metric), "{metric}");
    }
    let up = prometheus.api("/api/v1/query?query=up");
    assert_eq!(up["result"][0]["value"][1], "1", "{up}");
    guarded.daemon.wait_until(SOON, "a recording rule", || {
        has("job_id:sync_success:ratio1h")
    });
}

#[test]
fn alerts_fire_when_a_job_fails_and_when_the_daemon_is_gone() {
    let place = tempfile::tempdir().unwrap();
    let sound = job("sound", place.path(), OFTEN);
    let broken = job("broken", place.path(), OFTEN).replace("/source\"", "/missing\"");
    let guarded = Guarded::start(place.path(), &(sound + &broken), "");
    let Some(prometheus) = guarded.prometheus(place.path()) else {
        return;
    };
    let firing = || -> Vec<(String, String)> {
        let data = prometheus.api("/api/v1/alerts");
        let alerts = data["alerts"].as_array().unwrap().iter();
        let label = |alert: &serde_json::Value, name: &str| {
            alert["labels"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        alerts
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| (label(alert, "alertname"), label(alert, "job_id")))
            .collect()
    };
    let fires = |name: &str, job: &str| firing().contains(&(name.to_owned(), job.to_owned()));
    for alert in ["SyncJobFailure", "SyncJobFailing"] {
        guarded
            .daemon
            .wait_until(SOON, alert, || fires(alert, "broken"));
        assert!(!fires(alert, "sound"), "{alert}");
    }
    assert!(!fires("SyncDaemonDown", ""));
    guarded.daemon.signal(Signal::TERM);
    guarded.daemon.wait_exit(SOON);
    telemetry_tests::wait_until(SOON, "both alerts of a daemon that is down", || {
        fires("DaemonDown", "") && fires("SyncDaemonDown", "")
    });
}

/// Bad requests altogether, by threads at the same time.
const BAD_REQUESTS: u64 = 10_000;
const BAD_CLIENTS: u64 = 8;

/// Connections that each bad client leaves hanging.
const HELD: usize = 40;

#[test]
fn ten_thousand_bad_requests_hurt_nobody() {
    let place = tempfile::tempdir().unwrap();
    let jobs = job("documents", place.path(), OFTEN);
    // All clients of a test have one address: with the usual limit the honest one would have to wait.
    let limits =
        "\n[telemetry.metrics.rate_limit]\nrequests_per_second = 1000000\nburst = 1000000\n";
    let guarded = Guarded::start(place.path(), &jobs, limits);
    let process = guarded.daemon.id();
    let runs = || {
        let records = guarded.daemon.log();
        let runs = records
            .iter()
            .filter(|record| record["fields"]["job_name"] == "documents_sync");
        runs.count()
    };

    // Buffers and threads that are made once are no growth.
    attack(guarded.port, 1, BAD_REQUESTS / 10, 0);
    let (memory, files, runs_before) = (resident_kb(process), open_files(process), runs());

    let (over, honest) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // A machine that is busy may hold a client up between connecting and asking for so long that 64 others
                // come in between; it is not held up three times in a row.
                let answered = (0..3).any(|_| guarded.try_with(&guarded.made) == Some(200));
                assert!(answered, "an honest client gets no answer");
                honest.fetch_add(1, Ordering::Relaxed);
            }
        });
        let attackers: Vec<_> = (0..BAD_CLIENTS)
            .map(|seed| {
                let port = guarded.port;
                threads.spawn(move || attack(port, seed, BAD_REQUESTS / BAD_CLIENTS, HELD))
            })
            .collect();
        let ended: Vec<_> = attackers
            .into_iter()
            .map(|attacker| attacker.join())
            .collect();
        over.store(true, Ordering::Relaxed);
        for attack in ended {
            attack.expect("the endpoint went on answering");
        }
    });

    assert_eq!(
        guarded.daemon.exit_status(),
        None,
        "{}",
        guarded.daemon.stderr()
    );
    assert!(
        honest.load(Ordering::Relaxed) > 10,
        "{honest:?} honest answers"
    );
    guarded
        .daemon
        .wait_until(SOON, "the mirroring goes on", || runs() > runs_before);
    guarded
        .daemon
        .wait_until(SOON, "connections are given back", || {
            open_files(process) <= files + 5
        });
    let grown = resident_kb(process).saturating_sub(memory);
    assert!(grown < 16 * 1024, "the daemon has grown by {grown} kB");
    let panicked = guarded.daemon.stderr().contains("panicked");
    assert!(!panicked, "{}", guarded.daemon.stderr());
}

/// Sends bad requests; `held` of them are left hanging at any time.
fn attack(port: u16, seed: u64, count: u64, held: usize) {
    let mut random = Rng::with_seed(seed);
    let mut hanging = VecDeque::new();
    for _ in 0..count {
        let bad = Bad::any(&mut random);
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
            panic!("the endpoint accepts nobody any more");
        };
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).unwrap();
        stream.set_write_timeout(limit).unwrap();
        // The server may close before all is sent: that is its right.
        let sent = stream.write_all(&bad.text);
        if bad.hangs && held > 0 {
            hanging.push_back(stream);
            if hanging.len() > held {
                hanging.pop_front();
            }
        } else if sent.is_ok() && !bad.hangs {
            expect_no_metrics(&mut stream);
        }
    }
}

/// A request that must not be answered with metrics.
struct Bad {
    text: Vec<u8>,
    /// It is not whole: nobody answers it, and the client waits for ever.
    hangs: bool,
}

impl Bad {
    fn any(random: &mut Rng) -> Self {
        let whole = |text: String| Self {
            text: text.into_bytes(),
            hangs: false,
        };
        let host = "Host: localhost\r\n";
        let end = "Connection: close\r\n\r\n";
        let word = |random: &mut Rng, length: usize| -> String {
            std::iter::repeat_with(|| random.alphanumeric())
                .take(length)
                .collect()
        };
        match random.u8(0..12) {
            0 => whole(format!("GET /metrics HTTP/1.1\r\n{host}{end}")),
            1 => {
                let token = word(random, 40);
                whole(format!(
                    "GET /metrics HTTP/1.1\r\n{host}Authorization: Bearer {token}\r\n{end}"
                ))
            }
            2 => {
                let scheme =
                    ["Basic", "Digest", "Negotiate", "", "Bearer Bearer"][random.usize(0..5)];
                let rest = word(random, 30);
                whole(format!(
                    "GET / HTTP/1.1\r\n{host}Authorization: {scheme} {rest}\r\n{end}"
                ))
            }
            3 => {
                let length = random.usize(1..60_000);
                let name = word(random, 8);
                let value = word(random, length);
                whole(format!(
                    "GET /metrics HTTP/1.1\r\n{host}X-{name}: {value}\r\n{end}"
                ))
            }
            4 => {
                let headers: String = (0..random.u32(50..300))
                    .map(|number| format!("X-{number}: a\r\n"))
                    .collect();
                whole(format!("GET /metrics HTTP/1.1\r\n{host}{headers}{end}"))
            }
            5 => {
                let method = ["POST", "PUT", "DELETE", "TRACE", "CONNECT", "BREW", "get"];
                let method = method[random.usize(0..7)];
                whole(format!(
                    "{method} /metrics HTTP/1.1\r\n{host}Content-Length: 0\r\n{end}"
                ))
            }
            6 => {
                let length = random.usize(1..8000);
                let path = word(random, length);
                whole(format!("GET /{path} HTTP/1.1\r\n{host}{end}"))
            }
            7 => {
                let host = word(random, 12);
                whole(format!(
                    "GET /metrics HTTP/1.1\r\nHost: {host}.example.com\r\n{end}"
                ))
            }
            8 => {
                let length = random.usize(1..2000);
                let mut text: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
                    .take(length)
                    .collect();
                text.extend_from_slice(b"\r\n\r\n");
                Self { text, hangs: false }
            }
            9 => {
                let announced = random.u64(1..u64::MAX);
                whole(format!(
                    "POST /metrics HTTP/1.1\r\n{host}Content-Length: {announced}\r\n{end}abc"
                ))
            }
            10 => {
                let request = format!(
                    "GET /metrics HTTP/1.1\r\n{host}X-Half: {}",
                    word(random, 40)
                );
                let length = random.usize(1..request.len());
                Self {
                    text: request.as_bytes()[..length].to_vec(),
                    hangs: true,
                }
            }
            _ => Self {
                text: Vec::new(),
                hangs: true,
            },
        }
    }
}

/// Whatever the endpoint does with it, it does it soon, and it is no 200.
fn expect_no_metrics(stream: &mut TcpStream) {
    let started = Instant::now();
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    // A reset is an answer, too: there was more to read than the server wanted.
    let _ = stream.take(4096).read_to_end(&mut answer);
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "no end of the connection"
    );
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
}

fn resident_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

fn open_files(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .count()
}
