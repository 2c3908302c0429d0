//! The endpoint, asked over loopback.

mod client;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::{connect, get, parse, read_to_end, request, send, wait_until};
use telemetry_metrics::{
    Auth, Endpoints, Handle, MetricsError, MetricsServer, RateLimit, Readiness, Recorder,
    RecorderConfig, ServerConfig, ServerThread,
};

/// One for the process, as in a program.
fn recorder() -> Handle {
    static RECORDER: OnceLock<Recorder> = OnceLock::new();
    RECORDER
        .get_or_init(|| Recorder::install(RecorderConfig::default()).unwrap())
        .handle()
}

fn config() -> ServerConfig {
    ServerConfig {
        port: 0,
        rate_limit: RateLimit {
            requests_per_second: 0,
            burst: 1,
        },
        ..ServerConfig::default()
    }
}

fn endpoints() -> Endpoints {
    let handle = recorder();
    Endpoints::new(move || handle.render()).title("test & co")
}

fn start(config: ServerConfig) -> ServerThread {
    MetricsServer::spawn(config, endpoints()).unwrap()
}

/// The count of a series; 0 if it is not there.
fn count(series: &str) -> u64 {
    let text = recorder().render();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

/// A rendering that waits until the test lets it go.
struct Gate {
    entered: Receiver<()>,
    go: Sender<()>,
}

impl Gate {
    fn new() -> (Self, Endpoints) {
        let (enter, entered) = channel();
        let (go, gone) = channel();
        let gone = Mutex::new(gone);
        let endpoints = Endpoints::new(move || {
            enter.send(()).unwrap();
            // A test that has ended has let everybody go.
            let _ = gone.lock().unwrap().recv();
            "slow 1\n".to_owned()
        });
        (Self { entered, go }, endpoints)
    }
}

#[test]
fn metrics_are_served_in_the_text_format() {
    let server = start(config());
    let answer = get(server.local_addr(), "/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.contains("\ndaemon_uptime_seconds "));
    assert!(answer.body.contains("\nprocess_resident_memory_bytes "));
    assert!(answer.body.ends_with('\n'));
}

#[test]
fn query_of_a_scrape_is_ignored() {
    let server = start(config());
    assert_eq!(get(server.local_addr(), "/metrics?format=text").status, 200);
}

#[test]
fn head_has_the_headers_and_no_body() {
    let server = start(config());
    for path in ["/metrics", "/", "/healthz", "/readyz"] {
        let answer = request(server.local_addr(), "HEAD", path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.body, "", "{path}");
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        assert!(length > 0, "{path}");
    }
}

#[test]
fn landing_page_links_every_endpoint() {
    let server = start(config());
    let answer = get(server.local_addr(), "/");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(answer.body.contains("<title>test &#38; co</title>"));
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert!(answer.body.contains(&format!("href=\"{path}\"")), "{path}");
        assert_eq!(get(server.local_addr(), path).status, 200);
    }
}

#[test]
fn unknown_page_is_404() {
    let server = start(config());
    assert_eq!(get(server.local_addr(), "/metrics/").status, 404);
    assert_eq!(get(server.local_addr(), "/favicon.ico").status, 404);
}

#[test]
fn other_methods_are_405_and_told_which_are_allowed() {
    let server = start(config());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = request(server.local_addr(), method, "/metrics");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
    }
}

#[test]
fn readiness_is_503_with_reasons_until_there_are_none() {
    let readiness = Arc::new(Mutex::new(Readiness {
        reasons: vec!["starting".to_owned()],
        notes: Vec::new(),
    }));
    let current = Arc::clone(&readiness);
    let endpoints = endpoints().readiness(move || current.lock().unwrap().clone());
    let server = MetricsServer::spawn(config(), endpoints).unwrap();

    let answer = get(server.local_addr(), "/readyz");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["ready"], false);
    assert_eq!(body["reasons"], serde_json::json!(["starting"]));
    assert_eq!(get(server.local_addr(), "/healthz").status, 200);

    *readiness.lock().unwrap() = Readiness {
        reasons: Vec::new(),
        notes: vec!["server away".to_owned()],
    };
    let answer = get(server.local_addr(), "/readyz");
    assert_eq!(answer.status, 200);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["ready"], true);
    assert_eq!(body["notes"], serde_json::json!(["server away"]));
}

