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
const USUAL_STATUSES: [&str; 4] = ["200", "400", "429", NO_ANSWER];

/// Counts requests.
pub(crate) struct Instruments {
    requests: Mutex<HashMap<(&'static str, &'static str), Requests>>,
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
        let label = status_label(status);
        let requests = {
            let mut known = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            known
                .entry((method, label))
                .or_insert_with(|| Requests::new(method, label))
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
    fn new(method: &'static str, status: &'static str) -> Self {
        Self {
            total: counter!("pocketbase_requests_total", "method" => method, "status" => status),
            seconds: histogram!("pocketbase_request_duration_seconds", "method" => method, "status" => status),
        }
    }
}

/// The status label of a request.
///
/// The codes that PocketBase and the proxies before it answer with are told as they are, any other
/// as its class: each label is a series for ever, and a server may make up what it likes.
fn status_label(status: Option<u16>) -> &'static str {
    let Some(status) = status else {
        return NO_ANSWER;
    };
    match status {
        200 => "200",
        201 => "201",
        204 => "204",
        301 => "301",
        302 => "302",
        307 => "307",
        308 => "308",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        411 => "411",
        413 => "413",
        415 => "415",
        421 => "421",
        422 => "422",
        429 => "429",
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        504 => "504",
        507 => "507",
        unusual => match unusual / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => "other",
        },
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_server_that_makes_up_statuses_makes_few_series() {
        let labels: BTreeSet<_> = (0..=u16::MAX)
            .map(|status| status_label(Some(status)))
            .collect();
        assert!(labels.len() <= 40, "{} labels: {labels:?}", labels.len());

        let instruments = Instruments::new();
        for status in 0..=u16::MAX {
            instruments.request("POST", Some(status), Duration::ZERO);
        }
        let known = instruments.requests.lock().expect("no panic");
        // The one that is not among them is of a request without an answer.
        assert_eq!(known.len(), labels.len() + 1);
    }

    #[test]
    fn usual_statuses_are_told_as_they_are_and_others_by_class() {
        for usual in [200, 204, 400, 401, 403, 404, 413, 429, 500, 502, 503, 504] {
            assert_eq!(status_label(Some(usual)), usual.to_string());
        }
        assert_eq!(status_label(Some(418)), "4xx");
        assert_eq!(status_label(Some(530)), "5xx");
        assert_eq!(status_label(Some(999)), "other");
        assert_eq!(status_label(None), "error");
    }
}
