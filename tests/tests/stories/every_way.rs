//! The rows of the uploader's table of answers in each of the three ways to upload, as far as they occur there. What only batches
//! are told stands in `answers`; they are here where the others are told the same.
//!
//! | row | bulk route | single creates |
//! |---|---|---|
//! | redirected, answer not understood | here | here |
//! | authorization required | here | a dead token is answered with 400 |
//! | too many requests | here | here |
//! | body too large | here: a proxy | here: a proxy; no record is as long as the server's own limit |
//! | no bulk route | here | |
//! | bulk upload not readable | here | a create that cannot be read failed without a reason |
//! | stored before | here | here |
//! | record refused | here | here, and in `answers` |
//! | no such collection | here: told by batches, which the failing hook makes way for | here |
//! | not allowed | the hook asks no rule | here |
//! | request not allowed | here | a create is not allowed |
//! | failed without a reason | `answers`: a full disk | here, and in `answers`: a full disk |

use serde_json::json;
use telemetry_pocketbase::setup::{FilesFor, HOOK_FILE, write_files};
use telemetry_tests::{Fault, PocketBase, wait_until};

use crate::SOON;
use crate::answers::page;
use crate::shipping::{COLLECTION, Site, Way, stored};

const WAYS: [Way; 3] = [Way::Bulk, Way::Batch, Way::Single];

/// Does this to the first upload, and nothing to all others.
fn first_upload(site: &Site, way: Way, fault: Fault) {
    let mut fault = Some(fault);
    site.proxy.set(move |path| match path.contains(way.path()) {
        true => fault.take().unwrap_or(Fault::None),
        false => Fault::None,
    });
}

