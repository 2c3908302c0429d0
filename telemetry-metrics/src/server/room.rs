//! How many connections there are, and which one gives way to a new one.
//!
//! Somebody who opens connections and sends nothing must not keep others out.
//! So a new connection is taken although there is no room, and the one that has
//! waited longest for its client is closed instead: a client that sends its
//! request at once is never that one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Counts connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Room {
    max: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The number of the next pause.
    next: u64,
    /// Those that wait for their clients, by the number of their pause: the first
    /// has waited longest.
    waiting: BTreeMap<u64, Arc<Notify>>,
    /// How many are being answered.
    answering: usize,
}

/// The place of one connection; given back when it is dropped.
pub(crate) struct Seat {
    room: Room,
    must_leave: Arc<Notify>,
    place: Mutex<Place>,
}

#[derive(Clone, Copy)]
enum Place {
    /// Waits for the client since the pause of this number.
    Waiting(u64),
    Answering,
}

impl Room {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            state: Arc::default(),
        }
    }

    /// A seat for a new connection; `None` if all others are being answered.
    pub(crate) fn take(&self) -> Option<Seat> {
        let mut state = self.state();
        if state.waiting.len() + state.answering >= self.max {
            let (_, longest) = state.waiting.pop_first()?;
            longest.notify_one();
        }
        let must_leave = Arc::new(Notify::new());
        let pause = state.pause(&must_leave);
        drop(state);
        Some(Seat {
            room: self.clone(),
            must_leave,
            place: Mutex::new(Place::Waiting(pause)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pause(&mut self, must_leave: &Arc<Notify>) -> u64 {
        let pause = self.next;
        self.next += 1;
        self.waiting.insert(pause, Arc::clone(must_leave));
        pause
    }
}

impl Seat {
    /// A request has arrived: now nobody takes the seat.
    pub(crate) fn begin_answer(&self) {
        let mut place = self.place();
        let mut state = self.room.state();
        if let Place::Waiting(pause) = *place
            // Otherwise it has been asked to leave already.
            && state.waiting.remove(&pause).is_some()
        {
            state.answering += 1;
            *place = Place::Answering;
        }
    }

    /// The answer is made: the connection waits for its client again.
    pub(crate) fn end_answer(&self) {
        let mut place = self.place();
        let mut state = self.room.state();
        if matches!(*place, Place::Answering) {
            state.answering -= 1;
            *place = Place::Waiting(state.pause(&self.must_leave));
        }
    }

    /// Ready when the seat has been given to another connection.
    pub(crate) async fn must_leave(&self) {
        self.must_leave.notified().await;
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let place = *self.place();
        let mut state = self.room.state();
        match place {
            // Not there if it was asked to leave.
            Place::Waiting(pause) => drop(state.waiting.remove(&pause)),
            Place::Answering => state.answering -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn must_leave(seat: &Seat) -> bool {
        let mut leaving = std::pin::pin!(seat.must_leave());
        let mut context = Context::from_waker(Waker::noop());
        leaving.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn the_one_that_has_waited_longest_gives_way() {
        let room = Room::new(2);
        let (first, second) = (room.take().unwrap(), room.take().unwrap());
        // It has just been answered, so the other one has waited longer.
        first.begin_answer();
        first.end_answer();
        let third = room.take().unwrap();
        assert!(must_leave(&second));
        assert!(!must_leave(&first) && !must_leave(&third));
    }

    #[test]
    fn nobody_gives_way_while_being_answered() {
        let room = Room::new(2);
        let seats = [room.take().unwrap(), room.take().unwrap()];
        for seat in &seats {
            seat.begin_answer();
        }
        assert!(room.take().is_none());
        seats[0].end_answer();
        assert!(room.take().is_some());
        assert!(must_leave(&seats[0]));
    }

    #[test]
    fn seats_come_back_when_they_are_dropped() {
        let room = Room::new(1);
        for _ in 0..3 {
            let seat = room.take().unwrap();
            assert!(!must_leave(&seat));
            seat.begin_answer();
        }
        let state = room.state();
        assert_eq!((state.waiting.len(), state.answering), (0, 0));
    }

    #[test]
    fn request_that_comes_too_late_does_not_take_the_seat_back() {
        let room = Room::new(1);
        let late = room.take().unwrap();
        let new = room.take().unwrap();
        late.begin_answer();
        late.end_answer();
        drop(late);
        new.begin_answer();
        assert!(room.take().is_none());
    }
}
