//! The hook file: the route that takes records in bulk, and the retention.

use serde_json::json;

use super::schema;
use crate::pocketbase::bulk::HOOK_VERSION;

/// The file, from the directory that is given.
pub const HOOK_FILE: &str = "pb_hooks/sync_daemon.pb.js";

const TEMPLATE: &str = include_str!("hook.js");

/// Deletes in portions, so that uploads get their turn between them.
const RETENTION: &str = r#"
// Deletes records that are older than @RETENTION_DAYS@ days.
cronAdd("sync_daemon_retention", "*/10 * * * *", () => {
  const portion = `
    DELETE FROM @COLLECTION@ WHERE rowid IN (
      SELECT rowid FROM @COLLECTION@
      WHERE timestamp < strftime('%Y-%m-%d %H:%M:%fZ', 'now', '-@RETENTION_DAYS@ days')
      LIMIT 2000)`;
  for (let portions = 0; portions < 500; portions++) {
    if ($app.db().newQuery(portion).execute().rowsAffected() === 0) {
      return;
    }
  }
});
"#;

/// The text of the hook file. `retention_days` 0 keeps records for ever.
pub(super) fn hook(collection: &str, auth_collection: &str, retention_days: u32) -> String {
    let retention = if retention_days > 0 { RETENTION } else { "" };
    let mut accounts = vec![json!(auth_collection).to_string()];
    if auth_collection != schema::SUPERUSERS {
        accounts.push(json!(schema::SUPERUSERS).to_string());
    }
    TEMPLATE
        .replace("@RETENTION@\n", retention)
        .replace("@VERSION@", &HOOK_VERSION.to_string())
        .replace("@COLLECTION@", collection)
        .replace("@AUTH_COLLECTIONS@", &accounts.join(", "))
        .replace("@RETENTION_DAYS@", &retention_days.to_string())
        .replace("@MAX_TEXT@", &schema::MAX_TEXT.to_string())
        .replace("@MAX_JSON@", &schema::MAX_JSON.to_string())
        .replace("@MAX_ID_TEXT@", &schema::MAX_ID_TEXT.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_template_is_left_over() {
        for days in [0, 30] {
            let text = hook("daemon_logs", "telemetry_clients", days);
            assert!(!text.contains("@COLLECTION@") && !text.contains("@RETENTION"));
            let words = text.split(|c: char| !(c == '@' || c == '_' || c.is_ascii_uppercase()));
            let left: Vec<_> = words
                .filter(|word| word.len() > 2 && word.starts_with('@') && word.ends_with('@'))
                .collect();
            assert!(left.is_empty(), "{left:?}");
            assert_eq!(text.contains("cronAdd"), days > 0);
        }
    }

    #[test]
    fn superusers_are_let_in_once() {
        let text = hook("daemon_logs", "_superusers", 0);
        assert!(text.contains(r#"requireAuth("_superusers")"#));
    }
}
