//! The side of the commands.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{MAX_LINE_BYTES, Reply, Request, Response};

/// Longest wait for an answer that needs no run.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Why the daemon gave no good answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The socket is somebody else's.
    #[error(
        "{socket} is for another user's sync-daemon ({source}); only that user and root may ask it"
    )]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
        /// Why connecting failed.
        source: io::Error,
    },
    /// Nobody listens.
    #[error("no sync-daemon runs on {socket} ({source}); start one with `sync-daemon start`")]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// Why connecting failed.
        source: io::Error,
    },
    /// The connection broke, or the answer did not come in time.
    #[error("the daemon on {socket} gave no answer: {source}")]
    NoAnswer {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answer is none that this version understands.
    #[error("the daemon on {socket} answered what this version does not understand: {source}")]
    BadAnswer {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The daemon would not do it.
    #[error("{0}")]
    Refused(String),
}

/// Asks the daemon that listens on `socket`. Blocks: 10 seconds at most, or, for
/// a request that waits for a run, as long as the run takes.
///
/// # Errors
/// If no daemon runs, or it refuses.
pub fn ask(socket: &Path, request: &Request) -> Result<Reply, ControlError> {
    let stream = UnixStream::connect(socket).map_err(|source| cannot_connect(socket, source))?;
    let line = exchange(stream, request).map_err(|source| ControlError::NoAnswer {
        socket: socket.to_owned(),
        source,
    })?;
    let response: Response =
        serde_json::from_str(&line).map_err(|source| ControlError::BadAnswer {
            socket: socket.to_owned(),
            source,
        })?;
    match response {
        Response::Ok(reply) => Ok(reply),
        Response::Error(why) => Err(ControlError::Refused(why)),
    }
}

fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<String> {
    let waits_for_a_run = matches!(request, Request::Trigger { wait: true, .. });
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    stream.set_read_timeout((!waits_for_a_run).then_some(ANSWER_LIMIT))?;
    let mut question = serde_json::to_string(request)?;
    question.push('\n');
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_LINE_BYTES)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

fn cannot_connect(socket: &Path, source: io::Error) -> ControlError {
    let socket = socket.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied => ControlError::NotAllowed { socket, source },
        _ => ControlError::NotRunning { socket, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_daemon_is_not_taken_for_none() {
        let told = |kind: io::ErrorKind| {
            let error = cannot_connect(Path::new("control.sock"), kind.into());
            error.to_string()
        };
        assert!(told(io::ErrorKind::PermissionDenied).contains("another user's"));
        assert!(told(io::ErrorKind::ConnectionRefused).starts_with("no sync-daemon runs"));
        assert!(told(io::ErrorKind::NotFound).starts_with("no sync-daemon runs"));
    }
}
