//! What the answers of the server mean: one table.
//!
//! PocketBase practically never answers 5xx: a dead token, a full disk, a
//! locked database and a refused record are all HTTP 400, and only the body
//! tells them apart. The rows are tried in order; the first that applies counts.

use std::time::Duration;

use serde_json::{Map, Value};

use super::client::Reply;
use super::limits::Told;
use crate::delivery::Doubt;
use crate::planted;

/// Codes of the field `id` that say: there is a record of this id. The second
/// is that of PocketBase 0.22, the third that of a changed pattern of ids.
const DUPLICATE_CODES: [&str; 3] = [
    "validation_not_unique",
    "validation_invalid_id",
    "validation_pk_invalid",
];

/// Most characters of a server's message that are repeated.
const MAX_MESSAGE: usize = 200;

/// The way a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    /// The bulk route of our hook: all that it does not refuse, or nothing.
    Bulk,
    /// `/api/batch`: all or nothing.
    Batch,
    /// One create.
    Single,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// All records are stored.
    Stored,
    /// This one was stored before; nothing else of the request is.
    AlreadyStored { index: usize },
    /// This one will never be taken; nothing else of the request is stored.
    Refused {
        index: usize,
        reason: String,
        /// The limits that its values exceed.
        told: Vec<Told>,
    },
    /// More records than the server takes in one request.
    TooMany { at_most: Option<usize> },
    /// More bytes than the server takes.
    TooLarge,
    /// The server cannot read it, and does not say which record is to blame.
    Unreadable,
    /// The server has no such route, or it is switched off.
    NoSuchRoute,
    /// Too many requests: later.
    Limited,
    /// Too many records at once: later, and fewer.
    LimitedInside,
    /// The token is dead for certain.
    DeadToken,
    /// Perhaps the token is dead. If it is not: later, and less.
    Doubtful,
    /// Perhaps the token is dead. If it is not, somebody must mend the server
    /// or the configuration.
    Forbidden,
    /// Somebody must mend the configuration.
    Misconfigured,
    /// Nothing can be concluded: later.
    Unclear,
}

/// A row of the table.
pub(crate) struct Row {
    /// What it is about.
    pub(crate) name: &'static str,
    applies: fn(&Seen) -> Option<Class>,
}

/// The table.
pub(crate) const TABLE: &[Row] = &[
    Row {
        name: "stored",
        applies: |seen| seen.confirms_all().then_some(Class::Stored),
    },
    Row {
        name: "redirected",
        applies: |seen| {
            (300..400)
                .contains(&seen.status)
                .then_some(Class::Misconfigured)
        },
    },
    Row {
        name: "authorization required",
        applies: |seen| seen.is(401).then_some(Class::DeadToken),
    },
    Row {
        name: "too many requests",
        applies: |seen| seen.is(429).then_some(Class::Limited),
    },
    Row {
        name: "body too large",
        applies: |seen| seen.is(413).then_some(Class::TooLarge),
    },
    Row {
        name: "batch route switched off",
        applies: |seen| {
            (seen.is_batch(403) && seen.message == "Batch requests are not allowed.")
                .then_some(Class::NoSuchRoute)
        },
    },
    Row {
        name: "no batch route",
        applies: |seen| seen.is_batch(404).then_some(Class::NoSuchRoute),
    },
    Row {
        name: "no bulk route",
        applies: |seen| {
            (seen.is_own && seen.route == Route::Bulk && matches!(seen.status, 404 | 405))
                .then_some(Class::NoSuchRoute)
        },
    },
    Row {
        name: "bulk upload not readable",
        applies: |seen| {
            (seen.is_own
                && seen.route == Route::Bulk
                && seen.is(400)
                && seen.message == "Failed to read the records.")
                .then_some(Class::Unreadable)
        },
    },
    Row {
        name: "more records than a batch may have",
        applies: |seen| {
            let requests = seen.data.get("requests").filter(|_| seen.is_batch(400))?;
            (requests.get("code")? == "validation_length_too_long").then(|| Class::TooMany {
                at_most: requests.pointer("/params/max").and_then(as_usize),
            })
        },
    },
    Row {
        name: "batch not readable",
        applies: |seen| {
            (seen.is_batch(400) && seen.message == "Failed to read the submitted batch data.")
                .then_some(Class::Unreadable)
        },
    },
    Row {
        name: "too many requests inside the batch",
        applies: |seen| (seen.failed.as_ref()?.status == 429).then_some(Class::LimitedInside),
    },
    Row {
        name: "stored before",
        applies: |seen| {
            let failed = seen.failed.as_ref()?;
            let code = failed.data.get("id")?.get("code")?.as_str()?;
            DUPLICATE_CODES
                .contains(&code)
                .then_some(Class::AlreadyStored {
                    index: failed.index,
                })
        },
    },
    Row {
        name: "record refused",
        applies: |seen| {
            let failed = seen.failed.as_ref()?;
            Some(Class::Refused {
                index: failed.index,
                reason: failed.validation_error()?,
                told: failed.limits(),
            })
        },
    },
    Row {
        name: "no such collection",
        applies: |seen| (seen.failed.as_ref()?.status == 404).then_some(Class::Forbidden),
    },
    Row {
        name: "not allowed",
        applies: |seen| (seen.failed.as_ref()?.status == 403).then_some(Class::Forbidden),
    },
    Row {
        name: "request not allowed",
        applies: |seen| (seen.is_own && seen.is(403)).then_some(Class::Forbidden),
    },
    Row {
        name: "failed without a reason",
        applies: |seen| {
            let class = if planted!(DropsWhatIsDoubtful) {
                let reason = "no reason".to_owned();
                let told = Vec::new();
                Class::Refused {
                    index: 0,
                    reason,
                    told,
                }
            } else {
                Class::Doubtful
            };
            (seen.is_own && seen.is(400)).then_some(class)
        },
    },
    Row {
        name: "answer not understood",
        applies: |_| Some(Class::Unclear),
    },
];