#[test]
fn dead_token_is_noticed_and_replaced() {
    for (way, status, refreshes) in [
        (Way::Bulk, 401, vec![]),
        (Way::Batch, 400, vec![401]),
        (Way::Single, 400, vec![401]),
    ] {
        let Some(site) = Site::with(way) else { return };
        let mut shipper = site.ship();
        shipper.log("before", 1);
        shipper.wait_until_delivered();
        site.change_password();
        shipper.log("after", 1);
        shipper.wait_until_delivered();
        assert_eq!(site.proxy.statuses(way.path()), [200, status, 200]);
        assert_eq!(site.proxy.statuses("auth-refresh"), refreshes, "{way:?}");
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn records_that_a_rule_refuses_wait_until_the_rule_is_mended() {
    for (way, message) in [
        (Way::Batch, "Batch transaction failed."),
        (Way::Single, "Failed to create record."),
    ] {
        let Some(site) = Site::with(way) else { return };
        let rule = site.collection()["createRule"].clone();
        site.change(json!({"createRule": "@request.auth.email = \"nobody@example.com\""}));
        let mut shipper = site.ship();
        shipper.log("refused", 20);
        let told = format!("failed without a reason (HTTP 400: {message})");
        shipper.wait_for_trouble(&told);
        wait_until(SOON, "several tries, of batches by halves", || {
            site.proxy.statuses(way.path()).len() > 8
        });
        assert!(!site.proxy.statuses(way.path()).contains(&200));
        assert_eq!(shipper.stats().pending, 20, "none is given up");
        site.change(json!({ "createRule": rule }));
        shipper.wait_until_delivered();
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn missing_right_to_create_is_told_and_records_wait() {
    for way in [Way::Batch, Way::Single] {
        let Some(site) = Site::with(way) else { return };
        let rule = site.collection()["createRule"].clone();
        site.change(json!({"createRule": null}));
        let mut shipper = site.ship();
        shipper.log("forbidden", 20);
        shipper.wait_for_trouble("not allowed");
        assert_eq!(shipper.stats().pending, 20);
        site.change(json!({ "createRule": rule }));
        shipper.wait_until_delivered();
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn missing_collection_is_told_in_every_way_and_records_wait() {
    for (way, asked) in [(Way::Bulk, 400), (Way::Batch, 400), (Way::Single, 404)] {
        let Some(site) = Site::with(way) else { return };
        site.change(json!({"name": "elsewhere"}));
        let mut shipper = site.ship();
        shipper.log("nowhere", 20);
        shipper.wait_for_trouble("no such collection");
        assert_eq!(shipper.stats().pending, 20);
        assert_eq!(site.proxy.statuses(way.path())[0], asked, "{way:?}");
        let renamed = json!({ "name": COLLECTION });
        let answer = site.server.patch("/api/collections/elsewhere", &renamed);
        answer.expect_status(200);
        shipper.wait_until_delivered();
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn hook_that_takes_other_accounts_makes_way_for_batches() {
    let Some(server) = PocketBase::prepare() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let files = FilesFor {
        collection: COLLECTION,
        auth_collection: "others",
        retention_days: 0,
    };
    write_files(place.path(), files).unwrap();
    let hook = place.path().join(HOOK_FILE);
    std::fs::copy(&hook, server.hooks_dir().join(hook.file_name().unwrap())).unwrap();
    server.serve();
    let site = Site::ready(server, place);
    let mut shipper = site.ship();
    shipper.log("not for the hook", 20);
    shipper.wait_until_delivered();
    assert_eq!(site.proxy.statuses(Way::Bulk.path()), [403]);
    assert_eq!(site.proxy.statuses("/api/batch"), [200]);
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn hook_that_has_gone_makes_way_for_batches() {
    let Some(site) = Site::with(Way::Bulk) else {
        return;
    };
    let mut shipper = site.ship();
    shipper.log("with the hook", 20);
    shipper.wait_until_delivered();
    site.server.kill();
    for file in std::fs::read_dir(site.server.hooks_dir()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    site.server.serve();
    shipper.log("without the hook", 20);
    shipper.wait_until_delivered();
    assert_eq!(site.proxy.statuses(Way::Bulk.path()), [200, 404]);
    assert_eq!(site.proxy.statuses("/api/batch"), [200]);
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn resend_after_a_lost_answer_is_recognised() {
    for (way, statuses) in [
        (Way::Bulk, vec![200, 200]),
        (Way::Single, vec![200, 400, 200]),
    ] {
        let Some(site) = Site::with(way) else { return };
        first_upload(&site, way, Fault::LoseAnswer);
        let mut shipper = site.ship();
        shipper.log("twice", 2);
        shipper.wait_until_delivered();
        assert_eq!(site.proxy.statuses(way.path()), statuses, "{way:?}");
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn record_that_is_there_already_counts_as_delivered_in_every_way() {
    for way in [Way::Bulk, Way::Single] {
        let Some(site) = Site::with(way) else { return };
        let mut shipper = site.ship();
        let record = json!({
            "id": shipper.id(5), "timestamp": "2026-01-02T03:04:05.678Z", "level": "INFO",
            "message": "first", "daemon_id": "d", "session_id": "s",
        });
        let path = format!("/api/collections/{COLLECTION}/records");
        site.server.post(&path, &record).expect_status(200);
        shipper.log("second", 10);
        shipper.wait_until_delivered();
        let mut expected = vec![200; if way == Way::Bulk { 1 } else { 10 }];
        if way == Way::Single {
            expected[4] = 400;
        }
        assert_eq!(site.proxy.statuses(way.path()), expected);
        assert_eq!(stored(&site.server, &shipper.id(5))["message"], "first");
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn record_that_the_table_refuses_goes_to_the_dead_letters_in_every_way() {
    for way in WAYS {
        let Some(site) = Site::with(way) else { return };
        let mut indexes = site.collection()["indexes"].take();
        let unique = "CREATE UNIQUE INDEX idx_message ON daemon_logs (message)";
        indexes.as_array_mut().unwrap().push(json!(unique));
        site.change(json!({ "indexes": indexes }));
        let mut shipper = site.ship();
        for message in ["one", "two", "one", "three"] {
            shipper.log(message, 1);
        }
        let stats = shipper.wait_until_settled();
        assert_eq!((stats.delivered, stats.rejected), (3, 1), "{way:?}");
        let [(message, reason)] = &site.dead_letters()[..] else {
            panic!("one dead letter: {:?}", site.dead_letters());
        };
        assert_eq!(message, "one");
        let expected = match way {
            Way::Bulk => "record: validation_constraint",
            _ => "message: validation_not_unique",
        };
        assert!(reason.starts_with(expected), "{way:?}: {reason}");
        let mut others = shipper.ids();
        others.remove(2);
        site.assert_stored_once(&others);
    }
}

#[test]
fn rate_limit_is_waited_out_in_every_way() {
    for (way, label, most) in [
        (Way::Bulk, "/api/sync-daemon/", 2),
        (Way::Single, "daemon_logs:create", 15),
    ] {
        let Some(site) = Site::with(way) else { return };
        site.set(json!({"rateLimits": {"enabled": true, "rules": [
            {"label": label, "audience": "", "duration": 3, "maxRequests": most},
        ]}}));
        let mut shipper = site.ship();
        shipper.log("too often", if way == Way::Bulk { 300 } else { 20 });
        shipper.wait_for_trouble("too many requests (HTTP 429");
        shipper.wait_until_delivered();
        assert!(site.proxy.statuses(way.path()).contains(&429));
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn body_that_a_proxy_finds_too_large_is_split() {
    let Some(site) = Site::with(Way::Bulk) else {
        return;
    };
    let too_large = page("413 Content Too Large", "<html>too large</html>");
    site.proxy.set(move |path| {
        let count = path.split_once("?count=").map(|(_, count)| count.parse());
        match count {
            Some(Ok(26_u32..)) => too_large.clone(),
            _ => Fault::None,
        }
    });
    let mut shipper = site.ship();
    shipper.log("large together", 100);
    shipper.wait_until_delivered();
    assert_eq!(site.proxy.statuses(Way::Bulk.path())[..2], [413, 413]);
    assert_eq!(site.proxy.statuses("/api/batch"), [0_u16; 0]);
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn record_that_a_proxy_finds_too_large_alone_goes_to_the_dead_letters() {
    let Some(site) = Site::with(Way::Single) else {
        return;
    };
    let too_large = page("413 Content Too Large", "<html>too large</html>");
    first_upload(&site, Way::Single, too_large);
    let mut shipper = site.ship();
    shipper.log("large", 1);
    shipper.log("small", 4);
    let stats = shipper.wait_until_settled();
    assert_eq!((stats.delivered, stats.rejected), (4, 1), "{stats:?}");
    let [(message, reason)] = &site.dead_letters()[..] else {
        panic!("one dead letter: {:?}", site.dead_letters());
    };
    assert_eq!(message, "large");
    assert_eq!(reason, "body too large (HTTP 413)");
    site.assert_stored_once(&shipper.ids()[1..]);
}

#[test]
fn upload_that_cannot_be_read_is_sent_again_in_every_way() {
    for way in [Way::Bulk, Way::Single] {
        let Some(site) = Site::with(way) else { return };
        first_upload(&site, way, Fault::Spoil);
        let mut shipper = site.ship();
        shipper.log("spoilt on its way", 40);
        shipper.wait_until_delivered();
        let uploads = site.proxy.exchanges(way.path());
        assert_eq!(uploads[0].status, Some(400));
        if way == Way::Bulk {
            let smaller = uploads[1].body.len() * 3 / 2;
            assert!(smaller < uploads[0].body.len(), "it is split");
            assert_eq!(site.proxy.statuses("/api/batch"), [0_u16; 0]);
        }
        site.assert_stored_once(&shipper.ids());
    }
}
