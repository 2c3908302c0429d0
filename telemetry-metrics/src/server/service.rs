//! From a request to its answer.
//!
//! The steps in order: route, host, limits, credentials, page. A step answers
//! itself or hands on. The limits come before the credentials, so that guessing
//! is limited as well.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{HeaderMap, Request, StatusCode};
use tokio::sync::Semaphore;

use crate::error::MetricsError;
use crate::server::answer::{self, Answer, Refusal};
use crate::server::auth::{Denial, Guard};
use crate::server::config::ServerConfig;
use crate::server::counts::Counts;
use crate::server::encoding::Encoding;
use crate::server::endpoints::Endpoints;
use crate::server::hosts::{HostVerdict, Hosts};
use crate::server::limits::{ClientLimits, network};
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
    guard: Option<Guard>,
    scrapes: Arc<Semaphore>,
    request_timeout: Duration,
    counts: Arc<Counts>,
}

impl Service {
    pub(crate) fn new(
        config: &ServerConfig,
        guard: Option<Guard>,
        endpoints: Endpoints,
        counts: Arc<Counts>,
    ) -> Result<Self, MetricsError> {
        let start = Instant::now();
        let now = Arc::new(move || start.elapsed());
        Ok(Self {
            endpoints,
            hosts: Hosts::new(&config.allowed_hosts),
            clients: ClientLimits::new(config.rate_limit, now)?,
            guard,
            scrapes: Arc::new(Semaphore::new(config.max_scrapes)),
            request_timeout: config.request_timeout,
            counts,
        })
    }

    pub(crate) async fn answer<B>(&self, request: Request<B>, peers: Peers) -> Answer {
        let encoding = Encoding::accepted_by(request.headers());
        let answer = match self.admit(&request, peers).await {
            Ok(page) => self.show(page, encoding).await,
            Err(refusal) => answer::refused(refusal),
        };
        self.counts.answered(answer.status());
        answer
    }

    /// The page that the request may see.
    async fn admit<B>(&self, request: &Request<B>, peers: Peers) -> Result<Page, Refusal> {
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
        if page.is_guarded() {
            let client = network(peers.client.ip());
            let taken = self.clients.take(client);
            taken.map_err(|wait| Refusal::TooOften { wait })?;
            self.check_credentials(request.headers(), client).await?;
        }
        Ok(page)
    }

    async fn check_credentials(&self, headers: &HeaderMap, client: IpAddr) -> Result<(), Refusal> {
        let Some(guard) = &self.guard else {
            return Ok(());
        };
        let admitted =
            tokio::time::timeout(self.request_timeout, guard.admit(headers, client)).await;
        match admitted.map_err(|_| Refusal::TooSlow)? {
            Ok(()) => Ok(()),
            Err(Denial::Wrong { challenge }) => Err(Refusal::Unauthorized { challenge }),
            Err(Denial::Busy) => Err(Refusal::TooBusy),
            Err(Denial::Broken) => Err(Refusal::NobodyGetsIn),
        }
    }

    async fn show(&self, page: Page, encoding: Encoding) -> Answer {
        match page {
            Page::Metrics => {
                let render = Arc::clone(&self.endpoints.render);
                self.make(move || answer::metrics(render(), encoding)).await
            }
            Page::Landing => {
                let landing = self.endpoints.page.clone();
                self.make(move || answer::page(&landing, encoding)).await
            }
            Page::LandingData => self.landing_data(encoding).await,
            Page::Alive => answer::alive(),
            Page::Ready => self.readiness(),
        }
    }

    async fn landing_data(&self, encoding: Encoding) -> Answer {
        let Some(data) = self.endpoints.page.data.clone() else {
            // The list of what there is to see has no script.
            return answer::refused(Refusal::NoSuchPage);
        };
        let make = move || answer::page_data(&data(), encoding);
        self.make(make).await
    }

    /// Makes an answer on a blocking thread. The permit goes along: when we give
    /// up waiting, the work is still going on and still counts.
    async fn make(&self, make: impl FnOnce() -> Answer + Send + 'static) -> Answer {
        let Ok(permit) = Arc::clone(&self.scrapes).try_acquire_owned() else {
            return answer::too_busy("too many scrapes at once");
        };
        let making = tokio::task::spawn_blocking(move || {
            let answer = make();
            drop(permit);
            answer
        });
        match tokio::time::timeout(self.request_timeout, making).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::error!(error_type = "metrics", %error, "cannot make a page of metrics");
                answer::broken("this page could not be made; the log says more")
            }
            Err(_) => answer::too_busy("this page was not made in time"),
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
