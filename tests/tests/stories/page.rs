//! The page on `/`, in a real browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use telemetry_tests::{Daemon, free_port, get, plant, run, skip};

use crate::{MANUAL, OFTEN, SOON, job, with_jobs};

/// Both of these make up the credentials; the hash is of the second, as `htpasswd -nbB -C 4` made it.
const NAME: &str = "prom";
const PASSWORD: &str = "password";
const HASH: &str = "prom:$2y$04$MEkh/7uITFB4p9FDwfmm1.FNEP9FexCKVxNAKqCcA34TrT/xlTatG";

/// A daemon with one job that has run and one that fails, behind a password.
fn daemon_with_a_history(place: &Path) -> (Daemon, u16) {
    plant(&place.join("source"), &[("a", "text"), ("b", "more text")]);
    std::fs::write(place.join("hash"), HASH).unwrap();
    let port = free_port();
    let broken = job("broken", place, MANUAL).replace("/source\"", "/missing\"");
    let auth = format!(
        "\n[telemetry.metrics.auth]\nbasic = {{ username = \"{NAME}\", password_hash_file = \"hash\" }}\n"
    );
    let jobs = job("documents", place, MANUAL) + &broken + &auth;
    let daemon = Daemon::start(place, &with_jobs(port, &jobs));
    daemon.wait_until(SOON, "the endpoint", || {
        get(&format!("http://127.0.0.1:{port}/readyz")).is_ok_and(|answer| answer.status == 200)
    });
    let trigger = |id: &str| daemon.beside().args(["trigger", id, "--wait"]).run();
    trigger("documents").expect_success();
    assert_ne!(trigger("broken").code(), Some(0));
    (daemon, port)
}

/// Debian's and others' names of the browser; `None`, loudly, where there is none.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let candidates =
        std::env::split_paths(&path).flat_map(|directory| names.map(|name| directory.join(name)));
    let found = candidates.into_iter().find(|candidate| candidate.is_file());
    if found.is_none() {
        skip("chromium is not installed; `apt-get install chromium`");
    }
    found
}

/// Runs the browser on `url` until the page's own clock says `budget_ms`; returns what it prints.
fn browse(browser: &Path, url: &str, budget_ms: u32, args: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(browser);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1200,1300",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--virtual-time-budget={budget_ms}"))
        .args(args)
        .arg(url)
        .env("HOME", profile.path());
    run(command, "").expect_success()
}

fn with_password(port: u16) -> String {
    format!("http://{NAME}:{PASSWORD}@127.0.0.1:{port}/")
}

#[test]
fn it_shows_jobs_charts_sinks_and_warnings_and_updates_itself() {
    let Some(browser) = chromium() else { return };
    let place = tempfile::tempdir().unwrap();
    let (_daemon, port) = daemon_with_a_history(place.path());
    let shown = browse(&browser, &with_password(port), 12_000, &["--dump-dom"]);
    for text in [
        "documents_sync",
        ">success<",
        ">failed<",
        "source_missing",
        ">running<",
        "Files changed: 2 in the last",
        "Bytes written: 13 B in the last",
        ">console_queue<",
        "Sync job failed",
        "<dd class=\"faint\">off</dd>",
    ] {
        assert!(shown.contains(text), "{text} is missing in:\n{shown}");
    }
    let updates = shown
        .split("data-updates=\"")
        .nth(1)
        .expect("it has updated");
    let updates: u32 = updates.split('"').next().unwrap().parse().unwrap();
    assert!(updates >= 2, "{updates} updates");
}

