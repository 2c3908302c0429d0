//! Which ways to upload a server offers: found out at first use, and again now
//! and then, since servers are updated and hooks added while daemons run.

use std::time::Duration;

use super::bulk::{Hook, look_for_hook};
use super::client::Transport;

/// What was missing is looked for again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// What did not say is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// The ways of one server, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    bulk: Bulk,
    /// `/api/batch` is missing: try again then.
    batch_again_at: Option<Duration>,
    note: Option<String>,
}

#[derive(Debug, Default)]
enum Bulk {
    #[default]
    Unasked,
    There,
    Missing {
        again_at: Duration,
    },
}

impl Ways {
    /// Whether the bulk route can be used; asks the server where necessary.
    pub(crate) fn may_bulk(
        &mut self,
        client: &impl Transport,
        collection: &str,
        now: Duration,
    ) -> bool {
        match self.bulk {
            Bulk::There => return true,
            Bulk::Missing { again_at } if now < again_at => return false,
            Bulk::Missing { .. } | Bulk::Unasked => {}
        }
        let hook = look_for_hook(client, collection);
        self.note = match &hook {
            Hook::Unusable(why) => Some(why.clone()),
            _ => None,
        };
        self.bulk = match hook {
            Hook::Usable { .. } => Bulk::There,
            Hook::Missing | Hook::Unusable(_) => Bulk::Missing {
                again_at: now + LOOK_AGAIN,
            },
            Hook::Unknown(_) => Bulk::Missing {
                again_at: now + ASK_AGAIN,
            },
        };
        matches!(self.bulk, Bulk::There)
    }

    /// The bulk route has gone.
    pub(crate) fn bulk_is_missing(&mut self, now: Duration) {
        self.bulk = Bulk::Missing {
            again_at: now + ASK_AGAIN,
        };
    }

    /// Whether `/api/batch` is worth a try.
    pub(crate) fn may_batch(&self, now: Duration) -> bool {
        self.batch_again_at.is_none_or(|at| at <= now)
    }

    /// The server has no `/api/batch`, or it is switched off.
    pub(crate) fn batch_is_missing(&mut self, now: Duration) {
        self.batch_again_at = Some(now + LOOK_AGAIN);
    }

    /// Something about the hook that somebody should know, once.
    pub(crate) fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }
}
