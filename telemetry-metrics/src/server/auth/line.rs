//! The line before the one hash that is computed at a time.
//!
//! Guessing must not keep honest clients out: whoever waits here holds a
//! connection. So the line is short, and no client takes more than a part of it;
//! one that finds no place is told to come again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places in the line, the one at the counter included.
const MAX_WAITING: usize = 16;

/// Places of one client. Browsers and scrapers ask for several pages at a time.
const MAX_OF_CLIENT: usize = 4;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Line {
    turn: Arc<Semaphore>,
    waiting: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place in the line; given back when it is dropped.
pub(crate) struct Place {
    line: Line,
    client: IpAddr,
}

/// It is this one's turn, until it is dropped.
pub(crate) struct Turn {
    _place: Place,
    _permit: OwnedSemaphorePermit,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            waiting: Arc::default(),
        }
    }

    /// A place at the end; `None` if there is none for this client.
    pub(crate) fn join(&self, client: IpAddr) -> Option<Place> {
        let mut waiting = self.waiting();
        let is_full = waiting.values().sum::<usize>() >= MAX_WAITING;
        let of_client = waiting.get(&client).copied().unwrap_or_default();
        if is_full || of_client >= MAX_OF_CLIENT {
            return None;
        }
        waiting.insert(client, of_client + 1);
        drop(waiting);
        Some(Place {
            line: self.clone(),
            client,
        })
    }

    /// From now on nobody's turn comes.
    #[cfg(test)]
    pub(crate) fn close(&self) {
        self.turn.close();
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for its turn; `None` if nobody's comes any more.
    pub(crate) async fn turn(self) -> Option<Turn> {
        let permit = Arc::clone(&self.line.turn).acquire_owned().await.ok()?;
        Some(Turn {
            _place: self,
            _permit: permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.line.waiting();
        if let Some(count) = waiting.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    #[test]
    fn one_client_does_not_take_the_whole_line() {
        let line = Line::new();
        let guesses: Vec<_> = (0..20).map_while(|_| line.join(client(1))).collect();
        assert_eq!(guesses.len(), MAX_OF_CLIENT);
        assert!(line.join(client(2)).is_some());
    }

    #[test]
    fn line_is_bounded_and_places_come_back() {
        let line = Line::new();
        let places: Vec<_> = (0..=u8::MAX)
            .map_while(|number| line.join(client(number)))
            .collect();
        assert_eq!(places.len(), MAX_WAITING);
        drop(places);
        assert!(line.waiting().is_empty());
        assert!(line.join(client(0)).is_some());
    }

    #[test]
    fn a_turn_keeps_its_place_until_it_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let line = Line::new();
        let turn = runtime.block_on(line.join(client(1)).unwrap().turn());
        assert_eq!(line.waiting()[&client(1)], 1);
        drop(turn);
        assert!(line.waiting().is_empty());
    }
}
