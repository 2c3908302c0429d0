//! What can go wrong in this crate.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the recorder or the endpoint could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The process has a global recorder already, ours or another one.
    #[error("a metrics recorder is installed already; install one for each process")]
    AlreadyInstalled,
    /// A name that Prometheus does not take; the exporter would silently change
    /// it.
    #[error("`{name}` in metric family `{family}` is not a valid Prometheus name")]
    InvalidName {
        /// The family.
        family: &'static str,
        /// The name of the family or of its label.
        name: &'static str,
    },
    /// Two presets define the same family differently.
    #[error("metric family `{family}` is defined twice, and not in the same way")]
    Conflict {
        /// The family.
        family: &'static str,
    },
    /// Histogram buckets must exist and ascend.
    #[error("the buckets of histogram `{family}` are empty or do not ascend")]
    Buckets {
        /// The family.
        family: &'static str,
    },
    /// A preset does not give values for a label of its family.
    #[error("the preset of `{family}` gives no values for its label `{label}`")]
    MissingLabel {
        /// The family.
        family: &'static str,
        /// The label without values.
        label: &'static str,
    },
    /// A preset gives values for a label that its family does not have.
    #[error("metric family `{family}` has no label `{label}`")]
    UnknownLabel {
        /// The family.
        family: &'static str,
        /// The label that it does not have.
        label: &'static str,
    },
    /// Everybody who reaches the machine could read the endpoint.
    #[error(
        "refusing to listen on {address} without authentication: set `auth`, \
         bind to 127.0.0.1, or set `allow_remote_without_auth`"
    )]
    NotLocal {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The file with the token or hash is not there, or not ours to read.
    #[error("cannot read the credentials of the metrics endpoint in {}: {source}", path.display())]
    CredentialsUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file holds nothing that a client could be checked against.
    #[error("the credentials of the metrics endpoint in {} cannot be used: {problem}", path.display())]
    CredentialsInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The system has no random numbers, without which secrets cannot be
    /// compared safely.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// Most often: another process has the port.
    #[error("cannot listen on {address}: {}", advice(source))]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A setting of the endpoint with which it could not work.
    #[error("`{setting}` of the metrics endpoint must be at least {minimum}")]
    TooSmall {
        /// Name of the field of the configuration.
        setting: &'static str,
        /// The smallest value that works.
        minimum: u64,
    },
    /// The system gave us no thread or runtime.
    #[error("cannot start the thread `{name}`")]
    Thread {
        /// Name of the thread.
        name: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// What to do about an address on which one cannot listen.
fn advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::AddrInUse => "another process has the port; stop it, or set another `port`",
        ErrorKind::AddrNotAvailable => {
            "this machine does not have the address; set another `bind_address`"
        }
        ErrorKind::PermissionDenied => {
            "this user may not have the port; set a `port` of 1024 or more"
        }
        _ => "set another `port` or `bind_address`",
    }
}
