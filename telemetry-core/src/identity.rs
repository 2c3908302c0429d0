//! Who a record comes from.

use std::fmt;

use uuid::Uuid;

/// The daemon and the session that records come from.
///
/// A small handle to text that is rendered once and kept for the rest of the
/// process: make one at the start, not one for each record.
#[derive(Clone, Copy)]
pub struct Identity(&'static Inner);

struct Inner {
    daemon_id: Uuid,
    session_id: Uuid,
    json: String,
}

impl Identity {
    /// This process as a session of `daemon_id`, with a session id of its own.
    ///
    /// The caller keeps `daemon_id` where it survives restarts; this crate
    /// opens no file.
    pub fn new(daemon_id: Uuid) -> Self {
        Self::with_session(daemon_id, Uuid::new_v4())
    }

    /// As [`new`](Self::new), with a session id that the caller chose.
    pub fn with_session(daemon_id: Uuid, session_id: Uuid) -> Self {
        let json = format!(r#","daemon_id":"{daemon_id}","session_id":"{session_id}","seq":"#);
        Self(Box::leak(Box::new(Inner {
            daemon_id,
            session_id,
            json,
        })))
    }

    /// The daemon: the same after a restart.
    pub fn daemon_id(self) -> Uuid {
        self.0.daemon_id
    }

    /// The session: another one in each process.
    pub fn session_id(self) -> Uuid {
        self.0.session_id
    }

    /// True for a copy of the same handle.
    pub(crate) fn is(self, other: Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }

    /// The end of a JSON line, up to the sequence number.
    pub(crate) fn json(self) -> &'static str {
        &self.0.json
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("daemon_id", &self.0.daemon_id)
            .field("session_id", &self.0.session_id)
            .finish()
    }
}