#[test]
fn foreign_host_is_421_but_alive_for_everybody() {
    let server = start(ServerConfig {
        allowed_hosts: vec!["metrics.example.com".to_owned()],
        ..config()
    });
    let ask = |path: &str, host: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        send(server.local_addr(), &head).status
    };
    for path in ["/metrics", "/", "/readyz"] {
        assert_eq!(ask(path, "evil.example.org"), 421, "{path}");
        assert_eq!(ask(path, "localhost:1234"), 200, "{path}");
        assert_eq!(ask(path, "metrics.example.com"), 200, "{path}");
    }
    assert_eq!(ask("/healthz", "evil.example.org"), 200);
}

#[test]
fn missing_and_double_host_are_400() {
    let server = start(config());
    for hosts in ["", "Host: localhost\r\nHost: localhost\r\n"] {
        let head = format!("GET /metrics HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        assert_eq!(send(server.local_addr(), &head).status, 400, "{hosts:?}");
    }
    let old = send(server.local_addr(), "GET /metrics HTTP/1.0\r\n\r\n");
    assert_eq!(old.status, 200);
}

#[test]
fn client_past_its_rate_is_429_with_retry_after() {
    let server = start(ServerConfig {
        rate_limit: RateLimit {
            requests_per_second: 1,
            burst: 5,
        },
        ..config()
    });
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let answer = get(server.local_addr(), "/metrics");
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert_eq!(wait, 1);
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses.contains(&429), "{statuses:?}");
    // Supervisors are never refused.
    assert_eq!(get(server.local_addr(), "/healthz").status, 200);
    assert_eq!(get(server.local_addr(), "/readyz").status, 200);
}

#[test]
fn scrape_past_the_limit_at_once_is_503_and_others_go_on() {
    let (gate, endpoints) = Gate::new();
    let config = ServerConfig {
        max_scrapes: 2,
        ..config()
    };
    let server = MetricsServer::spawn(config, endpoints).unwrap();
    let address = server.local_addr();
    let slow: Vec<_> = (0..2)
        .map(|_| std::thread::spawn(move || get(address, "/metrics")))
        .collect();
    // Renderings enter one after the other: the second one waits for the lock
    // of the gate, and counts as well.
    gate.entered.recv_timeout(client::PATIENCE).unwrap();
    gate.entered.recv_timeout(client::PATIENCE).unwrap();

    let refused = get(address, "/metrics");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(get(address, "/healthz").status, 200);

    drop(gate.go);
    for scrape in slow {
        assert_eq!(scrape.join().unwrap().body, "slow 1\n");
    }
    assert_eq!(get(address, "/metrics").status, 200);
}

#[test]
fn rendering_that_takes_too_long_is_503() {
    let (gate, endpoints) = Gate::new();
    let config = ServerConfig {
        request_timeout: Duration::from_millis(50),
        ..config()
    };
    let server = MetricsServer::spawn(config, endpoints).unwrap();
    assert_eq!(get(server.local_addr(), "/metrics").status, 503);
    drop(gate.go);
    drop(server);
}

#[test]
fn rendering_that_panics_is_500_and_the_server_lives() {
    let endpoints = Endpoints::new(|| panic!("expected by the test"));
    let server = MetricsServer::spawn(config(), endpoints).unwrap();
    assert_eq!(get(server.local_addr(), "/metrics").status, 500);
    assert_eq!(get(server.local_addr(), "/metrics").status, 500);
    assert_eq!(get(server.local_addr(), "/healthz").status, 200);
}

#[test]
fn readiness_that_panics_is_500() {
    let endpoints = endpoints().readiness(|| panic!("expected by the test"));
    let server = MetricsServer::spawn(config(), endpoints).unwrap();
    assert_eq!(get(server.local_addr(), "/readyz").status, 500);
}