/// Looks an answer up in the table.
pub(crate) fn classify(seen: &Seen) -> (&'static str, Class) {
    TABLE
        .iter()
        .find_map(|row| Some((row.name, (row.applies)(seen)?)))
        .unwrap_or(("answer not understood", Class::Unclear))
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Seen {
    route: Route,
    /// Records in the request.
    count: usize,
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// Shaped as the server shapes its errors, so not a proxy's.
    is_own: bool,
    message: String,
    data: Map<String, Value>,
    failed: Option<Failed>,
    /// The body of a success.
    stored: Option<Value>,
}

/// The record that made a request fail.
#[derive(Debug)]
struct Failed {
    index: usize,
    status: u16,
    data: Map<String, Value>,
}

impl Seen {
    /// Takes apart the answer to a request of `count` records.
    pub(crate) fn new(route: Route, count: usize, reply: &Reply) -> Self {
        let body = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
        let mut seen = Self {
            route,
            count,
            status: reply.status,
            retry_after: reply.retry_after,
            is_own: false,
            message: String::new(),
            data: Map::new(),
            failed: None,
            stored: None,
        };
        if reply.status == 200 {
            seen.stored = Some(body);
        } else if let Value::Object(body) = body {
            seen.take_error(body);
        }
        seen
    }

    /// The answer in words.
    pub(crate) fn describe(&self, row: &str) -> String {
        if self.message.is_empty() {
            return format!("{row} (HTTP {})", self.status);
        }
        let message: String = self.message.chars().take(MAX_MESSAGE).collect();
        format!("{row} (HTTP {}: {message})", self.status)
    }

    /// What may be stored although this answer does not say so.
    pub(crate) fn doubt(&self) -> Doubt {
        match self.route {
            Route::Batch => Doubt::AllOrNothing,
            Route::Bulk | Route::Single => Doubt::Any,
        }
    }

    fn take_error(&mut self, mut body: Map<String, Value>) {
        let (Some(Value::Object(data)), Some(Value::String(message))) =
            (body.remove("data"), body.remove("message"))
        else {
            return;
        };
        self.is_own = true;
        self.failed = match self.route {
            Route::Batch => failed_of_batch(&data),
            Route::Bulk => None,
            Route::Single => Some(Failed {
                index: 0,
                status: self.status,
                data: data.clone(),
            }),
        };
        self.data = data;
        self.message = message;
    }

    fn is(&self, status: u16) -> bool {
        self.status == status
    }

    fn is_batch(&self, status: u16) -> bool {
        self.is_own && self.route == Route::Batch && self.status == status
    }

    /// Whether the server itself says that all records are stored. A page of a
    /// proxy with status 200 does not.
    fn confirms_all(&self) -> bool {
        let Some(body) = &self.stored else {
            return false;
        };
        if planted!(BelievesAnyPage) {
            return true;
        }
        match self.route {
            // Its answers have verdicts, which are looked at before.
            Route::Bulk => false,
            Route::Batch => body.as_array().is_some_and(|items| {
                let is_stored = |item: &Value| item.get("status") == Some(&Value::from(200));
                items.len() == self.count && items.iter().all(is_stored)
            }),
            Route::Single => body.get("id").is_some_and(Value::is_string),
        }
    }
}

impl Failed {
    /// Field, code and message of the first value that does not pass.
    fn validation_error(&self) -> Option<String> {
        self.data.iter().find_map(|(field, error)| {
            let code = error.get("code")?.as_str()?;
            if !code.starts_with("validation_") {
                return None;
            }
            let message = error.get("message").and_then(Value::as_str);
            Some(format!("{field}: {code}: {}", message.unwrap_or_default()))
        })
    }
}

impl Failed {
    /// The limits of fields that the refusal names.
    fn limits(&self) -> Vec<Told> {
        let told = |(field, error): (&String, &Value)| Told::of(field, error);
        self.data.iter().filter_map(told).collect()
    }
}

/// `data.requests.<index>.response`: only the first failure is reported.
fn failed_of_batch(data: &Map<String, Value>) -> Option<Failed> {
    let requests = data.get("requests")?.as_object()?;
    requests.iter().find_map(|(index, error)| {
        let response = error.get("response")?;
        let status = response.get("status").or_else(|| response.get("code"))?;
        Some(Failed {
            index: index.parse().ok()?,
            status: u16::try_from(status.as_u64()?).ok()?,
            data: response.get("data")?.as_object()?.clone(),
        })
    })
}

fn as_usize(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests;
