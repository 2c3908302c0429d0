//! Whatever happens between the uploader and a real PocketBase, or to it: every record is stored exactly once.

use std::time::Duration;

use telemetry_tests::{Fault, rounds, wait_until};

use crate::SOON;
use crate::shipping::{COLLECTION, Shipper, Site, Way};

/// Records of one round, in portions between which the network changes its mind.
const PORTION: u64 = 150;
const PORTIONS: u32 = 8;

/// A fault of any kind, or none, which is as likely as all others together.
fn any_fault(random: &mut fastrand::Rng) -> Fault {
    let page = "<html>Bad Gateway</html>";
    let page = format!(
        "HTTP/1.1 502 X\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    );
    match random.u8(..18) {
        0 => Fault::Reset,
        1 => Fault::CutRequest,
        2 => Fault::LoseAnswer,
        3 => Fault::CutAnswer,
        4 => Fault::Stall,
        5 => Fault::Late,
        6 => Fault::Twice,
        7 => Fault::Answer(page),
        8 => Fault::Answer("garbage\r\n\r\n".to_owned()),
        _ => Fault::None,
    }
}

/// Everything that a network can do to requests, and then nothing.
fn storm(way: Way, seed: u64) {
    let Some(site) = Site::with(way) else { return };
    let mut config = site.config(&site.proxy.url());
    config.request_timeout = Duration::from_millis(500);
    config.max_retries = 2;
    let mut shipper = Shipper::start(config);
    let mut random = fastrand::Rng::with_seed(seed);
    // Which ways the server has is found out before: in a storm it may seem to have others.
    shipper.log("before the storm", 10);
    shipper.wait_until_delivered();
    site.proxy.set(move |_| any_fault(&mut random));
    let portion = if way == Way::Single {
        PORTION / 10
    } else {
        PORTION
    };
    for _ in 0..PORTIONS {
        let before = site.proxy.exchanges("").len();
        shipper.log("in the storm", portion);
        shipper.flush();
        wait_until(SOON, "a few requests", || {
            site.proxy.exchanges("").len() > before + 3 || shipper.stats().pending == 0
        });
    }
    site.proxy.heal();
    shipper.wait_until_delivered();
    let uploads = site.proxy.exchanges(way.path());
    let is_faulty = |fault: &Fault| *fault != Fault::None;
    let faults = uploads.iter().filter(|upload| is_faulty(&upload.fault));
    assert!(
        faults.count() > 3,
        "hardly a storm: {} uploads",
        uploads.len()
    );
    site.assert_stored_once(&shipper.ids());
}

#[test]
fn every_record_is_stored_once_by_the_bulk_route_after_a_storm() {
    for round in 0..rounds(1, 20) {
        storm(Way::Bulk, u64::from(round));
    }
}

#[test]
fn every_record_is_stored_once_by_batches_after_a_storm() {
    for round in 0..rounds(1, 20) {
        storm(Way::Batch, 100 + u64::from(round));
    }
}

#[test]
fn every_record_is_stored_once_by_single_creates_after_a_storm() {
    for round in 0..rounds(1, 20) {
        storm(Way::Single, 200 + u64::from(round));
    }
}

#[test]
fn server_that_is_stopped_and_goes_on_stores_every_record_once() {
    for way in [Way::Bulk, Way::Batch, Way::Single] {
        let Some(site) = Site::with(way) else { return };
        let mut config = site.config(&site.proxy.url());
        config.request_timeout = Duration::from_millis(300);
        let mut shipper = Shipper::start(config);
        shipper.log("before", 10);
        shipper.wait_until_delivered();
        for _ in 0..rounds(1, 20) {
            site.server.pause();
            shipper.log("while it is stopped", 120);
            // The requests stand in the server's queue, and are carried out when it goes on.
            shipper.wait_for_trouble("timeout");
            site.server.resume();
            shipper.wait_until_delivered();
        }
        site.assert_stored_once(&shipper.ids());
    }
}

#[test]
fn records_of_a_session_are_stored_in_their_order() {
    for way in [Way::Bulk, Way::Batch] {
        let Some(site) = Site::with(way) else { return };
        let mut shipper = site.ship();
        shipper.log("in order", 1_000);
        shipper.wait_until_delivered();
        let stored = site.server.records(COLLECTION, "");
        let ids: Vec<_> = stored.iter().map(|r| r["id"].as_str().unwrap()).collect();
        assert_eq!(ids, shipper.ids());
    }
}