#[test]
fn client_that_is_slow_with_its_headers_is_cut() {
    let before = count("telemetry_http_connections_total{outcome=\"timed_out\"}");
    let server = start(ServerConfig {
        header_timeout: Duration::from_millis(100),
        ..config()
    });
    let start = Instant::now();
    let mut stream = connect(server.local_addr());
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: loc")
        .unwrap();
    let answer = read_to_end(&mut stream);
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(start.elapsed() >= Duration::from_millis(90));
    wait_until("the cut connection is counted", || {
        count("telemetry_http_connections_total{outcome=\"timed_out\"}") > before
    });
}

#[test]
fn client_that_does_not_read_its_answer_is_cut() {
    let before = count("telemetry_http_connections_total{outcome=\"timed_out\"}");
    // More than the system keeps for a client.
    let endpoints = Endpoints::new(|| "slow 1\n".repeat(8 << 20));
    let config = ServerConfig {
        connection_timeout: Duration::from_millis(100),
        request_timeout: Duration::from_secs(2),
        ..config()
    };
    let server = MetricsServer::spawn(config, endpoints).unwrap();
    let _asleep = asking(server.local_addr());
    wait_until("the connection is cut", || {
        count("telemetry_http_connections_total{outcome=\"timed_out\"}") > before
    });
}

#[test]
fn crowd_of_connections_is_served_or_turned_away_and_leaves_nothing_behind() {
    let server = start(config());
    let address = server.local_addr();
    // Far more than there is room for, and none of them asks.
    let crowd: Vec<_> = (0..500).map(|_| connect(address)).collect();
    assert_eq!(get(address, "/metrics").status, 200);
    drop(crowd);
    assert_eq!(get(address, "/metrics").status, 200);
}

#[test]
fn idle_connection_is_closed() {
    let server = start(ServerConfig {
        header_timeout: Duration::from_millis(100),
        ..config()
    });
    let mut stream = connect(server.local_addr());
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert_eq!(parse(&read_to_end(&mut stream)).status, 200);
}

#[test]
fn old_connection_is_closed_although_it_is_busy() {
    let server = start(ServerConfig {
        connection_timeout: Duration::from_millis(100),
        ..config()
    });
    let mut stream = connect(server.local_addr());
    let ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut answer = [0; 4096];
    let deadline = Instant::now() + client::PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the connection lives on");
        // A write or read that fails, or the end: the server has closed.
        if stream.write_all(ask).is_err() || stream.read(&mut answer).unwrap_or(0) == 0 {
            break;
        }
    }
}

#[test]
fn kept_connection_answers_several_scrapes() {
    let server = start(config());
    let mut stream = connect(server.local_addr());
    for _ in 0..3 {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut answer = [0; 4096];
        let mut seen = String::new();
        while !seen.ends_with("alive\n") {
            let length = stream.read(&mut answer).unwrap();
            assert!(length > 0, "closed too early");
            seen.push_str(std::str::from_utf8(&answer[..length]).unwrap());
        }
        assert_eq!(parse(&seen).status, 200);
    }
}

#[test]
fn connection_that_waited_longest_gives_way_to_a_new_one() {
    let evicted = "telemetry_http_connections_total{outcome=\"evicted\"}";
    let before = count(evicted);
    let server = start(ServerConfig {
        max_connections: 4,
        ..config()
    });
    let mut held: Vec<_> = (0..4).map(|_| connect(server.local_addr())).collect();
    assert_eq!(get(server.local_addr(), "/healthz").status, 200);
    assert_eq!(read_to_end(&mut held[0]), "");
    wait_until("the evicted connection is counted", || {
        count(evicted) > before
    });
    let last = held.last_mut().unwrap();
    last.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(parse(&read_to_end(last)).status, 200);
}

