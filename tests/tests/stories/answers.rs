//! What the uploader makes of each answer of a real PocketBase: its table of answers, row by row.
//!
//! What the server itself cannot be made to say (pages of proxies, redirects, garbage) a proxy in front of it says.

use std::process::{Command, Stdio};

use serde_json::json;
use telemetry_core::Health;
use telemetry_tests::{Fault, PocketBase, Tmpfs, free_port, skip};

use crate::shipping::{COLLECTION, Shipper, Site, Way, stored};

/// What a server says that gives no reason.
const NO_REASON: &str = "failed without a reason (HTTP 400: Batch transaction failed.)";

#[test]
fn batch_that_takes_too_long_is_halved_until_it_does_not() {
    let Some(server) = PocketBase::prepare() else {
        return;
    };
    // Each record takes its time, so that a batch of 100 takes longer than a batch may.
    let slow = r#"onRecordCreateRequest((e) => { sleep(15); e.next(); }, "daemon_logs");"#;
    std::fs::write(server.hooks_dir().join("slow.pb.js"), slow).unwrap();
    server.serve();
    let site = Site::ready(server, tempfile::tempdir().unwrap());
    site.set(json!({"batch": {"timeout": 1}}));
    let mut shipper = site.ship();
    shipper.log("slow", 100);
    shipper.wait_for_trouble(NO_REASON);
    shipper.wait_until_delivered();
    let batches = site.proxy.exchanges("/api/batch");
    assert_eq!(batches[0].status, Some(400));
    let smaller = batches.iter().find(|batch| batch.status == Some(200));
    assert!(smaller.unwrap().body.len() < batches[0].body.len() * 2 / 3);
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn record_that_the_server_names_goes_to_the_dead_letters_and_the_rest_arrives() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    site.change_field("message", json!({"pattern": "^[^!]*$"}));
    let mut shipper = site.ship();
    shipper.log("good", 49);
    shipper.log("bad!", 1);
    shipper.log("good", 50);
    let stats = shipper.wait_until_settled();
    assert_eq!((stats.delivered, stats.rejected), (99, 1), "{stats:?}");
    let [(message, reason)] = &site.dead_letters()[..] else {
        panic!("one dead letter: {:?}", site.dead_letters());
    };
    assert_eq!(message, "bad!");
    assert!(reason.starts_with("message: validation_"), "{reason}");
    let mut others = shipper.ids();
    others.remove(49);
    site.assert_stored_once(&others);
}

#[test]
fn single_create_that_is_refused_goes_to_the_dead_letters_and_the_rest_arrives() {
    let Some(site) = Site::with(Way::Single) else {
        return;
    };
    site.change_field("message", json!({"pattern": "^[^!]*$"}));
    let mut shipper = site.ship();
    shipper.log("good", 4);
    shipper.log("bad!", 1);
    shipper.log("good", 5);
    let stats = shipper.wait_until_settled();
    assert_eq!((stats.delivered, stats.rejected), (9, 1), "{stats:?}");
    assert_eq!(site.dead_letters().len(), 1);
}

#[test]
fn batch_whose_answer_was_lost_is_recognised_as_a_whole() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    let mut is_lost = false;
    site.proxy.set(move |path| {
        match path.contains("/api/batch") && !std::mem::replace(&mut is_lost, true) {
            true => Fault::LoseAnswer,
            false => Fault::None,
        }
    });
    let mut shipper = site.ship();
    shipper.log("twice", 100);
    shipper.wait_until_delivered();
    let statuses = site.proxy.statuses("/api/batch");
    assert_eq!(statuses, [200, 400], "stored, then recognised at once");
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn record_that_is_there_already_counts_as_delivered() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    let mut shipper = site.ship();
    let record = json!({
        "id": shipper.id(50), "timestamp": "2026-01-02T03:04:05.678Z", "level": "INFO",
        "message": "first", "daemon_id": "d", "session_id": "s",
    });
    let path = format!("/api/collections/{COLLECTION}/records");
    site.server.post(&path, &record).expect_status(200);
    shipper.log("second", 100);
    shipper.wait_until_delivered();
    assert_eq!(site.proxy.statuses("/api/batch"), [400, 200]);
    assert_eq!(stored(&site.server, &shipper.id(50))["message"], "first");
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn values_are_cut_to_the_limits_that_the_server_tells() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    site.change_field("message", json!({"max": 20}));
    site.change_field("fields", json!({"maxSize": 5}));
    let mut shipper = site.ship();
    shipper.log("a message of more than twenty characters", 3);
    shipper.wait_until_delivered();
    let record = stored(&site.server, &shipper.id(2));
    assert_eq!(record["message"], "a message of m…[cut]", "{record}");
    assert_eq!(record["fields"], json!(null), "{record}");
    assert_eq!(site.dead_letters(), []);
}