#[test]
fn it_is_worth_looking_at_in_light_and_dark() {
    let Some(browser) = chromium() else { return };
    let place = tempfile::tempdir().unwrap();
    let (_daemon, port) = daemon_with_a_history(place.path());
    // For people to look at: they stay in the target directory.
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut sizes = Vec::new();
    for (name, args) in [
        ("page-light.png", None),
        (
            "page-dark.png",
            Some("--blink-settings=preferredColorScheme=0"),
        ),
    ] {
        let picture = pictures.join(name);
        let _ = std::fs::remove_file(&picture);
        let screenshot = format!("--screenshot={}", picture.display());
        let args: Vec<&str> = args.into_iter().chain([screenshot.as_str()]).collect();
        browse(&browser, &with_password(port), 3_000, &args);
        let png = std::fs::read(&picture).expect("a picture");
        assert!(png.starts_with(b"\x89PNG"), "{name}");
        // A page without content is a few kB.
        assert!(png.len() > 40_000, "{name}: {} bytes", png.len());
        sizes.push(png);
    }
    assert_ne!(sizes[0], sizes[1], "light and dark look the same");
}

#[test]
fn nobody_sees_it_without_the_password() {
    let place = tempfile::tempdir().unwrap();
    let (_daemon, port) = daemon_with_a_history(place.path());
    for path in ["/", "/page.json", "/metrics"] {
        let answer = get(&format!("http://127.0.0.1:{port}{path}")).unwrap();
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        let body = answer.expect_status(401).body;
        assert!(!body.contains("documents"), "{body}");
        assert!(challenge.unwrap().starts_with("Basic "), "{path}");
    }
}

#[test]
fn upload_breaker_and_spool_are_shown_while_the_server_is_away() {
    let place = tempfile::tempdir().unwrap();
    plant(&place.path().join("source"), &[("a", "text")]);
    std::fs::write(place.path().join("password"), "anything").unwrap();
    let (port, nobody) = (free_port(), free_port());
    let upload = format!(
        "\n[telemetry.pocketbase_logging]\nenabled = true\nurl = \"http://127.0.0.1:{nobody}\"\n\
         identity = \"daemon@example.com\"\n\
         password_file = \"password\"\nmax_retries = 0\nflush_interval_secs = 1\n\
         [telemetry.pocketbase_logging.breaker]\nfailures = 1\n"
    );
    let jobs = job("documents", place.path(), OFTEN) + &upload;
    let daemon = Daemon::start(place.path(), &with_jobs(port, &jobs));
    let shown = daemon.wait_for(SOON, "an open breaker on the page", || {
        let answer = get(&format!("http://127.0.0.1:{port}/page.json")).ok()?;
        // Asking that often meets the limit in between.
        let is_answered = answer.status == 200;
        let upload = is_answered.then(|| answer.json()["upload"].take())?;
        // Metrics and health are read one after the other: the first may be newer.
        (upload["breaker"] == "open" && upload["health"] != "good").then_some(upload)
    });
    assert!(shown["waiting"].as_f64().unwrap() > 0.0, "{shown}");
    assert!(
        shown["connection_errors"].as_f64().unwrap() > 0.0,
        "{shown}"
    );
    assert!(shown["spool_bytes"].as_f64().unwrap() > 0.0, "{shown}");
    // It mirrors and keeps its records: that is a note, and no reason to be taken out of service.
    let ready = get(&format!("http://127.0.0.1:{port}/readyz")).unwrap();
    let ready = ready.expect_status(200).json();
    assert_eq!(ready["reasons"], serde_json::json!([]), "{ready}");
    let notes = ready["notes"].to_string();
    assert!(notes.contains("pocketbase: "), "{ready}");
}

#[test]
fn it_loads_nothing_from_elsewhere() {
    let html = sync_daemon::page::HTML;
    let elsewhere = html.replace("http://www.w3.org/2000/svg", "");
    for source in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!elsewhere.contains(source), "{source}");
    }
    // An empty picture, so that browsers ask for none.
    let links: Vec<&str> = html.split("<link").skip(1).collect();
    assert_eq!(links.len(), 1);
    assert!(links[0].starts_with(" rel=\"icon\" href=\"data:,\">"));
}

#[test]
fn a_daemon_that_is_gone_is_told_on_the_page() {
    let Some(browser) = chromium() else { return };
    // The page from a file: nobody answers it.
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("page.html");
    std::fs::write(&file, sync_daemon::page::HTML).unwrap();
    let url = format!("file://{}", file.display());
    let shown = browse(&browser, &url, 2_000, &["--dump-dom"]);
    assert!(shown.contains(">no answer for "), "{shown}");
}
