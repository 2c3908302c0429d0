//! A migration, for those who set servers up with files.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::report::{Outcome, Report};
use super::schema;
use crate::error::PocketBaseError;

/// The file, from the directory that is given.
pub const MIGRATION_FILE: &str = "pb_migrations/sync_daemon_logs.js";

/// Writes [`MIGRATION_FILE`] into `dir`: it creates both collections and
/// switches batch requests on, and PocketBase 0.23 or later runs it when it
/// starts. The account it does not create, since it would have to hold the
/// password.
///
/// With `legacy`, writes the one for PocketBase 0.22 and older instead: the
/// collection of the logs only.
///
/// # Errors
/// [`PocketBaseError::Io`] naming the file.
pub fn write_files(
    dir: &Path,
    collection: &str,
    auth_collection: &str,
    legacy: bool,
) -> Result<Report, PocketBaseError> {
    let path = dir.join(MIGRATION_FILE);
    let text = if legacy {
        legacy_migration(collection)
    } else {
        migration(collection, auth_collection)
    };
    let failed = |source| PocketBaseError::Io {
        path: path.clone(),
        source,
    };
    let outcome = match fs::read_to_string(&path) {
        Ok(before) if before == text => Outcome::Good,
        Ok(_) => Outcome::Changed("it was different".to_owned()),
        Err(_) => Outcome::Created,
    };
    if outcome != Outcome::Good {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
    }
    let mut report = Report::default();
    report.add(path.display().to_string(), outcome);
    Ok(report)
}

fn migration(collection: &str, auth_collection: &str) -> String {
    let logs = schema::logs(collection, auth_collection);
    let (accounts, drop_accounts) = if auth_collection == schema::SUPERUSERS {
        (String::new(), String::new())
    } else {
        let accounts = schema::accounts(auth_collection);
        (
            format!("  app.save(new Collection({accounts:#}));\n"),
            format!("  app.delete(app.findCollectionByNameOrId(\"{auth_collection}\"));\n"),
        )
    };
    let (requests, seconds) = (schema::BATCH_REQUESTS, schema::BATCH_SECONDS);
    format!(
        r#"// Collections for the logs of sync-daemon, for PocketBase 0.23 and later.
migrate((app) => {{
{accounts}  app.save(new Collection({logs:#}));
  const settings = app.settings();
  settings.batch.enabled = true;
  settings.batch.maxRequests = Math.max(settings.batch.maxRequests, {requests});
  settings.batch.timeout = Math.max(settings.batch.timeout, {seconds});
  app.save(settings);
}}, (app) => {{
  app.delete(app.findCollectionByNameOrId("{collection}"));
{drop_accounts}}});
"#
    )
}

/// The options of a field stood in an object of their own then, and a field
/// `created` was there by itself.
fn legacy_migration(collection: &str) -> String {
    let fields: Vec<_> = schema::fields()
        .into_iter()
        .filter(|field| field["type"] != "autodate")
        .map(|mut field| {
            let Some(field) = field.as_object_mut() else {
                return json!(null);
            };
            let mut legacy = serde_json::Map::new();
            for key in ["name", "type", "required"] {
                if let Some(value) = field.remove(key) {
                    legacy.insert(key.to_owned(), value);
                }
            }
            legacy.insert("options".to_owned(), json!(field));
            json!(legacy)
        })
        .collect();
    let indexes: Vec<_> = schema::indexes(collection)
        .into_iter()
        .map(|(_, statement)| statement)
        .collect();
    let logs = json!({
        "name": collection, "type": "base", "schema": fields, "indexes": indexes,
        "listRule": null, "viewRule": null, "createRule": null,
        "updateRule": null, "deleteRule": null,
    });
    format!(
        r#"// Collection for the logs of sync-daemon, for PocketBase 0.22 and older.
migrate((db) => {{
  const collection = new Collection({logs:#});
  return Dao(db).saveCollection(collection);
}}, (db) => {{
  const dao = new Dao(db);
  return dao.deleteCollection(dao.findCollectionByNameOrId("{collection}"));
}});
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let write = |legacy| {
            let report = write_files(dir.path(), "daemon_logs", "telemetry_clients", legacy);
            report.unwrap().steps[0].outcome.clone()
        };
        assert_eq!(write(false), Outcome::Created);
        assert_eq!(write(false), Outcome::Good);
        assert!(matches!(write(true), Outcome::Changed(_)));
        let text = fs::read_to_string(dir.path().join(MIGRATION_FILE)).unwrap();
        assert!(text.contains("idx_daemon_logs_session_id"), "{text}");
    }
}
