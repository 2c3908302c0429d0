//! The model of a server, from outside: for the suite that asks it and a real
//! one the same.

use std::time::Duration;

use super::model::{COLLECTION, IDENTITY, Model, PASSWORD};
use crate::pocketbase::answers::{Route, Seen, classify};
use crate::pocketbase::bulk::{bulk_path, verdicts};
use crate::pocketbase::client::Reply;

/// A way to upload records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the route of the hook file.
    Bulk,
    /// By `/api/batch`.
    Batch,
    /// By one create for each record.
    Single,
}

impl Way {
    /// Where the records go.
    pub fn path(self) -> String {
        match self {
            Self::Bulk => bulk_path(COLLECTION),
            Self::Batch => "/api/batch?fields=status".to_owned(),
            Self::Single => format!("/api/collections/{COLLECTION}/records?fields=id"),
        }
    }

    /// What the uploader understands of an answer to a request of `count`
    /// records.
    pub fn understands(self, count: usize, status: u16, body: &str) -> String {
        let reply = Reply {
            status,
            retry_after: None,
            body: body.to_owned(),
        };
        let route = match self {
            Self::Bulk => Route::Bulk,
            Self::Batch => Route::Batch,
            Self::Single => Route::Single,
        };
        if self == Self::Bulk
            && let Some(verdicts) = verdicts(&reply, count)
        {
            return format!("{verdicts:?}");
        }
        format!("{:?}", classify(&Seen::new(route, count, &reply)))
    }
}

/// Something about a server that changes its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The hook file is there.
    Hook(bool),
    /// `/api/batch` takes so many requests; `None`: it is switched off.
    Batch(Option<usize>),
    /// A batch may have so many bytes.
    BatchBytes(usize),
    /// The collection of the records is there.
    Collection(bool),
    /// Its rule lets the account create records.
    Allowed(bool),
    /// So many creates in five seconds; `None`: any number.
    Creates(Option<u32>),
    /// A message may have so many characters.
    MessageLength(usize),
    /// All tokens that were given so far are dead.
    DeadTokens,
}

/// A model of PocketBase as `pocketbase setup` leaves it, without the hook.
#[derive(Debug, Default)]
pub struct ModelServer(Model);

impl ModelServer {
    /// Who may sign in, and the password.
    pub fn account(&self) -> (&'static str, &'static str) {
        (IDENTITY, PASSWORD)
    }

    /// Changes the server.
    pub fn set(&mut self, condition: Condition) {
        let setup = &mut self.0.setup;
        match condition {
            Condition::Hook(is_there) => setup.hook = is_there,
            Condition::Batch(most) => setup.batch = most,
            Condition::BatchBytes(most) => setup.max_body = most,
            Condition::Collection(is_there) => setup.collection = is_there,
            Condition::Allowed(is_allowed) => setup.allows = is_allowed,
            Condition::Creates(most) => setup.rate_limit = most,
            Condition::MessageLength(most) => setup.max_message = most,
            Condition::DeadTokens => self.0.generation += 1,
        }
    }

    /// Answers a request; without a body it is a GET.
    pub fn request(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> (u16, String) {
        const NOW: Duration = Duration::from_secs(1_800_000_000);
        let reply = self.0.handle(NOW, path, token, body);
        (reply.status, reply.body)
    }

    /// The ids of what it has stored, in the order of their arrival.
    pub fn ids(&self) -> Vec<String> {
        self.0.rows.iter().map(|row| row.id.clone()).collect()
    }
}