#[test]
fn connection_is_refused_while_all_others_are_being_answered() {
    let refused = "telemetry_http_connections_total{outcome=\"refused\"}";
    let before = count(refused);
    let (gate, endpoints) = Gate::new();
    let config = ServerConfig {
        max_connections: 2,
        ..config()
    };
    let server = MetricsServer::spawn(config, endpoints).unwrap();
    let address = server.local_addr();
    let slow: Vec<_> = (0..2).map(|_| asking(address)).collect();
    for _ in &slow {
        gate.entered.recv_timeout(client::PATIENCE).unwrap();
    }
    let answer = get(address, "/healthz");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(count(refused) > before);
    drop(gate.go);
    for mut stream in slow {
        let head = "HTTP/1.1 200 OK";
        let mut answer = vec![0; head.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, head.as_bytes());
    }
    assert_eq!(get(address, "/healthz").status, 200);
}

#[test]
fn many_connections_at_once_all_get_answers() {
    let server = start(ServerConfig {
        max_connections: 1000,
        max_scrapes: 1000,
        ..config()
    });
    let address = server.local_addr();
    let clients: Vec<_> = (0..100)
        .map(|_| std::thread::spawn(move || get(address, "/metrics")))
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap().status, 200);
    }
}

#[test]
fn nonsense_is_400_and_a_huge_head_is_refused() {
    let server = start(config());
    let nonsense = send(server.local_addr(), "\x16\x03\x01 not http\r\n\r\n");
    assert_eq!(nonsense.status, 400);
    let mut stream = connect(server.local_addr());
    let filler = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(100_000));
    // The server may close before it has read all.
    let _ = stream.write_all(filler.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    assert_eq!(get(server.local_addr(), "/healthz").status, 200);
}

#[test]
fn ipv6_loopback_works() {
    if TcpListener::bind("[::1]:0").is_err() {
        // No IPv6 in this network namespace: nothing to ask.
        return;
    }
    let server = start(ServerConfig {
        bind_address: "::1".parse().unwrap(),
        ..config()
    });
    assert_eq!(get(server.local_addr(), "/metrics").status, 200);
}

#[test]
fn taken_port_is_told_with_address_and_port() {
    let server = start(config());
    let port = server.local_addr().port();
    let error = MetricsServer::spawn(ServerConfig { port, ..config() }, endpoints()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on 127.0.0.1:{port}: \
             another process has the port; stop it, or set another `port`"
        )
    );
    assert_eq!(get(server.local_addr(), "/healthz").status, 200);
}

#[test]
fn address_of_another_machine_is_told_as_such() {
    let config = ServerConfig {
        // Reserved for documentation: nobody has it.
        bind_address: "192.0.2.1".parse().unwrap(),
        allow_remote_without_auth: true,
        ..config()
    };
    let error = MetricsServer::spawn(config, endpoints()).unwrap_err();
    assert!(error.to_string().contains("`bind_address`"), "{error}");
}

#[test]
fn remote_address_is_refused_unless_allowed() {
    let remote = ServerConfig {
        bind_address: "0.0.0.0".parse().unwrap(),
        ..config()
    };
    let error = MetricsServer::spawn(remote.clone(), endpoints()).unwrap_err();
    assert!(matches!(error, MetricsError::NotLocal { .. }));
    let server = start(ServerConfig {
        allow_remote_without_auth: true,
        ..remote
    });
    let port = server.local_addr().port();
    assert_eq!(get(([127, 0, 0, 1], port).into(), "/metrics").status, 200);
}

#[test]
fn remote_bind_with_auth_is_allowed() {
    let (_place, auth) = bearer("token-of-a-test");
    let server = start(ServerConfig {
        bind_address: "0.0.0.0".parse().unwrap(),
        auth: Some(auth),
        ..config()
    });
    let local = ([127, 0, 0, 1], server.local_addr().port()).into();
    assert_eq!(get(local, "/metrics").status, 401);
}

/// A token in a file, which lives as long as the directory.
fn bearer(token: &str) -> (tempfile::TempDir, Auth) {
    let place = tempfile::tempdir().unwrap();
    let token_file = place.path().join("token");
    std::fs::write(&token_file, token).unwrap();
    (place, Auth::Bearer { token_file })
}

