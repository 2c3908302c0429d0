//! Files for a server: the migration, and the hook for uploads in bulk.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::hook::{HOOK_FILE, hook};
use super::report::{Outcome, Report};
use super::schema;
use crate::error::PocketBaseError;

/// The file, from the directory that is given.
pub const MIGRATION_FILE: &str = "pb_migrations/sync_daemon_logs.js";

/// What the files are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesFor<'a> {
    /// The collection of the logs.
    pub collection: &'a str,
    /// The collection of the accounts.
    pub auth_collection: &'a str,
    /// The hook deletes older records; 0 keeps them for ever.
    pub retention_days: u32,
}

/// Writes [`MIGRATION_FILE`] and [`HOOK_FILE`] into `dir`, for PocketBase 0.23
/// or later. The migration creates both collections and switches batch requests
/// on; the hook adds the route for uploads in bulk, and deletes old records. The
/// server reads them when it starts. The account they do not create, since they
/// would have to hold its password.
///
/// # Errors
/// [`PocketBaseError::Io`] naming the file.
pub fn write_files(dir: &Path, files: FilesFor<'_>) -> Result<Report, PocketBaseError> {
    let (collection, accounts) = (files.collection, files.auth_collection);
    let mut report = Report::default();
    let text = migration(collection, accounts);
    write(dir, MIGRATION_FILE, &text, &mut report)?;
    let text = hook(collection, accounts, files.retention_days);
    write(dir, HOOK_FILE, &text, &mut report)?;
    Ok(report)
}

/// Writes the [`MIGRATION_FILE`] for PocketBase 0.22 and older: the collection
/// of the logs only.
///
/// # Errors
/// [`PocketBaseError::Io`] naming the file.
pub fn write_legacy_files(dir: &Path, collection: &str) -> Result<Report, PocketBaseError> {
    let mut report = Report::default();
    let text = legacy_migration(collection);
    write(dir, MIGRATION_FILE, &text, &mut report)?;
    Ok(report)
}

fn write(dir: &Path, name: &str, text: &str, report: &mut Report) -> Result<(), PocketBaseError> {
    let path = dir.join(name);
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
    report.add(path.display().to_string(), outcome);
    Ok(())
}

fn migration(collection: &str, auth_collection: &str) -> String {
    let logs = schema::logs(collection, auth_collection);
    let (accounts, drop_accounts) = if auth_collection == schema::SUPERUSERS {
        (String::new(), String::new())
    } else {
        let accounts = schema::accounts(auth_collection);
        (
            format!("  create({accounts:#});\n"),
            format!("  app.delete(app.findCollectionByNameOrId(\"{auth_collection}\"));\n"),
        )
    };
    let (requests, seconds) = (schema::BATCH_REQUESTS, schema::BATCH_SECONDS);
    format!(
        r#"// Collections for the logs of sync-daemon, for PocketBase 0.23 and later.
migrate((app) => {{
  // What `sync-daemon pocketbase setup` has made before stays as it is.
  const create = (collection) => {{
    try {{
      app.findCollectionByNameOrId(collection.name);
    }} catch (missing) {{
      app.save(new Collection(collection));
    }}
  }};
{accounts}  create({logs:#});
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
  return new Dao(db).saveCollection(collection);
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
        let files = |retention_days| FilesFor {
            collection: "daemon_logs",
            auth_collection: "telemetry_clients",
            retention_days,
        };
        let outcomes = |report: Result<Report, PocketBaseError>| -> Vec<Outcome> {
            let steps = report.unwrap().steps.into_iter();
            steps.map(|step| step.outcome).collect()
        };
        let first = outcomes(write_files(dir.path(), files(0)));
        assert_eq!(first, [Outcome::Created, Outcome::Created]);
        let again = outcomes(write_files(dir.path(), files(0)));
        assert_eq!(again, [Outcome::Good, Outcome::Good]);
        let other = outcomes(write_files(dir.path(), files(30)));
        assert_eq!(other[0], Outcome::Good);
        assert!(matches!(other[1], Outcome::Changed(_)));
        let legacy = outcomes(write_legacy_files(dir.path(), "daemon_logs"));
        assert!(matches!(legacy[..], [Outcome::Changed(_)]));
        let text = fs::read_to_string(dir.path().join(MIGRATION_FILE)).unwrap();
        assert!(text.contains("idx_daemon_logs_session_id"), "{text}");
    }
}
