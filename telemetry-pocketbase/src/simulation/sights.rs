//! What a run comes upon.

use std::collections::BTreeMap;

use crate::pocketbase::answers::Route;

/// How often each interesting thing happened.
pub type Seen = BTreeMap<&'static str, u64>;

/// Things that a large number of seeds must come upon, or the simulator has
/// become blind.
pub const SOMETIMES: &[&str] = &[
    // The server.
    "batch not readable",
    "batch too long",
    "body too large",
    "bulk not readable",
    "collection missed",
    "dead token noticed",
    "dead token used",
    "disk of the server full",
    "limit of a field told",
    "rate limit met",
    "rate limit met inside a batch",
    "resend recognised",
    "rule refused",
    "single create not readable",
    "stored in a batch",
    "stored in bulk",
    "stored singly",
    "way changed: batch to bulk",
    "way changed: batch to single",
    "way changed: bulk to batch",
    "way changed: bulk to single",
    "way changed: single to batch",
    "way changed: single to bulk",
    // The network.
    "answer lost: batch",
    "answer lost: bulk",
    "answer lost: single",
    "asked to come back later",
    "late request arrived",
    "token died between two requests of an upload",
    "ways changed between two requests of an upload",
    // The disk.
    "disk failed",
    "disk full",
    "file too short after a power cut",
    "killed in the middle of a write",
    "power cut in the middle of a write",
    "write lost",
    "write torn",
    // The spool.
    "evicted DEBUG",
    "evicted ERROR",
    "evicted INFO",
    "evicted TRACE",
    "evicted WARN",
    "removal undone by a crash",
    "senseless record taken out",
    "spool grown to its full size",
    "spool in memory lost",
    "spool opened tighter",
    "spool set aside",
    "transaction failed",
    "transaction failed and was there all the same",
    // The uploader.
    "sent out of the line",
    "line thrown away",
    "breaker closed by a probe",
    "breaker half-open",
    "breaker opened",
    "channel full",
    "dead letter",
    "dead letters full",
    "drain cut off by its deadline",
    "drained to the end",
    "ended while the breaker was closed",
    "ended while the breaker was half-open",
    "ended while the breaker was open",
    "ended with a request on its way",
    "flush answered",
    "probe failed",
    "record given up without a reason",
    "started half-open",
    "stopped with records in the spool",
    "turned away after the end",
    "witness called",
    // The rest of the world.
    "clock jumped back",
    "clock jumped forward",
    "killed",
    "killed in the middle of an upload",
    "power cut",
];

/// The sights of one part of the world.
#[derive(Debug, Default)]
pub(super) struct Sights(Seen);

impl Sights {
    pub(super) fn note(&mut self, what: &'static str) {
        self.count(what, 1);
    }

    pub(super) fn count(&mut self, what: &'static str, times: u64) {
        if times > 0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// Adds what another part has seen, which forgets it.
    pub(super) fn take(&mut self, other: &mut Self) {
        for (what, times) in std::mem::take(&mut other.0) {
            self.count(what, times);
        }
    }

    pub(super) fn into_seen(self) -> Seen {
        self.0
    }
}

pub(super) fn answer_lost(way: Route) -> &'static str {
    match way {
        Route::Bulk => "answer lost: bulk",
        Route::Batch => "answer lost: batch",
        Route::Single => "answer lost: single",
    }
}

pub(super) fn way_change(from: Route, to: Route) -> &'static str {
    match (from, to) {
        (Route::Bulk, Route::Batch) => "way changed: bulk to batch",
        (Route::Bulk, _) => "way changed: bulk to single",
        (Route::Batch, Route::Bulk) => "way changed: batch to bulk",
        (Route::Batch, _) => "way changed: batch to single",
        (Route::Single, Route::Bulk) => "way changed: single to bulk",
        (Route::Single, _) => "way changed: single to batch",
    }
}
