//! The side of the daemon.

use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::protocol::{MAX_LINE_BYTES, Request, Response};

/// How long a client may take to say what it wants, and to take the answer.
const CLIENT_LIMIT: Duration = Duration::from_secs(10);
/// Clients served at once; more wait in the backlog.
const MAX_CLIENTS: usize = 64;
/// The pause after an accept that failed, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Does what is asked; a request may take as long as a run.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// A control socket that accepts clients until it is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Control {
    /// Listens on `path`, for this user only. The caller holds the lock of the
    /// state directory, so that a socket found there is a dead one.
    ///
    /// # Errors
    /// If the socket cannot be made, for instance because the path is longer
    /// than the 107 bytes that Unix sockets allow.
    pub fn listen(path: &Path, handler: impl Handler) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            path: path.to_owned(),
            task: tokio::spawn(accept(listener, Arc::new(handler))),
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // Nobody can do anything about a socket that is gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, handler: Arc<impl Handler>) {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = Arc::clone(&handler);
                tokio::spawn(async move {
                    // A client that goes away has nobody left to be told.
                    let _ = serve(stream, &*handler).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket could not accept a client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(mut stream: UnixStream, handler: &impl Handler) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(MAX_LINE_BYTES));
    timeout(CLIENT_LIMIT, reader.read_line(&mut line)).await??;
    let response = match serde_json::from_str(&line) {
        Ok(request) => handler.handle(request).await,
        Err(error) => Response::Error(format!("not a request that this daemon knows: {error}")),
    };
    let mut answer = serde_json::to_string(&response)?;
    answer.push('\n');
    timeout(CLIENT_LIMIT, writer.write_all(answer.as_bytes())).await?
}

#[cfg(test)]
mod tests {
    use super::super::client::{ControlError, ask};
    use super::super::protocol::Reply;
    use super::*;

    struct Echo;
    impl Handler for Echo {
        async fn handle(&self, request: Request) -> Response {
            match request {
                Request::Trigger { job, .. } if job == "known" => Response::Ok(Reply::Triggered),
                _ => Response::Error("no".to_owned()),
            }
        }
    }

    async fn ask_aside(path: PathBuf, job: &str) -> Result<Reply, ControlError> {
        let request = Request::Trigger {
            job: job.to_owned(),
            wait: false,
        };
        tokio::task::spawn_blocking(move || ask(&path, &request))
            .await
            .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn answers_until_it_is_dropped_and_removes_the_socket() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("control.sock");
        std::fs::write(&path, "a dead socket").unwrap();
        let control = Control::listen(&path, Echo).unwrap();
        let known = ask_aside(path.clone(), "known").await;
        assert!(matches!(known, Ok(Reply::Triggered)));
        let unknown = ask_aside(path.clone(), "unknown").await;
        assert!(matches!(unknown, Err(ControlError::Refused(why)) if why == "no"));
        drop(control);
        assert!(!path.exists());
        let gone = ask_aside(path, "known").await;
        assert!(matches!(gone, Err(ControlError::NotRunning { .. })));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_request_gets_an_error() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("control.sock");
        let _control = Control::listen(&path, Echo).unwrap();
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"hello\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("not a request"), "{answer}");
    }
}
