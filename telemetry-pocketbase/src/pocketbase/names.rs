//! The server's address, asked for now and then.
//!
//! `ureq` looks the name up for each request, also where a connection is open
//! already, and starts a thread for each look, so that it can have a limit. An
//! uploader makes several requests a second, for days, to one server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long an address is used without asking again: as long as names are kept
/// at least nearly everywhere.
const KEPT: Duration = Duration::from_secs(30);

/// Looks names up, and remembers the last answer until it is old or a request
/// has failed.
#[derive(Clone, Default)]
pub(super) struct Names {
    known: Arc<Mutex<Option<Known>>>,
}

struct Known {
    host: String,
    addresses: Vec<SocketAddr>,
    since: Instant,
}

impl Names {
    /// A request has failed: the server may have moved.
    pub(super) fn forget(&self) {
        *self.known() = None;
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => DefaultResolver::host_and_port(scheme, authority),
            _ => None,
        };
        let host = host.unwrap_or_default();
        if let Some(known) = &*self.known()
            && known.host == host
            && known.since.elapsed() < KEPT
        {
            let mut addresses = self.empty();
            known
                .addresses
                .iter()
                .for_each(|known| addresses.push(*known));
            return Ok(addresses);
        }
        let addresses = DefaultResolver::default().resolve(uri, config, timeout)?;
        *self.known() = Some(Known {
            host,
            addresses: addresses.to_vec(),
            since: Instant::now(),
        });
        Ok(addresses)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::super::client::{Client, Transport};
    use super::{Instant, Known};
    use crate::config::{PasswordSource, PocketBaseConfig};

    fn answer_one(listener: &TcpListener) {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = [0; 1024];
        // Nothing to read: who asked has found no way here.
        if stream.read(&mut head).expect("a request") > 0 {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).expect("answered");
        }
    }

    #[test]
    fn an_address_is_used_again_until_a_request_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let password = PasswordSource::Env(String::new());
        // No system knows this name.
        let host = format!("nowhere.invalid:{}", address.port());
        let config = PocketBaseConfig::new(format!("http://{host}"), "nobody", password, "nowhere");
        let client = Client::new(&config, None).expect("a client");
        *client.names().known() = Some(Known {
            host,
            addresses: vec![address],
            since: Instant::now(),
        });
        std::thread::scope(|scope| {
            scope.spawn(|| answer_one(&listener));
            let reply = client.get("/", None);
            // Nobody waits for a connection that does not come.
            if reply.is_err() {
                let _ = std::net::TcpStream::connect(address);
            }
            reply.expect("an answer from the address that was known");
        });
        drop(listener);
        client.get("/", None).expect_err("nobody is there");
        assert!(client.names().known().is_none());
    }

    #[test]
    fn what_the_system_answers_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let password = PasswordSource::Env(String::new());
        let url = format!("http://{address}");
        let config = PocketBaseConfig::new(&url, "nobody", password, "nowhere");
        let client = Client::new(&config, None).expect("a client");
        assert!(client.names().known().is_none());
        std::thread::scope(|scope| {
            scope.spawn(|| answer_one(&listener));
            client.get("/", None).expect("an answer");
        });
        let known = client.names().known();
        let addresses = known.as_ref().map(|known| known.addresses.clone());
        assert_eq!(addresses, Some(vec![address]));
    }
}
