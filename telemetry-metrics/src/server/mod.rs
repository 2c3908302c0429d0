//! The HTTP endpoint.

mod answer;
mod auth;
mod config;
mod connection;
mod counts;
mod encoding;
mod endpoints;
mod hosts;
mod limits;
mod page;
mod room;
mod router;
mod service;
mod thread;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::MetricsError;
use auth::Guard;
use connection::Times;
use counts::{Counts, Outcome};
use room::{Room, Seat};
use service::{Peers, Service};

pub use auth::Auth;
pub use config::{
    DEFAULT_BIND_ADDRESS, DEFAULT_BURST, DEFAULT_CONNECTION_TIMEOUT, DEFAULT_HEADER_TIMEOUT,
    DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_SCRAPES, DEFAULT_PORT, DEFAULT_REQUEST_TIMEOUT,
    DEFAULT_REQUESTS_PER_SECOND, DEFAULT_SHUTDOWN_TIMEOUT, RateLimit, ServerConfig,
};
pub use endpoints::{Endpoints, Readiness};
pub use thread::ServerThread;

/// How long accepting rests after an error, which is mostly "too many open
/// files" and does not go away by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client gets that is one too many. Written as it is: there is no room
/// for a connection that would have to be read first.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";

/// An endpoint that listens: `/metrics`, `/`, `/healthz` and `/readyz`.
///
/// On a runtime of the caller's:
///
/// ```
/// use telemetry_metrics::{Endpoints, Handle, MetricsServer, ServerConfig};
///
/// # async fn example() -> Result<(), telemetry_metrics::MetricsError> {
/// let handle = Handle::build(&[])?;
/// let server = MetricsServer::bind(ServerConfig { port: 0, ..ServerConfig::default() }).await?;
/// println!("http://{}/metrics", server.local_addr());
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let serving = server.serve(Endpoints::new(move || handle.render()), async {
///     let _ = stopped.await;
/// });
/// # drop(stop);
/// serving.await
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// #     .block_on(example()).unwrap();
/// ```
///
/// Or on a thread of its own: [`spawn`](Self::spawn).
pub struct MetricsServer {
    config: ServerConfig,
    guard: Option<Guard>,
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsServer {
    /// Checks the settings, reads the credentials and listens. Clients wait until
    /// [`serve`](Self::serve).
    ///
    /// # Errors
    /// [`MetricsError::NotLocal`] for an address that others can reach without
    /// authentication, [`MetricsError::CredentialsUnreadable`] and
    /// [`MetricsError::CredentialsInvalid`], [`MetricsError::Bind`] if the port
    /// is taken, [`MetricsError::TooSmall`], [`MetricsError::NoRandomness`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn bind(config: ServerConfig) -> Result<Self, MetricsError> {
        config.check()?;
        let guard = config.auth.as_ref().map(Guard::open).transpose()?;
        let failed = |source| MetricsError::Bind {
            address: config.address(),
            source,
        };
        let listener = TcpListener::bind(config.address()).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            config,
            guard,
            listener,
            address,
        })
    }

    /// Listens and serves on a thread of its own, named `metrics-http`, with a
    /// small runtime. May be called from anywhere; waits until it listens.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind), and [`MetricsError::Thread`].
    pub fn spawn(config: ServerConfig, endpoints: Endpoints) -> Result<ServerThread, MetricsError> {
        ServerThread::start(config, endpoints)
    }

    /// Where it listens: with the real port if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready; then takes no more connections, gives the
    /// answers that are under way `shutdown_timeout` to end, and cuts the rest.
    ///
    /// # Errors
    /// None that [`bind`](Self::bind) would not have found.
    pub async fn serve(
        self,
        endpoints: Endpoints,
        stop: impl Future<Output = ()>,
    ) -> Result<(), MetricsError> {
        let counts = Arc::new(Counts::register());
        let service = Service::new(&self.config, self.guard, endpoints, Arc::clone(&counts))?;
        let mut connections = Connections {
            service: Arc::new(service),
            counts,
            times: Times::of(&self.config),
            room: Room::new(self.config.max_connections),
            tasks: JoinSet::new(),
            stop: watch::Sender::new(()),
        };
        tokio::select! {
            () = connections.accept_from(&self.listener) => {}
            () = stop => {}
        }
        drop(self.listener);
        connections.end(self.config.shutdown_timeout).await;
        Ok(())
    }
}

impl std::fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The connections of a server.
struct Connections {
    service: Arc<Service>,
    counts: Arc<Counts>,
    times: Times,
    room: Room,
    tasks: JoinSet<()>,
    stop: watch::Sender<()>,
}

impl Connections {
    /// Never ends by itself; may be dropped between two connections.
    async fn accept_from(&mut self, listener: &TcpListener) {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => self.take(stream, client),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection for metrics");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                // Keeps the set small.
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    fn take(&mut self, stream: TcpStream, client: SocketAddr) {
        let Some(seat) = self.room.take() else {
            self.counts.ended(Outcome::Refused);
            refuse(stream);
            return;
        };
        let Ok(local) = stream.local_addr() else {
            // The client has gone already.
            self.counts.ended(Outcome::Failed);
            return;
        };
        let peers = Peers {
            client,
            local: local.ip(),
        };
        self.tasks.spawn(self.connection(stream, peers, seat));
    }

    fn connection(
        &self,
        stream: TcpStream,
        peers: Peers,
        seat: Seat,
    ) -> impl Future<Output = ()> + use<> {
        let counts = Arc::clone(&self.counts);
        let service = Arc::clone(&self.service);
        let (times, stop) = (self.times, self.stop.subscribe());
        async move {
            let outcome = connection::serve(stream, peers, service, &seat, times, stop).await;
            counts.ended(outcome);
        }
    }

    async fn end(mut self, limit: Duration) {
        // Nobody listens if there are no connections.
        let _ = self.stop.send(());
        let all_done = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all_done).await.is_err() {
            let cut = self.tasks.len();
            tracing::warn!(cut, "connections for metrics were not done in time");
            self.tasks.shutdown().await;
        }
    }
}

/// Tells a client that it is one too many, without waiting for anything: all
/// calls are non-blocking, and what fails is the client's loss.
fn refuse(stream: TcpStream) {
    let Ok(mut stream) = stream.into_std() else {
        return;
    };
    // A close with unread data would be a reset, and the answer lost with it.
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write(FULL);
    let _ = stream.shutdown(Shutdown::Write);
}
