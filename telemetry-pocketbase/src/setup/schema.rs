//! What the server must have: the collections, said once for the API and for
//! the migration file.

use serde_json::{Value, json};

/// Text is cut at capture to 65,536 bytes and gets a short mark.
pub(super) const MAX_TEXT: u64 = 65_600;

/// A record has 262,144 bytes of text at most, and a control character takes
/// six bytes in JSON.
pub(super) const MAX_JSON: u64 = 2 * 1024 * 1024;

/// Ids of daemons and sessions are UUIDs; other writers may have longer ones.
pub(super) const MAX_ID_TEXT: u64 = 200;

/// Requests in one batch, and seconds for it.
pub(super) const BATCH_REQUESTS: u64 = 500;
pub(super) const BATCH_SECONDS: u64 = 10;

/// Fields with an index, which the specification names.
const INDEXED: [&str; 4] = ["timestamp", "level", "daemon_id", "session_id"];

/// The fields of the logs.
pub(super) fn fields() -> Vec<Value> {
    let text = |name: &str, max: u64| json!({"name": name, "type": "text", "max": max});
    let required =
        |name: &str, max: u64| json!({"name": name, "type": "text", "max": max, "required": true});
    let json_field = |name: &str| json!({"name": name, "type": "json", "maxSize": MAX_JSON});
    let number = |name: &str| json!({"name": name, "type": "number"});
    vec![
        json!({"name": "timestamp", "type": "date", "required": true}),
        json!({
            "name": "level", "type": "select", "required": true, "maxSelect": 1,
            "values": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"],
        }),
        required("message", MAX_TEXT),
        text("target", MAX_TEXT),
        text("module_path", MAX_TEXT),
        text("file", MAX_TEXT),
        number("line"),
        json_field("fields"),
        json_field("spans"),
        required("daemon_id", MAX_ID_TEXT),
        required("session_id", MAX_ID_TEXT),
        number("seq"),
        text("timestamp_exact", MAX_ID_TEXT),
        json!({"name": "created", "type": "autodate", "onCreate": true}),
    ]
}

/// Names and statements of the indexes of a collection.
pub(super) fn indexes(collection: &str) -> Vec<(String, String)> {
    INDEXED
        .iter()
        .map(|field| {
            let name = format!("idx_{collection}_{field}");
            let statement = format!("CREATE INDEX {name} ON {collection} ({field})");
            (name, statement)
        })
        .collect()
}

/// Who may create records: the accounts of the auth collection. Nobody but a
/// superuser may do anything else. Superusers need no rule.
pub(super) fn create_rule(auth_collection: &str) -> Value {
    if auth_collection == SUPERUSERS {
        return Value::Null;
    }
    json!(format!(
        "@request.auth.collectionName = \"{auth_collection}\""
    ))
}

pub(super) use crate::pocketbase::session::SUPERUSERS;

/// The collection of the logs.
pub(super) fn logs(collection: &str, auth_collection: &str) -> Value {
    let indexes: Vec<String> = indexes(collection)
        .into_iter()
        .map(|(_, statement)| statement)
        .collect();
    json!({
        "name": collection,
        "type": "base",
        "fields": fields(),
        "indexes": indexes,
        "listRule": null, "viewRule": null, "updateRule": null, "deleteRule": null,
        "createRule": create_rule(auth_collection),
    })
}

/// The collection of the accounts: they may sign in with a password, and
/// nothing else.
pub(super) fn accounts(auth_collection: &str) -> Value {
    json!({
        "name": auth_collection,
        "type": "auth",
        "listRule": null, "viewRule": null, "createRule": null,
        "updateRule": null, "deleteRule": null,
        "authRule": "",
        "passwordAuth": {"enabled": true, "identityFields": ["email"]},
    })
}
