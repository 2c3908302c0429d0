//! The spans that a thread is in.
//!
//! The registry knows them too, but tells them only from behind its own
//! bookkeeping, which costs each event as much as all of its numbers. Here they
//! are a list that nobody else can see.

use std::cell::RefCell;
use std::thread::AccessError;

use tracing::span::Id;

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

struct Entered {
    /// The layer that was told, since ids are per registry.
    capture: u64,
    id: Id,
    /// The thread was inside already: as for the registry, the first time counts.
    again: bool,
}

impl Entered {
    fn is(&self, capture: u64, id: &Id) -> bool {
        self.capture == capture && self.id == *id
    }
}

pub(crate) fn enter(capture: u64, id: &Id) {
    let pushed = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let again = entered.iter().any(|other| other.is(capture, id));
        entered.push(Entered {
            capture,
            id: id.clone(),
            again,
        });
    });
    // Gone while destructors of thread locals run: `innermost` says so.
    let _ = pushed;
}

pub(crate) fn exit(capture: u64, id: &Id) {
    let removed = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let place = entered.iter().rposition(|other| other.is(capture, id));
        if let Some(place) = place {
            entered.remove(place);
        }
    });
    let _ = removed;
}

/// The innermost span of this layer.
///
/// # Errors
/// In the destructor of another thread local, when nobody knows here any more.
#[inline]
pub(crate) fn innermost(capture: u64) -> Result<Option<Id>, AccessError> {
    ENTERED.try_with(|entered| {
        let entered = entered.borrow();
        let mut own = entered.iter().rev();
        let found = own.find(|other| other.capture == capture && !other.again);
        found.map(|found| found.id.clone())
    })
}
