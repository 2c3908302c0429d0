//! Which `Host` a request may name.
//!
//! A web page can make a browser ask this endpoint under the page's own name,
//! by resolving that name to 127.0.0.1 (DNS rebinding); the browser then takes
//! the answer for the page's. Such a request names the page's host, so only
//! known names are answered. A client that names no host at all (HTTP/1.0) is no
//! browser.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{Request, Version};

/// What the `Host` of a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostVerdict {
    /// One of ours.
    Allowed,
    /// Not a request of HTTP/1.1: none, several, or not a host.
    Malformed,
    /// Somebody else's.
    Foreign,
}

/// The names under which the endpoint answers.
pub(crate) struct Hosts {
    allowed: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self {
            allowed: allowed.iter().map(|host| normalized(host)).collect(),
        }
    }

    /// `local` is the address that the client connected to. Ports are not
    /// compared: a tunnel changes them.
    pub(crate) fn check<B>(&self, request: &Request<B>, local: IpAddr) -> HostVerdict {
        let mut headers = request.headers().get_all(HOST).iter();
        let header = headers.next();
        if headers.next().is_some() {
            return HostVerdict::Malformed;
        }
        // `GET http://host/metrics` names one as well; both must be ours.
        let of_target = request.uri().authority().map(Authority::host);
        let Some(header) = header else {
            return match of_target {
                Some(host) => self.judge(host, local),
                None if request.version() == Version::HTTP_10 => HostVerdict::Allowed,
                None => HostVerdict::Malformed,
            };
        };
        let Some(authority) = parse(header.as_bytes()) else {
            return HostVerdict::Malformed;
        };
        match of_target.map(|host| self.judge(host, local)) {
            None | Some(HostVerdict::Allowed) => self.judge(authority.host(), local),
            Some(verdict) => verdict,
        }
    }

    fn judge(&self, host: &str, local: IpAddr) -> HostVerdict {
        let host = normalized(host);
        let is_ours = host == "localhost"
            || host.parse().is_ok_and(|ip| is_our_address(ip, local))
            || self.allowed.contains(&host);
        if is_ours {
            HostVerdict::Allowed
        } else {
            HostVerdict::Foreign
        }
    }
}

fn is_our_address(ip: IpAddr, local: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip == local.to_canonical()
        || ip == IpAddr::from([127, 0, 0, 1])
        || ip == IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
}

/// Without port; user information is not for a `Host`.
fn parse(header: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(header).ok()?;
    let has_user = authority.as_str().contains('@');
    (!authority.host().is_empty() && !has_user).then_some(authority)
}

/// Lower case, without the brackets of IPv6 and the dot of a full name.
fn normalized(host: &str) -> String {
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 5));

    fn verdict(hosts: &[&str]) -> HostVerdict {
        let mut request = Request::builder().uri("/metrics");
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let allowed = Hosts::new(&["Metrics.Example.com".to_owned()]);
        allowed.check(&request.body(()).unwrap(), LOCAL)
    }

    #[test]
    fn our_names_and_addresses_are_allowed_with_any_port() {
        for host in [
            "localhost",
            "LOCALHOST:9090",
            "localhost.",
            "127.0.0.1:1",
            "[::1]:9090",
            "[::1]",
            "192.168.1.5:9090",
            "metrics.example.com",
            "metrics.example.com.:443",
        ] {
            assert_eq!(verdict(&[host]), HostVerdict::Allowed, "{host}");
        }
    }

    #[test]
    fn names_of_others_are_foreign() {
        for host in [
            "evil.example.com",
            "localhost.evil.example.com",
            "192.168.1.6",
            "127.0.0.1.evil.example.com",
            "metrics.example.com.evil.org:9090",
        ] {
            assert_eq!(verdict(&[host]), HostVerdict::Foreign, "{host}");
        }
    }

    #[test]
    fn no_host_two_hosts_and_nonsense_are_malformed() {
        for hosts in [
            &[][..],
            &["localhost", "localhost"],
            &[""],
            &["local host"],
            &["evil@localhost"],
        ] {
            assert_eq!(verdict(hosts), HostVerdict::Malformed, "{hosts:?}");
        }
    }

    #[test]
    fn host_of_the_request_target_counts_as_well() {
        let request = Request::builder()
            .uri("http://evil.example.com/metrics")
            .header(HOST, "localhost")
            .body(())
            .unwrap();
        let hosts = Hosts::new(&[]);
        assert_eq!(hosts.check(&request, LOCAL), HostVerdict::Foreign);
    }

    #[test]
    fn old_client_without_host_is_allowed() {
        let request = Request::builder()
            .version(Version::HTTP_10)
            .uri("/metrics")
            .body(())
            .unwrap();
        let hosts = Hosts::new(&[]);
        assert_eq!(hosts.check(&request, LOCAL), HostVerdict::Allowed);
    }
}