fn get_with(server: std::net::SocketAddr, path: &str, header: &str) -> client::Answer {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{header}\r\nConnection: close\r\n\r\n");
    send(server, &head)
}

#[test]
fn token_opens_metrics_and_page_and_the_others_are_open_to_all() {
    let (place, auth) = bearer("token-of-a-test");
    let endpoints = endpoints().page("<p>page", || serde_json::json!({ "a": 1 }));
    let config = ServerConfig {
        auth: Some(auth),
        ..config()
    };
    let server = MetricsServer::spawn(config, endpoints).unwrap();
    let address = server.local_addr();
    for path in ["/metrics", "/", "/page.json"] {
        let answer = get(address, path);
        assert_eq!(answer.status, 401, "{path}");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some("Bearer realm=\"metrics\""), "{path}");
        assert!(!answer.body.contains("daemon_"), "{path}");
        let answer = get_with(address, path, "Authorization: Bearer wrong");
        assert_eq!(answer.status, 401, "{path}");
        let answer = get_with(address, path, "Authorization: Bearer token-of-a-test");
        assert_eq!(answer.status, 200, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(address, path).status, 200, "{path}");
    }
    assert_eq!(get(address, "/nothing").status, 404);

    std::fs::remove_file(place.path().join("token")).unwrap();
    let answer = get_with(address, "/metrics", "Authorization: Bearer token-of-a-test");
    assert_eq!(answer.status, 500);
}

