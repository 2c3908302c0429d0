//! What the endpoint counts about itself.

use hyper::StatusCode;
use metrics::{Counter, Level, Metadata};

use crate::metric::{CONNECTION_OUTCOMES, HTTP_STATUSES, Metric};

/// How a connection ended; the order is that of [`CONNECTION_OUTCOMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By the client, or by us after the last answer.
    Closed,
    /// The client was too slow, or idle for too long.
    TimedOut,
    /// It broke, or the client does not speak HTTP.
    Failed,
    /// There were too many, and all were being answered.
    Refused,
    /// There were too many, and this one had waited longest for its client.
    Evicted,
}

/// Counters in the recorder of the process, whichever it is.
pub(crate) struct Counts {
    statuses: [Counter; HTTP_STATUSES.len()],
    connections: [Counter; CONNECTION_OUTCOMES.len()],
}

impl Counts {
    /// Dead ones if no recorder is installed yet.
    pub(crate) fn register() -> Self {
        Self {
            statuses: HTTP_STATUSES.map(|status| counter(Metric::HttpRequests, status)),
            connections: CONNECTION_OUTCOMES
                .map(|outcome| counter(Metric::HttpConnections, outcome)),
        }
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        let place = HTTP_STATUSES
            .iter()
            .position(|known| *known == status.as_str());
        if let Some(place) = place {
            self.statuses[place].increment(1);
        }
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.connections[outcome as usize].increment(1);
    }
}

fn counter(metric: Metric, value: &str) -> Counter {
    let metadata = Metadata::new("telemetry_metrics", Level::INFO, None);
    let key = metric.family().key(&[value]);
    metrics::with_recorder(|recorder| recorder.register_counter(&key, &metadata))
}
