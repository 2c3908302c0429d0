//! One connection, from accept to close.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::server::config::ServerConfig;
use crate::server::counts::Outcome;
use crate::server::room::Seat;
use crate::server::service::{Peers, Service};

/// The head of a request must fit into it; Prometheus sends about 300 bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The times that a connection gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    header: Duration,
    age: Duration,
    last_answer: Duration,
}

impl Times {
    pub(crate) fn of(config: &ServerConfig) -> Self {
        Self {
            header: config.header_timeout,
            age: config.connection_timeout,
            last_answer: config.request_timeout,
        }
    }
}

/// Serves the connection until the client goes, a limit is reached, its seat is
/// given to another, or `stop` changes; after the last, a request under way still
/// gets its answer.
pub(crate) async fn serve(
    stream: TcpStream,
    peers: Peers,
    service: Arc<Service>,
    seat: &Seat,
    times: Times,
    mut stop: watch::Receiver<()>,
) -> Outcome {
    let answering = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move {
            seat.begin_answer();
            let answer = service.answer(request, peers).await;
            seat.end_answer();
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        // Without a timer hyper has no timeout, and says nothing.
        .timer(TokioTimer::new())
        .header_read_timeout(times.header)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answering);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return outcome(ended),
        () = seat.must_leave() => return Outcome::Evicted,
        // A sender that is gone stops as well.
        _ = stop.changed() => {}
        () = tokio::time::sleep(times.age) => {}
    }
    connection.as_mut().graceful_shutdown();
    match tokio::time::timeout(times.last_answer, connection).await {
        Ok(ended) => outcome(ended),
        Err(_) => Outcome::TimedOut,
    }
}

fn outcome(ended: hyper::Result<()>) -> Outcome {
    match ended {
        Ok(()) => Outcome::Closed,
        Err(error) if error.is_timeout() => Outcome::TimedOut,
        Err(_) => Outcome::Failed,
    }
}