#[test]
fn awkward_values_are_taken_in_every_way() {
    for way in [Way::Bulk, Way::Batch, Way::Single] {
        let Some(site) = Site::with(way) else { return };
        let mut shipper = site.ship();
        shipper.log_awkward();
        shipper.wait_until_delivered();
        let record = stored(&site.server, &shipper.id(1));
        assert_eq!(record["message"], " ", "{way:?}: the field is required");
        assert_eq!(record["level"], "ERROR");
        let expected = json!({
            "big": u64::MAX.to_string(), "small": i64::MIN.to_string(), "none": "NaN",
            "control": "a\0b\u{1b}c", "quote": "\"\\", "wide": "🦀\u{2028}",
        });
        assert_eq!(record["fields"], expected, "{way:?}");
        assert_eq!(site.dead_letters(), []);
    }
}

#[test]
fn batches_keep_to_the_number_that_the_server_tells() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    site.set(json!({"batch": {"maxRequests": 7}}));
    let mut shipper = site.ship();
    shipper.log("few", 50);
    shipper.wait_until_delivered();
    let batches = site.proxy.exchanges("/api/batch");
    assert_eq!(batches[0].status, Some(400));
    for batch in &batches[1..] {
        let records = batch.body.matches(r#""method":"POST""#).count();
        assert!(records <= 7, "{records}");
        assert_eq!(batch.status, Some(200), "the limit is learnt once");
    }
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn body_that_is_too_large_is_split() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    site.set(json!({"batch": {"maxBodySize": 20_000}}));
    let mut shipper = site.ship();
    shipper.log("large together", 100);
    shipper.wait_until_delivered();
    assert!(site.proxy.statuses("/api/batch").contains(&413));
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn server_that_closes_early_on_a_large_body_gets_smaller_ones() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    site.set(json!({"batch": {"maxBodySize": 300_000}}));
    // Straight to the server, which does not read to the end what is far too large.
    let mut config = site.config(&site.server.url());
    config.batch_max_bytes = 16 << 20;
    config.batch_size = 500;
    let mut shipper = Shipper::start(config);
    shipper.log(&"large ".repeat(8_000), 200);
    shipper.wait_until_delivered();
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn batch_that_cannot_be_read_is_split_and_arrives() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    let mut spoilt = 0;
    site.proxy.set(move |path| {
        spoilt += u32::from(path.contains("/api/batch"));
        match path.contains("/api/batch") && spoilt < 3 {
            true => Fault::Spoil,
            false => Fault::None,
        }
    });
    let mut shipper = site.ship();
    shipper.log("spoilt on its way", 40);
    shipper.wait_until_delivered();
    let batches = site.proxy.exchanges("/api/batch");
    assert_eq!(batches[0].status, Some(400));
    assert!(batches[2].body.len() * 3 < batches[0].body.len());
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn rate_limit_of_batches_is_waited_out() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    site.set(json!({"rateLimits": {"enabled": true, "rules": [
        {"label": "/api/batch", "audience": "", "duration": 3, "maxRequests": 1},
    ]}}));
    let mut shipper = site.ship();
    shipper.log("too often", 200);
    shipper.wait_for_trouble("too many requests (HTTP 429");
    shipper.wait_until_delivered();
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn rate_limit_inside_a_batch_is_waited_out_with_fewer_records() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    site.set(json!({"rateLimits": {"enabled": true, "rules": [
        {"label": "daemon_logs:create", "audience": "", "duration": 1, "maxRequests": 20},
    ]}}));
    let mut shipper = site.ship();
    shipper.log("too many", 40);
    shipper.wait_for_trouble("too many requests inside the batch (HTTP 400");
    shipper.wait_until_delivered();
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn full_disk_of_the_server_delays_records_and_heals_without_a_restart() {
    for way in [Way::Bulk, Way::Batch, Way::Single] {
        let Some(disk) = Tmpfs::mount(48 << 20) else {
            return;
        };
        let Some(server) = PocketBase::prepare_on(disk.path()) else {
            return;
        };
        let place = tempfile::tempdir().unwrap();
        let site = Site::of(server, place, way);
        let mut shipper = site.ship();
        shipper.log("before", 100);
        shipper.wait_until_delivered();

        let filler = disk.path().join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        let mut zeros = std::io::repeat(0);
        let full = std::io::copy(&mut zeros, &mut file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        drop(file);
        // What the write-ahead log has room for still arrives.
        for _ in 0..200 {
            if shipper.stats().health != Health::Good {
                break;
            }
            shipper.log("while the disk is full", 100);
            shipper.flush();
        }
        shipper.wait_for_trouble("failed without a reason (HTTP 400");
        let health = telemetry_tests::get(&(site.server.url() + "/api/health")).unwrap();
        assert_eq!(health.status, 200, "the server says nothing of it");
        assert_eq!(shipper.stats().rejected, 0);

        std::fs::remove_file(&filler).unwrap();
        shipper.wait_until_delivered();
        site.assert_stored_once(&shipper.ids());
        drop(site);
    }
}

#[test]
fn database_that_another_process_has_locked_delays_records() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    let mut shipper = site.ship();
    shipper.log("before", 10);
    shipper.wait_until_delivered();
    let script = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
        db.execute('BEGIN IMMEDIATE')\n\
        print('locked', flush=True)\n\
        sys.stdin.read()\n";
    let locker = Command::new("python3")
        .args(["-c", script])
        .arg(site.server.database())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut locker) = locker else {
        skip("python3 is missing");
        return;
    };
    let mut line = String::new();
    let output = locker.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
    assert_eq!(line, "locked\n");
    shipper.log("while it is locked", 10);
    // The server itself waits for ten seconds.
    shipper.wait_for_trouble(NO_REASON);
    assert_eq!(shipper.stats().pending, 10);
    drop(locker.stdin.take());
    locker.wait().unwrap();
    shipper.wait_until_delivered();
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn batches_that_are_switched_off_become_single_creates() {
    let Some(site) = Site::with(Way::Single) else {
        return;
    };
    let mut shipper = site.ship();
    shipper.log("one by one", 30);
    shipper.wait_until_delivered();
    assert_eq!(site.proxy.statuses("/api/batch"), [403], "asked once");
    assert_eq!(site.proxy.statuses("/daemon_logs/records"), [200; 30]);
    site.assert_stored_once(&shipper.ids());
}

/// An HTTP answer that the server would never give.
pub(crate) fn page(head: &str, body: &str) -> Fault {
    Fault::Answer(format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Records wait while every upload is answered so, in whatever way, and the uploader tells why.
#[track_caller]
fn assert_waits_out(fault: &Fault, trouble: &str) {
    for way in [Way::Bulk, Way::Batch, Way::Single] {
        let Some(site) = Site::with(way) else { return };
        let planned = fault.clone();
        site.proxy.set(move |path| match path.contains(way.path()) {
            true => planned.clone(),
            false => Fault::None,
        });
        let mut shipper = site.ship();
        shipper.log("waits", 20);
        shipper.wait_for_trouble(trouble);
        assert_eq!(shipper.stats().pending, 20, "no such page means stored");
        assert_eq!(site.server.count(COLLECTION, ""), 0);
        site.proxy.heal();
        shipper.wait_until_delivered();
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn page_of_a_proxy_is_no_answer_whatever_its_status() {
    let html = "<html><body>Bad Gateway</body></html>";
    let head = "502 Bad Gateway\r\nContent-Type: text/html";
    assert_waits_out(&page(head, html), "answer not understood (HTTP 502)");
    let head = "200 OK\r\nContent-Type: text/html";
    assert_waits_out(&page(head, html), "answer not understood (HTTP 200)");
}

#[test]
fn retry_after_of_a_proxy_is_kept() {
    let Some(site) = Site::with_batches() else {
        return;
    };
    let head = "503 Service Unavailable\r\nRetry-After: 2";
    let mut answered = None;
    let refusal = page(head, "");
    site.proxy.set(move |path| {
        if !path.contains("/api/batch") {
            return Fault::None;
        }
        let first = *answered.get_or_insert_with(std::time::Instant::now);
        match first.elapsed() < std::time::Duration::from_millis(1_900) {
            true => refusal.clone(),
            false => Fault::None,
        }
    });
    let mut shipper = site.ship();
    shipper.log("later", 20);
    shipper.wait_until_delivered();
    let requests = site.proxy.exchanges("/api/batch");
    assert_eq!(
        requests.len(),
        2,
        "one refused, none before its time: {requests:?}"
    );
}

#[test]
fn redirect_is_told_and_not_followed() {
    let elsewhere = format!("http://127.0.0.1:{}/", free_port());
    let head = format!("301 Moved Permanently\r\nLocation: {elsewhere}");
    assert_waits_out(&page(&head, ""), "redirected (HTTP 301)");
}

#[test]
fn garbage_is_no_answer() {
    let garbage = "\u{1}\u{2}garbage\r\n\r\n".to_owned();
    assert_waits_out(&Fault::Answer(garbage), "");
    let some_json = page(
        "200 OK\r\nContent-Type: application/json",
        r#"[{"status":200}]"#,
    );
    assert_waits_out(&some_json, "answer not understood (HTTP 200)");
}
