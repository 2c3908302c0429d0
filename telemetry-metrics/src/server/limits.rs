//! How often one client may ask.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ratelimit::{Builder, Clock, Ratelimiter, TryWaitError};

use crate::error::MetricsError;
use crate::server::config::RateLimit;

/// Clients that are told apart at once. A client at rest is forgotten when there
/// are more, and when all are busy, new ones share one allowance: memory stays
/// bounded, whoever comes.
const MAX_CLIENTS: usize = 1024;

/// Time since some moment, that only goes forward.
pub(crate) type Now = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The allowances of the clients.
pub(crate) struct ClientLimits {
    limit: RateLimit,
    max_clients: usize,
    now: Now,
    clients: Mutex<HashMap<IpAddr, Client>>,
    newcomers: Ratelimiter<SharedClock>,
}

struct Client {
    allowance: Ratelimiter<SharedClock>,
    last_seen: Duration,
}

struct SharedClock(Now);

impl Clock for SharedClock {
    fn elapsed(&self) -> Duration {
        (self.0)()
    }
}

impl ClientLimits {
    pub(crate) fn new(limit: RateLimit, now: Now) -> Result<Self, MetricsError> {
        Ok(Self {
            newcomers: allowance(limit, &now)?,
            limit,
            max_clients: MAX_CLIENTS,
            now,
            clients: Mutex::default(),
        })
    }

    /// Takes one request off the allowance of a client, which is a [`network`].
    ///
    /// # Errors
    /// How long to wait, if nothing is left of it.
    pub(crate) fn take(&self, client: IpAddr) -> Result<(), Duration> {
        let now = (self.now)();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = self.admit(&mut clients, client, now) else {
            return take_from(&self.newcomers);
        };
        known.last_seen = now;
        take_from(&known.allowance)
    }

    /// The client's entry; a new one if there is room.
    fn admit<'a>(
        &self,
        clients: &'a mut HashMap<IpAddr, Client>,
        client: IpAddr,
        now: Duration,
    ) -> Option<&'a mut Client> {
        if !clients.contains_key(&client) {
            self.make_room(clients, now);
            if clients.len() >= self.max_clients {
                return None;
            }
            let new = Client {
                allowance: allowance(self.limit, &self.now).ok()?,
                last_seen: now,
            };
            clients.insert(client, new);
        }
        clients.get_mut(&client)
    }

    /// Forgets clients whose allowance is full again: they would be the same if
    /// they were new.
    fn make_room(&self, clients: &mut HashMap<IpAddr, Client>, now: Duration) {
        if clients.len() < self.max_clients {
            return;
        }
        let full_after = self.time_to_fill();
        clients.retain(|_, client| now.saturating_sub(client.last_seen) < full_after);
    }

    fn time_to_fill(&self) -> Duration {
        let rate = f64::from(self.limit.requests_per_second.max(1));
        Duration::from_secs_f64(f64::from(self.limit.burst) / rate)
    }
}

fn allowance(limit: RateLimit, now: &Now) -> Result<Ratelimiter<SharedClock>, MetricsError> {
    let rate = u64::from(limit.requests_per_second);
    let burst = u64::from(limit.burst);
    // The clock of an allowance starts with it, or the time before would count
    // as a pause.
    let (now, start) = (Arc::clone(now), now());
    let clock = SharedClock(Arc::new(move || now().saturating_sub(start)));
    Builder::with_clock(rate, clock)
        .max_tokens(burst)
        .initial_available(burst)
        .build()
        .map_err(|_| MetricsError::TooSmall {
            setting: "rate_limit.burst",
            minimum: 1,
        })
}

fn take_from(allowance: &Ratelimiter<SharedClock>) -> Result<(), Duration> {
    match allowance.try_wait() {
        Ok(()) => Ok(()),
        Err(TryWaitError::Insufficient(wait)) => Err(wait),
        Err(_) => Err(Duration::from_secs(1)),
    }
}

/// What counts as one client: an IPv4 address, or a /64 of IPv6, of which
/// everybody has as many addresses as they like.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let prefix = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct Bench {
        limits: ClientLimits,
        millis: Arc<AtomicU64>,
    }

    impl Bench {
        fn new(requests_per_second: u32, burst: u32) -> Self {
            let millis = Arc::new(AtomicU64::new(0));
            let clock = Arc::clone(&millis);
            let now: Now = Arc::new(move || Duration::from_millis(clock.load(Ordering::Relaxed)));
            let limit = RateLimit {
                requests_per_second,
                burst,
            };
            Self {
                limits: ClientLimits::new(limit, now).unwrap(),
                millis,
            }
        }

        fn pass(&self, millis: u64) {
            self.millis.fetch_add(millis, Ordering::Relaxed);
        }

        fn take(&self, client: &str) -> Result<(), Duration> {
            self.limits.take(network(client.parse().unwrap()))
        }

        fn clients(&self) -> usize {
            self.limits.clients.lock().unwrap().len()
        }
    }

    #[test]
    fn burst_then_rate_for_each_client() {
        let bench = Bench::new(10, 3);
        for _ in 0..3 {
            bench.take("10.0.0.1").unwrap();
        }
        let wait = bench.take("10.0.0.1").unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        bench.take("10.0.0.2").unwrap();
        bench.pass(100);
        bench.take("10.0.0.1").unwrap();
        bench.take("10.0.0.1").unwrap_err();
    }

    #[test]
    fn new_client_gets_no_more_than_its_burst() {
        let bench = Bench::new(10, 3);
        bench.pass(60_000);
        for _ in 0..3 {
            bench.take("10.0.0.1").unwrap();
        }
        bench.take("10.0.0.1").unwrap_err();
    }

    #[test]
    fn rate_of_zero_is_no_limit() {
        let bench = Bench::new(0, 1);
        for _ in 0..1000 {
            bench.take("10.0.0.1").unwrap();
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let bench = Bench::new(1, 1);
        bench.take("2001:db8::1").unwrap();
        bench.take("2001:db8::2").unwrap_err();
        bench.take("2001:db8:0:1::1").unwrap();
    }

    #[test]
    fn mapped_address_is_the_same_client() {
        let bench = Bench::new(1, 1);
        bench.take("10.0.0.1").unwrap();
        bench.take("::ffff:10.0.0.1").unwrap_err();
    }

    #[test]
    fn number_of_clients_is_bounded_and_newcomers_share() {
        let mut bench = Bench::new(1, 2);
        bench.limits.max_clients = 2;
        bench.take("10.0.0.1").unwrap();
        bench.take("10.0.0.2").unwrap();
        bench.take("10.0.0.3").unwrap();
        bench.take("10.0.0.4").unwrap();
        bench.take("10.0.0.5").unwrap_err();
        assert_eq!(bench.clients(), 2);
        bench.take("10.0.0.1").unwrap();
    }

    #[test]
    fn clients_at_rest_are_forgotten_for_new_ones() {
        let mut bench = Bench::new(1, 2);
        bench.limits.max_clients = 2;
        bench.take("10.0.0.1").unwrap();
        bench.take("10.0.0.2").unwrap();
        bench.pass(2000);
        bench.take("10.0.0.3").unwrap();
        assert_eq!(bench.clients(), 1);
    }
}
