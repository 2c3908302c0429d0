//! From a request to its answer.
//!
//! The steps in order: route, host, limits, page. A step answers itself or hands
//! on. (Authentication will stand between limits and page, so that guessing is
//! limited as well.)

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{Request, StatusCode};
use tokio::sync::Semaphore;

use crate::error::MetricsError;
use crate::server::answer::{self, Answer, Refusal};
use crate::server::config::ServerConfig;
use crate::server::counts::Counts;
use crate::server::endpoints::Endpoints;
use crate::server::hosts::{HostVerdict, Hosts};
use crate::server::limits::ClientLimits;
use crate::server::router::{Page, Route, route};

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peers {
    pub(crate) client: SocketAddr,
    pub(crate) local: IpAddr,
}

/// Answers the requests of all connections.
pub(crate) struct Service {
    endpoints: Endpoints,
    hosts: Hosts,
    clients: ClientLimits,
    scrapes: Arc<Semaphore>,
    request_timeout: Duration,
    counts: Arc<Counts>,
}

impl Service {
    pub(crate) fn new(
        config: &ServerConfig,
        endpoints: Endpoints,
        counts: Arc<Counts>,
    ) -> Result<Self, MetricsError> {
        let start = Instant::now();
        let now = Arc::new(move || start.elapsed());
        Ok(Self {
            endpoints,
            hosts: Hosts::new(&config.allowed_hosts),
            clients: ClientLimits::new(config.rate_limit, now)?,
            scrapes: Arc::new(Semaphore::new(config.max_scrapes)),
            request_timeout: config.request_timeout,
            counts,
        })
    }

    pub(crate) async fn answer<B>(&self, request: Request<B>, peers: Peers) -> Answer {
        let answer = match self.admit(&request, peers) {
            Ok(page) => self.show(page).await,
            Err(refusal) => answer::refused(refusal),
        };
        self.counts.answered(answer.status());
        answer
    }

    /// The page that the request may see.
    fn admit<B>(&self, request: &Request<B>, peers: Peers) -> Result<Page, Refusal> {
        let page = match route(request.method(), request.uri().path()) {
            Route::To(page) => page,
            Route::NoSuchPage => return Err(Refusal::NoSuchPage),
            Route::WrongMethod => return Err(Refusal::WrongMethod),
        };
        if page.needs_known_host() {
            match self.hosts.check(request, peers.local) {
                HostVerdict::Allowed => {}
                HostVerdict::Malformed => return Err(Refusal::BadHost),
                HostVerdict::Foreign => return Err(Refusal::ForeignHost),
            }
        }
        if page.is_limited() {
            let taken = self.clients.take(peers.client.ip());
            taken.map_err(|wait| Refusal::TooOften { wait })?;
        }
        Ok(page)
    }

    async fn show(&self, page: Page) -> Answer {
        match page {
            Page::Metrics => self.metrics().await,
            Page::Landing => answer::html(self.endpoints.landing()),
            Page::Alive => answer::alive(),
            Page::Ready => self.readiness(),
        }
    }

    /// Rendered on a blocking thread. The permit goes along: when we give up
    /// waiting, the work is still going on and still counts.
    async fn metrics(&self) -> Answer {
        let Ok(permit) = Arc::clone(&self.scrapes).try_acquire_owned() else {
            return answer::too_busy("too many scrapes at once");
        };
        let render = Arc::clone(&self.endpoints.render);
        let rendering = tokio::task::spawn_blocking(move || {
            let text = render();
            drop(permit);
            text
        });
        match tokio::time::timeout(self.request_timeout, rendering).await {
            Ok(Ok(text)) => answer::metrics(text),
            Ok(Err(error)) => {
                tracing::error!(
                    error_type = "metrics",
                    %error,
                    "cannot render the metrics"
                );
                answer::broken("the metrics could not be rendered; the log says more")
            }
            Err(_) => answer::too_busy("the metrics were not rendered in time"),
        }
    }

    fn readiness(&self) -> Answer {
        // A panic would close the connection without an answer. What it leaves
        // behind is the caller's, who is asked again the next time.
        let ask = AssertUnwindSafe(|| (self.endpoints.readiness)());
        let Ok(readiness) = catch_unwind(ask) else {
            return answer::broken("readiness is not known; the log says more");
        };
        let status = if readiness.is_ready() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        answer::json(status, &readiness.to_json())
    }
}
