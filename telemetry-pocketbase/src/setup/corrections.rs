//! What is to be changed about what a server has: pure functions.

use serde_json::{Map, Value, json};

use super::schema;
use crate::config::PocketBaseConfig;
use crate::error::PocketBaseError;

/// What to change about an existing collection, and in words.
pub(super) fn corrections(
    what: &str,
    existing: &Value,
    config: &PocketBaseConfig,
) -> Result<(Value, Vec<String>), PocketBaseError> {
    let mut patch = Map::new();
    let mut changes = Vec::new();
    let (fields, mut changed) = corrected_fields(what, existing)?;
    if !changed.is_empty() {
        patch.insert("fields".to_owned(), Value::Array(fields));
        changes.append(&mut changed);
    }
    let (indexes, mut changed) = corrected_indexes(existing, &config.collection);
    if !changed.is_empty() {
        patch.insert("indexes".to_owned(), Value::Array(indexes));
        changes.append(&mut changed);
    }
    let rule = schema::create_rule(&config.auth_collection);
    if existing.get("createRule") != Some(&rule) {
        patch.insert("createRule".to_owned(), rule);
        changes.push("create rule".to_owned());
    }
    Ok((Value::Object(patch), changes))
}

/// The fields there are, with ours added and widened. A patch of the fields
/// replaces them all, so those of others must be in it.
fn corrected_fields(
    what: &str,
    existing: &Value,
) -> Result<(Vec<Value>, Vec<String>), PocketBaseError> {
    let mut fields = array(existing, "fields");
    let mut changes = Vec::new();
    for wanted in schema::fields() {
        let name = wanted["name"].as_str().unwrap_or_default().to_owned();
        let Some(field) = fields.iter_mut().find(|field| field["name"] == name) else {
            changes.push(format!("field {name} added"));
            fields.push(wanted);
            continue;
        };
        if field["type"] != wanted["type"] {
            let why = format!("its field {name} has type {}", field["type"]);
            return Err(conflict(what, &why));
        }
        if widen(field, &wanted) {
            changes.push(format!("field {name} changed"));
        }
    }
    Ok((fields, changes))
}

/// Takes over what is wanted; greater limits stay. Returns whether anything is
/// different.
fn widen(field: &mut Value, wanted: &Value) -> bool {
    let before = field.clone();
    let (Some(field), Some(wanted)) = (field.as_object_mut(), wanted.as_object()) else {
        return false;
    };
    for (option, value) in wanted {
        let is_wider = match (field.get(option).and_then(Value::as_u64), value.as_u64()) {
            (Some(has), Some(needs)) => has >= needs,
            _ => false,
        };
        if !is_wider {
            field.insert(option.clone(), value.clone());
        }
    }
    before.as_object() != Some(field)
}

fn corrected_indexes(existing: &Value, collection: &str) -> (Vec<Value>, Vec<String>) {
    let mut indexes = array(existing, "indexes");
    let mut changes = Vec::new();
    for (name, statement) in schema::indexes(collection) {
        let is_there = |index: &Value| index.as_str().is_some_and(|text| text.contains(&name));
        if !indexes.iter().any(is_there) {
            indexes.push(Value::String(statement));
            changes.push(format!("index {name} added"));
        }
    }
    (indexes, changes)
}

fn array(object: &Value, key: &str) -> Vec<Value> {
    object
        .get(key)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// The batch settings with at least what is needed.
pub(super) fn wanted_batch(batch: &Value) -> Value {
    let mut wanted = batch.clone();
    let at_least = |key: &str, least: u64| {
        let has = batch.get(key).and_then(Value::as_u64).unwrap_or(0);
        json!(has.max(least))
    };
    wanted["enabled"] = json!(true);
    wanted["maxRequests"] = at_least("maxRequests", schema::BATCH_REQUESTS);
    wanted["timeout"] = at_least("timeout", schema::BATCH_SECONDS);
    wanted
}

/// Something of this name is in the way.
pub(super) fn conflict(what: &str, why: &str) -> PocketBaseError {
    PocketBaseError::Conflict {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PasswordSource;

    fn config() -> PocketBaseConfig {
        let password = PasswordSource::FirstOf(Vec::new());
        PocketBaseConfig::new("http://localhost", "a@example.com", password, "dir")
    }

    #[test]
    fn a_collection_as_it_should_be_needs_no_correction() {
        let existing = schema::logs("daemon_logs", "telemetry_clients");
        let (_, changes) = corrections("it", &existing, &config()).unwrap();
        assert!(changes.is_empty(), "{changes:?}");
    }

    #[test]
    fn what_is_missing_or_narrow_is_corrected_and_the_rest_kept() {
        let mut existing = schema::logs("daemon_logs", "telemetry_clients");
        let fields = existing["fields"].as_array_mut().unwrap();
        fields.retain(|field| field["name"] != "seq");
        fields.push(json!({"name": "extra", "type": "bool", "id": "x"}));
        for field in fields.iter_mut() {
            match field["name"].as_str() {
                Some("message") => field["max"] = json!(5000),
                Some("target") => field["max"] = json!(1_000_000),
                _ => {}
            }
        }
        existing["indexes"].as_array_mut().unwrap().remove(0);
        existing["createRule"] = json!("");
        let (patch, changes) = corrections("it", &existing, &config()).unwrap();
        let expected = [
            "field message changed",
            "field seq added",
            "index idx_daemon_logs_timestamp added",
            "create rule",
        ];
        assert_eq!(changes, expected);
        let fields = patch["fields"].as_array().unwrap();
        let max = |name: &str| fields.iter().find(|f| f["name"] == name).unwrap()["max"].clone();
        assert_eq!(
            (max("message"), max("target")),
            (json!(65_600), json!(1_000_000))
        );
        assert!(fields.iter().any(|field| field["name"] == "extra"));
    }

    #[test]
    fn a_field_of_another_type_is_a_conflict() {
        let mut existing = schema::logs("daemon_logs", "telemetry_clients");
        existing["fields"][0]["type"] = json!("text");
        let error = corrections("collection x", &existing, &config()).unwrap_err();
        assert!(error.to_string().contains("timestamp"), "{error}");
    }

    #[test]
    fn batch_settings_are_raised_but_never_lowered() {
        let small = json!({"enabled": false, "maxRequests": 50, "timeout": 3, "maxBodySize": 0});
        let raised = json!({"enabled": true, "maxRequests": 500, "timeout": 10, "maxBodySize": 0});
        assert_eq!(wanted_batch(&small), raised);
        let great = json!({"enabled": true, "maxRequests": 5000, "timeout": 60, "maxBodySize": 9});
        assert_eq!(wanted_batch(&great), great);
    }
}
