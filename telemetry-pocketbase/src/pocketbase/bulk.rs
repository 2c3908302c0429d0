//! The route that our hook file adds to a server: a whole upload in one
//! statement, and a verdict for each record.
//!
//! The hook says which versions of the protocol it accepts. An older or newer
//! hook that does not accept ours is left alone, and named.

use serde::Deserialize;

use super::client::{Reply, Transport};
use crate::delivery::Verdict;

/// Version of the hook file, and of the protocol that this program speaks.
pub(crate) const HOOK_VERSION: u64 = 1;

/// Where the hook tells about itself.
pub(crate) const HOOK_PATH: &str = "/api/sync-daemon/hook";

/// Where the records of a collection go.
pub(crate) fn bulk_path(collection: &str) -> String {
    format!("/api/sync-daemon/v{HOOK_VERSION}/{collection}")
}

/// What is known of the hook of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hook {
    /// It takes what this program sends.
    Usable {
        /// After how many days it deletes records; 0: never.
        retention_days: u32,
    },
    /// There is none.
    Missing,
    /// There is one that cannot be used: why.
    Unusable(String),
    /// The server did not say.
    Unknown(String),
}

#[derive(Deserialize)]
struct Description {
    hook: String,
    version: u64,
    accepts: Vec<u64>,
    collection: String,
    #[serde(rename = "retentionDays")]
    retention_days: u32,
}

/// Asks a server for its hook.
pub(crate) fn look_for_hook(client: &impl Transport, collection: &str) -> Hook {
    match client.get(HOOK_PATH, None) {
        Ok(reply) if reply.status == 404 => Hook::Missing,
        Ok(reply) if reply.status == 200 => understand(&reply.body, collection),
        Ok(reply) => Hook::Unknown(format!("HTTP {}", reply.status)),
        Err(error) => Hook::Unknown(error.reason().to_owned()),
    }
}

fn understand(body: &str, collection: &str) -> Hook {
    let Ok(description) = serde_json::from_str::<Description>(body) else {
        return Hook::Unknown("the answer is none of a hook".to_owned());
    };
    let Description { version, .. } = description;
    if description.hook != "sync-daemon" {
        return Hook::Unknown("the answer is none of our hook".to_owned());
    }
    if !description.accepts.contains(&HOOK_VERSION) {
        let age = if version < HOOK_VERSION {
            "older"
        } else {
            "newer"
        };
        return Hook::Unusable(format!(
            "the hook file on the server has version {version}, which is {age} than {HOOK_VERSION}, the one of this program"
        ));
    }
    if description.collection != collection {
        return Hook::Unusable(format!(
            "the hook file on the server serves the collection {}",
            description.collection
        ));
    }
    Hook::Usable {
        retention_days: description.retention_days,
    }
}

#[derive(Deserialize)]
struct Outcome {
    count: usize,
    stored: usize,
    known: usize,
    refused: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    position: usize,
    reason: String,
}

/// What the hook says became of `count` records; `None` if its sums are wrong,
/// or it is no hook that answers.
pub(crate) fn verdicts(reply: &Reply, count: usize) -> Option<Vec<(usize, Verdict)>> {
    if reply.status != 200 {
        return None;
    }
    let outcome: Outcome = serde_json::from_str(&reply.body).ok()?;
    let sum = outcome.stored + outcome.known + outcome.refused.len();
    if outcome.count != count || sum != count {
        return None;
    }
    let accepted = if outcome.stored == 0 {
        Verdict::AlreadyStored
    } else {
        Verdict::Stored
    };
    let mut verdicts: Vec<(usize, Verdict)> =
        (0..count).map(|index| (index, accepted.clone())).collect();
    for refusal in outcome.refused {
        verdicts.get_mut(refusal.position)?.1 = Verdict::Refused(refusal.reason);
    }
    Some(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> Reply {
        Reply {
            status: 200,
            retry_after: None,
            body: body.to_owned(),
        }
    }

    #[test]
    fn each_record_gets_the_verdict_of_the_hook() {
        let body = r#"{"version":1,"count":3,"stored":1,"known":1,"refused":[{"position":1,"reason":"level: wrong"}]}"#;
        let verdicts = verdicts(&reply(body), 3).unwrap();
        assert_eq!(verdicts.len(), 3);
        assert_eq!(verdicts[1].1, Verdict::Refused("level: wrong".to_owned()));
        assert_eq!(verdicts[2].1, Verdict::Stored);
    }

    #[test]
    fn sums_that_do_not_add_up_decide_nothing() {
        for body in [
            r#"{"count":3,"stored":1,"known":1,"refused":[]}"#,
            r#"{"count":2,"stored":2,"known":0,"refused":[]}"#,
            r#"{"count":3,"stored":2,"known":0,"refused":[{"position":3,"reason":""}]}"#,
            "<html>",
        ] {
            assert_eq!(verdicts(&reply(body), 3), None, "{body}");
        }
    }

    #[test]
    fn hook_of_another_version_is_named_and_not_used() {
        let body = |version: u64, accepts: &str, collection: &str| {
            format!(
                r#"{{"hook":"sync-daemon","version":{version},"accepts":{accepts},"collection":"{collection}","retentionDays":30}}"#
            )
        };
        let usable = Hook::Usable { retention_days: 30 };
        assert_eq!(understand(&body(1, "[1]", "logs"), "logs"), usable);
        assert_eq!(understand(&body(7, "[1,7]", "logs"), "logs"), usable);
        let Hook::Unusable(why) = understand(&body(7, "[7]", "logs"), "logs") else {
            panic!("version 7 does not accept version 1");
        };
        assert!(why.contains("version 7") && why.contains("newer"), "{why}");
        let Hook::Unusable(why) = understand(&body(0, "[0]", "logs"), "logs") else {
            panic!("version 0 does not accept version 1");
        };
        assert!(why.contains("older"), "{why}");
        let Hook::Unusable(why) = understand(&body(1, "[1]", "others"), "logs") else {
            panic!("another collection");
        };
        assert!(why.contains("others"), "{why}");
        assert!(matches!(understand("{}", "logs"), Hook::Unknown(_)));
    }
}
