//! The metrics of the uploader: handles made once, at the start.
//!
//! A recorder that is installed later sees nothing of them, so install it
//! before [`PocketBaseSink::start`](crate::PocketBaseSink::start).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};

use crate::delivery::Gauges;

/// The status label of a request without an answer.
const NO_ANSWER: &str = "error";

/// Statuses of POST that are there at 0 from the start.
const USUAL_STATUSES: [Option<u16>; 4] = [Some(200), Some(400), Some(429), None];

/// Counts requests.
pub(crate) struct Instruments {
    requests: Mutex<HashMap<(&'static str, Option<u16>), Requests>>,
    connection_errors: Counter,
    upload_errors: Counter,
}

#[derive(Clone)]
struct Requests {
    total: Counter,
    seconds: Histogram,
}

impl Instruments {
    /// Registers with the recorder that is installed now.
    pub(crate) fn new() -> Self {
        let usual = USUAL_STATUSES
            .into_iter()
            .map(|status| (("POST", status), Requests::new("POST", status)))
            .collect();
        Self {
            requests: Mutex::new(usual),
            connection_errors: counter!("pocketbase_connection_errors_total"),
            upload_errors: counter!("log_upload_errors_total"),
        }
    }

    /// A request came to an end; `status` is that of the answer, if there was
    /// one.
    pub(crate) fn request(&self, method: &'static str, status: Option<u16>, took: Duration) {
        let requests = {
            let mut known = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            known
                .entry((method, status))
                .or_insert_with(|| Requests::new(method, status))
                .clone()
        };
        requests.total.increment(1);
        requests.seconds.record(took.as_secs_f64());
        if status.is_none() {
            self.connection_errors.increment(1);
        }
    }

    /// A request that carried records did not store them.
    pub(crate) fn upload_error(&self) {
        self.upload_errors.increment(1);
    }
}

impl Requests {
    fn new(method: &'static str, status: Option<u16>) -> Self {
        let status = status.map_or(NO_ANSWER.to_owned(), |status| status.to_string());
        Self {
            total: counter!("pocketbase_requests_total", "method" => method, "status" => status.clone()),
            seconds: histogram!("pocketbase_request_duration_seconds", "method" => method, "status" => status),
        }
    }
}

/// The gauges of the uploader.
pub(crate) fn gauges() -> Gauges {
    Gauges {
        buffered: gauge!("log_buffer_size"),
        spool_bytes: gauge!("log_spool_bytes"),
        breaker: gauge!("pocketbase_circuit_breaker_state"),
        dead_letters: gauge!("log_dead_letters"),
    }
}