#[test]
fn guessing_is_limited_as_asking_is() {
    let (_place, auth) = bearer("token-of-a-test");
    let server = start(ServerConfig {
        auth: Some(auth),
        rate_limit: RateLimit {
            requests_per_second: 1,
            burst: 3,
        },
        ..config()
    });
    let statuses: Vec<_> = (0..10)
        .map(|_| {
            get_with(
                server.local_addr(),
                "/metrics",
                "Authorization: Bearer guess",
            )
            .status
        })
        .collect();
    assert_eq!(statuses[..3], [401; 3]);
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn guessing_at_a_slow_hash_does_not_keep_a_known_client_out() {
    let place = tempfile::tempdir().unwrap();
    let password_hash_file = place.path().join("hash");
    std::fs::write(&password_hash_file, bcrypt::hash("right", 11).unwrap()).unwrap();
    let server = start(ServerConfig {
        auth: Some(Auth::Basic {
            username: "prom".to_owned(),
            password_hash_file,
        }),
        max_connections: 6,
        ..config()
    });
    let address = server.local_addr();
    let credentials = |password: &str| {
        let pair = STANDARD.encode(format!("prom:{password}"));
        format!("Authorization: Basic {pair}")
    };
    let honest = || get_with(address, "/metrics", &credentials("right")).status;
    assert_eq!(honest(), 200);

    // As many as there are connections, and all of them want a hash.
    let mut guessing: Vec<_> = (0..6)
        .map(|guess| {
            let mut stream = connect(address);
            let header = credentials(&format!("guess {guess}"));
            let head = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let last = status_line(guessing.pop().unwrap());
    assert_eq!(honest(), 200);
    let others = guessing.into_iter().map(status_line);
    let mut told: Vec<_> = others.chain([last]).collect();
    told.sort_unstable();
    assert!(told[0].ends_with("401"), "{told:?}");
    assert!(told[5].ends_with("503"), "{told:?}");
}

/// The beginning of an answer, up to the status.
fn status_line(mut stream: impl Read) -> String {
    let mut told = [0; 12];
    stream.read_exact(&mut told).unwrap();
    String::from_utf8_lossy(&told).into_owned()
}

#[test]
fn missing_credentials_file_is_told_at_the_start() {
    let auth = Auth::Bearer {
        token_file: "/nonexistent/token".into(),
    };
    let config = ServerConfig {
        auth: Some(auth),
        ..config()
    };
    let error = MetricsServer::spawn(config, endpoints()).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/token"), "{error}");
}

#[test]
fn metrics_are_packed_for_those_who_can_unpack() {
    let server = start(config());
    let ask = |encoding: &str| {
        let mut stream = connect(server.local_addr());
        let head = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {encoding}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
        let body = answer.split_off(end + 4);
        (parse(std::str::from_utf8(&answer).unwrap()), body)
    };
    let (head, packed) = ask("gzip");
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    assert_eq!(head.header("vary"), Some("accept-encoding"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("\ndaemon_uptime_seconds "));
    assert!(packed.len() < text.len() / 2);

    let (head, plain) = ask("identity");
    assert_eq!(head.header("content-encoding"), None);
    assert_eq!(head.header("vary"), Some("accept-encoding"));
    assert!(plain.starts_with(b"# HELP"));
}

#[test]
fn page_of_the_program_and_its_data_are_served() {
    let html = "<title>mine</title><script>1;</script>";
    let own = endpoints().page(html, || serde_json::json!({ "answer": 42 }));
    let server = MetricsServer::spawn(config(), own).unwrap();
    let page = get(server.local_addr(), "/");
    assert_eq!(page.body, html);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("script-src 'sha256-"), "{policy}");
    let data = get(server.local_addr(), "/page.json");
    assert_eq!(data.header("content-type"), Some("application/json"));
    assert_eq!(data.body, "{\"answer\":42}\n");

    let without = start(config());
    assert_eq!(get(without.local_addr(), "/page.json").status, 404);
}

#[test]
fn answers_are_counted_by_status() {
    let server = start(config());
    let series = "telemetry_http_requests_total{status=\"404\"}";
    let before = count(series);
    get(server.local_addr(), "/nothing");
    assert!(count(series) > before);
}

#[test]
fn shutdown_lets_the_answer_under_way_arrive_and_frees_the_port() {
    let (gate, endpoints) = Gate::new();
    let server = MetricsServer::spawn(config(), endpoints).unwrap();
    let address = server.local_addr();
    let idle = connect(address);
    let slow = std::thread::spawn(move || get(address, "/metrics"));
    gate.entered.recv_timeout(client::PATIENCE).unwrap();
    let stopping = std::thread::spawn(move || server.shutdown());
    wait_until("no new connections", || {
        std::net::TcpStream::connect(address).is_err()
    });
    drop(gate.go);
    assert_eq!(slow.join().unwrap().body, "slow 1\n");
    stopping.join().unwrap();
    drop(idle);
    drop(TcpListener::bind(address).unwrap());
}

#[test]
fn shutdown_has_a_deadline() {
    let (gate, endpoints) = Gate::new();
    let config = ServerConfig {
        shutdown_timeout: Duration::from_millis(50),
        ..config()
    };
    let server = MetricsServer::spawn(config, endpoints).unwrap();
    let address = server.local_addr();
    let slow = std::thread::spawn(move || read_to_end(&mut asking(address)));
    gate.entered.recv_timeout(client::PATIENCE).unwrap();
    let start = Instant::now();
    server.shutdown();
    assert!(start.elapsed() < Duration::from_secs(4));
    assert_eq!(slow.join().unwrap(), "");
    drop(gate.go);
}

fn asking(address: std::net::SocketAddr) -> std::net::TcpStream {
    let mut stream = connect(address);
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    stream
}

#[test]
fn server_runs_on_the_runtime_of_the_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    runtime.block_on(async {
        let server = MetricsServer::bind(config()).await.unwrap();
        let address = server.local_addr();
        let asking = tokio::task::spawn_blocking(move || {
            let answer = get(address, "/metrics");
            stop.send(()).unwrap();
            answer
        });
        let stopped = async {
            stopped.await.unwrap();
        };
        server.serve(endpoints(), stopped).await.unwrap();
        assert_eq!(asking.await.unwrap().status, 200);
    });
}

#[test]
fn spawning_inside_of_a_runtime_works() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = start(config());
        assert_eq!(get(server.local_addr(), "/healthz").status, 200);
    });
}

#[test]
fn second_recorder_is_refused() {
    let _first = recorder();
    let error = Recorder::install(RecorderConfig::default()).unwrap_err();
    assert!(matches!(error, MetricsError::AlreadyInstalled));
}
