//! A server on a thread of its own.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::error::MetricsError;
use crate::server::MetricsServer;
use crate::server::config::ServerConfig;
use crate::server::endpoints::Endpoints;

const THREAD: &str = "metrics-http";

/// Time beyond `shutdown_timeout` for the thread itself to end, with a
/// rendering that hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// Threads beside those of scrapes, so that credentials can be checked although
/// all renderings hang: one hashes, one reads files.
const CREDENTIAL_THREADS: usize = 2;

/// A server on the thread `metrics-http`; made by
/// [`MetricsServer::spawn`]. Dropping it stops the server, and waits up to
/// `shutdown_timeout` and two seconds for that.
#[must_use = "dropping it stops the server"]
#[derive(Debug)]
pub struct ServerThread {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    /// In a mutex only so that a static can hold the guard.
    ended: Mutex<Receiver<()>>,
    limit: Duration,
}

impl ServerThread {
    pub(crate) fn start(config: ServerConfig, endpoints: Endpoints) -> Result<Self, MetricsError> {
        config.check()?;
        let limit = config.shutdown_timeout + 2 * PATIENCE;
        let failed = |source| MetricsError::Thread {
            name: THREAD,
            source,
        };
        let runtime = runtime(&config).map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let (started, start) = channel();
        let (end, ended) = channel();
        std::thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || {
                runtime.block_on(run(config, endpoints, started, stopped));
                runtime.shutdown_timeout(PATIENCE);
                drop(end);
            })
            .map_err(failed)?;
        // The thread either reports or is gone: binding to an address takes no
        // name server, so there is nothing to wait long for.
        let address = match start.recv() {
            Ok(bound) => bound?,
            Err(_) => return Err(failed(std::io::Error::other("the thread panicked"))),
        };
        Ok(Self {
            address,
            stop: Some(stop),
            ended: Mutex::new(ended),
            limit,
        })
    }

    /// Where it listens: with the real port if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server, as dropping does.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error says that the thread has ended already.
            let _ = stop.send(());
        }
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(self.limit) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the metrics endpoint hangs; its thread is left behind");
        }
    }
}

fn runtime(config: &ServerConfig) -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_name("metrics-render")
        .max_blocking_threads(config.max_scrapes + CREDENTIAL_THREADS)
        .build()
}

async fn run(
    config: ServerConfig,
    endpoints: Endpoints,
    started: Sender<Result<SocketAddr, MetricsError>>,
    stopped: oneshot::Receiver<()>,
) {
    let server = match MetricsServer::bind(config).await {
        Ok(server) => server,
        Err(error) => {
            // The spawner waits for this, and returns it.
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(server.local_addr()));
    let stop = async {
        // A guard that is gone stops as well.
        let _ = stopped.await;
    };
    if let Err(error) = server.serve(endpoints, stop).await {
        tracing::error!(error_type = "metrics", %error, "the metrics endpoint stopped");
    }
}
